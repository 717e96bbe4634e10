"""The faults: drawn from a seed with all that is random about them, then done to a stand.

Each leaves the world as it was: what it broke is whole again when it returns, so that the client can recover. Which of them
come in which order depends on the seed alone, never on what happens meanwhile.
"""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import xchws
from tests.soak.stand import CAPACITY, PATIENCE, STREAM, Stand

Act = Callable[[Stand], None]


class Fault(NamedTuple):
    """One fault, with everything drawn: what it is, in words, and how it is done."""

    kind: str
    words: str
    act: Act


class Kind(NamedTuple):
    """A kind of fault: how often it is drawn against others, and what draws one. Slow ones take some 10 s and more."""

    name: str
    weight: float
    draw: Callable[[random.Random], Tuple[str, Act]]
    slow: bool = False


def faults(rig: str, seed: int, slow: bool) -> Iterator[Fault]:
    """The faults for a client, without end, and always the same for the same arguments."""
    rng = random.Random(f"{seed}/{rig}/faults")
    kinds = [kind for kind in (*LINE, *EXCHANGE, *MESSAGES, *CALLBACKS, *OWN[rig]) if slow or not kind.slow]
    weights = [kind.weight for kind in kinds]
    while True:
        (kind,) = rng.choices(kinds, weights)
        words, act = kind.draw(rng)
        yield Fault(kind.name, words, act)


def pause(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)


@contextmanager
def lost(stand: Stand) -> Iterator[None]:
    """What is done inside must end the connection: waits until the client has told so."""
    gone = stand.client.expect(xchws.Disconnected)
    try:
        yield
        gone.result(PATIENCE)
    finally:
        gone.cancel()


def once(act: Callable[[Stand], Any]) -> Callable[[random.Random], Tuple[str, Act]]:
    """Nothing is random about it; the connection need not end."""
    return lambda rng: ("", act)


def ending(act: Callable[[Stand], Any]) -> Callable[[random.Random], Tuple[str, Act]]:
    """Nothing is random about it, and the connection ends."""

    def done(stand: Stand) -> None:
        with lost(stand):
            act(stand)

    return lambda rng: ("", done)


# ------------------------------------------------------------------------------------------------------------ the line


def _frozen(rng: random.Random) -> Tuple[str, Act]:
    def act(stand: Stand) -> None:
        try:
            with lost(stand):
                stand.proxy.freeze()
        finally:
            stand.proxy.thaw()

    return "until it is noticed", act


def _briefly_frozen(rng: random.Random) -> Tuple[str, Act]:
    seconds = rng.uniform(0.02, 0.3)

    def act(stand: Stand) -> None:
        stand.proxy.freeze()
        pause(seconds)
        stand.proxy.thaw()

    return f"{seconds:.2f} s", act


def _slow_line(rng: random.Random) -> Tuple[str, Act]:
    how = rng.choice(("delay", "byte by byte", "throttle"))
    delay, rate, lasts = rng.uniform(0.01, 0.3), rng.uniform(5e3, 5e4), rng.uniform(0.1, 0.6)

    def act(stand: Stand) -> None:
        if how == "delay":
            stand.proxy.delay(delay)
        elif how == "throttle":
            stand.proxy.throttle(rate)
        else:
            stand.proxy.byte_by_byte()
        pause(lasts)
        stand.proxy.clear()

    words = {"delay": f"{delay:.2f} s of delay", "throttle": f"{rate:.0f} bytes/s"}.get(how, how)
    return f"{words} for {lasts:.2f} s", act


def _truncated(rng: random.Random) -> Tuple[str, Act]:
    count = rng.randint(1, 3000)

    def act(stand: Stand) -> None:
        try:
            with lost(stand):
                stand.proxy.truncate_after(count)
        finally:
            stand.proxy.clear()

    return f"after {count} bytes", act


def _refused_connections(rng: random.Random) -> Tuple[str, Act]:
    lasts = rng.uniform(0.05, 0.5)

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.proxy.refuse_connections()
            stand.proxy.cut()
        pause(lasts)
        stand.proxy.accept_connections()

    return f"for {lasts:.2f} s", act


def _cut_again(rng: random.Random) -> Tuple[str, Act]:
    pauses = [rng.uniform(0.0, 0.03) for _ in range(rng.randint(1, 3))]
    resets = [rng.random() < 0.5 for _ in pauses]

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.proxy.cut()
        for seconds, reset in zip(pauses, resets):
            stand.proxy.wait_for_connection(PATIENCE)
            pause(seconds)
            (stand.proxy.reset if reset else stand.proxy.cut)()

    return ", ".join(f"{1000 * seconds:.0f} ms into the recovery" for seconds in pauses), act


def _truncated_openings(rng: random.Random) -> Tuple[str, Act]:
    count, lasts = rng.randint(1, 700), rng.uniform(0.05, 0.4)

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.proxy.truncate_after(count)
        pause(lasts)
        stand.proxy.clear()

    return f"after {count} bytes each, for {lasts:.2f} s", act


def _mute_openings(rng: random.Random) -> Tuple[str, Act]:
    lasts = rng.uniform(0.1, 2.0)

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.proxy.cut()
            stand.proxy.freeze()
        pause(lasts)
        stand.proxy.thaw()

    return f"for {lasts:.2f} s", act


LINE: Sequence[Kind] = (
    Kind("cut", 3, ending(lambda stand: stand.proxy.cut())),
    Kind("reset", 3, ending(lambda stand: stand.proxy.reset())),
    Kind("half-open", 1, _frozen),
    Kind("briefly frozen", 2, _briefly_frozen),
    Kind("slow line", 3, _slow_line),
    Kind("truncated", 3, _truncated),
    Kind("connections refused", 1, _refused_connections),
    Kind("cut again", 3, _cut_again),
    Kind("openings truncated", 2, _truncated_openings),
    Kind("openings unanswered", 1, _mute_openings),
)


# -------------------------------------------------------------------------------------------------------- the exchange

CODES = (1000, 1001, 1005, 1006, 1008, 1011, 1012, 1013, 1014, 1015)
OWN_CODES: Dict[str, Sequence[int]] = {
    # Centrifugo: what a client comes back from.
    "indodax": (3000, 3001, 3004, 3005, 3006, 3008, 3010, 3012),
    "indodax-market": (3000, 3001, 3004, 3005, 3010),
}
PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def _closed(rng: random.Random) -> Tuple[str, Act]:
    code, own = rng.choice(CODES), rng.random()

    def act(stand: Stand) -> None:
        codes = OWN_CODES.get(stand.rig.name, range(4000, 4400))
        chosen = codes[int(own * len(codes))] if own < 0.5 else code
        with lost(stand):
            stand.sandbox.close_connections(chosen, "because")

    return f"code {code}, or one of its own ({own:.3f})", act


def _stalled(rng: random.Random) -> Tuple[str, Act]:
    def act(stand: Stand) -> None:
        stalled = stand.sandbox.sessions
        try:
            with lost(stand):
                for session in stalled:
                    stand.sandbox.stall(session)
        finally:
            for session in stalled:
                stand.sandbox.resume(session)

    return "until it is noticed", act


def _refused_handshakes(rng: random.Random) -> Tuple[str, Act]:
    status, times = rng.choice((500, 502, 503, 504)), rng.randint(1, 3)
    headers = rng.choice(({}, {}, {"Retry-After": "0"}, {"Retry-After": "1"}))

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.sandbox.refuse(status, PAGE if status == 502 else "not now", headers, times)
            stand.sandbox.drop()

    return f"{status} {headers or ''} {times} times", act


def _limited(rng: random.Random) -> Tuple[str, Act]:
    def act(stand: Stand) -> None:
        with lost(stand):
            stand.sandbox.refuse(429, "Too Many Requests", {"Retry-After": "1"}, 1)
            stand.sandbox.drop()

    return "429", act


def _restarted(rng: random.Random) -> Tuple[str, Act]:
    lasts = rng.uniform(0.0, 0.4)

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.sandbox.close()
        pause(lasts)
        stand.sandbox.start()

    return f"down for {lasts:.2f} s", act


EXCHANGE: Sequence[Kind] = (
    Kind("dropped", 2, ending(lambda stand: stand.sandbox.drop())),
    Kind("dropped by RST", 2, ending(lambda stand: stand.sandbox.drop(reset=True))),
    Kind("closed", 4, _closed),
    Kind("stalled", 1, _stalled),
    Kind("handshake refused", 2, _refused_handshakes),
    Kind("handshake limited", 0.5, _limited, slow=True),
    Kind("restarted", 1, _restarted),
)


# -------------------------------------------------------------------------------------------------------- the messages

NONSENSE: Sequence[Any] = (
    "", "{", "[]", "3", "null", '"text"', "[" * 100_000, '{"id":"x"}', '{"id":1,"error":3}', '{"push":{"pub":{"data":3}}}',
    '{"event":"ticker","data":[]}', '{"type":"event","message_id":5}', '["X",0]', "42[]", b"", b"\x00\x01", "\x00", "x" * 300_000,
)  # fmt: skip


def _nonsense(rng: random.Random) -> Tuple[str, Act]:
    chosen = [rng.choice(NONSENSE) for _ in range(rng.randint(1, 5))]

    def act(stand: Stand) -> None:
        for content in chosen:
            stand.sandbox.send_raw(content)

    return ", ".join(repr(content[:20]) for content in chosen), act


FRAMES: Dict[str, Dict[str, Any]] = {
    "reserved opcode": {"opcode": 3, "payload": b"x"},
    "reserved control opcode": {"opcode": 11, "payload": b""},
    "reserved bit": {"opcode": 1, "payload": b"{}", "rsv": 4},
    "masked": {"opcode": 1, "payload": b"{}", "mask": True},
    "not UTF-8": {"opcode": 1, "payload": b"\xff\xfe"},
    "long control frame": {"opcode": 9, "payload": b"x" * 126},
    "fragmented control frame": {"opcode": 9, "payload": b"x", "fin": False},
    "continuation of nothing": {"opcode": 0, "payload": b"x"},
    "code of one byte": {"opcode": 8, "payload": b"\x03"},
    "close code 999": {"opcode": 8, "payload": b"\x03\xe7"},
}


def _bad_frame(rng: random.Random) -> Tuple[str, Act]:
    name = rng.choice(list(FRAMES))

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.sandbox.send_frame(**FRAMES[name])

    return name, act


MESSAGES: Sequence[Kind] = (Kind("nonsense", 3, _nonsense), Kind("bad frame", 3, _bad_frame))


# ------------------------------------------------------------------------------------------------------- the callbacks


def _slow(rng: random.Random) -> Tuple[str, Act]:
    lasts = rng.uniform(0.05, 0.5)

    def act(stand: Stand) -> None:
        stand.go_on.clear()
        pause(lasts)
        stand.go_on.set()

    return f"stand still for {lasts:.2f} s", act


def _raising(rng: random.Random) -> Tuple[str, Act]:
    times = rng.randint(1, 10)

    def act(stand: Stand) -> None:
        stand.raising += times

    return f"for {times} events", act


def _flooded(rng: random.Random) -> Tuple[str, Act]:
    def act(stand: Stand) -> None:
        stand.go_on.clear()
        try:
            with lost(stand):
                while not stand.client.status().backlog >= CAPACITY:
                    stand.tell(50)
        finally:
            stand.go_on.set()

    return "more than fits", act


def _slow_and_cut(rng: random.Random) -> Tuple[str, Act]:
    def act(stand: Stand) -> None:
        stand.go_on.clear()
        try:
            with lost(stand):
                stand.tell(20)
                stand.proxy.cut()
        finally:
            stand.go_on.set()

    return "while the callbacks stand still", act


CALLBACKS: Sequence[Kind] = (
    Kind("slow callbacks", 2, _slow),
    Kind("raising callback", 2, _raising),
    Kind("flood", 1, _flooded),
    Kind("cut, slow callbacks", 2, _slow_and_cut),
)


# ---------------------------------------------------------------------------------------- each exchange's own weaknesses


def _refused_rest(rng: random.Random) -> Tuple[str, Act]:
    status, times = rng.choice((429, 500, 502, 503)), rng.randint(1, 3)
    headers = rng.choice(({}, {}, {"Retry-After": "1"}))

    def act(stand: Stand) -> None:
        with lost(stand):
            stand.sandbox.refuse_rest(status, PAGE if status == 502 else "{}", headers, times)
            stand.sandbox.drop()

    return f"{status} {headers or ''} {times} times", act


def _slow_rest(rng: random.Random) -> Tuple[str, Act]:
    seconds = rng.uniform(0.1, 1.0)

    def act(stand: Stand) -> None:
        stand.sandbox.slow_rest(seconds)
        try:
            with lost(stand):
                stand.sandbox.drop()
            pause(seconds / 2)
        finally:
            stand.sandbox.slow_rest(0)

    return f"{seconds:.2f} s", act


def dropped(prepare: Callable[[Stand], Any]) -> Callable[[random.Random], Tuple[str, Act]]:
    """The next connection has it hard."""

    def act(stand: Stand) -> None:
        with lost(stand):
            prepare(stand)
            stand.sandbox.drop()

    return lambda rng: ("", act)


def _new_epoch(stand: Stand) -> None:
    # Centrifugo pushes nothing of a stream that has begun anew: it finds out that the subscriber stands elsewhere, and closes.
    stand.sandbox.new_epoch(STREAM["indodax-market"])
    stand.sandbox.close_connections(3010)


def _no_backend(rng: random.Random) -> Tuple[str, Act]:
    lasts, kept = rng.uniform(0.05, 0.5), rng.random() < 0.5

    def act(stand: Stand) -> None:
        stand.sandbox.disconnect_backend(keep_bindings=kept)
        pause(lasts)
        stand.sandbox.reconnect_backend()

    return f"for {lasts:.2f} s, bindings {'kept' if kept else 'gone'}", act


def _published(act: Callable[[Stand], Any], after: int = 1) -> Callable[[random.Random], Tuple[str, Act]]:
    """What shows with the next events."""

    def done(stand: Stand) -> None:
        act(stand)
        stand.tell(after)

    return lambda rng: ("", done)


OWN: Dict[str, Sequence[Kind]] = {
    "indodax": (
        Kind("REST refused", 2, _refused_rest),
        Kind("REST slow", 1, _slow_rest),
        Kind("token expired", 2, ending(lambda stand: stand.sandbox.expire_token())),
        Kind("tokens expired beforehand", 1, dropped(lambda stand: stand.sandbox.expire_next_tokens(2))),
        Kind("connect put off", 1, dropped(lambda stand: stand.sandbox.reject_next("connect", 100))),
        Kind("subscribe put off", 1, dropped(lambda stand: stand.sandbox.reject_next("subscribe", 100))),
        Kind("refresh refused", 1, once(lambda stand: stand.sandbox.reject_next("refresh", 109))),
        Kind("unsubscribed", 1, once(lambda stand: stand.sandbox.unsubscribe_push(2500))),
        Kind("unsubscribed for good", 1, ending(lambda stand: stand.sandbox.unsubscribe_push(2000))),
        Kind("reply lost", 0.5, dropped(lambda stand: stand.sandbox.ignore_next("subscribe")), slow=True),
    ),
    "indodax-market": (
        Kind("streams begin anew", 1, ending(lambda stand: stand.sandbox.restart())),
        Kind("new epoch", 1, ending(_new_epoch)),
        Kind("offset skipped", 1, _published(lambda stand: stand.sandbox.skip_offset(STREAM["indodax-market"]))),
        Kind("publication lost", 1, _published(lambda stand: stand.sandbox.lose_next(STREAM["indodax-market"]), 2)),
        Kind("publication repeated", 1, _published(lambda stand: stand.sandbox.repeat(STREAM["indodax-market"]))),
        Kind("unsubscribed", 1, once(lambda stand: stand.sandbox.unsubscribe_push(resubscribe=True))),
        Kind("subscribe put off", 1, dropped(lambda stand: stand.sandbox.reject_next("subscribe", 100))),
        Kind("reply lost", 0.5, dropped(lambda stand: stand.sandbox.ignore_next("subscribe")), slow=True),
    ),
    "richamster": (
        Kind("subscription refused", 2, dropped(lambda stand: stand.sandbox.reject_subscription())),
        Kind("reply lost", 0.5, dropped(lambda stand: stand.sandbox.ignore_next("order_book")), slow=True),
    ),
    "kyrrex": (
        Kind("namespace ended", 2, ending(lambda stand: stand.sandbox.disconnect())),
        Kind("engine closed", 2, ending(lambda stand: stand.sandbox.close_engine())),
        Kind("connection refused", 1, dropped(lambda stand: stand.sandbox.reject_next("connect_error"))),
    ),
    "kyan": (
        Kind("numbers skipped", 1, _published(lambda stand: stand.sandbox.skip_seq())),
        Kind("message repeated", 1, once(lambda stand: stand.sandbox.repeat_message())),
        Kind("recovery refused", 2, dropped(lambda stand: stand.sandbox.fail_recovery("overflow"))),
        Kind("session expired", 2, dropped(lambda stand: stand.sandbox.fail_recovery("expired"))),
        Kind("limited", 1, dropped(lambda stand: stand.sandbox.rate_limit())),
    ),
    "finery": (
        Kind("back end away", 2, _no_backend),
        Kind("nonce refused", 1, dropped(lambda stand: stand.sandbox.reject_next("handshake", 6, times=2))),
        Kind("bind refused for now", 1, dropped(lambda stand: stand.sandbox.reject_next("bind", 10))),
        Kind("reply lost", 0.5, dropped(lambda stand: stand.sandbox.ignore_next("bind")), slow=True),
    ),
}
"""By rig; what is alike has one name."""


def kinds() -> List[str]:
    """The names of all kinds, in order."""
    every = (*LINE, *EXCHANGE, *MESSAGES, *CALLBACKS, *(kind for own in OWN.values() for kind in own))
    return list(dict.fromkeys(kind.name for kind in every))
