"""Richamster's messages and a market behind them: own orders, and the trades, levels and tickers that follow.

Fields: https://richamster.com/api/v1/docs/websockets/ (read 2026-11). That page has no order states and no
removal of levels; a null ``closed_at`` for an open order and a volume of 0 for an empty level are guesses.
Knows nothing of connections: what is made here goes to ``deliver_message``.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, Dict, Optional, Union

from .jsontext import Number, plain
from .market import Amount, Market, SandboxOrder, amount

SIDES = ("selling", "buying")
WALK = (("BTC/UAH", 2_650_000), ("ETH/UAH", 98_000), ("KRB/UAH", 3))
# The names that newer versions of the exchange's REST ticker have; the stream may have followed.
NEW_TICKER_NAMES = {
    "last": "last_price",
    "first": "first_price",
    "high": "high_price",
    "low": "low_price",
    "volume": "base_volume",
}


class RichamsterOrders(Market):
    """Tells what it is told, and keeps the books for ``place``, ``fill`` and ``cancel``.

    Attributes:
        numbers_as_strings: write ``"1.00"`` instead of ``1.00``.
        new_ticker_names: ``last_price`` instead of ``last``, and so on.
        pk_in_trades: let the public trades have a ``pk`` too, as the REST history has.
    """

    def __init__(self, token: str, seed: Optional[int] = None, history: Optional[int] = None) -> None:
        super().__init__(seed, history)
        self.token = token
        self.numbers_as_strings = False
        self.new_ticker_names = False
        self.pk_in_trades = False
        self._orders = 0
        self._levels: Dict[str, Dict[str, Dict[Decimal, Decimal]]] = {}
        self._tickers: Dict[str, Dict[str, Decimal]] = {}

    def deliver_message(self, channel: str, pair: str, token: Optional[str], message: Dict[str, Any]) -> None:
        """Send it to the connections that are subscribed."""
        raise NotImplementedError

    # Single messages.

    def ticker(
        self,
        pair: str,
        last: Amount,
        first: Optional[Amount] = None,
        high: Optional[Amount] = None,
        low: Optional[Amount] = None,
        volume: Amount = 0,
    ) -> None:
        """A ticker; what is not given is like *last*."""
        message: Dict[str, Any] = {"pair": pair}
        for name, value in (("last", last), ("first", first), ("high", high), ("low", low), ("volume", volume)):
            number = self._number(last if value is None else value)
            message[NEW_TICKER_NAMES[name] if self.new_ticker_names else name] = number
        self._publish("ticker", pair, None, message)

    def level(self, pair: str, side: str, price: Amount, volume: Amount) -> None:
        """A level of the book: the total volume at a price, 0 for none."""
        total = Decimal(price) * Decimal(volume)
        message = {
            "pair": pair,
            "unit_price": self._number(price),
            "sum": self._number(plain(total)),
            "side": _side(side),
            "volume": self._number(volume),
        }
        self._publish("order_book", pair, None, message)

    def trade(
        self,
        pair: str,
        side: str,
        price: Amount,
        volume: Amount,
        created_at: Optional[int] = None,
        closed_at: Optional[int] = None,
        pk: Optional[int] = None,
    ) -> None:
        """A closed order of anybody; times in seconds since 1970, now by default."""
        now = self.now() // 1000
        message = self._order(pair, side, price, volume, created_at or now, closed_at or now)
        if pk is not None:
            message["pk"] = pk
        self._publish("trading", pair, None, message)

    def user_order(
        self,
        pair: str,
        side: str,
        price: Amount,
        volume: Amount,
        pk: Optional[int] = None,
        closed: bool = False,
        created_at: Optional[int] = None,
        token: Optional[str] = None,
    ) -> None:
        """A state of an own order; *closed* tells whether ``closed_at`` is a time or null."""
        now = self.now() // 1000
        message = self._order(pair, side, price, volume, created_at or now, now if closed else None)
        if pk is None:
            with self.market_lock:
                self._orders += 1
                pk = self._orders
        message["pk"] = pk
        self._publish("user_orders", pair, token or self.token, message)

    # The market: an own order, and what everybody sees of it.

    def place(self, pair: str, side: str, price: Amount, quantity: Amount, token: Optional[str] = None) -> SandboxOrder:
        """A new order, ``selling`` or ``buying``: publishes the order and its level.

        Raises:
            ValueError: a side or number that cannot be.
        """
        price, quantity = amount(price, "price"), amount(quantity, "quantity")
        with self.market_lock:
            self._orders += 1
            order = SandboxOrder(
                number=self._orders,
                id=str(self._orders),
                client_order_id="",
                account=token or self.token,
                symbol=pair,
                side=_side(side),
                price=price,
                quantity=quantity,
                created=self.now(),
            )
            self._tell(order, order.quantity)
            self._change_level(order, order.quantity)
            return order

    def fill(self, order: SandboxOrder, quantity: Optional[Amount] = None) -> None:
        """Execute *quantity*, or all that remains: publishes the order, a trade, the level and a ticker.

        Raises:
            ValueError: it is not open, or less than that remains.
        """
        with self.market_lock:
            self._need_open(order)
            traded = order.remaining if quantity is None else amount(quantity, "quantity")
            if traded > order.remaining:
                raise ValueError(f"{order.id}: only {plain(order.remaining)} remains")
            order.filled += traded
            order.status = "FILL" if order.remaining else "DONE"
            self._tell(order, order.remaining or order.quantity)
            pk = order.number if self.pk_in_trades else None
            self.trade(order.symbol, order.side, order.price, plain(traded), order.created // 1000, pk=pk)
            self._change_level(order, -traded)
            ticker = self._tickers.setdefault(
                order.symbol,
                {"first": order.price, "high": order.price, "low": order.price, "volume": Decimal(0)},
            )
            ticker["high"] = max(ticker["high"], order.price)
            ticker["low"] = min(ticker["low"], order.price)
            ticker["volume"] += traded
            self.ticker(order.symbol, order.price, **ticker)

    def cancel(self, order: SandboxOrder) -> None:
        """Publishes the order as closed, with what was filled of it, and the level.

        Raises:
            ValueError: it is not open.
        """
        with self.market_lock:
            self._need_open(order)
            order.status = "CANCELLED"
            self._tell(order, order.filled)
            self._change_level(order, -order.remaining)

    def step(self, chooser: random.Random, limit: int) -> int:
        before = self.published_count
        order = self.walked_order(chooser) if limit >= 4 else None
        if order is not None:
            if chooser.random() < 0.8:
                part = (order.remaining / 2).quantize(Decimal("0.00000001"))
                self.fill(order, part if chooser.random() < 0.5 and 0 < part < order.remaining else None)
            else:
                self.cancel(order)
            return self.published_count - before
        pair, near = chooser.choice(WALK)
        price = (Decimal(near) * chooser.randint(9_900, 10_100) / 10_000).quantize(Decimal("0.01"))
        volume = Decimal(chooser.randint(1, 5_000_000)).scaleb(-6)
        if limit >= 2:
            self._walked.append(self.place(pair, chooser.choice(SIDES), price, volume))
        else:
            self.level(pair, chooser.choice(SIDES), price, volume)
        return self.published_count - before

    def _order(
        self, pair: str, side: str, price: Amount, volume: Amount, created_at: int, closed_at: Optional[int]
    ) -> Dict[str, Any]:
        total = Decimal(price) * Decimal(volume)
        return {
            "created_at": str(created_at),
            "closed_at": None if closed_at is None else str(closed_at),
            "side": _side(side),
            "volume": self._number(volume),
            "unit_price": self._number(price),
            "sum": self._number(plain(total)),
            "pair": pair,
        }

    def _tell(self, order: SandboxOrder, volume: Decimal) -> None:
        self.user_order(
            order.symbol,
            order.side,
            order.price,
            plain(volume),
            order.number,
            not order.open,
            order.created // 1000,
            order.account,
        )

    def _change_level(self, order: SandboxOrder, change: Decimal) -> None:
        levels = self._levels.setdefault(order.symbol, {}).setdefault(order.side, {})
        volume = levels.get(order.price, Decimal(0)) + change
        levels[order.price] = volume
        if not volume:
            del levels[order.price]
        self.level(order.symbol, order.side, order.price, plain(volume))

    def _need_open(self, order: SandboxOrder) -> None:
        if not order.open:
            raise ValueError(f"{order.id} is {order.status}")

    def _number(self, value: Amount) -> Union[Number, str]:
        if isinstance(value, float):
            raise TypeError(f"write {value!r} as a string or Decimal")
        return str(value) if self.numbers_as_strings else Number(value)

    def _publish(self, channel: str, pair: str, token: Optional[str], message: Dict[str, Any]) -> None:
        with self.market_lock:
            self.number_event(message)
            self.deliver_message(channel, pair, token, message)


def _side(side: str) -> str:
    if side not in SIDES:
        raise ValueError("side is 'selling' or 'buying'")
    return side
