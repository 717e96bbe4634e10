"""Bell and Latch: what threads wait for each other by. Neither side ever holds a lock that the other side wants.

A signal handler may interrupt the main thread between any two of its instructions and call `stop()`, which waits for the
client's threads. Were there a threading.Condition between them, the main thread might hold its lock at that very moment, and
the thread that is waited for could not go on. A child of os.fork() would find such a lock held by a thread that it has not got.
Here each who waits has a lock of his own, which the others only release; a change is one store, made before the bell is rung.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Generic, Optional, TypeVar

from xchws import clock

T = TypeVar("T")

# Seconds of one wait of the main thread at most. A signal that comes just before a wait for a lock begins, or that the system
# gives to another thread, does not end the wait; and on Windows none does. Python looks for signals between two waits.
_PIECE = 0.5
# Seconds of one wait of any other thread: there is a longest that the system takes (threading.TIMEOUT_MAX).
_LONG_PIECE = 3600.0
_SCARCE = 0.01  # seconds until memory that was not to be had is asked for again


def insist(step: Callable[[], object]) -> None:
    """Do what must be done, once there is memory for it. The step is made beforehand, while there is some."""
    while True:
        try:
            step()
            return
        except MemoryError:
            clock.pause(_SCARCE)


class Bell:
    """Wakes those who wait, so that they look again at what they wait for."""

    __slots__ = ("_sleepers",)

    def __init__(self) -> None:
        # To copy a dictionary's keys, to put one in and to take one out are atomic.
        self._sleepers: Dict[Any, None] = {}

    def ring(self) -> None:
        """Wake everybody who waits now. Call it after the change that they wait for.

        It does not fail for want of memory: nobody would wake them then. They are woken once there is some.
        """
        while self._sleepers:
            try:
                for sleeper in list(self._sleepers):
                    try:
                        sleeper.release()
                    except RuntimeError:
                        pass  # it has been rung for already
                return
            except MemoryError:
                clock.pause(_SCARCE)

    def wait_for(self, happened: Callable[[], Any], timeout: Optional[float]) -> bool:
        """Wait until `happened()` is true, at most `timeout` seconds (None: without end); whether it is."""
        if happened():
            return True
        deadline = None if timeout is None else clock.monotonic() + timeout
        sleeper = threading.Lock()
        sleeper.acquire()
        piece = _PIECE if threading.current_thread() is threading.main_thread() else _LONG_PIECE
        try:
            self._sleepers[sleeper] = None
            while not happened():
                left = piece if deadline is None else deadline - clock.monotonic()
                if left <= 0:
                    return False
                sleeper.acquire(timeout=min(left, piece))
            return True
        finally:
            self._sleepers.pop(sleeper, None)


class Latch(Generic[T]):
    """A value that is given once. The first one counts, whoever gives it; it can be waited for.

    Args:
        bell: rung when it is given; None: one of its own.
    """

    __slots__ = ("_bell", "_values")

    def __init__(self, bell: Optional[Bell] = None) -> None:
        self._bell = bell or Bell()
        # Of one at most: setdefault is atomic. The room for it stays when it is taken out: to give it needs no memory.
        self._values: Dict[None, Any] = {None: None}
        del self._values[None]

    def give(self, value: T) -> T:
        """Give the value, unless there is one already; the one that counts."""
        counts: T = self._values.setdefault(None, value)
        self._bell.ring()
        return counts

    @property
    def given(self) -> bool:
        """Whether it has been given."""
        return bool(self._values)

    @property
    def value(self) -> T:
        """What was given. Only to be asked for once it has been."""
        value: T = self._values[None]
        return value

    def wait(self, timeout: Optional[float]) -> bool:
        """Wait until it is given, at most `timeout` seconds (None: without end); whether it has been."""
        return self._bell.wait_for(lambda: self._values, timeout)
