"""Link: one connection as the session sees it: its phase, its signs of life, its control frames and its protocol.

A link lives from the first dial to the end of the connection and is never used again. Nobody but its link calls a protocol:
what a protocol raises is a fault of ours, which becomes a Failure and costs the connection (or, in `received`, one message)
and never the thread.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, Hashable, List, Optional, Sequence, Set

from xchws.errors import ConnectionLost, OpenFailed, ProtocolError, Silent
from xchws.events import Data, Failure
from xchws.sansio import frames
from xchws.sansio.actions import Close, Output, Send, Topic
from xchws.sansio.protocol import Protocol


class Phase(enum.Enum):
    """Where a link stands."""

    DIALLING = "DIALLING"
    OPENING = "OPENING"
    READY = "READY"
    OVER = "OVER"


class Link:
    """One connection.

    Attributes:
        number: identifies it within the session.
        phase: see Phase.
        heard: monotonic instant of the last byte from the peer.
        whole_until: monotonic instant of the last bytes that completed a message or a control frame: until then all that the
            peer had told has come. Bytes of one that is not complete say nothing of that, and nor does a goodbye: it may have
            been on its way for a while, and what happened meanwhile was told to nobody.
        heard_before: the same before the bytes that are being worked on.
        ready_at: monotonic instant of READY, or None.
        told: the topics that the protocol has been asked to subscribe; confirmed: those that the exchange has accepted.
        expiry: when what this connection rests on ends (monotonic), or None.
        suspended: the exchange has said that it cannot serve for the moment.
        answered: whether the peer has answered a ping, on this connection or (the argument) on an earlier one.
        renewal_due: it has asked to be renewed before it served.
    """

    def __init__(
        self,
        number: int,
        now: float,
        *,
        exchange: str,
        open_timeout: float,
        ping_interval: Optional[float],
        ping_timeout: Optional[float],
        verbatim: Callable[[], bool],
        answered: bool = False,
    ) -> None:
        self.number = number
        self.phase = Phase.DIALLING
        self.heard = self.heard_before = self.whole_until = now
        self.ready_at: Optional[float] = None
        self.told: Set[Topic] = set()
        self.confirmed: Set[Topic] = set()
        self.expiry: Optional[float] = None
        self.suspended = False
        self.renewal_due = False
        self._exchange = exchange
        self._protocol: Optional[Protocol] = None
        self._fault: Optional[Exception] = None  # what a protocol raised where only a value could be returned
        self._open_timeout = open_timeout
        self._open_by = now + open_timeout
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout if ping_interval is not None else None
        self._pinged_at: Optional[float] = None
        self.answered = answered
        self._asked = False
        self._verbatim = verbatim

    @property
    def protocol(self) -> Protocol:
        """The protocol; there is one from `opened` on."""
        assert self._protocol is not None, "a link has a protocol only once it is open"
        return self._protocol

    @property
    def is_open(self) -> bool:
        """Whether the socket stands and the link is in use."""
        return self.phase in (Phase.OPENING, Phase.READY)

    def opened(self, protocol: Protocol, now: float) -> List[Output]:
        """The WebSocket handshake is done; `protocol` speaks on this link."""
        self._protocol = protocol
        self.phase = Phase.OPENING
        self.heard = self.heard_before = self.whole_until = now
        return self._guarded(protocol.opened, now)

    # ------------------------------------------------------------------------------------- what the protocol is asked

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        """Have the protocol subscribe."""
        return self._guarded(self.protocol.subscribe, topic, now)

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        """Have the protocol unsubscribe."""
        return self._guarded(self.protocol.unsubscribe, topic, now)

    def request(self, ticket: int, request: Any, now: float) -> List[Output]:
        """Have the protocol make a request."""
        return self._guarded(self.protocol.request, ticket, request, now)

    def fetched(self, job: str, result: Any, now: float) -> List[Output]:
        """Give the protocol the result of its job."""
        return self._guarded(self.protocol.fetched, job, result, now)

    def closed(self, code: int, reason: str) -> List[Output]:
        """What the peer's close code means; it ends with a Close."""
        return self._guarded(lambda: [self.protocol.closed(code, reason)])

    def broken(self, code: int, reason: str) -> List[Output]:
        """What a peer that breaks the WebSocket protocol amounts to; it ends with a Close."""
        return self._guarded(lambda: [self.protocol.broken(code, reason)])

    def ended(self) -> List[Output]:
        """The protocol's last words; the caller heeds no Close among them."""
        return self._guarded(self.protocol.ended)

    def identity(self, event: Data) -> Optional[Hashable]:
        """See Protocol.identity. After a fault in it nothing can be told apart, and `wake` ends the link."""
        try:
            identity = self.protocol.identity(event)
            hash(identity)
        except Exception as error:
            self._fault = error
            return None
        return identity

    def _protocol_due(self) -> Optional[float]:
        try:
            return self.protocol.deadline()
        except Exception as error:
            self._fault = error
            return None

    def _guarded(self, call: Callable[..., List[Output]], *arguments: Any) -> List[Output]:
        try:
            return call(*arguments)
        except Exception as error:
            return self._failed(error)

    def _failed(self, fault: Exception) -> List[Output]:
        """The protocol is in a state that nobody knows: report it and start afresh on another connection."""
        name = self._exchange
        text = f"{name}: internal error: {self.protocol.secrets.excerpt(repr(fault))}"
        lost = ConnectionLost(
            f"{name}: the connection is remade after an internal error",
            code=1011,
            reason="internal error",
            exchange=name,
        )
        return [Failure(error=ProtocolError(text, exchange=name), exchange=name), Close(lost, code=1011)]

    # ------------------------------------------------------------------------------------------------ what the peer says

    def resume(self, now: float) -> None:
        """The exchange serves again; a link that was not READY before has the whole time for it from now on."""
        self.suspended = False
        self._open_by = now + self._open_timeout

    def received(self, items: Sequence[frames.Item], now: float) -> List[Output]:
        """What the frame reader made of the bytes that came; empty if no message is complete yet."""
        protocol = self.protocol
        self.heard = now
        if items:
            self.heard_before, self.whole_until = self.whole_until, now
        self._pinged_at = None
        protocol.verbatim = self._verbatim()
        outputs: List[Output] = []
        for item in items:
            try:
                made = protocol.received(item, now) if type(item) is bytes else self._other(item, now)
            except Exception as error:  # a fault of ours must not end the connection, and must not be silent
                text = item if isinstance(item, bytes) else getattr(item, "payload", b"")
                made = [protocol.unreadable(text, f"internal error: {error!r}")]
            outputs += made
            if made and type(made[-1]) is Close:
                self.whole_until = self.heard_before
                break  # what comes after the end of the conversation is not for us
        return outputs

    def _other(self, item: frames.Item, now: float) -> List[Output]:
        if isinstance(item, frames.Ping):
            return [Send(item.payload, frames.PONG)]
        if isinstance(item, frames.Close):
            return self.closed(item.code, item.reason)
        if isinstance(item, frames.Binary):
            return self.protocol.received_binary(item.payload, now)
        if isinstance(item, frames.Violation):
            return self.broken(item.code, item.reason)
        self.answered = True
        return []

    # --------------------------------------------------------------------------------------------------------- the clock

    def deadline(self) -> Optional[float]:
        """When `wake` wants to be called next; None: not at all."""
        if self.phase is Phase.OVER:
            return None
        times = [self._open_by] if self.ready_at is None and not self.suspended else []
        if self.is_open:
            for time in (self._protocol_due(), self._ping_due(), self._silent_by()):
                if time is not None:
                    times.append(time)
            if self._fault is not None:
                times.append(self.heard)  # at once
        return min(times) if times else None

    def _ping_due(self) -> Optional[float]:
        if self._ping_interval is None or self._pinged_at is not None or not self.protocol.pings:
            return None
        if not self._asked and self.ready_at is not None and not self.protocol.answers_pings:
            return self.ready_at  # however busy the line is: should it fall silent, it must be known what that means
        return self.heard + self._ping_interval

    @property
    def owes_pong(self) -> bool:
        """Whether a ping has been sent whose answer, or any other byte, must come in time."""
        answers = self.answered or (self._protocol is not None and self._protocol.answers_pings)
        return self._pinged_at is not None and self._ping_timeout is not None and answers

    def probe(self, now: float) -> List[Output]:
        """Ask for a sign of life now, however quiet it may be for how long, where pings are in use."""
        if self._ping_due() is None:
            return []
        return [self._ping(now)]

    def _ping(self, now: float) -> Send:
        self._pinged_at = now
        self._asked = True
        return Send(b"", frames.PING)

    def _silent_by(self) -> Optional[float]:
        limits = []
        if self.owes_pong and self._pinged_at is not None and self._ping_timeout is not None:
            limits.append(self._pinged_at + self._ping_timeout)
        if self.protocol.silence is not None:
            limits.append(self.heard + self.protocol.silence)
        return min(limits) if limits else None

    def wake(self, now: float) -> List[Output]:
        """A deadline has come, this link's or another's."""
        if self.phase is Phase.OVER:
            return []
        if self.ready_at is None and not self.suspended and now >= self._open_by:
            stage = "it was still being dialled" if self.phase is Phase.DIALLING else "the exchange had not let us in"
            text = f"{self._exchange}: the connection was not ready within {self._open_timeout:g} s: {stage}"
            return [Close(OpenFailed(text, exchange=self._exchange))]
        if not self.is_open:
            return []
        protocol_due = self._protocol_due()
        if self._fault is not None:
            return self._failed(self._fault)
        silent_by = self._silent_by()
        if silent_by is not None and now >= silent_by:
            text = f"{self._exchange}: nothing was heard for {now - self.heard:.0f} s"
            return [Close(Silent(text, exchange=self._exchange), code=None)]
        outputs: List[Output] = []
        ping_due = self._ping_due()
        if ping_due is not None and now >= ping_due:
            outputs.append(self._ping(now))
        if protocol_due is not None and now >= protocol_due:
            outputs += self._guarded(self.protocol.wake, now)
        return outputs
