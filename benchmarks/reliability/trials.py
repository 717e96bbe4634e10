"""The trials: each does one everyday thing to a library, and returns the facts that were seen. Judges nothing.

The seconds in the facts are measured on this machine's monotonic clock; None stands for what did not happen in time.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

from benchmarks.reliability.dialects.dialect import FIRST, REFUSED, SECOND
from benchmarks.reliability.peers.peer import ERROR, GAP, INTERRUPTED, LOST
from benchmarks.reliability.server import Link, drop_later
from benchmarks.reliability.stage import Stage, innermost

Facts = Dict[str, Any]

_SECOND_DROP = 1.0  # seconds after which a new connection is dropped again, if nothing is said on it before


def _texts(told: List[Dict[str, Any]], *kinds: str) -> List[str]:
    return [line["text"] for line in told if line["told"] in kinds]


def raising_callback(stage: Stage) -> Facts:
    """The user's function raises once."""
    stage.begin()
    dials, lines = stage.dials(), len(stage.puppet.lines)
    stage.puppet.do("misbehave", stage.limits.begin, raises=True)
    before = dict(stage.server.published)
    stage.server.publish(FIRST)
    stage.wait(lambda: before[FIRST] + 1 in stage.numbers(FIRST, lines), stage.limits.begin)
    after = stage.flow(stage.arrivals(), stage.limits.recover)
    return {
        "after": after,
        "redials": stage.dials() - dials,
        "lost": _lost(stage, lines, before),
        "told": bool(stage.told(lines)),
    }


def _lost(stage: Stage, lines: int, before: Dict[str, int]) -> int:
    """How many messages did not come, of those that were published before the last that came."""
    lost = 0
    for topic in (FIRST, SECOND):
        numbers = set(stage.numbers(topic, lines))
        lost += len(set(range(before[topic] + 1, max(numbers, default=0))) - numbers)
    return lost


def refused_subscription(stage: Stage) -> Facts:
    """A subscription is refused in the exchange's own words."""
    stage.begin()
    lines, links = len(stage.puppet.lines), set(stage.server.links)
    reply = stage.puppet.do("subscribe", stage.limits.begin, topic=REFUSED)
    stage.wait(lambda: bool(stage.told(lines)), stage.limits.late)
    after = stage.flow(stage.arrivals(), stage.limits.recover)
    return {
        "returned": reply is not None,
        "raised": reply["raised"] if reply else None,
        "told": bool(_texts(stage.told(lines), ERROR)),
        "after": after,
        "lost_connection": not links <= stage.server.links,
    }


def dropped_link(stage: Stage) -> Facts:
    """The line is lost, and there again at once."""
    stage.begin()
    lines, opened = len(stage.puppet.lines), len(stage.server.opened)
    doubles = _repeated(stage.server.opened)
    stage.server.drop()
    after = stage.flow(_from_a_new_link(stage, opened), stage.limits.recover)
    stage.flow(lambda: any(line["told"] == GAP for line in stage.told(lines)), stage.limits.late)
    told = stage.told(lines)
    return {
        "after": after,
        "dials": stage.dials(lines),
        "repeated": _repeated(stage.server.opened[opened:]) - doubles,
        "interrupted": bool(_texts(told, INTERRUPTED, GAP)),
        "since": next((line["since"] for line in told if line["told"] == GAP), None),
    }


def _repeated(links: List[Link]) -> int:
    """How many subscriptions were made more than once on the same connection."""
    return sum(len(link.topics) - len(set(link.topics)) for link in links)


def _from_a_new_link(stage: Stage, opened: int) -> Callable[[], bool]:
    """Whether messages have come that were published after both topics were subscribed on connections opened later."""
    come: List[Callable[[], bool]] = []

    def check() -> bool:
        live = {topic for link in stage.server.links if link.number > opened for topic in link.topics}
        if not come and live >= {FIRST, SECOND}:
            come.append(stage.arrivals())
        return bool(come) and come[0]()

    return check


def dropped_twice(stage: Stage) -> Facts:
    """The line is lost, and lost again twice during the recovery: at once, and when something is said or after a second."""
    stage.begin()
    lines, opened = len(stage.puppet.lines), len(stage.server.opened)
    each = len(stage.server.links)  # some libraries have a connection for every subscription
    last = opened + 2 * each

    def dropped_at_once(link: Link) -> None:
        if link.number <= opened + each:
            link.drop()
        elif link.number <= last:
            drop_later(link, _SECOND_DROP)

    def dropped_when_heard(link: Link) -> None:
        if opened + each < link.number <= last:
            link.drop()

    stage.server.when_opened, stage.server.when_heard = dropped_at_once, dropped_when_heard
    stage.server.drop()
    after = stage.flow(_from_a_new_link(stage, last), stage.limits.recover)
    return {"after": after, "dials": stage.dials(lines), "connections": len(stage.server.opened) - opened}


def outage(stage: Stage) -> Facts:
    """The exchange is down: first connections are refused, then handshakes are answered by 503; then it is back."""
    stage.begin()
    lines, opened = len(stage.puppet.lines), len(stage.server.opened)
    began = time.monotonic()
    stage.proxy.refuse_connections()
    stage.server.drop()
    time.sleep(stage.limits.down)
    stage.server.status = 503
    stage.proxy.accept_connections()
    time.sleep(stage.limits.down)
    dials, down = stage.dials(lines), time.monotonic() - began
    stage.server.status = 101
    after = stage.flow(_from_a_new_link(stage, opened), stage.limits.recover)
    return {"after": after, "dials": dials, "down": down}


def silence(stage: Stage) -> Facts:
    """The line is half open: nothing comes, nothing gets through, nobody says so."""
    stage.begin()
    lines, opened = len(stage.puppet.lines), len(stage.server.opened)
    stage.proxy.freeze()
    noticed = stage.wait(
        lambda: stage.dials(lines) > 0 or bool(_texts(stage.told(lines), INTERRUPTED, GAP)), stage.limits.notice
    )
    stage.proxy.thaw()
    after = None
    if noticed is not None:
        after = stage.flow(_from_a_new_link(stage, opened), stage.limits.recover)
    return {"noticed": noticed, "after": after, "limit": stage.limits.notice}


def stop_when_mute(stage: Stage) -> Facts:
    """Stop while the other side is mute."""
    stage.begin()
    stage.proxy.freeze()
    return _stopped(stage)


def _stopped(stage: Stage) -> Facts:
    """Stop it, see its threads end, and let the process end."""
    puppet, patience = stage.puppet, stage.limits.patience
    began = time.monotonic()
    reply = puppet.do("stop", patience)
    took = time.monotonic() - began
    if reply is None:
        return {"took": None, "where": innermost(puppet.where()), "waited": patience}
    raised = reply["raised"]
    while reply["threads"] and time.monotonic() < began + took + patience:
        time.sleep(0.1)
        reply = puppet.do("look", patience) or reply
    lived = time.monotonic() - began - took
    facts = {
        "took": took,
        "raised": raised,
        "lived": None if reply["threads"] else lived,
        "left": len(reply["threads"]),
    }
    return {**facts, "ended": puppet.end(stage.limits.end)}


def stop_in_callback(stage: Stage) -> Facts:
    """Stop from inside a callback."""
    stage.begin()
    puppet, patience = stage.puppet, stage.limits.patience
    lines = len(puppet.lines)
    puppet.do("misbehave", stage.limits.begin, stops=True)
    with stage.pulse():
        stage.wait(lambda: any(puppet.those("stopped", lines)), patience)
        report = next(puppet.those("stopped", lines), None)
        closed = stage.wait(lambda: not stage.server.links, patience)
        ended = puppet.end(patience)
    return {
        "took": report["stopped"] if report else None,
        "raised": report["raised"] if report else None,
        "closed": closed,
        "ended": ended,
    }


def exit_after_stop(stage: Stage) -> Facts:
    """The program's last lines: stop, and the end."""
    stage.begin()
    with stage.pulse():
        return _stopped(stage)


def exit_without_stop(stage: Stage) -> Facts:
    """The program ends, or dies of an exception, without having stopped it."""
    stage.begin()
    with stage.pulse():
        ended = stage.puppet.end(stage.limits.patience)
    return {"ended": ended, "noise": "Traceback" in stage.puppet.errors() or "Fatal" in stage.puppet.errors()}


def fork(stage: Stage) -> Facts:
    """os.fork(), and the child subscribes with the object that it inherited."""
    stage.start()
    reply = stage.puppet.do("subscribe", stage.limits.begin, topic=FIRST)
    come = stage.arrivals(FIRST)
    if reply is None or not stage.flow(come, stage.limits.begin):
        return {"begun": False}
    parents = set(stage.server.links)
    report = stage.puppet.do("fork", stage.limits.begin, topic=SECOND)
    stage.wait(lambda: any(SECOND in link.topics for link in parents), stage.limits.late)
    after = stage.flow(stage.arrivals(FIRST), stage.limits.recover)
    return {
        "begun": True,
        "on_the_parents": any(SECOND in link.topics for link in parents),
        "harmed": after is None or not parents <= stage.server.links,
        "returned": bool(report and report["returned"]),
        "raised": report["child_raised"] if report else None,
        "own_connection": any(SECOND in link.topics for link in stage.server.opened if link not in parents),
    }


def slow_callback(stage: Stage) -> Facts:
    """The user's function takes its time while a burst comes in."""
    stage.begin()
    stage.puppet.do("misbehave", stage.limits.begin, takes=stage.limits.takes)
    lines, before, count = len(stage.puppet.lines), stage.server.published[FIRST], stage.limits.burst
    wanted = set(range(before + 1, before + count + 1))

    def burst() -> None:
        for _ in range(count):
            stage.server.publish(FIRST)

    threading.Thread(target=burst, daemon=True).start()
    deadline, come, quiet = time.monotonic() + stage.limits.slow, 0, False
    while come < count and not quiet and time.monotonic() < deadline:
        stage.wait(
            lambda: len(stage.puppet.lines) - lines == count, stage.limits.idle
        )  # as a rule these are the messages
        new = len(wanted.intersection(stage.numbers(FIRST, lines)))
        quiet = new == come and stage.server.published[FIRST] == before + count
        come = new
    numbers = [number for number in stage.numbers(FIRST, lines) if number in wanted]
    told = _texts(stage.told(lines), LOST, GAP, INTERRUPTED)
    stage.puppet.do("misbehave", stage.limits.begin)
    after = stage.flow(stage.arrivals(), stage.limits.recover)
    return {
        "sent": count,
        "came": len(set(numbers)),
        "doubled": len(numbers) - len(set(numbers)),
        "in_order": numbers == sorted(numbers),
        "told": bool(told),
        "calls": max((line["times"] for line in stage.told(lines)), default=0),
        "after": after,
    }


def secrets_in_logs(stage: Stage) -> Facts:
    """A session with the user's key: log in, lose the line, come back or not, stop; every logger at DEBUG."""
    puppet, limits, server = stage.puppet, stage.limits, stage.server
    puppet.do("log", limits.begin, path=puppet.log)
    stage.start()
    sent = dict(stage.adapter.sends)
    proven = stage.wait(lambda: all(text in server.said() for text in sent.values()), limits.begin)
    puppet.do("log", limits.begin, path=puppet.log)  # once more, for loggers that were made since
    opened = len(server.opened)
    server.drop()
    stage.wait(lambda: len(server.opened) > opened, limits.end)
    puppet.do("stop", limits.end)
    written = puppet.errors() + Path(puppet.log).read_text(encoding="utf-8", errors="replace")
    secrets = {**stage.server.dialect.secrets, **sent, **stage.adapter.keeps}
    return {
        "proven": proven is not None,
        "lines": written.count("\n"),
        "seen": sorted(name for name, text in secrets.items() if text in written),
        "sought": sorted(secrets),
    }


class Trial(NamedTuple):
    """One row of the table.

    Attributes:
        name: in the results; title: in the page; hold: what does it; private, quick: see `Place`.
    """

    name: str
    title: str
    hold: Callable[[Stage], Facts]
    private: bool = False
    quick: bool = False


TRIALS = (
    Trial("raising_callback", "A callback raises once", raising_callback),
    Trial("refused_subscription", "A subscription is refused", refused_subscription),
    Trial("dropped_link", "The line is lost", dropped_link),
    Trial("dropped_twice", "Lost again, twice, while it recovers", dropped_twice),
    Trial("outage", "The exchange is down for ten seconds", outage),
    Trial("silence", "Half-open line, nothing comes", silence, quick=True),
    Trial("stop_when_mute", "Stop while the other side is mute", stop_when_mute),
    Trial("stop_in_callback", "Stop inside a callback", stop_in_callback),
    Trial("exit_after_stop", "The process ends after stop", exit_after_stop),
    Trial("exit_without_stop", "The process ends without stop", exit_without_stop),
    Trial("fork", "A forked child subscribes", fork),
    Trial("slow_callback", "A slow callback in a burst", slow_callback),
    Trial("secrets_in_logs", "Secrets in DEBUG logs", secrets_in_logs, private=True),
)
