"""Server: an exchange that follows a script. One dialect, numbered messages, and bad behaviour on demand."""

from __future__ import annotations

import http.server
import json
import logging
import socket
import threading
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Set, Type

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from benchmarks.reliability.dialects.dialect import FIRST, SECOND, Dialect, Text

HOST = "127.0.0.1"
LATENCY = (
    0.03  # seconds until a message is answered, as over a network: on loopback an answer can outrun the call that asked
)


class Link:
    """One connection: what it has said, and what it is subscribed to.

    Attributes:
        number: counted from 1 over the server's life; heard: the texts; topics: every subscription, repeated ones too.
    """

    def __init__(self, number: int, connection: ServerConnection) -> None:
        self.number = number
        self.heard: List[Text] = []
        self.topics: List[str] = []
        self.dropped = False
        self._connection = connection

    def send(self, text: Text) -> None:
        try:
            self._connection.send(text)
        except (ConnectionClosed, OSError):
            pass  # it is over; the reader of this connection takes note

    def drop(self) -> None:
        """End it without a word of WebSocket, as a router that dies does."""
        self.dropped = True
        try:
            self._connection.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster


class Server:
    """Listens on loopback from `start()` to `close()`.

    Attributes:
        status: other than 101, handshakes are answered with it.
        links: the live connections; opened: every one that there was.
        when_opened, when_heard: called with a connection, on its own thread.
        changed: notified whenever anything of the above has changed.
    """

    def __init__(self, dialect: Dialect, changed: threading.Condition) -> None:
        self.dialect = dialect
        self.changed = changed
        self.status = 101
        self.links: Set[Link] = set()
        self.opened: List[Link] = []
        self.paths: List[str] = []
        self.headers: List[str] = []
        self.published: Dict[str, int] = {FIRST: 0, SECOND: 0}
        self.when_opened: Optional[Callable[[Link], None]] = None
        self.when_heard: Optional[Callable[[Link], None]] = None
        self.public_url = ""  # what REST answers name: the way through the proxy
        self._publishing = threading.Lock()

    def start(self) -> Server:
        quiet = logging.getLogger("benchmarks.reliability.server")
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
        self._server = serve(
            self._talk, HOST, 0, process_request=self._judge, ping_interval=None, compression=None, logger=quiet
        )
        self.port = self._server.socket.getsockname()[1]
        self._rest = http.server.ThreadingHTTPServer((HOST, 0), self._handler())
        self.rest_url = f"http://{HOST}:{self._rest.server_address[1]}"
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(
                target=self._rest.serve_forever, args=(0.05,), daemon=True
            ),  # seconds until it sees its end
        ]
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._rest.shutdown()
        self._rest.server_close()
        self.drop()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def publish(self, *topics: str) -> None:
        """One more message of each topic, to whoever is subscribed."""
        for topic in topics:
            with self._publishing:
                self.published[topic] += 1
                text = self.dialect.data(topic, self.published[topic])
                subscribed = [link for link in list(self.links) if topic in link.topics]
            for link in subscribed:
                link.send(text)

    def drop(self) -> None:
        """End all connections."""
        for link in list(self.links):
            link.drop()

    def said(self) -> str:
        """All that clients have sent: texts, paths and headers."""
        heard = [text if isinstance(text, str) else text.decode("latin-1") for one in self.opened for text in one.heard]
        return "\n".join([*heard, *self.paths, *self.headers])

    # ------------------------------------------------------------------------------------------------- a connection

    def _judge(self, connection: ServerConnection, request: Request) -> Optional[Response]:
        self.paths.append(request.path)
        self.headers.append(str(request.headers))
        status = self.status if self.status != 101 else self.dialect.opening(request.path).status
        return None if status == 101 else connection.respond(status, "no\n")

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None, "the handshake is over"
        opening = self.dialect.opening(connection.request.path)
        with self.changed:
            link = Link(len(self.opened) + 1, connection)
            link.topics.extend(opening.topics)
            self.opened.append(link)
            self.links.add(link)
            self.changed.notify_all()
        try:
            if self.when_opened is not None:
                self.when_opened(link)
            for text in opening.says:
                link.send(text)
            for message in connection:
                self._hear(link, message)
        except (ConnectionClosed, OSError):
            pass  # this is how connections end here
        finally:
            with self.changed:
                self.links.discard(link)
                self.changed.notify_all()

    def _hear(self, link: Link, message: Text) -> None:
        time.sleep(LATENCY)
        with self._publishing:  # what is replayed and what is published next must fit together
            answer = self.dialect.answer(message, self.published)
            for text in answer.says:
                link.send(text)
            with self.changed:
                link.heard.append(message)
                link.topics.extend(answer.topics)
                self.changed.notify_all()
        if self.when_heard is not None:
            self.when_heard(link)

    # --------------------------------------------------------------------------------------------------------- REST

    def _handler(self) -> Type[http.server.BaseHTTPRequestHandler]:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.headers.append(str(self.headers))
                status, value = outer.dialect.rest(self.command, self.path, outer.public_url)
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def log_message(self, format: str, *values: Any) -> None:
                """Silence."""

        return Handler


def drop_later(link: Link, seconds: float) -> None:
    """Drop a connection after a while, if it is still there."""

    def wait() -> None:
        time.sleep(seconds)
        link.drop()

    threading.Thread(target=wait, daemon=True).start()
