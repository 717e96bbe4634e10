"""Finery Markets' own sample, in Node with the package ws, against the simulated exchange.

Source: https://faq.finerymarkets.com/api-reference/websocket-api, read 2026-11.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

from xchws.sandbox import FinerySandbox

from .node import WAIT, Node

pytestmark = pytest.mark.interop

# Other than on the page: how the packages are loaded, that Node's own crypto stands in for CryptoJS, address, key, secret and
# nonce, that `side` and `False` are words of JavaScript, and that each message is sent when the one before is answered. What
# comes in goes to the test.
SAMPLE = """
const WebSocket = require('ws');
const crypto = require('crypto');
const options = JSON.parse(process.argv[1]);
const say = (...words) => process.stdout.write(JSON.stringify(words) + '\\n');
const CryptoJS = {
  enc: { Base64: 'base64' },
  HmacSHA384: (content, secret) => ({
    toString: (form) => crypto.createHmac('sha384', secret).update(content).digest(form)
  })
};
const key = options.key
const secret = options.secret
const side = "bid"

let content = JSON.stringify({
"nonce": options.nonce,
"timestamp": new Date().valueOf()
})
let signature = CryptoJS.HmacSHA384(content, secret).toString(CryptoJS.enc.Base64)
const ws_client = new WebSocket(options.url, { headers: {
'EFX-Key': key,
'EFX-Sign': signature,
'EFX-Content': content
} })

const steps = [{
"event": "bind",
"feed": "B",
"feedId": 42,
}, {
event: "unbind",
feed: "B",
feedId: 42,
}, {
event: "request",
reqId: 1234,
method: "add",
content: {
instrument: "BTC-EUR",
clientOrderId: 1,
size: 100000,
side: side,
type: "marketIOC",
cod: false
}
}, {
event: "request",
reqId: 1235,
method: "limits",
content : {}
}];

ws_client.on('message', (data) => {
  say('message', JSON.parse(data.toString()));
  const step = steps.shift();
  if (step) ws_client.send(JSON.stringify(step));
});
ws_client.on('unexpected-response', (request, response) => {
  let body = '';
  response.on('data', (part) => { body += part; });
  response.on('end', () => say('refused', response.statusCode, JSON.parse(body)));
});
ws_client.on('error', (error) => say('error', error.message));
process.stdin.on('data', () => {}).on('end', () => { ws_client.terminate(); process.exitCode = 0; });
"""


def sample(packages: Path, exchange: FinerySandbox, **options: Any) -> Node:
    told = {"url": exchange.url, "key": exchange.key, "secret": exchange.secret, "nonce": 12345}
    return Node(packages, SAMPLE, **{**told, **options})


def test_the_vendors_sample(packages: Path) -> None:
    with FinerySandbox(seed=1) as exchange:
        exchange.place("BTC-EUR", "ask", 8_700_000_000_000, 250_000)
        with sample(packages, exchange) as node:
            heard: List[Any] = [node.hear("message")[0] for _ in range(5)]
        status, snapshot, unbound, added, limits = heard
        assert status == ["X", 0, "Z", 0]
        assert snapshot == ["B", 42, "S", [[], [[8_700_000_000_000, 250_000]]]]
        assert unbound == ["B", 42, "U", 0]
        assert (added["event"], added["reqId"], added["reply"]["clientOrderId"]) == ("request", 1234, 1)
        assert added["reply"]["remainingSize"] == 0 and added["reply"]["deals"][0]["size"] == 100_000
        assert (limits["reqId"], limits["reply"]) == (1235, [])
        content = json.loads(exchange.handshakes[0].headers["efx-content"])
        assert content["nonce"] == 12345 and exchange.complaints == []


@pytest.mark.parametrize(
    ("options", "code"),
    [({"key": "KEY-nobody-knows"}, 3), ({"secret": "SECRET-nobody-knows"}, 14), ({"nonce": 7}, 6)],
)
def test_a_refused_handshake_says_why_in_its_body(packages: Path, options: Any, code: int) -> None:
    with FinerySandbox(seed=1) as exchange:
        exchange.account().last_nonce = 7
        with sample(packages, exchange, **options) as node:
            assert node.hear("refused") == [400, {"error": code}]
        assert len(exchange.complaints) == 1 and exchange.opened == 0


def test_orders_that_die_with_their_connection(packages: Path) -> None:
    script = SAMPLE.replace('type: "marketIOC",', 'type: "limit",\nprice: 1000000000000,').replace(
        "cod: false", "cod: true"
    )
    with FinerySandbox(seed=1) as exchange:
        with Node(packages, script, url=exchange.url, key=exchange.key, secret=exchange.secret, nonce=12345) as node:
            answers = [node.hear("message")[0] for _ in range(4)]
            assert answers[-1]["reply"]["remainingSize"] == 100_000
            assert len(exchange.open_orders(exchange.account())) == 1
        exchange.wait_until(lambda: not exchange.open_orders(exchange.account()), WAIT)
        assert exchange.complaints == []
