"""Dispatcher: carries events from the owner thread to the user's functions, on the callbacks thread or at once.

Nothing is dropped in silence: what does not fit is counted and given back to the caller, and a function that raises is
logged, reported to `on_error`, and changes nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Deque, List, Optional, Sequence, Tuple, Union

import attrs

from xchws import clock
from xchws.errors import CallbackError
from xchws.events import Data, Event, Failure
from xchws.runtime.registry import LATEST, Registration, Registry

_log = logging.getLogger("xchws")


@attrs.frozen(eq=False)
class _Newest:
    """In the queue: the newest event that waits for this registration under this key."""

    registration: Registration
    key: Tuple[type, str]


class Dispatcher:
    """Calls the user's functions, one at a time and in order.

    Attributes:
        capacity: how many events may wait.
        undelivered: how many still waited when the dispatcher was abandoned.
    """

    def __init__(self, registry: Registry, capacity: int, inline: bool, name: str) -> None:
        self.capacity = capacity
        self.undelivered = 0
        self.callback_failures = 0
        self._registry = registry
        self._inline = inline
        self._name = name
        self._queue: Deque[Union[Event, _Newest]] = deque()
        self._in_hand = 0  # taken out of the queue by the callbacks thread and not delivered yet
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._closing = False
        self._abandoned = False
        self.thread: Optional[threading.Thread] = None
        if not inline:
            self.thread = threading.Thread(target=self._work, name=f"xchws {name} callbacks", daemon=True)

    @property
    def backlog(self) -> int:
        """How many events wait."""
        return len(self._queue) + self._in_hand

    @property
    def abandoned(self) -> bool:
        """Whether what waited has been given up."""
        return self._abandoned

    def start(self) -> None:
        """Start the callbacks thread, if there is one."""
        if self.thread is not None:
            self.thread.start()

    def put(self, events: Sequence[Event]) -> int:
        """Take a batch, in order; how many data events did not fit.

        From the first that does not fit on, no data event of the batch is taken: what is taken has no hole in it. Events of
        the connection's life are always taken, there are few.
        """
        if self._inline:
            for event in events:
                self._deliver(event)
            return 0
        taken: List[Union[Event, _Newest]] = []
        dropped = 0
        with self._filled:
            room = self.capacity - len(self._queue) - self._in_hand
            for event in events:
                is_data = isinstance(event, Data)
                if is_data and dropped:
                    dropped += 1
                    continue
                if self._queued(event, taken):
                    if is_data and len(taken) >= room:
                        dropped += 1
                    else:
                        taken.append(event)
            if taken:
                self._queue += taken
                self._filled.notify()
        return dropped

    def _queued(self, event: Event, taken: List[Union[Event, _Newest]]) -> bool:
        """Whether the event must wait in the queue; for those that want the newest only, it is put in its place here."""
        queued = False
        for registration in self._registry.routes(type(event)):
            if registration.when_slow != LATEST:
                queued = True
            elif registration.matches(event):
                key = (type(event), getattr(event, "symbol", ""))
                if key not in registration.latest:
                    taken.append(_Newest(registration, key))  # one per symbol at most, whatever the capacity
                registration.latest[key] = event
        return queued

    def forsake(self) -> None:
        """In a forked child: deliver nothing more, for the parent does."""
        self._abandoned = True

    def close(self) -> None:
        """Nothing more will be put; the thread ends when the queue is empty."""
        with self._filled:
            self._closing = True
            self._filled.notify()

    def abandon(self) -> int:
        """Give up what still waits; how many events that were."""
        with self._filled:
            self._closing = self._abandoned = True
            self.undelivered = len(self._queue) + self._in_hand
            self._queue.clear()
            self._filled.notify()
        return self.undelivered

    def join(self, deadline: Optional[float]) -> bool:
        """Wait for the thread's end until a monotonic instant; whether it has ended (True on the thread itself)."""
        thread = self.thread
        if thread is None or thread is threading.current_thread() or thread.ident is None:
            return True
        thread.join(None if deadline is None else max(0.0, deadline - clock.monotonic()))
        return not thread.is_alive()

    # ------------------------------------------------------------------------------------------- on the callbacks thread

    def _work(self) -> None:
        while True:
            with self._filled:
                while not self._queue and not self._closing:
                    self._filled.wait()
                if not self._queue:
                    return
                batch, self._queue = self._queue, deque()
                self._in_hand = len(batch)
            for waiting in batch:
                if self._abandoned:
                    return  # given up at stop(), or this is a copy in a forked child
                if isinstance(waiting, _Newest):
                    with self._lock:
                        event = waiting.registration.latest.pop(waiting.key)
                    if not waiting.registration.removed:
                        self._call(waiting.registration, event)
                else:
                    self._deliver(waiting)
                self._in_hand -= 1
            self._in_hand = 0

    def _deliver(self, event: Event) -> None:
        for registration in self._registry.routes(type(event)):
            if self._abandoned:
                return
            if (self._inline or registration.when_slow != LATEST) and registration.matches(event):
                self._call(registration, event)

    def _call(self, registration: Registration, event: Event) -> None:
        try:
            registration.function(registration.argument(event))
        except BaseException as raised:  # whatever it is, sys.exit() too: this thread must live
            self._raised(registration, event, raised)

    def _raised(self, registration: Registration, event: Event, raised: BaseException) -> None:
        self.callback_failures += 1
        kind = type(raised).__name__
        text = f"the callback {registration.name} raised {kind} on {type(event).__name__}"
        try:
            said = str(raised)
        except Exception:  # whatever it is, this thread must live
            said = "(its text cannot be read)"
        _log.error("%s: %s", self._name, text, exc_info=raised)
        if isinstance(event, Failure):
            return  # on_error itself raised: to tell on_error again would go round in a circle
        error = CallbackError(f"{self._name}: {text}: {said}", callback=registration.function, event=event)
        error.__cause__ = raised
        self._deliver(Failure(error=error, exchange=event.exchange))
