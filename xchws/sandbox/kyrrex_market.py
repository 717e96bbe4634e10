"""Kyrrex's market: deposits and withdrawals with their statuses, addresses, the customer, and a life of its own.

``deposit`` has the fields of the vendor's webhook in snake case; ``withdrawal``, ``deposit_address`` and ``customer`` are
shown nowhere (https://docs.kyrrex.com/websocket names them, read 2026-11) and follow REST and webhooks.
Orders are in kyrrex_orders.py. Knows nothing of connections.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Dict, Optional, Tuple

from .kyrrex_orders import FIAT, KyrrexOrder, KyrrexOrders, currencies, decimal_text, time_text
from .market import Amount, amount

# The last status of each walk is the good end; ENDS are all ends, good and bad.
WALKS: Dict[str, Tuple[str, ...]] = {
    "deposit": ("created", "aml_processing", "processing", "done"),
    "withdrawal": ("initiated", "aml_processing", "processing", "done"),
}
DETOURS: Dict[str, Tuple[str, ...]] = {"deposit": ("frozen", "rejected"), "withdrawal": ("rejected", "postponed")}
ENDS = ("done", "rejected", "frozen")
NEAR = (
    ("btcusdt", Decimal(64_000)),
    ("ethusdt", Decimal(3_100)),
    ("trxusdt", Decimal("0.25")),
    ("btceur", Decimal(59_000)),
)
FILL_EVENTS = 4  # trade, order, two accounts
PLACE_EVENTS = 2  # order, account
WITHDRAWAL_EVENTS = 6  # four statuses, two accounts


@dataclass
class KyrrexTransfer:
    """A deposit or withdrawal as it stands.

    Attributes:
        kind: ``deposit`` or ``withdrawal``, the event's name.
        quantity, fee: of the asset.
        created: milliseconds since 1970.
    """

    kind: str
    uuid: str
    account: str
    asset: str
    quantity: Decimal
    fee: Decimal
    address: str
    dchain_id: str
    created: int
    status: str

    @property
    def open(self) -> bool:
        """Whether its status can still change."""
        return self.status not in ENDS


class KyrrexMarket(KyrrexOrders):
    """Publishes what it is told, consistent with the balances of ``KyrrexOrders``."""

    _transfers = 0
    _others = 0

    def deposit(
        self,
        asset: str,
        quantity: Amount,
        until: str = "created",
        fee: Amount = "0",
        dchain_id: Optional[str] = None,
        key: Optional[str] = None,
    ) -> KyrrexTransfer:
        """A deposit on its way: publishes every status up to *until* (``created``, ``aml_processing``, ``processing``,
        ``done``); ``done`` publishes the ``account`` too.

        Raises:
            ValueError: a number or status that cannot be.
        """
        return self._begin("deposit", asset, quantity, until, fee, dchain_id, key)

    def withdrawal(
        self,
        asset: str,
        quantity: Amount,
        until: str = "initiated",
        fee: Amount = "0",
        dchain_id: Optional[str] = None,
        key: Optional[str] = None,
    ) -> KyrrexTransfer:
        """A withdrawal of *quantity* and the *fee* besides: publishes the ``account`` of what it locks and every status
        up to *until* (``initiated``, ``aml_processing``, ``processing``, ``done``).

        Raises:
            ValueError: a number or status that cannot be, or more than is free.
        """
        return self._begin("withdrawal", asset, quantity, until, fee, dchain_id, key)

    def advance(self, transfer: KyrrexTransfer, status: Optional[str] = None) -> None:
        """Publish the next status, or this one: ``frozen`` and ``rejected`` (deposits), ``rejected`` and ``postponed``
        (withdrawals) are off the good way. The balances follow.

        Raises:
            ValueError: it has come to its end, or a status that it cannot have.
        """
        walk = WALKS[transfer.kind]
        with self.market_lock:
            if not transfer.open:
                raise ValueError(f"{transfer.uuid} is {transfer.status}")
            if status is None:
                reached = walk.index(transfer.status) if transfer.status in walk else 0
                status = walk[reached + 1]
            elif status not in walk and status not in DETOURS[transfer.kind]:
                raise ValueError(
                    f"{transfer.kind}: {status!r} is none of {', '.join((*walk, *DETOURS[transfer.kind]))}"
                )
            transfer.status = status
            owner = self.owner(transfer.account)
            settled = transfer.kind == "withdrawal" and status in ENDS
            if transfer.kind == "deposit" and status == "done":
                owner.receive(transfer.asset, transfer.quantity - transfer.fee)
                settled = True
            elif settled and status == "done":
                owner.spend(transfer.asset, transfer.quantity + transfer.fee)
            elif settled:
                owner.lock(transfer.asset, -(transfer.quantity + transfer.fee))
            self._tell_transfer(transfer, "update")
            if settled:
                self._tell_account(owner, transfer.asset)

    def deposit_address(
        self, asset: str, dchain_id: Optional[str] = None, tag: Optional[str] = None, key: Optional[str] = None
    ) -> str:
        """A new address to deposit to: publishes and returns it."""
        with self.market_lock:
            uuid = self._transfer_id("a")
            address = "0x" + hashlib.sha256(uuid.encode()).hexdigest()[:40]
            content = {
                "uuid": uuid,
                "address": address,
                "tag": tag,
                "dchain_id": dchain_id or asset,
                "asset": asset,
                "created_at": time_text(self.now()),
            }
            self._publish(self.owner(key).key, "deposit_address", "create", content)
            return address

    def customer(self, key: Optional[str] = None, **more: Any) -> None:
        """Publish the customer's profile; *more* replaces or adds fields."""
        content: Dict[str, Any] = {
            "uuid": self.owner(key).user_uuid,
            "email": "demo@example.com",
            "first_name": "Demo",
            "last_name": "Customer",
            "phone": None,
            "country_id": 136,
            "city": "Valletta",
            "level_info": {"level": 1},
            **more,
        }
        self._publish(self.owner(key).key, "customer", "update", content)

    def step(self, chooser: random.Random, limit: int) -> int:
        before = self.published_count
        order = self.walked_order(chooser)
        if isinstance(order, KyrrexOrder) and limit >= FILL_EVENTS:
            if chooser.random() < 0.7:
                part = (order.remaining / 2).quantize(Decimal("1E-6"), ROUND_FLOOR)
                self.fill(order, part if chooser.random() < 0.5 and part else None)
            else:
                self.cancel(order)
        elif limit >= PLACE_EVENTS and chooser.random() < 0.7:
            self._place_something(chooser, limit)
        else:
            self._do_something_else(chooser, limit)
        return self.published_count - before

    def _place_something(self, chooser: random.Random, limit: int) -> None:
        market, near = chooser.choice(NEAR)
        price = (near * chooser.randint(9_900, 10_100) / 10_000).quantize(Decimal("0.0001"))
        quantity = (Decimal(chooser.randint(10, 900)) / near).quantize(Decimal("1E-6"))
        side = chooser.choice(("buy", "sell"))
        base, quote = currencies(market)
        currency, needed = (quote, price * quantity) if side == "buy" else (base, quantity)
        if self.owner().free.get(currency, Decimal(0)) >= needed:
            self._walked.append(self.place(market, side, price, quantity))
        elif limit > len(WALKS["deposit"]):
            self.deposit(currency, needed * 10, "done")
        else:
            self.account(currency)

    def _do_something_else(self, chooser: random.Random, limit: int) -> None:
        currency = chooser.choice(("usdt", "eur", "btc", "eth", "trx"))
        self._others += 1
        turn = self._others % 4
        quantity = (self.owner().free.get(currency, Decimal(0)) / 1_000).quantize(Decimal("1E-6"), ROUND_FLOOR)
        if turn == 0 and quantity and limit >= WITHDRAWAL_EVENTS:
            self.withdrawal(currency, quantity, "done")
        elif turn == 1:
            self.deposit_address(currency)
        elif turn == 2:
            self.customer(city=chooser.choice(("Valletta", "Mdina", "Sliema")))
        else:
            self.account(currency)

    def _begin(
        self,
        kind: str,
        asset: str,
        quantity: Amount,
        until: str,
        fee: Amount,
        dchain_id: Optional[str],
        key: Optional[str],
    ) -> KyrrexTransfer:
        exact, charge = amount(quantity, "quantity"), Decimal(fee)
        if until not in WALKS[kind]:
            raise ValueError(f"until is one of {', '.join(WALKS[kind])}")
        with self.market_lock:
            owner = self.owner(key)
            if kind == "withdrawal":
                owner.lock(asset, exact + charge)
            uuid = self._transfer_id(kind[0])
            digest = hashlib.sha256(uuid.encode()).hexdigest()
            transfer = KyrrexTransfer(
                kind,
                uuid,
                owner.key,
                asset,
                exact,
                charge,
                "0x" + digest[:40],
                dchain_id or asset,
                self.now(),
                WALKS[kind][0],
            )
            self._tell_transfer(transfer, "create")
            if kind == "withdrawal":
                self._tell_account(owner, asset)
            while transfer.status != until:
                self.advance(transfer)
            return transfer

    def _tell_transfer(self, transfer: KyrrexTransfer, action: str) -> None:
        on_chain = transfer.kind == "deposit" or transfer.status == "done"
        tx_id = hashlib.sha256(transfer.uuid.encode()).hexdigest() if on_chain else None
        now = time_text(self.now())
        content = {
            "uuid": transfer.uuid,
            "tx_id": tx_id,
            "tx_link": f"https://explorer.example/tx/{tx_id}" if tx_id else None,
            "type": "deposit" if transfer.kind == "deposit" else "withdraw",
            "status": transfer.status,
            "address": transfer.address,
            "tag": None,
            "amount": decimal_text(transfer.quantity),
            "asset": transfer.asset,
            "asset_type": "fiat" if transfer.asset in FIAT else "crypto",
            "dchain_id": transfer.dchain_id,
            "fee": decimal_text(transfer.fee),
            "control": None,
            "high_risk": None,
            "created_at": time_text(transfer.created),
            "updated_at": now,
            "done_at": now if transfer.status == "done" else None,
        }
        self._publish(transfer.account, transfer.kind, action, content)

    def _transfer_id(self, letter: str) -> str:
        self._transfers += 1
        return f"{letter}-{5_000 + self._transfers}"
