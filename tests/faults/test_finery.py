"""The fault matrix of Finery Markets; see catalogue.py."""

from __future__ import annotations

import pytest

from tests.faults.catalogue import faults_of
from tests.faults.fault import Fault, undergo
from tests.rigs import Finery

RIG = Finery()


@pytest.mark.parametrize("fault", faults_of(RIG))
def test(fault: Fault) -> None:
    undergo(RIG, fault)
