"""Kyrrex's REST endpoint for the user's id, simulated: ``GET /api/v2/members/me``.

Signing: https://docs.kyrrex.com/authentication (read 2026-11); clients at work leave the access key at the end out. The
body of an error is told nowhere; this one is that of Peatio, which the names of Kyrrex's REST come from.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Callable, Optional
from urllib.parse import parse_qsl

from .jsontext import write
from .kyrrex_orders import KyrrexAccount
from .record import Received, Record
from .rest import RestReply

ME_PATH = "/api/v2/members/me"
CANONICALS = ("verb|path|query", "verb|path|query|access_key")


def signature(account: KyrrexAccount, text: str) -> str:
    """Hex HMAC-SHA256 of the text with the account's secret."""
    return hmac.new(account.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def members_me(
    request: Received,
    record: Record,
    known: Callable[[str], Optional[KyrrexAccount]],
    canonical: str,
    uuid_field: str,
) -> RestReply:
    """The answer; *canonical* is one of CANONICALS or ``both``."""
    path, _, query = request.path.partition("?")
    if path != ME_PATH or request.method != "GET":
        record.complain(f"REST: {request.method} {path}")
        return RestReply(404, write({"error": {"code": 1001, "message": "Not found"}}))
    account = known(request.headers.get("apikey", ""))
    if account is None:
        record.complain("REST: an unknown APIKey")
        return RestReply(401, write({"error": {"code": 2008, "message": "The access key does not exist."}}))
    arguments = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(query, keep_blank_values=True)))
    text = f"{request.method}|{path}|{arguments}"
    signs = dict(zip(CANONICALS, (signature(account, text), signature(account, f"{text}|{account.key}"))))
    given = request.headers.get("apisign", "").encode()
    allowed = CANONICALS if canonical == "both" else (canonical,)
    if not any(hmac.compare_digest(signs[name].encode(), given) for name in allowed):
        record.complain("REST: a wrong APISign")
        return RestReply(401, write({"error": {"code": 2005, "message": "Signature is incorrect."}}))
    me = {uuid_field: account.user_uuid, "email": "demo@example.com", "kyc_status": "verified", "status": "active"}
    return RestReply(200, write(me))
