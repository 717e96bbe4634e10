"""A client that was started before the workers were forked, and one that each worker makes for itself."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Optional

import xchws

URL = os.environ["XCHWS_TEST_URL"]
PAIR = "BTC/UAH"

before = xchws.Richamster(url=URL)
after: Optional[xchws.Richamster] = None


def start_before() -> None:
    """In the process that forks."""
    before.subscribe_ticker(PAIR)
    before.start(20)


def start_after() -> None:
    """In the worker."""
    global after
    after = xchws.Richamster(url=URL)
    after.subscribe_ticker(PAIR)
    after.start(20)


def seen() -> Dict[str, Any]:
    """What a worker sees of both: what the old one says, and whether the new one hears the exchange."""
    said: Dict[str, str] = {}
    calls: Dict[str, Callable[..., Any]] = {
        "status": before.status,
        "subscribe": lambda: before.subscribe_ticker("ETH/UAH"),
        "start": before.start,
    }
    for name, call in calls.items():
        try:
            call()
        except xchws.StateError as error:
            said[name] = str(error)
    if after is None:
        return {"pid": os.getpid(), "said": said}
    return {"pid": os.getpid(), "said": said, "state": str(after.status().state), "alive": after.status().threads_alive}


def heard(timeout: float) -> str:
    """The next ticker that the worker's own client hears."""
    assert after is not None
    return str(after.expect(xchws.Ticker).result(timeout).last)
