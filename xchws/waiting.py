"""What a user waits for: an expectation, a stream of events, a subscription. Filled by the owner thread, awaited by any other."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Callable, Deque, Generic, Optional, Tuple, Type, TypeVar

from xchws import clock
from xchws.errors import CallbackError, SlowConsumer, StateError, WaitTimeout, XchwsError
from xchws.events import Event
from xchws.sansio.actions import Topic

E = TypeVar("E", bound=Event)
Guard = Callable[[str], None]


def checked_timeout(timeout: Optional[float]) -> Optional[float]:
    """A timeout in seconds, or None to wait without end.

    Raises:
        ValueError: it is no number or below 0.
    """
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0):
        raise ValueError(f"timeout must be a number of seconds, 0 or more, or None; not {timeout!r}")
    return timeout


class _Filter(Generic[E]):
    """Which events are wanted."""

    def __init__(
        self,
        event_class: Type[E],
        filters: Tuple[Tuple[str, Any], ...],
        where: Optional[Callable[[E], bool]],
    ) -> None:
        self.event_class = event_class
        self._filters = filters
        self._where = where

    def matches(self, event: Event) -> bool:
        """Whether the event is wanted; raises what `where` raises."""
        if not isinstance(event, self.event_class):
            return False
        for name, value in self._filters:
            if getattr(event, name, None) != value:
                return False
        return self._where is None or bool(self._where(event))


class Expectation(Generic[E]):
    """The first event that fits, from the moment of `expect` on.

    `where` is called on the owner thread: it must be quick. What it raises comes out of `result` as the cause of a
    CallbackError.
    """

    def __init__(self, wanted: _Filter[E], guard: Guard, forget: Callable[[Any], None]) -> None:
        self._wanted = wanted
        self._guard = guard
        self._forget = forget
        self._done = threading.Event()
        self._event: Optional[E] = None
        self._error: Optional[XchwsError] = None

    @property
    def done(self) -> bool:
        """Whether `result` would return (or raise the client's end) at once."""
        return self._done.is_set()

    def result(self, timeout: Optional[float]) -> E:
        """The event. Waits at most `timeout` seconds (None: without end).

        Raises:
            WaitTimeout: it did not come in time; the expectation goes on.
            CallbackError: `where` raised.
            StateError: called on the owner thread, in a forked child, or the client was stopped before it came.
            XchwsError: the client ended with this error before it came.
        """
        if not self._done.is_set():
            self._guard("wait for an event")
            if not self._done.wait(checked_timeout(timeout)):
                raise WaitTimeout(f"no {self._wanted.event_class.__name__} came within {timeout:g} s")
        if self._error is not None:
            raise self._error
        assert self._event is not None, "done without an error means that there is an event"
        return self._event

    def cancel(self) -> None:
        """Expect it no more; a `result` that waits raises StateError."""
        self._forget(self)
        self.fail(StateError("the expectation was cancelled"))

    def offer(self, event: Event) -> bool:
        """On the owner thread: look at an event; whether the expectation is over."""
        try:
            if not self._wanted.matches(event):
                return False
        except BaseException as raised:  # sys.exit() too: the owner thread must live
            error = CallbackError(f"the where of an expectation raised {type(raised).__name__}: {raised}", event=event)
            error.__cause__ = raised
            self._error = error
        else:
            self._event = event  # type: ignore[assignment]  # matches() has checked the class
        self._done.set()
        return True

    def fail(self, error: XchwsError) -> None:
        """It will not come any more."""
        if not self._done.is_set():
            self._error = error
            self._done.set()


class EventStream(Generic[E]):
    """The events that fit, from the moment of `events` on, as an iterator. It ends when the client is stopped.

    Iterating raises WaitTimeout if none comes for `timeout` seconds (the stream goes on), SlowConsumer once, after what was
    kept has been given out, if the loop fell more than `capacity` events behind (the stream goes on from there), StateError
    in a forked child or on the owner thread, and at the end the error that ended the client, if there was one.
    """

    def __init__(
        self,
        wanted: _Filter[E],
        timeout: Optional[float],
        capacity: int,
        guard: Guard,
        forget: Callable[[Any], None],
    ) -> None:
        self._wanted = wanted
        self._timeout = checked_timeout(timeout)
        self._capacity = capacity
        self._guard = guard
        self._forget = forget
        self._lock = threading.Condition()
        self._events: Deque[E] = deque()
        self._dropped = 0
        self._ended = False
        self._error: Optional[XchwsError] = None

    def __iter__(self) -> EventStream[E]:
        return self

    def __next__(self) -> E:
        with self._lock:
            if not self._events and not self._dropped and not self._ended:
                self._guard("wait for an event")
                if not self._lock.wait_for(lambda: self._events or self._dropped or self._ended, self._timeout):
                    raise WaitTimeout(f"no {self._wanted.event_class.__name__} came within {self._timeout:g} s")
            if self._events:
                return self._events.popleft()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                raise SlowConsumer(
                    f"the loop over events() is too slow: {dropped} events had to be given up", dropped=dropped
                )
            error, self._error = self._error, None
            if error is not None:
                raise error
            raise StopIteration

    def close(self) -> None:
        """Take no more events; what was kept is given out, then the iteration ends."""
        self._forget(self)
        with self._lock:
            self._ended = True
            self._lock.notify_all()

    def offer(self, event: Event) -> bool:
        """On the owner thread: take an event if it fits."""
        try:
            wanted = self._wanted.matches(event)
        except Exception as raised:
            error = CallbackError(f"a filter of events() raised {type(raised).__name__}", event=event)
            error.__cause__ = raised
            self.fail(error)
            return True
        if wanted:
            with self._lock:
                if self._dropped or len(self._events) >= self._capacity:
                    self._dropped += 1
                else:
                    self._events.append(event)  # type: ignore[arg-type]  # matches() has checked the class
                self._lock.notify_all()
        return False

    def fail(self, error: Optional[XchwsError]) -> None:
        """The client has ended."""
        with self._lock:
            self._error = error
            self._ended = True
            self._lock.notify_all()


class Subscription:
    """A wanted subscription: remembered, and sent again after every reconnect.

    Attributes:
        name: for people and for `Gap.channels`, such as `ticker BTC/UAH`.
    """

    def __init__(self, topic: Topic, guard: Guard, end: Callable[[Subscription], None]) -> None:
        self._topic = topic
        self._guard = guard
        self._end = end
        self._lock = threading.Condition()
        self._state = "pending"
        self._error: Optional[XchwsError] = None

    @property
    def name(self) -> str:
        """For people: `ticker BTC/UAH`."""
        return self._topic.name

    @property
    def state(self) -> str:
        """ "pending", "active", "refused" or "ended"."""
        return self._state

    @property
    def active(self) -> bool:
        """Whether the exchange has accepted it on the connection that stands."""
        return self._state == "active"

    def wait(self, timeout: Optional[float]) -> Subscription:
        """Wait until it is active, at most `timeout` seconds (None: without end); returns itself.

        Raises:
            SubscriptionRejected: the exchange refuses it.
            WaitTimeout: it was neither accepted nor refused in time; it goes on.
            StateError: it was unsubscribed, the client was stopped, or this is the owner thread or a forked child.
            XchwsError: the client ended with this error.
        """
        with self._lock:
            if self._state == "pending":
                self._guard("wait for a subscription")
                if not self._lock.wait_for(lambda: self._state != "pending", checked_timeout(timeout)):
                    raise WaitTimeout(f"the subscription {self.name!r} was not answered within {timeout:g} s")
            if self._state == "active":
                return self
            raise self._error or StateError(f"the subscription {self.name!r} has ended")

    def unsubscribe(self) -> None:
        """Want it no more. Legal at any time and from any thread; once more does nothing."""
        self.settle("ended", None)
        self._end(self)

    def settle(self, state: str, error: Optional[XchwsError]) -> None:
        """On the owner thread: what became of it. Ended or refused is for good."""
        with self._lock:
            if self._state in ("pending", "active"):
                self._state = state
                self._error = error
                self._lock.notify_all()

    def __repr__(self) -> str:
        return f"<Subscription {self.name!r} {self._state}>"


def wanted(
    event_class: Type[E], filters: Tuple[Tuple[str, Any], ...], where: Optional[Callable[[E], bool]]
) -> _Filter[E]:
    """What an expectation or a stream looks for."""
    return _Filter(event_class, filters, where)


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Seconds until a monotonic instant, not below 0; None for None."""
    return None if deadline is None else max(0.0, deadline - clock.monotonic())
