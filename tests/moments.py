"""Moments: something happens before any one step of a piece of code, as a signal does. Knows nothing of what the steps are.

Python runs a signal's handler on the main thread between two instructions. `interrupted` does the same, without chance: the
handler is called before the n-th step of the code's own, and what it raises comes up right there, as KeyboardInterrupt does.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Iterator, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
OURS = str(ROOT / "xchws")
THREADING = threading.__file__


class Moment:
    """The n-th step (n from 0) of what is done within `interrupted_by`.

    Args:
        number: n; instructions: whether steps are single instructions instead of lines.
        rooms: the beginnings of the names of the files whose steps count.

    Attributes:
        came: whether there were so many steps.
        place: where it was, for people.
    """

    def __init__(self, number: int, instructions: bool, rooms: Tuple[str, ...]) -> None:
        self._rooms = rooms
        self.came = False
        self.place = ""
        self._left = number
        self._kind = "opcode" if instructions else "line"
        self._handler: Callable[[], Any] = lambda: None

    @contextmanager
    def interrupted_by(self, handler: Callable[[], Any]) -> Iterator[None]:
        """Within this, on this thread, the handler is called before the step."""
        self._handler = handler
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(before)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Optional[Callable[..., Any]]:
        if self.came or not frame.f_code.co_filename.startswith(self._rooms):
            return None
        frame.f_trace = self._stepped  # first: of one that is not traced yet CPython 3.13 notes nothing else
        frame.f_trace_opcodes = self._kind == "opcode"
        frame.f_trace_lines = self._kind == "line"
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, argument: Any) -> Optional[Callable[..., Any]]:
        if event == self._kind and not self.came:
            if self._left:
                self._left -= 1
            else:
                self.came = True
                self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
                self._handler()
        return self._stepped


def moments(instructions: bool = False, rooms: Tuple[str, ...] = (OURS, THREADING)) -> Iterator[Moment]:
    """One moment after the other, until there are no more of them in what is done within.

    Instructions are rehearsed first: CPython 3.12 tells of a function's only once they have been asked to.
    """
    if instructions:
        yield Moment(sys.maxsize, instructions, rooms)
    for number in count():
        moment = Moment(number, instructions, rooms)
        yield moment
        if not moment.came:
            assert number > 10, "the steps have been looked at"
            return
