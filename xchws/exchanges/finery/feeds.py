"""Feeds: the letters, how a feed with its id is named, and what the messages of each feed but the books become.

Source: https://faq.finerymarkets.com/api-reference/websocket-api and its pages on the feeds, read 2026-11. Feeds I and G have no
page that could be read: their snapshots are read as the REST methods' answers, their updates become `Other`.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Union

import attrs
import msgspec

from xchws.events import OrderBook
from xchws.exchanges.finery import reading, settlements, wire
from xchws.exchanges.finery.book import Book
from xchws.exchanges.finery.errors import NAME, Malformed
from xchws.exchanges.finery.reading import Made
from xchws.exchanges.finery.units import unfit
from xchws.sansio.actions import Topic

STATUS = "X"
ALL_BOOKS, FIRM_BOOK = "B", "F"
INSTRUMENTS, GLOBAL_LIMITS, LIMITS, POSITIONS, ORDERS, COMBINED = "I", "G", "L", "K", "O", "P"
SETTLEMENTS, TRANSACTIONS, REQUESTS = "S", "N", "R"

BOOKS = frozenset((ALL_BOOKS, FIRM_BOOK))
_LONGEST_ID = 200  # characters; the longest instrument's name known has some 20
LETTERS = frozenset("BFIGLKOPSNR")
LENIENT = frozenset((INSTRUMENTS, GLOBAL_LIMITS, COMBINED))
"""Feeds whose first message may be something else than is known."""
PART_OF_COMBINED = frozenset((POSITIONS, ORDERS, SETTLEMENTS))
MISSES = frozenset((ORDERS, COMBINED, SETTLEMENTS, TRANSACTIONS))
"""Feeds that tell executions, which a later snapshot does not tell again."""

NO_ID = b"0"
"""What the exchange echoes where bind had no feedId."""


@attrs.frozen
class ObjectId:
    """A feedId that is an object, as its JSON with sorted keys."""

    text: str

    def __str__(self) -> str:
        return self.text


def topic_of(feed: str, feed_id: Union[str, int, Mapping[str, Any], None]) -> Topic:
    """The subscription of a feed.

    Raises:
        ConfigurationError: no such feed, or a feedId that is no name, number or object.
    """
    if not isinstance(feed, str) or feed not in LETTERS:
        raise unfit("feed", f"one of the letters {' '.join(sorted(LETTERS))}, not {feed!r}")
    if feed_id is None:
        if feed in BOOKS:
            raise unfit("feed_id", f"the instrument's name, for feed {feed}")
        return Topic(feed)
    if isinstance(feed_id, str) and feed_id.strip() and feed_id.isprintable() and len(feed_id) <= _LONGEST_ID:
        return Topic(feed, (feed_id,))
    if isinstance(feed_id, int) and not isinstance(feed_id, bool) and 0 < feed_id < 2**64:
        return Topic(feed, (feed_id,))
    if isinstance(feed_id, Mapping) and feed_id:
        try:
            return Topic(feed, (ObjectId(msgspec.json.encode(dict(feed_id), order="sorted").decode()),))
        except (TypeError, ValueError):
            pass  # it cannot be written as JSON: said below
    raise unfit(
        "feed_id",
        f"a name of at most {_LONGEST_ID} characters, a number from 1 on or a JSON object that is not empty, not {feed_id!r}",
    )


def key_of(topic: Topic) -> bytes:
    """How the exchange will echo the topic's feedId, as JSON with sorted keys."""
    if not topic.parameters:
        return NO_ID
    feed_id = topic.parameters[0]
    return feed_id.text.encode() if isinstance(feed_id, ObjectId) else msgspec.json.encode(feed_id)


def echo_of(raw: msgspec.Raw) -> bytes:
    """An echo in the same form; `null` is taken for none."""
    said = bytes(raw)
    if said.isdigit():
        return said
    echo = msgspec.json.encode(msgspec.json.decode(said), order="sorted")
    return NO_ID if echo == b"null" else echo


def symbol_of(echo: bytes) -> str:
    """The instrument that a book's feedId names."""
    said = msgspec.json.decode(echo)
    return str(said.get("instrument", "")) if isinstance(said, dict) else str(said)


def book_event(book: Book, symbol: str, text: bytes) -> OrderBook:
    """The whole book as it is now; `raw` is the message that it came to be so by."""
    return OrderBook(exchange=NAME, wire=text, symbol=symbol, bids=book.bids.levels, asks=book.asks.levels)


def events_of(feed: str, action: str, data: msgspec.Raw, text: bytes) -> Optional[List[Made]]:
    """What a message of any feed but the books tells; None: something that is not known."""
    if feed == ORDERS:
        return _orders(action, data, text)
    if feed == POSITIONS:
        return _positions(action, data, text)
    if feed == LIMITS:
        if action == "S":
            return reading.counterparties(data, action, text, (3,))
        return [reading.counterparty(data, action, text, (3,))] if action in ("+", "M", "-") else None
    if feed == SETTLEMENTS and action in ("S", "+", "M", "-", "D"):
        return reading.many(data, wire.SettlementObject, settlements.settlement, action, text, (3,))
    if feed == TRANSACTIONS and action in ("S", "+", "M", "-", "D"):
        return settlements.both_ways(data, wire.TransactionRow, settlements.TRANSACTION, action, text, (3,))
    if feed == REQUESTS and action in ("S", "+", "M", "-"):
        return settlements.both_ways(data, wire.RequestRow, settlements.REQUEST, action, text, (3,))
    if action != "S":
        return None
    if feed == INSTRUMENTS:
        return settlements.instruments(data, text, (3,))
    if feed == GLOBAL_LIMITS:
        return reading.many(data, wire.GlobalRow, reading.global_limit, action, text, (3,))
    if feed == COMBINED:
        return _combined(data, text)
    return None


def _orders(action: str, data: msgspec.Raw, text: bytes) -> Optional[List[Made]]:
    if action == "S":
        return _order_list(data, text)
    if action in ("+", "M", "-"):
        return [reading.one(data, wire.OrderRow, reading.order, action, text, (3,))]
    if action == "D":
        try:
            row = reading.decoded(data, wire.DealRow)
            return [reading.order(row, action, text, (3,)), reading.fill(row, action, text, (3,))]
        except Malformed as error:
            return [Malformed(str(error), bytes(data))]
    return None


def _order_list(data: msgspec.Raw, text: bytes) -> List[Made]:
    """The page writes `[array of order]`, which may mean one array more than the other feeds have: both are taken."""
    path = (3,)
    try:
        elements = reading.parts(data)
        if elements and bytes(elements[0]).lstrip().startswith(b"["):
            inner = reading.parts(elements[0])
            nested = bool(inner) and bytes(inner[0]).lstrip().startswith(b"[")
            if nested or (not inner and len(elements) == 1):
                return reading.many(elements[0], wire.OrderRow, reading.order, "S", text, (3, 0))
    except Malformed as error:
        return [error]
    return reading.many(data, wire.OrderRow, reading.order, "S", text, path)


def _positions(action: str, data: msgspec.Raw, text: bytes) -> Optional[List[Made]]:
    if action in ("+", "M", "-", "D"):
        return [reading.one(data, wire.PositionRow, reading.position, action, text, (3,))]
    if action != "S":
        return None
    try:
        elements = reading.parts(data)
    except Malformed as error:
        return [error]
    if len(elements) == 2 and bytes(elements[0]).lstrip()[:1] not in (b"[", b"{"):
        # The older form: the id of the next deal stands before the list.
        return reading.many(elements[1], wire.PositionRow, reading.position, action, text, (3, 1))
    return reading.many(data, wire.PositionRow, reading.position, action, text, (3,))


def _combined(data: msgspec.Raw, text: bytes) -> List[Made]:
    """`[nextId, positions, orders, settlementOrders]`, the older page's form."""
    try:
        elements = reading.parts(data)
        if len(elements) < 4:
            raise Malformed("positions, orders and settlement orders are wanted", bytes(data))
    except Malformed as error:
        return [error]
    return [
        *reading.many(elements[1], wire.PositionRow, reading.position, "S", text, (3, 1)),
        *reading.many(elements[2], wire.OrderRow, reading.order, "S", text, (3, 2)),
        *reading.many(elements[3], wire.SettlementRow, settlements.settlement_row, "S", text, (3, 3)),
    ]
