"""What Richamster's messages become; REST's forms of the same objects are taken too. Sources: test_richamster_protocol.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Dict, List, Optional

import pytest

from tests.exchanges.test_richamster_protocol import (
    LEVEL,
    OWN,
    PAIR,
    PRIVATE,
    TICK,
    TRADE,
    only,
    opened,
    subscribed,
    text,
)
from xchws.events import BookLevel, Data, Order, OrderStatus, Ticker, Trade


def made(message: Any) -> Data:
    """The event that a message becomes where own orders are subscribed, and nothing else."""
    raw = message if isinstance(message, bytes) else text(message)
    outputs = subscribed(OWN).received(raw, 0.0)
    assert len(outputs) == 1
    assert isinstance(outputs[0], Data)
    return outputs[0]


def without(message: Dict[str, Any], *keys: str) -> Dict[str, Any]:
    return {key: value for key, value in message.items() if key not in keys}


def test_a_ticker_with_numbers_texts_nulls_and_newer_names() -> None:
    old = made(b'{"pair":"BTC/UAH","last":2650000.50,"first":"2600000","high":null,"low":1.10,"volume":3.14159E-4}')
    assert isinstance(old, Ticker)
    assert (old.exchange, old.symbol, old.time) == ("richamster", PAIR, None)
    assert [str(value) for value in (old.last, old.open, old.high, old.low, old.volume)] == [
        "2650000.50", "2600000", "None", "1.10", "0.000314159",
    ]  # fmt: skip
    new = made(
        b'{"pk":4,"pair":"BTC/UAH","last_price":"7.0","first_price":"5","high_price":"8","low_price":"4",'
        b'"base_volume":"2","quote_volume":"14.0"}'
    )
    assert isinstance(new, Ticker)
    assert [str(value) for value in (new.last, new.open, new.high, new.low, new.volume, new.quote_volume)] == [
        "7.0", "5", "8", "4", "2", "14.0",
    ]  # fmt: skip
    assert new.raw["pk"] == 4


@pytest.mark.parametrize(
    "message",
    [
        TICK,
        without(TICK, "last"),
        without(TICK, "high", "low"),
        {**TICK, "last": None},
        {"pair": PAIR, "last": None, "first": None, "high": None, "low": None, "volume": "0"},
        {"pair": PAIR, "last_price": None},
        {"pair": PAIR, "high_price": "2", "low_price": "1"},
        {**TICK, "unit_price": 5},
    ],
)
def test_what_is_a_ticker(message: Dict[str, Any]) -> None:
    assert isinstance(made(message), Ticker)


@pytest.mark.parametrize(
    ("word", "side"), [("selling", "sell"), ("buying", "buy"), ("BUYING", "buy"), (1, "1"), (None, None)]
)
def test_a_level(word: Any, side: Optional[str]) -> None:
    one = made({**LEVEL, "side": word})
    assert isinstance(one, BookLevel)
    assert (one.symbol, one.side, one.price) == (PAIR, side, Decimal("2650000.0"))
    assert (one.quantity, one.quote_quantity) == (Decimal("0.05"), Decimal("132500.0"))


@pytest.mark.parametrize("volume", [0, 0.0, "0", "0.00"])
def test_a_level_of_nothing(volume: Any) -> None:
    one = made({**LEVEL, "volume": volume})
    assert isinstance(one, BookLevel)
    assert one.quantity == 0


def test_a_trade() -> None:
    one = made(TRADE)
    assert isinstance(one, Trade)
    assert (one.id, one.symbol, one.side) == (None, PAIR, "sell")
    assert one.time is not None
    assert one.time.isoformat() == "2026-05-28T20:36:40+00:00"
    assert (one.price, one.quantity, one.quote_quantity) == tuple(map(Decimal, ("2650000", "0.05", "132500")))


@pytest.mark.parametrize(
    ("created", "closed", "time_ms"),
    [
        ("1780000000", "1780000600", 1780000600000),
        ("1780000000", None, 1780000000000),
        ("1780000000", "", 1780000000000),
        (1780000000, 1780000600.25, 1780000600250),
        ("1780000000.5", None, 1780000000500),
        ("2026-01-01T00:00:00Z", None, 1767225600000),
        ("2026-01-01T02:00:00.250000+02:00", None, 1767225600250),
        ("2026-01-01T00:00:00", None, 1767225600000),
        (None, None, None),
    ],
)
def test_instants(created: Any, closed: Any, time_ms: Optional[int]) -> None:
    for pk in ({}, {"pk": 1}):
        one = made({**TRADE, "created_at": created, "closed_at": closed, **pk})
        assert isinstance(one, Order if pk else Trade)
        assert one.time_ms == time_ms


@pytest.mark.parametrize("key", ["created_at", "closed_at"])
def test_one_instant_is_enough_to_be_no_level(key: str) -> None:
    assert isinstance(made({**LEVEL, key: None}), Trade)
    assert isinstance(made({**LEVEL, key: "1780000000", "pk": None}), Trade)
    assert isinstance(made({**LEVEL, key: "1780000000", "pk": 5}), Order)


@pytest.mark.parametrize("closed", [None, "", "absent"])
def test_an_own_order_that_is_open(closed: Optional[str]) -> None:
    message = without(PRIVATE, "closed_at") if closed == "absent" else {**PRIVATE, "closed_at": closed}
    one = made({**message, "type": "buying", "closed_type": None})
    assert isinstance(one, Order)
    assert (one.id, one.status, one.final, one.exchange_status) == ("17", OrderStatus.NEW, False, "open")
    assert one.time_ms == 1780000000000
    assert one.raw["type"] == "buying"


def test_an_own_order_that_has_ended() -> None:
    one = made({**PRIVATE, "pk": "17", "closed_at": 1780000600.5})
    assert isinstance(one, Order)
    assert (one.id, one.status, one.final, one.exchange_status) == ("17", OrderStatus.UNKNOWN, True, "closed")
    assert (one.symbol, one.side, one.price, one.quantity) == (PAIR, "sell", Decimal(2650000), Decimal("0.05"))
    assert one.time_ms == 1780000600500
    assert (one.filled, one.remaining) == (None, None)


EXACT: List[str] = ["1.234", "1.00", "0.1234567890123456789012345", "2.22E-4", "12345678901234567890", "1e999", "-0.0"]


@pytest.mark.parametrize("number", EXACT)
@pytest.mark.parametrize("quoted", [False, True])
def test_amounts_are_exact(number: str, quoted: bool) -> None:
    written = f'"{number}"' if quoted else number
    level = only(opened().received(f'{{"unit_price":{written},"volume":{written}}}'.encode(), 0.0), BookLevel)
    ticker = only(opened().received(f'{{"last":{written}}}'.encode(), 0.0), Ticker)
    for amount in (level.price, level.quantity, ticker.last):
        assert amount is not None
        assert amount.as_tuple() == Decimal(number).as_tuple()


def test_texts_and_numbers_may_change_places() -> None:
    one = made(
        b'{"pair":"BTC/UAH","unit_price":"1.50","volume":"2","sum":3,"created_at":"1","closed_at":2,"pk":"9","side":"buying"}'
    )
    assert isinstance(one, Order)
    assert (str(one.price), one.id, one.side, one.time_ms) == ("1.50", "9", "buy", 2000)
