"""No thread of a client's ends unseen: whatever fails in it, the client lives on, or it is STOPPED and everybody hears why.

What fails: memory, a log handler of the user's, the start of a thread, a step of our own.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
from contextlib import contextmanager, suppress
from itertools import count
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

import xchws
from tests.client.conftest import QUICK
from tests.client.test_callbacks import Collector, trade_once
from tests.moments import OURS
from xchws import clock
from xchws import log as our_log
from xchws.runtime import dispatcher, loop
from xchws.runtime.bell import Bell, Latch
from xchws.runtime.strand import Strand
from xchws.sandbox import IndodaxSandbox, RichamsterSandbox
from xchws.transports.scope import CancelScope
from xchws.waiting import Answer

Make = Callable[..., Any]
PATIENCE = 10.0
"""Seconds for what comes soon, and may be late on a machine that is busy."""

RAISED = [OSError("disk full"), SystemExit(3), KeyboardInterrupt(), MemoryError()]


# ------------------------------------------------------------------------------------------------------- log handlers


class Broken:
    """A stream that cannot be written to."""

    def __init__(self, raised: BaseException) -> None:
        self._raised = raised
        self.threads: List[str] = []

    def write(self, text: str) -> int:
        self.threads.append(threading.current_thread().name)
        raise self._raised


@pytest.fixture
def break_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[BaseException], Broken]]:
    """Have whatever is logged raise this."""
    logger, added = logging.getLogger("xchws"), []
    before = logger.level

    def break_it(raised: BaseException) -> Broken:
        stream = Broken(raised)
        handler: logging.StreamHandler[Any] = logging.StreamHandler(stream)
        added.append(handler)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        return stream

    yield break_it
    for handler in added:
        logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.parametrize("raise_exceptions", [True, False])
@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_a_log_handler_that_raises(
    indodax: IndodaxSandbox,
    make_indodax: Make,
    break_log: Callable[[BaseException], Broken],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    raise_exceptions: bool,
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", raise_exceptions)
    stream = break_log(raised)
    errors, fills = Collector(), Collector()
    client = make_indodax(on_error=errors, on_fill=fills)

    @client.on_order  # type: ignore[untyped-decorator]  # the fixture gives Any
    def bad(order: xchws.Order) -> None:
        raise ValueError("wrong")

    client.start(5)
    trade_once(indodax)
    fills.wait(2)
    assert all(isinstance(error, xchws.CallbackError) for error in errors.wait(4))
    client._exchange.route = nowhere = Nowhere(client._exchange.route)
    back = client.expect(xchws.Connected)
    indodax.drop()
    back.result(PATIENCE)
    trade_once(indodax)
    fills.wait(4)
    assert nowhere.left == 0 and client.status().threads_alive and client.stop()
    assert {name.rsplit(" ", 1)[-1] for name in stream.threads} == {"owner", "callbacks", "dial"}


class Nowhere:
    """A fault of ours in the next dial, which is logged by its helper."""

    def __init__(self, genuine: Callable[[Any], Any]) -> None:
        self._genuine = genuine
        self.left = 1

    def __call__(self, http: Any) -> Any:
        if self.left:
            self.left -= 1
            raise ZeroDivisionError
        return self._genuine(http)


def test_ctrl_c_in_a_log_handler_comes_out_in_the_users_own_thread(
    break_log: Callable[[BaseException], Broken],
) -> None:
    break_log(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        our_log.warning("on the main thread")


def test_a_log_handler_that_raises_changes_nothing_in_the_users_own_thread(
    break_log: Callable[[BaseException], Broken], capsys: pytest.CaptureFixture[str]
) -> None:
    stream = break_log(OSError("disk full"))
    our_log.warning("on the main thread")
    assert len(stream.threads) == 1 and "disk full" in capsys.readouterr().err, "logging itself has told it"


# ------------------------------------------------------------------------------------- one call of a thread's fails


LAST_STEP = (Bell.ring.__code__, Strand._run.__code__)


class Failing:
    """The n-th call (n from 0) that a thread makes of a function of ours finds no memory.

    Args:
        name: how the thread's name ends; rooms: the files of xchws in which the functions are.

    Attributes:
        came: whether there were so many calls; place: which it was, for people.
    """

    def __init__(self, number: int, name: str, rooms: Tuple[str, ...]) -> None:
        self._left = number
        self._name = name
        self._rooms = tuple(f"{OURS}/{room}" for room in rooms)
        self.came = False
        self.place = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if self.came or not code.co_filename.startswith(self._rooms):
            return
        if not threading.current_thread().name.endswith(self._name):
            return
        if code is Strand._run.__code__ or (frame.f_back and (code, frame.f_back.f_code) == LAST_STEP):
            return  # where nothing of ours has begun yet, or all is done: nobody is there who could tell anything
        if self._left:
            self._left -= 1
            return
        self.came = True
        self.place = f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"
        raise MemoryError("injected")


def failings(name: str, *rooms: str) -> Iterator[Failing]:
    """One call after the other, until there are no more of them in what is done; in the rooms that all clients share."""
    for number in count():
        failing = Failing(number, name, rooms or ("runtime/", "client.py", "log.py"))
        yield failing
        if not failing.came:
            assert number > 3, "the calls have been looked at"
            return


@contextmanager
def traced(trace: Any) -> Iterator[None]:
    """Threads that are started within this are traced by it."""
    before = threading._trace_hook  # type: ignore[attr-defined]  # threading.gettrace() is there from 3.10 on
    threading.settrace(trace)
    try:
        yield
    finally:
        threading.settrace(before)


class Program:
    """A program that waits for the client's end.

    Attributes:
        ended: set at the end; error: what it was told of it.
    """

    def __init__(self, client: xchws.Client) -> None:
        self.ended = threading.Event()
        self.error: Optional[xchws.XchwsError] = None
        self._client = client
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        try:
            self._client.run_forever()
        except xchws.XchwsError as error:
            self.error = error
        self.ended.set()

    def check_end(self, place: str) -> None:
        assert self._client.stop() and self.ended.wait(PATIENCE), place
        status = self._client.status()
        assert status.state is xchws.State.STOPPED and status.threads_alive, place
        for subscription in self._client._subscriptions:
            assert subscription.state == "ended", place


@pytest.fixture
def broken_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A thread that is broken off says so to Python, too, once its client knows; and so does a generator.

    Memory that was not to be had is there again at once.
    """
    monkeypatch.setattr(dispatcher, "_BREATH", 0.001)
    monkeypatch.setattr(loop, "_SCARCE", 0.001)
    monkeypatch.setattr(threading, "excepthook", lambda told: None)
    monkeypatch.setattr(sys, "unraisablehook", lambda told: None)
    # What is logged of a fault would be kept by pytest, with all that its traceback holds.
    monkeypatch.setattr(logging.getLogger("xchws"), "disabled", True)
    yield
    gc.collect()  # now, while what was broken off may be found unclosed


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("broken_off")
@pytest.mark.parametrize("name", ["owner", "callbacks", "dial"])
def test_a_call_that_fails(richamster: RichamsterSandbox, name: str) -> None:
    """From the start to the first event that is told."""
    for failing in failings(name):
        told = threading.Event()
        client = xchws.Richamster(url=richamster.url, backoff=QUICK, open_timeout=0.5)
        client.on(xchws.Event, lambda event: None)
        client.on_ticker(lambda ticker, told=told: told.set())
        client.subscribe_ticker("BTC/UAH")
        stopped = client.expect(xchws.Stopped)
        with traced(failing):
            program = Program(client)
            until = clock.monotonic() + PATIENCE
            while not (told.is_set() or program.ended.wait(0.01)):
                assert clock.monotonic() < until, f"it is silent after {failing.place}"
                richamster.ticker("BTC/UAH", 1)
        assert told.is_set() or "internal error" in str(program.error), failing.place
        program.check_end(failing.place)
        assert stopped.done, failing.place
        richamster.wait_until(lambda: not richamster.sessions)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("broken_off")
@pytest.mark.parametrize("ends", ["a fault", "stop"])
@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_a_call_that_fails_while_the_client_is_ending(richamster: RichamsterSandbox, callbacks: Any, ends: str) -> None:
    for failing in failings("owner", ""):
        client = xchws.Richamster(url=richamster.url, backoff=QUICK, callbacks=callbacks)
        subscription, stream = client.subscribe_ticker("BTC/UAH"), client.events(xchws.Order)
        client.start(5)
        subscription.wait(5)
        program, expected = Program(client), client.expect(xchws.Order)
        answer = client._answers[0] = Answer()
        end = client._session.stop if ends == "stop" else None

        def received(number: int, items: Any, now: float, failing: Any = failing, end: Any = end) -> Any:
            sys.settrace(failing)
            if end is None:
                raise ValueError("a fault of ours")
            return end(now)

        client._session.received = received  # type: ignore[method-assign]  # the fault
        richamster.ticker("BTC/UAH", 1)
        assert program.ended.wait(PATIENCE), failing.place
        program.check_end(failing.place)
        assert expected.done and answer.wait(0), failing.place
        assert program.error is None or "internal error" in str(program.error), failing.place
        assert program.error is not None or ends == "stop", failing.place
        richamster.wait_until(lambda: not richamster.sessions)
        with suppress(xchws.XchwsError):
            assert next(stream, None) is None, failing.place
        with pytest.raises(xchws.XchwsError):
            client.wait_ready(0)


# -------------------------------------------------------------------------------------------------- one step fails


def fail(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, times: int = 1) -> threading.Event:
    """Let the next calls of a function find no memory; set once it has been called."""
    genuine, called, left = getattr(target, name), threading.Event(), iter(range(times))

    def failing(*arguments: Any) -> Any:
        called.set()
        if next(left, None) is not None:
            raise MemoryError
        return genuine(*arguments)

    monkeypatch.setattr(target, name, failing)
    return called


def test_no_memory_on_the_owner_thread(
    indodax: IndodaxSandbox, make_indodax: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, stopped = Collector(), Collector()
    client = make_indodax(on_error=errors, on_stop=stopped)
    client.start(5)
    called = fail(monkeypatch, client._session, "received")
    expected, stream = client.expect(xchws.Order), client.events(xchws.Order, timeout=PATIENCE)
    trade_once(indodax)
    for wait in (lambda: expected.result(PATIENCE), lambda: next(stream), client.run_forever):
        with pytest.raises(xchws.XchwsError, match="internal error, the client has stopped: MemoryError"):
            wait()
    assert called.is_set() and client.stop() and client.status().state is xchws.State.STOPPED
    assert "internal error" in str(errors.wait(1)[0]) and "internal error" in str(stopped.wait(1)[0].error)
    indodax.wait_until(lambda: not indodax.sessions)


def test_no_memory_on_the_owner_thread_until_long_after_its_end(
    indodax: IndodaxSandbox, make_indodax: Make, monkeypatch: pytest.MonkeyPatch, broken_off: None
) -> None:
    client = make_indodax()
    client.start(5)
    expected = client.expect(xchws.Order)
    for target, name in ((client._loop, "_finished"), (client._loop, "release"), (client, "_thread_lost")):
        fail(monkeypatch, target, name, times=4)
    fail(monkeypatch, client._session, "received")
    trade_once(indodax)
    with pytest.raises(xchws.XchwsError, match="internal error, the client has stopped: its owner thread has ended"):
        expected.result(PATIENCE)
    assert client.stop() and client.status().state is xchws.State.STOPPED
    indodax.wait_until(lambda: not indodax.sessions)


@pytest.mark.parametrize("step", ["_is_through", "_empty_hand"])
def test_no_memory_on_the_callbacks_thread(
    indodax: IndodaxSandbox, make_indodax: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    orders = Collector()
    client = make_indodax(on_order=orders)
    client.start(5)
    trade_once(indodax)
    orders.wait(4)
    called = fail(monkeypatch, client._dispatcher, step)
    trade_once(indodax)
    orders.wait(8)
    trade_once(indodax)
    told = [(order.id, order.exchange_status) for order in orders.wait(12)]
    assert told == [(event["order"]["orderId"], event["order"]["status"]) for event in indodax.published]
    assert called.is_set() and indodax.opened == 1 and client.status().threads_alive


def test_an_event_whose_delivery_failed_is_not_delivered_twice(
    indodax: IndodaxSandbox, make_indodax: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = Collector()
    client = make_indodax(on_order=orders)
    client.start(5)
    genuine = client._dispatcher._deliver

    def deliver(event: xchws.Event) -> bool:
        genuine(event)
        if isinstance(event, xchws.Order) and len(orders.given) == 1:
            fail(monkeypatch, client._dispatcher, "_tell_fault")
            raise MemoryError
        return True

    monkeypatch.setattr(client._dispatcher, "_deliver", deliver)
    trade_once(indodax)
    assert [order.exchange_status for order in orders.wait(4)] == ["NEW", "FILL", "FILL", "DONE"]


class Unlucky(Latch[bool]):
    """A latch that cannot be given the first time."""

    lucky = False

    def give(self, value: bool) -> bool:
        if not self.lucky:
            self.lucky = True
            raise MemoryError
        return super().give(value)


def test_a_callbacks_thread_that_ends_ends_the_client(
    indodax: IndodaxSandbox, make_indodax: Make, monkeypatch: pytest.MonkeyPatch, broken_off: None
) -> None:
    client = make_indodax(on_state=print)
    monkeypatch.setattr(client._dispatcher.strand, "_begins", Unlucky(client._bell))
    with pytest.raises(xchws.XchwsError, match="its callbacks thread has ended"):
        client.start(5)
    assert client.stop() and client.status().state is xchws.State.STOPPED
    assert client.status().undelivered > 0, "what nobody could be told is counted"


def test_an_owner_thread_that_does_not_begin_ends_the_client(
    make_indodax: Make, monkeypatch: pytest.MonkeyPatch, broken_off: None
) -> None:
    client = make_indodax()
    expected = client.expect(xchws.Order)
    monkeypatch.setattr(client._owner, "_begins", Unlucky(client._bell))
    with pytest.raises(xchws.XchwsError, match="its owner thread has ended"):
        client.start(5)
    assert expected.done and client.stop() and client.status().state is xchws.State.STOPPED


@pytest.mark.parametrize("steps", [["dial"], ["release"], ["dial", "text_of"], ["dial", "text_of", "release"]], ids=str)
def test_no_memory_on_a_dial_helper(
    indodax: IndodaxSandbox, make_indodax: Make, monkeypatch: pytest.MonkeyPatch, broken_off: None, steps: List[str]
) -> None:
    client = make_indodax()
    client.start(5)
    rooms: Dict[str, Any] = {"dial": client._loop._dialler, "text_of": loop, "release": CancelScope}
    called = [fail(monkeypatch, rooms[step], step) for step in steps]
    back = client.expect(xchws.Connected)
    indodax.drop()
    back.result(PATIENCE)
    assert all(one.is_set() for one in called)
    assert client._loop._helpers == {} and client.status().threads_alive


# ------------------------------------------------------------------------------------------- the end is told to everybody


@pytest.mark.parametrize("times", [1, 100])
def test_one_that_cannot_be_told_of_the_end_keeps_it_from_no_other(
    richamster: RichamsterSandbox, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    client = xchws.Richamster(url=richamster.url, backoff=QUICK)
    subscriptions = [client.subscribe_ticker(pair) for pair in ("BTC/UAH", "ETH/UAH")]
    client.start(5)
    for subscription in subscriptions:
        subscription.wait(5)
    watchers = [client.expect(xchws.Order), client.expect(xchws.Order)]
    answers = client._answers[0], client._answers[1] = Answer(), Answer()
    for target, name in ((watchers[0], "fail"), (subscriptions[0], "settle"), (answers[0], "give")):
        fail(monkeypatch, target, name, times)
    assert client.stop() and client.status().threads_alive
    told = [*(watcher.done for watcher in watchers), *(answer.wait(0) for answer in answers)]
    told += [subscription.state == "ended" for subscription in subscriptions]
    assert told == ([True] * 6 if times == 1 else [False, True] * 3)


# ---------------------------------------------------------------------------------------------- no thread can be started


REFUSALS = [RuntimeError("can't start new thread"), MemoryError("can't start new thread")]


def start_no(
    monkeypatch: pytest.MonkeyPatch, ending: str, times: int = 1, refusal: BaseException = REFUSALS[0]
) -> List[str]:
    """Let the system refuse the next threads whose name has this in it; the names of those that were refused."""
    genuine = threading.Thread.start
    refused: List[str] = []

    def start(thread: threading.Thread) -> None:
        if ending in thread.name and len(refused) < times:
            refused.append(thread.name)
            raise refusal
        genuine(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    return refused


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: type(refusal).__name__)
@pytest.mark.parametrize("which", ["owner", "callbacks"])
def test_no_thread_at_start(
    make_indodax: Make, monkeypatch: pytest.MonkeyPatch, which: str, refusal: BaseException
) -> None:
    client = make_indodax()
    expected = client.expect(xchws.Order)
    refused = start_no(monkeypatch, which, refusal=refusal)
    with pytest.raises(xchws.XchwsError, match="could not be started: can't start new thread"):
        client.start(5)
    waits: List[Callable[[], Any]] = [lambda: expected.result(0), lambda: client.wait_ready(0)]
    for wait in waits:
        with pytest.raises(xchws.XchwsError, match="could not be started"):
            wait()
    assert len(refused) == 1 and client.status().state is xchws.State.STOPPED and client.stop()


def test_no_thread_for_the_dial_of_a_reconnect(
    indodax: IndodaxSandbox, make_indodax: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_indodax()
    client.start(5)
    refused = start_no(monkeypatch, "dial", times=3)
    down, back = client.events(xchws.Disconnected, timeout=PATIENCE), client.expect(xchws.Connected)
    indodax.drop()
    errors = [next(down).error for _ in range(4)]
    assert isinstance(errors[0], xchws.ConnectionLost)
    assert all(isinstance(error, xchws.OpenFailed) and "can't start new thread" in str(error) for error in errors[1:])
    back.result(PATIENCE)
    assert len(refused) == 3 and client._loop._helpers == {} and client.status().threads_alive


def test_no_thread_for_the_refresh_of_a_token(make_indodax: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with IndodaxSandbox(ttl=2) as exchange:
        client = make_indodax(url=exchange.url, rest_url=exchange.rest_url)
        client.start(5)
        refused = start_no(monkeypatch, "job")
        failed, order = client.expect(xchws.Failure), client.expect(xchws.Order)
        error = failed.result(PATIENCE).error
        assert isinstance(error, xchws.OpenFailed) and "can't start new thread" in str(error)
        assert client.status().state is xchws.State.READY and client.status().threads_alive
        exchange.place("btcidr", "BUY", "1", "1")
        order.result(PATIENCE)
        assert len(refused) == 1 and exchange.opened == 1 and client._loop._helpers == {}
