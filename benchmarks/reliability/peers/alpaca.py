"""alpaca-py: crypto trades. Its handlers are coroutines, and its `run` blocks, so it runs in a thread."""

from __future__ import annotations

import asyncio
import importlib
import threading
from typing import Any

from benchmarks.reliability.dialects.alpaca import Alpaca
from benchmarks.reliability.peers.peer import KEY, SECRET, Peer


class Adapter(Peer):
    """`CryptoDataStream`."""

    title = "alpaca-py"
    package = "alpaca-py"
    dialect = Alpaca
    settings = (
        "`run()` in a daemon thread; for the half-open line `data_timeout=5` and pings every 2 s with 2 s for the answer "
        "(`websocket_params`). Its handlers must be coroutines, so a slow one is `time.sleep` in a coroutine."
    )
    sends = {"key": KEY, "secret": SECRET}

    def start(self) -> None:
        live: Any = importlib.import_module("alpaca.data.live.crypto")
        options: Any = {}
        if self.place.quick:
            options = {
                "data_timeout": 5,
                "websocket_params": {"ping_interval": 2, "ping_timeout": 2, "max_queue": 1024},
            }
        self.client = live.CryptoDataStream(KEY, SECRET, raw_data=True, url_override=f"{self.place.url}/", **options)
        self._thread = threading.Thread(target=self.client.run, daemon=True)
        self._thread.start()
        if self.place.private:
            self.subscribe("first")

    async def _trade(self, trade: Any) -> None:
        self.listener.message(self.dialect.topic(trade["S"]), trade["i"])

    def subscribe(self, topic: str) -> None:
        self.client.subscribe_trades(self._trade, self.dialect.symbols[topic])

    def stop(self) -> None:
        if (
            threading.current_thread() is self._thread
        ):  # in a callback, which is a coroutine, it is ended by another one
            self._ending = asyncio.get_running_loop().create_task(self.client.stop_ws())
            return
        self.client.stop()
