"""Signals: what SIGTERM does, for as long as the user asks for it. Nothing is ever installed unasked."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Callable, Iterator, Optional

from xchws.errors import ConfigurationError


@contextmanager
def sigterm_calls(function: Callable[[], object]) -> Iterator[None]:
    """Within this, SIGTERM calls the function; the handler that was there comes back after it.

    An exception out of a handler would be lost wherever Python can raise none, in a `__del__` for example.

    Raises:
        ConfigurationError: not in the main thread.
    """

    def handle(number: int, frame: Optional[FrameType]) -> None:
        function()

    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError(
            "handle_signals must be left out here: Python lets only the main thread say what a signal does",
            argument="handle_signals",
        )
    previous = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        # None: it was not installed from Python, and cannot be put back from there.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if previous is None else previous)
