"""The tables of Kyan's and Finery Markets' pages against the code: every channel and feed that there is, what it becomes, whom it
reaches. What the code makes of a message is what its row says, for a message of every row.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Set, Type

import pytest

import xchws
from tests.docs.pages import ROOT
from tests.docs.tables import Row, coded, named, reached, rows
from tests.exchanges.finery import samples as finery_samples
from tests.exchanges.finery.conversation import Conversation as FineryConversation
from tests.exchanges.kyan.conversation import ME, Conversation, event
from tests.exchanges.kyan.samples import CALL, ORDER, PERP, SAMPLES, TRADE
from xchws.exchanges.finery import feeds
from xchws.exchanges.kyan.channels import BOOKS, CHANNELS, wire_query
from xchws.exchanges.kyan.orders import CHANGES

KYAN, FINERY = ROOT / "docs" / "kyan.md", ROOT / "docs" / "finery.md"


# -------------------------------------------------------------------------------------------------------------- Kyan


def test_every_channel_of_kyan_has_its_rows() -> None:
    subscribing = {coded(row["channel"])[0]: row for row in rows(KYAN, "channel", "method")}
    assert set(subscribing) == set(CHANNELS)
    told = rows(KYAN, "channel", "event")
    assert {name for row in told for name in coded(row["channel"])} == set(CHANNELS)
    types = {*SAMPLES, "withdrawal"} - {"ob_snapshot"}  # whose type no page tells
    assert {kind for row in told for kind in coded(row["on the wire"])} == types
    for name, row in subscribing.items():
        channel = CHANNELS[name]
        assert set(coded(row["must have"])) == set(channel.required), name
        assert set(coded(row["may have"])) == set(channel.optional), name


ARGUMENTS = {
    "pair": "ETH_USDC", "instrument_name": "ETH_USDC-PERPETUAL", "maker": ME, "account": ME, "market": "ETH",
    "smart_account_address": ME,
}  # fmt: skip


@pytest.mark.parametrize("row", rows(KYAN, "channel", "method"), ids=lambda row: row["method"].strip("`"))
def test_a_method_of_kyan_subscribes_its_channel(row: Row) -> None:
    client = xchws.Kyan("k")
    (channel,) = coded(row["channel"])
    needed = {name: ARGUMENTS[name] for name in coded(row["must have"])}
    subscription = getattr(client, coded(row["method"])[0])(**needed)
    assert (subscription.topic.channel, wire_query(subscription.topic)) == (channel, needed)
    client.stop()


def of_kyan(channel: str, kind: str, **query: Any) -> Set[Type[xchws.Event]]:
    """What a message of this type becomes on this channel, of which a snapshot has come where it is a book."""
    talk = Conversation(recovery=False)
    talk.live(channel, **query)
    instrument = CALL if channel == "orderbook_options" else PERP
    if channel in BOOKS:
        talk.say(event("ob_snapshot", {"instrument_name": instrument, "bids": []}, channel))
    data: Any = SAMPLES[kind]["data"] if kind in SAMPLES else SAMPLES["deposit"]["data"]
    if kind in ("update_order", "cancel_order"):
        talk.say(event("post_order", {**ORDER, "instrument_name": instrument}, channel))
    if channel in BOOKS:
        data = {**data, "instrument_name": instrument}
    talk.events.clear()
    return {type(one) for one in talk.say(event(kind, data, channel))}


@pytest.mark.parametrize("row", rows(KYAN, "channel", "event"), ids=lambda row: row["channel"] + row["callback"])
def test_a_message_of_kyan_becomes_what_its_row_says(row: Row) -> None:
    reached(xchws.Kyan, row)
    for channel in coded(row["channel"]):
        needed: Dict[str, Any] = {name: ARGUMENTS[name] for name in CHANNELS[channel].required}
        if channel in ("rfq", "account_liquidation"):
            assert named(row) == {xchws.Other}
            talk = Conversation(recovery=False)
            talk.live(channel, **needed)
            assert {type(one) for one in talk.say(event("whatever", {}, channel))} == {xchws.Other}
            continue
        if row["callback"] == "`on_fill`":
            needed["account"] = TRADE["smart_account_address"]
        kinds = coded(row["on the wire"]) or list(CHANGES)  # "the same"
        for kind in kinds:
            made = of_kyan(channel, kind, **needed)
            others = [other for other in rows(KYAN, "channel", "event") if channel in coded(other["channel"])]
            assert named(row) <= made, (channel, kind)
            assert made <= {found for other in others for found in named(other)}, (channel, kind)


# ------------------------------------------------------------------------------------------------------------- Finery


def feed_rows() -> List[Row]:
    return [row for row in rows(FINERY, "subscribing", "feed") if row["feed"]]


def test_every_feed_of_finery_has_its_row() -> None:
    letters = [row["feed"] for row in feed_rows()]
    assert len(letters) == len(set(letters)) and set(letters) == feeds.LETTERS


@pytest.mark.parametrize("row", feed_rows(), ids=lambda row: row["feed"])
def test_a_feed_of_finery_becomes_what_its_row_says(row: Row) -> None:
    letter = row["feed"]
    client = xchws.Finery("k", "s")
    for call, name in zip(coded(row["subscribing"]), coded(row["`Subscription.name`"])):
        method, argument = re.fullmatch(r"(\w+)\((\w*)\)", call).groups()  # type: ignore[union-attr]  # all are calls
        given = {"instrument": ["BTC-EUR"], "currency": [name.rpartition(" ")[2]], "": []}[argument]
        subscription = getattr(client, method)(*given)
        assert subscription.topic.channel == letter and subscription.name == name
    client.stop()
    made: Set[Type[xchws.Event]] = set()
    for message in finery_samples.MESSAGES.values():
        if isinstance(message, list) and message[0] == letter and message[2] not in "ZU":
            talk = FineryConversation()
            talk.bind(letter, message[1] or None)
            if message[2] != "S":
                beginning: Any = finery_samples.BOOK if letter in "BF" else [[], []] if letter in "R" else []
                talk.hear([letter, message[1], "S", [0, [], []] if letter == "N" else beginning])
            talk.events.clear()
            made |= {type(one) for one in talk.hear(message)}
    if row["event"].startswith("positions, orders and settlements"):
        said = {found for other in feed_rows() if other["feed"] in "KOS" for found in named(other)}
        assert made and made <= said and row["callback"] == "as above"
        return
    assert made == named(row)
    reached(xchws.Finery, row)


def test_what_the_client_tells_by_itself_and_what_is_not_known_have_their_rows() -> None:
    others = {row["callback"]: row for row in rows(FINERY, "subscribing", "feed") if not row["feed"]}
    assert set(others) == {"`on_other`", "`on_probably_cancelled`"}
    for row in others.values():
        reached(xchws.Finery, row)
