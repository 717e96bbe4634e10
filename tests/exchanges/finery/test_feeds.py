"""What the feeds tell, sample by sample; and nothing that comes raises or is silent."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any, Iterator, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.finery import samples
from tests.exchanges.finery.conversation import Conversation
from xchws import events
from xchws.exchanges import finery

D = Decimal
EMPTY: Any = {
    **dict.fromkeys("BFIR", [[], []]),
    "N": [0, [], []],
    "P": [0, [], [], []],
}
"""Snapshots with nothing in them, where these are not just empty lists."""


def listening(*feeds: str) -> Conversation:
    """All of these feeds bound, with empty snapshots where they want one."""
    talk = Conversation()
    for feed in feeds:
        talk.bind(feed, "ETH-USD" if feed in "BF" else None)
        talk.hear([feed, "ETH-USD" if feed in "BF" else 0, "S", EMPTY.get(feed, [])])
        assert talk.state(feed, "ETH-USD" if feed in "BF" else None) == "active"
    talk.events.clear()
    return talk


def test_orders() -> None:
    talk = listening("O")
    told = talk.hear(samples.MESSAGES["orders"])
    order = told[-1]
    assert isinstance(order, finery.Order)
    assert (order.id, order.client_order_id, order.symbol, order.side, order.type) == (
        "5501",
        "900071",
        "ETH-USD",
        "buy",
        "limit",
    )
    assert (order.status, order.final, order.action) == ("NEW", False, "S")
    assert (order.price, order.quantity, order.filled, order.remaining) == (D(3120), D("0.25"), D(0), D("0.25"))
    assert order.time_ms == 1718000000123
    assert order.raw == samples.ORDER
    assert talk.state("O") == "active"


def test_an_array_too_many() -> None:
    talk = listening("O")
    talk.hear(["O", 0, "S", [[samples.ORDER, samples.ORDER]]])
    assert [order.raw for order in talk.of(finery.Order)] == [samples.ORDER, samples.ORDER]
    talk.hear(["O", 0, "S", [[]]])
    talk.hear(["O", 0, "S", []])
    assert len(talk.of(finery.Order)) == 2
    assert not talk.errors()


@pytest.mark.parametrize(
    ("left", "reason", "action", "status", "final"),
    [
        (25000000, 0, "+", "NEW", False),
        (5000000, 0, "S", "PARTIALLY_FILLED", False),
        (5000000, 0, "+", "PARTIALLY_FILLED", False),
        (0, 0, "-", "FILLED", True),
        (0, 2, "-", "FILLED", True),
        (5000000, 1, "-", "CANCELED", True),
        (25000000, 4, "-", "CANCELED", True),
        (5000000, 2, "+", "CANCELED", True),
        (5000000, 0, "-", "UNKNOWN", True),
        (25000000, 9, "-", "CANCELED", True),
    ],
)
def test_the_state_of_an_order(left: int, reason: int, action: str, status: str, final: bool) -> None:
    row = [*samples.ORDER[:3], reason, *samples.ORDER[4:8], left, *samples.ORDER[9:]]
    talk = listening("O")
    told = talk.hear(["O", 0, action, [row] if action == "S" else row])
    order = told[-1]
    assert isinstance(order, finery.Order)
    assert (order.status, order.final, order.cancel_reason) == (status, final, reason)


def test_an_order_by_volume() -> None:
    row = [*samples.ORDER[:8], 5000000, 1718000000123, 1]
    order = listening("O").hear(["O", 0, "+", row])[-1]
    assert isinstance(order, finery.Order)
    assert (order.quantity, order.filled, order.remaining) == (None, None, None)
    assert (order.volume, order.volume_filled, order.volume_remaining) == (D("0.25"), D("0.2"), D("0.05"))
    assert order.by_volume


def test_a_deal_is_an_order_and_a_fill() -> None:
    talk = listening("O")
    order, fill = talk.hear(samples.MESSAGES["deal"])
    assert isinstance(order, finery.Order)
    assert isinstance(fill, finery.Fill)
    assert (order.status, order.filled, order.final) == ("PARTIALLY_FILLED", D("0.2"), False)
    assert (fill.id, fill.order_id, fill.price, fill.quantity, fill.volume) == (
        "77",
        "5501",
        D(3119),
        D("0.2"),
        D("623.8"),
    )
    assert (fill.side, fill.liquidity, fill.counterparty_id) == ("buy", "maker", "9")
    assert (fill.taker_order_owner_id, fill.maker_order_owner_id, fill.counterparty_subaccount_id) == ("4", "3", None)
    assert (fill.deal_type, fill.liquidity_source, fill.order_remaining) == (0, 0, D("0.05"))
    assert fill.time_ms == order.time_ms == 1718000001456


def test_an_older_deal() -> None:
    fill = listening("O").hear(samples.MESSAGES["older deal"])[-1]
    assert isinstance(fill, finery.Fill)
    assert (fill.counterparty_subaccount_id, fill.taker_order_owner_id) == ("12", None)


def test_a_deal_is_told_once_on_all_connections() -> None:
    talk = listening("O")
    talk.hear(["O", 0, "S", []], samples.MESSAGES["deal"], samples.MESSAGES["deal"])
    talk.reconnect()
    talk.hear(["O", 0, "S", []], samples.MESSAGES["deal"])
    assert len(talk.of(finery.Fill)) == 1
    assert len(talk.of(finery.Order)) == 3
    other_side = [*samples.DEAL[:4], 5502, *samples.DEAL[5:]]
    talk.hear(["O", 0, "D", other_side])
    assert len(talk.of(finery.Fill)) == 2
    # Executions that happened meanwhile are in no snapshot.
    assert [(gap.channels, gap.recovered) for gap in talk.of(events.Gap)] == [(("O",), False)]


def test_the_oldest_deals_are_forgotten() -> None:
    talk = listening("O")
    for number in range(10_001):
        talk.hear(["O", 0, "D", [*samples.DEAL[:11], number, *samples.DEAL[12:]]])
    talk.hear(["O", 0, "D", [*samples.DEAL[:11], 10_000, *samples.DEAL[12:]]])
    assert len(talk.of(finery.Fill)) == 10_001
    talk.hear(["O", 0, "D", [*samples.DEAL[:11], 0, *samples.DEAL[12:]]])
    assert len(talk.of(finery.Fill)) == 10_002


@pytest.mark.parametrize("name", ["positions", "position", "positions, older"])
def test_positions(name: str) -> None:
    position = listening("K").hear(samples.MESSAGES[name])[-1]
    assert isinstance(position, finery.Position)
    assert (position.symbol, position.account, position.quantity) == ("BTC", "9", D("-1.5"))
    newer = name != "positions, older"
    assert (position.max_reachable, position.min_reachable) == ((D(1), D("-2.5")) if newer else (None, None))
    assert position.raw == samples.POSITION[: 5 if newer else 3]


def test_a_position_that_is_removed() -> None:
    position = listening("K").hear(["K", 0, "-", samples.POSITION])[-1]
    assert isinstance(position, finery.Position)
    assert (position.quantity, position.action) == (D(0), "-")


@pytest.mark.parametrize("name", ["limits", "limit", "limits, version between", "limits, older"])
def test_counterparty_limits(name: str) -> None:
    limit = listening("L").hear(samples.MESSAGES[name])[-1]
    assert isinstance(limit, finery.CounterpartyLimit)
    assert limit.counterparty_id == "5"
    assert (limit.own_trading_enabled, limit.mutual_trading_enabled) == (True, False)
    assert limit.own == finery.Limit(
        asset="USD",
        gross_limit=D(1000000),
        utilization=D("2.5"),
        equity=D("-0.00000005"),
        maintenance_margin=D(5),
        restricted_trading=D(3),
        initial_margin=D(10),
    )
    assert limit.mutual is not None
    assert (limit.mutual.asset, limit.mutual.gross_limit) == ("EUR", D("0.00000001"))


def test_limits_with_little_in_them() -> None:
    first, second = listening("L").hear(
        ["L", 0, "+", {"counterpartyId": 5, "ownLimit": {"restrictedTrading": True}}], ["L", 0, "-", [6, "USD"]]
    )
    assert isinstance(first, finery.CounterpartyLimit)
    assert isinstance(second, finery.CounterpartyLimit)
    assert (first.mutual, first.own_trading_enabled, first.own) == (None, None, finery.Limit())
    assert (second.mutual, second.own_trading_enabled, second.action) == (None, None, "-")


def test_global_limits() -> None:
    limit = listening("G").hear(samples.MESSAGES["global limits"])[-1]
    assert isinstance(limit, finery.GlobalLimit)
    assert (limit.asset, limit.net_limit, limit.gross_limit, limit.net_used, limit.gross_used) == (
        "USD",
        D(5),
        None,
        D(1),
        D(0),
    )


def test_settlements() -> None:
    talk = listening("S")
    order = talk.hear(samples.MESSAGES["settlements"])[-1]
    done = talk.hear(samples.MESSAGES["settled"])[-1]
    for said in (order, done):
        assert isinstance(said, finery.Settlement)
        assert (said.id, said.asset1, said.quantity1, said.asset2, said.quantity2) == (
            "31",
            "BTC",
            D(-1),
            "USD",
            D(60000),
        )
    assert isinstance(done, finery.Settlement)
    assert (done.action, done.settlement_id, done.committed_ms) == ("D", "78", 1718000002000)
    assert talk.state("S") == "active"


def test_settlement_transactions() -> None:
    talk = listening("N")
    incoming = talk.hear(samples.MESSAGES["transactions"])[-1]
    outgoing = talk.hear(samples.MESSAGES["transaction"])[-1]
    assert isinstance(incoming, finery.SettlementTransaction)
    assert isinstance(outgoing, finery.SettlementTransaction)
    assert (incoming.direction, incoming.asset, incoming.amount, incoming.status) == ("deposit", "BTC", D(1), None)
    assert (outgoing.direction, outgoing.status, outgoing.fee) == ("withdrawal", "committed by receiver", D("0.00001"))
    assert (outgoing.id, outgoing.transaction_id, outgoing.network) == ("79", "0xabc", "bitcoin")
    assert incoming.raw == outgoing.raw == samples.TRANSACTION


def test_settlement_requests() -> None:
    talk = listening("R")
    incoming = talk.hear(samples.MESSAGES["requests"])[-1]
    outgoing = talk.hear(samples.MESSAGES["request"])[-1]
    assert isinstance(incoming, finery.SettlementRequest)
    assert isinstance(outgoing, finery.SettlementRequest)
    assert (incoming.direction, incoming.id, incoming.amount, incoming.asset) == ("incoming", "55", D(1), "BTC")
    assert (outgoing.direction, outgoing.action, outgoing.expires_ms) == ("outgoing", "+", 1718000009999)


def test_instruments() -> None:
    told = listening("I").hear(["I", 0, "S", [[samples.CURRENCY, ["bad"]], [samples.INSTRUMENT, 5]]])
    event = told[0]
    assert isinstance(event, finery.Instruments)
    assert event.currencies == (
        finery.Currency(name="ETH", id=71001, step=D("0.00000001"), usd_price=D(3120), type="crypto"),
    )
    assert event.instruments == (finery.Instrument(name="ETH-USD", id=880011, base="ETH", quote="USD"),)
    assert [type(one) for one in told[1:]] == [events.Failure, events.Failure]


def test_the_combined_feed() -> None:
    talk = listening("P")
    told = talk.hear(samples.MESSAGES["combined"])
    assert [type(one) for one in told] == [finery.Position, finery.Order, finery.Settlement]
    assert talk.state("P") == "active"


def test_the_combined_feed_under_the_letters_of_its_parts() -> None:
    talk = Conversation()
    talk.bind("P")
    assert [type(one) for one in talk.hear(samples.MESSAGES["order added"])] == [finery.Order]
    assert talk.state("P") == "active"


def test_a_bad_element_does_not_lose_its_neighbours() -> None:
    talk = listening("O")
    told = talk.hear(["O", 0, "S", [samples.ORDER, [1, 2], samples.ORDER]])
    assert [type(one) for one in told] == [finery.Order, events.Failure, finery.Order]
    assert "[1, 2]" in str(talk.errors()[0])


def test_numbers_as_texts_are_taken() -> None:
    row = [*samples.ORDER[:6], "312000000000", "25000000", "5000000", "1718000000123", 0]
    order = listening("O").hear(["O", 0, "+", row])[-1]
    assert isinstance(order, finery.Order)
    assert (order.price, order.remaining) == (D(3120), D("0.05"))


@pytest.mark.parametrize(
    "message",
    [
        ["T", 0, "S", []],
        ["X", 0, "S", []],
        ["I", 0, "+", ["ETH"]],
        ["G", 0, "M", []],
        ["P", 0, "M", []],
        ["O", 0, "Q", []],
        ["K", 0, "Q", []],
        ["L", 0, "Q", []],
        ["S", 0, "Q", []],
        ["N", 0, "Q", []],
        ["R", 0, "D", []],
        ["F", "ETH-USD", "+", []],
        ["F", "ETH-USD", "M", [[], []]],
        ["F", "ETH-USD", "U", 0],
        ["F", "ETH-USD", "Z", 0],
        ["news"],
        {"event": "auth"},
        {"event": 5},
        {"hello": 1},
        {"event": "ping"},
    ],
)
def test_what_is_not_known_is_told_as_it_is(message: Any) -> None:
    told = Conversation().hear(message)
    assert [type(one) for one in told] == [events.Other]
    assert isinstance(told[0], events.Other)
    assert told[0].raw == message


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"5",
        b"[]",
        b"[5]",
        b'["O"]',
        b'["O",0,"S"]',
        b'["O",0,"S",5]',
        b'["O",0,"+",5]',
        b'["O",0,"D",5]',
        b'["O",0,"S",[[5,6]]]',
        b'["O",0,"S",[[[5],',
        b'["O",0,"S",[["\xff"]]]',
        b'["K",0,"S",5]',
        b'["L",0,"S",5]',
        b'["I",0,"S",5]',
        b'["I",0,"S",[5]]',
        b'["I",0,"S",[[["A",1,99999999999999999999999]],[]]]',
        b'["N",0,"S",[5]]',
        b'["N",0,"+",5]',
        b'["P",0,"S",[5]]',
        b'["P",0,"S",5]',
        b'["F","ETH-USD","S",[[[-1,1]],[]]]',
        b'["F","ETH-USD","S",[[[99999999999999999999999,1]],[]]]',
        b'["F","ETH-USD","S",5]',
        b'["F",\xff,"S",5]',
        b'["F","\xff","S",5]',
        b'["X",0,"Z","x"]',
        b'["F","ETH-USD","Z","x"]',
        b'{"event":"request","reqId":5,"reply":1}',
        b'{"event":"request","reqId":true,"reply":1}',
        b'{"event":"request","reply":1}',
        b'{"event":"\xff"}',
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_understood_is_a_failure_with_its_text(text: bytes) -> None:
    talk = Conversation()
    told = talk.hear(text)
    assert [type(one) for one in told] == [events.Failure]
    assert talk.session.state == "READY"


def test_a_secret_is_in_no_failure() -> None:
    talk = Conversation()
    talk.hear(["O", 0, "+", ["top-secret"]])
    assert "***" in str(talk.errors()[0])
    assert "top-secret" not in str(talk.errors()[0])


def test_the_messages_as_they_came() -> None:
    talk = Conversation(verbatim=True)
    talk.hear(["news"])
    assert [message.data for message in talk.of(events.Message)] == [["X", 0, "Z", 0], ["news"]]


def places(value: Any, path: List[Any]) -> Iterator[List[Any]]:
    """The path of every part of a message."""
    yield path
    if isinstance(value, list):
        for index, part in enumerate(value):
            yield from places(part, [*path, index])
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, [*path, name])


STRANGE: List[Any] = [None, True, -1, 2**70, 1.5, "", "x", [], [[]], {}, {"x": 1}]
REMOVED = object()


@pytest.mark.parametrize("name", samples.MESSAGES)
def test_a_part_of_another_kind_never_raises_and_is_never_silent(name: str) -> None:
    """On a connection where nothing is bound: there, nothing may be passed over."""
    message = samples.MESSAGES[name]
    talk = Conversation()
    for path in places(message, []):
        for strange in [*STRANGE, REMOVED]:
            changed = mutated(message, path, strange)
            before = len(talk.settled)
            told = talk.hear(changed)
            assert not [one for one in told if "internal error" in str(getattr(one, "error", ""))], changed
            status = isinstance(changed, list) and changed[:1] == ["X"]
            empty = isinstance(changed, list) and changed[2:3] in (["S"], ["+"], ["M"], ["-"], ["D"])
            assert told or len(talk.settled) > before or status or empty and nothing_in(changed), changed


def nothing_in(message: Any) -> bool:
    """Whether a feed's message has empty lists only (and what is reserved)."""
    text = json.dumps(message[3])
    return set(text) <= set("[]0, 8") and len(text) < 20


def mutated(message: Any, path: List[Any], strange: Any) -> Any:
    if not path:
        return None if strange is REMOVED else strange
    changed = copy.deepcopy(message)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if strange is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = strange
    return changed


JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(["O", "F", "S", "M", "~", "+", "ETH-USD"]),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.sampled_from(["event", "reqId", "error"]), parts),
    max_leaves=12,
)


@given(st.sampled_from("BFIGLKOPSNRX"), JSON, st.sampled_from("SM+-DZU~"), JSON)
def test_anything_may_come(feed: str, feed_id: Any, action: str, data: Any) -> None:
    talk = listening(*"BFIGLKOPSNR")
    talk.hear([feed, feed_id, action, data], [feed, 0, action, data], data)
    assert not [error for error in talk.errors() if "internal error" in str(error)]
