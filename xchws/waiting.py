"""Waiting: the answer to a request, and what all waits have in common."""

from __future__ import annotations

from typing import Any, Callable, Optional

from xchws import clock
from xchws.runtime.bell import Latch
from xchws.sansio.actions import Resolved

Guard = Callable[[str], None]
"""Raises where waiting is not possible: in a forked child, and on the owner thread. It is told what would be waited for."""


class Answer:
    """The answer to a request that is on its way."""

    def __init__(self) -> None:
        self._outcome: Latch[Resolved] = Latch()

    def give(self, resolved: Resolved) -> None:
        """What became of the request."""
        self._outcome.give(resolved)

    def wait(self, timeout: Optional[float]) -> bool:
        """Wait for it, at most `timeout` seconds (None: without end); whether it has come."""
        return self._outcome.wait(timeout)

    @property
    def value(self) -> Any:
        """What was answered; raises the error if that is what became of the request. Only to be asked for once it has come."""
        resolved = self._outcome.value
        if resolved.error is not None:
            raise resolved.error
        return resolved.value


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Seconds until a monotonic instant, not below 0; None for None."""
    return None if deadline is None else max(0.0, deadline - clock.monotonic())
