"""Faults of a connection that is being made: its name, TCP, TLS, and the WebSocket's handshake."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate
from typing import Any, Callable, Dict, List, Optional, Type

import xchws
from tests.faults import certificates, peer
from tests.faults.fault import Fault
from tests.faults.outcomes import Outcome, Ready, Stopped, as_told
from tests.faults.trial import WAIT, Trial
from xchws.errors import AuthenticationFailed, ConfigurationError, HandshakeRejected, OpenFailed

UNOPENED = Ready(as_told, OpenFailed)
REFUSED = Ready(as_told, HandshakeRejected)
OPEN_TIMEOUT = 10.0  # seconds: the client's default
MANY = 6  # tries: more than any client takes for a sign that it will never be otherwise
BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
FAULTS: List[Fault] = []


def fault(phase: str, name: str, outcome: Outcome = UNOPENED, **more: Any) -> Callable[[Callable[[Trial], Any]], Any]:
    """Makes a fault of the function under it."""

    def make(inject: Callable[[Trial], Any]) -> Any:
        FAULTS.append(Fault(phase, name, inject, outcome, opening=True, **more))
        return inject

    return make


def frozen_then(trial: Trial, act: Callable[[], None]) -> None:
    """The peer takes the connection and says nothing; then this is done to it."""
    trial.proxy.freeze()
    trial.dial()
    trial.proxy.wait_for_connection(WAIT)
    act()
    trial.failed(OpenFailed)
    trial.proxy.thaw()


def led_to(trial: Trial, script: peer.Script, tls: Optional[str] = None) -> xchws.Disconnected:
    """Every try meets this peer instead, until one has failed: that one's end."""
    with trial.detour(script, None if tls is None else certificates.server(tls)):
        trial.dial()
        return trial.failed(OpenFailed)


def mute(trial: Trial) -> None:
    """The peer takes the connection and never says a word: the client waits as long as it does, and gives up."""
    with trial.detour(peer.until_gone) as other:
        trial.dial()
        other.wait()
        trial.leap(OPEN_TIMEOUT)
        trial.failed(OpenFailed)


# ------------------------------------------------------------------------------------------------------- name and TCP


@fault("DNS", "the name is unknown", named=True)
def unknown_name(trial: Trial) -> None:
    trial.astray[trial.proxy.port] = None
    trial.dial()
    trial.failed(OpenFailed)
    trial.failed(OpenFailed)
    trial.astray.clear()


@fault("TCP connect", "refused")
def refused(trial: Trial) -> None:
    trial.proxy.refuse_connections()
    trial.dial()
    trial.failed(OpenFailed)
    trial.failed(OpenFailed)
    trial.proxy.accept_connections()


@fault("TCP connect", "never answered", named=True)
def deaf(trial: Trial) -> None:
    with peer.Deaf() as other:
        trial.astray[trial.proxy.port] = other.port
        before = trial.dialled
        trial.dial()
        trial.sandbox.wait_until(lambda: trial.dialled > before)
        trial.leap(OPEN_TIMEOUT)
        trial.failed(OpenFailed)
        trial.astray.clear()


@fault("TCP connect", "cut at once")
@fault("TLS", "cut at once", tls=True)
def cut_at_once(trial: Trial) -> None:
    trial.proxy.truncate_after(0)
    trial.dial()
    trial.failed(OpenFailed)
    trial.failed(OpenFailed)
    trial.proxy.clear()


@fault("TCP connect", "reset at once")
@fault("TLS", "reset at once", tls=True)
def reset_at_once(trial: Trial) -> None:
    led_to(trial, peer.reset)


# ---------------------------------------------------------------------------------------------------------------- TLS


@fault("TLS", "cut in the middle of the handshake", tls=True)
@fault("HTTP handshake", "cut in the middle of the answer")
def cut_in_the_middle(trial: Trial) -> None:
    trial.proxy.truncate_after(60)
    trial.dial()
    trial.failed(OpenFailed)
    trial.failed(OpenFailed)
    trial.proxy.clear()


fault("TLS", "reset while the answer is awaited", tls=True)(lambda trial: frozen_then(trial, trial.proxy.reset))
fault("TLS", "never answered", tls=True)(mute)
fault("TLS", "the peer speaks no TLS", tls=True)(
    lambda trial: led_to(trial, lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
)


def untrusted(kind: str) -> Callable[[Trial], None]:
    """A certificate that must not be taken."""

    def inject(trial: Trial) -> None:
        assert "certificate" in str(led_to(trial, peer.until_gone, kind).error).lower()

    return inject


for _kind in ("expired", "another host", "unknown authority"):
    fault("TLS", f"certificate: {_kind}", tls=True)(untrusted(_kind))

fault("TLS", "cut after the handshake", tls=True)(lambda trial: led_to(trial, peer.request_only, "good"))


# --------------------------------------------------------------------------------------------------------------- HTTP

fault("HTTP handshake", "cut while the answer is awaited")(lambda trial: frozen_then(trial, trial.proxy.cut))
fault("HTTP handshake", "reset while the answer is awaited")(lambda trial: frozen_then(trial, trial.proxy.reset))
fault("HTTP handshake", "never answered")(mute)


def saying(text: bytes) -> Callable[[Trial], Any]:
    """An answer that is none."""
    return lambda trial: led_to(trial, peer.answer(text))


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
for _name, _text in (
    ("an answer that is no HTTP", b"220 mail.example ESMTP ready\r\n"),
    ("an answer with a wrong Sec-WebSocket-Accept", SWITCHING + b"Sec-WebSocket-Accept: bm8=\r\n\r\n"),
    ("an answer without Upgrade", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ("an empty answer", b""),
):
    fault("HTTP handshake", _name)(saying(_text))


@fault("HTTP handshake", "headers without end")
def endless_headers(trial: Trial) -> None:
    def script(sock: socket.socket) -> None:
        peer.request(sock)
        sock.sendall(SWITCHING)
        while True:
            sock.sendall(b"X-More: and more\r\n" * 1000)

    with trial.detour(script) as other:
        trial.dial()
        other.wait()
        trial.leap(OPEN_TIMEOUT)
        trial.failed(OpenFailed)


def status(
    code: int,
    body: str = "",
    headers: Optional[Dict[str, str]] = None,
    waits: float = 0.0,
    error: Type[xchws.XchwsError] = xchws.XchwsError,
) -> Callable[[Trial], None]:
    """The next two handshakes are answered with this status; the try after each comes no sooner than it says (seconds)."""

    def inject(trial: Trial) -> None:
        trial.sandbox.refuse(code, body, headers, times=2)
        trial.dial()
        for _ in range(2):
            event = trial.failed(error)
            assert str(code) in str(event.error)
            assert event.retry_in is not None and event.retry_in >= waits

    return inject


for _code, _body, _headers in (
    (200, "<html>hello</html>", None),
    (301, "", {"Location": "ws://192.0.2.1/elsewhere"}),
    (302, "", {"Location": "ws://192.0.2.1/elsewhere"}),
    (307, "", {"Location": "ws://192.0.2.1/elsewhere"}),
    (400, "Bad Request", None),
    (401, "Unauthorized", {"WWW-Authenticate": "Basic"}),
    (403, "Forbidden", None),
    (404, "Not Found", None),
    (408, "", None),
    (426, "Upgrade Required", {"Upgrade": "websocket"}),
    (500, "Internal Server Error", None),
    (502, BAD_GATEWAY, None),
    (503, "Service Unavailable", None),
    (504, "", None),
):
    _name = f"HTTP {_code}" + (" with a page" if _body.startswith("<") else "")
    _error = Ready(as_told, OpenFailed)
    fault(
        "HTTP handshake",
        _name,
        REFUSED,
        but={"indodax": UNOPENED} if _code == 403 else {},
    )(status(_code, _body, _headers))

fault("HTTP handshake", "HTTP 429", REFUSED)(status(429, "Too Many Requests"))
fault("HTTP handshake", "HTTP 429 with Retry-After in seconds", REFUSED)(
    status(429, "Too Many Requests", {"Retry-After": "77"}, 77)
)


@fault("HTTP handshake", "HTTP 429 with Retry-After as a date", REFUSED)
def retry_after_a_date(trial: Trial) -> None:
    now = time.time()
    headers = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 77, usegmt=True)}
    status(429, "Too Many Requests", headers, 76)(trial)


fault("HTTP handshake", "HTTP 503 with Retry-After", REFUSED)(status(503, "", {"Retry-After": "77"}, 77))


def always(code: int, body: str) -> Callable[[Trial], None]:
    """All handshakes are answered with this status: six tries, or until the client gives up."""

    def inject(trial: Trial) -> None:
        trial.sandbox.refuse(code, body)
        trial.dial()
        for _ in range(MANY):
            if trial.failed().retry_in is None:
                return
        trial.sandbox.accept()

    return inject


fault(
    "HTTP handshake",
    "HTTP 401 six times",
    REFUSED,
    but={"kyrrex": Stopped(AuthenticationFailed)},
)(always(401, "Unauthorized"))
fault(
    "HTTP handshake",
    "HTTP 403 six times",
    REFUSED,
    but={"indodax": Stopped(ConfigurationError), "kyrrex": Stopped(AuthenticationFailed)},
)(always(403, "Forbidden"))
fault(
    "HTTP handshake",
    "HTTP 404 six times",
    REFUSED,
    but={"kyrrex": Stopped(ConfigurationError)},
)(always(404, "Not Found"))
fault("HTTP handshake", "HTTP 503 six times", REFUSED)(always(503, ""))
