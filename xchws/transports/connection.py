"""Connection: one open WebSocket connection. Bytes are read and written here; the Dialler has made it.

It belongs to the owner thread alone. Nothing else of xchws sees an open socket, and no foreign exception leaves this room.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import List, Optional

from xchws.credentials import Secrets
from xchws.errors import ConnectionLost
from xchws.sansio import frames

_READ = 64 * 1024
_READ_ROUNDS = 16  # TLS gives one record (16 KiB at most) per read: so many make one batch
_MAX_UNSENT = 4 * 1024 * 1024  # bytes; what we send is small, so a peer that lets this much pile up reads no more


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
            # A forked child may have a copy of the descriptor: the peer shall see the end all the same.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass  # the peer has ended it
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
