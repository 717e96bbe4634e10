"""KyanProtocol: Kyan's stream on one connection.

The script: auth (or, after a loss, recover_session in its place), then enable_session_recovery, then one subscribe per topic.
Sources: https://docs.kyan.blue/docs/ws-authentication, /ws-connection and /ws-session-recovery, read 2026-11. The replies to
subscribe, unsubscribe, get_instruments and recover_session are on none of them: they are taken to be like those to auth.
"""

from __future__ import annotations

from typing import Any, Hashable, List, Optional, Tuple

import attrs
import msgspec

from xchws.credentials import Secrets
from xchws.errors import (
    ExchangeError,
    OpenFailed,
    ProtocolError,
    RequestRejected,
    Silent,
)
from xchws.events import Data, Failure, OrderBook, Other
from xchws.exchanges.kyan import feed, refusal, wire
from xchws.exchanges.kyan.channels import NAME
from xchws.exchanges.kyan.desk import REPLY, Command, Desk
from xchws.exchanges.kyan.session import ENABLE_PAUSE, Memory
from xchws.exchanges.kyan.subscriptions import Subscriptions
from xchws.exchanges.kyan.wire import Envelope
from xchws.sansio.actions import (
    Close,
    Expiry,
    Leave,
    Output,
    Ready,
    Renew,
    Replied,
    Send,
    ServerTime,
    Topic,
    Unanswered,
)
from xchws.sansio.protocol import UNREADABLE, Protocol

_RECOVERED_WITHIN = 5.0  # seconds for the answer to recover_session; then there is still time for a new login
_REQUEST = 60.0  # seconds after which a request without an answer is given up
_LEAD = 300.0  # seconds before the session's end at which it is renewed; a tenth of its life where that is less
_ABNORMAL = 1006  # no close frame came: RFC 6455, section 7.1.5
_TICKS, _TICK, _QUIET = 10, 5.0, 30.0  # see _ticked

_read_recovery = wire.reader(wire.Recovery)


@attrs.frozen
class GetInstruments:
    """The request for the instruments of these markets."""

    markets: Tuple[str, ...]


@attrs.frozen
class Logout:
    """The request to end the session."""


class KyanProtocol(Protocol):
    """Kyan's stream on one connection.

    Args:
        key: the API key; memory: what is remembered from connection to connection; lifetime: of a session, seconds.
    """

    exchange = NAME
    answers_pings = False  # the page says that the server has no keepalive; that it answers a ping is not documented

    def __init__(self, key: str, memory: Memory, lifetime: float, secrets: Secrets) -> None:
        super().__init__(secrets)
        self._key = key
        self._memory = memory
        self._lifetime = lifetime
        self._desk = Desk()
        self._ready = False
        self._early: List[Output] = []  # what came before the session was live
        self._renew_at: Optional[float] = None
        self._enable_at: Optional[float] = None
        self._ticks = 0
        self._ticked_at = 0.0
        self._repeats = False  # what is replayed begins with what has been told: nothing is missing between

    # ------------------------------------------------------------------------------------------------------ beginning

    def opened(self, now: float) -> List[Output]:
        self._session, token = self._memory.begin(now)
        self._feed = feed.Feed(self._session, self._memory.fills.view(), self.unreadable)
        self._subscriptions = Subscriptions(
            self._session, self._desk, self._memory.unauthorized, self._feed.orders.forget, self.secrets
        )
        if token is None:
            return [self._say(Command("auth"), now, api_key=self._key)]
        send = self._desk.say(
            Command("recover_session"),
            lambda number: wire.command("recover_session", number, recovery_token=token, api_key=self._key),
            now,
            _RECOVERED_WITHIN,
        )
        return [send]

    def _say(self, command: Command, now: float, patience: float = REPLY, **fields: Any) -> Send:
        return self._desk.say(command, lambda number: wire.command(command.verb, number, **fields), now, patience)

    def _begin(self, now: float) -> List[Output]:
        """The session is live."""
        self._ready = True
        self._memory.serves(self._session)
        end = self._session.began_at + self._lifetime
        self._renew_at = end - min(_LEAD, self._lifetime / 10)
        outputs: List[Output] = [Expiry(end)]
        if self._session.token is None:
            outputs += self._enable(now)
        early, self._early = self._early, []
        return [*outputs, Ready(), *early]

    def _authorized(self, envelope: Envelope, now: float) -> List[Output]:
        error = envelope.error or ""
        if envelope.says_yes or error == refusal.ALREADY_AUTHORIZED:
            return self._begin(now)
        return [refusal.login(error, self.secrets)]

    # ------------------------------------------------------------------------------------------------------- recovery

    def _enable(self, now: float) -> List[Output]:
        if not self._memory.recovery:
            return []
        last = self._memory.enabled_at
        if last is not None and now < last + ENABLE_PAUSE:
            self._enable_at = last + ENABLE_PAUSE
            return []
        self._enable_at = None
        self._memory.enabled_at = now
        return [self._say(Command("enable_session_recovery"), now)]

    def _enabled(self, envelope: Envelope, text: bytes, now: float) -> List[Output]:
        if envelope.says_yes:
            return self._take_token(text)
        error = envelope.error or ""
        if error in (refusal.RATELIMITED, refusal.KEY_USAGE_EXCEEDED):
            self._enable_at = now + ENABLE_PAUSE
        else:
            self._memory.recovery = False  # it will not be otherwise on the next connection
        said = self.secrets.excerpt(error)
        return [
            refusal.failure(ExchangeError(f"{NAME}: session recovery was refused: {said}", code=said, exchange=NAME))
        ]

    def _take_token(self, text: bytes) -> List[Output]:
        try:
            found = _read_recovery(text)
        except (*UNREADABLE, ValueError) as error:
            return [self.unreadable(text, f"a recovery token that cannot be understood ({error})")]
        if not found.recovery_token:
            return [self.unreadable(text, "a reply without a recovery token")]
        self._session.token = found.recovery_token
        if found.ttl_seconds is not None:
            self._session.ttl = float(found.ttl_seconds)
        return []

    def _recovered(self, envelope: Envelope, text: bytes, now: float) -> List[Output]:
        if not envelope.says_yes:
            return [self._unrecovered(f"the exchange said: {self.secrets.excerpt(envelope.error or 'no reason')}")]
        try:
            restored = msgspec.json.decode(text, type=wire.Restored).subscriptions_restored
        except UNREADABLE:
            restored = None
        if type(restored) is int and restored < len(self._session.topics):
            return [self._unrecovered(f"{restored} of {len(self._session.topics)} subscriptions were restored")]
        outputs = self._take_token(text)
        # No position goes with the command: the exchange replays what it holds to be missed. What it had sent when the line
        # broke, without a word from it, may be missing all the same.
        whole = self._session.parted or self._repeats
        self._subscriptions.restored(whole, now)
        self._session.parted = False
        if not whole:
            self._early = [event for event in self._early if not isinstance(event, OrderBook)]  # each may lack a change
        return outputs + self._begin(now)

    def _unrecovered(self, why: str) -> Close:
        """This connection has had its first message: a new one is needed to log in. What has been replayed counts as missed."""
        self._early = []
        return Close(OpenFailed(f"{NAME}: the session could not be recovered: {why}", exchange=NAME), at_once=True)

    # -------------------------------------------------------------------------------------------------- subscriptions

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        return self._subscriptions.subscribe(topic, now)

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        if topic.channel == "position":
            self._ticks, self.silence = 0, None
        return self._subscriptions.unsubscribe(topic, now)

    # ------------------------------------------------------------------------------------------------------- requests

    def request(self, ticket: int, request: Any, now: float) -> List[Output]:
        if isinstance(request, GetInstruments):
            return [self._say(Command("get_instruments", ticket=ticket), now, _REQUEST, markets=request.markets)]
        return [self._say(Command("logout", ticket=ticket), now, _REQUEST)]

    def _replied(self, command: Command, envelope: Envelope, text: bytes) -> List[Output]:
        ticket = command.ticket
        assert ticket is not None, "only requests come here"
        if not envelope.says_yes:
            error = envelope.error or ""
            said = self.secrets.excerpt(error)
            told = f"{NAME}: {command.verb} is refused: {said or 'no reason given'}"
            if error in (refusal.RATELIMITED, refusal.KEY_USAGE_EXCEEDED):
                return [Replied(ticket, error=refusal.passing(error, told))]
            rejected = RequestRejected(told, code=said or None, message=said, exchange=NAME)
            replied = Replied(ticket, error=rejected)
            return [replied, self._subscriptions.unauthorized()] if error == refusal.NOT_AUTHORIZED else [replied]
        if command.verb == "logout":
            self._session.token = None
            return [Replied(ticket), Leave()]
        try:
            return [Replied(ticket, wire.instruments_of(text))]
        except (*UNREADABLE, ValueError) as error:
            told = f"{NAME}: the answer to get_instruments cannot be understood ({error}): {self.secrets.excerpt(text)}"
            return [Replied(ticket, error=ProtocolError(told, text=self.secrets.excerpt(text), exchange=NAME))]

    # ------------------------------------------------------------------------------------------------------- messages

    def received(self, text: bytes, now: float) -> List[Output]:
        if b"recovery_token" in text:
            self._note_token(text)
        outputs: List[Output] = [self.message(text)] if self.verbatim else []
        try:
            envelope, wrong = wire.envelope_of(text)
        except UNREADABLE as error:
            return [*outputs, self.unreadable(text, f"a message that cannot be understood ({error})")]
        if wrong:
            outputs.append(self.unreadable(text, f"a message with an odd {', '.join(wrong)}"))
        repeated = not self._session.is_new(envelope.message_id)
        skipped = self._session.numbering.skips(envelope.seq_id, repeated)
        if repeated:
            self._repeats = True
            return outputs
        made = self._subscriptions.missed() if skipped else []
        if envelope.kind == "response" or (envelope.kind != "event" and envelope.success is not None):
            return outputs + self._held(made) + self._response(envelope, text, now)
        if envelope.kind == "event" or envelope.subscription is not None:
            made += self._subscriptions.implied(envelope, now)
            made += self._feed.events(envelope, text)
            self._ticked(envelope, now)
        else:
            made.append(Other(kind=envelope.type or "unknown", wire=text, time_ms=envelope.timestamp_ms, exchange=NAME))
        return outputs + self._held(made)

    def _note_token(self, text: bytes) -> None:
        """The token is as good as the key: it is shown to nobody, not even to `on_message`."""
        try:
            token = msgspec.json.decode(text, type=wire.Token).recovery_token
        except UNREADABLE:
            return  # whoever reads the message will say so
        if token:
            self.secrets.add_passing(token)  # each connection brings another one

    def _held(self, made: List[Output]) -> List[Output]:
        """What is told before the session is live waits for that: a Gap comes before what follows it."""
        if self._ready:
            return made
        self._early += [output for output in made if not isinstance(output, Failure)]
        return [output for output in made if isinstance(output, Failure)]

    def _response(self, envelope: Envelope, text: bytes, now: float) -> List[Output]:
        command = self._desk.answered(envelope)
        if command is None:
            return self._unasked(envelope, text)
        if command.verb == "auth":
            return [*_time_of(envelope, command), *self._authorized(envelope, now)]
        if command.verb == "recover_session":
            return self._recovered(envelope, text, now)
        if command.verb == "enable_session_recovery":
            return self._enabled(envelope, text, now)
        if command.verb == "subscribe":
            return self._subscriptions.subscribed(command, envelope, now)
        if command.verb == "unsubscribe":
            return self._subscriptions.unsubscribed(command, envelope, now)
        return self._replied(command, envelope, text)

    def _unasked(self, envelope: Envelope, text: bytes) -> List[Output]:
        error = envelope.error or ""
        if error == refusal.NOT_AUTHORIZED and self._ready:
            return [self._subscriptions.unauthorized()]
        if not error:
            return [self.unreadable(text, "an answer to nothing that was asked")]
        said = self.secrets.excerpt(error)
        return [refusal.failure(ExchangeError(f"{NAME}: {said}", code=said, message=said, exchange=NAME))]

    def _ticked(self, envelope: Envelope, now: float) -> None:
        """The exchange looks at positions every second; where it tells them as often, their silence means something.

        Whether it tells them unchanged is not documented, so it must have done so for a while.
        """
        if envelope.type == "position":
            self._ticks = self._ticks + 1 if now - self._ticked_at <= _TICK else 1
            self._ticked_at = now
            self.silence = _QUIET if self._ticks >= _TICKS else None

    # ----------------------------------------------------------------------------------------------------------- time

    def deadline(self) -> Optional[float]:
        tell_at = self._session.tell_at if self._ready else None
        known = (self._desk.deadline(), self._subscriptions.deadline(), self._renew_at, self._enable_at, tell_at)
        times = [time for time in known if time is not None]
        return min(times) if times else None

    def wake(self, now: float) -> List[Output]:
        outputs: List[Output] = []
        for command in self._desk.late(now):
            outputs += self._late(command)
        outputs += self._subscriptions.wake(now)
        outputs += self._desk.due(now)
        if self._enable_at is not None and now >= self._enable_at:
            outputs += self._enable(now)
        if self._ready and self._session.tell_at is not None and now >= self._session.tell_at:
            outputs += self._feed.orders.tell_books()
        if self._renew_at is not None and now >= self._renew_at:
            self._renew_at = None
            outputs.append(Renew("the session's time is nearly up"))
        return outputs

    def _late(self, command: Command) -> List[Output]:
        told = f"{NAME}: no answer to {command.verb} in time"
        if command.verb == "auth":
            return [Close(Silent(told, exchange=NAME))]
        if command.verb == "recover_session":
            return [self._unrecovered("there was no answer")]
        if command.verb == "subscribe":
            if command.topic is None or self._session.topics.get(command.topic):
                return []  # not wanted any more, or served all the same: its events have come
            self._subscriptions.unanswered(command.topic)
            return [Unanswered(command.topic)]
        if command.ticket is not None:
            replied = Replied(command.ticket, error=Silent(told, exchange=NAME))
            # A session that may have been ended tells nothing, and nobody would know.
            return [replied, Close(Silent(told, exchange=NAME))] if command.verb == "logout" else [replied]
        return [refusal.failure(ExchangeError(told, exchange=NAME))]

    # ------------------------------------------------------------------------------------------------------------ ends

    def closed(self, code: int, reason: str) -> Close:
        self._session.parted = code != _ABNORMAL
        return super().closed(code, reason)

    def ended(self) -> List[Output]:
        self._memory.ended(self._session)
        return []

    def identity(self, event: Data) -> Optional[Hashable]:
        return feed.identity(event)


def _time_of(envelope: Envelope, command: Command) -> List[Output]:
    """What the exchange's clock says in its answer."""
    return [ServerTime(envelope.timestamp_ms, command.by - REPLY)] if envelope.timestamp_ms is not None else []
