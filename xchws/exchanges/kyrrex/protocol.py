"""KyrrexProtocol: the account stream on one connection.

The script: the server opens the Engine.IO session, we connect the default namespace, then the objects of the account come by
themselves. There is nothing to subscribe, and no word for "authenticated": a refused key may be answered at the handshake, by
a connect error, or by a connect that is taken back at once.

Sources: https://docs.kyrrex.com/websocket (the only page), https://github.com/socketio/engine.io-protocol and
https://github.com/socketio/socket.io-protocol, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Union

import attrs
import msgspec

from xchws.credentials import Secrets
from xchws.errors import AuthenticationFailed, ConfigurationError, ConnectionLost, OpenFailed, Silent, XchwsError
from xchws.events import Failure, Fill, Other
from xchws.exchanges.kyrrex import socketio
from xchws.exchanges.kyrrex.models import CUSTOMER, NAME, OBJECTS, event_of
from xchws.exchanges.kyrrex.socketio import Kind, Malformed, Packet
from xchws.exchanges.kyrrex.wire import Unfit
from xchws.sansio.actions import Close, Output, Ready, Send
from xchws.sansio.fills import FillMemory
from xchws.sansio.protocol import UNREADABLE, Protocol
from xchws.sansio.trust import Trust

THREE, FOUR = "3", "4"  # the versions of Engine.IO
LIMIT = 5  # times in a row that a session is refused before the verdict stands; see Trust, too

_SILENCE = 45.0  # seconds: Engine.IO's default interval of pings and its default timeout, until the server says its own
_LONGEST = 86_400_000.0  # milliseconds; an announced interval above it is a mistake
_SUSPECT = 10.0  # seconds after the connect in which the server's goodbye is likelier a refusal than a restart
# Close codes that speak of the server's state and not of the key: RFC 6455, section 7.4.1 and IANA's registry.
_PASSING = frozenset((1001, 1011, 1012, 1013, 1014, 1015))
_POLICY = 1008
_ABNORMAL = 1006
_CUSTOMER_SAID = f'"{CUSTOMER}"'.encode()

THREE_SPOKEN = (
    'the server speaks Engine.IO 3 (Socket.IO 2), not Engine.IO 4; give engine="3", or ask the exchange for the right '
    "url and path"
)
# engine.io's server.ts, read 2026-11: it takes the WebSocket, writes `HTTP/1.1 400 …` into it, and cuts the line; over TLS the
# cut is all that arrives.
FOUR_SPOKEN = (
    "the server ends the connection before any Engine.IO packet. That is how one that speaks Engine.IO 4 (Socket.IO 3 and 4) "
    'refuses Engine.IO 3: give engine="4"'
)


@attrs.define
class AccountMemory:
    """What outlives a connection: the executions told, whether the key was good, and whether a session was ever opened."""

    trades: FillMemory = attrs.field(factory=FillMemory)
    trust: Trust = attrs.field(factory=Trust)
    session_opened: bool = False


class _Opened(msgspec.Struct):
    """The data of Engine.IO's open packet; times in milliseconds."""

    sid: str
    pingInterval: float  # the wire's name
    pingTimeout: float  # the wire's name
    maxPayload: Optional[int] = None  # the wire's name; newer servers of version 4 only


class _Connected(msgspec.Struct):
    """The data of Socket.IO's connect packet."""

    sid: str


class _Refusal(msgspec.Struct):
    """The data of Socket.IO's connect error."""

    message: str = ""
    data: Any = None


_decode_opened = msgspec.json.Decoder(_Opened).decode
_decode_connected = msgspec.json.Decoder(_Connected).decode
_decode_refusal = msgspec.json.Decoder(Union[_Refusal, str]).decode
_decode_arguments = msgspec.json.Decoder(List[msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_decode_placeholder = msgspec.json.Decoder(Dict[str, Any]).decode


class KyrrexProtocol(Protocol):
    """The account stream on one connection.

    Args:
        engine: the version of Engine.IO to speak, "3" or "4".
        settle: seconds for which a connect must stand to be READY; an object of the account proves it earlier.
        memory: of the connections before.
    """

    exchange = NAME
    silence = _SILENCE

    def __init__(self, engine: str, settle: float, memory: AccountMemory, secrets: Secrets) -> None:
        super().__init__(secrets)
        self._three = engine == THREE
        self._settle = settle
        self._memory = memory
        self._trades = memory.trades.view()
        self._decoder = socketio.Decoder(self._three)
        self._open: Optional[_Opened] = None
        self._connected_at: Optional[float] = None
        self._ready = False
        self._proved = False  # an object has come: the key is good
        self._pinged = False  # the server has pinged
        self._heard = 0.0  # the last Engine.IO packet; WebSocket's pongs do not count, a dead session has them, too
        self._ping_at: Optional[float] = None
        self._handlers: Dict[Kind, Callable[[Packet, float], List[Output]]] = {
            Kind.OPEN: self._session_opened,
            Kind.CLOSE: self._session_closed,
            Kind.PING: self._ping,
            Kind.PONG: self._nothing,
            Kind.NOOP: self._nothing,
            Kind.CONNECT: self._connected,
            Kind.DISCONNECT: self._disconnected,
            Kind.EVENT: self._event,
            Kind.ACK: self._acknowledged,
            Kind.CONNECT_ERROR: self._connect_error,
        }

    def opened(self, now: float) -> List[Output]:
        return []  # the server begins

    def received(self, text: bytes, now: float) -> List[Output]:
        return self._read(self._decoder.read(text), now)

    def received_binary(self, payload: bytes, now: float) -> List[Output]:
        return self._read(self._decoder.read_binary(payload), now)

    def _read(self, found: List[socketio.Found], now: float) -> List[Output]:
        self._heard = now
        if self._connected_at is not None and now - self._connected_at > _SUSPECT:
            self._memory.trust.served = True
        outputs: List[Output] = []
        for packet in found:
            if isinstance(packet, Malformed):
                outputs.append(self.unreadable(packet.text, packet.why))
            else:
                outputs += self._handlers[packet.kind](packet, now)
        return outputs

    def unreadable(self, text: Union[str, bytes], why: str) -> Failure:
        said = text if isinstance(text, bytes) else text.encode()
        if _CUSTOMER_SAID in said:
            said = b"(its text is kept back: it may hold personal data)"
        return super().unreadable(said, why)

    # ---------------------------------------------------------------------------------------------- the session's life

    def _session_opened(self, packet: Packet, now: float) -> List[Output]:
        if self._open is not None:
            return [self.unreadable(packet.data, "a second open packet")]
        try:
            opened = _decode_opened(packet.data)
        except UNREADABLE as error:
            why = f"an open packet that cannot be understood ({error})"
            return [
                self.unreadable(packet.data, why),
                Close(OpenFailed(f"{NAME}: the server sent {why}", exchange=NAME)),
            ]
        self._open = opened
        self._memory.session_opened = True
        outputs: List[Output] = []
        if 0 < opened.pingInterval <= _LONGEST and 0 < opened.pingTimeout <= _LONGEST:
            self.silence = (opened.pingInterval + opened.pingTimeout) / 1000
        else:
            outputs.append(self.unreadable(packet.data, "an open packet with impossible intervals"))
        if self._three:
            self._ping_at = now + self._interval
        else:
            outputs.append(Send(socketio.connect()))
        return outputs

    @property
    def _interval(self) -> float:
        """Seconds between the pings that a client of Engine.IO 3 sends: what the server says, but within the silence."""
        assert self._open is not None, "asked only once the session is open"
        announced = self._open.pingInterval / 1000
        return announced if 0 < announced < (self.silence or _SILENCE) else _SILENCE / 2

    def _connected(self, packet: Packet, now: float) -> List[Output]:
        if self._open is None:
            return [self.unreadable(packet.data, "a connect before the session is open")]
        if self._connected_at is not None:
            return [self.unreadable(packet.data, "a second connect")]
        outputs: List[Output] = []
        if not self._three:
            if not packet.data and self._open.maxPayload is None:
                return [self._refused(OpenFailed(f"{NAME}: {THREE_SPOKEN}", exchange=NAME), _misspoken(THREE_SPOKEN))]
            try:
                _decode_connected(packet.data)
            except UNREADABLE as error:
                # It says that we are connected all the same.
                outputs.append(self.unreadable(packet.data, f"a connect without a session id ({error})"))
        self._connected_at = now
        return outputs if self._settle else outputs + self._now_ready()

    def _now_ready(self) -> List[Output]:
        if self._ready:
            return []
        self._ready = True
        return [Ready()]

    def _ping(self, packet: Packet, now: float) -> List[Output]:
        self._pinged = True
        return [Send(socketio.pong())]

    def _nothing(self, packet: Packet, now: float) -> List[Output]:
        return []

    def _acknowledged(self, packet: Packet, now: float) -> List[Output]:
        return [self.unreadable(packet.data, "an acknowledgement of nothing that was sent")]

    def deadline(self) -> Optional[float]:
        if self._open is None:
            return None
        times = [self._heard + (self.silence or _SILENCE)]
        if self._ping_at is not None:
            times.append(self._ping_at)
        if self._connected_at is not None and not self._ready:
            times.append(self._connected_at + self._settle)
        return min(times)

    def wake(self, now: float) -> List[Output]:
        if self._open is None:
            return []
        if now >= self._heard + (self.silence or _SILENCE):
            return [self._mute(now)]
        outputs: List[Output] = []
        if self._ping_at is not None and now >= self._ping_at:
            self._ping_at = now + self._interval
            outputs.append(Send(socketio.ping()))
        if self._connected_at is not None and now >= self._connected_at + self._settle:
            outputs += self._now_ready()
        return outputs

    # ------------------------------------------------------------------------------------------------------------ ends

    def _mute(self, now: float) -> Close:
        text = f"{NAME}: no Engine.IO packet for {now - self._heard:.0f} s"
        if self._three or self._pinged or self._open is None or self._open.maxPayload is not None:
            return Close(Silent(text, exchange=NAME), code=None)
        # A server of version 3 waits for our pings, as we for its.
        text = f"{text}; it has never pinged: perhaps {THREE_SPOKEN}"
        return attrs.evolve(self._refused(Silent(text, exchange=NAME), _misspoken(THREE_SPOKEN)), code=None)

    def _disconnected(self, packet: Packet, now: float) -> List[Output]:
        return [self._goodbye("Socket.IO disconnect", now)]

    def _session_closed(self, packet: Packet, now: float) -> List[Output]:
        return [self._goodbye("Engine.IO close", now)]

    def _goodbye(self, what: str, now: float) -> Close:
        error = ConnectionLost(f"{NAME}: the server ended the session ({what})", code=1000, reason=what, exchange=NAME)
        if self._proved or (self._connected_at is not None and now - self._connected_at > _SUSPECT):
            return Close(error)
        return self._refused(error)

    def _connect_error(self, packet: Packet, now: float) -> List[Output]:
        try:
            refusal = _decode_refusal(packet.data)
        except UNREADABLE:
            refusal = packet.data.decode()
        said = refusal if isinstance(refusal, str) else refusal.message or packet.data.decode()
        text = f"{NAME}: the server refused to connect: {self.secrets.excerpt(said) or 'no reason given'}"
        return [self._refused(OpenFailed(text, exchange=NAME))]

    def closed(self, code: int, reason: str) -> Close:
        error = self.lost(code, reason)
        if self._proved or code in _PASSING or (self._ready and code != _POLICY):
            return Close(error)
        if code == _ABNORMAL and self._connected_at is None:
            # The network's doing, as far as can be seen.
            return self._refused(error, _misspoken(FOUR_SPOKEN)) if self._may_speak_four else Close(error)
        return self._refused(error)

    def broken(self, code: int, reason: str) -> Close:
        close = super().broken(code, reason)
        if self._may_speak_four:
            return attrs.evolve(self._refused(close.error, _misspoken(FOUR_SPOKEN)), code=code)
        return close

    @property
    def _may_speak_four(self) -> bool:
        """Whether the server may be one of version 4: it was asked for 3, and has never opened a session."""
        return self._three and not self._memory.session_opened

    def _refused(
        self, error: XchwsError, verdict: Union[AuthenticationFailed, ConfigurationError, None] = None
    ) -> Close:
        patience = self._memory.trust.patience
        return Close(error, verdict=verdict or refused_key(str(error)), limit=LIMIT, patience=patience)

    # ---------------------------------------------------------------------------------------------------------- events

    def _event(self, packet: Packet, now: float) -> List[Output]:
        outputs: List[Output] = [Send(socketio.ack(packet.id))] if packet.id is not None else []
        try:
            arguments = [bytes(argument) for argument in _decode_arguments(packet.data)]
            name = _decode_name(arguments[0] if arguments else b"null")
        except UNREADABLE as error:
            return [*outputs, self.unreadable(packet.data, f"an event that cannot be understood ({error})")]
        if self.verbatim:
            outputs.append(self.message(packet.data))
        if name not in OBJECTS:
            # Not even a sign that the key is good: a refusal may come as an event of its own.
            outputs.append(Other(kind=name, wire=packet.data, exchange=NAME))
            return outputs
        if self._connected_at is not None:
            self._proved = self._memory.trust.served = True
            outputs += self._now_ready()
        told = [argument for argument in arguments[1:] if argument != b"null"]
        if not told:
            outputs.append(self.unreadable(packet.data, f"{name}: an event without an object"))
        for argument in told:
            outputs += self._object(name, self._filled_in(argument, packet), packet)
        return outputs

    def _filled_in(self, argument: bytes, packet: Packet) -> bytes:
        """The attachment, where the argument is nothing but the place of one: JSON text that was sent as bytes."""
        if packet.attachments and b'"_placeholder"' in argument:
            try:
                number = _decode_placeholder(argument).get("num")
            except UNREADABLE:
                return argument
            if isinstance(number, int) and 0 <= number < len(packet.attachments):
                return packet.attachments[number]
        return argument

    def _object(self, name: str, argument: bytes, packet: Packet) -> List[Output]:
        try:
            event, unread = event_of(name, argument)
        except (Unfit, *UNREADABLE) as error:
            return [self.unreadable(packet.data, f"{name}: an object that cannot be understood ({error})")]
        outputs: List[Output] = []
        if unread:
            outputs.append(self.unreadable(packet.data, f"{name}: cannot read {', '.join(sorted(unread))}"))
        # A trade between two orders of the account is two executions with one number.
        if not isinstance(event, Fill) or self._trades.is_new(event.order_id, event.id):
            outputs.append(event)
        return outputs


def refused_key(text: str) -> AuthenticationFailed:
    """The verdict on a key whose sessions are refused time and again."""
    return AuthenticationFailed(
        f"{text}; time and again. That is how a refused key looks: check the API key, its secret, user_uuid, and "
        "whether this machine's address may use the key",
        exchange=NAME,
    )


def _misspoken(text: str) -> ConfigurationError:
    return ConfigurationError(f"{NAME}: {text}", argument="engine", exchange=NAME)
