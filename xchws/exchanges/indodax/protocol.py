"""IndodaxProtocol: the private stream on one connection.

The script: connect with a token, subscribe to the channel that came with it, then order updates come. The token is
refreshed on the living connection before its time is up; where that does not work, the connection is renewed.

Sources: https://github.com/btcid/indodax-official-api-docs, Private-websocket.md, and Centrifugo 5.2.0's source, read 2026-11.
Whether Indodax takes `refresh` is documented nowhere; the way back to a renewal is there for that.
"""

from __future__ import annotations

from typing import Any, Dict, Hashable, List, Optional, Tuple

import attrs
import msgspec

from xchws.credentials import Secrets
from xchws.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ExchangeError,
    OpenFailed,
    Silent,
    XchwsError,
)
from xchws.events import Data, Failure, Fill, Order, Other, Path
from xchws.exchanges.indodax import centrifugo
from xchws.exchanges.indodax.models import (
    FILLS,
    NAME,
    ORDER_UPDATE,
    NotANumber,
    OrderUpdate,
    StreamEvent,
    StreamEvents,
    StreamKind,
    fill_event,
    order_event,
)
from xchws.exchanges.indodax.token import Grant
from xchws.sansio.actions import Close, Expiry, Fetch, Missed, Output, Ready, Renew, Send
from xchws.sansio.fills import FillMemory
from xchws.sansio.protocol import UNREADABLE, Protocol
from xchws.sansio.trust import Trust

CHANNELS = ("orders",)
TOKEN = "token"  # the job that fetches a new one  # no secret, a name

_REPLY = 5.0  # seconds for an answer to a command, as in Centrifugo's own clients
_LONGEST = 10**9  # seconds; a number beyond is as good as never, and one far beyond is no float
_LEAD = 900.0  # seconds before the token's end at which a new one is fetched; half the ttl where that is less
_RETRY_FIRST, _RETRY_LAST = 5.0, 60.0  # seconds between tries to fetch or send a new token
_DOUBLINGS = 8  # of that time; more change nothing
_QUIET = 60.0  # seconds: the server pings every 25 s (Centrifugo's default), so two are missing by then
_RAREST_PING = 86_400  # seconds; an announced interval beyond it is a mistake
_PING_MARGIN = 10.0  # seconds over the announced interval of pings, as in centrifuge-js
_SLOWLY = 30.0  # seconds before a reconnect after what must be a fault of ours
_SUSPECT = 5  # tokens in a row refused on the stream before the key is held to be refused; see Trust, too

# Source: Centrifugo 5.2.0, disconnect.go. 3500 to 3999 and 4500 to 4999 say "do not reconnect"; those without a name here
# (bad request, inappropriate protocol, too many errors, …) must be faults of our own, which a slow reconnect may cure.
_TOO_BIG = 1009  # a message of ours
_INVALID_TOKEN, _STALE, _FORCED, _CONNECTION_LIMIT, _FORBIDDEN = 3500, 3502, 3503, 3504, 3507

_decode = msgspec.json.Decoder(centrifugo.Reply[Optional[StreamEvents]]).decode
_decode_loosely = msgspec.json.Decoder(centrifugo.Reply[msgspec.Raw], strict=False).decode
_decode_elements = msgspec.json.Decoder(Optional[List[msgspec.Raw]]).decode
_decode_element = msgspec.json.Decoder(StreamEvent, strict=False).decode
_decode_kind = msgspec.json.Decoder(StreamKind).decode
_decode_push_kinds = msgspec.json.Decoder(Dict[str, Dict[str, msgspec.Raw]]).decode


@attrs.define
class OrdersMemory:
    """What outlives a connection: the executions told, and whether the stream has ever been served."""

    fills: FillMemory = attrs.field(factory=FillMemory)
    trust: Trust = attrs.field(factory=Trust)


class IndodaxProtocol(Protocol):
    """The private stream on one connection."""

    exchange = NAME
    silence = _QUIET

    def __init__(self, grant: Grant, memory: OrdersMemory, secrets: Secrets) -> None:
        super().__init__(secrets)
        self._grant = grant
        self._trust = memory.trust
        self._fills = memory.fills.view()
        self._number = 0
        self._pending: Dict[int, Tuple[str, float]] = {}  # command number -> verb, deadline
        self._overdue: Dict[int, str] = {}  # command number -> verb; its answer may come yet
        self._ready = False
        # What came before the reply to subscribe.
        self._early: List[Tuple[centrifugo.Publication[Any], str, bytes]] = []
        self._answers_pings = False
        self._refresh_at: Optional[float] = None
        self._refresh_tries = 0
        self._offset = 0
        self._broken = False

    # -------------------------------------------------------------------------------------------------------- commands

    def opened(self, now: float) -> List[Output]:
        return [self._command("connect", {"token": self._grant.token}, now)]

    def _command(self, verb: str, parameters: Dict[str, Any], now: float) -> Send:
        self._number += 1
        self._pending[self._number] = (verb, now + _REPLY)
        return Send(centrifugo.command(self._number, verb, parameters))

    # -------------------------------------------------------------------------------------------------------- messages

    def received(self, text: bytes, now: float) -> List[Output]:
        outputs: List[Output] = []
        for piece in centrifugo.pieces(text):
            if self.verbatim:
                outputs.append(self.message(piece))
            outputs += self._piece(piece, now)
            if outputs and type(outputs[-1]) is Close:
                break  # what comes after the end of the conversation is not for us
        return outputs

    def _piece(self, piece: bytes, now: float) -> List[Output]:
        try:
            reply: centrifugo.Reply[Any] = _decode(piece)
        except UNREADABLE:
            # Something in it is not as documented: keep what is, element by element, each as the exchange wrote it.
            try:
                reply = _decode_loosely(piece)
            except UNREADABLE as error:
                return [self.unreadable(piece, f"a message that cannot be understood ({error})")]
        push = reply.push
        if push is not None and push.pub is not None:
            return self._publication(push.pub, push.channel, piece)
        return self._reply(reply, piece, now)

    def _publication(self, pub: centrifugo.Publication[Any], channel: str, piece: bytes) -> List[Output]:
        if not self._ready:
            # Kept as it came: an execution that is told by this connection must not be one that is never published.
            self._early.append((pub, channel, piece))
            return []
        if channel != self._grant.channel:
            return [self._other("pub", piece, ("push",))]
        outputs = self._counted(pub.offset)
        if outputs is None:
            return []
        elements = pub.data
        if isinstance(elements, msgspec.Raw):
            try:
                elements = _decode_elements(elements)
            except UNREADABLE as error:
                return [*outputs, self.unreadable(piece, f"a publication that is no list of events ({error})")]
        if elements is None:
            return [*outputs, self._other("pub", piece, ("push",))]
        for index, element in enumerate(elements):
            if isinstance(element, StreamEvent):
                outputs += self._event(element, index, piece)
            else:
                outputs += self._element(element, index, piece)
        return outputs

    def _element(self, element: msgspec.Raw, index: int, piece: bytes) -> List[Output]:
        try:
            event = _decode_element(element)
        except UNREADABLE as error:
            kind = _kind_of(element)
            if kind and kind != ORDER_UPDATE:
                return [self._other(kind, piece, ("push", "pub", "data", index))]
            return [self.unreadable(bytes(element), f"an event that cannot be understood ({error})")]
        return self._event(event, index, piece)

    def _counted(self, offset: int) -> Optional[List[Output]]:
        """Note a publication's offset, where the channel has offsets; None if it has been told already."""
        if not offset:
            return []
        last, self._offset = self._offset, max(offset, self._offset)
        if last and offset <= last:
            return None
        return [Missed(CHANNELS)] if last and offset > last + 1 else []

    def _event(self, event: StreamEvent, index: int, piece: bytes) -> List[Output]:
        path: Path = ("push", "pub", "data", index)
        update = event.order
        if update is None or event.eventType != ORDER_UPDATE:
            return [self._other(event.eventType, piece, path)]
        path = (*path, "order")
        outputs: List[Output] = []
        try:
            outputs.append(order_event(update, piece, path))
        except NotANumber as error:
            outputs.append(self.unreadable(piece, f"order {self._number_of(update)}: {error}"))
        if update.status.upper() in FILLS:
            outputs += self._fill(update, piece, path)
        return outputs

    def _fill(self, update: OrderUpdate, piece: bytes, path: Path) -> List[Output]:
        if update.fillInformation is None:
            return [self.unreadable(piece, f"order {self._number_of(update)}: a fill without fillInformation")]
        try:
            fill = fill_event(update, update.fillInformation, piece, path)
        except NotANumber as error:
            return [self.unreadable(piece, f"order {self._number_of(update)}: a fill: {error}")]
        return [fill] if self._fills.is_new(update.orderId, update.tradeId) else []

    def _number_of(self, update: OrderUpdate) -> str:
        return self.secrets.excerpt(update.orderId, 60)

    def _other(self, kind: str, piece: bytes, path: Path) -> Other:
        return Other(kind=kind, wire=piece, path=path, exchange=NAME)

    # --------------------------------------------------------------------------------------------------------- replies

    def _reply(self, reply: centrifugo.Reply[Any], piece: bytes, now: float) -> List[Output]:
        if reply.push is not None:
            return self._push(reply.push, piece, now)
        if not reply.id:
            return self._ping(reply, piece)
        verb, _ = self._pending.pop(reply.id, (self._overdue.pop(reply.id, ""), 0.0))
        if not verb:
            return [self.unreadable(piece, "an answer to nothing that was asked")]
        if verb == "connect":
            return self._connected(reply, piece, now)
        if verb == "subscribe":
            return self._subscribed(reply, now)
        return self._refreshed(reply, now)

    def _ping(self, reply: centrifugo.Reply[Any], piece: bytes) -> List[Output]:
        if reply.error is not None or reply.connect is not None or piece.strip() != b"{}":
            return [self._other("unknown", piece, ())]
        return [Send(b"{}")] if self._answers_pings else []

    def _connected(self, reply: centrifugo.Reply[Any], piece: bytes, now: float) -> List[Output]:
        if reply.error is not None:
            return [self._not_connected(reply.error, "connect")]
        result = reply.connect
        if result is None:
            return [
                self.unreadable(piece, "an answer to connect without a result"),
                Close(OpenFailed(f"{NAME}: the answer to connect has no result", exchange=NAME)),
            ]
        if result.ping > 0:
            self._answers_pings = result.pong
            self.silence = min(result.ping, _RAREST_PING) + _PING_MARGIN
        outputs = self._lives_until(result.expires, result.ttl, now)
        outputs.append(self._command("subscribe", {"channel": self._grant.channel}, now))
        return outputs

    def _not_connected(self, error: centrifugo.Error, verb: str) -> Close:
        said = self.secrets.excerpt(error.message)
        text = f"{NAME}: {verb} was refused: {error.code} {said}"
        failed = OpenFailed(text, exchange=NAME)
        if error.temporary or error.code in centrifugo.TEMPORARY:
            return Close(failed)
        if error.code not in centrifugo.TOKEN_REFUSED:
            verdict = ExchangeError(text, code=error.code, message=said, exchange=NAME)
            return self._suspected(failed, verdict)
        if error.code == centrifugo.PERMISSION_DENIED:
            # A token and a channel that do not belong together: a new pair is worth one more try.
            return self._suspected(failed, AuthenticationFailed(text, code=error.code, exchange=NAME), 2)
        hint = "; is the exchange's or this machine's clock wrong?" if error.code == centrifugo.EXPIRED else ""
        return self._suspected(failed, AuthenticationFailed(text + hint, code=error.code, exchange=NAME))

    def _suspected(self, error: XchwsError, verdict: XchwsError, limit: int = _SUSPECT) -> Close:
        return Close(error, verdict=verdict, limit=limit, patience=self._trust.patience)

    def _subscribed(self, reply: centrifugo.Reply[Any], now: float) -> List[Output]:
        error = reply.error
        if error is not None and error.code != centrifugo.ALREADY_SUBSCRIBED:
            return [self._not_connected(error, "subscribe")]
        first, self._ready = not self._ready, True
        self._trust.served = True
        outputs: List[Output] = [Ready()] if first else []
        if self._broken:
            self._broken = False
            outputs.append(Missed(CHANNELS))
        outputs += self._told_early()
        if reply.subscribe is not None:
            self._offset = max(self._offset, reply.subscribe.offset)
        return outputs

    def _told_early(self) -> List[Output]:
        early, self._early = self._early, []
        return [output for pub, channel, piece in early for output in self._publication(pub, channel, piece)]

    # ---------------------------------------------------------------------------------------------------------- pushes

    def _push(self, push: centrifugo.Push[Any], piece: bytes, now: float) -> List[Output]:
        if push.disconnect is not None:
            return [self.closed(push.disconnect.code, push.disconnect.reason)]
        if push.refresh is not None:
            return self._lives_until(push.refresh.expires, push.refresh.ttl, now)
        if push.unsubscribe is not None and push.channel == self._grant.channel:
            return self._unsubscribed(push.unsubscribe, now)
        return [self._other(_push_kind_of(piece), piece, ("push",))]

    def _unsubscribed(self, ended: centrifugo.Ended, now: float) -> List[Output]:
        said = self.secrets.excerpt(ended.reason)
        error = ConnectionLost(f"{NAME}: the server ended the subscription: {ended.code} {said}", exchange=NAME)
        if ended.code < centrifugo.RESUBSCRIBE_FROM:
            # This client is for this one channel: without it the connection is of no use.
            return [Close(error)]
        self._broken = True
        self._offset = 0
        return [
            Failure(error=error, exchange=NAME),
            self._command("subscribe", {"channel": self._grant.channel}, now),
        ]

    # -------------------------------------------------------------------------------------------------- token and time

    def _lives_until(self, expires: bool, ttl: int, now: float) -> List[Output]:
        self._refresh_tries = 0
        if not expires or ttl <= 0:
            self._refresh_at = None
            return [Expiry(None)]
        ttl = min(ttl, _LONGEST)
        self._refresh_at = now + ttl - min(_LEAD, ttl / 2)
        return [Expiry(now + ttl)]

    def _refresh_again(self, now: float) -> None:
        self._refresh_at = now + min(_RETRY_LAST, _RETRY_FIRST * 2.0**self._refresh_tries)
        self._refresh_tries = min(self._refresh_tries + 1, _DOUBLINGS)

    def fetched(self, job: str, result: Any, now: float) -> List[Output]:
        if isinstance(result, XchwsError):
            # The living connection is not touched: the old token holds until its end.
            self._refresh_again(now)
            return [Failure(error=result, exchange=NAME)]
        grant: Grant = result
        if grant.channel != self._grant.channel:
            return [Renew("the token endpoint gave another channel")]
        return [self._command("refresh", {"token": grant.token}, now)]

    def _refreshed(self, reply: centrifugo.Reply[Any], now: float) -> List[Output]:
        error = reply.error
        if error is None:
            result = reply.refresh or centrifugo.RefreshResult()
            return self._lives_until(result.expires, result.ttl, now)
        if error.temporary or error.code in centrifugo.TEMPORARY:
            self._refresh_again(now)
            said = self.secrets.excerpt(error.message)
            failure = ExchangeError(f"{NAME}: refresh was put off: {error.code} {said}", code=error.code, exchange=NAME)
            return [Failure(error=failure, exchange=NAME)]
        return [Renew(f"refresh was refused with {error.code}")]

    def deadline(self) -> Optional[float]:
        times = [by for _, by in self._pending.values()]
        if self._refresh_at is not None:
            times.append(self._refresh_at)
        return min(times) if times else None

    def wake(self, now: float) -> List[Output]:
        for number, (verb, by) in list(self._pending.items()):
            if now >= by:
                del self._pending[number]
                if verb == "refresh":
                    self._overdue[number] = verb
                    return [Renew("refresh was not answered")]
                return [Close(Silent(f"{NAME}: no answer to {verb} within {_REPLY:g} s", exchange=NAME))]
        if self._refresh_at is not None and now >= self._refresh_at:
            self._refresh_at = None
            return [Fetch(TOKEN)]
        return []

    # ------------------------------------------------------------------------------------------------------------ ends

    def closed(self, code: int, reason: str) -> Close:
        error = self.lost(code, reason)
        if code == _INVALID_TOKEN:
            verdict = AuthenticationFailed(f"{NAME}: the stream refuses every token: {error}", code=code, exchange=NAME)
            return self._suspected(error, verdict)
        if code == _FORBIDDEN:
            return Close(AuthenticationFailed(str(error), code=code, exchange=NAME))
        if code == _FORCED:
            return Close(ExchangeError(str(error), code=code, message=error.reason, exchange=NAME))
        if code == _CONNECTION_LIMIT:
            error.retry_after = _SLOWLY
            return Close(error, exclusive=True)
        if code == _TOO_BIG or 3500 <= code <= 3999 and code != _STALE or 4500 <= code <= 4999:
            error.retry_after = _SLOWLY
        return Close(error)

    def ended(self) -> List[Output]:
        self._ready = True  # or as good as that: what came before a reply that never came has happened all the same
        return self._told_early()

    def identity(self, event: Data) -> Optional[Hashable]:
        if isinstance(event, Order):
            return ("order", event.id, event.exchange_status, event.filled, event.time_ms)
        if isinstance(event, Fill) and event.id is not None:
            return ("fill", event.order_id, event.id)
        return None


def _kind_of(element: msgspec.Raw) -> str:
    """The word that an event has for itself, if it has one; its other keys may be of any form."""
    try:
        return _decode_kind(element).eventType
    except UNREADABLE:
        return ""


def _push_kind_of(piece: bytes) -> str:
    """The word for a push that has no wire object here."""
    try:
        push = _decode_push_kinds(piece)["push"]
    except UNREADABLE:
        return "push"
    return next((word for word in push if word != "channel"), "push")
