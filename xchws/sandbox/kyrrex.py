"""Kyrrex's account stream and its REST endpoint for the user's id, simulated.

From the vendor's pages https://docs.kyrrex.com/websocket and https://docs.kyrrex.com/authentication (read 2026-11). Which
version of Socket.IO the vendor runs and how it refuses a key is told nowhere: a switch each. Answers to wrong
handshakes are those of the JavaScript server, which the vendor's sample talks to.
"""

from __future__ import annotations

import hmac
import secrets
import ssl
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple, Union
from urllib.parse import parse_qsl, urlsplit

from .kyrrex_dialogue import Engine3Dialogue, KyrrexDialogue, MisspokenDialogue, compact
from .kyrrex_market import KyrrexMarket
from .kyrrex_orders import KyrrexAccount
from .kyrrex_rest import CANONICALS, members_me, signature
from .kyrrex_socketio import Engine4Dialogue, SocketServer
from .record import Received
from .rest import RestReply
from .server import ExchangeServer
from .session import Dialogue, Refusal, Session

DEMO_KEY = "DEMO-KEY-NOT-REAL-71c5e0b94d-kyrrex"
DEMO_SECRET = "demo-secret-not-real-0a6f2d81c93e-kyrrex"
DEMO_UUID = "demo4k9x2"
FORMS = ("http", "connect_error", "disconnect")
# Engine.IO's own codes: https://github.com/socketio/engine.io-protocol
HANDSHAKE_ERRORS = {
    0: "Transport unknown",
    1: "Session ID unknown",
    3: "Bad request",
    4: "Forbidden",
    5: "Unsupported protocol version",
}


@dataclass(frozen=True)
class Verdict:
    """A refusal: its *form* and the text that goes with it."""

    form: str
    message: str


class KyrrexSandbox(KyrrexMarket, ExchangeServer):
    """A private exchange of your own. python-socketio's real server holds the conversation (see kyrrex_socketio.py).

    Args:
        port, rest_port: 0 takes any free one.
        seed: makes the market's choices repeatable.
        key, secret, user_uuid: of the first account; see ``add_account``.
        ssl_context: serve wss and https with it.
        path: of the stream; a slash at the end makes no difference.
        ping_interval, ping_timeout: seconds between pings, and to answer one.
        envelope: of the objects: ``data`` (``{"data": {"version", "action", "object"}}``) or ``plain`` (``{"action",
            "object"}``).
        rest_canonical: what a REST request must sign: ``verb|path|query``, ``verb|path|query|access_key``, or ``both``.
        uuid_field: the name of the user's id in the answer: ``uuid`` or ``uid``.
        refusal: how a wrong key or signature is refused: ``http`` (the handshake, by ``refusal_status``),
            ``connect_error`` (``44``), or ``disconnect`` (``40`` and at once ``41``).
        engine: 4, or 3 for the version before, which clients are to notice.
        history: how many received things and published objects are kept (None: all).

    Attributes:
        refusal_status: of the refused handshake.
        version_refusal: how a client of another version of Engine.IO is refused: ``stream`` (an HTTP answer written into the
            open WebSocket, as Node's server does it), ``cut`` (all that arrives of that over TLS), or ``http`` (the
            handshake, as python-engineio's does it).
        polling: answer the handshake of HTTP polling, which goes no further here; False: "Transport unknown".
        ask_acks: objects carry an id that the client has to acknowledge; ``acknowledged`` counts.
        connect_timeout: seconds a client has to ask for the namespace.
    """

    has_rest = True

    def __init__(
        self,
        port: int = 0,
        rest_port: int = 0,
        seed: Optional[int] = None,
        key: str = DEMO_KEY,
        secret: str = DEMO_SECRET,
        user_uuid: str = DEMO_UUID,
        ssl_context: Optional[ssl.SSLContext] = None,
        *,
        path: str = "/zsu/ws/v1",
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        envelope: str = "data",
        rest_canonical: str = "verb|path|query",
        uuid_field: str = "uuid",
        refusal: str = "http",
        engine: int = 4,
        history: Optional[int] = None,
    ) -> None:
        for value, allowed in (
            (envelope, ("data", "plain")),
            (rest_canonical, (*CANONICALS, "both")),
            (uuid_field, ("uuid", "uid")),
            (refusal, FORMS),
            (engine, (3, 4)),
        ):
            if value not in allowed:
                raise ValueError(f"{value!r} is none of {allowed}")
        KyrrexMarket.__init__(self, key, secret, user_uuid, seed, history)
        ExchangeServer.__init__(self, port, rest_port, ssl_context, max_message_size=1_000_000, history=history)
        self.path = path.rstrip("/") + "/"
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.envelope = envelope
        self.rest_canonical = rest_canonical
        self.uuid_field = uuid_field
        self.refusal = refusal
        self.engine = engine
        self.refusal_status = 403
        self.version_refusal = "stream"
        self.polling = True
        self.ask_acks = False
        self.acknowledged = 0
        self.connect_timeout = 45.0
        self._server = SocketServer(ping_interval, ping_timeout, self.max_message_size)
        self._rejections: List[Verdict] = []
        self._verdicts: Dict[int, Tuple[Optional[KyrrexAccount], Optional[Verdict]]] = {}

    @property
    def base_url(self) -> str:
        """The address without path, as Socket.IO clients want it."""
        return self.url[: -len(self.path)]

    def sign(self, key: Optional[str] = None) -> str:
        """The ``api_sign`` of an account."""
        account = self.owner(key)
        return signature(account, f"{account.user_uuid}|{account.key}")

    # What a connection asks.

    def process_request(self, session: Session) -> Optional[Refusal]:
        asked, _, query = session.path.partition("?")
        if asked == self.path.rstrip("/"):
            session.path = f"{self.path}?{query}"
        refusal = super().process_request(session) or self._handshake_error(session)
        if refusal is not None:
            return refusal
        if session.query.get("transport") == "polling":
            opening = self.open_packet(secrets.token_urlsafe(15))
            return Refusal(200, opening if self.engine == 4 else f"{len(opening)}:{opening}2:40")
        account, verdict = self._judge(session)
        if verdict is not None and verdict.form == "http":
            return Refusal(
                self.refusal_status,
                compact({"code": 4, "message": verdict.message}),
                {"Content-Type": "application/json"},
            )
        self._verdicts[session.number] = account, verdict
        return None

    def create_dialogue(self, session: Session) -> Dialogue:
        account, verdict = self._verdicts.pop(session.number)
        if self._is_of_another_version(session):
            session.complain(f"handshake: {HANDSHAKE_ERRORS[5]}")
            return MisspokenDialogue(session, self, "" if self.version_refusal == "cut" else HANDSHAKE_ERRORS[5])
        if self.engine == 3:
            return Engine3Dialogue(session, self, account, verdict)
        return Engine4Dialogue(session, self, account, verdict, self._server)

    def open_packet(self, sid: str) -> str:
        """Engine.IO's first packet."""
        opening: Dict[str, Any] = {
            "sid": sid,
            "upgrades": [],
            "pingInterval": int(self.ping_interval * 1000),
            "pingTimeout": int(self.ping_timeout * 1000),
        }
        if self.engine == 4:
            opening["maxPayload"] = self.max_message_size
        return "0" + compact(opening)

    def rest(self, request: Received) -> RestReply:
        return members_me(request, self.record, self.known, self.rest_canonical, self.uuid_field)

    def close(self) -> None:
        self.pause()
        super().close()
        self._server.eio.join_tasks()

    # Pushing.

    def subscribers(self, key: Optional[str] = None) -> List[Session]:
        """The live connections of an account, of the first one by default."""
        wanted = key or self.key
        return [
            session
            for session in self.sessions
            for dialogue in (self._dialogue(session),)
            if dialogue.live and dialogue.account is not None and dialogue.account.key == wanted
        ]

    def wait_for_subscriber(self, n: int = 1, timeout: float = 5.0, key: Optional[str] = None) -> Session:
        """Wait until *n* connections of the account are ready for objects; the newest of them.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        found: List[Session] = []

        def enough() -> bool:
            found[:] = self.subscribers(key)
            return len(found) >= n

        self.wait_until(enough, timeout)
        return found[-1]

    def deliver_object(self, key: str, event: str, action: str, content: Dict[str, Any]) -> None:
        payload: Dict[str, Any] = {"action": action, "object": content}
        if self.envelope == "data":
            payload = {"data": {"version": "1", **payload}}
        for session in self.subscribers(key):
            self._dialogue(session).emit(event, payload, self.ask_acks)

    def send_event(self, event: str, content: Any, session: Optional[Session] = None, ack: bool = False) -> None:
        """Push any event, to every live connection by default: a JSON value, or bytes for a binary event."""
        for each in self._chosen(session):
            dialogue = self._dialogue(each)
            if dialogue.live:
                dialogue.emit(event, content, ack)

    # Misbehaving. What was published before is with the connection when these act.

    def reject_next(self, form: Optional[str] = None, times: int = 1, message: str = "Authentication failed") -> None:
        """Refuse the next connections whatever their key, in this form (``http``, ``connect_error``, ``disconnect``;
        ``refusal`` by default)."""
        if form is not None and form not in FORMS:
            raise ValueError(f"{form!r} is none of {FORMS}")
        with self._lock:
            self._rejections.extend([Verdict(form or self.refusal, message)] * times)

    def disconnect(self, session: Optional[Session] = None) -> None:
        """``41``: the server ends the namespace; the connection stays until the client closes it."""
        for each in self._chosen(session):
            self._dialogue(each).disconnect()

    def close_engine(self, session: Optional[Session] = None) -> None:
        """``1``, and a close frame after it."""
        for each in self._chosen(session):
            self._dialogue(each).close_engine()

    def send_raw(self, content: Union[str, bytes], session: Optional[Session] = None) -> None:
        """Send a frame as it is: packets of unknown types, broken ones, ``44{"message":…}``, ``1`` alone."""
        for each in self._chosen(session):
            self._dialogue(each).raw(content)

    def send_frame(
        self,
        opcode: int,
        payload: bytes,
        fin: bool = True,
        rsv: int = 0,
        mask: bool = False,
        session: Optional[Session] = None,
    ) -> None:
        self._flush(session)
        super().send_frame(opcode, payload, fin, rsv, mask, session)

    def drop(self, session: Optional[Session] = None, reset: bool = False) -> None:
        self._flush(session)
        super().drop(session, reset)

    def close_connections(self, code: int = 1001, reason: str = "", session: Optional[Session] = None) -> None:
        self._flush(session)
        super().close_connections(code, reason, session)

    def stall(self, session: Optional[Session] = None) -> None:
        self._flush(session)
        super().stall(session)

    def instructions(self) -> List[str]:
        return [
            f"url        {self.url}",
            f"rest_url   {self.rest_url}",
            f"key        {self.key}",
            f"secret     {self.secret}",
            f"user_uuid  {self.user_uuid}",
            "",
            "client = xchws.Kyrrex(",
            f'    "{self.key}",',
            f'    "{self.secret}",',
            f'    url="{self.url}",',
            f'    rest_url="{self.rest_url}",',
            ")",
        ]

    def _handshake_error(self, session: Session) -> Optional[Refusal]:
        """The JavaScript server's opinion of the query."""
        transport = session.query.get("transport")
        upgrade = session.headers.get("upgrade", "").lower() == "websocket"
        code: Optional[int] = None
        if transport not in ("websocket", "polling") or (transport == "polling" and not self.polling):
            code = 0
        elif "sid" in session.query:
            code = 1
        elif upgrade != (transport == "websocket"):
            code = 3
        elif self._is_of_another_version(session) and not (upgrade and self.version_refusal in ("stream", "cut")):
            code = 5
        if code is None:
            return None
        session.complain(f"handshake: {HANDSHAKE_ERRORS[code]}")
        if upgrade:
            return Refusal(400, HANDSHAKE_ERRORS[code], {"Content-Type": "text/html"})
        body = compact({"code": code, "message": HANDSHAKE_ERRORS[code]})
        return Refusal(400, body, {"Content-Type": "application/json"})

    def _is_of_another_version(self, session: Session) -> bool:
        return self.engine == 4 and session.query.get("EIO") != "4"

    def _judge(self, session: Session) -> Tuple[Optional[KyrrexAccount], Optional[Verdict]]:
        with self._lock:
            planned = self._rejections.pop(0) if self._rejections else None
        query = dict(parse_qsl(urlsplit(session.path).query))
        account = self.known(query.get("api_key", ""))
        if planned is not None:
            return account, planned
        objection = "an unknown api_key" if account is None else None
        if account is not None and not hmac.compare_digest(
            self.sign(account.key).encode(), query.get("api_sign", "").encode()
        ):
            objection = "a wrong api_sign"
        if objection is None:
            return account, None
        session.complain(objection)
        return None, Verdict(self.refusal, "Forbidden" if self.refusal == "http" else "Authentication failed")

    def _flush(self, session: Optional[Session]) -> None:
        for each in self._chosen(session):
            self._dialogue(each).flush()
            each.wait_drained(1, self.slow_after)

    @staticmethod
    def _dialogue(session: Session) -> KyrrexDialogue:
        assert isinstance(session.dialogue, KyrrexDialogue)
        return session.dialogue
