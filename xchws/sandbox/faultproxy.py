"""A TCP proxy that breaks connections on demand, byte by byte where need be.

Needs no extra, and knows nothing of WebSocket or exchanges: whatever goes over TCP can go through it, TLS too.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, Callable, Deque, Dict, List, Optional, Set, Tuple, Type
from urllib.parse import urlsplit, urlunsplit

HOST = "127.0.0.1"
BUFFER = 1 << 18  # bytes that wait in one direction of one connection; beyond, its source is not read
CHUNK = 16384
BACKLOG = 128  # connections that wait to be accepted
TO_CLIENT = "to_client"
TO_SERVER = "to_server"
DIRECTIONS = {TO_CLIENT: (TO_CLIENT,), TO_SERVER: (TO_SERVER,), "both": (TO_CLIENT, TO_SERVER)}


class FaultProxy:
    """Listens on 127.0.0.1 from ``start()`` to ``close()`` and forwards to the target.

    Verbs may be called from any thread; each has happened when it returns. Directions are ``to_client``, ``to_server``
    and ``both``. Faults that are not single events hold for later connections too, until ``clear()``.

    Args:
        target_host, target_port: where to forward to.
        port: 0 takes any free one.
    """

    def __init__(self, target_host: str, target_port: int, port: int = 0) -> None:
        self.target = (target_host, target_port)
        self.port = port
        self._listener: Optional[socket.socket] = None
        self._reserve: Optional[socket.socket] = None  # holds the port while connections are refused
        self._thread: Optional[threading.Thread] = None
        self._links: Set[_Link] = set()
        self._accepted = 0
        self._changed = threading.Condition()
        self._commands: Deque[Tuple[Callable[[], None], threading.Event]] = deque()
        self.faults = _Faults()

    def start(self) -> FaultProxy:
        """Listen. Does nothing if it already does.

        Raises:
            OSError: the port is taken.
        """
        if self._thread is None:
            self._listener = self._bind()
            self._listener.listen(BACKLOG)
            self._wake_reader, self._wake_writer = socket.socketpair()
            self._wake_reader.setblocking(False)
            self._closing = False
            self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Cut everything and wait for the thread. May be called twice."""
        if self._thread is None:
            return
        self._closing = True
        self._wake_writer.send(b"x")
        self._thread.join()
        self._thread = None
        self._wake_reader.close()
        self._wake_writer.close()

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def url(self, of: str) -> str:
        """The same URL, going through this proxy."""
        return urlunsplit(urlsplit(of)._replace(netloc=f"{HOST}:{self.port}"))

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._changed:
            return len(self._links)

    @property
    def accepted(self) -> int:
        """How many connections there were since the beginning."""
        with self._changed:
            return self._accepted

    def wait_for_connection(self, timeout: float = 5.0, n: int = 1) -> None:
        """Wait until *n* connections are open.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        self._wait(lambda: len(self._links) >= n, timeout)

    def wait_for_no_connection(self, timeout: float = 5.0) -> None:
        """Wait until none is open.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        self._wait(lambda: not self._links, timeout)

    # Single events.

    def cut(self) -> None:
        """End all connections by FIN, on both sides; what waits is lost."""
        self._command(lambda: self._end_all(False))

    def reset(self) -> None:
        """End all connections by RST, on both sides."""
        self._command(lambda: self._end_all(True))

    # Faults that last.

    def freeze(self) -> None:
        """Half-open: connections are kept and new ones taken, nothing is read or forwarded."""
        self._set(frozen=True)

    def thaw(self) -> None:
        """End ``freeze()``."""
        self._set(frozen=False)

    def delay(self, seconds: float) -> None:
        """Forward everything that much later."""
        self._set(delay=seconds)

    def byte_by_byte(self, direction: str = "both") -> None:
        """Forward each byte by itself."""
        self._set(single=_direction(direction))

    def throttle(self, bytes_per_second: float) -> None:
        """Forward no faster, in each direction."""
        if bytes_per_second <= 0:
            raise ValueError("bytes_per_second must be above 0")
        self._set(rate=bytes_per_second)

    def truncate_after(self, n_bytes: int) -> None:
        """Forward *n_bytes* more to the client, counted per connection from now on (a later connection: from its
        beginning), then cut."""

        def limit() -> None:
            self.faults.limit = n_bytes
            for link in self._links:
                link.left = n_bytes

        self._command(limit)

    def cut_on(self, pattern: bytes, direction: str = TO_CLIENT, forward: bool = True) -> None:
        """Cut when these bytes pass: after forwarding them or (*forward* False) before, as far as they came in one
        piece. Once, on the first connection where it happens."""
        if not pattern:
            raise ValueError("an empty pattern")
        self._set(pattern=(pattern, _direction(direction), forward))

    def refuse_connections(self) -> None:
        """Close the listening socket: connecting is refused by the system. The port stays taken, so that nobody else gets it."""

        def refuse() -> None:
            if self._listener is not None:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
                self._reserve = self._bind()

        self._command(refuse)

    def accept_connections(self) -> None:
        """End ``refuse_connections()``, on the same port."""

        def accept() -> None:
            if self._reserve is not None:
                self._listener, self._reserve = self._reserve, None
                self._listener.listen(BACKLOG)
                self._selector.register(self._listener, selectors.EVENT_READ)

        self._command(accept)

    def clear(self) -> None:
        """End all lasting faults but refused connections."""

        def clear() -> None:
            self.faults = _Faults()
            for link in self._links:
                link.left = None

        self._command(clear)

    # The proxy's own thread.

    def _run(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        if self._listener is not None:
            self._selector.register(self._listener, selectors.EVENT_READ)
        try:
            while not self._closing:
                self._turn()
        finally:
            self._end_all(False)
            for sock in (self._listener, self._reserve):
                if sock is not None:
                    sock.close()
            self._listener = self._reserve = None
            while self._commands:
                self._commands.popleft()[1].set()
            self._selector.close()

    def _turn(self) -> None:
        now = time.monotonic()
        wait: Optional[float] = None
        for link in list(self._links):
            for sock, events in link.interests(now, self.faults):
                self._watch(sock, events, link)
            due = link.next_due(now, self.faults)
            if due is not None:
                wait = due if wait is None else min(wait, due)
        for key, events in self._selector.select(wait):
            if key.fileobj is self._wake_reader:
                self._wake_reader.recv(4096)
            elif key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, _Link) and key.data in self._links and events & selectors.EVENT_READ:
                key.data.receive(key.fileobj, time.monotonic())
        while self._commands:
            action, done = self._commands.popleft()
            action()
            done.set()
        now = time.monotonic()
        for link in list(self._links):
            if not link.forward(now, self.faults):
                self._end(link, False)

    def _watch(self, sock: socket.socket, events: int, link: _Link) -> None:
        known = sock in self._selector.get_map()
        if events and known:
            self._selector.modify(sock, events, link)
        elif events:
            self._selector.register(sock, events, link)
        elif known:
            self._selector.unregister(sock)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # gone already
        try:
            server = socket.create_connection(self.target, 5.0)
        except OSError:
            client.close()
            return
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._changed:
            self._links.add(_Link(client, server, self.faults.limit))
            self._accepted += 1
            self._changed.notify_all()

    def _end(self, link: _Link, reset: bool) -> None:
        for sock in link.sockets:
            if sock in self._selector.get_map():
                self._selector.unregister(sock)
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other end was faster
            sock.close()
        with self._changed:
            self._links.discard(link)
            self._changed.notify_all()

    def _end_all(self, reset: bool) -> None:
        for link in list(self._links):
            self._end(link, reset)

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self.port))
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        return listener

    def _set(self, **faults: Any) -> None:
        def change() -> None:
            for name, value in faults.items():
                setattr(self.faults, name, value)

        self._command(change)

    def _command(self, action: Callable[[], None]) -> None:
        if self._thread is None:
            raise RuntimeError("the proxy is not started")
        done = threading.Event()
        self._commands.append((action, done))
        self._wake_writer.send(b"x")
        done.wait(10.0)

    def _wait(self, predicate: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise TimeoutError(f"not within {timeout:g} s")


class _Faults:
    """What is wrong at present."""

    frozen = False
    delay = 0.0
    single: Tuple[str, ...] = ()
    rate: Optional[float] = None
    limit: Optional[int] = None
    pattern: Optional[Tuple[bytes, Tuple[str, ...], bool]] = None


class _Pipe:
    """One direction of one connection: chunks with the time at which they came."""

    def __init__(self, name: str, source: socket.socket, sink: socket.socket) -> None:
        self.name = name
        self.source = source
        self.sink = sink
        self.chunks: Deque[Tuple[float, bytes]] = deque()
        self.size = 0
        self.ended = False  # the source has sent FIN
        self.finished = False  # and so have we
        self.blocked = False  # the sink takes nothing at present
        self.next_send = 0.0
        self.tail = b""  # the last bytes forwarded, where a pattern may have begun

    def due(self, faults: _Faults) -> Optional[float]:
        """When the next byte may go; None if there is none."""
        if not self.chunks:
            return None
        return max(self.chunks[0][0] + faults.delay, self.next_send)

    def take(self, now: float, faults: _Faults, most: int) -> bytes:
        """The bytes that may go now, at most *most*."""
        due = self.due(faults)
        if due is None or due > now:
            return b""
        if self.name in faults.single:
            most = 1
        if faults.rate is not None:
            most = min(most, max(1, int(faults.rate / 20)))
        return self.chunks[0][1][:most]

    def drop(self, count: int, now: float, faults: _Faults) -> None:
        """These bytes are gone."""
        came, chunk = self.chunks.popleft()
        if count < len(chunk):
            self.chunks.appendleft((came, chunk[count:]))
        self.size -= count
        if faults.rate is not None:
            self.next_send = now + count / faults.rate


class _Link:
    """A client's connection and ours to the target."""

    def __init__(self, client: socket.socket, server: socket.socket, left: Optional[int]) -> None:
        self.sockets = (client, server)
        self.pipes = (_Pipe(TO_SERVER, client, server), _Pipe(TO_CLIENT, server, client))
        self.left = left  # bytes to the client until the cut

    def interests(self, now: float, faults: _Faults) -> List[Tuple[socket.socket, int]]:
        events: Dict[socket.socket, int] = dict.fromkeys(self.sockets, 0)
        if not faults.frozen:
            for pipe in self.pipes:
                if not pipe.ended and pipe.size < BUFFER:
                    events[pipe.source] |= selectors.EVENT_READ
                if pipe.blocked:
                    events[pipe.sink] |= selectors.EVENT_WRITE
        return list(events.items())

    def next_due(self, now: float, faults: _Faults) -> Optional[float]:
        """Seconds until something may be forwarded that may not yet; None if that depends on the sockets."""
        dues = [pipe.due(faults) for pipe in self.pipes if not pipe.blocked]
        times = [max(0.0, due - now) for due in dues if due is not None]
        return min(times) if times and not faults.frozen else None

    def receive(self, source: object, now: float) -> None:
        for pipe in self.pipes:
            if pipe.source is source and not pipe.ended and pipe.size < BUFFER:
                try:
                    data = pipe.source.recv(CHUNK)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if data:
                    pipe.chunks.append((now, data))
                    pipe.size += len(data)
                else:
                    pipe.ended = True

    def forward(self, now: float, faults: _Faults) -> bool:
        """Move what may be moved; whether the connection is to live on."""
        if faults.frozen:
            return True
        for pipe in self.pipes:
            if not self._forward_pipe(pipe, now, faults):
                return False
        return not all(pipe.finished for pipe in self.pipes)

    def _forward_pipe(self, pipe: _Pipe, now: float, faults: _Faults) -> bool:
        pipe.blocked = False
        while True:
            limited = pipe.name == TO_CLIENT and self.left is not None
            if limited and self.left == 0:
                return False
            data = pipe.take(now, faults, min(CHUNK, self.left) if limited and self.left is not None else CHUNK)
            if not data:
                break
            data, last = self._look_for_pattern(pipe, data, faults)
            try:
                sent = pipe.sink.send(data) if data else 0
            except BlockingIOError:
                pipe.blocked = True
                return True
            except OSError:
                return False
            pipe.drop(sent, now, faults)
            if faults.pattern is not None:
                pipe.tail = (pipe.tail + data[:sent])[-len(faults.pattern[0]) :]
            if limited and self.left is not None:
                self.left -= sent
            if last and sent == len(data):
                faults.pattern = None
                return False
            if pipe.name in faults.single:
                break  # one byte per turn
        if pipe.ended and not pipe.chunks and not pipe.finished:
            pipe.finished = True
            try:
                pipe.sink.shutdown(socket.SHUT_WR)
            except OSError:
                return False
        return True

    @staticmethod
    def _look_for_pattern(pipe: _Pipe, data: bytes, faults: _Faults) -> Tuple[bytes, bool]:
        """What of *data* is to be forwarded, and whether the cut follows."""
        if faults.pattern is None or pipe.name not in faults.pattern[1]:
            return data, False
        pattern, _, forward = faults.pattern
        before = pipe.tail[-(len(pattern) - 1) :] if len(pattern) > 1 else b""
        found = (before + data).find(pattern)
        if found < 0:
            return data, False
        start = found - len(before)
        return data[: start + len(pattern) if forward else max(0, start)], True


def _direction(name: str) -> Tuple[str, ...]:
    if name not in DIRECTIONS:
        raise ValueError(f"a direction is one of {', '.join(DIRECTIONS)}")
    return DIRECTIONS[name]
