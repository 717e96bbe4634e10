"""One connection to the simulated Kyrrex: what every version of Socket.IO has in common, and the old one by hand.

Wire format: the protocol documents of Engine.IO 3 and 4 and Socket.IO 4 and 5 (https://github.com/socketio, read 2026-11).
The present version is in kyrrex_socketio.py.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from typing import TYPE_CHECKING, Any, List, Optional, Union

from .kyrrex_orders import KyrrexAccount
from .record import REMARK
from .session import Dialogue, Session

if TYPE_CHECKING:
    from .kyrrex import KyrrexSandbox, Verdict

# What a client that only listens may say: pong, connect, disconnect, ack, engine close.
EXPECTED = re.compile(r"3.*|40(\{.*\})?|41|43\d+\[.*\]|1", re.DOTALL)
EXPECTED_3 = re.compile(r"2.*|5|41|43\d+\[.*\]|1", re.DOTALL)
EMITTED = re.compile(r"42\d*\[.*\]", re.DOTALL)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class KyrrexDialogue(Dialogue):
    """What the exchange does with a connection, whatever its version.

    Attributes:
        account: whose it is, None for a stranger.
        live: objects are pushed to it.
        verdict: how it is to be refused, None to accept it.
    """

    expected = EXPECTED

    def __init__(
        self, session: Session, exchange: KyrrexSandbox, account: Optional[KyrrexAccount], verdict: Optional[Verdict]
    ) -> None:
        self.account = account
        self.verdict = verdict
        self.live = False
        self._session = session
        self._exchange = exchange

    def emit(self, event: str, content: Any, ack: bool) -> None:
        """Push an event, with an id that the client has to acknowledge if *ack*."""
        raise NotImplementedError

    def raw(self, content: Union[str, bytes]) -> None:
        """Send a frame as it is, after what was pushed before."""
        raise NotImplementedError

    def flush(self) -> None:
        """Return when everything that was pushed is with the connection."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """``41``: the namespace is left, the connection stays."""
        raise NotImplementedError

    def close_engine(self) -> None:
        """``1`` and a close frame."""
        raise NotImplementedError

    def subscriptions(self) -> List[str]:
        return ["account"] if self.live else []

    def check(self, text: str) -> None:
        """Note what a client that only listens has no reason to say."""
        if EMITTED.fullmatch(text):
            self._session.complain(f"{REMARK}an event, where the exchange is not known to take any")
        elif not self.expected.fullmatch(text):
            self._session.complain(f"not a packet of a client: {text[:40]!r}")

    def acknowledged(self, *_: Any) -> None:
        self._exchange.acknowledged += 1
        self._exchange.record.notify()


class MisspokenDialogue(KyrrexDialogue):
    """The end of a connection whose client speaks another version, as Node's server makes it.

    Source: engine.io's server.ts, abortUpgrade (read 2026-11): the HTTP answer goes into a WebSocket that is open already.
    """

    def __init__(self, session: Session, exchange: KyrrexSandbox, message: str) -> None:
        super().__init__(session, exchange, None, None)
        self._message = message

    def opened(self) -> None:
        if self._message:
            head = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\n"
            self._session.send_bytes(f"{head}Content-Length: {len(self._message)}\r\n\r\n{self._message}".encode())
        self._session.finish()

    def flush(self) -> None:
        """There is nothing between this and the connection."""


class Engine3Dialogue(KyrrexDialogue):
    """Engine.IO 3 by hand, for clients that are to notice it: the client pings, ``40`` comes unasked."""

    expected = EXPECTED_3

    def __init__(
        self, session: Session, exchange: KyrrexSandbox, account: Optional[KyrrexAccount], verdict: Optional[Verdict]
    ) -> None:
        super().__init__(session, exchange, account, verdict)
        self._acks = itertools.count()
        self._heard = 0

    def opened(self) -> None:
        self._session.send_text(self._exchange.open_packet(secrets.token_urlsafe(15)))
        self._expect_ping()
        if self.verdict is not None and self.verdict.form == "connect_error":
            self._session.send_text("44" + compact(self.verdict.message))
            return
        self._session.send_text("40")
        if self.verdict is not None:
            self._session.send_text("41")
        else:
            self.live = True
            self._exchange.record.notify()

    def message(self, text: str, binary: bool) -> None:
        self.check(text)
        if text.startswith("2"):
            self._expect_ping()
            if not self._exchange.pings_held:
                self._session.send_text("3" + text[1:])
        elif text.startswith("43"):
            self.acknowledged()
        elif text == "41":
            self.live = False
        elif text == "1":
            self._session.close(1000)

    def emit(self, event: str, content: Any, ack: bool) -> None:
        number = str(next(self._acks)) if ack else ""
        if isinstance(content, bytes):
            placeholder = {"_placeholder": True, "num": 0}
            self._session.send_text(f"451-{number}{compact([event, placeholder])}")
            self._session.send_binary(b"\x04" + content)
        else:
            self._session.send_text(f"42{number}{compact([event, content])}")

    def raw(self, content: Union[str, bytes]) -> None:
        if isinstance(content, str):
            self._session.send_text(content)
        else:
            self._session.send_binary(content)

    def flush(self) -> None:
        """There is nothing between this and the connection."""

    def disconnect(self) -> None:
        self.live = False
        self._session.send_text("41")

    def close_engine(self) -> None:
        self.live = False
        self._session.send_text("1")
        self._session.close(1000)

    def _expect_ping(self) -> None:
        self._heard += 1
        heard = self._heard

        def check() -> None:
            if heard == self._heard:
                self._session.complain("no ping in time")
                self._session.close(1000)

        self._session.call_later(self._exchange.ping_interval + self._exchange.ping_timeout, check)
