"""More than the callbacks can take: bursts, slow functions, functions that want the newest only, functions that raise."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

import xchws
from tests.client.test_callbacks import Collector
from tests.rigs import RIGS, Indodax, IndodaxMarket, Kyrrex, Richamster, Rig
from xchws.runtime.newest import Place
from xchws.sandbox import RichamsterSandbox
from xchws.sandbox.jsontext import write

Make = Callable[..., Any]

BURST = 100_000
WAIT = 120.0  # seconds at most, for anything


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A frame as a server sends it."""
    size = len(payload)
    return bytes((0x80 | opcode,)) + (bytes((size,)) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) + payload


def level(number: int) -> bytes:
    """The numbered message."""
    return frame(b'{"pair":"BTC/UAH","unit_price":2650000,"sum":1,"side":"selling","volume":%d}' % number)


def resident() -> int:
    """The bytes that this process holds; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") if statm.exists() else 0


class Gate:
    """A callback that stands still at the first event until it is let go; notes the numbers of all."""

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.numbers: List[int] = []

    def __call__(self, told: xchws.BookLevel) -> None:
        self.entered.set()
        assert self.go_on.wait(WAIT)
        assert told.quantity is not None
        self.numbers.append(int(told.quantity))


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.go_on.set()


@pytest.fixture
def client(make_richamster: Make, gate: Gate) -> xchws.Richamster:
    made: xchws.Richamster = make_richamster(on_book_level=gate, capacity=BURST + 100)
    return made


def served(client: xchws.Richamster, exchange: RichamsterSandbox) -> Any:
    """Start the client; the exchange's side of its connection."""
    client.start(WAIT)
    client.subscribe_order_book("BTC/UAH").wait(WAIT)
    return exchange.wait_for_session()


def test_a_hundred_thousand_at_once(richamster: RichamsterSandbox, client: xchws.Richamster, gate: Gate) -> None:
    newest: List[int] = []
    errors: List[xchws.XchwsError] = []

    @client.on_book_level
    def raises(told: xchws.BookLevel) -> None:
        if told.quantity is not None and told.quantity % 10_000 == 0:
            raise ValueError("a round number")

    @client.on_ticker(when_slow="latest")
    def latest(told: xchws.Ticker) -> None:
        assert told.last is not None
        newest.append(int(told.last))

    client.on_error(errors.append)
    session = served(client, richamster)
    client.subscribe_ticker("BTC/UAH").wait(WAIT)
    before = resident()
    last = client.expect(xchws.BookLevel, quantity=BURST)
    pings = [f"ping {number}".encode() for number in range(BURST // 1000)]
    for thousand, ping in enumerate(pings):
        numbers = range(1000 * thousand + 1, 1000 * thousand + 1001)
        session.send_bytes(b"".join(level(number) for number in numbers) + frame(ping, 9))
        richamster.ticker("BTC/UAH", thousand)
    last.result(WAIT)
    pongs = [ping.decode() for ping in pings]
    richamster.wait_until(lambda: [one.text for one in richamster.received if one.kind == "pong"] == pongs, WAIT)
    session.send_bytes(frame(b"after", 9))  # what came before it waits by the time that it is answered
    richamster.wait_until(lambda: any(one.text == "after" for one in richamster.received if one.kind == "pong"), WAIT)
    status = client.status()
    assert gate.numbers == [], "all pings were answered while nothing was called back"
    assert BURST <= status.backlog <= BURST + 2 and status.state is xchws.State.READY
    assert resident() - before < BURST * 2000, "an event that waits takes some 700 bytes"
    gate.go_on.set()
    assert client.stop(WAIT)
    assert gate.numbers == list(range(1, BURST + 1))
    assert len(newest) <= 2 and newest[-1] == thousand
    assert [type(error) for error in errors] == [xchws.CallbackError] * 10
    assert client.status().callback_failures == 10
    assert richamster.opened == 1 and richamster.complaints == []


def test_more_than_fits_is_said_and_held_in_bounds(
    richamster: RichamsterSandbox, make_richamster: Make, gate: Gate
) -> None:
    gaps, errors = Collector(), Collector()
    client = make_richamster(capacity=1000, on_book_level=gate, on_gap=gaps, on_error=errors)
    session = served(client, richamster)
    down = client.expect(xchws.Disconnected)
    session.send_bytes(b"".join(level(number) for number in range(1, BURST + 1)))
    error = down.result(WAIT).error
    assert isinstance(error, xchws.SlowConsumer) and error.dropped >= 1
    assert client.status().backlog <= 1000 + 10
    assert client.status().state is xchws.State.WAITING, "it does not connect before there is room"
    gate.go_on.set()
    client.wait_ready(WAIT)
    client.subscribe_order_book("BTC/UAH").wait(WAIT)
    again = client.expect(xchws.BookLevel)
    richamster.level("BTC/UAH", "selling", "1", str(BURST + 1))
    again.result(WAIT)
    (gap,) = gaps.wait(1)
    assert gap.channels == ("order_book BTC/UAH",) and not gap.recovered
    client.stop(WAIT)
    assert gate.numbers == [*range(1, 1001), BURST + 1]
    assert [type(error) for error in errors.given] == [xchws.SlowConsumer]


@pytest.mark.parametrize("what", ["messages", "failures"])
def test_messages_and_failures_do_not_pile_up_either(
    richamster: RichamsterSandbox, make_richamster: Make, what: str
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    given: List[Any] = []

    def slow(one: Any) -> None:
        entered.set()
        assert go_on.wait(WAIT)
        given.append(one)

    client = make_richamster(capacity=10)
    (client.on_message if what == "messages" else client.on_error)(slow)
    session = served(client, richamster)
    down = client.expect(xchws.Disconnected)
    for number in range(1000):
        session.send_text("{" if what == "failures" else f'{{"number":{number}}}')
    assert isinstance(down.result(WAIT).error, xchws.SlowConsumer)
    assert entered.wait(WAIT) and client.status().backlog <= 10 + 2
    go_on.set()
    client.wait_ready(WAIT)
    client.stop(WAIT)
    if what == "failures":
        kinds = [type(error) for error in given]
        assert kinds == [xchws.ProtocolError] * 10 + [xchws.SlowConsumer]
    else:
        numbers = [one["number"] for one in given if "number" in one]
        assert numbers == list(range(len(numbers))) and 8 <= len(numbers) <= 10


def test_the_newest_keeps_the_place_of_the_one_it_replaces(
    richamster: RichamsterSandbox, client: xchws.Richamster, gate: Gate
) -> None:
    told = tickers(client)
    session = served(client, richamster)
    for pair in ("A/UAH", "B/UAH"):
        client.subscribe_ticker(pair).wait(WAIT)
    session.send_bytes(level(1))
    assert gate.entered.wait(WAIT)
    last = client.expect(xchws.Ticker, symbol="A/UAH", last=3)
    for pair, price in (("A/UAH", 1), ("B/UAH", 1), ("A/UAH", 2), ("A/UAH", 3)):
        richamster.ticker(pair, price)
    last.result(WAIT)
    gate.go_on.set()
    client.stop(WAIT)
    assert told == [("A/UAH", 3), ("B/UAH", 1)]


@pytest.mark.parametrize("in_hand", [False, True])
def test_the_newest_is_not_told_before_a_gap_that_came_before_it(
    richamster: RichamsterSandbox, client: xchws.Richamster, gate: Gate, in_hand: bool
) -> None:
    told = tickers(client)
    client.on_gap(lambda gap: told.append(gap.channels[0]))
    session = served(client, richamster)
    client.subscribe_ticker("A/UAH").wait(WAIT)
    first = client.expect(xchws.Ticker)
    richamster.ticker("A/UAH", 1)
    ticker = frame(write(richamster.published[-1]).encode())
    first.result(WAIT)
    arrived = client.expect(xchws.Ticker)
    if in_hand:  # in one read, so that the callbacks thread has taken the ticker out of the queue already
        session.send_bytes(level(1) + ticker)
        assert gate.entered.wait(WAIT)
    else:
        session.send_bytes(level(1))
        assert gate.entered.wait(WAIT)
        session.send_bytes(ticker)
    arrived.result(WAIT)
    told.clear()
    connected = client.expect(xchws.Connected)
    richamster.drop()
    connected.result(WAIT)
    client.subscribe_ticker("A/UAH").wait(WAIT)
    last = client.expect(xchws.Ticker)
    richamster.ticker("A/UAH", 2)
    last.result(WAIT)
    gate.go_on.set()
    client.stop(WAIT)
    assert told == ["order_book BTC/UAH", "ticker A/UAH", ("A/UAH", 2)], "the one from before the gap has been replaced"


def test_places_whose_event_has_moved_on_are_cleared_away(
    richamster: RichamsterSandbox, client: xchws.Richamster, gate: Gate
) -> None:
    told = tickers(client)
    lives: List[Any] = []
    client.on_connect(lives.append)
    pairs = [f"C{number}/UAH" for number in range(100)]
    session = served(client, richamster)
    subscriptions = [client.subscribe_ticker(pair) for pair in pairs]
    session.send_bytes(level(1))
    assert gate.entered.wait(WAIT)
    for round_ in range(25):
        if round_:
            connected = client.expect(xchws.Connected)
            richamster.drop()
            connected.result(WAIT)
        for subscription in subscriptions:
            subscription.wait(WAIT)
        last = client.expect(xchws.Ticker, symbol=pairs[-1])
        for pair in pairs:
            richamster.ticker(pair, round_)
        last.result(WAIT)
    waiting = sum(type(found) is Place for found in gc.get_objects())  # isinstance() would ask a dead proxy
    assert 100 <= waiting < 1500, "of 2,500 places most are empty"
    assert client.status().backlog == 1 + 24 + 100, "what is empty does not wait"
    gate.go_on.set()
    client.stop(WAIT)
    assert told == [(pair, 24) for pair in pairs] and len(lives) == 25


def tickers(client: xchws.Richamster) -> List[Any]:
    """What a function is told that wants the newest tickers only."""
    told: List[Any] = []

    @client.on_ticker(when_slow="latest")
    def latest(ticker: xchws.Ticker) -> None:
        told.append((ticker.symbol, ticker.last))

    return told


# How a ping is answered, and what gives the exchange the patience of a loaded machine.
PONGS: Dict[type, Any] = {
    Indodax: (lambda item: item.kind == "pong", {"pong_grace": WAIT}),
    IndodaxMarket: (lambda item: item.kind == "pong", {"pong_timeout": WAIT}),
    Richamster: (lambda item: item.kind == "pong", {"ping_timeout": WAIT}),
    Kyrrex: (lambda item: item.kind == "message" and item.text == "3", {"ping_timeout": WAIT}),
}


@pytest.mark.parametrize("rig", [rig for rig in RIGS if type(rig) in PONGS], ids=repr)
def test_pings_are_answered_while_a_callback_stands_still(rig: Rig) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def stand_still(event: xchws.Data) -> None:
        entered.set()
        assert go_on.wait(WAIT)

    is_pong, patience = PONGS[type(rig)]
    with rig.sandbox(ping_interval=0.05, **patience) as exchange:
        client = rig.client(exchange)
        client.on(xchws.Data, stand_still)
        with client:
            rig.wait_served(exchange, client, WAIT)
            rig.tell(exchange, 1)
            assert entered.wait(WAIT)
            before = sum(map(is_pong, exchange.received))
            exchange.wait_until(lambda: sum(map(is_pong, exchange.received)) >= before + 5, WAIT)
            assert exchange.opened == 1 and client.status().state is xchws.State.READY
            go_on.set()
        assert exchange.complaints == []
