"""The end of the program without stop(): clean, at once, without a word, whatever the clients are at; what waited is counted."""

from __future__ import annotations

import socket
import subprocess
from typing import Any, Iterator

import pytest

from tests.client.test_stopping import START, arguments, run
from xchws import clock
from xchws.sandbox import FinerySandbox, IndodaxSandbox, RichamsterSandbox

AT_ONCE = 4.0
"""Seconds from the program's last line to its end: it takes a tenth of them, and stop() by itself would wait for 5."""


@pytest.fixture
def mute_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def left(program: subprocess.Popen[str]) -> str:
    """Wait for the end, which must come at once; what was written to stderr."""
    begun = clock.monotonic()
    _, error = program.communicate(timeout=30)
    assert clock.monotonic() - begun < AT_ONCE
    return error


EVERYTHING = """
import sys, threading, xchws
indodax, richamster, finery, mute, way = eval(sys.argv[1])
key, secret, url, rest_url = indodax
never = dict(open_timeout=600, backoff=xchws.Backoff(initial=600, maximum=600))

new = xchws.Richamster(url=richamster)
clients = {
    "tls": xchws.Richamster(url=f"wss://127.0.0.1:{mute}/", **never),
    "handshake": xchws.Richamster(url=f"ws://127.0.0.1:{mute}/", **never),
    "rest": xchws.Indodax(key, secret, url=url, rest_url=f"http://127.0.0.1:{mute}", **never),
    "waiting": xchws.Richamster(url="ws://127.0.0.1:1/", **never),
}
for client in clients.values():
    client.start()

entered = threading.Semaphore(0)
def stuck(event):
    entered.release()
    threading.Event().wait()
    print("NEVER")

stuck_thread = xchws.Richamster(url=richamster, on_connect=stuck, callbacks="thread")
stuck_inline = xchws.Richamster(url=richamster, on_connect=stuck, callbacks="inline")
stuck_where = xchws.Richamster(url=richamster)
stuck_where.expect(xchws.Connected, where=stuck)
stuck_token = xchws.Richamster(lambda: stuck(None), url=richamster)
stuck_token.subscribe_user_orders("BTC/UAH")
ready = xchws.Indodax(key, secret, url=url, rest_url=rest_url)
ready.on(xchws.Event, lambda event: None)
asking = xchws.Finery(*finery[:2], url=finery[2])
for client in (stuck_thread, stuck_inline, stuck_where, stuck_token):
    client.start()
    entered.acquire()
ready.start(10)
asking.start(10)
ended = xchws.Richamster(url=richamster)
ended.start(10)
ended.stop()

def loop():
    for event in ready.events(xchws.Fill):
        print("NEVER")

for wait in (
    loop,
    lambda: ready.expect(xchws.Fill).result(None),
    lambda: clients["rest"].wait_ready(None),
    lambda: asking.request("instruments", timeout=None),
    ready.run_forever,
):
    threading.Thread(target=wait, daemon=True).start()
print("leaving", flush=True)
exec(way)
"""


@pytest.mark.parametrize(
    ("way", "code", "says"),
    [
        ("pass", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("raise LookupError('the reason')", 1, "LookupError: the reason\n"),
        ("threading.Thread(target=lambda: None).start(); sys.exit()", 0, ""),
    ],
    ids=["the end of main", "sys.exit", "an exception", "after another thread"],
)
def test_whatever_the_clients_are_at(mute_port: int, way: str, code: int, says: str) -> None:
    with IndodaxSandbox(seed=1) as indodax, RichamsterSandbox(seed=1) as richamster, FinerySandbox(seed=1) as finery:
        finery.ignore_next("instruments", 1000)
        places: Any = (
            arguments(indodax),
            richamster.url,
            (finery.key, finery.secret, finery.url),
            mute_port,
            way,
        )
        program = run(EVERYTHING, repr(places))
        assert program.stdout is not None
        while program.stdout.readline() != "leaving\n":
            assert program.poll() is None, program.communicate()
        error = left(program)
        assert program.returncode == code, error
        assert error.endswith(says) and error.count("Traceback") == bool(says) and (says or not error), error
        indodax.wait_until(lambda: not indodax.sessions)


AT_WORK = (
    START
    + """
import threading
begun = threading.Event()

@client.on_order
def work(order):
    print("begun", order.symbol)
    begun.set()
    threading.Event().wait(0.05)  # what it does takes its time
    print("done")

client.start(10)
print("ready", flush=True)
begun.wait()
"""
)


@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_a_callback_that_is_at_work_may_finish_and_none_begins(indodax: IndodaxSandbox, callbacks: str) -> None:
    program = run(AT_WORK.replace("url=url,", f"callbacks={callbacks!r}, url=url,"), *arguments(indodax))
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    with indodax.one_frame():
        indodax.place("btcidr", "BUY", "1", "1")
        indodax.place("ethidr", "BUY", "1", "1")
    out, error = program.communicate(timeout=30)
    assert (out, error, program.returncode) == ("begun btcidr\ndone\n", "", 0)


COUNTED = (
    START
    + """
import logging, threading
logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(levelname)s %(message)s")
held, go_on = threading.Event(), threading.Event()

@client.on_order(symbol="btcidr")
def hold(order):
    held.set()
    go_on.wait()

last = client.expect(xchws.Order, symbol="lastidr")
client.on_order(lambda order: None)
client.start(10)
print("ready", flush=True)
last.result(10)
held.wait()
print("leaving", flush=True)
"""
)


def test_what_was_waiting_is_counted_and_said(indodax: IndodaxSandbox) -> None:
    program = run(COUNTED, *arguments(indodax))
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    for symbol in ("btcidr", "ethidr", "ltcidr", "lastidr"):
        indodax.place(symbol, "BUY", "1", "1")
    out, error = program.communicate(timeout=30)
    said = "WARNING indodax: the program ended: 4 events were not delivered\n"
    assert (out, error, program.returncode) == ("leaving\n" + said, "", 0)


AFTER = (
    """
import atexit, sys
late = []
atexit.register(lambda: print([client.status().state, client.status().threads_alive, client.stop(1)]))
"""
    + START
    + """
atexit.register(lambda: print("early", client.status().state, flush=True))
client.start(10)
print("leaving", flush=True)
"""
)


def test_other_functions_at_exit_may_use_the_client(indodax: IndodaxSandbox) -> None:
    """Those that were registered after the import of xchws run before ours, and find all as it was; the others after it."""
    program = run(AFTER, *arguments(indodax))
    out, error = program.communicate(timeout=30)
    said = "leaving\nearly READY\n[<State.STOPPED: 'STOPPED'>, True, True]\n"
    assert (out, error, program.returncode) == (said, "", 0)
    indodax.wait_until(lambda: not indodax.sessions)


TWO = (
    START
    + """
import logging
logging.basicConfig(format="%(message)s", level=logging.CRITICAL)
def fail():
    raise ValueError("no end")
other = xchws.Indodax(key, secret, url=url, rest_url=rest_url)
for each in (client, other):
    each.start(10)
{fails}._let_go = fail
print("ready", flush=True)
sys.stdin.read()
"""
)


@pytest.mark.parametrize("fails", ["client", "other"])
def test_one_that_cannot_be_let_go_of_keeps_no_other(indodax: IndodaxSandbox, fails: str) -> None:
    program = run(TWO.format(fails=fails), *arguments(indodax), stdin=-1)
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    sessions = indodax.sessions
    out, error = program.communicate(timeout=30)
    assert (out, program.returncode) == ("", 0)
    assert error.startswith("a client could not be let go of at the end of the program\n")
    assert error.endswith("ValueError: no end\n")
    indodax.wait_until(lambda: not indodax.sessions)
    assert [session.close_code for session in sessions].count(1000) == 1


def test_the_exchange_hears_a_goodbye(indodax: IndodaxSandbox) -> None:
    program = run(
        START + "client.start(10); print('ready', flush=True); sys.stdin.read()", *arguments(indodax), stdin=-1
    )
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    session = indodax.wait_for_session()
    program.communicate(timeout=30)
    indodax.wait_until(lambda: not indodax.sessions)
    assert session.close_code == 1000
