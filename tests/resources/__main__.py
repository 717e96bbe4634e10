"""`python -m tests.resources [CLIENT …] [--cycles N]`: does a client give back what it takes?

For each client: so many times made, started, served and stopped; so many times cut and served again; and what each of a
hundred that live at the same time takes. The exit status is 1 if anything is left behind.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from typing import Any, Callable, Dict

import xchws
from tests.resources.exchange import Exchange, rig_of
from tests.resources.holdings import Growth, growth, holdings
from tests.rigs import RIGS

QUICK = xchws.Backoff(initial=0.0005, maximum=0.001)
TIMEOUT = 10.0  # seconds for each step
CROWD = 100
MEMORIES = 6000  # events after which all that remembers the last so many of them is full


def start_and_stop(exchange: Exchange) -> Callable[[], None]:
    """A cycle: a client is made, started, served and stopped."""

    def cycle() -> None:
        client = exchange.client(backoff=QUICK)
        client.start()
        exchange.wait_served(client, TIMEOUT)
        assert client.stop(TIMEOUT), "the client has not ended"

    return cycle


def reconnect(exchange: Exchange, client: Any) -> Callable[[], None]:
    """A cycle: the connection is cut, the client is served again, and an event arrives."""
    numbers = itertools.count(MEMORIES + 1)

    def arrives(first: int, last: int) -> None:
        arrival = client.expect(xchws.Data, where=lambda event: exchange.rig.number(event) == last)
        exchange.tell(first, last)
        arrival.result(TIMEOUT)

    def cycle() -> None:
        connected = client.expect(xchws.Connected)
        exchange.cut()
        connected.result(TIMEOUT)
        exchange.wait_served(client, TIMEOUT)
        number = next(numbers)
        arrives(number, number)

    arrives(1, MEMORIES)
    return cycle


def crowd(exchange: Exchange) -> Dict[str, float]:
    """What each of a hundred clients takes while all are served: threads, descriptors, resident KiB."""
    before = holdings()
    clients = [exchange.client(backoff=QUICK) for _ in range(CROWD)]
    try:
        for client in clients:
            client.start()
        for client in clients:
            exchange.wait_served(client, TIMEOUT)
        during = holdings()
    finally:
        ended = [client.stop(TIMEOUT) for client in clients]
    assert all(ended), "a client has not ended"
    return {
        "threads": (during.threads - before.threads) / CROWD,
        "descriptors": (during.descriptors - before.descriptors) / CROWD,
        "KiB": (during.resident - before.resident) / CROWD / 1024,
    }


def measure(name: str, cycles: int, warm_up: int) -> bool:
    """Measure one client and print the figures; whether all is given back."""
    rig = rig_of(name)
    with Exchange(rig) as exchange:
        taken = crowd(exchange)
        restarts = growth(start_and_stop(exchange), cycles, warm_up)
    with Exchange(rig) as exchange:  # a fresh one: Kyan's keeps what so many clients might want to recover
        client = exchange.client(backoff=QUICK)
        with client:
            exchange.wait_served(client, TIMEOUT)
            reconnects = growth(reconnect(exchange, client), cycles, warm_up)
    print(f"{name:14} each of {CROWD}: " + ", ".join(f"{value:.2f} {what}" for what, value in taken.items()))
    for kind, grown in (("start and stop", restarts), ("reconnect", reconnects)):
        print(f"{name:14} {kind:14} {_row(grown)}", flush=True)
    return not restarts.misses and not reconnects.misses


def _row(grown: Growth) -> str:
    return (
        f"{grown.cycles:6} cycles {grown.seconds:7.1f} s {grown.threads:+5} threads {grown.descriptors:+5} descriptors "
        f"{grown.blocks:+8.2f} blocks/cycle {grown.resident:+8.0f} bytes/cycle"
        + (f"  TOO MUCH: {grown.misses}" if grown.misses else "")
    )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.resources", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="(default: all)")
    parser.add_argument("--cycles", type=int, default=1000, help="of each kind (default: 1000)")
    parser.add_argument("--warm-up", type=int, default=200, help="cycles before the measured ones (default: 200)")
    arguments = parser.parse_args()
    if len(arguments.clients) == 1:
        return 0 if measure(arguments.clients[0], arguments.cycles, arguments.warm_up) else 1
    # Each in a process of its own: what one has left to the allocator would serve the next. And all, whatever the first leave.
    options = ["--cycles", str(arguments.cycles), "--warm-up", str(arguments.warm_up)]
    names = arguments.clients or [rig.name for rig in RIGS]
    programs = [[sys.executable, "-m", "tests.resources", name, *options] for name in names]
    return max([subprocess.run(program).returncode for program in programs])


if __name__ == "__main__":
    sys.exit(main())
