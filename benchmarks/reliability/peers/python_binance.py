"""python-binance: its ThreadedWebsocketManager, Binance's trades, and the user stream with a key."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.reliability.dialects.binance import Binance
from benchmarks.reliability.peers.peer import ERROR, INTERRUPTED, KEY, SECRET, Peer


class Adapter(Peer):
    """`ThreadedWebsocketManager`; its addresses are attributes of classes, so these are set."""

    title = "python-binance"
    package = "python-binance"
    dialect = Binance
    settings = (
        "`max_queue_size=10000` (100 by default); its keepalive (20 s and 20 s) is no argument of this class, so it stays for "
        "the half-open line. A refused subscription is a refused handshake, because each has a connection of its own."
    )
    sends = {"key": KEY}
    keeps = {"secret": SECRET}

    def start(self) -> None:
        binance: Any = importlib.import_module("binance")
        streams: Any = importlib.import_module("binance.ws.streams")
        base: Any = importlib.import_module("binance.base_client")
        streams.BinanceSocketManager.STREAM_URL = f"{self.place.url}/"
        base.BaseClient.API_URL = f"{self.place.rest_url}/api"
        base.BaseClient.WS_API_URL = f"{self.place.url}/ws-api/v3"
        keys: Any = {"api_key": KEY, "api_secret": SECRET} if self.place.private else {}
        self.client = binance.ThreadedWebsocketManager(max_queue_size=10000, **keys)
        self.client.start()
        if self.place.private:
            self.client.start_user_socket(callback=self._message)

    def _message(self, message: Any) -> None:
        if message.get("e") == "trade":
            self.listener.message(self.dialect.topic(message["s"]), message["t"])
        elif message.get("e") == "error":
            kind = str(message.get("type"))
            self.listener.told(INTERRUPTED if "Closed" in kind or "Connect" in kind else ERROR, kind)

    def subscribe(self, topic: str) -> None:
        self.client.start_trade_socket(callback=self._message, symbol=self.dialect.symbols[topic])

    def stop(self) -> None:
        self.client.stop()
