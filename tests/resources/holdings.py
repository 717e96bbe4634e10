"""What the process holds, and by how much it grows from cycle to cycle.

Memory is counted twice. Blocks of the interpreter's allocator: one object that each cycle leaves behind is one block per
cycle, whatever the system makes of freed pages. The resident size: what lies beneath Python (TLS, sockets, threads' stacks).
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Callable, NamedTuple

SETTLING = 10.0  # seconds for the threads that are ending to end
ROUNDS = 6


class Holdings(NamedTuple):
    """What the process holds at one moment; `resident` in bytes."""

    threads: int
    descriptors: int
    blocks: int
    resident: int


class Growth(NamedTuple):
    """What has been added: in all (threads, descriptors), and per cycle of so many (blocks, resident bytes)."""

    cycles: int
    seconds: float
    threads: int
    descriptors: int
    blocks: float
    resident: float

    @property
    def misses(self) -> str:
        """What is more than it may be, in words; empty if nothing is."""
        found = [
            f"{count} {what}" for count, what in ((self.threads, "threads"), (self.descriptors, "descriptors")) if count
        ]
        # Not one object may stay of each cycle. Half of one is the noise of caches that are not full yet.
        if self.blocks > 0.5:
            found.append(f"{self.blocks:.2f} blocks per cycle")
        if self.resident > 1024:
            found.append(f"{self.resident:.0f} bytes per cycle")
        return ", ".join(found)


def holdings() -> Holdings:
    """What the process holds, once its helper threads have ended and the garbage is collected."""
    deadline = time.monotonic() + SETTLING
    for thread in threading.enumerate():
        if " dial" in thread.name or " job " in thread.name:
            thread.join(max(0.0, deadline - time.monotonic()))
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Holdings(
        threads=threading.active_count(),
        descriptors=len(os.listdir("/proc/self/fd")),
        blocks=sys.getallocatedblocks(),
        resident=pages * os.sysconf("SC_PAGESIZE"),
    )


def growth(cycle: Callable[[], None], cycles: int, warm_up: int) -> Growth:
    """Run the cycle, first to warm up, then to measure; so many more times, up to `ROUNDS` rounds, if it has grown too much.

    What each cycle leaves behind is left in every round. What the interpreter keeps for itself is not: CPython 3.10 gives each
    function a cache when it is called the 1,024th time (OPCACHE_MIN_RUNS in its ceval.c). Threads and descriptors are counted
    from the first round on.
    """
    for _ in range(warm_up):
        cycle()
    first = before = holdings()
    for _ in range(ROUNDS):
        began = time.monotonic()
        for _ in range(cycles):
            cycle()
        seconds = time.monotonic() - began
        after = holdings()
        grown = Growth(
            cycles=cycles,
            seconds=seconds,
            threads=after.threads - first.threads,
            descriptors=after.descriptors - first.descriptors,
            blocks=(after.blocks - before.blocks) / cycles,
            resident=(after.resident - before.resident) / cycles,
        )
        if not grown.misses:
            break
        before = after
    return grown
