"""RichamsterProtocol: Richamster's stream on one connection.

Answers to subscriptions have no id, so subscriptions go out one at a time. Data messages carry neither channel nor type, so
they are told apart by their keys. Source: https://richamster.com/api/v1/docs/websockets/, read 2026-11.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Optional, Set, Tuple

import msgspec
from msgspec import UNSET

from xchws.credentials import Secrets
from xchws.errors import ExchangeError, SubscriptionRejected, XchwsError
from xchws.events import Failure, Other
from xchws.exchanges.richamster.models import (
    NAME,
    ORDER_BOOK,
    TICKER,
    TRADING,
    USER_ORDERS,
    Wire,
    amounts_are_finite,
    level_event,
    order_event,
    ticker_event,
    trade_event,
)
from xchws.sansio.actions import Accepted, Fetch, Output, Ready, Refused, Send, Topic, Unanswered
from xchws.sansio.protocol import UNREADABLE, Protocol

TOKEN = "token"  # the job that gets one  # no secret, a name

_REPLY = 10.0  # seconds for the answer to a subscription
_TOKEN_WAIT = 30.0  # seconds for the user's function that returns a token
_RETRY_FIRST, _RETRY_LAST = 5.0, 60.0  # seconds between tries to get a token
_DOUBLINGS = 8  # of that time; more change nothing

_decode = msgspec.json.Decoder(Wire).decode
_decode_loosely = msgspec.json.Decoder(Wire, strict=False).decode

Asking = Tuple[str, str, bool]
"""What makes two subscriptions the same to the exchange: the channel's name on the wire, the pair, and whether own orders are
meant; the token may be another one each time."""

_CHANNEL_SAID = re.compile(r'channel\W+"([^"]*)"')
_PAIR_SAID = re.compile(r'pair\W+"([^"]*)"')


class RichamsterProtocol(Protocol):
    """Richamster's stream on one connection.

    Args:
        token: what subscribes own orders: a text; None if a job must get it first, or if there is none.
        fetches: whether a job gets the token.
        wire_channels: channel -> the name to send for it, where it differs.
    """

    exchange = NAME

    def __init__(self, token: Optional[str], fetches: bool, wire_channels: Mapping[str, str], secrets: Secrets) -> None:
        super().__init__(secrets)
        self._token = token
        self._fetches = fetches
        self._wire_channels = wire_channels
        self._queue: Deque[Topic] = deque()
        self._later: Dict[Topic, float] = {}  # a token could not be had: when to try again
        self._token_tries = 0
        self._asked: Optional[Topic] = None  # the one that is being subscribed
        self._answer_by = 0.0
        self._begun = False  # and whose data come already
        self._fetching = False
        self._sent: Set[Topic] = set()  # what the exchange has been asked for on this connection, and has not refused
        self._joined: Set[Asking] = set()  # what it has said yes to: that is not asked for twice on one connection
        self._muted: Set[Topic] = set()  # unsubscribed, but the exchange knows no way to be told
        self._trading_has_pk = False

    # -------------------------------------------------------------------------------------------------- subscriptions

    def opened(self, now: float) -> List[Output]:
        return [Ready()]

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        self._muted.discard(topic)
        if self._asking(topic) in self._joined:
            return [self._served(topic)]
        if topic != self._asked:  # else it has been asked already, and its answer is still to come
            self._queue.append(topic)
        return self._next(now)

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        self._later.pop(topic, None)
        if topic in self._queue:
            self._queue.remove(topic)
        self._muted.add(topic)
        return []

    def _served(self, topic: Topic) -> Accepted:
        """It comes already: it was unsubscribed, which the exchange cannot be told, or another channel is called the same."""
        self._sent.add(topic)
        return Accepted(topic)

    def _next(self, now: float) -> List[Output]:
        outputs: List[Output] = []
        while self._asked is None and self._queue:
            topic = self._queue.popleft()
            if self._asking(topic) in self._joined:
                outputs.append(self._served(topic))
                continue
            self._asked = topic
            if topic.channel == USER_ORDERS and self._fetches:
                self._fetching = True
                self._answer_by = now + _TOKEN_WAIT
                outputs.append(Fetch(TOKEN))
            else:
                outputs.append(self._ask(topic, self._token if topic.channel == USER_ORDERS else None, now))
        return outputs

    def _ask(self, topic: Topic, token: Optional[str], now: float) -> Send:
        self._answer_by = now + _REPLY
        self._begun = False
        self._sent.add(topic)
        message = {"channel": self._wire_channel(topic), "pair": topic.parameters[0]}
        if token is not None:
            message["token"] = token
        return Send(msgspec.json.encode(message))

    def _wire_channel(self, topic: Topic) -> str:
        return self._wire_channels.get(topic.channel, topic.channel)

    def _asking(self, topic: Topic) -> Asking:
        return self._wire_channel(topic), str(topic.parameters[0]), topic.channel == USER_ORDERS

    def fetched(self, job: str, result: Any, now: float) -> List[Output]:
        topic = self._asked
        if not self._fetching or topic is None:
            return []  # it came too late: the subscription has been given up
        self._fetching = False
        if topic in self._muted:
            self._asked = None
            return self._next(now)
        if isinstance(result, XchwsError):
            self._asked = None
            if not result.retryable:
                error = SubscriptionRejected(f"{NAME}: no token for {topic.name!r}: {result}", exchange=NAME)
                return [Refused(topic, error), *self._next(now)]
            self._later[topic] = now + min(_RETRY_LAST, _RETRY_FIRST * 2.0**self._token_tries)
            self._token_tries = min(self._token_tries + 1, _DOUBLINGS)
            return [Failure(error=result, exchange=NAME), *self._next(now)]
        self._token_tries = 0
        return [self._ask(topic, result, now)]

    def deadline(self) -> Optional[float]:
        times = list(self._later.values())
        if self._asked is not None:
            times.append(self._answer_by)
        return min(times) if times else None

    def wake(self, now: float) -> List[Output]:
        for late in [late for late, due in self._later.items() if now >= due]:
            del self._later[late]
            self._queue.append(late)
        topic = self._asked
        if topic is None or now < self._answer_by:
            return self._next(now)
        self._asked = None
        if self._fetching:
            self._fetching = False
            text = f"{NAME}: the token function did not return within {_TOKEN_WAIT:g} s, for {topic.name!r}"
            return [Refused(topic, SubscriptionRejected(text, exchange=NAME)), *self._next(now)]
        if topic in self._muted or self._begun:
            return self._next(now)
        # Should the session give it up instead of the connection, the others must have their turn.
        return [Unanswered(topic), *self._next(now)]

    # -------------------------------------------------------------------------------------------------------- messages

    def received(self, text: bytes, now: float) -> List[Output]:
        outputs: List[Output] = [self.message(text)] if self.verbatim else []
        try:
            wire = _decode(text)
        except UNREADABLE:
            try:
                wire = _decode_loosely(text)
            except UNREADABLE as error:
                return [*outputs, self.unreadable(text, f"a message that cannot be understood ({error})")]
        if wire.type in ("success", "error"):
            words = wire.message if isinstance(wire.message, str) else text.decode("utf-8", "replace")
            return outputs + self._answered(wire.type == "success", words, text, now)
        try:
            return outputs + self._data(wire, text)
        except ValueError as error:
            return [*outputs, self.unreadable(text, str(error))]

    def _answered(self, success: bool, words: str, text: bytes, now: float) -> List[Output]:
        topic = self._asked
        said = self.secrets.excerpt(words)
        if topic is None or self._fetching:
            if success:
                return [Other(kind="success", wire=text, exchange=NAME)]  # the answer to one that has been given up
            return [Failure(error=ExchangeError(f"{NAME}: {said}", message=said, exchange=NAME), exchange=NAME)]
        if success and not self._names(words, topic):
            return [self.unreadable(text, f"an answer to another subscription than {topic.name!r}")]
        self._asked = None
        if success:
            self._joined.add(self._asking(topic))
        else:
            self._sent.discard(topic)
            self._joined.discard(self._asking(topic))
        if topic in self._muted:
            return self._next(now)
        if success:
            return [Accepted(topic), *self._next(now)]
        error = SubscriptionRejected(f"{NAME}: {topic.name!r} is refused: {said}", message=said, exchange=NAME)
        return [Refused(topic, error), *self._next(now)]

    def _names(self, words: str, topic: Topic) -> bool:
        """Whether a success message is about this subscription, as far as it can be read."""
        channel, pair = _CHANNEL_SAID.search(words), _PAIR_SAID.search(words)
        return (channel is None or channel.group(1) in (topic.channel, self._wire_channel(topic))) and (
            pair is None or pair.group(1) == topic.parameters[0]
        )

    def _data(self, wire: Wire, text: bytes) -> List[Output]:
        if not amounts_are_finite(wire):
            return [self.unreadable(text, "an amount that is no number")]
        if wire.last is not UNSET or wire.last_price is not UNSET or _has_range(wire):
            return self._unless_muted(TICKER, wire, ticker_event(wire, text))
        if wire.unit_price is None:
            return [Other(kind="unknown", wire=text, symbol=wire.pair, exchange=NAME)]
        if wire.created_at is UNSET and wire.closed_at is UNSET:
            return self._unless_muted(ORDER_BOOK, wire, level_event(wire, text))
        if wire.pk is None:
            return self._unless_muted(TRADING, wire, trade_event(wire, text))
        return self._with_pk(wire, text)

    def _with_pk(self, wire: Wire, text: bytes) -> List[Output]:
        """By the page only own orders have `pk`, but REST's public history has it too: never call a stranger's order own."""
        own, public = self._may_mean(USER_ORDERS, wire.pair), self._may_mean(TRADING, wire.pair)
        if public and not own:
            self._trading_has_pk = True
            return self._unless_muted(TRADING, wire, trade_event(wire, text))
        if own and not (public and self._trading_has_pk):
            return self._unless_muted(USER_ORDERS, wire, order_event(wire, text))
        if {Topic(USER_ORDERS, (wire.pair,)), Topic(TRADING, (wire.pair,))} <= self._muted:
            return []
        return [Other(kind="trading or user_orders", wire=text, symbol=wire.pair, exchange=NAME)]

    def _may_mean(self, channel: str, pair: str) -> bool:
        """Whether a message of this pair may come of a subscription to this channel: to one of that pair, or, where it is of
        none that was asked for (left out, or spelt in another way), to any."""
        known = any(topic.parameters[0] == pair for topic in self._sent)
        return any(topic.channel == channel and (not known or topic.parameters[0] == pair) for topic in self._sent)

    def _unless_muted(self, channel: str, wire: Wire, event: Output) -> List[Output]:
        topic = Topic(channel, (wire.pair,))
        if topic in self._muted:
            return []
        if topic != self._asked or self._fetching or self._begun:
            return [event]
        # The answer is late, but what comes shows that the subscription stands: a Gap must be told before this event.
        self._begun = True
        self._joined.add(self._asking(topic))
        return [Accepted(topic), event]


def _has_range(wire: Wire) -> bool:
    high = wire.high if wire.high is not None else wire.high_price
    low = wire.low if wire.low is not None else wire.low_price
    return high is not None and low is not None
