"""Fault: one thing that can go wrong, as data: how it is done, and how it must end for each client."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Mapping, Optional

import attrs

from tests.faults.outcomes import NotApplicable, Outcome, Ready, Stopped
from tests.faults.trial import Trial
from tests.rigs import Rig


def nothing(rig: Rig) -> Dict[str, Any]:
    """No options."""
    return {}


@attrs.frozen
class Fault:
    """One row of the matrix.

    Attributes:
        phase: where in a connection's life it strikes; name: what it is, unique within the phase.
        inject: does it, waits until it has struck, and takes away what would go on for ever. For a fault of an opening it
            calls `trial.dial()` in between.
        outcome: how it ends; but: rig name -> how it ends there instead.
        opening: it strikes a connection that is being made: it is done to the first one, where nothing can be missed yet, and
            once more while a lost connection is being replaced. The outcome is that of the second time; without `first`, it
            is done then only; without `again`, the first time only.
        exchange: the sandbox's options; options: the client's.
        tls, rest, named: over TLS; REST goes through a proxy too; the address has a name instead of a number.
        complaints: what the sandbox may complain of, as a regular expression.
    """

    phase: str
    name: str
    inject: Callable[[Trial], Any]
    outcome: Outcome
    but: Mapping[str, Outcome] = attrs.field(factory=dict)
    opening: bool = False
    first: bool = True
    again: bool = True
    exchange: Callable[[Rig], Dict[str, Any]] = nothing
    options: Callable[[Trial], Dict[str, Any]] = lambda trial: {}
    tls: bool = False
    rest: bool = False
    named: bool = False
    complaints: Optional[str] = None

    @property
    def id(self) -> str:
        """For a test's name."""
        return f"{self.phase}: {self.name}"

    def of(self, rig: Rig) -> Outcome:
        """How it ends for this client."""
        return self.but.get(rig.name, self.outcome)

    def may_complain(self, complaint: str) -> bool:
        """Whether the sandbox has reason for this complaint."""
        return self.complaints is not None and re.search(self.complaints, complaint) is not None


def undergo(rig: Rig, fault: Fault) -> None:
    """Do the fault to the client, and check everything."""
    outcome = fault.of(rig)
    assert not isinstance(outcome, NotApplicable)
    if fault.opening and fault.first:
        with Trial(rig, fault) as trial:
            fault.inject(trial)
            if isinstance(outcome, Ready):
                trial.serves(outcome.without)
                trial.check(outcome, first=True)
                if (fault.rest and rig.rest == "once") or outcome.without:
                    trial.close()  # it cannot be done once more
                else:
                    _again(trial, fault, outcome)
                    return
            else:
                _ended(trial, outcome)
        if not fault.again:
            return
        if fault.rest and rig.rest == "once":
            return
    with Trial(rig, fault) as trial:
        trial.client.start()
        trial.serves()
        rig.settle(trial.client)
        _again(trial, fault, outcome)


def _again(trial: Trial, fault: Fault, outcome: Outcome) -> None:
    trial.rig.settle(trial.client)
    trial.second_act()
    fault.inject(trial)
    if isinstance(outcome, Ready):
        trial.serves(outcome.without)
        trial.check(outcome)
        trial.close()
    else:
        _ended(trial, outcome)


def _ended(trial: Trial, outcome: Outcome) -> None:
    assert isinstance(outcome, Stopped)
    trial.check_stopped(outcome.error)
    trial.close()
