"""The frames of a WebSocket connection, seen from the client: bytes in, messages out; payloads in, masked frames out.

Knows no socket, no clock, no randomness (the caller gives the masks) and no exchange. No extension is ever
negotiated, so every reserved bit is an error.

Source: RFC 6455, https://www.rfc-editor.org/rfc/rfc6455 (sections 5, 7.4, 8.1), and the registry of close codes,
https://www.iana.org/assignments/websocket/websocket.xhtml, both read 2026-11.
"""

from __future__ import annotations

from codecs import utf_8_decode
from io import BytesIO
from struct import Struct
from typing import Union

from attrs import define

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

PROTOCOL_ERROR = 1002
NO_STATUS = 1005
INVALID_UTF8 = 1007
TOO_BIG = 1009

_FINAL = 0x80
_RESERVED = 0x70
_OPCODE = 0x0F
_CONTROL = 0x08
_MASKED = 0x80
_LENGTH_16 = 126
_LENGTH_64 = 127
_CONTROL_LIMIT = 125

# How an HTTP answer begins; as a frame that would be one with a reserved bit. Some servers write one into an open WebSocket.
_HTTP = tuple(b"HT")

_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_WHOLE = frozenset((TEXT, BINARY, CLOSE, PING, PONG))

_FINAL_TEXT = _FINAL | TEXT
_FINAL_TEXT_16 = _FINAL_TEXT << 8 | _LENGTH_16
_unpack_head = Struct(">HH").unpack_from

# A piece of text decoded at a time when it is checked: a str can take four times the bytes it came from.
_CHECKED_AT_ONCE = 65536


@define(frozen=True, slots=True)
class Ping:
    """A ping, to be answered by a pong with the same payload (at most 125 bytes)."""

    payload: bytes


@define(frozen=True, slots=True)
class Pong:
    """A pong, with the payload of the ping that it answers (at most 125 bytes)."""

    payload: bytes


@define(frozen=True, slots=True)
class Binary:
    """A complete binary message."""

    payload: bytes


@define(frozen=True, slots=True)
class Close:
    """The peer closes the connection.

    code: as sent, or 1005 when the frame carried none.
    reason: as sent, often empty.
    """

    code: int
    reason: str


@define(frozen=True, slots=True)
class Violation:
    """What the peer did wrong. The connection must be failed.

    code: the close code to answer with: 1002 protocol error, 1007 not UTF-8, 1009 message too big.
    reason: one line that contains nothing of what was received.
    """

    code: int
    reason: str


# A text message is the plain bytes of its payload, which are valid UTF-8: no object is made for the usual case.
Item = Union[bytes, Binary, Ping, Pong, Close, Violation]


class FrameReader:
    """Cuts what a server sent into messages and control frames. One reader serves one connection.

    max_message: the longest message accepted, in bytes of payload. What is kept between two feeds stays within it
    (but for the growth reserve of the buffer, an eighth).

    Attributes:
        closed: True after a Close or a Violation was returned; whatever is fed then is ignored.
    """

    __slots__ = ("_first", "_head", "_kind", "_limit", "_limit_7", "_limit_16", "_message", "_need", "_sink", "closed")

    def __init__(self, max_message: int = 16 * 1024 * 1024) -> None:
        self.closed = False
        self._limit = max_message
        self._limit_7 = min(_LENGTH_16, max_message + 1)
        self._limit_16 = min(0xFFFF, max_message)
        self._head = b""  # the beginning of a frame whose header is not complete
        self._need = 0  # bytes of payload still to come of the frame begun
        self._first = 0  # the first byte of the frame begun
        self._sink = BytesIO()  # where its payload goes
        self._message: BytesIO | None = None  # the fragments so far of a fragmented message
        self._kind = TEXT  # the opcode of the fragmented message

    @property
    def midway(self) -> bool:
        """True if the stream stands inside a frame or a fragmented message: an end of stream here means truncation."""
        return bool(self._head) or self._need > 0 or self._message is not None

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes of the stream, of any length, and return all that they complete, in order of arrival.

        Nothing follows a Close or a Violation in the list, and later feeds return an empty one. Raises nothing,
        whatever the bytes are.
        """
        items: list[Item] = []
        if self.closed:
            return items
        pos = 0
        if self._need:
            pos = self._resume(data, items)
        elif self._head:
            data = self._head + data
            self._head = b""
        end = len(data)

        append = items.append
        unpack = _unpack_head
        limit_7 = self._limit_7
        limit_16 = self._limit_16
        headed = end - 3  # below it, four bytes can be read
        while pos < end:
            if self._message is None:
                # Whole short text frames, nearly all that an exchange sends. Written for speed: every operation
                # counts here. Whatever is not right or not complete is left to _step, which says what it is.
                while pos < headed:
                    size = data[pos + 1]
                    if size < limit_7:
                        if data[pos] != _FINAL_TEXT:
                            break
                        start = pos + 2
                    else:
                        head, size = unpack(data, pos)
                        if head != _FINAL_TEXT_16 or not _LENGTH_16 <= size <= limit_16:
                            break
                        start = pos + 4
                    stop = start + size
                    if stop > end:
                        break
                    payload = data[start:stop]
                    if not payload.isascii() and not _is_utf8(payload):
                        break
                    append(payload)
                    pos = stop
                if pos == end:
                    break
            pos = self._step(data, pos, items)
        return items

    def _step(self, data: bytes, pos: int, items: list[Item]) -> int:
        """Read the frame at pos, whatever it is. Returns the position after it, or the end if nothing is left to do."""
        end = len(data)
        if end - pos < 2:
            self._head = data[pos:]
            return end
        first = data[pos]
        size = data[pos + 1]
        fault = self._fault(first, size)
        if fault:
            return self._violate(PROTOCOL_ERROR, fault, data, items)
        start = pos + 2
        if size >= _LENGTH_16:
            width, least = (2, _LENGTH_16) if size == _LENGTH_16 else (8, 0x10000)
            start += width
            if start > end:
                self._head = data[pos:]
                return end
            size = int.from_bytes(data[start - width : start], "big")
            if size < least:
                return self._violate(PROTOCOL_ERROR, "length not in its shortest form", data, items)
            if size >> 63:
                return self._violate(PROTOCOL_ERROR, "length with its highest bit set", data, items)
        opcode = first & _OPCODE
        stop = start + size

        if opcode & _CONTROL:
            fragment = False
        else:
            fragment = opcode == CONTINUATION or not first & _FINAL
            if size + (self._message.tell() if self._message is not None else 0) > self._limit:
                return self._violate(TOO_BIG, f"message longer than {self._limit} bytes", data, items)
        if stop <= end and not fragment:
            return self._deliver(opcode, data[start:stop], data, stop, items)

        # A BytesIO, and not a list or a bytearray, because its getvalue() does not copy: no second copy of a
        # message of the greatest length, and no growth from fragments without payload.
        if self._message is None or not fragment:
            self._sink = BytesIO()
            if fragment:
                self._message = self._sink
                self._kind = opcode
        else:
            self._sink = self._message
        self._first = first
        self._sink.write(memoryview(data)[start:stop])
        if stop > end:
            self._need = stop - end
            return end
        return self._finish(data, stop, items)

    def _fault(self, first: int, second: int) -> str:
        """What is wrong with the first two bytes of a frame, or the empty string."""
        opcode = first & _OPCODE
        if first & _RESERVED:
            return "an HTTP answer in place of a frame" if (first, second) == _HTTP else "reserved bit set"
        if opcode not in _OPCODES:
            return "reserved opcode"
        if second & _MASKED:
            return "masked frame from a server"
        if opcode & _CONTROL:
            if not first & _FINAL:
                return "fragmented control frame"
            if second > _CONTROL_LIMIT:
                return "control frame longer than 125 bytes"
        elif opcode == CONTINUATION:
            if self._message is None:
                return "continuation of no message"
        elif self._message is not None:
            return "new message inside a fragmented one"
        return ""

    def _resume(self, data: bytes, items: list[Item]) -> int:
        """Go on with the payload of the frame begun in an earlier feed. Returns the position after it."""
        need = self._need
        size = len(data)
        if size < need:
            self._sink.write(data)
            self._need = need - size
            return size
        self._sink.write(memoryview(data)[:need])
        self._need = 0
        return self._finish(data, need, items)

    def _finish(self, data: bytes, stop: int, items: list[Item]) -> int:
        """The payload of the frame begun is complete in the sink."""
        first = self._first
        if not first & _FINAL:
            return stop
        opcode = first & _OPCODE
        if opcode == CONTINUATION:
            opcode = self._kind
            self._message = None
        payload = self._sink.getvalue()
        self._sink = BytesIO()
        return self._deliver(opcode, payload, data, stop, items)

    def _deliver(self, opcode: int, payload: bytes, data: bytes, stop: int, items: list[Item]) -> int:
        """Add a complete message or control frame to the items."""
        if opcode == TEXT:
            if not _is_utf8(payload):
                return self._violate(INVALID_UTF8, "text that is not UTF-8", data, items)
            items.append(payload)
        elif opcode == BINARY:
            items.append(Binary(payload))
        elif opcode == PING:
            items.append(Ping(payload))
        elif opcode == PONG:
            items.append(Pong(payload))
        else:
            return self._end(_close(payload), data, items)
        return stop

    def _violate(self, code: int, reason: str, data: bytes, items: list[Item]) -> int:
        return self._end(Violation(code, reason), data, items)

    def _end(self, item: Item, data: bytes, items: list[Item]) -> int:
        """Add the last item and let go of everything kept. Returns the end of data: the rest is not looked at."""
        items.append(item)
        self.closed = True
        self._message = None
        self._sink = BytesIO()
        return len(data)


def encode_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """One final, masked frame.

    opcode: TEXT, BINARY, CLOSE, PING or PONG. payload: at most 125 bytes in the last three.
    mask: 4 bytes, unpredictable and new for every frame (RFC 6455 section 5.3).

    Raises:
        ValueError: another opcode, a control frame that is too long, a mask of another length.
    """
    size = len(payload)
    if opcode not in _WHOLE:
        raise ValueError(f"opcode {opcode:#x} cannot be sent as a whole frame")
    if opcode & _CONTROL and size > _CONTROL_LIMIT:
        raise ValueError(f"a control frame carries at most 125 bytes, not {size}")
    if len(mask) != 4:
        raise ValueError(f"a mask has 4 bytes, not {len(mask)}")
    first = _FINAL | opcode
    if size < _LENGTH_16:
        head = bytes((first, _MASKED | size))
    elif size <= 0xFFFF:
        head = bytes((first, _MASKED | _LENGTH_16)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, _MASKED | _LENGTH_64)) + size.to_bytes(8, "big")
    # One exclusive or over the whole payload as an integer: no loop over bytes.
    key = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return head + mask + masked.to_bytes(size, "little")


def encode_close(code: int, reason: str, mask: bytes) -> bytes:
    """A masked close frame. (One without a code is `encode_frame(CLOSE, b"", mask)`.)

    reason: cut to 123 bytes of UTF-8, between two characters; lone surrogates become question marks.
    mask: 4 bytes, as for encode_frame.

    Raises:
        ValueError: a code that may not stand in a frame (such as 1005 or 1006), a mask of another length.
    """
    if not _may_be_sent(code):
        raise ValueError(f"close code {code} may not be sent")
    text = reason.encode("utf-8", "replace")[: _CONTROL_LIMIT - 2].decode("utf-8", "ignore").encode("utf-8")
    return encode_frame(CLOSE, code.to_bytes(2, "big") + text, mask)


def _close(payload: bytes) -> Item:
    """What the payload of a close frame says."""
    if not payload:
        return Close(NO_STATUS, "")
    if len(payload) == 1:
        return Violation(PROTOCOL_ERROR, "close frame with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not _may_be_sent(code):
        return Violation(PROTOCOL_ERROR, f"close code {code} may not be sent")
    try:
        return Close(code, payload[2:].decode("utf-8"))
    except UnicodeDecodeError:
        return Violation(INVALID_UTF8, "close reason that is not UTF-8")


def _may_be_sent(code: int) -> bool:
    """RFC 6455 section 7.4, and 1012 to 1014 of the registry."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def _is_utf8(payload: bytes) -> bool:
    """Whether the payload is valid UTF-8. Takes little memory beside it, however long it is."""
    if payload.isascii():
        return True
    view = memoryview(payload)
    size = len(payload)
    pos = 0
    try:
        while pos < size:
            last = pos + _CHECKED_AT_ONCE
            pos += utf_8_decode(view[pos:last], "strict", last >= size)[1]
    except UnicodeDecodeError:
        return False
    return True
