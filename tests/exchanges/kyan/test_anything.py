"""Whole conversations of nonsense: every sample with parts removed, added, doubled and of another kind, in any order, on one
connection or on two, with answers to nothing, before their questions and twice. Nothing raises, nothing is a fault of ours.
"""

from __future__ import annotations

import random
from typing import Any, Dict, List

import pytest

from tests.exchanges.kyan.conversation import ME, Conversation
from tests.exchanges.kyan.samples import SAMPLES
from tests.exchanges.mutation import mutated, pick, spoilt
from xchws.events import Data, Failure
from xchws.exchanges.kyan.channels import CHANNELS
from xchws.exchanges.kyan.protocol import GetInstruments, Logout
from xchws.sansio.actions import Topic

NEEDED = {"pair": "ETH_USDC", "instrument_name": "ETH_USDC-PERPETUAL", "maker": ME, "account": ME}
VERBS = (
    "auth", "error", "subscribe", "unsubscribe", "get_instruments", "logout", "enable_session_recovery", "recover_session",
    "odd",
)  # fmt: skip
ERRORS = (
    None, "NOT_FOUND", "RATELIMITED", "KEY_USAGE_EXCEEDED", "Not Authorized", "Session already authorized",
    "Failed to validate api key", "invalid auth payload []", "Invalid query for trade channel", "already subscribed",
)  # fmt: skip
MORE: List[Dict[str, Any]] = [
    {}, {"recovery_token": "t" * 15, "ttl_seconds": 30}, {"data": ["A"]}, {"data": {"instruments": ["A"]}},
    {"subscriptions_restored": 2},
]  # fmt: skip


class Nonsense:
    """An exchange that may say anything."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.talk = Conversation(
            choose.random() < 0.7, lifetime=choose.choice([3600.0, 60.0]), verbatim=choose.random() < 0.2
        )
        self._topics: List[Topic] = []
        self._seq = 0
        self._said: List[Any] = []

    def _open_links(self) -> List[int]:
        links = (self.talk.session.active, self.talk.session.successor)
        return [link.number for link in links if link is not None and link.is_open]

    def connect(self) -> None:
        newest = self.talk.session.successor or self.talk.session.active
        if newest is not None and newest.phase.name == "DIALLING":
            self.talk.open()

    def wait(self) -> None:
        self.talk.pass_time(self.choose.choice([0.1, 1, 2, 5, 11, 30, 61]))

    def subscribe(self) -> None:
        channel = self.choose.choice(list(CHANNELS))
        query = {name: NEEDED[name] for name in CHANNELS[channel].required}
        self._topics.append(self.talk.subscribe(channel, **query))

    def unsubscribe(self) -> None:
        if self._topics:
            self.talk.unsubscribe(self.choose.choice(self._topics))

    def request(self) -> None:
        self.talk.request(self.choose.choice([GetInstruments(("ETH",)), Logout()]))

    def lose(self) -> None:
        for link in self._open_links():
            self.talk.lose(link)

    def answer(self) -> None:
        """Answer what was asked, nearly always as it should be."""
        for link in self._open_links():
            for command in self.talk.sent(link):
                reply = {
                    "kind": "response",
                    "type": command["type"],
                    "id": command["id"],
                    "success": True,
                    "timestamp_ms": 1,
                }
                if "recover" in command["type"]:
                    reply.update(recovery_token=f"token{self.choose.random()}", ttl_seconds=30)
                if self.choose.random() < 0.1:
                    reply.update(success=False, error=self.choose.choice(ERRORS[1:]))
                self.talk.say(mutated(self.choose, reply) if self.choose.random() < 0.3 else reply, link=link)

    def say(self) -> None:
        if self.choose.random() < 0.8:
            message: Any = mutated(self.choose, self.choose.choice(list(SAMPLES.values())))
        else:
            reply = {"kind": "response", "type": self.choose.choice(VERBS), "id": str(self.choose.randint(1, 5))}
            message = {**reply, "success": self.choose.random() < 0.5, "error": self.choose.choice(ERRORS)}
            message = mutated(self.choose, {**message, **self.choose.choice(MORE)})
        if isinstance(message, dict) and self.choose.random() < 0.3:
            message["message_id"] = self.choose.choice(["a", "b", str(self.choose.random())])
        if isinstance(message, dict) and self.choose.random() < 0.3:
            self._seq += self.choose.choice([1, 1, 1, 2])
            message["seq_id"] = self._seq
        if self._said and self.choose.random() < 0.1:
            message = self.choose.choice(self._said)
        self._said.append(message)
        for link in self._open_links()[: self.choose.randint(1, 2)]:
            self.talk.say(spoilt(self.choose, message), link=link)


WEIGHTS = (
    ("connect", 10), ("wait", 8), ("subscribe", 14), ("unsubscribe", 5), ("request", 5), ("lose", 2), ("answer", 22),
    ("say", 34),
)  # fmt: skip


@pytest.mark.parametrize("block", range(4))
def test_nothing_raises(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        nonsense = Nonsense(random.Random(seed))
        for _ in range(40):
            getattr(nonsense, pick(nonsense.choose, *WEIGHTS))()
        for one in nonsense.talk.events:
            assert not (isinstance(one, Failure) and "internal" in str(one.error)), seed
            if isinstance(one, Data):
                assert repr(one) and one.raw is not ... and (one.time is None or one.time.tzinfo is not None), seed
