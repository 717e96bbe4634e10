"""A random walk: sessions that are lost, recovered, renewed and ended, messages that are repeated or missing, several read at
once. Whatever happens:

- prices, executions and changes of orders are told once and in order,
- what is missing lies in a Gap that is not recovered, and a recovered one hides nothing,
- the book that was told last is the exchange's own.
"""

from __future__ import annotations

import random
import uuid
from decimal import Decimal
from typing import Any, Dict, List, Optional, Tuple

import pytest

from tests.exchanges.kyan.conversation import ME, Conversation, event
from tests.exchanges.kyan.samples import PERP, TRADE
from xchws import events
from xchws.exchanges.kyan import models

PRICE, TRADES, BOOK = "index_price", "trade", "orderbook_perps"
QUERIES: Dict[str, Dict[str, Any]] = {PRICE: {"pair": "ETH_USDC"}, TRADES: {"account": ME}, BOOK: {"pair": "ETH_USDC"}}
LIFETIME = 60.0


class Line:
    """One connection, as the exchange sees it."""

    def __init__(self, link: int, now: float) -> None:
        self.link = link
        self.began = now
        self.channels: List[str] = []
        self.token: Optional[str] = None
        self.on_the_way: List[Dict[str, Any]] = []
        self.replayable: List[Dict[str, Any]] = []  # the events that were told, the newest last
        self.lost_at: Optional[float] = None
        self._seq = 0

    def tell(self, message: Dict[str, Any]) -> None:
        self.replayable.append(message)
        if self.lost_at is None:
            self._seq += 1
            self.on_the_way.append({**message, "seq_id": self._seq})

    def skip(self) -> None:
        """A message that never arrives."""
        self._seq += 1


class Market:
    """The exchange."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.talk = Conversation(recovery=choose.random() < 0.7, lifetime=LIFETIME)
        self.layout = choose.choice(["one for each", "one for all", "single orders"])
        self.lines: Dict[int, Line] = {}
        self.resting: Dict[str, Dict[str, Any]] = {}
        self.changes: List[Tuple[str, str, int]] = []
        self.prices = 0
        self.trades = 0

    def _message(self, kind: str, channel: str, data: Any) -> Dict[str, Any]:
        return {
            **event(kind, data, channel, QUERIES[channel]),
            "message_id": str(uuid.UUID(int=self.choose.getrandbits(128))),
        }

    def _publish(self, channel: str, kind: str, data: Any) -> None:
        for line in self.lines.values():
            if channel in line.channels:
                line.tell(self._message(kind, channel, data))

    # ------------------------------------------------------------------------------------------------- what happens

    def price(self) -> None:
        self.prices += 1
        self._publish(PRICE, PRICE, {"value": self.prices})

    def trade(self) -> None:
        self.trades += 1
        self._publish(TRADES, TRADES, {**TRADE, "trade_id": str(self.trades)})

    def order(self) -> None:
        names = sorted(self.resting)
        choice = self.choose.random()
        if not names or choice < 0.5:
            name = f"o{len(self.changes)}"
            side = self.choose.choice(["buy", "sell"])
            price = self.choose.randint(1, 50) + (50 if side == "sell" else 0)
            self.resting[name] = {
                "order_id": name, "instrument_name": PERP, "direction": side, "price": price, "amount": 10,
                "filled_amount": 0,
            }  # fmt: skip
            action = "post"
        else:
            name = self.choose.choice(names)
            action = "update" if choice < 0.8 and self.resting[name]["filled_amount"] < 9 else "cancel"
        found = self.resting[name]
        if action == "update":
            found["filled_amount"] += 1
        elif action == "cancel":
            del self.resting[name]
        self.changes.append((action, name, found["filled_amount"]))
        self._publish(BOOK, f"{action}_order", dict(found))

    def lose(self) -> None:
        """A connection breaks; what is on its way is lost with it, and may be replayed."""
        for line in self._live():
            chance = self.choose.random()
            if chance < 0.2 and line.link == self.talk.dials[-1]:
                self._arrive(line, 99)  # a goodbye comes after all that was said before
                self._detach(line)
                self.talk.dismiss()
            elif chance < 0.6:
                self._detach(line)
                self.talk.lose(line.link)

    def skip(self) -> None:
        """A message gets lost on a connection that stands."""
        for line in self._live():
            if line.channels:
                line.skip()

    def repeat(self) -> None:
        for line in self._live():
            if line.on_the_way and "message_id" in line.on_the_way[-1]:
                line.on_the_way.append(line.on_the_way[-1])

    def wait(self) -> None:
        self.pass_time(self.choose.choice([0.1, 0.4, 1.0, 5.0, 20.0]))

    # ---------------------------------------------------------------------------------------------- on the connections

    def _live(self) -> List[Line]:
        return [line for line in self.lines.values() if line.lost_at is None]

    def _detach(self, line: Line) -> None:
        line.lost_at = self.talk.now
        missed = {one.get("message_id") for one in line.on_the_way}
        arrived = sum(one["message_id"] not in missed for one in line.replayable)
        # The exchange does not know what has arrived: it may replay some of that, or less than what has not.
        line.replayable = line.replayable[max(0, self.choose.randint(arrived - 3, len(line.replayable))) :]
        line.on_the_way.clear()

    def pass_time(self, seconds: float) -> None:
        """In steps: nothing is on its way for more than half a second, and a session lives no longer than it may."""
        while seconds > 0:
            self.talk.pass_time(min(0.25, seconds))
            seconds -= 0.25
            self.work()
            for line in self._live():
                self._arrive(line, 99)

    def work(self) -> None:
        """Take note of connections that have ended, open those that are dialled, answer what was said."""
        talk = self.talk
        for line in self._live():
            if line.link in talk.hangups:
                self._detach(line)
            elif talk.now >= line.began + LIFETIME:
                self._detach(line)
                talk.lose(line.link)
        newest = talk.session.successor or talk.session.active
        if newest is not None and newest.phase.name == "DIALLING":
            talk.open()
            self.lines[newest.number] = Line(newest.number, talk.now)
        for line in self._live():
            for command in talk.sent(line.link):
                self._obey(line, command)

    def _obey(self, line: Line, command: Dict[str, Any]) -> None:
        verb = command["type"]
        reply: Dict[str, Any] = {
            "kind": "response",
            "type": verb,
            "id": command["id"],
            "timestamp_ms": 1,
            "success": True,
        }
        if verb == "recover_session":
            old = next((one for one in self.lines.values() if one.token == command["recovery_token"]), None)
            if old is None or old.lost_at is None or self.talk.now > old.lost_at + 30 or self.choose.random() < 0.2:
                line.on_the_way.append({**reply, "success": False, "error": "Recovery failed"})
                return
            old.token, line.token = None, str(self.choose.random())
            line.channels, line.began = old.channels, old.began
            old.channels = []
            answer = {**reply, "recovery_token": line.token, "ttl_seconds": 30}
            first = self.choose.random() < 0.5
            line.on_the_way += [answer] if first else []
            for message in old.replayable:
                line.tell(message)
            line.on_the_way += [] if first else [answer]
            return
        if verb == "enable_session_recovery":
            line.token = str(self.choose.random())
            reply.update(recovery_token=line.token, ttl_seconds=30)
        line.on_the_way.append(reply)
        for entry in command.get("subscriptions", ()):
            channel = entry["channel"]
            if verb == "unsubscribe":
                line.channels = [one for one in line.channels if one != channel]
            else:
                line.channels = [*(one for one in line.channels if one != channel), channel]
                for message in self._beginning(channel):
                    line.tell(message)

    def _beginning(self, channel: str) -> List[Dict[str, Any]]:
        if channel != BOOK:
            return []
        orders = [dict(order) for order in self.resting.values()]
        if self.layout == "single orders":
            return [self._message("post_order", BOOK, order) for order in orders]
        sides = {
            side: [one for one in orders if one["direction"] == word]
            for side, word in (("bids", "buy"), ("asks", "sell"))
        }
        data = orders if self.layout == "one for all" else {"instrument_name": PERP, **sides}
        return [self._message("ob_snapshot", BOOK, data)]

    def arrive(self) -> None:
        for line in self._live():
            self._arrive(line, self.choose.randint(0, 4))

    def _arrive(self, line: Line, count: int) -> None:
        now, line.on_the_way = line.on_the_way[:count], line.on_the_way[count:]
        if now:
            self.talk.say_at_once(*now, link=line.link)

    def book(self) -> Tuple[Any, Any]:
        sums: Dict[str, Dict[Decimal, Decimal]] = {"buy": {}, "sell": {}}
        for order in self.resting.values():
            side, price = sums[order["direction"]], Decimal(order["price"])
            side[price] = side.get(price, Decimal(0)) + order["amount"] - order["filled_amount"]
        return tuple(sorted(sums["buy"].items(), reverse=True)), tuple(sorted(sums["sell"].items()))


def numbers(told: List[Any], kind: Any, number: Any, channel: str, seed: int) -> List[int]:
    """The numbers told, seen to be in order; where some are missing there is a Gap that is not recovered."""
    found: List[int] = []
    excused = True  # before the first
    for place, one in enumerate(told):
        if isinstance(one, events.Gap) and not one.recovered and any(name.startswith(channel) for name in one.channels):
            excused = True
        elif isinstance(one, kind):
            value = int(number(one))
            last = found[-1] if found else 0
            assert value > last, (seed, channel, place, "twice, or out of order")
            assert value == last + 1 or excused, (seed, channel, place, last, value)
            found.append(value)
            excused = False
    return found


def gaps_come_first(told: List[Any], kinds: Any, channel: str, seed: int) -> None:
    """After the end of a connection the next event of a stream comes behind its Gap."""
    broken = began = False
    for place, one in enumerate(told):
        if isinstance(one, events.Disconnected):
            broken = began
        elif isinstance(one, events.Gap) and any(name.startswith(channel) for name in one.channels):
            broken = False
        elif isinstance(one, kinds):
            assert not broken, (seed, channel, place)
            began = True


def last_book(talk: Conversation) -> Tuple[Any, Any]:
    """The book that was told last; an empty one need not be told at all."""
    books = talk.told(events.OrderBook)
    return (books[-1].bids, books[-1].asks) if books else ((), ())


STEPS = ("price", "price", "trade", "order", "order", "work", "arrive", "arrive", "wait")


@pytest.mark.parametrize("block", range(4))
def test_walks(block: int) -> None:
    for seed in range(block * 25, block * 25 + 25):
        choose = random.Random(seed)
        market = Market(choose)
        talk = market.talk
        topics = {channel: talk.subscribe(channel, **query) for channel, query in QUERIES.items()}
        for _ in range(choose.randint(20, 120)):
            step = choose.choice(STEPS) if choose.random() < 0.93 else choose.choice(["lose", "skip", "repeat"])
            getattr(market, step)()
        market.pass_time(5)
        connections = talk.session.connections
        market.pass_time(1.5)
        if (
            connections == talk.session.connections
            and talk.session.state == "READY"
            and talk.session.wanted[topics[BOOK]].state == "active"
        ):
            assert last_book(talk) == market.book(), seed
        market.pass_time(90)
        for step in ("price", "trade", "order"):
            getattr(market, step)()
        market.pass_time(20)
        assert talk.session.state == "READY" and all(want.state == "active" for want in talk.session.wanted.values()), (
            seed
        )
        prices = numbers(talk.events, models.IndexPrice, lambda one: one.value, PRICE, seed)
        fills = numbers(talk.events, models.Fill, lambda one: one.id, TRADES, seed)
        assert prices[-1] == market.prices and fills[-1] == market.trades, seed
        assert last_book(talk) == market.book(), seed
        told = [
            (one.action, one.id, int(one.filled or 0))
            for one in talk.told(models.BookOrder)
            if one.action != "snapshot"
        ]
        if market.layout != "single orders":
            assert len(told) == len(set(told)), seed
            places = [market.changes.index(one) for one in told]
            assert places == sorted(places), seed
        gaps_come_first(talk.events, models.IndexPrice, PRICE, seed)
        gaps_come_first(talk.events, models.Fill, TRADES, seed)
        unexpected = [one for one in talk.told(events.Failure) if "internal error" in str(one.error)]
        assert not unexpected and not talk.told(events.Other), seed
