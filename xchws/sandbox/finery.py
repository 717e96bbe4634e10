"""Finery Markets' WebSocket, simulated: the handshake, what is delivered to whom, and misbehaviour on demand.

From the vendor's page https://faq.finerymarkets.com/api-reference/websocket-api and the pages below it (read
2026-11). Where those are silent, each file of the exchange says what it guesses.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ssl
import time
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from .finery_accounts import FineryAccount
from .finery_book import FineryRefusal
from .finery_dialogue import FineryDialogue, FrameTimes, PlannedRefusal
from .finery_walk import FineryWalk
from .jsontext import read, write
from .record import Received
from .server import ExchangeServer
from .session import Dialogue, Refusal, Session

DEMO_KEY = "DEMO-KEY-NOT-REAL-7C2E91B4-FINERY"
DEMO_SECRET = "demo-secret-not-real-d41a6f0b93c8527e"
NOT_AUTHORISED, BAD_NONCE, BAD_TIMESTAMP, AGREEMENT_NOT_SIGNED, BAD_SIGNATURE = 3, 6, 7, 13, 14
MAX_NONCE = 2**64 - 1


class FinerySandbox(FineryWalk, ExchangeServer):
    """An exchange of your own. It begins with empty books; prices and sizes are whole units of 1e-8.

    Args:
        port: 0 takes any free one.
        seed: makes the market's choices repeatable.
        key, secret: of the first account; see ``add_account``.
        ssl_context: serve wss with it.
        idle_timeout: seconds without a client's frame until a connection is closed.
        clock_skew: seconds that a handshake's timestamp may be off.
        nonce_window: seconds within which a nonce may not come again.
        rising_nonce: the older rule: a key's nonce is above all before it.
        ping_frames_count, json_ping_counts: whether ping and pong frames, and ``{"event":"ping"}``, are signs of life.
        wrap_codes: write the code after ``Z`` as a list of one.
        feed_b_incremental: feed B tells changes as F does, not the whole book each time.
        max_connections: one more is refused.
        old_layouts: K with a leading id and short rows, L as arrays of 12, deals of 22 fields.
        history: how many received things, events and deals are kept (None: all).

    Attributes:
        missing_code: the error for a parameter that is missing: 9, or 110.
    """

    path = "/ws"

    def __init__(
        self,
        port: int = 0,
        seed: Optional[int] = None,
        key: str = DEMO_KEY,
        secret: str = DEMO_SECRET,
        ssl_context: Optional[ssl.SSLContext] = None,
        *,
        idle_timeout: float = 80.0,
        clock_skew: float = 120.0,
        nonce_window: float = 120.0,
        rising_nonce: bool = True,
        ping_frames_count: bool = True,
        json_ping_counts: bool = True,
        wrap_codes: bool = False,
        feed_b_incremental: bool = False,
        max_connections: int = 100,
        old_layouts: bool = False,
        history: Optional[int] = None,
    ) -> None:
        FineryWalk.__init__(self, key, secret, seed, history, old_layouts, feed_b_incremental)
        ExchangeServer.__init__(self, port, 0, ssl_context, max_message_size=1 << 20, history=history)
        self.record = self.times = FrameTimes(history, self._is_sign_of_life)
        self.idle_timeout = idle_timeout
        self.clock_skew = clock_skew
        self.nonce_window = nonce_window
        self.rising_nonce = rising_nonce
        self.ping_frames_count = ping_frames_count
        self.json_ping_counts = json_ping_counts
        self.wrap_codes = wrap_codes
        self.max_connections = max_connections
        self.missing_code = 9
        self._admitted: Set[int] = set()
        self._backend_code = 0
        self._rejections: Dict[str, List[PlannedRefusal]] = {}
        self._held: List[Tuple[Session, str, str]] = []
        self._to_hold = 0

    # The handshake.

    def process_request(self, session: Session) -> Optional[Refusal]:
        refusal = super().process_request(session)
        if refusal is not None:
            return refusal
        planned = self.planned_rejection("handshake")
        code = planned.code if planned else self._objection(session)
        if code:
            if planned is None:
                session.complain(f"handshake refused with error {code}")
            return Refusal(400, write({"error": code}), {"Content-Type": "application/json"})
        with self._lock:
            if len(self._admitted) >= self.max_connections:
                session.complain(f"connection {len(self._admitted) + 1} of {self.max_connections}")
                return Refusal(429, "Too Many Requests")  # the page has the limit, not how it shows
            self._admitted.add(session.number)
        return None

    def _objection(self, session: Session) -> int:
        key, sign, content = (session.headers.get(name) for name in ("efx-key", "efx-sign", "efx-content"))
        account = self.find_account(key) if key is not None else None
        if account is None or sign is None or content is None:
            return NOT_AUTHORISED
        signed = _octets(content)
        if not hmac.compare_digest(signature(account.secret, signed).encode(), _octets(sign)):
            return BAD_SIGNATURE
        try:
            members = read(signed)
        except ValueError:
            members = None
        if not isinstance(members, dict):
            members = {}
        timestamp, nonce = _integer(members.get("timestamp")), _integer(members.get("nonce"))
        if timestamp is None or abs(int(time.time() * 1000) - timestamp) > self.clock_skew * 1000:
            return BAD_TIMESTAMP
        with self._lock:
            if nonce is None or not 0 <= nonce <= MAX_NONCE or not self._take_nonce(account, nonce):
                return BAD_NONCE
        if not account.agreed:
            return AGREEMENT_NOT_SIGNED
        return 0 if account.permitted else NOT_AUTHORISED

    def _take_nonce(self, account: FineryAccount, nonce: int) -> bool:
        now = time.monotonic()
        account.nonces = {used: then for used, then in account.nonces.items() if now - then < self.nonce_window}
        if nonce in account.nonces or (self.rising_nonce and nonce <= account.last_nonce):
            return False
        account.nonces[nonce] = now
        account.last_nonce = nonce
        return True

    # Connections.

    def create_dialogue(self, session: Session) -> Dialogue:
        return FineryDialogue(session, self, self.account(session.headers["efx-key"]))

    def session_over(self, session: Session) -> None:
        with self._lock:
            self._admitted.discard(session.number)
        super().session_over(session)

    def too_slow(self, session: Session) -> None:
        session.close(1008, "slow")

    def close(self) -> None:
        self.pause()
        super().close()

    @property
    def market(self) -> FineryWalk:
        """The market of this exchange: itself."""
        return self

    @property
    def backend_code(self) -> int:
        """0 while the backend is connected."""
        return self._backend_code

    @property
    def reply_delay(self) -> float:
        """Seconds that answers take, see ``delay_replies``."""
        return self._reply_delay

    def wrapped(self, code: int) -> Any:
        """The code as it stands after ``Z``."""
        return [code] if self.wrap_codes else code

    def reply(self, session: Session, kind: str, text: str) -> None:
        with self._lock:
            ready = [(session, kind, text)]
            if self._to_hold:
                self._held += ready
                self._to_hold -= 1
                ready = []
                if not self._to_hold:
                    ready, self._held = self._held[::-1], []
        for item in ready:
            super().reply(*item)
        self.record.notify()

    def reply_at_once(self, session: Session, kind: str, text: str) -> None:
        """Send the answer to a bind or unbind, unless it is to be lost."""
        self.record.notify()
        with self._lock:
            for name in (kind, "any"):
                if self._ignored.get(name, 0) > 0:
                    self._ignored[name] -= 1
                    return
        session.send_text(text)

    def deliver_event(
        self, feed: str, action: str, data: Any, targets: Sequence[str], account: Optional[FineryAccount]
    ) -> None:
        if self._backend_code:
            return
        for session in self.sessions:
            for binding in self._dialogue(session).bindings(feed, targets, account):
                self.deliver(session, write([feed, binding.feed_id, action, data]))

    def subscribers(self, feed: str, target: Optional[str] = None, key: Optional[str] = None) -> List[Session]:
        """The live connections bound to a feed: of an instrument or currency (by name), of an account, if given."""
        with self.market_lock:
            return [
                session
                for session in self.sessions
                if self._dialogue(session).is_bound(feed, target)
                if key is None or self._dialogue(session).account.key == key
            ]

    def wait_for_subscriber(
        self, feed: str, target: Optional[str] = None, n: int = 1, timeout: float = 5.0, key: Optional[str] = None
    ) -> Session:
        """Wait until *n* connections are bound; the newest of them.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        found: List[Session] = []

        def enough() -> bool:
            found[:] = self.subscribers(feed, target, key)
            return len(found) >= n

        self.wait_until(enough, timeout)
        return found[-1]

    # Misbehaving, in this exchange's own ways.

    def disconnect_backend(self, code: int = 2, keep_bindings: bool = False) -> None:
        """The service loses its backend: ``["X",0,"Z",code]``, no updates, binds and requests are refused by *code*.

        Whether bindings outlive that is unknown: they do with *keep_bindings*.

        Raises:
            ValueError: code 0 means connected.
        """
        if not code:
            raise ValueError("code 0 means connected")
        with self.market_lock:
            self._backend_code = code
            for dialogue in map(self._dialogue, self.sessions):
                if not keep_bindings:
                    dialogue.unbind_all()
                dialogue.tell_status()

    def reconnect_backend(self) -> None:
        """End ``disconnect_backend()``: ``["X",0,"Z",0]``, and the snapshots of kept bindings."""
        with self.market_lock:
            self._backend_code = 0
            for dialogue in map(self._dialogue, self.sessions):
                dialogue.tell_status()
                dialogue.snapshot_all()

    def reorder_replies(self, count: int = 2) -> None:
        """Hold the answers to the next *count* requests, and send them last one first."""
        with self._lock:
            self._to_hold = count

    def reject_next(self, kind: str, code: int, param: Optional[str] = None, times: int = 1) -> None:
        """Refuse the next ones of this kind: ``handshake``, ``bind``, ``unbind``, or a method (``add``, …)."""
        with self._lock:
            self._rejections.setdefault(kind, []).extend([PlannedRefusal(code, param)] * times)

    def planned_rejection(self, kind: str) -> Optional[FineryRefusal]:
        """The refusal that the next one of this kind is to get."""
        with self._lock:
            waiting = self._rejections.get(kind)
            return waiting.pop(0) if waiting else None

    def instructions(self) -> List[str]:
        return [
            f"url     {self.url}",
            f"key     {self.key}",
            f"secret  {self.secret}",
            "",
            f'client = xchws.Finery("{self.key}", "{self.secret}", url="{self.url}")',
            'client.subscribe_order_book("BTC-EUR")',
        ]

    def _is_sign_of_life(self, received: Received) -> bool:
        if received.kind in ("ping", "pong"):
            return self.ping_frames_count
        if received.kind == "message" and isinstance(received.parsed, dict) and received.parsed.get("event") == "ping":
            return self.json_ping_counts
        return received.kind == "message"

    @staticmethod
    def _dialogue(session: Session) -> FineryDialogue:
        assert isinstance(session.dialogue, FineryDialogue)
        return session.dialogue


def signature(secret: str, content: bytes) -> str:
    """What belongs into ``EFX-Sign``: the secret is the HMAC's key as text, not as the base64 it looks like."""
    return base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha384).digest()).decode()


def _octets(header: str) -> bytes:
    """A header's bytes as they came, however the release of websockets decoded them (15.0 unlike 17.0)."""
    try:
        return header.encode("iso-8859-1")
    except UnicodeEncodeError:
        return header.encode("ascii", "surrogateescape")


def _integer(value: object) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
