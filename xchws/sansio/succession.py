"""Succession: the next connection beside the one in use: when it is dialled, when it takes over, and what both have told.

It knows the two links and the instants that it is given. What becomes of the links, of the state and of the streams is the
Session's.
"""

from __future__ import annotations

from typing import Collection, List, Optional, Tuple

from xchws.events import Data, Event, Failure
from xchws.sansio.actions import Topic
from xchws.sansio.link import Link, Phase
from xchws.sansio.overlap import Overlap

_DRAIN = 2.0  # seconds for which a forerunner is still read after its successor serves: what was on its way arrives
_ANSWER_PATIENCE = 30.0  # seconds more, while a request on it waits for its answer
_OVERLAP_MEMORY = 10.0  # seconds for which doubles of what a forerunner told are still recognised

Fresh = List[Tuple[float, Event]]


class Succession:
    """At most one successor at a time.

    Attributes:
        link: the successor; None: there is none.
        renew_at: when one is to be dialled (monotonic); None: not by itself.
        overlap: what was told while two links overlapped, as long as doubles of it may come.
    """

    def __init__(self) -> None:
        self.link: Optional[Link] = None
        self.renew_at: Optional[float] = None
        self.overlap: Optional[Overlap] = None
        self._forget_at: Optional[float] = None
        self._complete_at: Optional[float] = None  # since when the successor serves all that is wanted

    # -------------------------------------------------------------------------------------------------------- its course

    def begin(self, link: Link) -> None:
        """This link is dialled to take over."""
        self.link = link
        self.overlap = self.overlap or Overlap(_DRAIN, _OVERLAP_MEMORY)
        self._forget_at = None

    def look(self, active: Optional[Link], wanted: Collection[Topic], now: float) -> bool:
        """Look whether it serves all that is wanted; whether that is new."""
        new = self.link
        if new is None or active is None or new.phase is not Phase.READY or not set(wanted) <= new.confirmed:
            self._complete_at = None
            return False
        if self._complete_at is not None:
            return False
        self._complete_at = now
        return True

    def miss(self, now: float) -> None:
        """It has missed something: its forerunner tells that, if it is read for so long from now on."""
        if self._complete_at is not None:
            self._complete_at = now

    def put_off(self) -> None:
        """It cannot make up for its forerunner."""
        self._complete_at = None

    def take(self, told_until: float, now: float, broken: bool) -> Tuple[Link, Fresh]:
        """It takes its forerunner's place, which has told all until then: the link, and what only that has told so far; `broken`:
        something may be missing between the two."""
        link = self.link
        assert link is not None and self.overlap is not None, "there is a successor"
        self.link = self._complete_at = None
        self._forget_at = now + _OVERLAP_MEMORY
        return link, self.overlap.taken_over(told_until, now, broken)

    def give_up(self, now: float) -> Fresh:
        """It is over without having taken over: what only it has told."""
        self._complete_at = None
        self._forget_at = now + _OVERLAP_MEMORY
        return [] if self.overlap is None else self.overlap.given_up(now)

    def end(self) -> None:
        """The end of all."""
        self.link = self.renew_at = self.overlap = self._forget_at = self._complete_at = None

    # --------------------------------------------------------------------------------------------------------- questions

    @property
    def is_complete(self) -> bool:
        """Whether the successor serves all that is wanted."""
        return self._complete_at is not None

    def covers(self, link: Link, active: Optional[Link]) -> bool:
        """Whether this is a forerunner that was heard after its successor served: nothing is missed at its end."""
        return link is active and self._complete_at is not None and link.heard >= self._complete_at

    def swap_at(self, active: Optional[Link], is_asked: bool) -> Optional[float]:
        """When the forerunner has been drained: what it was sent before its successor served is read by then.

        Args:
            is_asked: whether a request on it waits for its answer.
        """
        if self._complete_at is None or active is None:
            return None
        if active.suspended:
            return self._complete_at  # it tells nothing
        if active.heard < self._complete_at and active.owes_pong:
            return None  # it may be dead for long: its answer or its silence will tell
        return self._complete_at + _DRAIN + (_ANSWER_PATIENCE if is_asked else 0.0)

    def deadlines(self) -> List[float]:
        """When something is to be done, besides the change-over."""
        return [time for time in (self.renew_at, self._forget_at) if time is not None]

    def wake(self, now: float) -> None:
        """Forget what no double can come of any more."""
        if self._forget_at is not None and now >= self._forget_at:
            self.overlap = self._forget_at = None

    def publishes(self, link: Link, event: Event, now: float) -> bool:
        """Whether an event is to be published now. While two connections overlap, the same thing is told by both."""
        if isinstance(event, Data) and self.overlap is not None:
            identity = link.identity(event)
            if link is self.link:
                self.overlap.hold(identity, event, now)
                return False
            return self.overlap.tells(identity, now)
        return link is not self.link or isinstance(event, Failure)
