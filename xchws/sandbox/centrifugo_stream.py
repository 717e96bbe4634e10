"""One channel's stream on a Centrifugo server: its epoch, its rising offsets, the publications it still remembers.

Source: the library centrifuge of Centrifugo 2.8.6, github.com/centrifugal (read 2026-11). Knows no connection, no
exchange and no lock: whoever shares a stream between threads guards it.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, Tuple


class Stream:
    """The last publications of a channel, in order.

    Args:
        epoch: changes whenever offsets begin anew.
        size: how many publications are remembered.
        offset: of the last publication; 0 before the first one.
    """

    def __init__(self, epoch: str, size: int, offset: int = 0) -> None:
        self.epoch = epoch
        self.offset = offset
        self._publications: Deque[Dict[str, Any]] = deque(maxlen=size)

    def append(self, data: Any) -> Dict[str, Any]:
        """The next publication as it is on the wire."""
        self.offset += 1
        publication = {"data": data, "offset": self.offset}
        self._publications.append(publication)
        return publication

    def skip(self, count: int) -> None:
        """Use up offsets for publications that nobody will ever see."""
        self.offset += count

    def since(self, offset: int, epoch: str) -> Tuple[List[Dict[str, Any]], bool]:
        """What is remembered after *offset*, and whether the server calls that everything a client of that position missed.

        The publications are chosen by offset alone: another epoch only means that they do not make the gap whole. And
        only the first of them is looked at (isRecovered in client.go of the library's v0.14.2): whether there is a hole
        behind it, the client must see.
        """
        later = [publication for publication in self._publications if publication["offset"] > offset]
        first = later[0]["offset"] == offset + 1 if later else self.offset == offset
        return later, epoch == self.epoch and first

    @property
    def last(self) -> Dict[str, Any]:
        """The newest publication.

        Raises:
            LookupError: none is remembered.
        """
        if not self._publications:
            raise LookupError("nothing was published")
        return self._publications[-1]
