"""TCP: a stream of bytes to a host and port, directly or through a proxy, within a CancelScope."""

from __future__ import annotations

import base64
import socket
from functools import partial
from http.client import HTTPException
from typing import Any, Callable, Optional

from urllib3.connection import HTTPConnection

from xchws.transports.proxy import Proxy
from xchws.transports.scope import Cancelled, CancelScope

Reach = Callable[[str, int], socket.socket]

# A connection on which nothing is said for long is asked after by TCP itself, even where the exchange permits no pings:
# after 30 s of quiet, three times at intervals of 10 s (websocket-client's choice). Not every system has all of these.
_OPTIONS = (
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 30),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 10),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
)


class ReachedConnection(HTTPConnection):
    """urllib3's connection on a stream that comes from `reach`, so that the scope knows it."""

    def __init__(self, *args: Any, reach: Reach, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reach = reach

    def _new_conn(self) -> socket.socket:
        return self._reach(self.host, self.port)


def connect(host: str, port: int, *, proxy: Optional[Proxy], scope: CancelScope) -> socket.socket:
    """A connected socket whose timeout is what the scope has left; None as proxy: directly.

    Raises:
        Cancelled: the scope has ended.
        OSError, ValueError: DNS, TCP or the proxy failed, or the host is no name.
    """
    if proxy is None:
        sock = _connect(host, port, scope, _directly)
    elif proxy.scheme == "http":
        sock = _through_http(host, port, proxy, scope)
    else:
        sock = _connect(proxy.host, proxy.port, scope, partial(_through_socks, host, port, proxy))
    try:
        sock.settimeout(scope.remaining())
    except Cancelled:
        sock.close()
        raise
    return sock


def _connect(
    host: str, port: int, scope: CancelScope, carry: Callable[[socket.socket, Any], socket.socket]
) -> socket.socket:
    """Try the host's addresses one after the other; each of them has its share of the time that is left."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError(f"{host} has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # this machine does not have the family
            failure = error
            continue
        try:
            scope.hold(sock)
            for level, option, value in _OPTIONS:
                if hasattr(socket, option):
                    sock.setsockopt(getattr(socket, level), getattr(socket, option), value)
            sock.settimeout(scope.remaining() / (len(found) - number))
            return carry(sock, address)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            scope.remaining()
            failure = error
    raise failure


def _directly(sock: socket.socket, address: Any) -> socket.socket:
    sock.connect(address)
    return sock


def _through_socks(host: str, port: int, proxy: Proxy, sock: socket.socket, address: Any) -> socket.socket:
    """Have the SOCKS proxy at this address connect to the host."""
    import socks  # of the extra "socks"; Proxy has seen that it is there

    timeout = sock.gettimeout()
    speaking = socks.socksocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    try:
        speaking.settimeout(timeout)
        speaking.set_proxy(
            socks.SOCKS4 if proxy.scheme.startswith("socks4") else socks.SOCKS5,
            *address[:2],
            rdns=proxy.scheme in ("socks4a", "socks5h"),
            username=proxy.user,
            password=proxy.password,
        )
        speaking.connect((host, port))
    except BaseException:
        speaking.close()
        raise
    return socket.socket(fileno=speaking.detach())


def _through_http(host: str, port: int, proxy: Proxy, scope: CancelScope) -> socket.socket:
    """Have the HTTP proxy connect to the host (CONNECT, RFC 9110, section 9.3.6)."""
    connection = ReachedConnection(proxy.host, proxy.port, reach=partial(connect, proxy=None, scope=scope))
    headers = {}
    if proxy.user:
        userinfo = f"{proxy.user}:{proxy.password or ''}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(userinfo).decode()}"
    connection.set_tunnel(host, port, headers)
    try:
        connection.connect()
    except HTTPException as error:
        connection.close()
        raise OSError(f"the proxy's answer cannot be read: {error!r}") from None
    except BaseException:
        connection.close()
        raise
    assert connection.sock is not None, "urllib3 has said that it is connected"
    return connection.sock
