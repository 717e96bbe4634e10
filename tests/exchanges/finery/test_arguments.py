"""What a user may give to requests and subscriptions, what goes out for it, and what is refused before anything is sent."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable, Dict, List, Tuple

import pytest

from xchws.errors import ConfigurationError, HandshakeRejected
from xchws.exchanges.finery import calls, replies
from xchws.exchanges.finery.client import Finery, _code_of
from xchws.exchanges.finery.errors import Malformed

ADD: Dict[str, Any] = {"type": "limit", "size": "0.25", "price": 3120}
Use = Callable[[Finery], Any]


def added(**changed: Any) -> Use:
    arguments = {**ADD, **changed}
    instrument, side = arguments.pop("instrument", "ETH-USD"), arguments.pop("side", "buy")
    return lambda client: client.add_order(instrument, side, **arguments)


def looped() -> Any:
    content: Dict[str, Any] = {}
    content["itself"] = content
    return content


REFUSED: List[Tuple[Use, str]] = [
    (lambda client: client.request(""), "method"),
    (lambda client: client.request("add\n"), "method"),
    (lambda client: client.request(3), "method"),  # type: ignore[arg-type]  # what it is about
    (lambda client: client.request("add", [1]), "content"),  # type: ignore[arg-type]  # what it is about
    (lambda client: client.request("add", {"size": 0.25}), "content"),
    (lambda client: client.request("add", {"orders": [{"price": (Decimal(1),)}]}), "content"),
    (lambda client: client.request("add", {"size": object()}), "content"),
    (lambda client: client.request("add", looped()), "content"),
    (added(side=None), "side"),
    (added(size=None), "size"),
    (added(size=None, volume=1), "volume"),
    (added(instrument="ethusd"), "instrument"),
    (added(instrument=None), "instrument"),
    (added(instrument="ETH -USD"), "instrument"),
    (added(client_order_id="1e3"), "client_order_id"),
    (added(client_order_id=2**63), "client_order_id"),
    (added(client_order_id=True), "client_order_id"),
    (added(firm_book_enabled="yes"), "firm_book_enabled"),
    (added(qs_enabled=1), "qs_enabled"),
    (added(makers=9), "makers"),
    (added(makers=[9, -1]), "makers"),
    (added(makers=[True]), "makers"),
    (lambda client: client.cancel_order(), "order_id"),
    (lambda client: client.cancel_order(1, client_order_id=2), "order_id"),
    (lambda client: client.cancel_order(client_order_id=0), "client_order_id"),
    (lambda client: client.modify_order("x", price=1, size=1), "order_id"),
    (lambda client: client.modify_order(1, price=1, size=1, client_order_id=-1), "client_order_id"),
    (lambda client: client.cancel_all_orders("ETH"), "instrument"),
    (lambda client: client.order_book("ETH-USD", tradable=1), "tradable"),  # type: ignore[arg-type]  # what it is about
    (lambda client: client.order_book("ETH-USD", client_id=2**32), "client_id"),
    (lambda client: client.positions(filter=""), "filter"),
    (lambda client: client.deal_history(["ETH-USD", "ETH"]), "instrument"),
    (lambda client: client.deal_history(till="-1"), "till"),
    (lambda client: client.deal_history(start=datetime(2026, 11, 1)), "start"),  # noqa: DTZ001  # without a zone
    (lambda client: client.deal_history(start=datetime(1969, 1, 1, tzinfo=timezone.utc)), "start"),
    (lambda client: client.deal_history(end=1.5), "end"),  # type: ignore[arg-type]  # what it is about
    (lambda client: client.settlement_transaction_history(limit=251), "limit"),
    (lambda client: client.settlement_transaction_history(limit=0), "limit"),
    (lambda client: client.settlement_transaction_history(limit=True), "limit"),
    (lambda client: client.bind("T"), "feed"),
    (lambda client: client.bind("F"), "feed_id"),
    (lambda client: client.bind("K", 0), "feed_id"),
    (lambda client: client.bind("K", ""), "feed_id"),
    (lambda client: client.bind("F", {"instrument": object()}), "feed_id"),
    (lambda client: client.unbind("T"), "feed"),
    (lambda client: Finery("k", "s", environment="demo"), "environment"),
    (lambda client: Finery("k", "s", json_ping=1), "json_ping"),  # type: ignore[arg-type]  # what it is about
    (lambda client: Finery("k", "s", url="https://trade.finerymarkets.com/ws"), "url"),
]


@pytest.mark.parametrize(("use", "argument"), REFUSED)
def test_what_cannot_work_is_refused_with_its_name(use: Use, argument: str) -> None:
    client = Finery("k", "s")  # not started: what got past the check would raise StateError
    with pytest.raises(ConfigurationError) as refused:
        use(client)
    assert refused.value.argument == argument
    assert f"finery: {argument} must be " in str(refused.value)


@pytest.mark.parametrize("name", ["eth/usd", "eth_usd", "ETH -USD"])
def test_a_name_of_another_form_is_recognised(name: str) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'ETH-USD'"):
        calls.instrument_name(name)


def test_everything_that_an_order_may_say() -> None:
    call = calls.add(
        "ETH-USD:USDT-USD", "ask", "limitFOK", None, "1000.5", "0.00000001", "7", True, True, False, (9,), None
    )
    assert call.content == {
        "instrument": "ETH-USD:USDT-USD",
        "clientOrderId": 7,
        "volume": 100_050_000_000,
        "price": 1,
        "side": "ask",
        "type": "limitFOK",
        "cod": True,
        "firmBookEnabled": True,
        "qsEnabled": False,
        "makers": [9],
    }
    assert (call.method, call.timeout, call.sent) == ("add", None, False)


def test_everything_that_a_history_may_say() -> None:
    start = datetime(2026, 11, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    call = calls.history("dealHistory", ("ETH-USD",), [9], "all", "77", start, 1_793_534_400_001, 250, 1.0)
    assert call.content == {
        "instrument": ["ETH-USD"],
        "counterpartyIds": [9],
        "filter": "all",
        "till": 77,
        "from": 1_793_534_400_000,
        "to": 1_793_534_400_001,
        "limit": 250,
    }
    assert calls.history("dealHistory", None, None, None, None, None, None, None, 1.0).content == {}


def test_the_other_contents() -> None:
    assert calls.modify("5", "1", 2, "6", 1.0).content == {
        "orderId": 5,
        "price": 10**8,
        "size": 2 * 10**8,
        "clientOrderId": 6,
    }
    assert calls.delete("5", None, 1.0).content == {"orderId": 5}
    assert calls.delete(None, 6, 1.0).content == {"clientOrderId": 6}
    assert (calls.delete_all(None, 1.0).content, calls.delete_all("ETH-USD", 1.0).content) == (
        {},
        {"instrument": "ETH-USD"},
    )
    assert calls.book("ETH-USD", True, 7, 1.0).content == {"instrument": "ETH-USD", "tradable": True, "clientId": 7}
    assert (calls.positions(None, 1.0).content, calls.positions("all", 1.0).content) == ({}, {"filter": "all"})
    assert calls.plain_call("x/y", {"a": [1, {"b": None}]}, 1.0).content == {"a": [1, {"b": None}]}


@pytest.mark.parametrize(
    ("name", "feed", "feed_id"),
    [
        ("order_book", "F", "ETH-USD"),
        ("global_order_book", "B", 42),
        ("orders", "O", None),
        ("orders", "O", "ETH-USD"),
        ("positions", "K", "USD"),
        ("limits", "L", None),
        ("global_limits", "G", None),
        ("settlements", "S", "USD"),
        ("settlement_transactions", "N", None),
        ("settlement_requests", "R", None),
        ("instruments", "I", None),
        ("combined", "P", None),
    ],
)
def test_every_feed_has_its_name(name: str, feed: str, feed_id: Any) -> None:
    client = Finery("k", "s")
    subscribe = getattr(client, f"subscribe_{name}")
    subscription = subscribe() if feed_id is None else subscribe(feed_id)
    assert subscription is client.bind(feed, feed_id), "however it is asked for, it is the same one"
    assert subscription.name == feed if feed_id is None else subscription.name == f"{feed} {feed_id}"
    client.unbind(feed, feed_id)
    assert subscription.state == "ended"
    client.unbind(feed, feed_id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"error":14}', 14),
        ('{"error":"6"}', 6),
        ('{"error":[7]}', 7),
        ('{"code":3}', 3),
        ("13", 13),
        ('["X",0,"Z",2]', 2),
        ('["X",0,"S",2]', None),
        ('{"error":true}', None),
        ('{"message":"no"}', None),
        ("<html>", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_the_code_of_a_refused_handshake_in_whatever_form(body: str, code: Any) -> None:
    assert _code_of(body) == code
    error = HandshakeRejected("no", status=400, body=body)
    close = Finery("k", "s")._exchange.refused(error)
    if code is None:
        assert close.error is error and close.verdict is None
    else:
        assert f"{code} (" in str(close.error)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (replies.order, b'{"remainingSize":1}'),
        (replies.order, b'{"id":1,"remainingSize":100000000000000000000}'),
        (replies.delete, b"[]"),
        (lambda value: replies.book(value, "ETH-USD"), b"[[[-1,5]],[]]"),
        (lambda value: replies.book(value, "ETH-USD"), b"[[]]"),
        (replies.instruments, b"[[]]"),
        (replies.instruments, b"3"),
        (replies.portfolio, b"[1,[],[]]"),
        (replies.portfolio, b'[1,[["USD",5,9],["USD"]],[],[]]'),
        (replies.deals, b'{"error":0}'),
        (replies.deals, b"[[1]]"),
        (replies.global_limits, b"[3]"),
        (replies.counterparty_limits, b'[{"counterpartyId":null}]'),
        (replies.counterparty_limits, b"3"),
        (replies.transactions, b'[["9","USD","much"]]'),
    ],
)
def test_an_answer_with_anything_amiss_is_none(read: Callable[[bytes], Any], value: bytes) -> None:
    with pytest.raises(Malformed):
        read(value)


def test_a_plain_answer_keeps_every_digit() -> None:
    said = replies.plain(b'{"a":[1.10,18446744073709551615,2.22E-4]}')
    assert [str(one) for one in said["a"]] == ["1.10", "18446744073709551615", "0.000222"]
