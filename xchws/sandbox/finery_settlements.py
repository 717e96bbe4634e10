"""Settlements on the simulated Finery Markets: orders, transactions and requests, as feeds S, N and R tell them.

Layouts: pages "Feed S", "Feed N", "Feed R" and "settlementTransactionHistory" of
https://faq.finerymarkets.com/api-reference/ (read 2026-11). Amounts in units of 1e-8.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from .finery_accounts import HOUSE, FineryAccount, FineryAccounts

DAY = 86_400_000  # milliseconds


class FinerySettlements(FineryAccounts):
    """Settles what it is told to; every verb takes the account's *key*, the first one's by default."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._settlement_orders: Dict[Tuple[str, int], Dict[str, Any]] = {}
        # Rows, and whether they are incoming, by account and id.
        self._transactions: Dict[Tuple[str, int], Tuple[List[Any], bool]] = {}
        self._requests: Dict[Tuple[str, int], Tuple[List[Any], bool]] = {}

    # Settlement orders, feed S.

    def settlement(
        self,
        currency: str,
        size: int,
        currency2: Optional[str] = None,
        size2: Optional[int] = None,
        *,
        counterparty: int = HOUSE,
        comment: str = "",
        network: Optional[int] = None,
        key: Optional[str] = None,
    ) -> int:
        """A new settlement order: ``+`` on feed S; its id."""
        with self.market_lock:
            account = self.account(key)
            number = self._take_id()
            order: Dict[str, Any] = {
                "settlementOrderId": number,
                "clientId": account.client_id,
                "counterpartyId": counterparty,
                "createdAt": self.now(),
                "comment": comment,
                "flags": 0,
                "currency1": currency,
                "size1": size,
            }
            further = {"network1": network, "currency2": currency2, "size2": size2}
            order.update({name: value for name, value in further.items() if value is not None})
            self._settlement_orders[account.key, number] = order
            self._tell_settlement("+", order, account)
            return number

    def modify_settlement(
        self, number: int, size: Optional[int] = None, comment: Optional[str] = None, key: Optional[str] = None
    ) -> None:
        """Change a settlement order: ``M`` on feed S.

        Raises:
            KeyError: there is none of this id.
        """
        with self.market_lock:
            account = self.account(key)
            order = dict(self._settlement_orders[account.key, number])
            changes = {"size1": size, "comment": comment}
            order.update({name: value for name, value in changes.items() if value is not None})
            self._settlement_orders[account.key, number] = order
            self._tell_settlement("M", order, account)

    def cancel_settlement(self, number: int, key: Optional[str] = None) -> None:
        """End a settlement order: ``-`` on feed S.

        Raises:
            KeyError: there is none of this id.
        """
        with self.market_lock:
            account = self.account(key)
            self._tell_settlement("-", self._settlement_orders.pop((account.key, number)), account)

    def settle(self, number: int, key: Optional[str] = None) -> None:
        """Carry a settlement order out: ``D`` on feed S, then the positions change by its sizes.

        Raises:
            KeyError: there is none of this id.
        """
        with self.market_lock:
            account = self.account(key)
            order = self._settlement_orders.pop((account.key, number))
            deal = {**order, "settlementId": self._take_id(), "commitedAt": self.now()}
            self._tell_settlement("D", deal, account)
            for name, size in (("currency1", "size1"), ("currency2", "size2")):
                if name in order and size in order:
                    self._change_position(account, order[name], order["counterpartyId"], order[size])

    # Settlement transactions, feed N.

    def transaction(
        self,
        currency: str,
        amount: int,
        incoming: bool = True,
        *,
        counterparty: int = HOUSE,
        comment: str = "",
        tx_id: str = "",
        settlement_order: int = 0,
        network: Optional[str] = None,
        key: Optional[str] = None,
    ) -> int:
        """A new settlement transaction to or from the account: ``+`` on feed N; its id."""
        with self.market_lock:
            account = self.account(key)
            number, now = self._take_id(), self.now()
            row = [counterparty, currency, amount, settlement_order, comment, now, tx_id, now, 0, 0, number, 0, network]
            self._transactions[account.key, number] = (row, incoming)
            self._publish("N", "+", _sides(row, incoming), (), account)
            return number

    def modify_transaction(self, number: int, tx_id: str, key: Optional[str] = None) -> None:
        """Give a transaction another txId: ``M`` on feed N.

        Raises:
            KeyError: there is none of this id.
        """
        with self.market_lock:
            account = self.account(key)
            row, incoming = self._transactions[account.key, number]
            row = [*row[:6], tx_id, *row[7:]]
            self._transactions[account.key, number] = (row, incoming)
            self._publish("N", "M", _sides(row, incoming), (), account)

    def commit_transaction(self, number: int, key: Optional[str] = None) -> None:
        """Its receiver has it: ``D`` on feed N, the history, and the position changes.

        Raises:
            KeyError: there is none of this id.
        """
        self._end_transaction(number, 0, key)

    def cancel_transaction(self, number: int, key: Optional[str] = None) -> None:
        """Its sender takes it back: ``-`` on feed N, and the history.

        Raises:
            KeyError: there is none of this id.
        """
        self._end_transaction(number, 2, key)

    # Settlement requests, feed R.

    def settlement_request(
        self,
        currency: str,
        amount: int,
        incoming: bool = True,
        *,
        counterparty: int = HOUSE,
        comment: str = "",
        network: Optional[str] = None,
        key: Optional[str] = None,
    ) -> int:
        """A new settlement request: ``+`` on feed R; its id."""
        with self.market_lock:
            account = self.account(key)
            number, now = self._take_id(), self.now()
            row = [counterparty, currency, 0, amount, comment, now + DAY, network, number, now]
            self._requests[account.key, number] = (row, incoming)
            self._publish("R", "+", _sides(row, incoming), (), account)
            return number

    def withdraw_request(self, number: int, key: Optional[str] = None) -> None:
        """End a settlement request: ``-`` on feed R.

        Raises:
            KeyError: there is none of this id.
        """
        with self.market_lock:
            account = self.account(key)
            row, incoming = self._requests.pop((account.key, number))
            self._publish("R", "-", _sides(row, incoming), (), account)

    # For requests and feeds.

    def settlement_orders(self, account: FineryAccount) -> List[Dict[str, Any]]:
        """The account's open settlement orders, as feed S has them."""
        return [order for (key, _), order in self._settlement_orders.items() if key == account.key]

    def settlement_rows(self, account: FineryAccount) -> List[List[Any]]:
        """The same as in the answer to ``positions``."""
        names = ("settlementOrderId", "currency1", "currency2", "size1", "size2", "createdAt", "counterpartyId")
        return [
            [*(order.get(name) for name in names), order.get("network1"), order.get("network2")]
            for order in self.settlement_orders(account)
        ]

    def transactions(self, account: FineryAccount) -> Tuple[List[Any], List[Any]]:
        """The account's pending transactions: incoming, outgoing."""
        return _divided(account, self._transactions)

    def settlement_requests(self, account: FineryAccount) -> Tuple[List[Any], List[Any]]:
        """The account's settlement requests: incoming, outgoing."""
        return _divided(account, self._requests)

    def _tell_settlement(self, action: str, order: Dict[str, Any], account: FineryAccount) -> None:
        currencies = [order[name] for name in ("currency1", "currency2") if name in order]
        self._publish("S", action, [order], currencies, account)

    def _end_transaction(self, number: int, flags: int, key: Optional[str]) -> None:
        with self.market_lock:
            account = self.account(key)
            row, incoming = self._transactions.pop((account.key, number))
            row = [*row[:8], flags, self.now(), *row[10:]]
            account.transactions.append(row)
            self._publish("N", "-" if flags else "D", _sides(row, incoming), (), account)
            if not flags:
                self._change_position(account, row[1], row[0], row[2] if incoming else -row[2])


def _sides(row: List[Any], incoming: bool) -> List[List[Any]]:
    return [[row], []] if incoming else [[], [row]]


def _divided(
    account: FineryAccount, rows: Dict[Tuple[str, int], Tuple[List[Any], bool]]
) -> Tuple[List[Any], List[Any]]:
    mine = [item for (key, _), item in rows.items() if key == account.key]
    return [row for row, incoming in mine if incoming], [row for row, incoming in mine if not incoming]
