"""Real forking servers: a client started before the fork is dead in the workers, theirs live, and the parent's is untouched."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

import xchws
from tests.client.conftest import QUICK
from tests.client.test_stopping import ROOT
from xchws.sandbox import RichamsterSandbox

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")

WAIT = 60.0  # seconds at most, for a whole server
PAIR = "BTC/UAH"


@pytest.fixture
def exchange() -> Iterator[RichamsterSandbox]:
    with RichamsterSandbox(seed=1) as sandbox:
        yield sandbox


def environment(exchange: RichamsterSandbox, **more: str) -> Dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "XCHWS_TEST_URL": exchange.url, **more}


def lives(exchange: RichamsterSandbox, number: int) -> None:
    """A connection answers pings, and its ticker is subscribed."""
    (session,) = (one for one in exchange.sessions if one.number == number)
    mark = f"are you there {len(exchange.received)}"
    session.send_frame(9, mark.encode())
    exchange.wait_until(
        lambda: any((one.kind, one.session, one.text) == ("pong", number, mark) for one in exchange.received), WAIT
    )


def dead(seen: Dict[str, Any]) -> None:
    """What was started before the fork says what to do."""
    assert sorted(seen["said"]) == ["start", "status", "subscribe"]
    assert all("after the fork" in text for text in seen["said"].values()), seen


def in_a_child(client: Any, url: str, answers: Any) -> None:
    """The work of a child of multiprocessing."""
    said: List[str] = []
    if client is not None:
        for call in (client.status, lambda: client.subscribe_ticker(PAIR), lambda: client.wait_ready(1)):
            try:
                call()
            except xchws.StateError as error:
                said.append(str(error))
    with xchws.Richamster(url=url) as own:
        own.wait_ready(20)
        ticker = own.expect(xchws.Ticker)
        own.subscribe_ticker(PAIR).wait(20)
        answers.put("subscribed")
        answers.put((said, str(ticker.result(20).last)))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(exchange: RichamsterSandbox, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    client = xchws.Richamster(url=exchange.url, backoff=QUICK)
    client.start(20)
    client.subscribe_ticker(PAIR).wait(20)
    answers = context.Queue()
    # Only a fork takes the parent's client along; with the others a child starts without it.
    child = context.Process(target=in_a_child, args=(client if method == "fork" else None, exchange.url, answers))
    child.start()
    assert answers.get(timeout=WAIT) == "subscribed"
    heard = client.expect(xchws.Ticker)
    exchange.ticker(PAIR, "123")
    said, last = answers.get(timeout=WAIT)
    child.join(WAIT)
    assert child.exitcode == 0 and last == "123"
    assert len(said) == (3 if method == "fork" else 0) and all("after the fork" in text for text in said)
    assert str(heard.result(20).last) == "123"
    lives(exchange, 1)
    assert client.status().reconnects == 0 and client.stop()
    answers.close()
    answers.join_thread()
    child.close()
    assert exchange.opened == 2 and exchange.complaints == []


def ended(server: subprocess.Popen[str]) -> str:
    """Ask the server to end; what it has said."""
    server.send_signal(signal.SIGTERM)
    try:
        out, _ = server.communicate(timeout=WAIT)
    finally:
        server.kill()
    return out


def test_celery_prefork(exchange: RichamsterSandbox, tmp_path: Path) -> None:
    for folder in ("queue", "results"):
        (tmp_path / folder).mkdir()
    names = {"XCHWS_TEST_FOLDER": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "tests.forks.workers.celery_app",
        "worker",
        "-P",
        "prefork",
        "-c",
        "2",
    ]
    server = subprocess.Popen(
        command,
        env=environment(exchange, **names),
        cwd=str(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        exchange.wait_until(lambda: len(exchange.subscribers("ticker", PAIR)) == 3, WAIT)
        script = (
            "import json, sys\n"
            "from tests.forks.workers import celery_app\n"
            "print(json.dumps(celery_app.seen.delay().get(timeout=60)), flush=True)\n"
            "task = celery_app.heard.delay()\n"
            "print('asked', flush=True)\n"
            "print(task.get(timeout=60), flush=True)\n"
        )
        asking = subprocess.Popen(
            [sys.executable, "-c", script],
            env=environment(exchange, **names),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert asking.stdout is not None
        seen = json.loads(asking.stdout.readline())
        dead(seen)
        assert seen["state"] == "READY" and seen["alive"] and seen["pid"] != server.pid
        assert asking.stdout.readline() == "asked\n"
        exchange.run(50)  # the worker may take its time to take the task
        assert asking.stdout.readline().strip()
        exchange.pause()
        assert asking.wait(WAIT) == 0
        asking.stdout.close()
        lives(exchange, 1)
        assert exchange.opened == 3 and len(exchange.sessions) == 3
    finally:
        said = ended(server)
    assert server.returncode == 0, said
    exchange.wait_until(lambda: not exchange.sessions, WAIT)
    assert "Traceback" not in said and exchange.complaints == []


def test_gunicorn_with_preload(exchange: RichamsterSandbox, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "python:tests.forks.workers.wsgi"],
        env=environment(exchange),
        cwd=str(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        host, port = json.loads(server.stdout.readline())
        exchange.wait_until(lambda: len(exchange.subscribers("ticker", PAIR)) == 3, WAIT)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{host}:{port}/seen", timeout=WAIT) as answer:
            seen = json.loads(answer.read())
        dead(seen)
        assert seen["state"] == "READY" and seen["alive"] and seen["pid"] != server.pid
        exchange.run(50)
        with opener.open(f"http://{host}:{port}/heard", timeout=WAIT) as answer:
            assert answer.read()
        exchange.pause()
        os.kill(seen["pid"], signal.SIGKILL)  # a worker that dies hard, and another one takes its place
        exchange.wait_until(lambda: exchange.opened == 4 and len(exchange.subscribers("ticker", PAIR)) == 3, WAIT)
        lives(exchange, 1)
    finally:
        server.send_signal(signal.SIGTERM)
        out, said = server.communicate(timeout=WAIT)
    assert server.returncode == 0, said
    exchange.wait_until(lambda: not exchange.sessions, WAIT)
    assert "Traceback" not in said and exchange.complaints == []
