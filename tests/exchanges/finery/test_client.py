"""The whole client against a real socket on this machine: headers, named requests, what is unknown after a loss."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any, Dict, Iterator, List

import pytest
from websockets.sync.server import serve

from tests.exchanges.finery import samples
from xchws.errors import ProtocolError, WaitTimeout
from xchws.exchanges import finery
from xchws.exchanges.finery import signing
from xchws.exchanges.finery.client import Finery

REPLIES: Dict[str, Any] = {
    "add": {"id": 5501, "remainingSize": 5, "deals": [{"id": 77, "price": 312000000000, "size": 20000000}]},
    "mod": {"id": 5502, "origId": 5501, "remainingSize": 5},
    "del": {"id": 5502, "remainingSize": 5000000},
    "delAll": [],
    "book": samples.BOOK,
    "instruments": [[samples.CURRENCY], [samples.INSTRUMENT], [["bitcoin", "BTC", 1]]],
    "positions": [80, [samples.POSITION], [samples.ORDER], [samples.SETTLEMENT_ROW]],
    "limits": [samples.GLOBAL_LIMIT],
    "climits": [samples.LIMIT, samples.OLD_LIMIT],
    "dealHistory": [samples.DEAL, samples.OLD_DEAL],
    "settlementTransactionHistory": [samples.TRANSACTION],
    "broken": 1,
}


class Peer:
    """A server that answers every request with its reply above, but for three instruments."""

    def __init__(self) -> None:
        self.contents: List[Any] = []
        self.headers: List[Any] = []

    def serve(self, connection: Any) -> None:
        self.headers.append(connection.request.headers)
        connection.send('["X",0,"Z",0]')
        for text in connection:
            said = json.loads(text)
            if said["event"] == "bind":
                connection.send(json.dumps([said["feed"], said.get("feedId", 0), "S", []]))
            if said["event"] != "request":
                continue
            self.contents.append(said["content"])
            if said["content"].get("instrument") == "GO-NE":
                connection.close()
            elif said["content"].get("instrument") != "MU-TE":
                reply = REPLIES[said["method"]] if said["content"].get("instrument") != "BA-D" else "bad"
                connection.send(json.dumps({"event": "request", "reqId": said["reqId"], "reply": reply}))


@pytest.fixture
def peer() -> Iterator[Any]:
    peer = Peer()
    with serve(peer.serve, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client = Finery("key", "secret", url=f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws")
        client.start(10)
        yield peer, client
        assert client.stop(5)
        server.shutdown()
        thread.join(5)


def test_requests(peer: Any) -> None:
    server, client = peer
    content = server.headers[0]["EFX-Content"]
    assert server.headers[0]["EFX-Sign"] == signing.signature("secret", content)
    added = client.add_order("ETH-USD", "sell", type="marketIOC", size=Decimal("0.25"))
    assert (added.id, added.deals[0].price) == ("5501", 3120)
    assert server.contents[0]["side"] == "ask" and server.contents[0]["clientOrderId"] > 10**15
    assert client.modify_order("5501", price=1, size=2, client_order_id=4).original_id == "5501"
    assert client.cancel_order(5502).remaining_size == Decimal("0.05")
    assert client.cancel_order(client_order_id="4").id == "5502"
    assert client.cancel_all_orders("ETH-USD") == []
    assert client.order_book("ETH-USD", tradable=True, client_id=3).bids[0][0] == 3120
    assert client.instruments().networks[0].name == "bitcoin"
    assert client.positions(filter="all").orders[0].id == "5501"
    assert client.limits()[0].net_limit == 5
    assert len(client.counterparty_limits()) == 2
    assert client.deal_history("ETH-USD", counterparty_ids=[9], till=5, start=1, end=2, limit=3)[0].id == "77"
    assert client.settlement_transaction_history()[0].asset == "BTC"
    assert client.request("broken") == 1
    subscription = client.subscribe_positions().wait(10)
    client.unbind("K")
    assert subscription.state == "ended"
    client.unbind("O")


@pytest.mark.parametrize("instrument", ["GO-NE", "MU-TE", "BA-D"])
def test_an_order_whose_fate_is_unknown(peer: Any, instrument: str) -> None:
    _, client = peer
    with pytest.raises(finery.OrderUnknown) as caught:
        client.add_order(instrument, "buy", type="marketIOC", size=1, client_order_id=7, timeout=0.5)
    assert (caught.value.client_order_id, caught.value.method) == ("7", "add")


def test_a_question_changes_nothing(peer: Any) -> None:
    _, client = peer
    with pytest.raises(WaitTimeout):
        client.order_book("MU-TE", timeout=0.2)
    with pytest.raises(ProtocolError):
        client.order_book("BA-D", timeout=10)
