"""What the deciding layers ask for. Two groups: from a protocol to the session, and from the session to the loop.

Whatever is in such a list and is an `Event` is to be published, in its place among the others.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple, Union

import attrs

from xchws.errors import XchwsError
from xchws.events import Event
from xchws.sansio.frames import TEXT


@attrs.frozen
class Topic:
    """What can be subscribed to: a channel with its parameters. It identifies a subscription."""

    channel: str
    parameters: Tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """For people: `ticker BTC/UAH`."""
        return " ".join([self.channel, *(str(parameter) for parameter in self.parameters)])


# ------------------------------------------------------------------------------------- from a protocol to the session


@attrs.frozen
class Send:
    """Send a message (or, with another opcode, a control frame) on this connection."""

    payload: bytes
    opcode: int = TEXT


@attrs.frozen
class Ready:
    """This connection can be used: authenticated, and subscribed to what comes by itself."""


@attrs.frozen
class Accepted:
    """A subscription is active. `recovered`: the exchange replayed what was missed since the connection before."""

    topic: Topic
    recovered: bool = False


@attrs.frozen
class Refused:
    """A subscription is refused for good."""

    topic: Topic
    error: XchwsError


@attrs.frozen
class Unanswered:
    """The reply to a subscription did not come in time."""

    topic: Topic


@attrs.frozen
class Interrupted:
    """The exchange ended a subscription that it would take again: subscribe once more. Or it must be made anew.

    Attributes:
        since: the monotonic instant up to which it was whole; None: until what came before this.
    """

    topic: Topic
    since: Optional[float] = None


@attrs.frozen
class Missed:
    """Messages of these channels were lost on a connection that stands (a jump in sequence numbers).

    Attributes:
        since: the monotonic instant up to which they were whole; None: until what came before this.
    """

    channels: Tuple[str, ...]
    since: Optional[float] = None


@attrs.frozen
class Replied:
    """The answer to a request: a value, or the error that it failed with."""

    ticket: int
    value: Any = None
    error: Optional[XchwsError] = None


@attrs.frozen
class Fetch:
    """Do this job of the exchange's (a REST call, a user's function) beside the connection; `fetched` gets the result."""

    job: str


@attrs.frozen
class Expiry:
    """When (monotonic seconds) what this connection rests on ends; None: never. For `status()`."""

    at: Optional[float]


@attrs.frozen
class ServerTime:
    """What the exchange's clock said (Unix milliseconds) in its answer to what was asked at a monotonic instant."""

    milliseconds: int
    asked: float


@attrs.frozen
class Renew:
    """This connection will end by plan: put another one in its place, before it ends where the exchange permits two.

    Said before READY, or by a successor, it is kept until the connection serves.
    """

    reason: str


@attrs.frozen
class Suspend:
    """The exchange cannot serve for the moment."""

    reason: str


@attrs.frozen
class Resume:
    """The exchange serves again."""


@attrs.frozen
class Close:
    """This connection is of no more use.

    Attributes:
        error: why.
        code: the close code to send, or None to close without a word.
        verdict: the fatal error that it amounts to if it happens `limit` times in a row without a good connection
            between; None if it never does.
        limit: see verdict.
        patience: seconds for which that must have gone on besides: for what may pass, where the exchange has served before.
        exclusive: the exchange allows one connection only: the successor must wait for the end of its forerunner.
        at_once: the next try needs no wait and this is no failure: it was known that it might end so.
            Granted once until a connection has proved good.
    """

    error: XchwsError
    code: Optional[int] = 1000
    verdict: Optional[XchwsError] = None
    limit: int = 1
    patience: float = 0.0
    exclusive: bool = False
    at_once: bool = False


@attrs.frozen
class Leave:
    """The exchange has ended the session because the user asked it to: the client stops."""


Output = Union[
    Event, Send, Ready, Accepted, Refused, Unanswered, Interrupted, Missed, Replied, Fetch, Expiry, ServerTime, Renew, Suspend,
    Resume, Close, Leave
]  # fmt: skip


# ----------------------------------------------------------------------------------------- from the session to the loop


@attrs.frozen
class Dial:
    """Open a connection: route, TCP, TLS, handshake. Give up after `timeout` seconds."""

    link: int
    timeout: float


@attrs.frozen
class Write:
    """Write a frame on a connection."""

    link: int
    opcode: int
    payload: bytes


@attrs.frozen
class Hangup:
    """End a connection, or the try to open one; with a close frame if a code is given."""

    link: int
    code: Optional[int]
    reason: str = ""


@attrs.frozen
class Run:
    """Do a job of the exchange's beside the connection."""

    link: int
    job: str


@attrs.frozen
class Settled:
    """A subscription changed: "pending", "active", "refused" (with its error) or "ended"."""

    topic: Topic
    state: str
    error: Optional[XchwsError] = None


@attrs.frozen
class Resolved:
    """A request is answered or has failed."""

    ticket: int
    value: Any = None
    error: Optional[XchwsError] = None


@attrs.frozen
class Finish:
    """The session is over; nothing more will come."""

    error: Optional[XchwsError] = None


Effect = Union[Event, Dial, Write, Hangup, Run, Settled, Resolved, ServerTime, Finish]
