"""OurThread: the threads that the library starts, and how code that may run in any thread tells them from the user's."""

from __future__ import annotations

import threading
from typing import Callable


class OurThread(threading.Thread):
    """A daemon thread of the library's."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__(target=work, name=name, daemon=True)


def in_ours() -> bool:
    """Whether the thread that asks is one of ours."""
    return isinstance(threading.current_thread(), OurThread)
