"""The page of the fault matrix, made of the same data that the tests are: `python -m tests.faults.table` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault
from tests.faults.outcomes import NotApplicable, Ready
from tests.rigs import RIGS

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "fault-matrix.md"

HEAD = """\
# The fault matrix

What becomes of each client when something goes wrong. This page is written by `python -m tests.faults.table` out of the data
that the tests in [tests/faults](../tests/faults) run; a test sees to it that the two agree. What is promised in general is on
[Reliability](reliability.md).

Every cell is a test: the real client, its simulated exchange, and a proxy between them that breaks the line. {cells} cells are
tried, of {faults} faults. After each fault a test asks, from both ends: is the client in the state that the cell names; does
the exchange see exactly the wanted subscriptions, each once; did the `Gap` events name the right channels and the right time;
did every numbered event that was published come once and in order, or lie in the time of a `Gap`; was `on_error` told; and did
`status()` tell the truth with every event on the way.

How to read a cell:

- **READY, no Gap**: nothing was missed.
- **READY, Gap**: connected and subscribed again; what was told meanwhile may be missing, and the `Gap` says so.
- **READY, Gap recovered**: the same, and the exchange has replayed what was missed, or told the state anew where that is all
  there is to know. Behind *but for* stand the channels of which it has not.
- **STOPPED** with an error: the client has ended, because what is wrong does not heal by itself. Where a key was good before,
  a refusal that may pass takes five times and an hour on Indodax and Kyrrex.
- **STOPPED** alone: the user has stopped it, and it ended.
- **n/a**: this client cannot meet the fault; the reason stands beside it.

A fault of an opening is done twice: to the first connection, where nothing can be missed yet, and while a lost connection is
being replaced. The cell says how the second ends. *told* names what `on_error` gets among others.
"""


def cells_of(fault: Fault) -> Tuple[str, ...]:
    """What the table says of a fault, client by client, and first what `on_error` is told."""
    found = [fault.of(rig) for rig in RIGS]
    errors = {each.error.__name__ for each in found if isinstance(each, Ready) and each.error is not None}
    told = ", ".join(f"`{name}`" for name in sorted(errors)) or "-"
    return (told, *(outcome.label(rig) for outcome, rig in zip(found, RIGS)))


def page() -> str:
    """The whole page."""
    cells = sum(not isinstance(fault.of(rig), NotApplicable) for fault in FAULTS for rig in RIGS)
    parts = [HEAD.format(cells=cells, faults=len(FAULTS))]
    for phase in dict.fromkeys(fault.phase for fault in FAULTS):
        heading = ("fault", "told", *(rig.name for rig in RIGS))
        rows = _rows([fault for fault in FAULTS if fault.phase == phase])
        parts.append(
            "\n".join([f"\n## {phase[0].upper()}{phase[1:]}\n", _row(heading), _row(["---"] * len(heading)), *rows])
            + "\n"
        )
    return "".join(parts)


def _rows(faults: Sequence[Fault]) -> List[str]:
    """One row each; close codes that end alike share one, for they are many."""
    if faults[0].name.isdigit():
        groups: Dict[Tuple[str, ...], List[str]] = {}
        for fault in faults:
            groups.setdefault(cells_of(fault), []).append(fault.name)
        return [_row([", ".join(names), *cells]) for cells, names in groups.items()]
    return [_row([fault.name, *cells_of(fault)]) for fault in faults]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} is written")
