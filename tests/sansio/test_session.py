"""Session: what it decides, as plain arithmetic. What holds always is checked by the stage after every step."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from tests.sansio.stage import OWN, Actor, Stage, errors, lost, trade, utc_of
from xchws.backoff import Backoff
from xchws.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    HandshakeRejected,
    OpenFailed,
    ProtocolError,
    RateLimited,
    RequestRejected,
    Silent,
    SlowConsumer,
    StateError,
    SubscriptionRejected,
    XchwsError,
)
from xchws.events import (
    Connected,
    Disconnected,
    Event,
    Failure,
    Gap,
    Message,
    State,
    StateChanged,
    Stopped,
    Suspended,
    Trade,
)
from xchws.sansio import frames
from xchws.sansio.actions import (
    Accepted,
    Close,
    Dial,
    Effect,
    Expiry,
    Fetch,
    Finish,
    Hangup,
    Interrupted,
    Leave,
    Missed,
    Output,
    Ready,
    Refused,
    Renew,
    Replied,
    Resolved,
    Resume,
    Run,
    Send,
    Settled,
    Suspend,
    Topic,
    Unanswered,
    Write,
)

A = Topic("ticker", ("BTC/UAH",))
B = Topic("trades")
C = Topic("book")


def connected(*topics: Topic, overlap: bool = True, channels: Tuple[str, ...] = OWN) -> Tuple[Stage, Actor]:
    """A stage that is READY with these subscriptions live."""
    stage = Stage(overlap=overlap, channels=channels)
    stage.start()
    actor = stage.ready()
    for topic in topics:
        stage.subscribe(topic)
        stage.says(actor, Accepted(topic))
    return stage, actor


def renewing(*topics: Topic) -> Tuple[Stage, Actor]:
    """The same with a successor's dial under way."""
    stage, actor = connected(*topics)
    stage.now += 5.0
    stage.says(actor, Renew("one hour is over"))
    assert stage.has_successor()
    return stage, actor


def waits(stage: Stage) -> float:
    assert stage.session.retry_at is not None
    return stage.session.retry_at - stage.now


# ------------------------------------------------------------------------------------------------------------- connecting


def test_the_first_connection() -> None:
    stage = Stage()
    assert (stage.session.state, stage.session.deadline(), stage.session.state_since) == (State.NEW, None, None)
    assert stage.start() == [
        StateChanged(old=State.NEW, new=State.CONNECTING, exchange="sim"),
        Dial(1, 10.0),
    ]
    stage.now += 2.0
    stage.ready()
    assert stage.log[2:] == [
        StateChanged(old=State.CONNECTING, new=State.READY, exchange="sim"),
        Connected(attempt=1, gap=None, exchange="sim"),
    ]
    assert (stage.session.state_since, stage.session.connections, stage.session.attempt) == (1002.0, 1, 0)


def test_a_session_starts_once() -> None:
    stage = Stage()
    stage.start()
    assert stage.start() == []
    stage.stop()
    assert stage.start() == []


def test_a_late_connection_is_hung_up() -> None:
    stage = Stage()
    stage.start()
    stage.sleep()
    assert stage.session.dialled(1, Actor(), stage.now) == [Hangup(1, 1000)]
    assert not stage.session.expects(1)


def test_what_is_over_is_not_heard() -> None:
    stage, actor = connected()
    stage.lost(actor)
    session, now = stage.session, stage.now
    assert session.received(1, [b"{}"], now) == []
    assert session.lost(1, "again", now) == []
    assert session.fetched(1, "token", None, now) == []
    assert session.dial_failed(1, Close(lost()), now) == []


def test_a_second_ready_says_nothing() -> None:
    stage, actor = connected(A)
    assert stage.says(actor, Ready()) == []
    assert stage.session.connections == 1


def test_what_a_link_says_after_its_end_is_not_passed_on() -> None:
    stage, actor = connected()
    late = Failure(error=XchwsError("too late"), exchange="sim")
    effects = stage.says(actor, trade("1"), Close(AuthenticationFailed("revoked")), late, trade("2"), Send(b"x"))
    assert late not in effects
    assert [event.id for event in stage.all(Trade, effects)] == ["1"]
    assert isinstance(effects[-1], Finish)


def test_frames_jobs_and_expiry_reach_their_places() -> None:
    stage, actor = connected()
    actor.result = [Expiry(2000.0)]
    assert stage.says(actor, Send(b"hello"), Fetch("token"), Send(b"", frames.PONG)) == [
        Write(1, frames.TEXT, b"hello"),
        Run(1, "token"),
        Write(1, frames.PONG, b""),
    ]
    stage.do(stage.session.fetched(1, "token", "secret", stage.now))
    assert actor.got == [("token", "secret")]
    assert stage.session.active is not None
    assert stage.session.active.expiry == 2000.0


# ---------------------------------------------------------------------------------------------------------------- backoff


def test_waits_grow_and_are_capped() -> None:
    stage = Stage()
    stage.start()
    seen = []
    for _ in range(8):
        stage.dial_failed(Close(OpenFailed("refused")))
        seen.append(waits(stage))
        stage.sleep()
    assert seen == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert stage.session.attempt == 9
    stage.ready()
    assert stage.all(Connected)[-1].attempt == 9


@pytest.mark.parametrize("drawn", [0.0, 0.25, 1.0])
def test_full_jitter(drawn: float) -> None:
    stage = Stage()
    stage.draw = drawn
    stage.start()
    stage.dial_failed(Close(OpenFailed("refused")))
    assert waits(stage) == drawn
    assert stage.only(Disconnected).retry_in == drawn
    stage.sleep()
    assert stage.stands(State.CONNECTING)


@pytest.mark.parametrize(("lasted", "wait"), [(29.9, 4.0), (30.0, 1.0), (500.0, 1.0)])
def test_only_a_good_connection_makes_failures_forgotten(lasted: float, wait: float) -> None:
    stage = Stage()
    stage.start()
    for _ in range(2):
        stage.dial_failed(Close(OpenFailed("refused")))
        stage.sleep()
    actor = stage.ready()
    stage.now += lasted
    stage.lost(actor)
    assert waits(stage) == wait


def test_a_connection_that_was_not_ready_is_not_good() -> None:
    stage = Stage(open_timeout=100.0, ping_interval=None)
    stage.start()
    stage.dial_failed(Close(OpenFailed("refused")))
    stage.sleep()
    actor = stage.dialled()
    stage.now += 99.0
    stage.lost(actor)
    assert waits(stage) == 2.0


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (HandshakeRejected("busy", status=503, retry_after=120.0), 120.0),
        (RateLimited("slow down", retry_after=7.5), 7.5),
        (ConnectionFailed("soon", retry_after=0.1), 1.0),
        (RateLimited("slow down"), 1.0),
    ],
)
def test_retry_after_is_honoured(error: XchwsError, wait: float) -> None:
    stage = Stage()
    stage.start()
    stage.dial_failed(Close(error))
    assert waits(stage) == stage.only(Disconnected).retry_in == wait


def test_slow_callbacks_put_the_next_try_off() -> None:
    stage, actor = connected()
    stage.lost(actor)
    stage.congested = True
    due = stage.session.deadline()
    assert due is not None
    stage.now = due
    for _ in range(3):
        assert stage.wake() == []
        later = stage.session.deadline()
        assert later is not None and later > stage.now
        stage.now = later
    stage.congested = False
    assert stage.all(Dial, stage.wake())


def test_open_timeout() -> None:
    stage = Stage()
    stage.start()
    stage.dialled()
    assert stage.session.deadline() == 1010.0
    effects = stage.sleep()
    assert isinstance(stage.only(Failure, effects).error, OpenFailed)
    assert stage.stands(State.WAITING)


def test_silence_ends_a_link() -> None:
    stage, actor = connected()
    assert stage.sleep() == [Write(1, frames.PING, b"")]
    effects = stage.sleep()
    assert stage.now == 1030.0
    assert isinstance(stage.only(Disconnected, effects).error, Silent)
    assert Hangup(1, None) in effects


# ----------------------------------------------------------------------------------------------------------------- the end


def test_a_fatal_error_stops_at_once() -> None:
    stage, actor = connected(A)
    error = AuthenticationFailed("refused key", exchange="sim")
    effects = stage.says(actor, Close(error))
    assert effects[-6:] == [
        StateChanged(old=State.READY, new=State.STOPPED, exchange="sim"),
        Disconnected(error=error, retry_in=None, exchange="sim"),
        Failure(error=error, exchange="sim"),
        Settled(A, "ended", error),
        Stopped(error=error, exchange="sim"),
        Finish(error),
    ]
    assert stage.session.last_error is error


def test_a_fatal_error_ends_the_successor_too() -> None:
    stage, actor = renewing()
    effects = stage.says(actor, Close(AuthenticationFailed("refused key")))
    assert Hangup(2, None) in effects
    assert isinstance(effects[-1], Finish)


def suspect(limit: int, patience: float = 0.0) -> Close:
    verdict = AuthenticationFailed("the key must be wrong")
    return Close(lost("policy"), verdict=verdict, limit=limit, patience=patience)


def test_a_verdict_falls_at_the_limit() -> None:
    stage = Stage()
    stage.start()
    for _ in range(2):
        stage.dial_failed(suspect(3))
        assert stage.stands(State.WAITING)
        stage.sleep()
    stage.dial_failed(suspect(3))
    assert stage.stands(State.STOPPED)
    assert isinstance(stage.only(Stopped).error, AuthenticationFailed)


def test_a_verdict_waits_for_patience() -> None:
    stage = Stage()
    stage.start()
    begun = stage.now
    while len(stage.all(Disconnected)) < 100:
        late = stage.now >= begun + 600.0
        stage.dial_failed(suspect(3, patience=600.0))
        if late:
            break
        assert stage.stands(State.WAITING)
        stage.sleep()
    assert 3 < len(stage.all(Disconnected)) < 100
    assert stage.stands(State.STOPPED)
    assert isinstance(stage.only(Stopped).error, AuthenticationFailed)


def test_patience_alone_is_no_verdict() -> None:
    stage = Stage()
    stage.start()
    stage.dial_failed(suspect(3, patience=600.0))
    stage.now += 3600.0
    stage.sleep()
    stage.dial_failed(suspect(3, patience=600.0))
    assert stage.stands(State.WAITING), "the second time"


def test_a_good_connection_acquits() -> None:
    stage = Stage()
    stage.start()
    stage.dial_failed(suspect(2))
    stage.sleep()
    actor = stage.ready()
    stage.now += 30.0
    stage.says(actor, suspect(2))
    assert stage.stands(State.WAITING), "the first since the good one"
    stage.sleep()
    stage.dial_failed(suspect(2))
    assert stage.stands(State.STOPPED)


def test_a_short_connection_does_not_acquit() -> None:
    stage = Stage()
    stage.start()
    stage.dial_failed(suspect(2))
    stage.sleep()
    stage.says(stage.ready(), suspect(2))
    assert stage.stands(State.STOPPED)


def test_other_failures_between_do_not_acquit() -> None:
    stage = Stage()
    stage.start()
    for close in (suspect(2), Close(OpenFailed("no route"))):
        stage.dial_failed(close)
        stage.sleep()
    stage.dial_failed(suspect(2))
    assert stage.stands(State.STOPPED)


def test_a_session_that_the_exchange_has_ended_for_the_user_is_a_stop() -> None:
    stage, actor = connected(A)
    stage.request()
    effects = stage.says(actor, Replied(1, value="gone"), Leave(), Failure(error=XchwsError("too late")))
    assert effects == [
        Resolved(1, "gone"),
        Hangup(1, 1000),
        Settled(A, "pending"),
        StateChanged(old=State.READY, new=State.STOPPED, exchange="sim"),
        Disconnected(exchange="sim"),
        Settled(A, "ended"),
        Stopped(exchange="sim"),
        Finish(),
    ]


def test_stop_when_ready() -> None:
    stage, actor = connected(A)
    stage.request()
    assert stage.stop() == [
        Hangup(1, 1000),
        Settled(A, "pending"),
        stage.only(Resolved),
        StateChanged(old=State.READY, new=State.STOPPED, exchange="sim"),
        Disconnected(exchange="sim"),
        Settled(A, "ended"),
        Stopped(exchange="sim"),
        Finish(),
    ]


def new(stage: Stage) -> None:
    pass


def connecting(stage: Stage) -> None:
    stage.start()


def opening(stage: Stage) -> None:
    stage.start()
    stage.dialled()


def ready(stage: Stage) -> None:
    stage.start()
    stage.ready()


def suspended(stage: Stage) -> None:
    stage.start()
    stage.says(stage.ready(), Suspend("maintenance"))


def suspended_early(stage: Stage) -> None:
    stage.start()
    stage.says(stage.dialled(), Suspend("maintenance"))


def waiting(stage: Stage) -> None:
    stage.start()
    stage.dial_failed(Close(lost()))


def succession(stage: Stage) -> None:
    stage.start()
    stage.says(stage.ready(), Renew("plan"))


def succession_failed(stage: Stage) -> None:
    succession(stage)
    stage.dial_failed(Close(lost()))


EVERYWHERE = [
    new,
    connecting,
    opening,
    ready,
    suspended,
    suspended_early,
    waiting,
    succession,
    succession_failed,
]


@pytest.mark.parametrize("where", EVERYWHERE)
def test_stop_is_final_everywhere(where: object) -> None:
    stage = Stage()
    assert callable(where)
    where(stage)
    actor = next(iter(stage.open.values()), Actor())
    links = list(stage.open) + list(stage.dialling)
    effects = stage.stop()
    assert isinstance(effects[-1], Finish)
    session, now = stage.session, stage.now + 1e6
    assert session.deadline() is None
    for number in links:
        assert session.received(number, [b"{}", frames.Close(1000, "")], now) == []
        assert session.lost(number, "", now) == []
        assert session.dial_failed(number, Close(lost()), now) == []
        assert session.fetched(number, "token", None, now) == []
    assert session.wake(now) == []
    assert session.start(now) == []
    assert session.stop(now) == []
    assert session.overflowed(3, now) == []
    assert session.unsubscribe(A, now) == []
    # Who asks gets an answer, or he would wait for ever.
    assert session.subscribe(A, now) == [Settled(A, "ended")]
    (resolved,) = session.request(77, "balance", now)
    assert isinstance(resolved, Resolved)
    assert isinstance(resolved.error, StateError)
    assert session.wanted == {}
    assert actor.told == []


@pytest.mark.parametrize("where", EVERYWHERE)
def test_a_subscription_can_be_wanted_and_given_up_everywhere(where: object) -> None:
    stage = Stage()
    assert callable(where)
    where(stage)
    stage.subscribe(A)
    assert stage.subscribe(A) == [], "wanted already"
    actors = list(stage.open.values())
    assert stage.unsubscribe(A)[0] == Settled(A, "ended")
    assert stage.unsubscribe(A) == []
    for actor in actors:
        assert actor.untold == actor.told


# ----------------------------------------------------------------------------------------------------------- subscriptions


def test_what_is_wanted_is_told_once_per_link() -> None:
    stage = Stage()
    stage.subscribe(A)
    stage.start()
    stage.subscribe(B)
    first = stage.dialled()
    stage.subscribe(C)
    assert first.told == []
    stage.says(first, Ready())
    assert first.told == [A, B, C]
    stage.subscribe(A)
    assert first.told == [A, B, C]
    stage.lost(first)
    stage.unsubscribe(B)
    stage.sleep()
    assert stage.ready().told == [A, C]


def test_a_subscription_becomes_active_once() -> None:
    stage, actor = connected()
    actor.answers[A] = [Send(b"sub")]
    assert stage.subscribe(A) == [Write(1, frames.TEXT, b"sub")]
    assert stage.says(actor, Accepted(A)) == [Settled(A, "active")]
    assert stage.says(actor, Accepted(A)) == []
    assert stage.says(actor, Accepted(B)) == [], "nobody wants it"


def test_a_default_protocol_accepts_at_once() -> None:
    stage, actor = connected()
    actor.answers[A] = [Accepted(A)]
    assert stage.subscribe(A) == [Settled(A, "active")]


def test_a_refusal_is_told_once_and_remembered() -> None:
    stage, actor = connected()
    error = SubscriptionRejected("no such pair", exchange="sim")
    stage.subscribe(A)
    assert stage.says(actor, Refused(A, error)) == [
        Settled(A, "refused", error),
        Failure(error=error, exchange="sim"),
    ]
    assert stage.says(actor, Refused(A, error)) == []
    assert actor.untold == [], "the exchange has never had it"
    stage.lost(actor)
    stage.sleep()
    again = stage.ready()
    assert again.told == []
    stage.subscribe(A)
    assert again.told == [A], "but it can be asked for anew"


def test_a_refusal_at_once_while_others_are_told() -> None:
    stage = Stage()
    stage.subscribe(A)
    stage.subscribe(B)
    stage.start()
    actor = Actor()
    actor.answers[A] = [Refused(A, SubscriptionRejected("no")), Refused(B, SubscriptionRejected("no"))]
    stage.ready(actor)
    assert actor.told == [A]
    assert stage.subscriptions == {}


def test_a_connection_that_ends_while_topics_are_told_is_told_no_more() -> None:
    stage = Stage()
    stage.subscribe(A)
    stage.subscribe(B)
    stage.start()
    actor = Actor()
    actor.answers[A] = [Close(lost())]
    stage.ready(actor)
    assert actor.told == [A]
    assert stage.stands(State.WAITING)


def test_an_interrupted_subscription_is_told_again_with_a_gap() -> None:
    stage, actor = connected(A)
    stage.now += 3.0
    stage.says(actor, trade(symbol=A.name, time_ms=5_000))
    stage.now += 4.0
    assert stage.says(actor, Interrupted(A)) == [Settled(A, "pending")]
    assert actor.told == [A, A]
    stage.now += 1.0
    assert stage.says(actor, Accepted(A), trade("2", A.name)) == [
        Settled(A, "active"),
        Gap(
            since=utc_of(1003.0),
            until=utc_of(1008.0),
            channels=(A.name,),
            last_time=trade(time_ms=5_000).time,
            exchange="sim",
        ),
        trade("2", A.name),
    ]


def test_an_interruption_before_the_answer_makes_no_gap() -> None:
    stage, actor = connected()
    stage.subscribe(A)
    assert stage.says(actor, Interrupted(A)) == []
    assert stage.says(actor, Interrupted(B)) == [], "nobody wants it"
    assert actor.told == [A, A]
    stage.says(actor, Accepted(A))
    assert stage.all(Gap) == []


def test_no_answer_once_is_a_new_connection_twice_is_a_refusal() -> None:
    stage, actor = connected()
    stage.subscribe(A)
    effects = stage.says(actor, Unanswered(A))
    assert isinstance(stage.only(Failure, effects).error, Silent)
    stage.sleep()
    actor = stage.ready()
    assert actor.told == [A]
    effects = stage.says(actor, Unanswered(A))
    assert isinstance(stage.only(Settled, effects).error, SubscriptionRejected)
    assert stage.stands(State.READY)
    assert stage.all(Hangup, effects) == []
    assert actor.untold == [A], "the exchange may serve it all the same"


def test_an_answer_between_makes_unanswered_forgotten() -> None:
    stage, actor = connected()
    stage.subscribe(A)
    stage.says(actor, Unanswered(A))
    stage.sleep()
    actor = stage.ready()
    stage.says(actor, Accepted(A))
    stage.says(actor, Interrupted(A))
    stage.says(actor, Unanswered(A))
    assert stage.stands(State.WAITING)
    assert A in stage.subscriptions


def test_no_answer_to_what_nobody_wants_any_more() -> None:
    stage, actor = connected()
    stage.subscribe(A)
    stage.unsubscribe(A)
    assert stage.says(actor, Unanswered(A)) == []
    assert stage.stands(State.READY)


def test_an_unsubscription_that_ends_both_links() -> None:
    stage, actor = renewing(A)
    successor = stage.ready()
    assert (actor.told, successor.told) == ([A], [A])
    actor.unsubscribing = [Close(AuthenticationFailed("revoked"))]
    late = Failure(error=XchwsError("too late"))
    successor.unsubscribing = [late]
    effects = stage.unsubscribe(A)
    assert late not in effects
    assert successor.untold == []
    assert isinstance(effects[-1], Finish)


# --------------------------------------------------------------------------------------------------------------------- gaps


def test_no_gap_on_the_first_connection() -> None:
    stage, _ = connected(A, B)
    assert stage.all(Gap) == []


def test_one_gap_per_stream_after_a_loss() -> None:
    stage, actor = connected(A, B)
    stage.subscribe(C)  # never live
    stage.now += 7.0
    stage.says(actor, trade(symbol=A.name, time_ms=9_000))
    stage.now += 5.0
    stage.lost(actor)
    assert stage.all(Settled)[-2:] == [Settled(A, "pending"), Settled(B, "pending")]
    stage.sleep()
    stage.now += 2.0
    actor = stage.ready()
    until = stage.now
    assert stage.only(Gap) == Gap(
        since=utc_of(1007.0),
        until=utc_of(until),
        channels=OWN,
        last_time=trade(time_ms=9_000).time,
        exchange="sim",
    )
    assert stage.all(Connected)[-1].gap == until - 1007.0
    stage.now += 1.0
    effects = stage.says(actor, Accepted(A, recovered=True), trade("2", A.name, 50_000), Accepted(C))
    gap = stage.only(Gap, effects)
    assert (gap.channels, gap.recovered, gap.since, gap.until) == ((A.name,), True, utc_of(1007.0), utc_of(until + 1))
    stage.now += 1.0
    gap = stage.only(Gap, stage.says(actor, Accepted(B), trade("3", B.name)))
    assert (gap.channels, gap.recovered, gap.since) == ((B.name,), False, utc_of(1007.0))
    assert gap.last_time == trade(time_ms=9_000).time, "what another stream said since is not before this gap"


def test_a_second_loss_during_recovery_keeps_the_first_since() -> None:
    stage, actor = connected(A)
    stage.now += 7.0
    stage.says(actor, trade())
    for _ in range(3):
        stage.lost(actor)
        stage.sleep()
        actor = stage.dialled()
    stage.says(actor, Ready())
    assert stage.only(Gap).since == utc_of(1007.0)
    stage.now += 2.0
    stage.says(actor, trade())
    heard = stage.now
    stage.lost(actor)  # before A was accepted
    stage.sleep()
    actor = stage.ready()
    assert (stage.all(Gap)[-1].channels, stage.all(Gap)[-1].since) == (OWN, utc_of(heard))
    stage.says(actor, Accepted(A))
    assert (stage.all(Gap)[-1].channels, stage.all(Gap)[-1].since) == ((A.name,), utc_of(1007.0))


def test_a_gap_is_told_once() -> None:
    stage, actor = connected(A)
    stage.lost(actor)
    stage.sleep()
    actor = stage.ready()
    stage.says(actor, Accepted(A))
    stage.says(actor, Accepted(A))
    stage.says(actor, Renew("plan"))
    stage.says(stage.ready(), Accepted(A))
    assert [gap.channels for gap in stage.all(Gap)] == [OWN, (A.name,)]


def test_without_channels_of_its_own_only_subscriptions_have_gaps() -> None:
    stage, actor = connected(channels=())
    stage.lost(actor)
    stage.sleep()
    stage.ready()
    assert stage.all(Gap) == []


def test_a_subscription_given_up_has_no_gap() -> None:
    stage, actor = connected(A, channels=())
    stage.lost(actor)
    stage.unsubscribe(A)
    stage.subscribe(A)
    stage.sleep()
    stage.says(stage.ready(), Accepted(A))
    assert stage.all(Gap) == []


def test_missed_messages_on_a_connection_that_stands() -> None:
    stage, actor = connected()
    stage.now += 3.0
    stage.says(actor, trade(time_ms=1_000))
    stage.now += 3.0
    (event, gap) = stage.says(actor, trade("2", time_ms=2_000), Missed(("missed",)))
    assert event == trade("2", time_ms=2_000)
    assert gap == Gap(
        since=utc_of(1003.0),
        until=utc_of(1006.0),
        channels=("missed",),
        last_time=trade(time_ms=2_000).time,
        exchange="sim",
    )


def test_the_time_before_a_gap_counts_the_batch_that_ended_the_connection() -> None:
    stage, actor = connected()
    actor.script = [[trade(time_ms=1_000), trade("2")]]
    stage.hears(actor, b"{}", frames.Close(1001, "going away"))
    stage.sleep()
    stage.ready()
    assert stage.only(Gap).last_time == trade(time_ms=1_000).time


def test_a_gap_begins_before_a_message_that_never_came_whole() -> None:
    stage, actor = connected()
    stage.now += 5.0
    stage.says(actor, trade(time_ms=1_000))
    whole = stage.now
    for _ in range(2):
        stage.now += 3.0
        stage.hears(actor)  # bytes, and no message complete
    stage.now += 3.0
    stage.lost(actor, "in the middle of a message")
    stage.sleep()
    stage.ready()
    assert stage.only(Gap).since == utc_of(whole)


@pytest.mark.parametrize("end", [frames.Close(1001, "going away"), frames.Violation(1002, "reserved bit set")])
def test_a_gap_begins_before_the_goodbye(end: frames.Item) -> None:
    """The goodbye was on its way for a while, and what happened meanwhile was told to nobody."""
    stage, actor = connected(A)
    stage.now += 5.0
    stage.says(actor, trade(symbol=A.name, time_ms=1_000))
    whole = stage.now
    stage.now += 3.0
    stage.hears(actor, end)
    stage.sleep()
    stage.says(stage.ready(), Accepted(A))
    assert {gap.since for gap in stage.all(Gap)} == {utc_of(whole)}


def test_a_jump_is_a_gap_since_the_last_whole_message() -> None:
    stage, actor = connected()
    stage.now += 5.0
    stage.says(actor, trade(time_ms=1_000))
    whole = stage.now
    stage.now += 3.0
    stage.hears(actor)
    stage.now += 3.0
    stage.says(actor, Missed(("missed",)))
    assert stage.only(Gap).since == utc_of(whole)


def test_a_time_beyond_the_calendar_is_no_time() -> None:
    stage, actor = connected()
    stage.says(actor, trade(time_ms=1_000))
    stage.says(actor, trade("2", time_ms=10**30))
    stage.says(actor, Missed(("missed",)))
    assert stage.only(Gap).last_time == trade(time_ms=1_000).time


# ------------------------------------------------------------------------------------------------------- slow consumers


def test_what_was_given_up_lies_in_the_gap() -> None:
    stage, actor = connected(A)
    stage.now += 5.0
    stage.says(actor, trade("1", A.name, 1_000))
    stage.now += 5.0
    stage.says(actor, trade("2", A.name, 2_000))
    effects = stage.overflowed(1)
    error = stage.only(Failure, effects).error
    assert isinstance(error, SlowConsumer)
    assert error.dropped == 1
    stage.sleep()
    actor = stage.ready()
    stage.says(actor, Accepted(A))
    for gap in stage.all(Gap):
        assert (gap.since, gap.last_time) == (utc_of(1005.0), trade(time_ms=1_000).time)


def test_what_was_given_up_with_the_end_of_a_connection_lies_in_the_gap() -> None:
    stage, actor = connected(A, B)
    stage.says(actor, Interrupted(B))
    stage.now += 5.0
    stage.says(actor, trade("1", A.name, 1_000))
    stage.now += 5.0
    stage.says(actor, trade("2", A.name, 2_000), Close(lost()))
    assert isinstance(stage.only(Failure, stage.overflowed(1)).error, SlowConsumer)
    stage.sleep()
    actor = stage.ready()
    stage.says(actor, Accepted(A), Accepted(B))
    own, of_a, of_b = stage.all(Gap)
    assert own.since == of_a.since == utc_of(1005.0)
    assert own.last_time == of_a.last_time == trade(time_ms=1_000).time
    assert of_b.since == utc_of(1000.0)


def test_nothing_overflows_before_the_start() -> None:
    assert Stage().overflowed() == []


# -------------------------------------------------------------------------------------------------------------- suspension


def test_suspended_and_resumed() -> None:
    stage, actor = connected(A)
    stage.now += 5.0
    stage.says(actor, trade())
    stage.now += 5.0
    assert stage.says(actor, Suspend("maintenance")) == [
        Settled(A, "pending"),
        StateChanged(old=State.READY, new=State.SUSPENDED, exchange="sim"),
        Suspended(reason="maintenance", exchange="sim"),
    ]
    assert stage.says(actor, Suspend("maintenance")) == []
    assert stage.says(actor, Accepted(A)) == [], "the answer to what was asked before"
    stage.says(actor, Interrupted(A))
    stage.subscribe(B)
    assert actor.told == [A], "it is not asked for anything while it cannot serve"
    stage.now += 15.0
    effects = stage.says(actor, Resume())
    assert effects[0] == StateChanged(old=State.SUSPENDED, new=State.READY, exchange="sim")
    gap = stage.only(Gap, effects)
    assert (gap.channels, gap.since, gap.until) == (OWN, utc_of(1005.0), utc_of(1025.0))
    assert actor.told == [A, A, B]
    gap = stage.only(Gap, stage.says(actor, Accepted(A), Accepted(B)))
    assert (gap.channels, gap.since) == ((A.name,), utc_of(1005.0))
    assert stage.says(actor, Resume()) == [], "it serves already"


def test_a_loss_while_suspended_keeps_the_first_since() -> None:
    stage, actor = connected(A)
    stage.now += 5.0
    stage.says(actor, trade())
    stage.now += 5.0
    stage.says(actor, Suspend("maintenance"))
    stage.now += 5.0
    stage.says(actor)
    stage.lost(actor)
    stage.sleep()
    stage.says(stage.ready(), Accepted(A))
    assert [gap.since for gap in stage.all(Gap)] == [utc_of(1005.0)] * 2


def test_suspended_before_ready() -> None:
    stage = Stage(ping_interval=None)
    stage.start()
    actor = stage.dialled()
    stage.says(actor, Suspend("maintenance"))
    assert stage.stands(State.SUSPENDED)
    assert stage.session.deadline() is None
    stage.now += 500.0
    stage.says(actor, Resume())
    assert stage.stands(State.CONNECTING)
    assert stage.session.deadline() == stage.now + 10.0, "the whole time to READY, not what was left of it"
    stage.says(actor, Ready())
    assert stage.stands(State.READY)
    assert stage.all(Gap) == []


def test_ready_while_suspended_serves() -> None:
    stage = Stage()
    stage.start()
    actor = stage.dialled()
    stage.says(actor, Suspend("maintenance"))
    stage.says(actor, Ready())
    assert stage.stands(State.READY)
    stage.subscribe(A)
    assert actor.told == [A]
    assert stage.says(actor, Resume()) == []


# -------------------------------------------------------------------------------------------------------------- succession


def test_a_renewal_nobody_notices() -> None:
    stage, actor = renewing(A, B)
    before = len(stage.log)
    assert stage.session.active is not None and stage.session.active.number == 1
    stage.says(actor, trade("1", A.name))
    successor = stage.ready()
    assert successor.told == [A, B]
    stage.says(successor, Accepted(A))
    assert stage.open.keys() == {1, 2}, "not before all is confirmed"
    assert stage.says(successor, Accepted(B)) == [Write(1, frames.PING, b"")]
    assert stage.drain(actor) == [Hangup(1, 1000)]
    assert stage.session.active.number == 2
    assert [one for one in stage.log[before:] if isinstance(one, Event)] == [trade("1", A.name)]
    assert stage.session.connections == 2
    assert stage.says(successor, trade("2", A.name)) == [trade("2", A.name)]


def test_a_renewal_with_nothing_subscribed() -> None:
    stage, actor = renewing()
    stage.ready()
    assert stage.drain(actor) == [Hangup(1, 1000)]


def test_doubles_are_told_once() -> None:
    stage, actor = renewing(A)
    successor = stage.ready()
    assert stage.says(successor, trade("1"), trade("2")) == []
    assert stage.says(actor, trade("1"), trade("2"), trade("3")) == [trade("1"), trade("2"), trade("3")]
    stage.says(successor, Accepted(A))
    assert stage.says(successor, trade("3"), trade("4")) == []
    stage.hears(actor, frames.Pong(b""))
    stage.now += 1.9
    assert stage.wake() == []
    assert stage.says(actor, trade("5")) == [trade("5")]
    stage.now += 0.1
    assert stage.wake() == [Hangup(1, 1000), trade("4")], "what its forerunner has not told in all that time"
    assert stage.says(successor, trade("5"), trade("6")) == [trade("6")]
    assert stage.says(successor, trade("5"), trade("6")) == [trade("5"), trade("6")], "the exchange says it again"


def test_late_doubles_are_not_waited_for_for_ever() -> None:
    stage, actor = renewing()
    successor = stage.ready()
    stage.says(actor, trade("1"), trade("2"))
    stage.now += 2.0
    stage.wake()
    stage.now += 9.9
    stage.wake()
    assert stage.says(successor, trade("1")) == []
    stage.now += 0.1
    stage.wake()
    assert stage.says(successor, trade("2")) == [trade("2")], "no longer a late double, but what the exchange says"


def test_what_cannot_be_told_apart_comes_from_the_active_link_alone() -> None:
    stage, actor = renewing(A)
    successor = stage.ready()
    anonymous = Trade(exchange="sim")
    message = Message(wire=b"{}", exchange="sim")
    failure = Failure(error=XchwsError("odd"), exchange="sim")
    assert stage.says(successor, anonymous, message, failure) == [failure]
    assert stage.says(actor, anonymous, message, failure) == [anonymous, message, failure]


def test_what_a_successor_misses_is_no_gap() -> None:
    stage, _ = renewing(A)
    successor = stage.ready()
    assert stage.says(successor, Missed(("missed",))) == []


def test_a_topic_wanted_during_succession_is_told_on_both() -> None:
    stage, actor = renewing(A)
    successor = stage.ready()
    stage.subscribe(B)
    assert (actor.told, successor.told) == ([A, B], [A, B])
    stage.says(successor, Accepted(A))
    assert stage.has_successor()
    stage.says(successor, Accepted(B))
    assert stage.drain(actor) == [Hangup(1, 1000), Settled(B, "active")]


def test_a_topic_refused_by_the_active_link_is_not_told_to_the_successor() -> None:
    stage, actor = renewing(A)
    successor = stage.ready()
    actor.answers[B] = [Refused(B, SubscriptionRejected("no"))]
    stage.subscribe(B)
    assert successor.told == [A]


def test_a_topic_given_up_lets_the_successor_take_over() -> None:
    stage, actor = renewing(A, B)
    successor = stage.ready()
    stage.says(successor, Accepted(A))
    assert stage.unsubscribe(B) == [Settled(B, "ended"), Write(1, frames.PING, b"")]
    assert stage.drain(actor) == [Hangup(1, 1000)]
    assert (actor.untold, successor.untold) == ([B], [B])


def test_a_topic_refused_by_the_successor_lets_it_take_over() -> None:
    stage, actor = renewing(A, B)
    successor = stage.ready()
    stage.says(successor, Accepted(A), Refused(B, SubscriptionRejected("no more")))
    stage.drain(actor)
    assert stage.session.active is not None and stage.session.active.number == 2
    assert actor.untold == [B]
    assert successor.untold == []


def test_a_loss_during_succession_promotes_a_successor_that_is_ready() -> None:
    stage, actor = renewing(A, B)
    stage.says(actor, trade("1", A.name))
    stage.now += 1.0
    successor = stage.ready()
    stage.says(successor, Accepted(A))
    effects = stage.lost(actor)
    assert [(event.old, event.new) for event in stage.all(StateChanged, effects)] == [
        (State.READY, State.CONNECTING),
        (State.CONNECTING, State.READY),
    ]
    assert stage.only(Disconnected, effects).retry_in == 0.0
    assert stage.only(Connected, effects).attempt == 1
    own, of_a = stage.all(Gap, effects)
    assert (own.channels, own.since, of_a.channels, of_a.since) == (OWN, utc_of(1005.0), (A.name,), utc_of(1005.0))
    assert successor.told == [A, B], "told once, though it was told before it was promoted"
    of_b = stage.only(Gap, stage.says(successor, Accepted(B)))
    assert of_b.channels == (B.name,)


@pytest.mark.parametrize("opened", [False, True])
def test_a_loss_during_succession_waits_for_the_successor(opened: bool) -> None:
    stage, actor = renewing(A)
    successor = stage.dialled() if opened else None
    effects = stage.lost(actor)
    assert stage.stands(State.CONNECTING)
    assert stage.all(Dial, effects) == []
    if successor is None:
        successor = stage.dialled()
    stage.says(successor, Ready())
    assert stage.stands(State.READY)
    assert stage.only(Gap).channels == OWN
    assert successor.told == [A]
    stage.says(successor, Accepted(A))
    assert len(stage.all(Gap)) == 2


def test_a_promoted_successor_that_fails_is_an_ordinary_failure() -> None:
    stage, actor = renewing(A)
    stage.lost(actor)
    stage.dial_failed(Close(lost()))
    assert stage.stands(State.WAITING)
    assert waits(stage) == 2.0


def test_a_failed_successor_is_tried_again_beside_the_active_link() -> None:
    stage, actor = renewing(A)
    seen = []
    for _ in range(3):
        effects = stage.dial_failed(Close(OpenFailed("refused")))
        assert [type(effect) for effect in effects] == [Hangup, Failure]
        assert stage.session.renew_at is not None
        seen.append(stage.session.renew_at - stage.now)
        stage.says(actor, trade(), Renew("again"))
        assert not stage.has_successor(), "in its own time"
        stage.now = stage.session.renew_at
        assert isinstance(stage.wake()[-1], Dial)
    assert seen == [1.0, 2.0, 4.0]
    stage.says(stage.ready(), Accepted(A))
    stage.drain(actor)
    assert stage.stands(State.READY)
    assert stage.all(Gap) == []
    stage.says(next(iter(stage.open.values())), Renew("next"))
    stage.dial_failed(Close(OpenFailed("refused")))
    assert stage.session.renew_at == stage.now + 1.0


def test_a_failed_successor_honours_retry_after() -> None:
    stage, _ = renewing()
    stage.dial_failed(Close(RateLimited("slow down", retry_after=40.0)))
    assert stage.session.renew_at == stage.now + 40.0


def test_a_new_connection_has_its_own_renewals() -> None:
    stage, actor = renewing()
    for _ in range(4):
        stage.dial_failed(Close(OpenFailed("refused")))
        assert stage.session.renew_at is not None
        stage.now = stage.session.renew_at
        stage.wake()
    stage.dial_failed(Close(OpenFailed("refused")))
    stage.lost(actor)
    assert stage.session.renew_at is None
    stage.sleep()
    actor = stage.ready()
    stage.says(actor, Renew("plan"))
    stage.dial_failed(Close(OpenFailed("refused")))
    assert stage.session.renew_at == stage.now + 1.0


def test_a_fatal_error_of_the_successor_leaves_the_active_link_alone() -> None:
    stage, actor = renewing()
    stage.dial_failed(Close(AuthenticationFailed("refused")))
    assert stage.stands(State.READY)
    stage.lost(actor)
    stage.sleep()
    stage.dial_failed(Close(AuthenticationFailed("refused")))
    assert stage.stands(State.STOPPED)


def test_no_answer_on_the_successor_costs_only_the_successor() -> None:
    stage, actor = renewing(A)
    for _ in range(3):
        stage.says(stage.ready(), Unanswered(A))
        assert stage.subscriptions == {A: "active"}
        assert stage.stands(State.READY)
        assert stage.session.renew_at is not None
        stage.now = stage.session.renew_at
        stage.says(actor, trade())
        stage.wake()


def test_a_suspended_successor_is_given_up() -> None:
    stage, actor = renewing(A)
    effects = stage.says(stage.dialled(), Suspend("maintenance"))
    assert isinstance(stage.only(Failure, effects).error, OpenFailed)
    assert stage.stands(State.READY)
    assert not stage.has_successor()
    assert stage.session.renew_at is not None


def test_an_interruption_on_the_successor_is_no_gap() -> None:
    stage, actor = renewing(A, B)
    successor = stage.ready()
    stage.says(successor, Accepted(A))
    assert stage.says(successor, Interrupted(A)) == []
    stage.says(successor, Accepted(B))
    assert stage.has_successor()
    stage.says(successor, Accepted(A))
    stage.drain(actor)
    assert not stage.has_successor()
    assert stage.all(Gap) == []


def test_a_renewal_out_of_suspension_serves_again_with_a_gap() -> None:
    stage, actor = renewing(A)
    successor = stage.ready()
    stage.says(actor, Suspend("this node goes down"))
    stage.says(successor, Accepted(A))
    assert stage.session.deadline() == stage.now, "a forerunner that tells nothing is not drained"
    stage.sleep()
    assert stage.stands(State.READY)
    assert [gap.channels for gap in stage.all(Gap)] == [(A.name,), OWN]


def test_the_exchange_takes_one_connection_only() -> None:
    stage, actor = renewing(A)
    effects = stage.dial_failed(Close(lost("one only"), exclusive=True))
    kinds = [type(effect) for effect in effects]
    assert effects[-1] == Dial(3, 10.0)
    assert kinds.index(Dial) > max(index for index, kind in enumerate(kinds) if kind is Hangup)
    assert stage.session.renew_at is None
    stage.says(stage.ready(), Accepted(A))
    assert [gap.channels for gap in stage.all(Gap)] == [OWN, (A.name,)]


def test_break_before_make_where_two_are_not_permitted() -> None:
    stage, actor = connected(A, overlap=False)
    stage.now += 2.0
    effects = stage.says(actor, Renew("plan"), trade("late"))
    assert effects == [
        Hangup(1, 1000),
        Settled(A, "pending"),
        stage.only(Disconnected),
        StateChanged(old=State.READY, new=State.CONNECTING, exchange="sim"),
        Dial(2, 10.0),
    ]
    assert stage.only(Disconnected).retry_in == 0.0
    assert errors(stage) == [], "it was planned"
    stage.says(stage.ready(), Accepted(A))
    assert len(stage.all(Gap)) == 2


@pytest.mark.parametrize("overlap", [True, False])
def test_a_planned_end_of_a_good_connection_makes_failures_forgotten(overlap: bool) -> None:
    stage = Stage(overlap=overlap)
    stage.start()
    for _ in range(4):
        stage.dial_failed(Close(OpenFailed("refused")))
        stage.sleep()
    actor = stage.ready()
    stage.now += 3600.0
    stage.says(actor, Renew("one hour is over"))
    successor = stage.ready()
    if overlap:
        stage.drain(actor)
    stage.lost(successor)
    assert waits(stage) == 1.0


def test_a_renewal_that_is_asked_for_too_early_waits_for_ready() -> None:
    stage = Stage()
    stage.start()
    actor = stage.dialled()
    assert stage.says(actor, Renew("at once")) == []
    assert not any(isinstance(effect, Dial) for effect in stage.says(actor, Ready(), Renew("now")))
    assert stage.session.renew_at == stage.now + 1.0
    stage.sleep()
    assert stage.has_successor()
    stage.dialled()
    assert stage.says(actor, Renew("again")) == [], "it is under way"
    assert stage.session.renew_at is None


def test_a_renewal_that_a_successor_asks_for_comes_after_it_has_taken_over() -> None:
    stage, actor = renewing(A)
    successor = stage.dialled()
    assert stage.says(successor, Renew("me too"), Renew("me too")) == []
    stage.says(successor, Ready(), Accepted(A))
    stage.drain(actor)
    assert not stage.has_successor()
    assert stage.session.renew_at == stage.now + 1.0
    stage.now += 1.0
    assert stage.all(Dial, stage.wake()) and stage.has_successor()
    third = stage.ready()
    stage.says(third, Accepted(A))
    stage.drain(successor)
    assert stage.session.renew_at is None, "once"


@pytest.mark.parametrize("ready", [True, False])
def test_a_renewal_that_a_promoted_successor_asked_for(ready: bool) -> None:
    stage, actor = renewing(A)
    successor = stage.dialled()
    stage.says(successor, *([Ready()] if ready else []), Renew("me too"))
    stage.lost(actor)
    if not ready:
        assert stage.session.renew_at is None
        stage.says(successor, Ready())
    assert stage.session.renew_at == stage.now + 1.0


def test_a_renewal_that_a_lost_successor_asked_for_is_gone_with_it() -> None:
    stage, actor = renewing(A)
    successor = stage.dialled()
    stage.says(successor, Renew("me too"))
    stage.lost(successor)
    assert stage.session.renew_at == stage.now + 1.0
    stage.sleep()
    stage.says(stage.ready(), Accepted(A))
    stage.drain(actor)
    assert stage.session.renew_at is None


def test_a_new_succession_soon_after_keeps_what_was_seen() -> None:
    stage, actor = renewing()
    second = stage.ready()
    stage.now += 1.5
    stage.says(actor, trade("1"))
    stage.now += 0.5
    stage.wake()
    stage.says(second, Renew("again"))
    third = stage.ready()
    assert stage.says(third, trade("1"), trade("2")) == []
    assert stage.says(second, trade("1")) == [], "the late double of the first"
    assert stage.drain(second) == [Hangup(2, 1000), trade("2")], "neither is the third's a new one"


# ---------------------------------------------------------------------------------------------------------------- requests


def outcome(effects: List[Effect]) -> Optional[XchwsError]:
    (resolved,) = [effect for effect in effects if isinstance(effect, Resolved)]
    return resolved.error


def test_a_reply_and_an_error() -> None:
    stage, actor = connected()
    stage.request("one")
    stage.request("two")
    assert actor.asked == [(1, "one"), (2, "two")]
    refused = RequestRejected("no funds")
    assert stage.says(actor, Replied(2, error=refused), Replied(1, value=7), Replied(1, value=8), Replied(9)) == [
        Resolved(2, error=refused),
        Resolved(1, value=7),
    ]


@pytest.mark.parametrize("where", [new, connecting, opening, waiting, suspended_early])
def test_not_connected(where: object) -> None:
    stage = Stage()
    assert callable(where)
    where(stage)
    error = outcome(stage.request())
    assert isinstance(error, ConnectionLost)
    assert "not sent" in str(error)


@pytest.mark.parametrize("end", ["lost", "stop", "close", "swap"])
def test_the_connection_ends_before_the_answer(end: str) -> None:
    stage, actor = connected()
    stage.request()
    if end == "lost":
        effects = stage.lost(actor)
    elif end == "stop":
        effects = stage.stop()
    elif end == "close":
        effects = stage.hears(actor, frames.Close(1012, ""))
    else:
        stage.says(actor, Renew("plan"))
        stage.ready()
        stage.hears(actor, frames.Pong(b""))
        stage.now += 31.9
        assert stage.all(Hangup, stage.wake()) == [], "it is waited for"
        stage.now += 0.1
        effects = stage.wake()
    error = outcome(effects)
    assert isinstance(error, ConnectionLost)
    assert "unknown" in str(error)


def test_an_answer_on_the_next_connection_comes_too_late() -> None:
    stage, actor = connected()
    stage.request()
    stage.lost(actor)
    stage.sleep()
    assert stage.says(stage.ready(), Replied(1, value="late")) == []


def test_a_request_that_ends_the_connection() -> None:
    stage, actor = connected()
    actor.replies = [Close(lost())]
    assert isinstance(outcome(stage.request()), ConnectionLost)


def test_a_successor_is_asked_nothing() -> None:
    stage, actor = renewing()
    successor = stage.dialled()
    stage.request()
    assert (actor.asked, successor.asked) == ([(1, "balance")], [])
    stage.says(successor, Close(lost()))
    assert stage.unresolved == {1}


def test_last_words() -> None:
    stage, actor = connected(A)
    stage.request()
    refused = RequestRejected("session over")
    odd = Failure(error=XchwsError("half a message"), exchange="sim")
    words: List[Output] = [Replied(1, error=refused), odd, Close(lost()), Unanswered(A), Ready(), Send(b"bye")]
    actor.last_words = words
    effects = stage.lost(actor)
    assert outcome(effects) is refused
    assert odd in effects
    assert stage.all(Write, effects) == []
    assert len(stage.all(Disconnected)) == 1


def test_a_peer_that_answered_a_ping_is_held_to_it_on_later_connections() -> None:
    stage = Stage()
    stage.start()
    first = Actor()
    first.answers_pings = False
    stage.ready(first)
    stage.sleep()
    stage.hears(first, frames.Pong(b""))
    stage.lost(first)
    stage.sleep()
    second = Actor()
    second.answers_pings = False
    stage.ready(second)
    assert [write.opcode for write in stage.all(Write, stage.sleep())] == [frames.PING]
    effects = stage.sleep()  # not a byte comes, not even the answer to the first ping
    assert isinstance(stage.only(Disconnected, effects).error, Silent)


def test_what_a_connection_told_that_never_served_comes_after_a_gap() -> None:
    stage, actor = connected()
    whole = stage.now
    for number in range(2):
        stage.lost(actor)
        stage.now += 3.0
        stage.sleep()
        actor = stage.dialled()
        stage.now += 1.0
        stage.hears(actor)
        actor.last_words = [trade(f"early {number}")]
        effects = stage.lost(actor)
        told = [effect for effect in effects if isinstance(effect, (Gap, Trade))]
        assert [type(one) for one in told] == [Gap, Trade], "what came before it may be missing"
        assert stage.only(Gap, effects).since == utc_of(whole) and stage.only(Gap, effects).until == utc_of(stage.now)
        stage.sleep()
        actor = stage.ready()
        assert len(stage.all(Gap)) == 2 * number + 2, "and what came after it, until it serves again"
        whole = stage.now


# ----------------------------------------------------------------------------------------------------------------- the rest


def test_a_close_before_any_byte_of_the_protocol() -> None:
    stage = Stage()
    stage.start()
    effects = stage.do(stage.session.lost(stage.dial, "reset", stage.now))
    assert isinstance(stage.only(Disconnected, effects).error, ConnectionLost)


def test_the_protocols_word_on_a_loss() -> None:
    stage, actor = connected()
    actor.closing = Close(lost("out of order"), code=1011)
    effects = stage.lost(actor, "reset by peer")
    assert actor.said == [(1006, "reset by peer")]
    assert Hangup(1, None) in effects, "there is nobody to close to"


def test_a_jump_of_the_clock() -> None:
    stage, actor = connected(A)
    stage.now += 1e7
    stage.sleep()
    stage.sleep()
    assert stage.stands(State.WAITING)
    stage.sleep()
    stage.says(stage.ready(), Accepted(A))
    assert stage.only(Gap, stage.log[-2:]).since == utc_of(1000.0)


def test_a_slow_backoff_is_the_users() -> None:
    stage = Stage(backoff=Backoff(initial=5.0, maximum=10.0, factor=2.0, randomization=0.5))
    stage.draw = 0.5
    stage.start()
    stage.dial_failed(Close(lost()))
    assert waits(stage) == 5.0


# ------------------------------------------------------------------------------------------------------------ the drain


def draining(*topics: Topic) -> Tuple[Stage, Actor, Actor]:
    """A stage whose successor serves all, one second ago; its forerunner has answered."""
    stage, actor = renewing(*topics)
    successor = stage.ready()
    for topic in topics:
        stage.says(successor, Accepted(topic))
    stage.hears(actor, frames.Pong(b""))
    stage.now += 1.0
    assert stage.wake() == [] and stage.has_successor()
    return stage, actor, successor


@pytest.mark.parametrize("end", ["close", "lost", "suspend"])
def test_a_forerunner_that_ends_while_it_is_drained_leaves_no_gap(end: str) -> None:
    stage, actor, successor = draining(A)
    stage.says(successor, trade("1", A.name), trade("2", A.name))
    stage.says(actor, trade("1", A.name))
    if end == "close":
        effects = stage.hears(actor, frames.Close(1001, "going away"))
    elif end == "lost":
        effects = stage.lost(actor)
    else:
        effects = stage.says(actor, Suspend("this node goes down"))
    assert effects == [Hangup(1, None if end == "lost" else 1000), trade("2", A.name)]
    assert stage.stands(State.READY) and stage.session.failures == 0


def test_a_fatal_end_of_the_forerunner_is_the_end_of_all() -> None:
    stage, actor, successor = draining(A)
    stage.says(successor, trade("1", A.name))
    effects = stage.says(actor, Close(AuthenticationFailed("revoked")))
    assert stage.stands(State.STOPPED)
    assert trade("1", A.name) in effects


def test_what_cannot_be_recognised_after_the_forerunner_fell_silent_is_told() -> None:
    stage, actor, successor = draining(A)
    anonymous = Trade(exchange="sim")
    stage.says(successor, anonymous)
    assert stage.lost(actor) == [Hangup(1, None), anonymous]


def test_a_mute_forerunner_is_not_taken_for_a_quiet_one() -> None:
    stage, actor = renewing(A)
    stage.now += 1.0
    successor = stage.ready()
    stage.says(successor, Accepted(A))
    stage.now += 9.9
    assert stage.wake() == [], "neither answer nor silence yet"
    stage.now += 0.1
    effects = stage.wake()
    assert isinstance(stage.only(Disconnected, effects).error, Silent)
    assert [gap.since for gap in stage.all(Gap, effects)] == [utc_of(1005.0)] * 2
    assert stage.stands(State.READY)


def test_without_pings_a_quiet_forerunner_is_believed() -> None:
    stage, actor = connected(A)
    actor.pings = False
    stage.says(actor, Renew("plan"))
    assert stage.says(stage.ready(), Accepted(A)) == []
    stage.now += 2.0
    assert stage.wake() == [Hangup(1, 1000)]


@pytest.mark.parametrize("change", ["subscribe", "interrupted", "missed"])
def test_a_successor_that_is_complete_no_more_does_not_take_over(change: str) -> None:
    stage, actor, successor = draining(A)
    if change == "subscribe":
        stage.subscribe(B)
    elif change == "interrupted":
        stage.says(successor, Interrupted(A))
    else:
        stage.says(successor, Missed(("missed",)))
    stage.now += 1.9
    stage.wake()
    assert stage.has_successor()
    assert B not in stage.subscriptions or stage.subscriptions[B] == "wanted"
    if change != "missed":
        stage.says(successor, Accepted(A), Accepted(B))
    stage.drain(actor)
    assert not stage.has_successor()
    assert stage.all(Gap) == []


def test_what_both_have_missed_is_a_gap() -> None:
    stage, actor, successor = draining(A)
    stage.says(successor, Missed(("missed",)))
    stage.now += 0.5
    stage.lost(actor)
    assert len(stage.all(Gap)) == 2


def test_an_answer_is_waited_for_and_then_no_longer() -> None:
    stage, actor = renewing(A)
    stage.request("before")
    successor = stage.ready()
    stage.says(successor, Accepted(A))
    assert stage.drain(actor) == []
    stage.request("after")
    assert (actor.asked, successor.asked) == ([(1, "before")], [(2, "after")])
    assert stage.says(actor, Replied(1, value=7)) == [Resolved(1, value=7)]
    assert (stage.session.deadline() or 1e9) <= stage.now
    assert stage.wake() == [Hangup(1, 1000)]
    assert stage.says(successor, Replied(2, value=8)) == [Resolved(2, value=8)]


def test_an_overflow_is_not_made_good_by_a_successor() -> None:
    stage, actor, successor = draining(A)
    stage.now += 0.5
    stage.says(actor, trade("1", A.name))
    effects = stage.overflowed(1)
    assert isinstance(stage.only(Failure, effects).error, SlowConsumer)
    assert [gap.channels for gap in stage.all(Gap, effects)] == [OWN, (A.name,)]


def test_what_was_held_and_does_not_fit_lies_in_the_gap() -> None:
    stage, actor, successor = draining(A)
    stage.says(successor, trade("1", A.name))
    stage.now += 0.6
    stage.says(successor, trade("2", A.name))
    stage.now += 0.4
    assert stage.all(Trade, stage.wake()) == [trade("1", A.name), trade("2", A.name)]
    held_since = stage.now - 1.0
    stage.overflowed(2)
    stage.sleep()
    stage.says(stage.ready(), Accepted(A))
    assert [gap.since for gap in stage.all(Gap)] == [utc_of(held_since)] * 2


def test_what_only_a_successor_has_told_is_not_lost_by_a_stop() -> None:
    stage, actor, successor = draining(A)
    stage.says(successor, trade("1", A.name), trade("2", A.name))
    stage.says(actor, trade("1", A.name))
    assert stage.all(Trade, stage.stop()) == [trade("2", A.name)]


def test_what_only_a_failed_successor_has_told_is_told_once() -> None:
    stage, actor, successor = draining(A)
    stage.says(successor, trade("1", A.name))
    assert stage.all(Trade, stage.lost(successor)) == [trade("1", A.name)]
    assert stage.says(actor, trade("1", A.name), trade("2", A.name)) == [trade("2", A.name)]


def test_a_promoted_successor_tells_what_it_held_after_the_gap() -> None:
    stage, actor = renewing(A, B)
    successor = stage.ready()
    stage.says(successor, Accepted(A), trade("1", A.name))
    effects = [one for one in stage.lost(actor) if isinstance(one, (Gap, Trade))]
    assert [type(one) for one in effects] == [Gap, Gap, Trade]


# ------------------------------------------------------------------------------------------------------ ends and gaps


def test_an_end_that_was_foreseen_is_no_failure_but_not_for_ever() -> None:
    stage, actor = connected()
    stage.says(actor, Close(lost(), at_once=True))
    assert (waits(stage), stage.session.failures) == (0.0, 0)
    stage.sleep()
    stage.says(stage.ready(), Close(lost(), at_once=True))
    assert (waits(stage), stage.session.failures) == (1.0, 1), "it must not go round without a pause"
    stage.sleep()
    actor = stage.ready()
    stage.now += 30.0
    stage.says(actor, Close(lost(), at_once=True))
    assert (waits(stage), stage.session.failures) == (0.0, 0)


def test_a_successor_that_ends_as_foreseen_is_tried_again_at_once() -> None:
    stage, _ = renewing()
    stage.dial_failed(Close(lost(), at_once=True))
    assert stage.session.renew_at == stage.now
    stage.sleep()
    stage.dial_failed(Close(lost(), at_once=True))
    assert stage.session.renew_at == stage.now + 1.0


def test_missed_since_an_instant() -> None:
    stage, actor = connected()
    stage.now += 5.0
    (gap,) = stage.says(actor, Missed(("missed",), since=1002.0))
    assert isinstance(gap, Gap)
    assert (gap.since, gap.until) == (utc_of(1002.0), utc_of(1005.0))


def test_what_was_given_up_is_not_recovered_by_a_replay() -> None:
    stage, actor = connected(A, B)
    stage.overflowed(3)
    stage.sleep()
    actor = stage.ready()
    stage.says(actor, Accepted(A, recovered=True), Accepted(B, recovered=True))
    assert [gap.recovered for gap in stage.all(Gap)] == [False] * 3
    stage.lost(actor)
    stage.sleep()
    stage.says(stage.ready(), Accepted(A, recovered=True))
    assert stage.all(Gap)[-1].recovered


# ---------------------------------------------------------------------------------------------------- faults of ours


@pytest.mark.parametrize(
    "call", ["opened", "wake", "subscribe", "unsubscribe", "request", "fetched", "closed", "identity", "deadline"]
)
@pytest.mark.parametrize("succeeding", [False, True])
def test_a_fault_of_ours_costs_the_connection(call: str, succeeding: bool) -> None:
    stage, actor = renewing(A) if succeeding else connected(A)
    faulty = stage.ready() if succeeding else actor
    number, before = stage.number(faulty), len(stage.log)
    faulty.faulty = {call}
    if call == "opened":
        stage.lost(faulty)
        stage.sleep()
        number = stage.dial
        faulty = Actor()
        faulty.faulty = {call}
        stage.dialled(actor=faulty)
    elif call == "wake":
        faulty.due = stage.now
        stage.wake()
    elif call == "subscribe":
        stage.subscribe(B)
    elif call == "unsubscribe":
        stage.unsubscribe(A)
    elif call == "request":
        if succeeding:
            stage.says(faulty, Accepted(A))
        assert isinstance(outcome(stage.request()), ConnectionLost)
    elif call == "fetched":
        stage.do(stage.session.fetched(number, "token", None, stage.now))
    elif call == "closed":
        stage.hears(faulty, frames.Close(1000, ""))
    else:
        if call == "identity" and not succeeding:
            stage.says(actor, Renew("plan"))
        stage.says(faulty, trade("1"))
        assert (stage.session.deadline() or 1e9) <= stage.now
        stage.sleep()
    made = stage.log[before:]
    assert Hangup(number, 1011) in made
    (fault,) = [one.error for one in stage.all(Failure, made) if isinstance(one.error, ProtocolError)]
    assert str(fault).startswith("sim: internal error: RuntimeError") and call in str(fault)
    assert isinstance(stage.session.last_error, ConnectionLost)
    assert not stage.stands(State.STOPPED)
    if not succeeding and call != "identity":
        assert stage.stands(State.WAITING) and waits(stage) > 0.0


def test_a_fault_in_the_last_words_is_told() -> None:
    stage, actor = connected()
    actor.faulty = {"ended", "closed"}
    effects = stage.lost(actor)
    assert len([one for one in stage.all(Failure, effects) if isinstance(one.error, ProtocolError)]) == 2
    assert Hangup(1, None) in effects


def test_a_fault_that_comes_every_time_is_no_hot_loop() -> None:
    stage = Stage()
    stage.start()
    seen = []
    for _ in range(5):
        actor = Actor()
        actor.faulty = {"deadline"}
        stage.ready(actor)
        stage.sleep()
        seen.append(waits(stage))
        stage.sleep()
    assert seen == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_errors_before_the_protocol_speaks_name_the_exchange() -> None:
    stage = Stage()
    stage.start()
    stage.sleep()
    stage.sleep()
    stage.do(stage.session.lost(stage.dial, "reset", stage.now))
    late, gone = [event.error for event in stage.all(Disconnected)]
    assert late is not None and gone is not None
    assert str(late) == "sim: the connection was not ready within 10 s: it was still being dialled"
    assert str(gone) == "sim: the connection was lost: reset"
    assert late.exchange == gone.exchange == "sim"
