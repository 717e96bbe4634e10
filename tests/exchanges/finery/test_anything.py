"""Whole conversations of nonsense: every sample with parts removed, added, doubled and of another kind, in any order, with
answers to nothing, before their questions and twice. Nothing raises, nothing is a fault of ours, no answer is more than it says.
"""

from __future__ import annotations

import random
from typing import Any, Callable, List, Tuple

import pytest

from tests.exchanges.finery import samples
from tests.exchanges.finery.conversation import CONNECTED, Conversation
from tests.exchanges.mutation import STRANGE, mutated, pick, spoilt
from xchws.events import Data, Failure
from xchws.exchanges.finery import calls, replies
from xchws.exchanges.finery.errors import Malformed

BINDS: Tuple[Tuple[str, Any], ...] = (
    ("F", "ETH-USD"), ("B", "ETH-USD"), ("F", 42), ("F", {"instrument": "ETH-USD", "clientId": 7}), ("O", None),
    ("O", "ETH-USD"), ("K", None), ("K", "BTC"), *((feed, None) for feed in "LGSNRIP"),
)  # fmt: skip
REPLIES: Tuple[Any, ...] = (
    {"id": 5, "clientOrderId": 3, "remainingSize": 5}, {"id": 5, "remainingSize": 0, "cancelReason": 2}, [], {},
    {"id": 5, "origId": 3, "remainingSize": 5}, {"error": 9, "param": "x"}, 5, None, samples.BOOK, [samples.DEAL],
    [80, [samples.POSITION], [samples.ORDER], [samples.SETTLEMENT_ROW]],
)  # fmt: skip
READERS: Tuple[Callable[[bytes], Any], ...] = (
    replies.order, replies.delete, lambda value: replies.book(value, "ETH-USD"), replies.instruments, replies.portfolio,
    replies.deals, replies.global_limits, replies.counterparty_limits, replies.transactions, replies.plain,
)  # fmt: skip


class Nonsense:
    """An exchange that may say anything."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.talk = Conversation(
            json_ping=choose.random() < 0.3, connected=choose.random() < 0.8, verbatim=choose.random() < 0.2
        )
        self._tickets = 0

    def connect(self) -> None:
        active = self.talk.session.active
        if active is not None and active.phase.name == "DIALLING":
            self.talk.open()

    def wait(self) -> None:
        self.talk.wait(self.choose.choice([0.1, 1, 2, 5, 11, 30, 61]))

    def bind(self) -> None:
        self.talk.bind(*self.choose.choice(BINDS))

    def unbind(self) -> None:
        self.talk.unbind(*self.choose.choice(BINDS))

    def ask(self) -> None:
        self._tickets += 1
        number = self.choose.randint(1, 9)
        asked: List[calls.Call] = [
            calls.add("ETH-USD", "buy", "limit", "0.25", None, 3120, number, number > 5, None, None, None, 10.0),
            calls.modify(number, 1, 1, None, 10.0),
            calls.delete(number, None, 10.0),
            calls.delete_all(None, None),
            calls.plain_call("add", {"cod": True, "instrument": 5, "clientOrderId": []}, 10.0),
            calls.plain_call("mod", {"orderId": None}, 10.0),
        ]
        self.talk.ask(self.choose.choice(asked), self._tickets)

    def lose(self) -> None:
        self.talk.lose()

    def status(self) -> None:
        self._hear(self.choose.choice([CONNECTED, ["X", 0, "Z", 2], ["X", 0, "Z", self.choose.choice(STRANGE)]]))

    def reply(self) -> None:
        reply = self.choose.choice(REPLIES)
        self._hear(
            mutated(
                self.choose, {"event": "request", "reqId": self.choose.randint(1, self._tickets + 1), "reply": reply}
            )
        )

    def answer(self) -> None:
        feed, feed_id = self.choose.choice(BINDS)
        action = self.choose.choice("ZUSS")
        data: Any = {"Z": self.choose.choice([0, 2, 10, 100, 101, 102, [104]]), "U": 0}.get(action)
        beginning = samples.BOOK if feed in "BF" else []
        self._hear([feed, 0 if feed_id is None else feed_id, action, beginning if action == "S" else data])

    def say(self) -> None:
        self._hear(mutated(self.choose, self.choose.choice(list(samples.MESSAGES.values()))))

    def _hear(self, message: Any) -> None:
        active = self.talk.session.active
        if active is not None and active.is_open:
            self.talk.hear(spoilt(self.choose, message))


WEIGHTS = (
    ("connect", 7), ("wait", 10), ("bind", 13), ("unbind", 6), ("ask", 6), ("lose", 2), ("status", 8), ("reply", 14),
    ("answer", 14), ("say", 20),
)  # fmt: skip


@pytest.mark.parametrize("block", range(4))
def test_nothing_raises(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        nonsense = Nonsense(random.Random(seed))
        for _ in range(40):
            getattr(nonsense, pick(nonsense.choose, *WEIGHTS))()
        talk = nonsense.talk
        for one in talk.events:
            assert not (isinstance(one, Failure) and "finery: internal error" in str(one.error)), seed
            if isinstance(one, Data):
                assert repr(one) and one.raw is not ... and (one.time is None or one.time.tzinfo is not None), seed
        for resolved in talk.resolved:
            for read in READERS if resolved.error is None else ():
                try:
                    read(resolved.value)
                except Malformed:
                    pass  # the only way to say that it is none
