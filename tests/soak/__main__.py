"""`python -m tests.soak [--minutes N] [--seed N] [CLIENT …]`: are the clients as hard to kill as they should be?

All clients at once, each on its simulated exchange, with random faults one after the other. What is printed at the end is
counted: the exchanges number what they send. The same seed gives the same faults in the same order; how many of them there is
time for, and where in the stream each strikes, differs. The exit status is 1 if a target was missed.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import List, Sequence

from tests.rigs import RIGS
from tests.soak.faults import kinds
from tests.soak.soaking import LATENESS, Outcome, soak
from tests.soak.stand import SILENCE, over_tls

LONG = 120.0  # seconds; a run that takes longer has time for faults that take some 10 s each


class Internal(logging.Handler):
    """Keeps what the library logs of its own faults."""

    def __init__(self) -> None:
        super().__init__(logging.CRITICAL)
        self.kept: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))


def main() -> int:
    """Run the command."""
    arguments = _parser().parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    seconds = arguments.minutes * 60.0 if arguments.seconds is None else arguments.seconds
    chosen = [rig for rig in RIGS if not arguments.clients or rig.name in arguments.clients]
    internal = Internal()
    escaped: List[str] = []
    threading.excepthook = lambda raised: escaped.append(f"{raised.thread}: {raised.exc_value!r}")
    logger = logging.getLogger("xchws")
    logger.propagate = False
    logger.addHandler(internal)
    if arguments.log:
        logger.addHandler(logging.FileHandler(arguments.log))
        logger.setLevel(logging.INFO)
    print(f"soak of {seconds:g} s, seed {seed}: {', '.join(rig.name for rig in chosen)}")
    print(f"over TLS: {', '.join(rig.name for rig in chosen if over_tls(rig, seed)) or 'none'}", flush=True)
    began = time.monotonic()

    def going_on(done: int) -> bool:
        return bool(done < arguments.faults if arguments.faults else time.monotonic() - began < seconds)

    log = (lambda text: print(f"{time.monotonic() - began:7.1f} {text}", flush=True)) if arguments.verbose else None
    with ThreadPoolExecutor(len(chosen)) as pool:
        slow = bool(arguments.faults) or seconds >= LONG
        running = [pool.submit(soak, rig, seed, slow, going_on, log) for rig in chosen]
        outcomes = [each.result() for each in running]
    report(outcomes)
    misses = [f"{outcome.rig}: {miss}" for outcome in outcomes for miss in outcome.misses]
    misses += [f"internal: {text}" for text in (*internal.kept, *escaped)]
    print("\n".join(misses) if misses else "no target was missed")
    print(" ".join(["again: python -m tests.soak --seed", str(seed), f"--seconds {seconds:g}", *arguments.clients]))
    return 1 if misses else 0


COLUMNS = (
    "faults", "reconnects", "sent", "received", "lost", "unreported", "ill-timed", "doubled", "out of order",
    "silence", "dead threads", "lost subs",
)  # fmt: skip


def report(outcomes: Sequence[Outcome]) -> None:
    """Print the tables."""
    rows = [(outcome.rig, _figures(outcome)) for outcome in outcomes]
    total = [sum(figures[column] for _, figures in rows) for column in range(len(COLUMNS))]
    silence = COLUMNS.index("silence")
    total[silence] = max(figures[silence] for _, figures in rows)
    print("client".ljust(16) + "".join(name.rjust(_width(name)) for name in COLUMNS))
    for name, figures in [*rows, ("in total", total)]:
        cells = [f"{value:.1f} s" if column == silence else f"{value:.0f}" for column, value in enumerate(figures)]
        print(name.ljust(16) + "".join(cell.rjust(_width(title)) for cell, title in zip(cells, COLUMNS)))
    print(
        f"silence: the longest without a byte while READY; noticed by {SILENCE:g} s, and a busy machine's {LATENESS:g} s"
    )
    for kind in kinds():
        counts = [outcome.faults[kind] for outcome in outcomes]
        if any(counts):
            print(f"  {kind:28}" + "".join(f"{count or '':>6}" for count in counts) + f"{sum(counts):>8}")


def _width(title: str) -> int:
    return max(8, len(title) + 2)


def _figures(outcome: Outcome) -> Sequence[float]:
    account = outcome.account
    return (
        sum(outcome.faults.values()), outcome.reconnects, account.sent, account.received, account.lost, account.unreported,
        account.ill_timed, account.doubled, account.late, outcome.silence, outcome.dead_threads, outcome.lost_subscriptions,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="(default: all)")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (default: 5)")
    parser.add_argument("--seconds", type=float, help="how long, in seconds")
    parser.add_argument("--faults", type=int, help="so many for each client instead, however long they take")
    parser.add_argument("--seed", type=int, help="makes the faults repeatable (default: a new one)")
    parser.add_argument("--verbose", action="store_true", help="tell of every fault")
    parser.add_argument("--log", help="a file for what the library logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
