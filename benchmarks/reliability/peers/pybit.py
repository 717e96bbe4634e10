"""pybit: Bybit's public trades, and own orders with a key."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.reliability.dialects.bybit import Bybit
from benchmarks.reliability.peers.peer import KEY, SECRET, Peer


class Adapter(Peer):
    """`pybit.unified_trading.WebSocket`; its address is a module's constant, so that is what is set."""

    title = "pybit"
    package = "pybit"
    dialect = Bybit
    settings = (
        "`retries=0` (connects again without end; by default it gives up after ten tries); for the half-open line "
        "`ping_interval=2, ping_timeout=1`."
    )
    sends = {"key": KEY}
    keeps = {"secret": SECRET}

    def start(self) -> None:
        trading: Any = importlib.import_module("pybit.unified_trading")
        trading.PUBLIC_WSS = f"{self.place.url}/v5/public/{{CHANNEL_TYPE}}"
        trading.PRIVATE_WSS = f"{self.place.url}/v5/private"
        options: Any = {"retries": 0}
        if self.place.quick:
            options.update(ping_interval=2, ping_timeout=1)
        if self.place.private:
            self.client = trading.WebSocket("private", testnet=False, api_key=KEY, api_secret=SECRET, **options)
            self.client.order_stream(lambda message: None)
        else:
            self.client = trading.WebSocket("linear", testnet=False, **options)

    def _trades(self, message: Any) -> None:
        for trade in message["data"]:
            self.listener.message(self.dialect.topic(trade["s"]), int(trade["i"]))

    def subscribe(self, topic: str) -> None:
        self.client.trade_stream(symbol=self.dialect.symbols[topic], callback=self._trades)

    def stop(self) -> None:
        self.client.exit()
