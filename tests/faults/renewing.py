"""Faults while what a connection rests on is renewed: the token on the living connection, or the connection by its successor."""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, List, Optional

import xchws
from tests.faults import peer
from tests.faults.fault import Fault
from tests.faults.living import PING_INTERVAL, answered_ping
from tests.faults.opening import OPEN_TIMEOUT
from tests.faults.outcomes import NotApplicable, Outcome, Outcomes, Ready, as_told, lost
from tests.faults.trial import WAIT, Trial
from tests.rigs import RIGS, Rig
from xchws.errors import AuthenticationFailed, ConnectionFailed, ConnectionLost, ExchangeError, OpenFailed

TTL = 40  # seconds of Indodax's token; half of it is left when it is refreshed
REFRESH_AT = TTL / 2 + 1
REPLY = 5.5  # seconds: longer than Indodax's client waits for the answer
RETRY = 5.5  # seconds: longer than it waits before the next try
LIFETIME = 3600.0  # seconds of Kyan's session; it is renewed 300 s before
RENEW_AT = LIFETIME - 299.0
DRAIN = 2.1  # seconds: longer than a forerunner is still read after its successor serves
UNHARMED = Ready()
FAULTS: List[Fault] = []
Act = Callable[[Trial], Any]


def _unless(reason: str, *names: str) -> Outcomes:
    return {rig.name: NotApplicable(reason) for rig in RIGS if rig.name not in names}


def exchange(rig: Rig) -> Dict[str, Any]:
    """The simulated exchange's options."""
    return {"ttl": TTL} if rig.name == "indodax" else {}


# ------------------------------------------------------------------------------------------------------- token refresh

REFRESH = "token refresh"


def refresh(name: str, outcome: Outcome, but: Optional[Outcomes] = None, **more: Any) -> Callable[[Act], Act]:
    """A fault of the refresh of a token: only Indodax has one that is refreshed on the living connection."""

    def make(inject: Act) -> Act:
        exceptions = {**_unless("there is no token to refresh", "indodax"), **(but or {})}
        FAULTS.append(Fault(REFRESH, name, inject, outcome, exceptions, exchange=exchange, rest=True, **more))
        return inject

    return make


def refreshes(trial: Trial) -> int:
    """How many refresh commands have come."""
    return sum(isinstance(message, dict) and "refresh" in message for message in trial.sandbox.messages)


def due(trial: Trial) -> None:
    """The time for the refresh comes, and its command has come to the exchange."""
    before = refreshes(trial)
    answered_ping(trial, REFRESH_AT)
    trial.sandbox.wait_until(lambda: refreshes(trial) > before, WAIT)


@refresh("undisturbed", UNHARMED)
def undisturbed(trial: Trial) -> None:
    for _ in range(2):
        due(trial)
        trial.heard()


def both_serve(trial: Trial) -> None:
    """The exchange sees all that is wanted on two connections."""
    sandbox = trial.sandbox
    sandbox.wait_until(lambda: sandbox.subscriptions == sorted(2 * trial.rig.wanted(sandbox)), WAIT)


def renewed(trial: Trial) -> None:
    """A successor has taken over, and its forerunner is gone."""
    both_serve(trial)
    told_twice(trial)
    for _ in range(100):
        trial.leap(DRAIN)
        trial.heard()  # or some leaps, while the exchange lets go of the forerunner, would pass for silence
        if len(trial.sandbox.sessions) == 1:
            return
    raise TimeoutError("the forerunner stays")


def told_twice(trial: Trial) -> None:
    """A number comes through on both connections. Before that the clock must not leap: nothing is on its way for so long."""
    trial.heard_on(2)


@refresh("the answer never comes", Ready(renewals=1))
def refresh_unanswered(trial: Trial) -> None:
    trial.sandbox.ignore_next("refresh")
    due(trial)
    trial.leap(REPLY)
    renewed(trial)


@refresh("refused", Ready(renewals=1))
def refresh_refused(trial: Trial) -> None:
    trial.sandbox.reject_next("refresh", 108)
    due(trial)
    renewed(trial)


@refresh("put off", Ready(error=ExchangeError))
def refresh_put_off(trial: Trial) -> None:
    trial.sandbox.reject_next("refresh", 100)
    due(trial)
    trial.came(xchws.Failure)
    before = refreshes(trial)
    trial.leap(RETRY)
    trial.sandbox.wait_until(lambda: refreshes(trial) > before, WAIT)


@refresh("REST refuses the connection", Ready(error=OpenFailed))
def no_rest(trial: Trial) -> None:
    trial.rest_proxy.refuse_connections()
    trial.leap(REFRESH_AT)
    trial.came(xchws.Failure)
    trial.rest_proxy.accept_connections()
    before = refreshes(trial)
    trial.leap(RETRY)
    trial.sandbox.wait_until(lambda: refreshes(trial) > before, WAIT)


@refresh("REST answers HTTP 500", Ready(error=OpenFailed))
def rest_fails(trial: Trial) -> None:
    trial.sandbox.refuse_rest(500, "", times=1)
    trial.leap(REFRESH_AT)
    trial.came(xchws.Failure)
    before = refreshes(trial)
    trial.leap(RETRY)
    trial.sandbox.wait_until(lambda: refreshes(trial) > before, WAIT)


@refresh("REST refuses the key", Ready(error=AuthenticationFailed), complaints="bad_sign")
def key_refused(trial: Trial) -> None:
    trial.sandbox.add_account(trial.sandbox.key, "another")
    trial.leap(REFRESH_AT)
    trial.came(xchws.Failure)


@refresh("cut while REST is asked", Ready(as_told, ConnectionLost))
def cut_while_asking(trial: Trial) -> None:
    trial.rest_proxy.freeze()
    accepted = trial.rest_proxy.accepted
    trial.leap(REFRESH_AT)
    trial.rest_proxy.wait_for_connection(WAIT)
    assert trial.rest_proxy.accepted > accepted
    trial.lose(trial.proxy.cut)
    trial.rest_proxy.thaw()


@refresh("cut while the answer is awaited", Ready(as_told, ConnectionLost))
def cut_while_refreshing(trial: Trial) -> None:
    trial.sandbox.ignore_next("refresh")
    due(trial)
    trial.lose(trial.proxy.cut)


# -------------------------------------------------------------------------------------------------- planned succession

SUCCESSION = "planned succession"


def unhurried(trial: Trial) -> Dict[str, Any]:
    """Nearly an hour passes in one leap: a ping that Kyan has not answered by then would have been waited for in vain."""
    return {"ping_interval": None} if trial.rig.name == "kyan" else {}


def succession(name: str, outcome: Outcome, but: Optional[Outcomes] = None, **more: Any) -> Callable[[Act], Act]:
    """A fault while a successor is being opened. Indodax's client wants one where its token cannot be refreshed."""

    def make(inject: Act) -> Act:
        exceptions = {**_unless("its connections have no planned end", "indodax", "kyan"), **(but or {})}
        FAULTS.append(
            Fault(SUCCESSION, name, inject, outcome, exceptions, exchange=exchange, options=unhurried, **more)
        )
        return inject

    return make


def renew(trial: Trial) -> None:
    """The connection's time is nearly up: the client dials the next one."""
    if trial.rig.name == "indodax":
        trial.sandbox.reject_next("refresh", 108)
        due(trial)
    else:
        trial.leap(RENEW_AT)


@succession("undisturbed", Ready(renewals=1))
def undisturbed_succession(trial: Trial) -> None:
    renew(trial)
    renewed(trial)


@succession("the successor is refused, twice", Ready(error=OpenFailed, renewals=1))
def successor_refused(trial: Trial) -> None:
    trial.proxy.refuse_connections()
    renew(trial)
    for _ in range(2):
        trial.came(xchws.Failure)
        trial.leap(1.0)  # longer than the pause after it
    trial.proxy.accept_connections()
    trial.leap(1.0)
    renewed(trial)


@succession("the successor's handshake is answered with HTTP 503", Ready(error=ConnectionFailed, renewals=1))
def successor_rejected(trial: Trial) -> None:
    trial.sandbox.refuse(503, times=1)
    renew(trial)
    trial.came(xchws.Failure)
    trial.leap(1.0)
    renewed(trial)


@succession("the successor's login is never answered", Ready(error=ConnectionFailed, renewals=1))
def successor_mute(trial: Trial) -> None:
    with trial.detour(peer.upgraded(then=peer.until_gone)) as other:
        renew(trial)
        other.wait()
        trial.leap(OPEN_TIMEOUT)
        trial.came(xchws.Failure)
    trial.leap(1.0)
    renewed(trial)


@succession("the successor is cut before its login", Ready(error=ConnectionFailed, renewals=1))
def successor_cut(trial: Trial) -> None:
    with trial.detour(peer.upgraded()):
        renew(trial)
        trial.came(xchws.Failure)
    trial.leap(1.0)
    renewed(trial)


def hung(sock: socket.socket) -> None:
    """Take nothing and say nothing."""
    peer.until_gone(sock)


@succession(
    "the connection is cut while its successor is being opened",
    Ready(as_told, ConnectionLost),
    {"kyan": Ready(lost, ConnectionLost, renewals=1)},  # what is recovered is still at the end of its life
)
def forerunner_cut(trial: Trial) -> None:
    with trial.detour(hung) as other:
        renew(trial)
        other.wait()
        old = trial.sandbox.wait_for_session()
        trial.lose(lambda: trial.sandbox.drop(old))
    trial.failed(ConnectionFailed)
    if trial.rig.name == "kyan":
        renewed(trial)


@succession(
    "both are cut",
    Ready(as_told, ConnectionLost),
    {"kyan": Ready(lost, ConnectionLost, renewals=1)},
)
def both_cut(trial: Trial) -> None:
    with trial.detour(hung) as other:
        renew(trial)
        other.wait()
        mark = trial.mark()
        trial.proxy.cut()
        trial.publish()
        trial.came(xchws.Disconnected, mark)
    if trial.rig.name == "kyan":
        renewed(trial)


@succession("the connection is cut once its successor serves", Ready(renewals=1))
def cut_when_covered(trial: Trial) -> None:
    renew(trial)
    sandbox = trial.sandbox
    both_serve(trial)
    told_twice(trial)
    told_twice(trial)  # by now the client knows that its successor serves, and has heard its forerunner since
    sandbox.drop(sandbox.sessions[0])
    sandbox.wait_until(lambda: len(sandbox.sessions) == 1, WAIT)
    trial.heard()


@succession(
    "the exchange refuses a second connection",
    Ready(as_told, ConnectionLost),
    {"kyan": NotApplicable("no such answer is known")},
)
def exclusive(trial: Trial) -> None:
    sandbox = trial.sandbox
    sandbox.ignore_next("connect")
    renew(trial)
    sandbox.wait_until(lambda: len(sandbox.sessions) == 2 and not sandbox._ignored.get("connect"), WAIT)
    sandbox.close_connections(3504, "connection limit", sandbox.sessions[1])
    trial.came(xchws.Disconnected)
    trial.publish()


# ------------------------------------------------------------------------------------------------- the token function


class Fickle:
    """A user's function that returns a token, or raises."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.failures = 0

    def __call__(self) -> str:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the session has expired")
        return str(self._trial.sandbox.token)


def fickle(trial: Trial) -> Dict[str, Any]:
    """The client's options."""
    if trial.rig.name != "richamster":
        return {}
    trial.user = Fickle(trial)
    return {"token": trial.user}


def raises(trial: Trial) -> None:
    """The function raises when it is asked next."""
    trial.user.failures = 1
    mark = trial.mark()
    trial.dial()
    trial.came(xchws.Failure, mark, lambda event: not trial.is_ours(event.error))
    trial.leap(RETRY)


FAULTS.append(
    Fault(
        REFRESH,
        "the user's function for the token raises",
        raises,
        Ready(as_told, OpenFailed),
        _unless("it takes no function", "richamster"),
        opening=True,
        options=fickle,
    )
)
assert PING_INTERVAL < REFRESH_AT, "a living connection is pinged meanwhile"
