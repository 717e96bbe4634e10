"""The examples, each as its reader starts it, against the simulated exchanges."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.cli.program import ROOT, WAIT, Program
from xchws.sandbox import (
    FinerySandbox,
    IndodaxMarketSandbox,
    IndodaxSandbox,
    KyanSandbox,
    KyrrexSandbox,
    RichamsterSandbox,
)

FINERY = ("finery_orders.py",)
INDODAX = ("orders.py", "wait_for_fill.py", "loop_over_events.py", "legacy_bot.py")
INDODAX_MARKET = ("indodax_market.py",)
KYAN = ("kyan_market.py",)
KYRREX = ("kyrrex_account.py",)
RICHAMSTER = ("market_data.py", "forked_workers.py")


@pytest.fixture
def finery() -> Iterator[FinerySandbox]:
    with FinerySandbox() as exchange:
        yield exchange
    assert exchange.complaints == []


@pytest.fixture
def indodax() -> Iterator[IndodaxSandbox]:
    with IndodaxSandbox() as exchange:
        yield exchange
    assert exchange.complaints == []


@pytest.fixture
def indodax_market() -> Iterator[IndodaxMarketSandbox]:
    with IndodaxMarketSandbox() as exchange:
        yield exchange
    assert exchange.complaints == []


@pytest.fixture
def richamster() -> Iterator[RichamsterSandbox]:
    with RichamsterSandbox() as exchange:
        yield exchange
    assert exchange.complaints == []


@pytest.fixture
def kyrrex() -> Iterator[KyrrexSandbox]:
    with KyrrexSandbox() as exchange:
        yield exchange
    assert exchange.complaints == []


@pytest.fixture
def kyan() -> Iterator[KyanSandbox]:
    with KyanSandbox() as exchange:
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
    assert sorted(FINERY + INDODAX + INDODAX_MARKET + KYAN + KYRREX + RICHAMSTER) == sorted(
        path.name for path in Path(ROOT, "examples").glob("*.py")
    )


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


def kyrrex_account(kyrrex: KyrrexSandbox, *arguments: str) -> Program:
    return Program(
        "examples/kyrrex_account.py",
        *("--url", kyrrex.url, "--rest-url", kyrrex.rest_url),
        *arguments,
        KYRREX_KEY=kyrrex.key,
        KYRREX_SECRET=kyrrex.secret,
    )


def test_kyrrex_account(kyrrex: KyrrexSandbox) -> None:
    with kyrrex_account(kyrrex, "usdt") as program:
        kyrrex.wait_for_subscriber(timeout=WAIT)
        order = kyrrex.place("btcusdt", "buy", "64000", "0.5")
        kyrrex.fill(order, "0.2")
        kyrrex.deposit("trx", "12.50")
        assert program.line() == f"order {order.id} buy btcusdt NEW 0.0 of 0.5"
        assert program.line() == "balance usdt free 68000.0 locked 32000.0 total 100000.0"
        assert program.line() == f"fill {order.id} 0.2 at 64000.0 fee 0.0002 btc"
        assert program.line() == f"order {order.id} buy btcusdt PARTIALLY_FILLED 0.2 of 0.5"
        assert program.line() == "balance usdt free 68000.0 locked 19200.0 total 87200.0"
        assert program.line() == "deposit d-5001 12.5 trx created"
        program.interrupt()
        ended_well(program)
    assert program.lines[6:] == ["known in the end: btc 5.1998, usdt 68000.0"]


def test_kyrrex_account_after_a_cut(kyrrex: KyrrexSandbox) -> None:
    with kyrrex_account(kyrrex) as program:
        kyrrex.wait_for_subscriber(timeout=WAIT)
        kyrrex.account("eur", "1.5")
        program.line("balance eur free 1.5")
        kyrrex.drop()
        program.line("trouble")
        program.interrupt()
        ended_well(program)


def test_kyrrex_account_ends_by_itself(kyrrex: KyrrexSandbox) -> None:
    with kyrrex_account(kyrrex, "--seconds", "1") as program:
        ended_well(program)
    assert program.lines == ["known in the end: nothing"]


def test_kyan_market(kyan: KyanSandbox) -> None:
    resting = kyan.place("ETH_USDC-PERPETUAL", "sell", "3200.5", "700")
    with Program("examples/kyan_market.py", "--url", kyan.url, KYAN_KEY=kyan.key) as program:
        assert program.line("book") == "book ETH_USDC-PERPETUAL bid none ask 700 at 3200.5"
        kyan.wait_for_subscriber("trade", timeout=WAIT)
        kyan.index_price("ETH_USDC", "3120.75")
        assert program.line() == "index ETH_USDC 3120.75"
        kyan.fill(resting, "200")
        assert program.line() == "book ETH_USDC-PERPETUAL bid none ask 500 at 3200.5"
        assert program.line() == "trade ETH_USDC-PERPETUAL sell 200 at 3200.5"
        kyan.close_connections(1012, "restarting")
        assert "1012" in program.line("trouble")
        kyan.index_price("ETH_USDC", "3121")
        assert program.line("gap").endswith(" closed")
        assert program.line("index") == "index ETH_USDC 3121"
        program.interrupt()
        ended_well(program)


def test_kyan_market_ends_by_itself(kyan: KyanSandbox) -> None:
    with Program("examples/kyan_market.py", "--seconds", "1", XCHWS_URL=kyan.url, KYAN_KEY=kyan.key) as program:
        ended_well(program)


def finery_orders(finery: FinerySandbox, *arguments: str) -> Program:
    return Program(
        "examples/finery_orders.py",
        *("BTC-EUR", "0.5", "--url", finery.url),
        *arguments,
        FINERY_KEY=finery.key,
        FINERY_SECRET=finery.secret,
    )


def test_finery_orders(finery: FinerySandbox) -> None:
    def order_at(price: int) -> Any:
        finery.wait_until(lambda: [one.price for one in finery.open_orders(finery.account())] == [price * 10**8], WAIT)
        return finery.open_orders(finery.account())[0]

    with finery_orders(finery) as program:
        finery.wait_for_subscriber("F", "BTC-EUR", timeout=WAIT)
        first = finery.place("BTC-EUR", "bid", 87_000 * 10**8, 10**8)
        order = order_at(86_900)
        assert program.line() == f"order {order.id} NEW 0 of 0.50000000 at 86900.00000000"
        finery.deal(order, 10**7)
        program.line(f"order {order.id} PARTIALLY_FILLED 0.10000000 of 0.50000000")
        assert program.line("fill") == f"fill {order.id} 0.10000000 at 86900.00000000 with 9"
        finery.place("BTC-EUR", "bid", 87_001 * 10**8, 10**8)
        moved = order_at(86_901)
        assert moved.left == 4 * 10**7, "what has been executed counts"
        program.line(f"order {order.id} CANCELED")
        program.line(f"order {moved.id} NEW")
        finery.drop()
        assert program.line("probably") == f"probably cancelled {moved.id}"
        program.line("trouble")
        assert order_at(86_901).id != moved.id, "a new one on the new connection"
        program.interrupt()
        assert program.end() == 0
        assert "Traceback" not in program.errors
    finery.wait_until(lambda: not finery.open_orders(finery.account()), WAIT)
    assert first.open


def test_finery_orders_refused(finery: FinerySandbox) -> None:
    finery.reject_next("add", 79)
    with finery_orders(finery) as program:
        finery.wait_for_subscriber("F", "BTC-EUR", timeout=WAIT)
        finery.place("BTC-EUR", "bid", 87_000 * 10**8, 10**8)
        assert "79 (a limit would be breached)" in program.line("refused")
        program.interrupt()
        ended_well(program)


def test_finery_orders_end_by_themselves(finery: FinerySandbox) -> None:
    with finery_orders(finery, "--seconds", "1") as program:
        ended_well(program)


def test_indodax_market(indodax_market: IndodaxMarketSandbox) -> None:
    exchange = indodax_market
    addresses = ("--url", exchange.url, "--token", exchange.token)
    with Program("examples/indodax_market.py", "btcusdt", *addresses) as program:
        for channel in ("market:summary-24h", "market:trade-activity-btcusdt", "market:order-book-btcusdt"):
            exchange.wait_for_subscriber(channel, timeout=WAIT)
        exchange.trade("btcusdt", "buy", "97013.50", base="0.25")
        assert program.line() == "trade btcusdt buy 0.25 at 97013.50"
        exchange.order_book("btcusdt", bids=[("97013", "1.5"), ("97012", "2")], asks=[])
        assert program.line() == "book btcusdt bid 1.5 at 97013 ask none"
        exchange.summary("btcusdt")
        assert program.line() == "24 h btcusdt last 97013.50 low 97012.5 high 97013.50 volume 0.25"
        exchange.refuse(503)
        exchange.drop()
        exchange.trade("btcusdt", "sell", "97012", base="0.5")
        exchange.accept()
        assert "1006" in program.line("trouble")
        assert program.line("gap market:trade-activity-btcusdt").endswith(" closed")
        assert program.line("trade") == "trade btcusdt sell 0.5 at 97012"
        program.interrupt()
        ended_well(program)


def test_indodax_market_ends_by_itself(indodax_market: IndodaxMarketSandbox) -> None:
    variables = {"XCHWS_URL": indodax_market.url, "XCHWS_TOKEN": indodax_market.token}
    with Program("examples/indodax_market.py", "--seconds", "1", **variables) as program:
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
