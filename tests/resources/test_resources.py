"""Threads, file descriptors and memory are given back; a hundred clients live in one process.

The long run, 1,000 cycles of each kind for every client, is `python -m tests.resources`, and part of `make soak`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import List

import pytest

import xchws
from tests.resources.holdings import Growth, growth
from tests.rigs import QUICK
from xchws.sandbox import RichamsterSandbox

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="what a process holds is read from /proc")
def test_what_is_taken_is_given_back() -> None:
    command = [sys.executable, "-m", "tests.resources", "richamster", "--cycles", "200", "--warm-up", "100"]
    measured = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert measured.returncode == 0, measured.stdout + measured.stderr
    crowd, restarts, reconnects = measured.stdout.splitlines()
    assert "each of 100: 2.00 threads, 4.00 descriptors" in crowd
    assert "start and stop    200 cycles" in restarts and "reconnect         200 cycles" in reconnects


def test_what_is_left_behind_is_said() -> None:
    nothing = Growth(cycles=100, seconds=1.0, threads=0, descriptors=0, blocks=0.4, resident=1000.0)
    assert nothing.misses == ""
    every = Growth(cycles=100, seconds=1.0, threads=1, descriptors=2, blocks=1.0, resident=2000.0)
    assert every.misses == "1 threads, 2 descriptors, 1.00 blocks per cycle, 2000 bytes per cycle"


def test_what_only_the_first_rounds_leave_behind_is_no_leak_and_what_every_one_does_is() -> None:
    kept: List[object] = []
    rounds = [0]

    def leaks_at_first() -> None:
        rounds[0] += 1
        if rounds[0] <= 2_000:
            kept.append(object())

    assert growth(leaks_at_first, cycles=1_000, warm_up=0).misses == "" and rounds == [3_000]
    leaking = growth(lambda: kept.append(object()), cycles=1_000, warm_up=0)
    assert leaking.misses.startswith("1.0") and leaking.blocks >= 1
    ends: List[threading.Event] = []

    def starts_one() -> None:
        if not ends:
            ends.append(threading.Event())
            threading.Thread(target=ends[0].wait).start()

    one = growth(starts_one, cycles=1_000, warm_up=0)
    ends[0].set()
    assert one.misses.startswith("1 threads"), "one that is left by the first round is left"


def test_a_hundred_clients_in_one_process() -> None:
    pairs = [f"C{number}/UAH" for number in range(100)]
    before = threading.active_count()
    with RichamsterSandbox() as exchange:
        clients = [xchws.Richamster(url=exchange.url, backoff=QUICK) for _ in pairs]
        heard: List[List[str]] = [[] for _ in pairs]
        try:
            for client, pair, told in zip(clients, pairs, heard):
                client.on_ticker(lambda ticker, told=told: told.append(ticker.symbol))
                client.start()
                client.subscribe_ticker(pair)
            for client, pair in zip(clients, pairs):
                client.wait_ready(20)
                client.subscribe_ticker(pair).wait(20)
            ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("xchws")]
            lasting = [name for name in ours if not name.endswith("dial")]
            assert len(lasting) == 200 and lasting.count("xchws richamster owner") == 100
            arrivals = [client.expect(xchws.Ticker) for client in clients]
            for pair in pairs:
                exchange.ticker(pair, 1)
            for arrival in arrivals:
                arrival.result(20)
        finally:
            ended = [client.stop(20) for client in clients]
    assert all(ended)
    assert heard == [[pair] for pair in pairs], "each has its own event, and nobody else's"
    assert threading.active_count() == before
