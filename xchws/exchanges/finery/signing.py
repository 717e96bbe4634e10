"""Signing: the nonce and the three headers that sign a handshake. It reads no clock: the instant is handed in.

Source: https://faq.finerymarkets.com/api-reference/websocket-api and the pages on errors 6 and 14, read 2026-11. The secret is
the key of the HMAC as text, not base64-decoded, and the signature covers the EFX-Content string exactly as it is sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections import deque
from typing import Deque, Dict, Tuple

import msgspec


class Rising:
    """Numbers for one name that only ever rise in this process, on whatever thread they are drawn.

    The number drawn last lies in a box, a deque of one. Taking it out and putting the next one in are atomic, and nobody
    goes on without it, so the box is the lock as well: this folder decides only and imports no threads. Who finds it empty
    looks again; it is empty for a few instructions. A forked child has boxes of its own, in case it was forked just then, and
    goes on from where its parent was.
    """

    def __init__(self) -> None:
        self._boxes: Dict[Tuple[int, str], Deque[int]] = {}

    def draw(self, name: str, least: int) -> int:
        """The next number: `least`, or one more than the last where that is not below it."""
        place = os.getpid(), name
        if place not in self._boxes:
            self._boxes.setdefault(place, deque((self._inherited(name),), maxlen=1))
        box = self._boxes[place]
        while True:
            try:
                last = box.pop()
            except IndexError:
                continue
            number = max(last + 1, least)
            box.append(number)
            return number

    def _inherited(self, name: str) -> int:
        """The last number of the process that this one was forked from; 0: there is none, or one was being drawn just then."""
        others = [box for (pid, known), box in list(self._boxes.items()) if known == name and pid != os.getpid()]
        return max((number for box in others for number in box), default=0)

    def passed(self, name: str, number: int) -> bool:
        """Whether a later number than this one has been drawn."""
        box = self._boxes.get((os.getpid(), name))
        if box is None:
            return False
        try:
            return box[0] > number
        except IndexError:
            return True  # one is being drawn at this moment


NONCES = Rising()
"""The nonces of every key, for the whole process: the exchange wants them unique (an older page: rising) for a key."""

CLIENT_ORDER_IDS = Rising()
"""Client order ids for orders that are added without one."""


def nonce(key: str, microseconds: int) -> int:
    """The next nonce of a key: the Unix time in microseconds, so that it rises over restarts too, unless the clock was set
    back in between, and stays below 2**53, which is what a reader that parses numbers as doubles can tell apart."""
    return NONCES.draw(key, microseconds)


def content(number: int, milliseconds: int) -> str:
    """What EFX-Content says: the nonce and the Unix time in milliseconds."""
    return msgspec.json.encode({"nonce": number, "timestamp": milliseconds}).decode()


def signature(secret: str, message: str) -> str:
    """HMAC-SHA384 in base64."""
    return base64.b64encode(hmac.new(secret.encode(), message.encode(), hashlib.sha384).digest()).decode()


def headers(key: str, secret: str, number: int, milliseconds: int) -> Dict[str, str]:
    """The headers of one handshake with its nonce; they are never to be used twice."""
    said = content(number, milliseconds)
    return {"EFX-Key": key, "EFX-Sign": signature(secret, said), "EFX-Content": said}
