"""Peers that say something now and then and never come to an end: what is opened is bounded as a whole, and can be given up."""

from __future__ import annotations

import socket
import sys
import threading
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from websockets.sync.server import ServerConnection

import xchws
from tests.client.test_samples_over_sockets import peer
from xchws.sandbox import FaultProxy, IndodaxSandbox

TLS_RECORD = b"\x16\x03\x03\x40\x00"  # a handshake record of 16 KiB
NEVER_AGAIN = xchws.Backoff(initial=600, maximum=600)


class Dripping:
    """A server that says its piece to whoever connects, and then a byte every 20 ms for as long as the peer is there."""

    def __init__(self, piece: bytes, until: bytes) -> None:
        self.dripped = threading.Event()
        self.gone = threading.Event()
        self._piece = piece
        self._until = until
        self._closing = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def close(self) -> None:
        self._closing.set()
        socket.create_connection(self._server.getsockname()).close()
        for thread in self._threads:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        while True:
            sock, _ = self._server.accept()
            if self._closing.is_set():
                sock.close()
                return
            self._threads.append(threading.Thread(target=self._drip, args=(sock,)))
            self._threads[-1].start()

    def _drip(self, sock: socket.socket) -> None:
        with sock:
            try:
                heard = b""
                while self._until not in heard:
                    data = sock.recv(65536)
                    if not data:
                        return
                    heard += data
                sock.sendall(self._piece)
                while not self._closing.wait(0.02):
                    sock.sendall(b"a")
                    self.dripped.set()
            except OSError:
                pass  # the peer has gone, which is what it shall do
            finally:
                self.gone.set()


def listen(connection: ServerConnection) -> None:
    for _ in connection:
        pass


def helpers() -> List[threading.Thread]:
    return [thread for thread in threading.enumerate() if " dial" in thread.name or " job " in thread.name]


def all_end(threads: List[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(5)
    return not any(thread.is_alive() for thread in threads)


# What drips, what the peer says before, and what it waits for before that.
PHASES: Dict[str, Tuple[bytes, bytes]] = {
    "rest: status": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"\r\n\r\n"),
    "rest: body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"\r\n\r\n"),
    "rest: body without a length": (b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n\r\n"),
    "rest: TLS": (TLS_RECORD, b"\x16"),
    "handshake": (b"HTTP/1.1 101 Switching Protocols\r\nX-Long: ", b"\r\n\r\n"),
    "refusal's body": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n", b"\r\n\r\n"),
    "TLS": (TLS_RECORD, b"\x16"),
    "HTTP proxy": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"\r\n\r\n"),
    "SOCKS proxy": (b"\x05\x00\x05\x00\x00\x03\xff", b"\x05"),
}


@pytest.fixture
def dripping(request: pytest.FixtureRequest) -> Iterator[Dripping]:
    server = Dripping(*PHASES[request.param])
    yield server
    server.close()


def client_for(phase: str, port: int, indodax: IndodaxSandbox, **options: Any) -> xchws.Client:
    if phase.startswith("rest"):
        scheme = "https" if "TLS" in phase else "http"
        return xchws.Indodax(
            indodax.key, indodax.secret, url=indodax.url, rest_url=f"{scheme}://127.0.0.1:{port}", **options
        )
    if "proxy" in phase:
        scheme = "socks5h" if "SOCKS" in phase else "http"
        return xchws.Richamster(url="ws://feed.example/", proxy=f"{scheme}://127.0.0.1:{port}", **options)
    return xchws.Richamster(url=f"{'wss' if phase == 'TLS' else 'ws'}://127.0.0.1:{port}/", **options)


@pytest.fixture
def indodax() -> Iterator[IndodaxSandbox]:
    with IndodaxSandbox(seed=1) as exchange:
        yield exchange


@pytest.mark.parametrize(("dripping", "phase"), [(phase, phase) for phase in PHASES], indirect=["dripping"], ids=str)
def test_the_bound_holds_for_all_of_it(dripping: Dripping, phase: str, indodax: IndodaxSandbox) -> None:
    # On a busy machine a try may be over before it has come so far: then there is another one.
    again = xchws.Backoff(initial=0.01, maximum=0.01)
    with client_for(phase, dripping.port, indodax, open_timeout=0.4, backoff=again) as client:
        assert dripping.dripped.wait(20)
        working = helpers()
        assert isinstance(client.expect(xchws.Disconnected).result(10).error, xchws.ConnectionFailed)
        assert all_end(working), "a helper outlives open_timeout"
        assert dripping.gone.wait(5), "the connection is still open"


@pytest.mark.parametrize(("dripping", "phase"), [(phase, phase) for phase in PHASES], indirect=["dripping"], ids=str)
def test_stop_ends_it(dripping: Dripping, phase: str, indodax: IndodaxSandbox) -> None:
    with client_for(phase, dripping.port, indodax, open_timeout=600, backoff=NEVER_AGAIN) as client:
        assert dripping.dripped.wait(20)
        working = helpers()
        assert len(working) == 1
        assert client.stop(5)
    assert all_end(working), "a helper outlives stop()"
    assert dripping.gone.wait(5), "the connection is still open"


def test_a_job_beside_a_connection_is_bounded_too() -> None:
    with IndodaxSandbox(ttl=2) as exchange, FaultProxy("127.0.0.1", int(exchange.rest_url.split(":")[2])) as proxy:
        client = xchws.Indodax(
            exchange.key, exchange.secret, url=exchange.url, rest_url=proxy.url(exchange.rest_url), open_timeout=1.0
        )
        with client:
            client.wait_ready(5)
            failure = client.expect(xchws.Failure)
            proxy.freeze()
            error = failure.result(5).error
            assert "/api/private_ws/v1/generate_token failed: not done within 1 s" in str(error)
            assert all_end([thread for thread in helpers() if "job" in thread.name])
            assert client.status().state is xchws.State.READY


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not end a connect by a shutdown")
def test_stop_ends_a_tcp_connect() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:  # the kernel takes one or two of them, and no more
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        client = xchws.Richamster(url=f"ws://127.0.0.1:{full.getsockname()[1]}/", open_timeout=600)
        client.start()
        working = helpers()
        assert client.stop(5)
        assert all_end(working)
        for sock in waiting:
            sock.close()


@pytest.fixture
def stuck_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tuple[threading.Event, threading.Event]]:
    """A resolver that takes its time over one name: when it was asked, and when it shall answer."""
    asked, answer = threading.Event(), threading.Event()
    genuine = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "slow.example":
            asked.set()
            assert answer.wait(30)
            host = "127.0.0.1"
        return genuine(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked, answer
    answer.set()


def test_a_resolver_that_hangs_keeps_nobody(stuck_resolver: Tuple[threading.Event, threading.Event]) -> None:
    asked, answer = stuck_resolver
    opened: List[Any] = []
    with peer(opened.append) as url:
        client = xchws.Richamster(url=url.replace("127.0.0.1", "slow.example"), open_timeout=0.3, backoff=NEVER_AGAIN)
        down = client.expect(xchws.Disconnected)
        client.start()
        assert asked.wait(5)
        working = helpers()
        error = down.result(5).error
        assert "not ready within 0.3 s: it was still being dialled" in str(error)
        assert client.stop(5)
        answer.set()
        assert all_end(working)
    assert opened == [], "what came too late is not dialled any more"


def test_an_address_that_hangs_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full, peer(listen) as url:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        genuine = socket.getaddrinfo

        def look_up(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
            ways = genuine("127.0.0.1", port, *arguments, **options)
            return [(*way[:4], full.getsockname()) for way in ways] + ways if host == "two.example" else ways

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with xchws.Richamster(url=url.replace("127.0.0.1", "two.example"), open_timeout=2.0) as client:
            client.wait_ready(5)
            assert client.status().attempt == 0 and client.status().last_error is None
        for sock in waiting:
            sock.close()


class Answering:
    """A server that answers whatever it is asked with these bytes, and hangs up when the peer does."""

    def __init__(self, answer: bytes, again: int = 1) -> None:
        self._answer = answer
        self._again = again
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"ws://127.0.0.1:{self._server.getsockname()[1]}/"

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: Any) -> None:
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        sock, _ = self._server.accept()
        with sock:
            heard = b""
            while b"\r\n\r\n" not in heard:
                heard += sock.recv(65536)
            try:
                for _ in range(self._again):
                    sock.sendall(self._answer)
                while sock.recv(65536):
                    pass
            except OSError:
                pass  # the peer has had enough


def refusal(answer: bytes, again: int = 1) -> Any:
    with Answering(answer, again) as server:
        client = xchws.Richamster(url=server.url, backoff=NEVER_AGAIN)
        down = client.expect(xchws.Disconnected)
        with client:
            return down.result(5).error


@pytest.mark.parametrize("piece", [b"a", b"X-Header: again\r\n"], ids=["one line", "many headers"])
def test_a_flood_of_headers(piece: bytes) -> None:
    error = refusal(b"HTTP/1.1 101 Switching Protocols\r\nX-Long: " + piece * 10_000, again=1_000)
    assert isinstance(error, xchws.OpenFailed) and "more than 65536 bytes" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot today",
        b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n6\r\n today\r\n0\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10000000000000\r\n\r\nnot today",
    ],
    ids=["length", "chunked", "absurd length"],
)
def test_a_refusal_is_read_whole(answer: bytes) -> None:
    error = refusal(answer)
    assert isinstance(error, xchws.HandshakeRejected)
    assert (error.status, error.body) == (403, "not today")


def test_a_refusal_with_a_page() -> None:
    error = refusal(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 9000000\r\n\r\n" + b"<p>busy</p>" * 10_000)
    assert isinstance(error, xchws.HandshakeRejected)
    assert (error.status, error.retry_after) == (503, 7.0) and "busy" in error.body


@pytest.mark.parametrize(
    "answer", [b"\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 \xff\r\n\r\n", b"HTTP/1.1 101\r\n\r\n"]
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    assert type(refusal(answer)) is xchws.OpenFailed
