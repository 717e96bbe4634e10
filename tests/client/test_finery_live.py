"""The Finery client against its simulated exchange, over real sockets: feeds, books, requests, and everything that breaks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Type, TypeVar

import pytest

import xchws
from tests.client.conftest import QUICK
from tests.client.hearing import Everything, shown
from xchws.exchanges import finery as models
from xchws.exchanges.finery import signing
from xchws.exchanges.finery.client import PLACES
from xchws.sandbox import FaultProxy, FineryOrder, FinerySandbox
from xchws.sandbox.jsontext import read, write

Make = Callable[..., xchws.Finery]
E = TypeVar("E", bound=xchws.Event)

WAIT = 10.0  # seconds at most, for anything
TICK = timedelta(seconds=1)  # what the exchange had sent before the cut may be read after it
UNIT = 10**8
EUR = 87_000 * UNIT
INSTRUMENTS = ("BTC-EUR", "ETH-USD", "BTC-USD")


@pytest.fixture
def finery() -> Iterator[FinerySandbox]:
    with FinerySandbox(seed=1) as exchange:
        yield exchange


@pytest.fixture
def make(finery: FinerySandbox, clients: List[xchws.Client]) -> Make:
    def make_client(exchange: FinerySandbox = finery, **options: Any) -> xchws.Finery:
        arguments: Any = {"key": exchange.key, "secret": exchange.secret, "url": exchange.url, "backoff": QUICK}
        client = xchws.Finery(**{**arguments, **options})
        clients.append(client)
        return client

    return make_client


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def listen(client: xchws.Finery, kind: Type[xchws.Event] = xchws.Event) -> Any:
    """The client's events from now on."""
    return client.events(kind, timeout=WAIT)


def until(stream: Any, kind: Type[E], **attributes: Any) -> List[Any]:
    """The events of a stream up to and with the first one of this class and these attributes."""
    found: List[Any] = []
    while True:
        found.append(next(stream))
        if isinstance(found[-1], kind) and all(getattr(found[-1], name) == v for name, v in attributes.items()):
            return found


def levels(units: Any) -> Any:
    """A side of the sandbox's book as the client has it."""
    return tuple((Decimal(price).scaleb(-8), Decimal(size).scaleb(-8)) for price, size in units)


def agrees(book: xchws.OrderBook, exchange: FinerySandbox) -> bool:
    bids, asks = exchange.view(book.symbol)
    return (book.bids, book.asks) == (levels(bids), levels(asks))


# --------------------------------------------------------------------------------------------------------------- login


def test_every_handshake_is_signed_anew(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    for _ in range(3):
        back = client.expect(xchws.Connected)
        finery.drop(reset=True)
        back.result(WAIT)
    contents = [read(handshake.headers["efx-content"]) for handshake in finery.handshakes]
    nonces = [content["nonce"] for content in contents]
    assert nonces == sorted(set(nonces)) and len(nonces) == 4
    assert all(handshake.headers["efx-key"] == finery.key for handshake in finery.handshakes)
    assert finery.complaints == []


@pytest.mark.parametrize("code", [3, 13, 14])
def test_a_login_that_is_refused_for_good(finery: FinerySandbox, make: Make, code: int) -> None:
    client = make()
    finery.reject_next("handshake", code)
    with pytest.raises(xchws.AuthenticationFailed) as refused:
        client.start(WAIT)
    assert refused.value.code == code and len(finery.handshakes) == 1


@pytest.mark.parametrize("code", [1, 2, 6, 7, 10, 9999])
def test_a_login_that_is_refused_for_now(finery: FinerySandbox, make: Make, code: int) -> None:
    client = make()
    finery.reject_next("handshake", code, times=2)
    down = client.expect(xchws.Disconnected)
    client.start(WAIT)
    error = down.result(WAIT).error
    assert isinstance(error, xchws.HandshakeRejected) and error.status == 400
    assert f"{code} (" in str(error) and len(finery.handshakes) == 3
    assert finery.complaints == []


def test_credentials_that_the_exchange_does_not_take(finery: FinerySandbox, make: Make) -> None:
    def refusal_of(**options: Any) -> Any:
        with pytest.raises(xchws.AuthenticationFailed) as refused:
            make(**options).start(WAIT)
        return refused.value.code

    assert refusal_of(key="KEY-nobody-knows") == 3
    assert refusal_of(secret="SECRET-nobody-knows") == 14
    finery.account().agreed = False
    assert refusal_of() == 13
    finery.account().agreed, finery.account().permitted = True, False
    assert refusal_of() == 3
    assert [text.rsplit(" ", 1)[1] for text in finery.complaints] == ["3", "14", "13", "3"]


@pytest.mark.parametrize("what", ["timestamp", "nonce"])
def test_a_clock_or_a_nonce_that_is_always_wrong_ends_it(finery: FinerySandbox, make: Make, what: str) -> None:
    if what == "timestamp":
        finery.clock_skew = -1
    else:
        finery.account().last_nonce = 2**64
    with pytest.raises(xchws.AuthenticationFailed, match="5 times in a row.*clock.*one process") as refused:
        make().start(WAIT)
    assert refused.value.code == {"timestamp": 7, "nonce": 6}[what]
    assert len(finery.handshakes) == 5


def test_a_nonce_that_is_refused_for_a_while_ends_no_client_that_was_served(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    back = client.expect(xchws.Connected)
    finery.reject_next("handshake", 6, times=8)
    finery.drop()
    back.result(WAIT)
    assert len(finery.handshakes) == 10


def test_a_nonce_that_another_client_of_the_process_overtakes_is_no_verdict(
    finery: FinerySandbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = finery.process_request
    overtaken: List[int] = []

    def overtake(session: Any) -> Any:
        if len(overtaken) < 8:
            overtaken.append(signing.nonce(finery.key, 0))
            finery.account().last_nonce = overtaken[-1]
        return judge(session)

    monkeypatch.setattr(finery, "process_request", overtake)
    client = make()
    refused = client.events(xchws.Disconnected)
    client.start(WAIT)
    assert len(overtaken) == 8 and len(finery.handshakes) == 9
    assert all("6 (wrong nonce)" in str(next(refused).error) for _ in range(8))


@pytest.mark.parametrize("status", [301, 403, 404, 429, 500, 503])
def test_other_refused_handshakes_are_tried_again(finery: FinerySandbox, make: Make, status: int) -> None:
    client = make()
    finery.refuse(status, "<html>not now</html>", {"Location": "ws://127.0.0.1:1/"} if status < 400 else {}, times=1)
    down = client.expect(xchws.Disconnected)
    client.start(WAIT)
    error = down.result(WAIT).error
    assert isinstance(error, xchws.HandshakeRejected) and error.status == status
    assert finery.complaints == []


# --------------------------------------------------------------------------------------------------------------- feeds


def test_the_firm_book_with_exact_numbers(finery: FinerySandbox, make: Make) -> None:
    finery.place("BTC-EUR", "bid", 87_000_01 * 10**6, 12_345_678)
    client = make()
    client.start(WAIT)
    books = listen(client, xchws.OrderBook)
    client.subscribe_order_book("BTC-EUR").wait(WAIT)
    finery.place("BTC-EUR", "ask", 87_000_02 * 10**6, 1)
    finery.place("BTC-EUR", "ask", 87_000_03 * 10**6, UNIT)
    finery.place("BTC-EUR", "bid", 87_000_02 * 10**6, 50_000_001, key=finery.key)
    finery.wipe("BTC-EUR", "bid")
    bid, ask = (Decimal("87000.01"), Decimal("0.12345678")), (Decimal("87000.02"), Decimal("1E-8"))
    far, own = (Decimal("87000.03"), Decimal(1)), (Decimal("87000.02"), Decimal("0.5"))
    told = [next(books) for _ in range(5)]
    assert [(book.bids, book.asks) for book in told] == [
        ((bid,), ()),
        ((bid,), (ask,)),
        ((bid,), (ask, far)),
        ((own, bid), (far,)),
        ((), (far,)),
    ]
    assert {book.symbol for book in told} == {"BTC-EUR"}
    assert [book.raw[2] for book in told] == ["S", "M", "M", "M", "M"]
    assert told[3].raw[3] == [[["+", 87_000_02 * 10**6, 50_000_000]], [["~", 87_000_03 * 10**6, UNIT]]]
    assert finery.complaints == []


@pytest.mark.parametrize("feed_id", ["BTC-EUR", 42, {"instrument": "BTC-EUR", "clientId": 7}])
def test_what_a_book_may_be_asked_for_by(finery: FinerySandbox, make: Make, feed_id: Any) -> None:
    client = make()
    client.start(WAIT)
    books = listen(client, xchws.OrderBook)
    client.bind("F", feed_id).wait(WAIT)
    finery.place("BTC-EUR", "ask", EUR, UNIT)
    assert [next(books).asks for _ in range(2)] == [(), ((Decimal(87_000), Decimal(1)),)]
    client.unbind("F", feed_id)
    finery.wait_until(lambda: not finery.subscribers("F"), WAIT)
    assert finery.complaints == []


@pytest.mark.parametrize("incremental", [False, True])
def test_books_are_the_exchange_s_own_after_thousands_of_changes(make: Make, incremental: bool) -> None:
    with FinerySandbox(seed=4, feed_b_incremental=incremental) as exchange:
        client = make(exchange)
        client.start(WAIT)
        stream = listen(client, xchws.Event)
        for instrument in INSTRUMENTS:
            client.subscribe_order_book(instrument)
            client.subscribe_global_order_book(instrument)
        client.subscribe_limits().wait(WAIT)
        books: Dict[Any, xchws.OrderBook] = {}
        told = 0
        for round in range(20):
            exchange.random_walk(200)
            exchange.place("BTC-EUR", "ask", EUR + round * 10**6, UNIT)
            exchange.limit_change(gross_limit=round)
            events = until(stream, models.CounterpartyLimit, own=limit(round))
            assert not [event for event in events if isinstance(event, (xchws.Failure, xchws.Other))]
            for event in events:
                if isinstance(event, xchws.OrderBook):
                    books[event.raw[0], event.symbol] = event
                    told += 1
            assert len(books) == 6 and all(agrees(book, exchange) for book in books.values())
        assert told > 2_000 and max(len(book.bids) for book in books.values()) > 5
        assert exchange.complaints == [] and exchange.opened == 1


def limit(gross: int) -> models.Limit:
    return models.Limit(asset="USD", gross_limit=Decimal(gross).scaleb(-8), utilization=Decimal(0), equity=Decimal(0))


def test_more_levels_than_are_published(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    books = listen(client, xchws.OrderBook)
    client.subscribe_order_book("BTC-EUR").wait(WAIT)
    orders = [finery.place("BTC-EUR", "bid", EUR - n * 10**6, UNIT + n) for n in range(40)]
    for order in orders[:20]:
        finery.cancel(order)
    finery.place("BTC-EUR", "ask", EUR + 10**6, UNIT)
    book = until(books, xchws.OrderBook, asks=levels([(EUR + 10**6, UNIT)]))[-1]
    assert len(book.bids) == 20 and agrees(book, finery)
    assert finery.complaints == []


def test_orders_and_fills_with_exact_numbers(finery: FinerySandbox, make: Make) -> None:
    resting = finery.place("BTC-EUR", "ask", EUR, 3, key=finery.key)
    client = make()
    client.start(WAIT)
    stream = listen(client, xchws.Data)
    client.subscribe_orders().wait(WAIT)
    order = finery.place("ETH-USD", "bid", 3_120_01 * 10**6, 25_000_000, key=finery.key)
    finery.deal(order, 10_000_000)
    finery.deal(order)
    finery.cancel(resting)
    known, new, partly, first, filled, second, gone, cancelled = (next(stream) for _ in range(8))
    assert (known.action, known.id, known.remaining) == ("S", str(resting.id), Decimal("3E-8"))
    assert (new.action, new.status, new.side, new.type) == ("+", "NEW", "buy", "limit")
    assert (new.price, new.quantity, new.filled) == (Decimal("3120.01"), Decimal("0.25"), 0)
    assert new.time_ms == order.created and new.client_order_id == str(order.client_order_id)
    assert (partly.status, partly.filled, partly.remaining) == ("PARTIALLY_FILLED", Decimal("0.1"), Decimal("0.15"))
    assert isinstance(first, models.Fill) and first.liquidity == "maker"
    assert (first.price, first.quantity, first.volume) == (Decimal("3120.01"), Decimal("0.1"), Decimal("312.001"))
    assert (first.order_id, first.counterparty_id, first.order_remaining) == (new.id, "9", Decimal("0.15"))
    assert (filled.status, filled.final, second.quantity) == ("FILLED", True, Decimal("0.15"))
    assert first.id != second.id and (first.taker_order_owner_id, first.maker_order_owner_id) == ("9", "1001")
    assert (gone.action, gone.status, gone.cancel_reason) == ("-", "FILLED", 0)
    assert (cancelled.status, cancelled.exchange_status) == ("CANCELED", "by client")
    assert cancelled.remaining == Decimal("3E-8")
    assert finery.complaints == []


def test_positions_with_exact_numbers(finery: FinerySandbox, make: Make) -> None:
    finery.change_position("EUR", -87_000_01 * 10**6)
    client = make()
    client.start(WAIT)
    everything = listen(client, models.Position)
    client.subscribe_positions().wait(WAIT)
    client.subscribe_positions("BTC").wait(WAIT)
    finery.change_position("BTC", 1, counterparty=12)
    finery.change_position("BTC", 4, counterparty=12)
    finery.change_position("BTC", -5, counterparty=12)
    told = [next(everything) for _ in range(7)]
    assert [(one.action, one.symbol, one.account, one.quantity) for one in told] == [
        ("S", "EUR", "9", Decimal("-87000.01")),
        *(("+", "BTC", "12", Decimal("1E-8")),) * 2,
        *(("M", "BTC", "12", Decimal("5E-8")),) * 2,
        *(("-", "BTC", "12", Decimal(0)),) * 2,
    ]
    assert told[3].max_reachable == told[3].min_reachable == Decimal("5E-8")
    assert finery.complaints == []


def test_limits_with_exact_numbers(finery: FinerySandbox, make: Make) -> None:
    finery.limit_change(gross_limit=5 * UNIT, utilization=1, equity=2, maintenance_margin=125_000)
    finery.global_limit_change("USD", 1, 2 * UNIT, 3, 4)
    client = make()
    client.start(WAIT)
    stream = listen(client, xchws.Data)
    client.subscribe_limits().wait(WAIT)
    client.subscribe_global_limits().wait(WAIT)
    finery.limit_change(12, mutual_gross_limit=7, own_trading=False)
    finery.limit_change(12, remove=True)
    snapshot, total, added, removed = (next(stream) for _ in range(4))
    own = models.Limit(
        asset="USD",
        gross_limit=Decimal(5),
        utilization=Decimal("1E-8"),
        equity=Decimal("2E-8"),
        maintenance_margin=Decimal("12.5"),
    )
    assert (snapshot.action, snapshot.counterparty_id, snapshot.own, snapshot.mutual) == ("S", "9", own, None)
    assert (total.action, total.asset) == ("S", "USD")
    assert (total.net_limit, total.gross_limit) == (Decimal("1E-8"), Decimal(2))
    assert (total.net_used, total.gross_used) == (Decimal("3E-8"), Decimal("4E-8"))
    assert (added.action, added.own, added.mutual) == ("+", None, limit(7))
    assert (added.own_trading_enabled, added.mutual_trading_enabled) == (False, True)
    assert (removed.action, removed.counterparty_id) == ("-", "12")
    assert finery.complaints == []


def test_a_change_of_a_global_limit_is_passed_on_as_it_is(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    client.subscribe_global_limits().wait(WAIT)
    other = client.expect(xchws.Other)
    finery.global_limit_change("USD", 1, 2)
    assert (other.result(WAIT).kind, other.result(0).raw) == ("G +", ["G", 0, "+", ["USD", 1, 2, 0, 0]])


def test_settlements_with_exact_numbers(finery: FinerySandbox, make: Make) -> None:
    first = finery.settlement("BTC", 3, "EUR", -5 * UNIT, comment="first", network=1)
    pending = finery.transaction("BTC", 7, comment="pending", network="Bitcoin")
    asked = finery.settlement_request("EUR", 9 * UNIT, incoming=False)
    client = make()
    client.start(WAIT)
    stream = listen(client, xchws.Data)
    client.subscribe_settlements().wait(WAIT)
    client.subscribe_settlement_transactions().wait(WAIT)
    client.subscribe_settlement_requests().wait(WAIT)
    order, transaction, request = (next(stream) for _ in range(3))
    assert (order.action, order.id, order.comment) == ("S", str(first), "first")
    assert (order.asset1, order.quantity1, order.network1) == ("BTC", Decimal("3E-8"), "1")
    assert (order.asset2, order.quantity2, order.network2) == ("EUR", Decimal(-5), None)
    assert (order.client_id, order.counterparty_id, order.settlement_id) == ("1001", "9", None)
    assert isinstance(transaction, models.SettlementTransaction) and isinstance(transaction, xchws.Transfer)
    assert (transaction.action, transaction.id, transaction.direction) == ("S", str(pending), "deposit")
    assert (transaction.asset, transaction.amount, transaction.network) == ("BTC", Decimal("7E-8"), "Bitcoin")
    assert transaction.status is None and transaction.comment == "pending"
    assert (request.action, request.id, request.direction) == ("S", str(asked), "outgoing")
    assert (request.asset, request.amount) == ("EUR", Decimal(9)) and request.expires_ms > request.time_ms

    finery.modify_settlement(first, size=4)
    finery.settle(first)
    finery.cancel_settlement(finery.settlement("EUR", 1))
    finery.modify_transaction(pending, "0xabc")
    finery.commit_transaction(pending)
    finery.cancel_transaction(finery.transaction("EUR", 2, incoming=False))
    finery.withdraw_request(asked)
    told = [next(stream) for _ in range(9)]
    assert [(type(one).__name__, one.action) for one in told] == [
        *(("Settlement", action) for action in "MD+-"),
        *(("SettlementTransaction", action) for action in "MD+-"),
        ("SettlementRequest", "-"),
    ]
    changed, settled = told[:2]
    assert changed.quantity1 == Decimal("4E-8") and settled.settlement_id and settled.committed_ms
    committed, cancelled = told[5], told[7]
    assert (committed.status, committed.transaction_id) == ("committed by receiver", "0xabc")
    assert (cancelled.status, cancelled.direction) == ("cancelled by sender", "withdrawal")
    assert finery.complaints == []


def test_instruments_and_the_combined_feed(finery: FinerySandbox, make: Make) -> None:
    finery.change_position("BTC", 5)
    order = finery.place("BTC-EUR", "bid", EUR, 7, key=finery.key)
    settlement = finery.settlement("EUR", UNIT)
    client = make()
    client.start(WAIT)
    stream = listen(client, xchws.Data)
    client.subscribe_instruments().wait(WAIT)
    client.subscribe_combined().wait(WAIT)
    known, position, resting, settling = (next(stream) for _ in range(4))
    assert [one.name for one in known.instruments] == list(INSTRUMENTS)
    assert known.instruments[0] == models.Instrument(name="BTC-EUR", id=42, base="BTC", quote="EUR")
    euro = next(one for one in known.currencies if one.name == "EUR")
    assert (euro.id, euro.step, euro.usd_price, euro.type) == (71003, Decimal("0.01"), Decimal("1.09"), "fiat")
    assert (position.symbol, position.quantity) == ("BTC", Decimal("5E-8"))
    assert (resting.id, settling.id) == (str(order.id), str(settlement))
    assert finery.complaints == []


def test_the_older_layouts(make: Make) -> None:
    with FinerySandbox(old_layouts=True, wrap_codes=True) as exchange:
        exchange.change_position("BTC", 5)
        exchange.limit_change(gross_limit=UNIT, maintenance_margin=10_000, mutual_trading=False)
        client = make(exchange)
        client.start(WAIT)
        stream = listen(client, xchws.Data)
        client.subscribe_positions().wait(WAIT)
        client.subscribe_limits().wait(WAIT)
        client.subscribe_orders().wait(WAIT)
        exchange.deal(exchange.place("BTC-EUR", "ask", EUR, 5, key=exchange.key))
        told = until(stream, models.Fill)
        assert (told[0].quantity, told[0].max_reachable) == (Decimal("5E-8"), None)
        assert told[1].own.maintenance_margin == 1 and told[1].own.gross_limit == 1
        assert (told[1].own_trading_enabled, told[1].mutual_trading_enabled) == (True, False)
        assert (told[-1].quantity, told[-1].maker_order_owner_id) == (Decimal("5E-8"), None)
        with pytest.raises(xchws.SubscriptionRejected) as refused:
            client.subscribe_order_book("NO-THING").wait(WAIT)
        assert refused.value.code == 103
        assert [text for text in exchange.complaints if "103" not in text] == []


@pytest.mark.parametrize(("feed", "feed_id", "code"), [("F", "NO-THING", 103), ("K", "XYZ", 103), ("B", "BTC-EUR", 3)])
def test_a_feed_that_is_refused(finery: FinerySandbox, make: Make, feed: str, feed_id: str, code: int) -> None:
    finery.account().role = "taker"
    client = make()
    client.start(WAIT)
    failure = client.expect(xchws.Failure)
    with pytest.raises(xchws.SubscriptionRejected) as refused:
        client.bind(feed, feed_id).wait(WAIT)
    assert refused.value.code == code and failure.result(WAIT).error is refused.value
    client.subscribe_orders().wait(WAIT)
    assert client.status().subscriptions == (("O", "active"),) and finery.opened == 1
    assert len(finery.complaints) == 1 and f"error {code}" in finery.complaints[0]


@pytest.mark.parametrize("code", [2, 10, 104])
def test_a_feed_that_is_refused_for_a_moment(finery: FinerySandbox, make: Make, code: int) -> None:
    client = make()
    client.start(WAIT)
    failure = client.expect(xchws.Failure)
    finery.reject_next("bind", code)
    client.subscribe_orders().wait(WAIT)
    error = failure.result(WAIT).error
    assert isinstance(error, xchws.SubscriptionRejected) and error.code == code
    assert finery.complaints == []


# ------------------------------------------------------------------------------------------------------------ requests


def test_orders_by_request(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    orders = listen(client, xchws.Order)
    client.subscribe_orders().wait(WAIT)
    resting = client.add_order("ETH-USD", "buy", type="limit", size="0.25", price="3120.01", client_order_id=900071)
    assert (resting.client_order_id, resting.remaining_size, resting.deals) == ("900071", Decimal("0.25"), ())
    assert (resting.remaining_volume, resting.cancel_reason) == (None, 0)
    assert next(orders).id == resting.id

    (order,) = finery.open_orders(finery.account())
    finery.deal(order, 10_000_000)
    changed = client.modify_order(resting.id, price=3_119, size="0.2", client_order_id="900072")
    assert (changed.original_id, changed.original_remaining_size) == (resting.id, Decimal("0.15"))
    assert (changed.initial_size, changed.remaining_size) == (Decimal("0.1"), Decimal("0.1"))
    gone = client.cancel_order(client_order_id=900072)
    assert (gone.id, gone.remaining_size) == (changed.id, Decimal("0.1"))

    finery.place("ETH-USD", "ask", 3_130 * UNIT, UNIT)
    partly = client.add_order("ETH-USD", "buy", type="limitIOC", size="1.5", price=3_130)
    assert (partly.remaining_size, partly.cancel_reason) == (Decimal("0.5"), 2)
    (deal,) = partly.deals
    assert (deal.price, deal.size, deal.volume) == (Decimal(3_130), Decimal(1), Decimal(3_130))
    assert (deal.counterparty_id, deal.delta) == ("9", Decimal(0))
    finery.place("ETH-USD", "bid", 3_000 * UNIT, UNIT)
    sold = client.add_order("ETH-USD", "sell", type="marketIOC", volume="30")
    assert sold.remaining_volume == 0 and sold.remaining_size is None and sold.deals[0].size == Decimal("0.01")

    kept = [client.add_order("BTC-EUR", "sell", type="postOnly", size=1, price=90_000 + n) for n in range(3)]
    assert client.cancel_order(kept[0].id).id == kept[0].id
    assert client.cancel_all_orders("ETH-USD") == {} and len(finery.open_orders(finery.account())) == 2
    assert client.cancel_all_orders() == {} and finery.open_orders(finery.account()) == []
    last = until(orders, xchws.Order, id=kept[2].id, action="-")
    by_volume = [one for one in last if one.id == sold.id and one.action == "+"]
    assert [(one.volume, one.quantity, one.by_volume) for one in by_volume] == [(Decimal(30), None, True)]
    assert finery.complaints == []


def test_questions(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    fills = listen(client, models.Fill)
    client.subscribe_orders().wait(WAIT)
    finery.place("BTC-EUR", "ask", EUR, 40)
    for _ in range(4):
        client.add_order("BTC-EUR", "buy", type="limitFOK", size="1E-8", price=87_000)
    told = [next(fills) for _ in range(4)]
    page = client.deal_history("BTC-EUR", limit=3)
    assert [fill.id for fill in page] == [fill.id for fill in reversed(told)][:3]
    (rest,) = client.deal_history(["BTC-EUR", "ETH-USD"], till=page[-1].id, counterparty_ids=[9], filter="all")
    assert rest.raw == told[0].raw and rest.liquidity == told[0].liquidity == "taker"
    assert client.deal_history(end=told[0].time) == () and len(client.deal_history(start=told[0].time)) == 4
    assert client.deal_history("ETH-USD") == ()

    book = client.order_book("BTC-EUR", tradable=True)
    assert agrees(book, finery) and book.asks == ((Decimal(87_000), Decimal("3.6E-7")),)
    known = client.instruments()
    assert [one.name for one in known.networks] == ["Bitcoin", "Ethereum"] and known.currencies[0].networks == ("1",)
    resting = client.add_order("BTC-EUR", "buy", type="limit", size=1, price=80_000)
    settling = finery.settlement("EUR", 5)
    portfolio = client.positions(filter="all")
    assert portfolio.next_id == str(finery.next_id)
    assert {one.symbol: one.quantity for one in portfolio.positions} == {
        "BTC": Decimal("4E-8"),
        "EUR": Decimal("-0.00348"),
    }
    assert [one.id for one in portfolio.orders] == [resting.id]
    assert [(one.id, one.quantity1) for one in portfolio.settlements] == [(str(settling), Decimal("5E-8"))]
    finery.limit_change(gross_limit=7)
    finery.global_limit_change("EUR", 1, 2)
    assert [one.own for one in client.counterparty_limits()] == [limit(7)]
    assert [(one.asset, one.net_limit) for one in client.limits()] == [("EUR", Decimal("1E-8"))]
    finery.commit_transaction(finery.transaction("BTC", 3))
    (transfer,) = client.settlement_transaction_history(limit=250)
    assert (transfer.amount, transfer.status) == (Decimal("3E-8"), "committed by receiver")
    assert client.request("limits") == [["EUR", 1, 2, 0, 0]]
    assert client.request("book", {"instrument": "BTC-USD", "tradable": False}) == [[], []]
    assert finery.complaints == []


def buy(**more: Any) -> Callable[[xchws.Finery], Any]:
    given: Dict[str, Any] = {"type": "limit", "size": 1, "price": 87_000, **more}
    return lambda client: client.add_order(given.get("instrument", "BTC-EUR"), "buy", **_without(given, "instrument"))


def _without(given: Dict[str, Any], name: str) -> Dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


REFUSALS = {
    "instrument": (buy(instrument="NO-THING"), 34, None),
    "size": (buy(instrument="ETH-USD", size="1E-8"), 70, "size"),
    "price": (buy(price="0.001"), 71, "price"),
    "volume": (buy(type="marketIOC", size=None, price=None, volume="0.001"), 83, "volume"),
    "number in use": (buy(client_order_id=1), 74, None),
    "post-only": (buy(type="postOnly", price=88_000), 75, None),
    "IOC": (buy(type="limitIOC"), 76, None),
    "FOK": (buy(type="limitFOK", size=2, price=88_000), 77, None),
    "self-trade": (buy(price=89_000, size=5, type="limitFOK"), 78, None),
    "not found": (lambda client: client.cancel_order(client_order_id=77), 80, None),
    "not found either": (lambda client: client.modify_order(77, price=1, size=1), 80, None),
    "method": (lambda client: client.request("setCLimit", {"counterpartyId": 9}), 8, None),
    "parameter": (lambda client: client.request("add", {"instrument": "BTC-EUR"}), 9, "type"),
}
MISTAKES = (8, 9, 34, 70, 71, 83)


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_a_refused_request(finery: FinerySandbox, make: Make, name: str) -> None:
    ask, code, parameter = REFUSALS[name]
    client = make()
    client.start(WAIT)
    client.add_order("BTC-EUR", "sell", type="limit", size=1, price=89_000, client_order_id=1)
    finery.place("BTC-EUR", "ask", 88_000 * UNIT, UNIT)
    with pytest.raises(models.Rejection) as refused:
        ask(client)
    assert (refused.value.code, refused.value.parameter) == (code, parameter)
    assert isinstance(refused.value, xchws.RequestRejected)
    assert client.positions().orders[0].client_order_id == "1", "nothing else has happened"
    assert len(finery.complaints) == (code in MISTAKES)


def test_who_may_not_trade(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    finery.account().role = "taker"
    with pytest.raises(models.Rejection, match="73"):
        buy()(client)
    finery.account().trading = False
    with pytest.raises(models.Rejection, match="84"):
        buy(type="limitIOC")(client)


def test_a_modification_that_leaves_nothing(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    old = client.add_order("BTC-EUR", "buy", type="limit", size=1, price=87_000)
    finery.deal(finery.open_orders(finery.account())[0], 40_000_000)
    with pytest.raises(models.Rejection, match="has been removed all the same") as refused:
        client.modify_order(old.id, price=87_000, size="0.3")
    assert (refused.value.code, refused.value.original_id) == (90, old.id)
    assert refused.value.original_remaining == Decimal("0.6")
    assert client.positions().orders == () and finery.complaints == []


def test_replies_in_another_order(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    finery.reorder_replies(8)
    with ThreadPoolExecutor(8) as pool:
        asked = {
            number: pool.submit(
                client.add_order, "BTC-EUR", "buy", type="limit", size=1, price=number, client_order_id=number
            )
            for number in range(1, 9)
        }
        for number, reply in asked.items():
            assert reply.result(WAIT).client_order_id == str(number)
    assert finery.complaints == []


def test_a_request_whose_connection_is_lost(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    finery.ignore_next("add")
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(
            client.add_order, "BTC-EUR", "buy", type="limit", size=1, price=87_000, client_order_id=77, timeout=None
        )
        finery.wait_until(lambda: finery.open_orders(finery.account()), WAIT)
        back = client.expect(xchws.Connected)
        finery.drop()
        with pytest.raises(models.OrderUnknown) as unknown:
            reply.result(WAIT)
    assert (unknown.value.method, unknown.value.client_order_id) == ("add", "77")
    assert isinstance(unknown.value.__cause__, xchws.ConnectionLost)
    back.result(WAIT)
    assert [order.client_order_id for order in client.positions().orders] == ["77"], "as it told us to find out"
    assert finery.complaints == []


def test_a_client_that_is_stopped_while_a_request_waits(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    lost: List[models.ProbablyCancelled] = []
    client.on_probably_cancelled(lost.append)
    finery.ignore_next("add")
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(
            client.add_order,
            "BTC-EUR",
            "buy",
            type="limit",
            size=1,
            price=1,
            cod=True,
            client_order_id=77,
            timeout=None,
        )
        finery.wait_until(lambda: finery.open_orders(finery.account()), WAIT)
        assert client.stop()
        with pytest.raises(models.OrderUnknown, match="client order id 77 is unknown"):
            reply.result(WAIT)
    assert [(one.client_order_id, one.id, one.symbol) for one in lost] == [("77", None, "BTC-EUR")]
    with pytest.raises(xchws.StateError):
        client.cancel_order(client_order_id=77)
    finery.wait_until(lambda: not finery.open_orders(finery.account()), WAIT)


def test_an_answer_that_comes_too_late(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    finery.reorder_replies(2)
    with pytest.raises(models.OrderUnknown, match="77.*no answer within") as unknown:
        client.cancel_order(77, timeout=0.5)
    assert isinstance(unknown.value.__cause__, xchws.WaitTimeout) and unknown.value.order_id == "77"
    late = client.expect(xchws.Other)
    assert client.limits() == (), "the next answer is its own"
    assert late.result(WAIT).kind == "late answer to del" and late.result(0).raw["error"] == 80


def test_without_a_connection_nothing_is_sent(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    finery.refuse(503)
    down = client.expect(xchws.Disconnected)
    finery.drop()
    down.result(WAIT)
    with pytest.raises(xchws.ConnectionLost, match="was not sent"):
        client.add_order("BTC-EUR", "buy", type="limit", size=1, price=87_000)
    with pytest.raises(xchws.ConnectionLost, match="was not sent"):
        client.limits()
    assert [message for message in finery.messages if message.get("event") == "request"] == []


def test_cancel_on_disconnect(finery: FinerySandbox, make: Make) -> None:
    trader, watcher = make(), make()
    trader.start(WAIT)
    watcher.start(WAIT)
    watcher.subscribe_orders().wait(WAIT)
    seen = listen(watcher, xchws.Order)
    bound = trader.add_order("BTC-EUR", "buy", type="limit", size=1, price=80_000, cod=True)
    done = trader.add_order("BTC-EUR", "buy", type="limit", size=1, price=79_000, cod=True)
    free = trader.add_order("BTC-EUR", "buy", type="limit", size=1, price=78_000)
    trader.cancel_order(done.id)
    told = listen(trader, models.ProbablyCancelled)
    back = trader.expect(xchws.Connected)
    trader_s = finery.sessions[0]
    finery.drop(trader_s)
    lost = next(told)
    assert (lost.id, lost.client_order_id, lost.symbol) == (bound.id, bound.client_order_id, "BTC-EUR")
    gone = until(seen, xchws.Order, id=bound.id, action="-")[-1]
    assert (gone.status, gone.cancel_reason, gone.exchange_status) == ("CANCELED", 4, "cancel on disconnect")
    back.result(WAIT)
    assert [order.id for order in trader.positions().orders] == [free.id]
    told.close()
    assert list(told) == [], "one event for the one order that was at risk"
    assert finery.complaints == []


# ------------------------------------------------------------------------------------------------------- what may break


@pytest.mark.parametrize("kept", [False, True])
def test_a_backend_that_is_lost_and_comes_back(finery: FinerySandbox, make: Make, kept: bool) -> None:
    client = make()
    client.start(WAIT)
    client.subscribe_order_book("BTC-EUR").wait(WAIT)
    client.subscribe_orders().wait(WAIT)
    stream = listen(client, xchws.Event)
    finery.disconnect_backend(2, keep_bindings=kept)
    suspended = until(stream, xchws.Suspended)[-1]
    assert "2 (not connected" in suspended.reason and client.status().state is xchws.State.SUSPENDED
    with pytest.raises(models.Rejection) as refused:
        client.limits()
    assert refused.value.code == 2
    finery.place("BTC-EUR", "ask", EUR, UNIT, key=finery.key)
    finery.reconnect_backend()
    events: List[Any] = []
    while sum(isinstance(event, xchws.Gap) for event in events) < 2:
        events += until(stream, xchws.Gap)
    finery.place("BTC-EUR", "bid", EUR - UNIT, UNIT, key=finery.key)
    events += until(stream, xchws.OrderBook, bids=levels([(EUR - UNIT, UNIT)]))
    assert agrees(events[-1], finery)
    for name, kind, recovered in (("F BTC-EUR", xchws.OrderBook, True), ("O", xchws.Order, False)):
        (gap,) = (
            place for place, event in enumerate(events) if isinstance(event, xchws.Gap) and name in event.channels
        )
        first = next(place for place, event in enumerate(events) if isinstance(event, kind))
        assert gap < first and events[gap].recovered is recovered, "the gap is told before anything behind it"
    known = [event.remaining for event in events if isinstance(event, xchws.Order)]
    assert known[0] == 1, "the snapshot behind the gap"
    assert finery.opened == 1
    # Whether binds outlive that is unknown; where they do, binding again is refused with 100, and no harm is done.
    assert [text for text in finery.complaints if "error 100" not in text] == []
    assert bool(finery.complaints) == kept


def test_a_backend_that_is_away_at_the_start(finery: FinerySandbox, make: Make) -> None:
    client = make()
    book = client.expect(xchws.OrderBook)
    client.subscribe_order_book("BTC-EUR")
    suspended = client.expect(xchws.Suspended)
    finery.disconnect_backend(10)
    client.start()
    assert "10 (internal" in suspended.result(WAIT).reason
    assert not any("feed" in message for message in finery.messages)
    finery.reconnect_backend()
    client.wait_ready(WAIT)
    assert book.result(WAIT).symbol == "BTC-EUR"
    assert finery.complaints == [] and finery.opened == 1


def test_a_book_out_of_step_heals(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    client.subscribe_order_book("BTC-EUR").wait(WAIT)
    client.subscribe_order_book("ETH-USD").wait(WAIT)
    stream = listen(client, xchws.Event)
    finery.place("BTC-EUR", "bid", EUR, UNIT)
    finery.break_book("BTC-EUR")
    failure = until(stream, xchws.Failure)[-1]
    assert isinstance(failure.error, xchws.ProtocolError) and "out of step" in str(failure.error)
    gap, book = (until(stream, kind)[-1] for kind in (xchws.Gap, xchws.OrderBook))
    assert gap.recovered and gap.channels == ("F BTC-EUR",), "the other book goes on"
    assert book.raw[2] == "S" and agrees(book, finery)
    finery.place("BTC-EUR", "ask", EUR + UNIT, UNIT)
    assert agrees(until(stream, xchws.OrderBook)[-1], finery)
    assert finery.complaints == [] and finery.opened == 1


@pytest.mark.parametrize("kind", ["bind", "unbind"])
def test_an_answer_that_never_comes(finery: FinerySandbox, make: Make, kind: str) -> None:
    client = make()
    client.start(WAIT)
    if kind == "unbind":
        client.subscribe_orders().wait(WAIT)
        finery.ignore_next("unbind")
        client.unbind("O")
        finery.wait_until(lambda: not finery.subscribers("O"), WAIT)
        client.subscribe_positions().wait(WAIT)
        assert finery.opened == 1
    else:
        down = client.expect(xchws.Disconnected)
        finery.ignore_next("bind")
        subscription = client.subscribe_orders()
        finery.wait_for_subscriber("O", timeout=WAIT)
        overdue(client)
        assert isinstance(down.result(WAIT).error, xchws.Silent)
        assert subscription.wait(WAIT).active, "it was asked for again on the next connection"
    assert finery.complaints == []


def overdue(client: xchws.Finery) -> None:
    """Move the instant by which a bind must be answered, instead of waiting for it."""

    def due(now: float) -> List[Any]:
        active = client._session.active
        assert active is not None
        for binding in active.protocol._bindings._waiting.values():  # type: ignore[attr-defined]  # Finery's own
            binding.answer_by = now
        return []

    assert client._loop is not None
    client._loop.post(due)


def ping_now(client: xchws.Finery) -> None:
    """Move the protocol's own ping, which is due every 25 s, instead of waiting for it."""

    def due(now: float) -> List[Any]:
        active = client._session.active
        assert active is not None
        active.protocol._ping_at = now  # type: ignore[attr-defined]  # Finery's own
        return []

    assert client._loop is not None
    client._loop.post(due)


def pings(exchange: FinerySandbox) -> int:
    return sum(one.kind == "ping" for one in exchange.received)


def test_a_quiet_connection_outlives_the_idle_limit(make: Make) -> None:
    with FinerySandbox(idle_timeout=2.0) as exchange:
        client = make(exchange, ping_interval=0.1)
        client.start(WAIT)
        exchange.wait_until(lambda: pings(exchange) >= 25, 30)
        client.stop()
        assert exchange.opened == 1 and exchange.complaints == []


@pytest.mark.parametrize("json_ping", [False, True])
def test_something_is_sent_by_the_clock_however_much_comes(finery: FinerySandbox, make: Make, json_ping: bool) -> None:
    client = make(ping_interval=None, json_ping=json_ping)
    client.start(WAIT)
    client.subscribe_orders().wait(WAIT)
    finery.run(500)
    ping_now(client)
    finery.wait_until(lambda: pings(finery) == 1, WAIT)
    finery.wait_until(lambda: ({"event": "ping"} in finery.messages) == json_ping, WAIT)
    client.stop()
    assert finery.complaints == []


def test_an_idle_connection_is_closed_by_the_exchange_and_made_anew(make: Make) -> None:
    with FinerySandbox(idle_timeout=0.2, ping_frames_count=False) as exchange:
        client = make(exchange, ping_interval=0.05)
        down = client.expect(xchws.Disconnected)
        back = client.expect(xchws.Connected, where=lambda event: event.gap is not None)
        client.start(WAIT)
        assert "idle" in str(down.result(WAIT).error)
        back.result(WAIT)


def test_the_101st_connection_is_not_dialled(finery: FinerySandbox, make: Make) -> None:
    places = [PLACES.take(f"127.0.0.1:{finery.port}") for _ in range(99)]
    first, last = make(), make()
    first.start(WAIT)
    down = last.expect(xchws.Disconnected)
    last.start()
    error = down.result(WAIT).error
    assert isinstance(error, xchws.OpenFailed) and "100 connections" in str(error) and "stop a client" in str(error)
    assert len(finery.handshakes) == 1
    first.stop()
    last.wait_ready(WAIT)
    for place in places:
        assert place is not None
        place.give_back()
    assert finery.complaints == []


def test_a_place_is_given_back_whatever_becomes_of_the_connection(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    for _ in range(3):
        back = client.expect(xchws.Connected)
        finery.refuse(503, times=2)
        finery.drop(reset=True)
        back.result(WAIT)
    assert len(finery.handshakes) == 10
    client.stop()
    refused = make(secret="SECRET-nobody-knows")
    with pytest.raises(xchws.AuthenticationFailed):
        refused.start(WAIT)
    # No try is under way when it stops: stop() waits for none, and such a one gives its place back a little later.
    nobody = make(url="ws://127.0.0.1:1/ws", backoff=xchws.Backoff(60.0, randomization=0.0))
    down = nobody.expect(xchws.Disconnected)
    nobody.start()
    down.result(WAIT)
    nobody.stop()
    for address in (f"127.0.0.1:{finery.port}", "127.0.0.1:1"):
        places = [PLACES.take(address) for _ in range(101)]
        assert [place is None for place in places] == [False] * 100 + [True]
        for place in places[:100]:
            assert place is not None
            place.give_back()


def test_one_connection_too_many_for_the_exchange(make: Make) -> None:
    with FinerySandbox(max_connections=1) as exchange:
        first, second = make(exchange), make(exchange)
        first.start(WAIT)
        down = second.expect(xchws.Disconnected)
        second.start()
        error = down.result(WAIT).error
        assert isinstance(error, xchws.HandshakeRejected) and error.status == 429
        first.stop()
        second.wait_ready(WAIT)


def test_a_cut_is_told_and_everything_is_told_anew(finery: FinerySandbox, make: Make) -> None:
    finery.place("BTC-EUR", "ask", EUR, UNIT, key=finery.key)
    finery.change_position("BTC", 1)
    client = make()
    client.start(WAIT)
    names = {"F BTC-EUR": True, "B BTC-EUR": True, "K": True, "L": True, "O": False, "S": False, "N": False, "R": True}
    for name in names:
        client.bind(*name.split()).wait(WAIT)
    stream = listen(client, xchws.Event)
    last = finery.place("BTC-EUR", "ask", EUR + UNIT, UNIT, key=finery.key)
    until(stream, xchws.Order)
    finery.refuse(503)
    finery.drop()
    until(stream, xchws.Disconnected)
    finery.cancel(last)
    finery.change_position("BTC", 1)
    finery.accept()
    gaps: Dict[str, xchws.Gap] = {}
    fresh: List[Any] = []
    while len(gaps) < len(names) or len(fresh) < 4:
        event = next(stream)
        if isinstance(event, xchws.Gap):
            gaps.update((channel, event) for channel in event.channels)
        elif isinstance(event, xchws.Data):
            fresh.append(event)
    assert {name: gap.recovered for name, gap in gaps.items()} == names
    assert {gap.last_time for gap in gaps.values()} == {xchws.Order(exchange="", time_ms=last.created).time}
    assert all(gap.since < gap.until for gap in gaps.values())
    assert sorted(type(event).__name__ for event in fresh) == ["Order", "OrderBook", "OrderBook", "Position"]
    assert [event.quantity for event in fresh if isinstance(event, models.Position)] == [Decimal("2E-8")]
    assert all(agrees(event, finery) for event in fresh if isinstance(event, xchws.OrderBook))
    assert finery.complaints == []


def test_two_thousand_events_with_a_cut_in_the_middle(finery: FinerySandbox, make: Make) -> None:
    client = make()
    client.start(WAIT)
    stream = listen(client, xchws.Event)
    client.subscribe_orders().wait(WAIT)
    client.subscribe_positions().wait(WAIT)
    finery.random_walk(1_000, seed=11)
    finery.change_position("USD", 1, counterparty=76)
    events = until(stream, models.Position, counterparty_id="76")
    finery.random_walk(100)
    cut_at = datetime.now(timezone.utc)
    finery.drop(reset=True)  # perhaps in the middle of these
    for _ in range(50):
        finery.random_walk(10)  # some of it to nobody, some while the client comes back
    for feed in "KO":
        finery.wait_for_subscriber(feed, timeout=WAIT)
    finery.random_walk(500)
    last = finery.place("BTC-EUR", "ask", 10**6 * UNIT, UNIT, key=finery.key)
    finery.change_position("USD", 1, counterparty=77)
    events += until(stream, models.Position, counterparty_id="77")
    assert any(isinstance(event, xchws.Order) and event.id == str(last.id) for event in events)
    assert finery.published_count > 2_000 and not [event for event in events if isinstance(event, xchws.Other)]
    first_gap = next(n for n, event in enumerate(events) if isinstance(event, xchws.Gap))
    last_time = [event.time for event in events[:first_gap] if isinstance(event, xchws.Order)][-1]
    for feed, kind in (("O", xchws.Order), ("K", models.Position)):
        (cut,) = (n for n, one in enumerate(events) if isinstance(one, xchws.Gap) and feed in one.channels)
        before, snapshot, after = (
            rows(events[:cut], kind, "+MD-"),
            rows(events[cut:], kind, "S"),
            rows(events[cut:], kind, "+MD-"),
        )
        sent = [entry for entry in finery.published if entry["feed"] == feed]
        missed = len(sent) - len(after)
        assert before and before == [write(entry["data"]) for entry in sent][: len(before)]
        assert after and after == [write(entry["data"]) for entry in sent][missed:]
        assert len(before) <= missed, "what is told before the cut is not told again"
        assert sorted(snapshot) == sorted(state(feed, sent[:missed])), "and the snapshot tells what was missed"
        assert events[cut].last_time == last_time and events[cut].recovered == (feed == "K")
        assert (
            events[cut].since < events[cut].until and events[cut].since <= cut_at + TICK and cut_at <= events[cut].until
        )
    fills = [event.id for event in events if isinstance(event, models.Fill)]
    assert len(fills) == len(set(fills)) > 100
    assert finery.complaints == []


def rows(events: List[Any], kind: Any, actions: str) -> List[str]:
    """What the events of a class say, as the exchange wrote it."""
    return [write(event.raw) for event in events if isinstance(event, kind) and event.action in actions]


def state(feed: str, entries: List[Any]) -> List[str]:
    """What a snapshot says after these events of a feed."""
    rows: Dict[Any, Any] = {}
    for entry in entries:
        row = entry["data"]
        key = row[4] if feed == "O" else (row[0], row[2])
        if entry["action"] == "-":
            rows.pop(key, None)
        elif entry["action"] != "D":
            rows[key] = row
        elif key in rows:
            rows[key] = [*row[:10], row[18]]  # an order as it stands after a deal
    return [write(row) for row in rows.values()]


def test_a_message_cut_in_the_middle(finery: FinerySandbox, make: Make) -> None:
    with FaultProxy("127.0.0.1", port_of(finery.url)) as proxy:
        client = make(url=proxy.url(finery.url))
        client.start(WAIT)
        client.subscribe_orders().wait(WAIT)
        down, gap = client.expect(xchws.Disconnected), client.expect(xchws.Gap)
        proxy.truncate_after(50)
        finery.place("BTC-EUR", "ask", EUR, UNIT, key=finery.key)
        assert "in the middle of a message" in str(down.result(WAIT).error)
        order = client.expect(xchws.Order)
        proxy.clear()
        assert gap.result(WAIT).channels == ("O",) and order.result(WAIT).raw[7:9] == [UNIT, UNIT]
        client.stop()
    assert finery.complaints == []


@pytest.mark.parametrize(
    "text",
    ["no json", '["F","BTC-EUR","M"', "[" * 5000, "3", '["O",0,"+",3]', '["F","BTC-EUR","S",3]', '["X",0,"Z",[]]'],
)
def test_unreadable_messages_are_told_and_the_connection_lives(finery: FinerySandbox, make: Make, text: str) -> None:
    client = make()
    client.start(WAIT)
    client.subscribe_orders().wait(WAIT)
    failure, order = client.expect(xchws.Failure), client.expect(xchws.Order)
    finery.send_raw(text)
    finery.place("BTC-EUR", "ask", EUR, UNIT, key=finery.key)
    order.result(WAIT)
    error = failure.result(WAIT).error
    assert isinstance(error, xchws.ProtocolError) and error.text and len(str(error)) < 1000
    assert finery.opened == 1 and finery.complaints == []


def test_two_accounts_hear_of_their_own(finery: FinerySandbox, make: Make) -> None:
    finery.add_account("KEY-two", "SECRET-two")
    one, two = make(), make(key="KEY-two", secret="SECRET-two")
    heard: Dict[str, List[str]] = {"one": [], "two": []}
    done = [client.expect(xchws.Order, symbol="BTC-USD") for client in (one, two)]
    for name, client in (("one", one), ("two", two)):
        client.on_order(lambda order, name=name: heard[name].append(order.id))
        client.start(WAIT)
        client.subscribe_orders().wait(WAIT)
    placed: List[FineryOrder] = []
    for key in (finery.key, "KEY-two"):
        placed.append(finery.place("BTC-EUR", "ask", EUR, UNIT, key=key))
        placed.append(finery.place("BTC-USD", "ask", EUR, UNIT, key=key))
    for expectation in done:
        expectation.result(WAIT)
    one.stop()
    two.stop()
    assert heard == {"one": [str(order.id) for order in placed[:2]], "two": [str(order.id) for order in placed[2:]]}
    assert finery.complaints == []


# ------------------------------------------------------------------------------------------------------------- secrets


def test_no_secret_in_a_whole_life(
    finery: FinerySandbox, make: Make, log: Everything, capfd: pytest.CaptureFixture[str]
) -> None:
    texts: List[str] = []
    client = make()
    client.on(xchws.Event, lambda event: texts.extend([repr(event), str(event)]))
    client.on_error(lambda error: texts.extend(shown(error)))
    client.on_message(lambda message: texts.append(repr(message)))
    client.start(WAIT)
    client.subscribe_orders().wait(WAIT)
    client.subscribe_order_book("BTC-EUR").wait(WAIT)
    client.add_order("BTC-EUR", "buy", type="limit", size=1, price=87_000, cod=True)
    finery.reject_next("limits", 9, f"who is {finery.key} with {finery.secret}?")
    with pytest.raises(models.Rejection) as refused:
        client.limits()
    texts += shown(refused.value)
    trouble = client.expect(xchws.Failure, where=lambda failure: "1008" in str(failure.error))
    (signature, *_) = signatures_of(finery)
    finery.send_raw(f"no json {finery.key} {finery.secret} {signature}")
    finery.send_raw(f'["F","BTC-EUR","M",["{finery.secret}"]]')
    finery.close_connections(1008, f"bad {finery.key}")
    texts += shown(trouble.result(WAIT).error)
    client.wait_ready(WAIT)
    for status, body in ((400, '{"error":6}'), (500, f"<html>{finery.secret} {signature}</html>")):
        finery.refuse(status, body, times=1)
        ended = client.expect(xchws.Disconnected, where=lambda one: isinstance(one.error, xchws.HandshakeRejected))
        finery.drop()
        texts += shown(ended.result(WAIT).error)
        client.wait_ready(WAIT)
    exchange = client._exchange
    texts += [repr(client), repr(vars(client)), repr(client.status()), repr(exchange), repr(vars(client._session))]
    client.stop()
    secrets = {finery.key, finery.secret, *signatures_of(finery)}
    assert len(secrets) >= 6, "the conversation must have had signatures to hide"
    out, error = capfd.readouterr()
    everything = "\n".join([*texts, *log.texts, out, error])
    assert "Order" in everything and "READY" in everything and "who is *** with ***?" in everything
    for secret in secrets:
        assert secret not in everything
    assert finery.complaints == []


def test_refused_credentials_are_not_shown(finery: FinerySandbox, make: Make, log: Everything) -> None:
    texts: List[str] = []
    for key, secret in (("KEY-nobody-knows", "SECRET-nobody-knows"), (finery.key, "SECRET-nobody-knows")):
        client = make(key=key, secret=secret)
        with pytest.raises(xchws.AuthenticationFailed) as refused:
            client.start(WAIT)
        texts += [*shown(refused.value), repr(client.status()), repr(vars(client))]
    everything = "\n".join([*texts, *log.texts])
    assert "wrong signature" in everything
    for hidden in ("KEY-nobody-knows", "SECRET-nobody-knows", finery.key, *signatures_of(finery)):
        assert hidden not in everything


def signatures_of(exchange: FinerySandbox) -> List[str]:
    return [handshake.headers["efx-sign"] for handshake in exchange.handshakes]


def test_many_clients_in_one_process(finery: FinerySandbox, make: Make) -> None:
    finery.rising_nonce = False  # the newer rule: handshakes made at the same time may arrive in another order
    clients = [make() for _ in range(10)]
    seen = [client.expect(xchws.Order) for client in clients]
    for client in clients:
        client.subscribe_orders()
        client.start()
    finery.wait_for_subscriber("O", n=10, timeout=WAIT)
    finery.place("BTC-EUR", "ask", EUR, UNIT, key=finery.key)
    for expectation in seen:
        expectation.result(WAIT)
    for client in clients:
        assert client.stop()
    left = [thread.name for thread in threading.enumerate() if thread.name.endswith(("owner", "callbacks"))]
    assert left == []
    assert finery.complaints == []
