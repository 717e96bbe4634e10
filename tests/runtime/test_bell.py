"""Bell, Latch and Strand: what threads wait for each other by."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, Callable, List

import pytest

from xchws import clock
from xchws.runtime import bell as bells
from xchws.runtime.bell import Bell, Latch
from xchws.runtime.strand import Strand


def test_a_wait_ends_when_it_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    bell, happened = Bell(), threading.Event()
    looked = threading.Event()

    def look() -> bool:
        looked.set()
        return happened.is_set()

    said: List[bool] = []
    thread = threading.Thread(target=lambda: said.append(bell.wait_for(look, None)))
    thread.start()
    assert looked.wait(5)
    bell.ring()  # for nothing: it looks again, and waits on
    bell.ring()
    assert thread.is_alive()
    happened.set()
    bell.ring()
    thread.join(5)
    assert said == [True]
    assert bell.wait_for(lambda: True, 0)


@pytest.mark.parametrize("piece", [3600.0, 0.001])
def test_a_wait_ends_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch, piece: float) -> None:
    monkeypatch.setattr(bells, "_PIECE", piece)
    assert not Bell().wait_for(lambda: False, 0.02)
    assert not Bell().wait_for(lambda: False, 0)


def test_a_wait_that_is_longer_than_the_system_takes() -> None:
    bell, happened = Bell(), threading.Event()

    def come() -> None:
        happened.set()
        bell.ring()

    threading.Timer(0.01, come).start()
    assert bell.wait_for(happened.is_set, threading.TIMEOUT_MAX * 10)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system gives signals to processes only")
def test_a_signal_that_does_not_reach_the_wait_ends_it_all_the_same() -> None:
    """One that another thread is given leaves the main thread's wait as it is; its handler runs at the next look."""
    bell, handled = Bell(), threading.Event()
    waits = threading.Event()

    def look() -> bool:
        waits.set()
        return handled.is_set()

    def give() -> None:
        assert waits.wait(5)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda number, frame: handled.set())
    try:
        thread = threading.Thread(target=give)
        thread.start()
        begun = clock.monotonic()
        assert bell.wait_for(look, 60)
        assert clock.monotonic() - begun < 10
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_raises_in_the_look_leaves_nothing_behind() -> None:
    bell = Bell()
    looks = iter([False, None])

    def look() -> bool:
        if next(looks) is None:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        bell.wait_for(look, 5)
    assert not bell._sleepers


def test_who_waits_is_woken_although_there_is_no_memory_for_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bell, happened, looked = Bell(), threading.Event(), threading.Event()
    tries: List[int] = []

    def copy(sleepers: Any) -> List[Any]:
        tries.append(len(sleepers))
        if len(tries) < 3:
            raise MemoryError
        return [*sleepers]

    def look() -> bool:
        looked.set()
        return happened.is_set()

    said: List[bool] = []
    thread = threading.Thread(target=lambda: said.append(bell.wait_for(look, 60)))
    thread.start()
    assert looked.wait(5)
    happened.set()
    monkeypatch.setattr(bells, "list", copy, raising=False)
    bell.ring()
    thread.join(5)
    assert said == [True] and tries == [1, 1, 1]


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="how a dictionary grows is CPython's")
def test_to_give_needs_no_memory() -> None:
    latch: Latch[int] = Latch()
    before = sys.getsizeof(latch._values)
    latch.give(1)
    assert latch.given and sys.getsizeof(latch._values) == before > sys.getsizeof({})


def test_the_first_value_counts() -> None:
    latch: Latch[object] = Latch()
    together, counted = threading.Barrier(8), []

    def give() -> None:
        mine = object()
        together.wait(5)
        counted.append(latch.give(mine))

    threads = [threading.Thread(target=give) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(map(id, counted)) == {id(latch.value)} and latch.given and latch.wait(0)


def test_a_strand_that_is_called_off_never_works() -> None:
    worked: List[int] = []
    strand = Strand("called off", lambda: worked.append(1), lambda: worked.append(2), Bell())

    def said() -> List[bool]:
        return [strand.works, strand.is_over, strand.join(0)]

    assert said() == [False, False, False], "it may begin yet"
    assert strand.call_off() and strand.call_off()
    assert said() == [False, True, True]
    strand.start()
    assert strand._thread is not None
    strand._thread.join(5)
    assert worked == [] and said() == [False, True, True]


@pytest.mark.parametrize("fails", ["nothing", "work", "begin", "last"])
def test_a_strand_tells_of_its_end_whatever_fails(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    go_on, bell, done = threading.Event(), Bell(), []

    def step(name: str) -> None:
        assert go_on.wait(5)
        done.append(name)
        if name == fails and done.count(name) == 1:
            raise MemoryError

    strand = Strand("fails", lambda: step("work"), lambda: step("last"), bell)
    if fails == "begin":
        monkeypatch.setattr(strand, "_begins", Unlucky(lambda: step("begin")))
    strand.start()
    assert not strand.is_over and not strand.join(0)
    go_on.set()
    assert bell.wait_for(lambda: strand.is_over, 5)
    assert strand.join(None) and not strand.works
    assert done == {"begin": ["begin", "last"], "last": ["work", "last", "last"]}.get(fails, ["work", "last"])


class Unlucky(Latch[bool]):
    """A latch that cannot be given."""

    def __init__(self, step: Callable[[], None]) -> None:
        super().__init__()
        self._step = step

    def give(self, value: bool) -> bool:
        self._step()
        return value


def test_a_strand_does_not_wait_for_itself() -> None:
    said: List[bool] = []
    strand = Strand("itself", lambda: said.extend((strand.is_current, strand.join(None))), lambda: None, Bell())
    strand.start()
    assert strand.join(None) and said == [True, True] and not strand.is_current
