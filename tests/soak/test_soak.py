"""The soak's own tests: it counts right, it repeats itself, and three seconds of it are survived."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, List

import pytest

from tests.rigs import RIGS
from tests.soak.faults import OWN, faults, kinds
from tests.soak.ledger import TRANSIT, Account, Entry, Hole, Ledger, Number, Refusal, State
from tests.soak.soaking import LATENESS, Outcome, soak
from tests.soak.stand import SILENCE, STREAM, Stand

ROOT = Path(__file__).resolve().parents[2]
GAP = Hole(since=2.0, until=4.0, recovered=False)
CLOSED = Hole(since=2.0, until=4.0, recovered=True)


def account(*entries: Entry, sent: int = 5) -> Account:
    """Of so many events, the n-th sent at the n-th second, and what was told."""
    ledger = Ledger(0.0)
    for number in range(1, sent + 1):
        ledger.sent(number, float(number))
    ledger.entries.extend(entries)
    return ledger.account()


def numbers(*told: int) -> List[Entry]:
    return [Number(number) for number in told]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (numbers(1, 2, 3, 4, 5), {}),
        ([*numbers(1, 2), GAP, *numbers(5)], {"lost": 2, "gaps": 1}),
        ([*numbers(1, 2), CLOSED, *numbers(3, 4, 5)], {"gaps": 1}),
        (numbers(1, 2, 5), {"lost": 2, "unreported": 2}),
        # A Gap must be told where something is missing, neither before nor behind.
        ([*numbers(1), GAP, *numbers(2, 5)], {"lost": 2, "unreported": 2, "gaps": 1}),
        ([*numbers(1, 2, 5), GAP], {"lost": 2, "unreported": 2, "gaps": 1}),
        ([*numbers(1, 2, 3), GAP], {"lost": 2, "gaps": 1, "ill_timed": 1}),
        (numbers(1, 2, 3), {"lost": 2, "unreported": 2}),
        # One that says that nothing is lost is told the truth by a snapshot only.
        ([*numbers(1, 2), CLOSED, *numbers(5)], {"lost": 2, "unreported": 2, "gaps": 1}),
        ([*numbers(1, 2), CLOSED, State(4), *numbers(5)], {"lost": 2, "gaps": 1}),
        ([*numbers(1, 2), CLOSED, *numbers(5), State(5)], {"lost": 2, "gaps": 1}),
        ([*numbers(1, 2), CLOSED, State(3), *numbers(5)], {"lost": 2, "unreported": 1, "gaps": 1}),
        ([*numbers(1, 2), CLOSED, *numbers(5), GAP, State(5)], {"lost": 2, "unreported": 2, "gaps": 2}),
        ([*numbers(1, 2), Refusal(), *numbers(5)], {"lost": 2}),
        ([*numbers(1, 2), Hole(4.0 + TRANSIT + 0.5, 9.0, False), *numbers(5)], {"lost": 2, "ill_timed": 2, "gaps": 1}),
        ([*numbers(1, 2), Hole(0.0, 3.5, False), *numbers(5)], {"lost": 2, "ill_timed": 1, "gaps": 1}),
        (numbers(1, 2, 3, 3, 4, 5), {"doubled": 1}),
        (numbers(1, 2, 4, 3, 5), {"late": 1}),
        ([*numbers(1, 3), GAP, *numbers(2, 5)], {"lost": 1, "late": 1, "gaps": 1, "unreported": 1}),
    ],
)
def test_the_ledger(entries: List[Entry], said: Any) -> None:
    found = account(*entries)
    expected = {"lost": 0, "unreported": 0, "ill_timed": 0, "doubled": 0, "late": 0, "gaps": 0, **said}
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.sent == 5 and found.received == 5 - found.lost
    assert len(found.examples) == found.unreported + found.ill_timed + found.doubled


def outcome(**changes: Any) -> Outcome:
    good = Outcome(
        rig="kyan",
        faults=Counter(cut=3),
        reconnects=3,
        account=account(*numbers(1, 2, 3, 4, 5)),
        silence=SILENCE,
        dead_threads=0,
        lost_subscriptions=0,
        raised=2,
        told=2,
        troubles=(),
    )
    return good._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "miss"),
    [
        ({"account": account(*numbers(1, 5))}, "3 unreported losses"),
        ({"account": account(*numbers(1, 2, 3), GAP)}, "1 losses outside the times of their gaps"),
        ({"account": account(*numbers(1, 1, 2, 3, 4, 5))}, "1 doubled events"),
        ({"account": account(*numbers(1, 3, 2, 4, 5))}, "1 events out of order"),
        ({"dead_threads": 1}, "1 dead threads"),
        ({"lost_subscriptions": 2}, "2 lost subscriptions"),
        ({"told": 1}, "1 raising callbacks not told"),
        ({"silence": SILENCE + LATENESS + 0.1}, f"{SILENCE + LATENESS + 0.1:.1f} s of silence, unnoticed"),
        ({"troubles": ("it stopped",)}, "it stopped"),
    ],
)
def test_a_target_that_is_missed_is_said(changes: Any, miss: str) -> None:
    assert outcome().misses == ()
    assert miss in outcome(**changes).misses


def test_the_seed_says_which_faults_come_in_which_order() -> None:
    def drawn(rig: str, seed: int, slow: bool = True) -> List[str]:
        return [f"{fault.kind} {fault.words}" for fault in itertools.islice(faults(rig, seed, slow), 300)]

    assert drawn("kyan", 1) == drawn("kyan", 1)
    assert drawn("kyan", 1) != drawn("kyan", 2) and drawn("kyan", 1) != drawn("finery", 1)
    found = {fault.kind for rig in RIGS for fault in itertools.islice(faults(rig.name, 1, True), 3000)}
    assert found == set(kinds()), "each kind comes some day"
    assert not any(fault.startswith("reply lost") for fault in drawn("finery", 1, slow=False))


def test_every_client_has_its_part() -> None:
    names = {rig.name for rig in RIGS}
    assert set(OWN) == names == set(STREAM)


def test_a_gap_that_is_not_told_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stand, "_note_gap", lambda stand, gap: None)
    (rig,) = (rig for rig in RIGS if rig.name == "richamster")
    found = soak(rig, 7, False, lambda done: done < 5)
    assert sum(found.faults.values()) == 5 and found.account.lost == found.account.unreported > 0
    assert any("unreported losses" in miss for miss in found.misses)


def test_three_seconds() -> None:
    command = [sys.executable, "-m", "tests.soak", "--seconds", "3", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "no target was missed" in lines, done.stdout + done.stderr
    assert lines[1].startswith("over TLS: ")
    assert lines[0] == f"soak of 3 s, seed 7: {', '.join(rig.name for rig in RIGS)}"
    table = {line.split()[0]: line.split() for line in lines if line.startswith(tuple(rig.name for rig in RIGS))}
    assert set(table) == {rig.name for rig in RIGS}
    assert all(int(row[1]) >= 1 and int(row[3]) >= int(row[4]) > 0 for row in table.values()), done.stdout
    assert lines[-1] == "again: python -m tests.soak --seed 7 --seconds 3"
