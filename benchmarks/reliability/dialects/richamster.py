"""Richamster: subscriptions answered without an id. Source: https://richamster.com/api/v1/docs/websockets/, read 2026-11."""

from __future__ import annotations

import json
from typing import Mapping

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Text, taken


class Richamster(Dialect):
    """Closed orders of a pair (the channel `trading`); the number is the price."""

    symbols = {FIRST: "BTC/UAH", SECOND: "ETH/UAH", REFUSED: "NOPE/UAH"}

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        said = json.loads(message)
        channel, pair = said["channel"], said["pair"]
        if self.topic(pair) == REFUSED:
            return Answer([json.dumps({"type": "error", "message": "Subscription channel is invalid."})])
        words = f'You are connected to channel "{channel}" and currency pair "{pair}"'
        return Answer([json.dumps({"type": "success", "message": words})], taken([pair], self))

    def data(self, topic: str, number: int) -> str:
        trade = {"pair": self.symbols[topic], "unit_price": str(number), "volume": "2", "side": "buying"}
        return json.dumps({**trade, "sum": str(2 * number), "created_at": "1730000000", "closed_at": "1730000000"})
