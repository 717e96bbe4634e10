"""Centrifugo: the wire objects of its client protocol v2 in JSON, and what its codes mean.

Sources: https://centrifugal.dev/docs/transports/client_protocol and the server's source at v5.2.0, read 2026-11. Fields with
empty values are left out on the wire, so every field has its default here. What is not used here is not named here, so that its
form cannot spoil a message.
"""

from __future__ import annotations

from typing import Any, Dict, Generic, List, Optional, TypeVar, cast

import msgspec

from xchws.sansio.protocol import UNREADABLE

D = TypeVar("D")

_skim = msgspec.json.Decoder(msgspec.Raw).decode

TEMPORARY = frozenset((100, 111, 113))
"""Error codes of replies with which the same command may be tried again."""
UNAUTHORIZED, PERMISSION_DENIED, ALREADY_SUBSCRIBED, EXPIRED, OVER = 101, 103, 105, 109, 110
TOKEN_REFUSED = frozenset((UNAUTHORIZED, PERMISSION_DENIED, EXPIRED, OVER))
"""Error codes of replies that speak of the token, or of what it permits."""
RESUBSCRIBE_FROM = 2500
"""An unsubscribe push with this code or a higher one asks for a new subscription."""


class Error(msgspec.Struct):
    """Why a command failed."""

    code: int = 0
    message: str = ""
    temporary: bool = False


class ConnectResult(msgspec.Struct):
    """The reply to connect. `ttl` and `ping` in seconds."""

    expires: bool = False
    ttl: int = 0
    ping: int = 0
    pong: bool = False


class RefreshResult(msgspec.Struct):
    """The reply to refresh, and the refresh push. `ttl` in seconds."""

    expires: bool = False
    ttl: int = 0


class SubscribeResult(msgspec.Struct):
    """The reply to subscribe."""

    offset: int = 0


class Publication(msgspec.Struct, Generic[D]):
    """What was published in a channel. The offset is there only in channels with history."""

    data: D = cast(Any, None)  # D says what stands for no data
    offset: int = 0


class Ended(msgspec.Struct):
    """The unsubscribe push and the disconnect push."""

    code: int = 0
    reason: str = ""


class Push(msgspec.Struct, Generic[D]):
    """What the server says unasked: exactly one of the kinds."""

    channel: str = ""
    pub: Optional[Publication[D]] = None
    unsubscribe: Optional[Ended] = None
    disconnect: Optional[Ended] = None
    refresh: Optional[RefreshResult] = None


class Reply(msgspec.Struct, Generic[D]):
    """One JSON object from the server: the reply to a command, a push, or (empty) a ping."""

    id: int = 0
    error: Optional[Error] = None
    connect: Optional[ConnectResult] = None
    subscribe: Optional[SubscribeResult] = None
    refresh: Optional[RefreshResult] = None
    push: Optional[Push[D]] = None


def command(number: int, verb: str, parameters: Dict[str, Any]) -> bytes:
    """A command as it goes out."""
    return msgspec.json.encode({verb: parameters, "id": number})


def pieces(frame: bytes) -> List[bytes]:
    """The JSON objects of one text frame: they are joined by newlines, which JSON strings never hold raw.

    One object alone may have newlines between its keys, as the examples of Indodax's page are printed.
    """
    frame = frame.strip()
    if b"\n" in frame and not _is_one(frame):
        return [piece for piece in frame.split(b"\n") if piece.strip()]
    return [frame] if frame else []


def _is_one(frame: bytes) -> bool:
    try:
        _skim(frame)
    except UNREADABLE:
        return False
    return True
