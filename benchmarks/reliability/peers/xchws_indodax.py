"""xchws on Indodax's market data: executions of two pairs, replayed by the exchange after a gap."""

from __future__ import annotations

from typing import Any

from benchmarks.reliability.dialects.indodax_market import IndodaxMarket
from benchmarks.reliability.peers.peer import ERROR, GAP, INTERRUPTED, TOKEN, Peer


class Adapter(Peer):
    """`xchws.IndodaxMarket`."""

    title = "xchws (Indodax)"
    package = "xchws"
    dialect = IndodaxMarket
    settings = (
        "Defaults; for the half-open line `ping_interval=2`, `ping_timeout=2`. The exchange can replay what was missed."
    )
    sends = {"token": TOKEN}

    def start(self) -> None:
        import xchws

        options: Any = {"ping_interval": 2.0, "ping_timeout": 2.0} if self.place.quick else {}
        client = xchws.IndodaxMarket(token=TOKEN, url=self.place.url + "/", **options)
        client.on_trade(self._trade)
        client.on_error(lambda error: self.listener.told(ERROR, type(error).__name__))
        client.on_disconnect(lambda event: self.listener.told(INTERRUPTED, type(event.error).__name__))
        client.on_gap(lambda gap: self.listener.told(GAP, gap.channels, since=gap.since))
        self.client = client
        client.start(10)

    def _trade(self, trade: Any) -> None:
        self.listener.message(self.dialect.topic(trade.symbol), int(trade.price))

    def subscribe(self, topic: str) -> None:
        self.client.subscribe_trades(self.dialect.symbols[topic])

    def stop(self) -> object:
        return self.client.stop()
