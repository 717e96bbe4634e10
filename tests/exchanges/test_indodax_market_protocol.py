"""Indodax's market-data stream below the socket: text messages in, events and commands out, under a clock of numbers.

Written from the vendor's page (github btcid/indodax-official-api-docs, Marketdata-websocket.md, read 2026-11) and from the
description of Centrifugo's protocol v1, not from the code. Values are invented.
"""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any, Dict, Iterator, List, Optional, Tuple, Type, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xchws.credentials import Secrets
from xchws.errors import AuthenticationFailed, ConnectionLost, ExchangeError, OpenFailed, Silent, SubscriptionRejected
from xchws.events import Data, Event, Failure, Message, Other
from xchws.exchanges.indodax.market_models import (
    MarketOrderBook,
    MarketOther,
    MarketTicker,
    MarketTrade,
    Tick,
)
from xchws.exchanges.indodax.market_protocol import IndodaxMarketProtocol, MarketMemory
from xchws.sansio.actions import (
    Accepted,
    Close,
    Expiry,
    Interrupted,
    Missed,
    Output,
    Ready,
    Refused,
    Send,
    Topic,
    Unanswered,
)

TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.published-signature"
TICKS, SUMMARY = Topic("chart:tick-usdtidr"), Topic("market:summary-24h")
TRADES, BOOK = Topic("market:trade-activity-btcidr"), Topic("market:order-book-btcidr")
TOPICS = (TICKS, SUMMARY, TRADES, BOOK)
EPOCH = "1633990001"
T = TypeVar("T")


def trade_row(sequence: int) -> List[Any]:
    return ["btcidr", 1780000000, sequence, "buy", 881991000, "29740", "0.00003372"]


PAYLOADS: Dict[Topic, Any] = {
    TICKS: [[1780000000, 4087327, 14340, "1063.73019525"]],
    SUMMARY: [
        ["dogeidr", 1780000000, 3810, 3480, 3980, 3523, "112745093944.00000000", "30241791.15270789"],
        ["usdtidr", 1780000300, 14124, 14076, 14130, 14123, "194798674207.00000000", "13798116.12995762"],
    ],
    TRADES: [trade_row(21999427)],
    BOOK: {
        "pair": "btcidr",
        "ask": [
            {"btc_volume": "0.2", "idr_volume": "63950800", "price": "319754000"},
            {"idr_volume": "35251984", "price": "319437000", "btc_volume": "0.11035661"},
        ],
        "bid": [
            {"price": "319373000", "btc_volume": "0.00697822", "idr_volume": "2228655"},
            {"btc_volume": "0.61427265", "idr_volume": "196220798", "price": "319436000"},
        ],
    },
}


def text(*messages: Any) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def push(topic: Topic, data: Any, offset: Optional[int] = None) -> Dict[str, Any]:
    publication = {"data": data} if offset is None else {"data": data, "offset": offset}
    return {"result": {"channel": topic.channel, "data": publication}}


def ack(number: int, offset: Optional[int] = 100, **more: Any) -> Dict[str, Any]:
    result = {"recoverable": True, "epoch": EPOCH, **more}
    return {"id": number, "result": result if offset is None else {**result, "offset": offset}}


def error(number: int, code: Any, message: str = "no") -> Dict[str, Any]:
    return {"id": number, "error": {"code": code, "message": message}}


def opened(memory: Optional[MarketMemory] = None) -> IndodaxMarketProtocol:
    """A protocol that is connected (command 1), so that the next command has number 2."""
    secrets = Secrets()
    secrets.add(TOKEN)
    protocol = IndodaxMarketProtocol(TOKEN, memory or MarketMemory(), secrets)
    assert sent(protocol.opened(0.0)) == [{"method": 0, "params": {"token": TOKEN}, "id": 1}]
    assert protocol.received(text({"id": 1, "result": {"client": "u", "version": "2.8.7"}}), 0.0) == [
        Expiry(None),
        Ready(),
    ]
    return protocol


def subscribed(*topics: Topic, memory: Optional[MarketMemory] = None) -> IndodaxMarketProtocol:
    protocol = opened(memory)
    for topic in topics:
        number = sent(protocol.subscribe(topic, 0.0))[0]["id"]
        assert protocol.received(text(ack(number)), 0.0) == [Accepted(topic)]
    return protocol


def sent(outputs: List[Output]) -> List[Any]:
    return [json.loads(output.payload) for output in outputs if isinstance(output, Send)]


def only(outputs: List[Output], kind: Type[T]) -> T:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], kind), outputs
    return outputs[0]


def events(outputs: List[Output], kind: Type[T]) -> List[T]:
    return [output for output in outputs if isinstance(output, kind)]


def failure(outputs: List[Output]) -> str:
    return str(only(outputs, Failure).error)


# ------------------------------------------------------------------------------------------------------------- connect


def test_the_token_expires_when_the_reply_says() -> None:
    protocol = IndodaxMarketProtocol(TOKEN, MarketMemory(), Secrets())
    protocol.opened(5.0)
    reply = {"id": 1, "result": {"client": "u", "version": "2.8.7", "expires": True, "ttl": 160000000}}
    assert protocol.received(text(reply), 6.0) == [Expiry(160000006.0), Ready()]
    assert protocol.deadline() is None
    assert protocol.silence == 60.0
    assert protocol.pings


@pytest.mark.parametrize(("ttl", "expires", "at"), [(10**15, True, 1e9), (0, True, None), (5, False, None)])
def test_a_time_to_live_that_means_never(ttl: int, expires: bool, at: Optional[float]) -> None:
    protocol = IndodaxMarketProtocol(TOKEN, MarketMemory(), Secrets())
    protocol.opened(0.0)
    assert protocol.received(text({"id": 1, "result": {"expires": expires, "ttl": ttl}}), 0.0) == [
        Expiry(at),
        Ready(),
    ]


@pytest.mark.parametrize("result", [None, {"ttl": "soon", "expires": True}, 7, [], {"expires": {}}])
def test_a_reply_to_connect_of_another_form_is_told_and_is_good(result: Any) -> None:
    protocol = IndodaxMarketProtocol(TOKEN, MarketMemory(), Secrets())
    protocol.opened(0.0)
    outputs = protocol.received(text({"id": 1, "result": result}), 0.0)
    assert outputs[-2:] == [Expiry(None), Ready()]
    assert len(events(outputs, Failure)) == (result is not None)


def test_connect_without_an_answer() -> None:
    protocol = IndodaxMarketProtocol(TOKEN, MarketMemory(), Secrets())
    protocol.opened(0.0)
    assert protocol.deadline() == 10.0
    assert protocol.wake(9.9) == []
    assert isinstance(only(protocol.wake(10.0), Close).error, Silent)


@pytest.mark.parametrize("code", [101, 103, 109, 110])
def test_a_refused_token_ends_the_client_unless_it_was_good_before(code: int) -> None:
    memory = MarketMemory()
    for limit in (1, 5):
        protocol = IndodaxMarketProtocol(TOKEN, memory, Secrets())
        protocol.opened(0.0)
        close = only(protocol.received(text(error(1, code, "token expired")), 0.0), Close)
        assert isinstance(close.error, OpenFailed)
        assert isinstance(close.verdict, AuthenticationFailed)
        assert (close.verdict.code, close.limit) == (code, limit)
        assert "token expired" in str(close.verdict)
        opened(memory)


@pytest.mark.parametrize(("code", "limit"), [(100, None), (111, None), (107, 5), (108, 5), (0, 5), ("x", 5)])
def test_another_error_to_connect(code: Any, limit: Optional[int]) -> None:
    protocol = IndodaxMarketProtocol(TOKEN, MarketMemory(), Secrets())
    protocol.opened(0.0)
    close = only(protocol.received(text(error(1, code)), 0.0), Close)
    assert isinstance(close.error, OpenFailed)
    if limit is None:
        assert close.verdict is None
    else:
        assert isinstance(close.verdict, ExchangeError)
        assert close.limit == limit


# ------------------------------------------------------------------------------------------------------- subscriptions


@pytest.mark.parametrize("topic", TOPICS)
def test_a_subscription_and_its_end(topic: Topic) -> None:
    protocol = opened()
    assert sent(protocol.subscribe(topic, 0.0)) == [{"method": 1, "params": {"channel": topic.channel}, "id": 2}]
    assert protocol.received(text(ack(2)), 1.0) == [Accepted(topic)]
    assert sent(protocol.unsubscribe(topic, 2.0)) == [{"method": 2, "params": {"channel": topic.channel}, "id": 3}]
    assert protocol.received(text(push(topic, PAYLOADS[topic], 101)), 2.0) == []
    assert protocol.received(text({"id": 3, "result": {}}), 2.0) == []
    assert protocol.deadline() is None
    assert protocol.unsubscribe(topic, 3.0) == []


def test_replies_are_matched_by_id_in_any_order() -> None:
    protocol = opened()
    for topic in TOPICS:
        protocol.subscribe(topic, 0.0)
    assert protocol.received(text(ack(5), ack(3), ack(2), ack(4)), 0.0) == [
        Accepted(BOOK), Accepted(SUMMARY), Accepted(TICKS), Accepted(TRADES),
    ]  # fmt: skip


def test_what_is_unsubscribed_before_its_answer_is_unsubscribed_after_it() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    assert protocol.unsubscribe(TRADES, 0.0) == []
    assert sent(protocol.received(text(ack(2)), 0.0)) == [{"method": 2, "params": {"channel": TRADES.channel}, "id": 3}]
    assert protocol.subscribe(TRADES, 0.0) == []
    assert sent(protocol.received(text({"id": 3, "result": {}}), 0.0)) == [
        {"method": 1, "params": {"channel": TRADES.channel}, "id": 4}
    ]
    assert protocol.received(text(ack(4)), 0.0) == [Accepted(TRADES)]


def test_unsubscribed_and_wanted_again_before_the_answer_is_subscribed_once() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    protocol.unsubscribe(TRADES, 0.0)
    assert protocol.subscribe(TRADES, 0.0) == []
    assert protocol.received(text(ack(2)), 0.0) == [Accepted(TRADES)]


def test_unsubscribing_what_is_not_there() -> None:
    assert opened().unsubscribe(TRADES, 0.0) == []


def test_unsubscribing_refused_is_told() -> None:
    protocol = subscribed(TRADES)
    protocol.unsubscribe(TRADES, 0.0)
    assert "107" in failure(protocol.received(text(error(3, 107)), 0.0))
    assert len(sent(protocol.subscribe(TRADES, 0.0))) == 1


@pytest.mark.parametrize("code", [101, 102, 103, 104, 106, 107, 108, 109, 110, 112, 4000, "x"])
def test_a_refusal(code: Any) -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    protocol.received(text(push(TRADES, PAYLOADS[TRADES], 1)), 0.0)
    early, refused = protocol.received(text(error(2, code, f"not with {TOKEN}")), 0.0)
    assert isinstance(early, MarketTrade), "what was told before is not passed over"
    assert isinstance(refused, Refused)
    assert refused.topic == TRADES
    assert isinstance(refused.error, SubscriptionRejected)
    assert refused.error.code == (code if isinstance(code, int) else 0)
    assert TRADES.channel in str(refused.error)
    assert TOKEN not in str(refused.error)
    assert ("128" in str(refused.error)) == (code == 106)
    assert protocol.deadline() is None


def test_a_refusal_of_what_is_not_wanted_any_more() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    protocol.unsubscribe(TRADES, 0.0)
    assert protocol.received(text(error(2, 102)), 0.0) == []
    assert len(sent(protocol.subscribe(TRADES, 0.0))) == 1


def test_already_subscribed_is_a_success() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    early = text(push(TRADES, [trade_row(1)], 7))
    assert protocol.received(early, 0.0) == []
    outputs = protocol.received(text(error(2, 105, "already subscribed")), 0.0)
    assert outputs[0] == Accepted(TRADES)
    assert [trade.id for trade in events(outputs, MarketTrade)] == ["1"]
    outputs = protocol.received(text(push(TRADES, [trade_row(3)], 9)), 5.0)
    assert events(outputs, Missed) == [Missed((TRADES.channel,), 0.0)], "without an epoch nothing can be replayed"
    assert [trade.id for trade in events(outputs, MarketTrade)] == ["3"]


def test_already_subscribed_to_what_is_not_wanted_is_unsubscribed() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    protocol.unsubscribe(TRADES, 0.0)
    assert sent(protocol.received(text(error(2, 105)), 0.0))[0]["method"] == 2


def test_temporary_errors_are_tried_again_ever_more_slowly() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    now, waits = 0.0, []
    for number in range(2, 12):
        assert "put off" in failure(protocol.received(text(error(number, 100 if number % 2 else 111)), now))
        due = protocol.deadline()
        assert due is not None
        waits.append(due - now)
        assert protocol.wake(due - 0.01) == []
        now = due
        assert sent(protocol.wake(now))[0]["method"] == 1
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
    assert protocol.received(text(ack(12)), now) == [Accepted(TRADES)]


def test_what_is_put_off_can_be_unsubscribed() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    protocol.received(text(error(2, 111)), 0.0)
    assert protocol.unsubscribe(TRADES, 0.0) == []
    assert protocol.deadline() is None


@pytest.mark.parametrize("topic", TOPICS)
def test_an_acknowledgement_without_offset_is_an_unknown_pair(topic: Topic) -> None:
    protocol = opened()
    protocol.subscribe(topic, 0.0)
    refused, send = protocol.received(text(ack(2, None)), 0.0)
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, SubscriptionRejected)
    assert "btcidr" in str(refused.error)
    assert sent([send]) == [{"method": 2, "params": {"channel": topic.channel}, "id": 3}]


def test_an_acknowledgement_without_offset_of_what_has_just_spoken_is_none() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    assert protocol.received(text(push(TRADES, [trade_row(1)], 1)), 0.0) == []
    accepted, trade = protocol.received(text(ack(2, offset=None)), 0.0)
    assert accepted == Accepted(TRADES)
    assert isinstance(trade, MarketTrade)


def test_a_known_channel_whose_history_the_server_lost_is_no_unknown_pair() -> None:
    memory = MarketMemory()
    subscribed(TRADES, memory=memory)
    protocol = opened(memory)
    protocol.subscribe(TRADES, 0.0)
    assert protocol.received(text(ack(2, None, epoch="2")), 0.0) == [Accepted(TRADES)]
    trade = only(protocol.received(text(push(TRADES, [trade_row(1)], 1)), 0.0), MarketTrade)
    assert trade.offset == 1
    again = opened(memory)
    assert sent(again.subscribe(TRADES, 0.0))[0]["params"] == {
        "channel": TRADES.channel, "recover": True, "offset": 1, "epoch": "2",
    }  # fmt: skip


def test_a_channel_of_another_namespace_needs_no_offset() -> None:
    topic = Topic("news")
    protocol = opened()
    protocol.subscribe(topic, 0.0)
    assert protocol.received(text({"id": 2, "result": {}}), 0.0) == [Accepted(topic)]
    other = only(protocol.received(text(push(topic, {"a": 1})), 0.0), MarketOther)
    assert (other.kind, other.offset, other.raw) == ("news", None, {"a": 1})
    assert protocol.identity(other) is None


@pytest.mark.parametrize("result", [{"epoch": 5, "offset": "x"}, 7, [], "ok", {"offset": -1}, {"offset": None, "x": 1}])
def test_a_reply_to_subscribe_of_another_form(result: Any) -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    outputs = protocol.received(text({"id": 2, "result": result}), 0.0)
    if result == {"offset": None, "x": 1}:
        assert isinstance(outputs[0], Refused)  # null is no offset, and nothing in it is unreadable
    else:
        assert isinstance(outputs[0], Failure)
        assert outputs[1:] == [Accepted(TRADES)]
        assert isinstance(only(protocol.received(text(push(TRADES, [trade_row(1)], 5)), 0.0), MarketTrade), MarketTrade)


def test_no_answer_to_a_subscription() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 3.0)
    assert protocol.deadline() == 13.0
    outputs = protocol.wake(13.0)
    assert outputs[0] == Unanswered(TRADES)
    assert sent(outputs) == [{"method": 2, "params": {"channel": TRADES.channel}, "id": 3}]
    assert protocol.received(text(ack(2), {"id": 3, "result": {}}), 14.0) == []
    assert protocol.deadline() is None


def test_no_answer_to_a_subscription_that_nobody_waits_for() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    protocol.unsubscribe(TRADES, 0.0)
    assert sent(protocol.wake(10.0)) == [{"method": 2, "params": {"channel": TRADES.channel}, "id": 3}]
    assert protocol.wake(20.0) == []  # nor to the end of it
    assert protocol.deadline() is None


def test_no_answer_to_the_end_of_one_that_is_wanted_again() -> None:
    protocol = subscribed(TRADES)
    protocol.unsubscribe(TRADES, 0.0)
    assert protocol.subscribe(TRADES, 1.0) == []
    assert sent(protocol.wake(10.0)) == [{"method": 1, "params": {"channel": TRADES.channel}, "id": 4}]


@pytest.mark.parametrize("message", [{"id": 99, "result": {}}, {"error": {"code": 1}}, {"id": "x"}, {"id": 2}])
def test_what_answers_nothing_is_told(message: Any) -> None:
    failure(opened().received(text(message), 0.0))


# ------------------------------------------------------------------------------------------------------------ messages


def test_ticks() -> None:
    protocol = subscribed(TICKS)
    tick = only(protocol.received(text(push(TICKS, PAYLOADS[TICKS], 101)), 0.0), Tick)
    assert (tick.symbol, tick.id, tick.price, tick.quantity) == (
        "usdtidr", "4087327", Decimal("14340"), Decimal("1063.73019525"),
    )  # fmt: skip
    assert (tick.time_ms, tick.channel, tick.offset) == (1780000000000, TICKS.channel, 101)
    assert tick.raw == PAYLOADS[TICKS][0]


def test_the_summary() -> None:
    protocol = subscribed(SUMMARY)
    doge, usdt = protocol.received(text(push(SUMMARY, PAYLOADS[SUMMARY], 101)), 0.0)
    assert isinstance(doge, MarketTicker)
    assert isinstance(usdt, MarketTicker)
    assert doge.symbol == "dogeidr"
    assert [str(price) for price in (doge.last, doge.low, doge.high, doge.open)] == ["3810", "3480", "3980", "3523"]
    assert str(doge.quote_volume) == "112745093944.00000000"
    assert str(doge.volume) == "30241791.15270789"
    assert (usdt.symbol, usdt.time_ms, usdt.bid, usdt.raw) == ("usdtidr", 1780000300000, None, PAYLOADS[SUMMARY][1])


def test_trades() -> None:
    protocol = subscribed(TRADES)
    trade = only(protocol.received(text(push(TRADES, PAYLOADS[TRADES], 101)), 0.0), MarketTrade)
    assert (trade.symbol, trade.id, trade.side, trade.price) == ("btcidr", "21999427", "buy", Decimal(881991000))
    assert (str(trade.quote_quantity), str(trade.quantity)) == ("29740", "0.00003372")
    assert trade.raw == PAYLOADS[TRADES][0]


def test_an_order_book_is_sorted_and_its_volumes_are_found_by_name() -> None:
    protocol = subscribed(BOOK)
    book = only(protocol.received(text(push(BOOK, PAYLOADS[BOOK], 101)), 0.0), MarketOrderBook)
    assert book.symbol == "btcidr"
    assert [(str(price), str(quantity)) for price, quantity in book.asks] == [
        ("319437000", "0.11035661"),
        ("319754000", "0.2"),
    ]
    assert [(str(price), str(quantity)) for price, quantity in book.bids] == [
        ("319436000", "0.61427265"),
        ("319373000", "0.00697822"),
    ]
    assert book.raw == PAYLOADS[BOOK]


def test_numbers_never_pass_through_a_float() -> None:
    protocol = subscribed(TRADES)
    wire = text(push(TRADES, PAYLOADS[TRADES], 101)).replace(b"881991000", b"0.1000000000000000055511151231257827")
    trade = only(protocol.received(wire.replace(b'"29740"', b"2.22E-4"), 0.0), MarketTrade)
    assert str(trade.price) == "0.1000000000000000055511151231257827"
    assert trade.quote_quantity == Decimal("0.000222")


def test_a_frame_with_many_messages_and_printed_ones() -> None:
    protocol = subscribed(TRADES, TICKS)
    frame = text(push(TRADES, [trade_row(1), trade_row(2)], 101), push(TICKS, PAYLOADS[TICKS], 101))
    assert [type(event) for event in protocol.received(frame + b"\n \n", 0.0)] == [MarketTrade, MarketTrade, Tick]
    printed = json.dumps(push(TRADES, [trade_row(3)], 102), indent=4).encode() + b"\n"
    assert only(protocol.received(printed, 0.0), MarketTrade).id == "3"
    assert protocol.received(b"\n", 0.0) == []


def test_every_message_as_it_came_for_who_wants_it_without_the_token() -> None:
    protocol = subscribed(TRADES)
    protocol.verbatim = True
    outputs = protocol.received(text(push(TRADES, [], 101), {"result": {"type": 4, "data": {"data": TOKEN}}}), 0.0)
    assert [type(output) for output in outputs] == [Message, Message, Other]
    assert TOKEN not in events(outputs, Message)[1].text


@pytest.mark.parametrize(
    ("kind", "word"), [(1, "join"), (2, "leave"), (4, "message"), (5, "subscribe"), (77, "push 77")]
)
def test_other_pushes(kind: int, word: str) -> None:
    protocol = subscribed(TRADES)
    message = {"result": {"type": kind, "channel": TRADES.channel, "data": {"info": {"user": ""}}}}
    other = only(protocol.received(text(message), 0.0), Other)
    assert (other.kind, other.raw) == (word, message)
    assert protocol.identity(other) is None


@pytest.mark.parametrize(
    "message", [{}, {"result": None}, {"result": {}}, {"result": {"channel": "x:y", "data": {"data": 1}}}, {"a": 1}]
)
def test_what_is_not_known_is_other(message: Any) -> None:
    assert only(opened().received(text(message), 0.0), Other).raw == message


@pytest.mark.parametrize(
    "wire", [b"hello", b"[]", b"1", b'{"id": {}}', b'{"result": 5}', b'{"result": {"type": "x"}}', b"\xff", b"[" * 9999]
)
def test_what_is_unreadable_is_told(wire: bytes) -> None:
    failure(opened().received(wire, 0.0))


# ------------------------------------------------------------------------------------------------------------- offsets


def test_offsets_at_or_below_the_last_are_doubles_and_a_jump_is_a_loss() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    # Without an epoch the server would not say whether a replay is whole, so it is not asked for one.
    assert protocol.received(text(ack(2, epoch="")), 0.0) == [Accepted(TRADES)]
    assert protocol.received(text(push(TRADES, [trade_row(1)], 100)), 0.0) == []
    assert [type(one) for one in protocol.received(text(push(TRADES, [trade_row(2)], 101)), 0.0)] == [MarketTrade]
    assert protocol.received(text(push(TRADES, [trade_row(2)], 101)), 0.0) == []
    outputs = protocol.received(text(push(TRADES, [trade_row(5)], 104)), 9.0)
    assert outputs[0] == Missed((TRADES.channel,), 0.0)
    assert [trade.id for trade in events(outputs, MarketTrade)] == ["5"]
    outputs = protocol.received(text(push(TRADES, [trade_row(1)], 1), push(TRADES, [trade_row(2)], 2)), 10.0)
    assert outputs[0] == Missed((TRADES.channel,), 9.0), "no double is that old: the server counts anew"
    assert [trade.id for trade in events(outputs, MarketTrade)] == ["1", "2"]
    assert len(outputs) == 3


def test_identical_books_are_told_as_often_as_they_come() -> None:
    protocol = subscribed(BOOK)
    outputs = protocol.received(text(push(BOOK, PAYLOADS[BOOK], 101), push(BOOK, PAYLOADS[BOOK], 102)), 0.0)
    assert [book.offset for book in events(outputs, MarketOrderBook)] == [101, 102]


@pytest.mark.parametrize("offset", ["x", -1, None, 2**70, 1.5, {}])
def test_a_publication_whose_offset_is_none_is_told_with_a_failure(offset: Any) -> None:
    protocol = subscribed(TRADES)
    message = push(TRADES, [trade_row(1)], 101)
    message["result"]["data"]["offset"] = offset
    outputs = protocol.received(text(message), 0.0)
    assert [type(output) for output in outputs] == [Failure, MarketTrade]
    assert [type(one) for one in protocol.received(text(push(TRADES, [trade_row(2)], 102)), 0.0)] == [MarketTrade]


def test_an_event_is_the_same_on_two_connections_by_channel_offset_and_place() -> None:
    first, second = subscribed(TRADES, BOOK), subscribed(TRADES, BOOK)
    frame = text(push(TRADES, [trade_row(1), trade_row(1)], 101), push(BOOK, PAYLOADS[BOOK], 101))
    identities = [
        [protocol.identity(event) for event in events(protocol.received(frame, 0.0), Data)]
        for protocol in (first, second)
    ]
    assert identities[0] == identities[1]
    assert len(set(identities[0])) == 3
    assert None not in identities[0]


# --------------------------------------------------------------------------------------------- ended by the server


def test_the_server_asks_to_subscribe_again() -> None:
    protocol = subscribed(TRADES)
    message = {"result": {"type": 3, "channel": TRADES.channel, "data": {"resubscribe": True}}}
    assert protocol.received(text(message), 0.0) == [Interrupted(TRADES)]
    assert sent(protocol.subscribe(TRADES, 0.0))[0]["params"] == {
        "channel": TRADES.channel, "recover": True, "offset": 100, "epoch": EPOCH,
    }  # fmt: skip


@pytest.mark.parametrize("data", [{"resubscribe": 5}, {"resubscribe": None}])
def test_whether_to_subscribe_again_is_unreadable(data: Any) -> None:
    protocol = subscribed(TRADES)
    outputs = protocol.received(text({"result": {"type": 3, "channel": TRADES.channel, "data": data}}), 0.0)
    assert isinstance(outputs[0], Failure)
    assert outputs[1:] == [Interrupted(TRADES)]


@pytest.mark.parametrize("result", [{"data": {"resubscribe": False}}, {"data": {}}, {}])
def test_the_server_ends_a_subscription_for_good(result: Any) -> None:
    memory = MarketMemory()
    protocol = subscribed(TRADES, memory=memory)
    message = {"result": {"type": 3, "channel": TRADES.channel, **result}}
    refused = only(protocol.received(text(message), 0.0), Refused)
    assert isinstance(refused.error, SubscriptionRejected)
    assert memory.positions.get(TRADES.channel) is None
    assert sent(protocol.subscribe(TRADES, 0.0))[0]["params"] == {"channel": TRADES.channel}


def test_ended_while_it_is_being_subscribed() -> None:
    protocol = opened()
    protocol.subscribe(TRADES, 0.0)
    message = {"result": {"type": 3, "channel": TRADES.channel, "data": {"resubscribe": True}}}
    assert protocol.received(text(message), 0.0) == [Interrupted(TRADES)]
    assert sent(protocol.subscribe(TRADES, 0.0))[0]["id"] == 3
    assert protocol.received(text(ack(2)), 0.0) == []
    assert protocol.received(text(ack(3)), 0.0) == [Accepted(TRADES)]


def test_ended_where_it_is_not_wanted_or_not_known() -> None:
    protocol = subscribed(TRADES)
    protocol.unsubscribe(TRADES, 0.0)
    message = {"result": {"type": 3, "channel": TRADES.channel, "data": {}}}
    assert protocol.received(text(message, {"id": 3, "result": {}}), 0.0) == []
    assert only(opened().received(text(message), 0.0), Other).kind == "unsubscribe"


# --------------------------------------------------------------------------------------------------------------- close


def advice(reason: str, reconnect: Any) -> str:
    return json.dumps({"reason": reason, "reconnect": reconnect})


@pytest.mark.parametrize("code", [1000, 1001, 1006, 3000, 3001, 3004, 3005, 3006, 3008, 3009, 3010, 3011, 3999, 4321])
def test_closes_after_which_to_connect_again(code: int) -> None:
    for reason in ("", "words", advice("shutdown", True), "[]", '{"reason": 5}'):
        close = opened().closed(code, reason)
        assert isinstance(close.error, ConnectionLost)
        assert (close.error.code, close.verdict, close.error.retry_after) == (code, None, None)
    assert "shutdown" in str(opened().closed(code, advice("shutdown", True)).error)


@pytest.mark.parametrize("code", [3002, 3003, 3007, 3012, 3013])
def test_the_servers_advice_goes_before_the_table(code: int) -> None:
    close = opened().closed(code, advice("moved", True))
    assert isinstance(close.error, ConnectionLost)
    assert close.verdict is None


@pytest.mark.parametrize("reason", ["", advice("no more", False)])
def test_closes_after_which_not_to_connect_again(reason: str) -> None:
    forced = opened().closed(3012, reason)
    assert isinstance(forced.error, ExchangeError)
    assert not forced.error.retryable
    for code in (3003, 3007, 3013):
        close = opened().closed(code, reason)
        assert isinstance(close.error, ConnectionLost)
        assert close.error.retry_after == 30.0
        assert isinstance(close.verdict, ExchangeError)
        assert (close.verdict.code, close.limit, close.exclusive) == (code, 5, code == 3013)


def test_an_unknown_code_whose_reason_says_not_to_connect_again() -> None:
    close = opened().closed(4001, advice("go away", False))
    assert isinstance(close.verdict, ExchangeError)
    assert (close.limit, close.verdict.message) == (5, "go away")


def test_an_invalid_token() -> None:
    fresh = IndodaxMarketProtocol(TOKEN, MarketMemory(), Secrets())
    for protocol, limit in ((fresh, 1), (opened(), 5)):
        close = protocol.closed(3002, advice("invalid token", False))
        assert isinstance(close.verdict, AuthenticationFailed)
        assert close.limit == limit


# ----------------------------------------------------------------------------------------------------------- mutations

STRANGE: Tuple[Any, ...] = (None, True, -1, 2**80, 1.5, "", "NaN", "Infinity", "x", [], {}, [[]], {"a": 1})
SAMPLES = [push(topic, payload, 101) for topic, payload in PAYLOADS.items()] + [
    ack(2),
    ack(2, recovered=True, publications=[{"data": PAYLOADS[TRADES], "offset": 51}], offset=51),
    error(2, 100),
    {"result": {"type": 3, "channel": TRADES.channel, "data": {"resubscribe": True}}},
    {"result": {"type": 1, "channel": TRADES.channel, "data": {"info": {}}}},
]


def places(value: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from places(below, (*path, key))


def mutants() -> Iterator[Any]:
    for sample in SAMPLES:
        for path in places(sample):
            if not path:
                continue
            for strange in (*STRANGE, places):
                mutant = copy.deepcopy(sample)
                parent = mutant
                for step in path[:-1]:
                    parent = parent[step]
                if strange is places:
                    del parent[path[-1]]
                else:
                    parent[path[-1]] = strange
                yield mutant


MUTANTS = list(mutants())


def awaiting() -> IndodaxMarketProtocol:
    """All four channels live, but the trades, which are being subscribed with command 2 after a connection before."""
    memory = MarketMemory()
    memory.positions.note(TRADES.channel, EPOCH, 50)
    protocol = opened(memory)
    protocol.subscribe(TRADES, 0.0)
    for topic in (TICKS, SUMMARY, BOOK):
        number = sent(protocol.subscribe(topic, 0.0))[0]["id"]
        protocol.received(text(ack(number)), 0.0)
    return protocol


def test_a_message_with_a_field_removed_or_of_another_type_never_raises_and_is_never_silent() -> None:
    for mutant in MUTANTS:
        for protocol in (awaiting(), subscribed(*TOPICS)):
            pending = protocol.deadline() is not None
            outputs = protocol.received(text(mutant), 0.0)
            result = mutant.get("result")
            result = result if isinstance(result, dict) else {}
            body = result.get("data")
            empty = isinstance(body, dict) and body.get("data") == []
            held = pending and result.get("channel") == TRADES.channel  # until the reply to the subscription
            assert outputs or empty or held, mutant
            for event in events(outputs, Data):
                json.dumps(event.raw, default=str)
                assert event.time is None or event.time.tzinfo is not None
                for name in ("price", "quantity", "quote_quantity", "last", "open", "high", "low", "volume"):
                    amount = getattr(event, name, None)
                    assert amount is None or amount.is_finite()


@pytest.mark.parametrize("topic", [TICKS, SUMMARY, TRADES])
@pytest.mark.parametrize(
    "bad", [None, 5, "x", [], {}, [1], [None] * 8, ["x"] * 8, ["NaN", 1, "NaN", 1, "1", "1", "1", "1"]]
)
def test_one_bad_element_loses_no_neighbour(topic: Topic, bad: Any) -> None:
    protocol = subscribed(topic)
    good = PAYLOADS[topic][0]
    outputs = protocol.received(text(push(topic, [good, bad, good], 101)), 0.0)
    assert [type(output) is Failure for output in outputs] == [False, True, False]
    assert topic.channel in str(events(outputs, Failure)[0].error)


@pytest.mark.parametrize("bad", [None, {}, {"price": "1"}, {"price": "NaN", "btc_volume": "1"}, {"btc_volume": "1"}, 5])
def test_a_bad_level_loses_no_other(bad: Any) -> None:
    protocol = subscribed(BOOK)
    payload = copy.deepcopy(PAYLOADS[BOOK])
    payload["ask"].insert(1, bad)
    told, book = protocol.received(text(push(BOOK, payload, 101)), 0.0)
    assert isinstance(told, Failure)
    assert isinstance(book, MarketOrderBook)
    assert (len(book.asks), len(book.bids)) == (2, 2)


@pytest.mark.parametrize("side", ["ask", "bid"])
@pytest.mark.parametrize("value", [5, {}, "x", ...])
def test_a_book_without_one_of_its_sides_is_no_book(side: str, value: Any) -> None:
    protocol = subscribed(BOOK)
    payload = {**PAYLOADS[BOOK], side: value}
    if value is ...:
        del payload[side]
    failure(protocol.received(text(push(BOOK, payload, 101)), 0.0))


@pytest.mark.parametrize("nothing", [[], None])
def test_a_book_with_an_empty_side(nothing: Any) -> None:
    protocol = subscribed(BOOK)
    book = only(protocol.received(text(push(BOOK, {**PAYLOADS[BOOK], "ask": nothing}, 101)), 0.0), MarketOrderBook)
    assert (book.asks, len(book.bids)) == ((), 2)


@pytest.mark.parametrize(
    ("pair", "keys", "base"),
    [
        ("usdtidr", ("idr_volume", "usdt_volume"), "usdt_volume"),
        ("btcusdt", ("usdt_volume", "btc_volume"), "btc_volume"),
        ("xlmidr", ("idr_volume", "str_volume"), "str_volume"),
        ("ethidr", ("eth_volume",), "eth_volume"),
        ("idrtidr", ("idr_volume", "idrt_volume"), "idrt_volume"),
    ],
)
def test_the_base_currency_of_a_level(pair: str, keys: Tuple[str, ...], base: str) -> None:
    topic = Topic(f"market:order-book-{pair}")
    protocol = subscribed(topic)
    level = {"price": "2", **{key: "7" if key == base else "14" for key in keys}}
    for payload in ({"ask": [level], "bid": []}, {"ask": [{**level, "count": "x"}], "bid": [], "pair": 5}):
        offset = 101 if "pair" not in payload else 102
        book = only(protocol.received(text(push(topic, payload, offset)), 0.0), MarketOrderBook)
        assert (book.symbol, book.asks) == (pair, ((Decimal(2), Decimal(7)),))


@given(st.binary(max_size=60))
def test_bytes_never_raise(wire: bytes) -> None:
    protocol = subscribed(TRADES)
    assert all(isinstance(output, Event) for output in protocol.received(wire, 0.0))


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("payload", [None, ..., 5, {"x": 1}, "x"])
def test_a_payload_of_another_form(topic: Topic, payload: Any) -> None:
    protocol = subscribed(topic)
    message = push(topic, payload if payload is not ... else None, 101)
    if payload is ...:
        del message["result"]["data"]["data"]
    told = only(protocol.received(text(message), 0.0), Event)
    assert isinstance(told, MarketOther if payload in (None, ...) else Failure)
