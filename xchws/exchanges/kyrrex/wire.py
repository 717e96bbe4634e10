"""wire: the objects of Kyrrex's stream as they come, and how they are read from JSON text. It makes no events.

Source: https://docs.kyrrex.com/websocket, read 2026-11: seven names of objects, and one object, `account`, in full. The fields
of the other six are inferred from the platform's webhooks, its REST API and the open-source exchange peatio, whose words it
uses. So all of them are optional, and a field of another type than expected costs that field, not the event.
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, ClassVar, Dict, FrozenSet, Generic, List, NamedTuple, Optional, Tuple, Type, TypeVar, Union

import msgspec

from xchws.events import Path

Word = Optional[str]
Amount = Optional[Decimal]
Number = Union[int, str, None]
Instant = Union[int, float, str, None]

# ----------------------------------------------------------------------------------------------------- the wire objects


class Wire(msgspec.Struct):
    """An object as it comes.

    `essential`: fields without which, should they be unreadable, an event would mislead; `times`: those that hold its time,
    the one to take first.
    """

    essential: ClassVar[FrozenSet[str]] = frozenset()
    times: ClassVar[Tuple[str, ...]] = ()


class AccountObject(Wire):
    """`account`."""

    essential = frozenset(("currency", "balance", "locked", "total"))

    currency: Word = None
    balance: Amount = None
    locked: Amount = None
    total: Amount = None
    aml_locked: Amount = None
    bonus: Amount = None
    launchpad: Amount = None
    savings: Amount = None
    stacking: Amount = None
    coin_type: Word = None
    name: Word = None
    tag: Number = None


class OrderObject(Wire):
    """`order`."""

    essential = frozenset(("id", "state", "volume", "origin_volume", "remaining_volume", "executed_volume"))
    times = ("updated_at", "created_at")

    id: Number = None
    uuid: Number = None
    uid: Number = None
    market: Word = None
    side: Word = None
    ord_type: Word = None
    state: Word = None
    price: Amount = None
    avg_price: Amount = None
    volume: Amount = None
    origin_volume: Amount = None
    remaining_volume: Amount = None
    executed_volume: Amount = None
    trades_count: Optional[int] = None
    created_at: Instant = None
    updated_at: Instant = None


class TradeObject(Wire):
    """`trade`."""

    essential = frozenset(("id", "order_id", "price", "volume"))
    times = ("created_at",)

    id: Number = None
    order_id: Number = None
    market: Word = None
    side: Word = None
    type: Word = None
    price: Amount = None
    volume: Amount = None
    funds: Amount = None
    funds_asset: Word = None
    fee: Amount = None
    fee_asset: Word = None
    created_at: Instant = None


class TransferObject(Wire):
    """`deposit` and `withdrawal`."""

    essential = frozenset(("uuid", "uid", "id", "amount", "status", "state"))
    times = ("updated_at", "done_at", "created_at")

    uuid: Number = None
    uid: Number = None
    id: Number = None
    asset: Word = None
    currency: Word = None
    amount: Amount = None
    fee: Amount = None
    status: Word = None
    state: Word = None
    address: Word = None
    tag: Number = None
    dchain_id: Word = None
    dchain: Word = None
    tx_id: Word = None
    txid: Word = None
    tx_link: Word = None
    created_at: Instant = None
    updated_at: Instant = None
    done_at: Instant = None


class DepositAddressObject(Wire):
    """`deposit_address`."""

    times = ("updated_at", "created_at")

    uuid: Number = None
    uid: Number = None
    id: Number = None
    address: Word = None
    deposit_address: Word = None
    asset: Word = None
    currency: Word = None
    dchain_id: Word = None
    dchain: Word = None
    tag: Number = None
    created_at: Instant = None
    updated_at: Instant = None


class CustomerObject(Wire):
    """`customer`."""

    times = ("updated_at", "created_at")

    uuid: Number = None
    uid: Number = None
    id: Number = None
    kyc_status: Word = None
    status: Word = None
    email: Word = None
    first_name: Word = None
    last_name: Word = None
    phone: Number = None
    created_at: Instant = None
    updated_at: Instant = None


class Unfit(ValueError):
    """What was said cannot be made an event of."""


# ------------------------------------------------------------------------------------------------- reading wire objects

W = TypeVar("W", bound=Wire)


class Reading(NamedTuple):
    """A wire object, its time in milliseconds, and the fields that could not be read, which are None in it."""

    wire: Any
    time_ms: Optional[int]
    unread: List[str]


class Reader(Generic[W]):
    """Reads one kind of wire object from JSON text; numbers stay exact."""

    def __init__(self, kind: Type[W]) -> None:
        fields = msgspec.structs.fields(kind)
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode
        self._decoders = {field.name: msgspec.json.Decoder(field.type).decode for field in fields}
        self._amounts = tuple(field.name for field in fields if field.type == Amount)
        self._decode_loosely = msgspec.json.Decoder(Dict[str, msgspec.Raw]).decode

    def read(self, text: bytes) -> Reading:
        """The object, field by field where one is not as expected.

        Raises:
            Unfit: an essential field cannot be read.
            msgspec.MsgspecError: it is no object.
        """
        unread: List[str] = []
        try:
            wire = self._decode(text)
        except msgspec.ValidationError:
            wire = self._piecewise(text, unread)
        for name in self._amounts:
            amount = getattr(wire, name)
            if amount is not None and not amount.is_finite():
                # msgspec reads the texts NaN and Infinity as Decimal; no exchange means them.
                setattr(wire, name, None)
                unread.append(name)
        time_ms = None
        for name in self._kind.times:
            try:
                found = milliseconds(getattr(wire, name))
            except ValueError:
                unread.append(name)
            else:
                time_ms = found if time_ms is None else time_ms
        lost = sorted(self._kind.essential.intersection(unread))
        if lost:
            raise Unfit(f"cannot read {', '.join(lost)}")
        return Reading(wire, time_ms, unread)

    def _piecewise(self, text: bytes, unread: List[str]) -> W:
        found: Dict[str, Any] = {}
        for name, raw in self._decode_loosely(text).items():
            decode = self._decoders.get(name)
            if decode is not None:
                try:
                    found[name] = decode(raw)
                except msgspec.MsgspecError:
                    unread.append(name)
        return self._kind(**found)


_SECONDS_BELOW = Decimal(10) ** 11  # as milliseconds that is 1973, as seconds the year 5138
_MILLISECONDS_BELOW = Decimal(10) ** 15


def milliseconds(instant: Instant) -> Optional[int]:
    """ISO 8601, or unix time in seconds or milliseconds as number or text, in milliseconds; None for none.

    Raises:
        ValueError: it is none of these.
    """
    if instant is None or instant == "":
        return None
    if isinstance(instant, str) and not _is_number(instant):
        # A text without a zone is taken as UTC; " UTC" is how Ruby prints it.
        text = instant.strip().replace(" UTC", "Z")
        try:
            moment = msgspec.convert(text if ":" in text else f"{text}T00:00:00Z", datetime)
        except msgspec.ValidationError:
            raise ValueError(f"no instant: {instant!r}") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return round(moment.timestamp() * 1000)
    number = Decimal(str(instant))
    if not 0 <= number < _MILLISECONDS_BELOW:
        raise ValueError(f"no instant: {instant!r}")
    return int(number * 1000 if number < _SECONDS_BELOW else number)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except ArithmeticError:
        return False


# ---------------------------------------------------------------------------------------------------------- the envelope


class _Envelope(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"")
    action: Any = None
    object: msgspec.Raw = msgspec.Raw(b"")


class Said(NamedTuple):
    """An object out of its envelope: its text, where it stands (`path` in the JSON text `wire`), and the action."""

    text: bytes
    wire: bytes
    path: Path
    action: Any


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_text = msgspec.json.Decoder(str).decode


def said(payload: bytes) -> Said:
    """What an event's argument says. The vendor's page has {"data": {"version", "action", "object"}}; a twin of the platform
    sends {"action", "object"}; each part may come as JSON text, too.

    Raises:
        Unfit: there is no object in it.
        msgspec.MsgspecError: it is no JSON object.
    """
    outer = _opened(Said(payload, payload, (), None))
    envelope = _decode_envelope(outer.text)
    if bytes(envelope.data):
        try:
            inner = _opened(Said(bytes(envelope.data), outer.wire, (*outer.path, "data"), None))
            within = _decode_envelope(inner.text)
        except msgspec.MsgspecError:
            within = _Envelope()
        if bytes(within.object):
            outer, envelope = inner, within
    if not bytes(envelope.object):
        raise Unfit("no object in it")
    return _opened(Said(bytes(envelope.object), outer.wire, (*outer.path, "object"), envelope.action))


def _opened(found: Said) -> Said:
    """The same, with JSON text that came as a string read as JSON."""
    if found.text[:1] != b'"':
        return found
    text = _decode_text(found.text).strip().encode()
    return Said(text, text, (), found.action)
