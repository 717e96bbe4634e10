"""Requests on the stream, and what is refused before anything is sent."""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

import pytest

from tests.exchanges.finery.conversation import Conversation
from xchws import events
from xchws.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    HandshakeRejected,
    OpenFailed,
    ProtocolError,
    StateError,
    WaitTimeout,
)
from xchws.exchanges import finery
from xchws.exchanges.finery import calls, codes, replies
from xchws.exchanges.finery.client import Finery
from xchws.exchanges.finery.places import Places
from xchws.exchanges.finery.trading import Trading


def added(number: int = 900071, cod: bool = True) -> calls.Call:
    return calls.add("ETH-USD", "buy", "limit", "0.25", None, 3120, number, cod, None, None, None, 10.0)


def test_a_request_and_its_answer() -> None:
    talk = Conversation()
    talk.ask(added())
    content = {"instrument": "ETH-USD", "clientOrderId": 900071, "size": 25000000, "price": 312000000000}
    content.update({"side": "bid", "type": "limit", "cod": True})
    assert talk.sent() == [{"event": "request", "reqId": 1, "method": "add", "content": content}]
    talk.hear({"event": "request", "reqId": 1, "reply": {"id": 5501, "remainingSize": 5000000}})
    reply = replies.order(talk.resolved[0].value)
    assert (reply.id, str(reply.remaining_size), reply.cancel_reason) == ("5501", "0.05000000", 0)


def test_answers_in_any_order() -> None:
    talk = Conversation()
    for ticket in (1, 2):
        talk.ask(calls.plain_call("limits", None, 10.0), ticket)
    talk.hear({"event": "request", "reqId": 2, "reply": [2]}, {"event": "request", "reqId": 1, "reply": [1]})
    assert [(one.ticket, one.value) for one in talk.resolved] == [(2, b"[2]"), (1, b"[1]")]


def test_an_answer_without_its_number() -> None:
    talk = Conversation()
    talk.ask(calls.plain_call("limits", None, 10.0))
    talk.hear({"event": "request", "reply": [1]})
    assert talk.resolved[0].value == b"[1]"


@pytest.mark.parametrize("code", sorted({*codes._ERRORS, 9999} - {0}))
def test_a_refusal(code: int) -> None:
    talk = Conversation()
    talk.ask(added())
    talk.hear({"event": "request", "reqId": 1, "error": code, "param": "price", "origId": 7, "origRemainingSize": 100})
    error = talk.resolved[0].error
    assert isinstance(error, finery.Rejection)
    assert (error.code, error.parameter, error.original_id) == (code, "price", "7")
    assert str(error.original_remaining) == "0.00000100"
    assert codes.words(code) in str(error)


def test_a_late_answer_is_told() -> None:
    talk = Conversation()
    talk.ask(added())
    talk.wait(11)
    assert isinstance(talk.hear({"event": "request", "reqId": 1, "reply": {"id": 1}})[0], events.Other)


def test_a_lost_connection() -> None:
    talk = Conversation()
    call = added()
    talk.ask(call)
    talk.ask(added(900072, cod=False), 2)
    talk.lose()
    assert call.sent
    assert all(isinstance(one.error, ConnectionLost) and "unknown" in str(one.error) for one in talk.resolved)
    assert [(one.client_order_id, one.id) for one in talk.of(finery.ProbablyCancelled)] == [("900071", None)]


@pytest.mark.parametrize("reply", [{"id": 1, "remainingSize": 0}, {"id": 1, "remainingSize": 5, "cancelReason": 2}])
def test_an_order_that_has_ended_does_not_die_with_the_connection(reply: Any) -> None:
    talk = Conversation()
    talk.ask(added())
    talk.hear({"event": "request", "reqId": 1, "reply": reply})
    talk.lose()
    assert not talk.of(finery.ProbablyCancelled)


@pytest.mark.parametrize(
    ("change", "reply", "dies"),
    [
        (calls.modify(5501, 1, 1, 900073, 10.0), {"id": 5502, "origId": 5501, "remainingSize": 5}, ("900073", "5502")),
        (calls.modify(5501, 1, 1, None, 10.0), {"id": 5502, "remainingSize": 5}, ("900071", "5502")),
        (calls.modify(5501, 1, 1, None, 10.0), {"error": 90, "origId": 5501}, None),
        (calls.modify(5501, 1, 1, None, 10.0), {"error": 71}, ("900071", "5501")),
        (calls.modify(4000, 1, 1, None, 10.0), {"id": 4001, "origId": 4000, "remainingSize": 5}, ("900071", "5501")),
        (calls.delete(5501, None, 10.0), {"id": 5501, "remainingSize": 5}, None),
        (calls.delete(None, 900071, 10.0), {"id": 5501, "remainingSize": 5}, None),
        (calls.delete(None, 900071, 10.0), {"error": 10}, ("900071", "5501")),
        (calls.delete_all("ETH-USD", 10.0), {}, None),
        (calls.delete_all("BTC-USD", 10.0), {}, ("900071", "5501")),
        (calls.delete_all(None, 10.0), [], None),
    ],
)
def test_which_orders_die_with_the_connection(change: calls.Call, reply: Any, dies: Any) -> None:
    talk = Conversation()
    talk.ask(added())
    talk.hear({"event": "request", "reqId": 1, "reply": {"id": 5501, "clientOrderId": 900071, "remainingSize": 25}})
    talk.ask(change, 2)
    said = reply if isinstance(reply, dict) and "error" in reply else {"reply": reply}
    talk.hear({"event": "request", "reqId": 2, **said})
    talk.lose()
    told = [(one.client_order_id, one.id) for one in talk.of(finery.ProbablyCancelled)]
    assert told == ([] if dies is None else [dies])


def test_a_modified_order_dies_with_the_connection_whichever_is_told_first() -> None:
    """The end of the old order may be told before the answer to the modification; the new one is at risk all the same."""
    gone = ["ETH-USD", 0, 0, 1, 5501, 900071, 312000000000, 25000000, 25000000, 1718000000000, False]
    over = [*gone[:4], 5502, *gone[5:]]
    answer = {"event": "request", "reqId": 2, "reply": {"id": 5502, "origId": 5501, "remainingSize": 5}}
    for told, dies in (
        ([["O", 0, "-", gone], answer], [("900071", "5502")]),
        ([answer, ["O", 0, "-", gone]], [("900071", "5502")]),
        ([["O", 0, "-", gone]], [("900071", None)]),
        ([], [("900071", "5501")]),
        ([["O", 0, "-", gone], {"event": "request", "reqId": 2, "error": 90, "origId": 5501}], []),
        ([["O", 0, "-", gone], answer, ["O", 0, "-", over]], []),
        ([["O", 0, "-", gone], ["O", 0, "-", over]], []),
    ):
        talk = Conversation()
        talk.bind("O")
        talk.ask(added())
        talk.hear(["O", 0, "S", []], {"event": "request", "reqId": 1, "reply": {"id": 5501, "remainingSize": 25}})
        talk.ask(calls.modify(5501, 1, 1, None, 10.0), 2)
        talk.hear(*told)
        talk.lose()
        assert [(one.client_order_id, one.id) for one in talk.of(finery.ProbablyCancelled)] == dies


def test_answers_to_nothing_that_was_asked() -> None:
    talk = Conversation()
    for ticket in (1, 2):
        talk.ask(calls.plain_call("limits", None, 10.0), ticket)
    for answer in ({"reqId": 3, "reply": 1}, {"reply": 1}, {"reqId": "one", "reply": 1}):
        (failure,) = talk.hear({"event": "request", **answer})
        assert isinstance(failure, events.Failure) and "nothing that was asked" in str(failure.error)
    assert talk.resolved == []


def test_an_error_whose_code_cannot_be_read_is_an_error_all_the_same() -> None:
    talk = Conversation()
    talk.ask(calls.plain_call("limits", None, 10.0))
    assert talk.hear({"event": "request", "reqId": 1, "error": [[]]}) == []
    error = talk.resolved[0].error
    assert isinstance(error, finery.Rejection) and error.code is None and "without a code" in str(error)


def test_an_answer_beside_its_number() -> None:
    talk = Conversation()
    for ticket in (1, 2):
        talk.ask(added(900070 + ticket), ticket)
    talk.hear({"event": "request", "reqId": 1, "id": 5501, "remainingSize": 5, "error": 0})
    talk.hear({"event": "request", "reqId": 2, "reply": {"error": 71, "param": "price"}})
    assert replies.order(talk.resolved[0].value).id == "5501"
    refusal = talk.resolved[1].error
    assert isinstance(refusal, finery.Rejection) and (refusal.code, refusal.parameter) == (71, "price")


def test_an_answer_that_is_no_json_inside() -> None:
    talk = Conversation()
    talk.ask(calls.plain_call("limits", None, 10.0))
    (failure,) = talk.hear(b'{"event":"request","reqId":1,"error":1e999999}')
    assert isinstance(failure, events.Failure) and talk.resolved == []


def test_requests_that_nobody_waits_for_are_forgotten_some_day() -> None:
    talk = Conversation()
    for ticket in range(1, 1_102):
        talk.ask(calls.plain_call("limits", None, 10.0), ticket)
    talk.wait(11)
    talk.ask(calls.plain_call("limits", None, 10.0), 1_102)
    (failure,) = talk.hear({"event": "request", "reqId": 101, "reply": []})
    assert isinstance(failure, events.Failure), "one of the oldest"
    (late,) = talk.hear({"event": "request", "reqId": 102, "reply": []})
    assert isinstance(late, events.Other) and late.kind == "late answer to limits"
    assert talk.hear({"event": "request", "reqId": 1_102, "reply": []}) == []


def test_arguments() -> None:
    for arguments, wrong in (
        (("ETH/USD", "buy", "limit", 1, None, 1, 1, False, None, None, None, 1), "instrument"),
        (("ETH-USD", "long", "limit", 1, None, 1, 1, False, None, None, None, 1), "side"),
        (("ETH-USD", "buy", "stop", 1, None, 1, 1, False, None, None, None, 1), "type"),
        (("ETH-USD", "buy", "limit", 1, 1, 1, 1, False, None, None, None, 1), "size"),
        (("ETH-USD", "buy", "limit", 1.5, None, 1, 1, False, None, None, None, 1), "size"),
        (("ETH-USD", "buy", "limit", None, 1, 1, 1, False, None, None, None, 1), "volume"),
        (("ETH-USD", "buy", "marketIOC", 1, None, 1, 1, False, None, None, None, 1), "price"),
        (("ETH-USD", "buy", "limit", 1, None, None, 1, False, None, None, None, 1), "price"),
        (("ETH-USD", "buy", "limit", 1, None, 1, 0, False, None, None, None, 1), "client_order_id"),
        (("ETH-USD", "buy", "limit", 1, None, 1, 1, 1, None, None, None, 1), "cod"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            calls.add(*arguments)
        assert caught.value.argument == wrong


@pytest.mark.parametrize("code", [3, 13, 14, 6, 7, 2, 10, 99])
def test_a_refused_login(code: int) -> None:
    exchange = Finery("a key that no other test draws nonces for", "s")._exchange
    close = exchange.refused(HandshakeRejected("no", status=400, body=f'{{"error":{code}}}'))
    assert isinstance(close.error, AuthenticationFailed) == (code in (3, 13, 14))
    assert close.error.retryable == (code not in (3, 13, 14))
    assert isinstance(close.verdict, AuthenticationFailed) == (code in (6, 7))
    assert close.limit == (5 if code in (6, 7) else 1)


def test_addresses() -> None:
    http: Any = None
    cases: Tuple[Tuple[Any, str], ...] = (
        ({}, "wss://trade.finerymarkets.com/ws"),
        ({"environment": "test"}, "wss://test.finerymarkets.com/ws"),
        ({"url": "ws://127.0.0.1:1/x?y=z"}, "ws://127.0.0.1:1/x?y=z"),
    )
    for arguments, url in cases:
        exchange = Finery("k", "s", **arguments)._exchange
        route = exchange.route(http)
        assert route.url == url
        exchange.ended(route)


def test_places() -> None:
    places = Places(limit=2)
    first, second = places.take("a"), places.take("a")
    assert first is not None and second is not None and places.take("a") is None and places.take("b") is not None
    first.give_back()
    first.give_back()
    assert places.take("a") is not None
    assert places.take("a") is None


def test_an_address_is_the_same_however_it_is_spelled() -> None:
    http: Any = None
    spelled = ("wss://places.example/ws", "wss://PLACES.example:443/ws", "ws://places.example:443/other?x=1")
    exchanges = [Finery("k", "s", url=url)._exchange for url in spelled]
    routes = [exchanges[number % 3].route(http) for number in range(100)]
    for exchange in exchanges:
        with pytest.raises(OpenFailed, match="100 connections to places.example:443"):
            exchange.route(http)
    another = Finery("k", "s", url="ws://places.example/ws")._exchange
    another.ended(another.route(http))
    for route in routes:
        exchanges[0].ended(route)


def test_the_101st_connection() -> None:
    exchange = Finery("k", "s", url="ws://127.0.0.1:9/ws")._exchange
    http: Any = None
    routes = [exchange.route(http) for _ in range(100)]
    assert len({route.headers["EFX-Content"] for route in routes}) == 100
    with pytest.raises(OpenFailed, match="100 connections"):
        exchange.route(http)
    for route in routes:
        exchange.ended(route)
    exchange.ended(exchange.route(http))


class Ending(Trading):
    """Requests that end with this error, after they have been sent or before."""

    def __init__(self, error: Exception, sent: bool) -> None:
        self._error = error
        self._sent = sent

    def _request(self, request: Any, timeout: Optional[float]) -> Any:
        request.sent = self._sent
        raise self._error

    def _new_client_order_id(self) -> int:
        return 7

    def _excerpt(self, text: bytes) -> str:
        return text.decode()


@pytest.mark.parametrize("kind", [ConnectionLost, StateError, WaitTimeout, ProtocolError])
def test_whatever_ends_a_request_that_was_sent_its_fate_is_unknown(kind: Any) -> None:
    error: Exception = kind("over")
    changes: Tuple[Callable[[Trading], Any], ...] = (
        lambda trading: trading.add_order("ETH-USD", "buy", type="marketIOC", size=1),
        lambda trading: trading.modify_order(5, price=1, size=1),
        lambda trading: trading.cancel_order(5),
        lambda trading: trading.cancel_all_orders(),
    )
    for change in changes:
        with pytest.raises(finery.OrderUnknown) as unknown:
            change(Ending(error, sent=True))
        assert unknown.value.__cause__ is error
        if kind in (ConnectionLost, StateError):
            with pytest.raises(kind, match="over"):
                change(Ending(error, sent=False))
    with pytest.raises(kind, match="over"):
        Ending(error, sent=True).limits()
