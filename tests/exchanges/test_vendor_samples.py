"""Every JSON sample of the two vendors' pages, byte for byte, through the protocols: what it becomes, and what becomes of it
when a field is missing, new or of another type. The samples and their sources: samples/README.md.
"""

from __future__ import annotations

import copy
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

import pytest

from xchws.credentials import Secrets
from xchws.errors import AuthenticationFailed, OpenFailed, XchwsError
from xchws.events import BookLevel, Event, Failure, Fill, Order, OrderStatus, Ticker, Trade
from xchws.exchanges.indodax import models as indodax
from xchws.exchanges.indodax import token
from xchws.exchanges.indodax.protocol import IndodaxProtocol, OrdersMemory
from xchws.exchanges.indodax.token import Grant
from xchws.exchanges.richamster.protocol import RichamsterProtocol
from xchws.sansio.actions import Accepted, Close, Expiry, Output, Ready, Refused, Send, Topic

SAMPLES = Path(__file__).resolve().parent / "samples"
CHANNEL = "pws:#c12d3ca099785ede15c37c9b7642ab89d19bc96e"
PAIR = "KRB/UAH"
ORDERS = ("order_new", "order_fill", "order_cancelled", "order_done", "order_rejected")
PUSHES = ("ticker", "order_book", "trading", "user_orders")
NEIGHBOUR = b'{"eventType":"order_update","order":{"orderId":"a-limit-1","status":"NEW","price":1.10}}'
Keys = Tuple[Union[str, int], ...]


def sample(vendor: str, name: str) -> bytes:
    return (SAMPLES / vendor / f"{name}.json").read_bytes()


def grant() -> Grant:
    asked = json.loads(sample("indodax", "connect_command"))
    return Grant(asked["connect"]["token"], CHANNEL)


def stream(*earlier: str) -> IndodaxProtocol:
    """Indodax's stream after these samples."""
    protocol = IndodaxProtocol(grant(), OrdersMemory(), Secrets())
    protocol.opened(0.0)
    for name in earlier:
        protocol.received(sample("indodax", name), 0.0)
    return protocol


def ready() -> IndodaxProtocol:
    protocol = stream("connect_success")
    assert protocol.received(b'{"id":2,"subscribe":{}}', 0.0) == [Ready()]
    return protocol


def richamster(*channels: str) -> RichamsterProtocol:
    """Richamster's stream with these subscriptions asked for, the last without an answer yet."""
    protocol = RichamsterProtocol("124dfg7er894672isdg", False, {}, Secrets())
    protocol.opened(0.0)
    for channel in channels:
        protocol.subscribe(Topic(channel, (PAIR,)), 0.0)
        if channel != channels[-1]:
            protocol.received(b'{"type":"success","message":"You are connected"}', 0.0)
    return protocol


def compact(text: bytes) -> bytes:
    """The same JSON without white space between its tokens: as it comes over the wire. Numbers keep their digits."""
    within = False
    kept = bytearray()
    for place, byte in enumerate(text):
        if byte == ord('"') and text[place - 1 : place] != b"\\":
            within = not within
        if within or byte not in b" \t\r\n":
            kept.append(byte)
    return bytes(kept)


# ------------------------------------------------------------------------------------------------------- as they stand


def test_the_samples_are_as_they_were_printed() -> None:
    digests = {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in SAMPLES.glob("*/*")
    }
    assert digests == DIGESTS


def test_indodax_token() -> None:
    secrets = Secrets()
    granted = token.grant_of(200, sample("indodax", "token_success"), None, secrets)
    assert granted.channel == CHANNEL
    assert granted.token.startswith("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMTIifQ.")
    with pytest.raises(AuthenticationFailed, match="Invalid TAPI key") as caught:
        token.grant_of(200, sample("indodax", "token_failure"), None, secrets)
    assert caught.value.code == "invalid_tapi_key"


def test_indodax_commands_are_the_pages() -> None:
    protocol = IndodaxProtocol(grant(), OrdersMemory(), Secrets())
    (connect,) = protocol.opened(0.0)
    assert isinstance(connect, Send)
    assert connect.payload == compact(sample("indodax", "connect_command"))
    expiry, subscribe = protocol.received(sample("indodax", "connect_success"), 5.0)
    assert expiry == Expiry(5.0 + 86133)
    assert isinstance(subscribe, Send)
    assert subscribe.payload == compact(sample("indodax", "subscribe_command"))


@pytest.mark.parametrize("form", [bytes, compact])
def test_indodax_errors(form: Callable[[bytes], bytes]) -> None:
    (expired,) = stream().received(form(sample("indodax", "connect_expired_token")), 0.0)
    assert isinstance(expired, Close)
    assert isinstance(expired.error, OpenFailed)
    assert "109 token expired" in str(expired.error)
    (denied,) = stream("connect_success").received(form(sample("indodax", "subscribe_failure")), 0.0)
    assert isinstance(denied, Close)
    assert "103 permission denied" in str(denied.error)
    assert isinstance(denied.verdict, AuthenticationFailed)


EXPECTED: Dict[str, Tuple[str, str, OrderStatus, bool, str, str, str, int]] = {
    "order_new": ("3397", "buy", OrderStatus.NEW, False, "0.00996909", "0.00996909", "0", 1705635775203),
    "order_fill": ("13525", "buy", OrderStatus.FILLED, True, "0.0046462", "0", "0.0046462", 1734490232679),
    "order_cancelled": ("3399", "sell", OrderStatus.CANCELED, True, "0.05015045", "0.05015045", "0", 1705636274643),
    "order_done": ("3397", "buy", OrderStatus.FILLED, True, "0.00996909", "0", "0.00996909", 1705635775203),
    "order_rejected": ("3397", "buy", OrderStatus.REJECTED, True, "0.00996909", "0", "0.00996909", 1705635775203),
}


@pytest.mark.parametrize("form", [bytes, compact])
@pytest.mark.parametrize("name", ORDERS)
def test_indodax_orders(name: str, form: Callable[[bytes], bytes]) -> None:
    number, side, status, final, quantity, remaining, filled, time_ms = EXPECTED[name]
    text = form(sample("indodax", name))
    outputs = ready().received(text, 0.0)
    order = outputs[0]
    assert isinstance(order, Order)
    assert (order.id, order.client_order_id) == (f"aaveidr-limit-{number}", f"lendidr-limit-{number}")
    assert (order.symbol, order.side, order.type) == ("aaveidr", side, "limit")
    assert (order.status, order.final, order.time_ms) == (status, final, time_ms)
    assert [str(amount) for amount in (order.quantity, order.remaining, order.filled)] == [quantity, remaining, filled]
    assert str(order.price) == ("4289899" if name == "order_fill" else "2000000")
    assert order.raw == json.loads(text, parse_float=Decimal)["push"]["pub"]["data"][0]["order"]
    assert len(outputs) == (2 if name == "order_fill" else 1)


@pytest.mark.parametrize("form", [bytes, compact])
def test_indodax_execution(form: Callable[[bytes], bytes]) -> None:
    fill = ready().received(form(sample("indodax", "order_fill")), 0.0)[1]
    assert isinstance(fill, indodax.Fill)
    assert (fill.id, fill.order_id, fill.side, fill.liquidity) == (
        "72057594037968281",
        "aaveidr-limit-13525",
        "buy",
        "taker",
    )
    amounts = (
        fill.price,
        fill.quantity,
        fill.fee,
        fill.fee_rate,
        fill.tax,
        fill.tax_rate,
        fill.clearing,
        fill.clearing_rate,
    )
    assert [str(amount) for amount in amounts] == [
        "4289899",
        "0.0046462",
        "39",
        "0.002",
        "23",
        "0.0012",
        "4",
        "0.000222",
    ]
    assert (fill.fee_asset, fill.tax_asset, fill.clearing_asset) == ("idr", "idr", "idr")


def test_indodax_samples_of_one_frame() -> None:
    frame = b"\n".join(compact(sample("indodax", name)) for name in ORDERS)
    assert [type(output).__name__ for output in ready().received(frame, 0.0)] == [
        "Order",
        "Order",
        "Fill",
        *["Order"] * 3,
    ]


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("subscribe_first", "trading"),
        ("subscribe_trading", "trading"),
        ("subscribe_order_book", "order_book"),
        ("subscribe_ticker", "ticker"),
        ("subscribe_user_orders", "user_orders"),
    ],
)
def test_richamster_subscriptions_are_the_pages(name: str, channel: str) -> None:
    # The page writes `trading` for all but order_book: that is what wire_channels is for.
    literal = {"ticker": "trading", "user_orders": "trading"}
    protocol = RichamsterProtocol("124dfg7er894672isdg", False, literal, Secrets())
    (send,) = protocol.subscribe(Topic(channel, (PAIR,)), 0.0)
    assert isinstance(send, Send)
    assert json.loads(send.payload) == json.loads(sample("richamster", name))


def test_richamster_answers() -> None:
    assert richamster("trading").received(sample("richamster", "success"), 0.0) == [Accepted(Topic("trading", (PAIR,)))]
    (refused,) = richamster("trading").received(sample("richamster", "error"), 0.0)
    assert isinstance(refused, Refused)
    assert "Subscription channel is invalid." in str(refused.error)


def test_richamster_messages() -> None:
    protocol = richamster("ticker", "order_book", "trading", "user_orders")
    made = [protocol.received(sample("richamster", name), 0.0) for name in PUSHES]
    # The last one's subscription has no answer yet: that it comes shows that it stands.
    assert made[3][:1] == [Accepted(Topic("user_orders", (PAIR,)))]
    made[3] = made[3][1:]
    assert [len(outputs) for outputs in made] == [1, 1, 1, 1]
    ticker, level, trade, order = (outputs[0] for outputs in made)
    assert isinstance(ticker, Ticker)
    assert [str(value) for value in (ticker.last, ticker.open, ticker.high, ticker.low, ticker.volume)] == [
        "1.234", "0.234", "1.78", "0.5", "10.234236",
    ]  # fmt: skip
    assert isinstance(level, BookLevel)
    assert (level.side, str(level.price), str(level.quantity), str(level.quote_quantity)) == (
        "sell", "1.234", "10.234236", "1.78",
    )  # fmt: skip
    assert isinstance(trade, Trade)
    assert (trade.side, str(trade.price), str(trade.quantity), str(trade.quote_quantity)) == (
        "sell", "1.00", "2.23236", "2.23236",
    )  # fmt: skip
    assert trade.time_ms == 1532696617000
    assert isinstance(order, Order)
    assert (order.id, order.side, str(order.price), str(order.quantity)) == ("1", "sell", "1.00", "2.23236")
    assert (order.time_ms, order.final) == (1532696617000, True)
    for event, name in zip((ticker, level, trade, order), PUSHES):
        assert event.symbol == PAIR
        assert event.raw == json.loads(sample("richamster", name), parse_float=Decimal)


# ---------------------------------------------------------------------------------------------------------- and spoilt


def places(value: Any, path: Keys = ()) -> Iterator[Keys]:
    """The path of every field, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
WRONG: List[Any] = [
    *(None, 0, -1, 17, 1.5, "", "text", "NaN", "Infinity", "1e999999999", [], [1], {}, {"a": 1}, True, False),
    *(2**64, -(10**30), 10**400, "9" * 5000, "\u0663", "\0", DEEP),
]


def spoilt(message: Any) -> Iterator[Any]:
    """The message with one field removed, new, or of another type."""
    for path in places(message):
        holder = message
        for key in path[:-1]:
            holder = holder[key]
        for value in ["removed", "unknown", *WRONG]:
            twin = copy.deepcopy(message)
            inside = twin
            for key in path[:-1]:
                inside = inside[key]
            if value == "removed":
                del inside[path[-1]]
            elif value != "unknown":
                inside[path[-1]] = value
            elif isinstance(inside, dict):
                inside["unheard"] = {"of": [1.5, None]}
            yield twin


def told(outputs: List[Output]) -> bool:
    """Whether something has been made of a message that somebody can notice."""
    return any(isinstance(output, (Event, Ready, Send, Close, Accepted, Refused, Expiry)) for output in outputs)


@pytest.mark.parametrize("name", ORDERS)
def test_spoilt_orders_of_indodax(name: str) -> None:
    protocol = ready()
    for message in spoilt(json.loads(sample("indodax", name))):
        outputs = protocol.received(json.dumps(message).encode(), 0.0)
        # An empty object is a ping, and one that wants no answer; and an empty list of events holds none.
        assert told(outputs) or message in ({}, {"push": {"channel": CHANNEL, "pub": {"data": []}}}), message
        assert repr(outputs)
        whole = protocol.received(compact(sample("indodax", "order_new")), 0.0)
        assert [type(output) for output in whole] == [Order]


@pytest.mark.parametrize("name", ORDERS)
def test_spoilt_orders_of_indodax_harm_no_neighbour(name: str) -> None:
    element = json.loads(sample("indodax", name))["push"]["pub"]["data"][0]
    for message in [*spoilt(element), *WRONG]:
        data = b"%s,%s,%s" % (NEIGHBOUR, json.dumps(message).encode(), NEIGHBOUR)
        outputs = ready().received(b'{"push":{"channel":"%s","pub":{"data":[%s]}}}' % (CHANNEL.encode(), data), 0.0)
        assert len(outputs) >= 3, message
        for one in (outputs[0], outputs[-1]):
            assert isinstance(one, Order)
            assert str(one.price) == "1.10"
        assert all(isinstance(one, Event) for one in outputs)
        if "unheard" in repr(message):
            assert isinstance(outputs[1], Order)  # an unknown field changes nothing


@pytest.mark.parametrize(
    ("name", "earlier"),
    [
        ("connect_success", []),
        ("connect_expired_token", []),
        ("subscribe_failure", ["connect_success"]),
    ],
)
def test_spoilt_replies_of_indodax(name: str, earlier: List[str]) -> None:
    for message in [*spoilt(json.loads(sample("indodax", name))), *WRONG]:
        protocol = stream(*earlier)
        outputs = protocol.received(json.dumps(message).encode(), 0.0)
        assert repr(outputs)
        assert told(outputs) or message == {}
        if not any(isinstance(output, (Ready, Close)) for output in outputs):
            # What is still owed an answer has its end; a refresh may come before, where the ttl is spoilt.
            ends: List[Output] = []
            while not any(isinstance(output, Close) for output in ends):
                due = protocol.deadline()
                assert due is not None
                ends += protocol.wake(due)
                assert len(ends) < 5


@pytest.mark.parametrize("name", ["token_success", "token_failure"])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_spoilt_answers_of_indodax(name: str, status: int) -> None:
    for message in [*spoilt(json.loads(sample("indodax", name))), *WRONG]:
        given: Optional[Grant] = None
        try:
            given = token.grant_of(status, json.dumps(message).encode(), None, Secrets())
        except XchwsError as error:
            assert "eyJhb" not in str(error)
        if given is not None:
            assert status == 200
            assert given.token
            assert given.channel


@pytest.mark.parametrize("name", [*PUSHES, "success", "error"])
def test_spoilt_messages_of_richamster(name: str) -> None:
    for message in [*spoilt(json.loads(sample("richamster", name))), *WRONG]:
        for protocol in (richamster(), richamster("trading"), richamster("trading", "user_orders")):
            outputs = protocol.received(json.dumps(message).encode(), 0.0)
            assert repr(outputs)
            assert told(outputs), message
            (ticker,) = protocol.received(sample("richamster", "ticker"), 0.0)
            assert isinstance(ticker, Ticker)


@pytest.mark.parametrize("name", PUSHES)
def test_an_unknown_field_changes_nothing_at_richamster(name: str) -> None:
    message = json.loads(sample("richamster", name))
    plain = richamster("trading", "user_orders").received(json.dumps(message).encode(), 0.0)
    more = richamster("trading", "user_orders").received(json.dumps({**message, "unheard": [1]}).encode(), 0.0)
    assert more == plain
    assert not any(isinstance(output, (Failure, Fill)) for output in plain)


DIGESTS = {
    "finery/bind.txt": "e9d231c69cc0",
    "finery/error_codes.tsv": "031c429f2086",
    "finery/request.txt": "b5f8b2bec571",
    "finery/status.txt": "918bea0641c4",
    "finery/unbind.txt": "73d47f4d10ad",
    "indodax/connect_command.json": "168a189fce7b",
    "indodax/connect_expired_token.json": "9e3a64708d03",
    "indodax/connect_success.json": "6279e0f53df8",
    "indodax/order_cancelled.json": "3723be67cd72",
    "indodax/order_done.json": "b15bd24cbc69",
    "indodax/order_fill.json": "d021e04377b4",
    "indodax/order_multi_fill.json": "387aaffd496b",
    "indodax/order_new.json": "f15dd0c61cde",
    "indodax/order_rejected.json": "78ca9c4037e9",
    "indodax/subscribe_command.json": "6d8cc1384eca",
    "indodax/subscribe_failure.json": "6b60ee744b99",
    "indodax/token_failure.json": "17d77a926baa",
    "indodax/token_success.json": "26a3b63c8c90",
    "indodax_market/connect_command.json": "998c84b45c61",
    "indodax_market/connect_success.json": "b8d53af379ee",
    "indodax_market/order_book.json": "562cc48c9280",
    "indodax_market/ping_command.json": "38e4f3d8c3ad",
    "indodax_market/ping_success.json": "8ed22874859f",
    "indodax_market/recover.json": "5c6d36b39551",
    "indodax_market/recover_success.json": "2879d0e0c255",
    "indodax_market/subscribe_order_book.json": "c1ded1d9330e",
    "indodax_market/subscribe_summary.json": "774f8e2452cf",
    "indodax_market/subscribe_summary_success.json": "36464f85960d",
    "indodax_market/subscribe_ticks.json": "f9a36a7be869",
    "indodax_market/subscribe_ticks_success.json": "d0da5ccb0f1c",
    "indodax_market/subscribe_trades.json": "199a7c374f5c",
    "indodax_market/subscribe_trades_success.json": "8aa39df8e725",
    "indodax_market/summary.json": "d8c4654e0f97",
    "indodax_market/ticks.json": "089bf7fe09c6",
    "indodax_market/trades.json": "6abae597feac",
    "indodax_market/unsubscribe.json": "66a891e28aed",
    "indodax_market/unsubscribe_success.json": "cde225eb94d7",
    "kyan/account_subscribe_message.js": "016b16940418",
    "kyan/auth_failed.json": "ecef2c7d13cf",
    "kyan/auth_invalid_key.json": "1a1c500afff9",
    "kyan/auth_message.js": "47864221239e",
    "kyan/auth_not_found.json": "4f0bd9cb430b",
    "kyan/auth_request.json": "e8d644b03db0",
    "kyan/auth_success.json": "ccec3ed92f7b",
    "kyan/errors.tsv": "ed3fc1231e2b",
    "kyan/get_instruments_message.js": "0ab25d7b71c2",
    "kyan/logout_request.json": "8dd414ebd594",
    "kyan/logout_success.json": "4e644f6f910b",
    "kyan/subscribe_message.js": "9a1b5f892388",
    "kyrrex/account.json": "606cb25f9f06",
    "richamster/error.json": "eacd5ef4c37a",
    "richamster/order_book.json": "6c1b9985424c",
    "richamster/subscribe_first.json": "1e0fa1308905",
    "richamster/subscribe_order_book.json": "b63818305aa6",
    "richamster/subscribe_ticker.json": "ec387a7d4752",
    "richamster/subscribe_trading.json": "ec387a7d4752",
    "richamster/subscribe_user_orders.json": "f0f7d1d5f789",
    "richamster/success.json": "fa137c69f6b5",
    "richamster/ticker.json": "653ba2b9b551",
    "richamster/trading.json": "1a3cf24cbec3",
    "richamster/user_orders.json": "d997c1d3352d",
}
