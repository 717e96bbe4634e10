"""The client's arguments: what is sent for them, and what is said of those that cannot work."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Callable, Dict

import pytest

from tests.exchanges.kyan.conversation import ME, Conversation
from xchws.errors import ConfigurationError, StateError
from xchws.exchanges.kyan import models
from xchws.exchanges.kyan.channels import CHANNELS, topic, wire_query
from xchws.exchanges.kyan.client import Kyan
from xchws.exchanges.kyan.protocol import KyanProtocol
from xchws.transports.http import Http

PERP, PUT = "ETH_USDC-PERPETUAL", "ETH_USDC-27MAR26-4200-P"


@pytest.mark.parametrize(
    "subscribe, channel, query",
    [
        (lambda c: c.subscribe_index_price("ETH_USDC"), "index_price", {"pair": "ETH_USDC"}),
        (lambda c: c.subscribe_instruments(), "instruments", {}),
        (lambda c: c.subscribe_instruments("BTC"), "instruments", {"market": "BTC"}),
        (lambda c: c.subscribe_funding(PERP), "funding", {"instrument_name": PERP}),
        (lambda c: c.subscribe_interest_rate("ETH_USDC", "27MAR26"), "interest_rate", {"pair": "ETH_USDC", "expiry": "27MAR26"}),
        (lambda c: c.subscribe_iv("ETH_USDC", "27MAR26"), "iv", {"pair": "ETH_USDC", "maturity": "27MAR26"}),
        (lambda c: c.subscribe_orderbook_perps(), "orderbook_perps", {}),
        (
            lambda c: c.subscribe_orderbook_perps("ETH_USDC", direction="buy", skip_snapshot=True),
            "orderbook_perps",
            {"pair": "ETH_USDC", "direction": "buy", "options": {"skip_snapshot": True}},
        ),
        (
            lambda c: c.subscribe("orderbook_perps", options={"skip_snapshot": False}),
            "orderbook_perps",
            {"options": {"skip_snapshot": False}},
        ),
        (lambda c: c.subscribe_orderbook_options(instrument_name=PUT), "orderbook_options", {"instrument_name": PUT}),
        (
            lambda c: c.subscribe_orderbook_options("ETH_USDC", maturity="27MAR26", strike=Decimal("4200"), type="P"),
            "orderbook_options",
            {"pair": "ETH_USDC", "maturity": "27MAR26", "strike": 4200, "type": "P"},
        ),
        (lambda c: c.subscribe_orderbook_options(strike=0.85), "orderbook_options", {"strike": 0.85}),
        (lambda c: c.subscribe_orderbook_maker(ME), "orderbook_maker", {"maker": ME}),
        (lambda c: c.subscribe_account_state(ME, "ETH_USDC"), "account_state", {"account": ME, "pair": "ETH_USDC"}),
        (lambda c: c.subscribe_position(ME, "ETH"), "position", {"account": ME, "market": "ETH"}),
        (lambda c: c.subscribe_trades(), "trade", {}),
        (
            lambda c: c.subscribe_trades(ME, pair="ETH_USDC", direction="sell"),
            "trade", {"account": ME, "pair": "ETH_USDC", "direction": "sell"},
        ),
        (
            lambda c: c.subscribe_transfers(ME, symbol="USDC", type="deposit"),
            "transfer", {"account": ME, "symbol": "USDC", "type": "deposit"},
        ),
        (lambda c: c.subscribe_mmp(ME, "ETH_USDC"), "mmp", {"smart_account_address": ME, "pair": "ETH_USDC"}),
        (lambda c: c.subscribe_bankruptcy("ETH_USDC"), "bankruptcy", {"market": "ETH_USDC"}),
        (lambda c: c.subscribe_account_liquidation(ME), "account_liquidation", {"account": ME}),
        (lambda c: c.subscribe_rfq(ME, type="rfq", order_id="1"), "rfq", {"account": ME, "type": "rfq", "order_id": "1"}),
    ],
)  # fmt: skip
def test_what_is_sent_for_a_subscription(subscribe: Callable[[Kyan], Any], channel: str, query: Dict[str, Any]) -> None:
    client = Kyan("k")
    subscription = subscribe(client)
    (wanted,) = (one.topic for one in client._subscriptions)
    assert (wanted.channel, wire_query(wanted)) == (channel, query)
    assert subscribe(client) is subscription
    assert subscription.name.startswith(channel)
    client.stop()


@pytest.mark.parametrize(
    "channel, query, argument",
    [
        ("trades", {}, "channel"),
        (5, {}, "channel"),
        ("index_price", {}, "pair"),
        ("index_price", {"pair": None}, "pair"),
        ("index_price", {"pair": "eth_usdc"}, "pair"),
        ("index_price", {"pair": "ETH-USDC"}, "pair"),
        ("index_price", {"pair": 5}, "pair"),
        ("index_price", {"pair": "ETH_USDC", "market": "ETH"}, "market"),
        ("index_price", {"pair": "ETH_USDC", "options": {}}, "options"),
        ("instruments", {"market": "ETH_USDC"}, "market"),
        ("funding", {"instrument_name": PUT}, "instrument_name"),
        ("interest_rate", {"pair": "ETH_USDC", "expiry": "2026-03-27"}, "expiry"),
        ("orderbook_perps", {"direction": "long"}, "direction"),
        ("orderbook_perps", {"skip_snapshot": 1}, "skip_snapshot"),
        ("orderbook_perps", {"options": {"skip": True}}, "options"),
        ("orderbook_perps", {"options": True}, "options"),
        ("orderbook_perps", {"pair": "ETH_USDC", "instrument_name": PERP}, "instrument_name"),
        ("orderbook_options", {"instrument_name": PERP}, "instrument_name"),
        ("orderbook_options", {"strike": "4200"}, "strike"),
        ("orderbook_options", {"strike": float("nan")}, "strike"),
        ("orderbook_options", {"strike": Decimal("Infinity")}, "strike"),
        ("orderbook_options", {"strike": True}, "strike"),
        ("orderbook_options", {"type": "call"}, "type"),
        ("account_state", {}, "account"),
        ("account_state", {"account": "0x12"}, "account"),
        ("account_state", {"account": "0x" + "g" * 40}, "account"),
        ("orderbook_maker", {"maker": ME + "0"}, "maker"),
        ("transfer", {"account": ME, "type": "in"}, "type"),
        ("bankruptcy", {"market": "ETH"}, "market"),
        ("rfq", {"order_id": ""}, "order_id"),
    ],
)
def test_what_cannot_be_subscribed_says_which_argument_and_what_it_may_be(
    channel: Any, query: Any, argument: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        topic(channel, query)
    assert raised.value.argument == argument and argument in str(raised.value)


def test_a_hint_names_the_likely_channel() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'trade'"):
        Kyan("k").subscribe("trades")
    assert len(CHANNELS) == 16


@pytest.mark.parametrize(
    "arguments, argument",
    [
        ({"key": None}, "key"),
        ({"key": ""}, "key"),
        ({"key": "with-dash"}, "key"),
        ({"key": "schlüssel"}, "key"),
        ({"environment": "test"}, "environment"),
        ({"url": "https://x"}, "url"),
        ({"session_recovery": "yes"}, "session_recovery"),
        ({"session_lifetime": 0}, "session_lifetime"),
        ({"session_lifetime": True}, "session_lifetime"),
        ({"session_lifetime": float("inf")}, "session_lifetime"),
        ({"on_index": print}, "on_index"),
    ],
)
def test_arguments_that_cannot_work(monkeypatch: pytest.MonkeyPatch, arguments: Dict[str, Any], argument: str) -> None:
    monkeypatch.delenv("KYAN_KEY", raising=False)
    with pytest.raises(ConfigurationError) as raised:
        Kyan(**{"key": "k_1", **arguments})
    assert raised.value.argument == argument
    assert "with-dash" not in str(raised.value)


def test_key_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYAN_KEY", "k_environment")
    client = Kyan(environment="staging", on_index_price=print)
    exchange = client._exchange
    http = Http("kyan", exchange.secrets, None, None, 1.0)
    assert exchange.route(http).url == "wss://staging.kyan.sh/ws"
    assert Kyan("k")._exchange.route(http).url == "wss://api.kyan.sh/ws"
    assert Kyan("k", url="ws://127.0.0.1:1/x?y=z")._exchange.route(http).url == "ws://127.0.0.1:1/x?y=z"
    assert isinstance(exchange.protocol(exchange.route(http)), KyanProtocol)
    assert "k_environment" not in repr(client) + repr(exchange.secrets)


def test_hooks_of_its_own() -> None:
    client = Kyan("k")
    seen = []

    @client.on_index_price(symbol="ETH_USDC")
    def changed(price: models.IndexPrice) -> None:
        seen.append(price)

    for name in (
        "instruments",
        "funding",
        "interest_rate",
        "volatility",
        "account_state",
        "mmp_triggered",
        "bankruptcy",
        "book_order",
    ):
        assert getattr(client, f"on_{name}")(print) is print
    assert client.off(changed) == 1 and seen == []


@pytest.mark.parametrize("call", [lambda c: c.get_instruments("ETH"), lambda c: c.logout()])
def test_requests_need_a_connection(call: Callable[[Kyan], Any]) -> None:
    with pytest.raises(StateError):
        call(Kyan("k"))


@pytest.mark.parametrize("market", ["eth", "ETH_USDC", 5, None])
def test_markets(market: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Kyan("k").get_instruments(market)
    assert raised.value.argument == "markets"


def test_a_subscription_of_a_stranger_query_is_never_doubled() -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    talk.subscribe("orderbook_options", strike=4200, pair="ETH_USDC")
    talk.subscribe("orderbook_options", pair="ETH_USDC", strike=4200.0)
    assert len(talk.sent()) == 1
