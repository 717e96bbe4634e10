"""Status: what a client is doing, true at the moment of asking."""

from __future__ import annotations

from datetime import datetime
from typing import Optional, Tuple

import attrs

from xchws.errors import XchwsError
from xchws.events import State


@attrs.frozen(kw_only=True)
class Status:
    """A client's state at one moment. Instants are aware UTC, by this machine's clock.

    Attributes:
        exchange: the name.
        state: see `State`; since: since when.
        last_message: when something was last heard from the exchange, pings included; None before the first time.
        attempt: tries in a row to connect, the present one included; 0 while READY.
        reconnects: connections that became READY after the first one.
        last_error: why the last connection or try ended; None if none has.
        retry_in: seconds until the next try, while WAITING.
        subscriptions: (name, state) of each wanted one; the state is "pending" or "active".
        backlog: events that wait for the callbacks.
        messages: messages and control frames received.
        callback_failures: how often a callback raised.
        undelivered: events that were given up at `stop()` because the callbacks did not get to them in time.
        token_expires: when what the connection rests on ends (a token, a session), where known.
        clock_offset: seconds that the exchange's clock is ahead of this machine's, as its last answers told; None before the
            first one with a date in it. To about half a second after one answer (a Date header has whole seconds), better
            after several, and to the time an answer takes where the exchange tells milliseconds (Kyan). Nothing waits by it.
        threads_alive: whether every thread that the state calls for runs.
    """

    exchange: str
    state: State
    since: Optional[datetime]
    last_message: Optional[datetime]
    attempt: int
    reconnects: int
    last_error: Optional[XchwsError]
    retry_in: Optional[float]
    subscriptions: Tuple[Tuple[str, str], ...]
    backlog: int
    messages: int
    callback_failures: int
    undelivered: int
    token_expires: Optional[datetime]
    clock_offset: Optional[float]
    threads_alive: bool
