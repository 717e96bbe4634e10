"""Faults while the client is being stopped: `stop()` ends it in every state, and nothing hangs."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, List, Optional

import xchws
from tests.faults import login, peer, renewing
from tests.faults.fault import Fault
from tests.faults.outcomes import NotApplicable, Outcomes, Stopped
from tests.faults.trial import WAIT, Trial
from tests.rigs import RIGS
from xchws.errors import ConnectionFailed
from xchws.events import State
from xchws.sandbox import FaultProxy

PHASE = "stop()"
LINGER = 1.1  # seconds: longer than an ended connection is kept for the peer's close frame
FAULTS: List[Fault] = []
Act = Callable[[Trial], Any]


def fault(name: str, but: Optional[Outcomes] = None, started: bool = False, **more: Any) -> Callable[[Act], Act]:
    """Makes a fault of the function under it, which brings the client where it is to be stopped, and gives what is to be done
    afterwards, if there is something. `started`: it serves then."""

    def make(inject: Act) -> Act:
        def act(trial: Trial) -> None:
            afterwards = inject(trial)
            stop(trial)
            if afterwards is not None:
                afterwards()

        FAULTS.append(Fault(PHASE, name, act, Stopped(), but or {}, opening=not started, again=False, **more))
        return inject

    return make


def stop(trial: Trial) -> None:
    """Stop it from another thread; whatever the client waits for besides, it need not wait for here."""
    ended: List[bool] = []
    thread = threading.Thread(target=lambda: ended.append(trial.client.stop(WAIT)), name="stopping")
    thread.start()
    give_up = time.monotonic() + 2 * WAIT
    while thread.is_alive() and time.monotonic() < give_up:
        thread.join(0.02)
        trial.leap(LINGER)
    assert ended == [True], "stop() does not end"


@fault("while the name is being looked up", named=True)
def looking_up(trial: Trial) -> None:
    trial.look_up = threading.Event()
    trial.dial()
    trial.sandbox.wait_until(lambda: trial.dialled > 0, WAIT)
    threading.Timer(0.2, trial.look_up.set).start()


@fault("while TCP connects", named=True)
def connecting(trial: Trial) -> None:
    deaf = trial.enter(peer.Deaf())
    trial.astray[trial.proxy.port] = deaf.port
    trial.dial()
    trial.sandbox.wait_until(lambda: trial.dialled > 0, WAIT)


def reached(trial: Trial, script: peer.Script) -> None:
    """The client is connected to this peer."""
    other = trial.enter(trial.detour(script))
    trial.dial()
    other.wait()


fault("in a TLS handshake that never ends", tls=True)(lambda trial: reached(trial, peer.until_gone))
fault("in a WebSocket handshake that never ends")(lambda trial: reached(trial, peer.until_gone))


@fault("while the answer to the login is awaited", {"richamster": login.NO_LOGIN})
def logging_in(trial: Trial) -> None:
    greeting = login.GREETINGS.get(trial.rig.name)
    reached(trial, peer.upgraded(b"" if greeting is None else login.frame(greeting), peer.until_gone))


@fault(
    "while the REST call is made",
    {rig.name: NotApplicable("it makes no REST call") for rig in RIGS if rig.rest == "never"},
    rest=True,
)
def calling(trial: Trial) -> None:
    trial.rest_proxy.freeze()
    trial.dial()
    trial.rest_proxy.wait_for_connection(WAIT)


@fault("while it waits for the next try")
def waiting(trial: Trial) -> None:
    trial.patient = True
    trial.sandbox.refuse(503, "", {"Retry-After": "777"})
    trial.dial()
    trial.failed(ConnectionFailed)
    assert trial.client.status().state is State.WAITING


@fault("undisturbed", started=True)
def undisturbed(trial: Trial) -> None:
    """It serves, and nothing else happens."""


@fault("the peer is mute", started=True)
def mute(trial: Trial) -> Callable[[], None]:
    proxy: FaultProxy = trial.proxy
    proxy.freeze()
    return proxy.thaw


@fault("the peer is mute, over TLS", started=True, tls=True)
def mute_tls(trial: Trial) -> Callable[[], None]:
    proxy: FaultProxy = trial.proxy
    proxy.freeze()
    return proxy.thaw


def at_the_goodbye(trial: Trial, act: Callable[[], Any]) -> Callable[[], None]:
    """As soon as the exchange has the close frame, this is done."""

    def watch() -> None:
        trial.sandbox.wait_until(lambda: trial.sandbox.received[-1].kind == "close", WAIT)
        act()

    thread = threading.Thread(target=watch, name="at the goodbye")
    thread.start()
    return thread.join


@fault("cut while the peer's close frame is awaited", started=True)
def cut_at_the_end(trial: Trial) -> Callable[[], None]:
    return at_the_goodbye(trial, trial.proxy.cut)


@fault("reset while the peer's close frame is awaited", started=True)
def reset_at_the_end(trial: Trial) -> Callable[[], None]:
    return at_the_goodbye(trial, trial.proxy.reset)


@fault(
    "while a successor is being opened",
    {
        rig.name: NotApplicable("its connections have no planned end")
        for rig in RIGS
        if rig.name not in ("indodax", "kyan")
    },
    started=True,
    exchange=renewing.exchange,
)
def renewing_then(trial: Trial) -> None:
    other = trial.enter(trial.detour(peer.until_gone))
    renewing.renew(trial)
    other.wait()


@fault("from a callback", started=True)
def from_a_callback(trial: Trial) -> None:
    trial.client.on(xchws.Data, lambda event: trial.client.stop(WAIT))
    trial.publish()
    trial.came(xchws.Stopped)
