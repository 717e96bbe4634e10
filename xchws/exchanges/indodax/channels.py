"""channels: how far each channel has been read, where it stands on a connection, and what of it was missed. It sends nothing.

Source: the server's source at Centrifugo 2.8.6 (centrifuge v0.14.2, client.go: subscribeCmd, isRecovered), read 2026-11. Offsets
rise by one within an epoch. A subscription that asks to recover gets what the server still has after an offset, and its word
whether that begins where it should.
"""

from __future__ import annotations

import enum
from typing import Dict, List, Optional, Sequence, Tuple

import attrs
import msgspec

from xchws.events import Path
from xchws.exchanges.indodax.centrifugo_v1 import Publication, SubscribeResult, publication_of
from xchws.sansio.actions import Topic
from xchws.sansio.protocol import UNREADABLE

PUSHED: Path = ("result", "data", "data")
"""Where a pushed publication has its data."""


@attrs.frozen
class Position:
    """How far a channel has been read. Offsets of different epochs cannot be compared; "" if the epoch is not known."""

    epoch: str
    offset: int


@attrs.frozen
class Telling:
    """A publication and the message that it came in; None where it could not be read, and `flaw` says what of it."""

    publication: Optional[Publication]
    wire: bytes
    path: Path = PUSHED
    flaw: str = ""
    text: bytes = b""

    @property
    def offset(self) -> int:
        """Its number in the channel; 0 if it has none."""
        return 0 if self.publication is None else self.publication.offset


class Positions:
    """How far each channel has been read, on whatever connection, and what is held back until what is missing before it came."""

    def __init__(self) -> None:
        self._known: Dict[str, Position] = {}
        self._held: Dict[str, List[Telling]] = {}

    def get(self, channel: str) -> Optional[Position]:
        """Where to go on; None: at the beginning of the subscription."""
        return self._known.get(channel)

    def note(self, channel: str, epoch: str, offset: int) -> None:
        """A channel has been read up to here. Of two connections in one epoch the one that is ahead counts."""
        known = self._known.get(channel)
        if known is None or known.epoch != epoch or known.offset < offset:
            self._known[channel] = Position(epoch, offset)

    def hold(self, channel: str, telling: Telling) -> None:
        """It cannot be told yet."""
        self._held.setdefault(channel, []).append(telling)

    def release(self, channel: str) -> List[Telling]:
        """What is held back, in the order in which it came; no more after this."""
        return self._held.pop(channel, [])

    def forget(self, channel: str) -> None:
        """A subscription ended, or its stream began anew: there is nothing to go on from."""
        self._known.pop(channel, None)
        self._held.pop(channel, None)


class Stage(enum.Enum):
    """Where a channel stands on this connection."""

    AWAY = "AWAY"
    JOINING = "JOINING"
    JOINED = "JOINED"
    LEAVING = "LEAVING"


@attrs.define(eq=False)
class Channel:
    """One channel on this connection.

    Attributes:
        wanted: whether the session wants it; what comes of one that is not wanted any more is passed over.
        from_: where the server was asked to replay from, or None.
        epoch, last: how far it has been read here; None where that is not known. floor: where that began.
        whole_until: when (monotonic) the last publication was told.
        early: what came before the reply to subscribe.
        tries: subscriptions in a row that the server put off.
        mending: it is left and joined again because something is missing.
        mend_from: not before this instant (monotonic) is that tried again; vain: how often in a row it was in vain.
    """

    topic: Topic
    wanted: bool = True
    stage: Stage = Stage.AWAY
    from_: Optional[Position] = None
    epoch: str = ""
    last: Optional[int] = None
    floor: int = 0
    whole_until: Optional[float] = None
    early: List[Telling] = attrs.field(factory=list)
    tries: int = 0
    mending: bool = False
    mend_from: float = 0.0
    vain: int = 0


@attrs.frozen
class Replay:
    """What a reply to subscribe says of what was missed, put together with what came before it.

    Attributes:
        recovered: it is all that was missed.
        anew: the stream is not the one that was read before: its offsets began anew.
        epoch, last: where it has been read to, once `tellings` have been told; floor: where these begin.
        tellings: each once, in the order of the offsets.
        rest: what came before the reply and is not counted in that: to be told after it, in its order.
    """

    recovered: bool
    anew: bool
    epoch: str
    floor: int
    last: int
    tellings: List[Telling]
    rest: List[Telling]


def replay_of(
    asked: Optional[Position], result: SubscribeResult, wire: bytes, held: Sequence[Telling], early: Sequence[Telling]
) -> Replay:
    """Read the reply to a subscription that asked to go on from there.

    The server replays what it has also where that is not all. Its word that it is all is checked: the offsets must go on
    without a hole to where it says that the stream stands.

    Args:
        wire: the reply; held: what came before the channel was left; early: what came while it was being joined.
    """
    top = result.offset or 0
    same = asked is not None and (result.recovered or (result.epoch == asked.epoch and top >= asked.offset))
    floor = asked.offset if asked is not None and same else 0
    came = [*held, *early] if same else list(early)
    # What is held of a stream that has ended comes before the new one, whose numbers say nothing about it.
    ended = [] if same else list(held)
    known = {_content(telling) for telling in ended}
    replayed = [telling for telling in _replayed(result, wire) if telling.offset == 0 or _content(telling) not in known]
    counted = [telling for telling in came if 0 < telling.offset <= top]
    tellings = _in_order([*replayed, *counted], floor)
    last = floor
    whole = all(telling.publication is not None for telling in tellings)
    for telling in tellings:
        whole = whole and telling.offset == last + 1
        last = telling.offset or last
    return Replay(
        recovered=same and result.recovered and whole and last >= top,
        anew=asked is not None and not same,
        epoch=result.epoch or (asked.epoch if asked is not None and same else ""),
        floor=floor if same else min([top, *(telling.offset - 1 for telling in tellings if telling.offset)]),
        last=max(last, top),
        tellings=[*ended, *tellings],
        rest=[telling for telling in came if not 0 < telling.offset <= top],
    )


def _content(telling: Telling) -> Tuple[int, bytes]:
    return telling.offset, b"" if telling.publication is None else bytes(telling.publication.data)


def _replayed(result: SubscribeResult, wire: bytes) -> List[Telling]:
    return [_telling(index, text, wire) for index, text in enumerate(result.publications or ())]


def _telling(index: int, text: msgspec.Raw, wire: bytes) -> Telling:
    path: Path = ("result", "publications", index, "data")
    try:
        publication, flaws = publication_of(text)
    except UNREADABLE as error:
        why = f"a replayed publication that cannot be understood ({error})"
        return Telling(None, wire, path, why, bytes(text))
    return Telling(publication, wire, path, f"{', '.join(flaws)} of no known form" if flaws else "", bytes(text))


def _in_order(tellings: Sequence[Telling], floor: int) -> List[Telling]:
    """Each offset above `floor` once, in order; what has none stays behind what it came after."""
    seen = set()
    placed: List[Tuple[int, Telling]] = []
    place = floor
    for telling in tellings:
        offset = telling.offset
        if offset:
            if offset <= floor or offset in seen:
                continue
            seen.add(offset)
            place = offset
        placed.append((place, telling))
    return [telling for _, telling in sorted(placed, key=lambda entry: entry[0])]
