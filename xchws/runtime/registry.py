"""Registry: who wants which events.

Registrations come and go on any thread, in a signal handler too, so there is no lock: a dictionary takes and gives back one key
at a time, and the routes that the events take are found anew after every change.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Type

import attrs

from xchws import log
from xchws.errors import ConfigurationError
from xchws.events import Event, Message

QUEUE = "queue"
LATEST = "latest"


def whole(event: Event) -> Event:
    """The event itself, as most functions want it."""
    return event


@attrs.define(eq=False)
class Registration:
    """One function for one class of events (and its subclasses).

    Attributes:
        function: what is called; argument: what it is called with, made of the event.
        filters: attribute and wanted value; all must be equal.
        when_slow: "queue": every event waits its turn; "latest": only the newest of each state waits.
    """

    event_class: Type[Event]
    function: Callable[[Any], Any]
    filters: Tuple[Tuple[str, Any], ...] = ()
    when_slow: str = QUEUE
    argument: Callable[[Event], Any] = whole
    removed: bool = False

    def matches(self, event: Event) -> bool:
        """Whether the event passes the filters."""
        if not self.filters:
            return True  # most have none, and all() with a generator is the dearest step of a delivery
        try:
            return all(getattr(event, name, None) == value for name, value in self.filters)
        except BaseException as raised:
            # A value of the user's that cannot be compared must not end the thread that compares it.
            log.error("a filter of %s cannot be compared", self.name, raised=raised)
            return False

    @property
    def name(self) -> str:
        """For people: the function's name."""
        try:
            return str(getattr(self.function, "__qualname__", None) or type(self.function).__name__)
        except Exception:  # an object of the user's may make its attributes as it likes
            return type(self.function).__name__


def _check_function(function: Any) -> None:
    if not callable(function):
        raise ConfigurationError(f"a function to call with the event is wanted, not {function!r}", argument="function")
    called = function
    while isinstance(called, functools.partial):
        called = called.func
    for code in (called, type(called).__call__):
        if inspect.iscoroutinefunction(code) or inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
            raise ConfigurationError(
                f"a plain function is wanted: {function!r} is a coroutine function or a generator, and to call it runs nothing. "
                "For asyncio: lambda event: asyncio.run_coroutine_threadsafe(function(event), loop)",
                argument="function",
            )


def check_ran(result: object) -> None:
    """Raise TypeError if what a function returned is code that has not been run."""
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()  # else Python warns of it, where nobody can tell which it is
    elif not inspect.isasyncgen(result):
        return
    raise TypeError(f"it returned a {type(result).__name__}, which nobody runs; a plain function is wanted")


def checked_filters(event_class: Type[Event], filters: Mapping[str, Any]) -> Tuple[Tuple[str, Any], ...]:
    """The filters as pairs.

    Raises:
        ConfigurationError: a name that no event of this class has.
    """
    fields = {field.name.lstrip("_") for field in attrs.fields(event_class)} - {"wire", "path"}
    known = fields.union(*(_subclass_fields(event_class)))
    for name in filters:
        if name not in known:
            raise ConfigurationError(
                f"{event_class.__name__} has no attribute {name!r} to filter by; it has {', '.join(sorted(fields))}",
                argument=name,
            )
    return tuple(filters.items())


def _subclass_fields(event_class: Type[Event]) -> List[set[str]]:
    found: List[set[str]] = [set()]
    for subclass in event_class.__subclasses__():
        found.append({field.name for field in attrs.fields(subclass) if not field.name.startswith("_")})
        found += _subclass_fields(subclass)
    return found


class Registry:
    """The registrations of one client."""

    def __init__(self) -> None:
        self._registrations: Dict[Registration, None] = {}
        self._routes: Dict[Type[Event], Tuple[Registration, ...]] = {}

    def add(
        self,
        event_class: Type[Event],
        function: Callable[[Any], Any],
        filters: Optional[Mapping[str, Any]] = None,
        when_slow: str = QUEUE,
        argument: Callable[[Event], Any] = whole,
    ) -> Registration:
        """Register a function.

        Raises:
            ConfigurationError: no event class, nothing that can be called, a coroutine or generator function, an unknown
                filter, or a `when_slow` that is unknown or not for this class.
        """
        _check_function(function)
        checked = self.check(event_class, filters or {}, when_slow)
        registration = Registration(event_class, function, checked, when_slow, argument)
        self._registrations[registration] = None
        self._routes = {}
        return registration

    def check(
        self, event_class: Type[Event], filters: Mapping[str, Any], when_slow: str
    ) -> Tuple[Tuple[str, Any], ...]:
        """The filters as pairs; raises what `add` raises about its arguments other than the function."""
        if not (isinstance(event_class, type) and issubclass(event_class, Event)):
            raise ConfigurationError(f"an event class is wanted, not {event_class!r}", argument="event_class")
        if not isinstance(when_slow, str) or when_slow not in (QUEUE, LATEST):
            raise ConfigurationError(
                f'when_slow may be "queue" (every event) or "latest" (the newest only, per symbol), not {when_slow!r}',
                argument="when_slow",
            )
        if when_slow == LATEST and not event_class.latest_by:
            raise ConfigurationError(
                'when_slow="latest" is for events that make those before them obsolete, such as Ticker, OrderBook and Balance; '
                f"each {event_class.__name__} tells something of its own, and would be lost",
                argument="when_slow",
            )
        return checked_filters(event_class, filters)

    def remove(self, function: Callable[[Any], Any]) -> int:
        """Take out every registration of a function; how many there were."""
        removed = 0
        for known in list(self._registrations):
            if known.function == function:
                known.removed = True
                self._registrations.pop(known, None)
                removed += 1
        self._routes = {}
        return removed

    def routes(self, event_class: Type[Event]) -> Tuple[Registration, ...]:
        """Who wants events of this class, in the order of registration."""
        # First the routes, then the registrations: if these change meanwhile, what is filled in goes with the old routes.
        routes = self._routes
        found = routes.get(event_class)
        if found is None:
            found = tuple(known for known in list(self._registrations) if issubclass(event_class, known.event_class))
            routes[event_class] = found
        return found

    def wants(self, event_class: Type[Event]) -> bool:
        """Whether anybody wants events of this class."""
        return bool(self.routes(event_class))

    def wants_messages(self) -> bool:
        """Whether anybody wants the messages as they came; a registration for all events does not ask for them."""
        return any(known.event_class is Message for known in list(self._registrations))
