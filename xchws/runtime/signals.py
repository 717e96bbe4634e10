"""Signals: SIGTERM as Ctrl-C, for as long as the user asks for it. Nothing is ever installed unasked."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from types import FrameType
from typing import Iterator, Optional


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within this, SIGTERM raises KeyboardInterrupt in the main thread; the handler that was there comes back after it.

    Raises:
        ValueError: not in the main thread.
    """

    def interrupt(number: int, frame: Optional[FrameType]) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
