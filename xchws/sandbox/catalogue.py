"""The table of simulated exchanges: what the command line offers and where each class is.

A further exchange is one more line in ENTRIES. Nothing here needs an installed extra, so that a missing one
can be reported in a sentence.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, Type, cast

if TYPE_CHECKING:
    from .server import ExchangeServer

NEEDS_EXTRA = 'the sandbox needs the extra: pip install "xchws[sandbox]"'


class MissingExtra(ImportError):
    """A package of the extra ``xchws[sandbox]`` is not installed."""

    def __init__(self) -> None:
        super().__init__(NEEDS_EXTRA)


@dataclass(frozen=True)
class Entry:
    """One simulated exchange: its word on the command line, and where its class is."""

    name: str
    summary: str
    module: str
    class_name: str
    rest: bool = False  # whether it has a REST endpoint of its own, hence --rest-port

    def load(self) -> Type[ExchangeServer]:
        """Import the class.

        Raises:
            MissingExtra: a package of the extra is not installed.
        """
        return cast("Type[ExchangeServer]", getattr(importlib.import_module(self.module), self.class_name))


ENTRIES: Dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "indodax",
            "Indodax: private order stream and token endpoint",
            "xchws.sandbox.indodax",
            "IndodaxSandbox",
            rest=True,
        ),
        Entry(
            "indodax-market",
            "Indodax: market data (ticks, trades, summaries, order books)",
            "xchws.sandbox.indodax_market",
            "IndodaxMarketSandbox",
        ),
        Entry("kyan", "Kyan: market data, order books, account", "xchws.sandbox.kyan", "KyanSandbox"),
        Entry(
            "finery",
            "Finery Markets: order books, own orders and deals, positions, limits, settlements, requests",
            "xchws.sandbox.finery",
            "FinerySandbox",
        ),
        Entry("kyrrex", "Kyrrex: account stream and user id", "xchws.sandbox.kyrrex", "KyrrexSandbox", rest=True),
        Entry(
            "richamster",
            "Richamster: ticker, order book, trades, user orders",
            "xchws.sandbox.richamster",
            "RichamsterSandbox",
        ),
    )
}
