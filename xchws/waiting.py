"""What a user waits for: an expectation, a stream of events, a subscription, an answer.

Filled by the owner thread, awaited by any other. The two share no lock, for the reason that runtime/bell.py gives.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Deque, Generic, NoReturn, Optional, Tuple, Type, TypeVar, Union

from xchws import clock
from xchws.durations import checked_timeout
from xchws.errors import CallbackError, SlowConsumer, StateError, WaitTimeout, XchwsError, text_of
from xchws.events import Event
from xchws.runtime.bell import Bell, Latch
from xchws.sansio.actions import Resolved, Topic

E = TypeVar("E", bound=Event)
Guard = Callable[[str], None]


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

    def __init__(
        self, wanted: _Filter[E], guard: Guard, forget: Callable[[Any], None], asked: Callable[[Any], None]
    ) -> None:
        self._wanted = wanted
        self._guard = guard
        self._forget = forget
        self._asked = asked
        self._outcome: Latch[Union[Event, XchwsError]] = Latch()

    @property
    def event_class(self) -> Type[E]:
        """The class of events that is expected."""
        return self._wanted.event_class

    @property
    def done(self) -> bool:
        """Whether `result` would return (or raise the client's end) at once."""
        return self._outcome.given

    def result(self, timeout: Optional[float]) -> E:
        """The event. Waits at most `timeout` seconds (None: without end).

        Raises:
            WaitTimeout: it did not come in time; the expectation goes on.
            CallbackError: `where` raised.
            ConfigurationError: the timeout is no number of seconds.
            StateError: called on the owner thread, in a forked child, or the client was stopped before it came.
            XchwsError: the client ended with this error before it came.
        """
        checked_timeout(timeout)
        if not self._outcome.given:
            self._guard("wait for an event")
            self._asked(self)
            if not self._outcome.wait(timeout):
                raise WaitTimeout(f"no {self._wanted.event_class.__name__} came within {timeout:g} s")
        outcome = self._outcome.value
        if isinstance(outcome, XchwsError):
            raise outcome.with_traceback(None)  # each who waits raises it: their places would pile up
        return outcome  # type: ignore[return-value]  # matches() has checked the class

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
            text = f"the where of an expectation raised {type(raised).__name__}: {text_of(raised)}"
            error = CallbackError(text, event=event)
            error.__cause__ = raised
            self._outcome.give(error)
        else:
            self._outcome.give(event)
        return True

    def fail(self, error: XchwsError) -> None:
        """It will not come any more."""
        self._outcome.give(error)

    def forsake(self, error: XchwsError) -> None:
        """In a forked child: what is to come comes in the parent."""
        self.fail(error)


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
        self._bell = Bell()
        self._events: Deque[E] = deque()
        # Two numbers, each written on one side only, so that none is lost between the two.
        self._dropped = 0
        self._dropped_told = 0
        self._end: Latch[Optional[XchwsError]] = Latch(self._bell)
        self._end_told = False

    @property
    def event_class(self) -> Type[E]:
        """The class of events that it is made of."""
        return self._wanted.event_class

    def __iter__(self) -> EventStream[E]:
        return self

    def __next__(self) -> E:
        while True:
            if not self._has_news():
                self._guard("wait for an event")
                if not self._bell.wait_for(self._has_news, self._timeout):
                    raise WaitTimeout(f"no {self._wanted.event_class.__name__} came within {self._timeout:g} s")
            ended = self._end.given  # before the look at the events: nothing comes after the end
            try:
                return self._events.popleft()
            except IndexError:
                pass  # what there is to tell is something else, or another thread was quicker
            dropped = self._dropped - self._dropped_told
            if dropped:
                self._dropped_told += dropped
                raise SlowConsumer(
                    f"the loop over events() is too slow: {dropped} events had to be given up", dropped=dropped
                )
            if ended:
                self._tell_end()

    def _has_news(self) -> bool:
        return bool(self._events) or self._dropped != self._dropped_told or self._end.given

    def _tell_end(self) -> NoReturn:
        error = self._end.value
        if error is None or self._end_told:
            raise StopIteration
        self._end_told = True
        raise error

    def close(self) -> None:
        """Take no more events; what was kept is given out, then the iteration ends."""
        self._forget(self)
        self.fail(None)

    def offer(self, event: Event) -> bool:
        """On the owner thread: take an event if it fits; whether the stream is over."""
        try:
            wanted = self._wanted.matches(event)
        except BaseException as raised:  # the owner thread must live
            error = CallbackError(f"a filter of events() raised {type(raised).__name__}", event=event)
            error.__cause__ = raised
            self.fail(error)
            return True
        if self._end.given:
            return True
        if wanted:
            if self._dropped != self._dropped_told or len(self._events) >= self._capacity:
                self._dropped += 1
            else:
                self._events.append(event)  # type: ignore[arg-type]  # matches() has checked the class
            self._bell.ring()
        return False

    def fail(self, error: Optional[XchwsError]) -> None:
        """The client has ended."""
        self._end.give(error)

    def forsake(self, error: XchwsError) -> None:
        """In a forked child: what was kept is the parent's."""
        self._events.clear()
        self._dropped = self._dropped_told
        self.fail(error)


class Subscription:
    """A wanted subscription: remembered, and sent again after every reconnect.

    Attributes:
        name: for people and for `Gap.channels`, such as `ticker BTC/UAH`.
        asked: whether the owner thread has begun with it; what it hears of the topic before is of an earlier one.
    """

    def __init__(self, topic: Topic, guard: Guard, end: Callable[[Subscription], None]) -> None:
        self._topic = topic
        self._guard = guard
        self._end = end
        self._bell = Bell()
        self.asked = False
        self._alive = "pending"  # what it is as long as it has no end
        self._over: Latch[Tuple[str, Optional[XchwsError]]] = Latch(self._bell)

    @property
    def name(self) -> str:
        """For people: `ticker BTC/UAH`."""
        return self._topic.name

    @property
    def state(self) -> str:
        """ "pending", "active", "refused" or "ended"."""
        return self._over.value[0] if self._over.given else self._alive

    @property
    def is_wanted(self) -> bool:
        """Whether it is pending or active."""
        return not self._over.given

    @property
    def active(self) -> bool:
        """Whether the exchange has accepted it on the connection that stands."""
        return self.state == "active"

    def wait(self, timeout: Optional[float]) -> Subscription:
        """Wait until it is active, at most `timeout` seconds (None: without end); returns itself.

        Raises:
            SubscriptionRejected: the exchange refuses it.
            WaitTimeout: it was neither accepted nor refused in time; it goes on.
            ConfigurationError: the timeout is no number of seconds.
            StateError: it was unsubscribed, the client was stopped, or this is the owner thread or a forked child.
            XchwsError: the client ended with this error.
        """
        checked_timeout(timeout)
        if self.state == "pending":
            self._guard("wait for a subscription")
            if not self._bell.wait_for(lambda: self.state != "pending", timeout):
                raise WaitTimeout(f"the subscription {self.name!r} was not answered within {timeout:g} s")
        if self._over.given:
            raise self._over.value[1] or StateError(f"the subscription {self.name!r} has ended")
        return self

    def unsubscribe(self) -> None:
        """Want it no more. Legal at any time and from any thread; once more does nothing."""
        self.settle("ended", None)
        self._end(self)

    def settle(self, state: str, error: Optional[XchwsError]) -> None:
        """What became of it. Ended or refused is for good; the rest is said by the owner thread only."""
        if state in ("pending", "active"):
            self._alive = state
            self._bell.ring()
        else:
            self._over.give((state, error))

    def __repr__(self) -> str:
        return f"<Subscription {self.name!r} {self.state}>"


class Answer:
    """The answer to a request that is on its way."""

    def __init__(self) -> None:
        self._outcome: Latch[Resolved] = Latch()

    def give(self, resolved: Resolved) -> None:
        """What became of the request."""
        self._outcome.give(resolved)

    def wait(self, timeout: Optional[float]) -> bool:
        """Wait for it, at most `timeout` seconds (None: without end); whether it has come."""
        return self._outcome.wait(timeout)

    @property
    def value(self) -> Any:
        """What was answered; raises the error if that is what became of the request. Only to be asked for once it has come."""
        resolved = self._outcome.value
        if resolved.error is not None:
            raise resolved.error
        return resolved.value


def wanted(
    event_class: Type[E], filters: Tuple[Tuple[str, Any], ...], where: Optional[Callable[[E], bool]]
) -> _Filter[E]:
    """What an expectation or a stream looks for."""
    return _Filter(event_class, filters, where)


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Seconds until a monotonic instant, not below 0; None for None."""
    return None if deadline is None else max(0.0, deadline - clock.monotonic())
