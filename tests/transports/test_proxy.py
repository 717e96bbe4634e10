"""Through proxies: HTTP CONNECT and SOCKS 5, by argument and by environment, the stream and the REST call alike."""

from __future__ import annotations

import base64
import socket
import struct
import threading
from typing import Callable, Iterator, List, Optional, Tuple

import pytest

import xchws
from xchws.errors import ConfigurationError
from xchws.sandbox import IndodaxSandbox
from xchws.transports.proxy import Proxy, environment_proxy

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class ProxyServer:
    """A proxy that speaks just enough: it notes where each client wants to go, and carries bytes both ways."""

    def __init__(self, greet: Callable[[ProxyServer, socket.socket], Optional[Tuple[socket.socket, bytes]]]) -> None:
        self.greet = greet
        self.asked: List[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: List[socket.socket] = [self._server]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def close(self) -> None:
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # not connected any more
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._sockets.append(client)
            self._run(self._serve, client)

    def _run(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            met = self.greet(self, client)
            if met is None:
                client.close()
                return
            upstream, first = met
            self._sockets.append(upstream)
            upstream.sendall(first)
        except OSError:
            return
        self._run(_pump, client, upstream)
        _pump(upstream, client)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other direction has ended it


def read_head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(4096)
        if not data:
            raise OSError("gone")
        head += data
    return head


def http_greeting(server: ProxyServer, client: socket.socket) -> Optional[Tuple[socket.socket, bytes]]:
    """CONNECT for the stream, a request with the whole address for plain REST; user and password are wanted."""
    head = read_head(client)
    method, target, version = head.split(b"\r\n", 1)[0].decode().split(" ")
    server.asked.append(f"{method} {target}")
    if f"Basic {base64.b64encode(b'me:pass word').decode()}".encode() not in head:
        client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return None
    if method == "CONNECT":
        host, port = target.split(":")
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return socket.create_connection((host, int(port))), b""
    host, path = target[len("http://") :].split("/", 1)
    rest = head.split(b"\r\n", 1)[1]
    address = host.split(":")
    return socket.create_connection((address[0], int(address[1]))), f"{method} /{path} {version}\r\n".encode() + rest


def socks_greeting(server: ProxyServer, client: socket.socket) -> Optional[Tuple[socket.socket, bytes]]:
    """SOCKS 5 without authentication (RFC 1928)."""
    methods = client.recv(2)[1]
    client.recv(methods)
    client.sendall(b"\x05\x00")
    kind = client.recv(4)[3]
    if kind == 1:
        host = socket.inet_ntoa(client.recv(4))
    else:
        host = client.recv(client.recv(1)[0]).decode()
    (port,) = struct.unpack("!H", client.recv(2))
    server.asked.append(f"socks {host}:{port}")
    upstream = socket.create_connection((host, port))
    client.sendall(b"\x05\x00\x00\x01" + bytes(6))
    return upstream, b""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def http_proxy() -> Iterator[ProxyServer]:
    server = ProxyServer(http_greeting)
    yield server
    server.close()


@pytest.fixture
def socks_proxy() -> Iterator[ProxyServer]:
    server = ProxyServer(socks_greeting)
    yield server
    server.close()


def trade(exchange: IndodaxSandbox, proxy: Optional[str]) -> None:
    client = xchws.Indodax(exchange.key, exchange.secret, url=exchange.url, rest_url=exchange.rest_url, proxy=proxy)
    with client:
        client.wait_ready(10)
        order = client.expect(xchws.Order)
        exchange.place("btcidr", "BUY", "1", "1")
        order.result(5)
    assert exchange.complaints == []


def test_an_http_proxy_by_argument(http_proxy: ProxyServer) -> None:
    with IndodaxSandbox() as exchange:
        trade(exchange, f"http://me:pass%20word@127.0.0.1:{http_proxy.port}")
    assert [asked.split(" ")[0] for asked in http_proxy.asked] == ["POST", "CONNECT"]


def test_an_http_proxy_by_environment(http_proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:pass%20word@127.0.0.1:{http_proxy.port}")
    monkeypatch.setenv("http_proxy", f"http://me:pass%20word@127.0.0.1:{http_proxy.port}")
    with IndodaxSandbox() as exchange:
        trade(exchange, None)
        assert [asked.split(" ")[0] for asked in http_proxy.asked] == ["POST", "CONNECT"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        trade(exchange, None)
    assert len(http_proxy.asked) == 2, "127.0.0.1 is reached without the proxy"


def test_a_proxy_that_refuses(http_proxy: ProxyServer) -> None:
    with IndodaxSandbox() as exchange:
        client = xchws.Indodax(
            exchange.key,
            exchange.secret,
            url=exchange.url,
            rest_url=exchange.rest_url,
            proxy=f"http://me:wrong@127.0.0.1:{http_proxy.port}",
        )
        down = client.expect(xchws.Disconnected)
        with client:
            error = down.result(5).error
    assert isinstance(error, xchws.OpenFailed) and "407" in str(error)
    assert "wrong" not in str(error)
    assert exchange.handshakes == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy(socks_proxy: ProxyServer, scheme: str) -> None:
    pytest.importorskip("socks", reason='the extra "socks" is not installed')
    with IndodaxSandbox() as exchange:
        trade(exchange, f"{scheme}://127.0.0.1:{socks_proxy.port}")
    assert len(socks_proxy.asked) == 2


def test_a_socks_proxy_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r'pip install "xchws\[socks\]"'):
        Proxy.parse("socks5://127.0.0.1:1080")


@pytest.mark.parametrize(
    "url", ["proxy:1", "http://", "http://[::1", "http://h:1/path", "http://h:99999", 3, "gopher://h:1"]
)
def test_what_is_no_proxy(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Proxy.parse(url)
    assert refused.value.argument == "proxy"


def test_user_and_password_are_not_shown() -> None:
    proxy = Proxy.parse("http://me:pass%20word@proxy.example:8080")
    assert (proxy.user, proxy.password) == ("me", "pass word")
    assert "me" not in repr(proxy).replace("scheme", "") and "pass" not in repr(proxy)


def test_the_environment_by_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "secure.example:3128")
    monkeypatch.setenv("https_proxy", "secure.example:3128")
    found = environment_proxy("wss://stream.example/ws")
    assert found is not None and (found.scheme, found.host, found.port) == ("http", "secure.example", 3128)
    assert environment_proxy("ws://stream.example/ws") is None
