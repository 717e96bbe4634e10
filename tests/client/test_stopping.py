"""stop(): always, from everywhere, in time; and what happens at the end of the process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

import xchws
from xchws.sandbox import FaultProxy, IndodaxSandbox

Make = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that accepts connections (the kernel does) and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def owners() -> List[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.endswith(("owner", "callbacks"))]


def test_stop_when_ready_says_goodbye(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    session = indodax.wait_for_session()
    assert client.stop()
    assert owners() == []
    indodax.wait_until(lambda: not indodax.sessions)
    assert session.close_code == 1000
    assert client.stop(), "once more does nothing"


def test_stop_before_start(make_indodax: Make) -> None:
    client = make_indodax()
    assert client.stop()
    with pytest.raises(xchws.StateError, match="cannot be started again"):
        client.start()
    with pytest.raises(xchws.StateError):
        client.run_forever()


def test_started_twice(make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    with pytest.raises(xchws.StateError, match="is started"):
        client.start()
    client.stop()
    with pytest.raises(xchws.StateError, match="make a new one"):
        client.start()


@pytest.mark.parametrize("where", ["rest", "handshake", "tls", "backoff", "connect reply", "mute peer"])
def test_stop_in_every_state(indodax: IndodaxSandbox, make_indodax: Make, mute_port: int, where: str) -> None:
    entered = threading.Event()
    options: Any = {
        "rest": {"rest_url": f"http://127.0.0.1:{mute_port}"},
        "handshake": {"url": f"ws://127.0.0.1:{mute_port}/ws/"},
        "tls": {"url": f"wss://127.0.0.1:{mute_port}/ws/"},
        "backoff": {"backoff": xchws.Backoff(initial=600, maximum=600)},
    }.get(where, {})
    client = make_indodax(**options, on_disconnect=lambda event: entered.set())
    if where == "backoff":
        indodax.refuse_rest(500)
    if where == "connect reply":
        indodax.ignore_next("connect")
    if where == "mute peer":
        client.start(5)
        indodax.stall()
    else:
        client.start()
        if where == "backoff":
            assert entered.wait(5)
        elif where in ("connect reply", "handshake", "tls"):
            indodax.wait_until(lambda: len(indodax.rest_requests) >= 1)
    ended = threading.Event()

    def stop() -> None:
        assert client.stop(5)
        ended.set()

    thread = threading.Thread(target=stop)
    thread.start()
    assert ended.wait(6), "stop(5) must end within its timeout and a second"
    thread.join()
    assert owners() == []
    assert client.status().state is xchws.State.STOPPED
    indodax.resume()


def test_stop_against_a_frozen_network(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    port = int(indodax.url.split(":")[2].split("/")[0])
    with FaultProxy("127.0.0.1", port) as proxy:
        client = make_indodax(url=proxy.url(indodax.url))
        client.start(5)
        proxy.freeze()
        assert client.stop(3)
        assert owners() == []


def test_stop_from_a_callback(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    said: List[Any] = []
    stopped = threading.Event()
    client: xchws.Indodax = make_indodax(on_stop=lambda event: stopped.set())

    @client.on_order
    def enough(order: xchws.Order) -> None:
        said.append(client.stop())

    client.start(5)
    indodax.place("btcidr", "SELL", "900", "1")
    assert stopped.wait(5)
    client.stop()
    assert said == [True] and owners() == []


def test_stop_from_an_inline_callback(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    said: List[Any] = []
    stopped = threading.Event()
    client = make_indodax(callbacks="inline", on_stop=lambda event: stopped.set())
    client.on_order(lambda order: said.append(client.stop()))
    client.start(5)
    indodax.place("btcidr", "SELL", "900", "1")
    assert stopped.wait(5)
    assert client.stop() and said == [False]


def test_stop_from_many_threads_at_once(make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    together = threading.Barrier(4)
    said: List[bool] = []

    def stop() -> None:
        together.wait(5)
        said.append(client.stop())

    threads = [threading.Thread(target=stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [True] * 4


def test_what_waits_is_delivered(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    seen: List[Any] = []
    entered, go_on = threading.Event(), threading.Event()
    client: xchws.Indodax = make_indodax()

    @client.on_order
    def slow(order: xchws.Order) -> None:
        entered.set()
        assert go_on.wait(10)
        seen.append(int(order.quantity or 0))

    client.start(5)
    last = client.expect(xchws.Order, quantity=20)
    for number in range(20):
        indodax.place("btcidr", "SELL", "900", str(number + 1))
    last.result(5)
    assert entered.wait(5)
    threading.Timer(0.05, go_on.set).start()
    assert client.stop(5)
    assert seen == list(range(1, 21)) and client.status().undelivered == 0


def test_what_cannot_be_delivered_is_counted_and_said(
    indodax: IndodaxSandbox, make_indodax: Make, caplog: pytest.LogCaptureFixture
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    client: xchws.Indodax = make_indodax()

    @client.on_order
    def stuck(order: xchws.Order) -> None:
        entered.set()
        assert go_on.wait(30)

    client.start(5)
    last = client.expect(xchws.Order, quantity=5)
    for number in range(5):
        indodax.place("btcidr", "SELL", "900", str(number + 1))
    last.result(5)
    assert entered.wait(5)
    assert client.stop(0.2) is False
    go_on.set()
    assert client.status().undelivered >= 5
    assert "were not delivered" in caplog.text
    assert client.stop()


def test_with_and_run_forever(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    with make_indodax() as client:
        client.wait_ready(5)
    assert client.status().state is xchws.State.STOPPED
    forever: xchws.Indodax = make_indodax(on_connect=lambda event: threading.Thread(target=forever.stop).start())
    forever.run_forever()
    assert forever.status().state is xchws.State.STOPPED and owners() == []


def run(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    # Unbuffered, print() writes in pieces, and two processes' lines would mix.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


START = """
import sys, xchws
key, secret, url, rest_url = sys.argv[1:5]
client = xchws.Indodax(key, secret, url=url, rest_url=rest_url)
"""


def arguments(indodax: IndodaxSandbox) -> List[str]:
    return [indodax.key, indodax.secret, indodax.url, indodax.rest_url]


def test_the_end_of_the_program_without_stop_is_clean(indodax: IndodaxSandbox) -> None:
    program = run(
        START + "client.on(xchws.Event, lambda event: None); client.start(10); print('ready')", *arguments(indodax)
    )
    out, error = program.communicate(timeout=30)
    assert (out, error, program.returncode) == ("ready\n", "", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_run_forever(indodax: IndodaxSandbox, number: int) -> None:
    code = START + (
        "client.on_connect(lambda event: print('ready', flush=True))\n"
        "client.run_forever(handle_signals=True)\n"
        "print(client.status().state)"
    )
    program = run(code, *arguments(indodax))
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    program.send_signal(number)
    out, error = program.communicate(timeout=30)
    assert (out, error, program.returncode) == ("STOPPED\n", "", 0)


def test_stop_from_a_signal_handler(indodax: IndodaxSandbox) -> None:
    code = START + (
        "import signal\n"
        "signal.signal(signal.SIGUSR1, lambda number, frame: print('stopped', client.stop()))\n"
        "client.on_connect(lambda event: print('ready', flush=True))\n"
        "client.run_forever()\n"
    )
    program = run(code, *arguments(indodax))
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGUSR1)
    out, error = program.communicate(timeout=30)
    assert (out, error, program.returncode) == ("stopped True\n", "", 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_is_dead_and_says_so(indodax: IndodaxSandbox) -> None:
    code = START + (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "client.start(10)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    for call in (client.status, client.start, lambda: client.wait_ready(1), lambda: client.on_order(print),\n"
        "                 lambda: client.expect(xchws.Order), lambda: client.events(xchws.Order)):\n"
        "        try: call()\n"
        "        except xchws.StateError as error: print('after the fork' in str(error), end=' ', flush=True)\n"
        "    print(client.stop(), flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "order = client.expect(xchws.Order)\n"
        "print('forked', flush=True)\n"
        "print(order.result(10).symbol, client.status().reconnects, client.stop())\n"
    )
    program = run(code, *arguments(indodax))
    assert program.stdout is not None
    assert program.stdout.readline() == "True True True True True True True\n"
    assert program.stdout.readline() == "forked\n"
    indodax.place("btcidr", "SELL", "900", "1")
    out, error = program.communicate(timeout=30)
    assert (out, error, program.returncode) == ("btcidr 0 True\n", "", 0)
    assert indodax.opened == 1
