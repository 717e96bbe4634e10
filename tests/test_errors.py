"""The errors: their tree, what is retried, and that they can be carried from process to process."""

from __future__ import annotations

import copy
import pickle
from typing import Any, List, Type

import pytest

import xchws
from xchws import errors
from xchws.errors import (
    AuthenticationFailed,
    CallbackError,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ExchangeError,
    HandshakeRejected,
    OpenFailed,
    ProtocolError,
    RateLimited,
    RequestRejected,
    Silent,
    SlowConsumer,
    StateError,
    SubscriptionRejected,
    WaitTimeout,
    XchwsError,
)
from xchws.events import Trade


def tree(root: Type[XchwsError]) -> List[Type[XchwsError]]:
    found = [root]
    for child in root.__subclasses__():
        found += tree(child)
    return found


EVERY = [one for one in tree(XchwsError) if one.__module__ == errors.__name__]

SAMPLES = [
    XchwsError("text", exchange="sim"),
    ConfigurationError("text", argument="key", exchange="sim"),
    StateError("text", exchange="sim"),
    WaitTimeout("text", exchange="sim"),
    ConnectionFailed("text", retry_after=1.5, exchange="sim"),
    OpenFailed("text", exchange="sim"),
    HandshakeRejected("text", status=503, body="busy", retry_after=2.5, exchange="sim"),
    ConnectionLost("text", code=4001, reason="bye", retry_after=3.5, exchange="sim"),
    Silent("text", exchange="sim"),
    SlowConsumer("text", dropped=7, exchange="sim"),
    AuthenticationFailed("text", code="E7", exchange="sim"),
    ExchangeError("text", code=7, message="no", exchange="sim"),
    SubscriptionRejected("text", code=7, message="no", exchange="sim"),
    RequestRejected("text", code=7, message="no", exchange="sim"),
    RateLimited("text", code=429, message="slow", retry_after=4.5, exchange="sim"),
    ProtocolError("text", text="{", exchange="sim"),
    CallbackError("text", callback=len, event=Trade(id="1"), exchange="sim"),
]


def ids(error: XchwsError) -> str:
    return type(error).__name__


def test_every_class_has_a_sample() -> None:
    assert {type(error) for error in SAMPLES} == set(EVERY)


@pytest.mark.parametrize("error", SAMPLES, ids=ids)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_everything(error: XchwsError, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert str(again) == str(error) == "text"
    kept = {name: value for name, value in vars(error).items() if name != "callback"}
    assert {name: value for name, value in vars(again).items() if name != "callback"} == kept


@pytest.mark.parametrize("error", SAMPLES, ids=ids)
def test_copying_keeps_everything(error: XchwsError) -> None:
    again = copy.copy(error)
    assert (type(again), str(again), again.exchange) == (type(error), str(error), "sim")


def test_a_callback_that_cannot_be_pickled_stays_behind() -> None:
    error = CallbackError("on_trade: <lambda> raised", callback=lambda trade: None, event=Trade(id="1"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.callback, again.event) == (str(error), None, Trade(id="1"))


@pytest.mark.parametrize("kind", EVERY)
def test_every_class_can_be_made_of_nothing(kind: Type[XchwsError]) -> None:
    assert (str(kind()), kind().exchange) == ("", "")


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_retried(kind: Type[XchwsError]) -> None:
    goes_on = issubclass(kind, (ConnectionFailed, RateLimited, ProtocolError, CallbackError))
    assert kind.retryable is goes_on


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(ConfigurationError, ValueError), (StateError, RuntimeError), (WaitTimeout, TimeoutError)],
)
def test_the_builtin_that_a_caller_would_catch(kind: Type[XchwsError], builtin: Type[Exception]) -> None:
    assert issubclass(kind, builtin)
    assert issubclass(kind, XchwsError)


@pytest.mark.parametrize("kind", EVERY)
def test_every_class_is_public(kind: Type[XchwsError]) -> None:
    assert getattr(xchws, kind.__name__) is kind
    assert kind.__name__ in xchws.__all__


@pytest.mark.parametrize("kind", EVERY)
def test_the_tree_shows_every_class(kind: Type[XchwsError]) -> None:
    assert errors.__doc__ is not None
    assert f" {kind.__name__} " in errors.__doc__.replace("\n", " ") or f"─ {kind.__name__}" in errors.__doc__


def test_what_errors_say_unless_told() -> None:
    assert ConnectionLost().code == 1006
    assert ExchangeError("refused: 7 no").message == "refused: 7 no"
    assert ExchangeError("refused: 7 no", message="no").message == "no"
    assert ConnectionFailed().retry_after is RateLimited().retry_after is None


def test_positions_say_nothing_but_the_text() -> None:
    kind: Any = RateLimited
    with pytest.raises(TypeError):
        kind("text", 429)
