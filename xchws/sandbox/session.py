"""One client's connection, as the exchange's side has it.

One thread owns the socket; everything else (other threads, the exchange's rules) puts bytes into the buffer and
wakes it. That is what makes it possible to misbehave exactly: to stop reading, to cut in the middle, to write
frames that no library would write. The WebSocket rules themselves are the ``websockets`` package's Sans-I/O server.
Knows nothing of any exchange: what is said on the connection is a Dialogue's business.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import selectors
import socket
import ssl
import struct
import threading
import time
from collections import deque
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Callable, ContextManager, Deque, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

from . import tls
from .catalogue import MissingExtra
from .jsontext import read
from .record import Received

try:
    from websockets.datastructures import Headers
    from websockets.frames import Frame, Opcode
    from websockets.http11 import Request, Response
    from websockets.protocol import State
    from websockets.server import ServerProtocol
except ImportError as missing:
    raise MissingExtra from missing

if TYPE_CHECKING:
    from .server import ExchangeServer

CLOSE_TIMEOUT = 2.0  # seconds for the client to answer a close frame and to end the TCP connection
CHUNK = 65536
JOINED = 16  # messages in one frame at most: what Centrifugo joins

# Not registered with the logging module: what clients say holds tokens, and belongs into the record, not into a log.
SILENT = logging.Logger("xchws.sandbox")  # noqa: LOG001 - unregistered on purpose, as said above
SILENT.disabled = True


class Refusal:
    """An answer to a handshake other than 101: *status*, *body*, further *headers*."""

    def __init__(self, status: int, body: str = "", headers: Optional[Mapping[str, str]] = None) -> None:
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def response(self) -> Response:
        body = self.body.encode()
        headers = Headers({"Date": formatdate(usegmt=True), "Connection": "close", "Content-Length": str(len(body))})
        if "content-type" not in (name.lower() for name in self.headers):
            headers["Content-Type"] = "text/html" if self.body.startswith("<") else "text/plain; charset=utf-8"
        for name, value in self.headers.items():
            headers[name] = value
        known = {status.value: status.phrase for status in HTTPStatus}
        return Response(self.status, known.get(self.status, "Unknown"), headers, body)


class Dialogue:
    """The exchange's part in one connection. Called by the session's own thread, one call at a time."""

    def opened(self) -> None:
        """The handshake is done."""

    def message(self, text: str, binary: bool) -> None:
        """A message came."""

    def pong(self, payload: bytes) -> None:
        """A pong frame came."""

    def ended(self) -> None:
        """The connection is over."""

    def subscriptions(self) -> List[str]:
        """What the connection is subscribed to, in the exchange's words; asked by any thread."""
        return []


class Session:
    """A connection: what the client asked for, and everything one can do to it.

    Attributes:
        number: counts the connections of this server from 1.
        path: the request's path with its query; ``query`` is the query as a dict of last values.
        headers: the request's headers, names in lower case.
        close_code, close_reason: of the close frame that the client sent, None before.
        closed: set when the connection and its thread's work are over.
    """

    def __init__(self, server: ExchangeServer, sock: socket.socket, number: int) -> None:
        self.number = number
        self.path = ""
        self.query: Dict[str, str] = {}
        self.headers: Mapping[str, str] = {}
        self.close_code: Optional[int] = None
        self.close_reason: Optional[str] = None
        self.closed = threading.Event()
        self.dialogue = Dialogue()
        self._server = server
        self._sock = sock
        self._protocol = ServerProtocol(max_size=server.max_message_size, logger=SILENT)
        self._lock = threading.RLock()  # guards what follows
        self._drained = threading.Condition(self._lock)
        self._out = bytearray()
        self._joining: Optional[List[str]] = None
        self._commands: Deque[Tuple[Callable[[], None], threading.Event]] = deque()
        self._timers: List[Tuple[float, int, Callable[[], None]]] = []
        self._sequence = itertools.count()
        self._leaving = False  # nothing more is to be said; what is buffered still goes out
        self._said_all = False  # the protocol wants the TCP connection ended, once the buffer is out
        self._half_closed = False
        self._over = False
        self._stalled = False
        self._overflowed = False
        self._fragments: List[bytes] = []
        self._opcode = Opcode.TEXT
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self.thread = threading.Thread(target=self._run, name=f"sandbox-session-{number}", daemon=True)

    def __repr__(self) -> str:
        return f"<Session {self.number} {urlsplit(self.path).path}{' closed' if self.closed.is_set() else ''}>"

    # Saying things, from any thread.

    def send_text(self, text: str) -> None:
        """Send a text message. Nothing happens on a connection that is over."""
        with self._lock:
            if self._joining is not None:
                self._joining.append(text)
                return
            self._say(lambda: self._protocol.send_text(text.encode()))

    def send_binary(self, data: bytes) -> None:
        """Send a binary message."""
        self._say(lambda: self._protocol.send_binary(data))

    def send_frame(self, opcode: int, payload: bytes, fin: bool = True, rsv: int = 0, mask: bool = False) -> None:
        """Write one frame as it is, sensible or not: *rsv* is the three reserved bits as a number."""
        head = bytes([(0x80 if fin else 0) | (rsv & 7) << 4 | opcode & 15])
        flag = 0x80 if mask else 0
        if len(payload) < 126:
            head += bytes([flag | len(payload)])
        elif len(payload) < 65536:
            head += struct.pack("!BH", flag | 126, len(payload))
        else:
            head += struct.pack("!BQ", flag | 127, len(payload))
        if mask:
            head += b"\0\0\0\0"  # a mask of zeros leaves the payload readable
        self.send_bytes(head + payload)

    def send_bytes(self, data: bytes) -> None:
        """Write bytes to the connection as they are, between two frames."""
        with self._lock:
            if not self._leaving:
                self._buffer(data)
        self._wake()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Text messages sent inside go out joined by newlines, 16 to a frame."""
        with self._lock:
            outermost = self._joining is None
            if outermost:
                self._joining = []
        try:
            yield
        finally:
            if outermost:
                with self._lock:
                    texts, self._joining = self._joining or [], None
                    for start in range(0, len(texts), JOINED):
                        self.send_text("\n".join(texts[start : start + JOINED]))

    def together(self) -> ContextManager[object]:
        """Nothing that other threads say comes between what is done and said inside."""
        return self._lock

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping frame."""
        self._say(lambda: self._protocol.send_ping(payload))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, wait up to 2 s for the client's, and end."""
        with self._lock:
            if self._leaving:
                return
            if code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014) or 3000 <= code < 5000:
                self._say(lambda: self._protocol.send_close(code, reason))
            else:
                self.send_frame(8, struct.pack("!H", code) + reason.encode())
            self._leave()

    def finish(self) -> None:
        """Write what waits to be written, then end the TCP connection without a close frame."""
        with self._lock:
            if not self._leaving:
                self._said_all = True
                self._leave()
        self._wake()

    def drop(self, reset: bool = False) -> None:
        """Cut the TCP connection without a close frame: by FIN, or by RST if *reset*. Returns when it is done."""

        def cut() -> None:
            if reset:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with self._lock:
                self._out.clear()
                self._over = True

        with self._lock:
            self._leaving = True
        self._server.session_over(self)
        self._command(cut, self.closed)

    def stall(self) -> None:
        """Stay open and silent: nothing is read (no pong either) and nothing written until ``resume()``."""
        self._command(lambda: self._set_stalled(True))

    def resume(self) -> None:
        """End ``stall()``; what was to be said meanwhile goes out now."""
        self._command(lambda: self._set_stalled(False))

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Run *action* in this session's thread after *seconds*, unless the connection is over by then."""
        with self._lock:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._sequence), action))
        self._wake()

    def complain(self, text: str) -> None:
        """Note what the vendor would not accept."""
        self._server.record.complain(f"connection {self.number}: {text}")

    def wait_drained(self, limit: int, timeout: float) -> bool:
        """Whether less than *limit* bytes wait to be written, within *timeout* seconds. True at once where
        waiting would be wrong: in the session's own thread, on a stalled or ended connection."""
        with self._lock:
            if threading.current_thread() is self.thread:
                return True
            return self._drained.wait_for(
                lambda: len(self._out) < limit or self._stalled or self._leaving or self._over, timeout
            )

    # The session's own thread.

    def _run(self) -> None:
        try:
            self._sock.setblocking(False)
            self._selector.register(self._wake_reader, selectors.EVENT_READ)
            self._selector.register(self._sock, selectors.EVENT_READ)
            if self._server.ssl_context is not None and not self._start_tls(self._server.ssl_context):
                return
            while not self._over:
                self._turn()
        except OSError:
            pass  # the client is gone; _finish says so
        finally:
            self._finish()

    def _start_tls(self, context: ssl.SSLContext) -> bool:
        self._selector.unregister(self._sock)
        wrapped = tls.accepted(context, self._sock)
        self._sock = wrapped
        self._selector.register(wrapped, selectors.EVENT_READ)
        while not self._over:
            try:
                wrapped.do_handshake()
                return True
            except ssl.SSLWantReadError:
                self._selector.modify(wrapped, selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                self._selector.modify(wrapped, selectors.EVENT_WRITE)
            self._selector.select()
            self._obey()
        return False

    def _turn(self) -> None:
        with self._lock:
            stalled, waiting = self._stalled, bool(self._out)
            timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers and not stalled else None
        if stalled:
            if self._sock in self._selector.get_map():
                self._selector.unregister(self._sock)
        else:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waiting else 0)
            if self._sock in self._selector.get_map():
                self._selector.modify(self._sock, events)
            else:
                self._selector.register(self._sock, events)
        ready = {key.fileobj for key, _ in self._selector.select(timeout)}
        self._obey()
        if self._stalled or self._over:
            return
        if self._sock in ready:
            self._read()
        self._fire_timers()
        self._write()

    def _obey(self) -> None:
        try:
            while self._wake_reader.recv(4096):
                pass
        except BlockingIOError:
            pass
        while self._commands:
            action, done = self._commands.popleft()
            action()
            if done is not self.closed:
                done.set()

    def _fire_timers(self) -> None:
        while not self._over and not self._stalled:
            with self._lock:
                if not self._timers or self._timers[0][0] > time.monotonic():
                    return
                action = heapq.heappop(self._timers)[2]
            action()

    def _read(self) -> None:
        while not self._over and not self._stalled:
            try:
                data = self._sock.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                self._over = True
                return
            if self._half_closed:
                continue
            with self._lock:
                self._protocol.receive_data(data)
                events = self._protocol.events_received()
                self._collect()
            for event in events:
                if isinstance(event, Request):
                    self._handshake(event)
                elif isinstance(event, Frame):
                    self._frame(event)

    def _write(self) -> None:
        with self._lock:
            try:
                while self._out:
                    del self._out[: self._sock.send(bytes(self._out[:CHUNK]))]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            self._drained.notify_all()
            if not self._out and self._said_all and not self._half_closed:
                self._half_close()

    def _half_close(self) -> None:
        """Everything is said: end our direction, and leave the client some time to end its own."""
        self._half_closed = True
        if isinstance(self._sock, ssl.SSLSocket):
            try:
                self._sock.unwrap()
            except OSError:
                pass  # our close_notify is out; the client's need not be waited for
        self._sock.shutdown(socket.SHUT_WR)
        self.call_later(CLOSE_TIMEOUT, self._give_up)

    def _handshake(self, request: Request) -> None:
        self.path = request.path
        self.query = {name: values[-1] for name, values in parse_qs(urlsplit(request.path).query).items()}
        self.headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self._server.record.add(Received("handshake", self.number, method="GET", path=self.path, headers=self.headers))
        refusal = self._server.process_request(self)
        if not self.headers.get("sec-websocket-protocol", "none").strip():
            # An empty list of subprotocols, which centrifuge-python 0.5 sends: to websockets a broken handshake, to
            # gorilla/websocket's Subprotocols() (read 2026-11) the same as none.
            del request.headers["Sec-WebSocket-Protocol"]
        with self._lock:
            response = self._protocol.accept(request) if refusal is None else refusal.response()
            self._protocol.send_response(response)
            if response.status_code == 101:
                self.dialogue = self._server.create_dialogue(self)
                self._server.session_opened(self)
            else:
                self._leave()
            self._collect()
        if response.status_code == 101:
            self.dialogue.opened()

    def _frame(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if frame.opcode is Opcode.CLOSE:
            self.close_code = self._protocol.close_rcvd.code if self._protocol.close_rcvd else 1005
            self.close_reason = self._protocol.close_rcvd.reason if self._protocol.close_rcvd else ""
            self._server.record.add(Received("close", self.number, self.close_reason, self.close_code))
            self._leave()
        elif frame.opcode in (Opcode.PING, Opcode.PONG):
            kind = frame.opcode.name.lower()
            self._server.record.add(Received(kind, self.number, data.decode("latin-1")))
            if kind == "pong" and not self._leaving:
                self.dialogue.pong(data)
        else:
            if frame.opcode is not Opcode.CONT:
                self._opcode = frame.opcode
            self._fragments.append(data)
            if frame.fin:
                whole, self._fragments = b"".join(self._fragments), []
                self._message(whole)

    def _message(self, data: bytes) -> None:
        if self._leaving:
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.complain("a message that is not UTF-8")
            self.close(1007, "invalid UTF-8")
            return
        try:
            parsed = read(text)
        except ValueError:
            parsed = None
        self._server.record.add(Received("message", self.number, text, parsed))
        self.dialogue.message(text, self._opcode is Opcode.BINARY)

    def _finish(self) -> None:
        with self._lock:
            self._leaving = self._over = True
            self._timers.clear()
            self._drained.notify_all()
        self._selector.close()
        self._sock.close()
        self._server.session_over(self)
        self.dialogue.ended()
        with self._lock:
            self.closed.set()
            while self._commands:
                self._commands.popleft()[1].set()
            self._wake_reader.close()
            self._wake_writer.close()
        self._server.record.notify()

    # Small change.

    def _say(self, act: Callable[[], None]) -> None:
        with self._lock:
            if not self._leaving and self._protocol.state is State.OPEN:
                act()
                self._collect()
        self._wake()

    def _collect(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._buffer(data)
            else:
                self._said_all = True
        if self._protocol.close_expected() and not self._leaving:
            self._leave()

    def _buffer(self, data: bytes) -> None:
        if self._stalled and len(self._out) + len(data) > self._server.queue_limit:
            self._overflowed = True  # memory stays bounded; resume() closes the connection as too slow
        else:
            self._out += data

    def _leave(self) -> None:
        self._leaving = True
        self._server.session_over(self)
        self.call_later(CLOSE_TIMEOUT, self._give_up)

    def _give_up(self) -> None:
        self._over = True

    def _set_stalled(self, stalled: bool) -> None:
        with self._lock:
            self._stalled = stalled
            self._drained.notify_all()
            overflowed, self._overflowed = self._overflowed and not stalled, self._overflowed and stalled
        if overflowed:
            self._server.too_slow(self)

    def _command(self, action: Callable[[], None], done: Optional[threading.Event] = None) -> None:
        done = done or threading.Event()
        if threading.current_thread() is self.thread:
            action()
            return
        with self._lock:
            if self.closed.is_set():
                return
            self._commands.append((action, done))
        self._wake()
        done.wait(5.0)

    def _wake(self) -> None:
        if threading.current_thread() is self.thread:
            return
        try:
            self._wake_writer.send(b"w")
        except OSError:
            pass  # it is awake already (the pipe is full), or over
