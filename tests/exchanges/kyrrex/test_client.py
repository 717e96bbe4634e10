"""Kyrrex's client: its arguments, the address with its signature, and what it asks by REST, through the real HTTP code."""

from __future__ import annotations

import logging
import re
from typing import Any, Dict, Iterator, List
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from xchws.backoff import Backoff
from xchws.credentials import Secrets
from xchws.errors import (
    AuthenticationFailed,
    ConfigurationError,
    HandshakeRejected,
    OpenFailed,
    ProtocolError,
    RateLimited,
)
from xchws.events import Failure
from xchws.exchanges.kyrrex import signing
from xchws.exchanges.kyrrex.client import Kyrrex, KyrrexExchange
from xchws.exchanges.kyrrex.models import Customer, DepositAddress
from xchws.exchanges.kyrrex.protocol import KyrrexProtocol
from xchws.transports.http import Http
from xchws.transports.route import Route

# The vendor's page, read 2026-11.
KEY = "kjdh723ncs73ncdsnc72ncs73kds32L3skD2"
SECRET = "GJSsaK3PpwOjgLK2lkPmQ5TZRtF2pPoQBZ9yyuAa"
UUID = "dfgkh45p8"
# printf %s 'dfgkh45p8|kjdh…' | openssl dgst -sha256 -hmac GJSs…
SIGN = "eb938f54ced1f6a61d710f81db8c2df37e810123aa1ac9c90f3d964fcff37df7"
# The same for 'GET|/api/v2/members/me|' and for 'GET|/api/v2/members/me||kjdh…'
SIGNED_BY_CLIENTS = "afc89de0972166c1ae245ec9601ebe3a789d07c18dd16c347e29e3f374f16dc9"
SIGNED_BY_THE_PAGE = "08a956b043a8b2d714b27ee75e3ef6a890dbe56f78ac0f91eb8e09c63a0c0af6"
ME = "https://my.kyrrex.mt/api/v2/members/me"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KYRREX_KEY", "KYRREX_SECRET", "KYRREX_USER_UUID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def rest() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def exchange_of(client: Kyrrex) -> KyrrexExchange:
    exchange = client._exchange
    assert isinstance(exchange, KyrrexExchange)
    return exchange


def routed(*arguments: Any, **options: Any) -> Route:
    exchange = exchange_of(Kyrrex(*(arguments or (KEY, SECRET)), **{"user_uuid": UUID, **options}))
    return exchange.route(Http("kyrrex", exchange.secrets, None, None, 30.0))


def asked(**options: Any) -> Route:
    return routed(KEY, SECRET, user_uuid=None, **options)


def query(route: Route) -> Dict[str, str]:
    return dict(parse_qsl(urlsplit(route.url).query, strict_parsing=True))


# --------------------------------------------------------------------------------------------------------- the address


def test_the_vendors_sample_is_signed() -> None:
    route = routed()
    assert route.url == (f"wss://my.kyrrex.mt/zsu/ws/v1/?api_key={KEY}&api_sign={SIGN}&EIO=4&transport=websocket")
    assert (route.headers, route.origin) == ({}, None)


def test_the_stage_and_the_version() -> None:
    assert urlsplit(routed(environment="stage").url).hostname == "my.kyrrex.mt.wldev.app"
    assert query(routed(engine="3"))["EIO"] == "3"


def test_what_needs_it_is_quoted() -> None:
    key = "a+b/c=d&e f?"
    route = routed(key, SECRET)
    assert query(route)["api_key"] == key
    assert "api_key=a%2Bb%2Fc%3Dd%26e%20f%3F&" in route.url


@pytest.mark.parametrize(
    ("options", "beginning"),
    [
        ({"url": "ws://127.0.0.1:81"}, "ws://127.0.0.1:81/zsu/ws/v1/?api_key="),
        ({"url": "ws://127.0.0.1:81/", "path": "/p/"}, "ws://127.0.0.1:81/p/?api_key="),
        ({"url": "wss://brand.example/q/ws"}, "wss://brand.example/q/ws/?api_key="),
        ({"url": "wss://brand.example/q/ws/?a=1&EIO=3&api_key=x"}, "wss://brand.example/q/ws/?a=1&api_key="),
        ({"path": "/v2"}, "wss://my.kyrrex.mt/v2/?api_key="),
    ],
)
def test_addresses(options: Dict[str, str], beginning: str) -> None:
    route = routed(**options)
    assert route.url.startswith(beginning)
    assert list(query(route))[-4:] == ["api_key", "api_sign", "EIO", "transport"]


def test_the_environment_has_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYRREX_KEY", KEY)
    monkeypatch.setenv("KYRREX_SECRET", SECRET)
    monkeypatch.setenv("KYRREX_USER_UUID", UUID)
    exchange = exchange_of(Kyrrex())
    assert query(exchange.route(Http("kyrrex", exchange.secrets, None, None, 30.0)))["api_sign"] == SIGN


# ------------------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"key": None}, "key"),
        ({"key": ""}, "key"),
        ({"secret": 5}, "secret"),
        ({"user_uuid": ""}, "user_uuid"),
        ({"user_uuid": " x"}, "user_uuid"),
        ({"user_uuid": 5}, "user_uuid"),
        ({"environment": "test"}, "environment"),
        ({"url": "https://my.kyrrex.mt"}, "url"),
        ({"url": "wss://my.kyrrex.mt:0"}, "url"),
        ({"rest_url": "wss://my.kyrrex.mt"}, "rest_url"),
        ({"path": "zsu"}, "path"),
        ({"path": "/a?b"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"path": None}, "path"),
        ({"engine": "5"}, "engine"),
        ({"engine": 4}, "engine"),
        ({"settle": -1}, "settle"),
        ({"settle": True}, "settle"),
        ({"settle": float("nan")}, "settle"),
        ({"settle": 10.0}, "settle"),
        ({"settle": 1.0, "open_timeout": 0.5}, "settle"),
        ({"on_nothing": print}, "on_nothing"),
    ],
)
def test_arguments_that_cannot_work(options: Dict[str, Any], argument: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Kyrrex(**{"key": KEY, "secret": SECRET, **options})
    assert caught.value.argument == argument
    assert SECRET not in str(caught.value)


def test_what_the_client_is_made_of() -> None:
    seen: List[Any] = []
    client = Kyrrex(KEY, SECRET, on_customer=seen.append, on_deposit_address=seen.append)
    assert client.off(seen.append) == 2
    assert (Kyrrex.on_customer.event_class, Kyrrex.on_deposit_address.event_class) == (Customer, DepositAddress)
    exchange = exchange_of(client)
    assert exchange.channels == ("customer", "deposit", "order", "withdrawal", "trade", "deposit_address", "account")
    assert exchange.backoff == Backoff(initial=5.0, maximum=10.0, factor=2.0, randomization=0.5)
    assert not exchange.overlap
    protocol = exchange.protocol(Route("ws://127.0.0.1"))
    assert isinstance(protocol, KyrrexProtocol)
    assert protocol.pings


def test_secrets_are_not_shown() -> None:
    exchange = exchange_of(Kyrrex("k+/=k", SECRET, user_uuid=UUID))
    route = exchange.route(Http("kyrrex", exchange.secrets, None, None, 30.0))
    for text in ("k+/=k", "k%2B%2F%3Dk", SECRET, query(route)["api_sign"], route.url, urlsplit(route.url).query):
        assert exchange.secrets.redact(f"<{text}>") == "<***>"
    echoed = exchange.protocol(route).received(f"x {route.url}".encode(), 0.0)
    assert isinstance(echoed[0], Failure)
    assert isinstance(echoed[0].error, ProtocolError)
    for shown in (repr(route), str(echoed[0].error), echoed[0].error.text, repr(exchange), repr(exchange.secrets)):
        assert "k+/=k" not in shown
        assert "k%2B" not in shown
        assert query(route)["api_sign"] not in shown


# ------------------------------------------------------------------------------------------------------------- the uuid


@pytest.mark.parametrize(
    "answer",
    [
        {"uuid": UUID, "email": "ada@mail.example"},
        {"uid": UUID},
        {"uid": "other", "uuid": UUID},
        {"data": {"uuid": UUID}},
        {"member": {"uid": f" {UUID} "}},
        {"user": [], "result": {"uuid": UUID}},
    ],
)
def test_the_uuid_is_asked(rest: responses.RequestsMock, answer: Any) -> None:
    rest.get(ME, json=answer)
    assert query(asked())["api_sign"] == SIGN
    (call,) = rest.calls
    assert call.request.headers["APIKey"] == KEY
    assert call.request.headers["APISign"] == SIGNED_BY_CLIENTS


def test_a_number_is_a_uuid_too(rest: responses.RequestsMock) -> None:
    rest.get(ME, json={"uuid": 17})
    assert query(asked())["api_sign"] == signing.stream_sign(KEY, SECRET, "17")


def test_it_is_asked_once(rest: responses.RequestsMock) -> None:
    rest.get(ME, json={"uuid": UUID})
    exchange = exchange_of(Kyrrex(KEY, SECRET))
    http = Http("kyrrex", exchange.secrets, None, None, 30.0)
    assert exchange.route(http).url == exchange.route(http).url
    assert len(rest.calls) == 1


def test_it_is_not_asked_when_it_is_given(rest: responses.RequestsMock) -> None:
    routed()
    assert len(rest.calls) == 0


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"environment": "stage"}, "https://my.kyrrex.mt.wldev.app/api/v2/members/me"),
        ({"url": "wss://brand.example/q"}, "https://brand.example/api/v2/members/me"),
        ({"url": "ws://127.0.0.1:81"}, "http://127.0.0.1:81/api/v2/members/me"),
        ({"rest_url": "https://rest.example/"}, "https://rest.example/api/v2/members/me"),
        ({"url": "wss://brand.example/q", "rest_url": "http://127.0.0.1:82"}, "http://127.0.0.1:82/api/v2/members/me"),
    ],
)
def test_where_it_is_asked(rest: responses.RequestsMock, options: Dict[str, str], address: str) -> None:
    rest.get(address, json={"uuid": UUID})
    asked(**options)


@pytest.mark.parametrize(
    ("status", "body"), [(401, ""), (403, '{"error":{"code":2005}}'), (400, '{"message":"Signature is incorrect"}')]
)
def test_the_pages_spelling_is_tried_after_a_refusal(rest: responses.RequestsMock, status: int, body: str) -> None:
    rest.get(ME, status=status, body=body)
    rest.get(ME, json={"uuid": UUID})
    assert query(asked())["api_sign"] == SIGN
    signatures = [call.request.headers["APISign"] for call in rest.calls]
    assert signatures == [SIGNED_BY_CLIENTS, SIGNED_BY_THE_PAGE]


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, ""), (401, "<html>"), (403, '{"error":"forbidden"}'), (422, '{"message":"Signature is incorrect"}')],
)
def test_a_refused_key(rest: responses.RequestsMock, status: int, body: str) -> None:
    rest.get(ME, status=status, body=body)
    with pytest.raises(AuthenticationFailed) as caught:
        asked()
    assert caught.value.code == status
    assert len(rest.calls) == 2


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, "oops", "HTTP 500"),
        (502, "<html>Bad gateway</html>", "Bad gateway"),
        (404, "<html>Sign in</html>", "rest_url"),
        (403, "<html>blocked</html>", "blocked"),
        (301, "", "redirect"),
        (200, "<html>hello</html>", "no JSON"),
        (200, "", "no JSON"),
        (200, '{"email":"ada@mail.example"', "no JSON"),
        (200, '"text"', "without a uuid"),
        (200, '{"email":"ada@mail.example","uuid":""}', "email, uuid"),
        (200, '{"uuid":true}', "without a uuid"),
        (200, "[]", "without a uuid"),
    ],
)
def test_other_answers_pass(rest: responses.RequestsMock, status: int, body: str, words: str) -> None:
    rest.get(ME, status=status, body=body, headers={"Location": "https://elsewhere.example/"})
    with pytest.raises(OpenFailed, match=re.escape(words)) as caught:
        asked()
    assert caught.value.retryable
    assert "ada@" not in str(caught.value)


def test_too_many_requests(rest: responses.RequestsMock) -> None:
    rest.get(ME, status=429, body="slowly", headers={"Retry-After": "7"})
    with pytest.raises(RateLimited) as caught:
        asked()
    assert caught.value.retry_after == 7.0
    assert len(rest.calls) == 1


def test_a_busy_server_says_when(rest: responses.RequestsMock) -> None:
    rest.get(ME, status=503, headers={"Retry-After": "9"})
    with pytest.raises(OpenFailed) as caught:
        asked()
    assert caught.value.retry_after == 9.0


def test_no_answer(rest: responses.RequestsMock) -> None:
    rest.get(ME, body=ConnectionError("no route"))
    with pytest.raises(OpenFailed):
        asked()


def test_what_the_rest_api_echoes_is_not_shown(rest: responses.RequestsMock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rest.get(ME, status=401, body=f"{KEY} {SECRET} {SIGNED_BY_CLIENTS} {SIGNED_BY_THE_PAGE}")
    with pytest.raises(AuthenticationFailed) as caught:
        asked()
    for secret in (KEY, SECRET, SIGNED_BY_CLIENTS, SIGNED_BY_THE_PAGE):
        assert secret not in str(caught.value)
        assert secret not in caplog.text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("retry", [None, 3.0])
def test_uuid_of_takes_any_bytes(retry: Any) -> None:
    for body in (b"\xff", b"[" * 100_000, b"null", b"5"):
        with pytest.raises(OpenFailed):
            signing.uuid_of(200, body, retry, Secrets())


# ------------------------------------------------------------------------------------------------- a refused handshake


@pytest.mark.parametrize(
    ("status", "body", "verdict", "words"),
    [
        (400, "Forbidden", AuthenticationFailed, "user_uuid"),
        (401, "", AuthenticationFailed, "user_uuid"),
        (403, "", AuthenticationFailed, "user_uuid"),
        (400, '{"code":5,"message":"Unsupported protocol version"}', ConfigurationError, 'engine="3"'),
        (400, "Unsupported protocol version", ConfigurationError, 'engine="3"'),
        (404, "", ConfigurationError, "path"),
        (429, "", None, ""),
        (408, "", None, ""),
        (301, "", None, ""),
        (502, "", None, ""),
    ],
)
def test_a_refused_handshake(status: int, body: str, verdict: Any, words: str) -> None:
    error = HandshakeRejected("no", status=status, body=body, exchange="kyrrex")
    close = exchange_of(Kyrrex(KEY, SECRET)).refused(error)
    assert close.error is error
    if verdict is None:
        assert close.verdict is None
    else:
        assert isinstance(close.verdict, verdict)
        assert words in str(close.verdict)
        assert close.limit == 5


def test_a_server_of_version_4_asked_for_3() -> None:
    error = HandshakeRejected("no", status=400, body="Unsupported protocol version")
    close = exchange_of(Kyrrex(KEY, SECRET, engine="3")).refused(error)
    assert 'engine="4"' in str(close.verdict)
