"""A peer that is no exchange: for each connection a script of bytes. And a port that answers no SYN."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import struct
import threading
from types import TracebackType
from typing import Callable, List, Optional, Type

from xchws.sandbox import tls

HOST = "127.0.0.1"
Script = Callable[[socket.socket], None]


class Peer:
    """Listens on 127.0.0.1 while the context lasts; `script` has each connection, which ends when it returns.

    Args:
        tls: take the connections with it; a handshake that fails ends the connection.
    """

    def __init__(self, script: Script, tls: Optional[ssl.SSLContext] = None) -> None:
        self._script = script
        self._tls = tls
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: List[socket.socket] = []
        self._reached = threading.Event()
        self._threads = [threading.Thread(target=self._accept, name="peer")]

    def __enter__(self) -> Peer:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], raised: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for sock in (self._listener, *self._open):
            shut(sock)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def wait(self, timeout: float = 10.0) -> None:
        """Wait until there has been a connection.

        Raises:
            TimeoutError: there was none.
        """
        if not self._reached.wait(timeout):
            raise TimeoutError("nobody connects")

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._reached.set()
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), name="peer-connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._tls is not None:
                sock = secured = tls.accepted(self._tls, sock)
                secured.do_handshake()
            self._script(sock)
        except OSError:
            pass  # the client is gone, or does not like us
        finally:
            sock.close()


def shut(sock: socket.socket) -> None:
    """Wake whoever waits on it."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # nobody does


def request(sock: socket.socket) -> bytes:
    """Read the head of an HTTP request."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(65536)
        if not piece:
            break
        head += piece
    return head


def request_only(sock: socket.socket) -> None:
    """Read the request, and end the connection."""
    request(sock)


def answer(text: bytes) -> Script:
    """Answer the request with this, whatever it is, and end."""

    def script(sock: socket.socket) -> None:
        request(sock)
        sock.sendall(text)
        sock.shutdown(socket.SHUT_WR)
        until_gone(sock)

    return script


def upgraded(greeting: bytes = b"", then: Script = lambda sock: None) -> Script:
    """Take the WebSocket handshake as it should be (RFC 6455, section 4.2.2), say these bytes, and go on with a script."""

    def script(sock: socket.socket) -> None:
        key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", request(sock))
        if key is None:
            return  # the client is gone
        accept = base64.b64encode(hashlib.sha1(key.group(1) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + greeting
        )
        then(sock)

    return script


def until_gone(sock: socket.socket) -> None:
    """Say nothing until the client goes away."""
    while sock.recv(65536):
        pass


def reset(sock: socket.socket) -> None:
    """End the connection by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Deaf:
    """A port on which connecting goes on without end while the context lasts: the queue of the listener is full."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0), backlog=0)
        self.port: int = self._listener.getsockname()[1]
        self._queued: List[socket.socket] = []

    def __enter__(self) -> Deaf:
        for _ in range(16):  # how long the shortest queue is depends on the system: 1 on Linux
            waiting = socket.socket()
            self._queued.append(waiting)
            waiting.settimeout(0.05)
            try:
                waiting.connect((HOST, self.port))
            except socket.timeout:
                return self  # this one found the queue full
        raise OSError("this system's queue of connections has no end")

    def __exit__(
        self, kind: Optional[Type[BaseException]], raised: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for sock in (*self._queued, self._listener):
            sock.close()
