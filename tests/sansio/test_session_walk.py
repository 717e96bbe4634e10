"""A random walk through the session: whatever happens in whatever order, what the stage checks after every step holds."""

from __future__ import annotations

from typing import Any, List, Optional, Set

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.sansio.stage import Actor, Stage, lost, trade
from xchws.errors import (
    AuthenticationFailed,
    HandshakeRejected,
    RateLimited,
    RequestRejected,
    SubscriptionRejected,
    XchwsError,
)
from xchws.events import Failure, State
from xchws.sansio import frames
from xchws.sansio.actions import (
    Accepted,
    Close,
    Dial,
    Expiry,
    Fetch,
    Interrupted,
    Leave,
    Missed,
    Output,
    Ready,
    Refused,
    Renew,
    Replied,
    Resume,
    Send,
    Suspend,
    Topic,
    Unanswered,
)
from xchws.sansio.link import Link

TOPICS = [Topic("ticker", ("BTC/UAH",)), Topic("trades"), Topic("book")]

topics = st.sampled_from(TOPICS)
pauses = st.one_of(st.just(0.0), st.floats(0.0, 15.0), st.sampled_from([0.001, 9.999, 10.0, 30.0, 3600.0, 1e7]))
closes = st.sampled_from(
    [
        Close(lost()),
        Close(lost(), code=None),
        Close(HandshakeRejected("busy", status=503, retry_after=90.0)),
        Close(RateLimited("slow down", retry_after=3.0)),
        Close(lost(), exclusive=True),
        Close(lost(), at_once=True),
        Close(lost(), verdict=AuthenticationFailed("never"), limit=4),
    ]
)


class Careful(Actor):
    """Subscribes nothing twice unless it was interrupted: whoever asks it to is wrong."""

    def __init__(self, automatic: bool) -> None:
        super().__init__()
        self.automatic = automatic
        self.held: List[Topic] = []

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        assert topic not in self.held, f"{topic.name} is subscribed twice on one link"
        self.held.append(topic)
        self.told.append(topic)
        return [Accepted(topic)] if self.automatic else [Send(b"sub")]

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        self.held.remove(topic)
        return [Send(b"unsub")]


class Walk(RuleBasedStateMachine):
    """All that can happen to a session that has been started."""

    stage: Stage

    @initialize(overlap=st.booleans(), own=st.booleans(), pinging=st.booleans())
    def begin(self, overlap: bool, own: bool, pinging: bool) -> None:
        self.stage = Stage(
            overlap=overlap,
            channels=("own orders",) if own else (),
            ping_interval=20.0 if pinging else None,
            open_timeout=15.0,
        )
        self.stage.start()

    def connect(self) -> None:
        """The dial that is under way succeeds, with an exchange that takes everything."""
        actor = Careful(automatic=True)
        actor.opening = [Ready()]
        self.stage.dialled(actor=actor)

    def actor(self, data: Any) -> Careful:
        actor = data.draw(st.sampled_from(list(self.stage.open.values())))
        assert isinstance(actor, Careful)
        return actor

    def link(self, actor: Actor) -> Link:
        number = self.stage.number(actor)
        session = self.stage.session
        (link,) = (link for link in (session.active, session.successor) if link is not None and link.number == number)
        return link

    # ------------------------------------------------------------------------------------------------------- the user

    @precondition(lambda self: self.stage.session.state is State.READY)
    @rule(topics=st.sets(topics), opened=st.booleans())
    def succession(self, topics: Set[Topic], opened: bool) -> None:
        """The active link asks for its renewal, with these topics wanted and confirmed."""
        active = self.stage.session.active
        assert active is not None
        actor = self.stage.open[active.number]
        assert isinstance(actor, Careful)
        for topic in sorted(topics, key=str):
            self.stage.subscribe(topic)
            if self.stage.session.active is active and topic in actor.held:
                self.stage.says(actor, Accepted(topic))
        if self.stage.number_of(actor) is None:
            return
        self.stage.says(actor, Renew("plan"))
        for number in sorted(self.stage.dialling) if opened else ():
            successor = Careful(automatic=False)
            successor.opening = [Ready()]
            self.stage.dialled(number, successor)

    @precondition(lambda self: len(self.stage.open) == 2)
    @rule(data=st.data())
    def confirms(self, data: Any) -> None:
        actor = self.actor(data)
        for topic in list(actor.held):
            if self.stage.number_of(actor) is not None and topic in actor.held and not self.link(actor).suspended:
                self.stage.says(actor, Accepted(topic), trade(f"in {topic.name}", topic.name))

    @rule(sure=st.integers(0, 40), agreed=st.booleans())
    def stop(self, sure: int, agreed: bool) -> None:
        if sure == 40:
            if agreed and self.stage.open:
                self.stage.says(next(iter(self.stage.open.values())), Leave())
            else:
                self.stage.stop()
            assert self.stage.start() == []

    @rule(topic=topics)
    def subscribe(self, topic: Topic) -> None:
        self.stage.subscribe(topic)

    @rule(topic=topics)
    def unsubscribe(self, topic: Topic) -> None:
        self.stage.unsubscribe(topic)

    @rule()
    def request(self) -> None:
        self.stage.request()

    @rule(congested=st.booleans(), dropped=st.integers(0, 6))
    def callbacks(self, congested: bool, dropped: int) -> None:
        self.stage.congested = congested
        if dropped == 1:
            self.stage.overflowed(dropped)

    # ------------------------------------------------------------------------------------------------------ the clock

    @rule(pause=pauses, draw=st.sampled_from([0.0, 0.5, 1.0]))
    def pause(self, pause: float, draw: float) -> None:
        self.stage.draw = draw
        self.stage.now += pause
        self.stage.wake()

    @precondition(lambda self: self.stage.session.deadline() is not None)
    @rule()
    def sleep(self) -> None:
        self.stage.sleep()

    # ------------------------------------------------------------------------------------------------------- the wire

    @precondition(lambda self: self.stage.dialling)
    @rule(data=st.data(), automatic=st.booleans(), ready=st.booleans(), pings=st.booleans())
    def dialled(self, data: Any, automatic: bool, ready: bool, pings: bool) -> None:
        actor = Careful(automatic)
        actor.pings = pings
        actor.silence = None if pings else 45.0
        actor.opening = [Ready()] if ready else [Send(b"login")]
        self.stage.dialled(data.draw(st.sampled_from(sorted(self.stage.dialling))), actor)

    @precondition(lambda self: self.stage.dialling)
    @rule(data=st.data(), close=closes)
    def dial_failed(self, data: Any, close: Close) -> None:
        number = data.draw(st.sampled_from(sorted(self.stage.dialling)))
        self.stage.do(self.stage.session.dial_failed(number, close, self.stage.now))

    @precondition(lambda self: self.stage.open)
    @rule(data=st.data(), ticket=st.integers(1, 9))
    def says(self, data: Any, ticket: int) -> None:
        """One message with anything in it that a protocol may make of one."""
        actor = self.actor(data)
        link = self.link(actor)
        made: List[Output] = [
            Ready(),
            trade("anonymous"),
            trade("told", time_ms=1_000),
            Failure(error=XchwsError("odd")),
            Replied(ticket, value="yes"),
            Replied(ticket, error=RequestRejected("no")),
            Missed(("missed",)),
            Fetch("token"),
            Expiry(None),
            Renew("plan"),
            Suspend("maintenance"),
            Resume(),
        ]
        for topic in actor.held:
            made += [Accepted(topic), Refused(topic, SubscriptionRejected("no")), Unanswered(topic), Interrupted(topic)]
            if topic in link.confirmed and not link.suspended:
                made.append(trade(f"in {topic.name}", topic.name))
        for output in data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=2)):
            if self.stage.number_of(actor) is None or not self._still_true(actor, link, output):
                return
            if isinstance(output, (Refused, Interrupted)):
                actor.held.remove(output.topic)
            elif isinstance(output, Unanswered):
                actor.held.remove(output.topic)
            elif isinstance(output, Resume) and link.suspended and link.ready_at is not None:
                actor.held.clear()
            self.stage.says(actor, output)

    @staticmethod
    def _still_true(actor: Careful, link: Link, output: Output) -> bool:
        topic: Optional[Topic] = getattr(output, "topic", None)
        if topic is not None:
            return topic in actor.held
        symbol = getattr(output, "symbol", "")
        return not symbol or (not link.suspended and symbol in {topic.name for topic in link.confirmed})

    @precondition(lambda self: self.stage.open)
    @rule(data=st.data())
    def hears(self, data: Any) -> None:
        items = data.draw(
            st.lists(
                st.sampled_from(
                    [
                        b"{}",
                        b"raise",
                        frames.Ping(b"p"),
                        frames.Pong(b""),
                        frames.Binary(b"\0"),
                        frames.Close(1001, "going away"),
                        frames.Close(4001, ""),
                        frames.Violation(1002, "reserved bit set"),
                    ]
                ),
                max_size=3,
            )
        )
        actor = self.actor(data)
        actor.script = []
        self.stage.hears(actor, *items)

    @precondition(lambda self: self.stage.open)
    @rule(data=st.data(), close=closes, fatal=st.integers(0, 9))
    def ends(self, data: Any, close: Close, fatal: int) -> None:
        if fatal == 0:
            close = Close(AuthenticationFailed("revoked"))
        self.stage.says(self.actor(data), close, trade("after the end"), Send(b"after the end"))

    @precondition(lambda self: self.stage.open)
    @rule(data=st.data(), call=st.sampled_from(["", "closed", "ended", "identity", "deadline"]))
    def loses(self, data: Any, call: str) -> None:
        """A connection breaks, or a fault of ours breaks it."""
        actor = self.actor(data)
        actor.faulty = {call}
        if call in ("identity", "deadline"):
            self.stage.says(actor, trade("told"))
            self.stage.wake()
        else:
            self.stage.lost(actor)

    @precondition(lambda self: self.stage.open)
    @rule(data=st.data(), output=st.sampled_from([Expiry(5.0), Renew("plan"), Close(lost())]))
    def fetched(self, data: Any, output: Output) -> None:
        actor = self.actor(data)
        actor.result = [output]
        self.stage.do(self.stage.session.fetched(self.stage.number(actor), "token", None, self.stage.now))

    @precondition(lambda self: self.stage.over)
    @rule(data=st.data(), close=closes)
    def late(self, data: Any, close: Close) -> None:
        """What comes of a link that is over changes nothing."""
        number = data.draw(st.sampled_from(sorted(self.stage.over)))
        session, now = self.stage.session, self.stage.now
        before = session.deadline()
        assert session.dial_failed(number, close, now) == []
        assert session.received(number, [b"{}"], now) == []
        assert session.lost(number, "reset", now) == []
        assert session.fetched(number, "token", None, now) == []
        assert session.deadline() == before

    # ------------------------------------------------------------------------------------------------------ the end

    @invariant()
    def something_is_waited_for(self) -> None:
        """A session that is neither at rest nor served has an instant at which it goes on by itself."""
        if self.stage.session.state in (State.CONNECTING, State.WAITING):
            assert self.stage.session.deadline() is not None

    def teardown(self) -> None:
        """From wherever it is, with an exchange that works it becomes READY with all that is wanted; then it stops."""
        stage: Optional[Stage] = getattr(self, "stage", None)
        if stage is None:
            return
        stage.congested = False
        for actor in list(stage.open.values()):
            if stage.number_of(actor) is not None:
                stage.lost(actor)
        for _ in range(20):
            if stage.dialling:
                self.connect()
            if not stage.stands(State.WAITING):
                break
            stage.sleep()
        if not stage.finished:
            assert stage.stands(State.READY)
            assert set(stage.subscriptions.values()) <= {"active"}
            assert not stage.owed
            assert stage.all(Dial)
        stage.stop()
        assert stage.finished
        assert stage.stop() == []


Walk.TestCase.settings = settings(max_examples=settings().max_examples * 3 // 2, stateful_step_count=60)
TestWalk = Walk.TestCase
