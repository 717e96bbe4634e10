"""Backoff: how long to wait, as plain arithmetic."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xchws.backoff import Backoff
from xchws.errors import ConfigurationError

seconds = st.floats(0.001, 1e6)
unit = st.floats(0.0, 1.0)


def test_the_ceiling_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(initial=1.0, maximum=60.0)
    assert [backoff.ceiling(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_no_failure_waits_as_the_first() -> None:
    assert Backoff().ceiling(0) == Backoff().ceiling(1) == 1.0


@pytest.mark.parametrize("failures", [64, 65, 10_000, 10**9])
def test_failures_without_end(failures: int) -> None:
    assert Backoff(factor=1e4).ceiling(failures) == 60.0


@given(initial=seconds, more=st.floats(0.0, 1e6), factor=st.floats(1.0, 100.0), n=st.integers(1, 500), drawn=unit)
def test_full_jitter_lies_between_nothing_and_the_ceiling(
    initial: float, more: float, factor: float, n: int, drawn: float
) -> None:
    backoff = Backoff(initial=initial, maximum=initial + more, factor=factor)
    assert 0.0 <= backoff.delay(n, lambda: drawn) <= backoff.ceiling(n) <= backoff.maximum
    assert backoff.ceiling(n) <= backoff.ceiling(n + 1)
    assert backoff.delay(n, lambda: 0.0) == 0.0
    assert backoff.delay(n, lambda: 1.0) == backoff.ceiling(n)


@given(randomization=unit, n=st.integers(1, 500), drawn=unit)
def test_randomization_lies_round_the_ceiling_and_never_above_the_maximum(
    randomization: float, n: int, drawn: float
) -> None:
    backoff = Backoff(initial=5.0, maximum=10.0, randomization=randomization)
    wait = backoff.delay(n, lambda: drawn)
    ceiling = backoff.ceiling(n)
    assert ceiling * (1 - randomization) - 1e-9 <= wait <= min(10.0, ceiling * (1 + randomization)) + 1e-9


def test_randomization_by_hand() -> None:
    backoff = Backoff(initial=5.0, maximum=10.0, randomization=0.5)
    assert [backoff.delay(1, lambda: 0.0), backoff.delay(1, lambda: 1.0)] == [2.5, 7.5]
    assert [backoff.delay(2, lambda: 0.0), backoff.delay(2, lambda: 1.0)] == [5.0, 10.0]


def test_it_draws_once_per_wait() -> None:
    drawn = []

    def draw() -> float:
        drawn.append(0.5)
        return 0.5

    Backoff().delay(3, draw)
    Backoff(randomization=0.5).delay(3, draw)
    assert len(drawn) == 2


@pytest.mark.parametrize("name", ["initial", "maximum", "factor", "stable"])
@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, "1", None, True])
def test_what_is_no_positive_number(name: str, value: Any) -> None:
    arguments: Any = {name: value}
    with pytest.raises(ConfigurationError, match=name) as caught:
        Backoff(**arguments)
    assert caught.value.argument == name
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"factor": 0.5}, "factor"),
        ({"initial": 2.0, "maximum": 1.0}, "maximum"),
        ({"randomization": -0.1}, "randomization"),
        ({"randomization": 1.1}, "randomization"),
        ({"randomization": math.nan}, "randomization"),
    ],
)
def test_what_does_not_fit_together(arguments: Any, argument: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Backoff(**arguments)
    assert caught.value.argument == argument


def test_whole_numbers_will_do() -> None:
    assert Backoff(initial=1, maximum=1, factor=1, stable=1).ceiling(9) == 1.0


def test_it_does_not_change() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Backoff().initial = 2.0  # type: ignore[misc]  # that it is refused is what is tested
