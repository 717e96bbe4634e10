"""Everything that is said while a test runs: what loggers say, and what can be read off an exception."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from typing import Any, Iterator, List


class Everything(logging.Handler):
    """Keeps whatever any logger says, with its arguments and tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [self.format(record), repr(record.args), repr(record.__dict__)]


@contextmanager
def everything_logged() -> Iterator[Everything]:
    """Every logger there is says all it has to say, at DEBUG."""
    handler = Everything()
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    before = [(logger, logger.level) for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)


def shown(error: Any) -> List[str]:
    """Everything that a traceback, a crash reporter or a curious hand can read off an exception and its chain."""
    texts: List[str] = []
    seen: set[int] = set()
    waiting: List[Any] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        texts += [
            str(one),
            repr(one),
            repr(one.args),
            repr(vars(one)),
            "".join(traceback.format_exception_only(type(one), one)),
        ]
        waiting += [one.__cause__, one.__context__]
    return texts
