"""Overlap: which tellings of two connections are the same thing; and a whole succession in which nothing is lost or doubled."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sansio.stage import Actor, Stage, trade
from xchws.events import Disconnected, Failure, Gap, Trade
from xchws.sansio import frames
from xchws.sansio.actions import Accepted, Output, Renew, Topic
from xchws.sansio.overlap import STATE, Overlap

ONE, TWO, THREE = trade("1"), trade("2"), trade("3")


def make() -> Overlap:
    return Overlap(transit=2.0, memory=10.0)


def test_what_was_told_and_what_was_not() -> None:
    overlap = make()
    overlap.hold("1", ONE, 100.0)
    overlap.hold("2", TWO, 100.1)
    assert overlap.tells("1", 100.2)
    assert overlap.taken_over(101.0, 101.0, broken=False) == [(100.1, TWO)]
    assert overlap.tells("1", 101.0), "both have told it once: this is another one"


def test_the_same_thing_twice_is_two_things() -> None:
    overlap = make()
    for _ in range(2):
        assert overlap.tells("1", 100.0)
        overlap.hold("1", ONE, 100.0)
    overlap.hold("1", ONE, 100.0)
    assert overlap.taken_over(100.0, 100.0, broken=False) == [(100.0, ONE)]


def test_what_was_told_before_the_other_was_subscribed_is_not_expected_of_it() -> None:
    overlap = make()
    assert overlap.tells("1", 100.0)
    assert overlap.tells("2", 103.0)
    assert overlap.tells("1", 103.1)
    overlap.hold("2", TWO, 103.0)
    overlap.hold("1", ONE, 103.2)
    assert overlap.taken_over(103.5, 103.5, broken=False) == []
    assert overlap.tells("1", 103.6), "a balance that goes up and down is not a double"


def test_what_is_told_again_long_after_is_another_thing() -> None:
    overlap = make()
    assert overlap.tells("1", 100.0)
    overlap.hold("1", ONE, 110.1)
    assert overlap.taken_over(111.0, 111.0, broken=False) == [(110.1, ONE)]


def test_late_doubles_once_each_and_for_a_while() -> None:
    overlap = make()
    for identity in ("1", "1", "2"):
        assert overlap.tells(identity, 100.0)
    overlap.taken_over(101.0, 101.0, broken=False)
    assert [overlap.tells("1", 102.0) for _ in range(3)] == [False, False, True]
    assert overlap.tells("2", 111.1)


def test_what_cannot_be_recognised_is_taken_from_when_the_other_fell_silent() -> None:
    overlap = make()
    overlap.hold(None, ONE, 100.0)
    overlap.hold(None, TWO, 101.0)
    assert overlap.tells(None, 100.0)
    assert overlap.taken_over(100.5, 102.0, broken=False) == [(101.0, TWO)]
    overlap.hold(None, ONE, 103.0)
    assert overlap.given_up(104.0) == [], "the one in use goes on and tells it"


@pytest.mark.parametrize("broken", [False, True])
def test_how_something_stands_is_told_by_the_other_only_where_the_stream_is_broken(broken: bool) -> None:
    overlap = make()
    overlap.hold(STATE, ONE, 100.0)
    overlap.hold(STATE, TWO, 101.0)
    assert overlap.tells(STATE, 100.2) and overlap.tells(STATE, 100.2), "the one in use tells it as often as it wants"
    assert overlap.taken_over(100.5, 102.0, broken) == ([(101.0, TWO)] if broken else [])
    assert overlap.tells(STATE, 102.5)
    overlap.hold(STATE, ONE, 103.0)
    assert overlap.given_up(104.0) == []


def test_a_failure_of_the_other() -> None:
    overlap = make()
    overlap.hold("1", ONE, 100.0)
    overlap.hold("2", TWO, 101.0)
    overlap.hold("3", THREE, 102.0)
    assert overlap.tells("3", 102.0)
    assert overlap.given_up(102.5) == [(100.0, ONE), (101.0, TWO)]
    assert [overlap.tells("2", 102.6) for _ in range(2)] == [False, True]
    assert overlap.tells("1", 102.7), "it could not be so late"


def test_the_next_succession_knows_what_was_published_for_the_last() -> None:
    overlap = make()
    overlap.hold("1", ONE, 100.0)
    assert overlap.taken_over(101.0, 101.0, broken=False) == [(100.0, ONE)]
    overlap.hold("1", ONE, 101.5)
    assert overlap.taken_over(102.0, 102.0, broken=False) == []


A = Topic("trades")
STEPS = st.lists(
    st.one_of(st.sampled_from(["emit", "old", "new", "old", "new", "emit"]), st.floats(0.0, 0.9)),
    min_size=5,
    max_size=60,
)


class Market:
    """An exchange that tells the same to two connections, each in its own time, but within the transit of 2 s."""

    def __init__(self) -> None:
        self.stage = Stage(channels=())
        self.emitted: List[str] = []
        self.lines: List[Tuple[Actor, List[Tuple[float, Output]]]] = []
        self.stage.start()
        self.old = self.stage.ready()
        self.stage.subscribe(A)
        self.stage.says(self.old, Accepted(A))
        self.stage.says(self.old, Renew("plan"))
        self.lines = [(self.old, [])]
        self.new = self.stage.ready()

    def listen(self) -> None:
        """The exchange has subscribed the successor; that too is on its way."""
        self.lines.append((self.new, [(self.stage.now, Accepted(A))]))

    def emit(self) -> None:
        self.emitted.append(str(len(self.emitted)))
        for _, line in self.lines:
            line.append((self.stage.now, trade(self.emitted[-1])))

    def deliver(self, actor: Actor) -> None:
        for one, line in self.lines:
            if one is actor and line and self.stage.number_of(actor) is not None:
                self.stage.says(actor, line.pop(0)[1])

    def pass_time(self, pause: float) -> None:
        self.stage.now += pause
        for actor, line in self.lines:
            while line and self.stage.number_of(actor) is not None and line[0][0] < self.stage.now - 1.9:
                self.deliver(actor)
        if self.stage.number_of(self.old) is not None:
            self.stage.hears(self.old, frames.Pong(b""))
        self.stage.wake()

    def told(self) -> List[str]:
        return [event.id or "" for event in self.stage.all(Trade)]


@settings(max_examples=settings().max_examples * 3 // 2)
@given(before=STEPS, after=STEPS, ending=st.sampled_from(["planned", "close", "stop", "successor", "overflow"]))
def test_nothing_is_lost_and_nothing_is_doubled(before: List[object], after: List[object], ending: str) -> None:
    market = Market()
    stage = market.stage
    for number, step in enumerate([*before, "listen", *after]):
        if step == "listen":
            market.listen()
        elif step == "emit":
            market.emit()
        elif step in ("old", "new"):
            market.deliver(market.old if step == "old" else market.new)
        else:
            assert isinstance(step, float), number
            market.pass_time(step)
    if stage.has_successor():
        if ending == "close":
            # All that the exchange has sent on the connection comes before its close frame; it confirmed the other before.
            while market.lines[1][1]:
                market.deliver(market.new)
            while market.lines[0][1]:
                market.deliver(market.old)
            stage.hears(market.old, frames.Close(1001, "going away"))
            assert stage.all(Disconnected) == []
        elif ending == "successor":
            stage.lost(market.new)
            while market.lines[0][1]:
                market.deliver(market.old)
        elif ending == "overflow":
            market.deliver(market.old)
            stage.overflowed(1)
            assert stage.all(Disconnected), "what was given up is not made good by a successor"
            while market.lines[1][1]:
                market.deliver(market.new)
            assert stage.only(Gap).recovered is False
    if ending == "stop":
        for actor, line in market.lines:
            while line and stage.number_of(actor) is not None:
                market.deliver(actor)
        stage.stop()
    for _ in range(8):
        market.pass_time(0.9)
    told = market.told()
    if ending == "overflow" or (ending == "successor" and stage.all(Failure)):
        # After a Gap, and where a successor was ahead of its forerunner, all comes, once each, though not in order.
        assert len(told) == len(set(told))
    else:
        assert told == market.emitted
    if ending != "overflow":
        assert stage.all(Gap) == []
        assert set(told) == set(market.emitted)
