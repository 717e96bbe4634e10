"""The pages that users read, taken apart: code blocks with their marks, tables, links and the names that they speak of.

A mark is an HTML comment in the line above a block, which nobody sees who reads the rendered page:

    <!-- run: indodax, until: of -->        run it on the simulated exchange until it prints a line with `of` in it
    <!-- run: indodax, cut, until: gap -->  the same, and cut the line once
    <!-- run: tests -->                     run the functions in it that are called test_…
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Set

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK = re.compile(
    r"(?:^<!-- *(?P<mark>[^\n]*?) *-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")


class Mark(NamedTuple):
    """What is to be done with a block."""

    run: str = ""
    until: str = ""
    cut: bool = False


class Block(NamedTuple):
    """A fenced block and where it stands."""

    page: Path
    line: int
    language: str
    mark: Mark
    text: str

    @property
    def name(self) -> str:
        """For a test's name: the page and the line of the first statement."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def text_of(page: Path) -> str:
    """A page as it is written."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> List[Block]:
    """Its fenced blocks."""
    text = text_of(page)
    return [
        Block(
            page, text.count("\n", 0, found.start("text")) + 1, found["language"], _mark(found["mark"]), found["text"]
        )
        for found in _BLOCK.finditer(text)
    ]


def _mark(text: Optional[str]) -> Mark:
    if text is None:
        return Mark()
    given: Dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        given[name.strip()] = value.strip()
    unknown = set(given) - {"run", "until", "cut"}
    if unknown:
        raise ValueError(f"a mark says run, until or cut, not {sorted(unknown)}")
    return Mark(given.get("run", ""), given.get("until", ""), "cut" in given)


def marks(page: Path) -> int:
    """How many comments there are; each must be the mark of a block."""
    return len(_COMMENT.findall(text_of(page)))


def prose(page: Path) -> str:
    """A page without its fenced blocks and comments."""
    return _COMMENT.sub("", _BLOCK.sub("", text_of(page)))


def tables(page: Path) -> List[List[Dict[str, str]]]:
    """Its tables, each a list of rows by the words of their heads."""
    found: List[List[Dict[str, str]]] = []
    head: List[str] = []
    for line in prose(page).splitlines():
        if not line.startswith("|"):
            head = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not head:
            head = cells
            found.append([])
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            assert len(cells) == len(head), f"{page.name}: a row of {len(cells)} cells under {len(head)} heads: {line}"
            found[-1].append(dict(zip(head, cells)))
    return found


def links(page: Path) -> List[str]:
    """Where its links lead."""
    return _LINK.findall(text_of(page))


def anchors(page: Path) -> Set[str]:
    """What a link may name behind the #: its headings, as GitHub writes them."""
    headings = _HEADING.findall(_BLOCK.sub("", text_of(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def code_words(page: Path) -> List[str]:
    """All that stands between backticks."""
    return _CODE.findall(prose(page))
