"""The simulated Finery Markets, driven by a foreign WebSocket client.

Layouts and codes of https://faq.finerymarkets.com/api-reference/ (read 2026-11) serve as references.
"""

from __future__ import annotations

import itertools
import json
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

import pytest
import websocket
from hypothesis import given
from hypothesis import strategies as st

from xchws.sandbox import FineryOrder, FineryRefusal, FinerySandbox
from xchws.sandbox.finery import signature
from xchws.sandbox.finery_book import SIDES, TYPES, UNIT, updates

WAIT = 5.0
HOUSE = 9
STEP = 1_000_000  # a cent, in units: the balance step of EUR and USD
SECOND_KEY, SECOND_SECRET = "DEMO-KEY-NOT-REAL-SECOND", "demo-secret-not-real-second"
NONCES = itertools.count(time.time_ns())
CONNECTED = ["X", 0, "Z", 0]


@pytest.fixture
def ex() -> Iterator[FinerySandbox]:
    with FinerySandbox(seed=1) as exchange:
        yield exchange


class Peer:
    """A foreign client: arrays and answers are kept apart, each in its order."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self.socket = socket
        self._numbers = itertools.count(1)
        self._arrays: List[Any] = []

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def take(self) -> Any:
        return self._arrays.pop(0) if self._arrays else json.loads(self.socket.recv())

    def bind(self, feed: str, *feed_id: Any) -> Any:
        self.send(event="bind", feed=feed, **({"feedId": feed_id[0]} if feed_id else {}))
        return self.take()

    def unbind(self, feed: str, *feed_id: Any) -> Any:
        self.send(event="unbind", feed=feed, **({"feedId": feed_id[0]} if feed_id else {}))
        return self.take()

    def request(self, method: str, **content: Any) -> Any:
        """The answer without its envelope: what is under ``reply``, or the members of an error."""
        number = next(self._numbers)
        self.send(event="request", reqId=number, method=method, content=content)
        answer = json.loads(self.socket.recv())
        while isinstance(answer, list):
            self._arrays.append(answer)
            answer = json.loads(self.socket.recv())
        assert (answer.pop("event"), answer.pop("reqId")) == ("request", number)
        return answer.pop("reply") if list(answer) == ["reply"] else answer

    def add(self, kind: str, side: str, price: Optional[int] = None, **more: Any) -> Any:
        content: Dict[str, Any] = {"instrument": "BTC-EUR", "clientOrderId": next(self._numbers), "type": kind}
        content["side"] = side
        if price is not None:
            content["price"] = price
        if "volume" not in more:
            content["size"] = UNIT
        return self.request("add", **{**content, **more})

    def barrier(self) -> List[Any]:
        """All arrays up to the answer of a request."""
        self.request("limits")
        arrays, self._arrays = self._arrays, []
        return arrays

    def wait_closed(self) -> int:
        """The code of the close frame that the exchange ends the connection with; what came before is read away."""
        opcode, data = self.socket.recv_data(control_frame=True)
        while opcode != websocket.ABNF.OPCODE_CLOSE:
            opcode, data = self.socket.recv_data(control_frame=True)
        return int.from_bytes(data[:2], "big")


def headers(
    ex: FinerySandbox, key: Optional[str] = None, secret: Optional[str] = None, content: Optional[str] = None
) -> Dict[str, str]:
    if content is None:
        content = json.dumps({"nonce": next(NONCES), "timestamp": int(time.time() * 1000)})
    return {
        "EFX-Key": key or ex.key,
        "EFX-Sign": signature(secret or ex.secret, content.encode()),
        "EFX-Content": content,
    }


@contextmanager
def opened(ex: FinerySandbox, header: Optional[Dict[str, str]] = None, status: Any = None) -> Iterator[Peer]:
    socket = websocket.create_connection(
        ex.url, header=headers(ex) if header is None else header, timeout=WAIT, suppress_origin=True
    )
    try:
        peer = Peer(socket)
        assert peer.take() == (status or CONNECTED)
        yield peer
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]  # the package annotates most of itself, not this


def refused(ex: FinerySandbox, header: Dict[str, str]) -> Any:
    with pytest.raises(websocket.WebSocketBadStatusException) as error, opened(ex, header):
        pass
    assert error.value.status_code == 400
    assert error.value.resp_body is not None
    return json.loads(error.value.resp_body)


def price(coins: int, cents: int = 0) -> int:
    return coins * UNIT + cents * STEP


# The handshake.


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            '{"nonce":1718000000123456,"timestamp":1718000000123}',
            "nUo3h8dQmDVWkW8Aji+JvT2O+acUcnMZswcysVzmnFiPQYhA6Wj+mDs3wvlQ2zFT",
        ),
        (
            '{"nonce": 1718000000123456, "timestamp": 1718000000123}',
            "loXCxWU7veTN9pY4NABN7SJ08ugH0bfvl3AN7r6DRa9qyrgPb7sMqHbip201Xa4C",
        ),
    ],
)
def test_the_signature_covers_the_bytes_as_they_were_sent(content: str, expected: str) -> None:
    assert signature("demo-secret-7Qx", content.encode()) == expected
    with FinerySandbox(key="k", secret="demo-secret-7Qx", clock_skew=1e12) as ex:
        header = {"EFX-Key": "k", "EFX-Sign": expected, "EFX-Content": content}
        with opened(ex, header):
            assert ex.handshakes[0].headers["efx-content"] == content
        assert refused(ex, {**header, "EFX-Content": content.replace(",", " ,")}) == {"error": 14}


def test_what_a_handshake_may_not_be(ex: FinerySandbox) -> None:
    now = int(time.time() * 1000)
    nonce = next(NONCES)
    assert refused(ex, {}) == {"error": 3}
    assert refused(ex, headers(ex, key="nobody's")) == {"error": 3}
    assert refused(ex, headers(ex, secret="wrong")) == {"error": 14}
    assert refused(ex, headers(ex, content="no JSON")) == {"error": 7}
    assert refused(ex, headers(ex, content=json.dumps({"nonce": nonce, "timestamp": now - 121_000}))) == {"error": 7}
    assert refused(ex, headers(ex, content=json.dumps({"nonce": nonce, "timestamp": now + 125_000}))) == {"error": 7}
    assert refused(ex, headers(ex, content=json.dumps({"nonce": nonce, "timestamp": str(now)}))) == {"error": 7}
    assert refused(ex, headers(ex, content="[1]")) == {"error": 7}
    assert refused(ex, headers(ex, content=json.dumps({"timestamp": now}))) == {"error": 6}
    assert refused(ex, headers(ex, content=json.dumps({"nonce": str(nonce), "timestamp": now}))) == {"error": 6}
    assert refused(ex, headers(ex, content=json.dumps({"nonce": 2**64, "timestamp": now}))) == {"error": 6}
    used = headers(ex)
    with opened(ex, used):
        assert refused(ex, used) == {"error": 6}
        assert refused(ex, headers(ex, content=json.dumps({"nonce": nonce, "timestamp": now}))) == {"error": 6}
    with opened(
        ex, headers(ex, content=json.dumps({"nonce": next(NONCES), "timestamp": now, "é": 1}, ensure_ascii=False))
    ):
        pass
    ex.account().agreed = False
    assert refused(ex, headers(ex)) == {"error": 13}
    ex.account().agreed, ex.account().permitted = True, False
    assert refused(ex, headers(ex)) == {"error": 3}
    ex.account().permitted = True
    assert len(ex.complaints) == len(ex.handshakes) - 2 == 15
    ex.reject_next("handshake", 7)
    assert refused(ex, headers(ex)) == {"error": 7}
    assert len(ex.complaints) == 15


def test_a_nonce_may_fall_under_the_newer_rule() -> None:
    with FinerySandbox(rising_nonce=False) as ex:
        now = int(time.time() * 1000)
        for nonce in (5, 4):
            with opened(ex, headers(ex, content=json.dumps({"nonce": nonce, "timestamp": now}))):
                pass
        assert refused(ex, headers(ex, content=json.dumps({"nonce": 5, "timestamp": now}))) == {"error": 6}
        ex.nonce_window = 0.0
        with opened(ex, headers(ex, content=json.dumps({"nonce": 5, "timestamp": now}))):
            pass


def test_one_connection_too_many_is_refused() -> None:
    with FinerySandbox(max_connections=2) as ex, opened(ex):
        with opened(ex):
            with pytest.raises(websocket.WebSocketBadStatusException) as error, opened(ex):
                pass
            assert error.value.status_code == 429
        ex.wait_until(lambda: len(ex.sessions) == 1)
        with opened(ex):
            assert len(ex.complaints) == 1


def test_another_path_is_not_found(ex: FinerySandbox) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as error:
        websocket.create_connection(ex.url + "/rfq", header=headers(ex), timeout=WAIT)
    assert error.value.status_code == 404


def test_the_backend_goes_and_comes(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        assert peer.bind("F", "BTC-EUR")[2] == "S"
        ex.disconnect_backend(10)
        assert peer.take() == ["X", 0, "Z", 10]
        ex.place("BTC-EUR", "bid", price(100), UNIT)
        assert peer.bind("F", "ETH-USD") == ["F", "ETH-USD", "Z", 10]
        assert peer.request("instruments") == {"error": 10}
        with opened(ex, status=["X", 0, "Z", 10]) as second:
            ex.reconnect_backend()
            assert second.take() == CONNECTED
        assert peer.take() == CONNECTED
        assert peer.bind("F", "BTC-EUR") == ["F", "BTC-EUR", "S", [[[price(100), UNIT]], []]]
        ex.disconnect_backend(keep_bindings=True)
        assert peer.take() == ["X", 0, "Z", 2]
        ex.wipe("BTC-EUR", "bid")
        ex.reconnect_backend()
        assert [peer.take(), peer.take()] == [CONNECTED, ["F", "BTC-EUR", "S", [[], []]]]
    with pytest.raises(ValueError, match="connected"):
        ex.disconnect_backend(0)
    assert ex.complaints == []


# Feeds.


@pytest.mark.parametrize("feed_id", ["BTC-EUR", 42, {"instrument": "BTC-EUR", "clientId": 7}])
def test_feed_f_tells_changes_and_echoes_the_feed_id(ex: FinerySandbox, feed_id: Any) -> None:
    ex.place("BTC-EUR", "bid", price(99), UNIT)
    with opened(ex) as peer:
        assert peer.bind("F", feed_id) == ["F", feed_id, "S", [[[price(99), UNIT]], []]]
        second = ex.place("BTC-EUR", "bid", price(100), UNIT)
        assert peer.take() == ["F", feed_id, "M", [[["+", price(100), UNIT]], []]]
        ex.place("BTC-EUR", "bid", price(100), 5)
        assert peer.take() == ["F", feed_id, "M", [[["M", price(100), UNIT + 5]], []]]
        ex.cancel(second)
        assert peer.take() == ["F", feed_id, "M", [[["M", price(100), 5]], []]]
        ex.place("BTC-EUR", "ask", price(101), UNIT)
        assert peer.take() == ["F", feed_id, "M", [[], [["+", price(101), UNIT]]]]
        assert peer.add("limitIOC", "ask", price(100), size=5)["deals"][0]["size"] == 5
        assert peer.take() == ["F", feed_id, "M", [[["~", price(99), UNIT]], []]]
        ex.wipe("BTC-EUR", "ask")
        assert peer.take() == ["F", feed_id, "M", [[], [["~", 0, 0]]]]
        ex.break_book("BTC-EUR")
        array = peer.take()
        assert array[3][0][0][0] == "M"
        assert array[3][0][0][1] not in (price(99), price(100))
        assert peer.unbind("F", feed_id) == ["F", feed_id, "U", 0]
        ex.place("BTC-EUR", "bid", price(98), UNIT)
        assert peer.barrier() == []
    assert ex.complaints == []


def test_feed_b_tells_the_whole_book_or_its_changes(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        assert peer.bind("B", 42) == ["B", 42, "S", [[], []]]
        ex.place("BTC-EUR", "ask", price(100), UNIT)
        assert peer.take() == ["B", 42, "S", [[], [[price(100), UNIT]]]]
        ex.feed_b_incremental = True
        ex.place("BTC-EUR", "ask", price(101), UNIT)
        assert peer.take() == ["B", 42, "M", [[], [["+", price(101), UNIT]]]]
        ex.place("BTC-EUR", "bid", STEP, UNIT)
        assert peer.take() == ["B", 42, "M", [[["+", STEP, UNIT]], []]]
        ex.break_book("BTC-EUR")
        assert peer.take() == ["B", 42, "M", [[["M", 2 * STEP, UNIT]], []]]
        assert peer.unbind("B", 42) == ["B", 42, "U", 0]


def test_a_bind_that_cannot_be(ex: FinerySandbox) -> None:
    ex.add_account("maker", "secret-of-maker", "maker")
    ex.add_account("taker", "secret-of-taker", "taker")
    with opened(ex) as peer:
        assert peer.bind("T", 1) == ["T", 1, "Z", 102]
        assert peer.bind("F") == ["F", 0, "Z", 103]
        assert peer.bind("F", "XXX-USD") == ["F", "XXX-USD", "Z", 103]
        assert peer.bind("F", {"instrument": "BTC-EUR"}) == ["F", {"instrument": "BTC-EUR"}, "Z", 103]
        assert peer.bind("K", "XXX") == ["K", "XXX", "Z", 103]
        assert peer.unbind("F", "BTC-EUR") == ["F", "BTC-EUR", "Z", 101]
        assert peer.bind("F", "BTC-EUR")[2] == "S"
        assert peer.bind("F", "BTC-EUR") == ["F", "BTC-EUR", "Z", 100]
        assert len(ex.complaints) == 7
        ex.wrap_codes = True
        ex.reject_next("bind", 104)
        assert peer.bind("B", 42) == ["B", 42, "Z", [104]]
        ex.reject_next("unbind", 10)
        assert peer.unbind("F", "BTC-EUR") == ["F", "BTC-EUR", "Z", [10]]
        assert len(ex.complaints) == 7
    for key, feed, other in (("maker", "F", "B"), ("taker", "B", "F")):
        with opened(ex, headers(ex, key, f"secret-of-{key}"), ["X", 0, "Z", [0]]) as peer:
            assert peer.bind(feed, 42) == [feed, 42, "Z", [3]]
            assert peer.bind(other, 42)[2] == "S"


def test_feed_i_and_p_are_snapshots(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        feed, feed_id, action, (currencies, instruments) = peer.bind("I")
        assert (feed, feed_id, action) == ("I", 0, "S")
        assert all(len(row) == 5 and 1 <= row[2] <= 1_000_000 for row in currencies)
        assert ["BTC-EUR", 42, "BTC", "EUR"] in instruments
        assert peer.request("instruments")[1] == instruments
        assert all(len(row) == 6 for row in peer.request("instruments")[0])
        assert peer.bind("P") == ["P", 0, "S", [ex.next_id, [], [], []]]


def test_feeds_o_and_k_follow_a_deal(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        assert peer.bind("O") == ["O", 0, "S", []]
        assert peer.bind("O", "BTC-USD") == ["O", "BTC-USD", "S", []]
        assert peer.bind("K", "EUR") == ["K", "EUR", "S", []]
        assert peer.bind("K") == ["K", 0, "S", []]
        deal_id = ex.next_id
        reply = peer.add("limit", "bid", price(100), size=3 * UNIT)
        assert reply["remainingSize"] == 3 * UNIT
        assert "cancelReason" not in reply
        order = ["BTC-EUR", 0, 0, 0, reply["id"], reply["clientOrderId"], price(100), 3 * UNIT, 3 * UNIT]
        feed, feed_id, action, row = peer.take()
        assert ([feed, feed_id, action], row[:9], row[10:]) == (["O", 0, "+"], order, [False])
        assert abs(row[9] - time.time() * 1000) < 60_000
        created = row[9]
        ex.place("BTC-EUR", "ask", price(99), UNIT)
        feed, feed_id, action, row = peer.take()
        assert [feed, feed_id, action] == ["O", 0, "D"]
        assert row[:10] == [*order[:8], 2 * UNIT, created]
        client = ex.account().client_id
        assert row[11:] == [
            deal_id, 1, price(100), UNIT, price(100), 0, HOUSE, False, HOUSE, 0, 0, client, 0,
        ]  # fmt: skip
        assert peer.take() == ["K", 0, "+", ["BTC", UNIT, HOUSE, UNIT, UNIT]]
        euros = ["EUR", -price(100), HOUSE, -price(100), -price(100)]
        assert [peer.take(), peer.take()] == [["K", "EUR", "+", euros], ["K", 0, "+", euros]]
        assert peer.unbind("K") == ["K", 0, "U", 0]
        assert peer.unbind("K") == ["K", "EUR", "U", 0]
        ex.deal(ex.open_orders(ex.account())[0])
        deal, gone = peer.take(), peer.take()
        assert (deal[2], deal[3][8], gone[2], gone[3][8], gone[3][3]) == ("D", 0, "-", 0, 0)
        assert peer.barrier() == []
        assert ex.position("BTC") == 3 * UNIT
        assert ex.position("EUR") == -3 * price(100)
        assert [row[11] for row in peer.request("dealHistory")] == [ex.next_id - 1, deal_id]


def test_positions_come_and_go(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        peer.bind("K")
        ex.change_position("USD", 5)
        ex.change_position("USD", 2)
        ex.change_position("USD", -7)
        ex.change_position("USD", 0)
        taken = [peer.take() for _ in range(3)]
        assert [(action, row[:3]) for _, _, action, row in taken] == [
            ("+", ["USD", 5, HOUSE]),
            ("M", ["USD", 7, HOUSE]),
            ("-", ["USD", 0, HOUSE]),
        ]
        assert peer.barrier() == []


def test_feeds_l_and_g_tell_limits(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        assert [peer.bind("L"), peer.bind("G")] == [["L", 0, "S", []], ["G", 0, "S", []]]
        ex.limit_change(5, gross_limit=100, utilization=3)
        limit = {
            "counterpartyId": 5,
            "tradingPermissions": {"ownTradingEnabled": True, "mutualTradingEnabled": True},
            "ownLimit": {"grossLimit": 100, "asset": "USD", "limitUtilization": 3, "equity": 0},
        }
        assert peer.take() == ["L", 0, "+", limit]
        ex.limit_change(5, 1, own_trading=False, mutual_gross_limit=7, maintenance_margin=50_000, asset="EUR")
        changed = peer.take()
        assert changed[2] == "M"
        assert changed[3]["tradingPermissions"] == {"ownTradingEnabled": False, "mutualTradingEnabled": True}
        assert changed[3]["ownLimit"]["maintenanceMargin"] == 50_000
        assert changed[3]["mutualLimit"]["grossLimit"] == 7
        assert peer.request("climits") == [changed[3]]
        ex.limit_change(5, remove=True)
        assert peer.take() == ["L", 0, "-", changed[3]]
        with pytest.raises(ValueError, match="no limit"):
            ex.limit_change(5, remove=True)
        ex.global_limit_change("EUR", 10, 20, 1, 2)
        ex.global_limit_change("EUR", 11, 20)
        assert [peer.take(), peer.take()] == [
            ["G", 0, "+", ["EUR", 10, 20, 1, 2]],
            ["G", 0, "M", ["EUR", 11, 20, 0, 0]],
        ]
        assert peer.request("limits") == [["EUR", 11, 20, 0, 0]]
        assert [peer.unbind("L"), peer.unbind("G")] == [["L", 0, "U", 0], ["G", 0, "U", 0]]


def test_feed_s_tells_settlement_orders(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        assert peer.bind("S", "BTC") == ["S", "BTC", "S", []]
        assert peer.bind("S") == ["S", 0, "S", []]
        number = ex.settlement("EUR", 500, comment="first")
        feed, feed_id, action, (order,) = peer.take()
        assert (feed, feed_id, action) == ("S", 0, "+")
        assert list(order) == [
            "settlementOrderId", "clientId", "counterpartyId", "createdAt", "comment", "flags", "currency1", "size1",
        ]  # fmt: skip
        ex.modify_settlement(number, size=600)
        assert peer.take() == ["S", 0, "M", [{**order, "size1": 600}]]
        ex.settle(number)
        deal = peer.take()[3][0]
        assert list(deal)[-2:] == ["settlementId", "commitedAt"]
        assert ex.position("EUR") == 600
        number = ex.settlement("BTC", 1, "EUR", -2)
        both = [peer.take(), peer.take()]
        assert [array[1] for array in both] == ["BTC", 0]
        assert peer.request("positions")[3] == [
            [number, "BTC", "EUR", 1, -2, both[0][3][0]["createdAt"], HOUSE, None, None]
        ]
        ex.cancel_settlement(number)
        assert [peer.take()[2], peer.take()[2]] == ["-", "-"]
        assert peer.unbind("S", "BTC") == ["S", "BTC", "U", 0]


def test_feeds_n_and_r_have_two_directions(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        assert peer.bind("N") == ["N", 0, "S", [0, [], []]]
        assert peer.bind("R") == ["R", 0, "S", [[], []]]
        first = ex.transaction("EUR", 100, comment="in")
        incoming = peer.take()
        assert incoming[:3] == ["N", 0, "+"]
        row = incoming[3][0][0]
        assert incoming[3] == [[row], []]
        assert (len(row), row[:3], row[10]) == (13, [HOUSE, "EUR", 100], first)
        second = ex.transaction("EUR", 30, incoming=False)
        assert peer.take()[3][0] == []
        ex.modify_transaction(second, "0xabc")
        changed = peer.take()
        assert (changed[2], changed[3][1][0][6]) == ("M", "0xabc")
        ex.commit_transaction(first)
        ex.cancel_transaction(second)
        assert [peer.take()[2], peer.take()[2]] == ["D", "-"]
        assert ex.position("EUR") == 100
        assert [row[10] for row in peer.request("settlementTransactionHistory")] == [second, first]
        assert [row[10] for row in peer.request("settlementTransactionHistory", till=second)] == [first]
        number = ex.settlement_request("BTC", 5, incoming=False)
        asked = peer.take()
        assert (asked[2], asked[3][0], len(asked[3][1][0]), asked[3][1][0][7]) == ("+", [], 9, number)
        ex.withdraw_request(number)
        assert peer.take() == ["R", 0, "-", asked[3]]
        assert [peer.unbind("N"), peer.unbind("R")] == [["N", 0, "U", 0], ["R", 0, "U", 0]]


def test_older_layouts() -> None:
    with FinerySandbox(old_layouts=True) as ex:
        ex.place("BTC-EUR", "ask", price(100), UNIT)
        ex.limit_change(5, gross_limit=100, mutual_trading=False)
        with opened(ex) as peer:
            assert peer.bind("K") == ["K", 0, "S", [ex.next_id, []]]
            limit = [5, "USD", 100, None, None, 0, 0, False, 0, 0, 0, 2]
            assert peer.bind("L") == ["L", 0, "S", [limit]]
            peer.add("marketIOC", "bid")
            assert peer.take() == ["K", 0, "+", ["BTC", UNIT, HOUSE]]
            assert len(peer.request("dealHistory")[0]) == 22


# Requests.


def test_what_a_request_may_not_be(ex: FinerySandbox) -> None:
    with opened(ex) as peer:

        def answer(**message: Any) -> Any:
            peer.send(event="request", **message)
            return peer.take()

        assert answer(reqId=1, method="nothing", content={}) == {"event": "request", "reqId": 1, "error": 8}
        assert answer(reqId=2, method="limits") == {"event": "request", "reqId": 2, "error": 9, "param": "content"}
        assert answer(reqId=3, method="limits", content=[])["param"] == "content"
        assert answer(method="limits", content={}) == {"event": "request", "reply": []}
        ex.missing_code = 110
        assert answer(reqId=5, method="del", content={})["error"] == 110
        assert len(ex.complaints) == 5
        ex.reject_next("limits", 111, "currency")
        assert peer.request("limits") == {"error": 111, "param": "currency"}
        assert len(ex.complaints) == 5
        assert peer.request("limits", color="red") == []
        assert len(ex.remarks) == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"instrument": "XXX-USD"}, {"error": 34}),
        ({"instrument": 42}, {"error": 9, "param": "instrument"}),
        ({"side": "buy"}, {"error": 9, "param": "side"}),
        ({"type": "stop"}, {"error": 9, "param": "type"}),
        ({"clientOrderId": 0}, {"error": 9, "param": "clientOrderId"}),
        ({"clientOrderId": 2**63}, {"error": 9, "param": "clientOrderId"}),
        ({"size": 0}, {"error": 70, "param": "size"}),
        ({"size": 1.5}, {"error": 9, "param": "size"}),
        ({"size": "1"}, {"error": 9, "param": "size"}),
        ({"price": None}, {"error": 9, "param": "price"}),
        ({"price": STEP + 1}, {"error": 71, "param": "price"}),
        ({"volume": STEP}, {"error": 81}),
        ({"size": ..., "volume": STEP}, {"error": 82}),
        ({"size": ..., "volume": 1, "type": "limitIOC"}, {"error": 83, "param": "volume"}),
        ({"size": ...}, {"error": 81}),
        ({"price": ...}, {"error": 9, "param": "price"}),
        ({"clientOrderId": ...}, {"error": 9, "param": "clientOrderId"}),
        ({"cod": 1}, {"error": 9, "param": "cod"}),
        ({"makers": ["x"]}, {"error": 9, "param": "makers"}),
        ({"clientOrderId": 7}, {"error": 74}),
        ({"type": "postOnly", "side": "ask"}, {"error": 78}),
        ({"type": "limitIOC"}, {"error": 76}),
        ({"type": "limitFOK"}, {"error": 77}),
        ({"type": "limitIOC", "side": "ask"}, {"error": 78}),
        ({"type": "limitFOK", "side": "ask"}, {"error": 78}),
    ],
)
def test_an_order_that_cannot_be(ex: FinerySandbox, changes: Dict[str, Any], error: Any) -> None:
    content = {"instrument": "BTC-EUR", "clientOrderId": 8, "price": STEP, "size": 1, "side": "bid", "type": "limit"}
    with opened(ex) as peer:
        peer.request("add", **{**content, "clientOrderId": 7})
        content.update(changes)
        before = ex.published_count
        reply = peer.request("add", **{name: value for name, value in content.items() if value is not ...})
        if changes.get("type") == "postOnly":
            error = {"error": 75}  # it would cross, whoever stands there
        assert reply == error
        assert ex.published_count == before


def test_who_may_do_what(ex: FinerySandbox) -> None:
    ex.add_account("maker", "secret-of-maker", "maker")
    ex.add_account("taker", "secret-of-taker", "taker")
    with opened(ex, headers(ex, "maker", "secret-of-maker")) as peer:
        assert peer.add("limitIOC", "bid", STEP) == {"error": 73}
        for _ in range(30):
            assert "id" in peer.add("limit", "bid", STEP)
        assert peer.add("limit", "bid", STEP) == {"error": 79}
        assert "id" in peer.add("limit", "ask", 2 * STEP)
        assert peer.request("delAll", instrument="ETH-USD") == {}
        assert len(peer.request("positions", filter="all")[2]) == 31
        assert peer.request("delAll") == {}
        assert peer.request("positions")[2] == []
        ex.account("maker").trading = False
        assert peer.add("limit", "bid", STEP) == {"error": 84}
    with opened(ex, headers(ex, "taker", "secret-of-taker")) as peer:
        assert peer.add("limit", "bid", STEP) == {"error": 73}
        assert peer.request("mod", orderId=1, price=STEP, size=1) == {"error": 73}


def test_a_taker_sweeps_the_book_in_price_and_time(ex: FinerySandbox) -> None:
    late = ex.place("BTC-EUR", "ask", price(101), UNIT)
    first = ex.place("BTC-EUR", "ask", price(100), UNIT)
    second = ex.place("BTC-EUR", "ask", price(100), 2 * UNIT)
    with opened(ex) as peer:
        peer.bind("O")
        peer.bind("F", 42)
        reply = peer.add("limitIOC", "BID", price(100, 50), size=2 * UNIT)
        assert [(deal["price"], deal["size"], deal["volume"]) for deal in reply["deals"]] == [
            (price(100), UNIT, price(100))
        ] * 2
        assert reply["deals"][0] == {**reply["deals"][1], "id": reply["deals"][1]["id"] - 1}
        assert (reply["remainingSize"], "cancelReason" in reply) == (0, False)
        assert (first.open, second.open, second.left) == (False, True, UNIT)
        assert [array[2] for array in peer.barrier()] == ["+", "D", "D", "-", "M"]
        reply = peer.add("limitIOC", "bid", price(100), size=2 * UNIT)
        assert (reply["remainingSize"], reply["cancelReason"], len(reply["deals"])) == (UNIT, 2, 1)
        arrays = peer.barrier()
        assert [array[2] for array in arrays] == ["+", "D", "-", "M"]
        assert arrays[2][3][3] == 2
        assert arrays[3][3] == [[], [["~", price(101), UNIT]]]
        assert peer.add("marketFOK", "bid", size=2 * UNIT) == {"error": 77}
        assert late.left == UNIT
        assert peer.add("MarketIOC", "bid", size=2 * UNIT)["remainingSize"] == UNIT
        assert peer.add("marketIOC", "bid") == {"error": 76}
        assert ex.complaints == []
        ex.place("BTC-EUR", "bid", price(1), UNIT)
        assert len(peer.add("marketIOC", "ask", price(2))["deals"]) == 1
        assert len(ex.remarks) == 1
        assert peer.request("book", instrument="BTC-EUR", tradable=True) == [[], []]


def test_orders_by_volume(ex: FinerySandbox) -> None:
    ex.place("ETH-USD", "ask", price(3000), UNIT)
    ex.place("ETH-USD", "ask", price(3001), UNIT)
    with opened(ex) as peer:
        reply = peer.add("marketIOC", "bid", instrument="ETH-USD", volume=price(4500))
        assert [deal["size"] for deal in reply["deals"]] == [UNIT, price(1500) * UNIT // price(3001) // 10 * 10]
        spent = sum(deal["volume"] for deal in reply["deals"])
        assert reply["remainingVolume"] == price(4500) - spent
        assert 0 < reply["remainingVolume"] < 10 * 3001
        assert reply["cancelReason"] == 2
        assert ex.position("USD") == -spent
        row = peer.request("dealHistory", limit=1)[0]
        assert (row[7], row[8], row[18]) == (price(4500), reply["remainingVolume"], True)
        assert peer.add("limitFOK", "bid", price(3001), instrument="ETH-USD", volume=price(3000)) == {"error": 77}
        assert "cancelReason" not in peer.add("limitFOK", "bid", price(3001), instrument="ETH-USD", volume=price(100))
        ex.wipe("ETH-USD", "ask")
        ex.place("ETH-USD", "ask", price(200_000), UNIT)  # a cent buys less than one step of ether
        assert peer.add("marketIOC", "bid", instrument="ETH-USD", volume=STEP) == {"error": 76}
        assert peer.add("marketFOK", "bid", instrument="ETH-USD", volume=STEP) == {"error": 77}


def test_a_limit_order_takes_and_rests_and_meets_its_owner(ex: FinerySandbox) -> None:
    ex.place("BTC-EUR", "ask", price(100), UNIT)
    with opened(ex) as peer:
        assert peer.add("postOnly", "bid", price(100)) == {"error": 75}
        reply = peer.add("limit", "bid", price(100), size=3 * UNIT)
        assert (reply["remainingSize"], len(reply["deals"])) == (2 * UNIT, 1)
        assert peer.request("book", instrument="BTC-EUR") == [[[price(100), 2 * UNIT]], []]
        assert peer.add("limit", "ask", price(100)) == {"error": 78}
        ex.place("BTC-EUR", "bid", price(101), UNIT)
        reply = peer.add("limit", "ask", price(100), size=2 * UNIT)
        assert (reply["remainingSize"], reply["cancelReason"], len(reply["deals"])) == (UNIT, 3, 1)
        assert "id" in peer.add("postOnly", "bid", price(99))


def test_orders_are_deleted_and_modified(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        first = peer.add("postOnly", "bid", price(100), size=3 * UNIT, cod=True)
        ex.deal(ex.open_orders(ex.account())[0], UNIT)
        peer.bind("O")
        with pytest.raises(ValueError, match="are left"):
            ex.deal(ex.open_orders(ex.account())[0], 3 * UNIT)
        reply = peer.request("mod", orderId=first["id"], price=price(101), size=5 * UNIT, clientOrderId=70)
        assert reply == {
            "id": reply["id"],
            "initialSize": 4 * UNIT,
            "remainingSize": 4 * UNIT,
            "cancelReason": 0,
            "origId": first["id"],
            "origRemainingSize": 2 * UNIT,
            "deals": [],
        }
        gone, come = peer.barrier()
        assert (gone[2], gone[3][3:5], come[2], come[3][4:6]) == ("-", [1, first["id"]], "+", [reply["id"], 70])
        assert peer.request("mod", orderId=first["id"], price=STEP, size=1) == {"error": 80}
        assert peer.request("mod", orderId=reply["id"], price=1, size=1) == {"error": 71, "param": "price"}
        assert peer.request("mod", orderId=reply["id"], price=STEP, size=1, side="ask") == {"error": 91}
        ex.place("BTC-EUR", "ask", price(102), UNIT)
        assert peer.request("mod", orderId=reply["id"], price=price(102), size=UNIT) == {
            "error": 75,
            "origId": reply["id"],
            "origRemainingSize": 4 * UNIT,
        }
        assert ex.open_orders(ex.account()) == []
        second = peer.add("limit", "bid", price(100), size=3 * UNIT)
        ex.deal(ex.open_orders(ex.account())[0], 2 * UNIT)
        assert peer.request("mod", orderId=second["id"], price=STEP, size=UNIT)["error"] == 90
        third = peer.add("limit", "bid", price(100), clientOrderId=900)
        assert peer.request("del", clientOrderId=900) == {"id": third["id"], "remainingSize": UNIT}
        assert peer.request("del", orderId=third["id"]) == {"error": 80}
        assert peer.request("del", orderId=1, clientOrderId=1) == {"error": 9, "param": "clientOrderId"}


def test_the_history_of_deals(ex: FinerySandbox) -> None:
    other = ex.add_account(SECOND_KEY, SECOND_SECRET)
    with opened(ex) as peer:
        ids = []
        for index in range(260):
            ids.append(ex.next_id)
            ex.deal(ex.place("ETH-USD" if index % 2 else "BTC-EUR", "bid", STEP, UNIT, key=ex.key))
        ex.place("BTC-USD", "bid", STEP, UNIT, key=SECOND_KEY)
        ex.place("BTC-USD", "ask", STEP, UNIT, key=ex.key)

        def history(**content: Any) -> List[int]:
            rows = peer.request("dealHistory", **content)
            assert all(len(row) == 24 for row in rows)
            return [row[11] for row in rows]

        last = ids[-1] + 1
        assert history() == [last, *ids[:-250:-1]]
        assert len(history(limit=1000)) == 250
        assert len(ex.remarks) == 1
        assert history(limit=2, till=ids[5]) == [ids[4], ids[3]]
        assert history(counterpartyIds=[other]) == history(instrument="BTC-USD") == [last]
        assert history(instrument=["BTC-USD", "ETH-USD"], limit=3) == [last, ids[259], ids[257]]
        moment = peer.request("dealHistory", limit=1)[0][10]
        assert history(**{"from": moment + 1}) == history(to=0) == []
        assert last in history(**{"from": moment, "to": moment + 1})
        assert peer.request("dealHistory", limit=0) == {"error": 9, "param": "limit"}
        assert peer.request("dealHistory", filter="some") == {"error": 9, "param": "filter"}
        assert peer.request("dealHistory", instrument="no") == {"error": 34}
        assert peer.request("dealHistory", instrument=5) == {"error": 9, "param": "instrument"}


def test_orders_die_with_their_connection(ex: FinerySandbox) -> None:
    with opened(ex) as watcher:
        watcher.bind("O")
        with opened(ex) as peer:
            lost = peer.add("limit", "bid", price(100), cod=True)
            kept = peer.add("limit", "bid", price(99), cod=False)
            moved = peer.request("mod", orderId=lost["id"], price=price(98), size=UNIT)
        arrays = [watcher.take() for _ in range(5)]
        assert (arrays[4][2], arrays[4][3][3:5]) == ("-", [4, moved["id"]])
        ex.wait_until(lambda: len(ex.sessions) == 1)
        assert [order.id for order in ex.open_orders(ex.account())] == [kept["id"]]
    with opened(ex) as peer, opened(ex) as watcher:
        watcher.bind("O")
        order = peer.add("limit", "bid", price(97), cod=True)
        ex.drop(ex.sessions[0])
        assert watcher.take()[2] == "+"
        assert watcher.take()[3][3:5] == [4, order["id"]]


def test_accounts_see_their_own_only(ex: FinerySandbox) -> None:
    ex.add_account(SECOND_KEY, SECOND_SECRET)
    with pytest.raises(ValueError, match="account"):
        ex.add_account(SECOND_KEY, "another")
    with opened(ex) as first, opened(ex, headers(ex, SECOND_KEY, SECOND_SECRET)) as second:
        first.bind("O")
        second.bind("O")
        order = first.add("limit", "bid", price(100))
        assert second.request("del", orderId=order["id"]) == {"error": 80}
        assert second.barrier() == []
        deal = second.add("limitIOC", "ask", price(100))["deals"][0]
        assert deal["counterpartyId"] == ex.account().client_id
        assert [array[2] for array in second.barrier()] == ["+", "D", "-"]
        assert [array[2] for array in first.barrier()] == ["+", "D", "-"]
        assert ex.position("BTC", ex.account(SECOND_KEY).client_id) == UNIT
        assert ex.position("BTC", ex.account().client_id, SECOND_KEY) == -UNIT


# Misbehaving and the time.


def test_answers_are_lost_late_or_in_another_order(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        ex.reorder_replies()
        for number in (1, 2):
            peer.send(event="request", reqId=number, method="limits", content={})
        assert [peer.take()["reqId"], peer.take()["reqId"]] == [2, 1]
        ex.ignore_next("limits")
        peer.send(event="request", reqId=3, method="limits", content={})
        ex.ignore_next("bind")
        peer.send(event="bind", feed="F", feedId=42)
        ex.wait_for_subscriber("F", "BTC-EUR")
        ex.place("BTC-EUR", "bid", price(100), UNIT)
        assert peer.take()[:3] == ["F", 42, "M"]
        ex.delay_replies(0.2)
        peer.bind("O")
        peer.send(
            event="request",
            reqId=4,
            method="add",
            content={
                "instrument": "BTC-EUR", "clientOrderId": 1, "price": STEP, "size": 1, "side": "bid", "type": "limit",
            },
        )  # fmt: skip
        assert [peer.take()[2], peer.take()[2], peer.take()["reqId"]] == ["+", "M", 4]


def test_messages_that_are_none(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        for text in ("no JSON", "[]", '{"feed":"F"}', '{"event":"listen"}'):
            peer.socket.send(text)
        peer.socket.send_binary(b'{"event":"ping"}')
        assert peer.barrier() == []
        assert len(ex.complaints) == 5
        peer.send(event="ping")
        peer.send(event="auth", content="{}", key="", signature="")
        assert peer.take() == {"event": "auth", "error": 4}
        assert len(ex.complaints) == 6


def test_an_idle_connection_is_closed() -> None:
    with FinerySandbox(idle_timeout=0.05) as ex, opened(ex) as peer:
        assert peer.wait_closed() == 1001
        assert ["idle" in text for text in ex.complaints] == [True]


@pytest.mark.parametrize(("frames", "json_pings"), [(True, False), (False, True)])
def test_which_pings_are_signs_of_life(frames: bool, json_pings: bool) -> None:
    with FinerySandbox(ping_frames_count=frames, json_ping_counts=json_pings) as ex, opened(ex) as peer:
        number = ex.sessions[0].number
        peer.barrier()
        heard = [ex.times.heard_at(number)]
        peer.socket.ping("x")
        ex.wait_until(lambda: ex.received[-1].kind == "ping")
        heard.append(ex.times.heard_at(number))
        peer.send(event="ping")
        ex.wait_until(lambda: ex.messages[-1] == {"event": "ping"})
        heard.append(ex.times.heard_at(number))
        peer.barrier()
        heard.append(ex.times.heard_at(number))
        assert [late > early for early, late in zip(heard, heard[1:])] == [frames, json_pings, True]


def test_a_client_that_does_not_read_is_given_up(ex: FinerySandbox) -> None:
    ex.slow_after = 0.05
    ex.queue_limit = 1 << 16
    with opened(ex) as peer:
        peer.bind("S")
        for _ in range(200):
            ex.settlement("EUR", 1, comment="x" * 200_000)
            if not ex.sessions:
                break
        assert ex.sessions == []


# The market.


class Replica:
    """A book kept from snapshots and changes, by a reader who forgives nothing."""

    def __init__(self, snapshot: List[Any]) -> None:
        self.sides = [dict(map(tuple, side)) for side in snapshot]

    def apply(self, changes: List[Any]) -> None:
        for index, (side, steps) in enumerate(zip(self.sides, changes)):
            for action, level, size in steps:
                assert action in ("+", "M", "-", "~")
                if action == "~":
                    for gone in [old for old in side if (old > level if index == 0 else old < level) or not level]:
                        del side[gone]
                    if level:
                        side[level] = size
                    continue
                assert (level in side) is (action != "+")
                if action == "-":
                    del side[level]
                else:
                    side[level] = size

    def view(self) -> List[Any]:
        bids, asks = self.sides
        return [
            [list(level) for level in sorted(bids.items(), reverse=True)],
            [list(each) for each in sorted(asks.items())],
        ]


def test_a_walk_keeps_books_orders_and_positions_together(ex: FinerySandbox) -> None:
    names = ("BTC-EUR", "ETH-USD", "BTC-USD")
    with opened(ex) as peer:
        replicas = {name: Replica(peer.bind("F", name)[3]) for name in names}
        for feed in ("O", "K", "L"):
            peer.bind(feed)
        ex.random_walk(3000, seed=3)
        assert ex.published_count == len(ex.published) == 3000
        seen = set()
        orders: Dict[int, List[Any]] = {}
        positions: Dict[str, List[Any]] = {}
        for feed, feed_id, action, data in peer.barrier():
            seen.add(feed + action)
            if feed == "F":
                replicas[feed_id].apply(data)
                assert all(len(side) <= 25 for side in replicas[feed_id].sides)
            elif feed == "O":
                assert (data[4] in orders) is (action != "+")
                orders[data[4]] = data
                if action == "-":
                    del orders[data[4]]
            elif feed == "K":
                assert (data[0] in positions) is (action != "+")
                positions[data[0]] = data
                if action == "-":
                    del positions[data[0]]
        assert {"O+", "O-", "OD", "K+", "KM", "L+", "FM"} <= seen
        for name in names:
            assert replicas[name].view() == peer.request("book", instrument=name)
        _, told_positions, told_orders, _ = peer.request("positions")
        assert sorted(positions.values()) == sorted(told_positions)
        assert {row[4]: row[8] for row in told_orders} == {number: row[8] for number, row in orders.items()}
    assert ex.complaints == []


def test_a_deep_book_shows_25_levels(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        replica = Replica(peer.bind("F", 42)[3])
        placed: List[FineryOrder] = []
        for cents in (5, 30, 1, 17, 29, 2, *range(31, 60), 3, 4, *range(6, 17)):
            placed.append(ex.place("BTC-EUR", "bid", price(100, cents), UNIT))
            placed.append(ex.place("BTC-EUR", "ask", price(200, cents), UNIT))
        for order in placed[::3]:
            ex.cancel(order)
        ex.place("BTC-EUR", "ask", price(100, 40), 9 * UNIT, key=ex.key)
        for array in peer.barrier():
            replica.apply(array[3])
            assert all(len(side) <= 25 for side in replica.sides)
        assert replica.view() == peer.request("book", instrument="BTC-EUR")
        assert len(replica.sides[1]) == 25
        ex.wipe("BTC-EUR", "ask")
        ex.wipe("BTC-EUR", "ask")
        assert [array[3] for array in peer.barrier()] == [[[], [["~", 0, 0]]]] * 2


def test_a_walk_is_repeatable_and_keeps_to_its_number() -> None:
    first, second = FinerySandbox(), FinerySandbox(seed=5)
    first.random_walk(400, seed=5)
    for events in (1, 2, 3, 4, 5, 6, 7, 8, 364):
        before = second.published_count
        second.random_walk(events)
        assert second.published_count == before + events
    third = FinerySandbox(seed=5)
    third.random_walk(400)

    def timeless(exchange: FinerySandbox) -> List[Any]:
        return [
            [
                value if not isinstance(value, int) or value < 1_600_000_000_000 or value > 10**13 else "time"
                for value in row
            ]
            for row in (event["data"] for event in exchange.published if event["feed"] in ("O", "K"))
        ]

    assert timeless(first) == timeless(third)
    assert len(timeless(first)) > 100


def test_the_market_runs_by_itself(ex: FinerySandbox) -> None:
    with opened(ex) as peer:
        peer.bind("L")
        for name in ("BTC-EUR", "ETH-USD", "BTC-USD"):
            peer.bind("F", name)
        ex.run(500)
        assert all(peer.take()[0] in ("F", "L") for _ in range(20))
        ex.pause()
        before = ex.published_count
        peer.barrier()
        assert ex.published_count == before
        with pytest.raises(ValueError, match="rate"):
            ex.run(0)


def test_what_the_counterparty_may_not_do(ex: FinerySandbox) -> None:
    order = ex.place("BTC-EUR", "bid", price(100), UNIT)
    with pytest.raises(FineryRefusal) as error:
        ex.place("BTC-EUR", "ask", price(100), UNIT)
    assert error.value.code == 78
    with pytest.raises(ValueError, match="counterparty"):
        ex.deal(order)
    with pytest.raises(ValueError, match="side"):
        ex.place("BTC-EUR", "buy", price(100), UNIT)
    ex.cancel(order)
    with pytest.raises(ValueError, match="not open"):
        ex.cancel(order)
    with pytest.raises(ValueError, match="role"):
        ex.add_account("k", "s", "king")


def test_changes_of_levels() -> None:
    old = [[5, 1], [4, 1], [3, 1], [2, 1]]
    assert updates(old, [[3, 2], [2, 1]], swept=True) == [["~", 3, 2]]
    assert updates(old, [[3, 2], [2, 1]], swept=False) == [["-", 5, 0], ["-", 4, 0], ["M", 3, 2]]
    assert updates(old, [], swept=True) == [["~", 0, 0]]
    assert updates([], [], swept=True) == []
    assert updates(old, [[6, 1], [3, 1]], swept=True) == [["-", 5, 0], ["-", 4, 0], ["-", 2, 0], ["+", 6, 1]]
    assert updates(old, [[4, 1], [2, 1], [1, 7]], swept=True) == [["~", 4, 1], ["-", 3, 0], ["+", 1, 7]]


LEVELS = st.dictionaries(st.integers(1, 40), st.integers(1, 3), max_size=25)


@given(old=LEVELS, new=LEVELS, side=st.integers(0, 1), swept=st.booleans())
def test_changes_lead_from_any_levels_to_any_others(
    old: Dict[int, int], new: Dict[int, int], side: int, swept: bool
) -> None:
    before, after = ([list(level) for level in sorted(each.items(), reverse=side == 0)] for each in (old, new))
    replica = Replica([before, []] if side == 0 else [[], before])
    changes = updates(before, after, swept)
    replica.apply([changes, []] if side == 0 else [[], changes])
    assert replica.view()[side] == after


ORDERS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 6), st.integers(1, 9), st.integers(0, 5), st.booleans()), max_size=40
)


@given(orders=ORDERS)
def test_the_book_never_crosses_and_nothing_is_lost(orders: List[Any]) -> None:
    ex = FinerySandbox()
    ex.add_account(SECOND_KEY, SECOND_SECRET)
    for side, level, size, kind, second in orders:
        key = SECOND_KEY if second else ex.key
        try:
            order = ex.place("BTC-EUR", SIDES[side], level * STEP, size, TYPES[kind], key)
        except FineryRefusal as refusal:
            assert refusal.code in (75, 76, 77, 78)
        else:
            assert order.open is (order.type < 2 and order.left > 0 and not order.reason)
            assert kind not in (3, 5) or order.left == 0
        bids, asks = ex.view("BTC-EUR")
        assert not bids or not asks or bids[0][0] < asks[0][0]
        assert all(level[1] > 0 for level in bids + asks)
    for currency in ("BTC", "EUR"):
        first, other = ex.account().client_id, ex.account(SECOND_KEY).client_id
        assert ex.position(currency, other) == -ex.position(currency, first, SECOND_KEY)


def test_what_a_human_is_told(ex: FinerySandbox) -> None:
    said = "\n".join(ex.instructions())
    assert f"ws://127.0.0.1:{ex.port}/ws" in said
    assert f'xchws.Finery("{ex.key}", "{ex.secret}"' in said
