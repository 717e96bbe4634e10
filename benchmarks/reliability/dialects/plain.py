"""A small exchange of no vendor's, for libraries that speak none: subscribe by name, an answer, numbered messages."""

from __future__ import annotations

import json
from typing import Mapping

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Text, taken


class Plain(Dialect):
    """`{"subscribe": "first"}`, `{"ok": "first"}`, `{"topic": "first", "number": 1}`."""

    symbols = {FIRST: "first", SECOND: "second", REFUSED: "refused"}

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        wanted = json.loads(message)["subscribe"]
        if wanted == REFUSED:
            return Answer([json.dumps({"error": f"no such topic: {wanted}"})])
        return Answer([json.dumps({"ok": wanted})], taken([wanted], self))

    def data(self, topic: str, number: int) -> str:
        return json.dumps({"topic": topic, "number": number})
