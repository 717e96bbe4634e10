"""The page of promises: every test that is named there exists, and every promise names one, or a file of tests."""

from __future__ import annotations

import ast
import re
from typing import Dict, List

import pytest

from tests.docs import pages
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "reliability.md"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", pages.text_of(PAGE))))


def promises() -> List[Dict[str, str]]:
    return [row for table in pages.tables(PAGE) for row in table if "promise" in row]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_its_test() -> None:
    assert len(promises()) > 20
    for row in promises():
        named = re.search(r"`tests/[\w/]+\.py::test_\w+`|\]\(\.\./tests/[\w/]+\.py\)|the same", row["held by"])
        assert named, row["promise"]
