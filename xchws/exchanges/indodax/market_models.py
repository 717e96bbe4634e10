"""What Indodax's market-data stream publishes: the wire objects of its four kinds of channels, and the events they become.

Source: https://github.com/btcid/indodax-official-api-docs, Marketdata-websocket.md, read 2026-11. Rows are arrays; what a newer
row may have beyond the documented places is passed over (and is in `raw`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, Union

import attrs
import msgspec

from xchws import events
from xchws.events import Data, Path
from xchws.exchanges.indodax.models import NAME, NotANumber
from xchws.sansio.protocol import UNREADABLE

TICKS = "chart:tick-"
SUMMARY = "market:summary-24h"
TRADES = "market:trade-activity-"
ORDER_BOOK = "market:order-book-"
NAMESPACES = ("chart:", "market:")
"""Where channels are known to have a history: an acknowledgement there tells an offset, if there is anything in the channel."""

_VOLUME = "_volume"


class TickRow(msgspec.Struct, array_like=True):
    """One element of `chart:tick-…`. `time` in seconds."""

    time: int
    sequence: Union[int, str]
    price: Decimal
    volume: Decimal


class SummaryRow(msgspec.Struct, array_like=True):
    """One element of `market:summary-24h`. `time` in seconds; `before` is the price 24 hours ago."""

    pair: str
    time: int
    last: Optional[Decimal]
    low: Optional[Decimal]
    high: Optional[Decimal]
    before: Optional[Decimal]
    quote_volume: Optional[Decimal]
    volume: Optional[Decimal]


class TradeRow(msgspec.Struct, array_like=True):
    """One element of `market:trade-activity-…`. `time` in seconds."""

    pair: str
    time: int
    sequence: Union[int, str]
    side: str
    price: Decimal
    quote_volume: Decimal
    volume: Decimal


class BookPayload(msgspec.Struct):
    """A whole book. A level has `price`, `<base>_volume` and `<quote>_volume`; null for an empty side is a guess."""

    ask: Optional[List[Dict[str, Decimal]]]
    bid: Optional[List[Dict[str, Decimal]]]
    pair: str = ""


class BookParts(msgspec.Struct):
    """The same, for a book with a level that is not of the documented form."""

    ask: Optional[List[msgspec.Raw]]
    bid: Optional[List[msgspec.Raw]]


# ------------------------------------------------------------------------------------------------------------- events


@attrs.frozen(kw_only=True)
class Tick(Data):
    """One point of the price chart (`chart:tick-…`).

    It has a sequence number of its own kind and no side, and the executions themselves are in the trade channel: so it is no
    `Trade`, or who follows both channels would count an execution twice.

    Attributes:
        id: the sequence number.
        price: quote currency per unit of base currency; quantity: base currency (a guess after the documentation's numbers).
        channel, offset: where it was published; offset None where the channel has none.
    """

    id: str = ""
    price: Optional[Decimal] = None
    quantity: Optional[Decimal] = None
    channel: str = ""
    offset: Optional[int] = None


@attrs.frozen(kw_only=True)
class MarketTrade(events.Trade):
    """One execution (`market:trade-activity-…`); `id` is its sequence number.

    Attributes:
        channel, offset: where it was published; offset None where the channel has none.
    """

    channel: str = ""
    offset: Optional[int] = None


@attrs.frozen(kw_only=True)
class MarketTicker(events.Ticker):
    """The last 24 hours of one pair (`market:summary-24h`); `open` is the price 24 hours ago.

    Attributes:
        channel, offset: where it was published; offset None where the channel has none.
    """

    channel: str = ""
    offset: Optional[int] = None


@attrs.frozen(kw_only=True)
class MarketOrderBook(events.OrderBook):
    """A whole book of at most 50 levels on each side (`market:order-book-…`); quantities in base currency.

    Attributes:
        channel, offset: where it was published; offset None where the channel has none.
    """

    channel: str = ""
    offset: Optional[int] = None


@attrs.frozen(kw_only=True)
class MarketOther(events.Other):
    """A publication in a channel that xchws has no class for; `kind` is the channel.

    Attributes:
        channel, offset: where it was published; offset None where the channel has none.
    """

    channel: str = ""
    offset: Optional[int] = None


@attrs.frozen
class Unread:
    """A part of a publication that could not be understood."""

    text: bytes
    why: str


@attrs.frozen
class Place:
    """Where a publication stands: its channel, its offset, and the message that it came in."""

    channel: str
    offset: Optional[int]
    wire: bytes
    path: Path


Read = Union[Data, Unread]


def _check(*amounts: Optional[Decimal]) -> None:
    for amount in amounts:
        if amount is not None and not amount.is_finite():
            raise NotANumber(f"an amount is {amount}")


def _tick(row: TickRow, place: Place, index: int) -> Tick:
    _check(row.price, row.volume)
    return Tick(
        exchange=NAME,
        wire=place.wire,
        path=(*place.path, index),
        symbol=place.channel[len(TICKS) :],
        time_ms=row.time * 1000,
        id=str(row.sequence),
        price=row.price,
        quantity=row.volume,
        channel=place.channel,
        offset=place.offset,
    )


def _ticker(row: SummaryRow, place: Place, index: int) -> MarketTicker:
    _check(row.last, row.low, row.high, row.before, row.quote_volume, row.volume)
    return MarketTicker(
        exchange=NAME,
        wire=place.wire,
        path=(*place.path, index),
        symbol=row.pair,
        time_ms=row.time * 1000,
        last=row.last,
        open=row.before,
        high=row.high,
        low=row.low,
        volume=row.volume,
        quote_volume=row.quote_volume,
        channel=place.channel,
        offset=place.offset,
    )


_SIDES = {"buy": "buy", "sell": "sell"}


def _trade(row: TradeRow, place: Place, index: int) -> MarketTrade:
    _check(row.price, row.quote_volume, row.volume)
    return MarketTrade(
        exchange=NAME,
        wire=place.wire,
        path=(*place.path, index),
        symbol=row.pair,
        time_ms=row.time * 1000,
        id=str(row.sequence),
        side=_SIDES.get(row.side.lower(), row.side),
        price=row.price,
        quantity=row.volume,
        quote_quantity=row.quote_volume,
        channel=place.channel,
        offset=place.offset,
    )


class _Rows:
    """Reads a list of rows of one kind."""

    def __init__(self, row: Any, make: Callable[[Any, Place, int], Data]) -> None:
        self._whole = msgspec.json.Decoder(Optional[List[row]]).decode
        self._one = msgspec.json.Decoder(row, strict=False).decode
        self._make = make

    def read(self, data: msgspec.Raw, place: Place) -> List[Read]:
        """The events, in order; what cannot be understood loses nothing else."""
        try:
            rows: Optional[List[Any]] = self._whole(data)
        except UNREADABLE:
            try:
                rows = _decode_elements(data)
            except UNREADABLE as error:
                return [Unread(bytes(data), f"a publication in {place.channel} that is no list ({error})")]
        if rows is None:
            return [_other(place)]
        return [self._element(row, place, index) for index, row in enumerate(rows)]

    def _element(self, row: Any, place: Place, index: int) -> Read:
        if isinstance(row, msgspec.Raw):
            try:
                row = self._one(row)
            except UNREADABLE as error:
                return Unread(bytes(row), f"an element of a publication in {place.channel} ({error})")
        try:
            return self._make(row, place, index)
        except NotANumber as error:
            return Unread(msgspec.json.encode(row), f"an element of a publication in {place.channel} ({error})")


_decode_elements = msgspec.json.Decoder(Optional[List[msgspec.Raw]]).decode


# --------------------------------------------------------------------------------------------------------------- books


_decode_book = msgspec.json.Decoder(Optional[BookPayload]).decode
_decode_book_parts = msgspec.json.Decoder(BookParts).decode
_decode_level = msgspec.json.Decoder(Dict[str, msgspec.Raw]).decode
_decode_amount = msgspec.json.Decoder(Decimal).decode

Level = Tuple[Decimal, Decimal]


def _base_key(names: Iterable[str], pair: str) -> str:
    """The key of the volume in base currency: the pair is its base and its quote, one after the other.

    Raises:
        ValueError: there is none.
    """
    plain = pair.replace("_", "").lower()
    currencies = [name[: -len(_VOLUME)] for name in names if name.endswith(_VOLUME)]
    for base in currencies:
        if base and plain.startswith(base) and (plain[len(base) :] in currencies or len(currencies) == 1):
            return base + _VOLUME
    # A coin whose key has another name than the pair gives it: then it is the one that is not the quote currency.
    quotes = [currency for currency in currencies if currency and plain.endswith(currency)]
    if len(currencies) == 2 and len(quotes) == 1:
        return next(currency for currency in currencies if currency not in quotes) + _VOLUME
    raise ValueError(f"a level without a volume in the base currency of {pair}")


def _levels(side: List[Dict[str, Decimal]], pair: str) -> List[Level]:
    if not side:
        return []
    key = _base_key(side[0], pair)
    levels = [(level["price"], level[key]) for level in side]
    for level in levels:
        _check(*level)
    return levels


def _level(text: msgspec.Raw, pair: str) -> Level:
    keys = _decode_level(text)
    price, quantity = _decode_amount(keys["price"]), _decode_amount(keys[_base_key(keys, pair)])
    _check(price, quantity)
    return price, quantity


def _read_book(data: msgspec.Raw, place: Place) -> List[Read]:
    outputs: List[Read] = []
    pair = place.channel[len(ORDER_BOOK) :]
    try:
        book = _decode_book(data)
        if book is None:
            return [_other(place)]
        pair = book.pair or pair
        asks, bids = _levels(book.ask or [], pair), _levels(book.bid or [], pair)
    except (*UNREADABLE, KeyError, ValueError):
        try:
            parts = _decode_book_parts(data)
        except UNREADABLE as error:
            return [Unread(bytes(data), f"a book in {place.channel} that cannot be understood ({error})")]
        asks, bids = (_readable(side or [], pair, place, outputs) for side in (parts.ask, parts.bid))
    asks.sort(key=_price)
    bids.sort(key=_price, reverse=True)
    event = MarketOrderBook(
        exchange=NAME,
        wire=place.wire,
        path=place.path,
        symbol=pair,
        bids=tuple(bids),
        asks=tuple(asks),
        channel=place.channel,
        offset=place.offset,
    )
    return [*outputs, event]


def _readable(side: List[msgspec.Raw], pair: str, place: Place, outputs: List[Read]) -> List[Level]:
    levels = []
    for text in side:
        try:
            levels.append(_level(text, pair))
        except (*UNREADABLE, KeyError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            outputs.append(Unread(bytes(text), f"a level of a book in {place.channel}: {what}"))
    return levels


def _price(level: Level) -> Decimal:
    return level[0]


# ------------------------------------------------------------------------------------------------------------ channels


def _other(place: Place) -> MarketOther:
    return MarketOther(
        exchange=NAME,
        wire=place.wire,
        path=place.path,
        kind=place.channel,
        channel=place.channel,
        offset=place.offset,
    )


_ROWS = (
    (TICKS, _Rows(TickRow, _tick)),
    (TRADES, _Rows(TradeRow, _trade)),
    (SUMMARY, _Rows(SummaryRow, _ticker)),
)


def read(data: msgspec.Raw, place: Place) -> List[Read]:
    """What a publication says: events, and the parts of it that could not be understood, in order."""
    channel = place.channel
    if channel.startswith(ORDER_BOOK):
        return _read_book(data, place)
    for prefix, rows in _ROWS:
        if channel.startswith(prefix):
            return rows.read(data, place)
    return [_other(place)]
