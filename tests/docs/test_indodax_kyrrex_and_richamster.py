"""The tables of Indodax's, Kyrrex's and Richamster's pages against the code: every channel and object that the vendors name has
its row, and what the code makes of a message is what its row says.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Set, Type

import pytest

import xchws
from tests.docs.pages import ROOT
from tests.docs.tables import Row, coded, named, reached, rows
from tests.exchanges.kyrrex.conversation import OBJECTS, event, message, ready
from tests.exchanges.test_vendor_samples import ready as stream
from tests.exchanges.test_vendor_samples import sample
from xchws.credentials import Secrets
from xchws.exchanges.indodax.market_protocol import IndodaxMarketProtocol, MarketMemory
from xchws.exchanges.richamster.protocol import RichamsterProtocol
from xchws.sansio.actions import Output, Topic

INDODAX, KYRREX, RICHAMSTER = (ROOT / "docs" / f"{name}.md" for name in ("indodax", "kyrrex", "richamster"))


def classes(outputs: List[Output]) -> Set[Type[Any]]:
    return {type(output) for output in outputs if isinstance(output, xchws.Event)}


# -------------------------------------------------------------------------------------------------------------- Kyrrex


def test_every_object_of_kyrrex_has_its_row() -> None:
    table = rows(KYRREX, "on the wire", "event")
    # "Possible Subscription Objects" on https://docs.kyrrex.com/websocket, read 2026-11.
    vendors = ["customer", "deposit", "order", "withdrawal", "trade", "deposit_address", "account"]
    assert sorted(name for row in table for name in coded(row["on the wire"])) == sorted(vendors)


@pytest.mark.parametrize("row", rows(KYRREX, "on the wire", "event"), ids=lambda row: row["callback"].strip("`"))
def test_an_object_of_kyrrex_becomes_what_its_row_says(row: Row) -> None:
    reached(xchws.Kyrrex, row)
    names = coded(row["on the wire"])
    if not names:
        assert classes(ready().received(message("margin_call", {}), 1.0)) == named(row)
    for name in names:
        assert name in OBJECTS
        assert classes(ready().received(event(name), 1.0)) == named(row)


# ---------------------------------------------------------------------------------------------------------- Richamster


def test_every_channel_of_richamster_has_its_row() -> None:
    table = rows(RICHAMSTER, "subscribing", "channel")
    # "Available channels" on https://richamster.com/api/v1/docs/websockets/, read 2026-11.
    vendors = ["ticker", "order_book", "trading", "user_orders"]
    assert [name for row in table for name in coded(row["channel"])] == vendors


@pytest.mark.parametrize("row", rows(RICHAMSTER, "subscribing", "channel"), ids=lambda row: row["callback"].strip("`"))
def test_a_message_of_richamster_becomes_what_its_row_says(row: Row) -> None:
    reached(xchws.Richamster, row)
    protocol = RichamsterProtocol("token", False, {}, Secrets())
    protocol.opened(0.0)
    if not row["subscribing"]:
        assert classes(protocol.received(b'{"unheard":"of"}', 0.0)) == named(row)
        return
    (channel,), (call,) = coded(row["channel"]), coded(row["subscribing"])
    client = xchws.Richamster("token")
    subscription = getattr(client, call.partition("(")[0])("KRB/UAH")
    assert subscription.topic == Topic(channel, ("KRB/UAH",))
    assert coded(row["`Subscription.name`"]) == [subscription.name.replace("KRB/UAH", "BTC/UAH")]
    protocol.subscribe(subscription.topic, 0.0)
    assert classes(protocol.received(sample("richamster", channel), 0.0)) == named(row)
    client.stop()


# ------------------------------------------------------------------------------------------------------------- Indodax


@pytest.mark.parametrize(
    "row", rows(INDODAX, "on the wire", "event", "callback"), ids=lambda row: row["callback"].strip("`")
)
def test_an_event_of_indodax_becomes_what_its_row_says(row: Row) -> None:
    reached(xchws.Indodax, row)
    if "order_update" in coded(row["on the wire"]):
        statuses = [word for word in coded(row["on the wire"]) if word.isupper()]
        for status in ("NEW", "FILL", "FILLED", "DONE", "CANCELLED", "REJECTED", "UNHEARD_OF"):
            made = classes(
                stream().received(sample("indodax", "order_fill").replace(b'"FILL"', b'"%s"' % status.encode()), 0.0)
            )
            assert (named(row) <= made) is (not statuses or status in statuses)
    else:
        other = sample("indodax", "order_new").replace(b"order_update", b"balance_update")
        assert classes(stream().received(other, 0.0)) == named(row)
        assert classes(stream().received(b'{"push":{"join":{}}}', 0.0)) == named(row)


MESSAGES: Dict[str, str] = {
    "chart:tick-": "ticks",
    "market:trade-activity-": "trades",
    "market:order-book-": "order_book",
    "market:summary-24h": "summary",
}
"""The channels of Marketdata-websocket.md, and their samples."""


def test_every_channel_of_indodax_market_has_its_row() -> None:
    named_there = [name for row in rows(INDODAX, "method", "channel") for name in coded(row["channel"])]
    assert sorted(name.replace("<pair>", "") for name in named_there) == sorted(MESSAGES)


@pytest.mark.parametrize("row", rows(INDODAX, "method", "channel"), ids=lambda row: row["callback"].strip("`"))
def test_a_message_of_indodax_market_becomes_what_its_row_says(row: Row) -> None:
    reached(xchws.IndodaxMarket, row)
    client = xchws.IndodaxMarket()
    (call,), channels = coded(row["method"]), coded(row["channel"])
    method = getattr(client, call.partition("(")[0])
    if channels:
        prefix = channels[0].replace("<pair>", "")
        text = re.sub(rb"[ \t]*// .*", b"", sample("indodax_market", MESSAGES[prefix]))
        channel = json.loads(text)["result"]["channel"]
        subscription = method(channel[len(prefix) :]) if "pair" in call else method()
    else:
        text, channel = b'{"result":{"channel":"news:x","data":{"data":{}}}}', "news:x"
        subscription = method(channel)
    client.stop()
    assert subscription.topic == Topic(channel) and subscription.name == channel
    protocol = IndodaxMarketProtocol("token", MarketMemory(), Secrets())
    protocol.opened(0.0)
    protocol.received(b'{"id":1,"result":{}}', 0.0)
    protocol.subscribe(subscription.topic, 0.0)
    protocol.received(b'{"id":2,"result":{"offset":1}}', 0.0)
    made = classes(protocol.received(text, 0.0)) - {xchws.Failure}
    assert made and all(any(issubclass(one, found) for found in named(row)) for one in made)
