"""Book: the orders of one instrument by their ids, and the price levels that they add up to. It knows no message.

Source: https://docs.kyan.blue/docs/ws-orderbook, read 2026-11: the stream tells orders, not levels, and has no sequence number
of its own.
"""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal
from typing import Any, Dict, Iterable, List, Tuple

import attrs

from xchws.exchanges.kyan.payloads import total

Levels = Tuple[Tuple[Decimal, Decimal], ...]


@attrs.frozen
class Place:
    """Where an order rests: side "buy" or "sell", price, and what is left of it."""

    side: str
    price: Decimal
    remaining: Decimal


class Side:
    """One side of the book: its prices in ascending order, and the orders at each."""

    def __init__(self) -> None:
        self._prices: List[Decimal] = []
        self._orders: Dict[Decimal, Dict[str, Decimal]] = {}
        self._sums: Dict[Decimal, Decimal] = {}

    def put(self, price: Decimal, order_id: str, remaining: Decimal) -> None:
        """Add an order or change it."""
        orders = self._orders.get(price)
        if orders is None:
            self._prices.insert(bisect_left(self._prices, price), price)
            orders = self._orders[price] = {}
        orders[order_id] = remaining
        self._sums[price] = total(list(orders.values()))

    def take(self, price: Decimal, order_id: str) -> None:
        """Remove an order."""
        orders = self._orders[price]
        del orders[order_id]
        if orders:
            self._sums[price] = total(list(orders.values()))
        else:
            del self._orders[price], self._sums[price]
            del self._prices[bisect_left(self._prices, price)]

    def levels(self, descending: bool) -> Levels:
        """The levels (price, sum of what is left)."""
        prices = reversed(self._prices) if descending else self._prices
        return tuple((price, self._sums[price]) for price in prices)


class Book:
    """One instrument's book.

    Attributes:
        said: where the last that was said of it stands, as an event has it.
    """

    def __init__(self) -> None:
        self.said: Dict[str, Any] = {}
        self._places: Dict[str, Place] = {}
        self._sides = {"buy": Side(), "sell": Side()}

    def put(self, order_id: str, place: Place) -> bool:
        """Add an order or change it; one of which nothing is left goes. Whether the book is another one now."""
        known = self._places.get(order_id)
        if known == place:
            return False
        removed = self.remove(order_id)
        if place.remaining <= 0 or place.side not in self._sides:
            return removed
        self._places[order_id] = place
        self._sides[place.side].put(place.price, order_id, place.remaining)
        return True

    def remove(self, order_id: str) -> bool:
        """Remove an order; whether it was there."""
        known = self._places.pop(order_id, None)
        if known is None:
            return False
        self._sides[known.side].take(known.price, order_id)
        return True

    def replace(self, sides: Iterable[str], orders: Dict[str, Place]) -> None:
        """Put a snapshot of these sides in their place."""
        gone = set(sides)
        for order_id in [order_id for order_id, place in self._places.items() if place.side in gone]:
            self.remove(order_id)
        for order_id, place in orders.items():
            self.put(order_id, place)

    @property
    def bids(self) -> Levels:
        """What is bid, the highest first."""
        return self._sides["buy"].levels(descending=True)

    @property
    def asks(self) -> Levels:
        """What is asked, the lowest first."""
        return self._sides["sell"].levels(descending=False)
