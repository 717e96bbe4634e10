"""Every error code and close code of Indodax's two services, said by the simulated exchanges over real sockets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

import xchws
from tests.client.conftest import QUICK
from tests.exchanges import codes
from tests.exchanges.codes import AGAIN, SLOWLY, STOP
from xchws.sandbox import IndodaxMarketSandbox, IndodaxSandbox, centrifugo, centrifugo_v1_codes, indodax

Make = Callable[..., Any]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "indodax.md"


@pytest.fixture
def market() -> Iterator[IndodaxMarketSandbox]:
    with IndodaxMarketSandbox(seed=1) as exchange:
        yield exchange


@pytest.fixture
def make_market(market: IndodaxMarketSandbox, clients: List[xchws.Client]) -> Make:
    def make() -> xchws.IndodaxMarket:
        client = xchws.IndodaxMarket(url=market.url, token=market.token, backoff=QUICK)
        clients.append(client)
        return client

    return make


def test_no_code_is_missing() -> None:
    """The simulated exchanges are written from the same sources by another hand; 113 and 3014 are newer than both servers."""
    assert indodax.TOKEN_ERRORS == codes.TOKEN
    assert set(centrifugo.ERRORS) | {113} == set(codes.REPLIES)
    assert set(centrifugo_v1_codes.ERRORS) == set(codes.MARKET_CONNECT) == set(codes.MARKET_SUBSCRIBE)
    assert {code: reason for code, (reason, _) in centrifugo_v1_codes.CLOSES.items()} == {
        code: reason for code, (reason, _, _) in codes.MARKET_CLOSES.items()
    }
    stops = {code for code, (_, follows, _) in codes.MARKET_CLOSES.items() if follows is not AGAIN} | {3002}
    assert {code for code, (_, again) in centrifugo_v1_codes.CLOSES.items() if not again} == stops


def test_the_page_names_those_with_a_consequence_of_their_own() -> None:
    text = PAGE.read_text("utf-8")
    named = {int(code) for code in re.findall(r"\b(?:1[01]\d|3\d\d\d)\b", text)}
    assert {code for code, verdict in codes.REPLIES.items() if verdict is None or verdict[1] is codes.REFUSED} <= named
    assert {code for code, (_, follows, _) in codes.CLOSES.items() if follows is STOP} | {3500, 3502, 3504} <= named
    assert {code for code, (_, follows, _) in codes.MARKET_CLOSES.items() if follows is not AGAIN} | {3002} <= named
    assert set(codes.TOKEN) <= set(re.findall(r"`(\w+)`", text))


# ---------------------------------------------------------------------------------------------------------- own orders


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize("code", codes.TOKEN)
def test_a_refused_key(indodax: IndodaxSandbox, make_indodax: Make, code: str, status: int) -> None:
    client = make_indodax()
    said = codes.TOKEN[code]
    indodax.refuse_rest(status, '{"success":0,"error":"%s","error_code":"%s"}' % (said, code))  # noqa: UP031  # JSON has braces
    with pytest.raises(xchws.AuthenticationFailed, match=re.escape(said)) as refused:
        client.start(10)
    assert refused.value.code == code
    assert len(indodax.rest_requests) == 1 and indodax.handshakes == []


@pytest.mark.parametrize("verb", ["connect", "subscribe"])
@pytest.mark.parametrize("code", codes.REPLIES)
def test_an_error_once(indodax: IndodaxSandbox, make_indodax: Make, verb: str, code: int) -> None:
    client = make_indodax()
    indodax.reject_next(verb, code)
    downs = client.events(xchws.Disconnected)
    client.start(10)
    assert len(indodax.rest_requests) == indodax.opened == (1 if (verb, code) == ("subscribe", 105) else 2)
    if indodax.opened == 2:
        error = next(downs).error
        assert isinstance(error, xchws.OpenFailed) and f"{verb} was refused: {code}" in str(error)


@pytest.mark.parametrize(
    ("verb", "code", "verdict"),
    [
        (verb, code, verdict)
        for verb in ("connect", "subscribe")
        for code, verdict in codes.REPLIES.items()
        if verdict is not None and (verb, code) != ("subscribe", 105)
    ],
)
def test_an_error_for_good(indodax: IndodaxSandbox, make_indodax: Make, verb: str, code: int, verdict: Any) -> None:
    client = make_indodax()
    indodax.reject_next(verb, code, times=verdict[0])
    with pytest.raises(verdict[1], match=str(code)) as ended:
        client.start(10)
    assert type(ended.value) is verdict[1] and vars(ended.value)["code"] == code
    assert indodax.opened == verdict[0]


@pytest.mark.parametrize("code", codes.CLOSES)
def test_a_close(indodax: IndodaxSandbox, make_indodax: Make, code: int) -> None:
    reason, follows, _ = codes.CLOSES[code]
    client = make_indodax()
    client.start(5)
    down, back, over = client.expect(xchws.Disconnected), client.expect(xchws.Connected), client.expect(xchws.Stopped)
    indodax.close_connections(code, reason)
    event = down.result(5)
    assert f"{code} {reason}" in str(event.error)
    if follows is STOP:
        verdict = codes.CLOSES[code][2]
        assert verdict is not None and type(over.result(5).error) is verdict[1]
        assert event.retry_in is None
        return
    assert isinstance(event.error, xchws.ConnectionLost) and (event.error.code, event.error.reason) == (code, reason)
    if follows is SLOWLY:
        assert event.retry_in >= 30 and client.status().state is xchws.State.WAITING
    else:
        assert event.retry_in < 1 and back.result(5).gap is not None


def test_a_token_that_the_stream_refuses_for_good(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.refuse_rest(200, '{"success":1,"return":{"connToken":"forged","channel":"pws:#x"}}')
    with pytest.raises(xchws.AuthenticationFailed, match="3500") as ended:
        client.start(10)
    assert ended.value.code == 3500 and indodax.opened == 5


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013, 2999, 4000, 4499, 4500, 4999])
def test_a_close_that_centrifugo_has_no_name_for(indodax: IndodaxSandbox, make_indodax: Make, code: int) -> None:
    client = make_indodax()
    client.start(5)
    down = client.expect(xchws.Disconnected)
    if code == 1006:
        indodax.drop()
    else:
        indodax.close_connections(code, "because")
    event = down.result(5)
    assert isinstance(event.error, xchws.ConnectionLost)
    if code == 2999:  # which may not be sent at all
        assert event.error.code == 1002
    else:
        assert event.error.code == code
    assert (event.retry_in >= 30) is (code in (1009, 4500, 4999))


# --------------------------------------------------------------------------------------------------------- market data


@pytest.mark.parametrize("code", codes.MARKET_CONNECT)
def test_an_error_to_connect(market: IndodaxMarketSandbox, make_market: Make, code: int) -> None:
    verdict = codes.MARKET_CONNECT[code]
    client = make_market()
    market.reject_next("connect", code, times=1 if verdict is None else verdict[0])
    if verdict is None:
        client.start(10)
        assert market.opened == 2
        return
    with pytest.raises(verdict[1], match=str(code)) as ended:
        client.start(10)
    assert type(ended.value) is verdict[1] and vars(ended.value)["code"] == code
    assert market.opened == verdict[0]


@pytest.mark.parametrize("code", codes.MARKET_SUBSCRIBE)
def test_an_error_to_subscribe(market: IndodaxMarketSandbox, make_market: Make, code: int) -> None:
    client = make_market()
    client.start(5)
    failure = client.expect(xchws.Failure)
    market.reject_next("subscribe", code)
    subscription = client.subscribe_ticks("btcidr")
    if codes.MARKET_SUBSCRIBE[code] == STOP:
        with pytest.raises(xchws.SubscriptionRejected, match=str(code)) as refused:
            subscription.wait(5)
        assert refused.value.code == code and failure.result(5).error is refused.value
    elif codes.MARKET_SUBSCRIBE[code] == AGAIN:
        error = failure.result(5).error
        assert isinstance(error, xchws.ExchangeError) and error.code == code and subscription.state == "pending"
    else:
        assert subscription.wait(5).active
    assert market.opened == 1 and client.status().state is xchws.State.READY


@pytest.mark.parametrize("code", codes.MARKET_CLOSES)
def test_a_close_of_the_market_data(market: IndodaxMarketSandbox, make_market: Make, code: int) -> None:
    reason, follows, verdict = codes.MARKET_CLOSES[code]
    client = make_market()
    client.start(5)
    down, back, over = client.expect(xchws.Disconnected), client.expect(xchws.Connected), client.expect(xchws.Stopped)
    market.close_connections(code)
    event = down.result(5)
    assert f"{code} {reason}" in str(event.error)
    if follows is STOP:
        assert verdict is not None and type(over.result(5).error) is verdict[1]
    elif follows is SLOWLY:
        assert event.retry_in >= 30 and client.status().state is xchws.State.WAITING
    else:
        assert isinstance(event.error, xchws.ConnectionLost) and event.error.code == code
        assert event.retry_in < 1 and back.result(5)


def test_a_token_that_is_refused_after_it_was_taken_has_time(market: IndodaxMarketSandbox, make_market: Make) -> None:
    client = make_market()
    client.start(5)
    token, market.token = market.token, "another"
    market.drop()
    market.wait_until(lambda: market.opened > 1 + 7)
    market.token = token
    client.wait_ready(5)
