"""Backoff: how long to wait before the next try. It gives seconds and never sleeps.

Full jitter is the variant of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (read 2026-11):
many clients that lost one server at the same moment do not come back at the same moment.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

import attrs

from xchws.errors import ConfigurationError


def _positive(instance: Any, attribute: attrs.Attribute[float], value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise ConfigurationError(
            f"backoff: {attribute.name} must be a number of seconds above 0, not {value!r}", argument=attribute.name
        )


@attrs.frozen
class Backoff:
    """Capped exponential backoff.

    After the n-th failure in a row the ceiling is `initial * factor ** (n - 1)` seconds, at most `maximum`. Without
    `randomization` the wait is drawn evenly between 0 and the ceiling (full jitter). With it, the wait is the ceiling
    times a factor drawn from `1 - randomization` to `1 + randomization`, at most `maximum` (the rule of Socket.IO's
    clients). The count of failures starts anew only when a connection has been READY for `stable` seconds.

    Raises:
        ConfigurationError: a value that is not a positive number, a factor below 1, a maximum below `initial`, or a
            randomization outside 0 to 1.
    """

    initial: float = attrs.field(default=1.0, validator=_positive)
    maximum: float = attrs.field(default=60.0, validator=_positive)
    factor: float = attrs.field(default=2.0, validator=_positive)
    stable: float = attrs.field(default=30.0, validator=_positive)
    randomization: Optional[float] = None

    def __attrs_post_init__(self) -> None:
        if self.factor < 1:
            raise ConfigurationError(f"backoff: factor must be 1 or more, not {self.factor!r}", argument="factor")
        if self.maximum < self.initial:
            raise ConfigurationError(
                f"backoff: maximum ({self.maximum!r}) must not be below initial ({self.initial!r})", argument="maximum"
            )
        if self.randomization is not None and not 0 <= self.randomization <= 1:
            raise ConfigurationError(
                f"backoff: randomization must be between 0 and 1, or None for full jitter, not {self.randomization!r}",
                argument="randomization",
            )

    def ceiling(self, failures: int) -> float:
        """The longest wait, in seconds, after this many failures in a row (1 or more), jitter left out."""
        # 2 ** 64 is far beyond every maximum that makes sense, and a larger exponent would overflow a float.
        return float(min(self.maximum, self.initial * self.factor ** min(max(failures, 1) - 1, 64)))

    def delay(self, failures: int, draw: Callable[[], float]) -> float:
        """Seconds to wait after this many failures in a row; `draw` gives numbers from 0 to 1, like `random.random`."""
        ceiling = self.ceiling(failures)
        if self.randomization is None:
            return ceiling * draw()
        return min(self.maximum, ceiling * (1 + self.randomization * (2 * draw() - 1)))
