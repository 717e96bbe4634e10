"""Kyrrex's accounts and orders: what is free, what is locked, and what a fill moves.

The object ``account``: https://docs.kyrrex.com/websocket (read 2026-11). ``order`` and ``trade`` are shown nowhere: their
fields follow the vendor's webhooks and REST. Knows nothing of connections: objects go to ``deliver_object``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Dict, Optional, Tuple

from .jsontext import plain
from .market import Amount, Market, SandboxOrder, amount

QUOTES = ("usdt", "eur")
FEE = Decimal("0.001")  # of what is bought; a guess
FIAT = ("eur",)
STATES = {"NEW": "wait", "FILL": "wait", "DONE": "done", "CANCELLED": "cancel"}
FIRST_TRADE = 90_000
# What an account has at first, so that it can trade.
ENDOWMENT = {
    "usdt": Decimal(100_000),
    "eur": Decimal(50_000),
    "btc": Decimal(5),
    "eth": Decimal(50),
    "trx": Decimal(500_000),
}


@dataclass
class KyrrexOrder(SandboxOrder):
    """*symbol* is the market (``btcusdt``), *side* ``buy`` or ``sell``."""

    trades: int = 0


@dataclass
class KyrrexAccount:
    """A customer: an API key, and what it owns: per currency what is free and what is locked."""

    key: str
    secret: str
    user_uuid: str
    free: Dict[str, Decimal] = field(default_factory=lambda: dict(ENDOWMENT))
    locked: Dict[str, Decimal] = field(default_factory=dict)

    def lock(self, currency: str, quantity: Decimal) -> None:
        """Move what is free to what is locked; below zero: back.

        Raises:
            ValueError: there is not so much.
        """
        free, locked = self.free.get(currency, Decimal(0)), self.locked.get(currency, Decimal(0))
        if quantity > free or -quantity > locked:
            raise ValueError(f"{self.user_uuid} has {plain(free)} {currency} free and {plain(locked)} locked")
        self.free[currency], self.locked[currency] = free - quantity, locked + quantity

    def spend(self, currency: str, quantity: Decimal) -> None:
        """Take it from what is locked."""
        self.lock(currency, -quantity)
        self.free[currency] -= quantity

    def receive(self, currency: str, quantity: Decimal) -> None:
        """Add it to what is free."""
        self.free[currency] = self.free.get(currency, Decimal(0)) + quantity


class KyrrexOrders(Market):
    """Keeps the books for ``place``, ``fill`` and ``cancel``; every change is an object of the owner's stream."""

    def __init__(
        self, key: str, secret: str, user_uuid: str, seed: Optional[int] = None, history: Optional[int] = None
    ) -> None:
        super().__init__(seed, history)
        self.key = key
        self.secret = secret
        self.user_uuid = user_uuid
        self._accounts: Dict[str, KyrrexAccount] = {}
        self._placed = 0
        self._trades = FIRST_TRADE
        self.add_account(key, secret, user_uuid)

    def deliver_object(self, key: str, event: str, action: str, content: Dict[str, Any]) -> None:
        """Push an object to the account's connections."""
        raise NotImplementedError

    def add_account(self, key: str, secret: str, user_uuid: str) -> KyrrexAccount:
        """One more customer."""
        account = self._accounts[key] = KyrrexAccount(key, secret, user_uuid)
        return account

    def owner(self, key: Optional[str] = None) -> KyrrexAccount:
        """The account of a key, the first one by default.

        Raises:
            KeyError: there is none.
        """
        return self._accounts[key or self.key]

    def known(self, key: str) -> Optional[KyrrexAccount]:
        """The account of a key, None if there is none."""
        return self._accounts.get(key)

    def account(
        self,
        currency: str,
        balance: Optional[Amount] = None,
        locked: Optional[Amount] = None,
        key: Optional[str] = None,
        **more: str,
    ) -> None:
        """Publish what there is of a currency, after setting what is free (*balance*) and *locked*; *more* fields
        (``bonus``, ``tag``, …) as they are to be on the wire."""
        with self.market_lock:
            owner = self.owner(key)
            if balance is not None:
                owner.free[currency] = Decimal(balance)
            if locked is not None:
                owner.locked[currency] = Decimal(locked)
            self._tell_account(owner, currency, **more)

    def place(self, market: str, side: str, price: Amount, quantity: Amount, key: Optional[str] = None) -> KyrrexOrder:
        """A new limit order: publishes ``order`` and the ``account`` of what it locks.

        Raises:
            ValueError: a market, side or number that cannot be, or more than is free.
        """
        base, quote = currencies(market)
        if side not in ("buy", "sell"):
            raise ValueError("side is 'buy' or 'sell'")
        price, quantity = amount(price, "price"), amount(quantity, "quantity")
        with self.market_lock:
            owner = self.owner(key)
            currency = quote if side == "buy" else base
            owner.lock(currency, price * quantity if side == "buy" else quantity)
            self._placed += 1
            order = KyrrexOrder(
                number=self._placed,
                id=str(40_000 + self._placed),
                client_order_id="",
                account=owner.key,
                symbol=market,
                side=side,
                price=price,
                quantity=quantity,
                created=self.now(),
            )
            self._tell_order(order, "create")
            self._tell_account(owner, currency)
            return order

    def fill(self, order: KyrrexOrder, quantity: Optional[Amount] = None) -> None:
        """Execute *quantity*, or all that remains: publishes ``trade``, ``order``, and the ``account`` of both
        currencies.

        Raises:
            ValueError: it is not open, or less than that remains.
        """
        with self.market_lock:
            self._need_open(order)
            traded = order.remaining if quantity is None else amount(quantity, "quantity")
            if traded > order.remaining:
                raise ValueError(f"{order.id}: only {plain(order.remaining)} remains")
            base, quote = currencies(order.symbol)
            buys = order.side == "buy"
            funds = traded * order.price
            owner = self.owner(order.account)
            paid, got = (quote, base) if buys else (base, quote)
            received = traded if buys else funds
            owner.spend(paid, funds if buys else traded)
            owner.receive(got, received * (1 - FEE))
            order.filled += traded
            order.status = "FILL" if order.remaining else "DONE"
            order.trades += 1
            self._trades += 1
            trade = {
                "id": self._trades,
                "order_id": int(order.id),
                "market": order.symbol,
                "side": order.side,
                "type": "bid" if buys else "ask",
                "price": decimal_text(order.price),
                "volume": decimal_text(traded),
                "volume_asset": base,
                "funds": decimal_text(funds),
                "funds_asset": quote,
                "fee": decimal_text(received * FEE),
                "fee_asset": got,
                "in_asset": got,
                "out_asset": paid,
                "created_at": time_text(self.now()),
            }
            self._publish(owner.key, "trade", "create", trade)
            self._tell_order(order, "update")
            self._tell_account(owner, paid)
            self._tell_account(owner, got)

    def cancel(self, order: KyrrexOrder) -> None:
        """Publishes ``order`` and the ``account`` of what was locked.

        Raises:
            ValueError: it is not open.
        """
        with self.market_lock:
            self._need_open(order)
            base, quote = currencies(order.symbol)
            owner = self.owner(order.account)
            currency = quote if order.side == "buy" else base
            owner.lock(currency, -(order.remaining * order.price if order.side == "buy" else order.remaining))
            order.status = "CANCELLED"
            self._tell_order(order, "update")
            self._tell_account(owner, currency)

    def _tell_order(self, order: KyrrexOrder, action: str) -> None:
        content = {
            "id": int(order.id),
            "market": order.symbol,
            "side": order.side,
            "ord_type": "limit",
            "state": STATES[order.status],
            "price": decimal_text(order.price),
            "avg_price": decimal_text(order.price if order.filled else Decimal(0)),
            "volume": decimal_text(order.quantity),
            "origin_volume": decimal_text(order.quantity),
            "remaining_volume": decimal_text(order.remaining),
            "executed_volume": decimal_text(order.filled),
            "trades_count": order.trades,
            "created_at": time_text(order.created),
        }
        self._publish(order.account, "order", action, content)

    def _tell_account(self, owner: KyrrexAccount, currency: str, **more: str) -> None:
        free, locked = owner.free.get(currency, Decimal(0)), owner.locked.get(currency, Decimal(0))
        content = {
            "aml_locked": "0.0",
            "balance": decimal_text(free),
            "bonus": "0.0",
            "coin_type": "fiat" if currency in FIAT else "crypto",
            "currency": currency,
            "launchpad": "0.0",
            "locked": decimal_text(locked),
            "name": currency,
            "savings": "0.0",
            "stacking": "0.0",
            "tag": "",
            "total": decimal_text(free + locked),
            **more,
        }
        self._publish(owner.key, "account", "update", content)

    def _publish(self, key: str, event: str, action: str, content: Dict[str, Any]) -> None:
        with self.market_lock:
            self.number_event({"event": event, "action": action, "object": content})
            self.deliver_object(key, event, action, content)

    def _need_open(self, order: KyrrexOrder) -> None:
        if not order.open:
            raise ValueError(f"{order.id} is {order.status}")


def currencies(market: str) -> Tuple[str, str]:
    """``btc`` and ``usdt`` of ``btcusdt``.

    Raises:
        ValueError: not a currency followed by usdt or eur.
    """
    for quote in QUOTES:
        if market.endswith(quote) and market != quote and market == market.lower():
            return market[: -len(quote)], quote
    raise ValueError(f"{market!r}: a market is like 'btcusdt' or 'btceur'")


def decimal_text(value: Decimal) -> str:
    """As the vendor writes decimals: without exponent, at least one place, ``0.0``."""
    text = plain(value)
    return text if "." in text else text + ".0"


def time_text(milliseconds: int) -> str:
    """``2026-05-02T10:00:00Z``. The time format is told nowhere."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
