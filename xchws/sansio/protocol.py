"""Protocol: what one exchange says on one connection. It decides and does nothing: calls go down, lists come back.

A protocol never blocks, sleeps, locks, reads a clock or raises on bad input, and lives for one connection. `now` is always
monotonic seconds. What must outlive the connection is handed to it by its exchange.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Hashable, List, Optional, Union

import msgspec

from xchws.credentials import Secrets
from xchws.errors import ConnectionLost, ProtocolError, RequestRejected
from xchws.events import Data, Event, Failure, Message
from xchws.sansio.actions import Accepted, Close, Output, Replied, Topic

# A lone or reserved number, no reconnect advice: RFC 6455, section 7.4.1.
_CLOSE_NAMES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status",
    1006: "no close frame",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension required",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS failure",
}

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on text that is no JSON, not of the type, not UTF-8, or nested too deeply."""


class Protocol(ABC):
    """One exchange on one connection.

    Attributes:
        exchange: the exchange's name, for events and errors.
        pings: whether our own WebSocket pings are allowed on a quiet link.
        answers_pings: whether the peer is known to answer our pings; if not, only one that has answered once is held to it.
        silence: seconds without a byte from the peer after which it must be dead, because it promised to speak more often;
            None if it promised nothing.
        verbatim: set by the link: somebody wants every message as it came (`Message` events).
    """

    exchange: str = ""
    pings: bool = True
    answers_pings: bool = True
    silence: Optional[float] = None

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.verbatim = False

    @abstractmethod
    def opened(self, now: float) -> List[Output]:
        """The WebSocket handshake is done."""

    @abstractmethod
    def received(self, text: bytes, now: float) -> List[Output]:
        """One text message, valid UTF-8."""

    def received_binary(self, payload: bytes, now: float) -> List[Output]:
        """One binary message. None of the exchanges sends any, unless its protocol says otherwise."""
        return [self.unreadable(payload, "a binary message where only text is expected")]

    def deadline(self) -> Optional[float]:
        """When `wake` wants to be called next; None: not at all."""
        return None

    def wake(self, now: float) -> List[Output]:
        """The deadline has come."""
        return []

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        """Subscribe. The answer comes later as Accepted, Refused or Unanswered."""
        return [Accepted(topic)]

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        """Unsubscribe, whatever state the subscription is in."""
        return []

    def request(self, ticket: int, request: Any, now: float) -> List[Output]:
        """Make a request. The answer comes later as Replied with the ticket."""
        error = RequestRejected(f"{self.exchange} takes no requests on its stream", exchange=self.exchange)
        return [Replied(ticket, error=error)]

    def fetched(self, job: str, result: Any, now: float) -> List[Output]:
        """The result of a Fetch: what the job returned, or the XchwsError that it ended with."""
        return []

    def closed(self, code: int, reason: str) -> Close:
        """What the peer's close code means here."""
        return Close(self.lost(code, reason))

    def broken(self, code: int, reason: str) -> Close:
        """The peer broke the WebSocket protocol: what was wrong, and the code to close with."""
        text = f"{self.exchange}: the peer broke the WebSocket protocol: {reason}"
        return Close(ConnectionLost(text, code=code, reason=reason, exchange=self.exchange), code=code)

    def ended(self) -> List[Output]:
        """The connection is gone: what still waits for an answer gets its failure here."""
        return []

    def identity(self, event: Data) -> Optional[Hashable]:
        """What makes two events of two overlapping connections the same one; None where that cannot be told. `overlap.STATE` for
        what tells how something stands."""
        return None

    # ------------------------------------------------------------------------------------ what every protocol says alike

    def lost(self, code: int, reason: str) -> ConnectionLost:
        """The error for a close code."""
        said = self.secrets.excerpt(reason) or _CLOSE_NAMES.get(code, "no reason given")
        return ConnectionLost(
            f"{self.exchange}: the connection was closed: {code} {said}", code=code, reason=said, exchange=self.exchange
        )

    def unreadable(self, text: Union[str, bytes], why: str) -> Failure:
        """A message that could not be understood, with its text; the connection lives on."""
        excerpt = self.secrets.excerpt(text)
        error = ProtocolError(
            f"{self.exchange}: {self.secrets.excerpt(why)}: {excerpt}", text=excerpt, exchange=self.exchange
        )
        return Failure(error=error, exchange=self.exchange)

    def message(self, text: bytes) -> Event:
        """The message as it came, for `on_message`."""
        return Message(wire=self.secrets.redact_bytes(text), exchange=self.exchange)
