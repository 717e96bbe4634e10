"""Binding: one feed on one connection: what has been asked for, what the exchange has not answered yet, and its book.

Answers come in the order of the commands and name none of them, so the commands that wait for one are kept in a queue: the
oldest says what a failure is about, and whether a message is of a binding that is about to end.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, Optional, Tuple

import msgspec

from xchws.exchanges.finery.book import Book
from xchws.exchanges.finery.feeds import BOOKS, MISSES, NO_ID, key_of
from xchws.exchanges.finery.wire import Frame
from xchws.sansio.actions import Send, Topic

BIND, UNBIND = "bind", "unbind"

_REPLY = 10.0  # seconds for the answer to bind or unbind
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between tries, after the first one that is made at once
_GOOD = 60.0  # seconds without trouble after which the next one is the first again
_EARLY_KEPT = 1_000  # messages


class Binding:
    """One feed.

    Attributes:
        wanted: whether it is still to be bound; pending: the commands without an answer, the oldest first.
        book: where the feed is a book and there is one.
        due: when (monotonic) to bind again, or None; answer_by: when the oldest command must be answered.
        renewed: it was bound already when it was to be bound, and has been unbound to get a snapshot.
        live: it is bound and its snapshot has come.
        lost: the exchange has lost its back end since it was bound, and whether it is bound still is not known; was_lost: so it
            was once.
        stray_at: when (monotonic) it was seen to be bound although nobody wants it any more, or None.
        early: what it told while it was not live and no snapshot tells again; the oldest are forgotten.
    """

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.feed = topic.channel
        self.key = key_of(topic)
        self.wanted = True
        self.pending: Deque[str] = deque()
        self.book: Optional[Book] = None
        self.due: Optional[float] = None
        self.answer_by = 0.0
        self.renewed = False
        self.live = False
        self.lost = self.was_lost = False
        self.stray_at: Optional[float] = None
        self.early: Deque[Tuple[Frame, bytes]] = deque(maxlen=_EARLY_KEPT)
        self._troubles = 0
        self._trouble_at = 0.0

    @property
    def is_book(self) -> bool:
        """Whether it is kept as a book."""
        return self.feed in BOOKS

    @property
    def recovers(self) -> bool:
        """Whether a snapshot tells all that was missed; executions are told once only."""
        return self.feed not in MISSES

    @property
    def head(self) -> Optional[str]:
        """The oldest command without an answer."""
        return self.pending[0] if self.pending else None

    @property
    def deadline(self) -> Optional[float]:
        """When something is to be done about it."""
        if self.stray_at is not None:
            return self.stray_at
        if self.due is not None:
            return min(self.due, self.answer_by) if self.pending else self.due
        return self.answer_by if self.pending else None

    def send(self, command: str, now: float) -> Send:
        """The command's message; unbind says the same feedId as bind did."""
        self.pending.append(command)
        self.answer_by = now + _REPLY
        self.live = self.lost = False
        self.stray_at = None
        if command == BIND:
            self.due = None
        message: Dict[str, Any] = {"event": command, "feed": self.feed}
        if self.key != NO_ID:
            message["feedId"] = msgspec.Raw(self.key)
        return Send(msgspec.json.encode(message))

    def bind(self, now: float) -> List[Send]:
        """Bind, at once or after a pause, by how much trouble there has been of late."""
        pause = self._pause()
        if pause:
            self.due = now + pause
            return []
        return [self.send(BIND, now)]

    def answered(self, command: Optional[str] = None) -> str:
        """Take the oldest command without an answer; or the oldest of this kind, where an answer can be to no other and there is
        one: those before it were passed over by the exchange. There must be one."""
        while command in self.pending and self.pending[0] != command:
            self.pending.popleft()
        return self.pending.popleft()

    def accept(self) -> None:
        """Its snapshot has come, or what has to do for one."""
        if self.head == BIND:
            self.pending.popleft()
        self.renewed = False
        self.live = True

    def lose(self) -> None:
        """The exchange has lost its back end. What was asked before may be answered all the same."""
        self.book = self.due = None
        self.live = self.renewed = False
        self.lost = self.was_lost = True

    def trouble(self, now: float) -> None:
        """It has to be bound again: the more often, the later."""
        self.live = False
        if now - self._trouble_at >= _GOOD:
            self._troubles = 0
        self._trouble_at = now
        self._troubles += 1

    def _pause(self) -> float:
        if self._troubles < 2:
            return 0.0
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._troubles - 2, 10))
