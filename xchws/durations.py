"""Durations: what a number of seconds that a user gives may be."""

from __future__ import annotations

from typing import Any, Optional

from xchws.errors import ConfigurationError

SHORTEST = 1e-9  # seconds; what is below it and not 0 is a mistake
LONGEST = 1_000_000_000  # seconds, some 31 years: instants that far away can still be written down


def seconds(value: Any, argument: str, *, owner: str, zero: bool = False) -> float:
    """A duration as a float.

    Args:
        argument: its name; owner: whose argument it is, for the text; zero: whether 0 will do.

    Raises:
        ConfigurationError: it is no number, below the least or above the longest, or nan.
    """
    if not _is_number(value) or not (SHORTEST <= value <= LONGEST or (zero and value == 0)):
        least = "from 0" if zero else "above 0"
        raise ConfigurationError(
            f"{owner}: {argument} must be a number of seconds {least} to {LONGEST}, not {value!r}",
            argument=argument,
            exchange=owner,
        )
    return float(value)


def checked_timeout(timeout: Optional[float]) -> Optional[float]:
    """A timeout in seconds, or None to wait without end.

    Raises:
        ConfigurationError: it is no number, below 0 or above the longest, or nan.
    """
    if timeout is not None and (not _is_number(timeout) or not 0 <= timeout <= LONGEST):
        raise ConfigurationError(
            f"timeout must be a number of seconds from 0 to {LONGEST}, or None to wait without end; not {timeout!r}",
            argument="timeout",
        )
    return timeout


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
