"""The JavaScript that Richamster and Indodax print, in Node, against their simulated exchanges.

Sources: https://richamster.com/api/v1/docs/websockets/, and Private-websocket.md of
https://github.com/btcid/indodax-official-api-docs, both read 2026-11. Changed are addresses and keys, and where a line goes that
a console would show.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from xchws.sandbox import IndodaxSandbox, RichamsterSandbox

from .node import Node

pytestmark = pytest.mark.interop

# The page has the two statements; that the second has to wait for the socket's opening is left to its reader.
RICHAMSTER = """
const WebSocket = require('ws');
const { url, subscriptions } = JSON.parse(process.argv[1]);
const say = (...words) => process.stdout.write(JSON.stringify(words) + '\\n');

var socket = new WebSocket(url);

socket.onopen = () => {
  for (const subscription of subscriptions) socket.send(JSON.stringify(subscription));
};
socket.onmessage = event => say('message', JSON.parse(event.data));
socket.onclose = event => say('close', event.code);
process.stdin.on('end', () => socket.close()).resume();
"""

INDODAX = """
const crypto = require("crypto");
const options = JSON.parse(process.argv[1]);
const console = { log: (...words) => process.stdout.write(JSON.stringify(words) + '\\n') };

function generateHMAC(requestBody, secret) {
  const key = Buffer.from(secret, "utf-8");
  const hmac = crypto.createHmac("sha512", key);
  hmac.update(requestBody, "utf-8");
  return hmac.digest("hex");
}

async function RequestToken() {
  const url = options.url;
  const secret = options.secret;
  const key = options.key;

  const requestBody = `client=tapi&tapi_key=${key}`;

  const sign = generateHMAC(requestBody, secret);

  const opt = {
    method: "POST",
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      Sign: sign,
    },
    body: requestBody,
  };

  let response;
  try {
    response = await fetch(url, opt);
  } catch (error) {
    throw new Error(error.message);
  }

  const responseData = await response.json()

  return responseData
}

RequestToken()
  .then((data) => {
    console.log("token:", data.return.connToken);
    console.log("channel:", data.return.channel)
  })
  .catch((error) => {
    console.log("error", error.name);
  });
process.stdin.on('end', () => process.exit(0)).resume();
"""


def richamster(packages: Path, exchange: RichamsterSandbox, *subscriptions: Dict[str, Any]) -> Node:
    return Node(packages, RICHAMSTER, url=exchange.url, subscriptions=subscriptions)


def success(channel: str, pair: str) -> List[Any]:
    message = f'You are connected to channel "{channel}" and currency pair "{pair}"'
    return [{"type": "success", "message": message}]


@pytest.mark.parametrize("escape_slash", [False, True])
def test_richamsters_sample(packages: Path, escape_slash: bool) -> None:
    with RichamsterSandbox() as exchange:
        exchange.escape_slash = escape_slash
        with richamster(packages, exchange, {"channel": "trading", "pair": "KRB/UAH"}) as node:
            assert node.hear("message") == success("trading", "KRB/UAH")
            exchange.trade("KRB/UAH", "selling", "1.00", "2.23236")
            (trade,) = node.hear("message")
            assert (trade["pair"], trade["side"], trade["unit_price"], trade["volume"], trade["sum"]) == (
                "KRB/UAH", "selling", 1, 2.23236, 2.23236,
            )  # fmt: skip
            assert trade["created_at"].isdigit() and trade["closed_at"].isdigit() and "pk" not in trade
        assert exchange.complaints == []


def test_richamsters_sample_with_all_that_the_page_subscribes(packages: Path) -> None:
    """Taken at its word, the page reaches ticker, trades and own orders by one name."""
    with RichamsterSandbox() as exchange:
        exchange.literal_doc = True
        wanted = [
            {"channel": "trading", "pair": "KRB/UAH"},
            {"channel": "order_book", "pair": "KRB/UAH"},
            {"channel": "trading", "pair": "KRB/UAH", "token": exchange.token},
            {"channel": "ticker", "pair": "KRB/UAH"},
        ]
        with richamster(packages, exchange, *wanted) as node:
            for channel in ("trading", "order_book", "trading"):
                assert node.hear("message") == success(channel, "KRB/UAH")
            assert node.hear("message") == [{"type": "error", "message": "Subscription channel is invalid."}]
            exchange.ticker("KRB/UAH", "1.234")
            assert node.hear("message")[0]["last"] == 1.234
            exchange.level("KRB/UAH", "selling", "1.234", "10.234236")
            (level,) = node.hear("message")
            assert (level["unit_price"], level["volume"], level["side"]) == (1.234, 10.234236, "selling")
        assert [text.partition(": ")[2] for text in exchange.complaints] == [
            "'ticker' of 'KRB/UAH': Subscription channel is invalid."
        ]


@pytest.mark.parametrize("secret", [None, "wrong"])
def test_indodaxs_sample(packages: Path, secret: Optional[str]) -> None:
    with IndodaxSandbox() as exchange:
        url = f"{exchange.rest_url}/api/private_ws/v1/generate_token"
        with Node(packages, INDODAX, url=url, key=exchange.key, secret=secret or exchange.secret) as node:
            if secret is None:
                (token,) = node.hear("token:")
                assert token.count(".") == 2
                assert node.hear("channel:") == [exchange.channel()]
                assert exchange.complaints == []
            else:
                assert node.hear("error") == ["TypeError"], "there is no `return` in a refusal"
        (request,) = exchange.rest_requests
        assert request.text == f"client=tapi&tapi_key={exchange.key}"
        assert json.dumps(exchange.complaints).count("ign") == (0 if secret is None else 1)
