"""What Indodax's order updates become: states, amounts, words. Sources as in test_indodax_protocol.py."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import Any, Optional

import pytest

from tests.exchanges.test_indodax_protocol import execution, of, only, order, push, subscribed
from xchws import events
from xchws.events import Order, OrderStatus
from xchws.exchanges.indodax.models import Fill


def made(status: str, **changed: Any) -> Order:
    """The Order that an update becomes, an execution beside it or not."""
    return of(subscribed().received(push(order(status, **changed)), 0.0), Order)[0]


@pytest.mark.parametrize(
    ("word", "unfilled", "executed", "status", "final"),
    [
        ("NEW", "1.5", "0", OrderStatus.NEW, False),
        ("NEW", "1.5", "0.00000000", OrderStatus.NEW, False),
        ("NEW", "1.1", "0.4", OrderStatus.PARTIALLY_FILLED, False),
        ("FILL", "1.1", "0.4", OrderStatus.PARTIALLY_FILLED, False),
        ("FILLED", "1.1", "0.4", OrderStatus.PARTIALLY_FILLED, False),
        ("FILL", "0", "1.5", OrderStatus.FILLED, True),
        ("FILL", "0.00000000", "1.5", OrderStatus.FILLED, True),
        ("FILLED", "0", "1.5", OrderStatus.FILLED, True),
        ("FILL", None, "0.4", OrderStatus.PARTIALLY_FILLED, False),
        ("FILL", None, "1.5", OrderStatus.FILLED, True),
        ("FILL", None, None, OrderStatus.UNKNOWN, False),
        ("DONE", "0", "1.5", OrderStatus.FILLED, True),
        ("DONE", None, None, OrderStatus.FILLED, True),
        ("DONE", "0.5", "1.0", OrderStatus.UNKNOWN, True),
        ("CANCELLED", "1.5", "0", OrderStatus.CANCELED, True),
        ("CANCELLED", "1.1", "0.4", OrderStatus.CANCELED, True),
        ("REJECTED", "0", "1.5", OrderStatus.REJECTED, True),
        ("SUSPENDED", "1.5", "0", OrderStatus.UNKNOWN, False),
        ("", "1.5", "0", OrderStatus.UNKNOWN, False),
        ("new", "1.5", "0", OrderStatus.NEW, False),
    ],
)
def test_states(word: str, unfilled: Optional[str], executed: Optional[str], status: OrderStatus, final: bool) -> None:
    one = made(word, unfilledQty=unfilled, executedQty=executed)
    assert (one.status, one.final, one.exchange_status) == (status, final, word)


def test_done_is_no_execution() -> None:
    outputs = subscribed().received(push(execution(status="DONE", unfilledQty="0")), 0.0)
    only(outputs, Order)


@pytest.mark.parametrize("word", ["FILL", "FILLED", "fill"])
def test_both_words_for_an_execution_are_one(word: str) -> None:
    assert len(of(subscribed().received(push(execution(status=word)), 0.0), Fill)) == 1


def test_an_order() -> None:
    one = made("NEW")
    assert isinstance(one, events.Order)
    assert (one.exchange, one.id, one.client_order_id) == ("indodax", "solidr-limit-88121", "my-77")
    assert (one.symbol, one.side, one.type) == ("solidr", "sell", "limit")
    assert (one.price, one.quantity, one.filled, one.remaining) == tuple(map(Decimal, ("2450000", "1.5", "0", "1.5")))
    assert one.time_ms == 1781000000100
    assert one.time is not None
    assert one.time.isoformat() == "2026-06-09T10:13:20.100000+00:00"
    assert one.average_price is None


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("btcidr-stoplimit-7", "stoplimit"),
        ("7", None),
        ("btcidr-7", None),
        ("a--7", None),
        ("a-b-c-d", None),
        ("", None),
    ],
)
def test_the_type_is_in_the_id_if_it_looks_so(number: str, kind: Optional[str]) -> None:
    assert made("NEW", orderId=number).type == kind


@pytest.mark.parametrize(("word", "side"), [("BUY", "buy"), ("SELL", "sell"), ("SHORT", "SHORT"), (None, None)])
def test_sides(word: Optional[str], side: Optional[str]) -> None:
    assert made("NEW", side=word).side == side
    assert of(subscribed().received(push(execution(side=word)), 0.0), Fill)[0].side == side


def test_a_time_beyond_the_calendar_is_kept_as_a_number() -> None:
    one = made("NEW", transactionTime=10**30)
    assert one.time_ms == 10**30
    assert one.time is None


def test_a_fill() -> None:
    information = (
        b'{"participant":"TAKER","filledQty":"1.4","qty":"0.4","feeAsset":"idr","feeRate":0.0010,"fee":"980.50",'
        b'"taxAsset":"usdt","taxRate":2.10E-3,"tax":"0","clearingAsset":"idr","clearingRate":1.11E-4,"clearing":"108"}'
    )
    update = b'{"eventType":"order_update","order":{"orderId":"a-limit-1","tradeId":"72057594039000001","symbol":"a",'
    update += b'"side":"BUY","price":"10.10","status":"FILL","transactionTime":5,"clientOrderId":"c","unfilledQty":"1",'
    fill = of(subscribed().received(push(update + b'"fillInformation":' + information + b"}}"), 0.0), Fill)[0]
    assert isinstance(fill, events.Fill)
    assert (fill.id, fill.order_id, fill.client_order_id) == ("72057594039000001", "a-limit-1", "c")
    assert (fill.exchange, fill.symbol, fill.side, fill.time_ms) == ("indodax", "a", "buy", 5)
    assert [str(amount) for amount in (fill.price, fill.quantity, fill.fee, fill.tax, fill.clearing)] == [
        "10.10", "0.4", "980.50", "0", "108",
    ]  # fmt: skip
    assert (fill.fee_asset, fill.tax_asset, fill.clearing_asset, fill.liquidity) == ("idr", "usdt", "idr", "taker")
    assert (str(fill.fee_rate), str(fill.tax_rate), str(fill.clearing_rate)) == ("0.0010", "0.00210", "0.000111")


@pytest.mark.parametrize(("word", "liquidity"), [("MAKER", "maker"), ("BOTH", "BOTH"), (None, None)])
def test_liquidity(word: Optional[str], liquidity: Optional[str]) -> None:
    information = {"qty": "1"} if word is None else {"qty": "1", "participant": word}
    fill = of(subscribed().received(push(execution(fillInformation=information)), 0.0), Fill)[0]
    assert fill.liquidity == liquidity


def test_events_can_be_copied_and_sent_to_another_process() -> None:
    for event in of(subscribed().received(push(execution()), 0.0), events.Data):
        for twin in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event)):
            assert twin == event
            assert twin.raw == event.raw
