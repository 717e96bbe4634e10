"""What clients sent, and what the exchange would not have accepted of it.

Written by the threads of all connections, read by the test: every list handed out is a copy.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Callable, Deque, List, Mapping, Optional

REMARK = "remark: "


@dataclass(frozen=True)
class Received:
    """One thing a client sent.

    Attributes:
        kind: ``handshake``, ``message``, ``ping``, ``pong``, ``close`` or ``rest``.
        session: the number of the connection, None for REST.
        text: the message, the reason of a close, or the body of a REST request.
        parsed: the message or body as parsed JSON, None where it is none; the code of a close.
        method, path: of a handshake or REST request; the path with its query.
        headers: of a handshake or REST request, names in lower case.
    """

    kind: str
    session: Optional[int]
    text: str = ""
    parsed: Any = None
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Record:
    """The lists, and the condition to wait on until they say something.

    *history* limits how many things are kept (None: all).
    """

    def __init__(self, history: Optional[int] = None) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self._received: Deque[Received] = deque(maxlen=history)
        self._complaints: Deque[str] = deque(maxlen=history)

    @property
    def received(self) -> List[Received]:
        with self._changed:
            return list(self._received)

    @property
    def complaints(self) -> List[str]:
        with self._changed:
            return list(self._complaints)

    def add(self, received: Received) -> None:
        with self._changed:
            self._received.append(received)
            self._tell()

    def complain(self, text: str) -> None:
        with self._changed:
            self._complaints.append(text)
            self._tell()

    def notify(self) -> None:
        """Something else changed that somebody may be waiting for."""
        with self._changed:
            self._tell()

    def wait_until(self, predicate: Callable[[], object], timeout: float) -> bool:
        """Whether *predicate* came true within *timeout* seconds. It runs in the waiting thread, without any lock."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen = self._version
            if predicate():
                return True
            with self._changed:
                while self._version == seen:
                    if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                        return bool(predicate())

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()
