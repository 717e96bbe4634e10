"""Connection: one socket. websocket-client dials it (proxy, TLS, handshake); from then on bytes are read and written here.

An `Opening` runs on a helper thread and may be aborted from another one; the `Connection` that it yields belongs to the
owner thread alone. Nothing else of xchws sees a socket, and no foreign exception leaves this room.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from typing import Any, List, Optional

import websocket

from xchws.credentials import Secrets
from xchws.errors import ConnectionFailed, ConnectionLost, HandshakeRejected, OpenFailed, XchwsError
from xchws.sansio import frames
from xchws.transports.http import retry_after
from xchws.transports.proxy import Proxy, environment_proxy
from xchws.transports.route import Route

_READ = 64 * 1024
_READ_ROUNDS = 16  # TLS gives one record (16 KiB at most) per read: so many make one batch
_MAX_UNSENT = 4 * 1024 * 1024  # bytes; what we send is small, so a peer that lets this much pile up reads no more
_SWITCHING = 101


class _Context:
    """Stands in for an SSLContext in websocket-client, to get hold of the socket before the TLS handshake begins."""

    def __init__(self, context: ssl.SSLContext, opening: Opening) -> None:
        self._context = context
        self._opening = opening

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        """As SSLContext.wrap_socket, with the handshake after the new socket is known."""
        sock.getpeername()  # a peer that is gone already: SSLSocket would raise later, and leave its descriptor open
        options["do_handshake_on_connect"] = False
        wrapped = self._context.wrap_socket(sock, **options)
        self._opening.holds(wrapped)
        try:
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()  # websocket-client knows only the socket that has been wrapped
            raise
        return wrapped


class Opening:
    """One try to open a connection.

    Args:
        route: where to; proxy: None for the environment's; tls: the context for wss; timeout: seconds for each step.
        max_message: bytes; a longer message ends the connection.
    """

    def __init__(
        self,
        route: Route,
        exchange: str,
        secrets: Secrets,
        proxy: Optional[Proxy],
        tls: Optional[ssl.SSLContext],
        timeout: float,
        max_message: int,
    ) -> None:
        self._route = route
        self._exchange = exchange
        self._secrets = secrets
        self._proxy = proxy
        self._tls = tls
        self._timeout = timeout
        self._max_message = max_message
        self._lock = threading.Lock()
        self._socket: Optional[socket.socket] = None
        self._aborted = False

    def run(self) -> Connection:
        """Open the connection; blocks.

        Raises:
            HandshakeRejected: the server answered with another status than 101, a redirect included.
            OpenFailed: DNS, TCP, TLS or proxy failed, the answer was no WebSocket handshake, or the opening was aborted.
            ConfigurationError: the environment names a proxy that cannot be used.
        """
        dialled = websocket.WebSocket(enable_multithread=False)
        failure = self._dial(dialled)
        if failure is not None:
            # Raised outside the except clause: the chain would carry the signed URL and headers.
            raise failure
        sock = dialled.sock
        assert sock is not None, "websocket-client has said that it is connected"
        self.holds(sock)
        sock.setblocking(False)
        return Connection(sock, self._exchange, self._secrets, self._max_message)

    def _dial(self, dialled: Any) -> Optional[XchwsError]:
        route = self._route
        proxy = self._proxy or environment_proxy(route.url)
        options: dict[str, Any] = proxy.websocket_options(self._timeout) if proxy else {}
        if self._tls is not None:
            dialled.sock_opt.sslopt = {"context": _Context(self._tls, self)}
        try:
            dialled.connect(
                route.url,
                header=[f"{name}: {value}" for name, value in route.headers.items()],
                origin=route.origin,
                suppress_origin=route.origin is None,
                redirect_limit=0,
                timeout=self._timeout,
                **options,
            )
        except websocket.WebSocketBadStatusException as error:
            return self._rejected(error.status_code, error.resp_headers or {}, getattr(error, "resp_body", None) or b"")
        except (websocket.WebSocketException, OSError, ValueError) as error:
            response = getattr(dialled, "handshake_response", None)
            if response is not None and response.status != _SWITCHING:
                return self._rejected(response.status, response.headers, b"")
            return self._unopened(error)
        response = dialled.handshake_response
        if response.status != _SWITCHING:  # websocket-client before 1.9 hands a redirect over as a connection
            dialled.shutdown()
            return self._rejected(response.status, response.headers, b"")
        return None

    def holds(self, sock: socket.socket) -> None:
        """The socket that is being dialled has become known."""
        with self._lock:
            self._socket = sock
            aborted = self._aborted
        if aborted:
            _shut(sock)

    def abort(self) -> None:
        """Make `run` end soon, from any thread."""
        with self._lock:
            self._aborted = True
            sock = self._socket
        if sock is not None:
            _shut(sock)

    def _rejected(self, status: int, headers: Any, body: Any) -> HandshakeRejected:
        text = self._secrets.excerpt(body if isinstance(body, (bytes, str)) else b"")
        hint = " (redirects are not followed)" if 300 <= status < 400 else ""
        return HandshakeRejected(
            f"{self._exchange}: the WebSocket handshake was answered with HTTP {status}{hint}"
            + (f": {text}" if text else ""),
            status=status,
            body=text,
            retry_after=retry_after(headers),
            exchange=self._exchange,
        )

    def _unopened(self, error: BaseException) -> ConnectionFailed:
        text = self._secrets.excerpt(str(error) or type(error).__name__)
        return OpenFailed(f"{self._exchange}: no connection: {type(error).__name__}: {text}", exchange=self._exchange)


def _shut(sock: socket.socket) -> None:
    """Make whoever blocks on the socket return. SSLSocket's own method would touch its TLS state."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed already: nobody blocks on it


class Connection:
    """One open WebSocket connection; only the owner thread may touch it."""

    def __init__(self, sock: socket.socket, exchange: str, secrets: Secrets, max_message: int) -> None:
        self._socket = sock
        self._tls: Optional[ssl.SSLSocket] = sock if isinstance(sock, ssl.SSLSocket) else None
        self._exchange = exchange
        self._secrets = secrets
        self._reader = frames.FrameReader(max_message)
        self._unsent = bytearray()

    def fileno(self) -> int:
        """The socket's file descriptor, for select."""
        return self._socket.fileno()

    def read(self) -> Optional[List[frames.Item]]:
        """What is complete of the bytes that have come; None if none have.

        Raises:
            ConnectionLost: the connection is gone.
        """
        try:
            data = self._socket.recv(_READ)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            failure = self._lost(str(error))
        else:
            if data:
                items = self._reader.feed(data)
                return items if self._tls is None else self._read_on(self._tls, items)
            failure = self._lost(
                "the peer ended the connection in the middle of a message"
                if self._reader.midway
                else "the peer ended the connection without a close frame"
            )
        raise failure

    def _read_on(self, tls: ssl.SSLSocket, items: List[frames.Item]) -> List[frames.Item]:
        """Read what TLS holds already: select does not see it. A failure here shows itself again on the next read."""
        rounds = 0
        while rounds < _READ_ROUNDS or tls.pending():
            rounds += 1
            try:
                data = tls.recv(_READ)
            except OSError:
                break
            if not data:
                break
            items += self._reader.feed(data)
        return items

    def write(self, opcode: int, payload: bytes) -> None:
        """Send one frame, or as much of it as goes now.

        Raises:
            ConnectionLost: the connection is gone, or the peer has not read for so long that too much waits.
        """
        self._unsent += frames.encode_frame(opcode, payload, os.urandom(4))
        self.flush()

    def write_close(self, code: int, reason: str) -> None:
        """Send a close frame; raises as `write` does."""
        self._unsent += frames.encode_close(code, reason, os.urandom(4))
        self.flush()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket to take them."""
        return len(self._unsent)

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it; raises as `write` does."""
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent[:_READ])
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                failure = self._lost(str(error))
            else:
                del self._unsent[:sent]
                continue
            raise failure
        if len(self._unsent) > _MAX_UNSENT:
            raise self._lost("the peer does not read what is sent to it")

    def end_writing(self) -> None:
        """Tell the peer's TCP that nothing more comes; reading goes on. TLS has no such half, so it is left alone there."""
        if self._tls is None:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it is gone already, which is what was wanted

    def close(self) -> None:
        """Close the socket at once."""
        try:
            self._socket.close()
        except OSError:
            pass  # the descriptor is free all the same

    def forsake(self) -> None:
        """In a forked child: let go of the descriptor without a byte on the wire, which is the parent's."""
        try:
            os.close(self._socket.detach())
        except OSError:
            pass  # closed before the fork

    def _lost(self, reason: str) -> ConnectionLost:
        said = self._secrets.redact(reason)
        return ConnectionLost(
            f"{self._exchange}: the connection was lost: {said}", code=1006, reason=said, exchange=self._exchange
        )
