"""Certificates for 127.0.0.1, good ones and others; made once per process."""

from __future__ import annotations

import ssl
from datetime import datetime, timezone
from functools import cache
from typing import Any

import trustme


@cache
def _authority(name: str) -> trustme.CA:
    return trustme.CA()


@cache
def trusting() -> ssl.SSLContext:
    """For a client that trusts the authority."""
    context = ssl.create_default_context()
    _authority("trusted").configure_trust(context)
    return context


@cache
def server(kind: str = "good") -> ssl.SSLContext:
    """For a server: `good`, `expired`, of `another host`, or of an `unknown authority`."""
    authority = _authority("unknown" if kind == "unknown authority" else "trusted")
    host = "192.0.2.1" if kind == "another host" else "127.0.0.1"
    options: Any = {"not_after": datetime(2001, 1, 1, tzinfo=timezone.utc)} if kind == "expired" else {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **options).configure_cert(context)
    return context
