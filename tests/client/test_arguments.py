"""Every argument of every public call, with everything that it cannot be: refused at once, by an error that names it."""

from __future__ import annotations

import inspect
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Tuple, Type

import pytest

import xchws
from xchws.errors import ConfigurationError, StateError
from xchws.hooks import BoundHook
from xchws.sandbox import IndodaxSandbox


class Incomparable:
    """Like an array: to compare it gives no truth."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]  # like an array's

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


NONSENSE: Tuple[Any, ...] = (
    object(), b"key", bytearray(b"key"), float("nan"), float("inf"), -1, -0.5, True, 10**400, 1e300, 1e-300, "", " ", "\n",
    "\ud800", "word word", "x" * 100_000, "ключ", [], [1], [[]], {}, {"a": object()}, {"a": 10**400}, {1.5: 2}, (), set(),
    Decimal("NaN"), Decimal("sNaN"), Decimal("1e999999"), complex(1, 2), Incomparable(), None, 0,
)  # fmt: skip

CLIENTS: Dict[Type[Any], Dict[str, Any]] = {
    xchws.Indodax: {"key": "key", "secret": "secret"},
    xchws.IndodaxMarket: {},
    xchws.Kyrrex: {"key": "key", "secret": "secret"},
    xchws.Kyan: {"key": "key"},
    xchws.Richamster: {},
    xchws.Finery: {"key": "key", "secret": "secret"},
}
EVERY_CLIENT = (
    "backoff",
    "open_timeout",
    "ping_interval",
    "ping_timeout",
    "proxy",
    "tls",
    "capacity",
    "callbacks",
    "on_order",
)
FITS: Dict[str, Any] = {  # what the other arguments of a call are
    "event_class": xchws.Order, "function": print, "channel": "instruments", "instrument_name": "ETH_USDC-PERPETUAL",
    "account": "0x" + "a" * 40, "maker": "0x" + "a" * 40, "instrument": "BTC-USD", "side": "buy", "type": "limit", "price": "1",
    "size": "1", "order_id": 5, "method": "positions", "feed": "O", "timeout": 0, "client_order_id": None, "till": 5,
}  # fmt: skip
PAIRS = {xchws.Richamster: "BTC/UAH", xchws.Kyan: "ETH_USDC"}


def calls(made: Any) -> Iterator[Tuple[str, Callable[..., Any], Dict[str, Any], List[str]]]:
    """Every public call of a client that takes arguments: its name, itself, what it needs, and the names of all."""
    for name in dir(type(made)):
        call = getattr(made, name)
        if name.startswith("_") or not callable(call):
            continue
        if isinstance(call, BoundHook):
            yield name, call, {"function": print}, ["function", "when_slow"]
            continue
        parameters = inspect.signature(call).parameters.values()
        named = [one for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
        needed = {
            one.name: FITS.get(one.name, PAIRS.get(type(made), "btcidr"))
            for one in named
            if one.default is one.empty or one.name == "timeout"
        }
        if name in ("add_order", "modify_order"):
            needed.update(size="1", price="1")
        yield name, call, needed, [one.name for one in named if one.name != "handle_signals"]


def refused(label: str, call: Callable[..., Any], given: Dict[str, Any]) -> None:
    """Call it: it may be taken, or refused in the one right way."""
    try:
        call(**given)
    except ConfigurationError as error:
        assert error.argument, f"{label}: {error}: no argument is named"
        assert len(str(error)) <= 1000, f"{label}: as long as what was given"
        str(error).encode()
    except StateError:
        pass  # the argument was taken: the client is not started
    except Exception as error:
        raise AssertionError(f"{label} raised {error!r}") from error


@pytest.mark.parametrize("client_class", CLIENTS, ids=lambda one: str(one.__name__))
def test_whatever_is_given_to_a_constructor(client_class: Type[Any]) -> None:
    needed = CLIENTS[client_class]
    own = [name for name in inspect.signature(client_class.__init__).parameters if name not in ("self", "options")]
    for argument in (*own, *EVERY_CLIENT):
        for value in NONSENSE:
            given = {**needed, argument: value}
            refused(f"{client_class.__name__}({argument}={value!r:.40})", client_class, given)


@pytest.mark.parametrize("client_class", CLIENTS, ids=lambda one: str(one.__name__))
def test_whatever_is_given_to_a_method(client_class: Type[Any]) -> None:
    made = client_class(**CLIENTS[client_class])
    for name, call, needed, arguments in calls(made):
        if name in ("start", "stop", "run_forever"):
            continue  # they would end what the others are tried on
        for argument in arguments:
            for value in NONSENSE:
                given = {**needed, argument: value}
                refused(f"{name}({argument}={value!r:.40})", call, given)


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1, "5", b"5", True, [], 10**400, 1e300, Decimal(1)])
def test_what_is_no_timeout(timeout: Any) -> None:
    with IndodaxSandbox() as exchange:
        client = xchws.Indodax(exchange.key, exchange.secret, url=exchange.url, rest_url=exchange.rest_url)
        with pytest.raises(ConfigurationError, match="timeout must be a number of seconds from 0 to 1000000000"):
            client.start(timeout)
        assert client.status().state is xchws.State.NEW
        came = client.expect(xchws.Connected)
        with client:
            came.result(5)
            for wait in (
                client.wait_ready,
                client.stop,
                came.result,
                lambda given: client.events(xchws.Order, timeout=given),
            ):
                with pytest.raises(ConfigurationError, match="timeout must be") as unfit:
                    wait(timeout)
                assert unfit.value.argument == "timeout"
            assert client.status().state is xchws.State.READY, "what was refused has stopped nothing"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"randomization": "x"}, "randomization must be a number from 0 to 1, or None for full jitter, not 'x'"),
        ({"randomization": True}, "randomization must be a number from 0 to 1"),
        ({"randomization": Decimal("NaN")}, "randomization must be a number from 0 to 1"),
        ({"factor": 0.5}, "factor must be a number from 1 to 1000000, not 0.5"),
        ({"factor": 1e300}, "factor must be a number from 1 to 1000000"),
        ({"initial": 10**400}, "initial must be a number of seconds above 0 to 1000000000"),
        ({"stable": float("nan")}, "stable must be a number of seconds above 0"),
        ({"maximum": 0.5}, "maximum .* must not be below initial"),
    ],
)
def test_what_is_no_backoff(options: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as unfit:
        xchws.Backoff(**options)
    assert unfit.value.argument in options


@pytest.mark.parametrize(
    "rest_url", ["https://h/api", "https://h/?a=1", "https://h?", "https://h/#a", "https://a..b", "https://me@h"]
)
@pytest.mark.parametrize("client_class", [xchws.Indodax, xchws.Kyrrex])
def test_a_rest_url_is_a_base(client_class: Type[Any], rest_url: str) -> None:
    with pytest.raises(ConfigurationError, match="rest_url must be") as unfit:
        client_class("key", "secret", rest_url=rest_url)
    assert unfit.value.argument == "rest_url"


@pytest.mark.parametrize("origin", ["https://h/x", "h", "ftp://h", "https://h?x"])
def test_an_origin_is_a_base_too(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="origin must be"):
        xchws.Richamster(origin=origin)


def test_an_origin_loses_its_slash() -> None:
    client = xchws.Richamster(origin="https://richamster.com/")
    assert client._exchange.route(None).origin == "https://richamster.com"  # type: ignore[arg-type]  # no REST call here


@pytest.mark.parametrize(
    "proxy", ["http://a b:1", "http://h:1\n", "http://me:pass word@h:1", "http://a..b:1", b"http://h:1"]
)
def test_what_is_no_proxy(proxy: Any) -> None:
    with pytest.raises(ConfigurationError) as unfit:
        xchws.Richamster(proxy=proxy)
    assert unfit.value.argument == "proxy" and "pass word" not in str(unfit.value)


def test_a_where_that_cannot_be_called() -> None:
    with pytest.raises(ConfigurationError, match="where must be a function that takes the event"):
        xchws.Richamster().expect(xchws.Order, where="btcidr")  # type: ignore[arg-type]  # that is what is tried


def test_a_client_of_nothing() -> None:
    with pytest.raises(ConfigurationError, match="made by an exchange's own class"):
        xchws.Client("indodax")  # type: ignore[arg-type]  # that is what is tried
