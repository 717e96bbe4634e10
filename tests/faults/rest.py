"""Faults of the REST call that comes before the dial: Indodax's token, every time; Kyrrex's id of the user, the first time."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any, Callable, Dict, List, Optional

from tests.faults import peer
from tests.faults.fault import Fault
from tests.faults.opening import BAD_GATEWAY, OPEN_TIMEOUT
from tests.faults.outcomes import NotApplicable, Outcome, Outcomes, Ready, Stopped, as_told
from tests.faults.trial import Trial
from xchws.errors import AuthenticationFailed, OpenFailed, RateLimited

PHASE = "REST call"
UNOPENED = Ready(as_told, OpenFailed)
LIMITED = Ready(as_told, RateLimited)
REFUSED = Stopped(AuthenticationFailed)
NONE = NotApplicable("it makes no REST call")
WITHOUT: Outcomes = dict.fromkeys(("indodax-market", "richamster", "kyan", "finery"), NONE)
FAULTS: List[Fault] = []


def fault(
    name: str, outcome: Outcome = UNOPENED, but: Optional[Outcomes] = None, **more: Any
) -> Callable[[Callable[[Trial], Any]], Any]:
    """Makes a fault of the function under it."""

    def make(inject: Callable[[Trial], Any]) -> Any:
        exceptions = {**WITHOUT, **(but or {})}
        FAULTS.append(Fault(PHASE, name, inject, outcome, exceptions, opening=True, rest=True, **more))
        return inject

    return make


def led_to(trial: Trial, script: peer.Script) -> None:
    """Every call meets this peer instead, until one has failed."""
    with peer.Peer(script) as other:
        before, trial.rest_proxy.target = trial.rest_proxy.target, ("127.0.0.1", other.port)
        trial.dial()
        trial.failed(OpenFailed)
        trial.rest_proxy.target = before


@fault("the name is unknown", named=True)
def unknown_name(trial: Trial) -> None:
    trial.astray[trial.rest_proxy.port] = None
    trial.dial()
    trial.failed(OpenFailed)
    trial.failed(OpenFailed)
    trial.astray.clear()


@fault("refused")
def refused(trial: Trial) -> None:
    trial.rest_proxy.refuse_connections()
    trial.dial()
    trial.failed(OpenFailed)
    trial.failed(OpenFailed)
    trial.rest_proxy.accept_connections()


@fault("cut while the answer is awaited")
def cut(trial: Trial) -> None:
    led_to(trial, peer.request_only)


@fault("reset while the answer is awaited")
def reset(trial: Trial) -> None:
    def script(sock: Any) -> None:
        peer.request(sock)
        peer.reset(sock)

    led_to(trial, script)


@fault("never answered")
def mute(trial: Trial) -> None:
    with peer.Peer(peer.until_gone) as other:
        before, trial.rest_proxy.target = trial.rest_proxy.target, ("127.0.0.1", other.port)
        trial.dial()
        other.wait()
        trial.leap(OPEN_TIMEOUT)
        trial.failed(OpenFailed)
        trial.rest_proxy.target = before


def saying(text: bytes) -> Callable[[Trial], None]:
    """The call is answered with these bytes."""
    return lambda trial: led_to(trial, peer.answer(text))


for _name, _text in (
    ("an answer that is no HTTP", b"220 mail.example ESMTP ready\r\n"),
    ("cut in the middle of the answer", b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"success":1,"ret'),
    ("an empty answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("HTTP 200 with a page", b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<html>hello</html>"),
    ("bad JSON", b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"return"'),
    ("deep nesting", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000),
    ("wrong types", b'HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\n{"success":1,"return":[7],"uuid":[[]]}'),
    ("not UTF-8", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\xff\xfe"),
):
    fault(_name)(saying(_text))


@fault("an answer without end")
def endless(trial: Trial) -> None:
    def script(sock: Any) -> None:
        peer.request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            sock.sendall(b"x" * 65536)

    led_to(trial, script)


def status(
    code: int, body: str = "", headers: Optional[Dict[str, str]] = None, waits: float = 0.0
) -> Callable[[Trial], None]:
    """Two tries are answered with this status; the one after each comes no sooner than it says (seconds)."""

    def inject(trial: Trial) -> None:
        trial.sandbox.refuse_rest(code, body, headers)
        trial.dial()
        for _ in range(2):
            event = trial.failed()
            assert str(code) in str(event.error)
            if event.retry_in is None:
                break
            assert event.retry_in >= waits
        trial.sandbox.accept_rest()

    return inject


for _code, _body, _headers in (
    (301, "", {"Location": "http://192.0.2.1/"}),
    (302, "", {"Location": "http://192.0.2.1/"}),
    (400, "Bad Request", None),
    (404, "Not Found", None),
    (500, "Internal Server Error", None),
    (502, BAD_GATEWAY, None),
    (503, "Service Unavailable", None),
):
    fault(f"HTTP {_code}" + (" with a page" if _body.startswith("<") else ""))(status(_code, _body, _headers))

fault("HTTP 429", LIMITED)(status(429, "Too Many Requests"))
fault("HTTP 429 with Retry-After in seconds", LIMITED)(status(429, "", {"Retry-After": "77"}, 77))


@fault("HTTP 429 with Retry-After as a date", LIMITED)
def retry_after_a_date(trial: Trial) -> None:
    status(429, "", {"Retry-After": formatdate(time.time() + 77, usegmt=True)}, 60)(
        trial
    )  # the server says its Date itself


fault("HTTP 503 with Retry-After", UNOPENED)(status(503, "", {"Retry-After": "77"}, 77))


fault("HTTP 401", UNOPENED, {"kyrrex": REFUSED})(status(401, "Unauthorized"))
fault("HTTP 403", UNOPENED, {"kyrrex": REFUSED})(status(403, "Forbidden"))
fault("HTTP 403 with a page", UNOPENED)(status(403, "<html>blocked</html>"))
