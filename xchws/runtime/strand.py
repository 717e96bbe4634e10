"""Strand: one of a client's threads. Whether it begins at all is decided once, and its end can be waited for at any time.

threading.Thread alone leaves gaps: whoever asks in the middle of `start()`, a signal handler above all, is told that nothing
runs, and waiting for a thread that has not started yet raises.
"""

from __future__ import annotations

import threading
from typing import Callable, Optional

from xchws import clock
from xchws.runtime.bell import Bell, Latch, insist
from xchws.threads import OurThread

_LAST_STEPS = 0.25  # seconds for what Python does in a thread after its work is done; it takes microseconds


class Strand:
    """A thread that does `work`, unless it is called off before it begins.

    Args:
        last: is called on it before it is over, however it ends, unless it was called off; again if it finds no memory.
        bell: rung when it is over.
    """

    def __init__(self, name: str, work: Callable[[], None], last: Callable[[], None], bell: Bell) -> None:
        self._name = name
        self._work = work
        self._last = last
        self._bell = bell
        self._begins: Latch[bool] = Latch(bell)
        self._ended = False
        self._thread: Optional[OurThread] = None

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the process can have no more threads.
        """
        # Not made before: CPython 3.13 takes every thread for one that has ended once the process has been forked.
        self._thread = OurThread(self._run, self._name)
        self._thread.start()

    def call_off(self) -> bool:
        """Keep it from beginning; whether it never will, by this call or an earlier one. False: it has begun."""
        return not self._begins.give(False)

    @property
    def called_off(self) -> bool:
        """Whether it will never begin."""
        return self._begins.given and not self._begins.value

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or will never begin."""
        return self._ended or self.called_off

    @property
    def is_current(self) -> bool:
        """Whether this is the thread that asks."""
        return threading.current_thread() is self._thread

    @property
    def works(self) -> bool:
        """Whether it has begun and not ended."""
        # Not by Thread.is_alive(): interrupted by Ctrl-C, it takes a living thread for dead for ever after (up to Python 3.12).
        return self._begins.given and self._begins.value and not self._ended

    def join(self, deadline: Optional[float]) -> bool:
        """Wait for its end until a monotonic instant (None: without end); whether it has ended.

        One that was called off has ended, and so has, for itself, the one that asks: it cannot wait for itself.
        """
        if self.called_off or self.is_current:
            return True
        if not self._bell.wait_for(lambda: self._ended, None if deadline is None else deadline - clock.monotonic()):
            return False
        assert self._thread is not None, "it has run"
        self._thread.join(_LAST_STEPS)
        return True

    def _run(self) -> None:
        called_off = False
        try:
            called_off = not self._begins.give(True)
            if not called_off:
                self._work()
        finally:
            try:
                if not called_off:
                    insist(self._last)
            finally:
                self._ended = True
                self._bell.ring()
