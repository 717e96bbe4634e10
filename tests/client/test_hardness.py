"""What a hard life brings: each of these has once ended a thread, lost something or shown a secret."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import sys
import threading
from typing import Any, Callable, List

import pytest
import trustme
from websockets.sync.server import ServerConnection

import xchws
from tests.client.test_samples_over_sockets import peer
from tests.client.test_stopping import START, arguments, run
from xchws.sandbox import IndodaxSandbox, RichamsterSandbox

Make = Callable[..., Any]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Incomparable:
    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]  # like an array's


def test_an_exception_without_a_text(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    errors: List[Any] = []
    client = make_indodax(on_error=errors.append)

    def raises(order: xchws.Order) -> None:
        raise Unspeakable

    client.on_order(raises)
    client.start(5)
    seen = client.expect(xchws.Order, symbol="ethidr")
    for symbol in ("btcidr", "ethidr"):
        indodax.place(symbol, "BUY", "1", "1")
    seen.result(5)
    assert client.stop() and len(errors) == 2
    assert client.status().undelivered == 0 and client.status().backlog == 0


@pytest.mark.parametrize("when_slow", ["queue", "latest"])
def test_a_filter_that_cannot_be_compared(richamster: RichamsterSandbox, make_richamster: Make, when_slow: str) -> None:
    client = make_richamster()
    client.on_ticker(print, when_slow=when_slow, last=Incomparable())
    stream = client.events(xchws.Ticker, last=Incomparable())
    client.start(5)
    client.subscribe_ticker("BTC/UAH").wait(5)
    seen = client.expect(xchws.Ticker)
    richamster.ticker("BTC/UAH", 1)
    seen.result(5)
    with pytest.raises(xchws.CallbackError):
        next(stream)
    assert client.status().threads_alive and client.status().state is xchws.State.READY


def test_a_where_that_exits(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    seen = client.expect(xchws.Order, where=lambda order: sys.exit(3))
    indodax.place("btcidr", "BUY", "1", "1")
    with pytest.raises(xchws.CallbackError):
        seen.result(5)
    assert client.status().threads_alive


def test_a_wait_of_a_month(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax(ping_interval=3_000_000.0)
    indodax.refuse(503, "", {"Retry-After": "3000000"}, times=1)
    waits = client.expect(xchws.Disconnected)
    client.start()
    assert waits.result(5).retry_in >= 3_000_000
    assert client.status().state is xchws.State.WAITING and client.status().threads_alive


def test_a_first_message_in_the_tls_record_of_the_handshake() -> None:
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    message = b'{"type":"error","message":"hello"}'
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def speak() -> None:
            plain, _ = listening.accept()
            with server.wrap_socket(plain, server_side=True) as sock:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += sock.recv(4096)
                key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
                accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
                sock.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + bytes((0x81, len(message))) + message
                )
                while sock.recv(4096):
                    pass

        thread = threading.Thread(target=speak)
        thread.start()
        client = xchws.Richamster(url=f"wss://127.0.0.1:{listening.getsockname()[1]}/", tls=trusting)
        said = client.expect(xchws.Failure, where=lambda failure: "hello" in str(failure.error))
        with client:
            said.result(5)
        thread.join()


def test_the_users_tls_context_is_left_as_it_is(make_indodax: Make) -> None:
    authority = trustme.CA()
    server, pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(pinned)
    before = pinned.cert_store_stats(), pinned.verify_mode
    with IndodaxSandbox(ssl_context=server) as exchange:
        client = make_indodax(url=exchange.url, rest_url=exchange.rest_url, tls=pinned)
        client.start(5)
        client.stop()
    assert (pinned.cert_store_stats(), pinned.verify_mode) == before


def test_a_certificate_of_an_unknown_authority_is_refused(make_indodax: Make) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)
    with IndodaxSandbox(ssl_context=server) as exchange, IndodaxSandbox() as plain:
        for options in ({"rest_url": exchange.rest_url}, {"url": exchange.url}):
            client = make_indodax(**{"url": plain.url, "rest_url": plain.rest_url, **options})
            down = client.expect(xchws.Disconnected)
            client.start()
            error = down.result(5).error
            assert isinstance(error, xchws.OpenFailed) and "CERTIFICATE_VERIFY_FAILED" in str(error)
        assert exchange.rest_requests == [] and exchange.handshakes == []


def test_an_error_keeps_nothing_of_what_was_sent(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    indodax.refuse_rest(500, "oops")
    client = make_indodax()
    down = client.expect(xchws.Disconnected)
    client.start()
    trace = down.result(5).error.__traceback__
    while trace is not None:
        assert indodax.key not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


def test_a_secret_that_comes_back_escaped() -> None:
    token = 'ab/cd"ef/0123456789'
    told: List[str] = []

    def script(connection: ServerConnection) -> None:
        connection.send('{"broken": "ab\\/cd\\"ef\\/0123456789"')
        connection.send('{"whole": "ab/cd\\"ef/0123456789"}')
        for _ in connection:
            pass

    with peer(script) as url:
        client = xchws.Richamster(token, url=url, on_message=lambda message: told.append(repr(message)))
        failure, whole = client.expect(xchws.Failure), client.expect(xchws.Other)
        with client:
            told.append(str(failure.result(5).error))
            whole.result(5)
    assert len(told) == 3 and all("0123456789" not in text for text in told)


def test_off_takes_back_what_waits(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client = make_richamster()
    entered, go_on = threading.Event(), threading.Event()
    got: List[Any] = []

    @client.on_connect  # type: ignore[untyped-decorator]  # the fixture gives Any
    def hold(event: xchws.Connected) -> None:
        entered.set()
        assert go_on.wait(10)

    client.on_ticker(got.append, when_slow="latest")
    client.start(5)
    assert entered.wait(5)
    client.subscribe_ticker("BTC/UAH").wait(5)
    seen = client.expect(xchws.Ticker)
    richamster.ticker("BTC/UAH", 1)
    seen.result(5)
    client.off(got.append)
    go_on.set()
    client.stop()
    assert got == []


def test_run_forever_ends_with_stop_even_behind_a_busy_callback(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    go_on = threading.Event()

    def busy(event: xchws.Connected) -> None:
        threading.Thread(target=client.stop, args=(0.2,)).start()
        assert go_on.wait(10)

    client.on_connect(busy)
    client.run_forever()
    go_on.set()
    assert client.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_child_forked_in_a_callback_delivers_nothing(indodax: IndodaxSandbox) -> None:
    code = START + (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "me, children = os.getpid(), []\n"
        "def told(order):\n"
        "    if not children:\n"
        "        children.append(os.fork())\n"
        "        if not children[0]: return\n"
        "    print('parent' if os.getpid() == me else 'CHILD', order.exchange_status, flush=True)\n"
        "client.on_order(told)\n"
        "done = client.expect(xchws.Order, exchange_status='DONE')\n"
        "client.start(10); print('ready', flush=True); done.result(10); client.stop()\n"
        "os.kill(children[0], 9); os.waitpid(children[0], 0)\n"
    )
    program = run(code, *arguments(indodax))
    assert program.stdout is not None and program.stdout.readline() == "ready\n"
    with indodax.one_frame():
        indodax.fill(indodax.place("btcidr", "BUY", "1", "1"))
    out, error = program.communicate(timeout=30)
    assert (out, error, program.returncode) == ("parent NEW\nparent FILL\nparent DONE\n", "", 0)
