"""HandshakeStream: the socket as websocket-client sees it during its handshake: bounded in time and size, and remembered.

Each release of websocket-client shows the answer that refused a handshake in another way, and none reads a body without a
Content-Length. So what it has read is kept here, and http.client reads the answer from the beginning.
"""

from __future__ import annotations

import io
import socket
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Mapping, Optional

import attrs

from xchws import clock
from xchws.transports.scope import CancelScope

_MAX_ANSWER = 64 * 1024  # bytes, a refusal's body included; an honest answer has less than 2 KiB
_BODY_PATIENCE = 2.0  # seconds for the rest of a refusal's body: its status tells the most


@attrs.frozen
class Reply:
    """The answer to a handshake: its status, its headers (names in lower case) and the beginning of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HandshakeStream(io.RawIOBase):
    """Stands in for a socket; whoever made that closes it."""

    def __init__(self, sock: socket.socket, scope: CancelScope) -> None:
        self._socket = sock
        self._scope = scope
        self._seen = bytearray()
        self._reread = 0  # how much of that http.client has had
        self._until = 0.0

    # ------------------------------------------------------------------------------------------- for websocket-client

    def send(self, data: bytes) -> int:
        """As socket.send; everything is sent."""
        self._socket.settimeout(self._scope.remaining())
        self._socket.sendall(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        """As socket.recv.

        Raises:
            Cancelled: the scope has ended.
            OSError: the answer is too long, or the connection failed.
        """
        room = _MAX_ANSWER - len(self._seen)
        if self._seen.endswith((b"\r\n\r\n", b"\n\n")):
            raise OSError("the answer to the handshake is a refusal")  # its body is for http.client
        if not room:
            raise OSError(f"the answer to the handshake has more than {_MAX_ANSWER} bytes")
        self._socket.settimeout(self._scope.remaining())
        data = self._socket.recv(min(size, room))
        self._seen += data
        return data

    def gettimeout(self) -> Optional[float]:
        """As socket.gettimeout."""
        return self._socket.gettimeout()

    def fileno(self) -> int:
        """As socket.fileno."""
        return self._socket.fileno()

    def close(self) -> None:
        """Nothing: websocket-client closes it before the refusal has been read."""

    # ------------------------------------------------------------------------------------------------ for http.client

    def makefile(self, mode: str) -> io.BufferedReader:
        """As socket.makefile, for reading."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What websocket-client has read, then what comes after it; the end where nothing more can be had."""
        data = bytes(self._seen[self._reread : self._reread + len(buffer)]) or self._read_on(len(buffer))
        self._reread += len(data)
        buffer[: len(data)] = data
        return len(data)

    def _read_on(self, size: int) -> bytes:
        room = _MAX_ANSWER - len(self._seen)
        try:
            self._socket.settimeout(min(self._scope.remaining(), max(0.001, self._until - clock.monotonic())))
            data = self._socket.recv(min(size, room))
        except OSError:
            return b""
        self._seen += data
        return data

    # --------------------------------------------------------------------------------------------------- for who dials

    def reply(self) -> Optional[Reply]:
        """What the server has answered; None if that was no HTTP."""
        self._reread = 0
        self._until = clock.monotonic() + _BODY_PATIENCE
        response = HTTPResponse(self)  # type: ignore[arg-type]  # of a socket it wants makefile only
        try:
            response.begin()
            headers = {name.lower(): value for name, value in response.headers.items()}
            try:
                body = response.read(_MAX_ANSWER)
            except IncompleteRead as error:
                body = error.partial
        except (HTTPException, OSError, ValueError):
            return None
        return Reply(response.status, headers, body)
