"""Binance spot: streams by path or by SUBSCRIBE, and the signed user stream of its WebSocket API.

Source: what the libraries measured here send and read (binance-connector 3.13.0, python-binance 1.0.37,
unicorn-binance-websocket-api 2.16.1, binance-sdk-spot 13.3.0, read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Tuple

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Opening, Text, taken


class Binance(Dialect):
    """`btcusdt@trade` and its like."""

    symbols = {FIRST: "BTCUSDT", SECOND: "ETHUSDT", REFUSED: "NOPEUSDT"}

    def opening(self, path: str) -> Opening:
        names = path.split("streams=")[-1] if "streams=" in path else path.rpartition("/ws/")[2]
        symbols = [name.partition("@")[0] for name in names.split("/") if "@" in name]
        if any(self.topic(symbol) == REFUSED for symbol in symbols):
            return Opening(status=400)
        return Opening(topics=taken(symbols, self))

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        said = json.loads(message)
        method, number, given = said.get("method"), said.get("id"), said.get("params")
        if method == "userDataStream.subscribe.signature":
            self.secrets["signature"] = given["signature"]
            return Answer([json.dumps({"id": number, "status": 200, "result": {"subscriptionId": 0}})])
        if method != "SUBSCRIBE":
            return Answer([json.dumps({"id": number, "status": 200, "result": None})])
        symbols: List[str] = [name.partition("@")[0] for name in given]
        if any(self.topic(symbol) == REFUSED for symbol in symbols):
            error = {"error": {"code": 2, "msg": "Invalid request: unknown symbol"}, "id": number}
            return Answer([json.dumps(error)])
        return Answer([json.dumps({"result": None, "id": number})], taken(symbols, self))

    def data(self, topic: str, number: int) -> str:
        trade = {"e": "trade", "E": 1730000000000, "s": self.symbols[topic], "t": number, "p": "1.5", "q": "2"}
        return json.dumps({**trade, "T": 1730000000000, "m": True, "M": True})

    def rest(self, method: str, path: str, url: str) -> Tuple[int, Any]:
        return 200, {"serverTime": 1730000000000}  # python-binance pings and asks for the time before it connects


class BinanceCombined(Binance):
    """The same on the path for combined streams, where each message says of which stream it is."""

    def data(self, topic: str, number: int) -> str:
        stream = f"{self.symbols[topic].lower()}@trade"
        return json.dumps({"stream": stream, "data": json.loads(super().data(topic, number))})
