"""The simulated Finery Markets living by itself: a seeded walk of quotes, own orders, deals and limits.

Knows nothing of connections and requests.
"""

from __future__ import annotations

import random
from typing import Any, List, Tuple

from .finery_accounts import HOUSE, INSTRUMENTS, steps
from .finery_book import LIMIT, LIMIT_IOC, UNIT, FineryOrder
from .finery_limits import FineryLimits
from .finery_settlements import FinerySettlements
from .finery_trading import FineryTrading

MIDS = {"BTC-EUR": 87_000 * UNIT, "ETH-USD": 3_120 * UNIT, "BTC-USD": 95_000 * UNIT}
LARGEST_STEP = 7  # events: an own order, its deal and end, two positions, feeds F and B
PART = 5  # events: a deal of a part of an own order, two positions, feeds F and B
QUOTES = 90  # of the counterparty at most
OWN = 12  # orders of the first account at most


class FineryWalk(FineryTrading, FinerySettlements, FineryLimits):
    """Cancels only what it placed itself; its deals are with the best quotes, and with its own orders."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._made: List[FineryOrder] = []

    def step(self, chooser: random.Random, limit: int) -> int:
        before = self.published_count
        while self.published_count == before:
            if limit < LARGEST_STEP:
                self._step_small(chooser, limit)
            else:
                self._step_any(chooser)
        return self.published_count - before

    def _step_any(self, chooser: random.Random) -> None:
        own, quotes = self._walked_orders()
        luck = chooser.random()
        if luck < 0.15 and len(own) < OWN:
            self._place_walked(chooser, own=True)
        elif luck < 0.3 and own:
            order = chooser.choice(own)
            part = order.left * chooser.randint(1, 9) // 10
            self.deal(order, part if part and chooser.random() < 0.5 else None)
        elif luck < 0.4 and own:
            self.cancel(chooser.choice(own))
        elif luck < 0.55:
            self._take(chooser)
        elif luck < 0.57:
            self._change_limit(chooser)
        else:
            self._quote(chooser, quotes)

    def _step_small(self, chooser: random.Random, limit: int) -> None:
        own, quotes = self._walked_orders()
        if limit < 2:
            self._change_limit(chooser)
        elif limit >= PART and own and chooser.random() < 0.3:
            order = chooser.choice(own)
            if order.left > 1:
                self.deal(order, order.left // 2)
        elif limit >= PART and len(own) < OWN and chooser.random() < 0.3:
            self._place_walked(chooser, own=True)
        else:
            self._quote(chooser, quotes)

    def _change_limit(self, chooser: random.Random) -> None:
        self.limit_change(gross_limit=1_000_000 * UNIT, utilization=chooser.randint(0, 500_000) * UNIT)

    def _quote(self, chooser: random.Random, quotes: List[FineryOrder]) -> None:
        if len(quotes) >= QUOTES or (quotes and chooser.random() < 0.35):
            self.cancel(chooser.choice(quotes))
        else:
            self._place_walked(chooser, own=False)

    def _place_walked(self, chooser: random.Random, own: bool) -> None:
        instrument = chooser.choice(sorted(INSTRUMENTS))
        mid, step = MIDS[instrument], steps(instrument)[1]
        side = chooser.randint(0, 1)
        distance = mid * chooser.randint(1, 60) // 10_000 * (1 if side else -1)
        account = self.account() if own else self._clients[HOUSE]
        size = chooser.randint(1, 5_000) * UNIT // 1_000
        order = self.new_order(account, instrument, LIMIT, side, (mid + distance) // step * step, size)
        if not self._books[instrument].crosses(order):  # what others placed may be anywhere
            self.execute(order)
            self._made.append(order)

    def _take(self, chooser: random.Random) -> None:
        """The first account takes from the best quote."""
        instrument = chooser.choice(sorted(INSTRUMENTS))
        side = chooser.randint(0, 1)
        resting = self._books[instrument].orders(1 - side)
        if resting and resting[0].owner == HOUSE:
            size = max(1, resting[0].left * chooser.randint(1, 10) // 10)
            size = size // steps(instrument)[0] * steps(instrument)[0] or resting[0].left
            self.execute(self.new_order(self.account(), instrument, LIMIT_IOC, side, resting[0].price, size))

    def _walked_orders(self) -> Tuple[List[FineryOrder], List[FineryOrder]]:
        """Its resting orders for the first account, and those of the counterparty."""
        self._made = [order for order in self._made if order.open]
        own = [order for order in self._made if order.owner != HOUSE]
        return own, [order for order in self._made if order.owner == HOUSE]
