"""Orders: what the three order channels tell: single orders, and the books that they add up to.

Source: https://docs.kyan.blue/docs/ws-orderbook, /ws-orderbook-perps, /ws-orderbook-options and /ws-orderbook-maker, read
2026-11. The layout of the orders and of the snapshots is on none of them: everything here takes what there is.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Tuple

from xchws.events import Event, Failure, OrderBook, Path
from xchws.exchanges.kyan import channels, models, payloads, wire
from xchws.exchanges.kyan.book import Book, Place
from xchws.exchanges.kyan.channels import BOOKS, MAKER, NAME
from xchws.exchanges.kyan.session import KyanSession
from xchws.exchanges.kyan.wire import Envelope
from xchws.sansio.actions import Topic
from xchws.sansio.protocol import UNREADABLE

CHANGES = {"post_order": "post", "update_order": "update", "cancel_order": "cancel"}
"""Event type -> what happened."""

_SIDES = ("buy", "sell")
_CHANGES_KEPT = 10_000

_read_order = wire.reader(payloads.Order)
_read_snapshot = wire.reader(payloads.Snapshot)


class Orders:
    """The orders of one session's channels.

    Args:
        session: what is subscribed, and the books; complain: makes the Failure for a text that cannot be understood.
    """

    def __init__(self, session: KyanSession, complain: Callable[[bytes, str], Failure]) -> None:
        self._session = session
        self._complain = complain
        self._told: Dict[Tuple[Any, ...], None] = {}

    # -------------------------------------------------------------------------------------------------------- changes

    def change(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        """post_order, update_order, cancel_order."""
        action = CHANGES[envelope.type]
        order = _read_order(data)
        channel = self._channel(envelope, order)
        where = {"wire": text, "path": path, "time_ms": envelope.timestamp_ms}
        key = (channel, order.order_id)
        order = order.after(self._session.orders.pop(key, None))
        over = models.is_over(action, order)
        single = action == "post" and not self._session.habits.tells_snapshots  # perhaps one that rests
        if single and order.instrument_name:
            self._take_for_snapshot(channel, envelope, order.instrument_name)
        self._session.note_order(key, order, over)
        if channel == MAKER:
            return [models.order_event(action, order, **where)]
        if self._is_repetition(channel, action, order):
            return []
        made: List[Event] = []
        if not (single and self._session.was_told_before(key)):
            made.append(models.book_order_event(action, order, **where))
        instrument = order.instrument_name
        if instrument and self._is_whole(channel, instrument, order.direction):
            book = self._book(channel, instrument)
            place = _place(order)
            if over:
                changed = book.remove(order.order_id)
            elif place is None:
                changed = False
                made.append(self._complain(text, "an order without side, price or size, which its book does without"))
            else:
                changed = book.put(order.order_id, place)
            if changed:
                made += self._shown(channel, instrument, book, where)
        return made

    def _is_repetition(self, channel: str, action: str, order: payloads.Order) -> bool:
        """Whether an overlapping subscription has told it: by the page, such events are to be recognised by order_id."""
        if sum(topic.channel == channel for topic in self._session.topics) < 2:
            return False
        key = (channel, action, order.order_id, order.filled_amount, order.order_state, order.size)
        if key in self._told:
            return True
        self._told[key] = None
        if len(self._told) > _CHANGES_KEPT:
            del self._told[next(iter(self._told))]
        return False

    # ------------------------------------------------------------------------------------------------------ snapshots

    def _take_for_snapshot(self, channel: str, envelope: Envelope, instrument: str) -> None:
        """Where no snapshot has ever come, the orders that rest must have come as single ones: the book is whole without."""
        for topic in self._topics(channel, envelope, {instrument}):
            if self._session.topics[topic]:
                self._session.snapshotted.add(topic)

    def is_snapshot(self, envelope: Envelope, text: bytes) -> bool:
        """Whether a message of an unknown type on a book channel looks like a snapshot."""
        try:
            found, _ = self._listed(envelope.data if envelope.has_data else text, ())
        except (*UNREADABLE, ValueError):
            return False
        return found.orders is not None or found.bids is not None or found.asks is not None

    def _listed(self, data: Any, path: Path) -> Tuple[payloads.Snapshot, Path]:
        if bytes(data).lstrip()[:1] == b"[":
            return _read_snapshot(b'{"orders":' + bytes(data) + b"}"), path
        return _read_snapshot(data), (*path, "orders")

    def snapshot(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        """The orders that rest when a subscription begins."""
        found, plain = self._listed(data, path)
        lists: List[Tuple[Optional[str], List[Any], Path]] = []
        for side, listed, place in (
            (None, found.orders, plain), ("buy", found.bids, (*path, "bids")), ("sell", found.asks, (*path, "asks")),
        ):  # fmt: skip
            if listed is not None:
                lists.append((side, listed, place))
        if not lists:
            return [self._complain(text, f"a {envelope.type} without orders")]
        made: List[Event] = []
        orders: List[payloads.Order] = []
        channel = self._snapshot_channel(envelope, found.instrument_name)
        for side, listed, place in lists:
            for index, raw in enumerate(listed):
                try:
                    order = _read_order(raw)
                except (*UNREADABLE, ValueError) as error:
                    made.append(self._complain(text, f"an order that cannot be understood ({error})"))
                    continue
                order.direction = order.direction or side
                order.instrument_name = order.instrument_name or found.instrument_name
                orders.append(order)
                where = {"wire": text, "path": (*place, index), "time_ms": envelope.timestamp_ms}
                self._session.orders[(channel, order.order_id)] = order
                event = models.order_event if channel == MAKER else models.book_order_event
                made.append(event("snapshot", order, **where))
        if channel != MAKER:
            where = {"wire": text, "path": path, "time_ms": envelope.timestamp_ms}
            self._session.habits.tells_snapshots = True
            made += self._gather(channel, envelope, found.instrument_name, orders, where)
        return made

    def _gather(
        self,
        channel: str,
        envelope: Envelope,
        instrument: Optional[str],
        orders: List[payloads.Order],
        where: Dict[str, Any],
    ) -> List[Event]:
        """Put a snapshot into the books that it is about."""
        instruments = {order.instrument_name for order in orders if order.instrument_name}
        if instrument:
            instruments.add(instrument)
        topics = self._topics(channel, envelope, instruments)
        self._session.snapshotted |= topics
        if not instrument:
            # One list for all: what is known and is not in it has no orders any more.
            for known_channel, known in (*self._session.books, *self._session.untold):
                if known_channel == channel and any(channels.covers(topic, channel, known) for topic in topics):
                    instruments.add(known)
        sides = self._sides(envelope.query, topics, orders)
        made: List[Event] = []
        for name in sorted(instruments):
            places = {
                order.order_id: place
                for order in orders
                for place in (_place(order),)
                if order.instrument_name == name and place is not None
            }
            book = self._book(channel, name)
            book.replace(sides, places)
            made += self._shown(channel, name, book, where)
        return made

    # ---------------------------------------------------------------------------------------------------------- books

    def _shown(self, channel: str, instrument: str, book: Book, where: Dict[str, Any]) -> List[Event]:
        """The book, if it is this session that tells it, and if it is not still being gathered from single orders."""
        session = self._session
        book.said = where
        if not session.in_use:
            return []
        if session.tell_at is not None and not session.habits.tells_snapshots:
            session.untold.add((channel, instrument))
            return []
        session.untold.discard((channel, instrument))
        return [_book_event(book, instrument)]

    def tell_books(self) -> List[Event]:
        """Tell the books that were told before and have not been since, and those that are gathered by now."""
        session = self._session
        session.tell_at = None
        made: List[Event] = []
        for channel, instrument in sorted(session.untold) if session.in_use else ():
            wanted = [topic for topic in session.topics if channels.gathers(topic)]
            accepted = [session.topics[topic] for topic in wanted if channels.covers(topic, channel, instrument)]
            book = session.books.get((channel, instrument))
            if book is None and any(accepted) and not session.habits.tells_snapshots:
                book = self._book(channel, instrument)  # no order has come: none rests any more
            if book is not None:
                made.append(_book_event(book, instrument))
            elif accepted:
                continue  # it will begin
            session.untold.discard((channel, instrument))
        return made

    def _topics(self, channel: str, envelope: Envelope, instruments: Set[str]) -> Set[Topic]:
        """The subscriptions that a snapshot belongs to."""
        possible = {topic for topic in self._session.topics if topic.channel == channel and channels.gathers(topic)}
        told = envelope.subscription is not None
        exact = {topic for topic in possible if told and channels.matches(topic, envelope.query)}
        fitting = {topic for topic in possible if any(channels.covers(topic, channel, name) for name in instruments)}
        accepted = {topic for topic in fitting if self._session.topics[topic]}
        return exact or accepted or fitting or possible

    def _sides(self, query: Mapping[str, Any], topics: Set[Topic], orders: List[payloads.Order]) -> Tuple[str, ...]:
        """The sides that a snapshot speaks of."""
        if query.get("direction") in _SIDES:
            return (query["direction"],)
        if any(channels.value_of(topic, "direction") for topic in topics):
            return tuple(side for side in _SIDES if any(order.direction == side for order in orders))
        return _SIDES

    # -------------------------------------------------------------------------------------------------- subscriptions

    def forget(self, topic: Topic) -> None:
        """A subscription is no more, or begins anew: a book is only as good as its snapshot."""
        session = self._session
        session.snapshotted.discard(topic)
        self._told.clear()  # a snapshot in single orders may tell the same again
        if session.in_use:
            session.before = None  # it may tell what rests once more, and not only what its forerunner has not told
        for channel, instrument in list(session.books):
            if not self._is_whole(channel, instrument, None):
                del session.books[(channel, instrument)]
                session.untold.add((channel, instrument))
        if not any(other.channel == topic.channel for other in session.topics if other != topic):
            for key in [key for key in session.orders if key[0] == topic.channel]:
                del session.orders[key]

    def _is_whole(self, channel: str, instrument: str, side: Optional[str]) -> bool:
        return any(channels.covers(topic, channel, instrument, side) for topic in self._session.snapshotted)

    def _book(self, channel: str, instrument: str) -> Book:
        return self._session.books.setdefault((channel, instrument), Book())

    def _channel(self, envelope: Envelope, order: payloads.Order) -> str:
        echo = envelope.subscription
        if echo is not None and (echo.channel == MAKER or echo.channel in BOOKS):
            return echo.channel
        makers = {
            str(channels.value_of(topic, "maker")).lower() for topic in self._session.topics if topic.channel == MAKER
        }
        books = any(topic.channel in BOOKS for topic in self._session.topics)
        if makers and ((order.maker or "").lower() in makers or not books):
            return MAKER
        return _book_channel(order.instrument_name or "")

    def _snapshot_channel(self, envelope: Envelope, instrument: Optional[str]) -> str:
        if envelope.type == "ob_maker_orders":
            return MAKER
        if envelope.subscription is not None and envelope.subscription.channel in (*BOOKS, MAKER):
            return envelope.subscription.channel
        if envelope.type in BOOKS:
            return envelope.type
        if instrument:
            return _book_channel(instrument)
        used = [topic.channel for topic in self._session.topics if topic.channel in BOOKS]
        return used[0] if used else "orderbook_perps"


def _book_channel(instrument: str) -> str:
    return "orderbook_perps" if instrument.endswith("-PERPETUAL") else "orderbook_options"


def _place(order: payloads.Order) -> Optional[Place]:
    """Where the order rests; None where the exchange does not say."""
    remaining = order.remaining
    if order.direction not in _SIDES or order.limit is None or remaining is None:
        return None
    return Place(order.direction, order.limit, remaining)


def _book_event(book: Book, instrument: str) -> OrderBook:
    return OrderBook(exchange=NAME, symbol=instrument, bids=book.bids, asks=book.asks, **book.said)
