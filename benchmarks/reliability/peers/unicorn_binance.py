"""unicorn-binance-websocket-api: one stream with Binance's trades, and the user stream with a key."""

from __future__ import annotations

import importlib
import json
import threading
import time
from typing import Any, Optional

from benchmarks.reliability.dialects.binance import Binance
from benchmarks.reliability.dialects.dialect import FIRST
from benchmarks.reliability.peers.peer import ERROR, GAP, INTERRUPTED, KEY, SECRET, Peer


class Adapter(Peer):
    """`BinanceWebSocketApiManager`."""

    title = "unicorn-binance"
    package = "unicorn-binance-websocket-api"
    dialect = Binance
    settings = (
        "`enable_stream_signal_buffer=True`, the signals read by a thread of the user's; `warn_on_update=False` (otherwise it "
        "asks GitHub); for the half-open line `ping_interval_default=2, ping_timeout_default=2`."
    )
    sends = {"key": KEY}
    keeps = {"secret": SECRET}

    def start(self) -> None:
        unicorn: Any = importlib.import_module("unicorn_binance_websocket_api")
        options: Any = {"ping_interval_default": 2, "ping_timeout_default": 2} if self.place.quick else {}
        self.client = unicorn.BinanceWebSocketApiManager(
            exchange="binance.com",
            warn_on_update=False,
            enable_stream_signal_buffer=True,
            websocket_base_uri=f"{self.place.url}/",
            websocket_api_base_uri=f"{self.place.url}/ws-api/v3",
            restful_base_uri=f"{self.place.rest_url}/",
            **options,
        )
        threading.Thread(target=self._read_signals, name="adapter", daemon=True).start()
        self._stream: Optional[str] = None
        if self.place.private:
            self.client.create_stream(
                "arr", "!userData", api_key=KEY, api_secret=SECRET, process_stream_data=self._message
            )

    def _read_signals(self) -> None:
        while True:
            signal = self.client.pop_stream_signal_from_stream_signal_buffer()
            if not signal:
                time.sleep(0.05)
            elif signal["type"] == "DISCONNECT":
                last = signal["last_received_data_record"]
                since = json.loads(last).get("E") if isinstance(last, str) else None
                self.listener.told(INTERRUPTED if since is None else GAP, "DISCONNECT", since=since)
            elif signal["type"] == "STREAM_UNREPAIRABLE":
                self.listener.told(ERROR, signal["error"])

    def _message(self, text: str) -> None:
        said = json.loads(text)
        said = said.get("data", said)
        if said.get("e") == "trade":
            self.listener.message(self.dialect.topic(said["s"]), said["t"])
        elif "error" in said:
            self.listener.told(ERROR, said["error"])

    def subscribe(self, topic: str) -> None:
        symbol = self.dialect.symbols[topic].lower()
        if topic == FIRST:
            self._stream = self.client.create_stream(["trade"], [symbol], process_stream_data=self._message)
        else:
            self.client.subscribe_to_stream(self._stream, markets=[symbol])

    def stop(self) -> None:
        self.client.stop_manager()
