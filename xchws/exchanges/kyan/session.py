"""KyanSession: what belongs to one session at the exchange, which may outlive a connection if it is recovered.

Source: https://docs.kyan.blue/docs/ws-session-recovery, read 2026-11. It knows no message and no socket; the clock comes from
outside.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

import attrs

from xchws.exchanges.kyan import channels, payloads
from xchws.exchanges.kyan.book import Book
from xchws.sansio.actions import Topic
from xchws.sansio.fills import FillMemory

TTL = 30.0  # seconds for which a session can be recovered, unless the exchange says otherwise
ENABLE_PAUSE = 10.0  # seconds from one enable_session_recovery to the next: the exchange takes no more
_IDS_KEPT = 5_000  # message ids; the exchange replays at most 1000 messages
_ENDED_KEPT = 10_000  # orders that are over
_GATHERING = 1.0  # seconds in which a book is gathered anew where nothing tells that it is whole

BookKey = Tuple[str, str]
OrderKey = Tuple[str, str]


class Numbering:
    """Watches `seq_id`, which rises by 1 per message of a connection.

    Whether messages without one take a number all the same is not documented. They are given the benefit of the doubt, until
    it has been seen that they take none. What is replayed after a recovery may carry the numbers of the lost connection.
    """

    def __init__(self, earlier: Optional[int] = None) -> None:
        self._earlier = earlier
        self._last: Optional[int] = None
        self._unnumbered = 0
        self._only_numbered_count = False

    @property
    def last(self) -> Optional[int]:
        """The highest number so far."""
        return self._last if self._last is not None else self._earlier

    def skips(self, number: Optional[int], repeated: bool = False) -> bool:
        """Note a message; whether others before it are missing. One that is repeated tells nothing of what is missing."""
        if repeated:
            if number is not None and self._last is not None and number == self._last + 1:
                self._last = number
            return False
        if number is None:
            self._unnumbered += 1
            return False
        last, unnumbered = self._last, self._unnumbered
        if self._earlier is not None and number == self._earlier + 1:
            self._earlier = number
            return False
        if last is None:
            self._last, self._unnumbered = number, 0
            return self._earlier is not None and number > self._earlier + 1 + unnumbered
        if number <= last:
            return False
        self._last, self._unnumbered = number, 0
        if number == last + 1:
            self._only_numbered_count = self._only_numbered_count or unnumbered > 0
            return False
        return number > last + 1 + (0 if self._only_numbered_count else unnumbered)


@attrs.define
class Habits:
    """What the exchange has been seen to do.

    Attributes:
        tells_snapshots: a book began with a message that is a snapshot; otherwise it begins with single orders.
    """

    tells_snapshots: bool = False


class KyanSession:
    """One session at the exchange.

    Attributes:
        token: what recovers it, or None; ttl: seconds for which it can be recovered after a loss; lost_at: when it was lost.
        parted: the exchange said goodbye itself, so that all that it had sent before has come.
        began_at: when it began (monotonic); the exchange ends it after its lifetime.
        topics: what is subscribed -> whether the exchange has accepted it.
        books: (channel, instrument) -> book; snapshotted: the topics whose snapshot has come.
        orders: (channel, order id) -> what was said of it last.
        positions: (margin account, market) -> the instruments that had a position.
        ready: whether it is live on a connection now; habits: what all sessions have seen of the exchange.
        in_use: whether it tells the books; a successor gathers them and leaves the telling to its forerunner.
        before: its forerunner, as long as it may repeat what that has told.
        untold: the books that were told before this session, or before they began anew in it, and not since.
        tell_at: when (monotonic) these are told, however little has come; None: not now.
    """

    def __init__(
        self,
        began_at: float,
        positions: Dict[Tuple[str, str], Set[str]],
        untold: Set[BookKey],
        habits: Habits,
        before: Optional[KyanSession] = None,
    ) -> None:
        self.began_at = began_at
        self.habits = habits
        self.before = before
        self.in_use = before is None
        self.untold = untold
        self.tell_at: Optional[float] = None
        self.token: Optional[str] = None
        self.ttl = TTL
        self.lost_at = 0.0
        self.parted = False
        self.ready = False
        self.topics: Dict[Topic, bool] = {}
        self.books: Dict[BookKey, Book] = {}
        self.snapshotted: Set[Topic] = set()
        self.orders: Dict[OrderKey, payloads.Order] = {}
        self._ended: Dict[OrderKey, None] = {}
        self.positions = dict(positions)
        self.numbering = Numbering()
        self._ids: Dict[str, None] = {}

    def is_new(self, message_id: Optional[str]) -> bool:
        """Whether this message comes for the first time, as far as that can be told."""
        if not message_id:
            return True
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > _IDS_KEPT:
            del self._ids[next(iter(self._ids))]
        return True

    def note_order(self, key: OrderKey, order: payloads.Order, over: bool) -> None:
        """What was said of an order; `over`: it rests no more."""
        if not over:
            self.orders[key] = order
            return
        self._ended[key] = None
        if len(self._ended) > _ENDED_KEPT:
            del self._ended[next(iter(self._ended))]

    def was_told_before(self, key: OrderKey) -> bool:
        """Whether the forerunner has told of this order."""
        return self.before is not None and (key in self.before.orders or key in self.before._ended)

    def gather(self, now: float) -> None:
        """Books begin anew."""
        self.tell_at = now + _GATHERING

    def take_over(self, now: float) -> None:
        """The forerunner is gone: from now on this session tells the books."""
        assert self.before is not None, "it has a forerunner"
        self.in_use = True
        self.untold |= set(self.before.books)
        self.before.before = None  # what it knew is known to the forerunner
        self.gather(now)

    def asked(self, channel: str, echoed: Mapping[str, Any], key: str) -> str:
        """A value of an event's query: as the exchange echoes it, or as it was asked for where that is beyond doubt."""
        if echoed.get(key) is not None:
            return str(echoed[key])
        values = {channels.value_of(topic, key) for topic in self.topics if topic.channel == channel}
        only = values.pop() if len(values) == 1 else None
        return "" if only is None else str(only)


class Memory:
    """What one client remembers from connection to connection.

    Args:
        recovery: whether lost sessions are to be recovered; now: the monotonic clock.

    Attributes:
        recovery: the same; False too once the exchange has refused the command for a reason that does not pass.
        enabled_at: when enable_session_recovery was sent last.
        fills: the own executions told already; unauthorized: the topics that were refused with "Not Authorized" last time.
    """

    def __init__(self, recovery: bool, now: Callable[[], float]) -> None:
        self.recovery = recovery
        self.enabled_at: Optional[float] = None
        self.fills = FillMemory()
        self.unauthorized: Set[Topic] = set()
        self._now = now
        self._habits = Habits()
        self._alive: List[KyanSession] = []
        self._lost: Optional[KyanSession] = None
        self._positions: Dict[Tuple[str, str], Set[str]] = {}
        self._books: Set[BookKey] = set()

    def begin(self, now: float) -> Tuple[KyanSession, Optional[str]]:
        """The session for a new connection, and the token if it is a lost one to be recovered.

        A token is tried once: after a failure the next connection begins a new session. A successor beside a living
        connection begins a new session too.
        """
        token = None
        lost = self._lost if not self._alive else None
        if lost is not None:
            self._lost = None
            if self.recovery and now - lost.lost_at <= lost.ttl:
                token, lost.token = lost.token, None
        if lost is not None and token is not None:
            session = lost
            session.ready = False
            session.numbering = Numbering(session.numbering.last)
            session.topics = {topic: True for topic, accepted in session.topics.items() if accepted}
        else:
            living = next((other for other in self._alive if other.ready), None)
            positions = self._positions if living is None else living.positions
            session = KyanSession(now, positions, set(self._books), self._habits, living)
        self._alive.append(session)
        return session, token

    def serves(self, session: KyanSession) -> None:
        """The session is live: the one before is history."""
        session.ready = True
        self._lost = None

    def ended(self, session: KyanSession) -> None:
        """The session's connection is gone."""
        self._alive.remove(session)
        if session.ready:
            self._positions = dict(session.positions)
            self._books = {*session.books, *session.untold}
        for other in self._alive:
            if other.before is session:
                other.take_over(self._now())
        if session.token is not None and not any(other.ready for other in self._alive):
            session.lost_at = self._now()
            self._lost = session
