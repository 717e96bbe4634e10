"""The log: what the library says of itself, all of it under the one name `xchws`.

A handler or a filter of the user's may raise, sys.exit() in it too. Whoever speaks here goes on all the same: no thread of ours
may end, and no decision may be left half carried out, because a disk is full or a log server is away.
"""

from __future__ import annotations

import logging
from typing import Optional

from xchws.threads import in_ours

_logger = logging.getLogger("xchws")


def info(text: str, *arguments: object) -> None:
    """What happens by plan."""
    _say(logging.INFO, text, arguments)


def warning(text: str, *arguments: object) -> None:
    """Trouble that the client deals with."""
    _say(logging.WARNING, text, arguments)


def error(text: str, *arguments: object, raised: Optional[BaseException] = None) -> None:
    """A fault in what the user gave; `raised` is shown with its traceback."""
    _say(logging.ERROR, text, arguments, raised)


def critical(text: str, *arguments: object, raised: Optional[BaseException] = None) -> None:
    """A fault of ours; `raised` is shown with its traceback."""
    _say(logging.CRITICAL, text, arguments, raised)


def _say(level: int, text: str, arguments: tuple[object, ...], raised: Optional[BaseException] = None) -> None:
    try:
        # The place that a record names is the one that spoke, two calls above.
        _logger.log(level, text, *arguments, exc_info=raised, stacklevel=3)
    except Exception:
        pass  # the user's own handler raised: there is nobody left to tell
    except BaseException:
        if not in_ours():
            raise  # Ctrl-C, or sys.exit() in a signal handler: it is meant for the thread of the user's that it came to
