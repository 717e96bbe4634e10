"""Orders and deals on the simulated Finery Markets, and what feeds O, F and B tell of them.

Rows as on the pages "Feed O", "Feed F", "Feed B" and "dealHistory" of https://faq.finerymarkets.com/api-reference/
(read 2026-11). That an order begins with ``+`` and ends with ``-`` whatever its type, and the order of the
messages of one step (orders and deals, positions, books), are guesses.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from .finery_accounts import HOUSE, INSTRUMENTS, DealRecord, FineryAccount, FineryAccounts, steps
from .finery_book import (
    BY_CLIENT,
    FOK_TYPES,
    IN_PLACE,
    LIMIT_IOC,
    MAKER_TYPES,
    NON_BOOK,
    ON_DISCONNECT,
    POST_ONLY,
    SELF_TRADE,
    SIDES,
    TYPES,
    UNIT,
    Fill,
    FineryBook,
    FineryOrder,
    FineryRefusal,
    View,
    updates,
)

FIRST_ORDER = 9_100_000_000_000_000  # above 2 ** 53, where doubles lose odd numbers


class FineryTrading(FineryAccounts):
    """The books and all that is done to them. Prices, sizes and volumes are whole units of 1e-8.

    Attributes:
        feed_b_incremental: feed B tells changes as F does, not the whole book each time.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        seed: Optional[int],
        history: Optional[int],
        old_layouts: bool,
        feed_b_incremental: bool,
    ) -> None:
        super().__init__(key, secret, seed, history, old_layouts)
        self.feed_b_incremental = feed_b_incremental
        self._books = {name: FineryBook(steps(name)[0]) for name in INSTRUMENTS}
        self._views: Dict[str, View] = {name: ([], []) for name in INSTRUMENTS}
        self._open: Dict[int, FineryOrder] = {}
        self._order_ids = FIRST_ORDER

    # For the test: a counterparty's doings, or another connection's of the same account.

    def place(
        self, instrument: str, side: str, price: int, size: int, type: str = "limit", key: Optional[str] = None
    ) -> FineryOrder:
        """An order of the counterparty, or of the account *key*; it may execute at once.

        Args:
            side: ``bid`` or ``ask``.
            price, size: units of 1e-8.
            type: one of the names of requests, ``limit`` and so on.

        Raises:
            FineryRefusal: a ValueError: what a request for it would be refused with.
            KeyError: no such instrument or account.
            ValueError: a side, type or number that cannot be.
        """
        if side not in SIDES or type not in TYPES or price < 0 or size <= 0:
            raise ValueError("side is bid or ask, type as in requests, price and size in units above zero")
        with self.market_lock:
            owner = self._clients[HOUSE] if key is None else self.account(key)
            order = self.new_order(owner, instrument, TYPES.index(type), SIDES.index(side), price, size)
            self.execute(order)
            return order

    def deal(self, order: FineryOrder, size: Optional[int] = None) -> None:
        """The counterparty takes *size* units of a resting order, or all that is left, whatever else rests.

        Raises:
            ValueError: it is not open, or less than that is left.
        """
        with self.market_lock:
            self._need_open(order)
            traded = order.left if size is None else size
            if not 0 < traded <= order.left or order.owner == HOUSE:
                raise ValueError(f"order {order.id}: {order.left} units are left for the counterparty to take")
            taker = self.new_order(
                self._clients[HOUSE], order.instrument, LIMIT_IOC, 1 - order.side, order.price, traded
            )
            self._settle(taker, [Fill(order, traded, order.price * traded // UNIT)])
            self._tell_book(order.instrument, swept=True)

    def cancel(self, order: FineryOrder, reason: int = BY_CLIENT) -> None:
        """End a resting order with this cancelReason.

        Raises:
            ValueError: it is not open.
        """
        with self.market_lock:
            self._need_open(order)
            self._books[order.instrument].remove(order)
            self._leave(order, reason)
            self._tell_book(order.instrument, swept=False)

    def wipe(self, instrument: str, side: str) -> None:
        """Cancel all orders of a side (``bid`` or ``ask``); feed F says ``~`` 0, 0."""
        with self.market_lock:
            index = SIDES.index(side)
            book = self._books[instrument]
            for order in book.orders(index):
                book.remove(order)
                self._leave(order, BY_CLIENT)
            if not self._tell_book(instrument, swept=True):
                self._publish("F", "M", _on_side(index, ["~", 0, 0]), (instrument,))

    def break_book(self, instrument: str, side: str = "bid") -> None:
        """Feed F (and an incremental B) tells of a change at a price that is not in the book."""
        with self.market_lock:
            index = SIDES.index(side)
            prices = {level[0] for level in self._views[instrument][index]}
            step = steps(instrument)[1]
            missing = step
            while missing in prices:
                missing += step
            data = _on_side(index, ["M", missing, UNIT])
            self._publish("F", "M", data, (instrument,))
            if self.feed_b_incremental:
                self._publish("B", "M", data, (instrument,))

    # For requests and feeds.

    def view(self, instrument: str) -> View:
        """The 25 best levels of both sides."""
        return self._views[instrument]

    def open_orders(self, account: FineryAccount, instrument: Optional[str] = None) -> List[FineryOrder]:
        """The account's resting orders, oldest first."""
        return [
            order
            for order in self._open.values()
            if order.owner == account.client_id and instrument in (None, order.instrument)
        ]

    def new_order(
        self,
        owner: FineryAccount,
        instrument: str,
        type: int,
        side: int,
        price: int,
        amount: int,
        by_volume: bool = False,
        client_order_id: Optional[int] = None,
        connection: Optional[int] = None,
    ) -> FineryOrder:
        """An order with an id, which nobody knows of yet."""
        self._order_ids += 1
        number = self._order_ids
        if client_order_id is None:
            client_order_id = number
        return FineryOrder(
            number,
            client_order_id,
            owner.client_id,
            instrument,
            type,
            side,
            price,
            amount,
            self.now(),
            by_volume,
            connection,
        )

    def execute(self, order: FineryOrder) -> List[Dict[str, Any]]:
        """Let a new order into the market: its deals as in the answer to a request.

        Raises:
            FineryRefusal: 75 to 78; nothing has happened then.
        """
        book = self._books[order.instrument]
        if order.type == POST_ONLY and book.crosses(order):
            raise FineryRefusal(75)
        plan = book.plan(order)
        if order.type in FOK_TYPES and not plan.spent:
            raise FineryRefusal(78 if plan.met_own else 77)
        if not plan.fills and (plan.met_own or order.type not in MAKER_TYPES):
            raise FineryRefusal(78 if plan.met_own else 77 if order.type in FOK_TYPES else 76)
        self._tell_order("+", order)
        deals = self._settle(order, plan.fills)
        if order.open:
            if plan.met_own:
                self._leave(order, SELF_TRADE)
            elif order.type not in MAKER_TYPES:
                self._leave(order, IN_PLACE if order.type in FOK_TYPES else NON_BOOK)
            else:
                book.rest(order)
                self._open[order.id] = order
        self._tell_book(order.instrument, swept=bool(plan.fills))
        return deals

    def cancel_connection(self, connection: int) -> None:
        """Cancel-on-disconnect: end the orders that were to die with this connection."""
        with self.market_lock:
            for order in [order for order in self._open.values() if order.connection == connection]:
                self.cancel(order, ON_DISCONNECT)

    # What happens to them.

    def _settle(self, taker: FineryOrder, fills: Sequence[Fill]) -> List[Dict[str, Any]]:
        deals = []
        for fill in fills:
            maker = fill.maker
            number, moment = self._take_id(), self.now()
            taker.left -= fill.volume if taker.by_volume else fill.size
            maker.left -= fill.size
            for order, other in ((taker, maker), (maker, taker)):
                account = self._clients[order.owner]
                row = self._deal_row(order, other, taker, maker, fill, number, moment)
                if account.client_id != HOUSE:
                    account.deals.append(DealRecord(number, moment, order.instrument, other.owner, row))
                self._publish("O", "D", row, (order.instrument,), account)
                if not order.left:
                    if order is maker:
                        self._books[maker.instrument].remove(maker)
                    self._leave(order, IN_PLACE)
            for order, other in ((taker, maker), (maker, taker)):
                sign = -1 if order.side else 1
                asset, balance = order.instrument.split("-")
                account = self._clients[order.owner]
                self._change_position(account, asset, other.owner, sign * fill.size)
                self._change_position(account, balance, other.owner, -sign * fill.volume)
            deal = {"id": number, "price": maker.price, "size": fill.size, "volume": fill.volume, "delta": 0}
            deals.append({**deal, "counterpartyId": maker.owner})
        return deals

    def _leave(self, order: FineryOrder, reason: int) -> None:
        order.open = False
        order.reason = reason
        self._open.pop(order.id, None)
        self._tell_order("-", order)

    def _tell_order(self, action: str, order: FineryOrder) -> None:
        self._publish("O", action, order_row(order), (order.instrument,), self._clients[order.owner])

    def _tell_book(self, instrument: str, swept: bool) -> bool:
        """Whether there was anything to tell."""
        old, new = self._views[instrument], self._books[instrument].view()
        if old == new:
            return False
        self._views[instrument] = new
        changes = [updates(before, after, swept) for before, after in zip(old, new)]
        self._publish("F", "M", changes, (instrument,))
        if self.feed_b_incremental:
            self._publish("B", "M", changes, (instrument,))
        else:
            self._publish("B", "S", list(new), (instrument,))
        return True

    def _deal_row(
        self,
        order: FineryOrder,
        other: FineryOrder,
        taker: FineryOrder,
        maker: FineryOrder,
        fill: Fill,
        number: int,
        moment: int,
    ) -> List[Any]:
        row: List[Any] = order_row(order)[:10]
        row += [moment, number, taker.side, maker.price, fill.size, fill.volume, 0, other.owner, order.by_volume]
        if self.old_layouts:
            return [*row, None, 0, 0]  # the counterparty's subaccount, linkedTo, dealType
        return [*row, taker.owner, 0, 0, maker.owner, 0]  # …, linkedTo, dealType, …, liquiditySource: firm book

    @staticmethod
    def _need_open(order: FineryOrder) -> None:
        if not order.open:
            raise ValueError(f"order {order.id} is not open")


def order_row(order: FineryOrder) -> List[Any]:
    """An order as on feed O. That the last one is true or false is a guess."""
    return [
        order.instrument,
        order.type,
        order.side,
        order.reason,
        order.id,
        order.client_order_id,
        order.price,
        order.initial,
        order.left,
        order.created,
        order.by_volume,
    ]


def _on_side(side: int, update: List[Any]) -> Tuple[List[Any], List[Any]]:
    return ([], [update]) if side else ([update], [])
