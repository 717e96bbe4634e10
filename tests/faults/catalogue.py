"""Catalogue: all faults of the matrix, in the order of its table."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from tests.faults import around, closes, ending, living, login, opening, renewing, rest, subscribing
from tests.faults.fault import Fault
from tests.faults.outcomes import NotApplicable
from tests.rigs import Rig

FAULTS: Tuple[Fault, ...] = (
    *opening.FAULTS,
    *rest.FAULTS,
    *login.FAULTS,
    *subscribing.FAULTS,
    *living.FAULTS,
    *closes.FAULTS,
    *renewing.FAULTS,
    *around.FAULTS,
    *ending.FAULTS,
)


def faults_of(rig: Rig) -> List[Any]:
    """The faults that this client can meet, as a test's parameters."""
    met = [fault for fault in FAULTS if not isinstance(fault.of(rig), NotApplicable)]
    return [pytest.param(fault, id=fault.id) for fault in met]
