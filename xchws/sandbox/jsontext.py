"""JSON text with numbers written exactly as given: ``2.22E-4`` stays ``2.22E-4``, ``1.00`` stays ``1.00``.

The standard writer cannot do that; exchanges do. Knows nothing of exchanges.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Union


class Number(Decimal):
    """A JSON number that remembers its spelling. Compares and computes like the Decimal it is."""

    text: str

    def __new__(cls, text: Union[str, int, Decimal]) -> Number:
        number = super().__new__(cls, text)
        number.text = str(text)
        return number


def write(value: Any, escape_slash: bool = False) -> str:
    """The compact JSON text of *value*; with *escape_slash* every ``/`` in a string is written ``\\/``."""
    if isinstance(value, dict):
        members = (f"{_string(name, escape_slash)}:{write(item, escape_slash)}" for name, item in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(write(item, escape_slash) for item in value) + "]"
    if isinstance(value, Number):
        return value.text
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return _string(value, escape_slash)
    return json.dumps(value)


def read(text: Union[str, bytes]) -> Any:
    """The value of a JSON text, numbers with a fraction or exponent as exact Decimal.

    Raises:
        ValueError: not JSON, or not UTF-8.
    """
    return json.loads(text, parse_float=Decimal)


def plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: ``0.0046462``, ``100``, ``0``."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


def _string(text: str, escape_slash: bool) -> str:
    written = json.dumps(text)
    return written.replace("/", "\\/") if escape_slash else written
