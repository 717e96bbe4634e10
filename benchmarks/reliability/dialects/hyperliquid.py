"""Hyperliquid: subscribe by object.

Source: what hyperliquid-python-sdk 0.24.0 sends and reads (hyperliquid/websocket_manager.py, read 2026-11).
"""

from __future__ import annotations

import json
from typing import Mapping

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Text, taken


class Hyperliquid(Dialect):
    """`{"type":"trades","coin":"BTC"}` and its like."""

    symbols = {FIRST: "BTC", SECOND: "ETH", REFUSED: "NOPE"}

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        said = json.loads(message)
        if said["method"] == "ping":
            return Answer([json.dumps({"channel": "pong"})])
        subscription = said["subscription"]
        if self.topic(subscription["coin"]) == REFUSED:
            text = f"Invalid subscription {json.dumps(subscription)}"
            return Answer([json.dumps({"channel": "error", "data": text})])
        reply = {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": subscription}}
        return Answer([json.dumps(reply)], taken([subscription["coin"]], self))

    def data(self, topic: str, number: int) -> str:
        trade = {"coin": self.symbols[topic], "side": "B", "px": "1.5", "sz": "2", "time": 1730000000000}
        return json.dumps(
            {"channel": "trades", "data": [{**trade, "hash": "0x0", "tid": number, "users": ["0x1", "0x2"]}]}
        )
