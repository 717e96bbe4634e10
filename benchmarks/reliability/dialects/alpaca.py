"""Alpaca's crypto data: MessagePack, auth first, the whole set with every subscription.

Source: what alpaca-py 0.44.0 sends and reads (alpaca/data/live/websocket.py, read 2026-11).
"""

from __future__ import annotations

from typing import Any, List, Mapping

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Opening, Text, taken


class Alpaca(Dialect):
    """`trades` of `BTC/USD` and its like."""

    symbols = {FIRST: "BTC/USD", SECOND: "ETH/USD", REFUSED: "NOPE/USD"}

    def opening(self, path: str) -> Opening:
        return Opening(says=[_packed([{"T": "success", "msg": "connected"}])])

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        said = _unpacked(message)
        if said["action"] == "auth":
            return Answer([_packed([{"T": "success", "msg": "authenticated"}])])
        symbols: List[str] = said.get("trades", [])
        if any(self.topic(symbol) == REFUSED for symbol in symbols):
            return Answer([_packed([{"T": "error", "code": 400, "msg": "invalid syntax"}])])
        return Answer([_packed([{"T": "subscription", "trades": symbols}])], taken(symbols, self))

    def data(self, topic: str, number: int) -> bytes:
        return _packed([{"T": "t", "S": self.symbols[topic], "p": 1.5, "s": 2.0, "i": number, "tks": "B"}])


def _packed(value: Any) -> bytes:
    from msgspec import msgpack  # the server has it; a peer that reads only the symbols above need not

    return msgpack.encode(value)


def _unpacked(message: Text) -> Any:
    from msgspec import msgpack

    return msgpack.decode(message if isinstance(message, bytes) else message.encode())
