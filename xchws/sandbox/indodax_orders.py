"""Indodax's orders: their life, and each step of it as the vendor's page shows it on the wire.

Fields and their order: https://github.com/btcid/indodax-official-api-docs, Private-websocket.md (read 2026-11).
Knows nothing of connections: what is made here goes to ``deliver_orders``.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .jsontext import Number, plain
from .market import Amount, Market, SandboxOrder, amount

QUOTES = ("idr", "usdt")
# What one step of the quote currency is; fees are cut down to it. The page's example is in whole rupiah; that usdt
# has 8 places is a guess.
STEP = {"idr": Decimal(1), "usdt": Decimal("0.00000001")}

# fee, tax and clearing as the page's example of a taker's fill has them; a maker's are a guess of the same kind.
RATES: Dict[str, Tuple[Number, Number, Number]] = {
    "TAKER": (Number("0.002"), Number("0.0012"), Number("2.22E-4")),
    "MAKER": (Number("0.001"), Number("0.0012"), Number("1.11E-4")),
}
FIRST_TRADE = 72057594037927936  # 2 ** 56: the example's trade id lies just above, and beyond a double's precision

WALK = (("btcidr", 1_600_000_000), ("ethidr", 55_000_000), ("solidr", 2_400_000), ("aaveidr", 4_200_000))


class IndodaxOrders(Market):
    """Places, fills, cancels and rejects; every step is one event of the owner's stream."""

    def __init__(self, key: str, seed: Optional[int] = None, history: Optional[int] = None) -> None:
        super().__init__(seed, history)
        self.key = key
        self._orders = 0
        self._trades = 0
        self._batches = 0
        self._batched: List[Tuple[str, Dict[str, Any]]] = []

    def deliver_orders(self, key: str, events: List[Dict[str, Any]]) -> None:
        """Push these events to the account's connections, as one push."""
        raise NotImplementedError

    def place(
        self,
        symbol: str,
        side: str,
        price: Amount,
        quantity: Amount,
        client_order_id: Optional[str] = None,
        key: Optional[str] = None,
        participant: str = "MAKER",
    ) -> SandboxOrder:
        """A new limit order: publishes NEW.

        Args:
            symbol: as on the wire, ``btcidr``.
            side: ``BUY`` or ``SELL``.
            price: rupiah or usdt per unit.
            quantity: in the base currency.
            client_order_id: what the user gave; made up as the exchange does if None.
            key: the account, the first one by default.
            participant: ``MAKER`` or ``TAKER`` in its fills.

        Raises:
            ValueError: a side, symbol, participant or number that cannot be.
        """
        quote_of(symbol)
        if side not in ("BUY", "SELL") or participant not in RATES:
            raise ValueError("side is BUY or SELL, participant is MAKER or TAKER")
        price, quantity = amount(price, "price"), amount(quantity, "quantity")
        with self.market_lock:
            self._orders += 1
            name = f"{symbol}-limit-{self._orders}"
            order = SandboxOrder(
                number=self._orders,
                id=name,
                client_order_id=client_order_id or name,
                account=key or self.key,
                symbol=symbol,
                side=side,
                price=price,
                quantity=quantity,
                created=self.now(),
                participant=participant,
            )
            self._publish(order, order_event(order, "NEW", order.created))
            return order

    def fill(self, order: SandboxOrder, quantity: Optional[Amount] = None) -> None:
        """Execute *quantity* of it, or all that remains: publishes FILL, and DONE after the last one.

        Raises:
            ValueError: it is not open, or less than that remains.
        """
        with self.market_lock:
            self._need_open(order)
            traded = order.remaining if quantity is None else amount(quantity, "quantity")
            if traded > order.remaining:
                raise ValueError(f"{order.id}: only {plain(order.remaining)} remains")
            order.filled += traded
            order.status = "FILL"
            self._trades += 1
            now = self.now()
            self._publish(order, fill_event(order, str(FIRST_TRADE + self._trades), traded, now))
            if not order.remaining:
                order.status = "DONE"
                self._publish(order, order_event(order, "DONE", now))

    def cancel(self, order: SandboxOrder) -> None:
        """Publishes CANCELLED with the quantities as they stand.

        Raises:
            ValueError: it is not open.
        """
        self._end(order, "CANCELLED")

    def reject(self, order: SandboxOrder) -> None:
        """Publishes REJECTED.

        Raises:
            ValueError: it is not open.
        """
        self._end(order, "REJECTED")

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Events made inside go out together: one push per account, one ``data`` array."""
        with self.market_lock:
            self._batches += 1
            try:
                yield
            finally:
                self._batches -= 1
                if not self._batches:
                    batched, self._batched = self._batched, []
                    for key in dict.fromkeys(key for key, _ in batched):
                        self.deliver_orders(key, [event for owner, event in batched if owner == key])

    def step(self, chooser: random.Random, limit: int) -> int:
        order = self.walked_order(chooser)
        if order is None:
            symbol, near = chooser.choice(WALK)
            price = near + near * chooser.randint(-200, 200) // 10_000
            quantity = Decimal(chooser.randint(10_000, 500_000_000)).scaleb(-8)
            participant = chooser.choice(("MAKER", "TAKER"))
            side = chooser.choice(("BUY", "SELL"))
            self._walked.append(self.place(symbol, side, price, quantity, participant=participant))
            return 1
        before = self.published_count
        luck = chooser.random()
        part = (order.remaining * chooser.randint(10, 90) / 100).quantize(Decimal("1E-8"), ROUND_FLOOR)
        if luck < 0.45 and 0 < part < order.remaining:
            self.fill(order, part)
        elif luck < 0.8 and limit >= 2:
            self.fill(order)
        elif luck < 0.97 or order.filled:
            self.cancel(order)
        else:
            self.reject(order)
        return self.published_count - before

    def _end(self, order: SandboxOrder, status: str) -> None:
        with self.market_lock:
            self._need_open(order)
            order.status = status
            self._publish(order, order_event(order, status, self.now()))

    def _need_open(self, order: SandboxOrder) -> None:
        if not order.open:
            raise ValueError(f"{order.id} is {order.status}")

    def _publish(self, order: SandboxOrder, event: Dict[str, Any]) -> None:
        self.number_event(event)
        if self._batches:
            self._batched.append((order.account, event))
        else:
            self.deliver_orders(order.account, [event])


def quote_of(symbol: str) -> str:
    """``idr`` of ``btcidr``.

    Raises:
        ValueError: not a base currency followed by idr or usdt.
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and symbol != quote and symbol == symbol.lower():
            return quote
    raise ValueError(f"{symbol!r}: a symbol is like 'btcidr' or 'btcusdt'")


def order_event(order: SandboxOrder, status: str, milliseconds: int) -> Dict[str, Any]:
    """The event of a step that is no execution."""
    return _event(order, status, milliseconds, {}, {})


def fill_event(order: SandboxOrder, trade_id: str, traded: Decimal, milliseconds: int) -> Dict[str, Any]:
    """The event of an execution of *traded*, which ``order.filled`` already holds."""
    quote = quote_of(order.symbol)
    information: Dict[str, Any] = {
        "participant": order.participant,
        "filledQty": plain(order.filled),
        "qty": plain(traded),
    }
    for name, rate in zip(("fee", "tax", "clearing"), RATES[order.participant]):
        charge = (traded * order.price * rate).quantize(STEP[quote], ROUND_FLOOR)
        information[f"{name}Asset"] = quote
        information[f"{name}Rate"] = rate
        information[name] = plain(charge)
    return _event(order, "FILL", milliseconds, {"tradeId": trade_id}, {"fillInformation": information})


def _event(
    order: SandboxOrder, status: str, milliseconds: int, trade: Dict[str, Any], information: Dict[str, Any]
) -> Dict[str, Any]:
    quote = quote_of(order.symbol)
    base = order.symbol[: -len(quote)]
    return {
        "eventType": "order_update",
        "order": {
            "orderId": order.id,
            **trade,
            "symbol": order.symbol,
            "side": order.side,
            "origQty": plain(order.quantity),
            "unfilledQty": plain(order.remaining),
            "executedQty": plain(order.filled),
            "price": plain(order.price),
            "description": f"{base.upper()}/{quote.upper()}",
            "status": status,
            "transactionTime": milliseconds,
            **information,
            "clientOrderId": order.client_order_id,
        },
    }
