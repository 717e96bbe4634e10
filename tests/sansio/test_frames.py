"""RFC 6455 frames: bytes in, items out. Valid frames are written by `websockets`, invalid ones by hand."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any, List, Optional, Sequence, Tuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from xchws.sansio.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Binary,
    Close,
    FrameReader,
    Item,
    Ping,
    Pong,
    Violation,
    encode_close,
    encode_frame,
)

LENGTHS = [0, 1, 2, 125, 126, 127, 128, 65534, 65535, 65536, 65537]
MASK = b"\x12\x34\xab\xcd"
EURO = "€".encode()


def frame(opcode: int, payload: bytes = b"", fin: bool = True) -> bytes:
    """A server's frame, from the other library."""
    return Frame(Opcode(opcode), payload, fin).serialize(mask=False)


def header(first: int, second: int, extended: bytes = b"") -> bytes:
    return bytes((first, second)) + extended


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return header(0x88, 2 + len(reason)) + struct.pack(">H", code) + reason


def read(stream: bytes, cuts: Sequence[int] = (), max_message: int = 1 << 24) -> List[Item]:
    """What a new reader returns for the stream fed in pieces that end at the cuts."""
    reader = FrameReader(max_message)
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    items: List[Item] = []
    for start, stop in zip(edges, edges[1:]):
        items += reader.feed(stream[start:stop])
    return items


def unmask(data: bytes) -> Tuple[int, bytes, bytes]:
    """Opcode, payload and mask of one final masked frame, decoded byte by byte as section 5.2 draws it."""
    assert data[0] & 0xF0 == 0x80, "final, no reserved bit"
    assert data[1] & 0x80, "masked"
    length, at = data[1] & 0x7F, 2
    if length == 126:
        (length,), at = struct.unpack(">H", data[2:4]), 4
        assert length >= 126
    elif length == 127:
        (length,), at = struct.unpack(">Q", data[2:10]), 10
        assert length >= 65536
    mask, body = data[at : at + 4], data[at + 4 :]
    assert len(body) == length
    return data[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(body)), mask


# Reading what is valid


@pytest.mark.parametrize("length", LENGTHS)
def test_messages_of_boundary_lengths(length: int) -> None:
    payload = b"x" * length
    stream = frame(TEXT, payload) + frame(BINARY, payload) + frame(TEXT, b"after")
    expected = [payload, Binary(payload), b"after"]
    assert read(stream) == expected
    assert read(stream, range(20)) == expected
    assert read(stream, range(0, len(stream), 4099)) == expected


@pytest.mark.parametrize("length", [0, 1, 124, 125])
def test_control_frames_of_boundary_lengths(length: int) -> None:
    payload = b"\xff" * length
    stream = frame(PING, payload) + frame(PONG, payload)
    assert read(stream) == [Ping(payload), Pong(payload)]
    assert read(stream, range(len(stream))) == [Ping(payload), Pong(payload)]


def test_a_text_message_is_plain_bytes() -> None:
    (item,) = read(frame(TEXT, b"{}"))
    assert type(item) is bytes
    (resumed,) = read(frame(TEXT, b"{}"), range(4))
    assert type(resumed) is bytes
    (joined,) = read(frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"}"))
    assert type(joined) is bytes and joined == b"{}"


def test_nothing_for_nothing() -> None:
    reader = FrameReader()
    assert reader.feed(b"") == []
    assert not reader.midway and not reader.closed


def test_text_beyond_ascii() -> None:
    text = "цена 1 € 😀".encode()
    stream = frame(TEXT, text) + frame(TEXT, text * 20) + frame(TEXT, text * 7000)
    assert read(stream) == [text, text * 20, text * 7000]
    assert read(stream, range(0, len(stream), 1000)) == [text, text * 20, text * 7000]


@pytest.mark.parametrize("shift", range(5))
def test_long_text_is_checked_across_the_pieces_of_the_check(shift: int) -> None:
    good = b"x" * shift + "😀".encode() * 40000
    assert read(frame(TEXT, good)) == [good]
    bad = good[:-1]
    assert [item.code for item in read(frame(TEXT, bad)) if isinstance(item, Violation)] == [1007]
    broken = good[:65538] + b"\xff" + good[65538:]
    assert [item.code for item in read(frame(TEXT, broken)) if isinstance(item, Violation)] == [1007]


def test_fragments_may_split_a_character_and_control_frames_come_between_in_order() -> None:
    stream = b"".join(
        [
            frame(TEXT, b"a" + EURO[:1], fin=False),
            frame(PING, b"1"),
            frame(CONTINUATION, EURO[1:2], fin=False),
            frame(CONTINUATION, b"", fin=False),
            frame(PONG, b"2"),
            frame(CONTINUATION, EURO[2:]),
            frame(BINARY, b"\xff", fin=False),
            frame(PING, b"3"),
            frame(CONTINUATION, b"\xfe"),
            frame(TEXT, b"end"),
        ]
    )
    expected = [Ping(b"1"), Pong(b"2"), b"a" + EURO, Ping(b"3"), Binary(b"\xff\xfe"), b"end"]
    assert read(stream) == expected
    assert read(stream, range(len(stream))) == expected


def test_one_cut_anywhere_changes_nothing() -> None:
    stream = b"".join([frame(TEXT, b"a"), frame(TEXT), frame(TEXT, b"b" * 130), frame(PING, b"p"), frame(TEXT, EURO)])
    expected = [b"a", b"", b"b" * 130, Ping(b"p"), EURO]
    for cut in range(len(stream) + 1):
        assert read(stream, [cut]) == expected


def test_an_empty_fragmented_message() -> None:
    assert read(frame(TEXT, b"", fin=False) + frame(CONTINUATION)) == [b""]


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_close_codes_that_are_valid(code: int) -> None:
    assert read(close_frame(code, "до".encode())) == [Close(code, "до")]


def test_close_without_a_code() -> None:
    assert read(frame(CLOSE)) == [Close(1005, "")]


def test_nothing_is_read_after_close() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"a") + close_frame(1001) + frame(TEXT, b"b") + b"\xff") == [b"a", Close(1001, "")]
    assert reader.closed and not reader.midway
    assert reader.feed(frame(TEXT, b"c")) == []


def test_close_inside_a_fragmented_message_is_a_close() -> None:
    reader = FrameReader()
    assert reader.feed(frame(TEXT, b"a", fin=False) + close_frame(1000)) == [Close(1000, "")]
    assert reader.closed and not reader.midway


def test_midway_at_every_byte() -> None:
    stream = frame(TEXT, b"ab") + frame(TEXT, b"c" * 200, fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"d")
    reader = FrameReader()
    midway = []
    for index in range(len(stream)):
        reader.feed(stream[index : index + 1])
        midway.append(reader.midway)
    assert [index for index, inside in enumerate(midway) if not inside] == [3, len(stream) - 1]


def test_items_compare_by_value_and_cannot_be_changed() -> None:
    assert len({Ping(b""), Ping(b""), Pong(b""), Close(1000, ""), Violation(1000, "")}) == 4
    with pytest.raises(AttributeError):
        Ping(b"").payload = b"x"  # type: ignore[misc]  # that it is refused is what is tested


# Reading what is not

VIOLATIONS = [
    ("reserved bit 1", header(0xC1, 0), 1002),
    ("reserved bit 2", header(0xA1, 0), 1002),
    ("reserved bit 3", header(0x91, 0), 1002),
    ("reserved bit in a ping", header(0xC9, 0), 1002),
    ("reserved bit in a continuation", frame(TEXT, b"a", fin=False) + header(0xC0, 0), 1002),
    *((f"reserved opcode {opcode:#x}", header(0x80 | opcode, 0), 1002) for opcode in (*range(3, 8), *range(11, 16))),
    ("masked text", header(0x81, 0x81, MASK + b"a"), 1002),
    ("masked long text", header(0x81, 0xFE, b"\x00\x7e"), 1002),
    ("masked ping", header(0x89, 0x80, MASK), 1002),
    ("fragmented ping", header(0x09, 0), 1002),
    ("fragmented pong", header(0x0A, 0), 1002),
    ("fragmented close", header(0x08, 0), 1002),
    ("ping of 126", header(0x89, 126), 1002),
    ("pong of 126", header(0x8A, 126, b"\x00\x7e"), 1002),
    ("close of 64 bits", header(0x88, 127), 1002),
    ("64 bits, highest set", header(0x81, 127, b"\x80" + bytes(6) + b"\x05"), 1002),
    ("64 bits, all set", header(0x82, 127, b"\xff" * 8), 1002),
    ("125 in 16 bits", header(0x81, 126, b"\x00\x7d"), 1002),
    ("125 in 16 bits, whole", header(0x81, 126, b"\x00\x7d") + bytes(125), 1002),
    ("0 in 16 bits", header(0x82, 126, b"\x00\x00"), 1002),
    ("65535 in 64 bits", header(0x81, 127, struct.pack(">Q", 65535)), 1002),
    ("0 in 64 bits", header(0x81, 127, bytes(8)), 1002),
    ("125 in 16 bits in a fragment", frame(BINARY, b"", fin=False) + header(0x80, 126, b"\x00\x7d"), 1002),
    ("continuation of nothing", frame(CONTINUATION, b"a"), 1002),
    ("continuation of nothing, not final", frame(CONTINUATION, b"a", fin=False), 1002),
    ("text inside a text", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    ("fragment inside a text", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b", fin=False), 1002),
    ("binary inside a text", frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), 1002),
    ("close of one byte", header(0x88, 1, b"\x03"), 1002),
    *(
        (f"close code {code}", close_frame(code, b"why"), 1002)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535)
    ),
    ("close reason", close_frame(1000, b"\xff"), 1007),
    ("close reason cut", close_frame(1000, EURO[:2]), 1007),
    ("text", frame(TEXT, b"\xff"), 1007),
    ("text of 16 bits", frame(TEXT, b"a" * 200 + b"\xff"), 1007),
    ("text of 64 bits", frame(TEXT, b"a" * 70000 + b"\xff"), 1007),
    ("text cut", frame(TEXT, b"ab" + EURO[:2]), 1007),
    ("overlong", frame(TEXT, b"\xc0\x80ab"), 1007),
    ("surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007),
    ("beyond unicode", frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    ("fragmented text", frame(TEXT, b"a\xff", fin=False) + frame(CONTINUATION, b"b"), 1007),
    ("fragmented text cut", frame(TEXT, EURO[:1], fin=False) + frame(CONTINUATION, EURO[1:2]), 1007),
]


@pytest.mark.parametrize(("stream", "code"), [case[1:] for case in VIOLATIONS], ids=[case[0] for case in VIOLATIONS])
def test_violations(stream: bytes, code: int) -> None:
    before = frame(TEXT, b"before") + frame(BINARY, b"two")
    after = frame(TEXT, b"after")
    pieces: List[Sequence[int]] = [[], range(len(before) + 20), [len(before)]]
    for cuts in pieces:
        items = read(before + stream + after, cuts)
        assert items[:2] == [b"before", Binary(b"two")]
        (last,) = items[2:]
        assert isinstance(last, Violation) and last.code == code and last.reason


def test_a_finished_message_is_not_continued() -> None:
    whole = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b")
    assert read(whole * 2) == [b"ab", b"ab"]
    *items, last = read(whole + frame(CONTINUATION, b"c"))
    assert items == [b"ab"]
    assert isinstance(last, Violation) and last.code == 1002


@pytest.mark.parametrize("cuts", [[], [1], range(40)])
def test_an_http_answer_is_named(cuts: Sequence[int]) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\n\r\nUnsupported protocol version"
    assert read(answer, cuts) == [Violation(1002, "an HTTP answer in place of a frame")]
    assert read(b"HXTP", cuts) == [Violation(1002, "reserved bit set")]


def test_nothing_is_read_after_a_violation() -> None:
    reader = FrameReader()
    (violation,) = reader.feed(frame(TEXT, b"a", fin=False) + header(0x83, 0) + frame(CONTINUATION, b"b"))
    assert isinstance(violation, Violation)
    assert reader.closed and not reader.midway
    assert reader.feed(frame(TEXT, b"c")) == []


@pytest.mark.parametrize("limit", [0, 1, 124, 125, 126, 127, 65535, 65536, 65537])
def test_a_message_longer_than_the_limit_is_refused_by_its_header(limit: int) -> None:
    for opcode, item in ((TEXT, bytes(limit)), (BINARY, Binary(bytes(limit)))):
        longest, longer = frame(opcode, bytes(limit)), frame(opcode, bytes(limit + 1))
        size = len(longer) - limit - 1
        (violation,) = read(longer, max_message=limit)
        assert isinstance(violation, Violation) and violation.code == 1009
        assert read(longer[:size], max_message=limit) == [violation]
        assert read(longest + longer, max_message=limit) == [item, violation]


def test_a_limit_is_for_messages_and_not_for_control_frames() -> None:
    assert read(frame(PING, b"x" * 125) + frame(TEXT, b"ab"), max_message=2) == [Ping(b"x" * 125), b"ab"]


def test_fragments_longer_than_the_limit_are_refused_by_the_header_that_says_so() -> None:
    start = frame(TEXT, b"x" * 60, fin=False) + frame(CONTINUATION, b"x" * 40, fin=False)
    assert read(start + frame(CONTINUATION), max_message=100) == [b"x" * 100]
    pieces: List[Sequence[int]] = [[], range(200)]
    for cuts in pieces:
        (violation,) = read(start + header(0x00, 1), cuts, max_message=100)
        assert isinstance(violation, Violation) and violation.code == 1009
    assert read(start + frame(CONTINUATION) + frame(TEXT, b"y" * 100), max_message=100) == [b"x" * 100, b"y" * 100]


@pytest.mark.parametrize("fragment", [None, 1000, 0])
def test_memory_stays_within_the_limit_and_one_feed(fragment: Optional[int]) -> None:
    limit, piece = 4_000_000, bytes(10_000)
    reader = FrameReader(limit)
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]
        items: List[Item] = []
        if fragment is None:
            items += reader.feed(header(0x82, 127, struct.pack(">Q", limit)))
            for _ in range(limit // len(piece)):
                items += reader.feed(piece)
            expected: List[type] = [Binary]
        elif fragment:
            part = header(0x00, 126, struct.pack(">H", fragment)) + bytes(fragment)
            items += reader.feed(header(0x02, 0))
            for _ in range(limit // fragment):
                items += reader.feed(part)
            items += reader.feed(part)
            expected = [Violation]
        else:
            items += reader.feed(header(0x01, 0))
            for _ in range(20):
                items += reader.feed(header(0x00, 0) * 1000)
            expected = []
        peak = tracemalloc.get_traced_memory()[1] - base
    finally:
        tracemalloc.stop()
    assert [type(item) for item in items] == expected
    assert peak < (limit * 9 // 8 if fragment != 0 else 0) + 100_000


# Any cuts, any bytes

texts = st.text(max_size=40).map(str.encode) | st.sampled_from([b"x" * size for size in LENGTHS])
blobs = st.binary(max_size=40) | st.sampled_from([b"\xff" * size for size in LENGTHS])
controls = st.one_of(
    st.binary(max_size=125).map(lambda payload: (frame(PING, payload), Ping(payload))),
    st.binary(max_size=125).map(lambda payload: (frame(PONG, payload), Pong(payload))),
)


@st.composite
def messages(draw: st.DrawFn) -> List[Tuple[bytes, Optional[Item]]]:
    """One message as (frame, item that it completes), whole or in fragments with control frames between."""
    opcode = draw(st.sampled_from([TEXT, TEXT, BINARY]))
    payload = draw(texts if opcode == TEXT else blobs)
    item: Item = payload if opcode == TEXT else Binary(payload)
    edges = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    bounds = [0, *edges, len(payload)]
    frames: List[Tuple[bytes, Optional[Item]]] = []
    for index, (start, stop) in enumerate(zip(bounds, bounds[1:])):
        final = index == len(edges)
        data = frame(CONTINUATION if index else opcode, payload[start:stop], fin=final)
        frames.append((data, item if final else None))
        if not final:
            frames += draw(st.lists(controls, max_size=1))
    return frames


conversations = st.lists(messages() | st.lists(controls, max_size=2), max_size=6).map(lambda groups: sum(groups, []))
cutting = st.lists(st.integers(0, 300) | st.integers(0, 200_000), max_size=12) | st.just(list(range(400)))


@settings(deadline=None)
@given(conversations, st.none() | st.sampled_from([1000, 3000]), cutting)
def test_valid_frames_in_any_pieces(
    conversation: List[Tuple[bytes, Optional[Item]]], code: Optional[int], cuts: List[int]
) -> None:
    stream = b"".join(data for data, _ in conversation)
    expected = [item for _, item in conversation if item is not None]
    if code is not None:
        stream += close_frame(code, b"bye")
        expected.append(Close(code, "bye"))
    assert read(stream) == expected
    assert read(stream, cuts) == expected


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid conversation of short messages, in which some bytes were changed, put in or taken out."""
    short = st.one_of(
        st.tuples(st.sampled_from([TEXT, BINARY]), st.text(max_size=12).map(str.encode)).map(lambda pair: frame(*pair)),
        st.integers(126, 140).map(lambda size: frame(TEXT, b"x" * size)),
        st.binary(max_size=4).map(lambda payload: frame(PING, payload)),
        st.text(max_size=4).map(
            lambda text: frame(TEXT, text.encode()[:1], fin=False) + frame(CONTINUATION, text.encode()[1:])
        ),
        st.sampled_from([1000, 1006, 4000]).map(close_frame),
    )
    stream = bytearray(b"".join(draw(st.lists(short, min_size=1, max_size=6))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(stream)))
        width = draw(st.integers(0, 2))
        stream[at : at + width] = draw(st.sampled_from([b"\x01", b"\x81", b"\x80", b"\x7e"]) | st.binary(max_size=2))
    return bytes(stream)


@settings(deadline=None)
@given(st.binary(max_size=300) | mutated(), cutting, st.sampled_from([5, 200, 1 << 24]))
@example(b"\x81\x7f" + b"\xff" * 8, [1], 5)
def test_any_bytes_raise_nothing_and_cuts_change_nothing(stream: bytes, cuts: List[int], limit: int) -> None:
    items = read(stream, max_message=limit)
    assert read(stream, cuts, max_message=limit) == items
    assert read(stream, range(len(stream)), max_message=limit) == items
    assert not any(isinstance(item, (Close, Violation)) for item in items[:-1])


# The same bytes to `websockets`

LIMIT = 600
LENGTH_FORM = ("length not in its shortest form", "control frame longer than 125 bytes")


class Peer:
    """The client of `websockets`, with what it leaves to the layer above: joining fragments, and UTF-8 of text."""

    def __init__(self) -> None:
        self.protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=State.OPEN, max_size=LIMIT)
        self.items: List[Item] = []
        self.failed = False
        self.frames = 0
        self._parts: List[bytes] = []
        self._opcode = TEXT

    def feed(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            self.frames += 1
            if not self.failed:
                self._take(event)
        self.failed = self.failed or self.protocol.parser_exc is not None

    def _take(self, event: Any) -> None:
        payload = bytes(event.data)
        if event.opcode is Opcode.PING:
            self.items.append(Ping(payload))
        elif event.opcode is Opcode.PONG:
            self.items.append(Pong(payload))
        elif event.opcode is Opcode.CLOSE:
            close = self.protocol.close_rcvd
            assert close is not None
            self.items.append(Close(int(close.code), close.reason))
        else:
            if event.opcode is not Opcode.CONT:
                self._opcode = int(event.opcode)
            self._parts.append(payload)
            if event.fin:
                whole = b"".join(self._parts)
                self._parts = []
                self._join(whole)

    def _join(self, whole: bytes) -> None:
        if self._opcode == BINARY:
            self.items.append(Binary(whole))
            return
        try:
            whole.decode()
        except UnicodeDecodeError:
            self.failed = True
        else:
            self.items.append(whole)

    def fails_at_the_frame_begun(self) -> bool:
        """Whether the frame that it waits for is refused once it is complete."""
        frames = self.frames
        for _ in range(LIMIT + 16):
            self.feed(b"\x00")
            if self.failed or self.frames > frames:
                break
        return self.failed and self.frames == frames


@settings(max_examples=settings().max_examples * 4)
@given(mutated() | st.binary(max_size=60))
@example(frame(TEXT, b"a", fin=False) + close_frame(1000))
@example(header(0x81, 126, b"\x00\x05hello"))
@example(header(0x89, 126, b"\x00"))
@example(header(0xC1, 5))
@example(header(0x83, 5))
def test_same_verdict_as_websockets(stream: bytes) -> None:
    """The same items before the first error, and an error in both or in neither, but for what is legitimate:

    * it takes lengths that are not in their shortest form, those of control frames among them;
    * it takes a close inside a fragmented message for an error, while section 5.4 lets control frames be there;
    * it speaks at the end of a frame where we speak at its header.

    The codes may differ (for a control frame of too great a length it may say 1009), so they are not compared.
    """
    items = read(stream, max_message=LIMIT)
    peer = Peer()
    peer.feed(stream)
    last = items[-1] if items else None
    if not isinstance(last, Violation):
        if peer.failed and isinstance(last, Close) and isinstance(peer.protocol.parser_exc, ProtocolError):
            assert str(peer.protocol.parser_exc) == "incomplete fragmented message"
            items.pop()
        else:
            assert not peer.failed
        assert items == peer.items
        return
    items.pop()
    assert items == peer.items[: len(items)]
    if last.reason not in LENGTH_FORM:
        assert peer.items == items
        assert peer.failed or peer.fails_at_the_frame_begun()


# Writing


@settings(deadline=None)
@given(st.sampled_from([TEXT, BINARY]), blobs | texts, st.binary(min_size=4, max_size=4))
def test_frames_written_read_back(opcode: int, payload: bytes, mask: bytes) -> None:
    data = encode_frame(opcode, payload, mask)
    assert unmask(data) == (opcode, payload, mask)
    server = ServerProtocol(state=State.OPEN)
    server.receive_data(data)
    (event,) = server.events_received()
    assert isinstance(event, Frame)
    assert (event.opcode, bytes(event.data), event.fin) == (opcode, payload, True)
    assert server.parser_exc is None


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("mask", [bytes(4), b"\xff" * 4, MASK, b"\x00\x00\x00\x01"])
def test_written_lengths(length: int, mask: bytes) -> None:
    payload = bytes(index % 251 for index in range(length))
    assert unmask(encode_frame(BINARY, payload, mask)) == (BINARY, payload, mask)


@given(st.sampled_from([PING, PONG]), st.binary(max_size=125), st.binary(min_size=4, max_size=4))
def test_control_frames_written_read_back(opcode: int, payload: bytes, mask: bytes) -> None:
    assert unmask(encode_frame(opcode, payload, mask)) == (opcode, payload, mask)


def test_an_example_of_the_rfc() -> None:
    # RFC 6455 section 5.7: a single-frame masked text message.
    assert encode_frame(TEXT, b"Hello", b"\x37\xfa\x21\x3d") == bytes.fromhex("818537fa213d7f9f4d5158")


@pytest.mark.parametrize(
    ("opcode", "payload", "mask"),
    [
        (CONTINUATION, b"", MASK),
        (0x3, b"", MASK),
        (0x81, b"", MASK),
        (PING, bytes(126), MASK),
        (CLOSE, bytes(126), MASK),
        (TEXT, b"", b"abc"),
        (TEXT, b"", b"abcde"),
    ],
)
def test_frames_that_are_not_written(opcode: int, payload: bytes, mask: bytes) -> None:
    with pytest.raises(ValueError):
        encode_frame(opcode, payload, mask)


@given(st.sampled_from([1000, 1001, 1003, 1007, 1010, 1014, 3000, 4999]), st.text() | st.text(min_size=60))
def test_close_written_read_back(code: int, reason: str) -> None:
    opcode, payload, _ = unmask(encode_close(code, reason, MASK))
    assert opcode == CLOSE and len(payload) <= 125
    assert struct.unpack(">H", payload[:2]) == (code,)
    told = payload[2:].decode()
    assert reason.startswith(told)
    if told != reason:
        assert len((told + reason[len(told)]).encode()) > 123
    server = ServerProtocol(state=State.OPEN)
    server.receive_data(encode_close(code, reason, MASK))
    assert server.close_rcvd is not None
    assert (int(server.close_rcvd.code), server.close_rcvd.reason) == (code, told)


@pytest.mark.parametrize("size", [122, 123, 124])
def test_close_reason_is_cut_between_characters(size: int) -> None:
    _, payload, _ = unmask(encode_close(1000, "x" * (size - 2) + "€", MASK))
    assert payload[2:].decode() == "x" * (size - 2) + ("€" if size == 122 else "")


def test_close_reason_with_a_lone_surrogate_is_still_sent() -> None:
    assert unmask(encode_close(1000, "a\ud800b", MASK))[1][2:] == b"a?b"


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536])
def test_close_codes_that_are_not_sent(code: int) -> None:
    with pytest.raises(ValueError):
        encode_close(code, "", MASK)
