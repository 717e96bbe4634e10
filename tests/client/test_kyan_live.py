"""The Kyan client against its simulated exchange, over real sockets: login, channels, books, recovery, and all that breaks."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import islice
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

import xchws
from tests.cli.program import WAIT, Program
from tests.client.conftest import QUICK
from tests.client.hearing import Everything, shown
from xchws.exchanges.kyan import models
from xchws.sandbox import KyanSandbox
from xchws.sandbox.kyan import MAGIC_KEYS
from xchws.waiting import Answer

Make = Callable[..., xchws.Kyan]

PERPETUAL = "ETH_USDC-PERPETUAL"
CALL = "ETH_USDC-26MAR27-4200-C"
TICK = timedelta(seconds=1)  # what the exchange had sent before a cut may be read after it


@pytest.fixture
def rough() -> Iterator[KyanSandbox]:
    """An exchange on which something is done that it complains of."""
    with KyanSandbox(seed=1, position_interval=None) as exchange:
        yield exchange


@pytest.fixture
def kyan(rough: KyanSandbox) -> Iterator[KyanSandbox]:
    """An exchange that must have nothing to complain of in the end."""
    yield rough
    assert rough.complaints == []


@pytest.fixture
def make(rough: KyanSandbox, clients: List[xchws.Client]) -> Make:
    def made(exchange: KyanSandbox = rough, **options: Any) -> xchws.Kyan:
        client = xchws.Kyan(**{"key": exchange.key, "url": exchange.url, "backoff": QUICK, **options})
        clients.append(client)
        return client

    return made


def said(exchange: KyanSandbox) -> List[str]:
    """The commands that came, by type."""
    return [message["type"] for message in exchange.messages]


def settled(client: xchws.Kyan, exchange: KyanSandbox) -> None:
    """Wait until the client has heard all that was published."""
    last = client.expect(models.Bankruptcy)
    client.subscribe_bankruptcy("ARB_USDC").wait(5)
    exchange.bankruptcy("ARB_USDC")
    last.result(20)


def recoverable(client: xchws.Kyan) -> None:
    """Wait until the client could recover its session: answers come in order, and this one after the token's."""
    client.get_instruments(timeout=5)


# --------------------------------------------------------------------------------------------------------------- login


def test_login(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    recoverable(client)
    auth, enable, _ = kyan.messages
    assert {**auth, "id": 0} == {"type": "auth", "api_key": kyan.key, "id": 0}
    assert enable["type"] == "enable_session_recovery"
    status = client.status()
    assert status.token_expires is not None and status.since is not None
    assert (status.token_expires - status.since).total_seconds() == pytest.approx(3600, abs=30)


def test_no_recovery_where_it_is_not_wanted(kyan: KyanSandbox, make: Make) -> None:
    client = make(session_recovery=False)
    client.start(5)
    gap = client.expect(xchws.Gap)
    client.subscribe_index_price("ETH_USDC").wait(5)
    kyan.drop()
    assert gap.result(5).recovered is False
    client.wait_ready(5)
    assert said(kyan)[:3] == ["auth", "subscribe", "auth"]


@pytest.mark.parametrize("key", ["k_missing", "k_disabled", "k_broken", "k_nobody_knows"])
def test_refused_keys_end_it(rough: KyanSandbox, make: Make, key: str) -> None:
    client = make(key=key)
    with pytest.raises(xchws.AuthenticationFailed, match=MAGIC_KEYS.get(key, "NOT_FOUND")):
        client.start(10)
    assert client.status().state is xchws.State.STOPPED
    # "Failed to validate api key" may be the exchange's own trouble: it is tried some times.
    assert rough.opened == (5 if key == "k_broken" else 1)


@pytest.mark.parametrize(("key", "wait"), [("k_limited", 5), ("k_exhausted", 60)])
def test_refusals_that_pass(rough: KyanSandbox, make: Make, key: str, wait: float) -> None:
    client = make(key=key)
    down = client.expect(xchws.Disconnected)
    client.start()
    event = down.result(5)
    assert isinstance(event.error, xchws.RateLimited) and event.error.code == MAGIC_KEYS[key]
    assert event.error.retry_after == wait and (event.retry_in or 0) >= wait
    assert client.status().state is xchws.State.WAITING


def test_a_key_of_another_form_never_goes_out(rough: KyanSandbox, make: Make) -> None:
    with pytest.raises(xchws.ConfigurationError, match="letters, digits and underscores"):
        make(key="no-dashes")
    assert rough.handshakes == []


# ------------------------------------------------------------------------------------------------------------ channels


def test_market_channels_with_exact_numbers(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    stream = client.events(xchws.Data, timeout=5)
    client.start(5)
    for subscription in (
        client.subscribe_index_price("ETH_USDC"),
        client.subscribe_funding(PERPETUAL),
        client.subscribe_interest_rate("ETH_USDC"),
        client.subscribe_iv("ETH_USDC", "26MAR27"),
        client.subscribe_bankruptcy(),
    ):
        subscription.wait(5)
    kyan.index_price("BTC_USDC", "64000")  # another pair's is not for us
    kyan.index_price("ETH_USDC", "3120.75000001")
    kyan.funding(PERPETUAL, "-0.00000012", "3122.05")
    kyan.interest_rate("ETH_USDC", "0.0410")
    kyan.svi("ETH_USDC", alpha="0.03", rho="0.25")
    kyan.bankruptcy("BTC_USDC")
    events: List[Any] = [next(stream) for _ in range(5)]
    index, funding, rate, curve, bankruptcy = events
    published = kyan.published[1:]
    assert [event.raw for event in events] == [entry["data"] for entry in published]
    assert (index.symbol, str(index.value)) == ("ETH_USDC", "3120.75000001")
    assert index.time_ms == published[0]["data"]["timestamp"]
    assert (funding.symbol, funding.rate) == (PERPETUAL, Decimal("-0.00000012"))
    assert (str(funding.spot_price), str(funding.perp_price)) == ("3120.75000001", "3122.05")
    assert (rate.symbol, rate.rate, rate.expiry, rate.series) == (
        "ETH_USDC", Decimal("0.041"), None, "INTEREST-ETH_USDC",
    )  # fmt: skip
    assert (curve.symbol, curve.maturity, str(curve.alpha), str(curve.beta)) == ("ETH_USDC", "26MAR27", "0.03", "0.4")
    assert (str(curve.rho), str(curve.m), str(curve.sigma)) == ("0.25", "0.01", "0.35")
    assert (bankruptcy.symbol, bankruptcy.margin_account) == ("BTC_USDC", kyan.account().margin_account_id)
    assert all(event.exchange == "kyan" and event.time is not None for event in events)


def test_instruments(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    stream = client.events(models.Instruments, timeout=5)
    client.start(5)
    client.subscribe_instruments()
    first: List[Any] = [next(stream) for _ in range(3)]
    assert [event.symbol for event in first] == ["BTC", "ETH", "ARB"]
    assert [name for event in first for name in event.names] == kyan.instruments
    kyan.list_instrument("ETH_USDC-26MAR27-9000-P")
    kyan.expire_instrument(CALL)
    more, fewer = (next(stream) for _ in range(2))  # type: Any, Any
    assert more.names == (*first[1].names, "ETH_USDC-26MAR27-9000-P")
    assert fewer.names == tuple(name for name in more.names if name != CALL)
    assert more.time_ms <= fewer.time_ms == kyan.updated_at


def test_account_channels_with_exact_numbers(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    account = kyan.account()
    address = account.smart_account_address
    client.start(5)
    client.subscribe_account_state(account.owner.upper().replace("0X", "0x"), "ETH_USDC").wait(5)
    client.subscribe_trades(address).wait(5)
    client.subscribe_transfers(address).wait(5)
    client.subscribe_mmp(address).wait(5)
    client.subscribe_position(address, "ETH").wait(5)
    stream = client.events(xchws.Data, timeout=5)
    option = kyan.place(CALL, "buy", "90.5", "2.5")
    kyan.fill(option, "0.4")
    kyan.transfer("deposit", "USDC", "250.125")
    kyan.transfer("withdrawal", "ARB", "1000000")
    kyan.trigger_mmp("ETH_USDC", seconds=60)
    kyan.publish_positions()
    fill, state, deposit, withdrawal, mmp, position = (next(stream) for _ in range(6))  # type: Any, Any, Any, Any, Any, Any
    trade = next(entry["data"] for entry in kyan.published if entry["type"] == "trade")
    assert type(fill) is models.Fill and fill.raw == trade
    assert (fill.id, fill.order_id, fill.side) == (trade["trade_id"], option.id, "buy")
    assert (fill.symbol, str(fill.quantity), str(fill.price), str(fill.limit_price)) == (CALL, "0.4", "90.5", "90.5")
    assert (str(fill.iv), str(fill.taker_fee), str(fill.maker_fee), fill.fee) == ("0.61", "0.0003", "0.0001", None)
    assert (fill.account, fill.margin_account) == (address, account.margin_account_id)
    assert (state.symbol, state.margin_account, state.account) == (
        "ETH_USDC", str(account.margin_account), account.owner.upper().replace("0X", "0x"),
    )  # fmt: skip
    told = next(entry["data"] for entry in kyan.published if entry["type"] == "account_state")
    assert (state.initial_margin, state.maintenance_margin, state.equity) == (told["im"], told["mm"], told["equity"])
    assert state.greeks.delta == Decimal("0.4") and state.liquidation is False
    assert (deposit.direction, deposit.asset, str(deposit.amount)) == ("deposit", "USDC", "250.125")
    assert (withdrawal.direction, withdrawal.asset, withdrawal.amount) == ("withdrawal", "ARB", Decimal(1000000))
    assert deposit.id != withdrawal.id and deposit.account == address
    assert (mmp.symbol, mmp.account, mmp.frozen_seconds) == ("ETH_USDC", address, 60)
    assert mmp.frozen_until_ms > mmp.time_ms
    assert (position.symbol, str(position.quantity), str(position.entry_price)) == (CALL, "0.4", "90.5")
    assert (position.account, position.market, position.instrument_type) == (
        account.margin_account_id, "ETH", "option",
    )  # fmt: skip
    # Sold again: the list is without it from now on, which is told as a quantity of 0, once.
    back = kyan.place(CALL, "sell", "91", "0.4")
    kyan.fill(back)
    kyan.publish_positions()
    kyan.publish_positions()
    kyan.transfer("deposit", "BTC", "1")
    rest: List[Any] = []
    while not rest or not isinstance(rest[-1], xchws.Transfer):
        rest.append(next(stream))
    gone: List[Any] = [one for one in rest if isinstance(one, xchws.Position)]
    assert [(one.symbol, one.quantity) for one in gone] == [(CALL, 0)]


@pytest.mark.parametrize("ids", [True, False])
def test_positions_tick_by_themselves(make: Make, ids: bool) -> None:
    with KyanSandbox(seed=1, position_interval=0.05) as exchange:
        exchange.position_ids = ids
        exchange.fill(exchange.place(PERPETUAL, "sell", "3119.5", "500"))
        client = make(exchange)
        stream = client.events(xchws.Position, timeout=5)
        client.start(5)
        client.subscribe_position(exchange.account().owner)
        found: List[Any] = [next(stream) for _ in range(3)]
        client.stop()
        assert {(one.symbol, one.quantity, str(one.entry_price)) for one in found} == {(PERPETUAL, -500, "3119.5")}
        assert (found[0].id is None) is not ids and (found[0].entry_fee == Decimal("0.05")) is ids
        assert str(found[0].funding_rate) == "0.00004"
        assert exchange.complaints == []


def test_public_trades_and_own_fills(kyan: KyanSandbox, make: Make) -> None:
    kyan.add_account("another_key")
    client = make()
    client.start(5)
    client.subscribe_trades(pair="ETH_USDC").wait(5)
    client.subscribe_trades(kyan.account().smart_account_address).wait(5)
    stream = client.events(xchws.Data, timeout=5)
    kyan.fill(kyan.place(PERPETUAL, "buy", "3000", "10", key="another_key"))
    kyan.fill(kyan.place(PERPETUAL, "buy", "3000", "20"))
    settled(client, kyan)
    found: List[Any] = [next(stream) for _ in range(3)]
    assert isinstance(found[0], xchws.Trade) and found[0].quantity == 10
    # The own one belongs to both subscriptions: it is public, and it is ours.
    assert sorted(type(one).__name__ for one in found[1:]) == ["Fill", "Trade"]
    assert {one.id for one in found[1:]} == {found[1].id} and found[1].quantity == 20


@pytest.mark.parametrize("layout", ["list", "orders"])
def test_orders_of_a_maker(kyan: KyanSandbox, make: Make, layout: str) -> None:
    kyan.maker_layout = layout
    resting = kyan.place(PERPETUAL, "sell", "3200", "70", mmp=True)
    kyan.fill(resting, "20")
    client = make()
    stream = client.events(xchws.Order, timeout=5)
    client.start(5)
    client.subscribe_orderbook_maker(kyan.account().smart_account_address).wait(5)
    first: Any = next(stream)
    assert (first.id, first.status, first.quantity, first.filled, first.remaining) == (
        resting.id, "PARTIALLY_FILLED", 70, 20, 50,
    )  # fmt: skip
    order = kyan.place(CALL, "buy", "90.5", "2.5")
    kyan.fill(order, "0.4")
    edited = kyan.edit(order, price="91")
    kyan.fill(edited)
    kyan.trigger_mmp("ETH_USDC")
    events: List[Any] = [next(stream) for _ in range(6)]
    assert [(one.id, str(one.status), str(one.filled), one.final) for one in events] == [
        (order.id, "NEW", "0", False),
        (order.id, "PARTIALLY_FILLED", "0.4", False),
        (order.id, "CANCELED", "0.4", True),
        (edited.id, "NEW", "0", False),
        (edited.id, "FILLED", "2.1", True),
        (resting.id, "CANCELED", "20", True),
    ]
    assert all(one.created_ms % 1000 == 0 and one.created_ms > 10**12 for one in events), "seconds on the wire"
    assert (events[0].symbol, events[0].side, str(events[0].price)) == (CALL, "buy", "90.5")


def test_what_is_not_documented_is_other(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    stream = client.events(xchws.Data, timeout=5)
    client.start(5)
    client.subscribe_account_liquidation(kyan.account().owner).wait(5)
    client.subscribe_rfq().wait(5)
    kyan.rfq("rfq_request", {"order_id": "q1", "type": "x"})
    event: Any = next(stream)
    assert isinstance(event, xchws.Other) and (event.kind, event.raw) == (
        "rfq_request",
        {"order_id": "q1", "type": "x"},
    )


# --------------------------------------------------------------------------------------------------------------- books

Levels = Tuple[Tuple[Decimal, Decimal], ...]


def book_of(exchange: KyanSandbox, instrument: str) -> Tuple[Levels, Levels]:
    """The simulated exchange's own book, as levels."""
    sides: Dict[str, Dict[Decimal, Decimal]] = {"buy": defaultdict(Decimal), "sell": defaultdict(Decimal)}
    for order in exchange.resting(instrument_name=instrument):
        sides[order.side][order.price] += order.remaining
    return tuple(sorted(sides["buy"].items(), reverse=True)), tuple(sorted(sides["sell"].items()))


def furnish(exchange: KyanSandbox) -> None:
    """Let orders rest in every book, some of them executed in part."""
    for name in exchange.instruments:
        step = 1 if name.endswith("PERPETUAL") else Decimal(100)
        for place in range(1, 4):
            for side, price in (("buy", 10 - place), ("sell", 10 + place), ("sell", 10 + place)):
                order = exchange.place(name, side, price, 30 * step)
                if place == 2:
                    exchange.fill(order, 20 * step)


class Books:
    """The books that a client told last; it is the callback."""

    def __init__(self) -> None:
        self._told: Dict[str, Tuple[Levels, Levels]] = {}
        self._changed = threading.Condition()

    def __call__(self, book: xchws.OrderBook) -> None:
        with self._changed:
            self._told[book.symbol] = book.bids, book.asks
            self._changed.notify()

    def compare(self, exchange: KyanSandbox) -> None:
        """See that they are the exchange's own, soon. In single orders they are told a second after they begin."""
        right = {name: book_of(exchange, name) for name in exchange.instruments}
        assert all(bids and asks for bids, asks in right.values()), "there must be something to compare"
        with self._changed:
            self._changed.wait_for(lambda: self._told == right, 5)
            assert self._told == right


@pytest.mark.parametrize("layout", ["ob_snapshot", "flat", "post_order"])
def test_books_are_the_exchanges_own(kyan: KyanSandbox, make: Make, layout: str) -> None:
    kyan.snapshot_layout = layout
    furnish(kyan)
    kyan.random_walk(400, seed=5)
    books = Books()
    client = make(on_order_book=books)
    client.start(5)
    client.subscribe_orderbook_perps().wait(5)
    client.subscribe_orderbook_options().wait(5)
    kyan.random_walk(3000, seed=6)
    settled(client, kyan)
    books.compare(kyan)
    client.stop()


@pytest.mark.parametrize("layout", ["ob_snapshot", "flat", "post_order"])
def test_books_of_overlapping_subscriptions_and_after_a_seq_gap(kyan: KyanSandbox, make: Make, layout: str) -> None:
    kyan.snapshot_layout = layout
    furnish(kyan)
    kyan.random_walk(200, seed=5)
    books = Books()
    heard: List[Tuple[str, str, Any]] = []
    client = make(on_order_book=books)
    client.on_book_order(lambda order: heard.append((order.action, order.id, order.filled)))
    client.start(5)
    for subscription in (
        client.subscribe_orderbook_perps("ETH_USDC"),
        client.subscribe_orderbook_perps(),
        client.subscribe_orderbook_options(),
        client.subscribe_orderbook_options("BTC_USDC", strike=60000),
    ):
        subscription.wait(5)
    kyan.random_walk(300, seed=6)
    gap = client.expect(xchws.Gap)
    kyan.skip_seq(5)
    kyan.random_walk(1, seed=7)
    kyan.random_walk(300, seed=8)
    gap.result(5)
    for subscription in client._subscriptions:
        subscription.wait(5)
    kyan.random_walk(300, seed=9)
    settled(client, kyan)
    books.compare(kyan)
    client.stop()
    told = [one for one in heard if one[0] != "snapshot"]
    if layout != "post_order":  # there, what rests is told anew after the gap
        assert len(told) == len(set(told)), "what several subscriptions tell is one event"


def test_one_side_of_a_book_and_a_book_without_snapshot(kyan: KyanSandbox, make: Make) -> None:
    kyan.place(PERPETUAL, "buy", "3000", "10")
    kyan.place(PERPETUAL, "sell", "3100", "10")
    client = make()
    stream = client.events(xchws.Data, timeout=5)
    client.start(5)
    client.subscribe_orderbook_perps(instrument_name=PERPETUAL, direction="buy").wait(5)
    client.subscribe_orderbook_options("ETH_USDC", skip_snapshot=True).wait(5)
    kyan.place(PERPETUAL, "sell", "3099", "10")
    kyan.place(CALL, "sell", "95", "1")
    kyan.place(PERPETUAL, "buy", "3001", "15")
    found: List[Any] = [next(stream) for _ in range(5)]
    assert [type(one).__name__ for one in found] == ["BookOrder", "OrderBook", "BookOrder", "BookOrder", "OrderBook"]
    assert found[-1].bids == ((3001, 15), (3000, 10)) and found[-1].asks == ()


# ------------------------------------------------------------------------------------- subscriptions, requests, logout


def test_a_refused_subscription(rough: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    good = client.subscribe_index_price("ETH_USDC")
    bad = client.subscribe_index_price("XRP_USDC")
    with pytest.raises(xchws.SubscriptionRejected, match="Invalid query for index_price channel"):
        bad.wait(5)
    good.wait(5)
    rough.reject_next("subscribe", "Invalid subscription parameters")
    with pytest.raises(xchws.SubscriptionRejected, match="Invalid subscription parameters"):
        client.subscribe_funding(PERPETUAL).wait(5)
    event = client.expect(models.IndexPrice)
    rough.index_price("ETH_USDC", "1")
    event.result(5)
    assert rough.opened == 1
    assert [text.partition(": ")[2] for text in rough.complaints] == [
        "subscribe: Invalid query for index_price channel"
    ]


def test_a_login_that_is_gone_is_made_anew(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    recoverable(client)
    back = client.expect(xchws.Connected)
    kyan.reject_next("subscribe", "Not Authorized")
    prices = client.subscribe_index_price("ETH_USDC")
    back.result(5)
    prices.wait(5)
    assert [verb for verb in said(kyan) if verb in ("auth", "recover_session")] == ["auth", "auth"]


def overdue(client: xchws.Kyan) -> None:
    """Let the patience with every command that is out be over: the session's clock is moved instead of waiting for it."""

    def due(now: float) -> List[Any]:
        for command in client._session.active.protocol._desk._out.values():  # type: ignore[union-attr] # there is one
            command.by = now
        return []

    client._loop.post(due)  # type: ignore[union-attr] # it has been started


def test_an_answer_that_is_lost(rough: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    recoverable(client)
    down = client.expect(xchws.Disconnected)
    rough.ignore_next("subscribe")
    prices = client.subscribe_index_price("ETH_USDC")
    rough.wait_for_subscriber("index_price")
    overdue(client)
    assert isinstance(down.result(5).error, xchws.Silent)
    prices.wait(5)
    assert [text for text in rough.complaints if text not in rough.remarks] == []


def test_a_line_that_was_never_quiet_falls_silent(kyan: KyanSandbox, make: Make) -> None:
    client = make(ping_interval=0.2, ping_timeout=0.2)
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    kyan.wait_until(lambda: any(item.kind == "ping" for item in kyan.received))
    told = client.expect(models.IndexPrice)
    kyan.index_price("ETH_USDC", "4200")  # comes after the answer to that ping
    told.result(5)
    down = client.expect(xchws.Disconnected)
    kyan.stall()
    assert isinstance(down.result(5).error, xchws.Silent)


def test_an_answer_that_is_lost_but_its_events_come(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    kyan.ignore_next("subscribe")
    prices = client.subscribe_index_price("ETH_USDC")
    kyan.wait_for_subscriber("index_price")
    kyan.index_price("ETH_USDC", "1")
    prices.wait(5)


def test_two_lost_answers_are_a_refusal(rough: KyanSandbox, make: Make) -> None:
    client = make(session_recovery=False)
    client.start(5)
    rough.ignore_next("subscribe", 2)
    prices = client.subscribe_index_price("ETH_USDC")
    for connections in (1, 2):
        rough.wait_until(lambda n=connections: said(rough).count("subscribe") >= n)  # type: ignore[misc] # lambda
        overdue(client)
    with pytest.raises(xchws.SubscriptionRejected, match="no reply"):
        prices.wait(5)
    assert rough.complaints == []


def test_unsubscribing(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    prices: List[Any] = []
    client.on_index_price(prices.append)
    client.start(5)
    eth, btc = client.subscribe_index_price("ETH_USDC"), client.subscribe_index_price("BTC_USDC")
    eth.wait(5)
    btc.wait(5)
    eth.unsubscribe()
    kyan.wait_until(lambda: "unsubscribe" in said(kyan))
    recoverable(client)
    kyan.index_price("ETH_USDC", "1")
    kyan.index_price("BTC_USDC", "2")
    settled(client, kyan)
    client.stop()
    assert [one.symbol for one in prices] == ["BTC_USDC"]


@pytest.mark.parametrize("layout", ["object", "list", "top"])
def test_get_instruments(kyan: KyanSandbox, make: Make, layout: str) -> None:
    kyan.instruments_layout = layout
    client = make()
    client.start(5)
    assert client.get_instruments() == tuple(kyan.instruments)
    assert client.get_instruments("ETH") == tuple(name for name in kyan.instruments if name.startswith("ETH_"))
    assert kyan.messages[-1]["markets"] == ["ETH"]


def test_refused_requests(rough: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    with pytest.raises(xchws.RequestRejected, match="invalid get_instruments payload"):
        client.get_instruments("XRP")
    rough.rate_limit()
    with pytest.raises(xchws.RateLimited):
        client.get_instruments("ETH")
    assert len(rough.complaints) == 1 and rough.opened == 1


def test_logout(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    over = client.expect(xchws.Stopped)
    client.logout()
    assert over.result(5).error is None
    assert said(kyan)[-1] == "logout" and kyan.opened == 1
    kyan.wait_until(lambda: not kyan.sessions)


def test_a_logout_that_nobody_waits_for_any_more_is_one_all_the_same(
    kyan: KyanSandbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make()
    client.start(5)
    over = client.expect(xchws.Stopped)

    def wait_in_vain(answer: Answer, timeout: Any) -> bool:
        kyan.wait_until(lambda: said(kyan)[-1] == "logout")
        return False

    monkeypatch.setattr(Answer, "wait", wait_in_vain)
    with pytest.raises(xchws.WaitTimeout):
        client.logout()
    assert over.result(5).error is None and kyan.opened == 1


# ----------------------------------------------------------------------------------------------------- session recovery


@pytest.mark.parametrize("replay_first", [False, True])
@pytest.mark.parametrize("overlap", [0, 20])
@pytest.mark.parametrize("end", ["cut", "reset", "close"])
def test_recovery(kyan: KyanSandbox, make: Make, end: str, overlap: int, replay_first: bool) -> None:
    kyan.replay_before_reply, kyan.replay_overlap = replay_first, overlap
    client = make()
    heard: List[Any] = []
    client.on(xchws.Event, heard.append)
    client.start(5)
    for pair in ("ETH_USDC", "BTC_USDC"):
        client.subscribe_index_price(pair).wait(5)
    recoverable(client)
    kyan.index_price("ETH_USDC", "1")
    kyan.index_price("BTC_USDC", "2")
    settled(client, kyan)
    back = client.expect(xchws.Connected)
    kyan.refuse(503)
    if end == "close":
        kyan.close_connections(1001)
    else:
        kyan.drop(reset=end == "reset")
    for value in range(3, 103):
        kyan.index_price("ETH_USDC" if value % 2 else "BTC_USDC", value)
    kyan.accept()
    back.result(5)
    recoverable(client)
    kyan.index_price("ETH_USDC", "103")
    settled(client, kyan)
    client.stop()
    prices = [one.value for one in heard if isinstance(one, models.IndexPrice)]
    assert prices == list(range(1, 104)), "nothing missing, nothing double, in order"
    gaps = [one for one in heard if isinstance(one, xchws.Gap)]
    assert len(gaps) == 3
    # A goodbye, or what begins with what has been told, leaves no doubt.
    assert {gap.recovered for gap in gaps} == {end == "close" or (overlap > 0 and replay_first)}
    first_after = heard.index(next(one for one in heard if isinstance(one, models.IndexPrice) and one.value == 3))
    assert all(heard.index(gap) < first_after for gap in gaps if "ETH" in gap.channels[0])
    assert [verb for verb in said(kyan) if verb in ("auth", "recover_session")] == ["auth", "recover_session"]


def test_recovery_again_and_again(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    recoverable(client)
    for _ in range(4):
        gap = client.expect(xchws.Gap)
        kyan.close_connections(1001)
        assert gap.result(5).recovered is True
        recoverable(client)
    recoveries = [message for message in kyan.messages if message["type"] == "recover_session"]
    assert len({message["recovery_token"] for message in recoveries}) == 4
    assert said(kyan).count("enable_session_recovery") == said(kyan).count("auth") == 1


@pytest.mark.parametrize(
    "failure", ["expired", "instance", "overflow", "of another kind", "true overflow", "no answer"]
)
def test_failed_recovery(rough: KyanSandbox, make: Make, failure: str) -> None:
    client = make()
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    recoverable(client)
    ends = client.events(xchws.Disconnected, timeout=5)
    gap = client.expect(xchws.Gap)
    connected = client.expect(xchws.Connected)
    if failure == "true overflow":
        rough.refuse(503)
        rough.drop()
        for value in range(1, 1002):
            rough.index_price("ETH_USDC", value)
        rough.accept()
    elif failure == "no answer":
        rough.ignore_next("recover_session")
        rough.drop()
        rough.wait_until(lambda: "recover_session" in said(rough))
        overdue(client)
    else:
        rough.fail_recovery(failure)
        rough.drop()
    connected.result(5)
    assert gap.result(5).recovered is False
    end = next(ends)
    while "could not be recovered" not in str(end.error):
        end = next(ends)
    assert end.retry_in == 0, "at once"
    verbs = said(rough)
    assert verbs[verbs.index("recover_session") + 1] == "auth"
    price = client.expect(models.IndexPrice, value=Decimal("7777"))
    client.subscribe_index_price("ETH_USDC").wait(5)
    rough.index_price("ETH_USDC", "7777")
    price.result(5)
    assert verbs.count("recover_session") == 1
    wanted = {"true overflow": 1}.get(failure, 0)
    assert len(rough.complaints) == wanted


def test_a_restart_of_the_exchange(make: Make) -> None:
    with KyanSandbox(position_interval=None) as first:
        client = make(first)
        client.start(5)
        client.subscribe_index_price("ETH_USDC").wait(5)
        recoverable(client)
        down, gap = client.expect(xchws.Disconnected), client.expect(xchws.Gap)
        assert first.complaints == []
    down.result(5)
    with KyanSandbox(port=first.port, position_interval=None) as second:
        assert gap.result(10).recovered is False
        assert said(second)[:2] == ["recover_session", "auth"]
        client.stop()


def test_2000_events_with_a_cut_in_the_middle(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    values: List[Decimal] = []
    client.on_index_price(lambda event: values.append(event.value))
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    recoverable(client)
    back = client.expect(xchws.Gap)
    for value in range(1, 2001):
        if value == 1001:
            cut_at = datetime.now(timezone.utc)
            kyan.close_connections(1001)  # publishing goes on while the client comes back
        kyan.index_price("ETH_USDC", value)
    gap = back.result(10)
    assert gap.recovered and gap.since <= cut_at + TICK and gap.since < gap.until
    settled(client, kyan)
    client.stop()
    assert values == list(range(1, 2001))


def test_2000_events_with_a_cut_in_the_middle_that_is_not_recovered(kyan: KyanSandbox, make: Make) -> None:
    """What was published to nobody is missing; everything else comes once and in order, and the Gap says since when."""
    client = make(session_recovery=False)
    heard: List[Any] = []
    client.on(xchws.Event, heard.append)
    client.start(5)
    prices = client.subscribe_index_price("ETH_USDC").wait(5)
    for value in range(1, 1001):
        kyan.index_price("ETH_USDC", value)
    settled(client, kyan)
    last_time = next(one.time for one in reversed(heard) if isinstance(one, models.IndexPrice))
    assert last_time is not None
    down, back = client.expect(xchws.Disconnected), client.expect(xchws.Connected)
    cut_at = datetime.now(timezone.utc)
    kyan.refuse(503)
    kyan.drop()
    down.result(5)
    for value in range(1001, 1101):
        kyan.index_price("ETH_USDC", value)
    kyan.accept()
    back.result(5)
    prices.wait(5)
    for value in range(1101, 2001):
        kyan.index_price("ETH_USDC", value)
    settled(client, kyan)
    client.stop()
    values = [one.value for one in heard if isinstance(one, models.IndexPrice)]
    assert values == [*range(1, 1001), *range(1101, 2001)]
    (gap,) = [one for one in heard if isinstance(one, xchws.Gap) and "index_price" in one.channels[0]]
    assert not gap.recovered and gap.since <= cut_at + TICK and cut_at <= gap.until
    assert gap.last_time is not None and gap.last_time >= last_time
    (after,) = [place for place, one in enumerate(heard) if isinstance(one, models.IndexPrice) and one.value == 1101]
    assert heard.index(gap) < after


def test_books_after_a_recovery(kyan: KyanSandbox, make: Make) -> None:
    books = Books()
    client = make(on_order_book=books)
    client.start(5)
    client.subscribe_orderbook_perps().wait(5)
    client.subscribe_orderbook_options().wait(5)
    recoverable(client)
    furnish(kyan)
    kyan.random_walk(500, seed=1)
    back = client.expect(xchws.Connected)
    kyan.refuse(503)
    kyan.drop()
    kyan.random_walk(500, seed=2)
    kyan.accept()
    back.result(5)
    kyan.random_walk(500, seed=3)
    settled(client, kyan)
    books.compare(kyan)
    client.stop()
    assert said(kyan).count("recover_session") == 1 and said(kyan).count("auth") == 1


# ----------------------------------------------------------------------------------------------- numbers, doubles, limits


@pytest.mark.parametrize("numbered", [False, True])
def test_a_seq_gap(make: Make, numbered: bool) -> None:
    with KyanSandbox(seed=1, position_interval=None, seq_id_on_responses=numbered) as exchange:
        exchange.place(PERPETUAL, "buy", "3000", "10")
        client = make(exchange)
        gaps: List[Any] = []
        client.on_gap(gaps.append)
        client.start(5)
        client.subscribe_index_price("ETH_USDC").wait(5)
        book = client.subscribe_orderbook_perps("ETH_USDC")
        book.wait(5)
        seen = client.expect(models.IndexPrice)
        exchange.index_price("ETH_USDC", "1")
        seen.result(5)
        assert gaps == []
        again = client.expect(xchws.OrderBook)
        exchange.skip_seq(3)
        exchange.index_price("ETH_USDC", "2")
        assert again.result(5).bids == ((Decimal(3000), Decimal(10)),)
        book.wait(5)
        settled(client, exchange)
        client.stop()
        assert sorted(channel.split()[0] for gap in gaps for channel in gap.channels) == [
            "index_price",
            "orderbook_perps",  # at once, and before its new snapshot
            "orderbook_perps",
        ]
        assert exchange.complaints == [] and exchange.opened == 1


@pytest.mark.parametrize("numbered", [False, True])
def test_no_gap_where_nothing_is_missing(make: Make, numbered: bool) -> None:
    with KyanSandbox(seed=1, position_interval=None, seq_id_on_responses=numbered) as exchange:
        gaps: List[Any] = []
        client = make(exchange, on_gap=gaps.append)
        client.start(5)
        for pair in ("ETH_USDC", "BTC_USDC", "ARB_USDC"):
            client.subscribe_index_price(pair).wait(5)
            exchange.index_price(pair, "1")
            client.get_instruments()
            exchange.index_price(pair, "2")
        settled(client, exchange)
        client.stop()
        assert gaps == [] and exchange.complaints == []


def test_an_exchange_that_numbers_nothing(make: Make) -> None:
    with KyanSandbox(seed=1, position_interval=None, message_ids=False) as exchange:
        client = make(exchange)
        values: List[Any] = []
        client.on_index_price(lambda event: values.append(event.value))
        client.start(5)
        client.subscribe_index_price("ETH_USDC").wait(5)
        for value in (1, 2, 2, 3):
            exchange.index_price("ETH_USDC", value)
        settled(client, exchange)
        client.stop()
        assert values == [1, 2, 2, 3] and exchange.complaints == []


def test_a_repeated_message_is_told_once(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    values: List[Any] = []
    trouble: List[Any] = []
    client.on_index_price(lambda event: values.append(event.value))
    client.on_gap(trouble.append)
    client.on_error(trouble.append)
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    kyan.index_price("ETH_USDC", "1")
    kyan.repeat_message()
    kyan.index_price("ETH_USDC", "1")
    kyan.repeat_message()
    settled(client, kyan)
    client.stop()
    assert (values, trouble) == ([1, 1], [])


def test_a_subscription_that_meets_the_rate_limit_is_tried_again(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    recoverable(client)
    failure = client.expect(xchws.Failure)
    kyan.rate_limit()
    prices = client.subscribe_index_price("ETH_USDC")
    assert isinstance(failure.result(5).error, xchws.RateLimited)
    prices.wait(10)
    assert kyan.opened == 1 and said(kyan).count("subscribe") == 2


def test_recovery_that_meets_the_rate_limit_costs_nothing_else(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    failure = client.expect(xchws.Failure)
    kyan.reject_next("enable_session_recovery", "RATELIMITED")
    client.start(5)
    assert "RATELIMITED" in str(failure.result(5).error)
    client.subscribe_index_price("ETH_USDC").wait(5)
    gap = client.expect(xchws.Gap)
    kyan.drop()
    assert gap.result(5).recovered is False
    assert kyan.complaints == []


def test_many_subscriptions(kyan: KyanSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    pairs = ("BTC_USDC", "ETH_USDC", "ARB_USDC")
    wanted = [client.subscribe_iv(pair, f"{day:02}MAR27") for pair in pairs for day in range(1, 11)]
    for subscription in wanted:
        subscription.wait(10)
    assert said(kyan).count("subscribe") == 30


# -------------------------------------------------------------------------------------------------- the end of a session


def renew_now(client: xchws.Kyan) -> None:
    """Let the session's time be nearly up: its instant is moved instead of waiting for it."""

    def due(now: float) -> List[Any]:
        client._session.active.protocol._renew_at = now  # type: ignore[union-attr] # there is one
        return []

    client._loop.post(due)  # type: ignore[union-attr] # it has been started


@pytest.mark.parametrize(("ended", "layout"), [(True, "ob_snapshot"), (False, "flat"), (False, "post_order")])
def test_a_successor_takes_over_before_the_sessions_end(make: Make, ended: bool, layout: str) -> None:
    """The old connection is drained and left; or the exchange ends it as soon as the new one serves."""
    with KyanSandbox(seed=1, position_interval=None) as exchange:
        exchange.snapshot_layout = layout
        furnish(exchange)
        client = make(exchange)
        values: List[Any] = []
        trouble: List[Any] = []
        orders: List[Any] = []
        client.on_index_price(lambda event: values.append((event.symbol, event.value)))
        client.on_book_order(lambda order: orders.append((order.action, order.id, order.filled)))
        for kind in (xchws.Gap, xchws.Disconnected, xchws.Failure):
            client.on(kind, trouble.append)
        books = Books()
        client.on_order_book(books)
        client.start(WAIT)
        for pair in ("BTC_USDC", "ETH_USDC", "ARB_USDC"):
            client.subscribe_index_price(pair).wait(WAIT)
        client.subscribe_orderbook_perps().wait(WAIT)
        client.subscribe_orderbook_options().wait(WAIT)
        settled(client, exchange)
        before = exchange.published_count
        first = exchange.wait_for_session()
        exchange.run(200)
        stream = client.events(xchws.Data, timeout=WAIT)
        assert len(list(islice(stream, 50))) == 50
        renew_now(client)
        if ended:
            assert any(client._session._succession.is_complete or first not in exchange.sessions for _ in stream)
            exchange.end_session(first)
        exchange.wait_until(lambda: exchange.opened >= 2 and first not in exchange.sessions, WAIT)
        taken_over = exchange.published_count
        assert any(exchange.published_count >= taken_over + 50 for _ in stream)
        stream.close()
        exchange.pause()
        settled(client, exchange)
        books.compare(exchange)
        client.stop()
        sent = [
            (entry["data"]["value"], entry["type"]) for entry in exchange.published if entry["type"] == "index_price"
        ]
        assert [value for _, value in values] == [value for value, _ in sent], "nothing missing, double or out of order"
        actions = {"post_order": "post", "update_order": "update", "cancel_order": "cancel"}
        changes = [
            (actions[entry["type"]], entry["data"]["order_id"], entry["data"]["filled_amount"])
            for entry in exchange.published[before:]
            if entry["type"] in actions
        ]
        assert changes and orders[-len(changes) :] == changes
        resting = len(exchange.instruments) * 9
        assert len(orders) == resting + len(changes), "what rests is told once, in the beginning"
        assert trouble[:-1] == [] and isinstance(trouble[-1], xchws.Disconnected), "but the stop at the end"
        assert exchange.complaints == []


@pytest.mark.parametrize("code", [1000, None])
def test_a_session_that_is_ended_without_warning(kyan: KyanSandbox, make: Make, code: Any) -> None:
    kyan.lifetime_close_code = code
    client = make()
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    recoverable(client)
    gap, down = client.expect(xchws.Gap), client.expect(xchws.Disconnected)
    price = client.expect(models.IndexPrice)
    kyan.end_session(kyan.wait_for_session())
    kyan.index_price("ETH_USDC", "5")
    assert gap.result(5).recovered is (code is not None)
    error = down.result(5).error
    assert isinstance(error, xchws.ConnectionLost) and error.code == (code or 1006)
    assert price.result(5).value == 5


def test_an_exchange_that_answers_no_ping_is_not_cut(make: Make) -> None:
    with KyanSandbox(seed=1, position_interval=None, answer_pings=False) as exchange:
        client = make(exchange, ping_interval=0.05, ping_timeout=0.05)
        down = client.expect(xchws.Disconnected)
        client.start(5)
        client.subscribe_index_price("ETH_USDC").wait(5)
        for value in range(1, 4):
            exchange.wait_until(lambda n=value: sum(one.kind == "ping" for one in exchange.received) >= n)  # type: ignore[misc] # lambda
            with pytest.raises(xchws.WaitTimeout):
                down.result(0.2)
            price = client.expect(models.IndexPrice)
            exchange.index_price("ETH_USDC", value)
            assert price.result(5).value == value
        assert exchange.opened == 1 and exchange.complaints == []


def test_an_exchange_that_has_answered_pings_and_falls_silent_is_cut(kyan: KyanSandbox, make: Make) -> None:
    client = make(ping_interval=0.05, ping_timeout=0.2)
    client.start(5)
    recoverable(client)
    kyan.wait_until(lambda: sum(one.kind == "ping" for one in kyan.received) >= 2)
    down = client.expect(xchws.Disconnected)
    first = kyan.wait_for_session()
    kyan.stall(first)
    assert isinstance(down.result(5).error, xchws.Silent)
    client.wait_ready(5)


# ------------------------------------------------------------------------------------------------------------- secrets


def tokens_of(exchange: KyanSandbox) -> List[str]:
    """The recovery tokens that were given out, as far as they were used, and the one in use."""
    used = [message["recovery_token"] for message in exchange.messages if message["type"] == "recover_session"]
    return [*used, *(stream.token for stream in exchange._streams if stream.token is not None)]


def test_no_secret_is_told(rough: KyanSandbox, make: Make, log: Everything) -> None:
    texts: List[str] = []
    client = make()
    client.on(xchws.Event, lambda event: texts.extend([repr(event), str(event)]))
    client.on_error(lambda error: texts.extend(shown(error)))
    client.on_message(lambda message: texts.append(repr(message)))
    client.start(5)
    client.subscribe_index_price("ETH_USDC").wait(5)
    recoverable(client)
    for failing in (False, True, False):
        if failing:
            rough.fail_recovery(f"who is {rough.key} with {tokens_of(rough)[-1]}?")
        back = client.expect(xchws.Connected)
        rough.drop()
        back.result(5)
        recoverable(client)
    (token,) = set(tokens_of(rough)[-1:])
    failure = client.expect(xchws.Failure, where=lambda one: "no json" in str(one.error))
    rough.send_raw(f"no json {rough.key} {token}")
    texts += shown(failure.result(5).error)
    rough.reject_next("subscribe", f"{rough.key} may not {token}")
    with pytest.raises(xchws.SubscriptionRejected) as refused:
        client.subscribe_funding(PERPETUAL).wait(5)
    rough.reject_next("get_instruments", f"{rough.key} may not {token}")
    with pytest.raises(xchws.RequestRejected) as rejected:
        client.get_instruments()
    ended = client.expect(xchws.Disconnected)
    rough.close_connections(1008, f"bad {rough.key}")
    texts += [*shown(ended.result(5).error), *shown(refused.value), *shown(rejected.value)]
    client.wait_ready(5)
    texts += [repr(client), repr(vars(client)), repr(client.status()), repr(vars(client._session))]
    texts += [repr(client._exchange), repr(client._session.active.protocol)]  # type: ignore[union-attr] # there is one
    client.stop()
    secrets = {rough.key, *tokens_of(rough)}
    assert len(secrets) >= 3, "there must be something to hide"
    everything = "\n".join([*texts, *log.texts])
    assert "recovery_token" in everything and "*** may not ***" in everything and "bad ***" in everything
    for secret in secrets:
        assert secret not in everything


# ------------------------------------------------------------------------------------------------------- the command


def listen(exchange: KyanSandbox, *arguments: str) -> Program:
    return Program("-m", "xchws", "listen", "kyan", "--url", exchange.url, *arguments, KYAN_KEY=exchange.key)


def test_listening_from_the_command_line(kyan: KyanSandbox) -> None:
    queries = ("--query", "pair=ETH_USDC", "--query", "strike=4200", "--query", "skip_snapshot=true")
    with listen(kyan, "--channel", "orderbook_options", *queries, "--on", "book_order", "--count", "1") as program:
        kyan.wait_for_subscriber("orderbook_options", timeout=WAIT)
        kyan.place("ETH_USDC-26MAR27-3000-C", "buy", "90.5", "2.5")
        order = kyan.place(CALL, "buy", "90.5", "2.5")
        assert program.end() == 0
    (line,) = program.lines
    assert line.startswith(f"kyan BookOrder symbol={CALL} ") and order.id in line
    wanted = next(message for message in kyan.messages if message["type"] == "subscribe")
    assert wanted["subscriptions"][0]["query"] == {
        "pair": "ETH_USDC", "strike": 4200, "options": {"skip_snapshot": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--query", "ETH_USDC"), "KEY=VALUE"),
        (("--query", "market=ETH"), "trade takes account, pair, direction"),
        (("--channel", "orderbook_perp"), "did you mean 'orderbook_perps'?"),
        (("--channel", "index_price"), "index_price needs pair"),
        (("--channel", "orderbook_options", "--query", "strike=high"), "strike"),
    ],
)
def test_what_cannot_be_listened_to(rough: KyanSandbox, arguments: Tuple[str, ...], says: str) -> None:
    with listen(rough, *arguments) as program:
        assert program.end() == 2
    assert says in program.errors and "Traceback" not in program.errors
    assert rough.handshakes == []
