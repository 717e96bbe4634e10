"""FillMemory: one Fill per execution, over connections one after another and side by side."""

from __future__ import annotations

from xchws.sansio.fills import FillMemory


def test_told_once_on_one_connection_and_the_next() -> None:
    memory = FillMemory()
    first = memory.view()
    assert first.is_new("order", "1") and not first.is_new("order", "1")
    second = memory.view()
    assert not second.is_new("order", "1") and second.is_new("order", "2")
    assert not memory.view().is_new("order", "2")


def test_two_connections_side_by_side_both_tell() -> None:
    memory = FillMemory()
    active = memory.view()
    assert active.is_new("before")
    successor = memory.view()
    assert not successor.is_new("before")
    assert successor.is_new("meanwhile") and active.is_new("meanwhile"), "either may be the one that is published"
    assert not successor.is_new("meanwhile") and not active.is_new("meanwhile")
    assert not memory.view().is_new("meanwhile")


def test_what_has_no_id_is_always_new() -> None:
    view = FillMemory().view()
    assert view.is_new("order", None) and view.is_new("order", None)


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    memory = FillMemory(kept=3)
    view = memory.view()
    assert all(view.is_new(str(number)) for number in range(4))
    later = memory.view()
    assert later.is_new("0") and not later.is_new("3")


def test_the_view_is_bounded_too() -> None:
    view = FillMemory(kept=1).view()
    assert all(view.is_new(str(number)) for number in range(10_001))
    assert view.is_new("0") and not view.is_new("10000")
