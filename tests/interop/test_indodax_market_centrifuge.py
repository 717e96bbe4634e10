"""Centrifugal's own JavaScript client of the old dialect, release 2, against the simulated market data of Indodax.

The client speaks as its README says (https://github.com/centrifugal/centrifuge-js/tree/2.8.5), the channels are those of
Marketdata-websocket.md of https://github.com/btcid/indodax-official-api-docs; both read 2026-11.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

from xchws.sandbox import IndodaxMarketSandbox
from xchws.sandbox.jsontext import write

from .node import WAIT, Node

pytestmark = pytest.mark.interop

TICKS, BOOK = "chart:tick-btcidr", "market:order-book-btcidr"

# Every message is a task of its own, as in the browsers that the client is made for: see test_indodax_centrifuge.py.
CLIENT = """
const { createInterface } = require('readline');
const Centrifuge = require('centrifuge-2');
const WebSocket = require('ws');
const { url, token, channels, ...more } = JSON.parse(process.argv[1]);
const say = (...words) => process.stdout.write(JSON.stringify(words) + '\\n');
class Browserlike extends WebSocket {
  constructor(address, protocols) { super(address, protocols, { allowSynchronousEvents: false }); }
}

const centrifuge = new Centrifuge(url, { websocket: Browserlike, minRetry: 10, maxRetry: 20, ...more });
centrifuge.setToken(token);
centrifuge.on('connect', context => say('connect', context.transport));
centrifuge.on('disconnect', context => say('disconnect', context.reason, context.reconnect));
const subscriptions = new Map();
for (const channel of channels) {
  subscriptions.set(channel, centrifuge.subscribe(channel, {
    publish: context => say('publish', channel, context.offset, context.data),
    subscribe: context => say('subscribe', channel, context.isResubscribe, context.recovered),
    unsubscribe: () => say('unsubscribe', channel),
    error: context => say('error', channel, context.code, context.message)
  }));
}
centrifuge.connect();
createInterface({ input: process.stdin }).on('line', line => {
  const [act, channel] = JSON.parse(line);
  subscriptions.get(channel)[act]();
}).on('close', () => {
  centrifuge.disconnect();
  process.exit(0);
});
"""


def started(packages: Path, exchange: IndodaxMarketSandbox, *channels: str, **options: Any) -> Node:
    arguments = {"url": exchange.url, "token": exchange.token, "channels": channels, **options}
    return Node(packages, CLIENT, **arguments)


def published(exchange: IndodaxMarketSandbox, *channels: str) -> List[Any]:
    """What was published in these channels, with numbers as JavaScript has them."""
    return [
        [entry["channel"], entry["data"]["offset"], json.loads(write(entry["data"]["data"]))]
        for entry in exchange.published
        if entry["channel"] in channels
    ]


def tick(exchange: IndodaxMarketSandbox, *numbers: int) -> None:
    for number in numbers:
        exchange.tick("btcidr", 1_600_000_000, number)


def volumes(node: Node, count: int) -> List[str]:
    return [row[3] for _ in range(count) for row in node.hear("publish")[2]]


def test_all_channels_in_order(packages: Path) -> None:
    with IndodaxMarketSandbox(seed=1, ping_interval=0.2, pong_timeout=WAIT) as exchange:
        channels = (TICKS, BOOK, "market:trade-activity-btcidr", "market:summary-24h")
        with started(packages, exchange, *channels, pingInterval=200) as node:
            for _ in channels:
                assert node.hear("subscribe")[1:] == [False, False]
            exchange.random_walk(200)
            with exchange.one_frame():
                exchange.random_walk(100)
            sent = published(exchange, *channels)
            heard = [node.hear("publish") for _ in sent]
            for channel in channels:
                assert [each for each in heard if each[0] == channel] == [each for each in sent if each[0] == channel]
            exchange.wait_until(lambda: sum(item.kind == "pong" for item in exchange.received) >= 3, WAIT)
            pings = [{"method": 7, "id": number} for number in range(6, 9)]  # after connect and four subscriptions
            exchange.wait_until(lambda: all(ping in exchange.messages for ping in pings), WAIT)
            node.tell("unsubscribe", BOOK)
            assert node.hear("unsubscribe") == [BOOK]
            exchange.wait_until(lambda: not exchange.subscribers(BOOK), WAIT)
        exchange.wait_until(lambda: not exchange.sessions, WAIT)
        assert exchange.opened == 1 and exchange.complaints == []


@pytest.mark.parametrize("code", [None, 1001, 3001, 3010])
def test_a_cut_is_recovered(packages: Path, code: Any) -> None:
    with IndodaxMarketSandbox() as exchange, started(packages, exchange, TICKS) as node:
        node.hear("subscribe")
        for first in (1, 11):
            tick(exchange, *range(first, first + 5))
            assert volumes(node, 5) == [str(number) for number in range(first, first + 5)]
            exchange.refuse(503)
            if code is None:
                exchange.drop()
            else:
                exchange.close_connections(code)
            assert node.hear("disconnect")[1] is True
            tick(exchange, *range(first + 5, first + 10))  # to nobody
            exchange.accept()
            assert node.hear("subscribe") == [TICKS, True, True]
            assert volumes(node, 5) == [str(number) for number in range(first + 5, first + 10)]
        assert exchange.complaints == exchange.remarks == []


def test_what_cannot_be_recovered(packages: Path) -> None:
    with IndodaxMarketSandbox(history_size=3) as exchange, started(packages, exchange, TICKS) as node:
        node.hear("subscribe")
        tick(exchange, 1)
        assert volumes(node, 1) == ["1"]
        exchange.refuse(503)
        exchange.drop()
        tick(exchange, *range(2, 10))
        exchange.accept()
        assert node.hear("subscribe") == [TICKS, True, False]
        assert volumes(node, 3) == ["7", "8", "9"], "what is left is told all the same"
        exchange.restart()
        assert node.hear("subscribe") == [TICKS, True, False]
        tick(exchange, 10)
        assert node.hear("publish")[1] == 1
        assert exchange.complaints == []


def test_the_server_ends_subscriptions(packages: Path) -> None:
    with IndodaxMarketSandbox() as exchange, started(packages, exchange, TICKS, BOOK) as node:
        for _ in range(2):
            node.hear("subscribe")
        exchange.unsubscribe_push(TICKS, resubscribe=True)
        assert node.hear("subscribe") == [TICKS, False, False], "this client begins anew then"
        tick(exchange, 1)
        assert volumes(node, 1) == ["1"]
        exchange.unsubscribe_push(BOOK)
        assert node.hear("unsubscribe") == [BOOK]
        assert exchange.complaints == exchange.remarks == []


def test_channels_that_are_refused(packages: Path) -> None:
    with IndodaxMarketSandbox() as exchange, started(packages, exchange, "nowhere:x", "market:trade-x", TICKS) as node:
        assert node.hear("error") == ["nowhere:x", 102, "unknown channel"]
        # A pair that does not exist is acknowledged, and nothing ever comes of it.
        assert node.hear("subscribe") == ["market:trade-x", False, False]
        assert node.hear("subscribe") == [TICKS, False, False]
    assert [text.partition(": ")[2] for text in exchange.complaints] == ["subscribe: error 102 unknown channel"]


@pytest.mark.parametrize(
    ("code", "reason"), [(3002, "invalid token"), (3003, "bad request"), (3012, "force disconnect")]
)
def test_closes_that_ask_not_to_come_back(packages: Path, code: int, reason: str) -> None:
    with IndodaxMarketSandbox() as exchange, started(packages, exchange, TICKS) as node:
        node.hear("subscribe")
        exchange.close_connections(code)
        assert node.hear("disconnect") == [reason, False]
    assert exchange.opened == 1


def test_a_wrong_token(packages: Path) -> None:
    with IndodaxMarketSandbox() as exchange, started(packages, exchange, TICKS, token="wrong") as node:
        assert node.hear("disconnect") == ["invalid token", False]
    assert [text.partition(": ")[2] for text in exchange.complaints] == ["connect with a wrong token"]
