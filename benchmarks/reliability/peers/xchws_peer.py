"""What the adapters of xchws have in common: trades of two pairs, and all that the library tells of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.reliability.peers.peer import ERROR, GAP, INTERRUPTED, TOKEN, Peer

if TYPE_CHECKING:
    import xchws


class XchwsPeer(Peer):
    """A client of xchws; a subclass says which."""

    package = "xchws"
    settings = "Defaults; for the half-open line `ping_interval=2`, `ping_timeout=2`."
    sends = {"token": TOKEN}

    def client_for(self, url: str, **options: Any) -> xchws.Client:
        """The client of this exchange."""
        raise NotImplementedError

    def start(self) -> None:
        quick = {"ping_interval": 2.0, "ping_timeout": 2.0} if self.place.quick else {}
        self.client = self.client_for(self.place.url + "/", **quick)
        self.client.on_trade(self._trade)
        self.client.on_error(lambda error: self.listener.told(ERROR, type(error).__name__))
        self.client.on_disconnect(lambda event: self.listener.told(INTERRUPTED, type(event.error).__name__))
        self.client.on_gap(lambda gap: self.listener.told(GAP, gap.channels, since=gap.since))
        self.client.start(10)

    def _trade(self, trade: Any) -> None:
        self.listener.message(self.dialect.topic(trade.symbol), int(trade.price))

    def subscribe(self, topic: str) -> None:
        self.client.subscribe_trades(self.dialect.symbols[topic])

    def stop(self) -> object:
        return self.client.stop()
