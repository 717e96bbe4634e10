"""Process: what becomes of the clients when the process forks, and when it ends without `stop()`.

In a forked child a copy of a client that was started is dead: its threads are not there, and its connection is the parent's.
At the end of the program nobody waits for the clients' threads, which are daemons: what they are at would be cut off midway.
So they are told to come to rest, and get a moment for it: the callback that is at work can finish, no other one begins, and
the exchange hears a goodbye.
"""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Dict, List, Protocol

from xchws import clock, log

_GRACE = 0.25  # seconds for all the clients' threads to come to rest at the end of the program


class _Living(Protocol):
    def _forsake(self) -> None: ...

    def _let_go(self) -> None: ...

    def _is_gone(self, deadline: float) -> bool: ...


# To put a key in, to take one out and to copy the keys are atomic; the iteration of a WeakSet is not.
_clients: Dict[weakref.ref[_Living], None] = {}


def remember(client: _Living) -> None:
    """A client has been made."""
    for known in list(_clients):
        if known() is None:
            _clients.pop(known, None)
    _clients[weakref.ref(client)] = None


def _living() -> List[_Living]:
    return [client for client in (known() for known in list(_clients)) if client is not None]


def _after_fork_in_child() -> None:
    for client in _living():
        try:
            client._forsake()
        except Exception as error:  # the others must be let go of all the same
            log.critical("a client could not be let go of after a fork", raised=error)


def _at_exit() -> None:
    living = _living()
    for client in living:
        try:
            client._let_go()
        except Exception as error:  # the others' exchanges must hear a goodbye all the same
            log.critical("a client could not be let go of at the end of the program", raised=error)
    deadline = clock.monotonic() + _GRACE
    for client in living:
        client._is_gone(deadline)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
