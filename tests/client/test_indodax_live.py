"""The Indodax client against its simulated exchange, over real sockets: the token, the stream, and everything that breaks."""

from __future__ import annotations

import ssl
import threading
from decimal import Decimal
from typing import Any, Callable, Iterator, List

import pytest
import trustme

import xchws
from xchws.exchanges.indodax import models
from xchws.sandbox import FaultProxy, IndodaxSandbox

Make = Callable[..., Any]


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def test_orders_and_fills_with_exact_numbers(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    stream = client.events(xchws.Data, timeout=5)
    order = indodax.place("solidr", "SELL", "2450000", "1.5", client_order_id="my-77")
    indodax.fill(order, "0.4")
    indodax.fill(order)
    events = [next(stream) for _ in range(6)]
    new, partly, first, full, second, done = events
    assert (new.status, new.quantity, new.filled, new.remaining) == ("NEW", Decimal("1.5"), 0, Decimal("1.5"))
    assert (partly.status, partly.filled, partly.final) == ("PARTIALLY_FILLED", Decimal("0.4"), False)
    assert isinstance(first, models.Fill)
    assert (first.quantity, first.price, first.client_order_id) == (Decimal("0.4"), Decimal("2450000"), "my-77")
    assert (
        str(first.clearing_rate) == "0.000111" and first.raw["fillInformation"]["clearingRate"] == first.clearing_rate
    )
    assert (full.status, full.final) == ("FILLED", True)
    assert second.quantity == Decimal("1.1") and second.id != first.id
    assert (done.status, done.exchange_status, done.filled) == ("FILLED", "DONE", Decimal("1.5"))
    assert all(event.symbol == "solidr" and event.exchange == "indodax" for event in events)
    assert indodax.complaints == []


def test_every_event_once_and_in_order(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    orders: List[Any] = []
    client = make_indodax(on_order=orders.append)
    client.start(5)
    indodax.random_walk(300, seed=7)
    last = indodax.place("lastidr", "BUY", "1", "1")
    found = client.expect(xchws.Order, id=last.id)
    if not any(order.id == last.id for order in orders):
        found.result(10)
    client.stop()
    sent = [
        (event["order"]["orderId"], event["order"]["status"], event["order"]["executedQty"])
        for event in indodax.published
    ]
    assert [(order.id, order.exchange_status, str(order.filled)) for order in orders] == sent


def test_no_origin_and_a_fresh_token_for_every_connection(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    for _ in range(3):
        back = client.expect(xchws.Connected)
        indodax.drop(reset=True)
        back.result(5)
    tokens = [message["connect"]["token"] for message in indodax.messages if "connect" in message]
    assert len(set(tokens)) == len(tokens) == 4
    assert all("host" in handshake.headers and "origin" not in handshake.headers for handshake in indodax.handshakes)
    assert indodax.complaints == [] and indodax.remarks == []


def test_an_expired_token_is_replaced(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.expire_next_tokens(2)
    client.start(5)
    assert client.status().state is xchws.State.READY
    assert len(indodax.rest_requests) == 3


def test_tokens_that_are_always_expired_end_it(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.expire_next_tokens(100)
    with pytest.raises(xchws.AuthenticationFailed, match="token expired.*clock"):
        client.start(10)


def test_permission_denied_twice_ends_it(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.reject_subscription()
    indodax.reject_subscription()
    with pytest.raises(xchws.AuthenticationFailed, match="103"):
        client.start(10)
    assert len(indodax.rest_requests) == 2


def test_403_does_not_go_on_for_ever(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.refuse(403, "Forbidden")
    with pytest.raises(xchws.ConfigurationError, match="Origin"):
        client.start(10)
    assert 2 <= len(indodax.handshakes) <= 10


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 502, 503])
def test_refused_handshakes_are_tried_again(indodax: IndodaxSandbox, make_indodax: Make, status: int) -> None:
    client = make_indodax()
    down = client.expect(xchws.Disconnected)
    headers = {"Location": "ws://127.0.0.1:1/"} if status < 400 else {}
    indodax.refuse(status, "<html>not now</html>", headers, times=1)
    client.start(5)
    error = down.result(5).error
    assert isinstance(error, xchws.HandshakeRejected) and error.status == status
    assert str(status) in str(error)


def test_retry_after_is_honoured(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.refuse_rest(
        429, '{"success":0,"error":"Too many","error_code":"too_many_requests"}', {"Retry-After": "777"}
    )
    down = client.expect(xchws.Disconnected)
    client.start()
    event = down.result(5)
    assert isinstance(event.error, xchws.RateLimited) and event.error.retry_after == 777
    assert event.retry_in >= 777
    assert client.status().state is xchws.State.WAITING


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 500, 502])
def test_a_token_endpoint_that_talks_nonsense(indodax: IndodaxSandbox, make_indodax: Make, status: int) -> None:
    client = make_indodax()
    down = client.expect(xchws.Disconnected)
    indodax.refuse_rest(status, "<html>maintenance</html>", {"Location": "http://127.0.0.1:1/"}, times=1)
    client.start(5)
    assert isinstance(down.result(1).error, xchws.OpenFailed)


@pytest.mark.parametrize("kind", ["connect", "subscribe"])
def test_a_reply_that_never_comes(indodax: IndodaxSandbox, make_indodax: Make, kind: str) -> None:
    client = make_indodax(open_timeout=0.5)
    down = client.expect(xchws.Disconnected)
    indodax.ignore_next(kind)
    client.start(5)
    assert isinstance(down.result(1).error, xchws.OpenFailed)
    assert "not ready within 0.5 s" in str(down.result(0).error)


def test_what_is_told_before_a_reply_that_never_comes_is_not_lost(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax(open_timeout=1.0)
    stream = client.events(xchws.Event, timeout=5)
    indodax.ignore_next("subscribe")
    client.start()
    indodax.wait_for_subscriber()
    order = indodax.place("btcidr", "BUY", "1", "1")
    told = [next(stream) for _ in range(3)]
    assert [type(event) for event in told] == [xchws.StateChanged, xchws.Order, xchws.StateChanged]
    assert told[1].id == order.id and told[2].new is xchws.State.WAITING
    client.wait_ready(5)


def test_the_token_is_refreshed_on_the_living_connection(make_indodax: Make) -> None:
    with IndodaxSandbox(ttl=2) as exchange:
        client = make_indodax(url=exchange.url, rest_url=exchange.rest_url)
        errors: List[Any] = []
        client.on_error(errors.append)
        client.start(5)
        exchange.wait_until(lambda: sum("refresh" in message for message in exchange.messages) >= 2, 10)
        order = client.expect(xchws.Order)
        exchange.place("btcidr", "BUY", "1", "1")
        order.result(5)
        client.stop()
        assert exchange.opened == 1 and errors == [] and exchange.complaints == []


def test_a_refused_refresh_is_a_succession_without_a_gap(make_indodax: Make) -> None:
    with IndodaxSandbox(ttl=3) as exchange:
        orders: List[Any] = []
        trouble: List[Any] = []
        client = make_indodax(
            url=exchange.url, rest_url=exchange.rest_url, on_order=orders.append, on_gap=trouble.append
        )
        client.on_disconnect(lambda event: trouble.append(event) if event.error else None)
        client.start(5)
        exchange.reject_next("refresh", 108, "not available")
        exchange.run(200)
        exchange.wait_until(lambda: exchange.opened >= 2 and len(exchange.sessions) == 1, 10)
        exchange.pause()
        last = client.expect(xchws.Order, symbol="lastidr")
        exchange.place("lastidr", "BUY", "1", "1")
        last.result(10)
        assert client.status().reconnects == 1
        client.stop()
        told = [(order.id, order.exchange_status, str(order.filled)) for order in orders]
        sent = [
            (event["order"]["orderId"], event["order"]["status"], event["order"]["executedQty"])
            for event in exchange.published
        ]
        assert told == sent, "nothing is missing, nothing is double, and all is in order"
        assert trouble == [] and exchange.complaints == []


def refresh_now(client: Any) -> None:
    """The refresh is due after half the ttl: its time is moved instead of waiting for it."""
    protocol = client._session.active.protocol

    def due(now: float) -> List[Any]:
        protocol._refresh_at = now
        return []

    client._loop.post(due)


def test_a_failing_token_endpoint_does_not_touch_the_living_connection(make_indodax: Make) -> None:
    with IndodaxSandbox(ttl=30) as exchange:
        client = make_indodax(url=exchange.url, rest_url=exchange.rest_url)
        client.start(5)
        exchange.refuse_rest(500, "down")
        failed = client.expect(xchws.Failure)
        refresh_now(client)
        assert isinstance(failed.result(5).error, xchws.OpenFailed)
        assert client.status().state is xchws.State.READY and exchange.opened == 1
        order = client.expect(xchws.Order)
        exchange.place("btcidr", "BUY", "1", "1")
        order.result(5)


def test_a_token_that_cannot_be_replaced_ends_the_connection_and_no_more(make_indodax: Make) -> None:
    """The endpoint is down until after the token's end; then it goes on by itself."""
    with IndodaxSandbox(ttl=30) as exchange:
        client = make_indodax(url=exchange.url, rest_url=exchange.rest_url)
        client.start(5)
        failures, down = client.events(xchws.Failure, timeout=5), client.expect(xchws.Disconnected)
        gap = client.expect(xchws.Gap)
        exchange.refuse_rest(503, "<html>maintenance</html>")
        refresh_now(client)
        assert isinstance(next(failures).error, xchws.OpenFailed), "the new token, on the connection that stands"
        assert client.status().state is xchws.State.READY
        exchange.expire_token()
        lost = down.result(5).error
        assert isinstance(lost, xchws.ConnectionLost) and lost.code == 3005
        exchange.accept_rest()
        assert gap.result(5).channels == ("orders",)
        assert exchange.complaints == []


def test_ping_frames_are_answered_whatever_the_callbacks_do(make_indodax: Make) -> None:
    with IndodaxSandbox(ping_interval=0.05, pong_grace=5) as exchange:
        held, release = threading.Event(), threading.Event()

        def slow(order: xchws.Order) -> None:
            held.set()
            release.wait(10)

        client = make_indodax(url=exchange.url, rest_url=exchange.rest_url, on_order=slow)
        client.start(5)
        exchange.place("btcidr", "BUY", "1", "1")
        assert held.wait(5)
        before = sum(item.kind == "pong" for item in exchange.received)
        exchange.wait_until(lambda: sum(item.kind == "pong" for item in exchange.received) >= before + 3, 10)
        release.set()
        client.stop()
        assert {} not in exchange.messages, "that would be the pong of the other mode"
        assert exchange.complaints == [] and exchange.opened == 1


def test_application_pings_are_answered(make_indodax: Make) -> None:
    with IndodaxSandbox(ping_interval=0.1, pong_timeout=5) as exchange:
        plain = exchange.url.split("?")[0]
        client = make_indodax(url=plain, rest_url=exchange.rest_url)
        client.start(5)
        exchange.wait_until(lambda: sum(message == {} for message in exchange.messages) >= 3, 10)
        client.stop()
        assert exchange.complaints == [] and exchange.opened == 1


def test_a_mute_peer_is_noticed(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    with FaultProxy("127.0.0.1", port_of(indodax.url)) as proxy:
        client = make_indodax(url=proxy.url(indodax.url), ping_interval=0.1, ping_timeout=0.2)
        client.start(5)
        down = client.expect(xchws.Disconnected)
        proxy.freeze()
        assert isinstance(down.result(5).error, xchws.Silent)
        proxy.thaw()
        proxy.cut()
        client.wait_ready(5)


@pytest.mark.parametrize("fault", ["byte by byte", "throttled", "delayed"])
def test_a_bad_line_loses_nothing(indodax: IndodaxSandbox, make_indodax: Make, fault: str) -> None:
    with FaultProxy("127.0.0.1", port_of(indodax.url)) as proxy:
        if fault == "byte by byte":
            proxy.byte_by_byte()
        elif fault == "throttled":
            proxy.throttle(100_000)
        else:
            proxy.delay(0.02)
        fills: List[Any] = []
        client = make_indodax(url=proxy.url(indodax.url), on_fill=fills.append)
        client.start(10)
        indodax.random_walk(20, seed=3)
        last = client.expect(xchws.Order, symbol="lastidr")
        indodax.place("lastidr", "BUY", "1", "1")
        last.result(10)
        client.stop()
        sent = [event["order"]["tradeId"] for event in indodax.published if event["order"]["status"] == "FILL"]
        assert [fill.id for fill in fills] == sent


def test_a_message_cut_in_the_middle(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    with FaultProxy("127.0.0.1", port_of(indodax.url)) as proxy:
        client = make_indodax(url=proxy.url(indodax.url))
        client.start(5)
        down, gap = client.expect(xchws.Disconnected), client.expect(xchws.Gap)
        proxy.truncate_after(50)
        indodax.place("btcidr", "BUY", "1", "1")
        assert "in the middle of a message" in str(down.result(5).error)
        proxy.clear()
        assert gap.result(5).channels == ("orders",)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"opcode": 3, "payload": b"x"}, 1002),
        ({"opcode": 1, "payload": b"x", "rsv": 4}, 1002),
        ({"opcode": 1, "payload": b"\xff\xfe"}, 1007),
        ({"opcode": 9, "payload": b"x" * 126}, 1002),
    ],
)
def test_a_peer_that_breaks_the_protocol(indodax: IndodaxSandbox, make_indodax: Make, frame: Any, code: int) -> None:
    client = make_indodax()
    client.start(5)
    down, back = client.expect(xchws.Disconnected), client.expect(xchws.Connected)
    session = indodax.wait_for_session()
    indodax.send_frame(**frame)
    assert down.result(5).error.code == code
    back.result(5)
    indodax.wait_until(lambda: session.close_code is not None)
    assert session.close_code == code


@pytest.mark.parametrize("text", ["no json", '{"push":', "[" * 5000, "3", '"x"', '{"push":3}', '{"id":99}', "\n\n"])
def test_unreadable_messages_are_told_and_the_connection_lives(
    indodax: IndodaxSandbox, make_indodax: Make, text: str
) -> None:
    client = make_indodax()
    client.start(5)
    failure, order = client.expect(xchws.Failure), client.expect(xchws.Order)
    indodax.send_raw(text)
    indodax.place("btcidr", "BUY", "1", "1")
    order.result(5)
    assert indodax.opened == 1
    if text.strip():
        error = failure.result(1).error
        assert isinstance(error, xchws.ProtocolError) and error.text
        assert len(str(error)) < 1000


def test_a_restart_of_the_server(make_indodax: Make) -> None:
    with IndodaxSandbox() as first:
        ports = port_of(first.url), port_of(first.rest_url + "/")
        client = make_indodax(url=first.url, rest_url=first.rest_url)
        client.start(5)
        down = client.expect(xchws.Disconnected)
    down.result(5)
    with IndodaxSandbox(port=ports[0], rest_port=ports[1]) as second:
        client.wait_ready(10)
        gone = client.stop()
        assert gone and second.complaints == []


@pytest.fixture(scope="module")
def authority() -> Iterator[trustme.CA]:
    yield trustme.CA()


def test_over_tls_with_own_certificate(authority: trustme.CA, make_indodax: Make) -> None:
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    with IndodaxSandbox(ssl_context=server) as exchange:
        assert exchange.url.startswith("wss://") and exchange.rest_url.startswith("https://")
        orders: List[Any] = []
        client = make_indodax(url=exchange.url, rest_url=exchange.rest_url, tls=trusting, on_order=orders.append)
        client.start(5)
        last = client.expect(xchws.Order, symbol="lastidr")
        with exchange.one_frame():
            exchange.random_walk(500, seed=5)
        exchange.place("lastidr", "BUY", "1", "1")
        last.result(10)
        client.stop()
        assert [order.id for order in orders] == [event["order"]["orderId"] for event in exchange.published]


def test_a_certificate_that_nobody_vouches_for_is_refused(authority: trustme.CA, make_indodax: Make) -> None:
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    with IndodaxSandbox(ssl_context=server) as exchange:
        # One try: another one that the sandbox's end meets in the middle would leave urllib3 an open socket.
        once = xchws.Backoff(initial=600, maximum=600)
        untrusting = make_indodax(url=exchange.url, rest_url=exchange.rest_url, backoff=once)
        down = untrusting.expect(xchws.Disconnected)
        untrusting.start()
        assert "CERTIFICATE_VERIFY_FAILED" in str(down.result(5).error)
        assert exchange.handshakes == []


def test_many_clients_in_one_process(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    clients = [make_indodax() for _ in range(10)]
    for client in clients:
        client.start()
    for client in clients:
        client.wait_ready(10)
    seen = [client.expect(xchws.Order) for client in clients]
    indodax.place("btcidr", "BUY", "1", "1")
    for expectation in seen:
        expectation.result(10)
    for client in clients:
        assert client.stop()
    left = [thread.name for thread in threading.enumerate() if thread.name.endswith(("owner", "callbacks"))]
    assert left == []
