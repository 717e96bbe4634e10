"""What the facts of a trial amount to: a verdict, and a few words with the measured figures. The same rules for every library."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

SURVIVES, BUT, DIES, HANGS, SPARED, UNFIT = "survives", "survives, but", "dies", "hangs", "not applicable", "no result"

_IN_WORDS = {BUT: "survives with a flaw"}

DIFFERING = "not always: "  # how the text begins where runs did not agree

STORM = 50  # dials during an outage of ten seconds; a dial every half second would be 20
IN_TIME = 6.0  # seconds for stop, and for a process to end
AT_ONCE = 3.0  # seconds for a stop inside a callback, during which nothing else can be done

Facts = Mapping[str, Any]


class Verdict(NamedTuple):
    """One of the words above, and what was measured."""

    outcome: str
    text: str


def _seconds(value: Optional[float]) -> str:
    return "never" if value is None else f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def raising_callback(facts: Facts) -> Verdict:
    """Later messages must come, without a new connection and without a loss."""
    if facts["after"] is None:
        return Verdict(
            DIES, "no message comes any more" + ("" if facts["told"] else ", and no code of the user's is told")
        )
    flaws = []
    if facts["redials"]:
        flaws.append("it connects anew")
    if facts["lost"]:
        flaws.append(f"{_count(facts['lost'], 'message')} lost")
    if flaws:
        return Verdict(BUT, " and ".join(flaws))
    return Verdict(SURVIVES, "later messages come" + (", the error is reported" if facts["told"] else ""))


def refused_subscription(facts: Facts) -> Verdict:
    """The others must go on, and somebody must learn of the refusal."""
    if facts["after"] is None:
        return Verdict(DIES, "the other subscriptions end with it")
    if not facts["returned"]:
        return Verdict(HANGS, "the call does not return; the others go on")
    told = facts["raised"] is not None or facts["told"]
    if facts["lost_connection"]:
        return Verdict(BUT, "the connection is made anew" + ("" if told else ", and the refusal is not reported"))
    if not told:
        return Verdict(BUT, "the refusal is reported to no code of the user's")
    return Verdict(SURVIVES, "the others go on, the refusal is reported")


def dropped_link(facts: Facts) -> Verdict:
    """Connected and subscribed again."""
    if facts["after"] is None:
        if facts["dials"]:
            return Verdict(DIES, f"{_count(facts['dials'], 'dial')}, but not all subscriptions come back")
        return Verdict(DIES, "no new connection is made")
    twice = f" ({_count(facts['repeated'], 'subscription')} made twice)" if facts["repeated"] > 0 else ""
    return Verdict(SURVIVES, f"all is back after {_seconds(facts['after'])}{twice}")


def told_of_the_gap(facts: Facts) -> Verdict:
    """That there was a gap, and since when, must reach the user's code."""
    if facts["since"] is not None:
        return Verdict(SURVIVES, "told, with since when")
    if facts["interrupted"]:
        return Verdict(BUT, "told that the connection was lost, not since when data is missing")
    return Verdict(DIES, "no code of the user's is told")


def dropped_twice(facts: Facts) -> Verdict:
    """Connected and subscribed again in the end."""
    tries = f"{_count(facts['dials'], 'dial')}"
    if facts["after"] is None:
        return Verdict(DIES, f"not back after {tries}")
    return Verdict(SURVIVES, f"all is back after {_seconds(facts['after'])} and {tries}")


def outage(facts: Facts) -> Verdict:
    """Back after it, without a storm of dials while it lasts."""
    dials = f"{_count(facts['dials'], 'dial')} in {facts['down']:.0f} s"
    if facts["after"] is None:
        return Verdict(DIES, f"{dials}, and it never comes back")
    text = f"{dials}, back {_seconds(facts['after'])} after the exchange"
    return Verdict(BUT if facts["dials"] > STORM * facts["down"] / 10 else SURVIVES, text)


def silence(facts: Facts) -> Verdict:
    """Noticed, and the connection made anew."""
    if facts["noticed"] is None:
        return Verdict(DIES, f"not noticed within {facts['limit']:.0f} s")
    text = f"noticed after {_seconds(facts['noticed'])}"
    if facts["after"] is None:
        return Verdict(DIES, f"{text}, but it never comes back")
    return Verdict(SURVIVES, f"{text}, and back")


def stop(facts: Facts) -> Verdict:
    """It must return in time, leave no thread behind, and let the process end."""
    if facts["took"] is None:
        where = f" (it stands in {facts['where']})" if facts["where"] else ""
        return Verdict(HANGS, f"it has not returned after {_seconds(facts['waited'])}{where}")
    if facts["raised"]:
        return Verdict(DIES, f"it raises {facts['raised']}")
    text = f"returns after {_seconds(facts['took'])}"
    if facts["ended"] is None:
        return Verdict(HANGS, f"{text}, but the process does not end")
    if facts["took"] > IN_TIME:
        return Verdict(BUT, f"{text} only")
    if facts["lived"] is None:
        return Verdict(BUT, f"{text}, but {_count(facts['left'], 'thread')} of its own stay")
    if facts["lived"] > IN_TIME:
        return Verdict(BUT, f"{text}, its threads end {_seconds(facts['lived'])} later")
    return Verdict(SURVIVES, f"{text}, its threads end, the process ends")


def stop_in_callback(facts: Facts) -> Verdict:
    """It must return in the callback, end the connection, and let the process end."""
    if facts["raised"]:
        return Verdict(DIES, f"it raises {facts['raised']}")
    if facts["took"] is None:
        return Verdict(HANGS, "it does not return")
    text = f"returns after {_seconds(facts['took'])}"
    if facts["closed"] is None:
        return Verdict(DIES, f"{text}, but the connection stays")
    if facts["ended"] is None:
        return Verdict(HANGS, f"{text}, but the process does not end")
    if facts["took"] > AT_ONCE:
        return Verdict(BUT, f"{text}, in which no callback runs")
    late = facts["ended"] > IN_TIME
    return Verdict(BUT if late else SURVIVES, f"{text}, the process ends {_seconds(facts['ended'])} later")


def exit_without_stop(facts: Facts) -> Verdict:
    """The interpreter must end by itself, in time and without noise."""
    if facts["ended"] is None:
        return Verdict(HANGS, "the process does not end")
    text = f"ends after {_seconds(facts['ended'])}"
    if facts["ended"] > IN_TIME:
        return Verdict(BUT, f"{text} only")
    return Verdict(BUT, f"{text} with a traceback") if facts["noise"] else Verdict(SURVIVES, text)


def fork(facts: Facts) -> Verdict:
    """Nothing of the child may reach the parent's connection, and the child must not be left to believe that it listens."""
    if not facts["begun"]:
        return Verdict(UNFIT, "no message came before the fork")
    if facts["on_the_parents"]:
        harm = ", and harms it" if facts["harmed"] else ""
        return Verdict(DIES, f"what the child says goes out on the parent's connection{harm}")
    if facts["harmed"]:
        return Verdict(DIES, "the parent's connection is harmed")
    if facts["raised"]:
        return Verdict(SURVIVES, f"the child gets {facts['raised']}")
    if facts["own_connection"]:
        return Verdict(SURVIVES, "the child gets a connection of its own")
    if not facts["returned"]:
        return Verdict(BUT, "the child's call does not return")
    return Verdict(BUT, "the child's call returns as if it had subscribed; nothing happens")


def slow_callback(facts: Facts) -> Verdict:
    """All must come, or the loss be reported; and later messages must come."""
    lost = facts["sent"] - facts["came"]
    text = f"{facts['came']:,} of {facts['sent']:,} come"
    if facts["calls"] > 2 * facts["sent"]:
        text += f", and the callback is called with an error {facts['calls']:,} times or more"
    if facts["after"] is None:
        return Verdict(DIES, f"{text}; nothing after the burst")
    if lost and not facts["told"]:
        return Verdict(DIES, f"{text}; the loss is reported to nobody")
    if lost:
        return Verdict(BUT, f"{text}; the loss is reported")
    if facts["doubled"] or not facts["in_order"]:
        return Verdict(BUT, f"{text}, {facts['doubled']} twice" if facts["doubled"] else f"{text}, out of order")
    return Verdict(SURVIVES, text)


def secrets_in_logs(facts: Facts) -> Verdict:
    """None of them may be seen."""
    if not facts["proven"]:
        return Verdict(UNFIT, "what was to be hidden never went over the wire")
    if facts["seen"]:
        return Verdict(DIES, f"shown: {', '.join(facts['seen'])}")
    return Verdict(SURVIVES, f"not shown: {', '.join(facts['sought'])}")


class Row(NamedTuple):
    """One row of the table: a question, the trial whose facts answer it, and how."""

    name: str
    title: str
    trial: str
    score: Callable[[Facts], Verdict]


ROWS: Tuple[Row, ...] = (
    Row("raising_callback", "A callback raises once: do later messages come?", "raising_callback", raising_callback),
    Row(
        "refused_subscription",
        "A subscription is refused: do the others live, and is it reported?",
        "refused_subscription",
        refused_subscription,
    ),
    Row("dropped_link", "The line is lost: connected and subscribed again?", "dropped_link", dropped_link),
    Row("dropped_twice", "Lost twice more during the recovery: back in the end?", "dropped_twice", dropped_twice),
    Row("outage", "The exchange is down for ten seconds: back after it, without a storm?", "outage", outage),
    Row("silence", "Half-open line, keepalive set short: noticed, and back?", "silence", silence),
    Row("told_of_the_gap", "Is the user's code told of the gap, with since when?", "dropped_link", told_of_the_gap),
    Row("stop_when_mute", "Stop while the other side is mute: does it return in 6 s?", "stop_when_mute", stop),
    Row("stop_in_callback", "Stop inside a callback", "stop_in_callback", stop_in_callback),
    Row("exit_after_stop", "Does the process end after stop?", "exit_after_stop", stop),
    Row("exit_without_stop", "Does the process end without stop?", "exit_without_stop", exit_without_stop),
    Row("fork", "A forked child subscribes: is the parent's connection left alone?", "fork", fork),
    Row("slow_callback", "A callback of 2 ms in a burst of 5,000: do all come?", "slow_callback", slow_callback),
    Row("secrets_in_logs", "Every logger at DEBUG: are key, secret, token hidden?", "secrets_in_logs", secrets_in_logs),
)


def verdict(row: Row, facts: Facts) -> Verdict:
    """The verdict of one run: facts may say that the library is `spared` the trial, or was `unfit` for it."""
    if "spared" in facts:
        return Verdict(SPARED, facts["spared"])
    if "unfit" in facts:
        return Verdict(UNFIT, "it did not come so far as to be tried")
    return row.score(facts)


def merged(verdicts: List[Verdict]) -> Verdict:
    """The verdict over several runs: the last one's; where they do not agree, the worst outcome, and what each came to."""
    texts: Dict[str, List[str]] = {}
    for one in verdicts:
        texts.setdefault(one.outcome, []).append(one.text)
    if len(texts) == 1:
        return verdicts[-1]
    worst = next(outcome for outcome in (UNFIT, HANGS, DIES, BUT, SURVIVES, SPARED) if outcome in texts)
    runs = (
        f"{_IN_WORDS.get(outcome, outcome)} in {len(said)} of {len(verdicts)} runs ({'; '.join(dict.fromkeys(said))})"
        for outcome, said in texts.items()
    )
    return Verdict(worst, DIFFERING + "; ".join(runs))
