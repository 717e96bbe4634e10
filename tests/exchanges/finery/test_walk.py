"""A random walk: binds and their answers, a back end that comes and goes (with feeds kept bound or not), cuts, messages that are
on their way for a while and come several at once. Whatever happens:

- an execution that reached the client is told once,
- between the end of a stream and its next event there is exactly one Gap,
- the book that was told last is the exchange's, and no request is left without its fate.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any, Dict, List, Set, Tuple

import pytest

from tests.exchanges.finery import samples
from tests.exchanges.finery.conversation import Conversation
from xchws import events
from xchws.exchanges import finery
from xchws.exchanges.finery import calls

ORDERS, BOOK = ("O", 0), ("F", "ETH-USD")
UNIT = Decimal("1E-8")


class Market:
    """The exchange on the other end of one connection after the other."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.talk = Conversation(connected=False)
        self.mute_when_away = choose.random() < 0.3  # what it does with commands while it is without its back end
        self.bids: Dict[int, int] = {100: 1}
        self.connected = True
        self.bound: Set[Tuple[str, Any]] = set()
        self.on_the_way: List[Any] = [["X", 0, "Z", 0]]
        self.arrived: List[str] = []  # the ids of the deals that were told to the client
        self._deals = 0
        self._asked = 0

    # ------------------------------------------------------------------------------------------------- what happens

    def deal(self) -> None:
        self._deals += 1
        if self.connected and ORDERS in self.bound:
            row = [*samples.DEAL[:4], self._deals, *samples.DEAL[5:11], 7000 + self._deals, *samples.DEAL[12:]]
            self.on_the_way.append(["O", 0, "D", row])

    def change(self) -> None:
        price = self.choose.randint(90, 110)
        size = self.choose.randint(0, 3)
        known = price in self.bids
        if not size and not known:
            return
        action = ("M" if size else "-") if known else "+"
        if size:
            self.bids[price] = size
        else:
            del self.bids[price]
        if self.connected and BOOK in self.bound:
            self.on_the_way.append(["F", "ETH-USD", "M", [[[action, price, size]], []]])

    def lose_back_end(self) -> None:
        if self.connected:
            self.connected = False
            if self.choose.random() < 0.5:
                self.bound.clear()
            self.on_the_way.append(["X", 0, "Z", 2])

    def regain_back_end(self) -> None:
        if not self.connected:
            self.connected = True
            self.on_the_way.append(["X", 0, "Z", 0])
            if self.choose.random() < 0.5:
                self.on_the_way += [self._snapshot(key) for key in sorted(self.bound)]

    def cut(self) -> None:
        self.talk.lose()
        self.talk.sent()  # it never arrives
        self.on_the_way.clear()
        self.bound.clear()

    def ask(self) -> None:
        self._asked += 1
        self.talk.ask(calls.plain_call("limits", None, 10.0), self._asked)

    # ---------------------------------------------------------------------------------------------- on the connection

    def work(self) -> None:
        """Answer what the client has said; dial again where it has to."""
        active = self.talk.session.active
        if active is not None and active.phase.name == "DIALLING":
            self.talk.sent()
            self.talk.open()
            self.on_the_way = [["X", 0, "Z", 0 if self.connected else 2]]
        for said in self.talk.sent():
            if said["event"] == "request":
                self.on_the_way.append({"event": "request", "reqId": said["reqId"], "reply": []})
                continue
            key = said["feed"], said.get("feedId", 0)
            if self.connected or not self.mute_when_away:
                self.on_the_way.append(self._answer(said["event"], key))

    def _answer(self, event: str, key: Tuple[str, Any]) -> List[Any]:
        if not self.connected:
            return [*key, "Z", 2]
        if event == "bind":
            if key in self.bound:
                return [*key, "Z", 100]
            self.bound.add(key)
            return self._snapshot(key)
        if key not in self.bound:
            return [*key, "Z", 101]
        self.bound.remove(key)
        return [*key, "U", 0]

    def _snapshot(self, key: Tuple[str, Any]) -> List[Any]:
        return [*key, "S", [] if key == ORDERS else [[[price, size] for price, size in self.bids.items()], []]]

    def arrive(self, count: int) -> None:
        """The oldest messages come, in one read."""
        active = self.talk.session.active
        if active is not None and active.is_open:
            now, self.on_the_way = self.on_the_way[:count], self.on_the_way[count:]
            deals = [message for message in now if isinstance(message, list) and message[2] == "D"]
            self.arrived += [str(message[3][11]) for message in deals]
            self.talk.hear_at_once(*now)

    def settle(self) -> None:
        """Nothing more happens; all that is on its way arrives."""
        self.regain_back_end()
        for _ in range(60):
            self.work()
            self.arrive(99)
            self.talk.wait(2)


def streams(told: List[Any], rebound: Set[int], seed: int) -> None:
    """See that after the end of a stream its next event comes behind one Gap.

    Args:
        rebound: where among the events the user had given up the book and asked for it anew: it is another stream since.
    """
    for name, kinds in (("O", (finery.Order, finery.Fill)), ("F ETH-USD", (events.OrderBook,))):
        began = broken = False
        for place, event in enumerate(told):
            if place in rebound and name != "O":
                began = broken = False
            if isinstance(event, (events.Disconnected, events.Suspended)):
                broken = broken or began
            elif isinstance(event, events.Gap) and name in event.channels:
                assert broken or not began, (seed, name, place)
                broken = False
            elif isinstance(event, kinds):
                # What was held back until the Gap is told when the connection ends before that.
                after = next((one for one in told[place:] if not isinstance(one, events.Data)), None)
                last_words = name == "O" and isinstance(after, events.StateChanged)
                assert not broken or last_words, (seed, name, place)
                began = began or not last_words


STEPS = (
    "deal",
    "deal",
    "change",
    "change",
    "ask",
    "lose_back_end",
    "regain_back_end",
    "work",
    "work",
    "arrive",
    "arrive",
)


@pytest.mark.parametrize("block", range(5))
def test_walks(block: int) -> None:
    for seed in range(block * 60, block * 60 + 60):
        choose = random.Random(seed)
        market = Market(choose)
        talk, rebound = market.talk, set()
        talk.bind("O")
        talk.bind("F", "ETH-USD")
        for _ in range(choose.randint(20, 150)):
            step = choose.choice(STEPS) if choose.random() < 0.95 else choose.choice(["cut", "wait", "wait", "rebind"])
            if step == "arrive":
                market.arrive(choose.randint(1, 4))
            elif step == "wait":
                talk.wait(choose.choice([0.1, 1, 3]))
            elif step == "rebind":
                rebound.add(len(talk.events))
                talk.unbind("F", "ETH-USD")
                talk.bind("F", "ETH-USD")
            elif step == "cut" and talk.session.active is not None and talk.session.active.is_open:
                market.cut()
            elif step not in ("cut", "rebind"):
                getattr(market, step)()
        market.settle()
        fills = [fill.id for fill in talk.of(finery.Fill)]
        assert fills == market.arrived, seed
        (last,) = talk.of(events.OrderBook)[-1:]
        assert last.bids == tuple(
            (price * UNIT, size * UNIT) for price, size in sorted(market.bids.items(), reverse=True)
        ), seed
        assert (talk.state("O"), talk.state("F", "ETH-USD"), talk.session.state) == ("active", "active", "READY"), seed
        assert sorted(one.ticket for one in talk.resolved) == list(range(1, market._asked + 1)), seed
        assert not [error for error in talk.errors() if "internal error" in str(error) and "10 (" not in str(error)], (
            seed
        )
        streams(talk.events, rebound, seed)
