"""KuCoin (classic): a token by REST, then welcome, subscribe and ack.

Source: what kucoin-universal-sdk 1.3.2 sends and reads (internal/infra/default_ws_client.py, read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any, Mapping, Tuple

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Opening, Text, taken


class KuCoin(Dialect):
    """`/market/match:BTC-USDT` and its like. The server says how often to ping: every second."""

    symbols = {FIRST: "BTC-USDT", SECOND: "ETH-USDT", REFUSED: "NOPE-USDT"}

    def __init__(self) -> None:
        super().__init__()
        self.secrets["token"] = "kucoin-stream-token-91b7d2"

    def opening(self, path: str) -> Opening:
        return Opening(says=[json.dumps({"id": "1", "type": "welcome"})])

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        said = json.loads(message)
        number = said.get("id")
        if said["type"] == "ping":
            return Answer([json.dumps({"id": number, "type": "pong", "timestamp": 1730000000000})])
        symbols = said["topic"].partition(":")[2].split(",")
        if any(self.topic(symbol) == REFUSED for symbol in symbols):
            error = {"id": number, "type": "error", "code": 404, "data": f"topic {said['topic']} is not found"}
            return Answer([json.dumps(error)])
        return Answer([json.dumps({"id": number, "type": "ack"})], taken(symbols, self))

    def data(self, topic: str, number: int) -> str:
        symbol = self.symbols[topic]
        trade = {"symbol": symbol, "sequence": str(number), "side": "buy", "size": "2", "price": "1.5", "type": "match"}
        trade.update(makerOrderId="1", takerOrderId="2", tradeId=str(number), time="1730000000000000000")
        return json.dumps(
            {"topic": f"/market/match:{symbol}", "type": "message", "subject": "trade.l3match", "data": trade}
        )

    def rest(self, method: str, path: str, url: str) -> Tuple[int, Any]:
        server = {"endpoint": f"{url}/", "encrypt": False, "protocol": "websocket"}
        server.update(pingInterval=1000, pingTimeout=1000)
        return 200, {"code": "200000", "data": {"token": self.secrets["token"], "instanceServers": [server]}}
