"""One instrument's order book: price-time priority in whole numbers, 1 unit = 1e-8.

Knows neither accounts nor the wire: owners are numbers, and what is refused is refused by its code.
Codes and enumerations: pages "Data types" and "List of error codes" of https://faq.finerymarkets.com/api-reference/
(read 2026-11).
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

UNIT = 100_000_000  # units of one coin
DEPTH = 25  # levels per side that are published

BID, ASK = 0, 1
SIDES = ("bid", "ask")
TYPES = ("limit", "postOnly", "limitIOC", "limitFOK", "marketIOC", "marketFOK")
LIMIT, POST_ONLY, LIMIT_IOC, LIMIT_FOK, MARKET_IOC, MARKET_FOK = range(6)
MAKER_TYPES = (LIMIT, POST_ONLY)
MARKET_TYPES = (MARKET_IOC, MARKET_FOK)
FOK_TYPES = (LIMIT_FOK, MARKET_FOK)

# cancelReason
IN_PLACE, BY_CLIENT, NON_BOOK, SELF_TRADE, ON_DISCONNECT = range(5)

Level = List[int]
View = Tuple[List[Level], List[Level]]
Update = List[Any]


class FineryRefusal(ValueError):
    """A request that the exchange refuses.

    Attributes:
        code: of the vendor's list.
        param: the name of the parameter at fault, where one is.
        more: further members of the answer.
    """

    def __init__(self, code: int, param: Optional[str] = None, more: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(f"refused with error {code}" + (f": {param}" if param else ""))
        self.code = code
        self.param = param
        self.more = more or {}


@dataclass(eq=False)
class FineryOrder:
    """An order as it stands; prices, sizes and volumes in units of 1e-8.

    Attributes:
        owner: the client id.
        side: 0 bid, 1 ask.
        type: the index in ``TYPES``.
        price: 0 for a market order.
        initial, left: size, or volume if ``by_volume``.
        created: milliseconds since 1970.
        reason: the cancelReason; 0 while it is in place and after it was filled.
        connection: number of the connection with whose loss it is cancelled, if any.
    """

    id: int
    client_order_id: int
    owner: int
    instrument: str
    type: int
    side: int
    price: int
    initial: int
    created: int
    by_volume: bool = False
    connection: Optional[int] = None
    left: int = 0
    reason: int = IN_PLACE
    open: bool = True

    def __post_init__(self) -> None:
        self.left = self.initial


@dataclass(frozen=True)
class Fill:
    """A deal that is to be: with this resting order, at its price."""

    maker: FineryOrder
    size: int
    volume: int


@dataclass(frozen=True)
class Plan:
    """What an incoming order would do.

    Attributes:
        left: of the incoming order after all fills.
        met_own: it stopped at an order of its own owner.
        spent: nothing of ``left`` buys one more step of the asset.
    """

    fills: Sequence[Fill]
    left: int
    met_own: bool
    spent: bool


class FineryBook:
    """The resting orders. *step* is the smallest amount of the asset, in units."""

    def __init__(self, step: int = 1) -> None:
        self._step = step
        # Rank (the price, falling for bids), order id, order: sorted, best first.
        self._sides: Tuple[List[Tuple[int, int, FineryOrder]], ...] = ([], [])

    def orders(self, side: int) -> List[FineryOrder]:
        """The orders of a side, best first."""
        return [order for _, _, order in self._sides[side]]

    def rest(self, order: FineryOrder) -> None:
        """Take an order into the book."""
        bisect.insort(self._sides[order.side], self._place(order))

    def remove(self, order: FineryOrder) -> None:
        """Take an order out of the book."""
        self._sides[order.side].remove(self._place(order))

    def crosses(self, order: FineryOrder) -> bool:
        """Whether it would meet an order of the other side."""
        others = self._sides[1 - order.side]
        return bool(others) and self._acceptable(order, others[0][2])

    def plan(self, order: FineryOrder) -> Plan:
        """What *order* would do now; nothing changes."""
        fills: List[Fill] = []
        left = order.left
        for _, _, maker in self._sides[1 - order.side]:
            if not left or not self._acceptable(order, maker):
                break
            if maker.owner == order.owner:
                return Plan(fills, left, met_own=True, spent=False)
            size = maker.left
            if not order.by_volume:
                size = min(size, left)
            elif maker.left * maker.price > left * UNIT:
                size = left * UNIT // maker.price // self._step * self._step
                if not size:
                    return Plan(fills, left, met_own=False, spent=True)
            volume = maker.price * size // UNIT
            fills.append(Fill(maker, size, volume))
            left -= volume if order.by_volume else size
        return Plan(fills, left, met_own=False, spent=not left)

    def view(self) -> View:
        """The best 25 levels of both sides, ``[price, size]`` each: bids fall, asks rise."""
        return self._levels(BID), self._levels(ASK)

    def _levels(self, side: int) -> List[Level]:
        levels: List[Level] = []
        for _, _, order in self._sides[side]:
            if levels and levels[-1][0] == order.price:
                levels[-1][1] += order.left
            elif len(levels) == DEPTH:
                break
            else:
                levels.append([order.price, order.left])
        return levels

    @staticmethod
    def _acceptable(order: FineryOrder, maker: FineryOrder) -> bool:
        if order.type in MARKET_TYPES:
            return True
        return maker.price <= order.price if order.side == BID else maker.price >= order.price

    @staticmethod
    def _place(order: FineryOrder) -> Tuple[int, int, FineryOrder]:
        return (-order.price if order.side == BID else order.price, order.id, order)


def updates(old: List[Level], new: List[Level], swept: bool) -> List[Update]:
    """The steps from one side's levels to its next, in the order in which they are to be applied.

    With *swept*, levels that are gone from the top are one ``~``; else each is a ``-``.
    """
    before = {level[0]: level[1] for level in old}
    after = {level[0] for level in new}
    steps: List[Update] = []
    gone = [price for price, _ in old if price not in after]
    top = 0
    while top < len(old) and old[top][0] not in after:
        top += 1
    if swept and top and not new:
        return [["~", 0, 0]]
    if swept and top and top < len(old) and new[0][0] == old[top][0]:
        steps.append(["~", *new[0]])
        gone = gone[top:]
        before[new[0][0]] = new[0][1]
    steps += [["-", price, 0] for price in gone]
    steps += [["M", price, size] for price, size in new if price in before and before[price] != size]
    steps += [["+", price, size] for price, size in new if price not in before]
    return steps
