"""Newest: what waits for registrations with `when_slow="latest"`: of each class and state the newest event, in its place.

At most one waits. The newest takes the place in the queue of the one that it replaces, so that one which never rests gets
its turn. But none takes a place before an event of the connection's life (a Gap, a Disconnected, …) that came earlier: then
the one that waits is given up, and the new one queues behind. It knows no thread: the dispatcher's lock guards it.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, Optional, Tuple, Type, Union

import attrs

from xchws.events import Event
from xchws.runtime.registry import Registration

Key = Tuple[Registration, Type[Event], Tuple[Any, ...]]  # the last: what the event has where `latest_by` says

_MANY = 1000  # empty places that may stand in the queue before they are cleared away


@attrs.define(eq=False)
class Place:
    """A place in the queue.

    Attributes:
        registration: whom it is for.
        event: what waits there; None once it has been called back, or given up for one behind.
        era: how many events of the connection's life were queued before it.
    """

    registration: Registration
    key: Key
    event: Optional[Event]
    era: int


Waiting = Union[Event, Place]


class Newest:
    """The places of one queue.

    Attributes:
        empty: how many of them hold no event any more, in the queue or taken out of it.
    """

    def __init__(self) -> None:
        self.empty = 0
        self._places: Dict[Key, Place] = {}
        self._era = 0

    def turn(self) -> None:
        """An event of the connection's life is queued: what comes from now on waits behind it."""
        self._era += 1

    def put(self, registration: Registration, event: Event) -> Optional[Place]:
        """Let an event wait; its place, if that is a new one, which belongs at the end of the queue."""
        key = (registration, type(event), tuple([getattr(event, name) for name in event.latest_by]))
        waiting = self._places.get(key)
        if waiting is not None and waiting.era == self._era:
            waiting.event = event
            return None
        if waiting is not None:
            waiting.event = None
            self.empty += 1
        place = self._places[key] = Place(registration, key, event, self._era)
        return place

    def take(self, place: Place) -> Optional[Event]:
        """The event of a place whose turn has come; None if it is empty."""
        event, place.event = place.event, None
        if event is None:
            self.empty -= 1
        else:
            del self._places[place.key]
        return event

    def cleared(self, queue: Deque[Waiting], in_hand: int) -> Deque[Waiting]:
        """The queue, without its empty places if they have become many; so many were taken out of it already."""
        if self.empty - in_hand <= max(_MANY, len(queue) // 2):
            return queue
        kept = deque(waiting for waiting in queue if not isinstance(waiting, Place) or waiting.event is not None)
        self.empty -= len(queue) - len(kept)
        return kept

    def clear(self) -> None:
        """Forget all."""
        self._places.clear()
        self.empty = 0
