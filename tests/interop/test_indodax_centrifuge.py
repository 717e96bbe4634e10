"""Centrifugal's own clients against the simulated Indodax: JavaScript's in both its major versions, and Python's.

The clients speak as https://centrifugal.dev/docs/transports/client_api says, the token is asked for as Indodax's page
Private-websocket.md of https://github.com/btcid/indodax-official-api-docs says; both read 2026-11.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, List

import centrifuge
import pytest
import requests

from xchws.sandbox import IndodaxSandbox
from xchws.sandbox.jsontext import write

from .node import WAIT, Node

pytestmark = pytest.mark.interop

FRAMES, MESSAGES = "/ws/?cf_ws_frame_ping_pong=true", "/ws/"
TOKEN_PATH = "/api/private_ws/v1/generate_token"

CLIENT = """
const { createHmac } = require('crypto');
const { createInterface } = require('readline');
const { url, rest, key, secret, client, ...more } = JSON.parse(process.argv[1]);
const { Centrifuge, UnauthorizedError } = require(client);
const say = (...words) => process.stdout.write(JSON.stringify(words) + '\\n');

// These clients are made for browsers, where every message is a task of its own. ws tells all that one read has brought in
// one task unless it is asked not to; what centrifuge-js has not dispatched by then (centrifuge.ts, _dataReceived) is mixed up.
const WebSocket = require('ws');
class Browserlike extends WebSocket {
  constructor(address, protocols) { super(address, protocols, { allowSynchronousEvents: false }); }
}

async function generateToken() {
  const body = `client=tapi&tapi_key=${key}`;
  const answer = await fetch(rest, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded',
      Sign: createHmac('sha512', secret).update(body).digest('hex')
    },
    body
  });
  const said = await answer.json();
  if (!said.success) {
    say('refused', said.error_code);
    throw new UnauthorizedError(said.error);
  }
  return said.return;
}

async function main() {
  const { channel } = await generateToken();
  const centrifuge = new Centrifuge(url, {
    websocket: Browserlike,
    getToken: async () => (await generateToken()).connToken,
    minReconnectDelay: 10,
    maxReconnectDelay: 20,
    ...more
  });
  centrifuge.on('connected', context => say('connected', context.transport));
  centrifuge.on('connecting', context => say('connecting', context.code, context.reason));
  centrifuge.on('disconnected', context => say('disconnected', context.code, context.reason));
  centrifuge.on('error', context => say('error', context.error.code));
  const subscription = centrifuge.newSubscription(channel, { minResubscribeDelay: 10, maxResubscribeDelay: 20 });
  subscription.on('subscribed', context => say('subscribed', context.channel));
  subscription.on('unsubscribed', context => say('unsubscribed', context.code, context.reason));
  subscription.on('error', context => say('subscription error', context.error.code));
  subscription.on('publication', context => say('publication', context.data));
  subscription.subscribe();
  centrifuge.connect();
  createInterface({ input: process.stdin }).on('line', () => subscription.unsubscribe()).on('close', () => {
    centrifuge.disconnect();
    process.exit(0);
  });
}
main().catch(() => process.stdin.on('end', () => process.exit(0)).resume());
"""

RELEASES = pytest.mark.parametrize("client", ["centrifuge", "centrifuge-4"])
PINGS = pytest.mark.parametrize("path", [FRAMES, MESSAGES], ids=["frames", "messages"])


def started(packages: Path, exchange: IndodaxSandbox, path: str = FRAMES, **options: Any) -> Node:
    arguments = {
        "url": exchange.url.replace(exchange.path, path), "rest": exchange.rest_url + TOKEN_PATH,
        "key": exchange.key, "secret": exchange.secret, "client": "centrifuge", **options,
    }  # fmt: skip
    return Node(packages, CLIENT, **arguments)


def published(exchange: IndodaxSandbox) -> Any:
    """With numbers as JavaScript has them."""
    return json.loads(write(exchange.published))


def pongs(exchange: IndodaxSandbox, path: str) -> int:
    if path == FRAMES:
        return sum(item.kind == "pong" for item in exchange.received)
    return exchange.messages.count({})


def hear_orders(node: Node, count: int) -> List[Any]:
    orders: List[Any] = []
    while len(orders) < count:
        (events,) = node.hear("publication")
        orders.extend(events)
    return orders


@RELEASES
@PINGS
def test_orders_in_order(packages: Path, client: str, path: str) -> None:
    with IndodaxSandbox(seed=1, ping_interval=0.2, pong_timeout=WAIT, pong_grace=WAIT) as exchange:
        with started(packages, exchange, path, client=client) as node:
            assert node.hear("subscribed") == [exchange.channel()]
            exchange.random_walk(300)
            with exchange.batch():
                exchange.random_walk(20)
            with exchange.one_frame():
                exchange.random_walk(50)
            assert hear_orders(node, 370) == published(exchange)
            exchange.wait_until(lambda: pongs(exchange, path) >= 3, WAIT)
            assert exchange.opened == 1
            node.tell("unsubscribe")
            assert node.hear("unsubscribed")[0] == 0
            exchange.wait_until(lambda: not exchange.subscribers(), WAIT)
            assert exchange.sessions != []
        exchange.wait_until(lambda: not exchange.sessions, WAIT)
        assert exchange.complaints == []


@RELEASES
@pytest.mark.parametrize("code", [None, 1001, 3000, 3005])
def test_coming_back(packages: Path, client: str, code: Any) -> None:
    with IndodaxSandbox(seed=2) as exchange:
        with started(packages, exchange, client=client) as node:
            for _ in range(3):
                node.hear("subscribed")
                exchange.random_walk(5)
                assert hear_orders(node, 5) == published(exchange)[-5:]
                if code is None:
                    exchange.drop()
                else:
                    exchange.close_connections(code, "a reason")
                why = node.hear("connecting")
                assert why == ([code, "a reason"] if code in (3000, 3005) else [1, "transport closed"])
            node.hear("subscribed")
        # These clients keep their token for the next connection, as the protocol has it.
        assert exchange.complaints == exchange.remarks


@RELEASES
def test_tokens_that_end(packages: Path, client: str) -> None:
    with IndodaxSandbox(ttl=2) as exchange:  # with whole seconds a token that is good for 1 may be good for none
        exchange.expire_next_tokens(2)  # the first names the channel, the second is connected with
        with started(packages, exchange, client=client) as node:
            assert node.hear("error") == [109]
            node.hear("subscribed")
            exchange.wait_until(lambda: any("refresh" in each for each in exchange.messages if each), WAIT)
            exchange.place("btcidr", "BUY", 1_000_000, 1)
            assert hear_orders(node, 1) == published(exchange)
            assert exchange.opened == 2
        assert [text.partition(": ")[2] for text in exchange.complaints] == ["connect with an expired token"]


@RELEASES
def test_a_forged_token(packages: Path, client: str) -> None:
    with IndodaxSandbox() as exchange:
        token = exchange.issue_token()[:-4] + "AAAA"
        with started(packages, exchange, client=client, token=token) as node:
            assert node.hear("disconnected") == [3500, "invalid token"]


def test_a_wrong_secret(packages: Path) -> None:
    with IndodaxSandbox() as exchange:
        with started(packages, exchange, secret="wrong") as node:
            assert node.hear("refused") == ["bad_sign"]
        assert exchange.opened == 0


@RELEASES
def test_subscriptions_that_end(packages: Path, client: str) -> None:
    with IndodaxSandbox() as exchange:
        exchange.reject_subscription(100)
        with started(packages, exchange, client=client) as node:
            assert node.hear("subscription error") == [100]
            node.hear("subscribed")
            exchange.wait_for_subscriber(timeout=WAIT)
            exchange.unsubscribe_push(2500, "insufficient state")
            node.hear("subscribed")
            exchange.wait_for_subscriber(timeout=WAIT)
            exchange.place("btcidr", "BUY", 1_000_000, 1)
            assert hear_orders(node, 1) == published(exchange)
            exchange.unsubscribe_push(2000, "server unsubscribe")
            assert node.hear("unsubscribed") == [2000, "server unsubscribe"]
        exchange.reject_subscription(103)
        with started(packages, exchange, client=client) as node:
            assert node.hear("unsubscribed") == [103, "permission denied"]


# The client does not wait for its socket's end when it disconnects; what it leaves is collected inside the test.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@PINGS
def test_the_python_client(path: str) -> None:
    with IndodaxSandbox(seed=3, ping_interval=0.2, pong_timeout=WAIT, pong_grace=WAIT) as exchange:
        heard: List[Any] = []

        async def token() -> str:
            body = f"client=tapi&tapi_key={exchange.key}"
            sign = hmac.new(exchange.secret.encode(), body.encode(), hashlib.sha512).hexdigest()
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Sign": sign}
            answer = requests.post(exchange.rest_url + TOKEN_PATH, data=body, headers=headers, timeout=WAIT)
            return str(answer.json()["return"]["connToken"])

        async def converse() -> None:
            complete = asyncio.Event()

            async def on_publication(context: centrifuge.PublicationContext) -> None:
                heard.extend(context.pub.data)
                if len(heard) == len(exchange.published):
                    complete.set()

            client = centrifuge.Client(
                exchange.url.replace(exchange.path, path), get_token=token, min_reconnect_delay=0.01, proxy=None
            )
            subscription = client.new_subscription(exchange.channel())
            subscription.events.on_publication = on_publication
            await client.connect()
            await subscription.subscribe()
            await subscription.ready(WAIT)
            exchange.random_walk(300)
            await asyncio.wait_for(complete.wait(), WAIT)
            await asyncio.get_running_loop().run_in_executor(
                None, exchange.wait_until, lambda: pongs(exchange, path) >= 3, WAIT
            )
            await client.disconnect()

        asyncio.run(converse())
        gc.collect()
        assert heard == published(exchange)
        assert exchange.opened == 1
        assert exchange.complaints == []
