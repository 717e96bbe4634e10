"""signing: what Kyrrex wants signed, and what its REST API says about who signs. It makes no calls.

Sources: https://docs.kyrrex.com/websocket (the stream) and https://docs.kyrrex.com/authentication (REST), read 2026-11. For REST
the page has `VERB|uri|query|access_key` signed, but the clients known to work leave the key out; so both are tried, theirs first.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Mapping, Optional, Tuple
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec

from xchws.credentials import Secrets
from xchws.errors import AuthenticationFailed, OpenFailed, RateLimited, XchwsError
from xchws.exchanges.kyrrex.models import NAME
from xchws.sansio.protocol import UNREADABLE

ME = "/api/v2/members/me"
CANONICALS = (f"GET|{ME}|", f"GET|{ME}||{{key}}")
"""What a request for `ME` signs: as clients do, and as the page says. The query between the last bars is empty."""

# Which field holds it is only known for the first; the others are spellings of the same platform's other products.
_NAMES = ("uuid", "uid")
_WRAPPERS = ("data", "member", "user", "result")
_OURS = ("api_key", "api_sign", "EIO", "transport")


def sign(secret: str, canonical: str) -> str:
    """HMAC-SHA256 in hexadecimal digits."""
    return hmac.new(secret.encode(), canonical.encode(), hashlib.sha256).hexdigest()


def stream_sign(key: str, secret: str, user_uuid: str) -> str:
    """`api_sign` of the stream. It has no time in it, so it is worth as much as the secret itself."""
    return sign(secret, f"{user_uuid}|{key}")


def stream_url(base: str, path: str, engine: str, key: str, signature: str) -> str:
    """The stream's address. `path` is used where `base` has none; it ends in a slash, as Socket.IO's clients write it."""
    parts = urlsplit(base)
    path = (parts.path if parts.path not in ("", "/") else path).rstrip("/") + "/"
    kept = [pair for pair in parts.query.split("&") if pair and pair.split("=", 1)[0] not in _OURS]
    ours = urlencode(dict(zip(_OURS, (key, signature, engine, "websocket"))), quote_via=quote, safe="")
    return urlunsplit((parts.scheme, parts.netloc, path, "&".join([*kept, ours]), ""))


def rest_headers(key: str, signature: str) -> Mapping[str, str]:
    """The headers of a signed REST request."""
    return {"APIKey": key, "APISign": signature, "Accept": "application/json"}


def refuses_signature(status: int, body: bytes) -> bool:
    """Whether an answer may mean that the other spelling should have been signed."""
    return status in (401, 403) or (status in (400, 422) and b"sign" in body[:4096].lower())


def uuid_of(status: int, body: bytes, retry_after: Optional[float], secrets: Secrets) -> str:
    """The member's uuid in an answer to `ME`.

    Raises:
        AuthenticationFailed: the key is refused.
        RateLimited: too many requests.
        OpenFailed: anything else: the endpoint's trouble, which may pass.
    """
    if not 200 <= status < 300:
        raise _refusal(status, body, retry_after, secrets)
    try:
        answer = msgspec.json.decode(body)
    except UNREADABLE:
        # A broken answer is personal data as a whole one is.
        shown = "(kept back)" if body.lstrip()[:1] == b"{" else secrets.excerpt(body)
        raise OpenFailed(f"{NAME}: members/me answered with no JSON: {shown}", exchange=NAME) from None
    for place in _places(answer):
        for name in _NAMES:
            value = place.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
    # The answer itself is personal data: only the names in it are shown.
    names = ", ".join(sorted(answer)) if isinstance(answer, dict) else type(answer).__name__
    raise OpenFailed(
        f"{NAME}: members/me answered without a uuid (there is: {secrets.excerpt(names)}); give user_uuid=… instead",
        exchange=NAME,
    )


def _places(answer: Any) -> Tuple[Mapping[str, Any], ...]:
    if not isinstance(answer, dict):
        return ()
    inner = (answer.get(name) for name in _WRAPPERS)
    return (answer, *(place for place in inner if isinstance(place, dict)))


def _refusal(status: int, body: bytes, retry_after: Optional[float], secrets: Secrets) -> XchwsError:
    told = f"{NAME}: members/me answered with HTTP {status}: {secrets.excerpt(body)}"
    if status == 429:
        return RateLimited(told, code=status, message=secrets.excerpt(body), retry_after=retry_after, exchange=NAME)
    # A page for people comes from what stands before the exchange: it says nothing about the key, and it passes.
    if refuses_signature(status, body) and not (status != 401 and body.lstrip()[:1] == b"<"):
        return AuthenticationFailed(
            f"{told}; check the API key, its secret, and whether this machine's address may use it",
            code=status,
            exchange=NAME,
        )
    if 300 <= status < 400:
        told = f"{NAME}: members/me answered with a redirect (HTTP {status}), which is not followed"
    elif 400 <= status < 500:
        told += "; is rest_url right? With user_uuid=… it is not asked"
    return OpenFailed(told, retry_after=retry_after, exchange=NAME)
