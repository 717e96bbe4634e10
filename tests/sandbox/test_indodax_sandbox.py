"""The simulated Indodax, driven by a foreign WebSocket client and requests: does it behave as the vendor's page says?

Samples of the page (Private-websocket.md, read 2026-11) serve as references for the sets and orders of fields.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import logging
import socket
import ssl
import struct
import threading
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import urlsplit

import pytest
import requests
import trustme
import websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from xchws.sandbox import FaultProxy, IndodaxSandbox

WAIT = 5.0
ORDER_FIELDS = [
    "orderId",
    "symbol",
    "side",
    "origQty",
    "unfilledQty",
    "executedQty",
    "price",
    "description",
    "status",
    "transactionTime",
    "clientOrderId",
]
FILL_FIELDS = [
    "orderId",
    "tradeId",
    "symbol",
    "side",
    "origQty",
    "unfilledQty",
    "executedQty",
    "price",
    "description",
    "status",
    "transactionTime",
    "fillInformation",
    "clientOrderId",
]
FILL_INFORMATION = [
    "participant",
    "filledQty",
    "qty",
    "feeAsset",
    "feeRate",
    "fee",
    "taxAsset",
    "taxRate",
    "tax",
    "clearingAsset",
    "clearingRate",
    "clearing",
]


@pytest.fixture
def ex() -> Iterator[IndodaxSandbox]:
    with IndodaxSandbox(seed=1) as exchange:
        yield exchange


def ask_token(
    ex: IndodaxSandbox, key: Optional[str] = None, secret: Optional[str] = None, body: Optional[str] = None
) -> requests.Response:
    body = body if body is not None else f"client=tapi&tapi_key={ex.key if key is None else key}"
    sign = hmac.new((secret or ex.secret).encode(), body.encode(), hashlib.sha512).hexdigest()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sign": sign}
    return requests.post(f"{ex.rest_url}/api/private_ws/v1/generate_token", data=body, headers=headers, timeout=WAIT)


def get_token(ex: IndodaxSandbox) -> Dict[str, str]:
    answer: Dict[str, str] = ask_token(ex).json()["return"]
    return answer


@contextlib.contextmanager
def opened(ex: IndodaxSandbox, url: Optional[str] = None, **options: Any) -> Iterator[ClientConnection]:
    with connect(
        url or ex.url, compression=None, ping_interval=None, proxy=None, close_timeout=0.5, **options
    ) as client:
        yield client


def ask(client: ClientConnection, **command: Any) -> Dict[str, Any]:
    client.send(json.dumps(command))
    return take(client)


def take(client: ClientConnection) -> Dict[str, Any]:
    answer: Dict[str, Any] = json.loads(client.recv(WAIT), parse_float=Decimal)
    return answer


def closing(client: ClientConnection) -> Any:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            client.recv(WAIT)
    return (closed.value.rcvd.code, closed.value.rcvd.reason) if closed.value.rcvd else None


@contextlib.contextmanager
def subscribed(ex: IndodaxSandbox, **options: Any) -> Iterator[ClientConnection]:
    with opened(ex, **options) as client:
        token = get_token(ex)
        ask(client, connect={"token": token["connToken"]}, id=1)
        ask(client, subscribe={"channel": token["channel"]}, id=2)
        yield client


def events(client: ClientConnection) -> List[Dict[str, Any]]:
    data: List[Dict[str, Any]] = take(client)["push"]["pub"]["data"]
    return data


def test_the_session_of_the_vendors_page(ex: IndodaxSandbox) -> None:
    token = get_token(ex)
    assert token["channel"] == ex.channel()
    with opened(ex) as client:
        answer = ask(client, connect={"token": token["connToken"]}, id=1)
        assert list(answer) == ["id", "connect"]
        assert list(answer["connect"]) == ["client", "version", "expires", "ttl"]
        assert answer["connect"]["version"] == "5.2.0"
        assert 86390 <= answer["connect"]["ttl"] <= 86400
        assert ask(client, subscribe={"channel": token["channel"]}, id=2) == {"id": 2, "subscribe": {}}
        order = ex.place("aaveidr", "BUY", "2000000", "0.00996909")
        push = take(client)
        assert list(push["push"]) == ["channel", "pub"]
        assert push["push"]["channel"] == token["channel"]
        [event] = push["push"]["pub"]["data"]
        assert event["eventType"] == "order_update"
        assert list(event["order"]) == ORDER_FIELDS
        assert event["order"]["orderId"] == order.id == "aaveidr-limit-1"
        assert event["order"]["description"] == "AAVE/IDR"
        assert event["order"]["status"] == "NEW"
    assert ex.complaints == []
    assert [list(message)[0] for message in ex.messages] == ["connect", "subscribe"]
    assert "origin" not in ex.handshakes[0].headers
    assert ex.rest_requests[0].headers["sign"]


def test_a_fill_has_the_fields_and_sums_of_the_page(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        order = ex.place("aaveidr", "BUY", "4289899", "0.0046462", "mine", participant="TAKER")
        ex.fill(order)
        events(client)
        text = client.recv(WAIT)
        assert '"clearingRate":2.22E-4' in str(text)
        [filled] = json.loads(text, parse_float=Decimal)["push"]["pub"]["data"]
        assert list(filled["order"]) == FILL_FIELDS
        assert list(filled["order"]["fillInformation"]) == FILL_INFORMATION
        assert filled["order"]["unfilledQty"] == "0"
        assert filled["order"]["executedQty"] == "0.0046462"
        information = filled["order"]["fillInformation"]
        assert (information["fee"], information["tax"], information["clearing"]) == ("39", "23", "4")
        assert int(filled["order"]["tradeId"]) > 2**53
        [done] = events(client)
        assert list(done["order"]) == ORDER_FIELDS
        assert done["order"]["status"] == "DONE"
        assert done["order"]["transactionTime"] == filled["order"]["transactionTime"]
        assert done["order"]["clientOrderId"] == "mine"


def test_cancelled_and_rejected_and_what_cannot_be(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        first, second = ex.place("btcidr", "SELL", 100, "2"), ex.place("btcusdt", "SELL", 100, "2")
        ex.fill(first, "0.5")
        ex.cancel(first)
        ex.reject(second)
        orders = [events(client)[0]["order"] for _ in range(5)]
        assert [order["status"] for order in orders] == ["NEW", "NEW", "FILL", "CANCELLED", "REJECTED"]
        assert (orders[3]["unfilledQty"], orders[3]["executedQty"]) == ("1.5", "0.5")
    for wrong in (
        lambda: ex.fill(first),
        lambda: ex.cancel(second),
        lambda: ex.place("btc", "SELL", 1, 1),
        lambda: ex.place("btcidr", "sell", 1, 1),
        lambda: ex.place("btcidr", "SELL", 0, 1),
    ):
        with pytest.raises(ValueError, match=r"."):
            wrong()


def test_a_batch_is_one_push(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        with ex.batch():
            order = ex.place("btcidr", "BUY", 100, 2)
            ex.fill(order, 1)
            ex.fill(order)
        assert [event["order"]["status"] for event in events(client)] == ["NEW", "FILL", "FILL", "DONE"]


def test_a_random_walk_is_consistent_numbered_and_repeatable(ex: IndodaxSandbox) -> None:
    received: List[Dict[str, Any]] = []
    with subscribed(ex) as client:
        ex.random_walk(1000, seed=7)
        while len(received) < 1000:
            received.extend(events(client))
    assert received == ex.published
    assert ex.published_count == 1000
    executed: Dict[str, Decimal] = {}
    trades = []
    for event in received:
        order = event["order"]
        done = Decimal(order["executedQty"])
        assert Decimal(order["unfilledQty"]) + done == Decimal(order["origQty"])
        before = executed.get(order["orderId"], Decimal(0))
        if order["status"] == "FILL":
            information = order["fillInformation"]
            assert Decimal(information["qty"]) + before == Decimal(information["filledQty"]) == done
            fee = Decimal(information["qty"]) * Decimal(order["price"]) * information["feeRate"]
            assert Decimal(information["fee"]) == fee.quantize(Decimal(1), ROUND_FLOOR)
            trades.append(int(order["tradeId"]))
        else:
            assert done == before
        executed[order["orderId"]] = done
    assert trades == sorted(set(trades))
    assert {event["order"]["status"] for event in received} == {"NEW", "FILL", "DONE", "CANCELLED", "REJECTED"}

    again = IndodaxSandbox()
    again.random_walk(1000, seed=7)
    for event in received + again.published:
        del event["order"]["transactionTime"]
    assert again.published == received


def test_the_market_runs_by_itself(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        ex.run(200)
        assert [len(events(client)) for _ in range(20)]
        ex.pause()
        count = ex.published_count
    ex.random_walk(1)
    assert ex.published_count == count + 1


@pytest.mark.parametrize(
    ("body", "secret", "code"),
    [
        ("client=tapi&tapi_key=", None, "invalid_tapi_key"),
        ("client=tapi", None, "invalid_tapi_key"),
        ("client=tapi&tapi_key=OTHER", None, "invalid_credentials"),
        (None, "wrong", "bad_sign"),
    ],
)
def test_errors_of_the_token_endpoint(
    ex: IndodaxSandbox, body: Optional[str], secret: Optional[str], code: str
) -> None:
    answer = ask_token(ex, body=body, secret=secret)
    assert answer.status_code == 200
    assert list(answer.json()) == ["success", "error", "error_code"]
    assert answer.json()["success"] == 0
    assert answer.json()["error_code"] == code
    assert ex.complaints == [f"REST: {code}"]


def test_the_token_endpoint_looks_at_type_method_and_path(ex: IndodaxSandbox) -> None:
    url = f"{ex.rest_url}/api/private_ws/v1/generate_token"
    assert requests.get(url, timeout=WAIT).status_code == 405
    assert requests.post(f"{ex.rest_url}/tapi", timeout=WAIT).status_code == 404
    answer = requests.post(url, json={"client": "tapi", "tapi_key": ex.key}, timeout=WAIT)
    assert answer.json()["error_code"] == "invalid_tapi_key"
    assert any("content type" in text for text in ex.complaints)


def test_tokens_are_signed_and_differ(ex: IndodaxSandbox) -> None:
    first, second = get_token(ex)["connToken"], get_token(ex)["connToken"]
    assert first != second
    body = first.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert f"pws:#{claims['sub']}" == ex.channel()
    assert len(claims["sub"]) == 40
    assert isinstance(claims["exp"], int)


def test_the_rest_endpoint_misbehaves_on_demand(ex: IndodaxSandbox) -> None:
    ex.refuse_rest(503, "<html>maintenance</html>", {"Retry-After": "7"}, times=1)
    answer = ask_token(ex)
    assert (answer.status_code, answer.text) == (503, "<html>maintenance</html>")
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["Content-Type"] == "text/html"
    assert ask_token(ex).json()["success"] == 1
    ex.refuse_rest(429)
    assert [ask_token(ex).status_code for _ in range(3)] == [429] * 3
    ex.accept_rest()
    ex.slow_rest(60)
    with pytest.raises(requests.Timeout):
        requests.post(f"{ex.rest_url}/api/private_ws/v1/generate_token", timeout=0.1)
    ex.slow_rest(0)
    assert ask_token(ex).json()["success"] == 1


def test_origin_and_path_are_refused(ex: IndodaxSandbox) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(ex, additional_headers={"Origin": ex.rest_url}):
        pass
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"Forbidden")
    with pytest.raises(InvalidStatus) as refused, opened(ex, url=ex.url.replace("/ws/", "/ws")):
        pass
    assert refused.value.response.status_code == 404
    assert len(ex.complaints) == 2
    assert len(ex.handshakes) == 2
    ex.allowed_origin = "https://indodax.com"
    with opened(ex, additional_headers={"Origin": "https://indodax.com"}):
        assert len(ex.complaints) == 2


def test_handshakes_are_refused_on_demand(ex: IndodaxSandbox) -> None:
    ex.refuse(503, "later", {"Retry-After": "3"}, times=2)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as refused, opened(ex):
            pass
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "3"
    with opened(ex):
        ex.wait_for_session()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"subscribe":{"channel":"x"},"id":1}', 3501),
        ('{"connect":{},"id":1}', 3501),
        ('{"connect":{"token":"x"}}', 3501),
        ('{"connect":{"token":"a.b.c"},"id":1}', 3500),
        ('{"id":1}', 3501),
        ('{"connect":', 3501),
        ("[]", 3501),
        ("{}", 3501),
        ("", 3501),
    ],
)
def test_what_closes_before_connect(ex: IndodaxSandbox, text: str, code: int) -> None:
    with opened(ex) as client:
        client.send(text)
        assert closing(client) == (code, "invalid token" if code == 3500 else "bad request")
    assert len(ex.complaints) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"connect":{"token":"x"},"id":3}', 3501),
        ('{"subscribe":{},"id":3}', 3501),
        ('{"ping":{},"id":3}', 3501),
        ('{"refresh":{},"id":3}', 3501),
        ('{"refresh":{"token":"forged.forged.forged"},"id":3}', 3500),
        ('{"send":{"data":1}}', 3508),
        ("{}", 3501),
    ],
)
def test_what_closes_after_connect(ex: IndodaxSandbox, text: str, code: int) -> None:
    with subscribed(ex) as client:
        client.send(text)
        assert closing(client)[0] == code
    assert len(ex.complaints) == 1


def test_a_frame_beyond_the_limit_closes(ex: IndodaxSandbox) -> None:
    with opened(ex) as client:
        client.send("x" * 65537)
        assert closing(client)[0] == 1009


@pytest.mark.parametrize(
    ("channel", "code", "message"),
    [
        ("pws:#" + "0" * 40, 103, "permission denied"),
        ("pws:x", 103, "permission denied"),
        ("elsewhere:#x", 102, "unknown channel"),
        ("pws:" + "x" * 252, 107, "bad request"),
    ],
)
def test_subscriptions_that_get_an_error(ex: IndodaxSandbox, channel: str, code: int, message: str) -> None:
    with subscribed(ex) as client:
        answer = ask(client, subscribe={"channel": channel}, id=3)
        assert answer == {"id": 3, "error": {"code": code, "message": message}}


def test_double_subscription_unsubscription_and_the_limit(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        assert ask(client, subscribe={"channel": ex.channel()}, id=3)["error"]["code"] == 105
        assert ask(client, unsubscribe={"channel": ex.channel()}, id=4) == {"id": 4, "unsubscribe": {}}
        assert ask(client, unsubscribe={"channel": "unknown"}, id=5) == {"id": 5, "unsubscribe": {}}
        for number in range(128):
            assert "error" not in ask(client, subscribe={"channel": f"pws:{number}#{ex.user()}"}, id=6 + number)
        assert ask(client, subscribe={"channel": ex.channel()}, id=200)["error"]["code"] == 106
        assert ask(client, rpc={"method": "x"}, id=201)["error"]["code"] == 104
        assert ask(client, publish={"channel": "x"}, id=201)["error"]["code"] == 103
    assert any("id 201 a second time" in text for text in ex.complaints)


def test_another_account_is_another_channel(ex: IndodaxSandbox) -> None:
    ex.add_account("DEMO-KEY-2", "demo-secret-2")
    token = ask_token(ex, "DEMO-KEY-2", "demo-secret-2").json()["return"]
    with subscribed(ex) as first, opened(ex) as second:
        ask(second, connect={"token": token["connToken"]}, id=1)
        assert ask(second, subscribe={"channel": ex.channel()}, id=2)["error"]["code"] == 103
        assert ask(second, subscribe={"channel": token["channel"]}, id=3) == {"id": 3, "subscribe": {}}
        ex.place("btcidr", "BUY", 1, 1, key="DEMO-KEY-2")
        ex.place("ethidr", "BUY", 1, 1)
        assert events(first)[0]["order"]["symbol"] == "ethidr"
        assert events(second)[0]["order"]["symbol"] == "btcidr"


def test_an_expired_token_is_109_and_the_connection_is_dead(ex: IndodaxSandbox) -> None:
    ex.unusable_after = 0.1
    ex.expire_next_tokens()
    with opened(ex) as client:
        answer = ask(client, connect={"token": get_token(ex)["connToken"]}, id=1)
        assert answer == {"id": 1, "error": {"code": 109, "message": "token expired"}}
        assert closing(client) is None
    with subscribed(ex):
        assert len(ex.sessions) == 1


def test_a_token_is_remarked_when_used_again(ex: IndodaxSandbox) -> None:
    token = get_token(ex)["connToken"]
    for _ in range(2):
        with opened(ex) as client:
            assert "connect" in ask(client, connect={"token": token}, id=1)
    assert len(ex.remarks) == len(ex.complaints) == 1


def test_a_token_that_somebody_else_signed_is_invalid(ex: IndodaxSandbox) -> None:
    with opened(ex) as client:
        client.send(json.dumps({"connect": {"token": IndodaxSandbox().issue_token()}, "id": 1}))
        assert closing(client) == (3500, "invalid token")


def test_a_client_that_does_not_read_is_slow(ex: IndodaxSandbox) -> None:
    ex.slow_after, ex.queue_limit = 0.1, 10_000
    with FaultProxy("127.0.0.1", ex.port) as proxy, subscribed(ex, url=proxy.url(of=ex.url)):
        session = ex.sessions[0]
        proxy.freeze()
        while ex.sessions and ex.published_count < 100_000:
            ex.random_walk(1000)
        assert ex.sessions == []
        proxy.cut()
        assert session.closed.wait(WAIT)


def test_no_log_record_holds_a_secret(ex: IndodaxSandbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.create_connection(("127.0.0.1", ex.port), WAIT) as client:
        client.sendall(f"GET /ws/?{ex.secret} HTTP/1.1\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 4")
    assert len(ex.handshakes) == 1
    assert ex.secret not in caplog.text


def test_no_connect_is_stale() -> None:
    with IndodaxSandbox(stale_after=0.1) as ex, opened(ex) as client:
        assert closing(client) == (3502, "stale")


def test_expiry_and_refresh() -> None:
    with IndodaxSandbox(ttl=3, expire_grace=0.0) as ex, subscribed(ex) as client, subscribed(ex) as other:
        longer = ex.issue_token(ttl=86400)
        answer = ask(client, refresh={"token": longer}, id=3)
        assert list(answer["refresh"]) == ["expires", "ttl"]
        assert answer["refresh"]["ttl"] > 86000
        assert closing(other) == (3005, "connection expired")
        ex.place("btcidr", "BUY", 1, 1)
        assert events(client)[0]["order"]["status"] == "NEW"
        assert ex.complaints == []


def test_refreshing_with_an_expired_token_or_another_users(ex: IndodaxSandbox) -> None:
    ex.add_account("DEMO-KEY-2", "demo-secret-2")
    for token, code in ((ex.issue_token(ttl=-5), 3005), (ex.issue_token("DEMO-KEY-2"), 3500)):
        with subscribed(ex) as client:
            client.send(json.dumps({"refresh": {"token": token}, "id": 3}))
            assert closing(client)[0] == code


def test_native_pings_want_pong_frames() -> None:
    with IndodaxSandbox(ping_interval=0.1) as ex:
        with subscribed(ex):
            ex.wait_until(lambda: len([item for item in ex.received if item.kind == "pong"]) >= 3)
        assert ex.complaints == []


def test_a_missing_pong_frame_cuts_without_a_close_frame() -> None:
    with IndodaxSandbox(ping_interval=0.1, pong_grace=0.1) as ex:
        with socket.create_connection(("127.0.0.1", ex.port), WAIT) as client:
            client.sendall(
                b"GET /ws/?cf_ws_frame_ping_pong=true HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade"
                b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            received = b""
            while True:
                piece = client.recv(4096)
                if not piece:
                    break
                received += piece
        frames = received.split(b"\r\n\r\n", 1)[1]
        assert frames
        assert frames.replace(b"\x89\x00", b"") == b""  # empty pings, and no close frame
        assert any("no pong frame" in text for text in ex.complaints)


def test_application_pings() -> None:
    with IndodaxSandbox(ping_interval=0.1, pong_timeout=0.2) as ex:
        with opened(ex, url=ex.url.split("?")[0]) as client:
            answer = ask(client, connect={"token": get_token(ex)["connToken"]}, id=1)
            assert answer["connect"]["ping"] == 1
            assert answer["connect"]["pong"] is True
            for _ in range(3):
                assert take(client) == {}
                client.send("{}")
            assert ex.complaints == []
            assert closing(client) == (3012, "no pong")
        with opened(ex, url=ex.url.split("?")[0]) as client:
            ask(client, connect={"token": get_token(ex)["connToken"]}, id=1)
            assert take(client) == {}
            client.send("{}\n{}")
            assert closing(client)[0] == 3501


def test_pings_that_a_slow_client_answers_late() -> None:
    with IndodaxSandbox(ping_interval=0.05, pong_timeout=WAIT) as ex:
        with opened(ex, url=ex.url.split("?")[0]) as client:
            ask(client, connect={"token": get_token(ex)["connToken"]}, id=1)
            for _ in range(3):
                assert take(client) == {}
            ex.hold_pings()
            client.send("{}\n{}\n{}")
            client.send(json.dumps({"subscribe": {"channel": ex.channel()}, "id": 2}))
            answer: Dict[str, Any] = {}
            while not answer:  # one more ping may have been on its way
                answer = take(client)
            assert answer == {"id": 2, "subscribe": {}}
            assert ex.complaints == []


def test_several_commands_in_one_message(ex: IndodaxSandbox) -> None:
    token = get_token(ex)
    with opened(ex) as client:
        one = json.dumps({"connect": {"token": token["connToken"]}, "id": 1})
        two = json.dumps({"subscribe": {"channel": token["channel"]}, "id": 2})
        client.send(f"{one}\n{two}\n")
        assert [list(take(client))[1] for _ in range(2)] == ["connect", "subscribe"]


def test_several_messages_in_one_frame(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        with ex.one_frame():
            ex.random_walk(20)
        assert [str(client.recv(WAIT)).count("\n") for _ in range(2)] == [15, 3]


def test_lost_late_and_refused_replies(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        ex.ignore_next("unsubscribe")
        client.send(json.dumps({"unsubscribe": {"channel": ex.channel()}, "id": 3}))
        ex.reject_subscription(111)
        answer = ask(client, subscribe={"channel": ex.channel()}, id=4)
        assert answer == {"id": 4, "error": {"code": 111, "message": "too many requests", "temporary": True}}
        ex.delay_replies(0.2)
        client.send(json.dumps({"subscribe": {"channel": ex.channel()}, "id": 5}))
        ex.wait_for_subscriber()
        ex.place("btcidr", "BUY", 1, 1)
        assert "push" in take(client)
        assert take(client) == {"id": 5, "subscribe": {}}


def test_the_unsubscribe_push(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        ex.unsubscribe_push(2500, "insufficient state")
        assert take(client)["push"] == {
            "channel": ex.channel(),
            "unsubscribe": {"code": 2500, "reason": "insufficient state"},
        }
        assert ex.subscribers() == []


@pytest.mark.parametrize("reset", [False, True])
def test_drop_cuts_without_a_close_frame(ex: IndodaxSandbox, reset: bool) -> None:
    with subscribed(ex) as client:
        ex.drop(reset=reset)
        assert ex.sessions == []
        assert closing(client) is None


def test_closing_with_codes(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as first, subscribed(ex) as second:
        ex.close_connections(3001, "shutdown", session=ex.sessions[0])
        assert closing(first) == (3001, "shutdown")
        ex.expire_token()
        assert closing(second) == (3005, "connection expired")
        assert ex.sessions == []


def test_stalled_is_silent_until_resumed(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        ex.stall()
        answered = client.ping()
        ex.place("btcidr", "BUY", 1, 1)
        with pytest.raises(TimeoutError):
            client.recv(0.2)
        assert not answered.is_set()
        assert not [item for item in ex.received if item.kind == "ping"]
        ex.resume()
        assert events(client)[0]["order"]["status"] == "NEW"
        assert answered.wait(WAIT)


def test_a_stalled_connection_that_missed_too_much_is_slow(ex: IndodaxSandbox) -> None:
    ex.queue_limit = 10_000
    with subscribed(ex) as client:
        ex.stall()
        ex.random_walk(100)
        ex.resume()
        assert closing(client) == (3008, "slow")


def test_raw_frames_reach_the_client(ex: IndodaxSandbox) -> None:
    with subscribed(ex) as client:
        ex.send_raw("anything")
        ex.send_raw(b"\x00\x01")
        ex.send_frame(1, b"a", fin=False)
        ex.send_frame(9, b"between")
        ex.send_frame(0, b"b")
        assert [client.recv(WAIT) for _ in range(3)] == ["anything", b"\x00\x01", "ab"]
        ex.wait_until(lambda: any(item.kind == "pong" and item.text == "between" for item in ex.received))


@pytest.mark.parametrize(
    ("opcode", "payload", "options", "code"),
    [
        (3, b"", {}, 1002),
        (1, b"x", {"rsv": 4}, 1002),
        (1, b"x", {"mask": True}, 1002),
        (1, b"\xff", {}, 1007),
        (0, b"x", {}, 1002),
    ],
)
def test_frames_that_a_client_must_not_take(
    ex: IndodaxSandbox, opcode: int, payload: bytes, options: Dict[str, Any], code: int
) -> None:
    with subscribed(ex) as client:
        session = ex.sessions[0]
        ex.send_frame(opcode, payload, **options)
        with pytest.raises(ConnectionClosed):
            client.recv(WAIT)
        ex.wait_until(session.closed.is_set)
        assert session.close_code == code


def test_waiting_ends(ex: IndodaxSandbox) -> None:
    with pytest.raises(TimeoutError):
        ex.wait_for_session(timeout=0.05)
    with pytest.raises(TimeoutError):
        ex.wait_until(lambda: False, timeout=0.05)


def test_over_tls() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with IndodaxSandbox(ssl_context=server) as ex, authority.cert_pem.tempfile() as path:
        assert ex.url.startswith("wss:")
        body = f"client=tapi&tapi_key={ex.key}"
        sign = hmac.new(ex.secret.encode(), body.encode(), hashlib.sha512).hexdigest()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sign": sign}
        url = f"{ex.rest_url}/api/private_ws/v1/generate_token"
        token = requests.post(url, data=body, headers=headers, timeout=WAIT, verify=path).json()["return"]
        # websocket-client: it uses the TLS connection from one thread only.
        client = websocket.create_connection(ex.url, WAIT, sslopt={"context": trusting}, suppress_origin=True)
        with contextlib.ExitStack() as stack:
            stack.callback(client.shutdown)  # close() would leave the socket open after the server's close frame
            client.send(json.dumps({"connect": {"token": token["connToken"]}, "id": 1}))
            assert json.loads(client.recv())["id"] == 1
            client.send(json.dumps({"subscribe": {"channel": token["channel"]}, "id": 2}))
            assert json.loads(client.recv()) == {"id": 2, "subscribe": {}}
            ex.random_walk(300)
            received = [json.loads(client.recv(), parse_float=Decimal) for _ in range(300)]
            assert [event for push in received for event in push["push"]["pub"]["data"]] == ex.published
            ex.close_connections(3001, "shutdown")
            opcode, frame = client.recv_data()
            assert (opcode, frame) == (8, struct.pack("!H", 3001) + b"shutdown")
    assert ex.complaints == []


def test_a_request_that_was_cut_off_is_none() -> None:
    body = b"client=tapi&tapi_key=mine"
    head = b"POST /api/private_ws/v1/generate_token HTTP/1.1\r\nHost: here\r\n"
    request = b"%sContent-Length: %d\r\nSign: none\r\n\r\n%s" % (head, len(body), body)
    with IndodaxSandbox() as ex:
        port = int(urlsplit(ex.rest_url).netloc.partition(":")[2])
        for end in range(len(head) - 2, len(request)):
            with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
                sock.sendall(request[:end])
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1000) == b"", request[:end]
        assert ex.complaints == [] and [item for item in ex.received if item.kind == "rest"] == []
        with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
            sock.sendall(request)
            assert sock.recv(1000).startswith(b"HTTP/1.1 ")
        assert ex.complaints != [], "it is heard"


def test_closing_ends_threads_and_the_port_can_be_used_again() -> None:
    before = set(threading.enumerate())
    ex = IndodaxSandbox().start()
    port = ex.port
    with opened(ex) as client, requests.Session() as keep_alive:
        keep_alive.get(ex.rest_url, timeout=WAIT)
        ex.run(100)
        ex.stall()
        ex.close()
        ex.close()
        assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("sandbox")]
        assert closing(client) is None
    with ex:
        assert ex.port == port
        with subscribed(ex):
            assert ex.opened == 2
