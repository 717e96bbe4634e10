"""Indodax's market data: Centrifugo, client protocol v1, with replay of what was missed.

Sources: https://github.com/btcid/indodax-official-api-docs, Marketdata-websocket.md, and the protocol of Centrifugo 2.8.6, both
read 2026-11.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND, Answer, Dialect, Text

_CHANNEL = "market:trade-activity-"


class IndodaxMarket(Dialect):
    """Executions of a pair; the number is the offset and the price."""

    symbols = {FIRST: "btcidr", SECOND: "ethidr", REFUSED: "nopeidr"}

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        says, topics = [], []
        for line in message.splitlines():
            command = json.loads(line)
            reply: Dict[str, Any] = {"id": command["id"]}
            method, given = command.get("method", 0), command.get("params", {})
            if method == 0:
                self.secrets["token"] = given["token"]
                reply["result"] = {"client": "c", "version": "2.8.6"}
            elif method == 1:
                topic = self.topic(given["channel"][len(_CHANNEL) :])
                if topic == REFUSED:
                    reply["error"] = {"code": 102, "message": "unknown channel"}
                else:
                    topics.append(topic)
                    reply["result"] = self._subscribed(topic, given, published[topic])
            else:
                reply["result"] = {}
            says.append(json.dumps(reply))
        return Answer(says, topics)

    def _subscribed(self, topic: str, given: Mapping[str, Any], last: int) -> Dict[str, Any]:
        result = {"recoverable": True, "epoch": "e1", "offset": last}
        if given.get("recover"):
            missed = range(given.get("offset", 0) + 1, last + 1)
            result["publications"] = [{"offset": number, "data": self._rows(topic, number)} for number in missed]
            result["recovered"] = True
        return result

    def data(self, topic: str, number: int) -> str:
        channel = _CHANNEL + self.symbols[topic]
        publication = {"data": self._rows(topic, number), "offset": number}
        return json.dumps({"result": {"channel": channel, "data": publication}})

    def _rows(self, topic: str, number: int) -> List[List[Any]]:
        return [[self.symbols[topic], 1730000000, number, "buy", number, str(2 * number), "2"]]
