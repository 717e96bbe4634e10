"""A signal may come at any moment: `stop()` from its handler, or KeyboardInterrupt, before every single step of the main thread.

The steps are those of xchws and of Python's own threading module, lines or, where there are few, single instructions. Where the
main thread holds a lock then that another thread of the client's wants, or that the handler wants once more, the test hangs.
"""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Dict, Iterator, List

import pytest

import xchws
from tests.moments import OURS, THREADING, moments
from xchws import client as client_module
from xchws import clock
from xchws.runtime import dispatcher
from xchws.sandbox import FinerySandbox, RichamsterSandbox

IN_TIME = 2.0
"""Seconds that stop() gets. It takes milliseconds: no step may make it wait so long."""

NOWHERE = "ws://127.0.0.1:9/"


@pytest.fixture(scope="module")
def exchange() -> Iterator[RichamsterSandbox]:
    with RichamsterSandbox(seed=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def finery() -> Iterator[FinerySandbox]:
    with FinerySandbox(seed=1) as sandbox:
        yield sandbox


def ours() -> List[threading.Thread]:
    """The threads of clients, but those that only stay until a server has answered."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("xchws ") and thread.name.endswith(("owner", "callbacks"))
    ]


def stop_in_time(client: xchws.Client, where: str) -> None:
    begun = clock.monotonic()
    assert client.stop(IN_TIME), where
    assert clock.monotonic() - begun < IN_TIME, where


def all_over(client: xchws.Client, where: str) -> None:
    stop_in_time(client, where)
    for thread in ours():
        thread.join(1)  # one that was called off while it was being started ends as soon as it has begun
    assert ours() == [], where
    assert client.status().state is xchws.State.STOPPED, where
    for wait in (lambda: client.wait_ready(IN_TIME), lambda: client.expect(xchws.Order).result(IN_TIME)):
        with pytest.raises(xchws.StateError):
            wait()


def interrupt() -> None:
    raise KeyboardInterrupt


def new_client() -> Any:
    return xchws.Richamster(url=NOWHERE)


ON_A_NEW_CLIENT: Dict[str, Callable[[Any], Any]] = {
    "subscribe": lambda client: client.subscribe_ticker("BTC/UAH"),
    "unsubscribe": lambda client: client.subscribe_ticker("BTC/UAH").unsubscribe(),
    "expect": lambda client: client.expect(xchws.Stopped).cancel(),
    "events": lambda client: client.events(xchws.Stopped).close(),
    "on and off": lambda client: client.off(client.on_stop(print)),
    "status": lambda client: client.status(),
    "stop": lambda client: client.stop(),
}


@pytest.mark.parametrize("name", ON_A_NEW_CLIENT)
def test_stop_at_any_moment_of_a_client_that_is_new(name: str) -> None:
    for moment in moments(instructions=True):
        client = new_client()
        with moment.interrupted_by(partial(stop_in_time, client, name)), suppress(xchws.StateError):
            ON_A_NEW_CLIENT[name](client)
        all_over(client, moment.place)
        with pytest.raises(xchws.StateError):
            client.start()


# Where the interrupt comes in the middle of making sockets, they are closed by nobody but their end.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("raises", [False, True], ids=["stop()", "KeyboardInterrupt"])
@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_at_any_moment_of_start(callbacks: Any, raises: bool) -> None:
    # An exception in the middle of its own start() leaves threading with a thread that there is not.
    for moment in moments(rooms=(OURS,) if raises else (OURS, THREADING)):
        client = xchws.Richamster(url=NOWHERE, callbacks=callbacks, on_stop=lambda event: None)
        handler = interrupt if raises else partial(stop_in_time, client, "start")
        with moment.interrupted_by(handler), suppress(xchws.StateError, KeyboardInterrupt):
            client.start()
        all_over(client, moment.place)
    gc.collect()  # now, while they may be found unclosed


def run_to_the_end(client: Any) -> None:
    threading.Thread(target=client.stop).start()
    client.run_forever()


ON_A_LIVE_CLIENT: Dict[str, Callable[[Any], Any]] = {
    "subscribe": lambda client: client.subscribe_ticker("BTC/UAH"),
    "wait for a subscription": lambda client: client.subscribe_trades("BTC/UAH").wait(IN_TIME),
    "unsubscribe": lambda client: client.subscribe_order_book("BTC/UAH").unsubscribe(),
    "expect": lambda client: client.expect(xchws.Ticker).result(0.001),
    "events": lambda client: next(client.events(xchws.Ticker, timeout=0.001), None),
    "on and off": lambda client: client.off(client.on(xchws.Stopped, print)),
    "wait_ready": lambda client: client.wait_ready(IN_TIME),
    "status": lambda client: client.status(),
    "stop": lambda client: client.stop(),
    "run_forever": run_to_the_end,
}


@pytest.mark.parametrize("name", ON_A_LIVE_CLIENT)
def test_stop_at_any_moment_of_a_client_that_is_live(exchange: RichamsterSandbox, name: str) -> None:
    for moment in moments():
        client = xchws.Richamster(url=exchange.url)
        client.on(xchws.Event, lambda event: None)
        client.start(5)
        handler = partial(stop_in_time, client, name)
        with moment.interrupted_by(handler), suppress(xchws.StateError, xchws.WaitTimeout):
            ON_A_LIVE_CLIENT[name](client)
        all_over(client, moment.place)


def subscribed(client: Any) -> None:
    """It can be subscribed and unsubscribed again, whatever an interruption has left of an earlier time."""
    subscription = client.subscribe_ticker("BTC/UAH").wait(IN_TIME)
    subscription.unsubscribe()
    assert not subscription.active and client.status().subscriptions == ()


USABLE_AFTERWARDS: Dict[str, Callable[[Any], Any]] = {
    "subscribe": subscribed,
    "expect": lambda client: client.expect(xchws.Ticker).result(0.0005),
    "events": lambda client: next(client.events(xchws.Ticker, timeout=0.0005), None),
    "on and off": lambda client: client.off(client.on(xchws.Stopped, print)),
    "wait_ready": lambda client: client.wait_ready(IN_TIME),
    "status": lambda client: client.status(),
}


@pytest.mark.parametrize("name", USABLE_AFTERWARDS)
def test_interrupted_at_any_moment_the_client_lives_on(exchange: RichamsterSandbox, name: str) -> None:
    client = xchws.Richamster(url=exchange.url)
    client.start(5)
    try:
        for moment in moments():
            with moment.interrupted_by(interrupt), suppress(KeyboardInterrupt, xchws.WaitTimeout):
                USABLE_AFTERWARDS[name](client)
            status = client.status()
            assert status.state is xchws.State.READY and status.threads_alive and status.reconnects == 0, moment.place
            subscribed(client)
        ticker = client.expect(xchws.Ticker)
        client.subscribe_ticker("BTC/UAH").wait(IN_TIME)
        exchange.ticker("BTC/UAH", 1)
        ticker.result(IN_TIME)
    finally:
        stop_in_time(client, name)


def test_a_request_interrupted_at_any_moment(finery: FinerySandbox) -> None:
    client = xchws.Finery(finery.key, finery.secret, url=finery.url)
    client.start(5)
    try:
        for moment in moments():
            with moment.interrupted_by(interrupt), suppress(KeyboardInterrupt):
                client.request("instruments", timeout=IN_TIME)
            assert client._answers == {}, moment.place
        assert client.request("instruments", timeout=IN_TIME)
        for moment in moments(instructions=True):
            with moment.interrupted_by(interrupt), suppress(KeyboardInterrupt):
                client._new_client_order_id()
        assert client._new_client_order_id() < client._new_client_order_id()
    finally:
        stop_in_time(client, "afterwards")


@pytest.mark.parametrize("name", ["stop", "run_forever"])
def test_interrupted_at_any_moment_of_the_end_it_ends_all_the_same(exchange: RichamsterSandbox, name: str) -> None:
    for moment in moments(rooms=(OURS,)):
        client = xchws.Richamster(url=exchange.url)
        client.on(xchws.Event, lambda event: None)
        client.start(5)
        with moment.interrupted_by(interrupt), suppress(KeyboardInterrupt):
            ON_A_LIVE_CLIENT[name](client)
        all_over(client, moment.place)


def hold(entered: threading.Event, go_on: threading.Event, event: xchws.Event) -> None:
    entered.set()
    assert go_on.wait(10)


def test_stop_at_any_moment_of_a_stop_that_gives_up(
    exchange: RichamsterSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread gives up what waits behind a callback that does not end, and the handler wants to do the same."""
    monkeypatch.setattr(client_module, "_IN_A_HURRY", 0.01)
    for moment in moments(rooms=(client_module.__file__, dispatcher.__file__)):
        client = xchws.Richamster(url=exchange.url)
        entered, go_on = threading.Event(), threading.Event()
        client.on_connect(partial(hold, entered, go_on))
        client.on_stop(lambda event: None)
        client.start(5)
        assert entered.wait(5)
        with moment.interrupted_by(partial(client.stop, 0)):
            assert client.stop(0) is False
        assert client.status().undelivered >= 1, moment.place
        go_on.set()
        all_over(client, moment.place)
        assert client.status().undelivered == 1, "what was at work is done, and what waited is not"
