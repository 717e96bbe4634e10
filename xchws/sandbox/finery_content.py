"""The content of a request on the simulated Finery Markets: its parameters, looked at one by one.

Knows the errors of a parameter (9, or whichever code is given for a missing one), not what the parameters mean.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Set, TypeVar, Union, overload

from .finery_book import FineryRefusal

INVALID = 9  # "parameter missing or invalid"
FILTERS = ("all", "subaccounts", "external")

Default = TypeVar("Default", int, None)


class _Required:
    """In place of a default: there is none."""


REQUIRED = _Required()


class Content:
    """Reads parameters by name; every method raises FineryRefusal with ``param`` for a value that cannot be.

    Args:
        missing: the error code for a parameter that is required and not there.
    """

    def __init__(self, members: Dict[str, Any], missing: int = INVALID) -> None:
        self._members = members
        self._missing = missing
        self._read: Set[str] = set()

    @property
    def unread(self) -> List[str]:
        """The names that nobody has asked for."""
        return [name for name in self._members if name not in self._read]

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in self._members

    @overload
    def integer(self, name: str) -> int: ...

    @overload
    def integer(self, name: str, default: Default) -> Union[int, Default]: ...

    def integer(self, name: str, default: Union[int, None, _Required] = REQUIRED) -> Optional[int]:
        """A whole number."""
        value = self._value(name, default)
        if value is None and name not in self._members:
            return None
        if not _is_integer(value):
            raise FineryRefusal(INVALID, name)
        return int(value)

    def text(self, name: str) -> str:
        """A string."""
        value = self._value(name)
        if not isinstance(value, str):
            raise FineryRefusal(INVALID, name)
        return value

    def flag(self, name: str) -> bool:
        """True or false; false if it is not there."""
        value = self._value(name, False)
        if not isinstance(value, bool):
            raise FineryRefusal(INVALID, name)
        return value

    def choice(self, name: str, words: Sequence[str]) -> int:
        """The place of a word among *words*, in whatever case: the pages themselves write "MarketIOC" once."""
        word = self.text(name).lower()
        for index, known in enumerate(words):
            if known.lower() == word:
                return index
        raise FineryRefusal(INVALID, name)

    def filter(self) -> None:
        """The filter of subaccounts, of which there are none here."""
        if self._value("filter", "all") not in FILTERS:
            raise FineryRefusal(INVALID, "filter")

    def names(self, name: str) -> Optional[List[str]]:
        """A string or a list of strings; None if it is not there."""
        value = self._value(name, None)
        values = [value] if isinstance(value, str) else value
        if self.has(name) and not (isinstance(values, list) and all(isinstance(item, str) for item in values)):
            raise FineryRefusal(INVALID, name)
        return values

    def integers(self, name: str) -> Optional[List[int]]:
        """A list of whole numbers; None if it is not there."""
        value: Optional[List[int]] = self._value(name, None)
        if self.has(name) and not (isinstance(value, list) and all(map(_is_integer, value))):
            raise FineryRefusal(INVALID, name)
        return value

    def _value(self, name: str, default: Any = REQUIRED) -> Any:
        self._read.add(name)
        if name not in self._members and default is REQUIRED:
            raise FineryRefusal(self._missing, name)
        return self._members.get(name, default)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
