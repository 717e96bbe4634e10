"""A clock that tests set: time passes as it does, and besides in leaps; the wall clock may be wrong by any time.

What a client waits for seconds long needs no waiting here. Only its own clock leaps: the simulated exchange keeps its time.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from xchws import clock


class Timepiece:
    """Stands in for `xchws.clock`.

    Attributes:
        leapt: seconds by which the monotonic clock is ahead.
        wrong: seconds by which the wall clock is ahead.
    """

    def __init__(self) -> None:
        self.leapt = 0.0
        self.wrong = 0.0
        self._began = time.monotonic()
        self._began_at = datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic() + self.leapt

    def utc_now(self) -> datetime:
        """The wall clock."""
        return self.wall_of(self.monotonic())

    def wall_of(self, instant: float) -> datetime:
        """What the wall clock, as it is set now, makes of a monotonic instant: exactly what `clock.utc_of` makes of it."""
        return self._began_at + timedelta(seconds=instant - self._began + self.wrong)

    def unix_microseconds(self) -> int:
        """The wall clock for signatures. It does not leap, because the exchange's does not."""
        return time.time_ns() // 1_000 + round(self.wrong * 1e6)

    def installed(self) -> ExitStack:
        """The clock of all clients, as long as the context lasts."""
        stack = ExitStack()
        for name in ("monotonic", "utc_now", "unix_microseconds"):
            stack.enter_context(patch.object(clock, name, getattr(self, name)))
        return stack
