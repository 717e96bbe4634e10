"""Indodax's token endpoint through the library's own HTTP client: what is asked, what an answer means, what stays hidden.

Written from the vendor's Private-websocket.md, whose HTTP statuses for failures are not documented.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import pickle
from typing import Any, Iterator, List, Optional, Tuple, Type
from urllib.parse import parse_qs

import pytest
import requests
import responses

from xchws import Indodax
from xchws.credentials import Secrets
from xchws.errors import (
    AuthenticationFailed,
    ConfigurationError,
    HandshakeRejected,
    OpenFailed,
    RateLimited,
    XchwsError,
)
from xchws.exchanges.indodax.client import IndodaxExchange
from xchws.exchanges.indodax.protocol import IndodaxProtocol
from xchws.exchanges.indodax.token import Grant
from xchws.transports.http import Http
from xchws.transports.route import Route

KEY = "ABCD1234-EFGH5678-IJKL9012-MNOP3456-QRST7890"
SECRET = "0b7a4c1f93e2d86f5e4c3b2a19087f6e5d4c3b2a1908"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMTIifQ.signature-part"
CHANNEL = "pws:#5f0c9a1d3be27744c8e0aa91b6d2f3e45a7788cc"
BASE = "https://rest.test"
URL = f"{BASE}/api/private_ws/v1/generate_token"
STREAM = "wss://stream.test/ws/?cf_ws_frame_ping_pong=true"
GRANTED = {"success": 1, "return": {"connToken": TOKEN, "channel": CHANNEL}}
BODY = f"client=tapi&tapi_key={KEY}"
# By another implementation: printf %s "$BODY" | openssl dgst -sha512 -hmac "$SECRET"
SIGN = (
    "272aade3769925da85d940c9ea3fe77f4bc9ce12db4d2ef97de873e491d499dd"
    "cfcadba7086a42988bb2f74f72b000c851f8873781214d3218001a96f8039464"
)


@pytest.fixture
def endpoint() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def exchange(rest_url: str = BASE) -> IndodaxExchange:
    return IndodaxExchange(KEY, SECRET, STREAM, rest_url)


def http(of: IndodaxExchange) -> Http:
    return Http("indodax", of.secrets, None, None, 30.0)


def failure() -> XchwsError:
    """What a route ends with; none of the secrets is in it or in anything that hangs on it."""
    asking = exchange()
    with pytest.raises(XchwsError) as caught:
        asking.route(http(asking))
    assert_hidden(caught.value)
    return caught.value


def assert_hidden(error: BaseException) -> None:
    link: Optional[BaseException] = error
    while link is not None:
        shown = " ".join([str(link), repr(link), repr(link.args), repr(vars(link)), str(pickle.dumps(str(link)))])
        for secret in (KEY, SECRET, SIGN, TOKEN):
            assert secret not in shown
        assert not isinstance(link, requests.RequestException)
        link = link.__cause__ or link.__context__


def test_what_is_asked(endpoint: responses.RequestsMock) -> None:
    endpoint.post(URL, json=GRANTED)
    asking = exchange()
    route = asking.route(http(asking))
    request = endpoint.calls[0].request
    assert request.body == BODY.encode()
    assert request.headers["Sign"] == SIGN
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert {"Key", "Authorization", "Cookie", "Origin"}.isdisjoint(request.headers)
    assert (route.url, route.origin, dict(route.headers)) == (STREAM, None, {})
    assert route.grant == Grant(TOKEN, CHANNEL)


def test_a_key_with_odd_characters_is_sent_as_the_bytes_that_are_signed(endpoint: responses.RequestsMock) -> None:
    endpoint.post(URL, json=GRANTED)
    asking = IndodaxExchange("k&y=+%é", "sécret", STREAM, BASE)
    asking.route(http(asking))
    request = endpoint.calls[0].request
    assert isinstance(request.body, bytes)
    assert parse_qs(request.body.decode(), strict_parsing=True) == {"client": ["tapi"], "tapi_key": ["k&y=+%é"]}
    assert request.headers["Sign"] == hmac.new("sécret".encode(), request.body, hashlib.sha512).hexdigest()


def test_a_token_for_every_connection_and_for_every_job(endpoint: responses.RequestsMock) -> None:
    asking = exchange()
    for name in ("first", "second"):
        endpoint.post(URL, json={"success": 1, "return": {"connToken": name, "channel": CHANNEL, "more": 1}})
    assert asking.route(http(asking)).grant.token == "first"
    assert asking.fetch("token", http(asking)) == Grant("second", CHANNEL)
    assert isinstance(asking.protocol(asking.route(http(asking))), IndodaxProtocol)
    assert asking.secrets.redact("first, second") == "***, ***"


@pytest.mark.parametrize("success", [1, "1", True, 1.0])
def test_forms_of_success(endpoint: responses.RequestsMock, success: Any) -> None:
    endpoint.post(URL, json={**GRANTED, "success": success})
    asking = exchange()
    assert asking.fetch("token", http(asking)).channel == CHANNEL


def test_a_grant_and_a_route_do_not_show_the_token(endpoint: responses.RequestsMock) -> None:
    endpoint.post(URL, json=GRANTED)
    asking = exchange()
    route = asking.route(http(asking))
    assert TOKEN not in repr(route) + repr(route.grant) + repr(asking.secrets)


REFUSALS = [
    ("invalid_tapi_key", "Invalid TAPI key"),
    ("invalid_credentials", "Invalid credentials. API not found or session has expired."),
    ("bad_sign", "Invalid credentials. Bad sign."),
]


@pytest.mark.parametrize("status", [200, 400, 401, 403, 422])
@pytest.mark.parametrize(("code", "words"), REFUSALS)
def test_documented_refusals(endpoint: responses.RequestsMock, status: int, code: str, words: str) -> None:
    endpoint.post(URL, json={"success": 0, "error": words, "error_code": code}, status=status)
    error = failure()
    assert isinstance(error, AuthenticationFailed)
    assert not error.retryable
    assert error.code == code
    assert words in str(error)


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize("code", [-2015, "-2015"])
def test_the_other_form_of_an_error(endpoint: responses.RequestsMock, status: int, code: Any) -> None:
    endpoint.post(URL, json={"code": code, "msg": "Invalid API-key, IP, or permissions"}, status=status)
    error = failure()
    assert isinstance(error, AuthenticationFailed)
    assert error.code == code
    assert "Invalid API-key" in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"success":0,"error":"busy","error_code":"internal_server_error"}'),
        (200, b'{"code":-1021,"msg":"timestamp"}'),
        (400, b'{"success":0,"error":"?","error_code":["bad_sign"]}'),
        (400, b'{"success":0,"error":["?"],"error_code":{"a":1}}'),
        (400, b'{"success":0,"error_code":true}'),
        (500, b'{"success":0,"error":"Invalid credentials. Bad sign.","error_code":"bad_sign"}'),
        (500, b""),
        (502, b"<html>Bad Gateway</html>"),
        (503, b"<html>Just a moment...</html>"),
        (403, b"<html>Attention Required! | Cloudflare</html>"),
        (404, b"nothing here"),
        (200, b""),
        (204, b""),
        (200, b"<html></html>"),
        (200, b"null"),
        (200, b"[]"),
        (200, b'"text"'),
        (200, b"{"),
        (200, b"\xff\xfe"),
        (200, b"[" * 200_000),
        (200, b"9" * 6000),
        (200, b"{}"),
        (200, b'{"success":1}'),
        (200, b'{"success":1,"return":null}'),
        (200, b'{"success":1,"return":[]}'),
        (200, b'{"success":1,"return":{}}'),
        (200, b'{"success":1,"return":{"connToken":"","channel":"pws:#a"}}'),
        (200, b'{"success":1,"return":{"connToken":5,"channel":"pws:#a"}}'),
        (200, b'{"success":1,"return":{"channel":"pws:#a"}}'),
        (200, b'{"success":[1],"return":{"channel":"pws:#a"}}'),
        (302, b""),
    ],
)
def test_what_passes_by_itself(endpoint: responses.RequestsMock, status: int, body: bytes) -> None:
    endpoint.post(URL, body=body, status=status)
    error = failure()
    assert isinstance(error, OpenFailed)
    assert error.retryable
    assert len(str(error)) < 1500


@pytest.mark.parametrize(
    "answer",
    [
        {"success": 1, "return": {"connToken": TOKEN}},
        {"success": 1, "return": {"connToken": TOKEN, "channel": ""}},
        {"success": 1, "return": {"connToken": TOKEN, "channel": 5}},
        {"success": 0, "return": {"connToken": TOKEN, "channel": CHANNEL}},
        {"success": 1, "connToken": TOKEN},
        {"success": 1, "return": [{"connToken": TOKEN}]},
        {"success": 0, "error": f"{KEY} {SECRET} {SIGN}", "error_code": KEY},
        {"success": 0, "error_code": [SIGN]},
        {"code": {KEY: 1}, "msg": SIGN},
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_answer_with_secrets_in_it_is_shown_without_them(
    endpoint: responses.RequestsMock, answer: Any, status: int
) -> None:
    endpoint.post(URL, json=answer, status=status)
    assert isinstance(failure(), OpenFailed)


@pytest.mark.parametrize("cut", range(20, 95, 5))
def test_an_answer_that_is_cut_short_does_not_show_its_token(endpoint: responses.RequestsMock, cut: int) -> None:
    body = b'{ "success": 1,\n "return": { "connToken" : "' + b"t" * 60
    endpoint.post(URL, body=body[:cut])
    assert "tttt" not in str(failure())


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"success":0,"error":"slow down","error_code":"too_many_requests"}']
)
def test_too_many_requests(endpoint: responses.RequestsMock, body: bytes) -> None:
    endpoint.post(URL, body=body, status=429, headers={"Retry-After": "17"})
    error = failure()
    assert isinstance(error, RateLimited)
    assert error.retryable
    assert error.retry_after == 17.0
    assert error.code


def test_too_many_requests_with_status_200(endpoint: responses.RequestsMock) -> None:
    endpoint.post(URL, json={"success": 0, "error": "slow down", "error_code": "too_many_requests"})
    error = failure()
    assert isinstance(error, RateLimited)
    assert error.message == "slow down"
    assert error.retry_after is None


WAITS: List[Tuple[str, Optional[float]]] = [
    ("0", 0.0), ("120", 120.0), ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0), ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
    ("soon", None), ("-5", None), ("", None), ("1" * 400, 1e9), ("1" * 5000, 1e9),
    ("Wed, 21 Oct 9026 07:28:30 GMT", 1e9),
]  # fmt: skip


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("said", "seconds"), WAITS)
def test_retry_after(endpoint: responses.RequestsMock, status: int, said: str, seconds: Optional[float]) -> None:
    headers = {"Retry-After": said, "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    endpoint.post(URL, status=status, headers=headers)
    error = failure()
    assert isinstance(error, (RateLimited, OpenFailed))
    assert error.retry_after == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(endpoint: responses.RequestsMock, status: int) -> None:
    endpoint.post(URL, status=status, headers={"Location": "https://elsewhere.test/"})
    elsewhere = endpoint.add(responses.POST, "https://elsewhere.test/", json=GRANTED)
    there = endpoint.add(responses.GET, "https://elsewhere.test/", json=GRANTED)
    error = failure()
    assert isinstance(error, OpenFailed)
    assert "redirect" in str(error)
    assert (elsewhere.call_count, there.call_count) == (0, 0)


NETWORK: List[Type[Exception]] = [
    requests.ConnectionError,
    requests.ConnectTimeout,
    requests.ReadTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.ProxyError,
    requests.exceptions.ChunkedEncodingError,
    ConnectionResetError,
]


@pytest.mark.parametrize("raised", NETWORK)
def test_the_networks_failures(endpoint: responses.RequestsMock, raised: Type[Exception]) -> None:
    endpoint.post(URL, body=raised(f"POST {URL} {KEY} {SIGN}"))
    error = failure()
    assert isinstance(error, OpenFailed)
    assert error.retryable
    assert error.__cause__ is None
    assert error.__context__ is None


def test_a_body_without_end_is_read_to_its_limit_only(endpoint: responses.RequestsMock) -> None:
    endpoint.post(URL, body=b'{"success":1,"return":{"connToken":"' + b"x" * (3 << 20))
    error = failure()
    assert isinstance(error, OpenFailed)
    assert "xxxx" not in str(error)


# --------------------------------------------------------------------------------------------- the handshake's refusal


def test_a_forbidden_handshake_is_tried_a_few_times() -> None:
    error = HandshakeRejected("403 Forbidden", status=403, body="Forbidden", retry_after=7.0)
    close = exchange().refused(error)
    assert close.error.retryable
    assert isinstance(close.error, OpenFailed)
    assert close.error.retry_after == 7.0
    assert isinstance(close.verdict, ConfigurationError)
    assert "Origin" in str(close.verdict)
    assert 1 < close.limit < 20


def test_a_forbidden_handshake_of_a_stream_that_has_served_has_time_to_pass() -> None:
    served = exchange()
    assert served.refused(HandshakeRejected("no", status=403)).patience == 0.0
    protocol = served.protocol(Route("ws://127.0.0.1/", grant=Grant("token", "pws:#x")))
    protocol.opened(0.0)
    protocol.received(b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{}}', 0.0)
    assert served.refused(HandshakeRejected("no", status=403)).patience == 3600.0


@pytest.mark.parametrize("status", [200, 400, 404, 429, 500, 503])
def test_another_status_is_what_it_is(status: int) -> None:
    error = HandshakeRejected("no", status=status)
    close = exchange().refused(error)
    assert close.error is error
    assert close.verdict is None


# -------------------------------------------------------------------------------------------------------- the arguments


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INDODAX_KEY", raising=False)
    monkeypatch.delenv("INDODAX_SECRET", raising=False)


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDODAX_KEY", KEY)
    monkeypatch.setenv("INDODAX_SECRET", SECRET)
    client = Indodax()
    assert KEY not in repr(client) + repr(vars(client))
    assert SECRET not in repr(client) + repr(vars(client))


@pytest.mark.parametrize(
    ("key", "secret", "argument"),
    [
        (None, SECRET, "key"),
        (KEY, None, "secret"),
        ("", SECRET, "key"),
        (KEY, f"{SECRET}\n", "secret"),
        (5, SECRET, "key"),
    ],
)
def test_unfit_credentials_are_named_and_not_shown(key: Any, secret: Any, argument: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Indodax(key, secret)
    assert caught.value.argument == argument
    assert f"INDODAX_{argument.upper()}" in str(caught.value) or argument in str(caught.value)
    assert_hidden(caught.value)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("environment", "prod"),
        ("environment", ""),
        ("url", "https://pws.indodax.com/ws/"),
        ("url", "pws.indodax.com"),
        ("url", "wss://"),
        ("url", "wss://user:word@host/"),
        ("url", "wss://host/#fragment"),
        ("url", "wss://host:port/"),
        ("url", "wss://ho st/"),
        ("url", 5),
        ("rest_url", "wss://indodax.com"),
        ("rest_url", ""),
    ],
)
def test_unfit_arguments_are_named(argument: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Indodax(KEY, SECRET, **{argument: value})
    assert caught.value.argument == argument
    assert argument in str(caught.value)
    assert caught.value.exchange == "indodax"


@pytest.mark.parametrize("name", ["production", "demo"])
def test_environments(name: str) -> None:
    Indodax(KEY, SECRET, environment=name)


@pytest.mark.parametrize(
    ("name", "rest", "stream"),
    [
        ("production", "https://indodax.com", "wss://pws.indodax.com/ws/?cf_ws_frame_ping_pong=true"),
        ("demo", "https://demo-indodax.com", "wss://pws.demo-indodax.com/ws/?cf_ws_frame_ping_pong=true"),
    ],
)
def test_environments_are_the_vendors(endpoint: responses.RequestsMock, name: str, rest: str, stream: str) -> None:
    endpoint.post(f"{rest}/api/private_ws/v1/generate_token", json=GRANTED)
    client = Indodax(KEY, SECRET, environment=name)
    asking = client._exchange
    assert isinstance(asking, IndodaxExchange)
    assert asking.route(http(asking)).url == stream


def test_secrets_that_hold_nothing_redact_nothing() -> None:
    assert Secrets().redact(json.dumps(GRANTED)) == json.dumps(GRANTED)
