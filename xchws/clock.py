"""The clock: the one place that reads the time.

Everything that waits uses `monotonic`; a wall clock that jumps only moves the instants that are shown to people.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Optional, Tuple

_AGREES = 1.5  # seconds: a Date header has whole ones


def monotonic() -> float:
    """Seconds on a clock that never goes back; only differences mean something."""
    return time.monotonic()


pause = time.sleep
"""Do nothing for so many seconds; itself it needs no memory."""


def utc_now() -> datetime:
    """The wall clock as an aware UTC instant."""
    return datetime.now(timezone.utc)


def utc_of(instant: float) -> datetime:
    """The wall-clock instant (aware, UTC) of a `monotonic` reading, past or future."""
    return utc_now() + timedelta(seconds=instant - monotonic())


def unix_microseconds() -> int:
    """The wall clock as whole microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000


class Offset:
    """How far another clock is ahead of this machine's, as its owner's answers tell: each of them narrows it down.

    For people only, who look for the reason of a refused timestamp: nothing waits by it. Thread-safe.
    """

    def __init__(self) -> None:
        self._range: Optional[Tuple[float, float]] = None

    @property
    def seconds(self) -> Optional[float]:
        """The middle of what it may be; None: nothing has been heard."""
        known = self._range
        return None if known is None else (known[0] + known[1]) / 2

    def heard(self, earliest: datetime, latest: datetime, asked: datetime, answered: datetime) -> None:
        """The other clock stood between `earliest` and `latest` at some moment between `asked` and `answered` on this one."""
        least, most = (earliest - answered).total_seconds(), (latest - asked).total_seconds()
        if least > most:
            return  # this machine's clock was set meanwhile
        known = self._range
        if known is not None and max(known[0], least) <= min(known[1], most):
            least, most = max(known[0], least), min(known[1], most)
        self._range = (least, most)  # where the two contradict each other, one of the clocks was set

    def words(self) -> str:
        """For the text of an error: which of the two goes wrong and by how much; "" where nothing has been heard."""
        ahead = self.seconds
        if ahead is None:
            return ""
        if abs(ahead) < _AGREES:
            return "this machine's clock agrees with the exchange's to about a second"
        return f"this machine's clock is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the exchange's"
