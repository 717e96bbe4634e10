"""The simulated Richamster, driven by a foreign WebSocket client.

Samples of https://richamster.com/api/v1/docs/websockets/ (read 2026-11) serve as references for texts and fields.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Dict, Iterator, Optional

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from xchws.sandbox import RichamsterSandbox

WAIT = 5.0
PAIR = "KRB/UAH"
TICKER_FIELDS = ["pair", "last", "first", "high", "low", "volume"]
LEVEL_FIELDS = ["pair", "unit_price", "sum", "side", "volume"]
TRADE_FIELDS = ["created_at", "closed_at", "side", "volume", "unit_price", "sum", "pair"]


@pytest.fixture
def ex() -> Iterator[RichamsterSandbox]:
    with RichamsterSandbox(seed=1) as exchange:
        yield exchange


@contextmanager
def opened(ex: RichamsterSandbox, url: Optional[str] = None, **options: Any) -> Iterator[ClientConnection]:
    with connect(
        url or ex.url, compression=None, ping_interval=None, proxy=None, close_timeout=0.5, **options
    ) as client:
        yield client


def take(client: ClientConnection) -> Dict[str, Any]:
    answer: Dict[str, Any] = json.loads(client.recv(WAIT), parse_float=Decimal)
    return answer


def subscribe(client: ClientConnection, channel: str, pair: str = PAIR, **more: str) -> Dict[str, Any]:
    client.send(json.dumps({"channel": channel, "pair": pair, **more}))
    return take(client)


@pytest.mark.parametrize("channel", ["ticker", "order_book", "trading"])
def test_a_subscription_succeeds_with_the_text_of_the_page(ex: RichamsterSandbox, channel: str) -> None:
    with opened(ex) as client:
        client.send(json.dumps({"channel": channel, "pair": PAIR}))
        names = f'channel \\"{channel}\\" and currency pair \\"KRB/UAH\\"'
        assert client.recv(WAIT) == f'{{"type":"success","message":"You are connected to {names}"}}'
        assert ex.wait_for_subscriber(channel, PAIR) is ex.sessions[0]
    assert ex.complaints == []


def test_errors(ex: RichamsterSandbox) -> None:
    with opened(ex) as client:
        assert subscribe(client, "trades") == {"type": "error", "message": "Subscription channel is invalid."}
        assert subscribe(client, "trading", "krb_uah")["type"] == "error"
        assert subscribe(client, "user_orders")["type"] == "error"
        assert subscribe(client, "user_orders", token="wrong")["type"] == "error"
        assert subscribe(client, "user_orders", token=ex.token)["type"] == "success"
        ex.expire_token()
        assert subscribe(client, "user_orders", token=ex.token)["type"] == "error"
        ex.reject_subscription("Not today.")
        assert subscribe(client, "trading") == {"type": "error", "message": "Not today."}
        assert len(ex.complaints) == 5
        client.send("no JSON")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(WAIT)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


def test_each_message_has_the_fields_of_the_page_and_exact_numbers(ex: RichamsterSandbox) -> None:
    with opened(ex) as client:
        for channel in ("ticker", "order_book", "trading"):
            subscribe(client, channel)
        subscribe(client, "user_orders", token=ex.token)
        ex.ticker(PAIR, "1.234", "0.234", "1.78", "0.5", "10.234236")
        assert client.recv(WAIT) == (
            '{"pair":"KRB/UAH","last":1.234,"first":0.234,"high":1.78,"low":0.5,"volume":10.234236}'
        )
        ex.level(PAIR, "selling", "2650000.0", "0.05")
        text = str(client.recv(WAIT))
        assert '"unit_price":2650000.0' in text
        assert list(json.loads(text)) == LEVEL_FIELDS
        ex.trade(PAIR, "selling", "1.00", "2.23236", 1532694617, 1532696617)
        assert client.recv(WAIT) == (
            '{"created_at":"1532694617","closed_at":"1532696617","side":"selling","volume":2.23236,'
            '"unit_price":1.00,"sum":2.23236,"pair":"KRB/UAH"}'
        )
        ex.trade(PAIR, "selling", "1.00", "2", pk=9)
        assert list(take(client)) == [*TRADE_FIELDS, "pk"]
        ex.user_order(PAIR, "buying", "1.00", "2", pk=7)
        order = take(client)
        assert list(order) == [*TRADE_FIELDS, "pk"]
        assert (order["closed_at"], order["pk"]) == (None, 7)


def test_only_subscribers_get_messages(ex: RichamsterSandbox) -> None:
    ex.add_account("demo-token-of-another-user")
    with opened(ex) as first, opened(ex) as second:
        subscribe(first, "user_orders", token=ex.token)
        subscribe(second, "user_orders", token="demo-token-of-another-user")
        ex.user_order(PAIR, "buying", 1, 1, pk=1, token="demo-token-of-another-user")
        ex.user_order("BTC/UAH", "buying", 1, 1, pk=2)
        ex.trade(PAIR, "buying", 1, 1)
        ex.user_order(PAIR, "buying", 1, 1, pk=3)
        assert take(first)["pk"] == 3
        assert take(second)["pk"] == 1
    assert ex.published_count == 4


def test_switches_of_the_wire(ex: RichamsterSandbox) -> None:
    ex.numbers_as_strings = ex.new_ticker_names = ex.escape_slash = True
    with opened(ex) as client:
        client.send(json.dumps({"channel": "ticker", "pair": PAIR}))
        assert "KRB\\/UAH" in str(client.recv(WAIT))
        ex.ticker(PAIR, "1.00")
        text = str(client.recv(WAIT))
        assert '"pair":"KRB\\/UAH","last_price":"1.00"' in text
        assert list(json.loads(text)) == ["pair", "last_price", "first_price", "high_price", "low_price", "base_volume"]


def test_a_second_subscription_succeeds_and_doubles_nothing(ex: RichamsterSandbox) -> None:
    with opened(ex) as client:
        assert subscribe(client, "trading")["type"] == subscribe(client, "trading")["type"] == "success"
        ex.trade(PAIR, "selling", 1, 1)
        ex.trade(PAIR, "selling", 1, 2)
        assert [take(client)["volume"] for _ in range(2)] == [1, 2]
    assert len(ex.remarks) == 1


def test_the_page_taken_at_its_word(ex: RichamsterSandbox) -> None:
    ex.literal_doc = True
    with opened(ex) as client:
        assert subscribe(client, "ticker")["type"] == "error"
        assert subscribe(client, "user_orders", token=ex.token)["type"] == "error"
        assert subscribe(client, "trading")["type"] == "success"
        assert subscribe(client, "trading", token="wrong")["type"] == "error"
        assert subscribe(client, "trading", token=ex.token)["type"] == "success"
        ex.ticker(PAIR, 1)
        ex.user_order(PAIR, "buying", 1, 1, pk=5)
        assert "last" in take(client)
        assert take(client)["pk"] == 5


def test_an_order_lives_and_the_market_follows(ex: RichamsterSandbox) -> None:
    with opened(ex) as client:
        for channel in ("ticker", "order_book", "trading"):
            subscribe(client, channel)
        subscribe(client, "user_orders", token=ex.token)
        order = ex.place(PAIR, "selling", "2.5", "3")
        placed, level = take(client), take(client)
        assert (placed["pk"], placed["closed_at"], placed["volume"]) == (order.number, None, 3)
        assert (level["volume"], level["sum"]) == (3, Decimal("7.5"))
        ex.fill(order, "1")
        partly, trade, level, ticker = [take(client) for _ in range(4)]
        assert (partly["closed_at"], partly["volume"]) == (None, 2)
        assert list(trade) == TRADE_FIELDS
        assert (trade["volume"], level["volume"]) == (1, 2)
        assert list(ticker) == TICKER_FIELDS
        assert (ticker["last"], ticker["volume"]) == (Decimal("2.5"), 1)
        ex.fill(order)
        filled, trade, level, ticker = [take(client) for _ in range(4)]
        assert filled["closed_at"] is not None
        assert (filled["volume"], trade["volume"], level["volume"], ticker["volume"]) == (3, 2, 0, 3)
        ex.cancel(ex.place(PAIR, "buying", "2", "1"))
        messages = [take(client) for _ in range(4)]
        assert messages[2]["closed_at"] is not None
        assert messages[3]["volume"] == 0
    with pytest.raises(ValueError, match="DONE"):
        ex.cancel(order)


def test_a_random_walk_is_numbered_and_repeatable(ex: RichamsterSandbox) -> None:
    with opened(ex) as client:
        for pair in ("BTC/UAH", "ETH/UAH", "KRB/UAH"):
            for channel in ("ticker", "order_book", "trading"):
                subscribe(client, channel, pair)
            subscribe(client, "user_orders", pair, token=ex.token)
        ex.random_walk(500, seed=3)
        received = [take(client) for _ in range(500)]
    assert received == ex.published
    again = RichamsterSandbox()
    again.random_walk(500, seed=3)
    times = {"created_at", "closed_at"}
    for mine, yours in zip(again.published, received):
        assert {name: mine[name] for name in mine if name not in times} == {
            name: yours[name] for name in yours if name not in times
        }


def test_the_market_runs_by_itself(ex: RichamsterSandbox) -> None:
    with opened(ex) as client:
        for pair in ("BTC/UAH", "ETH/UAH", "KRB/UAH"):
            subscribe(client, "order_book", pair)
        ex.run(200)
        assert [list(take(client)) for _ in range(10)] == [LEVEL_FIELDS] * 10
        ex.pause()


def test_paths_and_origins(ex: RichamsterSandbox) -> None:
    def status(**options: Any) -> int:
        with pytest.raises(InvalidStatus) as refused, opened(ex, **options):
            pass
        return int(refused.value.response.status_code)

    origin: Dict[str, Any] = {"additional_headers": {"Origin": "https://richamster.com"}}
    assert status(url=ex.url[:-1]) == 404
    with opened(ex, **origin):
        ex.forbid_origin = True
    assert status(**origin) == 403
    ex.forbid_origin, ex.require_origin = False, "https://richamster.com"
    assert status() == 403
    with opened(ex, **origin):
        assert len(ex.complaints) == 3


def test_pings_want_pongs() -> None:
    with RichamsterSandbox(ping_interval=0.05, ping_timeout=WAIT) as ex, opened(ex):
        ex.wait_until(lambda: [item.kind for item in ex.received].count("pong") >= 3)
        assert ex.complaints == []
    with RichamsterSandbox(ping_interval=WAIT, ping_timeout=0.1) as ex, opened(ex) as client:
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(WAIT)
        assert closed.value.rcvd is None
        assert len(ex.complaints) == 1


def test_an_answer_is_late_or_lost(ex: RichamsterSandbox) -> None:
    with opened(ex) as client:
        ex.delay_replies(0.2)
        client.send(json.dumps({"channel": "trading", "pair": PAIR}))
        ex.wait_for_subscriber("trading", PAIR)
        ex.trade(PAIR, "selling", 1, 1)
        assert list(take(client)) == TRADE_FIELDS
        assert take(client)["type"] == "success"
        ex.delay_replies(0)
        ex.ignore_next("order_book")
        client.send(json.dumps({"channel": "order_book", "pair": PAIR}))
        assert subscribe(client, "ticker")["message"].count("ticker") == 1
