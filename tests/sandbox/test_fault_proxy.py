"""The fault proxy, with a plain TCP server behind it that sends back what it gets."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Iterator

import pytest

from xchws.sandbox import FaultProxy

WAIT = 5.0


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while True:
                data = self.request.recv(65536)
                if not data:
                    return
                self.request.sendall(data)
        except OSError:
            return  # reset, as some tests want it


@pytest.fixture
def echo() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: socketserver.ThreadingTCPServer) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", echo.server_address[1]) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT) as sock:
        proxy.wait_for_connection()
        yield sock


def exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += sock.recv(count - len(data)) or pytest.fail(f"ended after {data!r}")
    return data


def to_the_end(sock: socket.socket) -> bytes:
    data = b""
    while True:
        piece = sock.recv(65536)
        if not piece:
            return data
        data += piece


def test_it_forwards_and_rewrites_urls(proxy: FaultProxy, client: socket.socket) -> None:
    payload = bytes(range(256)) * 4000
    sender = threading.Thread(target=client.sendall, args=(payload,))
    sender.start()
    assert exactly(client, len(payload)) == payload
    sender.join()
    assert (proxy.connections, proxy.accepted) == (1, 1)
    assert proxy.url(of="ws://example.org:9/a/b?c=d") == f"ws://127.0.0.1:{proxy.port}/a/b?c=d"


def test_a_half_close_passes(proxy: FaultProxy, client: socket.socket) -> None:
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert to_the_end(client) == b"last words"
    proxy.wait_for_no_connection()


def test_cut(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.cut()
    assert proxy.connections == 0
    assert client.recv(1) == b""


def test_reset(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_freeze_and_thaw(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.freeze()
    client.sendall(b"x")
    client.settimeout(0.1)
    with pytest.raises(socket.timeout):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT):
        proxy.wait_for_connection(n=2)
        client.settimeout(WAIT)
        proxy.thaw()
        assert client.recv(1) == b"x"


def test_delayed_throttled_and_byte_by_byte_lose_nothing(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.delay(0.02)
    client.sendall(b"delayed")
    assert exactly(client, 7) == b"delayed"
    proxy.throttle(2000)
    client.sendall(b"t" * 300)
    assert exactly(client, 300) == b"t" * 300
    proxy.clear()
    proxy.byte_by_byte()
    client.sendall(b"0123456789" * 20)
    assert exactly(client, 200) == b"0123456789" * 20


def test_truncate_after(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.truncate_after(5)
    client.sendall(b"0123456789")
    assert to_the_end(client) == b"01234"
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT) as another:
        another.sendall(b"abcdefgh")
        assert to_the_end(another) == b"abcde"


@pytest.mark.parametrize(
    ("forward", "passed"), [(True, b"before SECRET"), (False, b"before ")], ids=["after it", "before it"]
)
def test_cut_on_a_pattern(proxy: FaultProxy, client: socket.socket, forward: bool, passed: bytes) -> None:
    proxy.cut_on(b"SECRET", forward=forward)
    client.sendall(b"before SECRET after")
    assert to_the_end(client) == passed


def test_cut_on_a_pattern_in_pieces(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.byte_by_byte()
    proxy.cut_on(b"TT", "to_server")
    client.sendall(b"aTbTTc")
    assert b"aTbTT".startswith(to_the_end(client))
    proxy.wait_for_no_connection()


def test_refused_and_accepted_connections(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.refuse_connections()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), WAIT)
    client.sendall(b"still")
    assert exactly(client, 5) == b"still"
    proxy.accept_connections()
    with socket.create_connection(("127.0.0.1", proxy.port), WAIT) as another:
        another.sendall(b"again")
        assert exactly(another, 5) == b"again"


def test_the_port_is_nobody_elses_while_connections_are_refused(proxy: FaultProxy) -> None:
    proxy.refuse_connections()
    with socket.socket() as thief, pytest.raises(OSError):
        thief.bind(("127.0.0.1", proxy.port))
    proxy.close()
    with socket.create_server(("127.0.0.1", proxy.port)):
        pass  # from here on it is anybody's


def test_memory_stays_bounded(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.delay(60)
    client.settimeout(0.2)
    with pytest.raises(socket.timeout):
        while True:
            client.send(b"x" * 65536)
    [link] = proxy._links
    assert 0 < link.pipes[0].size < 300_000


def test_wrong_words_and_wrong_times(proxy: FaultProxy) -> None:
    with pytest.raises(ValueError, match="to_client"):
        proxy.byte_by_byte("sideways")
    with pytest.raises(ValueError, match="bytes_per_second"):
        proxy.throttle(0)
    with pytest.raises(ValueError, match="pattern"):
        proxy.cut_on(b"")
    with pytest.raises(TimeoutError):
        proxy.wait_for_connection(0.05)
    stopped = FaultProxy("127.0.0.1", 1)
    with pytest.raises(RuntimeError):
        stopped.cut()


def test_a_dead_target_ends_the_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with FaultProxy("127.0.0.1", taken.getsockname()[1]) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port), WAIT) as client:
                assert client.recv(1) == b""
        proxy.close()
