"""Dispatcher: carries events from the owner thread to the user's functions, on the callbacks thread or at once.

Nothing is dropped in silence: what does not fit is counted and given back to the caller, and a function that raises is
logged, reported to `on_error`, and changes nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Deque, List, Optional, Sequence

from xchws import clock, log
from xchws.errors import CallbackError, ExchangeError, ProtocolError, XchwsError, text_of
from xchws.events import Connected, Data, Disconnected, Event, Failure, Gap, Message, StateChanged, Stopped, Suspended
from xchws.runtime.bell import Bell
from xchws.runtime.newest import Newest, Place, Waiting
from xchws.runtime.registry import LATEST, Registration, Registry, check_ran
from xchws.runtime.strand import Strand

_BREATH = 0.1  # seconds after a fault of ours on the callbacks thread: one that stays shall not fill log and CPU
_LIFE = (Connected, Disconnected, Gap, StateChanged, Stopped, Suspended)


def _said(event: Event) -> bool:
    """Whether an event that is no data comes of what the exchange says, as often as it says it."""
    if isinstance(event, Failure):
        return isinstance(event.error, (ProtocolError, ExchangeError))
    return isinstance(event, Message)


class Dispatcher:
    """Calls the user's functions, one at a time and in order.

    Args:
        bell: rung when the callbacks thread has ended.
        report: is told of what a function raised, besides `on_error`; on the thread that called it.
        lost: is called on the callbacks thread if it ends before its time: nothing would be delivered any more.

    Attributes:
        capacity: how many events may wait.
        abandoned: whether what waits has been given up.
        strand: the callbacks thread; None: the functions are called inline.
    """

    def __init__(
        self,
        registry: Registry,
        capacity: int,
        inline: bool,
        name: str,
        bell: Bell,
        report: Callable[[Failure], None],
        lost: Callable[[], None],
    ) -> None:
        self.capacity = capacity
        self.callback_failures = 0
        self.abandoned = False
        self._registry = registry
        self._report = report
        self._lost = lost
        self._name = name
        self._queue: Deque[Waiting] = deque()
        self._newest = Newest()
        self._in_hand: Deque[Waiting] = deque()  # taken out of the queue and not delivered yet
        self._forgotten: Optional[int] = None  # how many were given up, once they have been let go
        self._late = 0  # how many came after that, or found no room at the very end
        # Only the owner and the callbacks thread take it, which no signal handler interrupts; a forked child takes it no more.
        self._lock = threading.Lock()
        self._filled = Bell()
        self._closing = False
        self._forsaken = False
        self.strand = None if inline else Strand(f"xchws {name} callbacks", self._work, self._last, bell)

    @property
    def backlog(self) -> int:
        """How many events wait, the one that is being delivered included."""
        return 0 if self.abandoned else self._waiting

    @property
    def undelivered(self) -> int:
        """How many events were given up. One whose functions are at work still counts until they are done with it."""
        if not self.abandoned:
            return self._late
        return self._late + (self._waiting if self._forgotten is None else self._forgotten)

    @property
    def _waiting(self) -> int:
        return max(0, len(self._queue) + len(self._in_hand) - self._newest.empty)

    @property
    def is_done(self) -> bool:
        """Whether nothing more will be delivered but what is at work now; True on the callbacks thread itself."""
        return self.abandoned or self.strand is None or self.strand.is_over or self.strand.is_current

    @property
    def works(self) -> bool:
        """Whether the callbacks thread runs, where there is one."""
        return self.strand is None or self.strand.works

    def start(self) -> None:
        """Start the callbacks thread, if there is one; raises RuntimeError if the process can have no more."""
        if self.strand is not None:
            self.strand.start()

    def put(self, events: Sequence[Event]) -> int:
        """Take a batch, in order; how many events did not fit.

        From the first that does not fit on, nothing of the batch is taken that the exchange has said: what is taken has no hole
        in it. What the session says, of the connection's life and its end, is always taken: there is little of it.
        """
        if self.abandoned:
            self._late += sum(bool(self._registry.routes(type(event))) for event in events)
            return 0
        if self.strand is None:
            self._in_hand.extend(events)
            self._empty_hand()
            return 0
        taken: List[Waiting] = []
        dropped = 0
        with self._lock:
            self._queue = self._newest.cleared(self._queue, len(self._in_hand))
            room = self.capacity - self._waiting
            for event in events:
                said = isinstance(event, Data) or _said(event)
                if said and dropped:
                    dropped += bool(self._registry.routes(type(event)))
                    continue
                if self._queued(event, taken):
                    if said and len(taken) >= room:
                        dropped += 1
                    else:
                        taken.append(event)
            self._queue += taken
        if taken:
            self._filled.ring()
        return dropped

    def _queued(self, event: Event, taken: List[Waiting]) -> bool:
        """Whether the event must wait in the queue; for those that want the newest only, it is put in its place here."""
        queued = False
        for registration in self._registry.routes(type(event)):
            if registration.when_slow != LATEST:
                queued = True
            elif registration.matches(event):
                place = self._newest.put(registration, event)
                if place is not None:
                    taken.append(place)  # one per symbol, asset, … at most, whatever the capacity
        if queued and isinstance(event, _LIFE):
            self._newest.turn()
        return queued

    def lose(self, count: int) -> None:
        """So many events did not fit at the very end: there is no connection any more to remake for it."""
        self._late += count
        log.warning("%s: %d events did not fit at the end: they were not delivered", self._name, count)

    def forsake(self) -> None:
        """In a forked child: deliver nothing more, for the parent does."""
        self._forsaken = self._closing = self.abandoned = True

    def close(self) -> None:
        """Nothing more will be put; the thread ends when the queue is empty."""
        self._closing = True
        self._filled.ring()

    def call_off(self) -> None:
        """Keep the thread from beginning, if it has not."""
        if self.strand is not None:
            self.strand.call_off()

    def abandon(self) -> int:
        """Give up what still waits; how many events that are, the one that is being delivered included."""
        self._closing = self.abandoned = True
        self._filled.ring()
        return self.undelivered

    def join(self, deadline: Optional[float]) -> bool:
        """Wait for the thread's end until a monotonic instant; whether it has ended (True on the thread itself)."""
        return self.strand is None or self.strand.join(deadline)

    # ------------------------------------------------------------------------------------------- on the callbacks thread

    def _work(self) -> None:
        fault: Optional[BaseException] = None
        while True:
            try:
                if fault is not None:
                    log.critical("%s: the callbacks thread goes on after a fault", self._name, raised=fault)
                    fault = None
                while not self._is_through():
                    self._empty_hand()
                break
            except BaseException as error:  # whatever it is, and wherever it came from: this thread must live
                if self._forsaken:
                    raise
                fault = error
                clock.pause(_BREATH)
        self._forgotten = self._waiting
        self._queue.clear()
        self._in_hand.clear()
        self._newest.clear()

    def _last(self) -> None:
        """The thread ends. Where more is to come, nobody would be told of that."""
        if not self._closing:
            self.abandon()
            self._lost()

    def _is_through(self) -> bool:
        """Wait for events and take them in hand; whether the work is over instead."""
        if self.abandoned:
            return True
        if self._in_hand:
            return False
        self._filled.wait_for(lambda: self._queue or self._closing, None)
        closing = self._closing  # before the look at the queue: nothing is put after it
        with self._lock:
            self._in_hand, self._queue = self._queue, self._in_hand
        return closing and not self._in_hand

    def _empty_hand(self) -> None:
        while self._in_hand:
            if self.abandoned:
                return  # given up at stop(), or this is a copy in a forked child
            try:
                waiting = self._in_hand[0]
                done = self._deliver(waiting) if isinstance(waiting, Event) else self._hand_over(waiting)
            except BaseException as error:  # a fault of ours: what it was about is lost, and that must not be silent
                if self._forsaken:
                    raise
                done = False
                self._in_hand.popleft()  # first: whatever comes of the telling, it is not delivered once more
                self._tell_fault(error)
            if done:
                self._in_hand.popleft()

    def _hand_over(self, place: Place) -> bool:
        """Call the function that the place is for with what is the newest now; True, for that is all."""
        with self._lock:
            event = self._newest.take(place)
        if event is not None and not place.registration.removed:
            self._call(place.registration, event)
        return True

    def _deliver(self, event: Event) -> bool:
        """Call the functions that want the event; whether all of them have been called."""
        for registration in self._registry.routes(type(event)):
            if self.abandoned:
                return False
            if self.strand is not None and registration.when_slow == LATEST:
                continue  # it has a place of its own
            if not registration.removed and registration.matches(event):
                self._call(registration, event)
        return True

    def _call(self, registration: Registration, event: Event) -> None:
        try:
            result = registration.function(registration.argument(event))
            if result is not None:
                check_ran(result)
        except BaseException as raised:  # whatever it is, sys.exit() too: this thread must live
            if self._forsaken:
                raise  # in a process that was forked in the function: none of our threads
            self._raised(registration, event, raised)

    def _raised(self, registration: Registration, event: Event, raised: BaseException) -> None:
        self.callback_failures += 1
        text = f"the callback {registration.name} raised {type(raised).__name__} on {type(event).__name__}"
        log.error("%s: %s", self._name, text, raised=raised)
        if isinstance(event, Failure):
            return  # on_error itself raised: to tell on_error again would go round in a circle
        text = f"{self._name}: {text}: {text_of(raised)}"
        error = CallbackError(text, callback=registration.function, event=event)
        error.__cause__ = raised
        self._tell(error)

    def _tell_fault(self, fault: BaseException) -> None:
        text = (
            f"{self._name}: internal error: an event could not be delivered: {type(fault).__name__}: {text_of(fault)}"
        )
        log.critical("%s", text, raised=fault)
        self._tell(XchwsError(text, exchange=self._name))

    def _tell(self, error: XchwsError) -> None:
        failure = Failure(error=error, exchange=self._name)
        self._report(failure)
        self._deliver(failure)
