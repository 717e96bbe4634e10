"""The REST endpoint beside a simulated exchange: plain HTTP/1.1 with keep-alive, refusals and slowness on demand.

Knows nothing of any exchange: a function says what is answered.
"""

from __future__ import annotations

import http.server
import io
import selectors
import socket
import ssl
import threading
from typing import Any, Callable, Dict, Mapping, Optional, Set, Tuple

from . import tls
from .jsontext import read
from .record import Received, Record


class RestReply:
    """*status*, *body* and further *headers* of an answer."""

    def __init__(self, status: int, body: str = "", headers: Optional[Mapping[str, str]] = None) -> None:
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class RestServer:
    """Listens on 127.0.0.1 from ``start()`` to ``close()``; records what it is asked."""

    def __init__(
        self,
        answer: Callable[[Received], RestReply],
        record: Record,
        port: int = 0,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self.port = port
        self.delay = 0.0
        self.record = record
        self.closing = threading.Event()
        self._answer = answer
        self._ssl_context = ssl_context
        self._lock = threading.Lock()
        self._refusal: Optional[Tuple[RestReply, Optional[int]]] = None
        self._server: Optional[_Server] = None
        self._thread: Optional[threading.Thread] = None

    def start(self) -> None:
        self.closing.clear()
        self._server = _Server(("127.0.0.1", self.port), self, self._ssl_context)
        self.port = self._server.server_address[1]
        self._stopper, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, args=(self._server,), name="sandbox-rest", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._server is None or self._thread is None:
            return
        self.closing.set()
        self._stopper.send(b"x")
        self._thread.join()
        self._server.server_close()
        self._stopper.close()
        self._stopped.close()
        self._server.end_requests()
        self._server = None

    def _serve(self, server: _Server) -> None:
        """Unlike serve_forever(), which looks now and then whether it is to end, this ends at once."""
        with selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while not any(key.fileobj is self._stopped for key, _ in selector.select()):
                server.handle_request()

    def refuse(self, reply: RestReply, times: Optional[int]) -> None:
        with self._lock:
            self._refusal = (reply, times)

    def accept(self) -> None:
        with self._lock:
            self._refusal = None

    def reply_to(self, request: Received) -> RestReply:
        self.record.add(request)
        if self.delay > 0:
            self.closing.wait(self.delay)
        with self._lock:
            if self._refusal is not None:
                reply, times = self._refusal
                left = None if times is None else times - 1
                self._refusal = None if left == 0 else (reply, left)
                return reply
        return self._answer(request)


class _Server(http.server.ThreadingHTTPServer):
    """Keeps its connections and their threads, so that closing leaves none behind."""

    daemon_threads = True
    timeout = 0  # seconds that handle_request() waits: there is something

    def __init__(self, address: Tuple[str, int], owner: RestServer, context: Optional[ssl.SSLContext]) -> None:
        super().__init__(address, _Handler)
        self.owner = owner
        self._lock = threading.Lock()
        self._open: Set[socket.socket] = set()
        self._serving: Dict[threading.Thread, socket.socket] = {}
        self._context = context

    def get_request(self) -> Tuple[socket.socket, Any]:
        sock, address = super().get_request()
        # The TLS handshake is left to the connection's own thread: a mute client must not block the others.
        return sock if self._context is None else tls.accepted(self._context, sock), address

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name="sandbox-rest-request", daemon=True
        )
        with self._lock:
            self._serving = {each: sock for each, sock in self._serving.items() if each.is_alive()}
            self._serving[thread] = request
            self._open.add(request)
            thread.start()

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""

    def end_requests(self) -> None:
        with self._lock:
            threads = list(self._serving)
            for sock in self._open:
                try:
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    pass  # it is gone already
        for thread in threads:
            thread.join()


class _Lines(io.BufferedReader):
    """Remembers the line that was read last: empty where the client has ended the connection."""

    last = b""

    def readline(self, size: Optional[int] = -1) -> bytes:
        self.last = super().readline(size)
        return self.last


class _Handler(http.server.BaseHTTPRequestHandler):
    """A request of a client that goes away in the middle of it was none: neither recorded nor answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.rfile: _Lines = _Lines(self.rfile.detach())

    def parse_request(self) -> bool:
        # The standard library takes the end of the connection for the end of the headers.
        if super().parse_request() and self.rfile.last:
            return True
        self.close_connection = True
        return False

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length)
        if len(sent) < length:
            self.close_connection = True
            return
        body = sent.decode("utf-8", "replace")
        try:
            parsed = read(body)
        except ValueError:
            parsed = None
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner = self.server.owner
        reply = owner.reply_to(Received("rest", None, body, parsed, self.command, self.path, headers))
        if owner.closing.is_set():
            self.close_connection = True
            return
        content = reply.body.encode()
        self.send_response(reply.status)
        if "content-type" not in (name.lower() for name in reply.headers):
            kind = {"<": "text/html", "{": "application/json"}.get(reply.body[:1], "text/plain")
            self.send_header("Content-Type", kind)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are in the record."""
