"""Wants: the wanted subscriptions and what comes by itself, and since when each of them is broken.

It knows no connection: it is told when a stream breaks and when it is live again, and says what is to be told of that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Callable, Dict, List, Optional, Tuple

import attrs

from xchws.events import Gap
from xchws.sansio.actions import Effect, Settled, Topic


@attrs.define
class Want:
    """A wanted subscription.

    Attributes:
        broken_at: since when (monotonic) its stream is broken; None: it is whole or new.
        last_time: the exchange's time of the last event before the break.
        unanswered: connections in a row on which the exchange did not reply to it.
        given_up: some of it came and was given up on its way to the user: no replay of the exchange brings it back.
    """

    topic: Topic
    state: str = "pending"
    broken_at: Optional[float] = None
    last_time: Optional[datetime] = None
    unanswered: int = 0
    given_up: bool = False


class Wants:
    """The streams of one client. `last_time` is always the exchange's time of the last event published.

    Args:
        exchange: the name; channels: what comes without being subscribed.
        utc_of: the wall-clock instant of a monotonic one.

    Attributes:
        topics: what is wanted.
        whole_until: the end of the last time that all was whole (monotonic); None before the first.
    """

    def __init__(self, exchange: str, channels: Tuple[str, ...], utc_of: Callable[[float], datetime]) -> None:
        self.topics: Dict[Topic, Want] = {}
        self.whole_until: Optional[float] = None
        self._exchange = exchange
        self._channels = channels
        self._utc_of = utc_of
        self._broken = False  # what comes by itself is broken since whole_until
        self._whole_time: Optional[datetime] = None  # the exchange's time of the last event before whole_until

    def live(self, want: Want, recovered: bool, now: float) -> List[Effect]:
        """A subscription is served. `recovered`: the exchange has replayed what was missed."""
        effects: List[Effect] = []
        want.unanswered = 0
        if want.state != "active":
            want.state = "active"
            effects.append(Settled(want.topic, "active"))
        if want.broken_at is not None:
            whole = recovered and not want.given_up
            effects.append(self.gap((want.topic.name,), want.broken_at, now, want.last_time, whole))
            want.broken_at = None
        want.given_up = False
        return effects

    def mend(self, now: float) -> List[Effect]:
        """What comes by itself is served again."""
        effects = self.gap_so_far(now)
        self._broken = False
        self.whole_until = now
        return effects

    def gap_so_far(self, now: float) -> List[Effect]:
        """What may have been missed up to now of what comes by itself, if that is broken. It is not served again by that."""
        if not self._broken or self.whole_until is None or not self._channels:
            return []
        return [self.gap(self._channels, self.whole_until, now, self._whole_time)]

    def interrupt(self, want: Want, at: float, last_time: Optional[datetime]) -> List[Effect]:
        """A subscription is served no more since `at`."""
        if want.state != "active":
            return []
        want.state = "pending"
        want.broken_at = at
        want.last_time = last_time
        return [Settled(want.topic, "pending")]

    def interrupt_all(self, at: float, last_time: Optional[datetime]) -> List[Effect]:
        """All that was whole is broken since `at`."""
        self.whole_until = at
        self._whole_time = last_time
        self._broken = True
        return [effect for want in self.topics.values() for effect in self.interrupt(want, at, last_time)]

    def give_up(self) -> None:
        """Events were given up on their way to the user; of which streams is not known."""
        for want in self.topics.values():
            want.given_up = True

    def break_earlier(self, at: float, last_time: Optional[datetime]) -> None:
        """What is broken has been so since `at` at the latest."""
        if self._broken and self.whole_until is not None and self.whole_until >= at:
            self.whole_until, self._whole_time = at, last_time
        for want in self.topics.values():
            if want.broken_at is not None and want.broken_at >= at:
                want.broken_at, want.last_time = at, last_time

    def gap(
        self,
        channels: Tuple[str, ...],
        since: float,
        until: float,
        last_time: Optional[datetime],
        recovered: bool = False,
    ) -> Gap:
        """The event for what may be missing between two monotonic instants."""
        end = self._utc_of(until)  # the wall clock is read once, or the gap might end before it begins
        return Gap(
            since=end - timedelta(seconds=until - since),
            until=end,
            channels=channels,
            recovered=recovered,
            last_time=last_time,
            exchange=self._exchange,
        )
