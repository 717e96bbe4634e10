"""Kyan's error texts.

From https://docs.kyan.blue/docs/ws-authentication and ws-connection (read 2026-11), where the complaint of the validator
about ``api_key`` is printed in full; the others follow it. Those of recover_session are made up.
Knows nothing of connections.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

from .jsontext import write

KEY_PATTERN = "^[a-zA-Z0-9_]+$"
NOT_AUTHORIZED = "Not Authorized"
ALREADY_AUTHORIZED = "Session already authorized"
INVALID_SUBSCRIPTIONS = "Invalid subscription parameters"
RATE_LIMITED = "RATELIMITED"
RECOVERY_FAILURES = {
    "expired": "Recovery token expired",
    "instance": "Recovery token not found",
    "overflow": "Recovery buffer overflow",
    "first": "recover_session must be the first message",
    "key": "Recovery token belongs to another api key",
}


def invalid(kind: object, path: str, keyword: str, params: Dict[str, Any], message: str, schema: str = "") -> str:
    """An error text with the validator's list of one, as the page on authentication prints it."""
    properties = f"#/properties{path}/{keyword}" if path else f"#/{keyword}"
    item = {
        "instancePath": path,
        "schemaPath": schema or properties,
        "keyword": keyword,
        "params": params,
        "message": message,
    }
    return f"invalid {kind} payload {write([item])}"


def missing(kind: str, name: str) -> str:
    """The error text for a field that is not there."""
    return invalid(kind, "", "required", {"missingProperty": name}, f"must have required property '{name}'")


def wrong_key(kind: str, request: Dict[str, Any]) -> Optional[str]:
    """What the validator says of ``api_key``."""
    if "api_key" not in request:
        return missing(kind, "api_key")
    if not isinstance(request["api_key"], str):
        return invalid(kind, "/api_key", "type", {"type": "string"}, "must be string")
    if not re.fullmatch(r"[a-zA-Z0-9_]+", request["api_key"]):
        return invalid(kind, "/api_key", "pattern", {"pattern": KEY_PATTERN}, f'must match pattern "{KEY_PATTERN}"')
    return None
