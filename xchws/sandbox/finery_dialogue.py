"""One connection to the simulated Finery Markets: binds, requests and pings in, arrays and answers out.

Page https://faq.finerymarkets.com/api-reference/websocket-api (read 2026-11); the form of answers to requests is
that which third-party clients read. What the vendor does with messages that are none, with the JSON ping and with
a login on a connection whose handshake was signed, and the close code of an idle connection, are guesses.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence

from .finery_accounts import FineryAccount
from .finery_book import FineryRefusal
from .finery_content import INVALID, Content
from .finery_feeds import Binding, bind, binding_key, snapshot
from .finery_requests import FineryRequest
from .finery_walk import FineryWalk
from .jsontext import read, write
from .record import REMARK, Received, Record
from .session import Dialogue, Session

ALREADY_AUTHORISED, BOUND_ALREADY, NOT_BOUND = 4, 100, 101
# What no client should ever be refused for; the other codes tell how the market stands.
MISTAKES = (3, 8, 9, 34, 70, 71, 72, 73, 81, 82, 83, 91, 100, 101, 102, 103, 110, 111)
IDLE = 1001


class FrameTimes(Record):
    """A record that knows when a connection was last heard of, by frames that *counts* lets count."""

    def __init__(self, history: Optional[int], counts: Callable[[Received], bool]) -> None:
        super().__init__(history)
        self._counts = counts
        self._heard: Dict[int, float] = {}
        self._times_lock = threading.Lock()

    def add(self, received: Received) -> None:
        if received.session is not None and self._counts(received):
            with self._times_lock:
                self._heard[received.session] = time.monotonic()
        super().add(received)

    def heard_at(self, connection: int) -> float:
        """When it was last heard of, by the monotonic clock; the first question counts as hearing of it."""
        with self._times_lock:
            return self._heard.setdefault(connection, time.monotonic())

    def forget(self, connection: int) -> None:
        """It is over."""
        with self._times_lock:
            self._heard.pop(connection, None)


class PlannedRefusal(FineryRefusal):
    """A refusal that the test asked for, which is nobody's mistake."""


class FineryServer(Protocol):
    """What a connection asks of its exchange. Durations in seconds."""

    idle_timeout: float
    missing_code: int
    times: FrameTimes

    @property
    def market(self) -> FineryWalk: ...
    @property
    def backend_code(self) -> int: ...
    @property
    def reply_delay(self) -> float: ...
    def wrapped(self, code: int) -> Any: ...
    def planned_rejection(self, kind: str) -> Optional[FineryRefusal]: ...
    def reply(self, session: Session, kind: str, text: str) -> None: ...
    def reply_at_once(self, session: Session, kind: str, text: str) -> None: ...


class FineryDialogue(Dialogue):
    """A connection of *account*."""

    def __init__(self, session: Session, server: FineryServer, account: FineryAccount) -> None:
        self.account = account
        self._session = session
        self._server = server
        self._bindings: Dict[str, Binding] = {}  # guarded by the market lock

    def opened(self) -> None:
        with self._server.market.market_lock:
            self.tell_status()
        self._watch()

    def ended(self) -> None:
        self._server.times.forget(self._session.number)
        self._server.market.cancel_connection(self._session.number)

    def message(self, text: str, binary: bool) -> None:
        try:
            message = None if binary else read(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._session.complain("a message that is no JSON object in text")
            return
        event = message.get("event")
        if event in ("bind", "unbind"):
            act = self._bind if event == "bind" else self._unbind
            if self._server.reply_delay > 0:
                # Not the answer alone: a snapshot is never older than the updates before it.
                self._session.call_later(self._server.reply_delay, lambda: act(message))
            else:
                act(message)
        elif event == "request":
            self._request(message)
        elif event == "auth":
            self._session.complain(f"{REMARK}a login, though the handshake was signed")
            self._server.reply(self._session, "auth", write({"event": "auth", "error": ALREADY_AUTHORISED}))
        elif event == "ping":
            pass  # not on the vendor's page, but used in the field; nothing seems to come back
        else:
            self._session.complain("no event" if "event" not in message else f"the unknown event {event!r}")

    def subscriptions(self) -> List[str]:
        with self._server.market.market_lock:
            return [f"{each.feed} {each.feed_id}" if each.feed_id else each.feed for each in self._bindings.values()]

    # What the exchange does to the connection; the market lock must be held.

    def tell_status(self) -> None:
        """Say whether the backend is connected."""
        self._session.send_text(write(["X", 0, "Z", self._server.wrapped(self._server.backend_code)]))

    def bindings(
        self, feed: str, targets: Sequence[str] = (), account: Optional[FineryAccount] = None
    ) -> List[Binding]:
        """The bindings that an event of this feed about these instruments or currencies belongs to."""
        if account is not None and account is not self.account:
            return []
        return [binding for binding in self._bindings.values() if binding.wants(feed, targets)]

    def is_bound(self, feed: str, target: Optional[str] = None) -> bool:
        """Whether it is bound to a feed, of an instrument or currency if one is given."""
        return any(binding.feed == feed and target in (None, binding.target) for binding in self._bindings.values())

    def unbind_all(self) -> None:
        """Forget all bindings without a word."""
        self._bindings.clear()

    def snapshot_all(self) -> None:
        """Send all snapshots again."""
        for binding in self._bindings.values():
            self._session.send_text(self._snapshot(binding))

    # Commands.

    def _bind(self, message: Dict[str, Any]) -> None:
        feed, feed_id = message.get("feed"), message.get("feedId")
        with self._server.market.market_lock:
            try:
                self._check_backend("bind")
                binding = bind(feed, feed_id, self.account)
                if binding_key(feed, feed_id) in self._bindings:
                    raise FineryRefusal(BOUND_ALREADY)
            except FineryRefusal as refusal:
                self._refuse_binding("bind", message, refusal)
                return
            self._bindings[binding_key(feed, feed_id)] = binding
            self._server.reply_at_once(self._session, "bind", self._snapshot(binding))

    def _unbind(self, message: Dict[str, Any]) -> None:
        feed, feed_id = message.get("feed"), message.get("feedId")
        with self._server.market.market_lock:
            try:
                self._check_backend("unbind")
                key = self._bound(feed, feed_id)
                if key is None:
                    bind(feed, feed_id, self.account)  # 102 and 103 come before 101
                    raise FineryRefusal(NOT_BOUND)
            except FineryRefusal as refusal:
                self._refuse_binding("unbind", message, refusal)
                return
            binding = self._bindings.pop(key)
            self._server.reply_at_once(self._session, "unbind", write([feed, binding.feed_id, "U", 0]))

    def _bound(self, feed: object, feed_id: object) -> Optional[str]:
        key = binding_key(feed, feed_id)
        if key in self._bindings:
            return key
        if feed in ("K", "S") and feed_id is None:
            # Their pages show an unbind without feedId after a bind with one.
            of_feed = [key for key, binding in self._bindings.items() if binding.feed == feed]
            return of_feed[0] if len(of_feed) == 1 else None
        return None

    def _request(self, message: Dict[str, Any]) -> None:
        method = message.get("method")
        head = {name: message[name] for name in ("event", "reqId") if name in message}
        if not isinstance(message.get("reqId"), int):
            self._session.complain(f"a request with the reqId {message.get('reqId')!r}")
        kind = method if isinstance(method, str) else "request"
        with self._server.market.market_lock:
            try:
                self._check_backend(kind)
                body = {"reply": self._requested(message).answer(method)}
            except FineryRefusal as refusal:
                self._complain(refusal, f"{method!r}")
                body = {"error": refusal.code, **({"param": refusal.param} if refusal.param else {}), **refusal.more}
            self._server.reply(self._session, kind, write({**head, **body}))

    def _requested(self, message: Dict[str, Any]) -> FineryRequest:
        content = message.get("content")
        if content is None:
            raise FineryRefusal(self._server.missing_code, "content")
        if not isinstance(content, dict):
            raise FineryRefusal(INVALID, "content")
        return FineryRequest(
            self._server.market,
            self.account,
            Content(content, self._server.missing_code),
            self._session.number,
            lambda text: self._session.complain(REMARK + text),
        )

    def _check_backend(self, kind: str) -> None:
        planned = self._server.planned_rejection(kind)
        if planned is not None:
            raise planned
        if self._server.backend_code:
            raise FineryRefusal(self._server.backend_code)

    def _refuse_binding(self, event: str, message: Dict[str, Any], refusal: FineryRefusal) -> None:
        self._complain(refusal, f"{event} of {message.get('feed')!r}, {message.get('feedId')!r}")
        array = [message.get("feed", 0), message.get("feedId", 0), "Z", self._server.wrapped(refusal.code)]
        self._server.reply_at_once(self._session, event, write(array))

    def _complain(self, refusal: FineryRefusal, what: str) -> None:
        if refusal.code in MISTAKES and not isinstance(refusal, PlannedRefusal):
            self._session.complain(f"{what}: {refusal}")

    def _snapshot(self, binding: Binding) -> str:
        data = snapshot(self._server.market, binding, self.account)
        return write([binding.feed, binding.feed_id, "S", data])

    def _watch(self) -> None:
        heard = self._server.times.heard_at(self._session.number)
        left = heard + self._server.idle_timeout - time.monotonic()
        if left > 0:
            self._session.call_later(left, self._watch)
        else:
            self._session.complain("idle: no frame that counts in time")
            self._session.close(IDLE, "idle")
