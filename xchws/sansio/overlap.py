"""Overlap: what two connections tell at the same time, told once and in the order of the one in use.

While a successor gets ready, and while its forerunner is drained, both may tell the same things. The one in use is
published as it comes; what the other tells is held back until it takes its place or fails.

A thing may truly happen twice (a balance that goes up and down again), so tellings are paired one to one, the nearest in
time first. It knows no connection, only which of the two is in use.
"""

from __future__ import annotations

from typing import Dict, Hashable, List, Optional, Tuple

from xchws.events import Event

Held = Tuple[float, Optional[Hashable], Event]


class _State:
    """The class of STATE."""


STATE: Hashable = _State()
"""The identity of what tells how something stands, such as a snapshot: the one in use has told that itself, change by change, so
the other's telling matters only where the stream is broken between them."""


class Overlap:
    """The things told by two connections. An identity of None means: nobody can tell whether it is the same thing.

    Args:
        transit: seconds within which whatever an exchange has sent is read on either connection.
        memory: seconds that the two tellings of one thing may lie apart.
    """

    def __init__(self, transit: float, memory: float) -> None:
        self._transit = transit
        self._memory = memory
        self._told: Dict[Hashable, List[float]] = {}  # published, and when
        self._held: List[Held] = []
        self._expected: Dict[Hashable, List[float]] = {}  # doubles that the one in use has yet to tell, and since when

    def tells(self, identity: Optional[Hashable], now: float) -> bool:
        """The connection in use tells something: whether it is to be published."""
        if identity is None or identity is STATE:
            return True
        since = self._expected.get(identity, [])
        while since:
            if now - since.pop(0) <= self._memory:
                return False
        self._told.setdefault(identity, []).append(now)
        return True

    def hold(self, identity: Optional[Hashable], event: Event, now: float) -> None:
        """The other connection tells something."""
        self._held.append((now, identity, event))

    def taken_over(self, since: float, now: float, broken: bool) -> List[Tuple[float, Event]]:
        """The other connection takes the place of the one in use: what only it has told, and when.

        What cannot be recognised counts among that if it came after `since`; what came before, the one in use has told. So does
        STATE, but only if the stream is `broken` between the two.
        """
        fresh, unpaired = self._release(since, broken)
        self._expected = {}
        for identity, times in unpaired.items():
            # What is older was told before the other one was subscribed: that will never tell it.
            late = [now for time in times if time >= now - self._transit]
            if late:
                self._expected[identity] = late
        self._remember(fresh, now)
        return [(at, event) for at, _, event in fresh]

    def given_up(self, now: float) -> List[Tuple[float, Event]]:
        """The other connection is over: what only it has told so far, and when. The one in use may tell it still."""
        fresh, _ = self._release(now, broken=False)
        for at, identity, _ in fresh:
            if at >= now - self._transit:
                self._expected.setdefault(identity, []).append(now)
        self._remember(fresh, now)
        return [(at, event) for at, _, event in fresh]

    def _release(self, since: float, broken: bool) -> Tuple[List[Held], Dict[Hashable, List[float]]]:
        """What is held and was not published, and the tellings published that have no double among what is held."""
        unpaired = {identity: list(times) for identity, times in self._told.items()}
        fresh: List[Held] = []
        for at, identity, event in self._held:
            if identity is None or identity is STATE:
                if at > since and (broken or identity is None):
                    fresh.append((at, identity, event))
            elif not self._paired(unpaired.get(identity, []), at):
                fresh.append((at, identity, event))
        self._held = []
        return fresh, unpaired

    def _paired(self, times: List[float], at: float) -> bool:
        nearest = min(times, key=lambda time: abs(time - at), default=None)
        if nearest is None or abs(nearest - at) > self._memory:
            return False
        times.remove(nearest)
        return True

    def _remember(self, fresh: List[Held], now: float) -> None:
        for at, identity, _ in fresh:
            if identity is not None and identity is not STATE:
                self._told.setdefault(identity, []).append(at)
        recent = {
            identity: [time for time in times if time >= now - self._memory] for identity, times in self._told.items()
        }
        self._told = {identity: times for identity, times in recent.items() if times}
