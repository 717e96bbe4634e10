"""Richamster's stream below the socket: text messages in, events and text messages out, under a clock of numbers.

Written from the vendor's page https://richamster.com/api/v1/docs/websockets/ (read 2026-11), not from the code.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Type, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xchws import Richamster
from xchws.credentials import Secrets
from xchws.errors import (
    ConfigurationError,
    ConnectionLost,
    ExchangeError,
    HandshakeRejected,
    OpenFailed,
    ProtocolError,
    SubscriptionRejected,
)
from xchws.events import BookLevel, Data, Event, Failure, Message, Order, Other, Ticker, Trade
from xchws.exchanges.richamster.client import RichamsterExchange
from xchws.exchanges.richamster.protocol import RichamsterProtocol
from xchws.sansio.actions import Accepted, Fetch, Output, Ready, Refused, Send, Topic, Unanswered
from xchws.transports.http import Http

PAIR = "BTC/UAH"
TICKER, BOOK, TRADES, OWN = (Topic(name, (PAIR,)) for name in ("ticker", "order_book", "trading", "user_orders"))
TOPICS = (TICKER, BOOK, TRADES, OWN)
URL = "wss://stream.test/ws/public/v1/stream/"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.access.token"
T = TypeVar("T")

LEVEL: Dict[str, Any] = {"pair": PAIR, "unit_price": 2650000.0, "sum": 132500.0, "side": "selling", "volume": 0.05}
TRADE: Dict[str, Any] = {**LEVEL, "created_at": "1780000000", "closed_at": "1780000600"}
PRIVATE: Dict[str, Any] = {**TRADE, "pk": 17}
TICK: Dict[str, Any] = {
    "pair": PAIR,
    "last": 2650000.5,
    "first": 2600000,
    "high": 2700000.0,
    "low": 2.5,
    "volume": 3.14,
}


def text(message: Any) -> bytes:
    return json.dumps(message).encode()


def success(topic: Topic, channel: Optional[str] = None) -> bytes:
    words = f'You are connected to channel "{channel or topic.channel}" and currency pair "{topic.parameters[0]}"'
    return text({"type": "success", "message": words})


ERROR = text({"type": "error", "message": "Subscription channel is invalid."})


def opened(
    token: Optional[str] = None, fetches: bool = False, wire_channels: Optional[Mapping[str, str]] = None
) -> RichamsterProtocol:
    secrets = Secrets()
    secrets.add(token)
    protocol = RichamsterProtocol(token, fetches, wire_channels or {}, secrets)
    assert protocol.opened(0.0) == [Ready()]
    return protocol


def subscribed(*topics: Topic) -> RichamsterProtocol:
    """A protocol with these subscriptions, accepted at 0 s."""
    protocol = opened("token-text")
    for topic in topics:
        protocol.subscribe(topic, 0.0)
        assert protocol.received(success(topic), 0.0) == [Accepted(topic)]
    return protocol


def only(outputs: List[Output], kind: Type[T]) -> T:
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], kind)
    return outputs[0]


def sent(outputs: List[Output]) -> List[Any]:
    return [json.loads(output.payload) for output in outputs if isinstance(output, Send)]


# ------------------------------------------------------------------------------------------------------- subscriptions


def test_a_connection_is_ready_at_once_and_wants_nothing() -> None:
    protocol = opened()
    assert protocol.deadline() is None
    assert protocol.wake(1e9) == []
    assert protocol.silence is None
    assert protocol.pings


@pytest.mark.parametrize("topic", TOPICS)
def test_a_subscription(topic: Topic) -> None:
    protocol = opened("token-text")
    expected = {"channel": topic.channel, "pair": PAIR}
    if topic is OWN:
        expected["token"] = "token-text"
    assert sent(protocol.subscribe(topic, 0.0)) == [expected]
    assert protocol.received(success(topic), 1.0) == [Accepted(topic)]
    assert protocol.deadline() is None


def test_subscriptions_go_out_one_at_a_time_in_order() -> None:
    protocol = opened("token-text")
    assert len(sent(protocol.subscribe(TICKER, 0.0))) == 1
    assert protocol.subscribe(BOOK, 0.0) == []
    assert protocol.subscribe(TRADES, 0.0) == []
    only(protocol.received(text(LEVEL), 0.0), BookLevel)
    outputs = protocol.received(success(TICKER), 1.0)
    assert outputs[0] == Accepted(TICKER)
    assert [message["channel"] for message in sent(outputs)] == ["order_book"]
    outputs = protocol.received(ERROR, 2.0)
    assert isinstance(outputs[0], Refused)
    assert [message["channel"] for message in sent(outputs)] == ["trading"]
    assert protocol.received(success(TRADES), 3.0) == [Accepted(TRADES)]


def test_a_refusal_has_the_exchanges_words() -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    refused = only(protocol.received(ERROR, 1.0), Refused)
    assert refused.topic == TICKER
    assert isinstance(refused.error, SubscriptionRejected)
    assert refused.error.message == "Subscription channel is invalid."
    assert "ticker BTC/UAH" in str(refused.error)


@pytest.mark.parametrize("message", [None, 5, ["Invalid pair."], {"pair": ["Invalid pair."]}, ""])
def test_an_error_of_another_form_answers_all_the_same(message: Any) -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    refused = only(protocol.received(text({"type": "error", "message": message}), 1.0), Refused)
    assert "Invalid pair." in str(refused.error) or not isinstance(message, (list, dict))
    protocol.subscribe(BOOK, 1.0)
    only(protocol.received(b'{"type":"error"}', 1.0), Refused)


def test_no_answer_is_told_and_other_data_are_no_answer() -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 3.0)
    due = protocol.deadline()
    assert due is not None
    assert 8.0 <= due <= 13.0
    only(protocol.received(text(LEVEL), 4.0), BookLevel)
    only(protocol.received(text({**TICK, "pair": "ETH/UAH"}), 4.0), Ticker)
    assert protocol.deadline() == due
    assert protocol.wake(due - 0.001) == []
    assert protocol.wake(due) == [Unanswered(TICKER)]


@pytest.mark.parametrize("answer", [success(TICKER), ERROR, None])
def test_data_before_the_answer_show_that_the_subscription_stands(answer: Optional[bytes]) -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    protocol.subscribe(BOOK, 0.0)
    accepted, ticker = protocol.received(text(TICK), 1.0)
    assert accepted == Accepted(TICKER) and isinstance(ticker, Ticker), "a Gap is told before the first event after it"
    only(protocol.received(text(TICK), 2.0), Ticker)
    due = protocol.deadline()
    assert due is not None and due > 2.0, "the next one waits for the answer still: answers have no names"
    outputs = protocol.wake(due) if answer is None else protocol.received(answer, 3.0)
    assert [message["channel"] for message in sent(outputs)] == ["order_book"]
    told = [type(output) for output in outputs if not isinstance(output, Send)]
    assert told == {success(TICKER): [Accepted], ERROR: [Refused], None: []}[answer]
    again = protocol.subscribe(TICKER, 20.0)
    assert again == ([] if answer == ERROR else [Accepted(TICKER)])


def test_where_one_is_not_answered_the_others_have_their_turn() -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    assert protocol.subscribe(BOOK, 0.0) == []
    due = protocol.deadline()
    assert due is not None
    given_up, *rest = protocol.wake(due)
    assert given_up == Unanswered(TICKER)
    assert sent(rest) == [{"channel": BOOK.channel, "pair": PAIR}]


def test_an_error_that_answers_nothing_is_a_failure() -> None:
    error = only(opened().received(ERROR, 0.0), Failure).error
    assert isinstance(error, ExchangeError)
    assert error.message == "Subscription channel is invalid."


def test_a_success_that_answers_nothing_is_other() -> None:
    assert only(subscribed(TICKER).received(success(TICKER), 0.0), Other).kind == "success"


@pytest.mark.parametrize("other", [Topic("ticker", ("ETH/UAH",)), BOOK])
def test_a_success_for_another_is_a_failure_and_the_wait_goes_on(other: Topic) -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    due = protocol.deadline()
    assert isinstance(only(protocol.received(success(other), 1.0), Failure).error, ProtocolError)
    assert protocol.deadline() == due
    assert protocol.received(success(TICKER), 2.0) == [Accepted(TICKER)]


@pytest.mark.parametrize(
    "words",
    [
        "ok",
        'You are connected to channel: "ticker", currency pair: "BTC/UAH".',
        'Connected: pair "BTC/UAH", channel "ticker"',
        'channel "ticker"',
        'pair "BTC/UAH"',
    ],
)
def test_a_success_is_read_leniently(words: str) -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    assert protocol.received(text({"type": "success", "message": words}), 1.0) == [Accepted(TICKER)]


def test_escaped_slashes() -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    answer = success(TICKER).replace(b"/", b"\\/")
    assert b"\\/" in answer
    assert protocol.received(answer, 1.0) == [Accepted(TICKER)]
    assert only(protocol.received(text(LEVEL).replace(b"/", b"\\/"), 1.0), BookLevel).symbol == PAIR


def test_the_names_on_the_wire_can_be_the_pages_literal_ones() -> None:
    protocol = opened("token-text", wire_channels={"ticker": "trading", "user_orders": "trading"})
    assert sent(protocol.subscribe(TICKER, 0.0)) == [{"channel": "trading", "pair": PAIR}]
    assert protocol.received(success(TICKER, "trading"), 1.0) == [Accepted(TICKER)]
    assert sent(protocol.subscribe(OWN, 1.0)) == [{"channel": "trading", "pair": PAIR, "token": "token-text"}]
    assert protocol.received(success(OWN, "trading"), 1.0) == [Accepted(OWN)]


# ----------------------------------------------------------------------------------------------------- unsubscriptions


@pytest.mark.parametrize(("topic", "message"), [(TICKER, TICK), (BOOK, LEVEL), (TRADES, TRADE), (OWN, PRIVATE)])
def test_what_is_unsubscribed_is_heard_no_more(topic: Topic, message: Dict[str, Any]) -> None:
    protocol = subscribed(topic)
    assert len(protocol.received(text(message), 0.0)) == 1
    assert protocol.unsubscribe(topic, 0.0) == []
    assert protocol.received(text(message), 0.0) == []
    assert len(protocol.received(text({**message, "pair": "ETH/UAH"}), 0.0)) == 1
    # It comes all the time, so it is not asked for again: it is active at once.
    assert protocol.subscribe(topic, 0.0) == [Accepted(topic)]
    assert len(protocol.received(text(message), 0.0)) == 1


def test_unsubscribed_before_it_was_sent_is_never_sent() -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    protocol.subscribe(BOOK, 0.0)
    protocol.unsubscribe(BOOK, 0.0)
    assert protocol.received(success(TICKER), 0.0) == [Accepted(TICKER)]


@pytest.mark.parametrize("answer", [success(TICKER), ERROR, None])
def test_unsubscribed_while_it_is_asked_for(answer: Optional[bytes]) -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    protocol.subscribe(BOOK, 0.0)
    protocol.unsubscribe(TICKER, 0.0)
    due = protocol.deadline() or 0.0
    outputs = protocol.wake(due) if answer is None else protocol.received(answer, 1.0)
    assert sent(outputs) == [{"channel": "order_book", "pair": PAIR}]
    assert len(outputs) == 1
    assert protocol.received(text(TICK), 1.0) == []


def test_unsubscribed_and_wanted_again_while_it_is_asked_for() -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    protocol.unsubscribe(TICKER, 0.0)
    assert protocol.subscribe(TICKER, 0.0) == []
    assert protocol.received(success(TICKER), 1.0) == [Accepted(TICKER)]
    protocol.unsubscribe(TICKER, 1.0)
    assert protocol.received(text(TICK), 1.0) == []


def test_unsubscribed_while_it_is_asked_for_and_wanted_after_the_answer() -> None:
    protocol = opened()
    protocol.subscribe(TICKER, 0.0)
    protocol.unsubscribe(TICKER, 0.0)
    assert protocol.received(success(TICKER), 1.0) == []
    assert protocol.subscribe(TICKER, 2.0) == [Accepted(TICKER)]
    only(protocol.received(text(TICK), 2.0), Ticker)


def test_what_was_refused_is_asked_for_again() -> None:
    protocol = opened()
    for now in (0.0, 1.0):
        assert len(sent(protocol.subscribe(TICKER, now))) == 1
        only(protocol.received(ERROR, now), Refused)
    assert len(sent(protocol.subscribe(TICKER, 2.0))) == 1
    assert protocol.received(success(TICKER), 2.0) == [Accepted(TICKER)]


def test_what_comes_already_waits_for_nobody() -> None:
    protocol = subscribed(TICKER)
    protocol.unsubscribe(TICKER, 0.0)
    protocol.subscribe(BOOK, 0.0)
    assert protocol.subscribe(TICKER, 1.0) == [Accepted(TICKER)], "while another one is asked for"
    assert protocol.received(success(BOOK), 2.0) == [Accepted(BOOK)]


def test_own_orders_again_need_no_token() -> None:
    protocol = opened(fetches=True)
    assert protocol.subscribe(OWN, 0.0) == [Fetch("token")]
    protocol.fetched("token", "first", 1.0)
    assert protocol.received(success(OWN), 1.0) == [Accepted(OWN)]
    protocol.unsubscribe(OWN, 2.0)
    assert protocol.subscribe(OWN, 2.0) == [Accepted(OWN)]
    only(protocol.received(text(PRIVATE), 2.0), Order)


def test_two_channels_of_one_name_are_asked_for_once() -> None:
    """By the page's literal names tickers and trades come of one subscription, and own orders of another, with a token."""
    protocol = opened("token-text", wire_channels={"ticker": "trading", "user_orders": "trading"})
    assert sent(protocol.subscribe(TICKER, 0.0)) == [{"channel": "trading", "pair": PAIR}]
    assert protocol.subscribe(TRADES, 0.0) == [] == protocol.subscribe(OWN, 0.0)
    accepted, again, asked = protocol.received(success(TICKER, "trading"), 1.0)
    assert [accepted, again] == [Accepted(TICKER), Accepted(TRADES)]
    assert sent([asked]) == [{"channel": "trading", "pair": PAIR, "token": "token-text"}]
    assert protocol.received(success(OWN, "trading"), 1.0) == [Accepted(OWN)]
    only(protocol.received(text(TICK), 1.0), Ticker)
    only(protocol.received(text(TRADE), 1.0), Trade)
    only(protocol.received(text(PRIVATE), 1.0), Order)
    protocol.unsubscribe(TRADES, 2.0)
    assert protocol.received(text(TRADE), 2.0) == []
    only(protocol.received(text(TICK), 2.0), Ticker)


def test_own_orders_are_told_from_trades_that_have_a_pk() -> None:
    only(subscribed(OWN).received(text(PRIVATE), 0.0), Order)
    only(subscribed(TRADES).received(text(PRIVATE), 0.0), Trade)
    both = subscribed(TRADES, OWN)
    only(both.received(text(TRADE), 0.0), Trade)
    only(both.received(text(PRIVATE), 0.0), Order)


def test_what_cannot_be_told_is_other_and_nobodys_order_is_called_own() -> None:
    protocol = subscribed(TRADES)
    only(protocol.received(text(PRIVATE), 0.0), Trade)
    protocol.subscribe(OWN, 0.0)
    protocol.received(success(OWN), 0.0)
    other = only(protocol.received(text(PRIVATE), 0.0), Other)
    assert other.symbol == PAIR
    assert other.raw["pk"] == 17
    protocol.unsubscribe(TRADES, 0.0)
    only(protocol.received(text(PRIVATE), 0.0), Other)
    protocol.unsubscribe(OWN, 0.0)
    assert protocol.received(text(PRIVATE), 0.0) == []


def test_a_refused_channel_is_not_one_that_may_be_meant() -> None:
    protocol = subscribed(OWN)
    protocol.subscribe(TRADES, 0.0)
    assert isinstance(protocol.received(ERROR, 0.0)[0], Refused)
    only(protocol.received(text(PRIVATE), 0.0), Order)
    other = opened("token-text")
    other.subscribe(OWN, 0.0)
    other.received(ERROR, 0.0)
    other.subscribe(TRADES, 0.0)
    other.received(success(TRADES), 0.0)
    only(other.received(text(PRIVATE), 0.0), Trade)


def test_strangers_orders_are_not_called_own_after_their_channel_was_unsubscribed() -> None:
    protocol = subscribed(TRADES)
    protocol.unsubscribe(TRADES, 0.0)
    assert protocol.received(text(PRIVATE), 0.0) == []


@pytest.mark.parametrize("pair", ["", "BTC_UAH", "ETH/UAH"])
def test_a_pair_that_was_not_asked_for_tells_nothing_about_whose_order_it_is(pair: str) -> None:
    message = text({**PRIVATE, "pair": pair})
    assert only(subscribed(OWN, TICKER).received(message, 0.0), Order).symbol == pair
    only(subscribed(TRADES, TICKER).received(message, 0.0), Trade)
    only(subscribed(Topic("user_orders", ("X/Y",)), Topic("trading", ("X/Y",))).received(message, 0.0), Order)


def test_whose_order_it_is_without_either_channel_is_not_guessed() -> None:
    """By the page's literal names a subscription to the ticker brings trades as well, and these may have a pk."""
    for protocol in (opened(), subscribed(TICKER), subscribed(Topic("user_orders", ("ETH/UAH",)), TICKER)):
        assert only(protocol.received(text(PRIVATE), 0.0), Other).raw["pk"] == 17


def test_own_orders_are_not_called_trades_after_their_channel_was_unsubscribed() -> None:
    protocol = subscribed(OWN, TRADES)
    protocol.unsubscribe(OWN, 0.0)
    assert protocol.received(text(PRIVATE), 0.0) == []
    only(protocol.received(text(TRADE), 0.0), Trade)


# --------------------------------------------------------------------------------------------------------------- tokens


def test_a_token_is_fetched_anew_for_every_subscription() -> None:
    protocol = opened(fetches=True)
    other = Topic("user_orders", ("ETH/UAH",))
    assert protocol.subscribe(OWN, 0.0) == [Fetch("token")]
    assert protocol.subscribe(other, 0.0) == []
    assert sent(protocol.fetched("token", "first", 1.0)) == [{"channel": "user_orders", "pair": PAIR, "token": "first"}]
    assert protocol.received(success(OWN), 2.0) == [Accepted(OWN), Fetch("token")]
    assert sent(protocol.fetched("token", "second", 3.0))[0]["token"] == "second"


def test_what_is_public_needs_no_token() -> None:
    assert len(sent(opened(fetches=True).subscribe(TRADES, 0.0))) == 1


@pytest.mark.parametrize("error", [ConfigurationError("returns None"), ExchangeError("no")])
def test_a_token_that_will_never_come_refuses_the_subscription(error: Any) -> None:
    protocol = opened(fetches=True)
    protocol.subscribe(OWN, 0.0)
    protocol.subscribe(TICKER, 0.0)
    refused, send = protocol.fetched("token", error, 1.0)
    assert isinstance(refused, Refused)
    assert refused.topic == OWN
    assert str(error) in str(refused.error)
    assert sent([send])[0]["channel"] == "ticker"


def test_a_token_that_fails_for_now_is_tried_again_and_holds_nothing_up() -> None:
    protocol = opened(fetches=True)
    assert protocol.subscribe(OWN, 0.0) == [Fetch("token")]
    protocol.subscribe(TICKER, 0.0)
    failed = OpenFailed("login is down")
    failure, send = protocol.fetched("token", failed, 0.0)
    assert isinstance(failure, Failure)
    assert failure.error is failed
    assert sent([send])[0]["channel"] == "ticker"
    assert protocol.received(success(TICKER), 0.0) == [Accepted(TICKER)]
    now, pauses = 0.0, []
    for _ in range(2000):
        due = protocol.deadline()
        assert due is not None
        pauses.append(due - now)
        now = due
        assert protocol.wake(now) == [Fetch("token")]
        only(protocol.fetched("token", failed, now), Failure)
    assert pauses[0] == 5.0
    assert pauses == sorted(pauses)
    assert max(pauses) == 60.0
    now = protocol.deadline() or 0.0
    assert protocol.wake(now) == [Fetch("token")]
    assert sent(protocol.fetched("token", "late", now))[0]["token"] == "late"
    assert protocol.received(success(OWN), now) == [Accepted(OWN)]
    protocol.subscribe(Topic("user_orders", ("ETH/UAH",)), now)
    protocol.fetched("token", failed, now)
    assert protocol.deadline() == now + 5.0


def test_a_token_function_that_never_returns() -> None:
    protocol = opened(fetches=True)
    protocol.subscribe(OWN, 0.0)
    protocol.subscribe(TICKER, 0.0)
    only(protocol.received(ERROR, 1.0), Failure)
    only(protocol.received(success(OWN), 1.0), Other)
    due = protocol.deadline()
    assert due is not None
    assert due >= 20.0
    refused, send = protocol.wake(due)
    assert isinstance(refused, Refused)
    assert "did not return" in str(refused.error)
    assert sent([send])[0]["channel"] == "ticker"
    assert protocol.fetched("token", "too late", due) == []


@pytest.mark.parametrize("result", ["a-token", OpenFailed("down"), ConfigurationError("never")])
def test_unsubscribed_while_its_token_is_fetched(result: Any) -> None:
    protocol = opened(fetches=True)
    protocol.subscribe(OWN, 0.0)
    protocol.unsubscribe(OWN, 0.0)
    assert protocol.fetched("token", result, 1.0) == []
    assert protocol.deadline() is None


def test_unsubscribed_while_its_token_is_waited_for() -> None:
    protocol = opened(fetches=True)
    protocol.subscribe(OWN, 0.0)
    protocol.fetched("token", OpenFailed("down"), 0.0)
    protocol.unsubscribe(OWN, 0.0)
    assert protocol.deadline() is None


def test_the_exchanges_words_hide_the_token() -> None:
    protocol = opened(TOKEN)
    protocol.subscribe(OWN, 0.0)
    refused = only(protocol.received(text({"type": "error", "message": f"bad {TOKEN}"}), 0.0), Refused)
    assert TOKEN not in repr(refused)
    assert TOKEN not in repr(protocol.received(text({"type": "error", "message": TOKEN}), 0.0))
    assert TOKEN not in repr(protocol.received(f'{{"pair":"{TOKEN}'.encode(), 0.0))
    assert TOKEN not in repr(protocol.closed(4001, TOKEN))


# ------------------------------------------------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    "message",
    [
        b"", b" ", b"rubbish", b"[]", b"5", b"null", b'"x"', b'{"pair":5}', b'{"pair":null}', b'{"type":5}', b"\xff",
        b'{"last":"NaN"}', b'{"last":"Infinity"}', b'{"last":"1,5"}', b'{"last":true}', b'{"last":[]}',
        b'{"last":1E+99999999999999999999}', b'{"unit_price":1,"volume":"-inf"}', b'{"unit_price":1,"pk":1.5}',
        b'{"unit_price":1,"created_at":"yesterday"}', b'{"unit_price":1,"created_at":"NaN"}',
        b'{"unit_price":1,"created_at":"inf"}', b'{"unit_price":1,"created_at":"1e999990"}',
        b'{"unit_price":1,"created_at":"1e99999999999999999999"}', b'{"unit_price":1,"created_at":"T"}',
        b'{"unit_price":1,"created_at":"%s"}' % (b"T" * 9000),
        b'{"unit_price":1,"pk":1,"closed_at":"-1e30"}', b'{"a":' + b"[" * 200_000, b'{"unit_price":1,"pk":%s}' % (b"9" * 5000),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_failure_and_no_more(message: bytes) -> None:
    protocol = subscribed(TICKER, OWN)
    error = only(protocol.received(message, 0.0), Failure).error
    assert isinstance(error, ProtocolError)
    assert len(str(error)) < 2000
    only(protocol.received(text(TICK), 0.0), Ticker)


@pytest.mark.parametrize(
    "message", [{}, {"pair": PAIR}, {"hello": 1}, {"unit_price": None}, {"type": "info"}, {"pk": 3}]
)
def test_what_is_not_known_is_other(message: Dict[str, Any]) -> None:
    assert only(opened().received(text(message), 0.0), Other).raw == message


def test_everything_is_a_message_for_those_who_want_it_as_it_came() -> None:
    protocol = opened()
    protocol.verbatim = True
    protocol.subscribe(TICKER, 0.0)
    for message in (text(TICK), success(TICKER), b"rubbish", ERROR, text({"unit_price": 1, "created_at": "x"})):
        first = protocol.received(message, 0.0)[0]
        assert isinstance(first, Message)
        assert first.text.encode() == message


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4000, 4499, 4999])
def test_every_close_code_is_tried_again(code: int) -> None:
    close = opened().closed(code, "")
    assert isinstance(close.error, ConnectionLost)
    assert close.error.code == code
    assert close.verdict is None


# ------------------------------------------------------------------------------------------------------ the exchange


def exchange(token: Any = None, origin: Optional[str] = None) -> RichamsterExchange:
    return RichamsterExchange(token, URL, origin, {})


def http(of: RichamsterExchange) -> Http:
    return Http("richamster", of.secrets, None, None, 1.0)


def test_the_route() -> None:
    asking = exchange(origin="https://richamster.com")
    route = asking.route(http(asking))
    assert (route.url, route.origin) == (URL, "https://richamster.com")
    assert exchange().route(http(asking)).origin is None


def test_a_token_text_and_a_token_function() -> None:
    fixed, tokens = exchange(TOKEN), iter(["first", "second"])
    protocol = fixed.protocol(fixed.route(http(fixed)))
    assert sent(protocol.subscribe(OWN, 0.0))[0]["token"] == TOKEN
    asking = exchange(lambda: next(tokens))
    assert asking.protocol(asking.route(http(asking))).subscribe(OWN, 0.0) == [Fetch("token")]
    assert [asking.fetch("token", http(asking)) for _ in range(2)] == ["first", "second"]
    assert asking.secrets.redact("first second") == "*** ***"
    assert fixed.secrets.redact(TOKEN) == "***"


@pytest.mark.parametrize("returned", [None, "", 5, b"bytes", [TOKEN]])
def test_a_token_function_that_returns_no_text(returned: Any) -> None:
    asking = exchange(lambda: returned)
    with pytest.raises(ConfigurationError) as caught:
        asking.fetch("token", http(asking))
    assert caught.value.argument == "token"
    assert TOKEN not in str(caught.value)


def test_what_a_token_function_raises_is_passed_on() -> None:
    raised = OpenFailed("down")

    def broken() -> str:
        raise raised

    asking = exchange(broken)
    with pytest.raises(OpenFailed) as caught:
        asking.fetch("token", http(asking))
    assert caught.value is raised


def test_a_forbidden_handshake_hints_at_the_origin() -> None:
    close = exchange().refused(HandshakeRejected("403 Forbidden", status=403, body="no"))
    assert isinstance(close.error, HandshakeRejected)
    assert 'origin="https://richamster.com"' in str(close.error)
    assert (close.error.status, close.error.body) == (403, "no")
    assert close.error.retry_after is not None
    assert close.error.retry_after >= 10.0
    again = exchange(origin="https://x.test").refused(HandshakeRejected("403 Forbidden", status=403))
    assert "origin=" not in str(again.error)


@pytest.mark.parametrize(
    ("status", "said", "slow"),
    [
        (404, None, True),
        (429, None, False),
        (408, None, False),
        (404, 3.0, False),
        (500, None, False),
        (200, None, False),
    ],
)
def test_refused_handshakes(status: int, said: Optional[float], slow: bool) -> None:
    error = exchange().refused(HandshakeRejected("no", status=status, retry_after=said)).error
    assert isinstance(error, HandshakeRejected)
    assert (error.retry_after != said) is slow


# -------------------------------------------------------------------------------------------------------- the arguments


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RICHAMSTER_TOKEN", raising=False)


SUBSCRIBING = ["subscribe_ticker", "subscribe_order_book", "subscribe_trades", "subscribe_user_orders"]


@pytest.mark.parametrize("name", SUBSCRIBING)
@pytest.mark.parametrize(
    "pair", ["BTC", "", "btc/uah", "BTC_UAH", "BTC/UAH/USD", " BTC/UAH", "BTC/UAH\n", None, 5, ["BTC/UAH"]]
)
def test_a_pair_of_another_form_is_refused_at_once(name: str, pair: Any) -> None:
    client = Richamster(TOKEN)
    with pytest.raises(ConfigurationError) as caught:
        getattr(client, name)(pair)
    assert caught.value.argument == "pair"
    assert "BTC/UAH" in str(caught.value)


@pytest.mark.parametrize("pair", ["btc/uah", "btc_uah", "BTC-UAH", "Btc Uah"])
def test_the_likely_pair_is_named(pair: str) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'BTC/UAH'"):
        Richamster().subscribe_ticker(pair)


@pytest.mark.parametrize("name", SUBSCRIBING)
def test_a_subscription_is_remembered_before_the_start(name: str) -> None:
    assert not getattr(Richamster(TOKEN), name)(PAIR).active


def test_own_orders_need_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Richamster().subscribe_user_orders(PAIR)
    assert caught.value.argument == "token"
    assert "RICHAMSTER_TOKEN" in str(caught.value)
    Richamster(lambda: TOKEN).subscribe_user_orders(PAIR)
    monkeypatch.setenv("RICHAMSTER_TOKEN", TOKEN)
    client = Richamster()
    client.subscribe_user_orders(PAIR)
    assert TOKEN not in repr(client) + repr(vars(client))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("token", ""), ("token", 5), ("token", "two words\n"),
        ("url", "https://richamster.com"), ("url", ""), ("url", 5),
        ("origin", "richamster.com"), ("origin", "wss://richamster.com"), ("origin", ""),
        ("wire_channels", {"tick": "trading"}), ("wire_channels", {"ticker": ""}), ("wire_channels", {"ticker": 5}),
        ("wire_channels", "trading"), ("wire_channels", ["ticker"]), ("wire_channels", 5), ("wire_channels", ""),
    ],
)  # fmt: skip
def test_unfit_arguments_are_named(argument: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Richamster(**{argument: value})
    assert caught.value.argument == argument
    assert argument in str(caught.value)
    assert caught.value.exchange == "richamster"


def test_an_unfit_token_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RICHAMSTER_TOKEN", f"{TOKEN} ")
    with pytest.raises(ConfigurationError, match="RICHAMSTER_TOKEN") as caught:
        Richamster()
    assert TOKEN not in str(caught.value)


# ---------------------------------------------------------------------------------------------------------- any input

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["NaN", "1E-4", PAIR, "error", "success", "buying", "1780000000", "2026-01-01T00:00:00Z"])
)
KEYS = st.sampled_from(
    "type message pair last last_price first high low high_price low_price volume unit_price sum side created_at closed_at "
    "pk".split()
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner),
    max_leaves=8,
)
FLAT = st.dictionaries(KEYS, SCALARS)


def states() -> List[RichamsterProtocol]:
    waiting, fetching = subscribed(TRADES, OWN), opened(fetches=True)
    waiting.subscribe(TICKER, 0.0)
    fetching.subscribe(OWN, 0.0)
    return [opened(), subscribed(*TOPICS), waiting, fetching]


@given(ANY_JSON | FLAT)
def test_arbitrary_json_never_raises_and_is_never_passed_over(message: Any) -> None:
    for protocol in states():
        outputs = protocol.received(text(message), 1.0)
        assert repr(outputs)
        assert any(isinstance(output, (Event, Accepted, Refused)) for output in outputs)
        for output in outputs:
            if isinstance(output, Data):
                assert output.raw is not None
                assert output.time is None or output.time.utcoffset() is not None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(message: bytes) -> None:
    for protocol in states():
        assert repr(protocol.received(message, 1.0))
