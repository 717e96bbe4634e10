"""The Richamster client against its simulated exchange, over real sockets: what only this exchange's ways make hard."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Callable, List

import pytest

import xchws
from xchws.sandbox import RichamsterSandbox

Make = Callable[..., Any]
PAIR = "BTC/UAH"


def asked(exchange: RichamsterSandbox) -> List[Any]:
    return [(message["channel"], message["pair"]) for message in exchange.messages]


# ------------------------------------------------------------------------------------- there is no word to unsubscribe


def test_wanted_again_on_the_same_connection_it_is_active_at_once(
    richamster: RichamsterSandbox, make_richamster: Make
) -> None:
    client = make_richamster()
    stream = client.events(xchws.BookLevel, timeout=5)
    client.start(5)
    first = client.subscribe_order_book(PAIR).wait(5)

    def heard(number: int) -> None:
        richamster.level(PAIR, "selling", "2650000", str(number))
        assert next(stream).quantity == number, "and what came meanwhile has not been told"

    for number in range(1, 4):
        heard(number)
        first.unsubscribe()
        # What comes meanwhile is passed over: a ticker after it proves that it has come.
        ticker = client.expect(xchws.Ticker)
        proof = client.subscribe_ticker(PAIR).wait(5)
        richamster.level(PAIR, "selling", "2650000", "77")
        richamster.ticker(PAIR, 1)
        ticker.result(5)
        proof.unsubscribe()
        second = client.subscribe_order_book(PAIR)
        assert second is not first and second.wait(5).active and first.state == "ended"
        first = second
    heard(4)
    assert asked(richamster) == [("order_book", PAIR), ("ticker", PAIR)], "each once on this connection"
    # The next connection asks for what is wanted, and for nothing else.
    gap = client.expect(xchws.Gap)
    richamster.drop()
    assert gap.result(5).channels == (f"order_book {PAIR}",)
    heard(5)
    assert asked(richamster)[2:] == [("order_book", PAIR)]
    assert richamster.complaints == [] and richamster.remarks == []


def test_wanted_again_while_the_exchange_owes_another_answer(
    richamster: RichamsterSandbox, make_richamster: Make
) -> None:
    client = make_richamster()
    client.start(5)
    client.subscribe_ticker(PAIR).wait(5).unsubscribe()
    richamster.ignore_next("any")
    waiting = client.subscribe_order_book(PAIR)
    richamster.wait_until(lambda: len(richamster.messages) == 2)
    again = client.subscribe_ticker(PAIR).wait(5)
    assert again.active and waiting.state == "pending"
    ticker = client.expect(xchws.Ticker)
    richamster.ticker(PAIR, 1)
    ticker.result(5)


def test_the_page_taken_at_its_word(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    """Tickers and trades by one subscription, own orders by the same name with a token; each is asked for once."""
    richamster.literal_doc = True
    client = make_richamster(richamster.token, wire_channels={"ticker": "trading", "user_orders": "trading"})
    client.start(5)
    stream = client.events(xchws.Data, timeout=5)
    for subscribe in (client.subscribe_ticker, client.subscribe_trades, client.subscribe_user_orders):
        subscribe(PAIR).wait(5)
    assert [message.get("token") for message in richamster.messages] == [None, richamster.token]
    richamster.ticker(PAIR, "2650000.5")
    richamster.trade(PAIR, "buying", "2650000", "0.25")
    ticker, trade = next(stream), next(stream)
    assert isinstance(ticker, xchws.Ticker) and ticker.last == Decimal("2650000.5")
    assert isinstance(trade, xchws.Trade) and trade.quantity == Decimal("0.25")
    assert richamster.complaints == [] and richamster.remarks == []


# ---------------------------------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000, 4401])
def test_any_close_code_is_a_reconnect(richamster: RichamsterSandbox, make_richamster: Make, code: int) -> None:
    client = make_richamster()
    client.start(5)
    subscription = client.subscribe_ticker(PAIR).wait(5)
    down, gap = client.expect(xchws.Disconnected), client.expect(xchws.Gap)
    richamster.close_connections(code, "because")
    error = down.result(5).error
    assert isinstance(error, xchws.ConnectionLost) and (error.code, error.reason) == (code, "because")
    assert gap.result(5).channels == (f"ticker {PAIR}",) and not gap.result(0).recovered
    subscription.wait(5)
    assert asked(richamster) == [("ticker", PAIR)] * 2 and richamster.complaints == []


def test_a_forbidden_handshake_names_the_remedy(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    richamster.require_origin = "https://richamster.com"
    client = make_richamster()
    down = client.expect(xchws.Disconnected)
    client.start()
    event = down.result(5)
    assert isinstance(event.error, xchws.HandshakeRejected) and event.error.status == 403
    assert 'origin="https://richamster.com"' in str(event.error) and event.retry_in >= 30
    make_richamster(origin="https://richamster.com").start(5)
    assert [handshake.headers.get("origin") for handshake in richamster.handshakes] == [None, "https://richamster.com"]


# --------------------------------------------------------------------------------------------------------------- tokens


def test_a_token_function_is_called_for_every_connection(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    given: List[str] = []

    def fresh() -> str:
        token = f"fresh-token-{len(given)}"
        given.append(token)
        richamster.add_account(token)
        return token

    client = make_richamster(fresh)
    client.start(5)
    own = client.subscribe_user_orders(PAIR).wait(5)
    for _ in range(2):
        gap = client.expect(xchws.Gap)
        richamster.drop()
        gap.result(5)
        own.wait(5)
    assert [message["token"] for message in richamster.messages] == given
    assert len(given) == 3 and richamster.complaints == []


def test_a_token_that_the_exchange_refuses(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client = make_richamster("a-wrong-token")
    client.start(5)
    own = client.subscribe_user_orders(PAIR)
    with pytest.raises(xchws.SubscriptionRejected, match="credentials") as refused:
        own.wait(5)
    assert "a-wrong-token" not in str(refused.value)
    client.subscribe_ticker(PAIR).wait(5)
    assert richamster.opened == 1


def test_a_token_function_that_raises_is_called_again_and_holds_up_nobody(
    richamster: RichamsterSandbox, make_richamster: Make
) -> None:
    def broken() -> str:
        raise RuntimeError("the login page is down")

    client = make_richamster(broken)
    failure = client.expect(xchws.Failure)
    client.start(5)
    own = client.subscribe_user_orders(PAIR)
    error = failure.result(5).error
    assert isinstance(error, xchws.OpenFailed) and "the login page is down" in str(error)
    client.subscribe_ticker(PAIR).wait(5)
    assert own.state == "pending" and richamster.opened == 1


@pytest.mark.parametrize("token", ["", None, 5])
def test_a_token_function_that_returns_none(richamster: RichamsterSandbox, make_richamster: Make, token: Any) -> None:
    client = make_richamster(lambda: token)
    client.start(5)
    with pytest.raises(xchws.SubscriptionRejected, match="must return a text"):
        client.subscribe_user_orders(PAIR).wait(5)
    assert richamster.messages == [] and richamster.opened == 1


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "text", ["no json", '{"last":', "[" * 5000, "3", '"x"', "[]", "null", '{"last":"NaN"}', '{"pair":5,"last":1}', ""]
)
def test_unreadable_messages_are_told_and_the_connection_lives(
    richamster: RichamsterSandbox, make_richamster: Make, text: str
) -> None:
    client = make_richamster()
    client.start(5)
    client.subscribe_ticker(PAIR).wait(5)
    failure, ticker = client.expect(xchws.Failure), client.expect(xchws.Ticker)
    richamster.send_raw(text)
    richamster.ticker(PAIR, 1)
    ticker.result(5)
    error = failure.result(5).error
    assert isinstance(error, xchws.ProtocolError) and "internal error" not in str(error)
    assert len(str(error)) < 1000 and richamster.opened == 1
