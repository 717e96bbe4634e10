"""Book: one order book kept from snapshots and updates. It notices when it is out of step; what follows is not its business.

Source: https://faq.finerymarkets.com/api-reference/websocket-api/feed-f-firm-market-data (and feed B), read 2026-11. There are no
sequence numbers, so a book is known to be wrong only when an update does not fit it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal
from typing import Dict, Iterable, List, Optional, Tuple

from xchws.exchanges.finery.units import plain

DEPTH = 25
"""The levels that the exchange publishes of each side."""

_REMEMBERED = 100  # levels beyond the depth whose removal may still be told

Level = Tuple[Decimal, Decimal]
Units = Tuple[int, int]
Update = Tuple[str, int, int]


class OutOfStep(Exception):
    """An update does not fit the book: something was lost on the way. The text says which."""


class Side:
    """The bids or the asks. Its keys rise from the best level to the worst: the price, negated for bids."""

    def __init__(self, sign: int, levels: Iterable[Units]) -> None:
        self._sign = sign
        self._keys: List[int] = []
        self._levels: Dict[int, Level] = {}
        self._beyond: Dict[int, None] = {}  # cut off by us, so that the exchange may still speak of them
        for price, size in levels:
            self._set(price, size)
        self.trim()

    @property
    def best(self) -> Optional[int]:
        """The best price in units of 1e-8; None if the side is empty."""
        return self._sign * self._keys[0] if self._keys else None

    @property
    def levels(self) -> Tuple[Level, ...]:
        """The levels, the best first."""
        levels = self._levels
        return tuple([levels[key] for key in self._keys])

    def apply(self, action: str, price: int, size: int) -> None:
        """Apply one update; prices and sizes in units of 1e-8.

        Raises:
            OutOfStep: it does not fit.
        """
        key = self._sign * price
        if action == "+":
            self._set(price, size)
        elif action == "M":
            if key not in self._levels and key not in self._beyond:
                raise OutOfStep(f"a level that is not there changes ({plain(price)})")
            self._set(price, size)
        elif action == "-":
            if key in self._levels:
                self._remove(key)
            elif key in self._beyond:
                del self._beyond[key]
            else:
                raise OutOfStep(f"a level that is not there is removed ({plain(price)})")
        elif action == "~":
            self._cut(price, size)
        else:
            raise OutOfStep(f"an update of a kind that is not known ({action[:20]!r})")

    def trim(self) -> None:
        """Keep no more levels than the exchange publishes."""
        for key in self._keys[DEPTH:]:
            del self._levels[key]
            self._beyond[key] = None
        del self._keys[DEPTH:]
        while len(self._beyond) > _REMEMBERED:
            del self._beyond[next(iter(self._beyond))]

    def _set(self, price: int, size: int) -> None:
        if price <= 0 or size < 0:
            raise OutOfStep(f"a level that cannot be ({plain(price)}, {plain(size)})")
        key = self._sign * price
        self._beyond.pop(key, None)
        if not size:
            if key in self._levels:
                self._remove(key)
            return
        if key not in self._levels:
            insort(self._keys, key)
        self._levels[key] = (plain(price), plain(size))

    def _remove(self, key: int) -> None:
        del self._keys[bisect_left(self._keys, key)]
        del self._levels[key]

    def _cut(self, price: int, size: int) -> None:
        """Remove from the top down to `price`, which is the new best level; both 0: the side is empty."""
        if not price and not size:
            self._keys.clear()
            self._levels.clear()
            self._beyond.clear()
            return
        if price <= 0:
            raise OutOfStep("the new best level has no price")
        end = bisect_left(self._keys, self._sign * price)
        for key in self._keys[:end]:
            del self._levels[key]
        del self._keys[:end]
        self._set(price, size)


class Book:
    """The book of one instrument, made of a snapshot; prices and sizes in units of 1e-8.

    Raises:
        OutOfStep: a level has a price or size below 0.
        Malformed: a number beyond 64 bits.
    """

    def __init__(self, bids: Iterable[Units], asks: Iterable[Units]) -> None:
        self.bids = Side(-1, bids)
        self.asks = Side(1, asks)
        # Where the exchange itself shows a crossed book (makers without limits for each other), crossing proves nothing.
        self._may_cross = self._crossed

    @property
    def _crossed(self) -> bool:
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and bid >= ask

    def apply(self, bids: Iterable[Update], asks: Iterable[Update]) -> None:
        """Apply the updates of one message, in their order.

        Raises:
            OutOfStep: one does not fit, or the book is crossed after them. The book is of no more use then.
            Malformed: a number beyond 64 bits.
        """
        for side, updates in ((self.bids, bids), (self.asks, asks)):
            for action, price, size in updates:
                side.apply(action, price, size)
            side.trim()
        if self._crossed and not self._may_cross:
            raise OutOfStep(f"the book is crossed ({plain(self.bids.best or 0)} to {plain(self.asks.best or 0)})")
