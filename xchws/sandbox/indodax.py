"""Indodax's private stream and its token endpoint, simulated.

From the vendor's page Private-websocket.md of https://github.com/btcid/indodax-official-api-docs (read 2026-11);
what the page leaves open is Centrifugo 5.2.0's behaviour, see centrifugo.py.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import secrets
import ssl
import time
import uuid
from contextlib import ExitStack, contextmanager
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple
from urllib.parse import parse_qs

from . import jwt
from .centrifugo import ERRORS, TEMPORARY, CentrifugoDialogue
from .indodax_orders import IndodaxOrders
from .jsontext import write
from .record import REMARK, Received
from .rest import RestReply
from .server import ExchangeServer
from .session import Dialogue, Refusal, Session

DEMO_KEY = "DEMO-KEY-NOT-REAL-3F7A9C51-INDODAX"
DEMO_SECRET = "demo-secret-not-real-5b1c9e2f7a40d863"
TOKEN_PATH = "/api/private_ws/v1/generate_token"

TOKEN_ERRORS = {
    "invalid_tapi_key": "Invalid TAPI key",
    "invalid_credentials": "Invalid credentials. API not found or session has expired.",
    "bad_sign": "Invalid credentials. Bad sign.",
}


class IndodaxSandbox(IndodaxOrders, ExchangeServer):
    """A private exchange of your own.

    Args:
        port, rest_port: 0 takes any free one.
        seed: makes the market's choices repeatable.
        key, secret: of the first account; see ``add_account``.
        ttl: seconds a token is good for (whole seconds).
        ssl_context: serve wss and https with it.
        ping_interval, pong_timeout: seconds between pings, and to answer one where pings are ``{}``.
        pong_grace: seconds after *ping_interval* within which a pong frame must have come, where pings are frames.
        stale_after: seconds a client has to send its connect command.
        expire_grace: seconds between a token's end and the close with 3005.
        unusable_after: seconds until a connection whose token had expired is cut.
        allowed_origin: the only Origin that is accepted; a handshake without one always is.
        token_error_status: the HTTP status of the token endpoint's errors, which the page does not tell.
        history: how many received things and published events are kept (None: all).
    """

    has_rest = True
    path = "/ws/?cf_ws_frame_ping_pong=true"
    namespace = "pws"
    version = "5.2.0"

    def __init__(
        self,
        port: int = 0,
        rest_port: int = 0,
        seed: Optional[int] = None,
        key: str = DEMO_KEY,
        secret: str = DEMO_SECRET,
        ttl: int = 86400,
        ssl_context: Optional[ssl.SSLContext] = None,
        *,
        ping_interval: float = 25.0,
        pong_timeout: float = 8.0,
        pong_grace: float = 25 / 9,  # Centrifugo 5.2.0 reads for 10/9 of its ping interval of 25 s
        stale_after: float = 10.0,
        expire_grace: float = 25.0,
        unusable_after: float = 5.0,
        allowed_origin: Optional[str] = None,
        token_error_status: int = 200,
        history: Optional[int] = None,
    ) -> None:
        IndodaxOrders.__init__(self, key, seed, history)
        ExchangeServer.__init__(self, port, rest_port, ssl_context, history=history)
        self.secret = secret
        self.ttl = ttl
        self.ping_interval = ping_interval
        self.pong_timeout = pong_timeout
        self.pong_grace = pong_grace
        self.stale_after = stale_after
        self.expire_grace = expire_grace
        self.unusable_after = unusable_after
        self.allowed_origin = allowed_origin
        self.token_error_status = token_error_status
        self._signing_key = secrets.token_bytes(32)
        self._secrets: Dict[str, str] = {key: secret}
        self._used_tokens: Set[str] = set()
        self._expired_tokens = 0
        self._rejections: Dict[str, List[Tuple[int, str, bool]]] = {}
        self._chooser = random.Random(seed)

    # Accounts and tokens.

    def add_account(self, key: str, secret: str) -> None:
        """One more account with its own channel."""
        self._secrets[key] = secret

    def user(self, key: Optional[str] = None) -> str:
        """The account's user id: 40 hex digits, as in its channel."""
        return hashlib.sha1((key or self.key).encode()).hexdigest()

    def channel(self, key: Optional[str] = None) -> str:
        """The account's private channel."""
        return f"{self.namespace}:#{self.user(key)}"

    def issue_token(self, key: Optional[str] = None, ttl: Optional[int] = None) -> str:
        """A token as the endpoint would give one; a *ttl* below zero makes it an expired one."""
        expiry = int(self.clock()) + (self.ttl if ttl is None else ttl)
        return jwt.sign({"sub": self.user(key), "exp": expiry, "jti": uuid.uuid4().hex}, self._signing_key)

    def rest(self, request: Received) -> RestReply:
        if request.path != TOKEN_PATH:
            self.record.complain(f"REST: {request.method} {request.path}")
            return RestReply(404, "<html><body>404 Not Found</body></html>")
        if request.method != "POST":
            self.record.complain(f"REST: {request.method} instead of POST")
            return RestReply(405, "<html><body>405 Not Allowed</body></html>", {"Allow": "POST"})
        form: Dict[str, List[str]] = {}
        if request.headers.get("content-type", "").split(";")[0].strip() == "application/x-www-form-urlencoded":
            form = parse_qs(request.text)
        else:
            self.record.complain(f"REST: content type {request.headers.get('content-type')!r}")
        if form and form.get("client") != ["tapi"]:
            self.record.complain(f"REST: client is {form.get('client')!r} instead of 'tapi'")
        key = form.get("tapi_key", [""])[-1]
        if not key:
            return self._token_error("invalid_tapi_key")
        if key not in self._secrets:
            return self._token_error("invalid_credentials")
        sign = hmac.new(self._secrets[key].encode(), request.text.encode(), hashlib.sha512).hexdigest()
        if not hmac.compare_digest(sign.encode(), request.headers.get("sign", "").lower().encode()):
            return self._token_error("bad_sign")
        with self._lock:
            expired = self._expired_tokens > 0
            self._expired_tokens -= 1 if expired else 0
        token = self.issue_token(key, -60 if expired else None)
        return RestReply(200, write({"success": 1, "return": {"connToken": token, "channel": self.channel(key)}}))

    def _token_error(self, code: str) -> RestReply:
        self.record.complain(f"REST: {code}")
        return RestReply(
            self.token_error_status, write({"success": 0, "error": TOKEN_ERRORS[code], "error_code": code})
        )

    # What a connection asks.

    def claims(self, token: str, session: Session) -> Optional[Dict[str, Any]]:
        """A token's claims; None for a forged one."""
        with self._lock:
            if token in self._used_tokens:
                session.complain(REMARK + "a token that was used before")
            self._used_tokens.add(token)
        return jwt.verify(token, self._signing_key)

    def clock(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def chance(self) -> float:
        """A number from 0 to 1."""
        return self._chooser.random()

    def planned_rejection(self, kind: str) -> Optional[Tuple[int, str, bool]]:
        """The error that the next command of this kind is to get."""
        with self._lock:
            waiting = self._rejections.get(kind)
            return waiting.pop(0) if waiting else None

    def process_request(self, session: Session) -> Optional[Refusal]:
        origin = session.headers.get("origin")
        if origin not in (None, self.allowed_origin):
            session.complain(f"handshake with Origin {origin!r}")
        refusal = super().process_request(session)
        if refusal is None and origin not in (None, self.allowed_origin):
            return Refusal(403, "Forbidden")
        return refusal

    def create_dialogue(self, session: Session) -> Dialogue:
        return CentrifugoDialogue(session, self, str(uuid.uuid4()))

    def too_slow(self, session: Session) -> None:
        session.close(3008, "slow")

    def close(self) -> None:
        self.pause()
        super().close()

    # Publishing.

    def subscribers(self, key: Optional[str] = None) -> List[Session]:
        """The live connections that are subscribed to the account's channel."""
        channel = self.channel(key)
        return [session for session in self.sessions if channel in self._dialogue(session).channels]

    def wait_for_subscriber(self, n: int = 1, timeout: float = 5.0, key: Optional[str] = None) -> Session:
        """Wait until *n* connections are subscribed; the newest of them.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        found: List[Session] = []

        def enough() -> bool:
            found[:] = self.subscribers(key)
            return len(found) >= n

        self.wait_until(enough, timeout)
        return found[-1]

    def deliver_orders(self, key: str, events: List[Dict[str, Any]]) -> None:
        subscribers = self.subscribers(key)
        if subscribers:
            text = write({"push": {"channel": self.channel(key), "pub": {"data": events}}})
            for session in subscribers:
                self.deliver(session, text)

    # Misbehaving, in this exchange's own ways.

    def expire_token(self, session: Optional[Session] = None) -> None:
        """The server holds the token to be expired: closes with 3005."""
        self.close_connections(3005, "connection expired", session)

    def expire_next_tokens(self, times: int = 1) -> None:
        """The next tokens of the endpoint have expired already: connecting with one is answered by error 109."""
        with self._lock:
            self._expired_tokens += times

    def reject_next(
        self, kind: str, code: int, message: Optional[str] = None, temporary: Optional[bool] = None, times: int = 1
    ) -> None:
        """Answer the next commands of this kind (``connect``, ``subscribe``, ``refresh``, …) with an error.

        Message and ``temporary`` are those of the protocol for this code by default.
        """
        text = ERRORS.get(code, "") if message is None else message
        flag = code in TEMPORARY if temporary is None else temporary
        with self._lock:
            self._rejections.setdefault(kind, []).extend([(code, text, flag)] * times)

    def reject_subscription(
        self, code: int = 103, message: Optional[str] = None, temporary: Optional[bool] = None, times: int = 1
    ) -> None:
        """Answer the next subscriptions with an error."""
        self.reject_next("subscribe", code, message, temporary, times)

    def unsubscribe_push(self, code: int = 2000, reason: str = "", session: Optional[Session] = None) -> None:
        """End subscriptions from the server's side, with the push that says so."""
        for each in self._chosen(session):
            dialogue = self._dialogue(each)
            for channel in sorted(dialogue.channels):
                dialogue.unsubscribe_push(channel, code, reason)

    @contextmanager
    def one_frame(self) -> Iterator[None]:
        """Messages to the connections of this moment go out joined by newlines, up to 16 in a frame."""
        with ExitStack() as stack:
            for session in self.sessions:
                stack.enter_context(session.joined())
            yield

    def instructions(self) -> List[str]:
        return [
            f"url       {self.url}",
            f"rest_url  {self.rest_url}",
            f"key       {self.key}",
            f"secret    {self.secret}",
            "",
            "client = xchws.Indodax(",
            f'    "{self.key}",',
            f'    "{self.secret}",',
            f'    url="{self.url}",',
            f'    rest_url="{self.rest_url}",',
            ")",
        ]

    @staticmethod
    def _dialogue(session: Session) -> CentrifugoDialogue:
        assert isinstance(session.dialogue, CentrifugoDialogue)
        return session.dialogue
