"""Kyan's WebSocket, simulated.

From the vendor's pages https://docs.kyan.blue/docs/websocket-api, ws-authentication, ws-connection,
ws-session-recovery and those of the channels (read 2026-11). What they leave open (the layout of a book's snapshot,
the replies to subscribe, how a session ends after its hour) is a switch with the likeliest value as default.
"""

from __future__ import annotations

import ssl
from typing import Any, Dict, List, Optional

from .kyan_channels import Event
from .kyan_dialogue import KyanDialogue
from .kyan_errors import RATE_LIMITED
from .kyan_market import KyanMarket
from .kyan_stream import Stream
from .server import ExchangeServer
from .session import Dialogue, Session

PONG = 0xA  # the opcode of RFC 6455
DEMO_KEY = "demo_key_not_real_4e81c0a7_kyan"
MAGIC_KEYS = {
    "k_missing": "NOT_FOUND",
    "k_disabled": "FORBIDDEN",
    "k_exhausted": "KEY_USAGE_EXCEEDED",
    "k_limited": RATE_LIMITED,
    "k_broken": "Failed to validate api key",
}


class KyanSandbox(KyanMarket, ExchangeServer):
    """An exchange of your own.

    Every key of ``MAGIC_KEYS`` is refused with its error; one that is neither there nor an account's, with NOT_FOUND.

    Args:
        port: 0 takes any free one.
        seed: makes the market's choices repeatable.
        key: of the first account; see ``add_account``.
        ssl_context: serve wss with it.
        session_lifetime: seconds until the exchange ends a connection.
        recovery_window: seconds after its end within which a session can be recovered.
        recovery_buffer: missed messages that are kept; with more, recovery fails.
        answer_pings: answer ping frames; it sends none of its own either way.
        seq_id_on_responses: responses carry and use up a ``seq_id`` too.
        message_ids: messages carry ``message_id`` and events ``seq_id``; False: as before version 1.16.0.
        position_interval: seconds between two ``position`` events, None for none. They are not in ``published``.
        history: how many received things and published events are kept (None: all).

    Attributes:
        lifetime_close_code: of the close frame at the end of ``session_lifetime``; None ends the TCP connection without.
        bad_entry_fails_all: one bad entry of a subscribe fails the whole list; else the good ones work all the same.
        snapshot_layout: of the book channels: ``ob_snapshot`` (one event per instrument, ``bids`` and ``asks`` of whole
            orders in ``data``), ``flat`` (the same without ``data``, numbers as strings: unofficial code has it so), or
            ``post_order`` (one such event per order).
        maker_layout: of ``ob_maker_orders``: ``list`` (``data`` is the list) or ``orders`` (``data.orders`` is).
        instruments_layout: of the reply to get_instruments: ``object`` (``data.instruments``), ``list`` (``data``) or
            ``top`` (``instruments``).
        position_ids: positions have ``id``, ``margin_account_id`` and ``entry_fee``.
        recovery_enable_interval: seconds that must lie between two enable_session_recovery of a connection.
        replay_before_reply: the missed messages come before the reply to recover_session.
        replay_overlap: so many messages that were sent already are replayed too.
    """

    path = "/ws"

    def __init__(
        self,
        port: int = 0,
        seed: Optional[int] = None,
        key: str = DEMO_KEY,
        ssl_context: Optional[ssl.SSLContext] = None,
        *,
        session_lifetime: float = 3600.0,
        recovery_window: float = 30.0,
        recovery_buffer: int = 1000,
        answer_pings: bool = True,
        seq_id_on_responses: bool = False,
        message_ids: bool = True,
        position_interval: Optional[float] = 1.0,
        history: Optional[int] = None,
    ) -> None:
        KyanMarket.__init__(self, key, seed, history)
        ExchangeServer.__init__(self, port, 0, ssl_context, max_message_size=1 << 20, history=history)
        self.session_lifetime = session_lifetime
        self.recovery_window = recovery_window
        self.recovery_buffer = recovery_buffer
        self.answer_pings = answer_pings
        self.seq_id_on_responses = seq_id_on_responses
        self.message_ids = message_ids
        self.position_interval = position_interval
        self.lifetime_close_code: Optional[int] = 1000
        self.bad_entry_fails_all = True
        self.snapshot_layout = "ob_snapshot"
        self.maker_layout = "list"
        self.instruments_layout = "object"
        self.position_ids = True
        self.recovery_enable_interval = 10.0
        self.replay_before_reply = False
        self.replay_overlap = 0
        self._streams: List[Stream] = []
        self._rejections: Dict[str, List[str]] = {}
        self._recovery_failures: List[str] = []

    # What a connection asks.

    def create_dialogue(self, session: Session) -> Dialogue:
        self._mute_pongs(session)
        stream = Stream(session, self.recovery_buffer, self.message_ids, self.seq_id_on_responses)
        with self._lock:
            self._streams = [each for each in self._streams if not each.forgotten]
            self._streams.append(stream)
        return KyanDialogue(session, self, stream)

    def key_error(self, key: str) -> Optional[str]:
        """What is wrong with an API key."""
        return MAGIC_KEYS.get(key, None if self.known(key) else "NOT_FOUND")

    def planned_rejection(self, kind: str) -> Optional[str]:
        """The error that the next command of this kind is to get."""
        with self._lock:
            for name in (kind, "any"):
                if self._rejections.get(name):
                    return self._rejections[name].pop(0)
        return None

    def planned_recovery_failure(self) -> Optional[str]:
        """Why the next recovery is to fail."""
        with self._lock:
            return self._recovery_failures.pop(0) if self._recovery_failures else None

    def detached(self, token: str) -> Optional[Stream]:
        """The stream that this token recovers."""
        with self._lock:
            for stream in self._streams:
                if stream.token == token:
                    return stream
        return None

    def session_over(self, session: Session) -> None:
        super().session_over(session)
        if isinstance(session.dialogue, KyanDialogue):
            session.dialogue.stream.detach(self.recovery_window)

    def end_session(self, session: Session) -> None:
        """A session's time is up."""
        if self.lifetime_close_code is None:
            self.drop(session)
        else:
            self.close_connections(self.lifetime_close_code, "", session)

    def close(self) -> None:
        self.pause()
        super().close()
        with self._lock:
            self._streams.clear()

    # Publishing.

    def subscribers(self, channel: str) -> List[Session]:
        """The live connections that are subscribed to the channel, whatever their query."""
        with self.book_lock:
            return [
                session
                for session in self.sessions
                if any(each.channel == channel for each in list(self._stream(session).subscriptions.values()))
            ]

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

    def deliver_event(self, event: Event) -> None:
        now = self.now()
        with self._lock:
            streams = list(self._streams)
        for stream in [each for each in streams if not each.lost]:
            for subscription in list(stream.subscriptions.values()):
                if subscription.wants(event):
                    stream.tell(event, subscription, now)

    def settle(self) -> None:
        for session in self.sessions:
            if not session.wait_drained(self.queue_limit, self.slow_after):
                self.too_slow(session)

    def publish_positions(self) -> None:
        """Let a ``position`` event come now, whatever the interval."""
        for session in self.sessions:
            self._dialogue(session).tell_positions()

    # Misbehaving. What was published before is on its way when these act, and what is published after is missed.

    def drop(self, session: Optional[Session] = None, reset: bool = False) -> None:
        self._part(session)
        super().drop(session, reset)

    def close_connections(self, code: int = 1001, reason: str = "", session: Optional[Session] = None) -> None:
        self._part(session)
        super().close_connections(code, reason, session)

    def stall(self, session: Optional[Session] = None) -> None:
        for each in self._chosen(session):
            each.wait_drained(1, self.slow_after)
            with self.book_lock:
                self._stream(each).doubt()
        super().stall(session)

    def resume(self, session: Optional[Session] = None) -> None:
        super().resume(session)
        for each in self._chosen(session):
            self._stream(each).trust()

    def skip_seq(self, n: int = 1, session: Optional[Session] = None) -> None:
        """Leave out the next *n* numbers of ``seq_id``."""
        for each in self._chosen(session):
            self._stream(each).skip(n)

    def repeat_message(self, session: Optional[Session] = None) -> None:
        """Send the last event again: the same ``message_id``, the same ``seq_id``."""
        for each in self._chosen(session):
            self._stream(each).repeat()

    def reject_next(self, kind: str, text: str, times: int = 1) -> None:
        """Answer the next commands of this kind (``auth``, ``subscribe``, …; ``any``) with this error text."""
        with self._lock:
            self._rejections.setdefault(kind, []).extend([text] * times)

    def rate_limit(self, times: int = 1) -> None:
        """Answer the next commands, of whatever kind, with RATELIMITED."""
        self.reject_next("any", RATE_LIMITED, times)

    def fail_recovery(self, reason: str = "expired", times: int = 1) -> None:
        """Let the next recoveries fail: ``expired``, ``instance``, ``overflow``, or an error text of your own."""
        with self._lock:
            self._recovery_failures.extend([reason] * times)

    def instructions(self) -> List[str]:
        return [
            f"url      {self.url}",
            f"key      {self.key}",
            f"account  {self.account().smart_account_address}",
            "",
            f'client = xchws.Kyan("{self.key}", url="{self.url}")',
            'client.subscribe("orderbook_perps", pair="BTC_USDC")',
        ]

    def _part(self, session: Optional[Session]) -> None:
        for each in self._chosen(session):
            each.wait_drained(1, self.slow_after)
            with self.book_lock:
                self._stream(each).detach(self.recovery_window)

    def _mute_pongs(self, session: Session) -> None:
        """Let the answer to a ping frame depend on ``answer_pings``."""
        protocol: Any = session._protocol
        send = protocol.send_frame

        def send_frame(frame: Any) -> None:
            if self.answer_pings or frame.opcode != PONG:
                send(frame)

        protocol.send_frame = send_frame

    def _stream(self, session: Session) -> Stream:
        return self._dialogue(session).stream

    @staticmethod
    def _dialogue(session: Session) -> KyanDialogue:
        assert isinstance(session.dialogue, KyanDialogue)
        return session.dialogue
