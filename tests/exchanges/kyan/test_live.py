"""The client with its threads, against a server on this machine that answers every command with yes."""

from __future__ import annotations

import json
import threading
from typing import Any, Iterator, List, Tuple

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.exchanges.kyan.conversation import ME
from xchws.exchanges.kyan.client import Kyan
from xchws.exchanges.kyan.models import IndexPrice


def converse(connection: ServerConnection, said: List[Any]) -> None:
    for text in connection:
        command = json.loads(text)
        said.append(command)
        reply = {"kind": "response", "type": command["type"], "id": command["id"], "timestamp_ms": 1, "success": True}
        if command["type"] == "get_instruments":
            reply["data"] = [f"{market}_USDC-PERPETUAL" for market in command["markets"]]
        connection.send(json.dumps(reply))
        for entry in command.get("subscriptions", ()):
            if command["type"] == "subscribe" and entry["channel"] == "index_price":
                data = {"value": 3120.75, "timestamp": 1774000123440}
                event = {"kind": "event", "type": "index_price", "timestamp_ms": 1, "data": data, "subscription": entry}
                connection.send(json.dumps(event))


@pytest.fixture
def exchange() -> Iterator[Tuple[str, List[Any]]]:
    said: List[Any] = []
    with serve(lambda connection: converse(connection, said), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws", said
        server.shutdown()
        thread.join(5)


def test_login_subscribing_requests_and_logout(exchange: Tuple[str, List[Any]]) -> None:
    url, said = exchange
    client = Kyan("k_demo", url=url, session_recovery=False)
    price = client.expect(IndexPrice, symbol="ETH_USDC")
    client.subscribe_index_price("ETH_USDC")
    client.start(timeout=5)
    client.subscribe_trades(ME).wait(5)
    assert str(price.result(5).value) == "3120.75"
    assert client.get_instruments("ETH", timeout=5) == ("ETH_USDC-PERPETUAL",)
    assert len(client.get_instruments(timeout=5)) == 3
    client.logout(timeout=5)
    assert client.status().state == "STOPPED"
    assert [one["type"] for one in said] == [
        "auth", "subscribe", "subscribe", "get_instruments", "get_instruments", "logout",
    ]  # fmt: skip
