"""Tries: how often it has failed in a row, how long to wait for the next try, and when to give up. It knows no link."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple, Type

from xchws.backoff import Backoff
from xchws.errors import ConnectionFailed, RateLimited, XchwsError
from xchws.sansio.actions import Close


class Tries:
    """The tries of one client.

    Args:
        backoff: how long to wait; draw: random numbers from 0 to 1.

    Attributes:
        failures: in a row.
        renewals: failed tries in a row to open a successor.
    """

    def __init__(self, backoff: Backoff, draw: Callable[[], float]) -> None:
        self.failures = 0
        self.renewals = 0
        self._backoff = backoff
        self._draw = draw
        self._spared = False  # an end without a wait has been granted since the last good connection
        # By kind and the exchange's code: since when, and how often.
        self._suspicions: Dict[Tuple[Type[XchwsError], Any], Tuple[float, int]] = {}

    def end(self, ready_at: Optional[float], now: float) -> None:
        """A connection that was READY since then ends: if it has proved good, earlier failures count no more."""
        if ready_at is not None and now - ready_at >= self._backoff.stable:
            self.failures = 0
            self._spared = False
            self._suspicions.clear()

    def verdict(self, close: Close, now: float) -> Optional[XchwsError]:
        """The error to stop with, or None to go on."""
        if not close.error.retryable:
            return close.error
        if close.verdict is None:
            return None
        kind = (type(close.verdict), getattr(close.verdict, "code", None))
        since, times = self._suspicions.get(kind, (now, 0))
        self._suspicions[kind] = since, times + 1
        return close.verdict if times + 1 >= close.limit and now - since >= close.patience else None

    def fail(self, close: Close) -> float:
        """A connection, or the try to make one, has failed; the seconds to wait before the next try."""
        if self._spares(close):
            return _at_least(0.0, close)
        self.failures += 1
        return _at_least(self._backoff.delay(self.failures, self._draw), close)

    def fail_renewal(self, close: Close) -> float:
        """A successor has failed; the seconds to wait before the next try."""
        if self._spares(close):
            return _at_least(0.0, close)
        self.renewals += 1
        return _at_least(self._backoff.ceiling(self.renewals), close)

    def _spares(self, close: Close) -> bool:
        """Whether the next try needs no wait; never twice without a good connection between, or it would go on for ever."""
        spared = close.at_once and not self._spared
        self._spared = self._spared or spared
        return spared


def _at_least(wait: float, close: Close) -> float:
    error = close.error
    named = error.retry_after if isinstance(error, (ConnectionFailed, RateLimited)) else None
    return wait if named is None else max(wait, named)
