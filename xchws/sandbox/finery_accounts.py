"""Who trades on the simulated Finery Markets and what, and what everybody owns.

Currencies, instruments and rows as on the pages "instruments", "positions" and "Feed K" of
https://faq.finerymarkets.com/api-reference/ (read 2026-11). Knows nothing of connections: what is told goes to
``deliver_event``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Deque, Dict, List, Optional, Sequence, Tuple

from .finery_book import UNIT
from .market import Market

HOUSE = 9  # the client id of the counterparty that the Python methods act for
FIRST_CLIENT = 1001
FIRST_ID = 9_007_199_254_740_993  # 2 ** 53 + 1: ids are uint64, and a double would lose this one
ROLES = ("both", "maker", "taker")

# name: id, balance step and value in USD (units), type, ids of its networks. What stands in the page's list of
# networks is a guess.
CURRENCIES: Dict[str, Tuple[int, int, int, str, Tuple[int, ...]]] = {
    "BTC": (71001, 1, 95_000 * UNIT, "crypto", (1,)),
    "ETH": (71002, 10, 3_120 * UNIT, "crypto", (2,)),
    "EUR": (71003, 1_000_000, 109_000_000, "fiat", ()),
    "USD": (71004, 1_000_000, UNIT, "fiat", ()),
}
# name: id (uint64; 42 is the WebSocket page's example).
INSTRUMENTS: Dict[str, int] = {"BTC-EUR": 42, "ETH-USD": 8_589_934_635, "BTC-USD": 8_589_934_636}
NETWORKS = (("Bitcoin", "Bitcoin main net", 1), ("Ethereum", "Ethereum main net", 2))


@dataclass(frozen=True)
class DealRecord:
    """One account's side of a deal, as its history has it."""

    id: int
    moment: int
    instrument: str
    counterparty: int
    row: List[Any]


@dataclass
class FineryAccount:
    """A client of the exchange. Amounts in units of 1e-8.

    Attributes:
        role: ``maker``, ``taker`` or ``both``: the order types and books it may use.
        agreed: whether the user agreement is signed.
        permitted: whether the key may be used for the WebSocket.
        trading: whether it may place orders.
        positions: by currency and counterparty.
        limits, global_limits: what feeds L and G tell, by counterparty and by currency.
    """

    key: str
    secret: str
    client_id: int
    role: str = "both"
    agreed: bool = True
    permitted: bool = True
    trading: bool = True
    positions: Dict[Tuple[str, int], int] = field(default_factory=dict)
    limits: Dict[int, Dict[str, Any]] = field(default_factory=dict)
    global_limits: Dict[str, List[Any]] = field(default_factory=dict)
    deals: Deque[DealRecord] = field(default_factory=deque)
    transactions: Deque[List[Any]] = field(default_factory=deque)
    last_nonce: int = -1
    nonces: Dict[int, float] = field(default_factory=dict)


class FineryAccounts(Market):
    """The accounts and their positions; numbers what happens and hands it on.

    Attributes:
        key, secret: of the first account.
        old_layouts: rows as the vendor's older pages have them.
    """

    def __init__(self, key: str, secret: str, seed: Optional[int], history: Optional[int], old_layouts: bool) -> None:
        super().__init__(seed, history)
        self.key = key
        self.secret = secret
        self.old_layouts = old_layouts
        self._history = history
        self._ids = FIRST_ID
        self._accounts: Dict[str, FineryAccount] = {}
        self._clients: Dict[int, FineryAccount] = {HOUSE: FineryAccount("", "", HOUSE)}
        self.add_account(key, secret)

    def deliver_event(
        self, feed: str, action: str, data: Any, targets: Sequence[str], account: Optional[FineryAccount]
    ) -> None:
        """Send it to the connections that are bound to it."""
        raise NotImplementedError

    def add_account(self, key: str, secret: str, role: str = "both") -> int:
        """One more client; its client id.

        Args:
            role: ``maker`` (order types limit and postOnly, feed B), ``taker`` (the other types, feed F) or ``both``.

        Raises:
            ValueError: an unknown role, or a key that there is already.
        """
        if role not in ROLES:
            raise ValueError(f"role is one of {', '.join(ROLES)}")
        with self.market_lock:
            if key in self._accounts:
                raise ValueError("there is an account with this key")
            account = FineryAccount(key, secret, FIRST_CLIENT + len(self._accounts), role)
            account.deals = deque(maxlen=self._history)
            account.transactions = deque(maxlen=self._history)
            self._accounts[key] = self._clients[account.client_id] = account
            return account.client_id

    def account(self, key: Optional[str] = None) -> FineryAccount:
        """The account with this key, the first one by default. Its switches may be set.

        Raises:
            KeyError: there is none.
        """
        return self._accounts[key or self.key]

    def find_account(self, key: str) -> Optional[FineryAccount]:
        """The account with this key, if there is one."""
        return self._accounts.get(key)

    def position(self, currency: str, counterparty: int = HOUSE, key: Optional[str] = None) -> int:
        """What the account owns (below zero: owes) of a currency with a counterparty, in units."""
        with self.market_lock:
            return self.account(key).positions.get((currency, counterparty), 0)

    def change_position(self, currency: str, change: int, counterparty: int = HOUSE, key: Optional[str] = None) -> None:
        """Add *change* units (below zero: take away): publishes it on feed K."""
        with self.market_lock:
            self._change_position(self.account(key), currency, counterparty, change)

    def position_row(self, account: FineryAccount, currency: str, counterparty: int) -> List[Any]:
        """A position as on the wire. What can be reached at most and at least is the value itself here."""
        value = account.positions.get((currency, counterparty), 0)
        row: List[Any] = [currency, value, counterparty]
        return row if self.old_layouts else [*row, value, value]

    @property
    def next_id(self) -> int:
        """The id that the next deal, settlement or transaction will have."""
        return self._ids

    def _take_id(self) -> int:
        self._ids += 1
        return self._ids - 1

    def _change_position(self, account: FineryAccount, currency: str, counterparty: int, change: int) -> None:
        where = (currency, counterparty)
        known = where in account.positions
        value = account.positions.get(where, 0) + change
        if value:
            account.positions[where] = value
        else:
            account.positions.pop(where, None)
        if value or known:
            action = "M" if known and value else "+" if value else "-"
            self._publish("K", action, self.position_row(account, currency, counterparty), (currency,), account)

    def _publish(
        self, feed: str, action: str, data: Any, targets: Sequence[str] = (), account: Optional[FineryAccount] = None
    ) -> None:
        """Number and deliver an event; the market lock must be held. What happens to the house is told to nobody."""
        if account is not None and account.client_id == HOUSE:
            return
        owner = None if account is None else account.key
        self.number_event({"feed": feed, "action": action, "data": data, "targets": list(targets), "key": owner})
        self.deliver_event(feed, action, data, targets, account)


def currency_rows(networks: bool) -> List[List[Any]]:
    """The currencies as on the wire, with or without their networks."""
    return [[name, *fields[:4]] + ([list(fields[4])] if networks else []) for name, fields in CURRENCIES.items()]


def instrument_rows() -> List[List[Any]]:
    """The instruments as on the wire."""
    return [[name, number, *name.split("-")] for name, number in INSTRUMENTS.items()]


def currency_named(name_or_id: object) -> Optional[str]:
    """The name of a currency given by name or id."""
    return next((name for name, row in CURRENCIES.items() if name_or_id in (name, row[0])), None)


def instrument_named(name_or_id: object) -> Optional[str]:
    """The name of an instrument given by name or id."""
    return next((name for name, number in INSTRUMENTS.items() if name_or_id in (name, number)), None)


def steps(instrument: str) -> Tuple[int, int]:
    """The balance steps of the asset and of the balance currency, in units."""
    asset, balance = instrument.split("-")
    return CURRENCIES[asset][1], CURRENCIES[balance][1]
