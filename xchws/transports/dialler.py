"""Dialler: opens a WebSocket connection: DNS, TCP, proxy, TLS, and the handshake, which is websocket-client's.

It blocks, so it runs on a helper thread; its CancelScope ends it.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, Optional
from urllib.parse import urlsplit

import websocket

from xchws import clock
from xchws.credentials import Secrets
from xchws.errors import ConnectionFailed, HandshakeRejected, OpenFailed
from xchws.transports import tcp, tls
from xchws.transports.connection import Connection
from xchws.transports.handshake import HandshakeStream, Reply
from xchws.transports.http import hear_date, retry_after
from xchws.transports.proxy import Proxy, environment_proxy
from xchws.transports.route import Route
from xchws.transports.scope import Cancelled, CancelScope

_SWITCHING = 101
# IndexError: websocket-client before 1.8 on a status line of one word.
_FAILURES = (websocket.WebSocketException, OSError, ValueError, IndexError)


class Dialler:
    """Opens connections; thread-safe.

    Args:
        exchange: the name for errors; secrets: what must not be shown.
        proxy: None for the environment's; context: for wss; None: the system's certificates are verified.
        offset: hears what the answers' dates say; max_message: bytes; a longer message ends the connection.
    """

    def __init__(
        self,
        exchange: str,
        secrets: Secrets,
        proxy: Optional[Proxy],
        context: Optional[ssl.SSLContext],
        offset: clock.Offset,
        max_message: int,
    ) -> None:
        self._exchange = exchange
        self._secrets = secrets
        self._proxy = proxy
        self._context = context
        self._default: Optional[ssl.SSLContext] = None
        self._offset = offset
        self._max_message = max_message

    def dial(self, route: Route, scope: CancelScope) -> Connection:
        """Open a connection; blocks until the scope ends.

        Raises:
            HandshakeRejected: the server answered with another status than 101, a redirect included.
            OpenFailed: DNS, TCP, TLS or proxy failed, the answer was no WebSocket handshake, or the scope has ended.
            ConfigurationError: the environment names a proxy that cannot be used.
        """
        proxy = self._proxy or environment_proxy(route.url)
        failure: ConnectionFailed
        sock: Optional[socket.socket] = None
        connection: Optional[Connection] = None
        try:
            sock = self._reach(route.url, proxy, scope)
            refused = self._shake_hands(route, sock, scope)
            if refused is None:
                sock.setblocking(False)
                connection = Connection(sock, self._exchange, self._secrets, self._max_message)
                return connection
            failure = refused
        except _FAILURES as error:
            failure = self._unopened(error, scope)
        finally:
            if sock is not None and connection is None:
                sock.close()
        # Raised outside the except clause: the chain would carry the signed URL and headers.
        raise failure

    def _reach(self, url: str, proxy: Optional[Proxy], scope: CancelScope) -> socket.socket:
        """TCP, and TLS where the address asks for it."""
        address = urlsplit(url)
        host = address.hostname or ""
        if address.scheme != "wss":
            return tcp.connect(host, address.port or 80, proxy=proxy, scope=scope)
        context = self._context
        if context is None:  # not made before it is wanted, and not on the caller's thread: it takes its time
            context = self._default = self._default or tls.default()
        sock = tcp.connect(host, address.port or 443, proxy=proxy, scope=scope)
        try:
            sock = secured = tls.wrapped(context, sock, host)
            secured.do_handshake()
        except BaseException as error:
            sock.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                # Perhaps the system's certificates could not be read when it was made: OpenSSL does not say so.
                tls.forget(context)
                self._default = None
            raise
        return sock

    def _shake_hands(self, route: Route, sock: socket.socket, scope: CancelScope) -> Optional[HandshakeRejected]:
        """The WebSocket handshake; the answer that refuses it, or None."""
        stream = HandshakeStream(sock, scope)
        asked = clock.utc_now()
        dialled: Any = websocket.WebSocket(enable_multithread=False)
        try:
            dialled.connect(
                route.url,
                header=[f"{name}: {value}" for name, value in route.headers.items()],
                origin=route.origin,
                suppress_origin=route.origin is None,
                redirect_limit=0,
                socket=stream,
            )
        except _FAILURES:
            reply = stream.reply()
            if reply is None or reply.status == _SWITCHING:
                raise
            hear_date(self._offset, reply.headers, asked)
            return self._rejected(reply)
        finally:
            # It refers to itself; what it holds of ours must not wait for the collector. That closes a stream in whatever
            # thread it runs in, and Python drops what a signal raises meanwhile: Ctrl-C would be lost.
            dialled.shutdown()
        answered = dialled.handshake_response
        hear_date(self._offset, answered.headers, asked)
        if answered.status == _SWITCHING:
            return None
        # websocket-client before 1.9 hands a redirect over as a connection.
        return self._rejected(stream.reply() or Reply(answered.status, answered.headers, b""))

    def _rejected(self, reply: Reply) -> HandshakeRejected:
        text = self._secrets.excerpt(reply.body)
        hint = " (redirects are not followed)" if 300 <= reply.status < 400 else ""
        return HandshakeRejected(
            f"{self._exchange}: the WebSocket handshake was answered with HTTP {reply.status}{hint}"
            + (f": {text}" if text else ""),
            status=reply.status,
            body=text,
            retry_after=retry_after(reply.headers),
            exchange=self._exchange,
        )

    def _unopened(self, error: BaseException, scope: CancelScope) -> ConnectionFailed:
        try:
            scope.remaining()
        except Cancelled as ended:  # what the library made of it tells less
            text = str(ended)
        else:
            text = f"{type(error).__name__}: {self._secrets.excerpt(str(error) or type(error).__name__)}"
        return OpenFailed(f"{self._exchange}: no connection: {text}", exchange=self._exchange)
