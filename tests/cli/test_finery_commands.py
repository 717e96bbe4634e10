"""`xchws listen finery` and `xchws sandbox finery`, as a shell starts them."""

from __future__ import annotations

import json
import re
from typing import Iterator

import pytest

from tests.cli.program import WAIT, Program
from xchws.cli import main
from xchws.sandbox import FinerySandbox

XCHWS = ("-m", "xchws")


@pytest.fixture
def finery() -> Iterator[FinerySandbox]:
    with FinerySandbox() as exchange:
        yield exchange


def listen(exchange: FinerySandbox, *arguments: str) -> Program:
    keys = {"FINERY_KEY": exchange.key, "FINERY_SECRET": exchange.secret}
    return Program(*XCHWS, "listen", "finery", "--url", exchange.url, *arguments, **keys)


def test_own_orders_and_positions_by_default(finery: FinerySandbox) -> None:
    with listen(finery, "--json", "--count", "6", "--on", "order,fill,position") as program:
        for feed in "OK":
            finery.wait_for_subscriber(feed, timeout=WAIT)
        finery.deal(finery.place("BTC-EUR", "bid", 87_000_01 * 10**6, 3, key=finery.key))
        assert program.end() == 0
    told = [json.loads(line) for line in program.lines]
    assert [one["event"] for one in told] == ["Order", "Order", "Fill", "Order", "Position", "Position"]
    assert (told[2]["price"], told[2]["quantity"], told[2]["volume"]) == ("87000.01000000", "3E-8", "0.00261000")
    assert (told[4]["symbol"], told[4]["quantity"], told[4]["counterparty_id"]) == ("BTC", "3E-8", "9")
    assert program.errors == "" and finery.complaints == []


def test_books_of_instruments_and_other_feeds(finery: FinerySandbox) -> None:
    channels = "order_book,global_order_book,limits,global_limits,settlements,settlement_transactions,"
    channels += "settlement_requests,instruments,combined"
    both = ("--instrument", "BTC-EUR", "--instrument", "ETH-USD")
    with listen(finery, "--channel", channels, *both, "--on", "order_book", "--count", "5") as program:
        for feed in "BFLGSNRIP":
            finery.wait_for_subscriber(feed, timeout=WAIT)
        finery.place("BTC-EUR", "ask", 87_000 * 10**8, 10**8)
        assert program.end() == 0
    assert sorted(line.split()[2] for line in program.lines[:4]) == ["symbol=BTC-EUR"] * 2 + ["symbol=ETH-USD"] * 2
    assert program.lines[4].startswith("finery OrderBook symbol=BTC-EUR asks=[[")
    assert len(finery.subscribers("F")) <= 1 and finery.complaints == []


def test_books_want_an_instrument(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINERY_KEY", "k")
    monkeypatch.setenv("FINERY_SECRET", "s")
    assert main(["listen", "finery", "--channel", "order_book"]) == 2
    assert main(["listen", "finery", "--channel", "order_book", "--instrument", "ETH/USD", "--pair", "x"]) == 2
    said = capsys.readouterr().err
    assert "--instrument BTC-EUR" in said and "No such option" in said


def test_a_refused_key_ends_it(finery: FinerySandbox) -> None:
    finery.account().agreed = False
    with listen(finery) as program:
        assert program.end() == 1
    assert "13 (the user agreement is not signed)" in program.errors
    assert finery.secret not in program.errors + program.output


def test_the_sandbox_says_how_to_reach_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "finery", "--duration", "0", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^url +ws://127\.0\.0\.1:\d+/ws$", said, re.MULTILINE)
    assert "DEMO-KEY-" in said and "xchws.Finery(" in said
