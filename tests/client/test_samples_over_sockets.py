"""The vendors' printed samples, byte for byte, from a real socket through a whole client: the right events, exact numbers."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from websockets.sync.server import ServerConnection, serve

import xchws

SAMPLES = Path(__file__).resolve().parents[1] / "exchanges" / "samples"
QUICK = xchws.Backoff(initial=0.01, maximum=0.05)


def sample(vendor: str, name: str) -> str:
    return (SAMPLES / vendor / f"{name}.json").read_text("utf-8")


@contextmanager
def peer(script: Callable[[ServerConnection], None]) -> Iterator[str]:
    """A server that plays a script to whoever comes; its address."""
    server = serve(script, "127.0.0.1", 0, compression=None, ping_interval=None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def endpoint(answer: str) -> Iterator[str]:
    """A token endpoint that gives this answer; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def hold(connection: ServerConnection) -> None:
    """Keep the connection until the client ends it."""
    for _ in connection:
        pass


ORDERS = {
    "order_new": ("aaveidr-limit-3397", "buy", "NEW", "0.00996909", "0", "2000000", 1705635775203),
    "order_fill": ("aaveidr-limit-13525", "buy", "FILLED", "0.0046462", "0.0046462", "4289899", 1734490232679),
    "order_cancelled": ("aaveidr-limit-3399", "sell", "CANCELED", "0.05015045", "0", "2000000", 1705636274643),
    "order_done": ("aaveidr-limit-3397", "buy", "FILLED", "0.00996909", "0.00996909", "2000000", 1705635775203),
    "order_rejected": ("aaveidr-limit-3397", "buy", "REJECTED", "0.00996909", "0.00996909", "2000000", 1705635775203),
}


def test_indodax_as_printed() -> None:
    heard: List[Any] = []

    def script(connection: ServerConnection) -> None:
        heard.append(json.loads(connection.recv()))
        connection.send(sample("indodax", "connect_success"))
        heard.append(json.loads(connection.recv()))
        connection.send('{"id":2,"subscribe":{}}')
        for name in ORDERS:
            connection.send(sample("indodax", name))
        hold(connection)

    with endpoint(sample("indodax", "token_success")) as rest_url, peer(script) as url:
        client = xchws.Indodax("key", "secret", url=url, rest_url=rest_url)
        stream = client.events(xchws.Data, timeout=5)
        with client:
            events: List[Any] = [next(stream) for _ in range(6)]
    granted = json.loads(sample("indodax", "token_success"))["return"]
    connect, subscribe = (json.loads(sample("indodax", name)) for name in ("connect_command", "subscribe_command"))
    connect["connect"]["token"] = granted["connToken"]
    assert heard == [connect, subscribe]
    fill = events.pop(2)
    for event, (name, wanted) in zip(events, ORDERS.items()):
        identity, side, status, quantity, filled, price, time = wanted
        assert (event.id, event.side, event.status, event.time_ms) == (identity, side, status, time)
        assert (event.quantity, event.filled, event.price) == (Decimal(quantity), Decimal(filled), Decimal(price))
        assert event.symbol == "aaveidr" and event.raw["orderId"] == identity, name
    assert isinstance(fill, xchws.Fill)
    assert (fill.id, fill.quantity, fill.liquidity) == ("72057594037968281", Decimal("0.0046462"), "taker")
    assert (fill.fee, fill.fee_asset) == (Decimal(39), "idr")
    assert str(fill.raw["fillInformation"]["clearingRate"]) == "0.000222"


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (["connect_expired_token"], "109 token expired"),
        (["connect_success", "subscribe_failure"], "103 permission denied"),
    ],
)
def test_indodax_refusals_as_printed(answers: List[str], says: str) -> None:
    def script(connection: ServerConnection) -> None:
        for name in answers:
            connection.recv()
            connection.send(sample("indodax", name))
        hold(connection)

    with endpoint(sample("indodax", "token_success")) as rest_url, peer(script) as url:
        client = xchws.Indodax("key", "secret", url=url, rest_url=rest_url, backoff=QUICK)
        with client, pytest.raises(xchws.AuthenticationFailed, match=says):
            client.wait_ready(10)


def test_indodax_token_failure_as_printed() -> None:
    with endpoint(sample("indodax", "token_failure")) as rest_url:
        # A key that is a word of the answer: it is hidden, and the answer is understood all the same.
        client = xchws.Indodax("tapi", "invalid", url="ws://127.0.0.1:1/", rest_url=rest_url)
        with client, pytest.raises(xchws.AuthenticationFailed, match="Invalid TAPI key") as refused:
            client.wait_ready(10)
    assert refused.value.code == "invalid_tapi_key"


def test_richamster_as_printed() -> None:
    heard: List[Any] = []

    def script(connection: ServerConnection) -> None:
        heard.append(json.loads(connection.recv()))
        connection.send(sample("richamster", "success"))
        for name in ("ticker", "order_book", "trading"):
            connection.send(sample("richamster", name))
        heard.append(json.loads(connection.recv()))
        connection.send(sample("richamster", "error"))
        heard.append(json.loads(connection.recv()))
        connection.send('{"type":"success","message":"You are connected"}')
        connection.send(sample("richamster", "user_orders"))
        hold(connection)

    with peer(script) as url:
        client = xchws.Richamster("124dfg7er894672isdg", url=url, wire_channels={"user_orders": "trading"})
        stream = client.events(xchws.Data, timeout=5)
        with client:
            client.subscribe_trades("KRB/UAH").wait(5)
            ticker, level, trade = (next(stream) for _ in range(3))
            with pytest.raises(xchws.SubscriptionRejected, match="Subscription channel is invalid."):
                client.subscribe_ticker("KRB/UAH").wait(5)
            client.subscribe_trades("KRB/UAH").unsubscribe()
            client.subscribe_user_orders("KRB/UAH").wait(5)
            order = next(stream)
    assert heard[0] == json.loads(sample("richamster", "subscribe_first"))
    assert heard[2] == json.loads(sample("richamster", "subscribe_user_orders"))
    assert isinstance(ticker, xchws.Ticker)
    assert [str(number) for number in (ticker.last, ticker.open, ticker.high, ticker.low, ticker.volume)] == [
        "1.234", "0.234", "1.78", "0.5", "10.234236",
    ]  # fmt: skip
    assert isinstance(level, xchws.BookLevel)
    assert (level.side, str(level.price), str(level.quantity)) == ("sell", "1.234", "10.234236")
    assert isinstance(trade, xchws.Trade)
    assert (trade.side, str(trade.price), trade.time_ms) == ("sell", "1.00", 1532696617000)
    assert isinstance(order, xchws.Order)
    assert (order.id, str(order.quantity), order.final) == ("1", "2.23236", True)
    assert all(event.symbol == "KRB/UAH" for event in (ticker, level, trade, order))
