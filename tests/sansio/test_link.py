"""Link: phases, signs of life, control frames, and what a fault in a protocol does."""

from __future__ import annotations

from typing import Any, Hashable, List, Optional

import pytest

from tests.sansio.stage import Actor, trade
from xchws.errors import ConnectionLost, OpenFailed, ProtocolError, Silent
from xchws.events import Data, Failure
from xchws.sansio import frames
from xchws.sansio.actions import Close, Output, Send
from xchws.sansio.link import Link, Phase


def make(ping_interval: Optional[float] = 20.0, ping_timeout: Optional[float] = 10.0) -> Link:
    return Link(
        1,
        100.0,
        exchange="sim",
        open_timeout=10.0,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        verbatim=lambda: True,
    )


def ready(actor: Actor, ping_interval: Optional[float] = 20.0, ping_timeout: Optional[float] = 10.0) -> Link:
    link = make(ping_interval, ping_timeout)
    link.opened(actor, 100.0)
    link.phase = Phase.READY
    link.ready_at = 100.0
    return link


def error_of(outputs: List[Output]) -> Close:
    (close,) = outputs
    assert isinstance(close, Close)
    return close


def test_a_dial_that_takes_too_long_is_given_up() -> None:
    link = make()
    assert (link.phase, link.is_open, link.deadline()) == (Phase.DIALLING, False, 110.0)
    assert link.wake(109.9) == []
    close = error_of(link.wake(110.0))
    assert isinstance(close.error, OpenFailed)
    assert "10 s" in str(close.error)


def test_opening_counts_from_the_dial_on() -> None:
    link = make()
    link.opened(Actor(), 104.0)
    assert (link.phase, link.is_open, link.deadline()) == (Phase.OPENING, True, 110.0)
    assert isinstance(error_of(link.wake(110.0)).error, OpenFailed)


def test_what_the_protocol_opens_with_is_passed_on() -> None:
    actor = Actor()
    actor.opening = [Send(b"hello")]
    assert make().opened(actor, 100.0) == [Send(b"hello")]


def test_a_suspended_link_has_all_the_time_and_then_the_whole_time_again() -> None:
    link = make(ping_interval=None)
    link.opened(Actor(), 101.0)
    link.suspended = True
    assert link.deadline() is None
    assert link.wake(500.0) == []
    link.resume(500.0)
    assert (link.suspended, link.deadline()) == (False, 510.0)


def test_a_link_that_is_over_wants_nothing() -> None:
    link = ready(Actor())
    link.phase = Phase.OVER
    assert link.deadline() is None
    assert link.wake(1e9) == []
    assert not link.is_open


def test_ping_on_a_quiet_link_then_silence() -> None:
    link = ready(Actor())
    assert link.deadline() == 120.0
    assert link.wake(119.9) == []
    assert link.wake(120.0) == [Send(b"", frames.PING)]
    assert link.deadline() == 130.0
    assert link.wake(129.9) == []
    close = error_of(link.wake(130.0))
    assert isinstance(close.error, Silent)
    assert close.code is None, "a mute peer gets no close frame"
    assert "30 s" in str(close.error)


@pytest.mark.parametrize("items", [[], [frames.Pong(b"")], [b"{}"], [frames.Ping(b"x")]])
def test_any_byte_is_a_sign_of_life(items: List[frames.Item]) -> None:
    link = ready(Actor())
    link.wake(120.0)
    link.received(items, 125.0)
    assert (link.heard_before, link.heard, link.deadline()) == (100.0, 125.0, 145.0)
    assert link.wake(130.0) == []


def test_no_pings_where_the_exchange_forbids_them() -> None:
    actor = Actor()
    actor.pings = False
    link = ready(actor)
    assert link.deadline() is None
    assert link.wake(10_000.0) == []


def test_no_pings_where_the_user_turned_them_off() -> None:
    link = ready(Actor(), None, 10.0)
    assert link.deadline() is None
    assert link.wake(10_000.0) == []


def test_without_a_timeout_a_ping_is_sent_and_not_waited_for() -> None:
    link = ready(Actor(), 20.0, None)
    assert link.wake(120.0) == [Send(b"", frames.PING)]
    assert link.deadline() is None
    assert link.wake(10_000.0) == []
    link.received([], 10_001.0)
    assert link.deadline() == 10_021.0


def test_a_promise_broken_by_silence() -> None:
    actor = Actor()
    actor.silence = 15.0
    link = ready(actor)
    assert link.deadline() == 115.0
    assert link.wake(114.0) == []
    assert isinstance(error_of(link.wake(115.0)).error, Silent)


def test_the_nearer_of_two_silences_counts() -> None:
    actor = Actor()
    actor.silence = 25.0
    link = ready(actor)
    assert link.wake(120.0) == [Send(b"", frames.PING)]
    assert link.deadline() == 125.0
    assert isinstance(error_of(link.wake(125.0)).error, Silent)


def test_the_protocol_is_woken_when_it_asked() -> None:
    actor = Actor()
    actor.due, actor.waking = 105.0, [Send(b"beat")]
    link = ready(actor)
    assert link.deadline() == 105.0
    assert link.wake(104.9) == []
    assert link.wake(105.0) == [Send(b"beat")]
    assert link.deadline() == 120.0


def test_ping_and_protocol_at_once() -> None:
    actor = Actor()
    actor.due, actor.waking = 105.0, [Send(b"beat")]
    assert ready(actor).wake(125.0) == [Send(b"", frames.PING), Send(b"beat")]


def test_a_ping_is_answered_with_its_payload() -> None:
    assert ready(Actor()).received([frames.Ping(b"abc")], 101.0) == [Send(b"abc", frames.PONG)]


def test_a_binary_message_is_unreadable_unless_the_protocol_says_otherwise() -> None:
    (failure,) = ready(Actor()).received([frames.Binary(b"\x00\xff")], 101.0)
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ProtocolError)
    assert "binary" in str(failure.error)


def test_a_close_frame_is_the_protocols_to_judge_and_ends_the_batch() -> None:
    actor = Actor()
    link = ready(actor)
    actor.script = [[trade("1")], [trade("2")]]
    first, close = link.received([b"{}", frames.Close(4001, "bye"), b"{}"], 101.0)
    assert first == trade("1")
    assert isinstance(close, Close)
    assert isinstance(close.error, ConnectionLost)
    assert (close.error.code, close.error.reason, close.code) == (4001, "bye", 1000)
    assert actor.said == [(4001, "bye")]


def test_a_violation_is_answered_with_its_code() -> None:
    close = error_of(ready(Actor()).received([frames.Violation(1007, "text that is not UTF-8")], 101.0))
    assert close.code == 1007
    assert isinstance(close.error, ConnectionLost)
    assert (close.error.code, close.error.reason) == (1007, "text that is not UTF-8")


def test_a_fault_in_a_protocol_is_reported_and_costs_one_message() -> None:
    actor = Actor()
    actor.script = [[trade("1")], [trade("2")]]
    first, failure, second = ready(actor).received([b"{}", b"raise", b"{}"], 101.0)
    assert (first, second) == (trade("1"), trade("2"))
    assert isinstance(failure, Failure)
    assert "a fault of ours" in str(failure.error)
    assert "raise" in str(failure.error), "the text is told"


def test_a_fault_on_a_close_frame_is_reported() -> None:
    class Faulty(Actor):
        def closed(self, code: int, reason: str) -> Close:
            raise RuntimeError("a fault of ours")

    failure, close = ready(Faulty()).received([frames.Close(1000, ""), b"{}"], 101.0)
    assert isinstance(failure, Failure)
    assert isinstance(close, Close)
    assert isinstance(close.error, ConnectionLost)
    assert (close.code, close.error.code, close.error.retryable) == (1011, 1011, True)


def test_the_protocol_knows_whether_every_message_is_wanted() -> None:
    actor = Actor()
    ready(actor).received([], 101.0)
    assert actor.verbatim


def test_there_is_no_protocol_before_the_link_is_open() -> None:
    with pytest.raises(AssertionError, match="only once it is open"):
        _ = make().protocol


def test_a_peer_that_is_not_known_to_answer_pings_is_held_to_it_once_it_has() -> None:
    actor = Actor()
    actor.answers_pings = False
    link = ready(actor)
    link.received([], 100.5)
    assert link.deadline() == link.ready_at, "it is asked at once, for a busy line would never be"
    assert link.wake(100.5) == [Send(b"", frames.PING)]
    assert link.deadline() is None
    assert link.wake(10_000.0) == []
    link.received([frames.Pong(b"")], 10_001.0)
    assert link.deadline() == 10_021.0, "it is asked once"
    assert link.wake(10_021.0) == [Send(b"", frames.PING)]
    assert link.deadline() == 10_031.0
    assert isinstance(error_of(link.wake(10_031.0)).error, Silent)


def test_a_sign_of_life_can_be_asked_for() -> None:
    link = ready(Actor())
    assert link.probe(105.0) == [Send(b"", frames.PING)]
    assert [link.owes_pong] == [True]
    assert link.probe(106.0) == [], "one is under way"
    link.received([], 107.0)
    assert [link.owes_pong] == [False]
    assert ready(Actor(), None).probe(105.0) == []


def test_an_identity_that_cannot_be_compared_is_a_fault() -> None:
    class Faulty(Actor):
        def identity(self, event: Data) -> Any:
            return [event]

    link = ready(Faulty())
    told: Optional[Hashable] = link.identity(trade())
    assert told is None
    assert link.deadline() == link.heard, "at once"
    failure, close = link.wake(101.0)
    assert isinstance(failure, Failure) and isinstance(failure.error, ProtocolError)
    assert isinstance(close, Close) and close.code == 1011
