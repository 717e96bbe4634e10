"""TLS on the server's side, before a byte of it was spoken."""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct

import pytest

from xchws.sandbox import tls


def test_a_client_that_resets_at_once_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        sock, _ = listener.accept()
        descriptor = sock.fileno()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
        client.close()
        assert select.select([sock], [], [], 10)[0], "the reset has come"
        with pytest.raises(OSError):
            tls.accepted(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), sock)
        with pytest.raises(OSError):
            os.fstat(descriptor)
