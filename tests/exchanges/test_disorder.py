"""Conversations in which nothing is as it should be: replies before requests, pushes before replies, numbers of nobody, messages
spoilt in several places, deadlines and ends in between. No protocol raises, stands still, or shows a fault of its own.
"""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import pytest

from tests.exchanges.kyrrex.conversation import OBJECTS
from xchws.credentials import Secrets
from xchws.errors import ConfigurationError, OpenFailed
from xchws.events import Data, Failure
from xchws.exchanges.indodax.market_protocol import IndodaxMarketProtocol, MarketMemory
from xchws.exchanges.indodax.protocol import IndodaxProtocol, OrdersMemory
from xchws.exchanges.indodax.token import Grant
from xchws.exchanges.kyrrex.protocol import AccountMemory, KyrrexProtocol
from xchws.exchanges.richamster.protocol import RichamsterProtocol
from xchws.sansio.actions import Close, Output, Topic
from xchws.sansio.protocol import Protocol

SAMPLES = Path(__file__).resolve().parent / "samples"
CHANNEL = "pws:#c12d3ca099785ede15c37c9b7642ab89d19bc96e"
CONVERSATIONS = 400


def samples(vendor: str) -> List[Any]:
    paths = sorted((SAMPLES / vendor).glob("*.json"))
    return [json.loads(re.sub(r"[ \t]*// .*", "", path.read_text("utf-8"))) for path in paths]


class Exchange(NamedTuple):
    """How one exchange's conversations are made.

    `opening` is what most of them begin with, `raw` are messages as they are, `results` what a job may end with.
    """

    make: Callable[[random.Random], Protocol]
    messages: Sequence[Any]
    opening: Sequence[bytes] = ()
    raw: Sequence[bytes] = ()
    topics: Sequence[Topic] = ()
    results: Sequence[Any] = ()
    prefix: bytes = b""


INDODAX: List[Any] = [
    *samples("indodax"),
    {"id": 1, "connect": {"ping": 25, "pong": True, "expires": True, "ttl": 3}},
    {"id": 2, "subscribe": {"offset": 5, "epoch": "e", "recoverable": True}},
    {"id": 3, "refresh": {"expires": True, "ttl": 9}},
    {"id": 3, "error": {"code": 100, "message": "x", "temporary": True}},
    {"push": {"channel": CHANNEL, "unsubscribe": {"code": 2500, "reason": "r"}}},
    {"push": {"disconnect": {"code": 3001, "reason": "s"}}},
    {"push": {"channel": CHANNEL, "pub": {"data": [], "offset": 7}}},
    {"push": {"channel": "another", "pub": {"data": [1]}}},
    {},
]
TICKS = Topic("chart:tick-usdtidr")
MARKET: List[Any] = [
    *samples("indodax_market"),
    *(
        {"id": number, "result": {"offset": 266983 - number, "epoch": "e", "recoverable": True}}
        for number in range(1, 7)
    ),
    *({"id": 2, "error": {"code": code, "message": "m"}} for code in (100, 102, 105)),
    *(
        {"result": {"channel": TICKS.channel, "data": {"data": [[1, 2, 3, "4"]], "offset": at}}}
        for at in (1, 266985, 266990)
    ),
    {"result": {"type": 3, "channel": TICKS.channel, "data": {"resubscribe": True}}},
    {"result": {"type": 3, "channel": TICKS.channel, "data": {}}},
]
PACKETS = (
    b'0{"sid":"Q","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
    b'0{"sid":"Q","pingInterval":0,"pingTimeout":-1}',
    b'0{"sid":"Q","pingInterval":1e300,"pingTimeout":1e999}',
    *(b"40", b'40{"sid":"Z"}', b"41", b"1", b"2", b"3", b"5", b"6", b"44", b'44{"message":"x"}', b"430[]", b"40/x,"),
    b'451-["account",{"_placeholder":true,"num":0}]',
    b'452-7["order",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]',
    *(b"", b"4", b"bAAAA", b"\xc2\xb2", b"4" + b"9" * 400 + b'["a"]', b"42" + b"1" * 99 + b'["account",null]'),
)
PAIRS = ("KRB/UAH", "ETH/UAH")
EXCHANGES: Dict[str, Exchange] = {
    "indodax": Exchange(
        lambda chance: IndodaxProtocol(Grant("token", CHANNEL), OrdersMemory(), Secrets()),
        INDODAX,
        opening=[b'{"id":1,"connect":{"expires":true,"ttl":30}}', b'{"id":2,"subscribe":{}}'],
        results=[Grant("another", CHANNEL), Grant("another", "pws:#x"), OpenFailed("down")],
    ),
    "indodax market": Exchange(
        lambda chance: IndodaxMarketProtocol("token", MarketMemory(), Secrets()),
        MARKET,
        opening=[b'{"id":1,"result":{}}'],
        topics=[TICKS, Topic("market:summary-24h"), Topic("market:order-book-btcidr"), Topic("news")],
    ),
    "richamster": Exchange(
        lambda chance: RichamsterProtocol("token", chance.random() < 0.5, {}, Secrets()),
        samples("richamster"),
        topics=[Topic(name, (pair,)) for name in ("ticker", "order_book", "trading", "user_orders") for pair in PAIRS],
        results=["token", OpenFailed("down"), ConfigurationError("no text")],
    ),
    "kyrrex": Exchange(
        lambda chance: KyrrexProtocol(chance.choice("34"), chance.choice([0.0, 1.0]), AccountMemory(), Secrets()),
        [[name, {"data": {"version": "1", "action": "update", "object": found}}] for name, found in OBJECTS.items()],
        opening=[PACKETS[0], b'40{"sid":"Z"}'],
        raw=PACKETS,
        prefix=b"42",
    ),
}

WRONG: List[Any] = [
    *(
        None,
        0,
        -1,
        17,
        1.5,
        "",
        "text",
        "NaN",
        "Infinity",
        [],
        [1],
        {},
        {"a": 1},
        True,
        False,
        2**64,
        -(10**30),
        10**400,
    ),
    *("9" * 5000, "1e999999999", "\u0663", CHANNEL, "KRB/UAH"),
]


def spoil(value: Any, chance: random.Random) -> Any:
    """The same with one place in it removed, new or of another type."""
    if not isinstance(value, (dict, list)) or not value or chance.random() < 0.1:
        return chance.choice(WRONG)
    inside = copy.copy(value)
    key = chance.choice(sorted(inside)) if isinstance(inside, dict) else chance.randrange(len(inside))
    turn = chance.random()
    if turn < 0.15:
        del inside[key]
    elif turn < 0.25 and isinstance(inside, dict):
        inside["unheard"] = chance.choice(WRONG)
    else:
        inside[key] = spoil(inside[key], chance)
    return inside


def message(exchange: Exchange, chance: random.Random) -> bytes:
    if exchange.raw and chance.random() < 0.5:
        return chance.choice(exchange.raw)
    value = chance.choice(exchange.messages)
    for _ in range(chance.choice([0, 0, 0, 1, 1, 3])):
        value = spoil(value, chance)
    text = json.dumps(value).encode()
    if isinstance(value, dict) and value and chance.random() < 0.1:
        text = b'{"id":0,"push":null,"type":"x","pair":5,' + text[1:]  # the same keys twice
    if chance.random() < 0.05:
        place = chance.randrange(len(text))
        text = text[:place] + b"\\" + text[place + 1 :]
    return exchange.prefix + text


def turn(protocol: Protocol, exchange: Exchange, chance: random.Random, now: float) -> List[Output]:
    """Something happens."""
    kind = chance.random()
    if kind < 0.15 and exchange.topics:
        act = protocol.unsubscribe if chance.random() < 0.3 else protocol.subscribe
        return act(chance.choice(exchange.topics), now)
    if kind < 0.2 and exchange.results:
        return protocol.fetched("token", chance.choice(exchange.results), now)
    if kind < 0.22:
        return protocol.received_binary(chance.choice([b"", b"{}", b"\x04x", b"\xff"]), now)
    if kind < 0.24:
        reason = chance.choice(["", "x", '{"reason":5,"reconnect":"x"}', "{"])
        return [protocol.closed(chance.choice([1000, 1006, 3000, 3500, 4999, 0, -1, 10**9]), reason)]
    text = message(exchange, chance)
    if exchange.topics and chance.random() < 0.2:
        text += b"\n" + message(exchange, chance)
    return protocol.received(text, now)


def wake(protocol: Protocol, now: float, until: Optional[float]) -> List[Output]:
    """Let the deadlines that come by then pass; after each there is either something said, or no deadline that is past."""
    outputs: List[Output] = []
    for _ in range(100):
        due = protocol.deadline()
        if due is None or (until is not None and due > until):
            return outputs
        assert 0 <= due < 1e12
        said = protocol.wake(max(due, now))
        outputs += said
        if said and isinstance(said[-1], Close):
            return outputs
    raise AssertionError("it wants to be woken for ever")


def converse(name: str, seed: int) -> None:
    exchange, chance = EXCHANGES[name], random.Random(f"{name} {seed}")
    protocol = exchange.make(chance)
    outputs, now = protocol.opened(0.0), 0.0
    if chance.random() < 0.8:
        for text in exchange.opening:
            outputs += protocol.received(text, now)
    for _ in range(chance.randrange(3, 25)):
        later = now + chance.choice([0.0, 0.0, 0.0, 0.1, 1.0, 10.0])
        said = wake(protocol, now, later)
        now = later
        if not said or not isinstance(said[-1], Close):
            said += turn(protocol, exchange, chance, now)
        outputs += said
        if said and isinstance(said[-1], Close):
            break
    outputs += protocol.ended()
    for output in outputs:
        assert repr(output)
        if isinstance(output, Failure):
            assert "internal error" not in str(output.error)
            assert len(str(output.error)) < 2000
        elif isinstance(output, Data):
            repr((output.raw, output.time, protocol.identity(output)))


@pytest.mark.parametrize("name", EXCHANGES)
def test_disorder(name: str) -> None:
    for seed in range(CONVERSATIONS):
        try:
            converse(name, seed)
        except Exception as fault:
            raise AssertionError(f"conversation {seed} of {name}") from fault
