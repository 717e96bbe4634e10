"""Faults of a connection that serves: the line, the WebSocket's frames, and the messages in them."""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict, List, Optional

import xchws
from tests.faults.fault import Fault
from tests.faults.outcomes import Outcome, Outcomes, Ready, as_told
from tests.faults.trial import WAIT, Trial
from tests.rigs import PAIR
from xchws.errors import ConnectionLost, ProtocolError, Silent

CUT = Ready(as_told, ConnectionLost)
UNHARMED = Ready()
PING_INTERVAL, PING_TIMEOUT = 20.0, 10.0  # seconds: the client's defaults
FAULTS: List[Fault] = []
Act = Callable[[Trial], Any]


def fault(
    phase: str, name: str, outcome: Outcome = CUT, but: Optional[Outcomes] = None, **more: Any
) -> Callable[[Act], Act]:
    """Makes a fault of the function under it."""

    def make(inject: Act) -> Act:
        FAULTS.append(Fault(phase, name, inject, outcome, but or {}, **more))
        return inject

    return make


# ------------------------------------------------------------------------------------------------------------ the line

LINE = "live stream"

fault(LINE, "cut (FIN)")(lambda trial: trial.lose(trial.proxy.cut))
fault(LINE, "cut (FIN), over TLS", tls=True)(lambda trial: trial.lose(trial.proxy.cut))
fault(LINE, "reset (RST)")(lambda trial: trial.lose(trial.proxy.reset))
fault(LINE, "reset (RST), over TLS", tls=True)(lambda trial: trial.lose(trial.proxy.reset))
fault(LINE, "cut by the exchange")(lambda trial: trial.lose(trial.sandbox.drop))
fault(LINE, "reset by the exchange")(lambda trial: trial.lose(lambda: trial.sandbox.drop(reset=True)))


def answered_ping(trial: Trial, after: float = PING_INTERVAL) -> None:
    """After so many seconds the client has pinged the quiet line, and is answered."""
    pings = _pings(trial)
    trial.leap(after)
    trial.sandbox.wait_until(lambda: _pings(trial) > pings, WAIT)
    trial.heard()  # it comes after the pong


def _pings(trial: Trial) -> int:
    return sum(item.kind == "ping" for item in trial.sandbox.received)


def silent(trial: Trial, begin: Callable[[], Any], end: Callable[[], Any]) -> None:
    """Nothing comes any more, and nothing is taken: the client pings, waits, and gives the connection up."""
    answered_ping(trial)
    begin()
    trial.publish()
    mark = trial.mark()
    trial.leap(PING_INTERVAL)
    trial.leap(PING_TIMEOUT)
    trial.came(xchws.Disconnected, mark, lambda event: isinstance(event.error, Silent))
    end()


@fault(LINE, "half-open: silence", Ready(as_told, Silent))
def half_open(trial: Trial) -> None:
    silent(trial, trial.proxy.freeze, trial.proxy.thaw)


@fault(LINE, "half-open: silence, over TLS", Ready(as_told, Silent), tls=True)
def half_open_tls(trial: Trial) -> None:
    silent(trial, trial.proxy.freeze, trial.proxy.thaw)


@fault(LINE, "the exchange stalls", Ready(as_told, Silent))
def stalled(trial: Trial) -> None:
    silent(trial, trial.sandbox.stall, trial.sandbox.resume)


@fault(LINE, "silence that ends in time", UNHARMED)
def pause(trial: Trial) -> None:
    trial.proxy.freeze()
    trial.publish()
    trial.leap(PING_INTERVAL - 5)
    trial.proxy.thaw()


@fault(LINE, "delayed", UNHARMED)
def delayed(trial: Trial) -> None:
    trial.proxy.delay(0.05)
    trial.heard()
    trial.proxy.clear()


@fault(LINE, "byte by byte", UNHARMED)
@fault(LINE, "byte by byte, over TLS", UNHARMED, tls=True)
def byte_by_byte(trial: Trial) -> None:
    trial.proxy.byte_by_byte()
    trial.heard()
    trial.proxy.clear()


@fault(LINE, "throttled", UNHARMED)
def throttled(trial: Trial) -> None:
    trial.proxy.throttle(10_000)
    trial.heard()
    trial.proxy.clear()


@fault(LINE, "a frame cut in the middle")
@fault(LINE, "a TLS record cut in the middle", tls=True)
def truncated(trial: Trial) -> None:
    trial.proxy.truncate_after(3)
    trial.lose(lambda: None)
    trial.proxy.clear()


@fault(
    LINE,
    "cut again as soon as it serves again",
    Ready(as_told, ConnectionLost, again=True),
    complaints="remark: .* a second time",  # by Kyan, where a recovered session has it already
)
def cut_twice(trial: Trial) -> None:
    mark = trial.mark()
    trial.lose(trial.proxy.cut)
    trial.came(xchws.Connected, mark)
    trial.lose(trial.proxy.cut)


# ---------------------------------------------------------------------------------------------------------- the frames

FRAMES = "frames"


def frames(name: str, code: int, *sent: Dict[str, Any]) -> None:
    """Frames that break the protocol: the client says so by this close code, and leaves."""

    def inject(trial: Trial) -> None:
        session = trial.sandbox.wait_for_session()

        def act() -> None:
            for frame in sent:
                trial.sandbox.send_frame(**frame)

        event = trial.lose(act)
        assert isinstance(event.error, ConnectionLost) and event.error.code == code, repr(event.error)
        trial.sandbox.wait_until(lambda: session.close_code == code, WAIT)

    fault(FRAMES, name)(inject)


frames("reserved opcode", 1002, {"opcode": 3, "payload": b"x"})
frames("reserved control opcode", 1002, {"opcode": 0xB, "payload": b""})
frames("reserved bit", 1002, {"opcode": 1, "payload": b"{}", "rsv": 4})
frames("masked", 1002, {"opcode": 1, "payload": b"{}", "mask": True})
frames("text that is not UTF-8", 1007, {"opcode": 1, "payload": b'"\xff\xfe"'})
frames("control frame of 126 bytes", 1002, {"opcode": 9, "payload": b"x" * 126})
frames("fragmented control frame", 1002, {"opcode": 9, "payload": b"", "fin": False})
frames("continuation of nothing", 1002, {"opcode": 0, "payload": b"x"})
frames(
    "a message inside another",
    1002,
    {"opcode": 1, "payload": b"{", "fin": False},
    {"opcode": 1, "payload": b"{}"},
)
frames("close frame of one byte", 1002, {"opcode": 8, "payload": b"\x03"})
frames("close reason that is not UTF-8", 1007, {"opcode": 8, "payload": struct.pack("!H", 1000) + b"\xff"})


def bytes_in_place(name: str, code: int, data: bytes) -> None:
    """Bytes that are no frame."""

    def inject(trial: Trial) -> None:
        session = trial.sandbox.wait_for_session()
        event = trial.lose(lambda: session.send_bytes(data))
        assert isinstance(event.error, ConnectionLost) and event.error.code == code, repr(event.error)

    fault(FRAMES, name)(inject)


bytes_in_place("a message above 16 MiB", 1009, b"\x81\x7f" + struct.pack("!Q", 16 * 1024 * 1024 + 1))
bytes_in_place("a length with its highest bit set", 1002, b"\x81\x7f" + struct.pack("!Q", 1 << 63))
bytes_in_place("an HTTP answer in place of a frame", 1002, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


@fault(FRAMES, "a message in fragments, with control frames between", UNHARMED)
def fragments(trial: Trial) -> None:
    session = trial.sandbox.wait_for_session()

    def in_fragments(text: str) -> None:
        payload = text.encode()
        session.send_frame(1, b"", fin=False)
        for place in range(len(payload)):
            session.send_frame(0, payload[place : place + 1], fin=False)
            session.send_frame(10, b"unasked")
        session.send_frame(0, b"")

    session.send_text = in_fragments
    trial.heard()


@fault(FRAMES, "a flood of pings", UNHARMED)
def flood(trial: Trial) -> None:
    session = trial.sandbox.wait_for_session()
    for number in range(1000):
        session.ping(str(number).encode())
    trial.sandbox.wait_until(
        lambda: any(item.kind == "pong" and item.text == "999" for item in trial.sandbox.received), WAIT
    )


# -------------------------------------------------------------------------------------------------------- the messages

MESSAGES = "messages"
UNREADABLE = Ready(error=ProtocolError)


def message(
    name: str, text: Callable[[Trial], Any], outcome: Outcome = UNREADABLE, but: Optional[Outcomes] = None
) -> None:
    """A message that makes no sense: it is told, and the connection goes on."""

    def inject(trial: Trial) -> None:
        mark = trial.mark()
        trial.sandbox.send_raw(text(trial))
        said = trial.outcome
        if isinstance(said, Ready) and said.error is not None:
            trial.came(xchws.Failure, mark)

    fault(MESSAGES, name, outcome, but)(inject)


OTHER = UNHARMED  # it is told as `Other`, or has nothing in it that could be told

message("bad JSON", lambda trial: '{"a":')
message("no JSON at all", lambda trial: "maintenance")
message("empty", lambda trial: "", UNREADABLE, {"indodax": OTHER, "indodax-market": OTHER})
message("null", lambda trial: "null")
message("a number", lambda trial: "7")
message("a list of nothing", lambda trial: "[]")
message("an object of nothing", lambda trial: "{}", OTHER, {"kyrrex": UNREADABLE})
message("deep nesting", lambda trial: "[" * 100_000)
message("deep nesting in an object", lambda trial: '{"result":' * 20_000)
message(
    "a number of 10,000 digits",
    lambda trial: '{"id":' + "9" * 10_000 + "}",
    UNREADABLE,
    {"richamster": OTHER, "finery": OTHER},
)
message("4 MiB of text", lambda trial: '{"x":"' + "x" * (4 << 20) + '"}', OTHER, {"kyrrex": UNREADABLE})
message("binary", lambda trial: b"\x00\x01\xff")

WRONG_TYPES: Dict[str, str] = {
    "indodax": '{"push":{"channel":"CHANNEL","pub":{"data":[{"eventType":"order_update","order":{"orderId":[1]}}]}}}',
    "indodax-market": '{"result":{"channel":"chart:tick-btcidr","data":{"data":[["x",{},[],null]]}}}',
    "richamster": '{"pair":7,"unit_price":[],"volume":{},"side":3}',
    "kyrrex": '42["account",{"data":{"action":7,"object":[1]}}]',
    "kyan": '{"kind":"event","type":"index_price","data":{"value":[]},"subscription":{"channel":"index_price",'
    '"query":{"pair":"' + PAIR + '"}}}',
    "finery": '["L",0,"M",[{"x":1}]]',
}


@fault(MESSAGES, "wrong types in what is known", UNREADABLE)
def wrong_types(trial: Trial) -> None:
    mark = trial.mark()
    text = WRONG_TYPES[trial.rig.name]
    if trial.rig.name == "indodax":
        text = text.replace("CHANNEL", trial.sandbox.channel())
    trial.sandbox.send_raw(text)
    trial.came(xchws.Failure, mark)
