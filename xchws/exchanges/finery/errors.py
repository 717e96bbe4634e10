"""Errors that only Finery Markets has. They survive pickling like all the others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Optional

from xchws.errors import RequestRejected, XchwsError

NAME = "finery"


class Malformed(ValueError):
    """Part of a message is not what the pages say. It never leaves the protocol: it becomes a Failure with the text.

    Attributes:
        text: the part, as it came.
    """

    def __init__(self, why: str, text: bytes = b"") -> None:
        super().__init__(why)
        self.text = text


class Rejection(RequestRejected):
    """Finery Markets refuses a request.

    Attributes:
        code: its error code (codes.py has them in words).
        parameter: the parameter that is wrong, where it says so.
        original_id: `modify_order` only: the old order, which has been removed although the new one was refused.
        original_remaining: what was left of that order, base currency.
    """

    def __init__(
        self,
        text: str = "",
        *,
        code: Any = None,
        message: str = "",
        parameter: Optional[str] = None,
        original_id: Optional[str] = None,
        original_remaining: Optional[Decimal] = None,
        exchange: str = "",
    ) -> None:
        super().__init__(text, code=code, message=message, exchange=exchange)
        self.parameter = parameter
        self.original_id = original_id
        self.original_remaining = original_remaining


class OrderUnknown(XchwsError):
    """A request that changes an order was sent, and no answer that can be read came: what became of it is unknown.

    Ask before trying again: feed O, `positions()` or `deal_history()` tell. The `__cause__` says what went wrong.

    Attributes:
        method: the request's method on the wire, such as "add".
        client_order_id: the order's client order id, where the request had one.
        order_id: the order's id, where the request had one.
    """

    def __init__(
        self,
        message: str = "",
        *,
        method: str = "",
        client_order_id: Optional[str] = None,
        order_id: Optional[str] = None,
        exchange: str = "",
    ) -> None:
        super().__init__(message, exchange=exchange)
        self.method = method
        self.client_order_id = client_order_id
        self.order_id = order_id
