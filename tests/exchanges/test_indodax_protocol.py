"""Indodax's private stream below the socket: text messages in, events and text messages out, under a clock of numbers.

Written from the vendor's Private-websocket.md and from Centrifugo's client protocol v2, not from the code.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Dict, List, Optional, Type, TypeVar, Union

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xchws.credentials import Secrets
from xchws.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ExchangeError,
    OpenFailed,
    ProtocolError,
    Silent,
)
from xchws.events import Event, Failure, Fill, Message, Order, Other
from xchws.exchanges.indodax.protocol import IndodaxProtocol, OrdersMemory
from xchws.exchanges.indodax.token import Grant
from xchws.sansio.actions import Close, Expiry, Fetch, Missed, Output, Ready, Renew, Send

CHANNEL = "pws:#5f0c9a1d3be27744c8e0aa91b6d2f3e45a7788cc"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI1ZjBjIn0.first"
CONNECTED = b'{"id":1,"connect":{"client":"3b0f7a52","version":"5.2.0","expires":true,"ttl":86391}}'
SUBSCRIBED = b'{"id":2,"subscribe":{}}'
T = TypeVar("T")


def opened(memory: Optional[OrdersMemory] = None, token: str = TOKEN) -> IndodaxProtocol:
    """A protocol whose connection stands since 0 s and that has sent its connect command."""
    secrets = Secrets()
    secrets.add(token)
    protocol = IndodaxProtocol(Grant(token, CHANNEL), memory or OrdersMemory(), secrets)
    protocol.opened(0.0)
    return protocol


def subscribed(memory: Optional[OrdersMemory] = None, connected: bytes = CONNECTED) -> IndodaxProtocol:
    """A protocol that is ready since 0 s."""
    protocol = opened(memory)
    protocol.received(connected, 0.0)
    assert Ready() in protocol.received(SUBSCRIBED, 0.0)
    return protocol


def order(status: str = "NEW", **changed: Any) -> Dict[str, Any]:
    """An order update; a key set to None is left out."""
    update = {
        "orderId": "solidr-limit-88121",
        "symbol": "solidr",
        "side": "SELL",
        "origQty": "1.5",
        "unfilledQty": "1.5",
        "executedQty": "0",
        "price": "2450000",
        "description": "SOL/IDR",
        "status": status,
        "transactionTime": 1781000000100,
        "clientOrderId": "my-77",
        **changed,
    }
    return {"eventType": "order_update", "order": {key: value for key, value in update.items() if value is not None}}


def execution(trade: Optional[str] = "72057594039000001", status: str = "FILL", **changed: Any) -> Dict[str, Any]:
    """An order update with an execution of 0.4."""
    information = {"participant": "MAKER", "filledQty": "0.4", "qty": "0.4", "feeAsset": "idr", "fee": "980"}
    values = {"unfilledQty": "1.1", "executedQty": "0.4", "fillInformation": information, "tradeId": trade, **changed}
    return order(status, **values)


def push(*elements: Union[Dict[str, Any], bytes], channel: str = CHANNEL, offset: int = 0) -> bytes:
    """A publication; an element given as bytes stands in it as it is."""
    data = b",".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in elements)
    tail = b',"offset":%d' % offset if offset else b""
    return b'{"push":{"channel":%s,"pub":{"data":[%s]%s}}}' % (json.dumps(channel).encode(), data, tail)


def error_reply(number: int, code: int, message: str = "no", **more: Any) -> bytes:
    return json.dumps({"id": number, "error": {"code": code, "message": message, **more}}).encode()


def only(outputs: List[Output], kind: Type[T]) -> T:
    """The one output there is, of this class."""
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], kind)
    return outputs[0]


def of(outputs: List[Output], kind: Type[T]) -> List[T]:
    return [output for output in outputs if isinstance(output, kind)]


def sent(outputs: List[Output]) -> List[Any]:
    return [json.loads(output.payload) for output in of(outputs, Send)]


def words(outputs: List[Output]) -> List[str]:
    """The events in short: class and state."""
    return [f"{type(one).__name__} {getattr(one, 'status', '')}".strip() for one in of(outputs, Event)]


# ------------------------------------------------------------------------------------------------------- the handshake


def test_connects_subscribes_and_is_ready() -> None:
    protocol = IndodaxProtocol(Grant(TOKEN, CHANNEL), OrdersMemory(), Secrets())
    assert sent(protocol.opened(5.0)) == [{"connect": {"token": TOKEN}, "id": 1}]
    outputs = protocol.received(CONNECTED, 6.0)
    assert sent(outputs) == [{"subscribe": {"channel": CHANNEL}, "id": 2}]
    assert of(outputs, Expiry) == [Expiry(6.0 + 86391)]
    assert protocol.received(SUBSCRIBED, 7.0) == [Ready()]


def test_what_a_newer_server_adds_is_accepted() -> None:
    protocol = opened()
    connected = {
        "id": 1,
        "connect": {"client": "c", "expires": True, "ttl": 100, "session": "s", "subs": {}, "data": []},
    }
    assert len(sent(protocol.received(json.dumps(connected).encode(), 0.0))) == 1
    reply = {"id": 2, "subscribe": {"recoverable": True, "epoch": "xyz", "offset": 7, "positioned": True, "new": [1]}}
    assert protocol.received(json.dumps(reply).encode(), 0.0) == [Ready()]


def test_what_is_not_used_of_a_reply_may_have_any_form() -> None:
    protocol = opened()
    assert len(sent(protocol.received(b'{"id":1,"connect":{"client":null,"version":5,"data":1e999}}', 0.0))) == 1
    assert protocol.received(b'{"id":2,"subscribe":{"epoch":0,"recoverable":"no"}}', 0.0) == [Ready()]


def test_replies_in_one_frame_and_a_push_before_the_reply() -> None:
    protocol = opened()
    assert len(sent(protocol.received(CONNECTED, 0.0))) == 1
    assert protocol.received(push(order()), 0.0) == []
    outputs = protocol.received(
        push(execution()) + b"\n" + SUBSCRIBED + b"\n" + push(order("DONE", unfilledQty="0")), 0.0
    )
    assert outputs[0] == Ready()
    assert words(outputs) == ["Order NEW", "Order PARTIALLY_FILLED", "Fill", "Order FILLED"]


def test_what_comes_early_on_a_connection_that_is_never_ready_is_told_by_the_other() -> None:
    memory = OrdersMemory()
    active, successor = subscribed(memory), opened(memory)
    successor.received(CONNECTED, 0.0)
    assert successor.received(push(execution()), 0.0) == []
    assert words(active.received(push(execution()), 0.0)) == ["Order PARTIALLY_FILLED", "Fill"]


@pytest.mark.parametrize("end", [error_reply(2, 103), None])
def test_what_comes_early_is_told_at_the_end_of_a_connection_that_is_never_ready(end: Optional[bytes]) -> None:
    protocol = opened()
    protocol.received(CONNECTED, 0.0)
    assert protocol.received(push(order(), execution()), 0.0) == []
    only(protocol.wake(protocol.deadline() or 0.0) if end is None else protocol.received(end, 0.0), Close)
    assert words(protocol.ended()) == ["Order NEW", "Order PARTIALLY_FILLED", "Fill"]
    assert protocol.ended() == []
    assert subscribed().ended() == []


@pytest.mark.parametrize(("already", "verb"), [([], "connect"), ([CONNECTED], "subscribe")])
def test_a_reply_that_does_not_come_ends_the_connection(already: List[bytes], verb: str) -> None:
    protocol = opened()
    for text in already:
        protocol.received(text, 3.0)
    due = protocol.deadline()
    assert due is not None
    assert 5.0 <= due - (3.0 if already else 0.0) <= 10.0
    assert protocol.wake(due - 0.001) == []
    close = only(protocol.wake(due), Close)
    assert isinstance(close.error, Silent)
    assert verb in str(close.error)
    assert close.verdict is None


def test_an_answer_to_connect_without_a_result_ends_the_connection() -> None:
    outputs = opened().received(b'{"id":1}', 0.0)
    assert [type(output) for output in outputs] == [Failure, Close]


def test_an_answer_to_nothing_is_a_failure() -> None:
    failure = only(subscribed().received(b'{"id":99,"subscribe":{}}', 0.0), Failure)
    assert isinstance(failure.error, ProtocolError)


def test_nothing_is_taken_from_a_frame_after_its_end_of_the_conversation() -> None:
    protocol = opened()
    outputs = protocol.received(error_reply(1, 109, "token expired") + b"\n" + push(order()) + b"\nrubbish", 0.0)
    assert isinstance(only(outputs, Close).error, OpenFailed)


# ------------------------------------------------------------------------------------------------------- error replies

TEMPORARY = (100, 111, 113)
CODES = range(100, 114)


@pytest.mark.parametrize("code", CODES)
def test_a_refused_connect(code: int) -> None:
    close = only(opened().received(error_reply(1, code, "said"), 0.0), Close)
    assert close.error.retryable
    assert str(code) in str(close.error)
    assert "said" in str(close.error)
    if code in TEMPORARY:
        assert close.verdict is None
    else:
        assert isinstance(close.verdict, AuthenticationFailed if code in (101, 103, 109, 110) else ExchangeError)
        assert close.verdict.code == code
        assert close.limit == (2 if code == 103 else 5)


def test_an_error_that_says_that_it_is_temporary_is() -> None:
    assert only(opened().received(error_reply(1, 1400, temporary=True), 0.0), Close).verdict is None


@pytest.mark.parametrize("code", CODES)
def test_a_refused_subscription(code: int) -> None:
    protocol = opened()
    protocol.received(CONNECTED, 0.0)
    outputs = protocol.received(error_reply(2, code), 0.0)
    if code == 105:
        assert outputs == [Ready()]
        return
    close = only(outputs, Close)
    assert close.error.retryable
    assert (close.verdict is None) is (code in TEMPORARY)
    assert close.limit == {103: 2}.get(code, 1 if code in TEMPORARY else 5)


@pytest.mark.parametrize("code", CODES)
def test_a_refused_refresh(code: int) -> None:
    protocol = refreshing()
    outputs = protocol.received(error_reply(3, code), 86000.0)
    if code in TEMPORARY:
        error = only(outputs, Failure).error
        assert isinstance(error, ExchangeError)
        assert error.code == code
        due = protocol.deadline()
        assert due is not None
        assert 86005.0 <= due <= 86010.0
        assert protocol.wake(due) == [Fetch("token")]
    else:
        assert str(code) in only(outputs, Renew).reason
        assert protocol.deadline() is None


def test_the_servers_words_hide_the_token() -> None:
    said = str(only(opened().received(error_reply(1, 101, f"bad {TOKEN}"), 0.0), Close))
    assert TOKEN not in said
    protocol = refreshing()
    assert TOKEN not in repr(protocol.received(error_reply(3, 100, f"bad {TOKEN}"), 0.0))
    assert TOKEN not in repr(protocol.closed(3500, f"bad {TOKEN}"))
    unsubscribed = {"push": {"channel": CHANNEL, "unsubscribe": {"code": 2000, "reason": TOKEN}}}
    assert TOKEN not in repr(protocol.received(json.dumps(unsubscribed).encode(), 0.0))
    assert TOKEN not in repr(protocol.received(b"[" + TOKEN.encode(), 0.0))


# --------------------------------------------------------------------------------------------------------- close codes


@pytest.mark.parametrize("code", [*range(1000, 1016), *range(3000, 3015), 3502, *range(4000, 4500, 83), 5000])
def test_close_codes_that_a_new_connection_cures(code: int) -> None:
    close = subscribed().closed(code, "why")
    assert isinstance(close.error, ConnectionLost)
    assert close.error.code == code
    assert close.error.reason == "why"
    assert close.verdict is None
    assert not close.exclusive
    assert (close.error.retry_after is not None) is (code == 1009)


@pytest.mark.parametrize("code", [3501, 3505, 3506, 3508, 3509, 3510, 3999, 4500, 4999])
def test_close_codes_after_which_it_connects_slowly(code: int) -> None:
    close = subscribed().closed(code, "")
    assert isinstance(close.error, ConnectionLost)
    assert close.error.retry_after is not None
    assert close.error.retry_after >= 10.0
    assert close.verdict is None


def test_a_token_refused_by_the_stream_is_replaced_and_given_up_after_some() -> None:
    close = opened().closed(3500, "invalid token")
    assert close.error.retryable
    assert isinstance(close.verdict, AuthenticationFailed)
    assert close.verdict.code == 3500
    assert close.limit > 1


@pytest.mark.parametrize("code", [3503, 3507])
def test_close_codes_that_end_it(code: int) -> None:
    assert not subscribed().closed(code, "").error.retryable


def test_where_the_key_was_good_before_a_refusal_has_time_to_pass() -> None:
    memory = OrdersMemory()
    refusals = [b'{"id":1,"error":{"code":%d,"message":"no"}}' % code for code in (101, 103, 106, 109)]

    def patience() -> List[float]:
        closes = [opened(memory).closed(3500, "invalid token")]
        closes += [only(opened(memory).received(text, 0.0), Close) for text in refusals]
        return [close.patience for close in closes]

    assert set(patience()) == {0.0}
    subscribed(memory)
    assert set(patience()) == {3600.0}


def test_where_only_one_connection_is_allowed_the_successor_waits() -> None:
    close = subscribed().closed(3504, "connection limit")
    assert close.exclusive
    assert isinstance(close.error, ConnectionLost)
    assert close.error.retry_after is not None


def test_a_disconnect_push_is_the_same_as_the_close_frame() -> None:
    text = b'{"push":{"disconnect":{"code":3507,"reason":"permission denied","reconnect":false}}}'
    assert isinstance(only(subscribed().received(text, 0.0), Close).error, AuthenticationFailed)


@pytest.mark.parametrize("code", [0, 2000, 2499])
def test_an_unsubscription_for_good_ends_the_connection(code: int) -> None:
    text = json.dumps({"push": {"channel": CHANNEL, "unsubscribe": {"code": code, "reason": "moved"}}}).encode()
    close = only(subscribed().received(text, 0.0), Close)
    assert isinstance(close.error, ConnectionLost)
    assert "moved" in str(close.error)


@pytest.mark.parametrize("code", [2500, 2501, 2502])
def test_an_unsubscription_that_asks_for_a_new_one_gets_it(code: int) -> None:
    protocol = subscribed()
    text = json.dumps({"push": {"channel": CHANNEL, "unsubscribe": {"code": code, "reason": "insufficient"}}}).encode()
    outputs = protocol.received(text, 50.0)
    assert sent(outputs) == [{"subscribe": {"channel": CHANNEL}, "id": 3}]
    assert "insufficient" in str(of(outputs, Failure)[0].error)
    assert protocol.received(b'{"id":3,"subscribe":{}}', 51.0) == [Missed(("orders",))]
    assert words(protocol.received(push(order()), 52.0)) == ["Order NEW"]


def test_a_new_subscription_has_new_offsets_and_repeats_nothing() -> None:
    protocol = opened()
    protocol.received(CONNECTED, 0.0)
    protocol.received(push(order(), offset=900), 0.0)
    assert words(protocol.received(SUBSCRIBED, 0.0)) == ["Order NEW"]
    protocol.received(b'{"push":{"channel":"%s","unsubscribe":{"code":2500}}}' % CHANNEL.encode(), 1.0)
    assert protocol.received(b'{"id":3,"subscribe":{}}', 2.0) == [Missed(("orders",))]
    only(protocol.received(push(order(), offset=4), 3.0), Order)


# ------------------------------------------------------------------------------------------------------ pings and life


def test_with_pings_of_the_server_every_empty_object_is_answered() -> None:
    protocol = opened()
    protocol.received(b'{"id":1,"connect":{"client":"c","ping":25,"pong":true}}', 0.0)
    protocol.received(SUBSCRIBED, 0.0)
    assert protocol.received(b"{}", 25.0) == [Send(b"{}")]
    assert protocol.received(b"{}\n" + push(order()) + b"\n{}", 26.0)[::2] == [Send(b"{}"), Send(b"{}")]
    assert protocol.silence is not None
    assert 25.0 < protocol.silence <= 40.0


def test_without_such_pings_an_empty_object_is_never_sent() -> None:
    protocol = subscribed()
    assert protocol.received(b"{}", 25.0) == []
    assert protocol.silence is not None
    assert protocol.silence > 2 * 25.0
    assert protocol.pings


@pytest.mark.parametrize("ping", [10**6, 10**18, 10**400])
def test_pings_that_never_come_are_waited_for_a_day_at_most(ping: int) -> None:
    protocol = opened()
    protocol.received(json.dumps({"id": 1, "connect": {"ping": ping, "pong": True}}).encode(), 0.0)
    assert protocol.silence == 86_410.0


def test_pings_that_want_no_answer_get_none() -> None:
    protocol = opened()
    protocol.received(b'{"id":1,"connect":{"client":"c","ping":25}}', 0.0)
    assert protocol.received(b"{}", 25.0) == []


@pytest.mark.parametrize("text", [b'{"error":{"code":5}}', b'{"unheard":{}}', b'{"connect":{"client":"c"}}'])
def test_what_is_no_reply_and_no_push_is_other(text: bytes) -> None:
    assert only(subscribed().received(text, 0.0), Other).raw == json.loads(text)


# ------------------------------------------------------------------------------------------------------------- refresh


def refreshing() -> IndodaxProtocol:
    """A protocol whose refresh command, number 3, was sent at 86000 s."""
    protocol = subscribed()
    due = protocol.deadline()
    assert due is not None
    assert protocol.wake(due) == [Fetch("token")]
    outputs = protocol.fetched("token", Grant("second", CHANNEL), 86000.0)
    assert sent(outputs) == [{"refresh": {"token": "second"}, "id": 3}]
    return protocol


@pytest.mark.parametrize("ttl", [1, 2, 30, 600, 3600, 86391, 10**9, 10**18, 10**400])
def test_a_new_token_is_fetched_well_before_the_end(ttl: int) -> None:
    protocol = subscribed(connected=b'{"id":1,"connect":{"expires":true,"ttl":%d}}' % ttl)
    due = protocol.deadline()
    assert due is not None
    assert 0.0 < due < ttl
    assert ttl > 3600 or due <= ttl / 2 or due == ttl - 900
    assert protocol.wake(due - 0.01) == []
    assert protocol.wake(due) == [Fetch("token")]
    assert protocol.deadline() is None


@pytest.mark.parametrize(
    "expiry", [b'"expires":false,"ttl":50', b'"expires":true', b'"expires":true,"ttl":-9', b'"ttl":9']
)
def test_without_an_end_nothing_is_fetched(expiry: bytes) -> None:
    protocol = opened()
    assert Expiry(None) in protocol.received(b'{"id":1,"connect":{%s}}' % expiry, 0.0)
    protocol.received(SUBSCRIBED, 0.0)
    assert protocol.deadline() is None


def test_a_refresh_gives_a_new_life() -> None:
    protocol = refreshing()
    assert protocol.received(b'{"id":3,"refresh":{"expires":true,"ttl":86380}}', 86001.0) == [Expiry(86001.0 + 86380)]
    due = protocol.deadline()
    assert due is not None
    assert 86001.0 + 86380 - 1000 < due < 86001.0 + 86380
    assert protocol.wake(due) == [Fetch("token")]


def test_after_a_success_the_pauses_begin_anew() -> None:
    protocol = subscribed()
    for now in (100.0, 200.0, 300.0):
        protocol.fetched("token", OpenFailed("down"), now)
    assert protocol.deadline() == 320.0
    protocol.received(b'{"push":{"refresh":{"expires":true,"ttl":10000}}}', 310.0)
    protocol.fetched("token", OpenFailed("down"), 400.0)
    assert protocol.deadline() == 405.0


@pytest.mark.parametrize("reply", [b'{"id":3}', b'{"id":3,"refresh":{}}', b'{"id":3,"refresh":{"expires":false}}'])
def test_a_refresh_that_tells_of_no_end(reply: bytes) -> None:
    protocol = refreshing()
    assert protocol.received(reply, 86001.0) == [Expiry(None)]
    assert protocol.deadline() is None


def test_a_refresh_without_an_answer_renews_the_connection() -> None:
    protocol = refreshing()
    due = protocol.deadline()
    assert due is not None
    assert 86005.0 <= due <= 86010.0
    only(protocol.wake(due), Renew)
    assert protocol.deadline() is None
    assert words(protocol.received(push(order()), due)) == ["Order NEW"]


def test_a_refresh_that_is_answered_late_holds_all_the_same() -> None:
    protocol = refreshing()
    only(protocol.wake(protocol.deadline() or 0.0), Renew)
    outputs = protocol.received(b'{"id":3,"refresh":{"expires":true,"ttl":86000}}', 86020.0)
    assert outputs == [Expiry(86020.0 + 86000)]
    assert protocol.deadline() == 86020.0 + 86000 - 900
    assert isinstance(only(protocol.received(b'{"id":3,"refresh":{}}', 86021.0), Failure).error, ProtocolError)


def test_a_refresh_that_is_refused_late_renews_no_less() -> None:
    protocol = refreshing()
    only(protocol.wake(protocol.deadline() or 0.0), Renew)
    only(protocol.received(error_reply(3, 109), 86020.0), Renew)


def test_a_fetch_that_fails_is_tried_again_and_touches_nothing() -> None:
    protocol = subscribed()
    now = protocol.deadline()
    pauses = []
    for _ in range(2000):
        assert now is not None
        assert protocol.wake(now) == [Fetch("token")]
        error = OpenFailed("down")
        assert only(protocol.fetched("token", error, now), Failure).error is error
        due = protocol.deadline()
        assert due is not None
        pauses.append(due - now)
        now = due
    assert pauses[0] == 5.0
    assert pauses == sorted(pauses)
    assert max(pauses) == 60.0
    assert words(protocol.received(push(order()), now or 0.0)) == ["Order NEW"]


def test_another_channel_needs_another_connection() -> None:
    protocol = subscribed()
    protocol.wake(86000.0)
    only(protocol.fetched("token", Grant("second", "pws:#other"), 86000.0), Renew)


def test_a_refresh_push_moves_the_end() -> None:
    protocol = subscribed()
    text = b'{"push":{"refresh":{"expires":true,"ttl":100}}}'
    assert protocol.received(text, 10.0) == [Expiry(110.0)]
    due = protocol.deadline()
    assert due is not None
    assert due < 110.0
    assert protocol.received(b'{"push":{"refresh":{}}}', 10.0) == [Expiry(None)]
    assert protocol.deadline() is None


# --------------------------------------------------------------------------------------------------------------- events


def test_an_orders_life_in_one_push() -> None:
    rest = execution("72057594039000002", unfilledQty="0", executedQty="1.5")
    done = order("DONE", unfilledQty="0", executedQty="1.5")
    outputs = subscribed().received(push(order(), execution(), rest, done), 0.0)
    assert words(outputs) == [
        "Order NEW", "Order PARTIALLY_FILLED", "Fill", "Order FILLED", "Fill", "Order FILLED",
    ]  # fmt: skip
    assert [one.final for one in of(outputs, Order)] == [False, False, True, True]
    assert [one.id for one in of(outputs, Fill)] == ["72057594039000001", "72057594039000002"]


def test_every_event_shows_its_own_part_of_the_wire() -> None:
    first, second = order(strange={"deep": [1]}), execution()
    outputs = subscribed().received(push(first, second), 0.0)
    assert [one.raw for one in of(outputs, Order)] == [first["order"], second["order"]]
    assert of(outputs, Fill)[0].raw == second["order"]


def test_a_fill_is_told_once_within_and_across_connections() -> None:
    memory = OrdersMemory()
    protocol = subscribed(memory)
    assert words(protocol.received(push(execution(), execution()), 0.0)).count("Fill") == 1
    assert words(protocol.received(push(execution()), 0.0)) == ["Order PARTIALLY_FILLED"]
    assert words(subscribed(memory).received(push(execution(), execution("2")), 0.0)).count("Fill") == 1
    assert "Fill" in words(protocol.received(push(execution(orderId="other-limit-1")), 0.0))


def test_fills_without_an_id_are_all_told() -> None:
    assert words(subscribed().received(push(execution(None), execution(None)), 0.0)).count("Fill") == 2


def test_a_fill_that_is_spoilt_is_told_when_it_comes_whole() -> None:
    protocol = subscribed()
    spoilt = execution(fillInformation={"qty": "0.4", "fee": "NaN"})
    assert words(protocol.received(push(spoilt), 0.0)) == ["Order PARTIALLY_FILLED", "Failure"]
    assert words(protocol.received(push(execution()), 0.0)) == ["Order PARTIALLY_FILLED", "Fill"]


def test_a_fill_without_its_information_is_an_order_and_a_failure() -> None:
    assert words(subscribed().received(push(execution(fillInformation=None)), 0.0)) == [
        "Order PARTIALLY_FILLED",
        "Failure",
    ]


def test_a_failure_names_its_order_in_short() -> None:
    spoilt = execution(orderId="long-" * 5000, price="NaN")
    outputs = subscribed().received(push(spoilt), 0.0)
    assert words(outputs) == ["Failure", "Failure"]
    for failure in of(outputs, Failure):
        assert "order long-long-" in str(failure.error)
        assert len(str(failure.error)) < 1000


def test_publications_with_offsets_are_told_once_and_a_jump_is_noticed() -> None:
    protocol = subscribed()
    assert words(protocol.received(push(order(), offset=5), 0.0)) == ["Order NEW"]
    assert protocol.received(push(order(), offset=5), 0.0) == []
    only(protocol.received(push(order(), offset=6), 0.0), Order)
    outputs = protocol.received(push(order(), offset=9), 0.0)
    assert outputs[0] == Missed(("orders",))
    assert words(outputs) == ["Order NEW"]
    assert protocol.received(push(order(), offset=7), 0.0) == []


def test_an_early_publication_is_told_whatever_offset_the_reply_has() -> None:
    protocol = opened()
    protocol.received(CONNECTED, 0.0)
    protocol.received(push(order(), offset=7), 0.0)
    assert words(protocol.received(b'{"id":2,"subscribe":{"offset":7}}', 0.0)) == ["Order NEW"]
    assert protocol.received(push(order(), offset=7), 0.0) == []


@pytest.mark.parametrize(
    "text",
    [
        push(order(), channel="news"),
        b'{"push":{"channel":"news","pub":{"data":{"a":1}}}}',
        push(order(), b"5", channel="news"),
        b'{"push":{"channel":"%s","pub":{}}}' % CHANNEL.encode(),
        b'{"push":{"channel":"%s","pub":{"data":null}}}' % CHANNEL.encode(),
    ],
)
def test_publications_that_are_no_order_events_are_other(text: bytes) -> None:
    assert only(subscribed().received(text, 0.0), Other).kind == "pub"


@pytest.mark.parametrize("kind", ["join", "leave", "message", "connect", "subscribe", "unheard"])
@pytest.mark.parametrize("body", ["{}", "[1]", "null", '"x"', '{"n":1e999}'])
def test_pushes_of_other_kinds_are_other(kind: str, body: str) -> None:
    text = f'{{"push":{{"channel":"{CHANNEL}","{kind}":{body}}}}}'.encode()
    assert only(subscribed().received(text, 0.0), Other).kind == kind


def test_pushes_that_cannot_be_named_are_other_all_the_same() -> None:
    assert only(subscribed().received(b'{"push":{}}', 0.0), Other).kind == "push"
    odd = subscribed().received(b'{"push":{"channel":"x","a\xff":1}}', 0.0)
    assert words(odd) in (["Other"], ["Failure"])


def test_an_unsubscription_from_another_channel_is_other() -> None:
    text = b'{"push":{"channel":"news","unsubscribe":{"code":2000}}}'
    assert only(subscribed().received(text, 0.0), Other).kind == "unsubscribe"


@pytest.mark.parametrize(
    ("element", "kind"),
    [
        (b'{"eventType":"balance","free":1.10}', "balance"),
        (b'{"eventType":"order_closed","order":{"id":5}}', "order_closed"),
        (b'{"eventType":"order_closed","order":7}', "order_closed"),
        (b'{"order":{"orderId":"a","status":"NEW"}}', ""),
        (b'{"eventType":"order_update"}', "order_update"),
    ],
)
def test_events_of_other_types_are_other(element: bytes, kind: str) -> None:
    outputs = subscribed().received(push(order(), element, order()), 0.0)
    assert words(outputs) == ["Order NEW", "Other", "Order NEW"]
    other = of(outputs, Other)[0]
    assert other.kind == kind
    assert other.raw == json.loads(element, parse_float=Decimal)


BAD_ELEMENTS = [
    b"5",
    b"null",
    b"true",
    b'"text"',
    b"[]",
    b'{"eventType":5}',
    b'{"eventType":null,"order":{}}',
    b'{"eventType":"order_update","order":{}}',
    b'{"eventType":"order_update","order":{"orderId":5,"status":"NEW"}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":null}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":"NEW","price":"1,5"}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":"NEW","price":"NaN"}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":"NEW","price":"-Infinity"}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":"NEW","price":"sNaN"}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":"NEW","price":1E+99999999999999999999}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":"NEW","transactionTime":1.5}}',
    b'{"eventType":"order_update","order":{"orderId":"a","status":"NEW","transactionTime":%s}}' % (b"9" * 5000),
]


@pytest.mark.parametrize("bad", BAD_ELEMENTS)
def test_a_bad_event_loses_no_neighbour_and_no_digit_of_it(bad: bytes) -> None:
    exact = b'{"eventType":"order_update","order":{"orderId":"a-b-1","status":"NEW","price":%s}}'
    before, after = exact % b"0.12345678901234567890123456789", exact % b"2.2200E-4"
    outputs = subscribed().received(push(before, bad, after), 0.0)
    assert words(outputs) == ["Order NEW", "Failure", "Order NEW"]
    assert [str(one.price) for one in of(outputs, Order)] == ["0.12345678901234567890123456789", "0.00022200"]
    assert isinstance(of(outputs, Failure)[0].error, ProtocolError)


def test_texts_where_numbers_are_promised_and_numbers_where_texts_are() -> None:
    element = (
        b'{"eventType":"order_update","order":{"orderId":"a-b-1","status":"NEW","price":1.50,"transactionTime":"17"}}'
    )
    one = only(subscribed().received(push(element), 0.0), Order)
    assert (str(one.price), one.time_ms) == ("1.50", 17)


@pytest.mark.parametrize(
    "text",
    [
        b"rubbish",
        b'{"push":',
        b"[]",
        b"5",
        b"null",
        b'"x"',
        b'{"id":"x"}',
        b'{"push":5}',
        b'{"push":{"channel":5}}',
        b'{"push":{"channel":"%s","pub":5}}' % CHANNEL.encode(),
        b'{"push":{"channel":"%s","pub":{"data":5}}}' % CHANNEL.encode(),
        b'{"push":{"channel":"%s","pub":{"data":{}}}}' % CHANNEL.encode(),
        b'{"a":' + b"[" * 200_000,
        b'{"push":{"pub":{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}}}",
        b"\xff\xfe",
        b'{"id":%s}' % (b"9" * 5000),
        push(b'{"eventType":"order_update","order":{"orderId":"\\ud800 ","status":"NEW"}}'),
    ],
)
def test_what_cannot_be_read_is_a_failure_and_no_more(text: bytes) -> None:
    protocol = subscribed()
    error = only(protocol.received(text, 0.0), Failure).error
    assert isinstance(error, ProtocolError)
    assert len(str(error)) < 2000
    assert words(protocol.received(push(order()), 0.0)) == ["Order NEW"]


def test_bad_json_between_good_objects_of_a_frame() -> None:
    outputs = subscribed().received(push(order()) + b"\n{]\n\n" + push(order("CANCELLED")) + b"\n", 0.0)
    assert words(outputs) == ["Order NEW", "Failure", "Order CANCELED"]


@pytest.mark.parametrize("frame", [b"", b"\n", b" \n \n", b"  "])
def test_frames_without_an_object_say_nothing(frame: bytes) -> None:
    assert subscribed().received(frame, 0.0) == []


def test_every_object_is_a_message_for_those_who_want_it_as_it_came() -> None:
    protocol = subscribed()
    protocol.verbatim = True
    one, other = push(order()), b'{"push":{"unheard":1.10}}'
    outputs = protocol.received(one + b"\n" + other, 0.0)
    assert [message.text.encode() for message in of(outputs, Message)] == [one, other]
    assert of(outputs, Message)[1].data == {"push": {"unheard": Decimal("1.10")}}
    assert words(outputs) == ["Message", "Order NEW", "Message", "Other"]


def test_a_binary_message_is_a_failure() -> None:
    assert isinstance(only(subscribed().received_binary(b"\0", 0.0), Failure).error, ProtocolError)


def test_the_same_thing_told_by_two_connections_has_one_identity() -> None:
    one, other = subscribed(), subscribed()
    mine = [one.identity(event) for event in of(one.received(push(order(), execution()), 0.0), Order)]
    theirs = [other.identity(event) for event in of(other.received(push(order(), execution()), 0.0), Order)]
    assert mine == theirs
    assert len(set(mine)) == 2
    assert None not in mine
    fill = of(subscribed().received(push(execution(), order("DONE")), 0.0), Fill)[0]
    assert one.identity(fill) == ("fill", "solidr-limit-88121", "72057594039000001")
    nameless = of(subscribed().received(push(execution(None)), 0.0), Fill)[0]
    assert one.identity(nameless) is None
    assert one.identity(Other()) is None


# ---------------------------------------------------------------------------------------------------------- any input

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["NaN", "FILL", "order_update", CHANNEL, "1E-4"])
)
KEYS = st.sampled_from(
    "id error code message temporary connect ttl expires ping pong subscribe offset refresh push channel pub data unsubscribe "
    "disconnect eventType order orderId status tradeId price transactionTime fillInformation qty join".split()
) | st.text(max_size=3)
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def shaped(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects that get past the outer keys."""
    data = st.lists(st.fixed_dictionaries({}, optional={"eventType": inner, "order": inner}) | inner, max_size=3)
    pub = st.fixed_dictionaries({"data": data | inner}, optional={"offset": inner})
    channel = st.just(CHANNEL) | inner
    return st.fixed_dictionaries({"push": st.fixed_dictionaries({"channel": channel, "pub": pub | inner}) | inner})


@given(st.lists(ANY_JSON | shaped(ANY_JSON), max_size=4))
def test_arbitrary_json_never_raises(objects: List[Any]) -> None:
    for protocol in (opened(), subscribed()):
        for one in objects:
            outputs = protocol.received(json.dumps(one).encode(), 1.0)
            assert all(output is not None for output in outputs)
        assert repr(protocol.wake(1e6))


@given(st.binary(max_size=200))
@example(b'{"push":{"channel":"\\ud800"}}')
@example(b'{"push":{"join":"\xff"}}')
def test_arbitrary_bytes_never_raise(text: bytes) -> None:
    for protocol in (opened(), subscribed()):
        for output in protocol.received(text, 1.0):
            assert repr(output)


@given(st.lists(st.sampled_from(range(12)), max_size=10), st.data())
def test_how_objects_are_put_into_frames_makes_no_difference(choice: List[int], data: st.DataObject) -> None:
    known = [
        push(order()), push(execution()), push(execution("2"), b"5"), push(order("DONE", unfilledQty="0")), b"{}",
        b"rubbish", b'{"push":{"join":{}}}', b'{"push":{"refresh":{"expires":true,"ttl":9}}}', b'{"id":7}',
        push(order(), offset=3), push(order(), offset=9), push(order(), channel="news"),
    ]  # fmt: skip
    pieces = [known[index] for index in choice]
    one_by_one, together = subscribed(), subscribed()
    expected = [output for piece in pieces for output in one_by_one.received(piece, 1.0)]
    made: List[Output] = []
    while pieces:
        count = data.draw(st.integers(1, len(pieces)))
        made += together.received(b"\n".join(pieces[:count]) + data.draw(st.sampled_from([b"", b"\n"])), 1.0)
        pieces = pieces[count:]
    assert [repr(output) for output in made] == [repr(output) for output in expected]
