"""Faults of subscriptions, on a connection that is READY for them; at Indodax its one subscription is a part of the login."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Type

import xchws
from tests.faults.fault import Fault
from tests.faults.outcomes import NotApplicable, Outcome, Outcomes, Ready, Stopped, as_told, lost, of
from tests.faults.trial import WAIT, Trial, patiently
from tests.rigs import RIGS
from xchws.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    ExchangeError,
    OpenFailed,
    ProtocolError,
    RateLimited,
    Silent,
    SubscriptionRejected,
    XchwsError,
)

PHASE = "subscription"
NONE = NotApplicable("there is nothing to subscribe")
NO_SUCH = NotApplicable("the exchange cannot say so")
REPLIES = {"indodax": 5.5}  # seconds: longer than the client waits for an answer to a subscription
REPLY = 10.5  # the same for the others
BACK = Ready(as_told)
PUT_OFF = 2.0  # seconds: longer than any client waits before the second try of a subscription that was put off
SECOND_TIME = "remark: .* a second time"  # says Kyan where a recovered session has already what was never answered
FAULTS: List[Fault] = []
Act = Callable[[Trial], Any]

KIND = {
    "indodax": "subscribe",
    "indodax-market": "subscribe",
    "richamster": "any",
    "kyan": "subscribe",
    "finery": "bind",
}
"""The command, as the sandbox calls it."""
ANSWERS: Mapping[str, bytes] = {
    "indodax": b'"subscribe":{',
    "indodax-market": b'"recoverable":true',
    "richamster": b'"type":"success"',
    "kyan": b'"type":"subscribe"',
    "finery": b'"S",',
}


def fault(name: str, outcome: Outcome, but: Optional[Outcomes] = None, **more: Any) -> Callable[[Act], Act]:
    """Makes a fault of the function under it."""

    def make(inject: Act) -> Act:
        exceptions: Outcomes = {"kyrrex": NONE, **(but or {})}
        FAULTS.append(Fault(PHASE, name, inject, outcome, exceptions, **{"opening": True, **more}))
        return inject

    return make


def asked(trial: Trial) -> int:
    """How many subscriptions the exchange has been asked for so far."""
    return sum(_subscribes(message) for message in trial.sandbox.messages)


def _subscribes(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    return (
        "subscribe" in message  # Indodax
        or message.get("method") == 1  # IndodaxMarket
        or "channel" in message  # Richamster
        or message.get("type") == "subscribe"  # Kyan
        or message.get("event") == "bind"  # Finery Markets
    )


def anew(trial: Trial) -> None:
    """A new session at the exchange, where a recovered one would have its subscriptions already."""
    if trial.rig.name == "kyan" and trial.again:
        trial.sandbox.fail_recovery()
        trial.forgive("the session could not be recovered")


def no_pings(trial: Trial) -> Dict[str, Any]:
    """An answer is waited for longer than a pong: where time leaps so far, a pong on its way would be missed first."""
    return {"ping_interval": None}


def lose_answer(trial: Trial, act: Callable[[], Any]) -> None:
    """The act makes the client subscribe; the answer to its first subscription is lost, the others have come."""
    kind = KIND[trial.rig.name]
    trial.sandbox.ignore_next(kind)
    act()
    trial.sandbox.wait_until(lambda: not trial.sandbox._ignored.get(kind), WAIT)
    if trial.rig.name != "richamster":  # it subscribes one after the other
        for subscription in trial.subscriptions[1:]:
            patiently(subscription.wait)


@fault(
    "cut while an answer is awaited",
    Ready(as_told, ConnectionLost, again=True),
    {"kyan": Ready(lost, ConnectionLost, again=True)},
    complaints=SECOND_TIME,
)
def cut_during(trial: Trial) -> None:
    anew(trial)
    lose_answer(trial, trial.dial)
    trial.proxy.cut()
    trial.failed(ConnectionLost)


@fault(
    "cut right after an answer",
    Ready(as_told, ConnectionLost, again=True),
    {"kyan": Ready(lost, ConnectionLost, again=True)},
    complaints=SECOND_TIME,
)
def cut_after(trial: Trial) -> None:
    anew(trial)
    trial.proxy.cut_on(ANSWERS[trial.rig.name])
    trial.dial()
    trial.came(xchws.Disconnected, where=lambda event: isinstance(event.error, ConnectionLost))


@fault(
    "an answer that never comes",
    Ready(as_told, Silent, again=True),
    {"kyan": Ready(lost, Silent, again=True)},
    complaints=SECOND_TIME,
    options=no_pings,
)
def unanswered(trial: Trial) -> None:
    anew(trial)
    lose_answer(trial, trial.dial)
    trial.leap(REPLIES.get(trial.rig.name, REPLY))
    trial.came(xchws.Disconnected, where=lambda event: isinstance(event.error, ConnectionFailed))


FIRST = {
    "indodax-market": "market:order-book-btcidr",
    "richamster": "ticker BTC/UAH",
    "kyan": "trade",
    "finery": "F BTC-EUR",
}
"""The usual subscription that the client asks for first."""


def without_first(error: Type[XchwsError], again: bool = False) -> Outcomes:
    """The first subscription is refused; the others are served. Kyan's session is a new one then, and nothing is replayed."""
    outcomes: Outcomes = {}
    for rig in RIGS:
        name = FIRST.get(rig.name)
        if name is not None:
            replayed = rig.name != "kyan"
            gaps = {stream: found and replayed for stream, found in rig.streams.items() if stream != name}
            outcomes[rig.name] = Ready(of(gaps), error, without=(name,), again=again)
    return outcomes


@fault(
    "an answer that never comes, on two connections in a row",
    NONE,
    {**without_first(SubscriptionRejected, again=True), "indodax": Ready(as_told, Silent)},
    complaints=SECOND_TIME,
    options=no_pings,
)
def unanswered_twice(trial: Trial) -> None:
    def wait_in_vain() -> None:
        trial.leap(REPLIES.get(trial.rig.name, REPLY))

    anew(trial)
    lose_answer(trial, trial.dial)
    mark = trial.mark()

    def lose_connection() -> None:
        wait_in_vain()
        trial.came(xchws.Disconnected, mark)

    lose_answer(trial, lose_connection)
    wait_in_vain()


@fault("every answer comes twice", Ready(as_told, ProtocolError), {"kyan": Ready(lost), "finery": BACK})
def doubled(trial: Trial) -> None:
    anew(trial)
    trial.echo_answers()
    trial.dial()


@fault("every answer is late, and told is before it what it is about", BACK, {"kyan": Ready(lost)})
def late(trial: Trial) -> None:
    anew(trial)
    before = asked(trial)
    trial.sandbox.delay_replies(0.05)
    trial.dial()
    trial.sandbox.wait_until(lambda: asked(trial) > before, WAIT)
    if trial.again:
        trial.publish()
    trial.sandbox.delay_replies(0)


def refusal(name: str, acts: Mapping[str, Callable[[Any], Any]], outcomes: Outcomes, **more: Any) -> None:
    """An answer that says no. `acts`: rig name -> has the simulated exchange say so; the others cannot."""

    def inject(trial: Trial) -> None:
        anew(trial)
        acts[trial.rig.name](trial.sandbox)
        mark = trial.mark()
        trial.dial()
        trial.came(xchws.Failure, mark, lambda event: not trial.is_ours(event.error))
        trial.leap(PUT_OFF)

    nowhere: Outcomes = {rig.name: NO_SUCH for rig in RIGS if rig.name not in acts}
    fault(name, NO_SUCH, {**nowhere, "kyrrex": NONE, **outcomes}, **more)(inject)


refusal(
    "refused for good",
    {
        "indodax": lambda sandbox: sandbox.reject_subscription(103, times=100),
        "indodax-market": lambda sandbox: sandbox.reject_next("subscribe", 103),
        "richamster": lambda sandbox: sandbox.reject_subscription(),
        "kyan": lambda sandbox: sandbox.reject_next("subscribe", "Invalid query for trade channel"),
        "finery": lambda sandbox: sandbox.reject_next("bind", 3),
    },
    {**without_first(SubscriptionRejected), "indodax": Stopped(AuthenticationFailed)},
)
refusal(
    "refused for the moment",
    {
        "indodax": lambda sandbox: sandbox.reject_subscription(100),
        "indodax-market": lambda sandbox: sandbox.reject_next("subscribe", 100),
        "kyan": lambda sandbox: sandbox.reject_next("subscribe", "RATELIMITED"),
        "finery": lambda sandbox: sandbox.reject_next("bind", 10),
    },
    {
        "indodax": Ready(as_told, OpenFailed),
        "indodax-market": Ready(as_told, ExchangeError),
        "kyan": Ready(lost, RateLimited),
        "finery": Ready(as_told, SubscriptionRejected),
    },
)
