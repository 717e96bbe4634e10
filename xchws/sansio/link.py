"""Link: one connection as the session sees it: its phase, its signs of life, its control frames and its protocol.

A link lives from the first dial to the end of the connection and is never used again.
"""

from __future__ import annotations

import enum
from typing import Callable, List, Optional, Sequence, Set

from xchws.errors import ConnectionLost, OpenFailed, Silent
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
        heard_before: the same before the bytes that are being worked on.
        ready_at: monotonic instant of READY, or None.
        told: the topics that the protocol has been asked to subscribe; confirmed: those that the exchange has accepted.
        expiry: when what this connection rests on ends (monotonic), or None.
        suspended: the exchange has said that it cannot serve for the moment.
    """

    def __init__(
        self,
        number: int,
        now: float,
        *,
        open_timeout: float,
        ping_interval: Optional[float],
        ping_timeout: Optional[float],
        verbatim: Callable[[], bool],
    ) -> None:
        self.number = number
        self.phase = Phase.DIALLING
        self.heard = self.heard_before = now
        self.ready_at: Optional[float] = None
        self.told: Set[Topic] = set()
        self.confirmed: Set[Topic] = set()
        self.expiry: Optional[float] = None
        self.suspended = False
        self._protocol: Optional[Protocol] = None
        self._open_timeout = open_timeout
        self._open_by = now + open_timeout
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout if ping_interval is not None else None
        self._pinged_at: Optional[float] = None
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
        self.heard = self.heard_before = now
        return protocol.opened(now)

    def resume(self, now: float) -> None:
        """The exchange serves again; a link that was not READY before has the whole time for it from now on."""
        self.suspended = False
        self._open_by = now + self._open_timeout

    def received(self, items: Sequence[frames.Item], now: float) -> List[Output]:
        """What the frame reader made of the bytes that came; empty if no message is complete yet."""
        protocol = self.protocol
        self.heard_before, self.heard = self.heard, now
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
                break  # what comes after the end of the conversation is not for us
        return outputs

    def _other(self, item: frames.Item, now: float) -> List[Output]:
        if isinstance(item, frames.Ping):
            return [Send(item.payload, frames.PONG)]
        if isinstance(item, frames.Close):
            return [self.protocol.closed(item.code, item.reason)]
        if isinstance(item, frames.Binary):
            return self.protocol.received_binary(item.payload, now)
        if isinstance(item, frames.Violation):
            name = self.protocol.exchange
            text = f"{name}: the peer broke the WebSocket protocol: {item.reason}"
            return [Close(ConnectionLost(text, code=item.code, reason=item.reason, exchange=name), code=item.code)]
        return []  # a pong: that it came is all it says

    def deadline(self) -> Optional[float]:
        """When `wake` wants to be called next; None: not at all."""
        if self.phase is Phase.OVER:
            return None
        times = [self._open_by] if self.ready_at is None and not self.suspended else []
        if self.is_open:
            for time in (self.protocol.deadline(), self._ping_due(), self._silent_by()):
                if time is not None:
                    times.append(time)
        return min(times) if times else None

    def _ping_due(self) -> Optional[float]:
        if self._ping_interval is None or self._pinged_at is not None or not self.protocol.pings:
            return None
        return self.heard + self._ping_interval

    def _silent_by(self) -> Optional[float]:
        limits = []
        if self._pinged_at is not None and self._ping_timeout is not None:
            limits.append(self._pinged_at + self._ping_timeout)
        if self.protocol.silence is not None:
            limits.append(self.heard + self.protocol.silence)
        return min(limits) if limits else None

    def wake(self, now: float) -> List[Output]:
        """A deadline has come, this link's or another's."""
        if self.phase is Phase.OVER:
            return []
        if self.ready_at is None and not self.suspended and now >= self._open_by:
            return [Close(OpenFailed(f"the connection was not ready within {self._open_timeout:g} s"))]
        if not self.is_open:
            return []
        silent_by = self._silent_by()
        if silent_by is not None and now >= silent_by:
            text = f"{self.protocol.exchange}: nothing was heard for {now - self.heard:.0f} s"
            return [Close(Silent(text, exchange=self.protocol.exchange), code=None)]
        outputs: List[Output] = []
        ping_due = self._ping_due()
        if ping_due is not None and now >= ping_due:
            self._pinged_at = now
            outputs.append(Send(b"", frames.PING))
        protocol_due = self.protocol.deadline()
        if protocol_due is not None and now >= protocol_due:
            outputs += self.protocol.wake(now)
        return outputs
