"""Centrifugo, client protocol v1 in JSON: the wire objects, and what its numbers mean.

Sources: the server's source at v2.8.6 (centrifuge v0.14.2, protocol v0.3.4) and https://centrifugal.dev, read 2026-11. A field
with an empty value is left out on the wire, so every field has its default here. What is not used is not named, so that its
form cannot spoil a message; and where a field that is used is of no known form, the others of its object are still read.
"""

from __future__ import annotations

from typing import Annotated, Any, Dict, Generic, List, Mapping, Optional, Tuple, Type, TypeVar

import attrs
import msgspec

from xchws.exchanges.indodax.centrifugo import Error
from xchws.sansio.protocol import UNREADABLE

R = TypeVar("R", bound=msgspec.Struct)

CONNECT, SUBSCRIBE, UNSUBSCRIBE = 0, 1, 2
PUBLICATION, ENDED = 0, 3
PUSHES = {0: "publication", 1: "join", 2: "leave", 3: "unsubscribe", 4: "message", 5: "subscribe"}
LIMIT_EXCEEDED = 106
INVALID_TOKEN, FORCED, CONNECTION_LIMIT = 3002, 3012, 3013
NULL = msgspec.Raw(b"null")

# Whether to connect again, where the close reason does not say: disconnect.go of centrifuge v0.14.2.
_RECONNECT = {
    3000: True, 3001: True, 3002: False, 3003: False, 3004: True, 3005: True, 3006: True, 3007: False,
    3008: True, 3009: True, 3010: True, 3011: True, 3012: False, 3013: False,
}  # fmt: skip

Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Publication(msgspec.Struct):
    """What was published in a channel. Offset 0: the channel has no history."""

    data: msgspec.Raw = NULL
    offset: Offset = 0


class Body(Publication):
    """What a push holds: a publication, or (unsubscribe) whether to subscribe again."""

    resubscribe: bool = False


class Push(msgspec.Struct):
    """What the server says unasked."""

    type: int = PUBLICATION
    channel: str = ""
    data: Optional[Body] = None


class Frame(msgspec.Struct):
    """One JSON object from the server. With an id it is the reply to a command, and `reply_of` reads the rest."""

    id: int = 0
    error: Optional[Error] = None
    result: Optional[Push] = None


class ConnectResult(msgspec.Struct):
    """The reply to connect. `ttl` in seconds."""

    expires: bool = False
    ttl: int = 0


class SubscribeResult(msgspec.Struct):
    """The reply to subscribe: where the channel's stream stands, and what was asked for of its past."""

    epoch: str = ""
    offset: Optional[Offset] = None
    recovered: bool = False
    publications: Optional[List[msgspec.Raw]] = None


class Nothing(msgspec.Struct):
    """The reply to unsubscribe."""


@attrs.frozen
class Reply(Generic[R]):
    """The reply to a command; `flaws` names what in it could not be read."""

    error: Optional[Error]
    result: R
    flaws: Tuple[str, ...] = ()


class _Parts(msgspec.Struct):
    id: int = 0
    error: msgspec.Raw = NULL
    result: msgspec.Raw = NULL


class _PushParts(msgspec.Struct):
    type: int = PUBLICATION
    channel: str = ""
    data: msgspec.Raw = NULL


class _Advice(msgspec.Struct):
    reason: str = ""
    reconnect: Optional[bool] = None


_decode_frame = msgspec.json.Decoder(Frame).decode
_decode_keys = msgspec.json.Decoder(Dict[str, msgspec.Raw]).decode
_decode_advice = msgspec.json.Decoder(_Advice).decode


class _Reader(Generic[R]):
    """Reads an object; where that fails, field by field."""

    def __init__(self, kind: Type[R]) -> None:
        self._kind = kind
        self._whole = msgspec.json.Decoder(kind).decode
        self._fields = {
            field.encode_name: msgspec.json.Decoder(field.type, strict=False).decode
            for field in msgspec.structs.fields(kind)
        }

    def read(self, text: Any) -> Tuple[R, Tuple[str, ...]]:
        """The object, and the names of the fields that could not be read.

        Raises:
            UNREADABLE: it is no object.
        """
        try:
            return self._whole(text), ()
        except UNREADABLE:
            keys = _decode_keys(text)
        values: Dict[str, Any] = {}
        flaws = []
        for name, decode in self._fields.items():
            if name in keys:
                try:
                    values[name] = decode(keys[name])
                except UNREADABLE:
                    flaws.append(name)
        return self._kind(**values), tuple(flaws)


_parts = _Reader(_Parts)
_push_parts = _Reader(_PushParts)
_bodies = _Reader(Body)
_errors = _Reader(Error)
_publications = _Reader(Publication)
_results: Mapping[Type[Any], _Reader[Any]] = {kind: _Reader(kind) for kind in (ConnectResult, SubscribeResult, Nothing)}


def command(number: int, method: int, parameters: Mapping[str, Any]) -> bytes:
    """A command as it goes out."""
    return msgspec.json.encode({"method": method, "params": parameters, "id": number})


def frame_of(piece: bytes) -> Tuple[Frame, Tuple[str, ...]]:
    """One JSON object from the server, and what of a push could not be read.

    Raises:
        UNREADABLE: it cannot be told what it is.
    """
    try:
        return _decode_frame(piece), ()
    except UNREADABLE:
        parts, flaws = _parts.read(piece)
    if flaws:
        raise msgspec.DecodeError(f"no {flaws[0]}")
    if parts.id or not _is_there(parts.result):
        return Frame(parts.id, _error_of(parts.error)), ()
    push, flaws = _push_parts.read(parts.result)
    if flaws:
        raise msgspec.DecodeError(f"no {flaws[0]}")
    body, flaws = _bodies.read(push.data)
    return Frame(0, None, Push(push.type, push.channel, body)), flaws


def reply_of(piece: bytes, kind: Type[R]) -> Reply[R]:
    """The reply in a frame that has an id."""
    parts, _ = _parts.read(piece)
    error = _error_of(parts.error)
    if error is not None or not _is_there(parts.result):
        return Reply(error, kind())
    try:
        result, flaws = _results[kind].read(parts.result)
    except UNREADABLE:
        result, flaws = kind(), ("result",)
    return Reply(None, result, flaws)


def _is_there(value: msgspec.Raw) -> bool:
    return bytes(value) != b"null"


def _error_of(value: msgspec.Raw) -> Optional[Error]:
    if not _is_there(value):
        return None
    try:
        return _errors.read(value)[0]
    except UNREADABLE:
        return Error(message=bytes(value).decode("utf-8", "replace"))


def advice_of(code: int, reason: str) -> Tuple[str, bool]:
    """What a close frame says in words, and whether to connect again. The reason is JSON: `{"reason", "reconnect"}`."""
    try:
        advice = _decode_advice(reason)
    except UNREADABLE:
        advice = _Advice(reason)
    return advice.reason, _RECONNECT.get(code, True) if advice.reconnect is None else advice.reconnect


def publication_of(text: msgspec.Raw) -> Tuple[Publication, Tuple[str, ...]]:
    """A publication out of a replay, and what of it could not be read.

    Raises:
        UNREADABLE: it is none.
    """
    return _publications.read(text)
