"""Session: decides when to connect, retry, subscribe again, renew a connection and give up.

It knows no thread, socket or clock: every call brings the monotonic instant and returns what is to be done. What outlives a
connection lives here, the failures in a row above all; what is wanted and since when it is broken is kept by its Wants.

Invariants (held by a random walk in tests/sansio/test_session_walk.py):
- at most one link is active and at most one other is its successor; every other link is over;
- the state says what the active link is: CONNECTING: dialling or opening; READY, SUSPENDED: open; WAITING: no link and an
  instant for the next try; STOPPED: no link, nothing wanted, and nothing more comes;
- a topic is subscribed at most once on a link, unless the exchange interrupted or suspended it;
- a stream that was live and is live again has had exactly one Gap between, before its first event;
- what a successor tells before it takes over is not lost: it is published when it takes over or fails, or at the end of all,
  unless its forerunner has told it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import attrs

from xchws.backoff import Backoff
from xchws.errors import (
    ConnectionLost,
    OpenFailed,
    Silent,
    SlowConsumer,
    StateError,
    SubscriptionRejected,
    XchwsError,
)
from xchws.events import (
    Connected,
    Data,
    Disconnected,
    Event,
    Failure,
    State,
    StateChanged,
    Stopped,
    Suspended,
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
    ServerTime,
    Settled,
    Suspend,
    Topic,
    Unanswered,
    Write,
)
from xchws.sansio.link import Link, Phase
from xchws.sansio.protocol import Protocol
from xchws.sansio.succession import Fresh, Succession
from xchws.sansio.tries import Tries
from xchws.sansio.wants import Want, Wants

_UNANSWERED_LIMIT = 2  # a subscription that got no reply is tried once more, on a new connection
_CONGESTION_PAUSE = 0.25  # seconds between two looks whether the callbacks have caught up


@attrs.frozen
class Terms:
    """What a session must know of its exchange and its user.

    Attributes:
        exchange: the name; channels: what comes without being subscribed, for Gap.
        overlap: whether the exchange permits a second connection beside the first.
        open_timeout, ping_interval, ping_timeout: seconds; None: off.
        draw: random numbers from 0 to 1.
        utc_of: the wall-clock instant of a monotonic one.
        verbatim: whether somebody wants every message as it came.
        congested: whether the callbacks are too far behind to connect again.
    """

    exchange: str
    channels: Tuple[str, ...]
    overlap: bool
    backoff: Backoff
    open_timeout: float
    ping_interval: Optional[float]
    ping_timeout: Optional[float]
    draw: Callable[[], float]
    utc_of: Callable[[float], datetime]
    verbatim: Callable[[], bool]
    congested: Callable[[], bool]


class Session:
    """One client's life. Every method but the constructor and the attributes returns what is to be done, in order."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.stage: Tuple[State, Optional[float]] = (State.NEW, None)
        self._wants = Wants(terms.exchange, terms.channels, terms.utc_of)
        self.wanted = self._wants.topics
        self.active: Optional[Link] = None
        self._succession = Succession()
        self.retry_at: Optional[float] = None
        self.attempt = 0  # tries in a row, this one included
        self._tries = Tries(terms.backoff, terms.draw)
        self.connections = 0  # that became READY, successors included
        self.last_error: Optional[XchwsError] = None
        self.last_heard: Optional[float] = None
        self._answered = False  # whether the peer has ever answered a ping
        self._heard_before = 0.0  # when the link that spoke last had spoken before
        self._numbers = 0
        self._last_time: Optional[datetime] = None  # the exchange's time of the last event published
        self._time_before: Optional[datetime] = None  # the same before the last call that published one
        self._tickets: Dict[int, int] = {}  # request -> link
        self._out: List[Effect] = []

    @property
    def state(self) -> State:
        """What the active link is."""
        return self.stage[0]

    @property
    def state_since(self) -> Optional[float]:
        """Since when (monotonic). Who reads it from another thread takes both from `stage`."""
        return self.stage[1]

    @property
    def successor(self) -> Optional[Link]:
        """The link that is to take the active one's place."""
        return self._succession.link

    @property
    def renew_at(self) -> Optional[float]:
        """When a successor is to be dialled (monotonic), if one is to be."""
        return self._succession.renew_at

    @property
    def failures(self) -> int:
        """Failed tries and connections in a row."""
        return self._tries.failures

    # ------------------------------------------------------------------------------------------------ what users do

    def start(self, now: float) -> List[Effect]:
        """Begin to connect."""
        if self.state is State.NEW:
            self._connect(now)
        return self._take()

    def stop(self, now: float, error: Optional[XchwsError] = None) -> List[Effect]:
        """End for good, by the user's wish or because of an error."""
        if self.state is not State.STOPPED:
            self._finish(error, now)
        return self._take()

    def break_off(self, now: float, error: XchwsError) -> List[Effect]:
        """End for good after a fault of ours that left things as nobody knows, `stop` itself included."""
        self._out = []
        self.active = self.retry_at = None
        self._succession.end()
        self.wanted.clear()
        self.last_error = error
        self._change(State.STOPPED, now)
        self._out.append(Failure(error=error, exchange=self.terms.exchange))
        self._out.append(Stopped(error=error, exchange=self.terms.exchange))
        self._out.append(Finish(error))
        return self._take()

    def subscribe(self, topic: Topic, now: float) -> List[Effect]:
        """Want a topic, from now on and on every connection to come."""
        if self.state is State.STOPPED:
            self._out.append(Settled(topic, "ended"))
        elif topic not in self.wanted:
            self.wanted[topic] = Want(topic)
            self._look_at_successor(now)  # it does not serve this yet
            for link in (self.active, self.successor):
                if link is not None:
                    self._tell(link, topic, now)
        return self._take()

    def unsubscribe(self, topic: Topic, now: float) -> List[Effect]:
        """Want a topic no more."""
        if self.wanted.pop(topic, None) is not None:
            self._out.append(Settled(topic, "ended"))
            self._untell(topic, now)
            self._look_at_successor(now)
        return self._take()

    def request(self, ticket: int, request: Any, now: float) -> List[Effect]:
        """Make a request on the active connection; it fails at once where there is none.

        Once a successor serves all, it takes the requests: its forerunner is about to end.
        """
        link = self.successor if self._succession.is_complete else self.active
        if link is None or link.phase is not Phase.READY:
            text = f"{self.terms.exchange}: not connected (state {self.state}); the request was not sent"
            error: XchwsError = ConnectionLost(text, exchange=self.terms.exchange)
            if self.state is State.STOPPED:
                error = StateError(f"{self.terms.exchange}: stopped; the request was not sent")
            self._out.append(Resolved(ticket, error=error))
        else:
            self._tickets[ticket] = link.number
            self._apply(link, link.request(ticket, request, now), now)
        return self._take()

    # ------------------------------------------------------------------------------------------------ what happens

    def expects(self, number: int) -> bool:
        """Whether this link is still wanted."""
        return self._link(number) is not None

    def dialled(self, number: int, protocol: Protocol, now: float) -> List[Effect]:
        """A connection stands; `protocol` will speak on it."""
        link = self._link(number)
        if link is None:
            self._out.append(Hangup(number, 1000))
        else:
            self._apply(link, link.opened(protocol, now), now)
        return self._take()

    def dial_failed(self, number: int, close: Close, now: float) -> List[Effect]:
        """A connection could not be made."""
        link = self._link(number)
        if link is not None:
            self._end(link, close, now)
        return self._take()

    def received(self, number: int, items: Sequence[frames.Item], now: float) -> List[Effect]:
        """Bytes came; `items` is what is complete of them."""
        link = self._link(number)
        if link is not None:
            self.last_heard = now
            outputs = link.received(items, now)
            self._answered = self._answered or link.answered
            self._heard_before = link.heard_before
            self._apply(link, outputs, now)
        return self._take()

    def lost(self, number: int, reason: str, now: float) -> List[Effect]:
        """The connection broke without a close frame."""
        link = self._link(number)
        if link is not None:
            name = self.terms.exchange
            error = ConnectionLost(f"{name}: the connection was lost: {reason}", reason=reason, exchange=name)
            outputs = link.closed(1006, reason) if link.is_open else [Close(error)]
            # There is nobody left to send a close frame to.
            mute = [attrs.evolve(output, code=None) if isinstance(output, Close) else output for output in outputs]
            self._apply(link, mute, now)
        return self._take()

    def fetched(self, number: int, job: str, result: Any, now: float) -> List[Effect]:
        """A job that a link asked for is done."""
        link = self._link(number)
        if link is not None and link.is_open:
            self._apply(link, link.fetched(job, result, now), now)
        return self._take()

    def overflowed(self, dropped: int, now: float) -> List[Effect]:
        """The callbacks are so far behind that `dropped` events, the last that came, had to be given up."""
        if self.state in (State.NEW, State.STOPPED):
            return self._take()
        name = self.terms.exchange
        text = f"{name}: the callbacks are too slow: {dropped} events had to be given up; the connection is remade"
        error = SlowConsumer(text, dropped=dropped, exchange=name)
        self._wants.give_up()
        # What came last is lost to the user: for the Gap it was never heard.
        self._last_time = self._time_before
        if self.active is not None:
            self.active.heard = self.active.whole_until = self.active.heard_before
            self._succession.put_off()  # no successor brings back what its forerunner had told
            self._end(self.active, Close(error), now)
        else:
            self._out.append(Failure(error=error, exchange=name))  # the connection ended with what came last
        self._wants.break_earlier(self._heard_before, self._last_time)
        return self._take()

    def deadline(self) -> Optional[float]:
        """When `wake` wants to be called next; None: not at all."""
        times = [time for time in (self.retry_at, self._swap_at) if time is not None] + self._succession.deadlines()
        for link in (self.active, self.successor):
            time = link.deadline() if link is not None else None
            if time is not None:
                times.append(time)
        return min(times) if times else None

    def wake(self, now: float) -> List[Effect]:
        """A deadline has come."""
        for link in (self.active, self.successor):
            if link is not None:
                self._apply(link, link.wake(now), now)
        self._succession.wake(now)
        old, swap_at = self.active, self._swap_at
        if old is not None and swap_at is not None and now >= swap_at:
            self._tries.end(old.ready_at, now)
            self._swap(old, 1000, self._told_until(old) if old.suspended else now, now)
        if self.retry_at is not None and now >= self.retry_at:
            if self.terms.congested():
                self.retry_at = now + _CONGESTION_PAUSE
            else:
                self._connect(now)
        if self.renew_at is not None and now >= self.renew_at:
            self._open_successor(now)
        return self._take()

    # ---------------------------------------------------------------------------------------------- what links want

    def _apply(self, link: Link, outputs: Sequence[Output], now: float) -> None:
        succession = self._succession
        plain = link is self.active and succession.overlap is None
        for output in outputs:
            if isinstance(output, Event):
                if plain or succession.publishes(link, output, now):
                    self._out.append(output)
            else:
                self._handle(link, output, now)
                if link.phase is Phase.OVER:
                    break  # what a link says after its end is said by nobody
                plain = link is self.active and succession.overlap is None

    def _handle(self, link: Link, output: Output, now: float) -> None:
        if isinstance(output, Send):
            self._out.append(Write(link.number, output.opcode, output.payload))
        elif isinstance(output, Close):
            self._end(link, output, now)
        elif isinstance(output, Ready):
            self._ready(link, now)
        elif isinstance(output, Accepted):
            self._accepted(link, output, now)
        elif isinstance(output, Refused):
            self._refused(link, output.topic, output.error, now)
        elif isinstance(output, Unanswered):
            self._unanswered(link, output.topic, now)
        elif isinstance(output, Interrupted):
            self._interrupted(link, output, now)
        elif isinstance(output, Missed):
            if link is self.active:
                since = link.heard_before if output.since is None else output.since
                self._out.append(self._wants.gap(output.channels, since, now, self._latest_time()))
            else:
                self._succession.miss(now)
        elif isinstance(output, Replied):
            self._replied(output)
        elif isinstance(output, Fetch):
            self._out.append(Run(link.number, output.job))
        elif isinstance(output, Expiry):
            link.expiry = output.at
        elif isinstance(output, ServerTime):
            self._out.append(output)
        elif isinstance(output, Renew):
            self._renew(link, now)
        elif isinstance(output, Suspend):
            self._suspend(link, output.reason, now)
        elif isinstance(output, Resume):
            self._resume(link, now)
        elif isinstance(output, Leave):
            self._finish(None, now)

    def _replied(self, replied: Replied) -> None:
        if self._tickets.pop(replied.ticket, None) is not None:
            self._out.append(Resolved(replied.ticket, replied.value, replied.error))

    def _ready(self, link: Link, now: float) -> None:
        if link.phase is not Phase.OPENING:
            return
        link.phase = Phase.READY
        link.ready_at = now
        link.suspended = False
        self.connections += 1
        if link is self.active:
            self._serve(now)
        self._tell_all(link, now)
        self._look_at_successor(now)
        self._renew_if_due(now)

    def _serve(self, now: float) -> None:
        """The active link is READY: say so, and what may have been missed of what comes by itself."""
        since = self._wants.whole_until
        gap = None if since is None else now - since
        self._change(State.READY, now)
        self._out.append(Connected(attempt=self.attempt, gap=gap, exchange=self.terms.exchange))
        self.attempt = 0
        self._tries.renewals = 0
        self._out += self._wants.mend(now)

    def _tell(self, link: Link, topic: Topic, now: float) -> None:
        """Subscribe a topic on a link, if it is wanted still, and the link serves and has not been told of it."""
        serves = link.phase is Phase.READY and not link.suspended
        if serves and topic in self.wanted and topic not in link.told:
            link.told.add(topic)
            self._apply(link, link.subscribe(topic, now), now)

    def _tell_all(self, link: Link, now: float) -> None:
        for topic in list(self.wanted):
            self._tell(link, topic, now)

    def _untell(self, topic: Topic, now: float) -> None:
        """Unsubscribe a topic on every link that was told of it."""
        for link in (self.active, self.successor):
            if link is not None and topic in link.told:
                link.told.discard(topic)
                link.confirmed.discard(topic)
                self._apply(link, link.unsubscribe(topic, now), now)

    def _accepted(self, link: Link, accepted: Accepted, now: float) -> None:
        want = self.wanted.get(accepted.topic)
        if want is None or accepted.topic not in link.told or link.suspended:
            return  # unsubscribed meanwhile, the protocol knows; or it will be told again when the exchange serves again
        link.confirmed.add(accepted.topic)
        if link is self.active:
            self._out += self._wants.live(want, accepted.recovered, now)
        self._look_at_successor(now)

    def _refused(self, link: Link, topic: Topic, error: XchwsError, now: float) -> None:
        link.told.discard(topic)
        link.confirmed.discard(topic)
        if self.wanted.pop(topic, None) is not None:
            self._out.append(Settled(topic, "refused", error))
            self._out.append(Failure(error=error, exchange=self.terms.exchange))
            self._untell(topic, now)
        self._look_at_successor(now)

    def _unanswered(self, link: Link, topic: Topic, now: float) -> None:
        want = self.wanted.get(topic)
        name = self.terms.exchange
        if want is None:
            return  # nobody waits for it any more
        if link is self.active:  # a successor that gets no reply says nothing of what its forerunner serves
            want.unanswered += 1
            if want.unanswered >= _UNANSWERED_LIMIT:
                text = f"{name}: no reply to the subscription {topic.name!r}, on {want.unanswered} connections"
                self._refused(link, topic, SubscriptionRejected(text, exchange=name), now)
                # The exchange may serve it all the same: what nobody wants must not come for ever.
                self._apply(link, link.unsubscribe(topic, now), now)
                return
        self._end(link, Close(Silent(f"{name}: no reply to the subscription {topic.name!r}", exchange=name)), now)

    def _interrupted(self, link: Link, interrupted: Interrupted, now: float) -> None:
        topic = interrupted.topic
        want = self.wanted.get(topic)
        link.told.discard(topic)
        link.confirmed.discard(topic)
        if want is None:
            return
        if link is self.active:
            at = link.heard_before if interrupted.since is None else interrupted.since
            self._out += self._wants.interrupt(want, at, self._latest_time())
        self._tell(link, topic, now)
        self._look_at_successor(now)

    def _suspend(self, link: Link, reason: str, now: float) -> None:
        if link is not self.active:
            # It cannot take over, and its forerunner may serve still.
            text = f"{self.terms.exchange}: the exchange cannot serve on the next connection: {reason}"
            self._end(link, Close(OpenFailed(text, exchange=self.terms.exchange)), now)
            return
        if self._succession.covers(link, self.active):
            self._tries.end(link.ready_at, now)
            self._swap(link, 1000, self._told_until(link), now)
            return
        link.suspended = True
        if self.state is State.READY:
            self._out += self._wants.interrupt_all(link.heard_before, self._latest_time())
        if self.state is not State.SUSPENDED:
            self._change(State.SUSPENDED, now)
            self._out.append(Suspended(reason=reason, exchange=self.terms.exchange))

    def _resume(self, link: Link, now: float) -> None:
        if not link.suspended:
            return
        link.resume(now)
        if link.phase is not Phase.READY:
            self._change(State.CONNECTING, now)  # the protocol will say Ready
            return
        self._change(State.READY, now)
        self._out += self._wants.mend(now)
        link.told.clear()
        link.confirmed.clear()
        self._tell_all(link, now)

    # ------------------------------------------------------------------------------------------------ links come and go

    def _link(self, number: int) -> Optional[Link]:
        for link in (self.active, self.successor):
            if link is not None and link.number == number:
                return link
        return None

    def _new_link(self, now: float) -> Link:
        self._numbers += 1
        terms = self.terms
        link = Link(
            self._numbers,
            now,
            exchange=terms.exchange,
            open_timeout=terms.open_timeout,
            ping_interval=terms.ping_interval,
            ping_timeout=terms.ping_timeout,
            verbatim=terms.verbatim,
            answered=self._answered,
        )
        self._out.append(Dial(link.number, terms.open_timeout))
        return link

    def _connect(self, now: float) -> None:
        self.retry_at = self._succession.renew_at = None
        self.attempt += 1
        self._change(State.CONNECTING, now)
        self.active = self._new_link(now)

    def _renew(self, link: Link, now: float) -> None:
        if link is not self.active or link.phase is not Phase.READY:
            link.renewal_due = True  # its turn comes when it serves: what it rests on ends all the same
        elif self.renew_at is None:  # one that failed is tried again in its own time
            self._open_successor(now)

    def _renew_if_due(self, now: float) -> None:
        """Renew the active link if it asked for that before it served; not at once, or it might go round without a pause."""
        link = self.active
        if link is not None and link.phase is Phase.READY and link.renewal_due:
            link.renewal_due = False
            self._succession.renew_at = now + self.terms.backoff.ceiling(1)

    def _open_successor(self, now: float) -> None:
        self._succession.renew_at = None
        if self.active is None or self.successor is not None:
            return
        if self.terms.overlap:
            self._succession.begin(self._new_link(now))
        else:
            self._replace(now)

    def _replace(self, now: float) -> None:
        """Where two connections are not permitted: end the active one, then connect at once."""
        link = self.active
        assert link is not None
        self._tries.end(link.ready_at, now)
        self._retire(link, 1000, now)
        error = ConnectionLost(f"{self.terms.exchange}: the connection is renewed", code=1000, reason="renewed")
        self._out.append(Disconnected(error=error, retry_in=0.0, exchange=self.terms.exchange))
        self._connect(now)

    @property
    def _swap_at(self) -> Optional[float]:
        link = self.active
        return self._succession.swap_at(link, link is not None and link.number in self._tickets.values())

    def _look_at_successor(self, now: float) -> None:
        """Once the successor serves all that is wanted, it takes its forerunner's place as soon as that is drained."""
        old = self.active
        if self._succession.look(old, self.wanted, now) and old is not None:
            self._apply(old, old.probe(now), now)

    def _swap(self, old: Link, code: Optional[int], told_until: float, now: float) -> None:
        """Put the successor in its forerunner's place: it was live before that ends, so what was whole is whole still."""
        self._succession.put_off()
        self._tries.renewals = 0
        self._retire(old, code, now, broken=False)
        self.active, fresh = self._succession.take(told_until, now, broken=False)
        for want in self.wanted.values():
            self._out += self._wants.live(want, False, now)
        self._change(State.READY, now)
        self._out += self._wants.mend(now)
        self._publish_held(fresh)
        self._renew_if_due(now)

    def _told_until(self, link: Link) -> float:
        """Until when the link has told all that it was sent."""
        broken_at = self._wants.whole_until
        return link.heard if not link.suspended or broken_at is None else broken_at

    def _publish_held(self, fresh: Fresh) -> None:
        """Publish what only the other connection has told. Should it not fit, the Gap must begin before it came."""
        self._out += [event for _, event in fresh]
        for at, _ in fresh[:1]:
            self._heard_before = min(self._heard_before, at)
            if self.active is not None:
                self.active.heard_before = min(self.active.heard_before, at)

    def _retire(self, link: Link, code: Optional[int], now: float, broken: bool = True) -> None:
        """The link is over: what waits on it fails, what was whole is broken from the last that was heard."""
        was_ready = link.phase is Phase.READY
        was_open = link.is_open
        last_words = link.ended() if was_open else []
        link.phase = Phase.OVER
        link.told.clear()
        link.confirmed.clear()
        events: List[Event] = []
        for output in last_words:
            if isinstance(output, Replied):
                self._replied(output)
            elif isinstance(output, Event) and self._succession.publishes(link, output, now):
                events.append(output)
        if link is self.active and not was_ready and any(isinstance(event, Data) for event in events):
            self._out += self._wants.gap_so_far(now)  # it told something although it never came to serve
        self._out += events
        self._out.append(Hangup(link.number, code if was_open else None))
        if link is self.active:
            if broken and was_ready and not link.suspended:
                self._out += self._wants.interrupt_all(link.whole_until, self._latest_time())
            self.active = None
        else:
            self._succession.link = None
        name = self.terms.exchange
        for ticket in [ticket for ticket, number in self._tickets.items() if number == link.number]:
            del self._tickets[ticket]
            text = (
                f"{name}: the connection ended before the answer came; whether the request was carried out is unknown"
            )
            self._out.append(Resolved(ticket, error=ConnectionLost(text, exchange=name)))

    def _end(self, link: Link, close: Close, now: float) -> None:
        """A link is of no more use: decide what comes next."""
        if link is self.successor:
            self._successor_failed(link, close, now)
            return
        error = close.error
        self.last_error = error
        self._tries.end(link.ready_at, now)
        final = self._tries.verdict(close, now)
        if final is None and self._succession.covers(link, self.active):
            self._swap(link, close.code, self._told_until(link), now)
            return
        if final is not None:
            self._finish(final, now, close.code)
            return
        wait = self._tries.fail(close)
        told_until = self._told_until(link)
        self._retire(link, close.code, now)
        if self.successor is not None:
            self._promote(error, told_until, now)
        else:
            # But what a forerunner told lately is known: the next connection may replay it.
            self._succession.renew_at = None
            self.retry_at = now + wait
            self._change(State.WAITING, now)
            self._tell_of_end(error, wait)

    def _tell_of_end(self, error: XchwsError, retry_in: Optional[float]) -> None:
        name = self.terms.exchange
        self._out.append(Disconnected(error=error, retry_in=retry_in, exchange=name))
        self._out.append(Failure(error=error, exchange=name))

    def _promote(self, error: XchwsError, told_until: float, now: float) -> None:
        """The active link was lost while its successor was on its way: go on with that."""
        link, fresh = self._succession.take(told_until, now, broken=True)
        self.active = link
        self.attempt += 1
        self._change(State.CONNECTING, now)
        self._tell_of_end(error, 0.0)
        if link.phase is Phase.READY:
            self._serve(now)
            for topic, want in self.wanted.items():
                if topic in link.confirmed:
                    self._out += self._wants.live(want, False, now)
            self._renew_if_due(now)
        self._publish_held(fresh)

    def _successor_failed(self, link: Link, close: Close, now: float) -> None:
        self._retire(link, close.code, now)
        self.last_error = close.error
        self._out.append(Failure(error=close.error, exchange=self.terms.exchange))
        self._publish_held(self._succession.give_up(now))
        wait = self._tries.fail_renewal(close)
        if close.exclusive and self.active is not None:
            self._replace(now)
        else:
            self._succession.renew_at = now + wait

    def _finish(self, error: Optional[XchwsError], now: float, code: Optional[int] = 1000) -> None:
        """The end of all. What only a successor has told is published yet: it happened, and nobody will tell it again."""
        was = self.state
        self._publish_held(self._succession.give_up(now))
        for link, last in ((self.active, code), (self.successor, 1000)):
            if link is not None:
                self._retire(link, last, now)
        self.retry_at = None
        self._succession.end()
        self._change(State.STOPPED, now)
        if error is not None:
            self.last_error = error
            self._tell_of_end(error, None)
        elif was in (State.READY, State.SUSPENDED):
            self._out.append(Disconnected(exchange=self.terms.exchange))
        for topic in list(self.wanted):
            self.wanted.pop(topic, None)
            self._out.append(Settled(topic, "ended", error))
        self._out.append(Stopped(error=error, exchange=self.terms.exchange))
        self._out.append(Finish(error))

    # ------------------------------------------------------------------------------------------------ small change

    def _change(self, state: State, now: float) -> None:
        old = self.state
        if state is not old:
            self.stage = (state, now)
            self._out.append(StateChanged(old=old, new=state, exchange=self.terms.exchange))

    def _latest_time(self) -> Optional[datetime]:
        """The exchange's time of the last event published, this call's included."""
        for effect in reversed(self._out):
            if isinstance(effect, Data) and effect.time_ms is not None:
                return effect.time or self._last_time
        return self._last_time

    def _take(self) -> List[Effect]:
        latest = self._latest_time()
        if latest is not self._last_time:
            self._time_before, self._last_time = self._last_time, latest
        out, self._out = self._out, []
        return out
