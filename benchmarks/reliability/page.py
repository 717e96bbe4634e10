"""Writes docs/comparison.md, and the overview in docs/reliability.md, from the results: what was measured, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from benchmarks.reliability.scoring import (
    BUT,
    DIES,
    DIFFERING,
    HANGS,
    ROWS,
    SPARED,
    STORM,
    SURVIVES,
    UNFIT,
    Row,
    Verdict,
    merged,
    verdict,
)

_DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE, PROMISES = _DOCS / "comparison.md", _DOCS / "reliability.md"
SECTION = "## Beside other libraries"
"""The heading in `PROMISES` below which the overview stands, up to the next heading of its kind."""

SIGNS = {SURVIVES: "yes", BUT: "*yes, but*", DIES: "**dies**", HANGS: "**hangs**", SPARED: "n/a", UNFIT: "?"}
"""What stands in the overview for each outcome."""

_TIMES = (
    ("after one loss of the line", "dropped_link", "after"),
    ("after three in a row", "dropped_twice", "after"),
    ("after the end of an outage of ten seconds", "outage", "after"),
    ("until a half-open line is noticed", "silence", "noticed"),
)

_HEAD = """# xchws beside its peers

Fourteen everyday questions, put to xchws and to other libraries from PyPI that give blocking code a WebSocket connection.
Every answer below was measured by `make compare-reliability` and written into this page by it; no cell is typed by hand. Read
it with care all the same: whoever wrote the questions also wrote xchws, and it was built with these faults in mind. Where
another library does better, [it is said](#where-others-do-better).

{facts}

## Overview

A cell says whether the library survives. *yes, but*: with a flaw that the [details](#details) name. **dies**: it does not;
the stream, or what was asked for, is lost. **hangs**: a call or the process does not end. n/a: there is nothing to try.
{differing}

{overview}

## What was measured, and with which settings

Each library is driven through its public API as its documentation shows, with the documented settings that are the fairest to
it, in a process of its own and against a scripted exchange on 127.0.0.1 that speaks its own dialect, with a proxy between
them that breaks the line. Nothing leaves the machine: a library that dials another address is refused and reported. Where a
library can only be pointed at another address by a module's constant or a class attribute, that is what is set.

{libraries}

The exchange answers a message after 0.03 s, as over a network, and sends a numbered message of each subscription every 0.05
s. In time means 6 s for a stop and for the end of a process; what has not ended after 20 s counts as never ending, what has
not recovered after 40 s as not recovering, and silence that is not noticed after 50 s as not noticed. More than {storm} dials
in the ten seconds of the outage are called a storm.

## Where others do better

{better}

## Details

{details}

## How to repeat it

```
make compare-reliability
```

It makes a virtual environment in `.venvs/compare` for each library, with the versions pinned in
[requirements](../benchmarks/reliability/requirements), holds every trial, and writes [the
facts](../benchmarks/reliability/results.json) and this page anew. The trials take some seven minutes, the environments some
more the first time. `make compare-reliability COMPARE="--runs 3"` holds each trial three times; `COMPARE="--only
pybit,xchws_richamster --trials fork"` holds some of them, and keeps the page as it is.

What is done in each trial is in [trials.py](../benchmarks/reliability/trials.py), the rules by which the facts become an
outcome, the same for all, in [scoring.py](../benchmarks/reliability/scoring.py), and what is written to drive a library in
[peers](../benchmarks/reliability/peers).
"""

_SECTION = """
The same everyday faults, put to other libraries for blocking code by `make compare-reliability`. *yes, but*: with a flaw;
**dies**: the stream, or what was asked for, is lost; **hangs**: a call or the process does not end. Versions, settings, what
was measured and where others do better: [xchws beside its peers](comparison.md).

{facts}

{overview}
"""


def write(results: Mapping[str, Any]) -> None:
    """Write the page, and the section of the other one if it is there."""
    PAGE.write_text(text_of(results), encoding="utf-8")
    if PROMISES.exists():
        PROMISES.write_text(with_section(PROMISES.read_text(encoding="utf-8"), results), encoding="utf-8")


def with_section(text: str, results: Mapping[str, Any]) -> str:
    """The text with the overview in its section; unchanged if it has none."""
    before, heading, rest = text.partition(f"{SECTION}\n")
    if not heading:
        return text
    _, following, after = rest.partition("\n## ")
    return before + heading + _SECTION.format(overview=overview(results), facts=_facts(results)) + following + after


def text_of(results: Mapping[str, Any]) -> str:
    """The page."""
    verdicts = judged(results)
    names = list(results["libraries"])
    differing = _differing(verdicts)
    return _HEAD.format(
        facts=_facts(results),
        overview=overview(results),
        differing=differing,
        libraries=_table(
            ["library", "package", "version", "settings"],
            [
                [one["title"], f"`{one['package']}`", one["version"], one["settings"]]
                for one in results["libraries"].values()
            ],
        ),
        storm=STORM,
        better=_better(results, verdicts),
        details="\n\n".join(_details(row, verdicts[row.name], results, names) for row in ROWS),
    )


def judged(results: Mapping[str, Any]) -> Dict[str, Dict[str, Verdict]]:
    """Row -> library -> the verdict over all runs."""
    return {
        row.name: {
            name: merged([verdict(row, facts) for facts in results["facts"][row.trial][name]])
            for name in results["libraries"]
        }
        for row in ROWS
    }


def overview(results: Mapping[str, Any]) -> str:
    """The table of outcomes, one row for each question."""
    verdicts = judged(results)
    libraries = results["libraries"]
    return _table(
        ["", *(one["title"] for one in libraries.values())],
        [[row.title, *(SIGNS[verdicts[row.name][name].outcome] for name in libraries)] for row in ROWS],
    )


def _facts(results: Mapping[str, Any]) -> str:
    return (
        f"Measured on {results['date']} (UTC): CPython {results['python']}, {results['system']}, "
        f"each trial {_times(results['runs'])}."
    )


def _differing(verdicts: Mapping[str, Mapping[str, Verdict]]) -> str:
    count = sum(one.text.startswith(DIFFERING) for row in verdicts.values() for one in row.values())
    if not count:
        return ""
    return f"\nIn {count} cells the runs did not agree; there the worst outcome is shown here, and all of them in the details."


def _better(results: Mapping[str, Any], verdicts: Mapping[str, Mapping[str, Verdict]]) -> str:
    """What xchws does not survive where another does, and the seconds in which each recovers."""
    lines = []
    own = [name for name in results["libraries"] if name.startswith("xchws")]
    for row in ROWS:
        beaten = [name for name in own if verdicts[row.name][name].outcome not in (SURVIVES, SPARED)]
        others = [name for name, one in verdicts[row.name].items() if one.outcome == SURVIVES and name not in own]
        if beaten and others:
            titles = ", ".join(results["libraries"][name]["title"] for name in others)
            lines.append(f"* {row.title} {titles}: yes; xchws: {verdicts[row.name][beaten[0]].text}.")
    quick = (
        "Others come back sooner: xchws waits before each try, by chance between nothing and a bound that doubles (capped "
        "exponential\nbackoff with full jitter), so that many clients which lost one exchange at the same moment do not come "
        "back at the same moment.\nA library that dials again at once, or every second, is quicker."
    )
    lines.append(("\n" if lines else "") + f"{quick} Seconds, the least and the most of all runs:")
    rows = [
        [one["title"], *(_span(results["facts"][trial][name], key) for _, trial, key in _TIMES)]
        for name, one in results["libraries"].items()
    ]
    return "\n".join([*lines, "", _table(["library", *(title for title, _, _ in _TIMES)], rows)])


def _span(runs: Sequence[Mapping[str, Any]], key: str) -> str:
    values = [facts.get(key) for facts in runs]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "never" if not known else f"{min(known):.1f}, or never"
    low, high = f"{min(known):.1f}", f"{max(known):.1f}"
    return low if low == high else f"{low} to {high}"


def _details(row: Row, verdicts: Mapping[str, Verdict], results: Mapping[str, Any], names: Sequence[str]) -> str:
    rows = [[results["libraries"][name]["title"], verdicts[name].outcome, verdicts[name].text] for name in names]
    return f"### {row.title}\n\n" + _table(["library", "outcome", "measured"], rows)


def _times(runs: int) -> str:
    return {1: "once", 2: "twice"}.get(runs, f"{runs} times")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines: List[str] = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
