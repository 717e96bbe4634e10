"""Books: single orders in, whole books out, against a model that knows nothing of levels."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchanges.kyan.conversation import ME, Conversation, event
from tests.exchanges.kyan.samples import CALL, PERP
from xchws.events import Failure, Gap, OrderBook, Other
from xchws.exchanges.kyan.channels import covers, topic
from xchws.exchanges.kyan.models import BookOrder, Fill, IndexPrice, Order, Position

PAIR = {"pair": "ETH_USDC"}


def order(number: Any, side: Optional[str] = "buy", price: Any = 10, size: Any = 5, **more: Any) -> Dict[str, Any]:
    made = {"order_id": str(number), "instrument_name": PERP, "direction": side, "price": price, "amount": size, **more}
    return {key: value for key, value in made.items() if value is not None}


def perps(kind: str, data: Any, query: Optional[Dict[str, Any]] = None, **fields: Any) -> Dict[str, Any]:
    return event(kind, data, "orderbook_perps", PAIR if query is None else query, **fields)


@pytest.fixture
def talk() -> Conversation:
    conversation = Conversation(recovery=False)
    conversation.live("orderbook_perps", **PAIR)
    return conversation


def levels(talk: Conversation) -> Tuple[List[Tuple[int, int]], List[Tuple[int, int]]]:
    book = talk.told(OrderBook)[-1]
    return [(int(p), int(q)) for p, q in book.bids], [(int(p), int(q)) for p, q in book.asks]


@pytest.mark.parametrize(
    "kind, data",
    [
        ("ob_snapshot", [order(1), order(2), order(3, "sell", 12)]),
        ("orderbook_perps", {"orders": [order(1), order(2), order(3, "sell", 12)]}),
        (
            "whatever",
            {
                "instrument_name": PERP,
                "bids": [{"order_id": "1", "amount": "5", "limit_price": "10"}, order(2, None)],
                "asks": [order(3, None, 12)],
            },
        ),
    ],
)
def test_a_snapshot_and_what_follows(talk: Conversation, kind: str, data: Any) -> None:
    talk.say(perps(kind, data))
    assert [one.action for one in talk.told(BookOrder)] == ["snapshot"] * 3
    assert talk.told(BookOrder)[0].raw["order_id"] == "1"
    assert levels(talk) == ([(10, 10)], [(12, 5)])
    talk.say(perps("post_order", order(4, "buy", 11, 1)))
    assert levels(talk) == ([(11, 1), (10, 10)], [(12, 5)])
    talk.say(perps("update_order", {"order_id": "1", "filled_amount": 2}))
    assert levels(talk) == ([(11, 1), (10, 8)], [(12, 5)])
    talk.say(perps("update_order", {"order_id": "2", "filled_amount": 5, "order_state": "filled"}))
    assert levels(talk) == ([(11, 1), (10, 3)], [(12, 5)])
    first, second = talk.say(perps("cancel_order", {"order_id": "3", "mmp": True}))
    assert isinstance(first, BookOrder) and isinstance(second, OrderBook)
    assert (first.action, first.symbol, first.side, first.price, first.mmp) == (
        "cancel",
        PERP,
        "sell",
        Decimal(12),
        True,
    )
    assert levels(talk) == ([(11, 1), (10, 3)], [])
    talk.say(perps(kind, {"instrument_name": PERP, "bids": [], "asks": []}))
    assert levels(talk) == ([], [])
    assert len({book.symbol for book in talk.told(OrderBook)}) == 1


def test_one_list_for_all_empties_the_books_that_are_not_in_it(talk: Conversation) -> None:
    talk.say(perps("ob_snapshot", [order(1)]))
    talk.say(perps("ob_snapshot", []))
    assert levels(talk) == ([], [])


def test_without_a_snapshot_there_is_no_book() -> None:
    talk = Conversation(recovery=False)
    talk.live("orderbook_perps", skip_snapshot=True, **PAIR)
    assert [type(one) for one in talk.say(perps("post_order", order(1)))] == [BookOrder]
    (gone,) = talk.say(perps("cancel_order", {"order_id": "unseen"}))
    assert isinstance(gone, BookOrder) and gone.symbol == ""


def test_what_a_book_cannot_take_is_told(talk: Conversation) -> None:
    talk.say(perps("ob_snapshot", [order(1)]))
    made = talk.say(perps("post_order", order(2, price=None)))
    assert [type(one) for one in made] == [BookOrder, Failure]
    assert [type(one) for one in talk.say(perps("whatever", {"x": 1}))] == [Other]
    assert [type(one) for one in talk.say(perps("whatever", 5))] == [Other]
    assert [type(one) for one in talk.say(perps("cancel_order", order(99)))] == [BookOrder]


def test_overlapping_subscriptions_tell_a_change_once(talk: Conversation) -> None:
    talk.subscribe("orderbook_perps", instrument_name=PERP)
    talk.accept()
    for query in (PAIR, {"instrument_name": PERP}):
        talk.say(perps("ob_snapshot", [order(1)], query))
    talk.events.clear()
    for query in (PAIR, {"instrument_name": PERP}):
        talk.say(perps("post_order", order(2), query))
    assert [type(one) for one in talk.events] == [BookOrder, OrderBook]
    for number in range(10_001):
        talk.say(perps("cancel_order", order(f"n{number}")))
    assert talk.say(perps("post_order", order(2)))


def test_two_directions_make_one_book() -> None:
    talk = Conversation(recovery=False)
    talk.live("orderbook_perps", direction="buy")
    talk.subscribe("orderbook_perps", direction="sell")
    talk.accept()
    talk.say(perps("ob_snapshot", [order(1)], {"direction": "buy"}))
    talk.say(perps("ob_snapshot", [order(2, "sell", 12)], {"direction": "sell"}))
    assert levels(talk) == ([(10, 5)], [(12, 5)])
    talk.say(perps("ob_snapshot", [order(3, "sell", 13)], {}))
    assert levels(talk) == ([(10, 5)], [(13, 5)])


@pytest.mark.parametrize(
    "query, instrument, side, covered",
    [
        ({"pair": "ETH_USDC"}, PERP, "buy", True),
        ({"pair": "BTC_USDC"}, PERP, "buy", False),
        ({"instrument_name": PERP}, "BTC_USDC-PERPETUAL", "buy", False),
        ({"direction": "sell"}, PERP, "buy", False),
        ({"direction": "sell"}, PERP, None, True),
    ],
)
def test_which_instruments_a_subscription_has_in_it(
    query: Dict[str, Any], instrument: str, side: Optional[str], covered: bool
) -> None:
    wanted = topic("orderbook_perps", query)
    assert covers(wanted, "orderbook_perps", instrument, side) is covered
    assert not covers(wanted, "orderbook_options", instrument, side)


def test_options_by_pair_maturity_strike_and_type() -> None:
    talk = Conversation(recovery=False)
    topic = talk.live("orderbook_options", maturity="27MAR26", strike=4200, type="C")
    data = {**order(1), "instrument_name": CALL, "contracts": 2.5}
    del data["amount"]
    talk.say({**event("orderbook_options", [data], "orderbook_options"), "subscription": None})
    assert talk.told(OrderBook)[-1].bids == ((Decimal(10), Decimal("2.5")),)
    other = {**data, "order_id": "2", "instrument_name": "ETH_USDC-27MAR26-4300-C"}
    assert [type(one) for one in talk.say(event("post_order", other, "orderbook_options"))] == [BookOrder]
    talk.unsubscribe(topic)
    assert [type(one) for one in talk.say(event("post_order", data, "orderbook_options"))] == [BookOrder]


def test_a_gap_makes_the_book_begin_anew(talk: Conversation) -> None:
    talk.say(perps("ob_snapshot", [order(1)], seq_id=1))
    made = talk.say(perps("post_order", order(2), seq_id=3))
    assert [type(one) for one in made] == [Gap, BookOrder]
    unsubscribe, subscribe = talk.sent()[-2:]
    talk.answer(unsubscribe)
    # The old subscription's late event accepts nothing.
    assert len(talk.told(Gap)) == 1
    talk.answer(subscribe)
    assert [one.channels for one in talk.told(Gap)] == [("orderbook_perps pair=ETH_USDC",)] * 2
    talk.say(perps("ob_snapshot", [order(1), order(2)], seq_id=4))
    assert levels(talk) == ([(10, 10)], [])


def test_a_recovered_session_goes_on_with_its_book() -> None:
    talk = Conversation()
    talk.authorize("7f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5d")
    talk.subscribe("orderbook_perps", **PAIR)
    talk.accept()
    talk.say(perps("ob_snapshot", [order(1)], message_id="a"))
    talk.dismiss()
    talk.redial()
    talk.open()
    talk.answer(talk.sent()[0], recovery_token="x")
    talk.say(perps("post_order", order(2), message_id="b"))
    assert levels(talk) == ([(10, 10)], [])
    talk.lose()
    talk.redial()
    talk.open()
    talk.answer(talk.sent()[0], "no")
    talk.redial()
    talk.open()
    talk.answer(talk.sent()[0])
    talk.accept()
    assert [type(one) for one in talk.say(perps("post_order", order(3), message_id="c"))] == [BookOrder]


@pytest.mark.parametrize("replay_first", [False, True])
def test_a_recovery_that_may_lack_something_begins_its_book_anew(replay_first: bool) -> None:
    """The line broke without a word: a change may be missing in spite of the replay, and a book without it would be wrong."""
    talk = Conversation()
    talk.authorize("7f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5d")
    for channel, query in (("orderbook_perps", PAIR), ("orderbook_perps", {"direction": "buy", "skip_snapshot": True})):
        talk.subscribe(channel, **query)
    talk.accept()
    talk.say(perps("ob_snapshot", [order(1)], message_id="a"))
    talk.lose()
    talk.redial()
    talk.open()
    talk.events.clear()
    (recover,) = talk.sent()
    replayed = perps("post_order", order(3), message_id="c")
    if replay_first:
        talk.say(replayed)
    talk.answer(recover, recovery_token="8f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5e")
    if not replay_first:
        talk.say(replayed)
    told = [one for one in talk.events if isinstance(one, (Gap, BookOrder, OrderBook))]
    assert [type(one) for one in told] == [Gap, Gap, BookOrder] and not any(gap.recovered for gap in talk.told(Gap))
    commands = talk.accept()
    assert [(one["type"], one["subscriptions"][0]["query"]) for one in commands] == [
        ("unsubscribe", PAIR), ("subscribe", PAIR),
    ]  # fmt: skip
    talk.say(perps("ob_snapshot", [order(1), order(2), order(3)], message_id="d"))
    assert levels(talk) == ([(10, 15)], [])


def test_a_book_given_up_while_its_session_was_lost_is_unsubscribed_when_that_is_recovered() -> None:
    talk = Conversation()
    talk.authorize("7f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5d")
    wanted = talk.subscribe("orderbook_perps", **PAIR)
    talk.accept()
    talk.lose()
    talk.unsubscribe(wanted)
    talk.redial()
    talk.open()
    talk.answer(talk.sent()[0], recovery_token="8f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5e")
    talk.pass_time(0)
    assert [one["type"] for one in talk.accept()] == ["unsubscribe"]


def test_while_two_connections_overlap_a_change_is_told_once_and_a_snapshot_only_by_the_one_in_use() -> None:
    talk = Conversation(recovery=False)
    talk.live("orderbook_perps", **PAIR)
    talk.subscribe("position", account=ME)
    talk.accept()
    old = talk.dials[-1]
    talk.say(perps("ob_snapshot", [order(1)]))
    talk.redial()
    talk.authorize()
    new = talk.dials[-1]
    talk.events.clear()
    position = event("position", {"market": "ETH", "positions": [{"instrument_name": PERP, "size": 1}]})
    tick = event("index_price", {"value": 1, "timestamp": 1774000123440})
    odd = event("odd", {"x": 1})
    talk.say(perps("ob_snapshot", [order(1)]), event("ob_maker_orders", [order(1)], "orderbook_maker"), link=new)
    assert talk.events == []
    for link in (new, old):
        for message in (perps("post_order", order(2)), position, tick, odd):
            talk.say(message, link=link)
    kinds = [type(one) for one in talk.events]
    assert kinds == [BookOrder, OrderBook, Position, IndexPrice, Other], "as the one in use tells it"
    talk.accept()
    assert old not in talk.hangups, "it is drained first"
    talk.pass_time(2)
    assert old in talk.hangups and [type(one) for one in talk.events] == kinds
    talk.say(position, perps("post_order", order(3)), link=new)
    assert levels(talk) == ([(10, 15)], [])
    assert not talk.told(Fill) and not talk.told(Order)


# ------------------------------------------------------------------------------------------------------------ the model

SIDE = st.sampled_from(["buy", "sell"])
ID = st.integers(0, 6)
AMOUNT = st.decimals("0.001", "5000", places=3)
PRICE = st.sampled_from([Decimal(text) for text in ("9.5", "10", "10.0", "10.25", "11")])
STEP = st.one_of(
    st.tuples(st.just("post_order"), ID, SIDE, PRICE, AMOUNT),
    st.tuples(st.just("update_order"), ID, AMOUNT),
    st.tuples(st.just("cancel_order"), ID),
    st.tuples(st.just("snapshot"), st.dictionaries(ID, st.tuples(SIDE, PRICE, AMOUNT), max_size=5)),
)


def summed(orders: Dict[str, Tuple[str, Decimal, Decimal, Decimal]], side: str) -> Tuple[Tuple[Decimal, Decimal], ...]:
    sums: Dict[Decimal, Decimal] = {}
    for its_side, price, size, filled in orders.values():
        if its_side == side and size > filled:
            sums[price] = sums.get(price, Decimal(0)) + size - filled
    return tuple(sorted(sums.items(), reverse=side == "buy"))


@given(st.lists(STEP, max_size=25))
def test_a_book_is_the_sum_of_its_orders(steps: List[Any]) -> None:
    talk = Conversation(recovery=False)
    talk.live("orderbook_perps", **PAIR)
    talk.say(perps("ob_snapshot", [order("first", "sell", 100, 1)]))
    model = {"first": ("sell", Decimal(100), Decimal(1), Decimal(0))}
    for kind, *rest in steps:
        if kind == "snapshot":
            model = {str(number): (*made, Decimal(0)) for number, made in rest[0].items()}
            talk.say(
                perps(
                    "ob_snapshot", [order(n, s, str(p), str(a)) for n, (s, p, a, _) in model.items()] or {"orders": []}
                )
            )
        elif kind == "post_order":
            number, side, price, size = rest
            model[str(number)] = (side, price, size, Decimal(0))
            talk.say(perps(kind, order(number, side, str(price), str(size), filled_amount="0")))
        elif str(rest[0]) in model and kind == "update_order":
            side, price, size, _ = model[str(rest[0])]
            filled = min(size, rest[1])
            model[str(rest[0])] = (side, price, size, filled)
            talk.say(perps(kind, {"order_id": str(rest[0]), "filled_amount": str(filled)}))
            if filled == size:
                del model[str(rest[0])]
        elif str(rest[0]) in model:
            del model[str(rest[0])]
            talk.say(perps(kind, {"order_id": str(rest[0])}))
        book = talk.told(OrderBook)[-1]
        assert (book.bids, book.asks) == (summed(model, "buy"), summed(model, "sell"))
    assert not talk.told(Failure)
