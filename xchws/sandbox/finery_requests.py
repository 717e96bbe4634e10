"""The requests that a connection of the simulated Finery Markets may send: orders, and questions about everything.

Pages "add", "mod", "del", "book", "instruments", "positions", "dealHistory", "climits" and
"settlementTransactionHistory" of https://faq.finerymarkets.com/api-reference/rest-api (read 2026-11). Which code
answers which mistake in the content, and the answer to ``delAll``, are guesses. Knows no connections.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from .finery_accounts import INSTRUMENTS, NETWORKS, FineryAccount, currency_rows, instrument_rows, steps
from .finery_book import MAKER_TYPES, MARKET_TYPES, SIDES, TYPES, FineryOrder, FineryRefusal
from .finery_content import Content
from .finery_feeds import everything
from .finery_walk import FineryWalk

MAX_ROWS = 250
MAX_MAKER_ORDERS = 30  # per side of a book
LARGEST_CLIENT_ORDER_ID = 2**63 - 1


class FineryRequest:
    """One request of an account; the market lock must be held.

    Args:
        connection: the number of the connection it came by.
        remark: is told what the vendor merely might frown upon.
    """

    def __init__(
        self,
        exchange: FineryWalk,
        account: FineryAccount,
        content: Content,
        connection: int,
        remark: Callable[[str], None],
    ) -> None:
        self._exchange = exchange
        self._account = account
        self._content = content
        self._connection = connection
        self._remark = remark

    def answer(self, method: object) -> Any:
        """What stands under ``reply``.

        Raises:
            FineryRefusal: what stands under ``error``, ``param`` and so on.
        """
        act = METHODS.get(method) if isinstance(method, str) else None
        if act is None:
            raise FineryRefusal(8)
        reply = act(self)
        for name in self._content.unread:
            self._remark(f"{method} with {name!r}, which it does not know")
        return reply

    # Orders.

    def _add(self) -> Dict[str, Any]:
        content, account = self._content, self._account
        instrument = self._instrument()
        kind = content.choice("type", TYPES)
        side = content.choice("side", SIDES)
        client_order_id = self._client_order_id()
        maker = kind in MAKER_TYPES
        if account.role == ("taker" if maker else "maker"):
            raise FineryRefusal(73)
        if not account.trading:
            raise FineryRefusal(84)
        by_volume = content.has("volume")
        if by_volume == content.has("size"):
            raise FineryRefusal(81)
        if by_volume and maker:
            raise FineryRefusal(82)
        asset_step, balance_step = steps(instrument)
        if by_volume:
            amount = self._amount("volume", balance_step, 83)
        else:
            amount = self._amount("size", asset_step, 70)
        price = 0
        if kind not in MARKET_TYPES:
            price = self._amount("price", balance_step, 71)
        elif content.has("price"):
            content.integer("price")
            self._remark("a price in a market order")
        cod = content.flag("cod")
        content.flag("qsEnabled")
        content.flag("firmBookEnabled")
        content.integers("makers")
        resting = self._exchange.open_orders(account)
        if client_order_id in [order.client_order_id for order in resting]:
            raise FineryRefusal(74)
        same = [order for order in resting if (order.instrument, order.side) == (instrument, side)]
        if maker and len(same) >= MAX_MAKER_ORDERS:
            raise FineryRefusal(79)  # the page names the limit, not the code
        order = self._exchange.new_order(
            account,
            instrument,
            kind,
            side,
            price,
            amount,
            by_volume,
            client_order_id,
            self._connection if cod else None,
        )
        deals = self._exchange.execute(order)
        remaining = "remainingVolume" if by_volume else "remainingSize"
        reply: Dict[str, Any] = {"id": order.id, "clientOrderId": order.client_order_id, remaining: order.left}
        if order.reason:
            reply["cancelReason"] = order.reason
        return {**reply, "deals": deals}

    def _mod(self) -> Dict[str, Any]:
        if self._account.role == "taker":
            raise FineryRefusal(73)
        old = self._own_order(self._content.integer("orderId"), None)
        asset_step, balance_step = steps(old.instrument)
        price = self._amount("price", balance_step, 71)
        size = self._amount("size", asset_step, 70)
        client_order_id = self._client_order_id() if self._content.has("clientOrderId") else old.client_order_id
        if self._content.has("side") and self._content.choice("side", SIDES) != old.side:
            raise FineryRefusal(91)
        origin = {"origId": old.id, "origRemainingSize": old.left}
        self._exchange.cancel(old)
        # The old order is gone by now, whatever becomes of the new one.
        left = size - (old.initial - old.left)
        if left <= 0:
            raise FineryRefusal(90, more=origin)
        order = self._exchange.new_order(
            self._account,
            old.instrument,
            old.type,
            old.side,
            price,
            left,
            client_order_id=client_order_id,
            connection=old.connection,
        )
        try:
            deals = self._exchange.execute(order)
        except FineryRefusal as refusal:
            raise FineryRefusal(refusal.code, refusal.param, origin) from refusal
        reply = {"id": order.id, "initialSize": order.initial, "remainingSize": order.left}
        return {**reply, "cancelReason": order.reason, **origin, "deals": deals}

    def _del(self) -> Dict[str, Any]:
        content = self._content
        if content.has("orderId") and content.has("clientOrderId"):
            raise FineryRefusal(9, "clientOrderId")
        if content.has("clientOrderId"):
            order = self._own_order(None, content.integer("clientOrderId"))
        else:
            order = self._own_order(content.integer("orderId"), None)
        self._exchange.cancel(order)
        return {"id": order.id, "remainingSize": order.left}

    def _del_all(self) -> Dict[str, Any]:
        instrument = self._instrument() if self._content.has("instrument") else None
        for order in self._exchange.open_orders(self._account, instrument):
            self._exchange.cancel(order)
        return {}

    # Questions.

    def _book(self) -> List[Any]:
        self._content.flag("tradable")
        self._content.integer("clientId", 0)
        return list(self._exchange.view(self._instrument()))

    def _instruments(self) -> List[Any]:
        return [currency_rows(networks=True), instrument_rows(), [list(network) for network in NETWORKS]]

    def _positions(self) -> Any:
        self._content.filter()
        return everything(self._exchange, self._account)

    def _deal_history(self) -> List[Any]:
        content = self._content
        content.filter()
        wanted = content.names("instrument")
        for name in wanted or ():
            if name not in INSTRUMENTS:
                raise FineryRefusal(34)
        counterparties = content.integers("counterpartyIds")
        rows = [
            (deal.id, deal.moment, deal.row)
            for deal in self._account.deals
            if wanted is None or deal.instrument in wanted
            if counterparties is None or deal.counterparty in counterparties
        ]
        return self._page(rows)

    def _transaction_history(self) -> List[Any]:
        self._content.filter()
        return self._page([(row[10], row[9], row) for row in self._account.transactions])

    def _limits(self) -> List[Any]:
        return list(self._account.global_limits.values())

    def _counterparty_limits(self) -> List[Any]:
        return self._exchange.limit_rows(self._account)

    # Parts of contents.

    def _page(self, rows: Sequence[Any]) -> List[Any]:
        """At most 250 rows, latest first, of (id, moment, row)."""
        content = self._content
        limit = content.integer("limit", MAX_ROWS)
        if limit > MAX_ROWS:
            self._remark(f"a limit of {limit}: there are no more than {MAX_ROWS} rows")
        if limit < 1:
            raise FineryRefusal(9, "limit")
        till, begin, end = (content.integer(name, None) for name in ("till", "from", "to"))
        chosen = [
            row
            for number, moment, row in reversed(rows)
            if (till is None or number < till)
            if (begin is None or moment >= begin) and (end is None or moment < end)
        ]
        return chosen[: min(limit, MAX_ROWS)]

    def _instrument(self) -> str:
        name = self._content.text("instrument")
        if name not in INSTRUMENTS:
            raise FineryRefusal(34)
        return name

    def _client_order_id(self) -> int:
        number = self._content.integer("clientOrderId")
        if not 1 <= number <= LARGEST_CLIENT_ORDER_ID:
            raise FineryRefusal(9, "clientOrderId")
        return number

    def _amount(self, name: str, step: int, code: int) -> int:
        number = self._content.integer(name)
        if number <= 0 or number % step:
            raise FineryRefusal(code, name)
        return number

    def _own_order(self, number: Optional[int], client_order_id: Optional[int]) -> FineryOrder:
        for order in self._exchange.open_orders(self._account):
            if number == order.id or client_order_id == order.client_order_id:
                return order
        raise FineryRefusal(80)


METHODS: Dict[str, Callable[[FineryRequest], Any]] = {
    "add": FineryRequest._add,
    "mod": FineryRequest._mod,
    "del": FineryRequest._del,
    "delAll": FineryRequest._del_all,
    "book": FineryRequest._book,
    "instruments": FineryRequest._instruments,
    "positions": FineryRequest._positions,
    "dealHistory": FineryRequest._deal_history,
    "limits": FineryRequest._limits,
    "climits": FineryRequest._counterparty_limits,
    "settlementTransactionHistory": FineryRequest._transaction_history,
}
