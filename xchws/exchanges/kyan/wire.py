"""Wire: Kyan's JSON objects, how they are read, and the commands as they go out.

Source: https://docs.kyan.blue/docs/ws-authentication, /ws-connection, /ws-session-recovery and the pages of the channels, read
2026-11. Numbers are JSON numbers there; texts are taken too. What a page does not promise in every case is optional.
`message_id` and `seq_id` are missing on most pages' samples, so nothing may rest on them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Callable, Dict, List, Optional, Tuple, Type, TypeVar, Union

import msgspec

from xchws.exchanges.kyan.channels import EVENT_CHANNELS, wire_query
from xchws.exchanges.kyan.payloads import Greeks
from xchws.sansio.actions import Topic
from xchws.sansio.protocol import UNREADABLE

T = TypeVar("T", bound=msgspec.Struct)

_MAGNITUDE = 40  # powers of ten beyond which a number is no amount, price or time


class NotANumber(ValueError):
    """An amount is NaN, infinite or beyond all measure: msgspec reads such texts as Decimal, no exchange means them."""


class Echo(msgspec.Struct):
    """The subscription that an event belongs to. The query may have fewer keys than were sent."""

    channel: str = ""
    query: Optional[Dict[str, Any]] = None


class Envelope(msgspec.Struct):
    """What every message from the server is wrapped in."""

    kind: str = ""
    type: str = ""
    timestamp_ms: Optional[int] = None
    message_id: Optional[str] = None
    seq_id: Optional[int] = None
    id: Union[str, int, None] = None
    success: Optional[bool] = None
    error: Optional[str] = None
    data: msgspec.Raw = msgspec.Raw()
    subscription: Optional[Echo] = None

    @property
    def says_yes(self) -> bool:
        """Whether a reply says yes; one that has lost its `success` says it by having no error."""
        if self.success is None:
            return self.error is None and self.type != "error"
        return self.success

    @property
    def has_data(self) -> bool:
        """Whether there is a `data` object; a third party's client finds the payload at the top level."""
        return bytes(self.data) not in (b"", b"null")

    @property
    def channel(self) -> str:
        """The channel that an event belongs to."""
        if self.subscription is not None and self.subscription.channel:
            return self.subscription.channel
        return EVENT_CHANNELS.get(self.type, self.type)

    @property
    def query(self) -> Dict[str, Any]:
        """The echoed query."""
        return (self.subscription.query if self.subscription is not None else None) or {}

    def time_ms(self, told: Optional[Decimal]) -> Optional[int]:
        """When it was: as the payload says, or else the envelope."""
        return milliseconds(told) if told is not None else self.timestamp_ms


class Recovery(msgspec.Struct):
    """The replies to enable_session_recovery and recover_session."""

    recovery_token: Optional[str] = None
    ttl_seconds: Optional[Decimal] = None


class Token(msgspec.Struct):
    """The secret in those replies, whatever else is in them."""

    recovery_token: str


class Restored(msgspec.Struct):
    """The reply to recover_session, in a third party's words."""

    subscriptions_restored: Any = None


class Listing(msgspec.Struct):
    """The reply to get_instruments. Where the list stands is not documented: in `data`, in an object there, or beside it."""

    data: Any = None
    instruments: Any = None


# ------------------------------------------------------------------------------------------------------------- reading

_read_envelope = msgspec.json.Decoder(Envelope).decode
_read_fields = msgspec.json.Decoder(Dict[str, msgspec.Raw]).decode
_ENVELOPE = {
    field.name: msgspec.json.Decoder(field.type, strict=False).decode
    for field in msgspec.structs.fields(Envelope)
    if field.name != "data"
}


def envelope_of(text: bytes) -> Tuple[Envelope, List[str]]:
    """The envelope, and the names of its fields that are not as documented and are left out.

    Raises:
        UNREADABLE: it is no JSON object.
    """
    try:
        return _read_envelope(text), []
    except UNREADABLE:
        fields = _read_fields(text)
    envelope, wrong = Envelope(), []
    for name, read in _ENVELOPE.items():
        if name in fields:
            try:
                setattr(envelope, name, read(fields[name]))
            except UNREADABLE:
                wrong.append(name)
    envelope.data = fields.get("data", envelope.data)
    return envelope, wrong


def reader(kind: Type[T]) -> Callable[[Any], T]:
    """What reads an object of this kind, its numbers exact and finite.

    The function raises UNREADABLE or ValueError.
    """
    strict, loose = msgspec.json.Decoder(kind).decode, msgspec.json.Decoder(kind, strict=False).decode
    fields = msgspec.structs.fields(kind)
    amounts = tuple(field.name for field in fields if field.type in (Decimal, Optional[Decimal]))
    nested = tuple(field.name for field in fields if field.type == Optional[Greeks])

    def read(text: Any) -> T:
        try:
            wire = strict(text)
        except UNREADABLE:
            wire = loose(text)
        check(wire, amounts)
        for name in nested:
            greeks = getattr(wire, name)
            if greeks is not None:
                check(greeks, _GREEKS)
        return wire

    return read


_GREEKS = tuple(field.name for field in msgspec.structs.fields(Greeks))


def check(wire: msgspec.Struct, amounts: Tuple[str, ...]) -> None:
    """See that these fields are numbers.

    Raises:
        NotANumber: one is NaN, infinite or beyond all measure.
    """
    for name in amounts:
        amount = getattr(wire, name)
        if amount is not None and not (amount.is_finite() and abs(amount.adjusted()) <= _MAGNITUDE):
            raise NotANumber(f"{name} is {str(amount)[:40]}")


def instruments_of(text: bytes) -> Tuple[str, ...]:
    """The names in a reply to get_instruments.

    Raises:
        UNREADABLE, ValueError: there is no list of names in it.
    """
    found = _read_listing(text)
    listed = found.data if found.data is not None else found.instruments
    if isinstance(listed, dict):
        listed = listed.get("instruments")
    if not isinstance(listed, list):
        raise ValueError("no list of instruments")
    names: List[str] = []
    for one in listed:
        name = one.get("instrument_name") if isinstance(one, dict) else one
        if not isinstance(name, str):
            raise ValueError("something that is no name")
        names.append(name)
    return tuple(names)


_read_listing = msgspec.json.Decoder(Listing).decode


def milliseconds(time: Optional[Decimal]) -> Optional[int]:
    """A time in milliseconds. The page says "usually" of its 13 digits; what has 11 or fewer is seconds."""
    if time is None:
        return None
    return int(time * 1000) if abs(time) < 10**11 else int(time)


# ------------------------------------------------------------------------------------------------------------ commands


def command(verb: str, number: str, **fields: Any) -> bytes:
    """A command as it goes out."""
    return msgspec.json.encode({"type": verb, "id": number, **fields})


def subscription(verb: str, number: str, topic: Topic) -> bytes:
    """subscribe or unsubscribe, of one topic: whether one bad entry would fail the others is not documented."""
    return command(verb, number, subscriptions=[{"channel": topic.channel, "query": wire_query(topic)}])
