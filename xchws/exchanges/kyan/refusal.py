"""Refusal: what Kyan's error texts mean, to a login and to everything else.

Source: https://docs.kyan.blue/docs/ws-authentication and /ws-connection, read 2026-11. There are no numeric codes: the text is
the code. Errors come with the command's type or with the type `error`.
"""

from __future__ import annotations

import re
from typing import Optional

from xchws.credentials import Secrets
from xchws.errors import AuthenticationFailed, OpenFailed, RateLimited, XchwsError
from xchws.events import Failure
from xchws.exchanges.kyan.channels import NAME
from xchws.sansio.actions import Close

RATELIMITED = "RATELIMITED"
KEY_USAGE_EXCEEDED = "KEY_USAGE_EXCEEDED"
ALREADY_AUTHORIZED = "Session already authorized"
NOT_AUTHORIZED = "Not Authorized"

_HINTS = {
    "NOT_FOUND": "there is no such key; was it made for the other environment (production, staging)?",
    "FORBIDDEN": "the key is disabled",
}
_INVALID_AUTH = "invalid auth payload"
_INVALID = re.compile(r"invalid (\w+) payload", re.IGNORECASE)
_QUERY = re.compile(r"invalid query for (\w+) channel", re.IGNORECASE)

RATE_WAIT = 5.0  # seconds before the next login after RATELIMITED; a third party's client says: 5 logins a second
QUOTA_WAIT = 60.0  # seconds before the next try after KEY_USAGE_EXCEEDED: a quota comes back in its own time
_SUSPECT = 5  # refusals in a row for an unnamed reason before the key is held to be refused


def login(error: str, secrets: Secrets) -> Close:
    """What follows from a refused auth.

    No such key, a disabled key and a key of the wrong form stay what they are: the client ends. "Failed to validate api key"
    and what is not documented may be the exchange's own trouble, so it ends only when that happens five times in a row. A
    used-up quota and too many requests pass by themselves.
    """
    said = secrets.excerpt(error) or "no reason given"
    told = f"{NAME}: the login was refused: {said}"
    if error in _HINTS:
        return Close(AuthenticationFailed(f"{told}: {_HINTS[error]}", code=said, exchange=NAME))
    if error.lower().startswith(_INVALID_AUTH):
        return Close(AuthenticationFailed(told, code=_INVALID_AUTH, exchange=NAME))
    if error in (RATELIMITED, KEY_USAGE_EXCEEDED):
        return Close(passing(error, told))
    return Close(
        OpenFailed(told, exchange=NAME),
        verdict=AuthenticationFailed(told, code=said, exchange=NAME),
        limit=_SUSPECT,
    )


def passing(error: str, told: str) -> RateLimited:
    """The error for what passes by itself."""
    wait = QUOTA_WAIT if error == KEY_USAGE_EXCEEDED else RATE_WAIT
    hint = "; the key's quota is used up" if error == KEY_USAGE_EXCEEDED else ""
    return RateLimited(told + hint, code=error, message=error, retry_after=wait, exchange=NAME)


def failure(error: XchwsError) -> Failure:
    """What tells the user of an error that changes nothing else."""
    return Failure(error=error, exchange=NAME)


def verb_of(error: str) -> Optional[str]:
    """The command that an error text without an id is about, where it says so."""
    found = _INVALID.search(error)
    if found:
        return found.group(1).lower()
    if _QUERY.search(error) or error.startswith("Invalid subscription parameters"):
        return "subscribe"
    return None


def channel_of(error: str) -> Optional[str]:
    """The channel that it is about, where it says so."""
    found = _QUERY.search(error)
    return found.group(1).lower() if found else None
