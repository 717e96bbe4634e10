"""Amounts: exact both ways, and what is refused."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xchws.errors import ConfigurationError
from xchws.exchanges.finery.errors import Malformed
from xchws.exchanges.finery.units import percent, plain, plain_or_none, units


@given(st.integers(1, 2**63 - 1))
def test_there_and_back(number: int) -> None:
    amount = plain(number)
    assert amount * 10**8 == number
    assert units(amount, "size") == units(str(amount), "size") == number
    assert plain(-number) == -amount


def test_a_program_with_few_digits_gets_all_of_them() -> None:
    with localcontext() as context:
        context.prec = 3
        assert str(plain(123456789012345678)) == "1234567890.12345678"
        assert units(Decimal("1234567890.12345678"), "size") == 123456789012345678


def test_small_change() -> None:
    assert str(plain(0)) == "0"
    assert plain_or_none(None) is None
    assert percent(None) is None
    assert percent(50000) == 5
    assert units(5, "size") == 500_000_000
    assert units("1.500000000", "size") == 150_000_000
    assert units(Decimal("1E+2"), "size") == 10_000_000_000
    for read in (plain, percent):
        with pytest.raises(Malformed):
            read(2**64)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1.5, "Decimal('1.5')"),
        (True, "not True"),
        (None, "not None"),
        ("x", "a number"),
        ("NaN", "finite"),
        (Decimal("Infinity"), "finite"),
        (0, "above 0"),
        (Decimal("-1"), "above 0"),
        ("0.000000001", "8 decimals"),
        ("1e-1000000", "8 decimals"),
        ("1e1000000", "at most"),
        (2**63, "at most"),
        (Decimal("92233720368.54775808"), "at most"),
    ],
)
def test_refused(value: Any, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        units(value, "price")
    assert caught.value.argument == "price"
    assert hint in str(caught.value)
