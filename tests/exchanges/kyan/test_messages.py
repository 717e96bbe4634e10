"""Messages in, events out: every payload that is known, numbers to the last digit, and everything that may be odd about them."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.kyan.conversation import ME, OTHER, Conversation, event
from tests.exchanges.kyan.samples import CALL, GREEKS, ORDER, PERP, POSITIONS, SAMPLES, TRADE, UUID
from xchws import events
from xchws.errors import Silent
from xchws.events import Data, Event, Failure, OrderStatus, Other
from xchws.exchanges.kyan import models

D = Decimal


@pytest.fixture
def talk() -> Conversation:
    conversation = Conversation(recovery=False)
    conversation.authorize()
    return conversation


def only(made: List[Event]) -> Any:
    (one,) = made
    return one


def test_index_price(talk: Conversation) -> None:
    text = b'{"kind":"event","type":"index_price","timestamp_ms":1,"data":{"value":3120.7500000000000000001,"timestamp":1774000123440},"subscription":{"channel":"index_price","query":{"pair":"ETH_USDC"}}}'  # noqa: E501  # one message
    found = only(talk.say(text))
    assert type(found) is models.IndexPrice
    assert (found.symbol, found.time_ms, str(found.value)) == ("ETH_USDC", 1774000123440, "3120.7500000000000000001")
    assert found.raw == {"value": D("3120.7500000000000000001"), "timestamp": 1774000123440}


def test_instruments(talk: Conversation) -> None:
    found = only(talk.say(SAMPLES["instruments"]))
    assert type(found) is models.Instruments
    assert (found.symbol, found.time_ms, found.names) == ("ETH", 1774000100000, (PERP, CALL))
    empty = only(talk.say(event("instruments", {"instruments": []}, query={"market": "ARB"})))
    assert (empty.symbol, empty.names, empty.time_ms) == ("ARB", (), 1774000123456)


def test_funding_interest_and_volatility(talk: Conversation) -> None:
    funding = only(talk.say(SAMPLES["funding"]))
    assert type(funding) is models.Funding
    assert (funding.symbol, funding.rate, funding.spot_price, funding.perp_price) == (
        PERP, D("0.00004"), D("3120.5"), D("3122.0")
    )  # fmt: skip
    rate = only(talk.say(SAMPLES["interest_rate"]))
    assert type(rate) is models.InterestRate
    assert (rate.symbol, rate.rate, rate.expiry) == ("ETH_USDC", D("0.041"), None)
    surface = only(talk.say(SAMPLES["svi"]))
    assert type(surface) is models.Volatility
    assert (surface.symbol, surface.maturity, surface.series) == ("ETH_USDC", "27MAR26", "SVI-ETH_USDC-27MAR26")
    assert (surface.alpha, surface.beta, surface.rho, surface.m, surface.sigma) == (
        D("0.03"), D("0.4"), D("-0.2"), D("0.01"), D("0.35")
    )  # fmt: skip


def test_account_state(talk: Conversation) -> None:
    found = only(talk.say(SAMPLES["account_state"]))
    assert type(found) is models.AccountState
    assert (found.symbol, found.account, found.margin_account, found.time_ms) == ("ETH_USDC", ME, "731", 1774000123000)
    assert (found.initial_margin, found.maintenance_margin, found.equity) == (D("900.0"), D("450.0"), D("8200.25"))
    assert found.greeks == models.Greeks(**{name: D(str(value)) for name, value in GREEKS.items()})
    assert found.liquidation is False


def test_positions_and_the_ones_that_are_gone(talk: Conversation) -> None:
    perp, call = talk.say(SAMPLES["position"])
    assert type(perp) is models.Position and type(call) is models.Position
    assert (perp.symbol, perp.account, perp.market, perp.quantity) == (PERP, UUID, "ETH", D("4.0"))
    assert (perp.entry_price, perp.mark_price, perp.funding_rate, perp.mark_iv) == (
        D("3090.0"), D("3121.0"), D("0.00004"), None
    )  # fmt: skip
    assert call.mark_iv == D("0.61") and call.raw["id"] == "p-18"
    gone = talk.say(event("position", {**POSITIONS, "positions": []}))
    assert [(one.symbol, one.quantity, one.account) for one in gone if isinstance(one, models.Position)] == [
        (CALL, D(0), UUID), (PERP, D(0), UUID),
    ]  # fmt: skip
    assert talk.say(event("position", {**POSITIONS, "positions": []})) == []


def test_trades(talk: Conversation) -> None:
    assert type(only(talk.say(event("trade", TRADE)))) is models.Trade  # nothing is known of an account
    own = only(talk.say(SAMPLES["trade"]))
    assert type(own) is models.Fill and isinstance(own, events.Fill)
    assert (own.symbol, own.id, own.order_id, own.side) == (CALL, "a" * 32, "b" * 32, "sell")
    assert (own.price, own.quantity, own.account, own.fee) == (D("90.5"), D("1.0"), ME, None)
    assert (own.taker_fee, own.iv, own.time_ms) == (D("0.0003"), D("0.6"), 1774000123000)


@pytest.mark.parametrize("echo", [{}, {"account": ME}])
def test_an_own_execution_is_a_fill_once(talk: Conversation, echo: Dict[str, Any]) -> None:
    talk.subscribe("trade", account=ME.lower())
    talk.accept()
    talk.say(*[event("trade", TRADE, query=echo)] * 2)
    assert len(talk.told(models.Fill)) == 1 and not talk.told(models.Trade)
    talk.subscribe("trade")
    talk.accept()
    talk.say(event("trade", {**TRADE, "trade_id": "c"}, query=echo), event("trade", {**TRADE, "trade_id": "c"}))
    assert len(talk.told(models.Fill)) == 2 and len(talk.told(models.Trade)) == 1
    stranger = only(talk.say(event("trade", {**TRADE, "smart_account_address": OTHER})))
    assert type(stranger) is models.Trade and stranger.account == OTHER


def test_transfers(talk: Conversation) -> None:
    found = only(talk.say(SAMPLES["deposit"]))
    assert type(found) is models.Transfer
    assert (found.id, found.direction, found.asset, found.amount, found.account) == (
        "q7h2",
        "deposit",
        "USDC",
        D(250),
        ME,
    )
    data = {key: value for key, value in SAMPLES["deposit"]["data"].items() if key != "action"}
    assert only(talk.say(event("withdrawal", data, "transfer"))).direction == "withdrawal"


def test_mmp_and_bankruptcy(talk: Conversation) -> None:
    found = only(talk.say(SAMPLES["mmp_triggered"]))
    assert type(found) is models.MmpTriggered
    assert (found.symbol, found.account, found.frozen_until_ms, found.frozen_seconds) == (
        "ETH_USDC",
        ME,
        1774000183000,
        D(60),
    )
    assert only(talk.say(event("mmp_triggered", {"pair_symbol": "ETH_USDC"}, "mmp"))).frozen_until_ms is None
    broke = only(talk.say(SAMPLES["bankruptcy"]))
    assert type(broke) is models.Bankruptcy and (broke.symbol, broke.margin_account) == ("ETH_USDC", UUID)


@pytest.mark.parametrize(
    "action, changes, status, final",
    [
        ("post_order", {}, OrderStatus.NEW, False),
        ("post_order", {"filled_amount": 100}, OrderStatus.PARTIALLY_FILLED, False),
        ("update_order", {"filled_amount": 100.5}, OrderStatus.PARTIALLY_FILLED, False),
        ("update_order", {"filled_amount": 500}, OrderStatus.FILLED, True),
        (
            "update_order",
            {"filled_amount": None, "order_state": "partially_filled"},
            OrderStatus.PARTIALLY_FILLED,
            False,
        ),
        ("update_order", {"order_state": "FILLED"}, OrderStatus.FILLED, True),
        ("update_order", {"order_state": "expired"}, OrderStatus.EXPIRED, True),
        ("update_order", {"filled_amount": None, "order_state": "odd"}, OrderStatus.UNKNOWN, False),
        ("cancel_order", {"filled_amount": 100}, OrderStatus.CANCELED, True),
    ],
)
def test_own_orders(talk: Conversation, action: str, changes: Dict[str, Any], status: OrderStatus, final: bool) -> None:
    found = only(talk.say(event(action, {**ORDER, **changes}, "orderbook_maker", {"maker": ME})))
    assert type(found) is models.Order
    assert (found.id, found.symbol, found.side, found.type) == (ORDER["order_id"], PERP, "buy", "limit")
    assert (found.price, found.quantity, found.status, found.final) == (D("3119.5"), D(500), status, final)
    assert (found.time_ms, found.created_ms, found.exchange_status) == (
        1774000123456, 1774000123000, changes.get("order_state", "open")
    )  # fmt: skip
    if changes.get("filled_amount") == 100:
        assert found.remaining == 400


def test_own_orders_from_the_snapshot_and_what_later_messages_leave_out(talk: Conversation) -> None:
    option = {**ORDER, "order_id": "o2", "instrument_name": CALL, "contracts": "2.5", "limit_price": "90"}
    del option["amount"], option["price"]
    for data in ([ORDER, option], {"orders": [ORDER, option]}):
        talk.events.clear()
        talk.say(event("ob_maker_orders", data, "orderbook_maker", {"maker": ME}))
        first, second = talk.told(models.Order)
        assert (first.id, second.symbol, second.quantity, second.price) == (ORDER["order_id"], CALL, D("2.5"), D(90))
        assert second.raw["order_id"] == "o2" and first.status is OrderStatus.NEW
    gone = only(talk.say(event("cancel_order", {"order_id": "o2", "mmp": True}, "orderbook_maker")))
    assert (gone.symbol, gone.price, gone.mmp, gone.status) == (CALL, 90, True, OrderStatus.CANCELED)


def test_orders_without_an_echo_go_by_what_is_subscribed(talk: Conversation) -> None:
    def bare(**changes: Any) -> Any:
        message = event("post_order", {**ORDER, **changes})
        del message["subscription"]
        return type(only(talk.say(message)))

    assert bare() is models.BookOrder
    talk.subscribe("orderbook_maker", maker=ME)
    assert bare() is models.Order and bare(maker=OTHER) is models.Order
    talk.subscribe("orderbook_perps")
    assert bare() is models.Order and bare(maker=OTHER) is models.BookOrder


def test_what_the_query_says_is_known_where_the_echo_does_not_say_it(talk: Conversation) -> None:
    message = event("index_price", {"value": 1})
    assert only(talk.say(message)).symbol == ""
    talk.subscribe("index_price", pair="ETH_USDC")
    assert only(talk.say(message)).symbol == "ETH_USDC"
    talk.subscribe("index_price", pair="BTC_USDC")
    assert only(talk.say(message)).symbol == ""


@pytest.mark.parametrize("kind", ["rfq_request", "liquidation", ""])
def test_what_is_not_known_is_other(talk: Conversation, kind: str) -> None:
    found = only(talk.say(event(kind, {"x": 1.50})))
    assert type(found) is Other and found.kind == (kind or "unknown") and found.raw == {"x": D("1.5")}
    stray = only(talk.say({"kind": "", "type": kind}))
    assert type(stray) is Other


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"1", b'"x"', b"null", b"[" * 5000, b'{"kind":"event","type":"trade"}']
)
def test_what_cannot_be_understood_is_a_failure(talk: Conversation, text: bytes) -> None:
    assert isinstance(only(talk.say(text)), Failure)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1E+999999999", "1E-9999", [], None, "x", 10**400])
def test_no_number_is_a_failure(talk: Conversation, value: Any) -> None:
    assert isinstance(only(talk.say(event("index_price", {"value": value}))), Failure)
    assert isinstance(
        only(talk.say(event("account_state", {"pair": "A", "portfolio_greeks": {"delta": value or "x"}}))), Failure
    )


def test_one_bad_element_leaves_its_neighbours(talk: Conversation) -> None:
    bad = {**POSITIONS, "positions": [{"size": "NaN"}, *POSITIONS["positions"]]}
    assert [type(one) for one in talk.say(event("position", bad))] == [Failure, models.Position, models.Position]
    made = talk.say(event("position", {**POSITIONS, "positions": [{"size": "NaN"}, POSITIONS["positions"][0]]}))
    assert [type(one) for one in made] == [Failure, models.Position]  # the bad one may be the one that is not there
    made = talk.say(event("instruments", {"instruments": [PERP, 5, ""]}))
    assert [type(one) for one in made] == [Failure, models.Instruments]
    made = talk.say(event("ob_maker_orders", [5, ORDER], "orderbook_maker"))
    assert [type(one) for one in made] == [Failure, models.Order]
    assert isinstance(only(talk.say(event("ob_maker_orders", {"what": []}, "orderbook_maker"))), Failure)


def test_texts_for_numbers_and_a_payload_at_the_top_level(talk: Conversation) -> None:
    found = only(
        talk.say({"kind": "event", "type": "index_price", "value": "3.10", "timestamp": "1774000123440", "seq_id": "5",
                  "subscription": {"channel": "index_price", "query": {"pair": "ETH_USDC"}}})
    )  # fmt: skip
    assert (str(found.value), found.time_ms, found.raw["value"]) == ("3.10", 1774000123440, "3.10")


def test_a_second_is_told_from_a_millisecond(talk: Conversation) -> None:
    assert only(talk.say(event("index_price", {"value": 1, "timestamp": 1774000123}))).time_ms == 1774000123000


def test_repeated_messages_are_dropped_and_what_is_forgotten_is_the_oldest(talk: Conversation) -> None:
    message = {**SAMPLES["index_price"], "message_id": "m0"}
    assert talk.say(message) and not talk.say(message)
    for number in range(1, 5_001):
        talk.say({**message, "message_id": f"m{number}"})
    assert talk.say(message)
    for number in range(10_001):
        talk.say(event("trade", {**TRADE, "trade_id": str(number)}, query={"account": ME}))
    assert type(only(talk.say(event("trade", {**TRADE, "trade_id": "0"}, query={"account": ME})))) is models.Fill


def test_a_gap_in_the_numbers_is_told_and_snapshots_are_asked_for_again(talk: Conversation) -> None:
    for channel, query in (("index_price", {"pair": "ETH_USDC"}), ("orderbook_perps", {}), ("instruments", {})):
        talk.subscribe(channel, **query)
    talk.subscribe("orderbook_perps", pair="ETH_USDC", skip_snapshot=True)
    talk.accept()
    waiting = talk.subscribe("orderbook_options", pair="ETH_USDC")
    talk.say({**SAMPLES["index_price"], "seq_id": 1})
    talk.sent()
    talk.say({**SAMPLES["index_price"], "seq_id": 2})
    talk.events.clear()
    talk.say({**SAMPLES["index_price"], "seq_id": 4})
    gap, price = talk.events
    assert isinstance(gap, events.Gap) and isinstance(price, models.IndexPrice)
    books = ("orderbook_perps", "instruments", "orderbook_perps pair=ETH_USDC skip_snapshot=True")
    assert gap.channels == ("index_price pair=ETH_USDC", *books) and not gap.recovered
    sent = talk.sent()
    assert [(one["type"], one["subscriptions"][0]["channel"]) for one in sent] == [
        ("unsubscribe", "orderbook_perps"), ("subscribe", "orderbook_perps"),
        ("unsubscribe", "instruments"), ("subscribe", "instruments"),
        ("unsubscribe", "orderbook_options"), ("subscribe", "orderbook_options"),
    ]  # fmt: skip
    for command in sent:
        talk.answer(command)
    assert [one.channels for one in talk.told(events.Gap)[1:]] == [("orderbook_perps",), ("instruments",)]
    assert talk.session.wanted[waiting].state == "active"


def test_an_event_accepts_its_subscription(talk: Conversation) -> None:
    topic = talk.subscribe("index_price", pair="ETH_USDC")
    talk.say(SAMPLES["index_price"])
    assert [(one.topic, one.state) for one in talk.settled] == [(topic, "active")]
    talk.accept()
    assert len(talk.settled) == 1


def test_positions_that_came_every_second_and_do_not_any_more_end_the_connection(talk: Conversation) -> None:
    topic = talk.subscribe("position", account=ME)
    talk.accept()
    for _ in range(10):
        talk.pass_time(1.0)
        talk.say(SAMPLES["position"])
    talk.pass_time(29)
    assert talk.session.active is not None
    talk.pass_time(1)
    assert isinstance(talk.told(events.Disconnected)[0].error, Silent)
    calm = Conversation(recovery=False)
    calm.authorize()
    calm.subscribe("position", account=ME)
    calm.accept()
    for _ in range(10):
        calm.pass_time(1.0)
        calm.say(SAMPLES["position"])
    calm.unsubscribe(topic)
    calm.accept()
    calm.pass_time(100)
    assert not calm.told(events.Disconnected)


def test_a_position_closed_while_there_was_no_connection_is_told() -> None:
    talk = Conversation(recovery=False)
    talk.live("position", account=ME)
    talk.say(SAMPLES["position"])
    talk.lose()
    talk.redial()
    talk.authorize()
    talk.accept()
    talk.events.clear()
    talk.say(event("position", {**POSITIONS, "positions": POSITIONS["positions"][:1]}))
    assert [(one.symbol, one.quantity) for one in talk.told(models.Position)] == [(PERP, D(4)), (CALL, D(0))]


# ------------------------------------------------------------------------------------------------------------ mutations


def places(node: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """The ways to every element."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


ODD: Tuple[Any, ...] = (None, 0, -1, 1e300, "", "x", "NaN", [], {}, True, [None], {"a": 1})
LISTS = ("position", "ob_maker_orders", "ob_snapshot")
MUTATIONS = [(name, path) for name, message in SAMPLES.items() for path in places(message)]


@pytest.mark.parametrize(
    "name, path", MUTATIONS, ids=lambda value: value if isinstance(value, str) else "/".join(map(str, value))
)
def test_a_field_removed_or_of_another_kind_is_never_silent(name: str, path: Tuple[Any, ...]) -> None:
    for odd in (..., *ODD):
        message = copy.deepcopy(SAMPLES[name])
        node: Any = message
        for step in path[:-1]:
            node = node[step]
        if odd is ...:
            del node[path[-1]]
        else:
            node[path[-1]] = odd
        talk = Conversation(recovery=False)
        talk.authorize()
        talk.events.clear()
        made = talk.say(message)
        internal = [one for one in made if isinstance(one, Failure) and "internal" in str(one.error)]
        assert not internal
        # An empty list is a thing to say, and there is nothing to tell of it.
        assert made or (name in LISTS and message["data"] in ([], {**POSITIONS, "positions": []})), odd
        for one in made:
            if isinstance(one, Data):
                assert one.raw is not ...
                repr(one), one.time


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.sampled_from(sorted(SAMPLES)),
    JSON,
    st.sampled_from(["data", "subscription", "message_id", "seq_id", "kind", "id"]),
)
def test_any_json_anywhere(name: str, odd: Any, key: str) -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    talk.events.clear()
    made = talk.say(json.dumps({**SAMPLES[name], key: odd}).encode())
    assert made or odd == []
    assert not [one for one in made if isinstance(one, Failure) and "internal" in str(one.error)]
