"""A session is renewed while books are told: whatever the layout of a book's beginning and whichever connection is behind, each
order's story is told once, and the book that was told last is the exchange's own."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any, Deque, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.kyan.conversation import ME, Conversation, event
from xchws.events import Disconnected, Failure, Gap, OrderBook
from xchws.exchanges.kyan.models import BookOrder, IndexPrice, Order

QUERY: Dict[str, Any] = {"pair": "ETH_USDC"}
PERP, CALL = "ETH_USDC-PERPETUAL", "ETH_USDC-27MAR26-4200-C"
LAYOUTS = ("one for each", "one for all", "single orders")


def posted(number: int, size: int = 10, filled: int = 0, side: str = "buy", instrument: str = PERP) -> Dict[str, Any]:
    price = 100 - number if side == "buy" else 100 + number
    return {
        "order_id": f"o{number}", "instrument_name": instrument, "direction": side, "price": price, "amount": size,
        "filled_amount": filled,
    }  # fmt: skip


def change(kind: str, order: Dict[str, Any]) -> Dict[str, Any]:
    return event(kind, dict(order), "orderbook_perps", QUERY)


class Market:
    """Orders that rest, and what the exchange says of them; it knows no connection."""

    def __init__(self, layout: str) -> None:
        self.layout = layout
        self.resting: Dict[str, Dict[str, Any]] = {}
        self.history: List[Tuple[str, str, int]] = []  # what is to be told, once and in this order
        self._count = 0

    def act(self, choice: int) -> Dict[str, Any]:
        """Something happens, by this choice; how a subscriber is told."""
        names = sorted(self.resting)
        if not names or choice % 3 == 0:
            self._count += 1
            order = posted(self._count, side="buy" if choice % 2 else "sell")
            self.resting[order["order_id"]] = order
            return self._told("post", order)
        name = names[choice % len(names)]
        order = self.resting[name]
        if choice % 3 == 1 and order["filled_amount"] < 9:
            order["filled_amount"] += 1
            return self._told("update", order)
        del self.resting[name]
        return self._told("cancel", order)

    def _told(self, action: str, order: Dict[str, Any]) -> Dict[str, Any]:
        self.history.append((action, order["order_id"], order["filled_amount"]))
        return change(f"{action}_order", order)

    def beginning(self) -> List[Dict[str, Any]]:
        """What a new subscription begins with."""
        orders = [dict(order) for order in self.resting.values()]
        if self.layout == "single orders":
            return [change("post_order", order) for order in orders]
        if self.layout == "one for all":
            return [event("ob_snapshot", orders, "orderbook_perps", QUERY)]
        sides = {
            side: [one for one in orders if one["direction"] == word]
            for side, word in (("bids", "buy"), ("asks", "sell"))
        }
        return [event("ob_snapshot", {"instrument_name": PERP, **sides}, "orderbook_perps", QUERY)]

    def book(self) -> Tuple[Any, Any]:
        sums: Dict[str, Dict[Decimal, Decimal]] = {"buy": {}, "sell": {}}
        for order in self.resting.values():
            side, price = sums[order["direction"]], Decimal(order["price"])
            side[price] = side.get(price, Decimal(0)) + order["amount"] - order["filled_amount"]
        return tuple(sorted(sums["buy"].items(), reverse=True)), tuple(sorted(sums["sell"].items()))


class Wire:
    """What is on its way to one connection."""

    def __init__(self, talk: Conversation) -> None:
        self.talk = talk
        self.link = talk.dials[-1]
        self.waiting: Deque[Tuple[float, Dict[str, Any]]] = deque()

    def send(self, *messages: Dict[str, Any]) -> None:
        self.waiting.extend((self.talk.now, message) for message in messages)

    def read(self, older_than: float = 0.0) -> None:
        """Read the oldest that has been on its way for so many seconds."""
        if self.waiting and self.talk.now - self.waiting[0][0] >= older_than:
            self.talk.say(self.waiting.popleft()[1], link=self.link)

    def drain(self, older_than: float) -> None:
        while self.waiting and self.talk.now - self.waiting[0][0] >= older_than:
            self.read()


def told_of(talk: Conversation) -> List[Tuple[str, str, int]]:
    return [(one.action, one.id, int(one.filled or 0)) for one in talk.told(BookOrder) if one.action != "snapshot"]


def last_book(talk: Conversation, instrument: str = PERP) -> Tuple[Any, Any]:
    book = [book for book in talk.told(OrderBook) if book.symbol == instrument][-1]
    return book.bids, book.asks


def subscribed(market: Market) -> Tuple[Conversation, Wire]:
    """A client that has told the market as it stands."""
    talk = Conversation(recovery=False)
    talk.live("orderbook_perps", **QUERY)
    wire = Wire(talk)
    wire.send(*market.beginning())
    wire.drain(0)
    talk.pass_time(2)
    return talk, wire


def renewed(talk: Conversation, market: Market) -> Wire:
    """A successor beside the connection, subscribed; what it begins with is on its way."""
    talk.redial()
    talk.authorize()
    wire = Wire(talk)
    talk.accept()
    wire.send(*market.beginning())
    return wire


@pytest.mark.parametrize("layout", LAYOUTS)
@given(st.lists(st.tuples(st.sampled_from("eeontt"), st.integers(0, 1_000)), min_size=10, max_size=60))
def test_whichever_connection_is_behind(layout: str, steps: List[Tuple[str, int]]) -> None:
    """Nothing is on its way for more than a second; that is what the draining of a forerunner counts on."""
    market = Market(layout)
    for choice in (0, 3, 6, 1):
        market.act(choice)
    talk, old = subscribed(market)
    wires = [old]
    already = told_of(talk)  # a beginning in single orders is told as such
    begun = len(market.history)
    for number, (step, choice) in enumerate([*steps, *[("t", 0)] * 6]):
        if number == len(steps) // 3:
            wires.append(renewed(talk, market))
        if step == "e":
            message = market.act(choice)
            for wire in wires:
                wire.send(message)
        elif step == "t":
            for wire in wires:
                wire.drain(older_than=0.5)
            talk.pass_time(0.5)
        else:
            wires[-1 if step == "n" else 0].read()
    for wire in wires:
        wire.drain(0)
    talk.pass_time(2)
    assert old.link in talk.hangups, "the successor has taken over"
    assert told_of(talk)[len(already) :] == market.history[begun:]
    assert last_book(talk) == market.book()
    assert not talk.told(Gap) + talk.told(Failure) + talk.told(Disconnected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_only_the_successor_has_told(layout: str) -> None:
    """The forerunner is lost in the middle of the renewal, with a change on its way that it never tells."""
    market = Market(layout)
    for choice in (0, 3, 6):
        market.act(choice)
    talk, old = subscribed(market)
    already = told_of(talk)
    begun = len(market.history)
    new = renewed(talk, market)
    new.drain(0)
    for choice in (9, 1, 2):
        new.send(market.act(choice))
    new.drain(0)
    assert told_of(talk) == already, "as long as the forerunner is in use, it may tell them yet"
    talk.lose(old.link)
    assert told_of(talk)[len(already) :] == market.history[begun:]
    talk.pass_time(1)
    assert last_book(talk) == market.book()


def test_an_order_posted_while_the_successor_is_getting_ready_is_told_once() -> None:
    """The forerunner tells of it long before the successor is told of it among what rests."""
    market = Market("single orders")
    market.act(0)
    talk, old = subscribed(market)
    already = told_of(talk)
    begun = len(market.history)
    talk.redial()
    talk.authorize()
    new = Wire(talk)
    for choice in (3, 6, 2):  # posted, posted, and one of them cancelled
        old.send(market.act(choice))
        old.drain(0)
    talk.pass_time(8)
    for command in talk.sent(new.link):
        talk.answer(command)
    talk.pass_time(8)  # a beginning that takes its time
    new.send(*market.beginning())
    new.drain(0)
    talk.pass_time(5)
    assert told_of(talk)[len(already) :] == market.history[begun:]
    assert last_book(talk) == market.book()


def test_an_order_that_ended_before_the_successor_told_of_it() -> None:
    market = Market("single orders")
    market.act(0)
    talk, old = subscribed(market)
    already = told_of(talk)
    new = renewed(talk, market)  # the order rests, by what is on its way
    cancelled = market.act(2)
    old.send(cancelled)
    new.send(cancelled)
    old.drain(0)
    talk.pass_time(0.5)
    new.drain(0)
    talk.pass_time(4)
    assert told_of(talk)[len(already) :] == [("cancel", "o1", 0)]
    assert last_book(talk) == ((), ())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_books_whose_orders_are_all_gone_after_a_reconnect(layout: str) -> None:
    """The new beginning may not name them; what was told last must not stand."""
    market = Market(layout)
    market.act(0)
    talk, _ = subscribed(market)
    assert last_book(talk) == market.book() != ((), ())
    market.resting.clear()
    talk.lose()
    talk.redial()
    talk.authorize()
    talk.accept()
    wire = Wire(talk)
    wire.send(*market.beginning())
    wire.drain(0)
    talk.pass_time(2)
    assert last_book(talk) == ((), ())


def test_a_book_in_single_orders_is_told_once_it_is_gathered() -> None:
    """And not growing, order by order, as if there were no more."""
    market = Market("single orders")
    for choice in (0, 3, 6, 9):
        market.act(choice)
    talk, wire = subscribed(market)
    assert [(book.bids, book.asks) for book in talk.told(OrderBook)] == [market.book()]
    wire.send(market.act(12))
    wire.drain(0)
    assert last_book(talk) == market.book()
    # Messages are missing: it begins anew, and what was told stands until that is gathered.
    talk.say(event("index_price", {"value": 1}, seq_id=1), event("index_price", {"value": 1}, seq_id=9))
    before = len(talk.told(OrderBook))
    for command in talk.sent():
        talk.answer(command)
    market.act(2)
    wire.send(*market.beginning())
    wire.drain(0)
    assert len(talk.told(OrderBook)) == before
    talk.pass_time(1)
    assert last_book(talk) == market.book()


def test_a_book_that_is_not_wanted_any_more_is_told_no_more() -> None:
    market = Market("single orders")
    market.act(0)
    talk, wire = subscribed(market)
    (topic,) = talk.session.wanted
    told = len(talk.told(OrderBook))
    talk.unsubscribe(topic)
    talk.accept()
    talk.subscribe("orderbook_perps", pair="BTC_USDC")
    talk.accept()
    wire.send(market.act(3))
    wire.drain(0)
    talk.pass_time(5)
    assert len(talk.told(OrderBook)) == told


def test_own_orders_are_told_once_whatever_the_messages_differ_in() -> None:
    talk = Conversation(recovery=False)
    talk.live("orderbook_maker", maker=ME)
    old = talk.dials[-1]
    talk.redial()
    talk.authorize()
    new = talk.dials[-1]
    talk.accept()
    order = {**posted(1), "maker": ME}
    query = {"maker": ME}
    for link, stamp in ((new, 1), (old, 2)):
        for kind, more in (("post_order", {}), ("update_order", {"filled_amount": 3}), ("cancel_order", {})):
            data = {**order, **more, "received_at": stamp}
            talk.say(event(kind, data, "orderbook_maker", query, timestamp_ms=stamp), link=link)
    talk.pass_time(3)
    assert old in talk.hangups
    assert [str(one.status) for one in talk.told(Order)] == ["NEW", "PARTIALLY_FILLED", "CANCELED"]


def test_both_connections_are_lost_and_the_successor_s_session_is_recovered() -> None:
    """What only the forerunner had told is replayed in the successor's session, with an id of its own."""
    talk = Conversation()
    talk.authorize("7f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5d")
    talk.subscribe("index_price", **QUERY)
    talk.accept()
    old = talk.dials[-1]
    talk.redial()
    talk.authorize("8f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5e")
    new = talk.dials[-1]
    talk.accept()
    talk.say(event("index_price", {"value": 1}, query=QUERY, message_id="a"), link=old)
    talk.lose(old)
    talk.lose(new)
    talk.redial()
    talk.open()
    (command,) = talk.sent()
    assert command["recovery_token"].startswith("8f0d0b52")
    talk.answer(command, recovery_token="9f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5f")
    for number, value in (("b", 1), ("c", 2)):
        talk.say(event("index_price", {"value": value}, query=QUERY, message_id=number))
    assert [int(price.value) for price in talk.told(IndexPrice)] == [1, 2]


def test_snapshots_are_not_told_again_where_the_forerunner_is_closed_just_after_they_came() -> None:
    """The exchange ends the old session before the old connection has said anything more; nothing is missing."""
    market = Market("one for each")
    for choice in (0, 3, 6):
        market.act(choice)
    talk, old = subscribed(market)
    told = len(talk.told(BookOrder))
    talk.redial()
    talk.authorize()
    new = Wire(talk)
    talk.accept()
    old.send(event("index_price", {"value": 1}))
    old.drain(0)
    talk.pass_time(0.1)
    new.send(*market.beginning())
    new.drain(0)
    talk.lose(old.link)
    talk.pass_time(1)
    assert len(talk.told(BookOrder)) == told and not talk.told(Gap) + talk.told(Disconnected)
    assert last_book(talk) == market.book()
