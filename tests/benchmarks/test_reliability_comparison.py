"""The comparison with other libraries can tell a good one from a bad one, and its page says what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from benchmarks.reliability import page
from benchmarks.reliability.compare import RESULTS, held
from benchmarks.reliability.environments import REQUIREMENTS
from benchmarks.reliability.peers import NAMES, adapters, module
from benchmarks.reliability.scoring import (
    BUT,
    DIES,
    HANGS,
    ROWS,
    SPARED,
    SURVIVES,
    UNFIT,
    Row,
    Verdict,
    merged,
    verdict,
)
from benchmarks.reliability.stage import ROOT, Limits, innermost
from benchmarks.reliability.trials import TRIALS
from tests.benchmarks import bad_peer, good_peer

# What ends well ends long before these; what does not end keeps the test waiting for so long.
LIMITS = Limits(
    begin=30.0, recover=30.0, notice=30.0, end=20.0, patience=20.0, down=0.5, slow=30.0, idle=5.0, late=0.3, burst=300
)
IMPATIENT = LIMITS._replace(recover=1.0, notice=1.0, patience=1.0, end=1.0, idle=0.3)
BY_ROW = {row.name: row for row in ROWS}
ON_XCHWS = ("raising_callback", "refused_subscription", "dropped_link", "fork", "exit_after_stop")

Held = Dict[Tuple[str, str], Any]


@pytest.fixture(scope="module")
def facts() -> Iterator[Held]:
    """(library, trial) -> the facts; everything is held at the same time, for most of it is waiting."""
    xchws_adapter = adapters()["xchws_richamster"]
    with ThreadPoolExecutor(6) as pool:
        pending: Dict[Tuple[str, str], Future[Any]] = {}
        for trial in TRIALS:
            for name, adapter, limits in (
                ("good", good_peer.Adapter, LIMITS),
                ("bad", bad_peer.Adapter, IMPATIENT),
                ("xchws", xchws_adapter, LIMITS),
            ):
                if name != "xchws" or trial.name in ON_XCHWS:
                    pending[name, trial.name] = pool.submit(
                        held, trial, sys.executable, adapter.__module__, adapter, limits
                    )
        yield {key: one.result() for key, one in pending.items()}


def _judged(facts: Held, library: str, row: str) -> Verdict:
    return verdict(BY_ROW[row], facts[library, BY_ROW[row].trial])


@pytest.mark.parametrize("row", BY_ROW)
def test_a_good_library_survives(facts: Held, row: str) -> None:
    assert _judged(facts, "good", row).outcome == SURVIVES, facts["good", BY_ROW[row].trial]


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        ("raising_callback", DIES),
        ("refused_subscription", DIES),
        ("dropped_link", DIES),
        ("dropped_twice", DIES),
        ("outage", DIES),
        ("silence", DIES),
        ("told_of_the_gap", DIES),
        ("stop_when_mute", HANGS),
        ("stop_in_callback", HANGS),
        ("exit_after_stop", HANGS),
        ("exit_without_stop", HANGS),
        ("fork", DIES),
        ("slow_callback", DIES),
        ("secrets_in_logs", DIES),
    ],
)
def test_a_bad_library_does_not(facts: Held, row: str, outcome: str) -> None:
    assert _judged(facts, "bad", row).outcome == outcome, facts["bad", BY_ROW[row].trial]


@pytest.mark.parametrize("row", [row.name for row in ROWS if row.trial in ON_XCHWS])
def test_xchws_survives(facts: Held, row: str) -> None:
    assert _judged(facts, "xchws", row).outcome == SURVIVES, facts["xchws", BY_ROW[row].trial]


def test_nobody_leaves_this_machine(facts: Held) -> None:
    for (library, _), one in facts.items():
        assert one.get("outside") == (bad_peer.OUTSIDE if library == "bad" else None)


def test_no_library_outlives_the_program() -> None:
    """Its process holds the pipe, too, whose end is waited for."""
    adapter = bad_peer.Adapter.__module__
    program = (
        "import functools, os, subprocess, sys, threading\n"
        "from benchmarks.reliability.peers.peer import Place\n"
        "from benchmarks.reliability.stage import Puppet\n"
        "held = os.dup(1)\n"
        "subprocess.Popen = functools.partial(subprocess.Popen, pass_fds=[held])\n"
        f"puppet = Puppet(sys.executable, {adapter!r}, Place('ws://127.0.0.1:1', ''), threading.Condition())\n"
        "assert puppet.do('look', 30)\n"
        "assert puppet.do('stop', 0.2) is None\n"  # its main thread never comes back from there
        "os.write(1, b'stopping')\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=str(ROOT), stdout=subprocess.PIPE, check=True, timeout=60
    )
    assert done.stdout == b"stopping"


FLAWED: List[Tuple[str, Dict[str, Any], str]] = [
    ("raising_callback", {"after": 1.0, "redials": 1, "lost": 0, "told": True}, BUT),
    ("raising_callback", {"after": 1.0, "redials": 0, "lost": 2, "told": True}, BUT),
    ("refused_subscription", {"after": 1.0, "returned": False, "raised": None, "told": False}, HANGS),
    (
        "refused_subscription",
        {"after": 1.0, "returned": True, "raised": None, "told": True, "lost_connection": True},
        BUT,
    ),
    (
        "refused_subscription",
        {"after": 1.0, "returned": True, "raised": None, "told": False, "lost_connection": False},
        BUT,
    ),
    (
        "refused_subscription",
        {"after": 1.0, "returned": True, "raised": "KeyError", "told": False, "lost_connection": False},
        SURVIVES,
    ),
    ("dropped_link", {"after": None, "dials": 3, "repeated": 0}, DIES),
    ("told_of_the_gap", {"since": None, "interrupted": True}, BUT),
    ("outage", {"after": 1.0, "dials": 51, "down": 10.0}, BUT),
    ("outage", {"after": 1.0, "dials": 50, "down": 10.0}, SURVIVES),
    ("silence", {"noticed": 3.0, "after": None, "limit": 50.0}, DIES),
    ("exit_after_stop", {"took": 1.0, "raised": "RuntimeError"}, DIES),
    ("exit_after_stop", {"took": 7.0, "raised": None, "ended": 0.1, "lived": 0.0, "left": 0}, BUT),
    ("exit_after_stop", {"took": 1.0, "raised": None, "ended": 0.1, "lived": None, "left": 2}, BUT),
    ("exit_after_stop", {"took": 1.0, "raised": None, "ended": 0.1, "lived": 9.0, "left": 0}, BUT),
    ("exit_after_stop", {"took": 1.0, "raised": None, "ended": None, "lived": 0.0, "left": 0}, HANGS),
    ("stop_in_callback", {"took": 0.1, "raised": "RuntimeError"}, DIES),
    ("stop_in_callback", {"took": 0.1, "raised": None, "closed": None}, DIES),
    ("stop_in_callback", {"took": 0.1, "raised": None, "closed": 0.1, "ended": None}, HANGS),
    ("stop_in_callback", {"took": 5.0, "raised": None, "closed": 0.1, "ended": 0.1}, BUT),
    ("stop_in_callback", {"took": 0.1, "raised": None, "closed": 0.1, "ended": 9.0}, BUT),
    ("exit_without_stop", {"ended": 0.1, "noise": True}, BUT),
    ("exit_without_stop", {"ended": 9.0, "noise": False}, BUT),
    ("fork", {"begun": False}, UNFIT),
    ("fork", {"begun": True, "on_the_parents": False, "harmed": True}, DIES),
    (
        "fork",
        {
            "begun": True,
            "on_the_parents": False,
            "harmed": False,
            "raised": None,
            "own_connection": False,
            "returned": True,
        },
        BUT,
    ),
    ("slow_callback", {"sent": 9, "came": 9, "calls": 0, "after": None}, DIES),
    ("slow_callback", {"sent": 9, "came": 8, "calls": 0, "after": 1.0, "told": True}, BUT),
    ("slow_callback", {"sent": 9, "came": 9, "calls": 0, "after": 1.0, "told": True, "doubled": 1}, BUT),
    (
        "slow_callback",
        {"sent": 9, "came": 9, "calls": 0, "after": 1.0, "told": True, "doubled": 0, "in_order": False},
        BUT,
    ),
    ("secrets_in_logs", {"proven": False, "seen": [], "sought": ["key"]}, UNFIT),
    ("secrets_in_logs", {"spared": "no key"}, SPARED),
    ("silence", {"unfit": "start: OSError"}, UNFIT),
]


@pytest.mark.parametrize(("row", "seen", "outcome"), FLAWED)
def test_flaws_are_told_from_deaths(row: str, seen: Dict[str, Any], outcome: str) -> None:
    assert verdict(BY_ROW[row], seen).outcome == outcome


def test_runs_that_do_not_agree_are_told() -> None:
    good, bad = Verdict(SURVIVES, "in time"), Verdict(DIES, "never")
    assert merged([good, good]) == good
    both = merged([good, bad, good])
    assert both.outcome == DIES
    assert both.text == "not always: survives in 2 of 3 runs (in time); dies in 1 of 3 runs (never)"


def test_where_a_call_hangs_is_read_off_the_stacks() -> None:
    stacks = """Thread 0x01 (most recent call first):
  File "/x/site-packages/other/loop.py", line 5 in run

Current thread 0x02 (most recent call first):
  File "/lib/threading.py", line 1139 in join
  File "/x/site-packages/theirs/client.py", line 117 in stop
  File "/y/benchmarks/reliability/puppet.py", line 169 in main
"""
    assert innermost(stacks) == "client.py, line 117, stop"
    assert innermost("Current thread 0x02 (most recent call first):\n") == ""


# ------------------------------------------------------------------------------------------------------------ the page


@pytest.fixture(scope="module")
def results() -> Any:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


def test_the_page_says_what_was_measured(results: Any) -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.text_of(results), (
        "python -m benchmarks.reliability.compare --page"
    )


def test_the_section_of_the_promises_says_the_same(results: Any) -> None:
    if page.PROMISES.exists():
        text = page.PROMISES.read_text(encoding="utf-8")
        assert text == page.with_section(text, results), "python -m benchmarks.reliability.compare --page"


def test_a_section_is_filled_and_the_others_are_left(results: Any) -> None:
    text = f"# P\n\nx\n\n{page.SECTION}\n\nold words\n\n## Next\n\ny\n"
    filled = page.with_section(text, results)
    assert filled.startswith(f"# P\n\nx\n\n{page.SECTION}\n\nThe same") and filled.endswith("|\n\n## Next\n\ny\n")
    assert "old words" not in filled
    assert page.with_section(filled, results) == filled
    last = page.with_section(f"# P\n\n{page.SECTION}\n", results)
    assert page.with_section(last, results) == last and last.endswith("|\n")
    assert page.with_section("# P\n", results) == "# P\n"


def test_every_trial_was_held_on_every_library(results: Any) -> None:
    assert tuple(results["libraries"]) == NAMES
    for trial in TRIALS:
        for name in NAMES:
            assert len(results["facts"][trial.name][name]) == results["runs"]


@pytest.mark.parametrize("name", NAMES)
def test_the_versions_measured_are_those_pinned(results: Any, name: str) -> None:
    adapter = adapters()[name]
    said = results["libraries"][name]
    assert (said["title"], said["package"], said["settings"]) == (adapter.title, adapter.package, adapter.settings)
    if name.startswith("xchws"):
        return
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    assert all("==" in line for line in lines)
    pinned = dict(line.lower().replace("_", "-").split("==") for line in lines)
    assert pinned[adapter.package.lower()] == said["version"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_has_its_trial(row: Row) -> None:
    assert row.trial in {trial.name for trial in TRIALS}


def test_adapters_are_where_the_program_looks() -> None:
    assert [adapter.__module__ for adapter in adapters().values()] == [module(name) for name in NAMES]
