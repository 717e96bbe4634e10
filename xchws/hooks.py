"""Hook: the `on_…` of a client: registers a function as decorator, as call, or with a filter."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Generic, NoReturn, Optional, Protocol, Type, TypeVar, Union, overload

from xchws.errors import ConfigurationError
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
            when_slow: "queue": every event waits its turn; "latest", for events with a `latest_by` such as Ticker, OrderBook
                and Balance: only the newest per symbol (or asset, …) waits, in the place of the one that it replaces, but
                never before an event of the connection's life (Gap, Disconnected, …) that came earlier.
            **filters: attribute=value; only events that have all of them are passed on.

        Raises:
            ConfigurationError: no plain function (a coroutine function is none), an unknown filter, or a `when_slow` that is
                unknown or not for these events.
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

    def __set__(self, client: _HasRegistry, value: NoReturn) -> NoReturn:
        raise ConfigurationError(
            f"{self._name} is no attribute to set: write client.{self._name}(function), or @client.{self._name} above it",
            argument=self._name,
        )


def check_hooks(client_class: Type[Any]) -> None:
    """Make sure that no method of a client class stands where a hook does: it would never be called.

    Raises:
        ConfigurationError: one does.
    """
    for base in client_class.__mro__:
        for name, found in vars(base).items():
            if isinstance(found, Hook) and not isinstance(inspect.getattr_static(client_class, name), Hook):
                raise ConfigurationError(
                    f"{client_class.__name__}.{name} hides what registers functions, and nothing would call it: give it another "
                    f"name and register it, as in self.{name}(self.handle_{name[3:]})",
                    argument=name,
                )
