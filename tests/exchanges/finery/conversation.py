"""Conversation: a session with a Finery protocol and a clock that only moves when told to: bytes in, events and bytes out."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, List, Optional, Type, TypeVar

from xchws.backoff import Backoff
from xchws.credentials import Secrets
from xchws.errors import XchwsError
from xchws.events import Event, Failure
from xchws.exchanges.finery.calls import Call
from xchws.exchanges.finery.feeds import topic_of
from xchws.exchanges.finery.protocol import FineryProtocol
from xchws.sansio import frames
from xchws.sansio.actions import Dial, Hangup, Resolved, Settled, Write
from xchws.sansio.fills import FillMemory
from xchws.sansio.session import Session, Terms

E = TypeVar("E")
START = datetime(2026, 11, 1, tzinfo=timezone.utc)
CONNECTED = ["X", 0, "Z", 0]


class Conversation:
    """One client's session, always on its newest connection."""

    def __init__(self, *, json_ping: bool = False, connected: bool = True, verbatim: bool = False) -> None:
        self.now = 1000.0
        self.secrets = Secrets()
        self.secrets.add("top-secret")
        self.fills = FillMemory()
        self.json_ping = json_ping
        self.session = Session(
            Terms(
                exchange="finery",
                channels=(),
                overlap=False,
                backoff=Backoff(),
                open_timeout=10.0,
                ping_interval=None,
                ping_timeout=None,
                draw=lambda: 0.5,
                utc_of=lambda instant: START + timedelta(seconds=instant),
                verbatim=lambda: verbatim,
                congested=lambda: False,
            )
        )
        self.link = 0
        self.dials = 0
        self.events: List[Event] = []
        self.writes: List[Write] = []
        self.settled: List[Settled] = []
        self.resolved: List[Resolved] = []
        self.hangups: List[Hangup] = []
        self._take(self.session.start(self.now))
        self.open()
        if connected:
            self.hear(CONNECTED)

    def open(self) -> None:
        """The handshake of the newest dial is done."""
        self.protocol = FineryProtocol(self.fills, self.json_ping, self.secrets)
        self._take(self.session.dialled(self.link, self.protocol, self.now))

    def hear(self, *messages: Any) -> List[Event]:
        """Messages come, parsed or as bytes; the events that they lead to."""
        before = len(self.events)
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            self._take(self.session.received(self.link, [text], self.now))
        return self.events[before:]

    def hear_at_once(self, *messages: Any) -> List[Event]:
        """The same, in one read."""
        before = len(self.events)
        texts = [json.dumps(message).encode() for message in messages]
        self._take(self.session.received(self.link, texts, self.now))
        return self.events[before:]

    def bind(self, feed: str, feed_id: Any = None) -> None:
        self._take(self.session.subscribe(topic_of(feed, feed_id), self.now))

    def unbind(self, feed: str, feed_id: Any = None) -> None:
        self._take(self.session.unsubscribe(topic_of(feed, feed_id), self.now))

    def ask(self, call: Call, ticket: int = 1) -> None:
        self._take(self.session.request(ticket, call, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.now + seconds
        while True:
            due = self.session.deadline()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self._take(self.session.wake(self.now))
        self.now = end

    def lose(self) -> None:
        """The connection breaks."""
        self._take(self.session.lost(self.link, "reset", self.now))

    def reconnect(self) -> None:
        """The connection breaks, and the next one stands."""
        self.lose()
        self.wait(60)
        self.open()
        self.hear(CONNECTED)

    def _take(self, effects: List[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Event):
                self.events.append(effect)
            elif isinstance(effect, Write):
                self.writes.append(effect)
            elif isinstance(effect, Settled):
                self.settled.append(effect)
            elif isinstance(effect, Resolved):
                self.resolved.append(effect)
            elif isinstance(effect, Hangup):
                self.hangups.append(effect)
            elif isinstance(effect, Dial):
                self.link = effect.link
                self.dials += 1

    # ------------------------------------------------------------------------------------------------------ looking

    def sent(self) -> List[Any]:
        """The messages sent since the last look, parsed."""
        writes, self.writes = self.writes, []
        return [json.loads(write.payload) for write in writes if write.opcode == frames.TEXT]

    def of(self, kind: Type[E]) -> List[E]:
        """The events of a class, since the beginning."""
        return [event for event in self.events if isinstance(event, kind)]

    def errors(self) -> List[XchwsError]:
        return [failure.error for failure in self.of(Failure)]

    def state(self, feed: str, feed_id: Any = None) -> Optional[str]:
        """The subscription's newest state."""
        topic = topic_of(feed, feed_id)
        return next((settled.state for settled in reversed(self.settled) if settled.topic == topic), None)
