"""The seven objects of Kyrrex's stream: messages in, events out, with fields changed, left out, added and of the wrong type.

Only `account` is on the vendor's page; the rest is written from the platform's webhooks and from peatio.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

import xchws
from tests.exchanges.kyrrex.conversation import OBJECTS, VENDORS_ACCOUNT, event, message, of, only, ready
from xchws.errors import ProtocolError
from xchws.events import Data, Event, Failure, OrderStatus, Other
from xchws.exchanges.kyrrex.models import Account, Customer, DepositAddress, Fill, Order, Transfer, event_of
from xchws.exchanges.kyrrex.wire import milliseconds
from xchws.sansio.fills import FillMemory


def events(text: bytes) -> List[Event]:
    return of(ready().received(text, 2.0), Event)


def told(text: bytes) -> Any:
    """The one event that a message becomes."""
    return only(events(text), Data)


def failure(text: bytes) -> ProtocolError:
    """The one failure that a message becomes."""
    error = only(events(text), Failure).error
    assert isinstance(error, ProtocolError)
    return error


# ----------------------------------------------------------------------------------------------------------- account


def test_the_vendors_sample_as_printed() -> None:
    balance = told(message("account", VENDORS_ACCOUNT))
    assert isinstance(balance, Account)
    assert isinstance(balance, xchws.Balance)
    assert (balance.exchange, balance.asset, balance.action, balance.time) == ("kyrrex", "usdt", "update", None)
    assert balance.free == Decimal("82.9858332031")
    assert balance.locked == Decimal("14.12")
    assert balance.total == Decimal("97.1058332031")
    assert balance.bonus == Decimal("10.0")
    assert (balance.aml_locked, balance.launchpad, balance.savings, balance.stacking) == (Decimal("0.0"),) * 4
    assert (balance.coin_type, balance.name, balance.tag) == ("crypto", "usdt", None)
    assert balance.raw == json.loads(VENDORS_ACCOUNT)["data"]["object"]


def test_numbers_are_exact() -> None:
    text = (
        event("account", balance="@", locked="#").replace(b'"@"', b"82.98583320310000001").replace(b'"#"', b"2.20E-4")
    )
    balance = told(text)
    assert str(balance.free) == "82.98583320310000001"
    assert balance.locked.as_tuple() == Decimal("2.20E-4").as_tuple()
    assert str(balance.raw["balance"]) == "82.98583320310000001"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-inf", "sNaN", "", "12,5"])
@pytest.mark.parametrize("name", ["balance", "locked", "total"])
def test_a_balance_that_is_no_number_is_refused(name: str, text: str) -> None:
    assert name in str(failure(event("account", **{name: text})))


def test_another_part_that_is_no_number_costs_only_itself() -> None:
    trouble, balance = events(event("account", bonus="NaN", savings=[]))
    assert isinstance(trouble, Failure)
    assert "cannot read bonus, savings" in str(trouble.error)
    assert isinstance(balance, Account)
    assert (balance.bonus, balance.savings, balance.free) == (None, None, Decimal("1520.25"))


def test_an_account_without_currency_is_refused() -> None:
    assert "currency" in str(failure(event("account", currency=...)))
    assert "currency" in str(failure(event("account", currency=["usdt"])))


# ---------------------------------------------------------------------------------------------------------- envelopes

OBJECT = json.dumps(OBJECTS["account"])


@pytest.mark.parametrize(
    "payload",
    [
        {"data": {"version": "1", "action": "update", "object": OBJECTS["account"]}},
        {"action": "update", "object": OBJECTS["account"]},
        {"version": 2, "more": [1], "action": "update", "object": OBJECTS["account"]},
        {"data": None, "action": "update", "object": OBJECTS["account"]},
        {"data": {"other": 1}, "action": "update", "object": OBJECTS["account"]},
        {"data": [], "action": "update", "object": OBJECTS["account"]},
        {"action": "update", "object": OBJECT},
        {"data": json.dumps({"action": "update", "object": OBJECTS["account"]})},
        {"data": {"action": "update", "object": OBJECT}},
        json.dumps({"action": "update", "object": OBJECTS["account"]}),
        json.dumps({"data": {"action": "update", "object": OBJECT}}, indent=1) + "\n",
    ],
)
def test_every_envelope(payload: Any) -> None:
    balance = told(message("account", payload))
    assert (balance.asset, balance.free, balance.action) == ("usdt", Decimal("1520.25"), "update")
    assert balance.raw == OBJECTS["account"]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        5,
        True,
        "text",
        "",
        OBJECTS["account"],
        {"data": {}},
        {"data": {"action": "update"}},
        {"object": None},
        {"object": []},
        {"object": "text"},
        {"object": 5},
    ],
)
@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_no_envelope_is_a_failure(name: str, payload: Any) -> None:
    assert name in str(failure(message(name, payload)))


def test_several_arguments_are_several_objects() -> None:
    one, two = ({"object": {**OBJECTS["account"], "currency": currency}} for currency in ("btc", "eth"))
    assert [balance.asset for balance in of(events(message("account", one, None, two)), Account)] == ["btc", "eth"]
    first, second = events(message("account", one, "update"))
    assert isinstance(first, Account)
    assert isinstance(second, Failure)


@pytest.mark.parametrize(
    "text", [b'42["account"]', b'42["account",null]', b"42[]", b"42", b"42{}", b'42[1,{"object":{}}]']
)
def test_an_event_without_object_or_name_is_a_failure(text: bytes) -> None:
    failure(text)


def test_an_action_that_is_no_word_costs_only_itself() -> None:
    trouble, balance = events(event("account", action=[1]))
    assert isinstance(trouble, Failure)
    assert "action" in str(trouble.error)
    assert isinstance(balance, Account)
    assert balance.action is None


def test_json_text_that_came_as_bytes() -> None:
    protocol = ready()
    assert protocol.received(b'451-["account",{"_placeholder":true,"num":0}]', 2.0) == []
    payload = json.dumps({"action": "create", "object": OBJECTS["account"]}).encode()
    balance = only(protocol.received_binary(payload, 2.0), Account)
    assert (balance.asset, balance.action, balance.raw) == ("usdt", "create", OBJECTS["account"])


@pytest.mark.parametrize(
    "argument",
    [
        b'{"_placeholder":true,"num":1}',
        b'{"_placeholder":true,"num":-1}',
        b'{"_placeholder":true,"num":"0"}',
        b'{"_placeholder":true}',
        b'["_placeholder"]',
        b'{"object":{"currency":{"_placeholder":true,"num":0}}}',
    ],
)
def test_other_binary_events_are_failures(argument: bytes) -> None:
    protocol = ready()
    assert protocol.received(b'451-["account",' + argument + b"]", 2.0) == []
    only(protocol.received_binary(b"\xff\x00", 2.0), Failure)


def test_bytes_that_are_no_json_are_a_failure() -> None:
    protocol = ready()
    protocol.received(b'451-["account",{"_placeholder":true,"num":0}]', 2.0)
    only(protocol.received_binary(b'"\xff', 2.0), Failure)


# -------------------------------------------------------------------------------------------------------------- orders


def test_an_order() -> None:
    order = told(event("order", action="create"))
    assert isinstance(order, Order)
    assert isinstance(order, xchws.Order)
    assert (order.id, order.symbol, order.side, order.type) == ("40551", "btcusdt", "buy", "limit")
    assert (order.status, order.final, order.exchange_status) == (OrderStatus.NEW, False, "wait")
    assert (order.price, order.quantity, order.filled, order.remaining) == (
        Decimal("64000.0"),
        Decimal("0.05"),
        Decimal("0.0"),
        Decimal("0.05"),
    )
    assert (order.average_price, order.trades_count, order.action) == (None, 0, "create")
    assert order.time == datetime(2026, 5, 2, 9, 59, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("changed", "action", "status", "final"),
    [
        ({}, "update", OrderStatus.NEW, False),
        ({"executed_volume": "0.01", "remaining_volume": "0.04"}, "update", OrderStatus.PARTIALLY_FILLED, False),
        ({"executed_volume": ..., "remaining_volume": "0.04"}, "update", OrderStatus.PARTIALLY_FILLED, False),
        ({"executed_volume": ..., "remaining_volume": ...}, "update", OrderStatus.NEW, False),
        ({"state": "WAIT"}, "update", OrderStatus.NEW, False),
        ({"state": "done", "remaining_volume": "0.0"}, "update", OrderStatus.FILLED, True),
        ({"state": "done", "remaining_volume": ...}, "update", OrderStatus.FILLED, True),
        ({"state": "done", "remaining_volume": "0.01"}, "update", OrderStatus.UNKNOWN, True),
        ({"state": "cancel"}, "update", OrderStatus.CANCELED, True),
        ({"state": "cancel"}, "destroy", OrderStatus.CANCELED, True),
        ({"state": "fail"}, "update", OrderStatus.REJECTED, True),
        ({"state": "reject"}, "update", OrderStatus.REJECTED, True),
        ({"state": "wait"}, "destroy", OrderStatus.UNKNOWN, True),
        ({"state": "frozen"}, "update", OrderStatus.UNKNOWN, False),
        ({"state": ...}, "update", OrderStatus.UNKNOWN, False),
    ],
)
def test_the_states_of_an_order(changed: Any, action: str, status: OrderStatus, final: bool) -> None:
    order = told(event("order", action=action, **changed))
    assert (order.status, order.final) == (status, final)


def test_an_order_in_other_spellings() -> None:
    order = told(event("order", id=..., uuid="o-1", side="ask", origin_volume=..., market=..., avg_price="63999.5"))
    assert (order.id, order.side, order.quantity, order.symbol) == ("o-1", "sell", Decimal("0.05"), "")
    assert order.average_price == Decimal("63999.5")


def test_an_order_that_cannot_be_told_is_refused() -> None:
    assert "without id" in str(failure(event("order", id=...)))
    assert "cannot read id" in str(failure(event("order", id=1.5)))
    assert "cannot read executed_volume" in str(failure(event("order", executed_volume="Infinity")))


# --------------------------------------------------------------------------------------------------------------- trades


def test_a_trade() -> None:
    fill = told(event("trade", action="create"))
    assert isinstance(fill, Fill)
    assert isinstance(fill, xchws.Fill)
    assert (fill.id, fill.order_id, fill.symbol, fill.side) == ("91002", "40551", "btcusdt", "buy")
    assert (fill.price, fill.quantity, fill.funds) == (Decimal("64000.0"), Decimal("0.01"), Decimal("640.0"))
    assert (fill.fee, fill.fee_asset, fill.funds_asset) == (Decimal("0.00001"), "btc", "usdt")
    assert (fill.liquidity, fill.action) == (None, "create")


def test_a_trades_type_is_read_as_what_it_says() -> None:
    assert told(event("trade", side=..., type="ask")).side == "sell"
    maker = told(event("trade", side=..., type="maker"))
    assert (maker.side, maker.liquidity) == (None, "maker")


def test_a_trade_is_told_once_over_all_connections() -> None:
    trades = FillMemory()
    assert len(of(ready(trades).received(event("trade"), 2.0), Fill)) == 1
    again = ready(trades)
    assert again.received(event("trade", action="update"), 2.0) == []
    assert len(of(again.received(event("trade", id=91003), 2.0), Fill)) == 1
    for _ in range(2):
        assert len(of(again.received(event("trade", id=None), 2.0), Fill)) == 1


def test_a_trade_between_two_own_orders_is_two_executions() -> None:
    protocol = ready()
    fills = [only(protocol.received(event("trade", order_id=number), 1.0), Fill) for number in (1, 2)]
    assert [(fill.id, fill.order_id) for fill in fills] == [("91002", "1"), ("91002", "2")]
    for number in (1, 2):
        assert protocol.received(event("trade", order_id=number), 1.0) == []


def test_a_trade_without_price_and_volume_is_refused() -> None:
    assert "price" in str(failure(event("trade", price=..., volume=None)))


# ------------------------------------------------------------------------------------------ transfers, addresses, customer


def test_a_deposit() -> None:
    deposit = told(event("deposit"))
    assert isinstance(deposit, Transfer)
    assert isinstance(deposit, xchws.Transfer)
    assert (deposit.id, deposit.direction, deposit.asset, deposit.status) == ("d-5581", "deposit", "usdt", "processing")
    assert (deposit.amount, deposit.fee, deposit.address) == (Decimal("25.0"), Decimal("0.1"), "TQx1")
    assert (deposit.transaction_id, deposit.dchain, deposit.tag) == ("9fe0", "trc20usdt", None)
    assert deposit.transaction_link == "https://explorer.example/tx/9fe0"
    assert deposit.time == datetime(2026, 5, 2, 10, 0, 30, tzinfo=timezone.utc)


def test_a_withdrawal() -> None:
    withdrawal = told(event("withdrawal", uuid=..., uid="w-78", asset=..., currency="eth", status=..., state="done"))
    assert (withdrawal.id, withdrawal.direction, withdrawal.asset) == ("w-78", "withdrawal", "eth")
    assert (withdrawal.status, withdrawal.tag, withdrawal.transaction_id) == ("done", "4711", None)


@pytest.mark.parametrize("name", ["deposit", "withdrawal"])
def test_a_transfer_that_says_nothing_is_refused(name: str) -> None:
    assert "without" in str(failure(event(name, uuid=None, status=None, amount=None)))
    assert "amount" in str(failure(event(name, amount="all")))


def test_a_deposit_address() -> None:
    address = told(event("deposit_address", action="create"))
    assert isinstance(address, DepositAddress)
    assert (address.address, address.asset, address.dchain, address.id) == ("TQx1", "usdt", "trc20usdt", "a-1")
    assert (address.tag, address.action) == (None, "create")
    assert told(message("deposit_address", {"object": {"deposit_address": "x", "tag": 7}})).tag == "7"


def test_a_customer_is_not_shown() -> None:
    customer = told(event("customer"))
    assert isinstance(customer, Customer)
    assert (customer.id, customer.status, customer.email) == ("c-9", "approved", "ada@mail.example")
    assert (customer.first_name, customer.last_name, customer.phone) == ("Ada", "Lovelace", "356210000")
    assert customer.raw == OBJECTS["customer"]
    for personal in ("ada@", "Ada", "Lovelace", "35621"):
        assert personal not in repr(customer)


@pytest.mark.parametrize(
    "text",
    [
        event("customer", email=["ada@mail.example"]),
        event("customer", updated_at="yesterday"),
        message("customer", {"ada@mail.example": "Lovelace"}),
        event("customer")[:-1],
        event("customer").replace(b"42[", b"42/kyc,["),
    ],
)
def test_no_failure_shows_a_customer(text: bytes) -> None:
    told_of = of(ready().received(text, 2.0), Failure)
    assert len(told_of) == 1
    assert isinstance(told_of[0].error, ProtocolError)
    for shown in (str(told_of[0].error), told_of[0].error.text, repr(told_of[0])):
        assert "ada@" not in shown
        assert "Lovelace" not in shown


# ---------------------------------------------------------------------------------------------------------------- times

MAY_2 = 1_777_716_000_000


@pytest.mark.parametrize(
    "instant",
    [
        "2026-05-02T10:00:00Z",
        "2026-05-02T10:00:00",
        "2026-05-02T10:00:00.000Z",
        "2026-05-02T13:00:00+03:00",
        "2026-05-02 10:00:00 UTC",
        " 2026-05-02 10:00:00+00:00",
        1_777_716_000,
        1_777_716_000.0,
        1_777_716_000_000,
        "1777716000",
        "1777716000000",
    ],
)
def test_instants(instant: Any) -> None:
    assert told(event("trade", created_at=instant)).time_ms == MAY_2


def test_a_date_and_none() -> None:
    assert milliseconds("2026-05-02") == MAY_2 - 10 * 3_600_000
    assert (milliseconds(None), milliseconds("")) == (None, None)


@pytest.mark.parametrize(
    "instant", ["soon", "25:00", -1, 1e300, "1e999999999", "NaN", "inf", 10**15, 10**400, True, [], {}]
)
def test_what_is_no_instant_costs_only_itself(instant: Any) -> None:
    trouble, fill = events(event("trade", created_at=instant))
    assert isinstance(trouble, Failure)
    assert "cannot read created_at" in str(trouble.error)
    assert isinstance(fill, Fill)
    assert (fill.time, fill.id) == (None, "91002")


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_the_calendar_do_not_raise(instant: str) -> None:
    assert told(event("trade", created_at=instant)).time is None


# ------------------------------------------------------------------------------------------------------- what is unknown


def test_an_unknown_event_is_passed_on() -> None:
    other = only(events(message("ticker", {"last": 1.10}, 2)), Other)
    assert (other.kind, other.raw) == ("ticker", ["ticker", {"last": Decimal("1.10")}, 2])


def test_unknown_fields_survive_in_raw() -> None:
    assert told(event("order", novelty={"x": [1]})).raw["novelty"] == {"x": [1]}


# ------------------------------------------------------------------------------------------------------------- mutations

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["NaN", "1e999999999", "-0"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


# What no event shows but in `raw`.
UNREAD = frozenset(("asset_type", "control", "high_risk"))


@given(st.data())
def test_a_changed_field_is_told_and_never_raises(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(OBJECTS)))
    field = data.draw(st.sampled_from(sorted(OBJECTS[name])))
    value = data.draw(JUNK | st.just(...))
    outputs = events(event(name, **{field: value}))
    assert outputs
    assert all(isinstance(one, (Data, Failure)) for one in outputs)
    if isinstance(value, (bool, list, dict)) and field not in UNREAD:
        assert of(outputs, Failure)
    for one in of(outputs, Data):
        assert repr(one)


@given(st.data())
def test_a_changed_envelope_is_told_and_never_raises(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*sorted(OBJECTS), "novelty"]))
    envelope = data.draw(st.dictionaries(st.sampled_from(["data", "action", "object", "version"]), JUNK))
    assert events(message(name, data.draw(st.just(envelope) | JUNK)))


@given(st.data())
def test_a_cut_or_overwritten_message_is_told_and_never_raises(data: st.DataObject) -> None:
    text = bytearray(event(data.draw(st.sampled_from(sorted(OBJECTS)))))
    at = data.draw(st.integers(0, len(text) - 1))
    text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    protocol = ready()
    assert protocol.received(bytes(text[: data.draw(st.integers(0, len(text)))]), 2.0) or protocol._decoder._waiting


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'["account",' + b"[" * 100_000, b'["account",{"object":' + b"[" * 100_000]
)
def test_deep_nesting_does_not_raise(text: bytes) -> None:
    failure(b"42" + text)


@pytest.mark.parametrize("escape", [rb"\ud800", rb"\udc00", rb"\ud800A", rb"\x"])
def test_broken_escapes_do_not_raise(escape: bytes) -> None:
    assert events(b'42["account",{"object":{"currency":"' + escape + b'"}}]')
    assert events(b'42["' + escape + b'",{}]')
    assert events(b'42["account","' + escape + b'"]')


def test_models_take_no_unknown_name() -> None:
    with pytest.raises(KeyError):
        event_of("novelty", b"{}")
