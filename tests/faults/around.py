"""Faults around the connection: the exchange restarts or loses its back end, and clocks go wrong."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any, Callable, List, Optional

import xchws
from tests.faults.fault import Fault
from tests.faults.living import PING_INTERVAL
from tests.faults.outcomes import NotApplicable, Outcome, Outcomes, Ready, Stopped, as_told, lost
from tests.faults.trial import Trial
from xchws.errors import AuthenticationFailed, ConnectionFailed, ConnectionLost, HandshakeRejected, Silent

HOUR = 3600.0
FAULTS: List[Fault] = []
Act = Callable[[Trial], Any]


def fault(phase: str, name: str, outcome: Outcome, but: Optional[Outcomes] = None, **more: Any) -> Callable[[Act], Act]:
    """Makes a fault of the function under it."""

    def make(inject: Act) -> Act:
        FAULTS.append(Fault(phase, name, inject, outcome, but or {}, **more))
        return inject

    return make


# ------------------------------------------------------------------------------------------------------------- restart

RESTART = "server restart"


@fault(
    RESTART,
    "down for some tries",
    Ready(as_told, ConnectionFailed),
    {"kyan": Ready(lost, ConnectionFailed)},
    complaints="token not found",
)
def restart(trial: Trial) -> None:
    mark = trial.mark()
    trial.sandbox.close()
    trial.came(xchws.Disconnected, mark)
    trial.publish()
    trial.failed(ConnectionFailed)
    trial.sandbox.start()


@fault(
    RESTART,
    "with a goodbye, and all forgotten",
    NotApplicable("the exchange replays nothing in any case"),
    {"indodax-market": Ready(lost, ConnectionLost), "kyan": Ready(lost, ConnectionLost)},
)
def amnesia(trial: Trial) -> None:
    if trial.rig.name == "kyan":
        trial.sandbox.fail_recovery("instance")
        trial.lose(lambda: trial.sandbox.close_connections(1012, "service restart"))
    else:
        trial.lose(trial.sandbox.restart)


@fault(
    RESTART,
    "the exchange loses its back end",
    NotApplicable("the exchange does not tell of it"),
    {"finery": Ready(as_told)},
)
def suspended(trial: Trial) -> None:
    trial.sandbox.disconnect_backend()
    trial.came(xchws.Suspended)
    assert trial.client.status().state is xchws.State.SUSPENDED
    trial.publish()
    trial.sandbox.reconnect_backend()
    trial.came(xchws.StateChanged, where=lambda event: event.new is xchws.State.READY)


# -------------------------------------------------------------------------------------------------------------- clocks

CLOCK = "clock"


def set_by(seconds: float) -> Act:
    """The wall clock is set, while the connection serves."""

    def inject(trial: Trial) -> None:
        trial.time.wrong += seconds
        trial.heard()
        trial.leap(PING_INTERVAL)
        trial.heard()

    return inject


def set_by_and_cut(seconds: float) -> Act:
    """The wall clock is set, and the connection is lost."""

    def inject(trial: Trial) -> None:
        trial.time.wrong += seconds
        trial.again = True
        trial.lose(trial.proxy.cut)
        if isinstance(trial.outcome, Stopped):
            trial.came(xchws.Stopped, 0)

    return inject


# Its handshake is signed with a timestamp, which the exchange compares with its own clock.
STALE: Outcomes = {"finery": Stopped(AuthenticationFailed)}
for _hours in (-5, 5):
    _way = f"{'back' if _hours < 0 else 'forth'} by {abs(_hours)} hours"
    fault(CLOCK, f"set {_way}", Ready())(set_by(_hours * HOUR))
    fault(CLOCK, f"set {_way}, and cut", Ready(as_told, ConnectionLost), STALE, complaints="error 7")(
        set_by_and_cut(_hours * HOUR)
    )


@fault(CLOCK, "set back by 5 hours during the outage, and right again", Ready(as_told, ConnectionLost))
def set_during_outage(trial: Trial) -> None:
    trial.patient = True
    trial.sandbox.refuse(503, "", {"Retry-After": "77"}, times=1)
    trial.lose(trial.proxy.cut)
    assert (trial.failed(HandshakeRejected).retry_in or 0.0) >= 77
    trial.time.wrong -= 5 * HOUR
    trial.leap(76.0)
    assert trial.client.status().state is xchws.State.WAITING
    trial.time.wrong = 0.0
    trial.leap(2.0)


@fault(CLOCK, "wrong by 5 hours while Retry-After names a date", Ready(as_told, ConnectionLost))
def date_by_a_wrong_clock(trial: Trial) -> None:
    now = time.time()
    headers = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 77, usegmt=True)}
    trial.sandbox.refuse(429, "", headers, times=1)
    trial.patient = True
    trial.time.wrong = 5 * HOUR
    trial.lose(trial.proxy.cut)
    wait = trial.failed(HandshakeRejected).retry_in or 0.0
    assert 76 <= wait <= 78, "the answer's own date counts"
    trial.time.wrong = 0.0
    trial.leap(wait)


SLEPT: Outcomes = {
    # It promised to ping more often than that.
    "indodax": Ready(as_told, Silent),
    "indodax-market": Ready(as_told, Silent),
    "kyrrex": Ready(as_told, Silent),
}


@fault(CLOCK, "the machine slept for half an hour, and its monotonic clock did not", Ready(), SLEPT)
def slept(trial: Trial) -> None:
    mark = trial.mark()
    trial.leap(HOUR / 2)
    if isinstance(trial.outcome, Ready) and trial.outcome.error is not None:
        trial.came(xchws.Disconnected, mark)
    else:
        trial.heard()
