"""Registering functions, and what the functions may do: raise, be slow, call back into the client."""

from __future__ import annotations

import functools
import logging
import ssl
import sys
import threading
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

import xchws
from xchws.hooks import Hook
from xchws.sandbox import IndodaxSandbox, KyrrexSandbox, RichamsterSandbox

Make = Callable[..., Any]


class Collector:
    """A callback that keeps what it is given, and can be waited for."""

    def __init__(self) -> None:
        self.given: List[Any] = []
        self._changed = threading.Condition()

    def __call__(self, given: Any) -> None:
        with self._changed:
            self.given.append(given)
            self._changed.notify_all()

    def wait(self, count: int, timeout: float = 10.0) -> List[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.given) >= count, timeout), f"only {self.given}"
            return list(self.given)


def trade_once(exchange: IndodaxSandbox, symbol: str = "btcidr") -> None:
    order = exchange.place(symbol, "BUY", "1000000000", "0.5")
    exchange.fill(order, "0.2")
    exchange.fill(order)


def test_decorators_calls_arguments_filters_and_bases(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    by_argument, by_call, filtered, everything = Collector(), Collector(), Collector(), Collector()
    client: xchws.Indodax = make_indodax(on_order=by_argument)
    by_decorator: List[Any] = []

    @client.on_order
    def plain(order: xchws.Order) -> None:
        by_decorator.append(order)

    @client.on_order(symbol="ethidr", status=xchws.OrderStatus.FILLED)
    def narrow(order: xchws.Order) -> None:
        filtered(order)

    assert client.on_fill(by_call) is by_call
    client.on(xchws.Event, everything)
    client.start(5)
    trade_once(indodax, "btcidr")
    trade_once(indodax, "ethidr")
    orders = by_argument.wait(8)
    assert [str(order.status) for order in orders[:4]] == ["NEW", "PARTIALLY_FILLED", "FILLED", "FILLED"]
    assert [fill.quantity for fill in by_call.wait(4)] == [Decimal("0.2"), Decimal("0.3")] * 2
    assert {order.symbol for order in filtered.wait(2)} == {"ethidr"}
    assert callable(plain) and callable(narrow)
    kinds = [type(event).__name__ for event in everything.wait(15)]
    assert kinds[:3] == ["StateChanged", "StateChanged", "Connected"]
    assert kinds[3:].count("Order") == 8 and kinds[3:].count("Fill") == 4
    client.stop()
    assert by_decorator == orders


def test_off_takes_every_registration_out(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    unwanted, wanted = Collector(), Collector()
    client = make_indodax(on_order=unwanted, on_fill=wanted)
    client.on(xchws.Data, unwanted)
    assert client.off(unwanted) == 2
    assert client.off(unwanted) == 0
    client.start(5)
    trade_once(indodax)
    wanted.wait(2)
    assert unwanted.given == []


def test_off_holds_for_the_event_at_hand(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    called: List[str] = []

    def second(order: xchws.Order) -> None:
        called.append("second")

    def first(order: xchws.Order) -> None:
        called.append("first")
        client.off(second)

    client.on_order(first)
    client.on_order(second)
    last = Collector()
    client.on_order(last)
    client.start(5)
    indodax.place("btcidr", "SELL", "900", "1")
    last.wait(1)
    assert called == ["first"]


def test_what_nobody_is_registered_for_is_not_counted_as_lost(make_indodax: Make) -> None:
    client = make_indodax(on_ticker=print, capacity=1)
    tickers = [xchws.Ticker(symbol="btcidr") for _ in range(3)]
    others = [xchws.Balance(asset="btc") for _ in range(3)]
    assert client._dispatcher.put([*tickers, *others]) == 2


def test_messages_come_as_the_exchange_said_them(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    messages = Collector()
    client = make_indodax(on_message=messages)
    client.start(5)
    trade_once(indodax)
    pushes = [message["push"]["pub"]["data"][0] for message in messages.wait(6) if "push" in message]
    assert pushes == indodax.published
    assert isinstance(pushes[1]["order"]["fillInformation"]["clearingRate"], Decimal)


@pytest.mark.parametrize("raised", [ValueError("wrong"), SystemExit(3), KeyboardInterrupt(), MemoryError()])
def test_a_raising_callback_changes_nothing_else(
    indodax: IndodaxSandbox, make_indodax: Make, raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    errors, orders = Collector(), Collector()
    client: xchws.Indodax = make_indodax(on_error=errors)

    @client.on_order
    def bad(order: xchws.Order) -> None:
        raise raised

    client.on_order(orders)
    with caplog.at_level(logging.ERROR, "xchws"):
        client.start(5)
        trade_once(indodax)
        orders.wait(4)
        error = errors.wait(4)[0]
    assert isinstance(error, xchws.CallbackError)
    assert error.__cause__ is raised
    assert error.callback is bad and isinstance(error.event, xchws.Order)
    assert "bad" in str(error) and "Order" in str(error)
    assert client.status().callback_failures == 4
    assert indodax.opened == 1, "the connection must not be touched"
    assert any("bad" in record.getMessage() for record in caplog.records)


def test_an_on_error_that_raises_is_logged_once_per_error(
    indodax: IndodaxSandbox, make_indodax: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(error: xchws.XchwsError) -> None:
        raise RuntimeError("on_error itself")

    fills = Collector()
    client = make_indodax(on_error=broken, on_fill=fills)
    with caplog.at_level(logging.ERROR, "xchws"):
        client.start(5)
        indodax.send_raw("no json")
        trade_once(indodax)
        fills.wait(2)
    raised = [record for record in caplog.records if "on_error_that_raises" in record.getMessage()]
    assert len(raised) == 1 and "RuntimeError" in raised[0].getMessage()


def test_only_the_newest_per_symbol_waits(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client = make_richamster()
    entered, go_on = threading.Event(), threading.Event()
    newest, all_of_them = Collector(), Collector()

    def slow(ticker: xchws.Ticker) -> None:
        newest(ticker)
        entered.set()
        assert go_on.wait(10)

    client.on_ticker(slow, when_slow="latest")
    client.on_ticker(all_of_them)
    client.start(5)
    for pair in ("BTC/UAH", "ETH/UAH"):
        client.subscribe_ticker(pair).wait(5)
    seen = client.expect(xchws.Ticker, symbol="ETH/UAH", last=Decimal(99))
    richamster.ticker("BTC/UAH", 0)
    assert entered.wait(10)
    for last in range(1, 100):
        richamster.ticker("BTC/UAH", last)
        richamster.ticker("ETH/UAH", last)
    seen.result(10)
    go_on.set()
    assert len(all_of_them.wait(199)) == 199
    assert [(one.symbol, one.last) for one in newest.given] == [
        ("BTC/UAH", Decimal(0)),
        ("BTC/UAH", Decimal(99)),
        ("ETH/UAH", Decimal(99)),
    ]


@pytest.fixture
def kyrrex() -> Iterator[KyrrexSandbox]:
    with KyrrexSandbox() as exchange:
        yield exchange


def test_the_newest_of_each_asset_waits(kyrrex: KyrrexSandbox) -> None:
    client = xchws.Kyrrex(kyrrex.key, kyrrex.secret, url=kyrrex.url, rest_url=kyrrex.rest_url, settle=0.02)
    entered, go_on = threading.Event(), threading.Event()
    newest = Collector()

    @client.on_connect
    def hold(event: xchws.Connected) -> None:
        entered.set()
        assert go_on.wait(10)

    client.on_balance(newest, when_slow="latest")
    with client:
        assert entered.wait(10)
        client.wait_ready(10)
        seen = client.expect(xchws.Balance, asset="eth", free=Decimal(9))
        for balance in range(10):
            kyrrex.account("btc", balance=str(balance))
            kyrrex.account("eth", balance=str(balance))
        seen.result(10)
        go_on.set()
        newest.wait(2)
    assert [(one.asset, one.free) for one in newest.given] == [("btc", Decimal(9)), ("eth", Decimal(9))]


def test_too_slow_callbacks_are_never_silent(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    go_on = threading.Event()
    errors, gaps, orders = Collector(), Collector(), Collector()
    client: xchws.Indodax = make_indodax(capacity=10, on_error=errors, on_gap=gaps)

    @client.on_order
    def slow(order: xchws.Order) -> None:
        assert go_on.wait(10)
        orders(order)

    client.start(5)
    slow_down = client.expect(xchws.Disconnected)
    for _ in range(10):
        trade_once(indodax)
    error = slow_down.result(10).error
    assert isinstance(error, xchws.SlowConsumer) and error.dropped >= 1
    assert "too slow" in str(error)
    go_on.set()
    client.wait_ready(10)
    (gap,) = gaps.wait(1)
    assert not gap.recovered and gap.since <= gap.until
    assert any(isinstance(error, xchws.SlowConsumer) for error in errors.wait(1))
    told = [(order.id, order.exchange_status) for order in orders.given]
    sent = [(event["order"]["orderId"], event["order"]["status"]) for event in indodax.published]
    assert told == sent[: len(told)], "what was taken has no hole in it"


def test_inline_callbacks_run_on_the_owner_thread(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    names, refused = Collector(), Collector()
    client: xchws.Indodax = make_indodax(callbacks="inline")

    @client.on_order
    def inline(order: xchws.Order) -> None:
        names(threading.current_thread().name)
        for wait in (
            lambda: client.expect(xchws.Fill).result(1),
            lambda: client.wait_ready(1),
            lambda: next(client.events(xchws.Fill)),
            client.run_forever,
        ):
            try:
                wait()
            except xchws.StateError as error:
                refused(str(error))

    client.start(5)
    trade_once(indodax)
    assert set(names.wait(4)) == {"xchws indodax owner"}
    assert len(refused.wait(16)) == 16 and all("owner thread" in text for text in refused.given)


def test_callbacks_call_back_into_the_client(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client: xchws.Richamster = make_richamster()
    done = Collector()

    @client.on_ticker
    def called(ticker: xchws.Ticker) -> None:
        subscription = client.subscribe_trades("BTC/UAH").wait(5)
        trade = client.expect(xchws.Trade)
        richamster.trade("BTC/UAH", "buying", "0.1", "100")
        done(trade.result(5))
        subscription.unsubscribe()
        done(client.status())

    client.start(5)
    client.subscribe_ticker("BTC/UAH").wait(5)
    richamster.ticker("BTC/UAH", 1)
    trade, status = done.wait(2)
    assert isinstance(trade, xchws.Trade) and status.state is xchws.State.READY


async def coroutine_function(event: Any) -> None: ...


async def asynchronous_generator(event: Any) -> Any:
    yield event


def generator(event: Any) -> Any:
    yield event


class Handler:
    async def __call__(self, event: Any) -> None: ...

    async def method(self, event: Any) -> None: ...


NOTHING_RUNS: Dict[str, Callable[[Any], Any]] = {
    "coroutine function": coroutine_function,
    "asynchronous generator": asynchronous_generator,
    "generator": generator,
    "partial": functools.partial(functools.partial(coroutine_function)),
    "method": Handler().method,
    "object": Handler(),
}


@pytest.mark.parametrize("function", NOTHING_RUNS.values(), ids=NOTHING_RUNS)
def test_a_function_of_which_a_call_runs_nothing_is_refused(make_indodax: Make, function: Any) -> None:
    client = make_indodax()
    registers: List[Callable[[], Any]] = [
        lambda: client.on_order(function),
        lambda: client.on_order(symbol="btcidr")(function),
        lambda: client.on(xchws.Order, function),
        lambda: make_indodax(on_order=function),
    ]
    for register in registers:
        with pytest.raises(
            xchws.ConfigurationError, match="plain function is wanted.*run_coroutine_threadsafe"
        ) as refused:
            register()
        assert refused.value.argument == "function"


@pytest.mark.parametrize("made", [coroutine_function, asynchronous_generator, generator])
@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_a_function_that_returns_what_nobody_runs_is_told_of(
    indodax: IndodaxSandbox, make_indodax: Make, made: Any, callbacks: str
) -> None:
    errors = Collector()
    client = make_indodax(callbacks=callbacks, on_error=errors)
    client.on_order(lambda order: made(order))
    client.start(10)
    indodax.place("btcidr", "BUY", "1", "1")
    (error,) = errors.wait(1)
    assert isinstance(error, xchws.CallbackError) and "which nobody runs" in str(error)
    assert isinstance(error.event, xchws.Order) and client.status().callback_failures == 1


def test_a_function_may_return_what_it_likes(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    orders = Collector()
    client = make_indodax()
    client.on_order(lambda order: [orders, orders(order)])  # type: ignore[func-returns-value]  # it is what is tested
    client.start(10)
    indodax.place("btcidr", "BUY", "1", "1")
    orders.wait(1)
    assert client.stop() and client.status().callback_failures == 0


def test_an_assignment_is_refused(make_indodax: Make) -> None:
    client = make_indodax()
    with pytest.raises(xchws.ConfigurationError, match=r"write client\.on_order\(function\)") as refused:
        client.on_order = print
    assert refused.value.argument == "on_order"
    assert callable(client.on_order)


def test_a_method_in_the_place_of_a_hook_is_refused() -> None:
    class Mixin:
        def on_fill(self, fill: xchws.Fill) -> None: ...

    class Fine(xchws.Indodax):
        on_own: Hook[xchws.Order] = Hook(xchws.Order)

        def handle_order(self, order: xchws.Order) -> None: ...

    cases: List[Tuple[Tuple[Any, ...], Dict[str, Any]]] = [
        ((xchws.Indodax,), {"on_order": lambda self, order: None}),
        ((Mixin, xchws.Indodax), {}),
        ((Fine,), {"on_own": 3}),
    ]
    for bases, body in cases:
        with pytest.raises(xchws.ConfigurationError, match=r"Bot\.on_\w+ hides .* self\.on_\w+\(self\.handle_\w+\)"):
            type("Bot", bases, body)


@pytest.mark.parametrize(
    ("register", "argument", "says"),
    [
        (lambda client: client.on_order(3), "function", "function"),
        (lambda client: client.on_order(colour="red"), "colour", "symbol"),
        (lambda client: client.on_order(print, when_slow="never"), "when_slow", "latest"),
        (lambda client: client.on_gap(print, when_slow="latest"), "when_slow", "Ticker"),
        (lambda client: client.on_fill(print, when_slow="latest"), "when_slow", "each Fill"),
        (lambda client: client.on_order(when_slow="latest"), "when_slow", "each Order"),
        (lambda client: client.on(xchws.Data, print, when_slow="latest"), "when_slow", "each Data"),
        (lambda client: client.on(int, print), "event_class", "event class"),
        (lambda client: client.expect("Order"), "event_class", "event class"),
        (lambda client: client.events(xchws.Order, size=1), "size", "quantity"),
    ],
)
def test_wrong_registrations_say_what_may_be_given(
    make_indodax: Make, register: Callable[[Any], Any], argument: str, says: str
) -> None:
    with pytest.raises(xchws.ConfigurationError) as refused:
        register(make_indodax())
    assert refused.value.argument == argument
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on_oder": print}, "did you mean 'on_order'"),
        ({"open_timeout": 0}, "open_timeout must be a number of seconds"),
        ({"ping_interval": "20"}, "ping_interval"),
        ({"ping_timeout": -1}, "ping_timeout"),
        ({"capacity": 0}, "capacity"),
        ({"callbacks": "thraed"}, '"thread" or "inline"'),
        ({"backoff": 3}, "xchws.Backoff"),
        ({"tls": True}, "ssl.SSLContext"),
        ({"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, "this one is for servers"),
        ({"proxy": "localhost:8080"}, "http://proxy.example:8080"),
        ({"proxy": "ftp://localhost:1"}, "http, socks4"),
        ({"proxy": "http://localhost"}, "host:port"),
        ({"url": "http://localhost"}, "ws:// or wss://"),
        ({"url": "ws://user:secret@localhost/"}, "without user"),
        ({"rest_url": 7}, "rest_url must be an address"),
        ({"environment": "test"}, "'production' or 'demo'"),
    ],
)
def test_wrong_arguments_say_what_may_be_given(options: Any, says: str) -> None:
    with pytest.raises(xchws.ConfigurationError) as refused:
        xchws.Indodax("key", "secret", **options)
    assert says in str(refused.value)
    assert isinstance(refused.value, ValueError)


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INDODAX_KEY", raising=False)
    with pytest.raises(xchws.ConfigurationError, match="INDODAX_KEY"):
        xchws.Indodax()
    monkeypatch.setenv("INDODAX_KEY", "k")
    monkeypatch.setenv("INDODAX_SECRET", "")
    with pytest.raises(xchws.ConfigurationError, match="INDODAX_SECRET is empty"):
        xchws.Indodax()
    monkeypatch.setenv("INDODAX_SECRET", "s")
    assert "s'" not in repr(xchws.Indodax())


def test_a_constructor_does_nothing_outside(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    threads = threading.active_count()
    client = make_indodax()
    assert threading.active_count() == threads
    assert client.status().state is xchws.State.NEW
    assert indodax.handshakes == [] and indodax.rest_requests == []
    assert sys.getsizeof(client) > 0
