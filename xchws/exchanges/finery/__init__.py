"""Finery Markets: feeds and requests on one signed connection. Its own events, answers and errors, by name."""

from __future__ import annotations

from xchws.exchanges.finery.errors import OrderUnknown, Rejection
from xchws.exchanges.finery.models import (
    CounterpartyLimit,
    Currency,
    Deal,
    DeleteReply,
    Fill,
    GlobalLimit,
    Instrument,
    Instruments,
    Limit,
    Network,
    Order,
    OrderReply,
    Portfolio,
    Position,
    ProbablyCancelled,
    Settlement,
    SettlementRequest,
    SettlementTransaction,
)

__all__ = [
    "CounterpartyLimit",
    "Currency",
    "Deal",
    "DeleteReply",
    "Fill",
    "GlobalLimit",
    "Instrument",
    "Instruments",
    "Limit",
    "Network",
    "Order",
    "OrderReply",
    "OrderUnknown",
    "Portfolio",
    "Position",
    "ProbablyCancelled",
    "Rejection",
    "Settlement",
    "SettlementRequest",
    "SettlementTransaction",
]
