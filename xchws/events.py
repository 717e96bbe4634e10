"""What a client tells: events of the connection's life and events that carry the exchange's data.

    Event
    ├── lifecycle: Connected  Disconnected  Suspended  Gap  StateChanged  Stopped  Failure  Message
    └── Data: Order  Fill  Balance  Position  Transfer  Trade  Ticker  OrderBook  BookLevel  Other
              + the exchange's own classes in `xchws.exchanges.<name>.models`

Events do not change once made. Amounts of money are `Decimal`, exact as the exchange wrote them. Times are the
exchange's, in milliseconds as `time_ms` and as an aware UTC `datetime` in `time`. `raw` is the parsed wire object with every
key that the exchange sent, known to us or not; it is made when asked for.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar, Optional, Tuple, Union

import attrs
import msgspec

from xchws.errors import XchwsError

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Path = Tuple[Union[str, int], ...]


def _number(text: str) -> Union[Decimal, str]:
    """A number with a point or an exponent; its text where the exponent is beyond every Decimal."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return text


parsed = msgspec.json.Decoder(float_hook=_number).decode
"""JSON as Python objects, its numbers exact: int, or Decimal where they have a point."""


class _Word(str, enum.Enum):
    """A member is its value in comparisons and when printed, on every Python alike."""

    def __str__(self) -> str:
        return str(self.value)


class State(_Word):
    """The states of a client."""

    NEW = "NEW"
    CONNECTING = "CONNECTING"
    READY = "READY"
    SUSPENDED = "SUSPENDED"
    WAITING = "WAITING"
    STOPPED = "STOPPED"


class OrderStatus(_Word):
    """The states of an order, the same words for every exchange."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


@attrs.frozen(kw_only=True)
class Event:
    """The root of all events.

    Attributes:
        exchange: the exchange's name in lower case.
        latest_by: of the class: the attributes that say whose state it tells, if an event makes those before it of the same
            state obsolete; () if each event tells something of its own. `when_slow="latest"` is for the former.
    """

    latest_by: ClassVar[Tuple[str, ...]] = ()

    exchange: str = ""


# ---------------------------------------------------------------------------------------------------------- lifecycle


@attrs.frozen(kw_only=True)
class Connected(Event):
    """The connection is READY.

    Attributes:
        attempt: which try in a row it was, from 1.
        gap: seconds since the connection before it was last heard; None on the first connection.
    """

    attempt: int = 1
    gap: Optional[float] = None


@attrs.frozen(kw_only=True)
class Disconnected(Event):
    """A connection, or a try to make one, ended.

    Attributes:
        error: why; None after `stop()`.
        retry_in: seconds until the next try; None if there will be none.
    """

    error: Optional[XchwsError] = None
    retry_in: Optional[float] = None


@attrs.frozen(kw_only=True)
class Suspended(Event):
    """The connection stands, but the exchange says that it cannot serve for the moment."""

    reason: str = ""


@attrs.frozen(kw_only=True)
class Gap(Event):
    """Something may have been missed. It comes before the first event after the gap.

    Attributes:
        since: the last instant (aware UTC, this machine's clock) at which something came whole from the exchange. What was told
            while that was on its way may be missing, too: where there is a `last_time`, ask from there.
        until: the instant from which it is whole again.
        channels: what it concerns, in the words of `Subscription.name` or of the exchange's own channels.
        recovered: True if the exchange replayed what was missed, so that nothing is lost.
        last_time: the exchange's time of the last event before the gap, where one is known: ask REST from there.
    """

    since: datetime = _EPOCH
    until: datetime = _EPOCH
    channels: Tuple[str, ...] = ()
    recovered: bool = False
    last_time: Optional[datetime] = None


@attrs.frozen(kw_only=True)
class StateChanged(Event):
    """The client went from one state to another."""

    old: State = State.NEW
    new: State = State.NEW


@attrs.frozen(kw_only=True)
class Stopped(Event):
    """The client has stopped for good; the last event of every client.

    Attributes:
        error: why, if it was not `stop()`.
    """

    error: Optional[XchwsError] = None


@attrs.frozen(kw_only=True)
class Failure(Event):
    """Something went wrong. `on_error` gets `.error` of it."""

    error: XchwsError = attrs.field(factory=XchwsError)


@attrs.frozen(kw_only=True)
class Message(Event):
    """One message as the exchange sent it. `on_message` gets `.data` of it, the parsed JSON with exact numbers."""

    _wire: bytes = attrs.field(default=b"null", repr=False)

    @property
    def text(self) -> str:
        """The message's text."""
        return self._wire.decode("utf-8", "replace")

    @property
    def data(self) -> Any:
        """The parsed message, numbers with a point as `Decimal`; the text itself where it is no JSON."""
        try:
            return parsed(self._wire)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.text


# --------------------------------------------------------------------------------------------------------------- data


@attrs.frozen(kw_only=True)
class Data(Event):
    """Something that the exchange told.

    Attributes:
        symbol: the instrument in the exchange's own spelling, or "" where none is concerned.
        time_ms: the exchange's time in milliseconds since 1970-01-01 UTC, or None where it gives none.
    """

    symbol: str = ""
    time_ms: Optional[int] = None
    _wire: bytes = attrs.field(default=b"null", repr=False, eq=False)
    _path: Path = attrs.field(default=(), repr=False, eq=False)

    @property
    def time(self) -> Optional[datetime]:
        """The exchange's time as an aware UTC `datetime`; None where it gives none or gives one beyond the calendar."""
        if self.time_ms is None:
            return None
        try:
            return _EPOCH + timedelta(milliseconds=self.time_ms)
        except OverflowError:
            return None

    @property
    def raw(self) -> Any:
        """The parsed wire object that this event was made of; numbers with a point are `Decimal`."""
        found = parsed(self._wire)
        for step in self._path:
            found = found[step]
        return found


@attrs.frozen(kw_only=True)
class Order(Data):
    """The state of an own order.

    Attributes:
        id: the exchange's order id.
        client_order_id: the id that the client gave, or None.
        side: "buy" or "sell"; None where the exchange does not say.
        type: "limit", "market", … ; None where the exchange does not say.
        status: see `OrderStatus`.
        price: the limit price, quote currency per unit of base currency.
        quantity: the ordered amount, base currency.
        filled: how much has been executed, base currency.
        remaining: how much has not, base currency.
        average_price: of what has been executed; None where the exchange does not say.
        final: True if no further execution can come.
        exchange_status: the exchange's own word for the state.
    """

    id: str = ""
    client_order_id: Optional[str] = None
    side: Optional[str] = None
    type: Optional[str] = None
    status: OrderStatus = OrderStatus.UNKNOWN
    price: Optional[Decimal] = None
    quantity: Optional[Decimal] = None
    filled: Optional[Decimal] = None
    remaining: Optional[Decimal] = None
    average_price: Optional[Decimal] = None
    final: bool = False
    exchange_status: Optional[str] = None


@attrs.frozen(kw_only=True)
class Fill(Data):
    """One execution of an own order.

    Attributes:
        id: the exchange's id of the execution; None where it gives none.
        order_id: the exchange's id of the order.
        client_order_id: the id that the client gave the order, or None.
        side: "buy" or "sell", of the own order.
        price: quote currency per unit of base currency.
        quantity: base currency.
        fee: amount, in `fee_asset`; None where the exchange does not say.
        fee_asset: the currency of the fee.
        liquidity: "maker", "taker" or None.
    """

    id: Optional[str] = None
    order_id: str = ""
    client_order_id: Optional[str] = None
    side: Optional[str] = None
    price: Optional[Decimal] = None
    quantity: Optional[Decimal] = None
    fee: Optional[Decimal] = None
    fee_asset: Optional[str] = None
    liquidity: Optional[str] = None


@attrs.frozen(kw_only=True)
class Balance(Data):
    """What an account holds of one currency.

    Attributes:
        asset: the currency.
        total: all of it; free: what can be spent; locked: what open orders hold. None where the exchange does not say.
    """

    latest_by = ("asset",)

    asset: str = ""
    total: Optional[Decimal] = None
    free: Optional[Decimal] = None
    locked: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Position(Data):
    """An open position.

    Attributes:
        account: whose, in the exchange's words.
        quantity: signed; below 0 for a short position.
        entry_price, mark_price: quote currency per unit.
    """

    latest_by = ("account", "symbol")

    account: Optional[str] = None
    quantity: Optional[Decimal] = None
    entry_price: Optional[Decimal] = None
    mark_price: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Transfer(Data):
    """Money on its way in or out.

    Attributes:
        id: the exchange's id; direction: "deposit" or "withdrawal"; asset: the currency; amount: in it.
        fee: in the same currency; status: the exchange's word; address: where to or from; transaction_id: on the chain.
    """

    id: Optional[str] = None
    direction: str = ""
    asset: str = ""
    amount: Optional[Decimal] = None
    fee: Optional[Decimal] = None
    status: Optional[str] = None
    address: Optional[str] = None
    transaction_id: Optional[str] = None


@attrs.frozen(kw_only=True)
class Trade(Data):
    """One public execution.

    Attributes:
        id: the exchange's id; None where it gives none.
        side: "buy" or "sell", the taker's where the exchange says so.
        price: quote currency per unit of base currency; quantity: base currency; quote_quantity: quote currency.
    """

    id: Optional[str] = None
    side: Optional[str] = None
    price: Optional[Decimal] = None
    quantity: Optional[Decimal] = None
    quote_quantity: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Ticker(Data):
    """A summary of the last 24 hours (or of what the exchange says); None where the exchange does not say.

    Attributes:
        last, open, high, low, bid, ask: quote currency per unit of base currency.
        volume: base currency; quote_volume: quote currency.
    """

    latest_by = ("symbol",)

    last: Optional[Decimal] = None
    open: Optional[Decimal] = None
    high: Optional[Decimal] = None
    low: Optional[Decimal] = None
    bid: Optional[Decimal] = None
    ask: Optional[Decimal] = None
    volume: Optional[Decimal] = None
    quote_volume: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class OrderBook(Data):
    """The whole book as far as the exchange shows it.

    Attributes:
        bids, asks: levels (price, quantity), the best first.
    """

    latest_by = ("symbol",)

    bids: Tuple[Tuple[Decimal, Decimal], ...] = ()
    asks: Tuple[Tuple[Decimal, Decimal], ...] = ()


@attrs.frozen(kw_only=True)
class BookLevel(Data):
    """One level of a book as it is now.

    Attributes:
        side: "buy" or "sell"; price: quote currency per unit; quantity: base currency at this price, 0 if none is left;
        quote_quantity: the same in quote currency, where the exchange says so.
    """

    side: Optional[str] = None
    price: Optional[Decimal] = None
    quantity: Optional[Decimal] = None
    quote_quantity: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Other(Data):
    """Something that the exchange says and xchws has no class for; `raw` has it all.

    Attributes:
        kind: the exchange's word for it.
    """

    kind: str = ""
