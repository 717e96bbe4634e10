"""Simulated exchanges and a faulty wire, on your own machine, for your tests and ours.

Written from the vendors' pages alone; imports nothing else of xchws. Needs the extra ``xchws[sandbox]``, except for
FaultProxy. The names are imported when they are first used, so that a missing extra can be told in a sentence.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .faultproxy import FaultProxy
    from .finery import FinerySandbox
    from .finery_book import FineryOrder, FineryRefusal
    from .indodax import IndodaxSandbox
    from .indodax_market import IndodaxMarketSandbox
    from .kyan import KyanSandbox
    from .kyrrex import KyrrexSandbox
    from .market import SandboxOrder
    from .record import Received
    from .richamster import RichamsterSandbox
    from .server import ExchangeServer
    from .session import Session

_HOMES = {
    "ExchangeServer": "server",
    "FaultProxy": "faultproxy",
    "FineryOrder": "finery_book",
    "FineryRefusal": "finery_book",
    "FinerySandbox": "finery",
    "IndodaxMarketSandbox": "indodax_market",
    "IndodaxSandbox": "indodax",
    "KyanSandbox": "kyan",
    "KyrrexSandbox": "kyrrex",
    "Received": "record",
    "RichamsterSandbox": "richamster",
    "SandboxOrder": "market",
    "Session": "session",
}

__all__ = [
    "ExchangeServer",
    "FaultProxy",
    "FineryOrder",
    "FineryRefusal",
    "FinerySandbox",
    "IndodaxMarketSandbox",
    "IndodaxSandbox",
    "KyanSandbox",
    "KyrrexSandbox",
    "Received",
    "RichamsterSandbox",
    "SandboxOrder",
    "Session",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> List[str]:
    return sorted(set(globals()) | set(__all__))
