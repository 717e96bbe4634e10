"""Richamster's stream, simulated.

From the vendor's page https://richamster.com/api/v1/docs/websockets/ (read 2026-11). Where the page is silent
(error texts but one, pings, Origin, close codes) the behaviour is that of its framework's defaults, or a switch.
"""

from __future__ import annotations

import re
import ssl
from typing import Any, Dict, List, Optional, Set, Tuple

from .jsontext import read, write
from .record import REMARK
from .richamster_orders import RichamsterOrders
from .server import ExchangeServer
from .session import Dialogue, Refusal, Session

DEMO_TOKEN = "demo-token-not-real-8d2f60b7c1e94a35-richamster"
CHANNELS = ("ticker", "order_book", "trading", "user_orders")
INVALID_CHANNEL = "Subscription channel is invalid."
# The page has no text but the one above; these two are made up.
INVALID_PAIR = "Currency pair is invalid."
INVALID_TOKEN = "Authentication credentials were not provided or are invalid."
PAIR = re.compile(r"[A-Z0-9]+/[A-Z0-9]+")


class RichamsterSandbox(RichamsterOrders, ExchangeServer):
    """An exchange of your own.

    Args:
        port: 0 takes any free one.
        seed: makes the market's choices repeatable.
        token: of the first user; see ``add_account``.
        ssl_context: serve wss with it.
        require_origin: refuse handshakes with another Origin or none by 403.
        forbid_origin: refuse handshakes with any Origin by 403.
        ping_interval, ping_timeout: seconds between native pings, and without a pong until the connection is cut.
        history: how many received things and published messages are kept (None: all).

    Attributes:
        escape_slash: write ``BTC\\/UAH``.
        literal_doc: the page taken at its word: ``ticker`` and ``user_orders`` are reached by subscribing ``trading``,
            the latter with a token; the two names themselves are invalid.
    """

    path = "/ws/public/v1/stream/"

    def __init__(
        self,
        port: int = 0,
        seed: Optional[int] = None,
        token: str = DEMO_TOKEN,
        ssl_context: Optional[ssl.SSLContext] = None,
        *,
        require_origin: Optional[str] = None,
        forbid_origin: bool = False,
        ping_interval: float = 20.0,
        ping_timeout: float = 30.0,
        history: Optional[int] = None,
    ) -> None:
        RichamsterOrders.__init__(self, token, seed, history)
        ExchangeServer.__init__(self, port, 0, ssl_context, max_message_size=1 << 20, history=history)
        self.require_origin = require_origin
        self.forbid_origin = forbid_origin
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.escape_slash = False
        self.literal_doc = False
        self._tokens: Set[str] = {token}
        self._rejections: List[str] = []

    def add_account(self, token: str) -> None:
        """One more user."""
        self._tokens.add(token)

    def expire_token(self, token: Optional[str] = None) -> None:
        """From now on this token (the first user's by default) is not valid."""
        self._tokens.discard(token or self.token)

    def reject_subscription(self, message: str = INVALID_CHANNEL, times: int = 1) -> None:
        """Answer the next subscriptions with this error."""
        with self._lock:
            self._rejections.extend([message] * times)

    def valid_token(self, token: object) -> bool:
        """Whether a user has this token."""
        return isinstance(token, str) and token in self._tokens

    def planned_rejection(self) -> Optional[str]:
        """The error that the next subscription is to get."""
        with self._lock:
            return self._rejections.pop(0) if self._rejections else None

    def process_request(self, session: Session) -> Optional[Refusal]:
        refusal = super().process_request(session)
        origin = session.headers.get("origin")
        required = self.require_origin is not None and origin != self.require_origin
        if refusal is None and (required or (self.forbid_origin and origin is not None)):
            session.complain(f"handshake with Origin {origin!r}")
            return Refusal(403, "Access denied")
        return refusal

    def create_dialogue(self, session: Session) -> Dialogue:
        return RichamsterDialogue(session, self)

    def close(self) -> None:
        self.pause()
        super().close()

    def subscribers(self, channel: str, pair: str, token: Optional[str] = None) -> List[Session]:
        """The live connections that get this channel's messages; *token* matters for ``user_orders``."""
        return [session for session in self.sessions if self._dialogue(session).wants(channel, pair, token)]

    def wait_for_subscriber(
        self, channel: str, pair: str, n: int = 1, timeout: float = 5.0, token: Optional[str] = None
    ) -> Session:
        """Wait until *n* connections are subscribed; the newest of them.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        wanted = (token or self.token) if channel == "user_orders" else None
        found: List[Session] = []

        def enough() -> bool:
            found[:] = self.subscribers(channel, pair, wanted)
            return len(found) >= n

        self.wait_until(enough, timeout)
        return found[-1]

    def deliver_message(self, channel: str, pair: str, token: Optional[str], message: Dict[str, Any]) -> None:
        subscribers = self.subscribers(channel, pair, token)
        if subscribers:
            text = write(message, self.escape_slash)
            for session in subscribers:
                self.deliver(session, text)

    def instructions(self) -> List[str]:
        return [
            f"url    {self.url}",
            f"token  {self.token}",
            "",
            f'client = xchws.Richamster("{self.token}", url="{self.url}")',
            'client.subscribe_trades("BTC/UAH")',
        ]

    @staticmethod
    def _dialogue(session: Session) -> RichamsterDialogue:
        assert isinstance(session.dialogue, RichamsterDialogue)
        return session.dialogue


class RichamsterDialogue(Dialogue):
    """One connection: subscriptions in, success or error out."""

    def __init__(self, session: Session, exchange: RichamsterSandbox) -> None:
        self._session = session
        self._exchange = exchange
        self._wanted: Set[Tuple[str, str, Optional[str]]] = set()
        self._pongs = 0

    def wants(self, channel: str, pair: str, token: Optional[str]) -> bool:
        return (channel, pair, token) in self._wanted

    def subscriptions(self) -> List[str]:
        return [f"{channel} {pair}" for channel, pair, _ in list(self._wanted)]

    def opened(self) -> None:
        self._expect_pong()
        self._ping_later()

    def pong(self, payload: bytes) -> None:
        self._expect_pong()

    def message(self, text: str, binary: bool) -> None:
        try:
            request = read(text)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            # What an exception in the framework's consumer ends in.
            self._session.complain("a message that is no JSON object")
            self._session.close(1011)
            return
        channel, pair, token = request.get("channel"), request.get("pair"), request.get("token")
        error = self._exchange.planned_rejection()
        if error is None:
            error = self._objection(channel, pair, token)
            if error is not None:
                self._session.complain(f"{channel!r} of {pair!r}: {error}")
        if error is not None:
            self._answer(str(channel), "error", error)
            return
        assert isinstance(channel, str) and isinstance(pair, str)
        with self._session.together():  # data must not come before the answer
            wanted = self._meant(channel, pair, token)
            if wanted <= self._wanted:
                self._session.complain(f"{REMARK}{channel!r} of {pair!r} a second time")
            self._wanted |= wanted
            self._answer(channel, "success", f'You are connected to channel "{channel}" and currency pair "{pair}"')

    def _objection(self, channel: object, pair: object, token: object) -> Optional[str]:
        literal = self._exchange.literal_doc
        if channel not in (("order_book", "trading") if literal else CHANNELS):
            return INVALID_CHANNEL
        if not isinstance(pair, str) or not PAIR.fullmatch(pair):
            return INVALID_PAIR
        private = channel == "user_orders" or (literal and token is not None)
        if private and not self._exchange.valid_token(token):
            return INVALID_TOKEN
        return None

    def _meant(self, channel: str, pair: str, token: Any) -> Set[Tuple[str, str, Optional[str]]]:
        if channel == "user_orders" or (self._exchange.literal_doc and token is not None):
            return {("user_orders", pair, token)}
        if channel == "trading" and self._exchange.literal_doc:
            return {("trading", pair, None), ("ticker", pair, None)}
        return {(channel, pair, None)}

    def _answer(self, channel: str, kind: str, message: str) -> None:
        text = write({"type": kind, "message": message}, self._exchange.escape_slash)
        self._exchange.reply(self._session, channel, text)

    def _ping_later(self) -> None:
        def ping() -> None:
            if not self._exchange.pings_held:
                self._session.ping()
            self._ping_later()

        self._session.call_later(self._exchange.ping_interval, ping)

    def _expect_pong(self) -> None:
        """From now on a pong must come in time; the last expectation counts."""
        self._pongs += 1
        expected = self._pongs

        def check() -> None:
            if expected == self._pongs and not self._exchange.pings_held:
                self._session.complain("no pong frame in time")
                self._session.drop()

        self._session.call_later(self._exchange.ping_timeout, check)
