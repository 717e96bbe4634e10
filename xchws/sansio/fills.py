"""FillMemory: which executions have been told, so that one that the exchange tells twice is one Fill.

It outlives connections. Each connection's protocol has a view of it: what was told before that connection began is known to
it. What an overlapping connection tells at the same time is not, for either of the two may be the one that is published;
there the session takes the doubles out.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Optional, Tuple

_KEPT = 10_000

Key = Tuple[Optional[str], ...]


class FillMemory:
    """The executions told on all connections of a client; the oldest are forgotten.

    Attributes:
        instants: a count that grows with every telling and every view, in place of a clock.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self.instants = itertools.count()
        self._kept = kept
        self._told_at: OrderedDict[Key, int] = OrderedDict()  # which forgets its first in constant time

    def view(self) -> FillView:
        """The view of a connection that begins now."""
        return FillView(self, next(self.instants))

    def told_before(self, key: Key, instant: int) -> bool:
        """Whether it was told before an instant."""
        return self._told_at.get(key, instant) < instant

    def note(self, key: Key) -> None:
        """It is told; what counts is the first time."""
        if key not in self._told_at:
            self._told_at[key] = next(self.instants)
            if len(self._told_at) > self._kept:
                self._told_at.popitem(last=False)


class FillView:
    """What one connection knows of the executions told."""

    def __init__(self, memory: FillMemory, began: int) -> None:
        self._memory = memory
        self._began = began
        self._own: OrderedDict[Key, None] = OrderedDict()

    def is_new(self, *key: Optional[str]) -> bool:
        """Whether it is told for the first time, as far as this connection can know.

        With None in its key it cannot be recognised, and is new.
        """
        if None in key:
            return True
        if key in self._own or self._memory.told_before(key, self._began):
            return False
        self._own[key] = None
        if len(self._own) > _KEPT:
            self._own.popitem(last=False)
        self._memory.note(key)
        return True
