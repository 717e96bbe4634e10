"""Faults between the WebSocket's handshake and READY: the login, however the exchange wants it.

Indodax subscribes its channel as a part of it. At Finery Markets the handshake is the login, and the exchange says then whether
it serves. Richamster knows no login at all.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Callable, Dict, List, Mapping, Optional

import xchws
from tests.faults import peer
from tests.faults.fault import Fault
from tests.faults.opening import OPEN_TIMEOUT
from tests.faults.outcomes import NotApplicable, Outcome, Outcomes, Ready, Stopped, as_told, lost
from tests.faults.trial import WAIT, Trial
from tests.rigs import RIGS
from xchws.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    HandshakeRejected,
    OpenFailed,
    RateLimited,
)

PHASE = "authentication"
NO_LOGIN = NotApplicable("there is no login")
IN_HANDSHAKE = NotApplicable("the handshake is the login")
NO_TOKEN = NotApplicable("there is no token")
NO_SUCH = NotApplicable("the exchange has no such answer")
CUT = Ready(as_told, ConnectionLost)
# A recovery token is tried once: what is lost while it is being tried is not replayed.
KYAN: Outcomes = {"kyan": Ready(lost, ConnectionLost)}
REFUSED = Stopped(AuthenticationFailed)
FAULTS: List[Fault] = []


def fault(
    name: str, outcome: Outcome, but: Optional[Outcomes] = None, **more: Any
) -> Callable[[Callable[[Trial], Any]], Any]:
    """Makes a fault of the function under it."""

    def make(inject: Callable[[Trial], Any]) -> Any:
        FAULTS.append(Fault(PHASE, name, inject, outcome, but or {}, opening=True, **more))
        return inject

    return make


GREETINGS: Dict[str, str] = {
    # Engine.IO's server speaks first: https://github.com/socketio/engine.io-protocol
    "kyrrex": "0"
    + json.dumps({"sid": "x", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1000000}),
}
ANSWERS: Dict[str, bytes] = {
    "indodax": b'"connect":{',
    "indodax-market": b'"version":"2.8.7"',
    "kyrrex": b'40{"sid"',
    "kyan": b'"success":true',
    "finery": b'["X",0,"Z",0]',
}


def frame(text: str) -> bytes:
    """A text frame as a server sends it."""
    payload = text.encode()
    head = bytes([0x81, len(payload)]) if len(payload) < 126 else bytes([0x81, 126]) + len(payload).to_bytes(2, "big")
    return head + payload


def unanswered(trial: Trial, then: peer.Script, error: Any) -> None:
    """A peer that takes the handshake, hears the login if there is one to hear, and goes on with the script."""
    greeting = GREETINGS.get(trial.rig.name)
    with trial.detour(peer.upgraded(b"" if greeting is None else frame(greeting), then)):
        trial.dial()
        trial.failed(error)


@fault("cut before it", CUT, {**KYAN, "richamster": NO_LOGIN})
def cut_before(trial: Trial) -> None:
    trial.proxy.cut_on(b"\r\n\r\n")
    trial.dial()
    trial.failed(ConnectionLost)


def heard(sock: socket.socket) -> None:
    """Wait for what the client says first, and end the connection."""
    sock.recv(65536)


@fault("cut while the answer is awaited", CUT, {**KYAN, "richamster": NO_LOGIN, "finery": IN_HANDSHAKE})
def cut_during(trial: Trial) -> None:
    unanswered(trial, heard, ConnectionLost)


@fault("reset while the answer is awaited", CUT, {**KYAN, "richamster": NO_LOGIN, "finery": IN_HANDSHAKE})
def reset_during(trial: Trial) -> None:
    def script(sock: socket.socket) -> None:
        heard(sock)
        peer.reset(sock)

    unanswered(trial, script, ConnectionLost)


@fault("cut right after the answer", CUT, {**KYAN, "richamster": NO_LOGIN})
def cut_after(trial: Trial) -> None:
    trial.proxy.cut_on(ANSWERS[trial.rig.name])
    trial.dial()
    trial.failed(ConnectionLost)


@fault(
    "never answered", Ready(as_told, ConnectionFailed), {"kyan": Ready(lost, ConnectionFailed), "richamster": NO_LOGIN}
)
def mute(trial: Trial) -> None:
    greeting = GREETINGS.get(trial.rig.name)
    reached = threading.Event()

    def script(sock: socket.socket) -> None:
        if trial.rig.name != "finery":  # which says nothing by itself
            sock.recv(65536)
        reached.set()
        peer.until_gone(sock)

    with trial.detour(peer.upgraded(b"" if greeting is None else frame(greeting), script)):
        trial.dial()
        assert reached.wait(WAIT)
        trial.leap(OPEN_TIMEOUT)
        trial.failed(ConnectionFailed)


def refusal(
    name: str,
    outcome: Outcome,
    acts: Mapping[str, Callable[[Any], Any]],
    otherwise: NotApplicable = NO_LOGIN,
    but: Optional[Outcomes] = None,
    **more: Any,
) -> None:
    """A login that is answered with no. `acts`: rig name -> has the simulated exchange do so; the others have no such answer."""

    def inject(trial: Trial) -> None:
        acts[trial.rig.name](trial.sandbox)
        trial.dial()
        if isinstance(trial.outcome, Stopped):
            trial.came(xchws.Stopped, 0)
        else:
            trial.failed()

    nowhere: Outcomes = {rig.name: otherwise for rig in RIGS if rig.name not in acts}
    fault(name, outcome, {**nowhere, **(but or {})}, **more)(inject)


def kyan_refuses(text: str, times: int) -> Callable[[Any], Any]:
    """Whatever a connection begins with is answered with this text."""

    def act(sandbox: Any) -> None:
        sandbox.reject_next("auth", text, times)
        sandbox.reject_next("recover_session", text, times)

    return act


def set_secret(account: Any) -> None:
    account.secret = "another"


def set_token(sandbox: Any) -> None:
    sandbox.token = "another"


FOREVER = 100  # times: more than any client tries

refusal(
    "the key is not valid (any more)",
    REFUSED,
    {
        "indodax": lambda sandbox: sandbox.add_account(sandbox.key, "another"),
        "indodax-market": set_token,
        "kyrrex": lambda sandbox: set_secret(sandbox.owner()),
        "kyan": kyan_refuses("NOT_FOUND", FOREVER),
        "finery": lambda sandbox: set_secret(sandbox.account()),
    },
    complaints="bad_sign|wrong token|wrong api_sign|wrong APISign|error 14",
)
refusal(
    "the token has expired, once",
    Ready(as_told, OpenFailed),
    {
        "indodax": lambda sandbox: sandbox.expire_next_tokens(1),
        "indodax-market": lambda sandbox: sandbox.reject_next("connect", 109),
    },
    NO_TOKEN,
    complaints="expired token",
    first=False,  # IndodaxMarket never had one that was taken: then it is held to be wrong
)
refusal(
    "the token has expired, every time",
    REFUSED,
    {
        "indodax": lambda sandbox: sandbox.expire_next_tokens(FOREVER),
        "indodax-market": lambda sandbox: sandbox.reject_next("connect", 109, times=FOREVER),
    },
    NO_TOKEN,
    complaints="expired token",
)
refusal(
    "the exchange has a trouble of its own",
    Ready(as_told, ConnectionFailed),
    {
        "indodax": lambda sandbox: sandbox.reject_next("connect", 100),
        "indodax-market": lambda sandbox: sandbox.reject_next("connect", 100),
        "kyrrex": lambda sandbox: sandbox.reject_next("connect_error"),
        "kyan": kyan_refuses("Failed to validate api key", 1),
        "finery": lambda sandbox: sandbox.reject_next("handshake", 10),
    },
    but={"kyan": Ready(lost, OpenFailed)},
)
refusal(
    "too many logins",
    Ready(as_told, OpenFailed),
    {
        "indodax": lambda sandbox: sandbox.reject_next("connect", 111),
        "indodax-market": lambda sandbox: sandbox.reject_next("connect", 111),
        "kyan": kyan_refuses("RATELIMITED", 1),
    },
    NO_SUCH,
    but={"kyan": Ready(lost, RateLimited)},
)
refusal("a quota is used up", Ready(lost, RateLimited), {"kyan": kyan_refuses("KEY_USAGE_EXCEEDED", 1)}, NO_SUCH)


def rejects(*arguments: Any, **more: Any) -> Callable[[Any], Any]:
    """The exchange refuses the next connections."""
    return lambda sandbox: sandbox.reject_next(*arguments, **more)


for _form in ("http", "connect_error", "disconnect"):
    refusal(
        f"refused by `{_form}`, once",
        Ready(as_told, ConnectionFailed),
        {"kyrrex": rejects(_form)},
        NO_SUCH,
    )
    refusal(
        f"refused by `{_form}`, every time",
        REFUSED,
        {"kyrrex": rejects(_form, FOREVER)},
        NO_SUCH,
    )
for _code, _once in ((3, REFUSED), (6, None), (7, None), (13, REFUSED), (14, REFUSED)):
    if _once is None:
        refusal(
            f"error {_code}, once",
            Ready(as_told, HandshakeRejected),
            {"finery": rejects("handshake", _code)},
            NO_SUCH,
        )
    refusal(
        f"error {_code}, every time",
        REFUSED,
        {"finery": rejects("handshake", _code, times=FOREVER)},
        NO_SUCH,
    )
