"""The server's half of Centrifugo's client protocol v2 (JSON), as Centrifugo 5.2.0 behaves with its defaults.

Sources: the source of Centrifugo 5.2.0 and of its library centrifuge, github.com/centrifugal (read 2026-11).
Decides about one connection; tokens, channels and publishing are the exchange's.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Protocol, Set, Tuple

from .jsontext import read, write
from .session import Dialogue, Session

VERBS = (
    "connect",
    "subscribe",
    "unsubscribe",
    "publish",
    "presence",
    "presence_stats",
    "history",
    "ping",
    "send",
    "rpc",
    "refresh",
    "sub_refresh",
)
ERRORS = {
    100: "internal server error",
    101: "unauthorized",
    102: "unknown channel",
    103: "permission denied",
    104: "method not found",
    105: "already subscribed",
    106: "limit exceeded",
    107: "bad request",
    108: "not available",
    109: "token expired",
    110: "expired",
    111: "too many requests",
    112: "unrecoverable position",
}
TEMPORARY = (100, 111)
MAX_CHANNELS = 128
MAX_CHANNEL_LENGTH = 255


class CentrifugoServer(Protocol):
    """What a connection asks of its exchange. Durations in seconds."""

    version: str
    namespace: str
    ping_interval: float
    pong_timeout: float
    pong_grace: float
    stale_after: float
    expire_grace: float
    unusable_after: float
    pings_held: bool

    def claims(self, token: str, session: Session) -> Optional[Dict[str, Any]]: ...
    def clock(self) -> float: ...
    def chance(self) -> float: ...
    def planned_rejection(self, kind: str) -> Optional[Tuple[int, str, bool]]: ...
    def reply(self, session: Session, kind: str, text: str) -> None: ...


class CentrifugoDialogue(Dialogue):
    """One connection: commands in, replies out, closed as the real server closes."""

    def __init__(self, session: Session, server: CentrifugoServer, client_id: str) -> None:
        self.user: Optional[str] = None
        self.channels: Set[str] = set()
        self._session = session
        self._server = server
        self._client_id = client_id
        self._native = session.query.get("cf_ws_frame_ping_pong") == "true"
        self._connected = False
        self._unusable = False
        self._ids: Set[Any] = set()
        # Centrifugo waits for a pong less long than between two pings, so there is one to wait for at most; here a test
        # may have it otherwise.
        self._pings = 0
        self._pongs = 0
        self._last_pong = 0
        self._expiry = 0
        self._verbs: Dict[str, Callable[[int, Dict[str, Any]], None]] = {
            "connect": self._connect,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "rpc": lambda number, _: self._error(number, "rpc", 104),
            "refresh": self._refresh,
            "sub_refresh": lambda number, _: self._error(number, "sub_refresh", 108),
        }
        for verb in ("publish", "presence", "presence_stats", "history"):
            self._verbs[verb] = self._forbidden(verb)

    def opened(self) -> None:
        self._session.call_later(self._server.stale_after, self._stale)
        if self._native:
            self._ping_natively()
            self._expect_pong()

    def pong(self, payload: bytes) -> None:
        if self._native:
            self._expect_pong()

    def subscriptions(self) -> List[str]:
        return list(self.channels)

    def message(self, text: str, binary: bool) -> None:
        if self._unusable:
            self._session.complain("a message after the connect command had failed")
            return
        pieces = [piece for piece in text.split("\n") if piece]
        if not pieces:
            self._bad_request("an empty message")
        for piece in pieces:
            try:
                command = read(piece)
            except ValueError:
                command = None
            if not isinstance(command, dict):
                self._bad_request("a message that is no JSON object")
                return
            if not self._command(command):
                return

    def unsubscribe_push(self, channel: str, code: int, reason: str) -> None:
        """End a subscription from the server's side."""
        with self._session.together():
            self.channels.discard(channel)
            self._session.send_text(
                write({"push": {"channel": channel, "unsubscribe": {"code": code, "reason": reason}}})
            )

    # Commands. Each returns nothing; a closed connection is found out by ``_closed``.

    def _command(self, command: Dict[str, Any]) -> bool:
        """Whether the next command of the same message is to be looked at."""
        verbs = [verb for verb in VERBS if verb in command]
        number = command.get("id", 0)
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            return self._bad_request(f"the id {number!r}")
        if not number and "send" not in verbs:
            return self._pong_or_bad_request(command)
        if number in self._ids:
            self._session.complain(f"the id {number} a second time")
        if number:
            self._ids.add(number)
        if len(verbs) != 1 or not isinstance(command[verbs[0]], dict):
            return self._bad_request(f"a command with {', '.join(verbs) or 'no verb'}")
        verb = verbs[0]
        if verb != "connect" and not self._connected:
            return self._bad_request(f"{verb} before connect")
        if verb == "send":
            return self._close(3508, "not available", "send, which nobody handles")
        if verb == "ping":
            # 5.2.0 has no such frame type in its dispatcher.
            return self._bad_request("a ping command")
        rejection = self._server.planned_rejection(verb)
        if rejection is not None:
            self._reply(number, verb, {"error": error_object(*rejection)})
            return True
        self._verbs[verb](number, command[verb])
        return not self._unusable

    def _connect(self, number: int, request: Dict[str, Any]) -> None:
        if self._connected:
            self._bad_request("connect a second time")
            return
        token = request.get("token")
        if not token or not isinstance(token, str):
            self._bad_request("connect without a token")
            return
        claims = self._server.claims(token, self._session)
        if claims is None:
            self._close(3500, "invalid token", "connect with a forged or malformed token")
            return
        ttl = self._ttl(claims)
        if ttl <= 0:
            self._unusable = True
            self._session.complain("connect with an expired token")
            self._error(number, "connect", 109, noted=True)
            self._session.call_later(self._server.unusable_after, self._session.drop)
            return
        self._connected = True
        self.user = str(claims.get("sub", ""))
        result: Dict[str, Any] = {"client": self._client_id, "version": self._server.version}
        result.update({"expires": True, "ttl": ttl})
        if not self._native:
            result.update({"ping": max(1, math.ceil(self._server.ping_interval)), "pong": True})
        self._expire_at(int(claims["exp"]))
        self._reply(number, "connect", {"connect": result})
        if not self._native:
            self._session.call_later(self._server.chance() * self._server.ping_interval, self._ping)

    def _subscribe(self, number: int, request: Dict[str, Any]) -> None:
        channel = request.get("channel")
        if not channel or not isinstance(channel, str):
            self._bad_request("subscribe without a channel")
            return
        code = self._objection(channel)
        if code:
            self._error(number, "subscribe", code)
            return
        with self._session.together():  # a push must not come before the reply
            self.channels.add(channel)
            self._reply(number, "subscribe", {"subscribe": {}})

    def _objection(self, channel: str) -> int:
        """The code of the error, 0 for none."""
        namespace, colon, _ = channel.partition(":")
        if len(channel) > MAX_CHANNEL_LENGTH:
            return 107
        if colon and namespace != self._server.namespace:
            return 102
        if channel in self.channels:
            return 105
        if len(self.channels) >= MAX_CHANNELS:
            return 106
        users = channel.partition("#")[2]
        return 0 if self.user and self.user in users.split(",") else 103

    def _unsubscribe(self, number: int, request: Dict[str, Any]) -> None:
        channel = request.get("channel")
        if not channel or not isinstance(channel, str):
            self._bad_request("unsubscribe without a channel")
            return
        self.channels.discard(channel)
        self._reply(number, "unsubscribe", {"unsubscribe": {}})

    def _refresh(self, number: int, request: Dict[str, Any]) -> None:
        token = request.get("token")
        if not token or not isinstance(token, str):
            self._bad_request("refresh without a token")
            return
        claims = self._server.claims(token, self._session)
        if claims is None or str(claims.get("sub", "")) != self.user:
            self._close(3500, "invalid token", "refresh with a forged token or another user's")
            return
        ttl = self._ttl(claims)
        if ttl <= 0:
            self._close(3005, "connection expired", "refresh with an expired token")
            return
        self._expire_at(int(claims["exp"]))
        self._reply(number, "refresh", {"refresh": {"expires": True, "ttl": ttl}})

    def _forbidden(self, verb: str) -> Callable[[int, Dict[str, Any]], None]:
        return lambda number, _: self._error(number, verb, 103)

    # Timers.

    def _stale(self) -> None:
        if not self._connected and not self._unusable:
            self._close(3502, "stale", "no connect in time")

    def _ping_natively(self) -> None:
        def ping() -> None:
            if not self._server.pings_held:
                self._session.ping()
            self._ping_natively()

        self._session.call_later(self._server.ping_interval, ping)

    def _expect_pong(self) -> None:
        """From now on a native pong must come in time; the last expectation counts."""
        self._last_pong += 1
        expected = self._last_pong

        def check() -> None:
            if expected == self._last_pong and not self._server.pings_held:
                self._session.complain("no pong frame in time")
                self._session.drop()

        self._session.call_later(self._server.ping_interval + self._server.pong_grace, check)

    def _ping(self) -> None:
        if not self._server.pings_held:
            self._pings += 1
            self._session.send_text("{}")
            self._session.call_later(self._server.pong_timeout, partial(self._check_pong, self._pings))
        self._session.call_later(self._server.ping_interval, self._ping)

    def _check_pong(self, owed: int) -> None:
        if self._pongs < owed:
            self._close(3012, "no pong", "no {} in answer to a ping")

    def _expire_at(self, expiry: int) -> None:
        self._expiry = expiry

        def expire() -> None:
            if self._expiry == expiry:
                self._session.close(3005, "connection expired")

        self._session.call_later(max(0.0, expiry + self._server.expire_grace - self._server.clock()), expire)

    # Small change.

    def _ttl(self, claims: Dict[str, Any]) -> int:
        return int(claims.get("exp", 0)) - int(self._server.clock())

    def _pong_or_bad_request(self, command: Dict[str, Any]) -> bool:
        if command:
            return self._bad_request("a command without an id")
        if self._native:
            return self._bad_request("{} although pings are WebSocket frames here")
        if self._pongs >= self._pings:
            return self._bad_request("{} without a ping before")
        self._pongs += 1
        return True

    def _reply(self, number: int, verb: str, body: Dict[str, Any]) -> None:
        self._server.reply(self._session, verb, write({"id": number, **body}))

    def _error(self, number: int, verb: str, code: int, noted: bool = False) -> None:
        if not noted:
            self._session.complain(f"{verb}: error {code} {ERRORS[code]}")
        self._reply(number, verb, {"error": error_object(code, ERRORS[code], code in TEMPORARY)})

    def _bad_request(self, complaint: str) -> bool:
        return self._close(3501, "bad request", complaint)

    def _close(self, code: int, reason: str, complaint: str) -> bool:
        self._session.complain(complaint)
        self._session.close(code, reason)
        return False


def error_object(code: int, message: str, temporary: bool) -> Dict[str, Any]:
    """The error of a reply; what is false is left out."""
    return {"code": code, "message": message, **({"temporary": True} if temporary else {})}
