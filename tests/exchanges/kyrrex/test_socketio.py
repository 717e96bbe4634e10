"""The packets of Socket.IO over Engine.IO: bytes in, packets out; what is none is told and never raises.

What the server would send is partly written by python-socketio's own encoder, which is what its server uses.
"""

from __future__ import annotations

import json
from typing import Any, List, Tuple

import engineio.packet
import pytest
import socketio.packet
from hypothesis import example, given
from hypothesis import strategies as st

from xchws.exchanges.kyrrex.socketio import Decoder, Kind, Malformed, Packet, ack, connect, ping, pong


def encoded(packet_type: int, data: Any = None, number: Any = None) -> bytes:
    """A text message as a server of the same library sends it."""
    packet = socketio.packet.Packet(packet_type, data, id=number)
    text = engineio.packet.Packet(engineio.packet.MESSAGE, packet.encode()).encode()
    assert isinstance(text, str)
    return text.encode()


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        (b'0{"sid":"Qx"}', Packet(Kind.OPEN, b'{"sid":"Qx"}')),
        (b"1", Packet(Kind.CLOSE)),
        (b"2", Packet(Kind.PING)),
        (b"2probe", Packet(Kind.PING, b"probe")),
        (b"3", Packet(Kind.PONG)),
        (b"6", Packet(Kind.NOOP)),
        (b"40", Packet(Kind.CONNECT)),
        (b'40{"sid":"Zr"}', Packet(Kind.CONNECT, b'{"sid":"Zr"}')),
        (b"41", Packet(Kind.DISCONNECT)),
        (b'42["a",{"x":1.10}]', Packet(Kind.EVENT, b'["a",{"x":1.10}]')),
        (b'427["a"]', Packet(Kind.EVENT, b'["a"]', id=7)),
        (b'420["a"]', Packet(Kind.EVENT, b'["a"]', id=0)),
        (b'42/,13["a"]', Packet(Kind.EVENT, b'["a"]', id=13)),
        (b"437[]", Packet(Kind.ACK, b"[]", id=7)),
        (b'44{"message":"no"}', Packet(Kind.CONNECT_ERROR, b'{"message":"no"}')),
        (b'450-["a"]', Packet(Kind.EVENT, b'["a"]')),
        ('42["a","\u20ac-1"]'.encode(), Packet(Kind.EVENT, '["a","\u20ac-1"]'.encode())),
    ],
)
def test_reads(text: bytes, packet: Packet) -> None:
    assert Decoder().read(text) == [packet]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x",
        b"4",
        b"5",
        b"7",
        b"47",
        b"4x",
        b"bAAAA",
        b"b!",
        b"42" + b"9" * 101,
        b"4212345678901-[]",
        b'423-["a"]',
        b'4517-["a"]',
        b'42/admin,["a"]',
        b"40/admin",
        "42\u00b2".encode(),
        b"\xff",
    ],
)
def test_tells_what_is_no_packet(text: bytes) -> None:
    (found,) = Decoder().read(text)
    assert isinstance(found, Malformed)
    assert found.text == text
    assert found.why


def test_leaves_json_as_it_is() -> None:
    text = b'["account",{"balance":82.98583320310000001,"n":1e400,"deep":' + b"[" * 4000
    assert Decoder().read(b"42" + text) == [Packet(Kind.EVENT, text)]


def test_changes_nothing_outside_its_own_classes() -> None:
    assert socketio.packet.Packet.json.loads('{"a":1.5}') == {"a": 1.5}
    assert engineio.packet.Packet.json.dumps({"a": 1.5}) == '{"a": 1.5}'


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5),
    st.none() | st.integers(0),
)
def test_reads_what_a_server_of_the_same_library_writes(data: Any, number: Any) -> None:
    (found,) = Decoder().read(encoded(socketio.packet.EVENT, ["a", data], number))
    assert isinstance(found, Packet)
    assert (found.kind, found.id, json.loads(found.data)) == (Kind.EVENT, number, ["a", data])


def test_collects_attachments() -> None:
    text, *attachments = socketio.packet.Packet(
        socketio.packet.EVENT, ["a", b"\x00\x01", {"b": b"\x02"}], id=5
    ).encode()
    decoder = Decoder()
    assert decoder.read(b"4" + text.encode()) == []
    assert decoder.read(b"2") == [Packet(Kind.PING)]
    assert decoder.read_binary(attachments[0]) == []
    (found,) = decoder.read_binary(attachments[1])
    assert isinstance(found, Packet)
    assert (found.kind, found.id, found.attachments) == (Kind.EVENT, 5, (b"\x00\x01", b"\x02"))
    assert json.loads(found.data)[0] == "a"
    assert decoder.read_binary(b"more") == [Malformed(b"more", "a binary message that no packet announced")]


def test_tells_of_attachments_that_do_not_come() -> None:
    decoder = Decoder()
    assert decoder.read(b'451-["a",{"_placeholder":true,"num":0}]') == []
    given_up, after = decoder.read(b'42["b"]')
    assert isinstance(given_up, Malformed)
    assert b'"a"' in given_up.text
    assert after == Packet(Kind.EVENT, b'["b"]')
    assert isinstance(decoder.read_binary(b"late")[0], Malformed)


def test_binary_acknowledgement() -> None:
    decoder = Decoder()
    assert decoder.read(b'461-3[{"_placeholder":true,"num":0}]') == []
    (found,) = decoder.read_binary(b"x")
    assert isinstance(found, Packet)
    assert (found.kind, found.id) == (Kind.ACK, 3)


def test_version_three_marks_binary_messages() -> None:
    decoder = Decoder(three=True)
    decoder.read(b'451-["a",{"_placeholder":true,"num":0}]')
    assert isinstance(decoder.read_binary(b"x")[0], Malformed)
    (found,) = decoder.read_binary(b"\x04x")
    assert isinstance(found, Packet)
    assert found.attachments == (b"x",)


def test_writes() -> None:
    assert (connect(), ping(), pong()) == (b"40", b"2", b"3")
    assert (ack(7), ack(0), ack(10**30)) == (b"437[]", b"430[]", b"431000000000000000000000000000000[]")


@given(st.booleans(), st.lists(st.tuples(st.booleans(), st.binary() | st.text().map(str.encode))))
@example(False, [(False, b"451-[]"), (True, b"")])
def test_never_raises_and_tells_of_everything(three: bool, frames: List[Tuple[bool, bytes]]) -> None:
    decoder = Decoder(three)
    for binary, payload in frames:
        found = decoder.read_binary(payload) if binary else decoder.read(payload)
        assert found or decoder._waiting is not None
        assert all(isinstance(one, (Packet, Malformed)) for one in found)
