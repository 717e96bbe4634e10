"""The vendors' printed samples, byte for byte, from a real socket through a whole client: the right events, exact numbers.

Here are Indodax (both services), Kyrrex and Richamster; Kyan and Finery Markets have theirs beside their other tests.
"""

from __future__ import annotations

import ast
import http.server
import json
import re
import threading
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from websockets.sync.server import ServerConnection, serve

import xchws
from xchws.exchanges.indodax import market_models
from xchws.exchanges.kyrrex import models as kyrrex_models

SAMPLES = Path(__file__).resolve().parents[1] / "exchanges" / "samples"
QUICK = xchws.Backoff(initial=0.01, maximum=0.05)


def sample(vendor: str, name: str) -> str:
    """As it is printed; without the remarks that one page writes into its samples, for with them they are no JSON."""
    return re.sub(r"[ \t]*// .*", "", (SAMPLES / vendor / f"{name}.json").read_text("utf-8"))


def test_every_sample_goes_over_a_socket() -> None:
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    # The others have a file of their own.
    vendors = {path.name for path in SAMPLES.iterdir() if path.is_dir()} - {"finery", "kyan"}
    assert vendors | {path.stem for vendor in vendors for path in (SAMPLES / vendor).glob("*.json")} <= named


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
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
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
        heard.append(json.loads(connection.recv()))
        connection.send('{"type":"success","message":"You are connected"}')
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
            client.subscribe_order_book("KRB/UAH").wait(5)
    # The page prints the same three times, and says `trading` for `ticker`, too.
    for name in ("subscribe_first", "subscribe_trading", "subscribe_ticker"):
        assert heard[0] == json.loads(sample("richamster", name))
    assert heard[3] == json.loads(sample("richamster", "subscribe_order_book"))
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


def test_indodax_executions_in_one_push_as_printed() -> None:
    text = sample("indodax", "order_multi_fill")
    channel = json.loads(text)["push"]["channel"]
    granted = sample("indodax", "token_success").replace("pws:#c12d3ca099785ede15c37c9b7642ab89d19bc96e", channel)

    def script(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(sample("indodax", "connect_success"))
        assert json.loads(connection.recv())["subscribe"]["channel"] == channel
        connection.send('{"id":2,"subscribe":{}}')
        connection.send(text)
        hold(connection)

    with endpoint(granted) as rest_url, peer(script) as url:
        client = xchws.Indodax("key", "secret", url=url, rest_url=rest_url)
        stream = client.events(xchws.Data, timeout=5)
        with client:
            events: List[Any] = [next(stream) for _ in range(6)]
    new, partly, first, full, second, done = events
    assert [(order.status, str(order.filled), order.final) for order in (new, partly, full, done)] == [
        ("NEW", "0", False),
        ("PARTIALLY_FILLED", "0.01244287", False),
        ("FILLED", "0.02504373", True),
        ("FILLED", "0.02504373", True),
    ]
    assert [(str(fill.quantity), str(fill.fee), fill.id, fill.liquidity) for fill in (first, second)] == [
        ("0.01244287", "49", "72057594038023405", "maker"),
        ("0.01260086", "50", "72057594038023406", "maker"),
    ]
    assert first.quantity + second.quantity == done.filled
    assert str(first.clearing_rate) == "0.000111" and done.exchange_status == "DONE"
    assert {event.order_id if isinstance(event, xchws.Fill) else event.id for event in events} == {
        "aaveidr-limit-30212"
    }


# ------------------------------------------------------------------------------------------------ Indodax's market data


def as_written(text: str) -> Any:
    """A command, and what is left out of it: the method 0, and the number, which is the client's to choose."""
    command = json.loads(text)
    return {"method": 0, **command, "id": None}


def market(url: str) -> xchws.IndodaxMarket:
    return xchws.IndodaxMarket(url=url, backoff=QUICK)


def whole(event: Any) -> Dict[str, Any]:
    """What an event says, with numbers as they were written."""
    shown: Dict[str, Any] = {}
    for name in dir(event):
        value = None if name.startswith("_") else getattr(event, name)
        if isinstance(value, Decimal):
            shown[name] = str(value)
    return {**shown, "symbol": event.symbol, "time_ms": event.time_ms, "offset": event.offset}


MARKET: Dict[str, Any] = {
    "ticks": [
        {"symbol": "usdtidr", "time_ms": 1632717721000, "offset": 266983, "price": "14340", "quantity": "1063.73019525"},
    ],
    "summary": [
        {
            "symbol": "dogeidr", "time_ms": 1635134109000, "offset": 2444948, "last": "3810", "low": "3480", "high": "3980",
            "open": "3523", "quote_volume": "112745093944.00000000", "volume": "30241791.15270789",
        },
        {
            "symbol": "usdtidr", "time_ms": 1635134410000, "offset": 2444948, "last": "14124", "low": "14076", "high": "14130",
            "open": "14123", "quote_volume": "194798674207.00000000", "volume": "13798116.12995762",
        },
    ],
    "trades": [
        {
            "symbol": "btcidr", "time_ms": 1635274052000, "offset": 243556, "price": "881991000", "quantity": "0.00003372",
            "quote_quantity": "29740",
        },
    ],
    "order_book": [{"symbol": "btcidr", "time_ms": None, "offset": 67409}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("channel", "command", "subscribe"),
    [
        ("ticks", "subscribe_ticks", lambda client: client.subscribe_ticks("usdtidr")),
        ("summary", "subscribe_summary", lambda client: client.subscribe_summary()),
        ("trades", "subscribe_trades", lambda client: client.subscribe_trades("btcidr")),
        ("order_book", "subscribe_order_book", lambda client: client.subscribe_order_book("btcidr")),
    ],
)
def test_indodax_market_as_printed(channel: str, command: str, subscribe: Callable[[xchws.IndodaxMarket], Any]) -> None:
    heard: List[Any] = []
    offset = json.loads(sample("indodax_market", channel))["result"]["data"]["offset"]

    def script(connection: ServerConnection) -> None:
        heard.append(as_written(str(connection.recv())))
        connection.send(sample("indodax_market", "connect_success"))
        heard.append(as_written(str(connection.recv())))
        # The page's answers are of another day than its messages; what stands here comes before the message.
        connection.send(json.dumps({"id": 2, "result": {"recoverable": True, "epoch": "16304", "offset": offset - 1}}))
        connection.send(sample("indodax_market", channel))
        hold(connection)

    with peer(script) as url:
        client = market(url)
        stream = client.events(xchws.Data, timeout=5)
        subscribe(client)
        with client:
            events: List[Any] = [next(stream) for _ in MARKET[channel]]
    assert heard == [as_written(sample("indodax_market", name)) for name in ("connect_command", command)]
    assert [whole(event) for event in events] == MARKET[channel]
    if channel == "ticks":
        assert isinstance(events[0], market_models.Tick) and events[0].id == "4087327"
    elif channel == "trades":
        assert (events[0].id, events[0].side) == ("21999427", "buy")
    elif channel == "order_book":
        levels = [
            [(str(price), str(quantity)) for price, quantity in side] for side in (events[0].asks, events[0].bids)
        ]
        assert levels == [
            [("319437000", "0.11035661"), ("319754000", "0.20000000")],
            [("319436000", "0.61427265"), ("319373000", "0.00697822")],
        ]


@pytest.mark.parametrize(
    ("answer", "subscribe"),
    [
        ("subscribe_ticks_success", lambda client: client.subscribe_ticks("usdtidr")),
        ("subscribe_summary_success", lambda client: client.subscribe_summary()),
        ("subscribe_trades_success", lambda client: client.subscribe_trades("btcidr")),
    ],
)
def test_indodax_market_answers_as_printed(answer: str, subscribe: Callable[[xchws.IndodaxMarket], Any]) -> None:
    """And the end of a subscription; the answer to a ping, which is never sent as a message, answers nothing."""
    heard: List[Any] = []
    done = threading.Event()

    def script(connection: ServerConnection) -> None:
        for name in ("connect_success", answer):
            connection.recv()
            connection.send(sample("indodax_market", name))
        heard.append(as_written(str(connection.recv())))
        connection.send(sample("indodax_market", "unsubscribe_success"))
        connection.send(sample("indodax_market", "ping_success"))
        done.set()
        hold(connection)

    with peer(script) as url:
        client = market(url)
        failure = client.expect(xchws.Failure)
        subscription = subscribe(client)
        with client:
            subscription.wait(5).unsubscribe()
            assert done.wait(5)
            assert isinstance(failure.result(5).error, xchws.ProtocolError)
            assert client.status().state is xchws.State.READY
    unsubscribe = as_written(sample("indodax_market", "unsubscribe"))
    assert heard == [{**unsubscribe, "params": {"channel": subscription.name}}]
    assert json.loads(sample("indodax_market", "ping_command")) == {"method": 7, "id": 3}


def test_indodax_market_recovery_as_printed() -> None:
    """The page's answer begins with what the client has: it is told once. It does not say whether it is all."""
    asked: List[Any] = []
    first = json.loads(sample("indodax_market", "recover_success"))["result"]["publications"][0]
    push = json.dumps({"result": {"channel": "chart:tick-usdtidr", "data": first}})

    def script(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(sample("indodax_market", "connect_success"))
        asked.append(as_written(str(connection.recv())))
        if len(asked) == 1:
            connection.send('{"id":2,"result":{"recoverable":true,"epoch":"1630401092","offset":820573}}')
            connection.send(push)
            connection.close(1001)
        else:
            connection.send(sample("indodax_market", "recover_success"))
            hold(connection)

    with peer(script) as url:
        client = market(url)
        ticks, gap = client.events(market_models.Tick, timeout=5), client.expect(xchws.Gap)
        client.subscribe_ticks("usdtidr")
        with client:
            told = [next(ticks) for _ in range(4)]
            assert not gap.result(5).recovered
    recover = as_written(sample("indodax_market", "recover"))
    recover["params"]["epoch"] = "1630401092"  # with it the server says whether it is all
    assert asked[1] == recover
    assert [(tick.offset, tick.id, str(tick.price), str(tick.quantity)) for tick in told] == [
        (820574, "4673347", "14130", "17.75166439"),
        (820575, "4673348", "14130", "10.00000000"),
        (820576, "4673349", "14131", "221.07734767"),
        (820577, "4673350", "14131", "3.24202108"),
    ]


# --------------------------------------------------------------------------------------------------------------- Kyrrex


@pytest.mark.parametrize("binary", [False, True])
def test_kyrrex_as_printed(binary: bool) -> None:
    paths: List[str] = []

    def script(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        connection.send('0{"sid":"Qx","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}')
        assert connection.recv() == "40"
        connection.send('40{"sid":"Zr"}')
        if binary:
            connection.send('451-["account",{"_placeholder":true,"num":0}]')
            connection.send(sample("kyrrex", "account").encode())
        else:
            connection.send(f'42["account",{sample("kyrrex", "account")}]')
        hold(connection)

    # Key, secret and user of the page's sample.
    key, secret, user = "kjdh723ncs73ncdsnc72ncs73kds32L3skD2", "GJSsaK3PpwOjgLK2lkPmQ5TZRtF2pPoQBZ9yyuAa", "dfgkh45p8"
    with peer(script) as url:
        client = xchws.Kyrrex(key, secret, user_uuid=user, url=url, backoff=QUICK)
        balance = client.expect(xchws.Balance)
        with client:
            account = balance.result(5)
    assert isinstance(account, kyrrex_models.Account)
    assert (str(account.free), str(account.locked), str(account.total), str(account.bonus)) == (
        "82.9858332031", "14.12", "97.1058332031", "10.0",
    )  # fmt: skip
    assert (account.asset, account.name, account.coin_type, account.action) == ("usdt", "usdt", "crypto", "update")
    assert account.raw == json.loads(sample("kyrrex", "account"))["data"]["object"]
    sign = "eb938f54ced1f6a61d710f81db8c2df37e810123aa1ac9c90f3d964fcff37df7"
    assert paths == [f"/zsu/ws/v1/?api_key={key}&api_sign={sign}&EIO=4&transport=websocket"]
