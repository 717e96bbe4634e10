"""The context by which wss and https are verified, where the user gives none."""

from __future__ import annotations

import gc
import os
import select
import socket
import ssl
import struct
import weakref
from typing import Any, Callable, List

import pytest
import trustme

import xchws
from xchws.sandbox import RichamsterSandbox
from xchws.transports import tls


def test_all_who_use_it_at_the_same_time_share_one() -> None:
    first = tls.default()
    assert tls.default() is first
    assert first.verify_mode is ssl.CERT_REQUIRED and first.check_hostname
    remembered = weakref.ref(first)
    del first
    gc.collect()
    assert remembered() is None, "nobody uses it: the next one reads the certificates of its day"


def test_other_certificates_are_another_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    before = tls.default()
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(tmp_path / "none.pem"))
    assert tls.default() is not before


def test_none_is_made_where_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[ssl.SSLContext] = []
    make: Callable[..., ssl.SSLContext] = ssl.create_default_context

    def counted(*arguments: Any, **options: Any) -> ssl.SSLContext:
        made.append(make(*arguments, **options))
        return made[-1]

    gc.collect()  # a client of an earlier test that nobody uses any more would share its context
    monkeypatch.setattr(ssl, "create_default_context", counted)
    with RichamsterSandbox() as exchange, xchws.Richamster(url=exchange.url) as client:
        client.wait_ready(5)
    assert made == []
    mute = xchws.Richamster(url=f"wss://127.0.0.1:{exchange.port}/", backoff=xchws.Backoff(initial=0.01, maximum=0.01))
    third = mute.expect(xchws.Disconnected, where=lambda event: mute.status().attempt >= 3)
    mute.start()
    third.result(5)
    mute.stop()
    assert len(made) == 1, "one for all connections of a client"


def test_certificates_that_could_not_be_read_are_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    authority, server, place = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "authorities.pem"
    authority.issue_cert("127.0.0.1").configure_cert(server)
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(place))
    with RichamsterSandbox(ssl_context=server) as exchange:
        client = xchws.Richamster(url=exchange.url, backoff=xchws.Backoff(initial=0.01, maximum=0.01))
        refused = client.expect(xchws.Disconnected)
        client.start()
        assert "CERTIFICATE_VERIFY_FAILED" in str(refused.result(10).error)
        place.write_bytes(authority.cert_pem.bytes())
        client.wait_ready(10)
        client.stop()


def test_a_peer_that_has_reset_the_connection_leaves_no_descriptor_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()
    select.select([ours], [], [], 10)
    descriptor = ours.fileno()
    with pytest.raises(OSError) as refused:
        tls.wrapped(ssl.create_default_context(), ours, "localhost")
    assert isinstance(refused.value, ConnectionResetError) and ours.fileno() == -1
    with pytest.raises(OSError):
        os.fstat(descriptor)
