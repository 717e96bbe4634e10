"""Desk: the commands that are out and wait for their answers, and those that wait to go out. It knows no topic's meaning.

Answers are matched by id; one without an id belongs to the only command, or to the oldest of its kind.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Tuple

import attrs

from xchws.exchanges.kyan import refusal
from xchws.exchanges.kyan.wire import Envelope
from xchws.sansio.actions import Send, Topic

REPLY = 10.0  # seconds for the answer to a command
# A third party's client says: 20 subscribe and 20 unsubscribe a second. It is no vendor's page, so half of both together.
_BURST, _PERIOD = 20, 1.0


@attrs.define
class Command:
    """A command. topic: what it subscribes or unsubscribes; ticket: whose request it is; by: when the answer is due."""

    verb: str
    topic: Optional[Topic] = None
    ticket: Optional[int] = None
    by: float = 0.0


class Desk:
    """The commands of one connection."""

    def __init__(self) -> None:
        self._number = 0
        self._out: Dict[str, Command] = {}
        self._queue: Deque[Tuple[Command, Callable[[str], bytes]]] = deque()
        self._sent_at: Deque[float] = deque(maxlen=_BURST)

    def say(self, command: Command, make: Callable[[str], bytes], now: float, patience: float = REPLY) -> Send:
        """Send a command at once. `make` makes its text of the id; `patience`: seconds for the answer."""
        self._number += 1
        number = str(self._number)
        command.by = now + patience
        self._out[number] = command
        return Send(make(number))

    def queue(self, command: Command, make: Callable[[str], bytes]) -> None:
        """Send a command in its turn: so many at once at most; `due` gives them out."""
        self._queue.append((command, make))

    def withdraw(self, topic: Topic) -> None:
        """Take back the subscribe commands of a topic that have not gone out."""
        self._queue = deque(entry for entry in self._queue if entry[0].verb != "subscribe" or entry[0].topic != topic)

    def awaits(self, verb: str, topic: Topic) -> bool:
        """Whether such a command of this topic is out and its answer matters."""
        return any(command.verb == verb and command.topic == topic for command in self._out.values())

    def disown(self, topic: Topic) -> None:
        """The answer to a subscribe command of this topic matters no more."""
        for command in self._out.values():
            if command.verb == "subscribe" and command.topic == topic:
                command.topic = None

    def due(self, now: float) -> List[Send]:
        """What may go out now."""
        sends: List[Send] = []
        while self._queue and now >= self._turn():
            command, make = self._queue.popleft()
            self._sent_at.append(now)
            sends.append(self.say(command, make, now))
        return sends

    def _turn(self) -> float:
        return self._sent_at[0] + _PERIOD if len(self._sent_at) == _BURST else 0.0

    def answered(self, envelope: Envelope) -> Optional[Command]:
        """The command that a reply answers; None where that cannot be told."""
        if envelope.id is not None:
            return self._out.pop(str(envelope.id), None)
        verb = envelope.type
        if verb == "error":
            verb = refusal.verb_of(envelope.error or "") or ""
        channel = refusal.channel_of(envelope.error or "")
        fitting = [
            number
            for number, command in self._out.items()
            if (not verb or command.verb == verb)
            and (channel is None or command.topic is None or command.topic.channel.lower() == channel)
        ]
        if len(fitting) == 1 or (fitting and verb):
            return self._out.pop(fitting[0])
        return None

    def late(self, now: float) -> List[Command]:
        """The commands whose answers are overdue; they are forgotten."""
        numbers = [number for number, command in self._out.items() if now >= command.by]
        return [self._out.pop(number) for number in numbers]

    def deadline(self) -> Optional[float]:
        """When `late` or `due` has something."""
        times = [command.by for command in self._out.values()]
        if self._queue:
            times.append(self._turn())
        return min(times) if times else None
