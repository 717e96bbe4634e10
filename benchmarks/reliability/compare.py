"""The program: puts every trial to every library, and writes the results as JSON and the page from them.

    python -m benchmarks.reliability.compare [--only NAME,…] [--trials NAME,…] [--runs N] [--at-once N] [--results FILE] [--page]

Everything happens on this machine, each trial in a process of its own that is killed afterwards, in four minutes at the latest.
Without --only and --trials the results are kept in benchmarks/reliability/results.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Type

from benchmarks.reliability import page
from benchmarks.reliability.environments import python_of
from benchmarks.reliability.peers import NAMES, adapters, module
from benchmarks.reliability.peers.peer import Peer
from benchmarks.reliability.scoring import ROWS, verdict
from benchmarks.reliability.stage import Limits, Stage, Unfit
from benchmarks.reliability.trials import TRIALS, Facts, Trial

RESULTS = Path(__file__).resolve().parent / "results.json"


def held(trial: Trial, python: str, where: str, adapter: Type[Peer], limits: Limits) -> Facts:
    """The facts of one trial of one library, with `versions`; `spared` or `unfit` where there can be none."""
    if trial.name in adapter.spared:
        return {"spared": adapter.spared[trial.name]}
    with Stage(python, where, adapter, limits, private=trial.private, quick=trial.quick) as stage:
        try:
            facts = trial.hold(stage)
        except Unfit as reason:
            facts = {"unfit": str(reason)}
        facts["versions"] = {"library": stage.version, "python": stage.python}
        outside = sorted({line["outside"] for line in stage.puppet.those("outside")})
        if outside:
            facts["outside"] = outside
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description="The same everyday faults, put to xchws and to its peers.")
    parser.add_argument("--only", default=",".join(NAMES), help="names of libraries, with commas")
    parser.add_argument("--trials", default=",".join(one.name for one in TRIALS), help="names of trials, with commas")
    parser.add_argument("--runs", type=int, default=1, help="how often each trial is held")
    parser.add_argument("--at-once", type=int, default=6, help="how many trials run at the same time")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the results are written")
    parser.add_argument("--page", action="store_true", help="only write the page anew from the results")
    given = parser.parse_args()
    if given.page:
        page.write(json.loads(given.results.read_text()))
        return
    known = adapters()
    names = [name for name in NAMES if name in given.only.split(",")]
    pythons = {name: python_of(name) for name in names}
    trials = [trial for trial in TRIALS if trial.name in given.trials.split(",")]
    began = time.monotonic()
    jobs = [(trial, name) for _ in range(given.runs) for trial in trials for name in names]
    with ThreadPoolExecutor(given.at_once) as pool:
        pending = [pool.submit(held, trial, pythons[name], module(name), known[name], Limits()) for trial, name in jobs]
        facts: Dict[str, Dict[str, List[Any]]] = {trial.name: {name: [] for name in names} for trial in trials}
        for (trial, name), one in zip(jobs, pending):
            facts[trial.name][name].append(one.result())
            said = [verdict(row, one.result()) for row in ROWS if row.trial == trial.name]
            told = " / ".join(f"{each.outcome}: {each.text}" for each in said)
            print(f"{time.monotonic() - began:5.0f} s  {trial.name:22} {name:18} {told}", flush=True)
    results = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()}, {os.cpu_count()} cores",
        "runs": given.runs,
        "libraries": {name: _about(name, known[name], facts) for name in names},
        "facts": facts,
    }
    everything = len(names) == len(NAMES) and len(trials) == len(TRIALS)
    if everything or given.results != RESULTS:
        given.results.write_text(json.dumps(results, indent=1) + "\n")
    if everything and given.results == RESULTS:
        page.write(results)
    print(f"{len(jobs)} trials in {time.monotonic() - began:.0f} s")
    outside = [
        one["outside"] for found in facts.values() for many in found.values() for one in many if "outside" in one
    ]
    if outside:
        print(f"tried to leave this machine, and was refused: {outside}")
        sys.exit(1)


def _about(name: str, adapter: Type[Peer], facts: Dict[str, Dict[str, List[Any]]]) -> Dict[str, str]:
    versions = [one["versions"]["library"] for found in facts.values() for one in found[name] if "versions" in one]
    return {
        "title": adapter.title,
        "package": adapter.package,
        "version": next(filter(None, versions), ""),
        "settings": adapter.settings,
    }


if __name__ == "__main__":
    main()
