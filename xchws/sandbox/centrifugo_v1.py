"""The server's half of Centrifugo's client protocol v1 (JSON), as Centrifugo 2.8 behaves.

Sources: the source of Centrifugo 2.8.6 and of its libraries centrifuge and protocol, github.com/centrifugal; what
differs on Indodax's own server is said in place (all read 2026-11). Decides about one connection; tokens, streams
and publishing are the exchange's.
"""

from __future__ import annotations

from typing import Any, Callable, ContextManager, Dict, List, Optional, Protocol, Set, Tuple

from .centrifugo_stream import Stream
from .centrifugo_v1_codes import ERRORS, UNSUBSCRIBE, close_reason, method_name, push_text
from .jsontext import read, write
from .record import REMARK
from .session import JOINED, Dialogue, Session

MAX_CHANNEL_LENGTH = 255
PING = b"ping"


class CentrifugoV1Server(Protocol):
    """What a connection asks of its exchange. Durations in seconds.

    ``stream_lock`` makes subscribing and publishing wait for each other; it may be taken twice by one thread.
    """

    version: str
    namespaces: Tuple[str, ...]
    channel_limit: int
    ttl: int
    ping_interval: float
    pong_timeout: float
    stale_after: float
    expire_grace: float
    pings_held: bool

    @property
    def stream_lock(self) -> ContextManager[object]: ...
    def accepts(self, token: str) -> bool: ...
    def stream(self, channel: str) -> Stream: ...
    def planned_rejection(self, kind: str) -> Optional[Tuple[int, str]]: ...
    def reply(self, session: Session, kind: str, text: str) -> None: ...


class CentrifugoV1Dialogue(Dialogue):
    """One connection: commands in, replies out, closed as the real server closes."""

    def __init__(self, session: Session, server: CentrifugoV1Server, client_id: str) -> None:
        self.channels: Set[str] = set()
        self.connected = False
        self._session = session
        self._server = server
        self._client_id = client_id
        self._ids: Set[int] = set()
        self._last_pong = 0
        self._last_expiry = 0
        self._held: List[str] = []
        self._holders = 0
        self._methods: Dict[str, Callable[[int, Dict[str, Any]], bool]] = {
            "connect": self._connect,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "ping": self._ping_reply,
            "refresh": self._refresh,
            "publish": lambda number, _: self._error(number, "publish", 103),
            "rpc": lambda number, _: self._error(number, "rpc", 104),
            # A guess: no source says what subscriptions that never expire get.
            "sub_refresh": lambda number, _: self._error(number, "sub_refresh", 108),
        }
        for method in ("presence", "presence_stats", "history"):
            self._methods[method] = self._unavailable(method)

    def opened(self) -> None:
        self._session.call_later(self._server.stale_after, self._stale)
        self._ping()
        self._expect_pong()

    def pong(self, payload: bytes) -> None:
        self._expect_pong()

    def subscriptions(self) -> List[str]:
        return list(self.channels)

    def message(self, text: str, binary: bool) -> None:
        pieces = [piece for piece in text.split("\n") if piece.strip()]
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

    # Pushes, from any thread; the stream lock must be held.

    def push(self, text: str) -> None:
        """Send a push, or keep it for the frame that is being filled."""
        if self._holders:
            self._held.append(text)
        else:
            self._session.send_text(text)

    def hold(self) -> None:
        """Keep pushes until ``release()``, which sends them 16 to a frame."""
        self._holders += 1

    def release(self) -> None:
        """End ``hold()``; the last of several ends it."""
        self._holders -= 1
        if not self._holders:
            self._flush()

    def unsubscribe_push(self, channel: str, resubscribe: bool) -> None:
        """End a subscription from the server's side."""
        self.channels.discard(channel)
        self.push(push_text({"resubscribe": resubscribe}, channel, UNSUBSCRIBE))

    # Commands. Each tells whether the next one of the same message is to be looked at.

    def _command(self, command: Dict[str, Any]) -> bool:
        number, params = command.get("id", 0), command.get("params", {})
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            return self._bad_request(f"the id {number!r}")
        method = method_name(command.get("method", 0))
        if method is None or not isinstance(params, dict):
            return self._bad_request(
                f"the method {command.get('method')!r} with params that are {type(params).__name__}"
            )
        if not number and method != "send":
            return self._bad_request(f"{method} without an id")
        if method != "connect" and not self.connected:
            return self._bad_request(f"{method} before connect")
        if number in self._ids:
            self._session.complain(f"{REMARK}the id {number} a second time")
        if number:
            self._ids.add(number)
        if method == "send":
            # A guess: no source says what becomes of it.
            self._session.complain("send, which nobody handles")
            return True
        rejection = self._server.planned_rejection(method)
        if rejection is not None:
            return self._reply(number, method, {"error": {"code": rejection[0], "message": rejection[1]}})
        if method not in self._methods:
            return self._error(number, method, 104)
        return self._methods[method](number, params)

    def _connect(self, number: int, params: Dict[str, Any]) -> bool:
        if self.connected:
            return self._bad_request("connect a second time")
        token = params.get("token")
        if not token or not isinstance(token, str):
            return self._bad_request("connect without a token")
        if not self._server.accepts(token):
            return self._close(3002, "connect with a wrong token")
        self.connected = True
        self._expire()
        return self._reply(number, "connect", {"result": self._credit()})

    def _subscribe(self, number: int, params: Dict[str, Any]) -> bool:
        channel = params.get("channel")
        recover, offset, epoch = params.get("recover", False), params.get("offset", 0), params.get("epoch", "")
        if not channel or not isinstance(channel, str):
            return self._bad_request("subscribe without a channel")
        if type(recover) is not bool or type(offset) is not int or offset < 0 or type(epoch) is not str:
            return self._bad_request(f"the position {recover!r}, {offset!r}, {epoch!r}")
        with self._server.stream_lock:  # a publication comes before the position in the reply, or after the reply
            code = self._objection(channel)
            if code:
                return self._error(number, "subscribe", code)
            stream = self._server.stream(channel)
            result: Dict[str, Any] = {"recoverable": True, "epoch": stream.epoch}
            publications, recovered = stream.since(offset, epoch) if recover else ([], False)
            if publications:
                result["publications"] = publications
            if stream.offset:
                result["offset"] = stream.offset
            if recovered:
                result["recovered"] = True
            self.channels.add(channel)
            return self._reply(number, "subscribe", {"result": result})

    def _objection(self, channel: str) -> int:
        """The code of the error, 0 for none."""
        namespace, colon, _ = channel.lstrip("$").partition(":")
        if len(channel) > MAX_CHANNEL_LENGTH:
            return 107
        if channel in self.channels:
            return 105
        if len(self.channels) >= self._server.channel_limit:
            return 106
        if colon and namespace not in self._server.namespaces:
            return 102
        # Private channels need a token of their own, those with # a user; without a namespace, anonymous clients
        # have no right by default.
        return 0 if colon and not channel.startswith("$") and "#" not in channel else 103

    def _unsubscribe(self, number: int, params: Dict[str, Any]) -> bool:
        channel = params.get("channel")
        if not channel or not isinstance(channel, str):
            return self._bad_request("unsubscribe without a channel")
        with self._server.stream_lock:
            self.channels.discard(channel)
            return self._reply(number, "unsubscribe", {"result": {}})

    def _ping_reply(self, number: int, params: Dict[str, Any]) -> bool:
        return self._reply(number, "ping", {})

    def _refresh(self, number: int, params: Dict[str, Any]) -> bool:
        token = params.get("token")
        if not token or not isinstance(token, str):
            return self._bad_request("refresh without a token")
        if not self._server.accepts(token):
            return self._close(3002, "refresh with a wrong token")
        self._expire()
        return self._reply(number, "refresh", {"result": self._credit()})

    def _unavailable(self, method: str) -> Callable[[int, Dict[str, Any]], bool]:
        """A guess: that Indodax allows neither presence nor history to clients."""

        def answer(number: int, params: Dict[str, Any]) -> bool:
            channel = params.get("channel")
            if not channel or not isinstance(channel, str):
                return self._bad_request(f"{method} without a channel")
            if channel.partition(":")[0] not in self._server.namespaces:
                return self._error(number, method, 102)
            return self._error(number, method, 108 if channel in self.channels else 103)

        return answer

    # Timers.

    def _stale(self) -> None:
        if not self.connected:
            self._close(3007, "no connect in time")

    def _ping(self) -> None:
        def ping() -> None:
            if not self._server.pings_held:
                self._session.ping(PING)
            self._ping()

        self._session.call_later(self._server.ping_interval, ping)

    def _expect_pong(self) -> None:
        """From now on a pong frame must come in time; the last expectation counts. Nothing else is a sign of life."""
        self._last_pong += 1
        expected = self._last_pong

        def check() -> None:
            if expected == self._last_pong and not self._server.pings_held:
                self._session.complain("no pong frame in time")
                self._session.drop()

        self._session.call_later(self._server.pong_timeout, check)

    def _expire(self) -> None:
        self._last_expiry += 1
        expected = self._last_expiry

        def expire() -> None:
            if expected == self._last_expiry:
                self._session.close(3005, close_reason(3005))

        self._session.call_later(self._server.ttl + self._server.expire_grace, expire)

    # Small change.

    def _credit(self) -> Dict[str, Any]:
        return {"client": self._client_id, "version": self._server.version, "expires": True, "ttl": self._server.ttl}

    def _reply(self, number: int, method: str, body: Dict[str, Any]) -> bool:
        with self._server.stream_lock:
            self._flush()  # what was pushed before stays before
            self._server.reply(self._session, method, write({"id": number, **body}) + "\n")
        return True

    def _error(self, number: int, method: str, code: int) -> bool:
        self._session.complain(f"{method}: error {code} {ERRORS[code]}")
        return self._reply(number, method, {"error": {"code": code, "message": ERRORS[code]}})

    def _bad_request(self, complaint: str) -> bool:
        return self._close(3003, complaint)

    def _close(self, code: int, complaint: str) -> bool:
        self._session.complain(complaint)
        self._session.close(code, close_reason(code))
        return False

    def _flush(self) -> None:
        texts, self._held = self._held, []
        for start in range(0, len(texts), JOINED):
            self._session.send_text("".join(texts[start : start + JOINED]))
