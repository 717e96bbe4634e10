"""The clock: the one place that reads the time.

Everything that waits uses `monotonic`; a wall clock that jumps only moves the instants that are shown to people.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone


def monotonic() -> float:
    """Seconds on a clock that never goes back; only differences mean something."""
    return time.monotonic()


def utc_now() -> datetime:
    """The wall clock as an aware UTC instant."""
    return datetime.now(timezone.utc)


def utc_of(instant: float) -> datetime:
    """The wall-clock instant (aware, UTC) of a `monotonic` reading, past or future."""
    return utc_now() + timedelta(seconds=instant - monotonic())


def unix_microseconds() -> int:
    """The wall clock as whole microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000
