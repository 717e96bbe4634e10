"""hyperliquid-python-sdk: trades through `Info`."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.reliability.dialects.hyperliquid import Hyperliquid
from benchmarks.reliability.peers.peer import Peer


class Adapter(Peer):
    """`hyperliquid.info.Info`; its tables of instruments are given to it, so that it need not fetch them."""

    title = "hyperliquid"
    package = "hyperliquid-python-sdk"
    dialect = Hyperliquid
    settings = "Defaults; it has no option to connect again, none for its keepalive, and no function for errors."
    spared = {"secrets_in_logs": "its stream takes no key"}

    def start(self) -> None:
        info: Any = importlib.import_module("hyperliquid.info")
        coins = [{"name": symbol, "szDecimals": 2} for symbol in self.dialect.symbols.values()]
        self.client = info.Info(
            "http" + self.place.url[len("ws") :],
            meta={"universe": coins},
            spot_meta={"universe": [], "tokens": []},
        )

    def _trades(self, message: Any) -> None:
        for trade in message["data"]:
            self.listener.message(self.dialect.topic(trade["coin"]), trade["tid"])

    def subscribe(self, topic: str) -> None:
        self.client.subscribe({"type": "trades", "coin": self.dialect.symbols[topic]}, self._trades)

    def stop(self) -> None:
        self.client.disconnect_websocket()
