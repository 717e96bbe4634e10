"""What one client of Kyan is subscribed to and has been told: numbering, and what a lost session missed.

``message_id`` and ``seq_id``: changelog 1.16.0 of https://docs.kyan.blue; recovery: ws-session-recovery (read 2026-11).
That a replayed message keeps its ``message_id`` and gets a new ``seq_id`` is a guess: the one tells messages apart, the
other counts within a connection. Guarded by the session's own lock; subscriptions by the market's ``book_lock``.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Tuple

from .jsontext import write
from .kyan_channels import Event, Subscription
from .session import Session

REMEMBERED = 600.0  # seconds for which an expired token is told from an unknown one


class Stream:
    """Lives as long as its session, and for the recovery window after it.

    Attributes:
        key: of the account, None before ``auth``.
        token: recovers this stream, None if recovery is not enabled.
        deadline: monotonic seconds until which it can be recovered, None while the session lives.
    """

    def __init__(self, session: Session, buffer: int, message_ids: bool, number_responses: bool) -> None:
        self.session = session
        self.key: Optional[str] = None
        self.subscriptions: Dict[Tuple[Any, ...], Subscription] = {}
        self.token: Optional[str] = None
        self.deadline: Optional[float] = None
        self._message_ids = message_ids
        self._number_responses = number_responses
        self._buffer: Deque[Dict[str, Any]] = deque(maxlen=buffer)
        self._told = 0
        self._missed_after: Optional[int] = None
        self._seq = 0
        self._last: Optional[str] = None

    def tell(self, event: Event, subscription: Subscription, now: int) -> None:
        """Send an event that belongs to the subscription; keep it for a recovery. *now* in ms."""
        message: Dict[str, Any] = {"kind": "event", "type": event.type, "timestamp_ms": now}
        if self._message_ids:
            message["message_id"] = str(uuid.uuid4())
        self.tell_message({**message, "data": event.data, "subscription": subscription.wire()})

    def tell_message(self, message: Dict[str, Any]) -> None:
        """Send an event that is complete but for its number."""
        with self.session.together():
            self._told += 1
            self._buffer.append(message)
            if self.deadline is None:
                self._last = self._numbered(message)
                self.session.send_text(self._last)

    def response(self, kind: str, request_id: Any, now: int, more: Dict[str, Any]) -> str:
        """The text of an answer."""
        message: Dict[str, Any] = {"kind": "response", "type": kind}
        if request_id is not None:
            message["id"] = request_id
        message["timestamp_ms"] = now
        if self._message_ids:
            message["message_id"] = str(uuid.uuid4())
        message.update(more)
        with self.session.together():
            return self._numbered(message) if self._number_responses else write(message)

    def skip(self, n: int) -> None:
        """Leave out the next *n* numbers."""
        with self.session.together():
            self._seq += n

    def repeat(self) -> None:
        """Send the last event again, to the letter."""
        with self.session.together():
            if self._last is not None:
                self.session.send_text(self._last)

    # Losing and recovering.

    def doubt(self) -> None:
        """What is sent from now on may never arrive."""
        with self.session.together():
            if self._missed_after is None:
                self._missed_after = self._told

    def trust(self) -> None:
        """It does arrive after all."""
        with self.session.together():
            if self.deadline is None:
                self._missed_after = None

    def detach(self, window: float) -> None:
        """The session is over: what comes now is missed, for *window* seconds."""
        with self.session.together():
            if self.deadline is None:
                self.doubt()
                self.deadline = time.monotonic() + window

    @property
    def lost(self) -> bool:
        """The session is over and nobody will come back for it."""
        return self.deadline is not None and (self.token is None or time.monotonic() > self.deadline)

    @property
    def forgotten(self) -> bool:
        """Not even known to have been."""
        return self.lost and (self.token is None or time.monotonic() > (self.deadline or 0.0) + REMEMBERED)

    def missed(self, overlap: int) -> Optional[List[Dict[str, Any]]]:
        """The messages that the client has not got, and *overlap* before them; None if there are more than fit."""
        with self.session.together():
            after = self._told if self._missed_after is None else self._missed_after
            count = self._told - after
            if count > (self._buffer.maxlen or 0):
                return None
            return list(self._buffer)[max(0, len(self._buffer) - count - overlap) :]

    def _numbered(self, message: Dict[str, Any]) -> str:
        if not self._message_ids:
            return write(message)
        self._seq += 1
        numbered: Dict[str, Any] = {}
        for name, value in message.items():
            numbered[name] = value
            if name == "message_id":
                numbered["seq_id"] = self._seq
        return write(numbered)
