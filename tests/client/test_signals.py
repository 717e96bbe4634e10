"""Real signals in every wait of the API: Ctrl-C comes out of it, and a handler that calls stop() ends it; both at once.

What a signal may find before the single steps of a call: test_any_moment.py.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple, Type

import pytest

import xchws
from tests.client.conftest import QUICK
from tests.client.test_stopping import START, arguments, run
from xchws import clock
from xchws.runtime.bell import Bell
from xchws.sandbox import FaultProxy, FinerySandbox, IndodaxSandbox, KyanSandbox, RichamsterSandbox

AGES = 60.0
"""Seconds of each wait, if nothing ends it."""

AT_ONCE = 20.0
"""Seconds within which a signal must have ended it. It takes milliseconds, and half a second where another thread is given it."""

BTC = "BTC/UAH"

SENDERS: Dict[str, Callable[[int], object]] = {"to another thread": signal.raise_signal}
if sys.platform != "win32":  # there it would end the process
    SENDERS["to the process"] = lambda number: os.kill(os.getpid(), number)


class Signals:
    """Sends signals to this process while its main thread is in a wait of the client's."""

    def __init__(self, send: Callable[[int], object]) -> None:
        self._send = send
        self._main = threading.main_thread().ident or 0

    def _waits(self) -> bool:
        frame = sys._current_frames().get(self._main)
        return frame is not None and frame.f_code is Bell.wait_for.__code__

    @contextmanager
    def coming(self, number: int, when: Callable[[], object] = lambda: True) -> Iterator[None]:
        """Within this one comes, in the first wait in which `when` is true; then all that is done within is over soon."""
        over, sent = threading.Event(), threading.Event()

        def watch() -> None:
            while not (self._waits() and when()):
                if over.wait(0.001):  # nothing tells that a thread has come to its wait: it must be looked at
                    return
            sent.set()
            self._send(number)

        thread = threading.Thread(target=watch)
        thread.start()
        begun = clock.monotonic()
        try:
            yield
        finally:
            over.set()
            thread.join()
            assert sent.is_set(), "the wait has ended by itself"
            assert clock.monotonic() - begun < AT_ONCE


@pytest.fixture(params=SENDERS)
def signals(request: pytest.FixtureRequest) -> Iterator[Signals]:
    """SIGINT does here what it does in a program."""
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Signals(SENDERS[request.param])
    signal.signal(signal.SIGINT, before)


@contextmanager
def sigterm(handler: Callable[[], object]) -> Iterator[None]:
    """Within this a program's own handler of SIGTERM is installed."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Wait(NamedTuple):
    """A wait that nothing ends.

    Attributes:
        call: waits.
        state: what the client is meanwhile.
        stopped: what comes out of it when the client is stopped.
        works: shows that the client works, once its exchange does.
    """

    client: Any
    call: Callable[[], Any]
    works: Callable[[], Any]
    state: xchws.State = xchws.State.READY
    stopped: Type[BaseException] = xchws.StateError


WAITS: Dict[str, Callable[[ExitStack], Wait]] = {}


def wait(name: str) -> Callable[[Callable[[ExitStack], Wait]], Callable[[ExitStack], Wait]]:
    def remember(make: Callable[[ExitStack], Wait]) -> Callable[[ExitStack], Wait]:
        WAITS[name] = make
        return make

    return remember


def told(exchange: RichamsterSandbox, client: xchws.Richamster) -> None:
    client.subscribe_ticker(BTC).wait(AT_ONCE)
    ticker = client.expect(xchws.Ticker)
    exchange.ticker(BTC, 7)
    ticker.result(AT_ONCE)


def ready(stack: ExitStack, **options: Any) -> Tuple[RichamsterSandbox, xchws.Richamster]:
    exchange = stack.enter_context(RichamsterSandbox(seed=1))
    client = xchws.Richamster(url=exchange.url, backoff=QUICK, **options)
    stack.callback(client.stop)
    client.start(AT_ONCE)
    return exchange, client


def connecting(stack: ExitStack) -> Tuple[xchws.Richamster, Callable[[], None]]:
    """A client of an exchange that does not answer, and what shows that it works when that does."""
    exchange = stack.enter_context(RichamsterSandbox(seed=1))
    proxy = stack.enter_context(FaultProxy("127.0.0.1", exchange.port))
    proxy.freeze()
    client = xchws.Richamster(url=proxy.url(exchange.url), backoff=QUICK, open_timeout=AGES)
    stack.callback(client.stop)

    def works() -> None:
        proxy.thaw()
        client.wait_ready(AT_ONCE)
        told(exchange, client)

    return client, works


@wait("start")
def starting(stack: ExitStack) -> Wait:
    client, works = connecting(stack)
    return Wait(client, lambda: client.start(AGES), works, xchws.State.CONNECTING)


@wait("wait_ready")
def waiting_for_ready(stack: ExitStack) -> Wait:
    client, works = connecting(stack)
    client.start()
    return Wait(client, lambda: client.wait_ready(AGES), works, xchws.State.CONNECTING)


@wait("Expectation.result")
def expecting(stack: ExitStack) -> Wait:
    exchange, client = ready(stack)
    expected = client.expect(xchws.Ticker)

    def works() -> None:
        told(exchange, client)
        assert expected.result(AT_ONCE).last == 7, "it goes on"

    return Wait(client, lambda: expected.result(AGES), works)


@wait("iterating events()")
def iterating(stack: ExitStack) -> Wait:
    exchange, client = ready(stack)
    stream = client.events(xchws.Ticker, timeout=AGES)

    def works() -> None:
        told(exchange, client)
        assert next(stream).last == 7, "it goes on"

    return Wait(client, lambda: next(stream), works, stopped=StopIteration)


@wait("Subscription.wait")
def subscribing(stack: ExitStack) -> Wait:
    exchange, client = ready(stack)
    exchange.stall()
    subscription = client.subscribe_trades(BTC)

    def works() -> None:
        exchange.resume()
        subscription.wait(AT_ONCE)
        told(exchange, client)

    return Wait(client, lambda: subscription.wait(AGES), works)


@wait("a request to Finery")
def asking_finery(stack: ExitStack) -> Wait:
    exchange = stack.enter_context(FinerySandbox(seed=1))
    client = xchws.Finery(exchange.key, exchange.secret, url=exchange.url, backoff=QUICK)
    stack.callback(client.stop)
    client.start(AT_ONCE)
    exchange.stall()

    def works() -> None:
        exchange.resume()
        client.instruments(timeout=AT_ONCE)

    return Wait(client, lambda: client.instruments(timeout=AGES), works, stopped=xchws.ConnectionLost)


@wait("a request to Kyan")
def asking_kyan(stack: ExitStack) -> Wait:
    exchange = stack.enter_context(KyanSandbox(seed=1, position_interval=None))
    client = xchws.Kyan(exchange.key, url=exchange.url, backoff=QUICK)
    stack.callback(client.stop)
    client.start(AT_ONCE)
    exchange.stall()

    def works() -> None:
        exchange.resume()
        assert client.get_instruments(timeout=AT_ONCE)

    return Wait(client, lambda: client.get_instruments(timeout=AGES), works, stopped=xchws.ConnectionLost)


def ours() -> List[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("xchws ")]


def all_over(client: xchws.Client) -> None:
    assert client.stop(AT_ONCE)
    status = client.status()
    assert status.state is xchws.State.STOPPED and status.threads_alive and status.backlog == 0
    for thread in ours():
        thread.join(AT_ONCE)  # a helper that was opening a connection ends by itself
    assert ours() == []


@pytest.mark.parametrize("name", WAITS)
def test_ctrl_c_comes_out_of_the_wait_and_the_client_lives_on(name: str, signals: Signals) -> None:
    with ExitStack() as stack:
        wait = WAITS[name](stack)
        with pytest.raises(KeyboardInterrupt), signals.coming(signal.SIGINT):
            wait.call()
        status = wait.client.status()
        assert status.state is wait.state and status.threads_alive
        assert status.reconnects == 0 and status.last_error is None
        wait.works()
        assert wait.client.status().state is xchws.State.READY and wait.client.status().reconnects == 0
        all_over(wait.client)


@pytest.mark.parametrize("name", WAITS)
def test_a_handler_that_stops_ends_the_wait(name: str, signals: Signals) -> None:
    said: List[bool] = []
    with ExitStack() as stack:
        wait = WAITS[name](stack)
        stack.enter_context(sigterm(lambda: said.append(wait.client.stop(AT_ONCE))))
        with pytest.raises(wait.stopped) as ended, signals.coming(signal.SIGTERM):
            wait.call()
        assert ended.type is wait.stopped and said == [True]
        assert wait.client.status().state is xchws.State.STOPPED
        all_over(wait.client)


# ------------------------------------------------------------------------------------------------------------ in stop()


class Stuck:
    """A callback that does not return until it is let go."""

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __call__(self, event: xchws.Event) -> None:
        self.entered.set()
        assert self.go_on.wait(AGES)


def ready_and_stuck(stack: ExitStack) -> Tuple[xchws.Richamster, Stuck]:
    stuck = Stuck()
    _, client = ready(stack, on_connect=stuck)
    assert stuck.entered.wait(AT_ONCE)
    stack.callback(stuck.go_on.set)
    return client, stuck


def test_ctrl_c_in_a_stop_that_waits_for_a_mute_peer(signals: Signals) -> None:
    with ExitStack() as stack:
        exchange, client = ready(stack)
        exchange.stall()
        with pytest.raises(KeyboardInterrupt), signals.coming(signal.SIGINT):
            client.stop(AGES)
        all_over(client)


def test_a_handler_that_stops_in_a_stop_that_waits_for_a_mute_peer(signals: Signals) -> None:
    said: List[bool] = []
    with ExitStack() as stack:
        exchange, client = ready(stack)
        exchange.stall()
        stack.enter_context(sigterm(lambda: said.append(client.stop(0.01))))
        with signals.coming(signal.SIGTERM):
            said.append(client.stop(AGES))
        assert said == [True, True]
        all_over(client)


def is_stopped(client: xchws.Client) -> Callable[[], bool]:
    return lambda: client.status().state is xchws.State.STOPPED


def test_ctrl_c_in_a_stop_that_waits_for_a_callback(signals: Signals) -> None:
    """Its thread ends with the callback, and what waits behind it is delivered: nobody has given that up."""
    ends: List[xchws.Event] = []
    with ExitStack() as stack:
        client, stuck = ready_and_stuck(stack)
        client.on_stop(ends.append)
        with pytest.raises(KeyboardInterrupt), signals.coming(signal.SIGINT, is_stopped(client)):
            client.stop(AGES)
        status = client.status()
        assert status.state is xchws.State.STOPPED and status.backlog == 2 and status.undelivered == 0
        stuck.go_on.set()
        all_over(client)
        assert len(ends) == 1 and client.status().undelivered == 0


def test_a_handler_that_stops_in_a_stop_that_waits_for_a_callback(signals: Signals) -> None:
    """It gives up what waits. The stop() that it has interrupted has time enough to see the end of the callback, and does."""
    said: List[Any] = []
    with ExitStack() as stack:
        client, stuck = ready_and_stuck(stack)
        client.on_stop(said.append)

        def handle() -> None:
            said.append(client.stop(0.01))
            stuck.go_on.set()

        stack.enter_context(sigterm(handle))
        with signals.coming(signal.SIGTERM, is_stopped(client)):
            said.append(client.stop(AGES))
        assert said == [False, True]
        assert client.status().undelivered == 1 and client.status().backlog == 0
        all_over(client)


# --------------------------------------------------------------------------------------------------- in run_forever()


@pytest.mark.parametrize("handle_signals", [False, True])
@pytest.mark.parametrize("serves", [False, True], ids=["connecting", "ready"])
def test_ctrl_c_ends_run_forever(signals: Signals, serves: bool, handle_signals: bool) -> None:
    ends: List[Any] = []
    with ExitStack() as stack:
        client: Any = ready(stack)[1] if serves else connecting(stack)[0]
        client.on_stop(ends.append)
        with signals.coming(signal.SIGINT):
            client.run_forever(handle_signals=handle_signals)
        assert client.status().state is xchws.State.STOPPED
        assert [end.error for end in ends] == [None]
        all_over(client)


@pytest.mark.parametrize("serves", [False, True], ids=["connecting", "ready"])
def test_sigterm_ends_run_forever_where_it_was_asked_to(signals: Signals, serves: bool) -> None:
    """The program's own handler is not called, and is there again afterwards."""
    own: List[int] = []
    with ExitStack() as stack:
        client: Any = ready(stack)[1] if serves else connecting(stack)[0]
        stack.enter_context(sigterm(lambda: own.append(1)))
        with signals.coming(signal.SIGTERM):
            client.run_forever(handle_signals=True)
        assert client.status().state is xchws.State.STOPPED and own == []
        signal.raise_signal(signal.SIGTERM)
        assert own == [1]
        all_over(client)


def test_a_handler_that_stops_ends_run_forever(signals: Signals) -> None:
    said: List[bool] = []
    with ExitStack() as stack:
        client = ready(stack)[1]
        stack.enter_context(sigterm(lambda: said.append(client.stop(AT_ONCE))))
        with signals.coming(signal.SIGTERM):
            client.run_forever()
        assert said == [True]
        all_over(client)


def test_a_handler_that_raises_comes_out_of_run_forever(signals: Signals) -> None:
    """What Celery, gunicorn and many a program do with SIGTERM: the client is theirs to stop."""
    with ExitStack() as stack:
        exchange, client = ready(stack)
        stack.enter_context(sigterm(lambda: sys.exit(3)))
        with pytest.raises(SystemExit), signals.coming(signal.SIGTERM):
            client.run_forever()
        assert client.status().state is xchws.State.READY
        told(exchange, client)
        all_over(client)


def test_a_second_ctrl_c_breaks_off_the_end_of_run_forever(signals: Signals) -> None:
    """The first one waits for what the callbacks have in hand."""
    with ExitStack() as stack:
        client, stuck = ready_and_stuck(stack)
        client.on_stop(print)
        with pytest.raises(KeyboardInterrupt), signals.coming(signal.SIGINT):
            with signals.coming(signal.SIGINT, is_stopped(client)):
                client.run_forever()
        assert client.status().state is xchws.State.STOPPED
        stuck.go_on.set()
        all_over(client)


# ------------------------------------------------------------------------------------------------------- in a with block


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_with_block_leaves_it_and_the_client_is_stopped(signals: Signals, number: int) -> None:
    with RichamsterSandbox(seed=1) as exchange:
        client = xchws.Richamster(url=exchange.url)
        inside = threading.Event()
        raised: Any = KeyboardInterrupt if number == signal.SIGINT else xchws.StateError
        with sigterm(client.stop), pytest.raises(raised), signals.coming(number, inside.is_set), client:
            client.wait_ready(AT_ONCE)
            inside.set()
            client.expect(xchws.Ticker).result(AGES)
        all_over(client)


def test_ctrl_c_while_a_with_block_is_left(signals: Signals) -> None:
    """It comes out instead of what the block was left by, and that is its context."""
    with ExitStack() as stack:
        exchange = stack.enter_context(RichamsterSandbox(seed=1))
        stuck = Stuck()
        stack.callback(stuck.go_on.set)
        client = xchws.Richamster(url=exchange.url, on_connect=stuck)
        with pytest.raises(KeyboardInterrupt) as left, signals.coming(signal.SIGINT, is_stopped(client)):
            with client:
                assert stuck.entered.wait(AT_ONCE)
                raise LookupError
        assert isinstance(left.value.__context__, LookupError)
        stuck.go_on.set()
        all_over(client)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to a process there")
def test_a_program_that_ctrl_c_ends(indodax: IndodaxSandbox) -> None:
    """One traceback, of its own wait, and what a shell expects."""
    program = run(
        START
        + "with client:\n client.wait_ready(10); print('ready', flush=True); client.expect(xchws.Fill).result(None)",
        *arguments(indodax),
    )
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    out, error = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGINT and out == ""
    assert error.count("Traceback") == 1 and error.endswith("KeyboardInterrupt\n")
    indodax.wait_until(lambda: not indodax.sessions)
