"""Ledger: what the exchange sent against what the client told. It knows no client: entries come in, the account comes out.

The exchange numbers what it sends, so that loss is counted and not guessed. The entries are what the user's functions were told,
in that order: a hole in the numbers is reported only if a Gap of the stream was told exactly there.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

TRANSIT = (
    1.0  # seconds that an event may be on its way: what was lost was sent so long before the gap's beginning at most
)


class Number(NamedTuple):
    """A numbered event."""

    number: int


class State(NamedTuple):
    """A snapshot: all up to this number is contained in it."""

    number: int


class Hole(NamedTuple):
    """A Gap of the stream; instants as Unix seconds: `since` is the earlier of its `since` and its `last_time`."""

    since: float
    until: float
    recovered: bool


class Refusal(NamedTuple):
    """The stream's subscription was refused: nothing more is promised until it is subscribed anew."""


Entry = Union[Number, State, Hole, Refusal]


class Account(NamedTuple):
    """How many events were sent and received, and what became of the others.

    Attributes:
        lost: never told.
        unreported: of these, without a Gap where they are missing, or with one that says that nothing is lost.
        ill_timed: of those that are reported, outside the times of their Gap.
        doubled: told more than once.
        late: told after one that was sent later.
        gaps: how many were told.
        examples: the first unreported, ill-timed and doubled ones, in words.
    """

    sent: int
    received: int
    lost: int
    unreported: int
    ill_timed: int
    doubled: int
    late: int
    gaps: int
    examples: Tuple[str, ...]


class Ledger:
    """The entries of one client, begun at this Unix time. Its callbacks thread appends, whoever publishes calls `sent`."""

    def __init__(self, began: float) -> None:
        self._began = began
        self.entries: List[Entry] = []
        self._sent: Dict[int, float] = {}

    def sent(self, number: int, at: float) -> None:
        """The exchange is about to publish a numbered event, at this Unix time."""
        self._sent[number] = at

    def account(self) -> Account:
        """Balance the books."""
        entries = list(self.entries)
        told: Dict[int, int] = {}
        holes: Dict[int, Tuple[int, int]] = {}  # missing number -> where in the entries it should be
        highest = late = gaps = since = 0
        for place, entry in enumerate(entries):
            if not isinstance(entry, Number):
                gaps += isinstance(entry, Hole)
                continue
            number = entry.number
            told[number] = told.get(number, 0) + 1
            if number > highest:
                holes.update((missing, (since, place)) for missing in range(highest + 1, number))
                highest = number
            elif told[number] == 1:
                late += 1
            since = place + 1
        lost = [number for number in self._sent if number not in told]
        places = {number: holes.get(number, (since, len(entries))) for number in lost}
        excuses = {number: _excuse(number, self._sent[number], entries, *places[number]) for number in lost}
        doubled = [number for number, times in told.items() if times > 1]
        unreported = [number for number in lost if excuses[number] is None]
        ill_timed = [number for number in lost if excuses[number]]
        return Account(
            sent=len(self._sent),
            received=len(told),
            lost=len(lost),
            unreported=len(unreported),
            ill_timed=len(ill_timed),
            doubled=len(doubled),
            late=late,
            gaps=gaps,
            examples=(
                *(
                    self._example(number, f"lost; told there: {entries[slice(*places[number])]}")
                    for number in unreported[:5]
                ),
                *(self._example(number, f"lost {excuses[number]:.2f} s outside its gap") for number in ill_timed[:5]),
                *(self._example(number, f"told {told[number]} times") for number in doubled[:5]),
            ),
        )

    def _example(self, number: int, what: str) -> str:
        return f"event {number}, sent {self._sent[number] - self._began:.3f} s after the beginning: {what}"


def _excuse(number: int, at: float, entries: Sequence[Entry], start: int, end: int) -> Optional[float]:
    """By how many seconds a lost event lies outside the gaps that were told in its place (0.0: inside one); None: no gap.

    A gap that says that nothing is lost is one only if a snapshot follows, before the next gap, that has the event in it.
    """
    off: List[float] = []
    for place in range(start, end):
        entry = entries[place]
        if isinstance(entry, Refusal):
            off.append(0.0)
        elif isinstance(entry, Hole) and (not entry.recovered or _is_made_good(number, entries, place + 1)):
            off.append(max(0.0, entry.since - TRANSIT - at, at - entry.until))
    return min(off, default=None)


def _is_made_good(number: int, entries: Sequence[Entry], start: int) -> bool:
    for place in range(start, len(entries)):
        entry = entries[place]
        if isinstance(entry, Hole):
            return False
        if isinstance(entry, State):
            return entry.number >= number
    return False
