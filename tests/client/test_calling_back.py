"""Functions of the user's that call back into the client: each call works or says what to do, and nothing stands still."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Iterator, List

import pytest

import xchws
from tests.client.conftest import QUICK
from xchws.sandbox import FinerySandbox, RichamsterSandbox

Make = Callable[..., Any]
WAIT = 20.0  # seconds at most, for anything
BTC, ETH = "BTC/UAH", "ETH/UAH"


@pytest.fixture
def finery() -> Iterator[FinerySandbox]:
    with FinerySandbox(seed=1) as exchange:
        yield exchange


def outcome(call: Callable[[], Any]) -> str:
    """What came of a call: "done", or the error's class."""
    try:
        call()
    except xchws.XchwsError as error:
        return type(error).__name__
    return "done"


def calls(client: Any, exchange: RichamsterSandbox) -> Dict[str, Callable[[], Any]]:
    """Whatever a callback may think of, with what it waits for on its way."""

    def next_ticker() -> Any:
        ticker = client.expect(xchws.Ticker)
        exchange.ticker(BTC, 7)
        return ticker.result(WAIT)

    def next_of_stream() -> Any:
        stream = client.events(xchws.Ticker, timeout=WAIT)
        exchange.ticker(BTC, 8)
        return next(stream)

    return {
        "status": client.status,
        "on": lambda: client.on_trade(print),
        "off": lambda: client.off(print),
        "repr": lambda: repr(client),
        "subscribe": lambda: client.subscribe_trades(ETH),
        "unsubscribe": lambda: client.subscribe_trades(ETH).unsubscribe(),
        "expect": lambda: client.expect(xchws.Ticker).cancel(),
        "start": client.start,
        "wait for a subscription": lambda: client.subscribe_ticker(ETH).wait(WAIT),
        "wait for READY": lambda: client.wait_ready(WAIT),
        "wait for an event": next_ticker,
        "wait for a stream": next_of_stream,
    }


WAITS = {"wait for a subscription", "wait for an event", "wait for a stream"}
STARTED = {"start": "StateError"}  # it is started


@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_from_a_callback(richamster: RichamsterSandbox, make_richamster: Make, callbacks: str) -> None:
    client = make_richamster(callbacks=callbacks)
    came: Dict[str, str] = {}
    done = threading.Event()

    @client.on_book_level  # type: ignore[untyped-decorator]  # the fixture gives Any
    def calls_back(level: xchws.BookLevel) -> None:
        for name, call in calls(client, richamster).items():
            came[name] = outcome(call)
        done.set()

    client.start(WAIT)
    for subscription in (client.subscribe_order_book(BTC), client.subscribe_ticker(BTC)):
        subscription.wait(WAIT)
    richamster.level(BTC, "selling", "2650000", "1")
    assert done.wait(WAIT)
    # On the owner thread a wait would wait for itself, and says so.
    refused = "StateError" if callbacks == "inline" else "done"
    waits = {*WAITS, "wait for READY"}
    assert came == {name: STARTED.get(name, refused if name in waits else "done") for name in came}
    assert len(came) == 12
    assert client.status().threads_alive and client.status().state is xchws.State.READY
    assert client.stop(WAIT)


def test_from_where(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client = make_richamster()
    came: Dict[str, str] = {}

    def where(level: xchws.BookLevel) -> bool:
        for name, call in calls(client, richamster).items():
            came[name] = outcome(call)
        return True

    client.start(WAIT)
    for subscription in (client.subscribe_order_book(BTC), client.subscribe_ticker(BTC)):
        subscription.wait(WAIT)
    seen = client.expect(xchws.BookLevel, where=where)
    richamster.level(BTC, "selling", "2650000", "1")
    seen.result(WAIT)
    refused = {*WAITS, "wait for READY", "start"}
    assert came == {name: "StateError" if name in refused else "done" for name in came} and len(came) == 12
    assert client.status().threads_alive


def test_from_a_token_function(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    came: Dict[str, str] = {}
    client: Any = None

    def token() -> str:
        came["status"] = outcome(client.status)
        came["subscribe"] = outcome(lambda: client.subscribe_trades(ETH))
        came["wait"] = outcome(lambda: client.wait_ready(WAIT))
        return richamster.token

    client = make_richamster(token)
    client.start(WAIT)
    client.subscribe_user_orders(BTC).wait(WAIT)
    assert came == {"status": "done", "subscribe": "done", "wait": "done"}


@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_requests_from_a_callback(finery: FinerySandbox, clients: List[xchws.Client], callbacks: str) -> None:
    options: Any = {"url": finery.url, "backoff": QUICK, "callbacks": callbacks}
    client = xchws.Finery(finery.key, finery.secret, **options)
    clients.append(client)
    came: List[str] = []
    done = threading.Event()

    @client.on_connect
    def asks(event: xchws.Connected) -> None:
        came.append(outcome(lambda: client.instruments(timeout=WAIT)))
        done.set()

    client.start()
    assert done.wait(WAIT)
    assert came == (["done"] if callbacks == "thread" else ["StateError"])
    client.instruments(timeout=WAIT)  # and anybody else may ask


@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_two_clients_that_stop_each_other(richamster: RichamsterSandbox, make_richamster: Make, callbacks: str) -> None:
    both = [make_richamster(callbacks=callbacks) for _ in range(2)]
    together = threading.Barrier(2)
    said: List[bool] = []

    def stops(other: Any) -> Callable[[Any], None]:
        def stop(ticker: xchws.Ticker) -> None:
            together.wait(WAIT)
            said.append(other.stop(2.0))

        return stop

    for client, other in zip(both, reversed(both)):
        client.on_ticker(stops(other))
        client.start(WAIT)
        client.subscribe_ticker(BTC).wait(WAIT)
    ends = [client.expect(xchws.Stopped) for client in both]
    richamster.ticker(BTC, 1)
    for end in ends:
        assert end.result(WAIT).error is None
    for client in both:
        assert client.stop(WAIT)
    assert len(said) == 2
