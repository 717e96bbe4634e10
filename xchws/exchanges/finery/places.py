"""Places: how many connections this process has to one address. Finery Markets takes 100 from one IP address.

Source: https://faq.finerymarkets.com/api-reference/websocket-api, read 2026-11.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Deque, Dict, Optional, Tuple

LIMIT = 100


class Places:
    """The places at every address. A deque's pop and append are atomic, so that any thread may take and give back.

    A forked child counts anew: its parent's connections are not its own, and it never hears of their end.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._free: Dict[Tuple[int, str], Deque[int]] = {}

    def take(self, address: str) -> Optional[Place]:
        """A place; None if all are taken."""
        free = self._free.setdefault((os.getpid(), address), deque(range(self._limit)))
        try:
            return Place(free, free.pop())
        except IndexError:
            return None


class Place:
    """A connection's place."""

    def __init__(self, free: Deque[int], number: int) -> None:
        self._free = free
        self._number: Deque[int] = deque((number,))

    def give_back(self) -> None:
        """The connection is over; once more does nothing."""
        try:
            self._free.append(self._number.pop())
        except IndexError:
            return
