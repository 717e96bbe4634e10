"""TLS: the context that wss and https are verified by."""

from __future__ import annotations

import ssl
from typing import Optional

from xchws.errors import ConfigurationError


def checked(context: Optional[ssl.SSLContext]) -> Optional[ssl.SSLContext]:
    """The user's context, or None.

    Raises:
        ConfigurationError: it is something else.
    """
    if context is not None and not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(f"tls must be an ssl.SSLContext or None, not {context!r}", argument="tls")
    return context


def default() -> ssl.SSLContext:
    """A context that verifies by the system's certificates."""
    return ssl.create_default_context()
