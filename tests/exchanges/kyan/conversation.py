"""Conversation: Kyan's client side without I/O: what the exchange says goes in as text, what is sent and told comes out.

The session, the links and the protocol are the real ones; the clock is a number.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Type, TypeVar, Union

from xchws.backoff import Backoff
from xchws.credentials import Secrets
from xchws.events import Event
from xchws.exchanges.kyan import channels
from xchws.exchanges.kyan.protocol import KyanProtocol
from xchws.exchanges.kyan.session import Memory
from xchws.sansio import actions, frames
from xchws.sansio.actions import Topic
from xchws.sansio.session import Session, Terms

E = TypeVar("E", bound=Event)

KEY = "k_demo_01"
ME = "0x" + "aB" * 20
OTHER = "0x" + "12" * 20


class Conversation:
    """One client and its exchange, which is the test."""

    def __init__(self, recovery: bool = True, lifetime: float = 3600.0, verbatim: bool = False) -> None:
        self.now = 1_000.0
        self.secrets = Secrets()
        self.secrets.add(KEY)
        self.lifetime = lifetime
        self.memory = Memory(recovery, lambda: self.now)
        self.session = Session(
            Terms(
                exchange="kyan",
                channels=(),
                overlap=True,
                backoff=Backoff(initial=1.0),
                open_timeout=10.0,
                ping_interval=None,
                ping_timeout=None,
                draw=lambda: 1.0,
                utc_of=lambda moment: datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=moment),
                verbatim=lambda: verbatim,
                congested=lambda: False,
            )
        )
        self.events: List[Event] = []
        self.settled: List[actions.Settled] = []
        self.resolved: List[actions.Resolved] = []
        self.dials: List[int] = []
        self.hangups: List[int] = []
        self.error: Optional[BaseException] = None
        self._sent: Dict[int, List[Any]] = {}
        self._do(self.session.start(self.now))

    def _do(self, effects: List[actions.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Event):
                self.events.append(effect)
            elif isinstance(effect, actions.Write):
                if effect.opcode == frames.TEXT:
                    self._sent.setdefault(effect.link, []).append(json.loads(effect.payload))
            elif isinstance(effect, actions.Dial):
                self.dials.append(effect.link)
            elif isinstance(effect, actions.Hangup):
                self.hangups.append(effect.link)
            elif isinstance(effect, actions.Settled):
                self.settled.append(effect)
            elif isinstance(effect, actions.Resolved):
                self.resolved.append(effect)
            elif isinstance(effect, actions.Finish):
                self.error = effect.error

    # ------------------------------------------------------------------------------------------------- what happens

    def open(self) -> None:
        """The connection dialled last stands."""
        protocol = KyanProtocol(KEY, self.memory, self.lifetime, self.secrets)
        self._do(self.session.dialled(self.dials[-1], protocol, self.now))

    def say(self, *messages: Union[bytes, Dict[str, Any]], link: Optional[int] = None) -> List[Event]:
        """The exchange says something, on the newest connection; the events that come of it."""
        before = len(self.events)
        for message in messages:
            text = message if isinstance(message, bytes) else json.dumps(message).encode()
            self._do(self.session.received(link or self.dials[-1], [text], self.now))
        return self.events[before:]

    def say_at_once(self, *messages: Dict[str, Any], link: int) -> None:
        """The same, in one read."""
        self._do(self.session.received(link, [json.dumps(message).encode() for message in messages], self.now))

    def lose(self, link: Optional[int] = None) -> None:
        """The connection breaks."""
        self._do(self.session.lost(link or self.dials[-1], "reset", self.now))

    def dismiss(self) -> None:
        """The exchange closes the newest connection, with a close frame."""
        self._do(self.session.received(self.dials[-1], [frames.Close(1001, "going away")], self.now))

    def pass_time(self, seconds: float) -> None:
        """Time passes; timers that come due are served at their time."""
        end = self.now + seconds
        while True:
            due = self.session.deadline()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self._do(self.session.wake(self.now))
        self.now = end

    def redial(self) -> None:
        """Time passes until the next dial."""
        before = len(self.dials)
        while len(self.dials) == before:
            due = self.session.deadline()
            assert due is not None
            self.pass_time(due - self.now)

    def subscribe(self, channel: str, **query: Any) -> Topic:
        """The user subscribes."""
        topic = channels.topic(channel, query)
        self._do(self.session.subscribe(topic, self.now))
        return topic

    def unsubscribe(self, topic: Topic) -> None:
        """The user unsubscribes."""
        self._do(self.session.unsubscribe(topic, self.now))

    def request(self, request: Any) -> None:
        """The user makes a request."""
        self._do(self.session.request(1, request, self.now))

    # ------------------------------------------------------------------------------------------------ what is shorthand

    def sent(self, link: Optional[int] = None) -> List[Any]:
        """What has been sent on a connection since this was asked last."""
        return self._sent.pop(link or self.dials[-1], [])

    def answer(self, command: Dict[str, Any], error: Optional[str] = None, **fields: Any) -> List[Event]:
        """The exchange answers a command."""
        reply = {"kind": "response", "type": command["type"], "id": command["id"], "timestamp_ms": 1774000000001}
        reply["success"] = error is None
        if error is not None:
            reply["error"] = error
        return self.say({**reply, **fields})

    def authorize(self, token: Optional[str] = None) -> None:
        """The connection dialled last stands and is logged in; with a token, recovery is enabled too."""
        self.open()
        (auth,) = self.sent()
        assert auth["type"] == "auth"
        self.answer(auth)
        if token is not None:
            queue = self._sent[self.dials[-1]]
            enable = queue.pop([one["type"] for one in queue].index("enable_session_recovery"))
            self.answer(enable, recovery_token=token, ttl_seconds=30)

    def accept(self) -> List[Any]:
        """The exchange accepts all that has been sent; what that was."""
        commands = self.sent()
        for command in commands:
            self.answer(command)
        return commands

    def live(self, channel: str, **query: Any) -> Topic:
        """Logged in, without recovery, with one subscription."""
        self.authorize()
        topic = self.subscribe(channel, **query)
        for command in self.sent():
            if command["type"] == "subscribe":
                self.answer(command)
        self.events.clear()
        return topic

    def told(self, kind: Type[E]) -> List[E]:
        """The events of a class so far."""
        return [event for event in self.events if isinstance(event, kind)]


def event(
    kind: str, data: Any, channel: str = "", query: Optional[Dict[str, Any]] = None, **fields: Any
) -> Dict[str, Any]:
    """An event message."""
    message = {"kind": "event", "type": kind, "timestamp_ms": 1774000123456, "data": data}
    message["subscription"] = {"channel": channel or kind, "query": query or {}}
    return {**message, **fields}
