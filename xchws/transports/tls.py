"""TLS: the context that wss and https are verified by."""

from __future__ import annotations

import os
import socket
import ssl
import traceback
import weakref
from typing import Dict, Optional, Tuple

from xchws.errors import ConfigurationError

# By the environment's two variables that say where the system's certificates are. No lock: two made at once do no harm,
# and a lock that another thread holds would stay locked in a forked child.
_in_use: Dict[Tuple[Optional[str], ...], weakref.ref[ssl.SSLContext]] = {}


def checked(context: Optional[ssl.SSLContext]) -> Optional[ssl.SSLContext]:
    """The user's context, or None.

    Raises:
        ConfigurationError: it is something else, or for servers only.
    """
    if context is not None and not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(f"tls must be an ssl.SSLContext or None, not {context!r}", argument="tls")
    if context is not None and context.protocol == ssl.PROTOCOL_TLS_SERVER:
        text = "tls must be a context for clients, as ssl.create_default_context() makes it; this one is for servers"
        raise ConfigurationError(text, argument="tls")
    return context


def default() -> ssl.SSLContext:
    """A context that verifies by the system's certificates.

    All that are in use at the same time are one: reading the certificates takes some 30 ms and 800 KiB. Once nobody uses it
    any more it goes, so that the next one knows the certificates of its day.
    """
    variables = ssl.get_default_verify_paths()
    place = (os.environ.get(variables.openssl_cafile_env), os.environ.get(variables.openssl_capath_env))
    known = _in_use.get(place)
    context = known() if known is not None else None
    if context is None:
        context = ssl.create_default_context()
        context.set_alpn_protocols(
            ["http/1.1"]
        )  # urllib3 would do so some time: what the stream says must not depend on it
        _in_use[place] = weakref.ref(context)
    return context


def forget(context: ssl.SSLContext) -> None:
    """Whoever wants the default next reads the system's certificates anew, if this was it."""
    for place, known in list(_in_use.items()):
        if known() is context:
            _in_use.pop(place, None)


def wrapped(context: ssl.SSLContext, sock: socket.socket, host: str) -> ssl.SSLSocket:
    """A connected socket with TLS over it, the handshake not made yet.

    Raises:
        OSError: the peer has ended the connection. What SSLSocket was about to become has taken the descriptor over by then and
            leaves it open; it is closed here.
    """
    try:
        return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except OSError as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            half_made = frame.f_locals.get("self")
            if isinstance(half_made, ssl.SSLSocket):
                half_made.close()
        raise
