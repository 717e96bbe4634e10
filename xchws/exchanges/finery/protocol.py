"""FineryProtocol: Finery Markets' stream on one connection.

The script: the handshake has logged in; the exchange says whether it is connected to its own back end, and that is the sign to
bind feeds. A snapshot answers a bind, then come updates. There are no sequence numbers: what is known of a book is whether the
next update fits it.

Source: https://faq.finerymarkets.com/api-reference/websocket-api and its pages on the feeds, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import msgspec

from xchws.credentials import Secrets
from xchws.errors import ProtocolError
from xchws.events import Failure, Order, Other
from xchws.exchanges.finery import codes, feeds, reading, wire
from xchws.exchanges.finery.asking import Asking
from xchws.exchanges.finery.binding import BIND, UNBIND, Binding
from xchws.exchanges.finery.bindings import Bindings
from xchws.exchanges.finery.book import Book, OutOfStep
from xchws.exchanges.finery.errors import NAME, Malformed
from xchws.exchanges.finery.models import Fill
from xchws.sansio import frames
from xchws.sansio.actions import (
    Accepted,
    Interrupted,
    Output,
    Ready,
    Refused,
    Resume,
    Send,
    Suspend,
    Topic,
)
from xchws.sansio.fills import FillMemory
from xchws.sansio.protocol import UNREADABLE, Protocol

# Whatever is received: the exchange ends a connection that is idle for 80 s and does not say what it takes for idle.
_PING_EVERY = 25.0  # seconds
_PING = b'{"event":"ping"}'  # a third party's client sends it; documented nowhere

_frame = msgspec.json.Decoder(wire.Frame).decode
_fields = msgspec.json.Decoder(Dict[str, msgspec.Raw]).decode
_plain = msgspec.json.Decoder().decode


class FineryProtocol(Protocol):
    """Finery Markets' stream on one connection.

    Args:
        fills: the executions told on this connection and those before.
        json_ping: whether to send `{"event":"ping"}` beside the ping frames.
    """

    exchange = NAME

    def __init__(self, fills: FillMemory, json_ping: bool, secrets: Secrets) -> None:
        super().__init__(secrets)
        self._fills = fills.view()
        self._json_ping = json_ping
        self._asking = Asking(secrets, self.unreadable)
        self._is_ready = False
        self._is_suspended = False
        self._bindings = Bindings()
        self._ping_at: Optional[float] = None

    # -------------------------------------------------------------------------------------------------- life and time

    def opened(self, now: float) -> List[Output]:
        self._ping_at = now + _PING_EVERY
        return []

    def deadline(self) -> Optional[float]:
        times = [time for time in (self._ping_at, self._bindings.deadline()) if time is not None]
        return min(times) if times else None

    def wake(self, now: float) -> List[Output]:
        outputs: List[Output] = []
        if self._ping_at is not None and now >= self._ping_at:
            self._ping_at = now + _PING_EVERY
            outputs.append(Send(b"", frames.PING))
            if self._json_ping:
                outputs.append(Send(_PING))
        return outputs + self._bindings.wake(now)

    def ended(self) -> List[Output]:
        early = [output for binding in self._bindings for output in self._replayed(binding)]
        return [*early, *self._asking.ended()]

    def request(self, ticket: int, request: Any, now: float) -> List[Output]:
        return self._asking.ask(ticket, request, now)

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        return self._bindings.subscribe(topic, now)

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        return self._bindings.unsubscribe(topic, now)

    # -------------------------------------------------------------------------------------------------------- messages

    def received(self, text: bytes, now: float) -> List[Output]:
        outputs: List[Output] = [self.message(text)] if self.verbatim else []
        try:
            frame = _frame(text)
        except UNREADABLE:
            return outputs + self._no_frame(text, now)
        try:
            return outputs + self._framed(frame, text, now)
        except UNREADABLE as error:  # what is inside has been skipped so far
            return [*outputs, self.unreadable(text, f"a message that cannot be understood ({error})")]

    def _no_frame(self, text: bytes, now: float) -> List[Output]:
        try:
            fields = _fields(text)
            event = _plain(fields["event"]) if "event" in fields else "request"
        except UNREADABLE:
            return [self._stray(text)]
        if event == "request" and ("reqId" in fields or "reply" in fields or "error" in fields):
            return self._asking.told(fields, text, now)
        if event == "pong" or (event == "ping" and self._json_ping):
            return []  # what the answer to a ping looks like is not documented; that it came is all it says
        return [Other(kind=event if isinstance(event, str) else "unknown", wire=text, exchange=NAME)]

    def _stray(self, text: bytes) -> Output:
        """Neither a feed's message nor an object."""
        try:
            said = _plain(text)
        except UNREADABLE as error:
            return self.unreadable(text, f"a message that cannot be understood ({error})")
        kind = said[0] if isinstance(said, list) and said else None
        if isinstance(kind, str) and kind not in feeds.LETTERS and kind != feeds.STATUS:
            return Other(kind=kind, wire=text, exchange=NAME)
        return self.unreadable(text, "a message that is no feed's")

    def _framed(self, frame: wire.Frame, text: bytes, now: float) -> List[Output]:
        feed, action = frame.feed, frame.action
        if feed == feeds.STATUS:
            return self._status(frame, text)
        if feed not in feeds.LETTERS:
            return [Other(kind=feed, wire=text, exchange=NAME)]
        echo = feeds.echo_of(frame.feed_id)
        binding = self._bindings.find(feed, echo, action)
        if action == "Z":
            return self._failed(binding, frame, text, now)
        if action == "U":
            return self._bindings.unbound(binding, self._other(frame, text), now)
        if binding is not None and action == "S" and binding.head == BIND and (binding.lost or not binding.wanted):
            binding.answered()  # too late: it is not wanted any more, or will be bound again
            return []
        if binding is not None and not binding.wanted:
            # It is still on its way; or the exchange has kept it bound while it was without its back end.
            if binding.lost and not self._is_suspended:
                self._bindings.stray(binding, now)
            return []
        if feed in feeds.BOOKS:
            return self._book_told(binding, frame, echo, text, now)
        if binding is None or binding.live:
            return self._told(frame, text)
        # The combined feed's updates come under the letters of its parts, a third party's client says.
        answers = action == "S" or feed in feeds.LENIENT or binding.feed == feeds.COMBINED
        if binding.head == BIND and answers:
            binding.accept()
            accepted = Accepted(binding.topic, recovered=binding.recovers)
            return [accepted, *self._replayed(binding), *self._told(frame, text)]
        # A snapshot that answers nothing is followed by one that does, which tells again what most feeds' updates have told.
        if action != "S" and not binding.recovers:
            binding.early.append((frame, text))
        return []

    def _replayed(self, binding: Binding) -> List[Output]:
        """What it told before it was live, now that it is, or will not be any more: such as executions, which are told once."""
        outputs = [output for frame, text in binding.early for output in self._told(frame, text)]
        binding.early.clear()
        return outputs

    def _told(self, frame: wire.Frame, text: bytes) -> List[Output]:
        made = feeds.events_of(frame.feed, frame.action, frame.data, text)
        if made is None:
            return [self._other(frame, text)]
        outputs: List[Output] = []
        for one in made:
            if isinstance(one, Malformed):
                outputs.append(self._malformed(one, text))
            elif not isinstance(one, Fill) or self._fills.is_new(one.id, one.order_id):
                outputs.append(one)
                if isinstance(one, Order):
                    self._asking.order_told(one)
        return outputs

    def _other(self, frame: wire.Frame, text: bytes) -> Other:
        return Other(kind=f"{frame.feed} {frame.action}", wire=text, exchange=NAME)

    def _malformed(self, error: Malformed, text: bytes) -> Failure:
        return self.unreadable(error.text or text, f"something that cannot be understood ({error})")

    # ---------------------------------------------------------------------------------------------------------- status

    def _status(self, frame: wire.Frame, text: bytes) -> List[Output]:
        code = codes.code_of(_plain(frame.data))
        if frame.action != "Z":
            return [self._other(frame, text)]
        if code is None:
            return [self.unreadable(text, "a connection status without a code")]
        if code:
            self._is_suspended = True
            self._bindings.clear()
            return [Suspend(f"{NAME}: the exchange has lost its back end: {codes.words(code)}")]
        outputs: List[Output] = []
        if self._is_suspended:
            self._is_suspended = False
            outputs.append(Resume())
        if not self._is_ready:
            self._is_ready = True
            outputs.append(Ready())
        return outputs

    def _failed(self, binding: Optional[Binding], frame: wire.Frame, text: bytes, now: float) -> List[Output]:
        code = codes.code_of(_plain(frame.data))
        if code is None:
            return [self.unreadable(text, "a failure without a code")]
        if not code:
            return [self._other(frame, text)]
        outputs = self._bindings.failed(binding, frame.feed, code, now)
        if binding is not None and any(isinstance(output, (Accepted, Refused)) for output in outputs):
            outputs += self._replayed(binding)
        return outputs

    # ----------------------------------------------------------------------------------------------------------- books

    def _book_told(
        self, binding: Optional[Binding], frame: wire.Frame, echo: bytes, text: bytes, now: float
    ) -> List[Output]:
        if binding is not None and not binding.live and (binding.head == UNBIND or binding.lost):
            return []  # a new snapshot will come
        if frame.action == "S":
            try:
                shown = reading.sides(frame.data)
                book = Book(shown.bids, shown.asks)
            except (OutOfStep, Malformed) as error:
                return [self.unreadable(text, f"a book that cannot be ({error})")]
            outputs: List[Output] = []
            if binding is not None:
                if not binding.live and binding.head != BIND:
                    return []  # it is to be bound again
                binding.book = book
                if not binding.live:
                    binding.accept()
                    outputs.append(Accepted(binding.topic, recovered=True))
            return [*outputs, feeds.book_event(book, feeds.symbol_of(echo), text)]
        if frame.action != "M":
            return [self._other(frame, text)]
        if binding is None or not binding.live:
            return [self._other(frame, text)]  # an update of a book that has not been told
        try:
            if binding.book is None:
                raise OutOfStep("an update came before a snapshot")
            said = reading.changes(frame.data)
            binding.book.apply(said.bids, said.asks)
        except (OutOfStep, Malformed) as error:
            return self._out_of_step(binding, str(error), text, now)
        return [feeds.book_event(binding.book, feeds.symbol_of(echo), text)]

    def _out_of_step(self, binding: Binding, why: str, text: bytes, now: float) -> List[Output]:
        """The book is wrong: take a new snapshot. Interrupted makes the session subscribe again, and tell the gap."""
        binding.book = None
        binding.trouble(now)
        excerpt = self.secrets.excerpt(text)
        told = f"{NAME}: the book {binding.topic.name!r} is out of step: {why}; a new snapshot is taken: {excerpt}"
        error = ProtocolError(told, text=excerpt, exchange=NAME)
        self._bindings.watch(binding)
        return [Failure(error=error, exchange=NAME), binding.send(UNBIND, now), Interrupted(binding.topic)]
