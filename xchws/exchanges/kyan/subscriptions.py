"""Subscriptions: what is subscribed in one session, on one connection: asked for, accepted, refused, to be asked for again.

Source: https://docs.kyan.blue/docs/ws-authentication and /ws-connection, read 2026-11. The replies to subscribe and unsubscribe
are on neither of them: they are taken to be like those to auth.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Set, Tuple

from xchws.credentials import Secrets
from xchws.errors import ConnectionLost, ExchangeError, SubscriptionRejected
from xchws.exchanges.kyan import channels, refusal, wire
from xchws.exchanges.kyan.channels import NAME, SNAPSHOTS
from xchws.exchanges.kyan.desk import Command, Desk
from xchws.exchanges.kyan.session import KyanSession
from xchws.exchanges.kyan.wire import Envelope
from xchws.sansio.actions import Accepted, Close, Interrupted, Missed, Output, Refused, Topic

_AGAIN_FIRST, _AGAIN_LAST = 1.0, 30.0  # seconds between tries of a subscription that met the rate limit


class Subscriptions:
    """The subscriptions on one connection.

    Args:
        session: what is subscribed at the exchange; desk: sends the commands.
        unauthorized: the topics that were refused with "Not Authorized" last time, on whatever connection.
        forget: is told of a topic whose books are of no more use; secrets: what must not be shown.
    """

    def __init__(
        self,
        session: KyanSession,
        desk: Desk,
        unauthorized: Set[Topic],
        forget: Callable[[Topic], None],
        secrets: Secrets,
    ) -> None:
        self._session = session
        self._desk = desk
        self._unauthorized = unauthorized
        self._forget = forget
        self._secrets = secrets
        self._whole = False  # nothing of that is missing
        self._restored: Set[Topic] = set()  # what a recovery brought back and nobody has asked for yet
        self._tidy_at: Optional[float] = None
        self._stale: Set[Topic] = set()  # subscribed at the exchange, to be subscribed anew
        # What met the rate limit: when to try again (None: it is being tried), and the tries so far.
        self._again: Dict[Topic, Tuple[Optional[float], int]] = {}
        self._leave_at: Dict[Topic, float] = {}  # what met the rate limit when it was unsubscribed

    def restored(self, whole: bool, now: float) -> None:
        """A recovery has brought back what was subscribed, and replays what was missed; `whole`: all of it, beyond doubt. If it
        is not, what begins with a snapshot is subscribed anew: a book that lacks one change is wrong."""
        self._whole = whole
        self._restored = set(self._session.topics)
        self._tidy_at = now
        for topic in self._restored:
            if not whole and _begins_with_snapshot(topic):
                self._session.topics[topic] = False
                self._forget(topic)

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        """Subscribe, or take up what a recovery has brought back."""
        if topic in self._restored:
            self._restored.discard(topic)
            accepted = Accepted(topic, recovered=self._whole)
            if self._whole or not _begins_with_snapshot(topic):
                return [accepted]
            self._stale.add(topic)
            return [accepted, Interrupted(topic)]  # what is replayed is told after the Gap, and then comes the snapshot
        if topic in self._stale:
            self._stale.discard(topic)
            self._queue("unsubscribe", topic)
        self._session.topics[topic] = False
        self._queue("subscribe", topic)
        return [*self._desk.due(now)]

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        """Unsubscribe, whatever state the subscription is in."""
        self._again.pop(topic, None)
        brought_back = topic in self._restored or topic in self._stale
        subscribed = self._session.topics.pop(topic, False) or brought_back or self._desk.awaits("subscribe", topic)
        self._restored.discard(topic)
        self._stale.discard(topic)
        self._forget(topic)
        self._desk.withdraw(topic)
        if not subscribed:
            return []
        self._desk.disown(topic)
        self._queue("unsubscribe", topic)
        return [*self._desk.due(now)]

    def _queue(self, verb: str, topic: Topic) -> None:
        self._desk.queue(Command(verb, topic), lambda number: wire.subscription(verb, number, topic))

    def subscribed(self, command: Command, envelope: Envelope, now: float) -> List[Output]:
        """The answer to a subscribe command."""
        topic = command.topic
        if topic is None:
            return []  # unsubscribed meanwhile
        error = envelope.error or ""
        if envelope.says_yes or "already subscribed" in error.lower():
            return self._accept(topic, now)
        said = self._secrets.excerpt(error)
        told = f"{NAME}: {topic.name!r} is refused: {said or 'no reason given'}"
        if error in (refusal.RATELIMITED, refusal.KEY_USAGE_EXCEEDED):
            limited = refusal.passing(error, told)
            _, tries = self._again.get(topic, (None, 0))
            wait = min(_AGAIN_LAST, _AGAIN_FIRST * 2.0**tries) if error == refusal.RATELIMITED else refusal.QUOTA_WAIT
            self._again[topic] = (now + wait, min(tries + 1, 10))
            return [refusal.failure(limited)]
        self._session.topics.pop(topic, None)
        if error == refusal.NOT_AUTHORIZED and topic not in self._unauthorized:
            # By the page the login is missing. If a new one does not help, it is the topic that may not be had.
            self._unauthorized.add(topic)
            return [self.unauthorized()]
        self._unauthorized.discard(topic)
        return [Refused(topic, SubscriptionRejected(told, code=said or None, message=said, exchange=NAME))]

    def unanswered(self, topic: Topic) -> None:
        """There was no answer to a subscribe command: the exchange may have carried it out."""
        self._session.topics.pop(topic, None)
        self._stale.add(topic)

    def _accept(self, topic: Topic, now: float) -> List[Output]:
        self._session.topics[topic] = True
        if channels.gathers(topic):
            self._session.gather(now)
        self._again.pop(topic, None)
        self._unauthorized.discard(topic)
        return [Accepted(topic)]

    def unauthorized(self) -> Close:
        """The exchange no longer knows the login."""
        self._session.token = None
        text = f"{NAME}: the exchange says {refusal.NOT_AUTHORIZED!r}: the login is gone"
        return Close(ConnectionLost(text, reason=refusal.NOT_AUTHORIZED, exchange=NAME))

    def unsubscribed(self, command: Command, envelope: Envelope, now: float) -> List[Output]:
        """The answer to an unsubscribe command."""
        if envelope.says_yes:
            return []
        error, topic = envelope.error or "", command.topic
        said = self._secrets.excerpt(error) or "no reason given"
        text = f"{NAME}: unsubscribing {topic.name if topic is not None else ''!r} is refused: {said}"
        if topic is not None and error in (refusal.RATELIMITED, refusal.KEY_USAGE_EXCEEDED):
            limited = refusal.passing(error, text)
            self._leave_at[topic] = now + (limited.retry_after or 0.0)
            return [refusal.failure(limited)]
        return [refusal.failure(ExchangeError(text, code=said, message=said, exchange=NAME))]

    def implied(self, envelope: Envelope, now: float) -> List[Output]:
        """An event of a subscription whose answer has not come yet: it must have been accepted."""
        echo = envelope.subscription
        if echo is None:
            return []
        waiting = [
            topic
            for topic, accepted in self._session.topics.items()
            if not accepted and topic.channel == echo.channel and channels.matches(topic, envelope.query)
        ]
        return [
            output
            for topic in waiting
            # While it is being unsubscribed first, the event may be the old subscription's.
            if self._desk.awaits("subscribe", topic) and not self._desk.awaits("unsubscribe", topic)
            for output in self._accept(topic, now)
        ]

    def missed(self) -> List[Output]:
        """Messages are missing, of which it is said at once; what begins with a snapshot is subscribed anew."""
        active = [
            topic
            for topic, accepted in self._session.topics.items()
            if accepted or self._desk.awaits("subscribe", topic)  # its snapshot may be what is missing
        ]
        mended = [topic for topic in active if _begins_with_snapshot(topic)]
        live = tuple(topic.name for topic in active if self._session.topics[topic])
        outputs: List[Output] = [Missed(live)] if live else []
        for topic in mended:
            outputs += self._renew(topic)
        return outputs

    def _renew(self, topic: Topic) -> List[Output]:
        """Have it asked for once more; then it is unsubscribed first, for a snapshot."""
        self._session.topics[topic] = False
        self._forget(topic)
        self._restored.discard(topic)
        self._desk.disown(topic)
        self._stale.add(topic)
        return [Interrupted(topic)]

    def deadline(self) -> Optional[float]:
        """When `wake` has something to do."""
        times = [*(due for due, _ in self._again.values() if due is not None), *self._leave_at.values()]
        if self._tidy_at is not None:
            times.append(self._tidy_at)
        return min(times) if times else None

    def wake(self, now: float) -> List[Output]:
        """Try again what met the rate limit, and tidy up after a recovery."""
        outputs: List[Output] = []
        if self._tidy_at is not None and now >= self._tidy_at:
            # Recovered, but unsubscribed while there was no connection.
            self._tidy_at = None
            for topic in list(self._restored):
                outputs += self.unsubscribe(topic, now)
        for topic in [topic for topic, due in self._leave_at.items() if now >= due]:
            del self._leave_at[topic]
            if topic not in self._session.topics:
                self._queue("unsubscribe", topic)
            elif _begins_with_snapshot(topic):
                outputs += self._renew(topic)  # it was to be left for a snapshot, and none has come
        for topic, (due, tries) in self._again.items():
            if due is not None and now >= due:
                self._again[topic] = (None, tries)
                self._queue("subscribe", topic)
        return outputs


def _begins_with_snapshot(topic: Topic) -> bool:
    return topic.channel in SNAPSHOTS and not channels.value_of(topic, "skip_snapshot")
