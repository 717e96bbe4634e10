"""The page of the fault matrix says what the tests do, and the data of the matrix are sound."""

from __future__ import annotations

from tests.faults.catalogue import FAULTS, faults_of
from tests.faults.outcomes import NotApplicable
from tests.faults.table import PAGE, page
from tests.rigs import RIGS


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.faults.table"


def test_every_fault_has_a_name_of_its_own_and_somebody_who_meets_it() -> None:
    names = [fault.id for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert {fault.id for fault in FAULTS} == {parameter.id for rig in RIGS for parameter in faults_of(rig)}


def test_exceptions_are_of_clients_that_there_are_and_say_why() -> None:
    for fault in FAULTS:
        assert set(fault.but) <= {rig.name for rig in RIGS}, fault.id
        for rig in RIGS:
            outcome = fault.of(rig)
            assert not isinstance(outcome, NotApplicable) or outcome.reason, fault.id
