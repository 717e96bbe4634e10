"""Kyan's own sample, in Node with its package ws, against the simulated exchange.

Source: https://docs.kyan.blue/docs/ws-authentication, read 2026-11.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

from xchws.sandbox import KyanSandbox
from xchws.sandbox.jsontext import write
from xchws.sandbox.kyan import MAGIC_KEYS

from .node import WAIT, Node

pytestmark = pytest.mark.interop

# The vendor's steps 1 to 4. Other than on the page: how the package is loaded, address, key and account, and that step 1
# is followed by the next ones when its line is printed; what the console would show and what comes in goes to the test.
SAMPLE = """
const WebSocket = require('ws');
const options = JSON.parse(process.argv[1]);
const say = (...words) => process.stdout.write(JSON.stringify(words) + '\\n');
const console = {
  log: (...words) => { say('log', ...words); discover(); subscribe(); monitor(); },
  error: (...words) => say('error', ...words)
};

const wsUrl = options.url;
const API_KEY = options.key;

const authMessage = {
  type: 'auth',
  api_key: API_KEY,
};

const ws = new WebSocket(wsUrl);

ws.onopen = () => {
  ws.send(JSON.stringify(authMessage));
};

ws.onmessage = (event) => {
  const message = JSON.parse(event.data.toString());
  say(message.kind, message);

  if (message.type === 'auth' && message.success) {
    console.log('Authenticated! Ready to subscribe to channels.');
  } else if (message.type === 'auth' && !message.success) {
    console.error('Authentication failed:', message.error);
  }
};

function discover() {
  // Get all available instruments for BTC
  const message = {
    type: 'get_instruments',
    markets: ['BTC'],
  };
  ws.send(JSON.stringify(message));
}

function subscribe() {
  // Subscribe to instruments, index prices, and orderbook
  const subscribeMessage = {
    type: 'subscribe',
    subscriptions: [
      {
        channel: 'instruments',
        query: { market: 'BTC' },
      },
      {
        channel: 'index_price',
        query: { pair: 'BTC_USDC' },
      },
      {
        channel: 'orderbook_perps',
        query: { pair: 'BTC_USDC' },
      },
    ],
  };
  ws.send(JSON.stringify(subscribeMessage));
}

function monitor() {
  // Subscribe to your account's trades and transfers
  const accountSubscribe = {
    type: 'subscribe',
    subscriptions: [
      {
        channel: 'trade',
        query: { account: options.account },
      },
      {
        channel: 'transfer',
        query: { account: options.account },
      },
    ],
  };
  ws.send(JSON.stringify(accountSubscribe));
}

ws.onclose = (event) => say('close', event.code, event.reason);
ws.on('pong', () => say('pong'));
process.stdin.on('data', () => ws.ping()).on('end', () => { ws.close(1000); process.exitCode = 0; });
"""


def sample(packages: Path, exchange: KyanSandbox, **options: Any) -> Node:
    account = exchange.account().smart_account_address
    return Node(packages, SAMPLE, **{"url": exchange.url, "key": exchange.key, "account": account, **options})


def hear_responses(node: Node, count: int) -> List[Any]:
    return [node.hear("response")[0] for _ in range(count)]


def test_the_vendors_sample(packages: Path) -> None:
    with KyanSandbox(seed=1) as exchange:
        with sample(packages, exchange) as node:
            assert node.hear("log") == ["Authenticated! Ready to subscribe to channels."]
            instruments, first, second = hear_responses(node, 3)
            assert instruments["type"] == "get_instruments" and instruments["success"]
            assert instruments["data"]["instruments"] == exchange.instruments_event("BTC").data["instruments"] != []
            assert [(each["type"], each["success"]) for each in (first, second)] == [("subscribe", True)] * 2
            exchange.wait_for_subscriber("transfer", timeout=WAIT)
            before = len(exchange.published)
            exchange.random_walk(300)
            exchange.transfer("deposit", "USDC", 100)
            heard: List[Any] = []
            while not heard or heard[-1]["type"] != "deposit":
                heard.append(node.hear("event")[0])
            said: List[Any] = json.loads(write(exchange.published))[before:]
        numbers = [each["seq_id"] for each in heard]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len({each["message_id"] for each in heard}) == len(heard)
        live = [each for each in heard if each["type"] not in ("ob_snapshot", "instruments")]
        assert {each["subscription"]["channel"] for each in live} == {
            "index_price",
            "orderbook_perps",
            "trade",
            "transfer",
        }
        remaining = iter(said)
        for each in live:  # in the order of what was published
            assert {"type": each["type"], "data": each["data"]} in remaining
        assert [each for each in heard if each["type"] == "deposit"][0]["data"] == said[-1]["data"]
        for kind in ("index_price", "trade"):
            assert any(each["type"] == kind for each in live), kind
        assert exchange.complaints == []


def test_the_end_of_a_session(packages: Path) -> None:
    with KyanSandbox() as exchange:
        with sample(packages, exchange) as node:
            hear_responses(node, 4)
            node.tell("ping")
            assert node.hear("pong") == []
            exchange.end_session(exchange.wait_for_session(timeout=WAIT))
            assert node.hear("close") == [1000, ""]
        assert exchange.complaints == []


@pytest.mark.parametrize(("key", "error"), [*MAGIC_KEYS.items(), ("your_api_key_here", "NOT_FOUND")])
def test_keys_that_are_refused(packages: Path, key: str, error: str) -> None:
    with KyanSandbox() as exchange:
        with sample(packages, exchange, key=key) as node:
            assert node.hear("error") == ["Authentication failed:", error]


def test_a_key_of_the_wrong_form(packages: Path) -> None:
    """The page's own placeholder has dashes; its answer is an ``error``, which the sample passes over."""
    with KyanSandbox() as exchange:
        with sample(packages, exchange, key="your-api-key-here") as node:
            (answer,) = hear_responses(node, 1)
            assert (answer["type"], answer["success"]) == ("error", False)
            assert (
                'must match pattern "^[a-zA-Z0-9_]+$"'
                in json.loads(answer["error"].partition("payload ")[2])[0]["message"]
            )
