"""Hook: the `on_…` of a client: registers a function as decorator, as call, or with a filter."""

from __future__ import annotations

from typing import Any, Callable, Generic, Optional, Protocol, Type, TypeVar, Union, overload

from xchws.events import Event
from xchws.runtime.registry import QUEUE, Registry, whole

A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Any])


class _HasRegistry(Protocol):
    _registry: Registry

    def _check_process(self) -> None: ...


class BoundHook(Generic[A]):
    """One client's `on_…`. The function is called with one argument and is returned unchanged."""

    def __init__(
        self, owner: _HasRegistry, name: str, event_class: Type[Event], argument: Callable[[Event], Any]
    ) -> None:
        self._owner = owner
        self._name = name
        self._event_class = event_class
        self._argument = argument

    @overload
    def __call__(self, function: F, *, when_slow: str = ..., **filters: Any) -> F: ...

    @overload
    def __call__(
        self, function: None = ..., *, when_slow: str = ..., **filters: Any
    ) -> Callable[[Callable[[A], Any]], Callable[[A], Any]]: ...

    def __call__(
        self, function: Optional[Callable[..., Any]] = None, *, when_slow: str = QUEUE, **filters: Any
    ) -> Callable[..., Any]:
        """Register `function`, or return a decorator that does.

        Args:
            function: called with the event (on_error: the error; on_message: the parsed message).
            when_slow: "queue": every event waits its turn; "latest": only the newest per symbol waits, in the place of the
                one that it replaces, but never before an event of the connection's life (Gap, Disconnected, …) that came
                earlier.
            **filters: attribute=value; only events that have all of them are passed on.

        Raises:
            ConfigurationError: no function, an unknown filter or an unknown `when_slow`.
            StateError: the client is a copy in a forked child.
        """
        self._owner._check_process()
        if function is None:
            # What is wrong with the filters shall be said here, not when the decorated function comes.
            self._owner._registry.check(self._event_class, filters, when_slow)

            def decorate(decorated: Callable[[A], Any]) -> Callable[[A], Any]:
                self(decorated, when_slow=when_slow, **filters)
                return decorated

            return decorate
        self._owner._registry.add(self._event_class, function, filters, when_slow, self._argument)
        return function

    def __repr__(self) -> str:
        return f"<{self._name} for {self._event_class.__name__}>"


class Hook(Generic[A]):
    """Declares an `on_…` in a client class."""

    def __init__(self, event_class: Type[Event], argument: Callable[[Event], Any] = whole) -> None:
        self.event_class = event_class
        self._argument = argument
        self._name = ""

    def __set_name__(self, owner: Type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: Type[Any]) -> Hook[A]: ...

    @overload
    def __get__(self, client: _HasRegistry, owner: Type[Any]) -> BoundHook[A]: ...

    def __get__(self, client: Optional[_HasRegistry], owner: Type[Any]) -> Union[Hook[A], BoundHook[A]]:
        if client is None:
            return self
        return BoundHook(client, self._name, self.event_class, self._argument)
