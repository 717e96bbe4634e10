"""Watching: who waits for events of one client, as an expectation or as a stream.

Filled by the owner thread, awaited by any other. The two share no lock, for the reason that runtime/bell.py gives.
"""

from __future__ import annotations

import weakref
from collections import deque
from functools import partial
from typing import (
    Any,
    Callable,
    Deque,
    Generic,
    Iterator,
    List,
    NoReturn,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
    Union,
)

from xchws.durations import checked_timeout
from xchws.errors import CallbackError, SlowConsumer, StateError, WaitTimeout, XchwsError, text_of
from xchws.events import Event, Message
from xchws.runtime.bell import Bell, Latch
from xchws.waiting import Guard

E = TypeVar("E", bound=Event)


class Filter(Generic[E]):
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
        self, wanted: Filter[E], guard: Guard, forget: Callable[[Any], None], asked: Callable[[Any], None]
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
        wanted: Filter[E],
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
        raise error.with_traceback(None)  # each stream raises it: their places would pile up

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


_Watcher = Union[Expectation[Any], EventStream[Any]]


class Watchers:
    """All who watch for events of one client.

    They are put in and taken out one at a time, which is atomic: no lock is needed between the owner and the user.

    Args:
        guard: raises where waiting is not possible; it is told what for.
        ended: the client's end. ending: what it means for one who expects an event.
    """

    def __init__(self, guard: Guard, ended: Latch[Optional[XchwsError]], ending: Callable[[], XchwsError]) -> None:
        self._guard = guard
        self._ended = ended
        self._ending = ending
        self._known: Set[weakref.ref[_Watcher]] = set()  # what nobody can ask any more is not kept,
        self._unasked: Set[_Watcher] = set()  # but these are: some are there for the sake of their `where`

    def __len__(self) -> int:
        return len(self._known)

    def expect(self, wanted: Filter[E]) -> Expectation[E]:
        """Watch for one event. It is kept until its result is asked for, then only as long as somebody else keeps it."""
        expectation = Expectation(wanted, self._guard, self._forget, self._unasked.discard)
        self._unasked.add(expectation)
        self._watch(expectation)
        return expectation

    def stream(self, wanted: Filter[E], timeout: Optional[float], capacity: int) -> EventStream[E]:
        """Watch for all events, as long as somebody keeps the stream."""
        stream = EventStream(wanted, timeout, capacity, self._guard, self._forget)
        self._watch(stream)
        return stream

    def _watch(self, watcher: _Watcher) -> None:
        # Ctrl-C would be lost in a callback in Python, but not in this one.
        self._known.add(weakref.ref(watcher, self._known.discard))
        if self._ended.given:  # whoever takes it out tells it
            self._forget(watcher)
            self._fail(watcher)

    def _forget(self, watcher: _Watcher) -> None:
        self._known.discard(weakref.ref(watcher))
        self._unasked.discard(watcher)

    def _living(self) -> List[_Watcher]:
        """Streams first: whom an expectation has told of an event finds it in the streams."""
        watchers = [reference() for reference in list(self._known)]
        living = [watcher for watcher in watchers if watcher is not None]
        living.sort(key=lambda watcher: isinstance(watcher, Expectation))
        return living

    def want_messages(self) -> bool:
        """Whether one of them waits for messages as they came."""
        return any(watcher.event_class is Message for watcher in self._living())

    def offer(self, events: Sequence[Event]) -> None:
        """On the owner thread: let each look at each of the events."""
        if not self._known:
            return
        for event in events:
            for watcher in self._living():
                if watcher.offer(event):
                    self._forget(watcher)

    def tellings(self) -> Iterator[Callable[[], None]]:
        """What tells each of them that the client has ended."""
        for watcher in self._living():
            yield partial(self._fail, watcher)

    def _fail(self, watcher: _Watcher) -> None:
        """The client has ended: nothing more comes. What was expected never came; a stream has its end."""
        if isinstance(watcher, EventStream):
            watcher.fail(self._ended.value)
        else:
            watcher.fail(self._ending())
        self._forget(watcher)

    def forsake(self, error: XchwsError) -> None:
        """In a forked child: what they wait for comes in the parent."""
        for watcher in self._living():
            self._forget(watcher)
            watcher.forsake(error)
