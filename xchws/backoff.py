"""Backoff: how long to wait before the next try. It gives seconds and never sleeps.

Full jitter is the variant of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (read 2026-11):
many clients that lost one server at the same moment do not come back at the same moment.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Optional

import attrs

from xchws.durations import seconds
from xchws.errors import ConfigurationError


def _duration(instance: Any, attribute: attrs.Attribute[float], value: float) -> None:
    seconds(value, attribute.name, owner="backoff")


def _number(least: float, most: float, words: str) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise ConfigurationError(
                f"backoff: {attribute.name} must be {words}, not {value!r}", argument=attribute.name
            )

    return check


_fraction = attrs.validators.optional(_number(0, 1, "a number from 0 to 1, or None for full jitter"))
_factor = _number(1, 1_000_000, "a number from 1 to 1000000")


@attrs.frozen
class Backoff:
    """Capped exponential backoff.

    After the n-th failure in a row the ceiling is `initial * factor ** (n - 1)` seconds, at most `maximum`. Without
    `randomization` the wait is drawn evenly between 0 and the ceiling (full jitter). With it, the wait is the ceiling
    times a factor drawn from `1 - randomization` to `1 + randomization`, at most `maximum` (the rule of Socket.IO's
    clients). The count of failures starts anew only when a connection has been READY for `stable` seconds.

    Raises:
        ConfigurationError: a value that is no number of seconds, a factor below 1 or above a million, a maximum below
            `initial`, or a randomization outside 0 to 1.
    """

    initial: float = attrs.field(default=1.0, validator=_duration)
    maximum: float = attrs.field(default=60.0, validator=_duration)
    factor: float = attrs.field(default=2.0, validator=_factor)
    stable: float = attrs.field(default=30.0, validator=_duration)
    randomization: Optional[float] = attrs.field(default=None, validator=_fraction)

    def __attrs_post_init__(self) -> None:
        if self.maximum < self.initial:
            raise ConfigurationError(
                f"backoff: maximum ({self.maximum!r}) must not be below initial ({self.initial!r})", argument="maximum"
            )

    def ceiling(self, failures: int) -> float:
        """The longest wait, in seconds, after this many failures in a row (1 or more), jitter left out."""
        steps = max(failures, 1) - 1
        if steps * math.log(self.factor) >= math.log(self.maximum / self.initial):
            return float(self.maximum)  # found out by logarithms: the power itself might be too large for a float
        return float(min(self.maximum, self.initial * self.factor**steps))

    def delay(self, failures: int, draw: Callable[[], float]) -> float:
        """Seconds to wait after this many failures in a row; `draw` gives numbers from 0 to 1, like `random.random`."""
        ceiling = self.ceiling(failures)
        if self.randomization is None:
            return ceiling * draw()
        return min(self.maximum, ceiling * (1 + self.randomization * (2 * draw() - 1)))
