"""Kyrrex's stream below the socket: the session's life, under a clock of numbers.

Written from the vendor's page and from the descriptions of Engine.IO 4 and 3 and Socket.IO 5, not from the code.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, List

import pytest

from tests.exchanges.kyrrex.conversation import (
    CONNECTED,
    OPEN,
    OPEN_THREE,
    connected,
    event,
    message,
    of,
    only,
    opened,
    ready,
    sent,
)
from xchws.credentials import Secrets
from xchws.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    HandshakeRejected,
    OpenFailed,
    Silent,
)
from xchws.events import Failure, Message, Other, State
from xchws.exchanges.kyrrex.client import KyrrexExchange
from xchws.exchanges.kyrrex.models import Account
from xchws.exchanges.kyrrex.protocol import AccountMemory, KyrrexProtocol
from xchws.sansio import frames
from xchws.sansio.actions import Close, Dial, Ready, Send
from xchws.sansio.session import Session, Terms
from xchws.transports.route import Route

# ------------------------------------------------------------------------------------------------------- the beginning


def test_connects_the_namespace_and_is_ready_once_that_has_stood() -> None:
    protocol = KyrrexProtocol("4", 1.0, AccountMemory(), Secrets())
    assert protocol.opened(5.0) == []
    assert protocol.deadline() is None
    assert protocol.wake(5.0) == []
    assert protocol.received(OPEN, 6.0) == [Send(b"40")]
    assert protocol.silence == 45.0
    assert protocol.received(CONNECTED, 7.0) == []
    assert protocol.deadline() == 8.0
    assert protocol.wake(7.9) == []
    assert protocol.wake(8.0) == [Ready()]
    assert protocol.deadline() == 7.0 + 45.0


def test_an_object_proves_the_key_before_that() -> None:
    protocol = connected()
    first, second = protocol.received(event("account"), 0.2)
    assert first == Ready()
    assert isinstance(second, Account)
    assert protocol.wake(1.0) == []


def test_an_unknown_event_proves_nothing() -> None:
    protocol = connected()
    only(protocol.received(message("exception", {"status": "error"}), 0.2), Other)
    assert only(protocol.received(b"41", 0.3), Close).verdict is not None


def test_without_settling_the_connect_is_enough() -> None:
    assert opened(settle=0.0).received(CONNECTED, 0.1) == [Ready()]


def test_an_object_before_the_connect_is_told_without_being_ready() -> None:
    only(opened().received(event("account"), 0.2), Account)


@pytest.mark.parametrize(
    "text", [b"0", b"0{", b"0[]", b'0{"sid":1}', b'0{"sid":"a","pingInterval":"x","pingTimeout":1}']
)
def test_a_broken_open_packet_ends_the_connection(text: bytes) -> None:
    trouble, close = KyrrexProtocol("4", 1.0, AccountMemory(), Secrets()).received(text, 0.0)
    assert isinstance(trouble, Failure)
    assert isinstance(close, Close)
    assert isinstance(close.error, OpenFailed)
    assert close.verdict is None


@pytest.mark.parametrize("interval", ["0", "-5", "1e300"])
def test_impossible_intervals_are_told_and_passed_over(interval: str) -> None:
    protocol = KyrrexProtocol("4", 1.0, AccountMemory(), Secrets())
    text = f'0{{"sid":"a","pingInterval":{interval},"pingTimeout":20000,"maxPayload":1}}'
    trouble, connect = protocol.received(text.encode(), 0.0)
    assert isinstance(trouble, Failure)
    assert connect == Send(b"40")
    assert protocol.silence == 45.0


@pytest.mark.parametrize("text", [b"40{", b'40{"sid":5}', b"40{}", b"40"])
def test_a_connect_without_session_id_is_told_and_taken(text: bytes) -> None:
    protocol = opened()
    only(protocol.received(text, 0.1), Failure)
    assert protocol.wake(1.1) == [Ready()]


def test_what_comes_twice_or_too_early_is_told() -> None:
    only(KyrrexProtocol("4", 1.0, AccountMemory(), Secrets()).received(CONNECTED, 0.0), Failure)
    only(ready().received(CONNECTED, 2.0), Failure)
    only(ready().received(OPEN, 2.0), Failure)


# ---------------------------------------------------------------------------------------------------------- in between


def test_answers_pings_and_nothing_else_of_engine_io() -> None:
    protocol = ready()
    assert protocol.received(b"2", 2.0) == [Send(b"3")]
    assert protocol.received(b"3", 2.0) == []
    assert protocol.received(b"6", 2.0) == []


def test_acknowledges_events_that_ask_for_it() -> None:
    outputs = ready().received(b"4217" + event("account")[2:], 2.0)
    assert sent(outputs) == [b"4317[]"]
    assert len(of(outputs, Account)) == 1
    assert sent(ready().received(b'420["novelty"]', 2.0)) == [b"430[]"]
    assert sent(ready().received(b"425[", 2.0)) == [b"435[]"]


def test_acknowledges_binary_events() -> None:
    protocol = ready()
    assert protocol.received(b'451-9["novelty",{"_placeholder":true,"num":0}]', 2.0) == []
    outputs = protocol.received_binary(b"\x00", 2.0)
    assert sent(outputs) == [b"439[]"]
    assert [other.kind for other in of(outputs, Other)] == ["novelty"]


@pytest.mark.parametrize(
    "text", [b"", b"4", b"5", b"9", b"49", b"x", b"437[]", b'42/other,["account",{}]', b"42[", b"\xff"]
)
def test_what_does_not_belong_is_told(text: bytes) -> None:
    only(ready().received(text, 2.0), Failure)


def test_an_unannounced_binary_message_is_told() -> None:
    only(ready().received_binary(b"\x00", 2.0), Failure)


def test_messages_are_shown_as_the_server_emitted_them() -> None:
    protocol = ready()
    protocol.verbatim = True
    shown, balance = protocol.received(message("account", {"object": {"currency": "btc", "balance": 1.10}}), 2.0)
    assert isinstance(shown, Message)
    assert isinstance(balance, Account)
    name, payload = shown.data
    assert (name, str(payload["object"]["balance"])) == ("account", "1.1")
    assert protocol.received(b"2", 2.0) == [Send(b"3")]


# ------------------------------------------------------------------------------------------------------------ liveness


def test_a_session_without_packets_is_dead() -> None:
    protocol = ready()
    protocol.received(b"2", 20.0)
    assert protocol.deadline() == 65.0
    assert protocol.wake(64.9) == []
    close = only(protocol.wake(65.0), Close)
    assert isinstance(close.error, Silent)
    assert (close.code, close.verdict) == (None, None)


def test_silence_follows_what_the_server_says() -> None:
    assert opened(b'0{"sid":"a","pingInterval":300,"pingTimeout":200,"maxPayload":1}').silence == 0.5


# ---------------------------------------------------------------------------------------------------------- Engine.IO 3


def test_a_server_of_engine_io_3_is_recognised() -> None:
    close = only(opened(OPEN_THREE).received(b"40", 0.1), Close)
    assert isinstance(close.error, OpenFailed)
    assert isinstance(close.verdict, ConfigurationError)
    assert close.limit == 5
    for text in (str(close.error), str(close.verdict)):
        assert "Engine.IO 3" in text
        assert 'engine="3"' in text


def test_a_server_of_version_4_may_leave_max_payload_out() -> None:
    protocol = opened(OPEN_THREE)
    assert protocol.received(CONNECTED, 0.1) == []
    assert protocol.wake(1.1) == [Ready()]


def test_a_server_that_never_pings_is_suspected() -> None:
    protocol = opened(OPEN_THREE)
    protocol.received(CONNECTED, 0.0)
    protocol.wake(1.0)
    close = only(protocol.wake(30.0), Close)
    assert isinstance(close.error, Silent)
    assert isinstance(close.verdict, ConfigurationError)
    assert "never pinged" in str(close.error)
    pinged = opened(OPEN_THREE)
    pinged.received(b"2", 0.0)
    assert only(pinged.wake(30.0), Close).verdict is None


def test_speaks_engine_io_3() -> None:
    protocol = KyrrexProtocol("3", 1.0, AccountMemory(), Secrets())
    assert protocol.received(OPEN_THREE, 0.0) == []
    assert protocol.received(b"40", 0.0) == []
    assert protocol.wake(1.0) == [Ready()]
    assert protocol.deadline() == 25.0
    assert protocol.wake(25.0) == [Send(b"2")]
    assert protocol.received(b"3", 25.1) == []
    assert protocol.deadline() == 50.0
    only(protocol.received(event("account"), 26.0), Account)
    assert isinstance(only(protocol.wake(56.0), Close).error, Silent)


def three(memory: AccountMemory) -> KyrrexProtocol:
    protocol = KyrrexProtocol("3", 1.0, memory, Secrets())
    protocol.opened(0.0)
    return protocol


def test_a_server_of_version_4_is_suspected_where_no_session_was_ever_opened() -> None:
    memory = AccountMemory()
    broken, cut = three(memory).broken(1002, "an HTTP answer in place of a frame"), three(memory).closed(1006, "")
    for close in (broken, cut):
        assert isinstance(close.error, ConnectionLost)
        assert isinstance(close.verdict, ConfigurationError)
        assert 'engine="4"' in str(close.verdict)
        assert close.limit == 5
    assert broken.code == 1002
    assert "an HTTP answer" in str(broken.error)
    three(memory).received(OPEN_THREE, 0.0)
    for protocol in (three(memory), KyrrexProtocol("4", 1.0, AccountMemory(), Secrets())):
        assert protocol.broken(1002, "reserved bit set").verdict is None
        assert protocol.closed(1006, "").verdict is None


def test_pings_of_engine_io_3_stay_within_the_silence() -> None:
    protocol = KyrrexProtocol("3", 1.0, AccountMemory(), Secrets())
    only(protocol.received(b'0{"sid":"a","pingInterval":0,"pingTimeout":5000}', 0.0), Failure)
    assert protocol.deadline() == 22.5


# ---------------------------------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize("text", [b"41", b"1"])
def test_a_goodbye_to_a_good_key_is_a_lost_connection(text: bytes) -> None:
    protocol = connected()
    protocol.received(event("account"), 0.2)
    close = only(protocol.received(text, 0.3), Close)
    assert isinstance(close.error, ConnectionLost)
    assert close.verdict is None
    assert only(ready().received(text, 11.0), Close).verdict is None


@pytest.mark.parametrize(
    "text", [b"41", b"1", b'44{"message":"Invalid credentials"}', b'44"no"', b"44", b"44{", b"44{}"]
)
def test_a_goodbye_at_once_is_a_suspicion(text: bytes) -> None:
    for protocol in (opened(), connected(), ready()):
        close = only(protocol.received(text, 2.0), Close)
        assert close.error.retryable
        assert isinstance(close.verdict, AuthenticationFailed)
        assert close.limit == 5


def test_a_connect_error_says_why() -> None:
    close = only(opened().received(b'44{"message":"Invalid credentials","data":{"code":7}}', 0.1), Close)
    assert "Invalid credentials" in str(close.error)
    assert "Invalid credentials" in str(close.verdict)
    assert '{"reason":1}' in str(only(opened().received(b'44{"reason":1}', 0.1), Close).error)


@pytest.mark.parametrize(
    ("protocol", "code", "suspected"),
    [
        (opened, 1000, True),
        (opened, 1005, True),
        (opened, 1006, False),
        (opened, 1001, False),
        (opened, 4001, True),
        (connected, 1000, True),
        (connected, 1006, True),
        (connected, 1012, False),
        (connected, 1008, True),
        (ready, 1000, False),
        (ready, 1006, False),
        (ready, 1008, True),
    ],
)
def test_close_codes(protocol: Callable[[], KyrrexProtocol], code: int, suspected: bool) -> None:
    close = protocol().closed(code, "")
    assert isinstance(close.error, ConnectionLost)
    assert (close.verdict is not None) is suspected


def test_after_an_object_no_close_code_is_a_suspicion() -> None:
    protocol = connected()
    protocol.received(event("account"), 0.1)
    assert protocol.closed(1008, "bye").verdict is None


# --------------------------------------------------------------------- the shapes of a refusal, through the session


class Life:
    """A session of the exchange under a clock of numbers."""

    def __init__(self) -> None:
        self.exchange = KyrrexExchange("k", "s", "u", "ws://127.0.0.1", "http://127.0.0.1", "/x", "4", 1.0)
        self.now = 0.0
        self.dials = 0
        self.waits: List[float] = []
        epoch = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.session = Session(
            Terms(
                exchange="kyrrex",
                channels=self.exchange.channels,
                overlap=self.exchange.overlap,
                backoff=self.exchange.backoff,
                open_timeout=10.0,
                ping_interval=20.0,
                ping_timeout=10.0,
                draw=lambda: 0.5,
                utc_of=lambda now: epoch + timedelta(seconds=now),
                verbatim=lambda: False,
                congested=lambda: False,
            )
        )

    def until_stopped(self, refuse: Callable[[Life, int], Any]) -> Any:
        """Dial and be refused time and again; the error that ended it."""
        effects = self.session.start(self.now)
        while self.session.state is not State.STOPPED:
            (dial,) = (effect for effect in effects if isinstance(effect, Dial))
            self.dials += 1
            assert self.dials < 500
            refuse(self, dial.link)
            if self.session.retry_at is not None:
                self.waits.append(self.session.retry_at - self.now)
                self.now = self.session.retry_at
                effects = self.session.wake(self.now)
        return self.session.last_error

    def dialled(self, link: int, *texts: frames.Item) -> None:
        self.session.dialled(link, self.exchange.protocol(Route("ws://127.0.0.1")), self.now)
        self.session.received(link, list(texts), self.now)


def rejected(status: int) -> Callable[[Life, int], Any]:
    return lambda life, link: life.session.dial_failed(
        link, life.exchange.refused(HandshakeRejected("no", status=status, body="Forbidden")), life.now
    )


SHAPES: Dict[str, Callable[[Life, int], Any]] = {
    "HTTP 401": rejected(401),
    "HTTP 403": rejected(403),
    "HTTP 400": rejected(400),
    "44": lambda life, link: life.dialled(link, OPEN, b'44{"message":"Forbidden"}'),
    "41": lambda life, link: life.dialled(link, OPEN, CONNECTED, b"41"),
    "1": lambda life, link: life.dialled(link, OPEN, CONNECTED, b"1"),
    "close": lambda life, link: life.dialled(link, OPEN, CONNECTED, frames.Close(1000, "")),
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_refused_key_ends_the_client_after_five_tries(shape: str) -> None:
    life = Life()
    error = life.until_stopped(SHAPES[shape])
    assert isinstance(error, AuthenticationFailed)
    assert life.dials == 5
    assert life.waits == [5.0, 10.0, 10.0, 10.0]


def test_the_shapes_count_together() -> None:
    life = Life()
    shapes = [SHAPES["44"], SHAPES["41"], SHAPES["HTTP 403"], SHAPES["close"], SHAPES["1"]]
    error = life.until_stopped(lambda life, link: shapes[life.dials - 1](life, link))
    assert isinstance(error, AuthenticationFailed)
    assert life.dials == 5


def test_a_wrong_version_ends_the_client_after_five_tries() -> None:
    life = Life()
    error = life.until_stopped(lambda life, link: life.dialled(link, OPEN_THREE, b"40"))
    assert isinstance(error, ConfigurationError)
    assert life.dials == 5


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("proof", ["an object", "ten seconds"])
def test_a_key_that_was_good_is_refused_for_an_hour_before_it_is_held_to_be_bad(shape: str, proof: str) -> None:
    life = Life()

    def refuse(life: Life, link: int) -> None:
        if life.dials > 1:
            SHAPES[shape](life, link)
            return
        life.dialled(link, OPEN, CONNECTED)
        if proof == "ten seconds":
            life.now += 25.0
        life.session.received(link, [event("account") if proof == "an object" else b"2"], life.now)
        life.session.lost(link, "reset", life.now)

    error = life.until_stopped(refuse)
    assert isinstance(error, AuthenticationFailed)
    assert life.now > 3600.0
    assert set(life.waits[2:]) == {10.0}, "the wait does not grow beyond the vendor's"


def test_a_restarting_server_does_not_end_the_client() -> None:
    life = Life()

    def restart(life: Life, link: int) -> None:
        if life.dials == 12:
            life.session.stop(life.now)
        else:
            life.dialled(link, OPEN, CONNECTED, frames.Close(1012, "restart"))

    assert isinstance(life.until_stopped(restart), ConnectionLost)
    assert life.dials == 12
