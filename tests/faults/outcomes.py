"""Outcomes: how a fault must end, as it is checked and as the table of docs/fault-matrix.md says it."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional, Tuple, Type, Union

import attrs

import xchws
from tests.rigs import Rig

Gaps = Callable[[Rig], Mapping[str, bool]]


def as_told(rig: Rig) -> Mapping[str, bool]:
    """The whole connection was lost: what the exchange can replay is replayed."""
    return rig.streams


def parted(rig: Rig) -> Mapping[str, bool]:
    """The exchange ended the connection itself, and had told all before."""
    return rig.parted or rig.streams


def lost(rig: Rig) -> Mapping[str, bool]:
    """The whole connection was lost, and nothing could be replayed."""
    return dict.fromkeys(rig.streams, False)


def none(rig: Rig) -> Mapping[str, bool]:
    """Nothing was missed."""
    return {}


def of(streams: Mapping[str, bool]) -> Gaps:
    """Of these streams alone."""
    return lambda rig: streams


@attrs.frozen
class Ready:
    """READY again, with exactly the wanted subscriptions.

    Attributes:
        gaps: the streams of which a Gap must tell, each once, and whether as recovered.
        error: what `on_error` must have been told among others; None: nothing at all.
        without: subscriptions that the exchange has refused: they are not wanted any more, and are told so.
        again: a stream may be broken twice, and tell so twice.
        renewals: how many planned successors have taken over, which no Connected tells of.
    """

    gaps: Gaps = none
    error: Optional[Type[xchws.XchwsError]] = None
    without: Tuple[str, ...] = ()
    again: bool = False
    renewals: int = 0

    def label(self, rig: Rig) -> str:
        """For the table."""
        gaps = self.gaps(rig)
        unmended = [f"`{name}`" for name, recovered in gaps.items() if not recovered]
        if not gaps:
            told = "no Gap"
        elif not unmended:
            told = "Gap recovered"
        elif len(unmended) == len(gaps):
            told = "Gap"
        else:
            told = f"Gap recovered but for {', '.join(unmended)}"
        if gaps and not rig.together and len(gaps) < len(rig.streams):
            told += f" of {', '.join(f'`{name}`' for name in gaps)}"
        refused = "".join(f", `{name}` refused" for name in self.without)
        return f"READY, {told}{refused}"


@attrs.frozen
class Stopped:
    """STOPPED, with this error, or without one if the user wanted it."""

    error: Optional[Type[xchws.XchwsError]] = None

    def label(self, rig: Rig) -> str:
        """For the table."""
        return "STOPPED" if self.error is None else f"STOPPED, `{self.error.__name__}`"


@attrs.frozen
class NotApplicable:
    """This client cannot meet the fault."""

    reason: str

    def label(self, rig: Rig) -> str:
        """For the table."""
        return f"n/a: {self.reason}"


Outcome = Union[Ready, Stopped, NotApplicable]
Outcomes = Dict[str, Outcome]
