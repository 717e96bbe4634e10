"""The examples, each as its reader starts it, against the simulated exchanges."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Iterator

import pytest

from tests.cli.program import ROOT, WAIT, Program
from xchws.sandbox import IndodaxSandbox, RichamsterSandbox

INDODAX = ("orders.py", "wait_for_fill.py", "loop_over_events.py", "legacy_bot.py")
RICHAMSTER = ("market_data.py", "forked_workers.py")


@pytest.fixture
def indodax() -> Iterator[IndodaxSandbox]:
    with IndodaxSandbox() as exchange:
        yield exchange
    assert exchange.complaints == []


@pytest.fixture
def richamster() -> Iterator[RichamsterSandbox]:
    with RichamsterSandbox() as exchange:
        yield exchange
    assert exchange.complaints == []


def example(name: str, *arguments: str, indodax: IndodaxSandbox) -> Program:
    return Program(
        f"examples/{name}",
        *("--url", indodax.url, "--rest-url", indodax.rest_url),
        *arguments,
        INDODAX_KEY=indodax.key,
        INDODAX_SECRET=indodax.secret,
    )


def ended_well(program: Program) -> None:
    assert program.end() == 0, program.errors
    assert program.errors == ""


def test_every_example_is_run_here() -> None:
    assert sorted(INDODAX + RICHAMSTER) == sorted(path.name for path in Path(ROOT, "examples").glob("*.py"))


def test_orders(indodax: IndodaxSandbox) -> None:
    with example("orders.py", indodax=indodax) as program:
        indodax.wait_for_subscriber(timeout=WAIT)
        order = indodax.place("btcidr", "BUY", "1600000000", "0.5")
        indodax.fill(order, "0.2")
        assert program.line() == f"order {order.id} buy btcidr NEW 0 of 0.5"
        assert program.line() == f"order {order.id} buy btcidr PARTIALLY_FILLED 0.2 of 0.5"
        assert program.line("fill").startswith(f"fill {order.id} 0.2 at 1600000000 fee ")
        indodax.drop()
        assert "1006" in program.line("trouble")
        assert "gap orders from" in program.line("gap")
        program.interrupt()
        assert program.end() == 0
        assert "Traceback" not in program.errors


def test_wait_for_fill(indodax: IndodaxSandbox) -> None:
    with example("wait_for_fill.py", "ethidr", "--seconds", str(WAIT), indodax=indodax) as program:
        assert program.line() == "place an order on ethidr now"
        indodax.fill(indodax.place("btcidr", "BUY", "1600000000", "0.5"))
        order = indodax.place("ethidr", "SELL", "55000000", "2")
        indodax.fill(order)
        ended_well(program)
    assert program.lines[1:] == [f"filled 2 at 55000000 order {order.id}"]


def test_wait_for_fill_without_a_fill(indodax: IndodaxSandbox) -> None:
    with example("wait_for_fill.py", "--seconds", "0.1", indodax=indodax) as program:
        assert program.end() == 1
    assert program.lines == ["place an order on btcidr now", "no execution within 0.1 s"]
    assert program.errors == ""


def test_loop_over_events(indodax: IndodaxSandbox) -> None:
    with example("loop_over_events.py", indodax=indodax) as program:
        indodax.wait_for_subscriber(timeout=WAIT)
        order = indodax.place("solidr", "SELL", "2400000", "3")
        indodax.fill(order, "1")
        indodax.cancel(order)
        assert program.line() == f"order {order.id} NEW remaining 3"
        assert program.line() == f"order {order.id} PARTIALLY_FILLED remaining 2"
        assert program.line() == f"fill {order.id} 1 at 2400000"
        assert program.line() == f"order {order.id} CANCELED remaining 2"
        program.interrupt()
        ended_well(program)


def test_legacy_bot(indodax: IndodaxSandbox) -> None:
    with example("legacy_bot.py", indodax=indodax) as program:
        indodax.wait_for_subscriber(timeout=WAIT)
        order = indodax.place("btcidr", "BUY", "1600000000", "0.25")
        indodax.fill(order)
        assert program.line("as it came") == f"as it came: {order.id} NEW 0"
        assert program.line("typed") == f"typed: {order.id} NEW 0"
        assert program.line("as it came") == f"as it came: {order.id} FILL 0.25"
        assert program.line("typed") == f"typed: {order.id} FILLED 0.25"
        program.interrupt()
        ended_well(program)


def test_market_data(richamster: RichamsterSandbox) -> None:
    with Program("examples/market_data.py", "BTC/UAH", "--url", richamster.url) as program:
        richamster.wait_for_subscriber("ticker", "BTC/UAH", timeout=WAIT)
        richamster.wait_for_subscriber("trading", "BTC/UAH", timeout=WAIT)
        richamster.trade("BTC/UAH", "buying", "2650000.00", "0.5")
        assert program.line() == "trade BTC/UAH buy 0.5 at 2650000.00 = 1325000"
        richamster.ticker("BTC/UAH", "2650000.00", volume="0.50")
        assert program.line().startswith("ticker BTC/UAH last 2650000.00 ")
        program.interrupt()
        ended_well(program)


def test_forked_workers(richamster: RichamsterSandbox) -> None:
    pairs = ("BTC/UAH", "ETH/UAH")
    with Program("examples/forked_workers.py", *pairs, "--url", richamster.url) as program:
        for pair in pairs:
            richamster.wait_for_subscriber("trading", pair, timeout=WAIT)
            richamster.trade(pair, "selling", "98000", "1.5")
            assert program.line() == f"worker {pair} trade 1.5 at 98000"
        assert len(richamster.sessions) == 2
        program.interrupt()
        ended_well(program)


def test_all_end_by_themselves(indodax: IndodaxSandbox, richamster: RichamsterSandbox) -> None:
    with ExitStack() as stack:
        programs = [
            stack.enter_context(example(name, "--seconds", "1", indodax=indodax))
            for name in INDODAX
            if name != "wait_for_fill.py"  # it has tests of its end
        ]
        programs += [
            stack.enter_context(
                Program(f"examples/{name}", "--seconds", "1", XCHWS_URL=richamster.url),
            )
            for name in RICHAMSTER
        ]
        for program in programs:
            ended_well(program)
