"""Bybit v5: public trades, and private topics after `auth`.

Source: what pybit 5.17.0 sends and reads (pybit/_websocket_stream.py, read 2026-11).
"""

from __future__ import annotations

import json
from typing import Mapping

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Text, taken


class Bybit(Dialect):
    """`publicTrade.BTCUSDT` and its like."""

    symbols = {FIRST: "BTCUSDT", SECOND: "ETHUSDT", REFUSED: "NOPEUSDT"}

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        said = json.loads(message)
        operation, number = said["op"], said.get("req_id", "")
        if operation == "ping":
            return Answer([json.dumps({"success": True, "ret_msg": "pong", "op": "ping", "req_id": number})])
        if operation == "auth":
            self.secrets["signature"] = said["args"][2]
            return Answer([json.dumps({"success": True, "ret_msg": "", "op": "auth", "conn_id": "1"})])
        symbols = [name.partition(".")[2] for name in said["args"]]
        refused = any(self.topic(symbol) == REFUSED for symbol in symbols)
        reply = {
            "success": not refused,
            "ret_msg": "error:handler not found,topic:" + said["args"][0] if refused else "",
            "conn_id": "1",
            "req_id": number,
            "op": "subscribe",
        }
        return Answer([json.dumps(reply)], [] if refused else taken(symbols, self))

    def data(self, topic: str, number: int) -> str:
        symbol = self.symbols[topic]
        trade = {"T": 1730000000000, "s": symbol, "S": "Buy", "v": "2", "p": "1.5", "i": str(number), "BT": False}
        return json.dumps({"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": 1730000000000, "data": [trade]})
