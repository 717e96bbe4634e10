"""The market-data client of Indodax against its simulated exchange, over real sockets: what comes, and what is replayed."""

from __future__ import annotations

import ssl
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import trustme

import xchws
from xchws.exchanges.indodax import market_models as models
from xchws.sandbox import FaultProxy, IndodaxMarketSandbox
from xchws.sansio import trust

Make = Callable[..., xchws.IndodaxMarket]

QUICK = xchws.Backoff(initial=0.01, maximum=0.05)
TICKS = "chart:tick-btcidr"
TRADES = "market:trade-activity-btcidr"
BOOK = "market:order-book-btcidr"
SUMMARY = "market:summary-24h"
SLOWLY = 30  # seconds before the next try, where the exchange advises against one


@pytest.fixture
def exchange() -> Iterator[IndodaxMarketSandbox]:
    with IndodaxMarketSandbox(seed=1) as running:
        yield running


@pytest.fixture
def make(exchange: IndodaxMarketSandbox, clients: List[xchws.Client]) -> Make:
    def make(**options: Any) -> xchws.IndodaxMarket:
        arguments: Any = {"url": exchange.url, "token": exchange.token, "backoff": QUICK, **options}
        client = xchws.IndodaxMarket(**arguments)
        clients.append(client)
        return client

    return make


def ticking(make: Make, **options: Any) -> Tuple[xchws.IndodaxMarket, List[str]]:
    """A client that is subscribed to the ticks of btcidr, and the volumes that it has been told."""
    told: List[str] = []
    client = make(**options)
    client.on_tick(lambda tick: told.append(str(tick.quantity)))
    client.start(5)
    client.subscribe_ticks("btcidr").wait(5)
    return client, told


def tick(exchange: IndodaxMarketSandbox, *numbers: int) -> None:
    for number in numbers:
        exchange.tick("btcidr", "1600000000", str(number))


def heard(exchange: IndodaxMarketSandbox, client: xchws.Client, number: int) -> None:
    """Publish this number and wait until it has come."""
    found = client.expect(models.Tick, quantity=Decimal(number))
    tick(exchange, number)
    found.result(10)


def numbers(*ranges: range) -> List[str]:
    return [str(number) for each in ranges for number in each]


def commands(exchange: IndodaxMarketSandbox, method: int) -> List[Dict[str, Any]]:
    """The parameters of all commands of this method."""
    return [message["params"] for message in exchange.messages if message.get("method", 0) == method]


# ------------------------------------------------------------------------------------------------------- what comes


def test_ticks(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    subscription = client.subscribe_ticks("btcusdt").wait(5)
    found = client.expect(models.Tick)
    exchange.tick("btcusdt", "97012.50", "0.00000001")
    event = found.result(5)
    assert (str(event.price), str(event.quantity)) == ("97012.50", "1E-8")
    offset, _ = exchange.position("chart:tick-btcusdt")
    assert (event.symbol, event.channel, event.offset) == ("btcusdt", "chart:tick-btcusdt", offset)
    (row,) = exchange.published[0]["data"]["data"]
    assert event.raw == row and event.id == str(row[1]) and event.time_ms == row[0] * 1000
    assert subscription.name == "chart:tick-btcusdt" and event.exchange == "indodax"
    assert exchange.complaints == []


def test_trades(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    client.subscribe_trades("btcidr").wait(5)
    stream = client.events(models.MarketTrade, timeout=5)
    with exchange.batch():
        exchange.trade("btcidr", "buy", "1.6012E9", quote="3202400", base="0.00200000")
        exchange.trade("btcidr", "sell", "1601000000", base="0.5")
    first, second = next(stream), next(stream)
    assert (first.side, str(first.price), str(first.quantity)) == ("buy", "1.6012E+9", "0.00200000")
    assert first.quote_quantity == 3202400
    assert (second.side, second.price, second.quantity) == ("sell", Decimal(1601000000), Decimal("0.5"))
    assert second.quote_quantity == Decimal("800500000") and first.offset == second.offset
    assert [first.raw, second.raw] == exchange.published[0]["data"]["data"]
    assert first.id is not None and second.id is not None and int(second.id) == int(first.id) + 1
    assert exchange.complaints == []


def test_the_summary(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    client.subscribe_summary().wait(5)
    exchange.trade("ethidr", "buy", "55000100.5", base="2")
    exchange.trade("ethidr", "sell", "54999000", base="1")
    stream = client.events(xchws.Ticker, timeout=5)
    exchange.summary("ethidr", "btcidr")
    ether, bitcoin = next(stream), next(stream)
    assert isinstance(ether, models.MarketTicker) and (ether.symbol, bitcoin.symbol) == ("ethidr", "btcidr")
    assert [ether.last, ether.low, ether.high, ether.open] == [
        Decimal("54999000"), Decimal("54999000"), Decimal("55000100.5"), Decimal("55000000"),
    ]  # fmt: skip
    assert (ether.volume, ether.quote_volume) == (Decimal(3), Decimal("164999201"))
    assert (bitcoin.last, bitcoin.volume, bitcoin.bid, bitcoin.ask) == (Decimal("1600000000"), Decimal(0), None, None)
    assert [ether.raw, bitcoin.raw] == exchange.published[-1]["data"]["data"]
    assert exchange.complaints == []


@pytest.mark.parametrize("pair", ["btcidr", "ethusdt"])
def test_the_order_book(exchange: IndodaxMarketSandbox, make: Make, pair: str) -> None:
    client = make()
    client.start(5)
    client.subscribe_order_book(pair).wait(5)
    found = client.expect(xchws.OrderBook)
    exchange.order_book(pair, bids=[("10", "1.50"), ("10.5", "0.00000001")], asks=[("12", "3"), ("11.25", "4")])
    book = found.result(5)
    assert isinstance(book, models.MarketOrderBook) and (book.symbol, book.channel) == (
        pair,
        f"market:order-book-{pair}",
    )
    assert book.bids == ((Decimal("10.5"), Decimal("0.00000001")), (Decimal(10), Decimal("1.50")))
    assert book.asks == ((Decimal("11.25"), Decimal(4)), (Decimal(12), Decimal(3)))
    assert book.raw == exchange.published[0]["data"]["data"]
    emptied = client.expect(xchws.OrderBook)
    exchange.order_book(pair, bids=[], asks=[])
    assert (emptied.result(5).bids, emptied.result(0).asks) == ((), ())
    assert exchange.complaints == []


def test_a_deep_book_is_fifty_levels_a_side(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    client.subscribe_order_book("btcidr").wait(5)
    found = client.expect(xchws.OrderBook)
    exchange.order_book(
        "btcidr",
        bids=[(str(1000 - number), "1") for number in range(70)],
        asks=[(str(1001 + number), "1") for number in range(70)],
    )
    book = found.result(5)
    assert [level[0] for level in book.bids] == list(range(1000, 950, -1))
    assert [level[0] for level in book.asks] == list(range(1001, 1051))
    assert exchange.complaints == []


def test_everything_at_once_each_once_and_in_order(exchange: IndodaxMarketSandbox, make: Make) -> None:
    told: List[Any] = []
    client = make()
    client.on(xchws.Data, lambda event: told.append(event.raw))
    client.start(5)
    subscriptions = [client.subscribe_summary()]
    for pair in exchange.pairs:
        subscriptions += [subscribe(pair) for subscribe in (
            client.subscribe_ticks, client.subscribe_trades, client.subscribe_order_book,
        )]  # fmt: skip
    for subscription in subscriptions:
        subscription.wait(5)
    exchange.random_walk(400, seed=7)
    heard(exchange, client, 77)
    client.stop()
    sent: List[Any] = []
    for entry in exchange.published:
        data = entry["data"]["data"]
        sent += data if isinstance(data, list) else [data]
    assert told == sent and len(sent) > 400
    assert exchange.complaints == []


def test_any_channel_by_its_name(make: Make, exchange: IndodaxMarketSandbox) -> None:
    client = make()
    client.start(5)
    with exchange.market_lock:
        exchange.publish("market:news", {"first": 1})
    client.subscribe("market:news").wait(5)
    found = client.expect(xchws.Other)
    with exchange.market_lock:
        exchange.publish("market:news", {"headline": "a \u20bf, and a line\nbreak"})
    event = found.result(5)
    assert (event.kind, event.raw) == ("market:news", {"headline": "a \u20bf, and a line\nbreak"})
    assert exchange.complaints == []


def test_what_is_pushed_besides_is_other(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    stream = client.events(xchws.Other, timeout=5)
    exchange.join(TICKS, "somebody")
    exchange.leave(TICKS, "somebody")
    exchange.send_message({"maintenance": True})
    exchange.push(9, {"what": 1})
    assert [next(stream).kind for _ in range(4)] == ["join", "leave", "message", "push 9"]
    heard(exchange, client, 1)
    client.stop()
    assert told == ["1"] and exchange.opened == 1 and exchange.complaints == []


def test_the_page_in_the_order_of_the_page(exchange: IndodaxMarketSandbox, make: Make) -> None:
    """What goes out: connect first, then one subscribe each, without an Origin, and a normal end."""
    client = make()
    trades, book = client.subscribe_trades("btcidr"), client.subscribe_order_book("btcidr")
    client.start(5)
    trades.wait(5)
    book.wait(5)
    assert client.status().token_expires is not None
    book.unsubscribe()
    exchange.wait_until(lambda: commands(exchange, 2))
    session = exchange.wait_for_session()
    client.stop()
    exchange.wait_until(lambda: session.close_code is not None)
    assert commands(exchange, 0) == [{"token": exchange.token}]
    assert commands(exchange, 1) == [{"channel": TRADES}, {"channel": BOOK}]
    assert commands(exchange, 2) == [{"channel": BOOK}]
    assert session.close_code == 1000 and exchange.complaints == []


# ------------------------------------------------------------------------------------------------------ subscribing


@pytest.mark.parametrize("pair", ["nosuchidr", "idrbtc", "btc"])
def test_an_unknown_pair_is_refused(exchange: IndodaxMarketSandbox, make: Make, pair: str) -> None:
    client, _ = ticking(make)
    with pytest.raises(xchws.SubscriptionRejected, match=rf"order-book-{pair}.*without an offset"):
        client.subscribe_order_book(pair).wait(5)
    exchange.wait_until(lambda: commands(exchange, 2) == [{"channel": f"market:order-book-{pair}"}])
    heard(exchange, client, 1)
    assert exchange.opened == 1 and exchange.complaints == []


@pytest.mark.parametrize("pair", ["BTCIDR", "btc_idr", "", "btc/idr"])
def test_a_pair_that_cannot_be_is_not_sent(exchange: IndodaxMarketSandbox, make: Make, pair: str) -> None:
    client = make()
    client.start(5)
    with pytest.raises(xchws.ConfigurationError, match="btcidr"):
        client.subscribe_ticks(pair)
    assert commands(exchange, 1) == [] and exchange.complaints == []


def test_an_unknown_namespace_is_refused(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, _ = ticking(make)
    with pytest.raises(xchws.SubscriptionRejected, match="no such channel") as refused:
        client.subscribe("spot:btcidr").wait(5)
    assert refused.value.code == 102
    heard(exchange, client, 1)
    assert exchange.opened == 1


def test_a_pair_that_was_unknown_can_be_asked_for_again(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    with pytest.raises(xchws.SubscriptionRejected):
        client.subscribe_ticks("newidr").wait(5)
    exchange.list_pair("newidr", "5")
    client.subscribe_ticks("newidr").wait(5)
    found = client.expect(models.Tick)
    exchange.tick("newidr", "6", "1")
    assert found.result(5).price == 6
    assert exchange.complaints == []


def test_the_same_twice_is_one_subscription(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    assert client.subscribe_ticks("btcidr").wait(5).state == "active"
    heard(exchange, client, 1)
    client.stop()
    assert told == ["1"] and commands(exchange, 1) == [{"channel": TICKS}]
    assert exchange.complaints == []


def test_already_subscribed_is_as_good_as_subscribed(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client = make()
    client.start(5)
    exchange.reject_next("subscribe", 105)
    client.subscribe_ticks("btcidr").wait(5)
    found = client.expect(models.Tick)
    exchange.push(0, {"data": [[1790000000, 1, 5, "1"]], "offset": 77}, TICKS, exchange.wait_for_session())
    assert found.result(5).offset == 77
    assert exchange.complaints == []


def test_unsubscribing_and_subscribing_again_begins_anew(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    heard(exchange, client, 1)
    gaps: List[Any] = []
    client.on_gap(gaps.append)
    subscription = client.subscribe_ticks("btcidr")
    subscription.unsubscribe()
    exchange.wait_until(lambda: not exchange.subscribers(TICKS))
    tick(exchange, 2)
    client.subscribe_ticks("btcidr").wait(5)
    heard(exchange, client, 3)
    client.stop()
    assert told == ["1", "3"] and gaps == [], "what came while nobody was subscribed is not missed"
    assert commands(exchange, 1) == [{"channel": TICKS}] * 2
    assert exchange.complaints == []


def test_the_129th_channel_is_refused(exchange: IndodaxMarketSandbox, make: Make) -> None:
    for number in range(43):
        exchange.list_pair(f"coin{number}idr", "5")
    client = make()
    channels = [
        f"{prefix}{pair}" for pair in exchange.pairs for prefix in (models.TICKS, models.TRADES, models.ORDER_BOOK)
    ]
    subscriptions = [client.subscribe(channel) for channel in channels[:128]]
    client.start(5)
    for subscription in subscriptions:
        subscription.wait(5)
    assert exchange.complaints == []
    with pytest.raises(xchws.SubscriptionRejected, match="128 channels") as refused:
        client.subscribe(channels[128]).wait(5)
    assert refused.value.code == 106
    found = client.expect(xchws.OrderBook)
    exchange.order_book("btcidr")
    found.result(5)
    subscriptions[0].unsubscribe()
    client.subscribe(channels[128]).wait(5)
    assert exchange.opened == 1 and len(exchange.complaints) == 1


@pytest.mark.parametrize("code", [100, 111])
def test_a_subscription_that_is_put_off_is_tried_again(exchange: IndodaxMarketSandbox, make: Make, code: int) -> None:
    client = make()
    client.start(5)
    put_off = client.expect(xchws.Failure)
    exchange.reject_next("subscribe", code)
    subscription = client.subscribe_ticks("btcidr")
    error = put_off.result(5).error
    assert isinstance(error, xchws.ExchangeError) and error.code == code
    subscription.wait(10)
    heard(exchange, client, 1)
    assert exchange.opened == 1 and exchange.complaints == []


# ------------------------------------------------------------------------------------------------------------ token


def test_a_wrong_token_ends_it_at_once(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client = make(token="not-the-one")
    with pytest.raises(xchws.AuthenticationFailed, match="Marketdata-websocket.md") as refused:
        client.start(10)
    assert refused.value.code == 3002 and exchange.opened == 1
    assert "not-the-one" not in str(refused.value)


def test_a_token_that_is_not_taken_any_more_ends_it_after_some_time_and_tries(
    exchange: IndodaxMarketSandbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_PATIENCE", 0.2)
    client, _ = ticking(make)
    over = client.expect(xchws.Stopped)
    exchange.token = "another"
    exchange.drop()
    error = over.result(10).error
    assert isinstance(error, xchws.AuthenticationFailed) and exchange.opened >= 1 + 5


@pytest.mark.parametrize("code", [101, 103, 109, 110])
def test_a_connect_that_is_refused_ends_it(exchange: IndodaxMarketSandbox, make: Make, code: int) -> None:
    client = make()
    exchange.reject_next("connect", code)
    with pytest.raises(xchws.AuthenticationFailed) as refused:
        client.start(10)
    assert refused.value.code == code and exchange.opened == 1 and exchange.complaints == []


@pytest.mark.parametrize("code", [100, 104, 107, 108, 111])
def test_a_connect_that_fails_is_tried_again(exchange: IndodaxMarketSandbox, make: Make, code: int) -> None:
    client = make()
    down = client.expect(xchws.Disconnected)
    exchange.reject_next("connect", code)
    client.start(10)
    assert str(code) in str(down.result(5).error)
    assert exchange.complaints == []


# --------------------------------------------------------------------------------------------------------- recovery


@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_is_recovered(exchange: IndodaxMarketSandbox, make: Make, reset: bool) -> None:
    client, told = ticking(make)
    heard(exchange, client, 1)
    offset, epoch = exchange.position(TICKS)
    gap, last = client.expect(xchws.Gap), client.expect(models.Tick, quantity=Decimal(4))
    exchange.refuse(503)
    exchange.drop(reset=reset)
    tick(exchange, 2, 3, 4)
    exchange.accept()
    assert gap.result(10).recovered and gap.result(0).channels == (TICKS,)
    assert last.result(10).raw == exchange.published[3]["data"]["data"][0]
    assert last.result(0).offset == offset + 3
    heard(exchange, client, 5)
    client.stop()
    assert told == numbers(range(1, 6)), "nothing is missing, nothing is double"
    assert commands(exchange, 1)[1:] == [{"channel": TICKS, "recover": True, "offset": offset, "epoch": epoch}]
    assert exchange.complaints == []


def test_a_cut_with_nothing_published_meanwhile_is_recovered(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    gap = client.expect(xchws.Gap)
    exchange.drop()
    assert gap.result(10).recovered
    heard(exchange, client, 1)
    client.stop()
    assert told == ["1"] and exchange.complaints == []


def test_each_channel_has_its_own_gap(exchange: IndodaxMarketSandbox, make: Make) -> None:
    gaps: List[xchws.Gap] = []
    client, _ = ticking(make, on_gap=gaps.append)
    client.subscribe_trades("btcidr").wait(5)
    client.subscribe_summary().wait(5)
    back = [client.expect(xchws.Gap, channels=(channel,)) for channel in (TICKS, TRADES, SUMMARY)]
    trade = client.expect(xchws.Trade)
    exchange.refuse(503)
    exchange.drop()
    exchange.trade("btcidr", "buy", "1600000000", base="0.25")
    exchange.new_epoch(SUMMARY)
    exchange.accept()
    assert [each.result(10).recovered for each in back] == [True, True, False]
    assert trade.result(10).quantity == Decimal("0.25")
    client.stop()
    assert len(gaps) == 3 and exchange.complaints == []


def test_more_than_the_history_is_not_recovered(clients: List[xchws.Client], make: Make) -> None:
    with IndodaxMarketSandbox(history_size=3) as exchange:
        client, told = ticking(make, url=exchange.url)
        heard(exchange, client, 1)
        gap, last = client.expect(xchws.Gap), client.expect(models.Tick, quantity=Decimal(6))
        exchange.refuse(503)
        exchange.drop()
        tick(exchange, 2, 3, 4, 5, 6)
        exchange.accept()
        assert not gap.result(10).recovered
        last.result(10)
        heard(exchange, client, 7)
        client.stop()
        assert told == numbers(range(1, 2), range(4, 8)), "what is remembered comes all the same, once"
        assert exchange.complaints == []


def test_a_restart_is_not_recovered(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    heard(exchange, client, 1)
    for number in (2, 3):  # the second time with nothing published in between
        gap = client.expect(xchws.Gap)
        exchange.restart()
        assert not gap.result(10).recovered, "an acknowledgement without offset is no unknown pair here"
        if number == 2:
            heard(exchange, client, number)
    heard(exchange, client, 3)
    assert exchange.position(TICKS)[0] == 1
    gap = client.expect(xchws.Gap)
    exchange.drop()
    assert gap.result(10).recovered, "the new stream is followed like the old one"
    heard(exchange, client, 4)
    client.stop()
    assert told == numbers(range(1, 5)) and exchange.complaints == []


def test_a_restart_and_a_cut_before_anything_is_published(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    gap = client.expect(xchws.Gap)
    exchange.restart()
    gap.result(10)
    gap, last = client.expect(xchws.Gap), client.expect(models.Tick, quantity=Decimal(2))
    exchange.refuse(503)
    exchange.drop()
    tick(exchange, 1, 2)
    exchange.accept()
    assert gap.result(10).recovered
    last.result(10)
    client.stop()
    assert told == ["1", "2"] and exchange.complaints == []


def test_a_new_epoch_that_the_server_notices(exchange: IndodaxMarketSandbox, make: Make) -> None:
    """Centrifugo checks positions, and closes with 3010 (insufficient state)."""
    client, told = ticking(make)
    heard(exchange, client, 1)
    gap = client.expect(xchws.Gap)
    exchange.new_epoch(TICKS)
    exchange.close_connections(3010)
    assert not gap.result(10).recovered
    heard(exchange, client, 2)
    client.stop()
    assert told == ["1", "2"] and exchange.complaints == []


def test_a_jump_is_a_gap_that_is_closed_on_the_same_connection(exchange: IndodaxMarketSandbox, make: Make) -> None:
    order: List[Any] = []
    client, _ = ticking(make)
    client.on(xchws.Gap, lambda gap: order.append((gap.channels, gap.recovered)))
    client.on_tick(lambda one: order.append(str(one.quantity)))
    heard(exchange, client, 1)
    exchange.lose_next(TICKS, 2)
    tick(exchange, 2, 3)
    heard(exchange, client, 4)
    exchange.skip_offset(TICKS, 3)  # lost for good
    heard(exchange, client, 5)
    exchange.lose_next(TICKS)
    tick(exchange, 6)
    heard(exchange, client, 7)
    gap = client.expect(xchws.Gap)
    exchange.drop()
    assert gap.result(10).recovered
    heard(exchange, client, 8)
    client.stop()
    whole, holed = ((TICKS,), True), ((TICKS,), False)
    assert order == ["1", whole, "2", "3", "4", holed, "5", whole, "6", "7", whole, "8"]
    assert exchange.opened == 2 and exchange.complaints == [] and exchange.remarks == []


def test_a_hole_that_the_server_does_not_see_is_told(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    heard(exchange, client, 1)
    gap = client.expect(xchws.Gap)
    exchange.refuse(503)
    exchange.drop()
    tick(exchange, 2)
    exchange.skip_offset(TICKS)
    tick(exchange, 3)
    exchange.accept()
    assert not gap.result(10).recovered
    heard(exchange, client, 4)
    client.stop()
    assert told == ["1", "2", "3", "4"] and exchange.complaints == []


def test_losses_on_a_running_market_are_all_replayed(exchange: IndodaxMarketSandbox, make: Make) -> None:
    """Two channels lose publications again and again, while more come; nothing is missing, doubled or out of order."""
    told: List[Any] = []
    gaps: List[xchws.Gap] = []
    client = make(on_gap=gaps.append)
    client.on(xchws.Data, lambda event: told.append((event.channel, event.offset, event.raw)))
    client.start(5)
    client.subscribe_ticks("btcidr").wait(5)
    client.subscribe_order_book("btcidr").wait(5)
    for step in range(12):
        for channel in (TICKS, BOOK):
            exchange.lose_next(channel, step % 3 + 1)
        with exchange.one_frame():
            for _ in range(step % 3 + 1):
                tick(exchange, 7)
                exchange.publish(BOOK, {"pair": "btcidr", "ask": [], "bid": []})
            exchange.random_walk(40)
        back = client.expect(models.Tick, quantity=Decimal(100 + step))
        tick(exchange, 100 + step)
        back.result(10)
    last = client.expect(xchws.OrderBook, bids=((Decimal(1), Decimal(2)),))
    level = {"btc_volume": "2", "idr_volume": "2", "price": "1"}
    exchange.publish(BOOK, {"pair": "btcidr", "ask": [], "bid": [level]})
    last.result(10)
    client.stop()
    for channel in (TICKS, BOOK):
        sent = []
        for entry in exchange.published:
            data = entry["data"]["data"]
            if entry["channel"] == channel:
                rows = data if isinstance(data, list) else [data]
                sent += [(channel, entry["data"]["offset"], row) for row in rows]
        assert [one for one in told if one[0] == channel] == sent
    assert gaps and all(gap.recovered for gap in gaps)
    assert exchange.opened == 1 and exchange.complaints == [] and exchange.remarks == []


def test_what_was_lost_last_comes_with_the_next_connection(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    heard(exchange, client, 1)
    exchange.lose_next(TICKS)
    tick(exchange, 2)
    gap, last = client.expect(xchws.Gap), client.expect(models.Tick, quantity=Decimal(2))
    exchange.drop()
    assert gap.result(10).recovered
    last.result(10)
    client.stop()
    assert told == ["1", "2"] and exchange.complaints == []


def test_a_publication_told_twice_is_one(exchange: IndodaxMarketSandbox, make: Make) -> None:
    gaps: List[Any] = []
    client, told = ticking(make, on_gap=gaps.append)
    heard(exchange, client, 1)
    exchange.repeat(TICKS)
    exchange.repeat(TICKS)
    heard(exchange, client, 2)
    exchange.repeat(TICKS)
    heard(exchange, client, 3)
    client.stop()
    assert told == ["1", "2", "3"] and gaps == [] and exchange.complaints == []


def test_two_thousand_numbered_ticks_with_a_cut_in_the_middle(exchange: IndodaxMarketSandbox, make: Make) -> None:
    gaps: List[xchws.Gap] = []
    client, told = ticking(make, on_gap=gaps.append)
    tick(exchange, *range(1, 900))
    heard(exchange, client, 900)
    gap = client.expect(xchws.Gap)
    exchange.refuse(503)
    exchange.drop()
    tick(exchange, *range(901, 1101))  # to nobody
    exchange.accept()
    tick(exchange, *range(1101, 1151))  # to nobody, or to the next connection, or while it subscribes
    gap.result(10)
    tick(exchange, *range(1151, 2000))
    heard(exchange, client, 2000)
    client.stop()
    assert told == numbers(range(1, 2001)), "all arrive, once, in order"
    assert [(one.channels, one.recovered) for one in gaps] == [((TICKS,), True)]
    assert exchange.complaints == []


def test_cuts_while_the_market_runs(exchange: IndodaxMarketSandbox, make: Make) -> None:
    told: List[Any] = []
    gaps: List[xchws.Gap] = []
    client = make(on_gap=gaps.append)
    client.on(xchws.Data, lambda event: told.append((event.channel, event.offset, event.raw)))
    client.start(5)
    client.subscribe_ticks("btcidr").wait(5)
    client.subscribe_order_book("btcidr").wait(5)
    exchange.run(300)
    for _ in range(5):
        back = [client.expect(xchws.Gap, channels=(channel,)) for channel in (TICKS, BOOK)]
        exchange.drop(reset=True)
        for each in back:
            each.result(10)
    exchange.pause()
    heard(exchange, client, 77)
    client.stop()
    for channel in (TICKS, BOOK):
        sent = []
        for entry in exchange.published:
            data = entry["data"]["data"]
            if entry["channel"] == channel:
                rows = data if isinstance(data, list) else [data]
                sent += [(channel, entry["data"]["offset"], row) for row in rows]
        assert [one for one in told if one[0] == channel] == sent
    assert all(gap.recovered for gap in gaps) and exchange.complaints == []


# --------------------------------------------------------------------------------------- what the server takes back


def test_an_unsubscribe_push_that_asks_to_come_again(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    heard(exchange, client, 1)
    gap, last = client.expect(xchws.Gap), client.expect(models.Tick, quantity=Decimal(3))
    exchange.unsubscribe_push(TICKS, resubscribe=True)
    tick(exchange, 2, 3)
    assert gap.result(10).recovered and gap.result(0).channels == (TICKS,)
    last.result(10)
    client.stop()
    assert told == ["1", "2", "3"] and exchange.opened == 1 and exchange.complaints == []


def test_an_unsubscribe_push_for_good(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make)
    subscription, trades = client.subscribe_ticks("btcidr"), client.subscribe_trades("btcidr")
    trades.wait(5)
    failure, trade = client.expect(xchws.Failure), client.expect(xchws.Trade)
    exchange.unsubscribe_push(TICKS)
    assert isinstance(failure.result(5).error, xchws.SubscriptionRejected)
    assert (subscription.state, trades.state) == ("refused", "active")
    exchange.trade("btcidr", "buy", "1600000000", base="1")
    trade.result(5)
    back = client.expect(xchws.Gap)
    exchange.drop()
    assert back.result(10).channels == (TRADES,), "it is not asked for again"
    client.subscribe_ticks("btcidr").wait(5)
    heard(exchange, client, 1)
    client.stop()
    assert told == ["1"] and exchange.complaints == []


GOES_ON = (3000, 3001, 3004, 3005, 3006, 3008, 3009, 3010, 3011, 1000, 1001, 1011, 1012, 4000)


@pytest.mark.parametrize("code", GOES_ON)
def test_a_close_that_asks_to_come_again(exchange: IndodaxMarketSandbox, make: Make, code: int) -> None:
    client, told = ticking(make)
    down, gap = client.expect(xchws.Disconnected), client.expect(xchws.Gap)
    exchange.close_connections(code, "because", reconnect=True)
    error = down.result(5).error
    assert isinstance(error, xchws.ConnectionLost) and (error.code, error.reason) == (code, "because")
    assert gap.result(10).recovered
    heard(exchange, client, 1)
    client.stop()
    assert told == ["1"] and exchange.complaints == []


@pytest.mark.parametrize("code", [3003, 3007, 3013, 3001, 4000])
def test_a_close_that_asks_not_to_come_again_soon(exchange: IndodaxMarketSandbox, make: Make, code: int) -> None:
    client, _ = ticking(make)
    down = client.expect(xchws.Disconnected)
    exchange.close_connections(code, "because", reconnect=False)
    event = down.result(5)
    assert isinstance(event.error, xchws.ConnectionLost) and event.error.code == code
    assert event.retry_in is not None and event.retry_in >= SLOWLY
    assert client.status().state is xchws.State.WAITING and exchange.complaints == []


def test_a_forced_disconnect_ends_it(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, _ = ticking(make)
    over = client.expect(xchws.Stopped)
    exchange.close_connections(3012)
    error = over.result(5).error
    assert isinstance(error, xchws.ExchangeError) and (error.code, error.message) == (3012, "force disconnect")
    assert exchange.opened == 1 and exchange.complaints == []


@pytest.mark.parametrize(("code", "reconnects"), [(3001, True), (3012, False), (4000, True)])
def test_a_close_reason_that_is_no_json(
    exchange: IndodaxMarketSandbox, make: Make, code: int, reconnects: bool
) -> None:
    client, _ = ticking(make)
    down = client.expect(xchws.Disconnected)
    exchange.wait_for_session().close(code, "plain words")
    event = down.result(5)
    assert (event.retry_in is not None) is reconnects
    assert "plain words" in str(event.error)
    assert exchange.complaints == []


# --------------------------------------------------------------------------------------------------- silence, and lines


def test_a_mute_peer_is_noticed_and_nothing_is_lost(exchange: IndodaxMarketSandbox, make: Make) -> None:
    client, told = ticking(make, ping_interval=0.1, ping_timeout=0.3)
    heard(exchange, client, 1)
    down, gap = client.expect(xchws.Disconnected), client.expect(xchws.Gap)
    session = exchange.wait_for_session()
    exchange.stall(session)
    assert isinstance(down.result(10).error, xchws.Silent)
    tick(exchange, 2)
    assert gap.result(10).recovered
    exchange.resume(session)
    heard(exchange, client, 3)
    client.stop()
    assert told == ["1", "2", "3"] and exchange.complaints == []


def test_pings_are_answered(make: Make) -> None:
    with IndodaxMarketSandbox(ping_interval=0.05, pong_timeout=5) as exchange:
        client, told = ticking(make, url=exchange.url)
        exchange.wait_until(lambda: sum(item.kind == "pong" for item in exchange.received) >= 3, 10)
        heard(exchange, client, 1)
        client.stop()
        assert told == ["1"] and exchange.opened == 1 and exchange.complaints == []


@pytest.mark.parametrize("kind", ["connect", "subscribe"])
def test_a_reply_that_comes_late(exchange: IndodaxMarketSandbox, make: Make, kind: str) -> None:
    client = make()
    if kind == "connect":
        exchange.delay_replies(0.1)
    client.start(5)
    exchange.delay_replies(0.1)
    told: List[str] = []
    client.on_tick(lambda one: told.append(str(one.quantity)))
    subscription = client.subscribe_ticks("btcidr")
    last = client.expect(models.Tick, quantity=Decimal(2))
    exchange.wait_for_subscriber(TICKS)
    tick(exchange, 1, 2)  # before the reply
    subscription.wait(5)
    last.result(5)
    client.stop()
    assert told == ["1", "2"] and exchange.complaints == []


@pytest.mark.parametrize("fault", ["byte by byte", "throttled", "delayed"])
def test_a_bad_line_loses_nothing(exchange: IndodaxMarketSandbox, make: Make, fault: str) -> None:
    with FaultProxy("127.0.0.1", exchange.port) as proxy:
        if fault == "byte by byte":
            proxy.byte_by_byte()
        elif fault == "throttled":
            proxy.throttle(100_000)
        else:
            proxy.delay(0.02)
        client, told = ticking(make, url=proxy.url(exchange.url))
        with exchange.one_frame():
            tick(exchange, *range(1, 40))
        heard(exchange, client, 40)
        client.stop()
        assert told == numbers(range(1, 41)) and exchange.complaints == []


def test_a_message_cut_in_the_middle_is_recovered(exchange: IndodaxMarketSandbox, make: Make) -> None:
    with FaultProxy("127.0.0.1", exchange.port) as proxy:
        client, told = ticking(make, url=proxy.url(exchange.url))
        gap, found = client.expect(xchws.Gap), client.expect(models.Tick, quantity=Decimal(1))
        down = client.expect(xchws.Disconnected)
        proxy.truncate_after(50)
        tick(exchange, 1)
        assert "in the middle of a message" in str(down.result(5).error)
        proxy.clear()
        assert gap.result(10).recovered
        found.result(10)
        client.stop()
        assert told == ["1"] and exchange.complaints == []


@pytest.mark.parametrize("status", [301, 429, 500, 503])
def test_refused_handshakes_are_tried_again(exchange: IndodaxMarketSandbox, make: Make, status: int) -> None:
    client = make()
    down = client.expect(xchws.Disconnected)
    exchange.refuse(status, "<html>not now</html>", {"Location": "ws://127.0.0.1:1/"} if status < 400 else {}, times=1)
    client.start(5)
    error = down.result(5).error
    assert isinstance(error, xchws.HandshakeRejected) and error.status == status
    assert exchange.complaints == []


@pytest.mark.parametrize("text", ["no json", '{"result":', "[" * 5000, "3", '"x"', '{"result":3}', '{"id":99}', "\n\n"])
def test_unreadable_messages_are_told_and_the_connection_lives(
    exchange: IndodaxMarketSandbox, make: Make, text: str
) -> None:
    client, _ = ticking(make)
    failure = client.expect(xchws.Failure)
    exchange.send_raw(text)
    heard(exchange, client, 1)
    assert exchange.opened == 1 and failure.done is bool(text.strip())
    assert exchange.complaints == []


def test_over_tls(make: Make) -> None:
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    with IndodaxMarketSandbox(ssl_context=server) as exchange:
        client, told = ticking(make, url=exchange.url, tls=trusting)
        with exchange.one_frame():
            tick(exchange, *range(1, 200))
        heard(exchange, client, 200)
        client.stop()
        assert told == numbers(range(1, 201)) and exchange.complaints == []
