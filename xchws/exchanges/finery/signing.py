"""Signing: the nonce and the three headers that sign a handshake. It reads no clock: the instant is handed in.

Source: https://faq.finerymarkets.com/api-reference/websocket-api and the pages on errors 6 and 14, read 2026-11. The secret is
the key of the HMAC as text, not base64-decoded, and the signature covers the EFX-Content string exactly as it is sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Dict

import msgspec


class Rising:
    """Numbers for one name that only ever rise in this process, on whatever thread they are drawn.

    This folder decides only and imports no threads, and a lock would not do: Ctrl-C or a signal handler may interrupt the drawing
    anywhere, and another drawing must not wait for it. So a number is claimed by the one step that puts it into a dictionary,
    and it is good if no higher one is there by then: whoever comes later sees it, or a higher one. The lower ones are forgotten.
    A forked child goes on from where its parent was.
    """

    def __init__(self) -> None:
        self._claims: Dict[str, Dict[int, object]] = {}

    def draw(self, name: str, least: int) -> int:
        """The next number: `least`, or one more than the last where that is not below it."""
        claims = self._claims.setdefault(name, {})
        mine = object()
        while True:
            number = max(max(list(claims), default=0) + 1, least)
            if claims.setdefault(number, mine) is mine and max(list(claims), default=0) == number:
                break
        for older in list(claims):
            if older < number:
                claims.pop(older, None)
        return number

    def passed(self, name: str, number: int) -> bool:
        """Whether a later number than this one has been drawn."""
        return max(list(self._claims.get(name, ())), default=0) > number


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
