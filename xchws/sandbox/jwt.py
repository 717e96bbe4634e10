"""Signed tokens of the kind HS256 (RFC 7519, RFC 7515): made and checked. Knows no exchange and no clock."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, Dict, Mapping, Optional


def sign(claims: Mapping[str, Any], secret: bytes) -> str:
    """The compact token with these claims."""
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}, separators=(",", ":")).encode())
    body = _encode(json.dumps(dict(claims), separators=(",", ":")).encode())
    return f"{head}.{body}.{_encode(_digest(f'{head}.{body}', secret))}"


def verify(token: str, secret: bytes) -> Optional[Dict[str, Any]]:
    """The claims of a token that *secret* signed; None for a forged or malformed one. Looks at no expiry."""
    try:
        head, body, signature = token.split(".")
        if json.loads(_decode(head)).get("alg") != "HS256":
            return None
        if not hmac.compare_digest(_decode(signature), _digest(f"{head}.{body}", secret)):
            return None
        claims = json.loads(_decode(body))
    except (ValueError, AttributeError):
        return None
    return claims if isinstance(claims, dict) else None


def _digest(text: str, secret: bytes) -> bytes:
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
