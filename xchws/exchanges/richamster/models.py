"""What Richamster's stream says: one wire object for all messages, which carry neither channel nor type, and its events.

Source: https://richamster.com/api/v1/docs/websockets/, read 2026-11. The REST documentation writes some of the numbers as
strings, some as null, and some under newer names; the stream may have followed, so all of that is taken.
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Optional, Union

import msgspec
from msgspec import UNSET, UnsetType

from xchws.events import BookLevel, Order, OrderStatus, Ticker, Trade

NAME = "richamster"

TICKER, ORDER_BOOK, TRADING, USER_ORDERS = "ticker", "order_book", "trading", "user_orders"

Instant = Union[str, int, float, None, UnsetType]
Amount = Union[Decimal, None, UnsetType]


class Wire(msgspec.Struct):
    """Every key that a message is known to have. `volume` in base, `sum` in quote currency.

    Messages are told apart by their keys, and null says that a key is there: UNSET says that it is not.
    """

    type: Optional[str] = None
    message: Any = None
    pair: str = ""
    last: Amount = UNSET
    last_price: Amount = UNSET
    first: Optional[Decimal] = None
    first_price: Optional[Decimal] = None
    high: Optional[Decimal] = None
    high_price: Optional[Decimal] = None
    low: Optional[Decimal] = None
    low_price: Optional[Decimal] = None
    volume: Optional[Decimal] = None
    base_volume: Optional[Decimal] = None
    quote_volume: Optional[Decimal] = None
    unit_price: Optional[Decimal] = None
    sum: Optional[Decimal] = None
    side: Union[str, int, None] = None
    created_at: Instant = UNSET
    closed_at: Instant = UNSET
    pk: Union[int, str, None] = None


def amounts_are_finite(wire: Wire) -> bool:
    """Whether no amount is NaN or infinite: msgspec reads such texts as Decimal, no exchange means them."""
    for amount in (
        wire.last, wire.last_price, wire.first, wire.first_price, wire.high, wire.high_price, wire.low, wire.low_price,
        wire.volume, wire.base_volume, wire.quote_volume, wire.unit_price, wire.sum,
    ):  # fmt: skip
        if isinstance(amount, Decimal) and not amount.is_finite():
            return False
    return True


_BEYOND = Decimal(10**12)  # seconds; the calendar ends before


def milliseconds(instant: Instant) -> Optional[int]:
    """Unix seconds, as number or text, or an RFC 3339 text, in milliseconds; None for none.

    Raises:
        ValueError: it is none of these.
    """
    if instant is None or instant is UNSET or instant == "":
        return None
    try:
        if isinstance(instant, str) and "T" in instant:
            moment = datetime.fromisoformat(instant.replace("Z", "+00:00"))
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=timezone.utc)
            return round(moment.timestamp() * 1000)
        seconds = Decimal(str(instant))
        if abs(seconds) < _BEYOND:  # raises for NaN
            return int(seconds * 1000)
    except (ArithmeticError, ValueError):
        pass
    raise ValueError("an instant that is none")  # without the text: it may be long, and the failure shows it


_SIDES = {"buying": "buy", "selling": "sell", "buy": "buy", "sell": "sell"}


def _side(side: Union[str, int, None]) -> Optional[str]:
    return None if side is None else _SIDES.get(str(side).lower(), str(side))


def _first(*values: Amount) -> Optional[Decimal]:
    return next((value for value in values if isinstance(value, Decimal)), None)


def ticker_event(wire: Wire, text: bytes) -> Ticker:
    """The last 24 hours of a pair."""
    return Ticker(
        exchange=NAME,
        wire=text,
        symbol=wire.pair,
        last=_first(wire.last, wire.last_price),
        open=_first(wire.first, wire.first_price),
        high=_first(wire.high, wire.high_price),
        low=_first(wire.low, wire.low_price),
        volume=_first(wire.volume, wire.base_volume),
        quote_volume=wire.quote_volume,
    )


def level_event(wire: Wire, text: bytes) -> BookLevel:
    """One level of the book. That volume 0 removes it is a guess: no page says how a removal looks."""
    return BookLevel(
        exchange=NAME,
        wire=text,
        symbol=wire.pair,
        side=_side(wire.side),
        price=wire.unit_price,
        quantity=wire.volume,
        quote_quantity=wire.sum,
    )


def trade_event(wire: Wire, text: bytes) -> Trade:
    """A closed order of anybody."""
    return Trade(
        exchange=NAME,
        wire=text,
        symbol=wire.pair,
        time_ms=milliseconds(wire.closed_at) or milliseconds(wire.created_at),
        id=None if wire.pk is None else str(wire.pk),
        side=_side(wire.side),
        price=wire.unit_price,
        quantity=wire.volume,
        quote_quantity=wire.sum,
    )


def order_event(wire: Wire, text: bytes) -> Order:
    """An own order. The stream gives no state: without `closed_at` the order is open (a guess after REST); with it the order
    has ended, and whether it was executed or cancelled is not said: UNKNOWN, and final."""
    closed = milliseconds(wire.closed_at)
    return Order(
        exchange=NAME,
        wire=text,
        symbol=wire.pair,
        time_ms=closed if closed is not None else milliseconds(wire.created_at),
        id=str(wire.pk),
        side=_side(wire.side),
        status=OrderStatus.NEW if closed is None else OrderStatus.UNKNOWN,
        price=wire.unit_price,
        quantity=wire.volume,
        final=closed is not None,
        exchange_status="open" if closed is None else "closed",
    )
