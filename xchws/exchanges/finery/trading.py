"""Trading: the requests of Finery Markets by name. A mixin of the client: what it needs of it is declared, not imported.

Source: https://faq.finerymarkets.com/api-reference/rest-api, read 2026-11. Amounts go in and come out as plain numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from xchws.errors import ConnectionLost, ProtocolError, StateError, WaitTimeout
from xchws.events import OrderBook
from xchws.exchanges.finery import calls, replies
from xchws.exchanges.finery.calls import Call, Instant, OrderId
from xchws.exchanges.finery.errors import NAME, Malformed, OrderUnknown
from xchws.exchanges.finery.models import (
    CounterpartyLimit,
    DeleteReply,
    Fill,
    GlobalLimit,
    Instruments,
    OrderReply,
    Portfolio,
    SettlementTransaction,
)
from xchws.exchanges.finery.units import Amount

A = TypeVar("A")

TIMEOUT = 10.0  # seconds


class Trading(ABC):
    """The named requests. Each blocks until its answer comes, at most `timeout` seconds (None: without end), and raises

    - ConfigurationError: an argument that cannot work; nothing was sent.
    - Rejection: the exchange refuses it, with its code and the parameter that is wrong.
    - ConnectionLost: there is no connection, and nothing was sent; or, for a request that changes nothing, it ended first.
    - WaitTimeout: no answer in time, for a request that changes nothing.
    - OrderUnknown: for a request that changes orders: it was sent, and no answer came that can be read.
    - ProtocolError: an answer that cannot be understood, for a request that changes nothing.
    - StateError: not started, stopped, called in an inline callback, or a copy in a forked child.
    """

    @abstractmethod
    def _request(self, request: Any, timeout: Optional[float]) -> Any:
        """Send a Call and wait for the bytes of its answer."""

    @abstractmethod
    def _new_client_order_id(self) -> int:
        """A client order id that has not been used."""

    @abstractmethod
    def _excerpt(self, text: bytes) -> str:
        """A text from outside, fit for an error."""

    # --------------------------------------------------------------------------------------------------------- orders

    def add_order(
        self,
        instrument: str,
        side: str,
        *,
        type: str,
        size: Optional[Amount] = None,
        volume: Optional[Amount] = None,
        price: Optional[Amount] = None,
        client_order_id: Optional[OrderId] = None,
        cod: bool = False,
        firm_book_enabled: Optional[bool] = None,
        qs_enabled: Optional[bool] = None,
        makers: Optional[Sequence[int]] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> OrderReply:
        """Add an order.

        Args:
            instrument: such as "BTC-USD".
            side: "buy" or "sell".
            type: takers: "limitIOC", "limitFOK", "marketIOC", "marketFOK"; makers: "limit", "postOnly".
            size: base currency; or volume: quote currency, takers only. Exactly one of the two.
            price: quote currency per unit of base currency; for all types but the market ones.
            client_order_id: a number from 1 to 2**63 - 1; None: one is made of the clock. It is in the answer, and in
                OrderUnknown.
            cod: cancel on disconnect: the exchange cancels the order when this connection is lost.
            firm_book_enabled, qs_enabled: whether it may execute against the firm book and against quote streams;
                makers: only against these. None: the exchange's default.
        """
        if client_order_id is None:
            client_order_id = self._new_client_order_id()
        call = calls.add(
            instrument,
            side,
            type,
            size,
            volume,
            price,
            client_order_id,
            cod,
            firm_book_enabled,
            qs_enabled,
            makers,
            timeout,
        )
        return self._change(call, replies.order)

    def modify_order(
        self,
        order_id: OrderId,
        *,
        price: Amount,
        size: Amount,
        client_order_id: Optional[OrderId] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> OrderReply:
        """Replace a resting order by one with this price and size; makers only. What has been executed of the old order
        counts against the new size.

        A Rejection with `original_id` says that the old order has been removed although the new one was refused.

        Args:
            order_id: of the order that is replaced; price, size: as in `add_order`.
            client_order_id: of the new order.
        """
        return self._change(calls.modify(order_id, price, size, client_order_id, timeout), replies.order)

    def cancel_order(
        self,
        order_id: Optional[OrderId] = None,
        *,
        client_order_id: Optional[OrderId] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> DeleteReply:
        """Cancel an order by exactly one of its ids. One that is not there is a Rejection with code 80."""
        return self._change(calls.delete(order_id, client_order_id, timeout), replies.delete)

    def cancel_all_orders(self, instrument: Optional[str] = None, *, timeout: Optional[float] = TIMEOUT) -> Any:
        """Cancel all orders, or those of an instrument (a guess: what the exchange takes here could not be read). Returns
        the answer as it is, parsed, with amounts in units of 1e-8."""
        return self._change(calls.delete_all(instrument, timeout), replies.plain)

    # -------------------------------------------------------------------------------------------------------- looking

    def order_book(
        self,
        instrument: str,
        *,
        tradable: bool = False,
        client_id: Optional[int] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> OrderBook:
        """The order book of an instrument as it is now.

        Args:
            tradable: what can be executed against, instead of the global book; client_id: as whom (masters only).
        """
        call = calls.book(instrument, tradable, client_id, timeout)
        return self._ask(call, lambda value: replies.book(value, instrument))

    def instruments(self, *, timeout: Optional[float] = TIMEOUT) -> Instruments:
        """All currencies, instruments and networks."""
        return self._ask(Call("instruments", {}, timeout), replies.instruments)

    def positions(self, *, filter: Optional[str] = None, timeout: Optional[float] = TIMEOUT) -> Portfolio:
        """Positions, orders and settlement orders. `filter`: "all", …; None: the exchange's default."""
        return self._ask(calls.positions(filter, timeout), replies.portfolio)

    def limits(self, *, timeout: Optional[float] = TIMEOUT) -> Tuple[GlobalLimit, ...]:
        """The account's global limits."""
        return self._ask(Call("limits", {}, timeout), replies.global_limits)

    def counterparty_limits(self, *, timeout: Optional[float] = TIMEOUT) -> Tuple[CounterpartyLimit, ...]:
        """The limits between the account and each counterparty."""
        return self._ask(Call("climits", {}, timeout), replies.counterparty_limits)

    def deal_history(
        self,
        instrument: Union[str, Sequence[str], None] = None,
        *,
        counterparty_ids: Optional[Sequence[int]] = None,
        filter: Optional[str] = None,
        till: Optional[OrderId] = None,
        start: Optional[Instant] = None,
        end: Optional[Instant] = None,
        limit: Optional[int] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> Tuple[Fill, ...]:
        """One page of the executions, at most 250; the next one is `till` the smallest id of this one.

        Args:
            instrument: one or several; counterparty_ids: only with these; filter: "all", "subaccounts", "external".
            till: only with smaller ids; start (included), end (excluded): aware datetimes or Unix milliseconds.
            limit: rows, from 1 to 250.
        """
        call = calls.history("dealHistory", instrument, counterparty_ids, filter, till, start, end, limit, timeout)
        return self._ask(call, replies.deals)

    def settlement_transaction_history(
        self,
        *,
        filter: Optional[str] = None,
        till: Optional[OrderId] = None,
        start: Optional[Instant] = None,
        end: Optional[Instant] = None,
        limit: Optional[int] = None,
        timeout: Optional[float] = TIMEOUT,
    ) -> Tuple[SettlementTransaction, ...]:
        """One page of the settlement transactions; arguments as in `deal_history`. Their `direction` is not told here."""
        method = "settlementTransactionHistory"
        call = calls.history(method, None, None, filter, till, start, end, limit, timeout)
        return self._ask(call, replies.transactions)

    def request(
        self, method: str, content: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = TIMEOUT
    ) -> Any:
        """Any REST method over the stream, as it is: amounts are whole numbers of 1e-8 both ways.

        Args:
            method: such as "setCLimit"; content: a JSON object; None: an empty one.

        Returns:
            The answer, parsed; numbers with a point are Decimal.
        """
        return self._ask(calls.plain_call(method, content, timeout), replies.plain)

    # ---------------------------------------------------------------------------------------------------------- asking

    def _ask(self, call: Call, read: Callable[[bytes], A]) -> A:
        value = self._request(call, call.timeout)
        try:
            return read(value)
        except Malformed as error:
            text = f"{NAME}: the answer to {call.method!r} cannot be understood ({error})"
            excerpt = self._excerpt(error.text or value)
        raise ProtocolError(f"{text}: {excerpt}", text=excerpt, exchange=NAME)

    def _change(self, call: Call, read: Callable[[bytes], A]) -> A:
        """Make a request that changes orders: where its fate is unknown, that is said, with what is needed to find out."""
        try:
            return self._ask(call, read)
        except (ConnectionLost, WaitTimeout, ProtocolError, StateError) as error:
            if isinstance(error, (ConnectionLost, StateError)) and not call.sent:
                raise
            number, own_number = call.content.get("orderId"), call.content.get("clientOrderId")
            which = "".join(
                f", {name} {value}" for name, value in (("order", number), ("client order id", own_number)) if value
            )
            raise OrderUnknown(
                f"{NAME}: what became of the request {call.method!r}{which} is unknown; ask before trying again: {error}",
                method=call.method,
                client_order_id=None if own_number is None else str(own_number),
                order_id=None if number is None else str(number),
                exchange=NAME,
            ) from error
