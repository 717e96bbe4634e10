"""Indodax's market-data service (ws3), simulated.

From the vendor's page Marketdata-websocket.md of https://github.com/btcid/indodax-official-api-docs (read 2026-11);
what the page leaves open is Centrifugo 2.8's behaviour, see centrifugo_v1.py, or what was observed on the live service
in September 2026 (numbers of levels and channels, unknown pairs, pings).
"""

from __future__ import annotations

import ssl
import threading
import time
import uuid
import zlib
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import jwt
from .centrifugo_stream import Stream
from .centrifugo_v1 import CentrifugoV1Dialogue
from .centrifugo_v1_codes import CLOSES, ERRORS, JOIN, LEAVE, MESSAGE, close_reason, push_text
from .indodax_walk import IndodaxWalk
from .server import ExchangeServer
from .session import Dialogue, Session

# Like the vendor's, it names nobody and is good for years; signed by nobody's key.
DEMO_TOKEN = jwt.sign({"exp": 1946618415}, b"demo-secret-not-real-indodax-market")


class IndodaxMarketSandbox(IndodaxWalk, ExchangeServer):
    """A market-data service of your own.

    Each channel has had one publication before the first client comes; ``published`` begins after those.

    Args:
        port: 0 takes any free one.
        seed: makes the market's choices repeatable.
        token: the only one that is accepted.
        ssl_context: serve wss with it.
        ping_interval: seconds between ping frames.
        pong_timeout: seconds without a pong frame until the connection is cut; 10/9 of *ping_interval* if None.
        stale_after: seconds a client has to send its connect command.
        expire_grace: seconds between the end of *ttl* and the close with 3005.
        history_size: publications of a channel that can be recovered.
        channel_limit: subscriptions of one connection.
        ttl: seconds a connection is good for without a refresh command (whole seconds).
        history: how many received things and published events are kept (None: all).
    """

    path = "/ws/"
    version = "2.8.7"
    namespaces: Tuple[str, ...] = ("chart", "market")
    queue_limit = 10 << 20  # Centrifugo 2.8's limit for a slow client

    def __init__(
        self,
        port: int = 0,
        seed: Optional[int] = None,
        token: str = DEMO_TOKEN,
        ssl_context: Optional[ssl.SSLContext] = None,
        *,
        ping_interval: float = 25.0,
        pong_timeout: Optional[float] = None,
        stale_after: float = 25.0,
        expire_grace: float = 25.0,
        history_size: int = 300,
        channel_limit: int = 128,
        ttl: int = 160_000_000,
        history: Optional[int] = None,
    ) -> None:
        IndodaxWalk.__init__(self, seed, history)
        ExchangeServer.__init__(self, port, 0, ssl_context, history=history)
        self.token = token
        self.ping_interval = ping_interval
        # Centrifugo reads for 10/9 of its ping interval.
        self.pong_timeout = ping_interval * 10 / 9 if pong_timeout is None else pong_timeout
        self.stale_after = stale_after
        self.expire_grace = expire_grace
        self.history_size = history_size
        self.channel_limit = channel_limit
        self.ttl = ttl
        # Taken after the market lock and before a session's own; never held while waiting for a client.
        self.stream_lock = threading.RLock()
        self._streams: Dict[str, Stream] = {}
        self._epoch = 0
        self._lost: Dict[str, int] = {}
        self._rejections: Dict[str, List[Tuple[int, str]]] = {}
        for channel, payload in self.first_payloads():
            stream = self._streams[channel] = self._new_stream(1000 + zlib.crc32(channel.encode()) % 30_000)
            stream.append(payload)

    # What a connection asks.

    def accepts(self, token: str) -> bool:
        """Whether it is the right token."""
        return token == self.token

    def stream(self, channel: str) -> Stream:
        """The channel's stream; the stream lock is held. A channel nobody publishes to has one, too."""
        if channel not in self._streams:
            self._streams[channel] = self._new_stream(0)
        return self._streams[channel]

    def planned_rejection(self, kind: str) -> Optional[Tuple[int, str]]:
        """The error that the next command of this kind is to get."""
        with self._lock:
            waiting = self._rejections.get(kind)
            return waiting.pop(0) if waiting else None

    def create_dialogue(self, session: Session) -> Dialogue:
        return CentrifugoV1Dialogue(session, self, str(uuid.uuid4()))

    def too_slow(self, session: Session) -> None:
        self.close_connections(3008, session=session)

    def close(self) -> None:
        self.pause()
        super().close()

    # Publishing.

    def publish(self, channel: str, payload: Any) -> None:
        with self.market_lock:
            with self.stream_lock:
                publication = self.stream(channel).append(payload)
                self.number_event({"channel": channel, "data": publication})
                if self._lost.get(channel, 0) > 0:
                    self._lost[channel] -= 1
                    return
                subscribers = self._push(channel, publication)
            for session in subscribers:
                if not session.wait_drained(self.queue_limit, self.slow_after):
                    self.too_slow(session)

    @contextmanager
    def one_frame(self) -> Iterator[None]:
        """Pushes to the connections of this moment go out together, up to 16 in a frame, each with its newline."""
        dialogues = [dialogue_of(session) for session in self.sessions]
        with self.stream_lock:
            for dialogue in dialogues:
                dialogue.hold()
        try:
            yield
        finally:
            with self.stream_lock:
                for dialogue in dialogues:
                    dialogue.release()

    def subscribers(self, channel: str) -> List[Session]:
        """The live connections that are subscribed to the channel."""
        return [session for session in self.sessions if channel in dialogue_of(session).channels]

    def wait_for_subscriber(self, channel: str, n: int = 1, timeout: float = 5.0) -> Session:
        """Wait until *n* connections are subscribed to the channel; the newest of them.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        found: List[Session] = []

        def enough() -> bool:
            found[:] = self.subscribers(channel)
            return len(found) >= n

        self.wait_until(enough, timeout)
        return found[-1]

    def position(self, channel: str) -> Tuple[int, str]:
        """The offset of the channel's last publication (0: none), and its epoch."""
        with self.stream_lock:
            stream = self.stream(channel)
            return stream.offset, stream.epoch

    # Misbehaving, in this exchange's own ways.

    def restart(self) -> None:
        """The server forgets everything: closes with 3001, and all streams begin anew with offset 1 and another epoch."""
        with self.stream_lock:
            for channel in self._streams:
                self._streams[channel] = self._new_stream(0)
            self.close_connections(3001)

    def new_epoch(self, channel: str) -> None:
        """This stream begins anew with offset 1 and another epoch, its history is gone; connections stay."""
        with self.stream_lock:
            self._streams[channel] = self._new_stream(0)

    def skip_offset(self, channel: str, count: int = 1) -> None:
        """Publications are lost for good: their offsets are used up, and no recovery brings them back."""
        with self.stream_lock:
            self.stream(channel).skip(count)

    def lose_next(self, channel: str, times: int = 1) -> None:
        """The next publications reach the history and no connection, so that a recovery brings them."""
        with self.stream_lock:
            self._lost[channel] = self._lost.get(channel, 0) + times

    def repeat(self, channel: str) -> None:
        """Push the channel's last publication again, with the same offset.

        Raises:
            LookupError: there is none in the history.
        """
        with self.stream_lock:
            self._push(channel, self.stream(channel).last)

    def reject_next(self, kind: str, code: int, message: Optional[str] = None, times: int = 1) -> None:
        """Answer the next commands of this kind (``connect``, ``subscribe``, ``ping``, …) with an error.

        The message is that of the protocol for this code by default.
        """
        text = ERRORS.get(code, "") if message is None else message
        with self._lock:
            self._rejections.setdefault(kind, []).extend([(code, text)] * times)

    def close_connections(
        self, code: int = 3001, reason: str = "", session: Optional[Session] = None, reconnect: Optional[bool] = None
    ) -> None:
        """Close with a close frame.

        What is not given is as the protocol has it for this code: ``{"reason":"shutdown","reconnect":true}``. A code
        that the protocol does not have gets such a text if *reconnect* is given, otherwise *reason* as it is.
        """
        text = reason if reconnect is None and code not in CLOSES else close_reason(code, reason, reconnect)
        for each in self._chosen(session):
            each.close(code, text)

    def unsubscribe_push(
        self, channel: Optional[str] = None, resubscribe: bool = False, session: Optional[Session] = None
    ) -> None:
        """End subscriptions to the channel (None: to all) from the server's side, with the push that says so."""
        with self.stream_lock:
            for each in self._chosen(session):
                dialogue = dialogue_of(each)
                for name in sorted(dialogue.channels) if channel is None else [channel]:
                    if name in dialogue.channels:
                        dialogue.unsubscribe_push(name, resubscribe)

    def join(self, channel: str, client: str, user: str = "") -> None:
        """Push to the subscribers that another client came."""
        self.push(JOIN, {"info": {"user": user, "client": client}}, channel)

    def leave(self, channel: str, client: str, user: str = "") -> None:
        """Push to the subscribers that another client went."""
        self.push(LEAVE, {"info": {"user": user, "client": client}}, channel)

    def send_message(self, data: Any, session: Optional[Session] = None) -> None:
        """Push a message that belongs to no channel."""
        self.push(MESSAGE, {"data": data}, session=session)

    def push(self, kind: int, data: Any, channel: Optional[str] = None, session: Optional[Session] = None) -> None:
        """Push anything, of a known type or not: to this connection, or to the channel's subscribers, or to all."""
        with self.stream_lock:
            chosen = self.subscribers(channel) if session is None and channel is not None else self._chosen(session)
            for each in chosen:
                dialogue_of(each).push(push_text(data, channel, kind))

    def instructions(self) -> List[str]:
        return [
            f"url    {self.url}",
            f"token  {self.token}",
            "",
            "client = xchws.IndodaxMarket(",
            f'    url="{self.url}",',
            f'    token="{self.token}",',
            ")",
        ]

    def _push(self, channel: str, publication: Dict[str, Any]) -> List[Session]:
        subscribers = self.subscribers(channel)
        if subscribers:
            text = push_text(publication, channel)
            for session in subscribers:
                dialogue_of(session).push(text)
        return subscribers

    def _new_stream(self, offset: int) -> Stream:
        # Epochs look like the second in which they began; no two are the same.
        self._epoch = max(self._epoch + 1, int(time.time()))
        return Stream(str(self._epoch), self.history_size, offset)


def dialogue_of(session: Session) -> CentrifugoV1Dialogue:
    """What is spoken on this connection."""
    assert isinstance(session.dialogue, CentrifugoV1Dialogue)
    return session.dialogue
