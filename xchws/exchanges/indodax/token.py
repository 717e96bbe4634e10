"""Token: what Indodax's token endpoint is asked and what it answers.

Source: https://github.com/btcid/indodax-official-api-docs, Private-websocket.md, read 2026-11. Which HTTP status a failure
has is not documented: one with a JSON body means the same with 200 and with 4xx.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Mapping, Optional, Tuple
from urllib.parse import urlencode

import attrs
import msgspec

from xchws.credentials import Secrets
from xchws.errors import AuthenticationFailed, OpenFailed, RateLimited, XchwsError
from xchws.exchanges.indodax.models import NAME
from xchws.sansio.protocol import UNREADABLE

PATH = "/api/private_ws/v1/generate_token"

# Newer front ends of the same API answer some errors with numbers; -2015: this IP address is not allowed for the key.
# Source: a third party's list (github D1ZZY4/indodax-mcp, rejections.ts, read 2026-11), not documented by Indodax.
_REFUSED = frozenset(("invalid_tapi_key", "invalid_credentials", "bad_sign", "-2015"))
# A token in an answer that is not of the documented form, or cut short: it is not known as a secret yet.
_TOKEN_IN_TEXT = re.compile(rb'(connToken\W{0,8})[^\s"\\]+')
_TOO_MANY = "too_many_requests"


@attrs.frozen
class Grant:
    """A token and the private channel that it opens."""

    token: str = attrs.field(repr=False)
    channel: str


def request(key: str, secret: str) -> Tuple[bytes, Mapping[str, str]]:
    """The body and the headers; the signature covers exactly these bytes."""
    body = urlencode({"client": "tapi", "tapi_key": key}).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()
    return body, {"Content-Type": "application/x-www-form-urlencoded", "Sign": signature}


def grant_of(status: int, body: bytes, retry_after: Optional[float], secrets: Secrets) -> Grant:
    """What an answer grants; its token is among the secrets from then on.

    Raises:
        AuthenticationFailed: the key is refused.
        RateLimited: too many requests.
        OpenFailed: anything else that is not a token: the endpoint's trouble, which passes.
    """
    answer = _object(body)
    granted = answer.get("return")
    if isinstance(granted, dict):
        token, channel = granted.get("connToken"), granted.get("channel")
        if isinstance(token, str) and token:
            secrets.add_passing(token)
            if 200 <= status < 300 and _says_yes(answer) and isinstance(channel, str) and channel:
                return Grant(token, channel)
    raise _refusal(status, answer, body, retry_after, secrets)


def _says_yes(answer: Mapping[str, Any]) -> bool:
    return answer.get("success") in (1, "1")


def _refusal(
    status: int, answer: Mapping[str, Any], body: bytes, retry_after: Optional[float], secrets: Secrets
) -> XchwsError:
    code = answer.get("error_code") or answer.get("code") or ""
    if not isinstance(code, int):
        code = str(code)
    refused = str(code) in _REFUSED
    if not refused and code != _TOO_MANY and isinstance(code, str):
        code = secrets.excerpt(code)  # a word that is none of the documented ones may be anything
    words = answer.get("error") or answer.get("msg") or answer.get("message")
    said = secrets.excerpt(words if isinstance(words, str) else _TOKEN_IN_TEXT.sub(rb"\1***", body))
    told = f"{NAME}: the token endpoint refused (HTTP {status}, {code or 'no error code'}): {said}"
    if status == 429 or code == _TOO_MANY:
        return RateLimited(told, code=code or status, message=said, retry_after=retry_after, exchange=NAME)
    if status < 500 and refused:
        return AuthenticationFailed(
            f"{told}; check the API key, its secret, and whether this machine's address may use it",
            code=code,
            exchange=NAME,
        )
    if 300 <= status < 400:
        told = f"{NAME}: the token endpoint answered with a redirect (HTTP {status}), which is not followed"
    elif 200 <= status < 300 and (not answer or _says_yes(answer)):
        told = f"{NAME}: the token endpoint's answer has no token: {said}"
    return OpenFailed(told, retry_after=retry_after, exchange=NAME)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except UNREADABLE:
        return {}
    return answer if isinstance(answer, dict) else {}
