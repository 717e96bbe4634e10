"""The fault matrix of indodax_market; see catalogue.py."""

from __future__ import annotations

import pytest

from tests.faults.catalogue import faults_of
from tests.faults.fault import Fault, undergo
from tests.rigs import IndodaxMarket

RIG = IndodaxMarket()


@pytest.mark.parametrize("fault", faults_of(RIG))
def test(fault: Fault) -> None:
    undergo(RIG, fault)
