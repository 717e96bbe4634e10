"""kucoin-universal-sdk: KuCoin's trades (classic), and the private stream with a key."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.reliability.dialects.kucoin import KuCoin
from benchmarks.reliability.peers.peer import ERROR, INTERRUPTED, KEY, LOST, SECRET, Peer


class Adapter(Peer):
    """`DefaultClient(...).ws_service()`."""

    title = "kucoin-universal-sdk"
    package = "kucoin-universal-sdk"
    dialect = KuCoin
    settings = (
        "`reconnect_interval=1` (5 s by default), its events given to a function; the exchange asks for a ping every second, "
        "with a second for the answer. The classic service, not the newer one for unified accounts."
    )
    sends = {"key": KEY}
    keeps = {"secret": SECRET}

    def start(self) -> None:
        api: Any = importlib.import_module("kucoin_universal_sdk.api")
        options: Any = importlib.import_module("kucoin_universal_sdk.model")
        websocket = options.WebSocketClientOptionBuilder().with_reconnect_interval(1).with_event_callback(self._event)
        built = (
            options.ClientOptionBuilder()
            .set_key(KEY if self.place.private else "")
            .set_secret(SECRET if self.place.private else "")
            .set_passphrase("p" if self.place.private else "")
            .set_spot_endpoint(self.place.rest_url)
            .set_futures_endpoint(self.place.rest_url)
            .set_broker_endpoint(self.place.rest_url)
            .set_transport_option(options.TransportOptionBuilder().build())
            .set_websocket_client_option(websocket.build())
            .build()
        )
        service = api.DefaultClient(built).ws_service()
        self.client = service.new_spot_private_ws() if self.place.private else service.new_spot_public_ws()
        self.client.start()

    def _event(self, event: Any, text: str, error: str) -> None:
        kinds = {
            "EVENT_DISCONNECTED": INTERRUPTED,
            "EVENT_TRY_RECONNECT": INTERRUPTED,
            "EVENT_READ_BUFFER_FULL": LOST,
            "EVENT_ERROR_RECEIVED": ERROR,
            "EVENT_CALLBACK_ERROR": ERROR,
            "EVENT_RE_SUBSCRIBE_ERROR": ERROR,
            "EVENT_CLIENT_FAIL": ERROR,
        }
        if event.name in kinds:
            self.listener.told(kinds[event.name], event.name)

    def _trade(self, topic: str, subject: str, trade: Any) -> None:
        self.listener.message(self.dialect.topic(trade.symbol), int(trade.sequence))

    def subscribe(self, topic: str) -> None:
        self.client.trade([self.dialect.symbols[topic]], self._trade)

    def stop(self) -> None:
        self.client.stop()
