"""Stage: a session on a fake clock, with a protocol that says what the test tells it, and no sockets.

It carries out what the session asks for by writing it down, and checks what holds always: no effect on a link that is over,
legal sequences of states, subscriptions, requests and gaps, and silence after Finish.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Hashable, List, Optional, Sequence, Set, Tuple, Type, TypeVar

from xchws.backoff import Backoff
from xchws.credentials import Secrets
from xchws.errors import ConnectionLost, XchwsError
from xchws.events import Connected, Data, Disconnected, Event, Failure, Gap, State, StateChanged, Stopped, Trade
from xchws.sansio import frames
from xchws.sansio.actions import (
    Close,
    Dial,
    Effect,
    Finish,
    Hangup,
    Output,
    Ready,
    Resolved,
    Run,
    Settled,
    Topic,
    Write,
)
from xchws.sansio.protocol import Protocol
from xchws.sansio.session import Session, Terms

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
OWN = ("own orders",)

E = TypeVar("E")

# The states that may follow each.
_NEXT = {
    State.NEW: {State.CONNECTING, State.STOPPED},
    State.CONNECTING: {State.READY, State.SUSPENDED, State.WAITING, State.STOPPED},
    State.READY: {State.CONNECTING, State.SUSPENDED, State.WAITING, State.STOPPED},
    State.SUSPENDED: {State.CONNECTING, State.READY, State.WAITING, State.STOPPED},
    State.WAITING: {State.CONNECTING, State.STOPPED},
    State.STOPPED: set(),
}
_SETTLES = {
    "wanted": {"active", "refused", "ended"},
    "active": {"pending", "refused", "ended"},
    "pending": {"active", "refused", "ended"},
}


def utc_of(instant: float) -> datetime:
    return EPOCH + timedelta(seconds=instant)


class Actor(Protocol):
    """A protocol that outputs what the test puts into it, and writes down what it is asked."""

    exchange = "sim"

    def __init__(self) -> None:
        super().__init__(Secrets())
        self.script: List[List[Output]] = []
        self.opening: List[Output] = []
        self.answers: Dict[Topic, List[Output]] = {}
        self.unsubscribing: List[Output] = []
        self.replies: List[Output] = []
        self.result: List[Output] = []
        self.waking: List[Output] = []
        self.due: Optional[float] = None
        self.last_words: List[Output] = []
        self.closing: Optional[Close] = None
        self.told: List[Topic] = []
        self.untold: List[Topic] = []
        self.asked: List[Tuple[int, Any]] = []
        self.got: List[Tuple[str, Any]] = []
        self.said: List[Tuple[int, str]] = []
        self.faulty: Set[str] = set()

    def fail(self, call: str) -> None:
        """Raise if the test wants this call to."""
        if call in self.faulty:
            raise RuntimeError(f"a fault of ours in {call}")

    def opened(self, now: float) -> List[Output]:
        self.fail("opened")
        return self.opening

    def received(self, text: bytes, now: float) -> List[Output]:
        if text == b"raise":
            raise RuntimeError("a fault of ours")
        return self.script.pop(0) if self.script else []

    def deadline(self) -> Optional[float]:
        self.fail("deadline")
        return self.due

    def wake(self, now: float) -> List[Output]:
        self.fail("wake")
        self.due = None
        return self.waking

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        self.fail("subscribe")
        self.told.append(topic)
        return self.answers.get(topic, [])

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        self.fail("unsubscribe")
        self.untold.append(topic)
        return self.unsubscribing

    def request(self, ticket: int, request: Any, now: float) -> List[Output]:
        self.fail("request")
        self.asked.append((ticket, request))
        return self.replies

    def fetched(self, job: str, result: Any, now: float) -> List[Output]:
        self.fail("fetched")
        self.got.append((job, result))
        return self.result

    def closed(self, code: int, reason: str) -> Close:
        self.fail("closed")
        self.said.append((code, reason))
        return self.closing or super().closed(code, reason)

    def ended(self) -> List[Output]:
        self.fail("ended")
        return self.last_words

    def identity(self, event: Data) -> Optional[Hashable]:
        self.fail("identity")
        return getattr(event, "id", None)


class Stage:
    """One session, played by hand."""

    def __init__(
        self,
        *,
        overlap: bool = True,
        channels: Tuple[str, ...] = OWN,
        backoff: Optional[Backoff] = None,
        open_timeout: float = 10.0,
        ping_interval: Optional[float] = 20.0,
        ping_timeout: Optional[float] = 10.0,
    ) -> None:
        self.now = 1000.0
        self.draw = 1.0
        self.congested = False
        self.verbatim = False
        self.exclusive = not overlap
        self.channels = channels
        self.session = Session(
            Terms(
                exchange="sim",
                channels=channels,
                overlap=overlap,
                backoff=backoff or Backoff(initial=1.0, maximum=60.0, factor=2.0, stable=30.0),
                open_timeout=open_timeout,
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
                draw=lambda: self.draw,
                utc_of=utc_of,
                verbatim=lambda: self.verbatim,
                congested=lambda: self.congested,
            )
        )
        self.log: List[Effect] = []
        self.dialling: Set[int] = set()
        self.open: Dict[int, Actor] = {}
        self.over: Set[int] = set()
        self.subscriptions: Dict[Topic, str] = {}
        self.unresolved: Set[int] = set()
        self.owed: Set[str] = set()  # streams that were live and are owed a Gap before their next event
        self.finished = False
        self._links_ended = False  # in what is being carried out
        self._state = State.NEW
        self._tickets = 0

    # ------------------------------------------------------------------------------------------------------ what happens

    def start(self) -> List[Effect]:
        return self.do(self.session.start(self.now))

    def stop(self) -> List[Effect]:
        return self.do(self.session.stop(self.now))

    def subscribe(self, topic: Topic) -> List[Effect]:
        if not self.finished:
            self.subscriptions.setdefault(topic, "wanted")
        return self.do(self.session.subscribe(topic, self.now))

    def unsubscribe(self, topic: Topic) -> List[Effect]:
        return self.do(self.session.unsubscribe(topic, self.now))

    def request(self, request: Any = "balance") -> List[Effect]:
        self._tickets += 1
        self.unresolved.add(self._tickets)
        return self.do(self.session.request(self._tickets, request, self.now))

    def dialled(self, number: Optional[int] = None, actor: Optional[Actor] = None) -> Actor:
        """The dial that is under way (or this one) succeeds."""
        number = self.dial if number is None else number
        actor = actor or Actor()
        self.dialling.discard(number)
        self.open[number] = actor
        self.do(self.session.dialled(number, actor, self.now))
        return actor

    def ready(self, actor: Optional[Actor] = None) -> Actor:
        """The dial that is under way succeeds, and the exchange takes us."""
        actor = actor or Actor()
        actor.opening = [Ready()]
        return self.dialled(actor=actor)

    def dial_failed(self, close: Close) -> List[Effect]:
        return self.do(self.session.dial_failed(self.dial, close, self.now))

    def says(self, actor: Actor, *outputs: Output) -> List[Effect]:
        """One message comes, which the protocol makes this of."""
        actor.script = [list(outputs)]
        return self.hears(actor, b"{}")

    def hears(self, actor: Actor, *items: frames.Item) -> List[Effect]:
        return self.do(self.session.received(self.number(actor), items, self.now))

    def lost(self, actor: Actor, reason: str = "reset") -> List[Effect]:
        return self.do(self.session.lost(self.number(actor), reason, self.now))

    def overflowed(self, dropped: int = 3) -> List[Effect]:
        return self.do(self.session.overflowed(dropped, self.now))

    def drain(self, forerunner: Actor) -> List[Effect]:
        """The forerunner of a complete successor answers the ping, and the time for what is on its way passes."""
        self.hears(forerunner, frames.Pong(b""))
        self.now += 2.0
        return self.wake()

    def wake(self) -> List[Effect]:
        return self.do(self.session.wake(self.now))

    def sleep(self) -> List[Effect]:
        """Until the next deadline, and wake. Before it, waking changes nothing."""
        due = self.session.deadline()
        assert due is not None, "nothing is waited for"
        if due > self.now:
            early = (self.now + due) / 2
            if early < due:
                assert not self.session.wake(early), "woke before the deadline and did something"
                assert self.session.deadline() == due
            self.now = due
        effects = self.wake()
        again = self.session.deadline()
        assert effects or again is None or again > self.now, "a deadline that changes nothing: a busy loop"
        return effects

    # -------------------------------------------------------------------------------------------------- what came of it

    @property
    def dial(self) -> int:
        """The link whose dial is under way."""
        (number,) = self.dialling
        return number

    def number(self, actor: Actor) -> int:
        """The actor's link, which must be open."""
        number = self.number_of(actor)
        assert number is not None, "this actor's link is over"
        return number

    def number_of(self, actor: Actor) -> Optional[int]:
        """The actor's link, or None if it is over."""
        return next((number for number, one in self.open.items() if one is actor), None)

    def stands(self, state: State) -> bool:
        return self.session.state is state

    def has_successor(self) -> bool:
        return self.session.successor is not None

    def all(self, kind: Type[E], effects: Optional[Sequence[Effect]] = None) -> List[E]:
        return [effect for effect in (self.log if effects is None else effects) if isinstance(effect, kind)]

    def only(self, kind: Type[E], effects: Optional[Sequence[Effect]] = None) -> E:
        found = self.all(kind, effects)
        assert len(found) == 1, f"one {kind.__name__} expected, not {found}"
        return found[0]

    def do(self, effects: List[Effect]) -> List[Effect]:
        """Carry out what the session asks for, and check that it may."""
        self._links_ended = False
        for effect in effects:
            self.log.append(effect)
            self._check(effect)
        assert self._state is self.session.state
        self._check_links()
        assert self._state is not State.READY or "own" not in self.owed, "READY without its Gap"
        for topic, settled in self.subscriptions.items():
            assert settled != "active" or topic.name not in self.owed, "active again without its Gap"
        return effects

    def _check(self, effect: Effect) -> None:
        if self.finished:
            # What is asked of a session that is over gets its answer, and nothing else comes.
            assert isinstance(effect, (Resolved, Settled, Hangup)), f"{effect} after Finish"
        if isinstance(effect, Dial):
            assert effect.link not in self.dialling | set(self.open) | self.over, "a link is never used again"
            self.dialling.add(effect.link)
            limit = 1 if self.exclusive else 2
            assert len(self.dialling) + len(self.open) <= limit, "too many links live"
        elif isinstance(effect, Hangup):
            assert effect.link in self.dialling or effect.link in self.open, "hung up already"
            assert effect.code is None or effect.link in self.open, "a close frame where no socket is"
            self._links_ended = True
            self.dialling.discard(effect.link)
            self.open.pop(effect.link, None)
            self.over.add(effect.link)
        elif isinstance(effect, (Write, Run)):
            assert effect.link in self.open, "work for a link that is not open"
        elif isinstance(effect, Settled):
            self._check_settled(effect)
        elif isinstance(effect, Resolved):
            self.unresolved.remove(effect.ticket)
        elif isinstance(effect, Finish):
            assert not self.dialling and not self.open and not self.unresolved and not self.subscriptions
            assert isinstance(self.log[-2], Stopped)
            self.finished = True
        elif isinstance(effect, Event):
            self._check_event(effect)

    def _check_settled(self, settled: Settled) -> None:
        if self.finished:
            assert settled.state == "ended"
            return
        before = self.subscriptions[settled.topic]
        assert settled.state in _SETTLES[before], f"{before} -> {settled.state}"
        if settled.state == "pending":
            assert settled.topic.name not in self.owed
            self.owed.add(settled.topic.name)
        if settled.state in ("refused", "ended"):
            del self.subscriptions[settled.topic]
            self.owed.discard(settled.topic.name)
            assert (settled.error is not None) >= (settled.state == "refused")
        else:
            self.subscriptions[settled.topic] = settled.state

    def _check_event(self, event: Event) -> None:
        if isinstance(event, StateChanged):
            assert event.old is self._state and event.new in _NEXT[event.old], f"{event.old} -> {event.new}"
            if event.old is State.READY and self.channels:
                assert "own" not in self.owed
                self.owed.add("own")
            self._state = event.new
        elif isinstance(event, Connected):
            assert self._state is State.READY and event.attempt >= 1
            assert (event.gap is None) == (not any(isinstance(one, Connected) for one in self.log[:-1]))
        elif isinstance(event, Disconnected):
            assert self._state in (State.WAITING, State.STOPPED, State.CONNECTING, State.READY, State.SUSPENDED)
            assert (event.retry_in is None) == (self._state is State.STOPPED)
        elif isinstance(event, Gap):
            assert event.since <= event.until <= utc_of(self.now)
            if event.channels != ("missed",):
                name = "own" if event.channels == OWN else event.channels[0]
                assert name in self.owed, f"a Gap that nothing caused, or a second one: {event}"
                if name != "own" or self._state is State.READY:  # else it is told for a link's last words alone
                    self.owed.discard(name)
        elif isinstance(event, Data):
            # What was held when a link ends comes at once; its stream, if broken, has its Gap when it is live again.
            held = self._links_ended or self.session.state is State.STOPPED
            pending = any(topic.name == event.symbol and was == "pending" for topic, was in self.subscriptions.items())
            assert event.symbol not in self.owed or (held and pending), "an event before its Gap"

    def _check_links(self) -> None:
        session = self.session
        links = {link.number for link in (session.active, session.successor) if link is not None}
        assert links == self.dialling | set(self.open), "what the session knows is not what stands"
        assert session.active is not None or session.successor is None
        for number in links:
            assert session.expects(number)
        assert (session.active is not None) == (self._state in (State.CONNECTING, State.READY, State.SUSPENDED))
        if session.active is not None:
            opened = session.active.is_open
            was_ready = session.active.ready_at is not None
            assert self._state is not State.READY or was_ready
            assert self._state is not State.SUSPENDED or (opened and session.active.suspended)
            assert self._state is not State.CONNECTING or not was_ready
        assert (session.retry_at is not None) == (self._state is State.WAITING)
        if self._state in (State.NEW, State.STOPPED):
            assert session.deadline() is None
        assert self.subscriptions.keys() == session.wanted.keys()


def trade(id: str = "1", symbol: str = "", time_ms: Optional[int] = None) -> Trade:
    """An event; its id is its identity."""
    return Trade(id=id, symbol=symbol, time_ms=time_ms, exchange="sim")


def lost(text: str = "gone") -> ConnectionLost:
    return ConnectionLost(text, exchange="sim")


def errors(stage: Stage) -> List[XchwsError]:
    """What on_error has got."""
    return [failure.error for failure in stage.all(Failure)]
