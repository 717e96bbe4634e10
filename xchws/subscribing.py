"""Subscribing: the subscriptions of one client, as its users see them.

What became of each is said by the owner thread, and awaited by any other. The two share no lock, for the reason that
runtime/bell.py gives.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from xchws.durations import checked_timeout
from xchws.errors import StateError, WaitTimeout, XchwsError
from xchws.runtime.bell import Bell, Latch
from xchws.runtime.loop import Command
from xchws.sansio.actions import Effect, Settled, Topic
from xchws.sansio.session import Session
from xchws.waiting import Guard


class Subscription:
    """A wanted subscription: remembered, and sent again after every reconnect.

    Attributes:
        name: for people and for `Gap.channels`, such as `ticker BTC/UAH`.
        topic: what the protocol knows it by.
        asked: whether the owner thread has begun with it; what it hears of the topic before is of an earlier one.
    """

    def __init__(self, topic: Topic, guard: Guard, end: Callable[[Subscription], None]) -> None:
        self.topic = topic
        self._guard = guard
        self._end = end
        self._bell = Bell()
        self.asked = False
        self._alive = "pending"  # what it is as long as it has no end
        self._over: Latch[Tuple[str, Optional[XchwsError]]] = Latch(self._bell)

    @property
    def name(self) -> str:
        """For people: `ticker BTC/UAH`."""
        return self.topic.name

    @property
    def state(self) -> str:
        """ "pending", "active", "refused" or "ended"."""
        return self._over.value[0] if self._over.given else self._alive

    @property
    def is_wanted(self) -> bool:
        """Whether it is pending or active."""
        return not self._over.given

    @property
    def active(self) -> bool:
        """Whether the exchange has accepted it on the connection that stands."""
        return self.state == "active"

    def wait(self, timeout: Optional[float]) -> Subscription:
        """Wait until it is active, at most `timeout` seconds (None: without end); returns itself.

        Raises:
            SubscriptionRejected: the exchange refuses it.
            WaitTimeout: it was neither accepted nor refused in time; it goes on.
            ConfigurationError: the timeout is no number of seconds.
            StateError: it was unsubscribed, the client was stopped, or this is the owner thread or a forked child.
            XchwsError: the client ended with this error.
        """
        checked_timeout(timeout)
        if self.state == "pending":
            self._guard("wait for a subscription")
            if not self._bell.wait_for(lambda: self.state != "pending", timeout):
                raise WaitTimeout(f"the subscription {self.name!r} was not answered within {timeout:g} s")
        if self._over.given:
            error = self._over.value[1] or StateError(f"the subscription {self.name!r} has ended")
            raise error.with_traceback(None)  # each who waits raises it: their places would pile up
        return self

    def unsubscribe(self) -> None:
        """Want it no more. Legal at any time and from any thread; once more does nothing."""
        self.settle("ended", None)
        self._end(self)

    def settle(self, state: str, error: Optional[XchwsError]) -> None:
        """What became of it. Ended or refused is for good; the rest is said by the owner thread only."""
        if state in ("pending", "active"):
            self._alive = state
            self._bell.ring()
        else:
            self._over.give((state, error))

    def __repr__(self) -> str:
        return f"<Subscription {self.name!r} {self.state}>"


class Subscriptions:
    """The subscriptions of one client, by topic.

    They are put in and taken out one at a time, which is atomic: the lock is between threads of the user's, and ours never
    take it.

    Args:
        exchange: its name, for errors.
        session: knows what the exchange has said of each.
        post: has the owner thread do something.
        guard: raises where waiting is not possible; check_process: raises in a forked child.
        ended: the client's end.
        begin: on the owner thread, before a new one is asked for.
    """

    def __init__(
        self,
        exchange: str,
        session: Session,
        post: Callable[[Command], None],
        guard: Guard,
        check_process: Callable[[], None],
        ended: Latch[Optional[XchwsError]],
        begin: Callable[[Topic], None],
    ) -> None:
        self._exchange = exchange
        self._session = session
        self._post = post
        self._guard = guard
        self._check_process = check_process
        self._ended = ended
        self._begin = begin
        self._lock = threading.RLock()
        self._known: Dict[Topic, Subscription] = {}

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._known.values()))

    def find(self, topic: Topic) -> Optional[Subscription]:
        """The subscription of this topic, if there is one."""
        return self._known.get(topic)

    def subscribe(self, topic: Topic) -> Subscription:
        """The subscription of this topic: a new one, or the one that there is.

        Raises:
            StateError: the client has been stopped.
        """
        with self._lock:
            if self._ended.given:
                raise StateError(f"{self._exchange}: stopped; make a new client to subscribe {topic.name!r}")
            subscription = self._known.get(topic)
            if subscription is None or not subscription.is_wanted:
                subscription = self._known[topic] = Subscription(topic, self._guard, self._unsubscribe)
            # One that waits is posted once more: Ctrl-C may have come between the line above and this one.
            if not subscription.active:
                self._post_subscribe(subscription)
        self._end_if_over(subscription)
        return subscription

    def _end_if_over(self, subscription: Subscription) -> None:
        """Where the client's end came while this was put in place, it may not have been seen."""
        if self._ended.given:
            subscription.settle("ended", self._ended.value)

    def _post_subscribe(self, subscription: Subscription) -> None:
        topic = subscription.topic

        def subscribe(now: float) -> List[Effect]:
            if not subscription.is_wanted:
                return []
            if not subscription.asked:
                subscription.asked = True
                self._begin(topic)
            want = self._session.wanted.get(topic)
            if want is not None:
                subscription.settle(want.state, None)  # one that was asked for twice may have missed it
            return self._session.subscribe(topic, now)

        self._post(subscribe)

    def _unsubscribe(self, subscription: Subscription) -> None:
        self._check_process()
        topic = subscription.topic
        with self._lock:
            if self._known.get(topic) is subscription:
                self._post(lambda now: self._session.unsubscribe(topic, now))
                self._known.pop(topic, None)

    def settle(self, settled: Settled) -> None:
        """On the owner thread: what became of one."""
        subscription = self._known.get(settled.topic)
        if subscription is not None and subscription.asked and settled.state != "ended":
            subscription.settle(settled.state, settled.error)

    def tellings(self, error: Optional[XchwsError]) -> Iterator[Callable[[], None]]:
        """What tells each of them that the client has ended."""
        for subscription in self:
            yield partial(subscription.settle, "ended", error)

    def unlock(self) -> None:
        """In a forked child of a client that has not been started: a thread that is not there may hold the lock."""
        self._lock = threading.RLock()

    def forsake(self, error: XchwsError) -> None:
        """In a forked child: they are the parent's."""
        for subscription in self:
            subscription.settle("ended", error)
