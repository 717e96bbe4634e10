"""Kyrrex's Socket.IO with those who made it: our client against Node's server, Node's client against the simulated exchange.

Sources: https://socket.io/docs/v4/ and the sample on https://docs.kyrrex.com/websocket, read 2026-11.
"""

from __future__ import annotations

import json
import ssl
from decimal import Decimal
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
import trustme

import xchws
from xchws.sandbox import KyrrexSandbox

from .node import WAIT, Node

pytestmark = pytest.mark.interop

QUICK = xchws.Backoff(initial=0.01, maximum=0.05)
KEY, SECRET, UUID = "an-api-key", "an-api-secret", "dfgkh45p8"

SERVER = """
const { readFileSync } = require('fs');
const { createHmac } = require('crypto');
const { createInterface } = require('readline');
const { Server } = require('socket.io');
const options = JSON.parse(process.argv[1]);
const { createServer } = require(options.pem ? 'https' : 'http');
const say = (...words) => process.stdout.write(JSON.stringify(words) + '\\n');
const sign = createHmac('sha256', options.secret).update(`${options.uuid}|${options.key}`).digest('hex');
const signed = query => query.api_key === options.key && query.api_sign === sign;
const pem = options.pem && readFileSync(options.pem);
const http = createServer({ key: pem, cert: pem });
const io = new Server(http, {
  path: '/zsu/ws/v1',
  allowRequest: (request, answer) => {
    const query = Object.fromEntries(new URL(request.url, 'http://x').searchParams);
    answer(null, options.refusal !== 'http' || signed(query));
  },
  ...options.server
});
io.use((socket, next) => {
  const refused = options.refusal === 'connect_error' && !signed(socket.handshake.query);
  next(refused ? new Error('Authentication failed') : undefined);
});
io.on('connection', socket => {
  if (options.refusal === 'disconnect' && !signed(socket.handshake.query)) return socket.disconnect();
  socket.on('disconnect', reason => say('disconnected', reason));
  socket.conn.on('packet', packet => { if (packet.type === 'pong') say('pong'); });
  say('connected', socket.conn.protocol, socket.conn.transport.name);
});
createInterface({ input: process.stdin }).on('line', line => {
  const [act, ...words] = JSON.parse(line);
  for (const socket of io.sockets.sockets.values()) {
    if (act === 'emit') socket.emit(...words);
    if (act === 'ask') socket.emit(...words, (...answer) => say('acknowledged', answer));
    if (act === 'bytes') socket.emit(words[0], Buffer.from(words[1]));
    if (act === 'disconnect') socket.disconnect();
    if (act === 'disconnect all') socket.disconnect(true);
    if (act === 'close engine') socket.conn.close();
    if (act === 'reset') socket.conn.transport.socket.terminate();
  }
}).on('close', () => process.exit(0));
http.listen(0, '127.0.0.1', () => say('listening', http.address().port));
"""

# The vendor's sample but for the transport (the simulated exchange takes WebSocket only), the addresses and what is printed.
SAMPLE = """
const io = require('socket.io-client');
const crypto = require('crypto');
const { server_url, api_key, api_secret, user_uuid, ...more } = JSON.parse(process.argv[1]);
const say = (...words) => process.stdout.write(JSON.stringify(words) + '\\n');
const canonicalString = `${user_uuid}|${api_key}`;

const ioClient = io.connect(server_url, {
  path: '/zsu/ws/v1',
  query: {
    api_key,
    api_sign: generateHmac(canonicalString, api_secret)
  },
  reconnection: true,
  reconnectionAttempts: Infinity,
  reconnectionDelay: 5000,
  reconnectionDelayMax: 10000,
  randomizationFactor: 0.5,
  transports: ['websocket'],
  ...more
});

function generateHmac(canonicalString, secret) {
  const hmac = crypto.createHmac('sha256', secret);
  return hmac.update(canonicalString).digest('hex');
}

ioClient.on('connect', () => say('connect'));
ioClient.on('disconnect', reason => say('disconnect', reason));
ioClient.on('connect_error', error => say('connect_error', error.message));
for (const name of ['customer', 'deposit', 'order', 'withdrawal', 'trade', 'deposit_address', 'account']) {
  ioClient.on(name, (msg, acknowledge) => {
    say(name, Buffer.isBuffer(msg) ? msg.toString() : msg);
    if (acknowledge) acknowledge();
  });
}
process.stdin.on('end', () => { ioClient.disconnect(); process.exit(0); }).resume();
"""


def serving(packages: Path, **options: Any) -> Node:
    return Node(packages, SERVER, **{"key": KEY, "secret": SECRET, "uuid": UUID, "server": {}, **options})


@pytest.fixture
def made() -> Iterator[List[xchws.Kyrrex]]:
    clients: List[xchws.Kyrrex] = []
    yield clients
    for client in clients:
        assert client.stop(10)


def trusted(folder: Path) -> Dict[str, str]:
    """What makes the server one that the authority in this folder vouches for."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return {"pem": str(folder / "server.pem")}


def connecting(
    node: Node, made: List[xchws.Kyrrex], secret: str = SECRET, scheme: str = "ws", **options: Any
) -> xchws.Kyrrex:
    (port,) = node.hear("listening")
    url = f"{scheme}://127.0.0.1:{port}"
    arguments: Any = {"user_uuid": UUID, "url": url, "backoff": QUICK, "settle": 0.02, **options}
    client = xchws.Kyrrex(KEY, secret, **arguments)
    made.append(client)
    return client


def account(number: int) -> Any:
    return {"data": {"version": "1", "action": "update", "object": {"currency": "usdt", "balance": f"{number}.10"}}}


# ------------------------------------------------------------------------------------------ our client, Node's own server


@pytest.mark.parametrize(("engine", "protocol"), [("4", 4), ("3", 3)])
def test_events_of_nodes_server(packages: Path, made: List[xchws.Kyrrex], engine: str, protocol: int) -> None:
    with serving(packages, server={"allowEIO3": True, "pingInterval": 100, "pingTimeout": 10_000}) as node:
        client = connecting(node, made, engine=engine)
        errors: List[Any] = []
        client.on_error(errors.append)
        stream = client.events(xchws.Data, timeout=WAIT)
        client.start(WAIT)
        assert node.hear("connected") == [protocol, "websocket"]
        for number in range(300):
            node.tell("emit", "account", account(number))
        balances: List[Any] = [next(stream) for _ in range(300)]
        assert [str(one.free) for one in balances] == [f"{number}.10" for number in range(300)]
        node.tell("ask", "trade", {"action": "create", "object": {"id": 7, "order_id": 8, "price": 0.1, "volume": "2"}})
        fill: Any = next(stream)
        assert (fill.id, fill.order_id, fill.price, fill.quantity) == ("7", "8", Decimal("0.1"), 2)
        assert node.hear("acknowledged") == [[]]
        node.tell("bytes", "account", json.dumps(account(5)))
        node.tell("emit", "margin_call", "é", None)
        binary: Any = next(stream)
        other: Any = next(stream)
        assert (str(binary.free), other.kind, other.raw) == ("5.10", "margin_call", ["margin_call", "é", None])
        if engine == "4":
            for _ in range(3):
                node.hear("pong")
        assert errors == []
        client.stop()
        (reason,) = node.hear("disconnected")
        assert reason in ("transport close", "client namespace disconnect")


@pytest.mark.parametrize("end", ["disconnect", "disconnect all", "close engine", "reset"])
def test_ends_of_nodes_server(packages: Path, made: List[xchws.Kyrrex], end: str) -> None:
    with serving(packages) as node:
        client = connecting(node, made)
        client.start(WAIT)
        node.hear("connected")
        for number in range(7):
            proof = client.expect(xchws.Balance)
            node.tell("emit", "account", account(number))
            assert str(proof.result(WAIT).free) == f"{number}.10"
            gap, back = client.expect(xchws.Gap), client.expect(xchws.Connected)
            node.tell(end)
            back.result(WAIT)
            assert not gap.result(WAIT).recovered
            node.hear("connected")


@pytest.mark.parametrize("engine", ["4", "3"])
@pytest.mark.parametrize("refusal", ["http", "connect_error", "disconnect"])
def test_refusals_of_nodes_server(packages: Path, made: List[xchws.Kyrrex], refusal: str, engine: str) -> None:
    with serving(packages, refusal=refusal, server={"allowEIO3": True}) as node:
        client = connecting(node, made, secret="wrong", settle=5.0, engine=engine)
        with pytest.raises(xchws.AuthenticationFailed, match="user_uuid"):
            client.start(WAIT)


@pytest.mark.parametrize("over_tls", [False, True])
def test_a_version_that_nodes_server_does_not_speak(
    packages: Path, made: List[xchws.Kyrrex], tmp_path: Path, over_tls: bool
) -> None:
    """It takes the WebSocket, writes an HTTP answer into it and cuts the line; over TLS the answer does not get out."""
    options: Dict[str, Any] = trusted(tmp_path) if over_tls else {}
    arguments: Dict[str, Any] = {}
    if over_tls:
        arguments["tls"] = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    with serving(packages, **options) as node:
        client = connecting(node, made, engine="3", scheme="wss" if over_tls else "ws", **arguments)
        down = client.expect(xchws.Disconnected)
        with pytest.raises(xchws.ConfigurationError, match='engine="4"'):
            client.start(WAIT)
        error = down.result(0).error
        assert isinstance(error, xchws.ConnectionLost)
        assert ("1006" if over_tls else "HTTP answer in place of a frame") in str(error)


def test_events_over_tls(packages: Path, made: List[xchws.Kyrrex], tmp_path: Path) -> None:
    with serving(packages, **trusted(tmp_path)) as node:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        client = connecting(node, made, scheme="wss", tls=trusting)
        client.start(WAIT)
        node.hear("connected")
        balance = client.expect(xchws.Balance)
        node.tell("emit", "account", account(5))
        assert str(balance.result(WAIT).free) == "5.10"


# --------------------------------------------------------------------------------- Node's own client, the simulated exchange


def sample(packages: Path, exchange: KyrrexSandbox, **options: Any) -> Node:
    arguments = {
        "server_url": exchange.base_url, "api_key": exchange.key, "api_secret": exchange.secret,
        "user_uuid": exchange.user_uuid, **options,
    }  # fmt: skip
    return Node(packages, SAMPLE, **arguments)


@pytest.mark.parametrize("envelope", ["data", "plain"])
def test_the_vendors_sample_hears_all_in_order(packages: Path, envelope: str) -> None:
    with KyrrexSandbox(seed=1, envelope=envelope, ping_interval=0.1, ping_timeout=WAIT) as exchange:
        exchange.ask_acks = True
        with sample(packages, exchange) as node:
            node.hear("connect")
            exchange.wait_for_subscriber(timeout=WAIT)
            exchange.random_walk(300)
            exchange.send_event("account", json.dumps(account(3)).encode())
            heard = node.take(301)
            exchange.wait_until(lambda: exchange.acknowledged == 300, WAIT)
            exchange.wait_until(lambda: sum(item.text == "3" for item in exchange.received) >= 3, WAIT)
        published: List[Tuple[str, Any]] = []
        for entry in exchange.published:
            said = {"action": entry["action"], "object": entry["object"]}
            published.append((entry["event"], {"data": {"version": "1", **said}} if envelope == "data" else said))
        assert [(name, msg) for name, msg in heard[:300]] == published
        assert heard[300] == ["account", json.dumps(account(3))]
        assert exchange.complaints == []


@pytest.mark.parametrize(
    ("refusal", "hears"),
    [
        ("http", ["connect_error", "websocket error"]),
        ("connect_error", ["connect_error", "Authentication failed"]),
        ("disconnect", ["connect"]),
    ],
)
def test_the_vendors_sample_with_a_wrong_secret(packages: Path, refusal: str, hears: List[str]) -> None:
    with KyrrexSandbox(refusal=refusal) as exchange:
        with sample(packages, exchange, api_secret="wrong") as node:
            assert node.take(1) == [hears]
            if refusal == "disconnect":
                assert node.take(1) == [["disconnect", "io server disconnect"]]
        assert "wrong api_sign" in exchange.complaints[0]


@pytest.mark.parametrize("end", ["drop", "close_connections", "close_engine"])
def test_the_vendors_sample_comes_back(packages: Path, end: str) -> None:
    with KyrrexSandbox() as exchange:
        with sample(packages, exchange, reconnectionDelay=10, reconnectionDelayMax=20) as node:
            node.hear("connect")
            exchange.wait_for_subscriber(timeout=WAIT)
            getattr(exchange, end)()
            assert node.take(1) == [["disconnect", "transport close"]]
            node.hear("connect")
            exchange.wait_until(lambda: exchange.opened == 2 and bool(exchange.subscribers()), WAIT)
            exchange.account("btc", "1.5")
            ((name, msg),) = node.take(1)
            assert (name, msg["data"]["object"]["balance"]) == ("account", "1.5")
        assert exchange.complaints == []
