"""tables: what the rows of an exchange's page say, as the code can be asked about it."""

from __future__ import annotations

import pkgutil
import re
from typing import Any, Dict, List, Set, Type

import xchws
from tests.docs import pages
from xchws.hooks import Hook

Row = Dict[str, str]


def rows(page: Any, *columns: str) -> List[Row]:
    """The rows of the page's one table that has these columns."""
    (found,) = [table for table in pages.tables(page) if set(columns) <= set(table[0])]
    return found


def coded(text: str) -> List[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


def reached(client_class: Type[xchws.Client], row: Row) -> None:
    """See that the row's callbacks get the row's events, each at least one and none in vain."""
    classes = [pkgutil.resolve_name(name) for name in coded(row["event"]) if name.startswith("xchws.")]
    hooks: List[Hook[Any]] = [getattr(client_class, name) for name in coded(row["callback"])]
    assert classes and hooks, row
    for found in classes:
        assert any(issubclass(found, hook.event_class) for hook in hooks), row
    for hook in hooks:
        assert any(issubclass(found, hook.event_class) for found in classes), row


def named(row: Row) -> Set[Type[xchws.Data]]:
    """The event classes that the row names first: what comes after a comma is their base class."""
    names = re.findall(r"(?:^|also |; with an execution also )`(xchws\.[\w.]+)`", row["event"])
    return {pkgutil.resolve_name(name) for name in names}
