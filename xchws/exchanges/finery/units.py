"""Units: sizes, prices and volumes are whole numbers of 1e-8 on the wire and plain, exact Decimals everywhere else.

Source: https://faq.finerymarkets.com/api-reference/data-types, read 2026-11 (1 USD is 100,000,000 units by its definition and by
every REST example; the worked examples of its newer version, ten times less, contradict both).
"""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from typing import Optional, Union

from xchws.errors import ConfigurationError
from xchws.exchanges.finery.errors import NAME, Malformed

Amount = Union[Decimal, int, str]
"""What a user may give as an amount."""

_DECIMALS = 8
_LARGEST = 2**63 - 1  # sizes are int64
_READABLE = 2**64  # prices and ids are uint64
_ZERO = Decimal(0)
# Of our own, because the program may have set the default context to fewer digits than an amount has.
_EXACT = Context(prec=40)


def plain(units: int) -> Decimal:
    """Units of 1e-8 as a plain amount.

    Raises:
        Malformed: more than the wire's type can hold.
    """
    if not -_READABLE < units < _READABLE:
        raise Malformed("a number beyond 64 bits")
    return _EXACT.scaleb(units, -_DECIMALS) if units else _ZERO


def plain_or_none(units: Optional[int]) -> Optional[Decimal]:
    """`plain`, and None for None."""
    return None if units is None else plain(units)


def percent(value: Optional[int]) -> Optional[Decimal]:
    """A margin as the wire has it (per cent times 10,000) in per cent.

    Raises:
        Malformed: more than 64 bits.
    """
    if value is None:
        return None
    if not -_READABLE < value < _READABLE:
        raise Malformed("a number beyond 64 bits")
    return _EXACT.scaleb(value, -4)


def units(value: Amount, argument: str) -> int:
    """A user's amount in units of 1e-8.

    Raises:
        ConfigurationError: a float, no number, not above 0, more than 8 decimals, or more than 64 bits hold.
    """
    if isinstance(value, float):
        raise unfit(argument, f"a Decimal, an int or a text, such as Decimal({str(value)!r}): a float is not exact")
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise unfit(argument, f"a Decimal, an int or a text, not {value!r}")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise unfit(argument, f"a number, not {value!r}") from None
    if not amount.is_finite() or amount <= 0:
        raise unfit(argument, f"a finite number above 0, not {value!r}")
    if amount.adjusted() > 18:
        raise unfit(argument, f"at most {plain(_LARGEST)}, not {value!r}")
    _, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int), "a finite number has an exponent"
    number = int("".join(map(str, digits)))
    shift = exponent + _DECIMALS
    if shift >= 0:
        number *= 10**shift
    else:
        # Nothing but zeros may be cut off; a power with more zeros than the number has digits cuts off something.
        power: int = 10 ** min(-shift, len(digits) + 1)
        number, rest = divmod(number, power)
        if rest:
            raise unfit(argument, f"a number of at most {_DECIMALS} decimals, not {value!r}")
    if number > _LARGEST:
        raise unfit(argument, f"at most {plain(_LARGEST)}, not {value!r}")
    return number


def unfit(argument: str, wanted: str) -> ConfigurationError:
    """The error for an argument that cannot work."""
    return ConfigurationError(f"{NAME}: {argument} must be {wanted}", argument=argument, exchange=NAME)
