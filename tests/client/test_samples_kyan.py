"""What Kyan's pages print, over a real socket through a whole client: every sample, every error text, every payload."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Callable, Dict, List, Tuple, Type

import pytest
from websockets.sync.server import ServerConnection

import xchws
from tests.client.conftest import QUICK
from tests.client.test_samples_over_sockets import peer
from tests.exchanges.kyan.conversation import ME
from tests.exchanges.kyan.samples import CALL, ORDER, PERP, SAMPLES, TRADE, UUID
from tests.exchanges.printed import meant, printed, table
from xchws.exchanges.kyan import models

D = Decimal
KEY = "your_api_key_here"  # the page's own, with what its pattern allows
Answers = Dict[str, Callable[[Dict[str, Any]], List[str]]]


def answered(command: Dict[str, Any], error: str = "", kind: str = "", **more: Any) -> List[str]:
    """The answer to a command, in the envelope that the page prints."""
    reply = {
        "kind": "response", "type": kind or command["type"], "id": command["id"], "timestamp_ms": 1677721600000,
        "success": not error,
    }  # fmt: skip
    return [json.dumps({**reply, **({"error": error} if error else {}), **more})]


class Exchange:
    """Says yes to every command, unless it is told what to answer to some."""

    def __init__(self, **answers: Callable[[Dict[str, Any]], List[str]]) -> None:
        self.answers: Answers = {"get_instruments": lambda command: answered(command, data=["A"]), **answers}
        self.heard: List[Any] = []

    def __call__(self, connection: ServerConnection) -> None:
        for text in connection:
            command = json.loads(text)
            self.heard.append(command)
            for answer in self.answers.get(command["type"], answered)(command):
                connection.send(answer)

    def said(self, verb: str) -> List[Any]:
        """The commands of this kind, without their ids."""
        return [{**one, "id": None} for one in self.heard if one["type"] == verb]


@pytest.fixture
def make(clients: List[xchws.Client]) -> Callable[..., xchws.Kyan]:
    def made(url: str) -> xchws.Kyan:
        clients.append(xchws.Kyan(KEY, url=url, backoff=QUICK, session_recovery=False))
        return clients[-1]  # type: ignore[return-value]  # it has just been made

    return made


Make = Callable[[str], xchws.Kyan]


# ------------------------------------------------------------------------------------------------------- the samples


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("auth_success", ""),
        ("auth_invalid_key", "invalid auth payload .*must match pattern"),
        ("auth_not_found", "NOT_FOUND"),
        ("auth_failed", "Failed to validate api key"),
    ],
)
def test_the_answers_to_auth_as_printed(make: Make, name: str, says: str) -> None:
    def printed_answer(command: Dict[str, Any]) -> List[str]:
        return [printed("kyan", f"{name}.json").replace("optional-request-id", command["id"])]

    exchange = Exchange(auth=printed_answer)
    with peer(exchange) as url:
        client = make(url)
        if says:
            with pytest.raises(xchws.AuthenticationFailed, match=says):
                client.start(10)
        else:
            client.start(5)
        client.stop()
    wanted = json.loads(printed("kyan", "auth_request.json"))
    assert exchange.heard[0] == {**wanted, "api_key": KEY, "id": exchange.heard[0]["id"]}
    wanted = meant(printed("kyan", "auth_message.js"), API_KEY=KEY)
    assert exchange.said("auth")[0] == {**wanted, "id": None}


def test_the_steps_of_the_page_as_printed(make: Make) -> None:
    """Discovery, market data, the account's own, logout: what goes out for them is what the page sends."""
    exchange = Exchange(
        logout=lambda command: [printed("kyan", "logout_success.json").replace("optional-request-id", command["id"])]
    )
    with peer(exchange) as url:
        client = make(url)
        client.start(5)
        assert client.get_instruments("BTC") == ("A",)
        client.subscribe_instruments("BTC").wait(5)
        client.subscribe_index_price("BTC_USDC").wait(5)
        client.subscribe_orderbook_perps("BTC_USDC").wait(5)
        client.subscribe_trades(ME).wait(5)
        client.subscribe_transfers(ME).wait(5)
        client.logout()
        assert client.status().state is xchws.State.STOPPED
    assert exchange.said("get_instruments") == [{**meant(printed("kyan", "get_instruments_message.js")), "id": None}]
    entries = [entry for command in exchange.said("subscribe") for entry in command["subscriptions"]]
    messages = [
        meant(printed("kyan", name).replace("your-account-address", ME))
        for name in ("subscribe_message.js", "account_subscribe_message.js")
    ]
    assert entries == [entry for message in messages for entry in message["subscriptions"]]
    assert exchange.said("logout") == [{**json.loads(printed("kyan", "logout_request.json")), "id": None}]


# -------------------------------------------------------------------------------------------------------- the errors

ERRORS = [row["error"] for row in table("kyan", "errors.tsv")]
TO_AUTH: Dict[str, Tuple[Type[xchws.XchwsError], float]] = {
    # Error text -> what it becomes as the answer to auth, and the seconds to the next try at least; 0: the client ends.
    "NOT_FOUND": (xchws.AuthenticationFailed, 0),
    "FORBIDDEN": (xchws.AuthenticationFailed, 0),
    "invalid auth payload <details>": (xchws.AuthenticationFailed, 0),
    "KEY_USAGE_EXCEEDED": (xchws.RateLimited, 60),
    "RATELIMITED": (xchws.RateLimited, 5),
    "Failed to validate api key": (xchws.OpenFailed, 0.001),
    "Not Authorized": (xchws.OpenFailed, 0.001),
}
TO_SUBSCRIBE: Dict[str, Type[xchws.XchwsError]] = {
    "RATELIMITED": xchws.RateLimited,
    "KEY_USAGE_EXCEEDED": xchws.RateLimited,
    "FORBIDDEN": xchws.SubscriptionRejected,
    "Invalid subscription parameters": xchws.SubscriptionRejected,
    "Invalid query for <CHANNEL> channel": xchws.SubscriptionRejected,
    "invalid <MESSAGE_TYPE> payload <details>": xchws.SubscriptionRejected,
}
TO_A_REQUEST: Dict[str, Type[xchws.XchwsError]] = {
    "RATELIMITED": xchws.RateLimited,
    "KEY_USAGE_EXCEEDED": xchws.RateLimited,
    "invalid <MESSAGE_TYPE> payload <details>": xchws.RequestRejected,
    "Not Authorized": xchws.RequestRejected,
}
ALREADY = "Session already authorized"


def test_every_error_of_the_pages_is_here() -> None:
    assert {*TO_AUTH, *TO_SUBSCRIBE, *TO_A_REQUEST, ALREADY} == set(ERRORS)
    assert len(ERRORS) == len(set(ERRORS)) == 11


def filled(error: str, verb: str) -> str:
    """An error text with its variables."""
    details = '[{"instancePath":"/x","message":"must be string"}]'
    return error.replace("<details>", details).replace("<MESSAGE_TYPE>", verb).replace("<CHANNEL>", "index_price")


both_shapes = pytest.mark.parametrize("shape", ["", "error"], ids=["type of the command", "type error"])


@both_shapes
@pytest.mark.parametrize("error", TO_AUTH)
def test_the_errors_of_auth(make: Make, error: str, shape: str) -> None:
    kind, wait = TO_AUTH[error]
    with peer(Exchange(auth=lambda command: answered(command, filled(error, "auth"), shape))) as url:
        client = make(url)
        down = client.expect(xchws.Disconnected)
        client.start()
        event = down.result(5)
        assert type(event.error) is kind and filled(error, "auth").partition(" [")[0] in str(event.error)
        if wait:
            assert event.retry_in is not None and event.retry_in >= (wait if wait >= 1 else 0)
        else:
            assert event.retry_in is None and client.status().state is xchws.State.STOPPED
        client.stop()


@both_shapes
def test_already_authorized_is_authorized(make: Make, shape: str) -> None:
    with peer(Exchange(auth=lambda command: answered(command, ALREADY, shape))) as url:
        client = make(url)
        client.start(5)
        client.stop()


@both_shapes
def test_the_errors_of_subscribe(make: Make, shape: str) -> None:
    errors = iter(TO_SUBSCRIBE)
    exchange = Exchange(subscribe=lambda command: answered(command, filled(next(errors), "subscribe"), shape))
    with peer(exchange) as url:
        client = make(url)
        client.start(5)
        for number, (error, kind) in enumerate(TO_SUBSCRIBE.items()):
            failure = client.expect(xchws.Failure)
            subscription = client.subscribe_index_price(f"T{number}_USDC")
            found: Any = failure.result(5).error
            assert (type(found), found.message) == (kind, filled(error, "subscribe"))
            if kind is xchws.SubscriptionRejected:
                with pytest.raises(kind):
                    subscription.wait(5)
            else:
                assert subscription.state == "pending", "it will be tried again"
                subscription.unsubscribe()
        client.stop()


@both_shapes
def test_a_login_that_is_gone(make: Make, shape: str) -> None:
    """`Not Authorized` as the answer to subscribe: a new login, and then the subscription is what cannot be had."""
    exchange = Exchange(subscribe=lambda command: answered(command, "Not Authorized", shape))
    with peer(exchange) as url:
        client = make(url)
        client.start(5)
        with pytest.raises(xchws.SubscriptionRejected, match="Not Authorized"):
            client.subscribe_index_price("ETH_USDC").wait(5)
        client.stop()
    assert [one["type"] for one in exchange.heard] == ["auth", "subscribe"] * 2


@both_shapes
def test_the_errors_of_requests(make: Make, shape: str) -> None:
    error = ""
    exchange = Exchange(get_instruments=lambda command: answered(command, filled(error, "get_instruments"), shape))
    with peer(exchange) as url:
        client = make(url)
        client.start(5)
        for error, kind in TO_A_REQUEST.items():
            with pytest.raises(kind) as refused:
                client.get_instruments("ETH")
            found: Any = refused.value
            assert (type(found), found.message) == (kind, filled(error, "get_instruments"))
        client.stop()


# ------------------------------------------------------------------------------------------------------- the payloads

EVENTS: Dict[str, List[Tuple[str, Type[xchws.Data], Dict[str, Any]]]] = {
    # Sample -> the callbacks that it reaches, in order, with the event's class and what it says.
    "index_price": [
        ("on_index_price", models.IndexPrice, {"symbol": "ETH_USDC", "value": D("3120.75"), "time_ms": 1774000123440})
    ],
    "instruments": [("on_instruments", models.Instruments, {"symbol": "ETH", "names": (PERP, CALL)})],
    "funding": [
        ("on_funding", models.Funding, {"symbol": PERP, "rate": D("0.00004"), "perp_price": D("3122.0")}),
    ],
    "interest_rate": [
        ("on_interest_rate", models.InterestRate, {"symbol": "ETH_USDC", "rate": D("0.041"), "expiry": None}),
    ],
    "svi": [
        ("on_volatility", models.Volatility, {"symbol": "ETH_USDC", "maturity": "27MAR26", "rho": D("-0.2")}),
    ],
    "account_state": [
        ("on_account_state", models.AccountState, {"symbol": "ETH_USDC", "margin_account": "731", "equity": D("8200.25")})
    ],
    "position": [
        ("on_position", models.Position, {"symbol": PERP, "account": UUID, "quantity": D("4.0")}),
        ("on_position", models.Position, {"symbol": CALL, "account": UUID, "mark_iv": D("0.61")}),
    ],
    "trade": [
        ("on_fill", models.Fill, {"id": TRADE["trade_id"], "price": D("90.5"), "taker_fee": D("0.0003"), "fee": None})
    ],
    "deposit": [("on_transfer", models.Transfer, {"direction": "deposit", "asset": "USDC", "amount": D(250)})],
    "mmp_triggered": [
        ("on_mmp_triggered", models.MmpTriggered, {"symbol": "ETH_USDC", "frozen_until_ms": 1774000183000})
    ],
    "bankruptcy": [("on_bankruptcy", models.Bankruptcy, {"symbol": "ETH_USDC", "margin_account": UUID})],
    "ob_snapshot": [
        ("on_book_order", models.BookOrder, {"action": "snapshot", "id": "1", "price": D("3119.5")}),
        ("on_order_book", xchws.OrderBook, {"symbol": PERP, "bids": ((D("3119.5"), D(5)),), "asks": ()}),
    ],
    "post_order": [
        ("on_book_order", models.BookOrder, {"action": "post", "id": ORDER["order_id"], "created_ms": 1774000123000}),
        ("on_order_book", xchws.OrderBook, {"bids": ((D("3119.5"), D(505)),)}),
    ],
    "update_order": [
        ("on_book_order", models.BookOrder, {"action": "update", "filled": D(200), "remaining": D(300)}),
        ("on_order_book", xchws.OrderBook, {"bids": ((D("3119.5"), D(305)),)}),
    ],
    "cancel_order": [
        ("on_book_order", models.BookOrder, {"action": "cancel", "symbol": PERP, "mmp": True, "side": "buy"}),
        ("on_order_book", xchws.OrderBook, {"bids": ((D("3119.5"), D(5)),)}),
    ],
    "ob_maker_orders": [
        ("on_order", models.Order, {"id": ORDER["order_id"], "status": "NEW", "quantity": D(500), "maker": ME})
    ],
}  # fmt: skip


def test_every_payload(make: Make) -> None:
    """Payloads with the names, types and nesting of the channels' pages, which print none in full."""
    assert set(EVENTS) == set(SAMPLES)
    order = list(EVENTS)

    def told(command: Dict[str, Any]) -> List[str]:
        return [*(json.dumps(SAMPLES[name]) for name in order), *answered(command, data=[])]

    with peer(Exchange(get_instruments=told)) as url:
        client = make(url)
        heard: List[Tuple[str, Any]] = []
        for hook in sorted({hook for wanted in EVENTS.values() for hook, _, _ in wanted}):
            getattr(client, hook)(lambda event, hook=hook: heard.append((hook, event)))
        trouble: List[Any] = []
        client.on_error(trouble.append)
        client.on_other(trouble.append)
        client.start(5)
        client.subscribe_orderbook_perps("ETH_USDC").wait(5)
        client.subscribe_trades(ME).wait(5)
        assert client.get_instruments() == ()
        assert client.stop()
    wanted = [(name, *one) for name in order for one in EVENTS[name]]
    assert [(hook, type(event)) for hook, event in heard] == [(hook, kind) for _, hook, kind, _ in wanted]
    for (name, _, _, attributes), (_, event) in zip(wanted, heard):
        assert {key: getattr(event, key) for key in attributes} == attributes, name
        assert event.exchange == "kyan" and event.time is not None
    assert trouble == []
