"""Soaking: one client's faults, one after the other, and the account at the end."""

from __future__ import annotations

from collections import Counter
from typing import Callable, NamedTuple, Optional, Tuple
from typing import Counter as Count

from tests.rigs import Rig
from tests.soak.faults import faults
from tests.soak.ledger import Account
from tests.soak.stand import SILENCE, Stand

LATENESS = 2.0
"""Seconds that a busy machine may take to notice what is due."""


class Outcome(NamedTuple):
    """What came of one client's soak.

    Attributes:
        faults: how many of each kind were done.
        silence: the longest time in seconds without a byte while the client said that it was READY.
        dead_threads: looks at which one of the client's threads was not alive.
        lost_subscriptions: faults after which the exchange did not see exactly the wanted subscriptions again.
        raised, told: callbacks that raised, and CallbackErrors that on_error was told.
        troubles: whatever else must not happen, in words.
    """

    rig: str
    faults: Count[str]
    reconnects: int
    account: Account
    silence: float
    dead_threads: int
    lost_subscriptions: int
    raised: int
    told: int
    troubles: Tuple[str, ...]

    @property
    def misses(self) -> Tuple[str, ...]:
        """The targets that were missed, in words."""
        account = self.account
        counted = (
            (account.unreported, "unreported losses"),
            (account.ill_timed, "losses outside the times of their gaps"),
            (account.doubled, "doubled events"),
            (account.late, "events out of order"),
            (self.dead_threads, "dead threads"),
            (self.lost_subscriptions, "lost subscriptions"),
            (abs(self.raised - self.told), "raising callbacks not told"),
        )
        found = [f"{count} {what}" for count, what in counted if count]
        if self.silence > SILENCE + LATENESS:
            found.append(f"{self.silence:.1f} s of silence, unnoticed")
        return (*found, *account.examples, *self.troubles)


def soak(
    rig: Rig, seed: int, slow: bool, going_on: Callable[[int], bool], log: Optional[Callable[[str], None]] = None
) -> Outcome:
    """Do faults to a client for as long as `going_on` (asked with the number done) says.

    Args:
        slow: whether faults that take some 10 s are among them; log: is told of every fault.
    """
    done: Count[str] = Counter()
    lost = 0
    with Stand(rig, seed) as stand:
        for number, fault in enumerate(faults(rig.name, seed, slow), 1):
            if not going_on(number - 1):
                break
            if log is not None:
                log(f"{rig.name} {number}: {fault.kind} {fault.words}")
            done[fault.kind] += 1
            try:
                fault.act(stand)
            except Exception as error:
                stand.troubles.append(f"fault {number}, {fault.kind} {fault.words}: {error!r}; {stand.client.status()}")
            if not stand.recovered():
                lost += 1
                stand.troubles.append(f"not after fault {number}, {fault.kind} {fault.words}")
                break
        stand.end()
    return Outcome(
        rig=rig.name,
        faults=done,
        reconnects=stand.reconnects,
        account=stand.ledger.account(),
        silence=stand.longest_silence,
        dead_threads=stand.dead_threads,
        lost_subscriptions=lost,
        raised=stand.raised,
        told=stand.errors.get("CallbackError", 0),
        troubles=tuple(stand.troubles),
    )
