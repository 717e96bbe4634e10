"""The words of Centrifugo's client protocol v1 (JSON): methods, types of push, error codes, close codes and their texts.

Source: the source of Centrifugo 2.8.6 and of its libraries, github.com/centrifugal (read 2026-11). Knows no connection.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from .jsontext import write

METHODS = (
    "connect",
    "subscribe",
    "unsubscribe",
    "publish",
    "presence",
    "presence_stats",
    "history",
    "ping",
    "send",
    "rpc",
    "refresh",
    "sub_refresh",
)
PUBLICATION, JOIN, LEAVE, UNSUBSCRIBE, MESSAGE = range(5)  # types of a push
ERRORS = {
    100: "internal server error",
    101: "unauthorized",
    102: "unknown channel",
    103: "permission denied",
    104: "method not found",
    105: "already subscribed",
    106: "limit exceeded",
    107: "bad request",
    108: "not available",
    109: "token expired",
    110: "expired",
    111: "too many requests",
}
# Code of a close frame: its reason, and whether the client is to come back.
CLOSES: Dict[int, Tuple[str, bool]] = {
    3000: ("normal", True),
    3001: ("shutdown", True),
    3002: ("invalid token", False),
    3003: ("bad request", False),
    3004: ("internal server error", True),
    3005: ("expired", True),
    3006: ("subscription expired", True),
    3007: ("stale", False),
    3008: ("slow", True),
    3009: ("write error", True),
    3010: ("insufficient state", True),
    3011: ("force reconnect", True),
    3012: ("force disconnect", False),
    3013: ("connection limit", False),
}


def method_name(method: Any) -> Optional[str]:
    """The name of a method that is given by number or by name: a number nobody has as itself, None for nonsense."""
    if type(method) is int and method >= 0:
        return METHODS[method] if method < len(METHODS) else str(method)
    if isinstance(method, str) and method.lower() in METHODS:
        return method.lower()
    return None


def push_text(data: Any, channel: Optional[str] = None, kind: int = PUBLICATION) -> str:
    """A push: *kind* 0 and a missing channel are left out."""
    result: Dict[str, Any] = {"type": kind} if kind else {}
    if channel is not None:
        result["channel"] = channel
    return write({"result": {**result, "data": data}}) + "\n"


def close_reason(code: int, reason: str = "", reconnect: Optional[bool] = None) -> str:
    """The text of a close frame; what is not given is as the table has it, or to come back."""
    usual = CLOSES.get(code, ("", True))
    return write({"reason": reason or usual[0], "reconnect": usual[1] if reconnect is None else reconnect})
