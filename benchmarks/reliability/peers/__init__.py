"""The libraries, one file each; the order is that of the page's columns."""

from __future__ import annotations

import importlib
from typing import Dict, Type

from benchmarks.reliability.peers.peer import Peer

NAMES = (
    "xchws_richamster",
    "xchws_indodax",
    "websocket_client",
    "pybit",
    "binance_connector",
    "binance_sdk_spot",
    "python_binance",
    "unicorn_binance",
    "kucoin",
    "hyperliquid",
    "alpaca",
)


def module(name: str) -> str:
    """Where the adapter of this name is."""
    return f"{__name__}.{name}"


def adapters() -> Dict[str, Type[Peer]]:
    """Every adapter by its name."""
    return {name: importlib.import_module(module(name)).Adapter for name in NAMES}
