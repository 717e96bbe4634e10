"""binance-sdk-spot, the successor of binance-connector: Binance's trades, and a user stream by its listen key.

It is for asyncio; the loop runs in a thread of the user's, as blocking code has to do it.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from typing import Any

from benchmarks.reliability.dialects.binance import BinanceCombined
from benchmarks.reliability.peers.peer import ERROR, INTERRUPTED, TOKEN, Peer

_CALL = 20.0  # seconds for what is handed to the loop


class Adapter(Peer):
    """`Spot(...).websocket_streams`."""

    title = "binance-sdk-spot"
    package = "binance-sdk-spot"
    dialect = BinanceCombined
    settings = (
        "It is for asyncio: the loop runs in a daemon thread of the user's, callbacks are plain functions. Functions for its "
        "events of the connection. It has no keepalive to set, and connects again by itself only after 23 hours or when told to "
        "by the exchange."
    )
    spared = {"fork": "the thread with the loop is the user's own"}
    sends = {"listen key": TOKEN}

    def start(self) -> None:
        spot: Any = importlib.import_module("binance_sdk_spot.spot")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="adapter", daemon=True)
        self._thread.start()
        streams = spot.ConfigurationWebSocketStreams(
            stream_url=self.place.url, reconnect_delay=1000, reconnect_attempts=10
        )
        self.client = spot.Spot(config_ws_streams=streams).websocket_streams
        self._call(self._connect())
        if self.place.private:
            self._call(self._listen(lambda connection: connection.user_data(TOKEN)))

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL)

    async def _connect(self) -> None:
        self._connection = await self.client.create_connection()
        self._connection.on_connection("close", lambda: self.listener.told(INTERRUPTED, "close"))
        self._connection.on_connection("error", lambda error: self.listener.told(ERROR, type(error).__name__))

    async def _listen(self, open_stream: Any) -> None:
        stream = await open_stream(self._connection)
        stream.on("message", self._message)

    def _message(self, trade: Any) -> None:
        self.listener.message(self.dialect.topic(trade.s), trade.t)

    def subscribe(self, topic: str) -> None:
        symbol = self.dialect.symbols[topic]
        self._call(self._listen(lambda connection: connection.trade(symbol=symbol)))

    def stop(self) -> None:
        if threading.current_thread() is self._thread:  # in a callback, only another task can do it
            self._ending = self._loop.create_task(self._connection.close_connection())
            return
        self._call(self._connection.close_connection())
