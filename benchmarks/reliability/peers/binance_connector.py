"""binance-connector 3: Binance's trades, and a user stream by its listen key."""

from __future__ import annotations

import importlib
import json
from typing import Any

from benchmarks.reliability.dialects.binance import Binance
from benchmarks.reliability.peers.peer import ERROR, INTERRUPTED, TOKEN, Peer


class Adapter(Peer):
    """`SpotWebsocketStreamClient`."""

    title = "binance-connector"
    package = "binance-connector"
    dialect = Binance
    settings = (
        "With a function for errors (without one its thread ends at the first exception); it has no option to connect again and "
        "no keepalive, so for the half-open line `timeout=5`, which ends it when nothing comes for so long."
    )
    sends = {"listen key": TOKEN}

    def start(self) -> None:
        streams: Any = importlib.import_module("binance.websocket.spot.websocket_stream")
        self.client = streams.SpotWebsocketStreamClient(
            stream_url=self.place.url,
            on_message=self._message,
            on_error=lambda manager, error: self.listener.told(
                INTERRUPTED if type(error).__name__.startswith("WebSocket") else ERROR, type(error).__name__
            ),
            on_close=lambda manager: self.listener.told(INTERRUPTED),
            timeout=5 if self.place.quick else None,
        )
        if self.place.private:
            self.client.user_data(listen_key=TOKEN)

    def _message(self, manager: Any, text: str) -> None:
        said = json.loads(text)
        if said.get("e") == "trade":
            self.listener.message(self.dialect.topic(said["s"]), said["t"])
        elif "error" in said:
            self.listener.told(ERROR, said["error"])

    def subscribe(self, topic: str) -> None:
        self.client.trade(symbol=self.dialect.symbols[topic])

    def stop(self) -> None:
        self.client.stop()
