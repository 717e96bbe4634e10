"""Runs a page's block of code on a simulated exchange, as its reader runs it on the real one."""

from __future__ import annotations

import queue
import sys
import threading
from typing import Any, Callable, Dict, List

import pytest

import xchws
from tests.docs.pages import Block
from xchws import clock
from xchws.exchanges.finery import client as finery_client
from xchws.exchanges.indodax import client as indodax_client
from xchws.exchanges.indodax import market_client as indodax_market_client
from xchws.exchanges.kyan import client as kyan_client
from xchws.exchanges.kyrrex import client as kyrrex_client
from xchws.exchanges.richamster import client as richamster_client
from xchws.sandbox import (
    FinerySandbox,
    IndodaxMarketSandbox,
    IndodaxSandbox,
    KyanSandbox,
    KyrrexSandbox,
    RichamsterSandbox,
)

WAIT = 20.0  # seconds, for all that a block waits for
_TICK = 0.02  # seconds between two looks at what the block has said
_EVENTS = 10  # that the exchange publishes between them
QUICK = xchws.Backoff(initial=0.02, maximum=0.1)
_ENDLESS = (xchws.Client.run_forever.__code__, xchws.EventStream.__next__.__code__)


class Run:
    """One block in a thread of its own. What it prints is kept; a client that it has not started is started after it.

    Args:
        names: what the block finds: `key`, `secret`, `token`, … and a `client`, if it makes none itself.
    """

    def __init__(self, block: Block, names: Dict[str, Any]) -> None:
        self._said: queue.Queue[Any] = queue.Queue()  # lines, and the error that it ended with
        self._names: Dict[str, Any] = {**names, "print": self._print}
        self._code = compile("\n" * (block.line - 1) + block.text, block.name, "exec")
        self._thread = threading.Thread(target=self._run, name=block.name)
        self._thread.start()

    def _print(self, *words: Any) -> None:
        self._said.put(" ".join(str(word) for word in words))

    def _run(self) -> None:
        try:
            exec(self._code, self._names)
            if self._names["client"].status().state is xchws.State.NEW:
                self._names["client"].start(WAIT)
        except BaseException as error:  # whatever it is, the test tells it
            self._said.put(error)

    def until(self, text: str, meanwhile: Callable[[], None]) -> None:
        """Wait for a line with this text in it, and do something again and again as long as nothing is said."""
        deadline = clock.monotonic() + WAIT
        while clock.monotonic() < deadline:
            try:
                said = self._said.get(timeout=_TICK)
            except queue.Empty:
                meanwhile()
                continue
            if isinstance(said, BaseException):
                raise said
            if text in said:
                return
        raise AssertionError(f"no line with {text!r} came")

    def end(self) -> List[BaseException]:
        """Stop its client and wait for its end; the errors that it ended with and nobody has been told of."""
        client = self._names.get("client")
        if client is not None:
            self._let_come_to_its_end()
            assert client.stop(WAIT)
        self._thread.join(WAIT)
        assert not self._thread.is_alive(), "the block does not end"
        left = []
        while not self._said.empty():
            left.append(self._said.get())
        return [one for one in left if isinstance(one, BaseException)]

    def _let_come_to_its_end(self) -> None:
        """A callback may say what was waited for while the block is still in a `start(timeout)` or waits for a reply."""
        deadline = clock.monotonic() + WAIT
        while not self._is_at_its_end() and clock.monotonic() < deadline:
            self._thread.join(_TICK)

    def _is_at_its_end(self) -> bool:
        """Whether it is done, or in a call that only the end of its client ends."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        while frame is not None and frame.f_code not in _ENDLESS:
            frame = frame.f_back
        return frame is not None or not self._thread.is_alive()


def _run(block: Block, names: Dict[str, Any], make: Callable[[], xchws.Client], exchange: Any) -> None:
    if "client = " not in block.text:
        names = {**names, "xchws": xchws, "client": make()}
    connected = names["client"].expect(xchws.Connected) if block.mark.cut else None
    errors: List[BaseException] = []
    run = Run(block, names)
    try:
        if connected is not None:
            connected.result(WAIT)
            exchange.drop()
        run.until(block.mark.until, lambda: exchange.random_walk(_EVENTS))
    finally:
        errors += run.end()
    assert errors == []


def _run_on_indodax(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndodaxSandbox(seed=1) as exchange:

        def place_order(symbol: str) -> None:
            exchange.fill(exchange.place(symbol, "BUY", "1600000000", "0.5"))

        monkeypatch.setitem(indodax_client._ENVIRONMENTS, "production", (exchange.url, exchange.rest_url))
        _run(
            block,
            {"key": exchange.key, "secret": exchange.secret, "place_order": place_order},
            lambda: xchws.Indodax(exchange.key, exchange.secret, backoff=QUICK),
            exchange,
        )


def _run_on_indodax_market(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndodaxMarketSandbox(seed=1) as exchange:
        monkeypatch.setitem(indodax_market_client._ENVIRONMENTS, "production", (exchange.url, exchange.token))
        _run(block, {}, lambda: xchws.IndodaxMarket(backoff=QUICK), exchange)


def _run_on_richamster(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    with RichamsterSandbox(seed=1) as exchange:
        monkeypatch.setattr(richamster_client, "_URL", exchange.url)
        _run(block, {"token": exchange.token}, lambda: xchws.Richamster(exchange.token, backoff=QUICK), exchange)


def _run_on_kyrrex(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    with KyrrexSandbox(seed=1) as exchange:
        monkeypatch.setitem(kyrrex_client._ENVIRONMENTS, "production", (exchange.base_url, exchange.rest_url))
        _run(
            block,
            {"key": exchange.key, "secret": exchange.secret},
            lambda: xchws.Kyrrex(exchange.key, exchange.secret, backoff=QUICK),
            exchange,
        )


def _run_on_kyan(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    with KyanSandbox(seed=1) as exchange:
        monkeypatch.setitem(kyan_client._ENVIRONMENTS, "production", exchange.url)
        _run(block, {"key": exchange.key}, lambda: xchws.Kyan(exchange.key, backoff=QUICK), exchange)


def _run_on_finery(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    with FinerySandbox(seed=1) as exchange:
        monkeypatch.setitem(finery_client._ENVIRONMENTS, "production", exchange.url)
        _run(
            block,
            {"key": exchange.key, "secret": exchange.secret},
            lambda: xchws.Finery(exchange.key, exchange.secret, backoff=QUICK),
            exchange,
        )


def _run_tests(block: Block, _monkeypatch: pytest.MonkeyPatch) -> None:
    names: Dict[str, Any] = {}
    exec(compile("\n" * (block.line - 1) + block.text, block.name, "exec"), names)
    tests = [name for name in names if name.startswith("test_")]
    assert tests, "a block of tests without a test"
    for name in tests:
        names[name]()


RUNNERS = {
    "finery": _run_on_finery,
    "indodax": _run_on_indodax,
    "indodax_market": _run_on_indodax_market,
    "kyan": _run_on_kyan,
    "kyrrex": _run_on_kyrrex,
    "richamster": _run_on_richamster,
    "tests": _run_tests,
}
"""What a mark may say after `run:`."""


@pytest.fixture
def run_block(monkeypatch: pytest.MonkeyPatch) -> Callable[[Block], None]:
    """Run a marked block as its mark says."""
    return lambda block: RUNNERS[block.mark.run](block, monkeypatch)
