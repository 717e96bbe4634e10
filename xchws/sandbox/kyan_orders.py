"""Kyan's orders: a book of single orders per instrument, and what a fill does to the account.

Payloads: https://docs.kyan.blue/docs/ws-orderbook and ws-trade (read 2026-11). The fields of an order and the words of
``order_state`` are on no page that could be read; they follow the REST request and the prose. An edit is a cancel and
a post (docs.kyan.blue/docs/pub-order-lifecycle). Knows nothing of connections: events go to ``deliver_event``.
"""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .jsontext import Number, plain
from .kyan_accounts import KyanAccount, number
from .kyan_channels import PAIRS, PERPETUAL, Event, book_of, instrument_facts
from .market import Amount, Market, SandboxOrder, amount

# Changelog 1.14.0: a price is a multiple of its step (USD), a size of its own (contracts of options, USD of perpetuals).
PRICE_STEP = {"BTC_USDC": Decimal(1), "ETH_USDC": Decimal("0.1"), "ARB_USDC": Decimal("0.01")}
CONTRACT_STEP = {"BTC_USDC": Decimal("0.01"), "ETH_USDC": Decimal("0.1"), "ARB_USDC": Decimal(100)}
NEAR = {"BTC_USDC": Decimal(64_000), "ETH_USDC": Decimal(3_100), "ARB_USDC": Decimal("0.8")}
STATES = {"NEW": "open", "FILL": "partially_filled", "DONE": "filled", "CANCELLED": "cancelled"}
MATURITY = "26MAR27"
STRIKES = {"BTC_USDC": ("60000", "70000"), "ETH_USDC": ("3000", "4200"), "ARB_USDC": ("0.8", "1")}
LISTED = tuple(
    name
    for pair in PAIRS
    for name in (
        f"{pair}-PERPETUAL",
        *(f"{pair}-{MATURITY}-{strike}-{kind}" for strike in STRIKES[pair] for kind in ("C", "P")),
    )
)


@dataclass
class KyanOrder(SandboxOrder):
    """An order at rest; *symbol* is the instrument, *side* ``buy`` or ``sell``."""

    mmp: bool = False
    post_only: bool = True


class KyanOrders(Market):
    """Tells what it is told, and keeps the books for ``place``, ``fill``, ``edit`` and ``cancel``.

    ``book_lock`` guards the state and makes the order of events the order on every connection; it is held for moments
    only, never while a slow client is waited for.
    """

    def __init__(self, key: str, seed: Optional[int] = None, history: Optional[int] = None) -> None:
        super().__init__(seed, history)
        self.key = key
        self.book_lock = threading.RLock()
        self.instruments: List[str] = list(LISTED)
        self.updated_at = self.now()
        self._accounts: Dict[str, KyanAccount] = {}
        self._orders: Dict[str, KyanOrder] = {}
        self._placed = 0
        self._ids = random.Random(seed)
        self._prices: Dict[str, Decimal] = dict(NEAR)
        self._rates: Dict[str, Decimal] = {}
        self.add_account(key)

    def deliver_event(self, event: Event) -> None:
        """Send it to the connections that are subscribed, without waiting for any."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait for clients that read slowly."""
        raise NotImplementedError

    # Accounts.

    def add_account(self, key: str) -> KyanAccount:
        """One more account, with its own addresses; the one that is there already for a known key."""
        return self._accounts.setdefault(key, KyanAccount.of(key, len(self._accounts) + 1))

    def account(self, key: Optional[str] = None) -> KyanAccount:
        """The account of a key, the first one by default.

        Raises:
            KeyError: there is none.
        """
        return self._accounts[key or self.key]

    def known(self, key: str) -> bool:
        """Whether an account has this key."""
        return key in self._accounts

    def account_at(self, address: str) -> Optional[KyanAccount]:
        """The account that has this address."""
        for account in self._accounts.values():
            if address.lower() in (account.smart_account_address, account.owner):
                return account
        return None

    # Orders.

    def place(
        self,
        instrument_name: str,
        side: str,
        price: Amount,
        quantity: Amount,
        key: Optional[str] = None,
        mmp: bool = False,
        post_only: bool = True,
    ) -> KyanOrder:
        """A new limit order: publishes ``post_order``.

        Args:
            instrument_name: a listed one.
            side: ``buy`` or ``sell``.
            price: USD, a multiple of the pair's step (1, 0.1 or 0.01).
            quantity: contracts of an option (multiples of 0.01, 0.1 or 100), USD of a perpetual (whole).
            key: of the account, the first one by default.
            mmp: cancelled by ``trigger_mmp``.

        Raises:
            ValueError: an instrument, side or number that cannot be.
        """
        with self.changing():
            return self._post(instrument_name, side, price, quantity, key or self.key, mmp, post_only)

    def fill(self, order: KyanOrder, quantity: Optional[Amount] = None) -> None:
        """Execute *quantity*, or all that remains: publishes ``update_order``, ``trade`` and ``account_state``; the
        position follows.

        Raises:
            ValueError: it is not open, or less than that remains.
        """
        with self.changing():
            self._need_open(order)
            traded = order.remaining if quantity is None else amount(quantity, "quantity")
            if traded > order.remaining:
                raise ValueError(f"{order.id}: only {plain(order.remaining)} remains")
            order.filled += traded
            order.status = "FILL" if order.remaining else "DONE"
            if not order.open:
                del self._orders[order.id]
            account, now = self._accounts[order.account], self.now()
            pair = instrument_facts(order.symbol)["pair"]
            perpetual = PERPETUAL.fullmatch(order.symbol) is not None
            fee = traded * (1 if perpetual else order.price) * Decimal("0.0001")
            account.position(order.symbol).trade(traded if order.side == "buy" else -traded, order.price, fee)
            account.collateral -= fee
            self._tell("update_order", order)
            trade: Dict[str, Any] = {
                "margin_account_id": account.margin_account_id,
                "smart_account_address": account.smart_account_address,
                "trade_id": self._hex(),
                "order_id": order.id,
                "size": number(traded),
                "timestamp": now,
                "direction": order.side,
                "index_price": number(self._prices[pair]),
                "instrument_name": order.symbol,
                "average_price": number(order.price),
                "limit_price": number(order.price),
                "liquidation": False,
                "iv": Number("0.61"),
                "taker_fee": Number("0.0003"),
                "maker_fee": Number("0.0001"),
                "systemic_risk_fee": Number("0.0"),
                "liquidation_fee": 0,
                "realised_funding": 0,
            }
            if perpetual:
                del trade["iv"]
            facts = {**account.facts(pair), "direction": order.side}
            self._publish(Event("trade", trade, ("trade",), facts))
            self._publish_state(account, pair)

    def edit(self, order: KyanOrder, price: Optional[Amount] = None, quantity: Optional[Amount] = None) -> KyanOrder:
        """Another price or quantity: publishes ``cancel_order`` and the ``post_order`` of the order that replaces it.

        Raises:
            ValueError: it is not open, or the number cannot be.
        """
        with self.changing():
            self._need_open(order)
            self._checked(order.symbol, price or order.price, quantity or order.remaining)
            self._end(order)
            return self._post(
                order.symbol,
                order.side,
                price or order.price,
                quantity or order.remaining,
                order.account,
                order.mmp,
                order.post_only,
            )

    def cancel(self, order: KyanOrder) -> None:
        """Publishes ``cancel_order``.

        Raises:
            ValueError: it is not open.
        """
        with self.changing():
            self._need_open(order)
            self._end(order)

    def resting(self, **facts: Any) -> List[KyanOrder]:
        """The open orders, oldest first, that have all these facts (``instrument_name``, ``pair``, …)."""
        return [
            order
            for order in list(self._orders.values())
            if all(self._facts(order).get(name) == value for name, value in facts.items())
        ]

    def order_data(self, order: KyanOrder) -> Dict[str, Any]:
        """An order as the book channels show it."""
        return {
            "order_id": order.id,
            "instrument_name": order.symbol,
            "type": "good_til_cancelled",
            "direction": order.side,
            "price": number(order.price),
            "amount" if PERPETUAL.fullmatch(order.symbol) else "contracts": number(order.quantity),
            "filled_amount": number(order.filled),
            "order_state": STATES[order.status],
            "post_only": order.post_only,
            "mmp": order.mmp,
            "liquidation": False,
            "maker": self._accounts[order.account].smart_account_address,
            "taker": None,
            "creation_timestamp": order.created // 1000,
        }

    # Small change.

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Everything that changes or publishes happens inside. Not to be nested."""
        with self.market_lock:
            with self.book_lock:
                yield
            self.settle()

    def _post(
        self, name: str, side: str, price: Amount, quantity: Amount, key: str, mmp: bool, post_only: bool
    ) -> KyanOrder:
        if side not in ("buy", "sell") or name not in self.instruments:
            raise ValueError(f"{side!r} {name!r}: side is 'buy' or 'sell', the instrument a listed one")
        exact_price, exact_quantity = self._checked(name, price, quantity)
        self._placed += 1
        order = KyanOrder(
            number=self._placed,
            id=self._hex(),
            client_order_id="",
            account=self._accounts[key].key,
            symbol=name,
            side=side,
            price=exact_price,
            quantity=exact_quantity,
            created=self.now(),
            mmp=mmp,
            post_only=post_only,
        )
        self._orders[order.id] = order
        self._tell("post_order", order)
        return order

    def _end(self, order: KyanOrder) -> None:
        order.status = "CANCELLED"
        del self._orders[order.id]
        self._tell("cancel_order", order)

    def _tell(self, event_type: str, order: KyanOrder) -> None:
        channels = (book_of(order.symbol), "orderbook_maker")
        self._publish(Event(event_type, self.order_data(order), channels, self._facts(order)))

    def _facts(self, order: KyanOrder) -> Dict[str, Any]:
        return {
            **self._accounts[order.account].facts(),
            **instrument_facts(order.symbol),
            "direction": order.side,
        }

    def _publish_state(self, account: KyanAccount, pair: str) -> None:
        self._publish(Event("account_state", account.state(pair, self.now()), ("account_state",), account.facts(pair)))

    def _publish(self, event: Event) -> None:
        self.number_event({"type": event.type, "data": event.data})
        self.deliver_event(event)

    def _checked(self, name: str, price: Amount, quantity: Amount) -> Tuple[Decimal, Decimal]:
        exact = amount(price, "price"), amount(quantity, "quantity")
        for value, unit in zip(exact, self._units(name)):
            if value % unit:
                raise ValueError(f"{name}: {plain(value)} is no multiple of {unit}")
        return exact

    def _units(self, name: str) -> Tuple[Decimal, Decimal]:
        pair = instrument_facts(name)["pair"]
        return PRICE_STEP[pair], Decimal(1) if PERPETUAL.fullmatch(name) else CONTRACT_STEP[pair]

    def _need_open(self, order: KyanOrder) -> None:
        if not order.open:
            raise ValueError(f"{order.id} is {order.status}")

    def _hex(self) -> str:
        return f"{self._ids.getrandbits(128):032x}"
