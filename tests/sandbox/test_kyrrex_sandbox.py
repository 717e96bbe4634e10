"""The simulated Kyrrex, driven by python-socketio's own client, by raw frames of websocket-client, and by requests.

The samples of https://docs.kyrrex.com/websocket (read 2026-11) serve as references for signature and fields.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import queue
import ssl
import struct
import threading
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import urlencode

import pytest
import requests
import socketio
import trustme
import websocket
from socketio.exceptions import ConnectionError as NotConnected

from xchws.sandbox import FaultProxy, KyrrexSandbox

WAIT = 5.0
EVENTS = ("customer", "deposit", "order", "withdrawal", "trade", "deposit_address", "account")
ACCOUNT_FIELDS = "aml_locked balance bonus coin_type currency launchpad locked name savings stacking tag total".split()
QUIET = logging.Logger("tests.socketio")  # noqa: LOG001 - unregistered on purpose: the library hangs a handler on its own
QUIET.disabled = True


@pytest.fixture
def ex() -> Iterator[KyrrexSandbox]:
    with KyrrexSandbox(seed=1) as exchange:
        yield exchange


def address(ex: KyrrexSandbox, **more: str) -> str:
    query = {"api_key": ex.key, "api_sign": ex.sign(), "EIO": "4", "transport": "websocket", **more}
    return f"{ex.url}?{urlencode(query)}"


class Listener:
    """python-socketio's client. It starts a thread for each message, so the order is lost: what came is a set."""

    def __init__(self, ex: KyrrexSandbox, **query: str) -> None:
        self.came: queue.Queue[Tuple[str, Any]] = queue.Queue()
        self.ended: queue.Queue[str] = queue.Queue()
        self.refused: queue.Queue[Any] = queue.Queue()
        self.client = socketio.Client(reconnection=False, logger=QUIET, engineio_logger=QUIET, handle_sigint=False)
        self.client.on("*", lambda event, *arguments: self.came.put((event, *arguments)))
        self.client.on("connect_error", self.refused.put)
        self.client.on(
            "disconnect", lambda *reason: self.ended.put(str(reason))
        )  # no reason before python-socketio 5.12
        signed = {"api_key": ex.key, "api_sign": ex.sign(), **query}
        self._url = f"{ex.base_url}?{urlencode(signed)}"
        self._path = ex.path

    def connect(self) -> None:
        self.client.connect(self._url, transports=["websocket"], socketio_path=self._path, wait_timeout=WAIT)

    def try_to_connect(self) -> None:
        with pytest.raises(NotConnected):
            self.connect()

    def close(self) -> None:
        self.freely(self.client.disconnect)

    def freely(self, act: Callable[[], object]) -> None:
        """Do something that ends the connection. The library's threads may wait for one another there (a writer that
        overlooks the mark of the end in its queue): further marks free them. And it leaves sockets open."""
        engine = self.client.eio
        threads = {threading.Thread(target=act)}
        for each in threads:
            each.start()
        for _ in range(50):
            threads |= {each for each in (engine.write_loop_task, engine.read_loop_task) if each is not None}
            for each in threads:
                each.join(0.1)
            if not any(each.is_alive() for each in threads):
                break
            engine.queue.put(None)
        if engine.ws is not None:
            engine.ws.shutdown()

    def take(self, count: int) -> List[Tuple[str, Any]]:
        return [self.came.get(timeout=WAIT) for _ in range(count)]


@contextmanager
def listening(ex: KyrrexSandbox) -> Iterator[Listener]:
    listener = Listener(ex)
    listener.connect()
    try:
        ex.wait_for_subscriber()
        yield listener
    finally:
        listener.close()


@contextmanager
def opened(ex: KyrrexSandbox, url: Optional[str] = None, **more: str) -> Iterator[Any]:
    """A raw connection."""
    client: Any = websocket.create_connection(url or address(ex, **more), timeout=WAIT)
    try:
        yield client
    finally:
        client.shutdown()


@contextmanager
def connected(ex: KyrrexSandbox) -> Iterator[Any]:
    """A raw connection that has asked for the namespace."""
    with opened(ex) as client:
        assert client.recv()[0] == "0"
        client.send("40")
        said = client.recv()
        while said == "2":  # a ping may come before it
            said = client.recv()
        assert said[:2] == "40"
        ex.wait_for_subscriber()
        yield client


def event(client: Any) -> Tuple[str, Any]:
    text = client.recv()
    assert text[:2] == "42"
    name, content = json.loads(text[2:])
    return name, content


def closing(client: Any) -> Optional[int]:
    """The close code that comes next; None if the connection just ends."""
    try:
        opcode, data = client.recv_data()
    except (OSError, websocket.WebSocketConnectionClosedException):
        return None
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    return struct.unpack("!H", data[:2])[0] if data else 1005


# Connecting.


def test_the_signature_of_the_vendors_page() -> None:
    key, secret, user_uuid = (
        "kjdh723ncs73ncdsnc72ncs73kds32L3skD2",
        "GJSsaK3PpwOjgLK2lkPmQ5TZRtF2pPoQBZ9yyuAa",
        "dfgkh45p8",
    )
    with KyrrexSandbox(key=key, secret=secret, user_uuid=user_uuid) as ex:
        sign = hmac.new(secret.encode(), f"{user_uuid}|{key}".encode(), hashlib.sha256).hexdigest()
        assert ex.sign() == sign
        with opened(ex, api_sign=sign) as client:
            opening = client.recv()
            assert opening[0] == "0"
            assert list(json.loads(opening[1:])) == ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]
            assert json.loads(opening[1:])["pingInterval"] == 25000
            client.send("40")
            answer = client.recv()
            assert answer[:2] == "40"
            assert list(json.loads(answer[2:])) == ["sid"]
            ex.account("usdt", "82.9858332031", "14.12", bonus="10.0")
            name, payload = event(client)
    assert name == "account"
    assert list(payload) == ["data"]
    assert list(payload["data"]) == ["version", "action", "object"]
    assert (payload["data"]["version"], payload["data"]["action"]) == ("1", "update")
    # The page's example but for its bonus, which its total does not hold either.
    assert payload["data"]["object"] == {
        "aml_locked": "0.0",
        "balance": "82.9858332031",
        "bonus": "10.0",
        "coin_type": "crypto",
        "currency": "usdt",
        "launchpad": "0.0",
        "locked": "14.12",
        "name": "usdt",
        "savings": "0.0",
        "stacking": "0.0",
        "tag": "",
        "total": "97.1058332031",
    }
    assert ex.complaints == []


def test_a_foreign_client_gets_all_seven_objects_in_both_envelopes(ex: KyrrexSandbox) -> None:
    with listening(ex) as listener:
        ex.fill(ex.place("btcusdt", "buy", 64000, "0.05"))
        ex.deposit("usdt", 25, "done", dchain_id="trc20usdt")
        ex.withdrawal("eth", "0.5", fee="0.001")
        ex.deposit_address("usdt", "trc20usdt", tag="7")
        ex.customer(city="Sliema")
        came = listener.take(ex.published_count)
        assert {name for name, _ in came} == set(EVENTS)
        assert sorted(str((name, payload["data"]["object"])) for name, payload in came) == sorted(
            str((each["event"], each["object"])) for each in ex.published
        )
        ex.envelope = "plain"
        ex.account("btc")
        ((name, payload),) = listener.take(1)
        assert (name, list(payload), list(payload["object"])) == ("account", ["action", "object"], ACCOUNT_FIELDS)
    assert ex.complaints == []


def test_the_clients_goodbye_is_noticed(ex: KyrrexSandbox) -> None:
    with listening(ex):
        assert len(ex.sessions) == 1
    ex.wait_until(lambda: not ex.sessions)
    with connected(ex) as client:
        client.send("41")
        ex.wait_until(lambda: not ex.subscribers())
        ex.account("usdt")
        client.send("40")
        assert client.recv()[:2] == "40"
        ex.wait_for_subscriber()
        ex.account("btc")
        assert event(client)[1]["data"]["object"]["currency"] == "btc"
    assert ex.complaints == []


def test_only_the_owner_hears_of_an_account(ex: KyrrexSandbox) -> None:
    other = ex.add_account("OTHER-KEY", "other-secret", "other0001")
    with connected(ex) as mine, opened(ex, api_key=other.key, api_sign=ex.sign(other.key)) as theirs:
        theirs.recv()
        theirs.send("40")
        theirs.recv()
        ex.wait_for_subscriber(key=other.key)
        ex.account("usdt", 1, key=other.key)
        ex.account("usdt", 2)
        assert event(mine)[1]["data"]["object"]["balance"] == "2.0"
        assert event(theirs)[1]["data"]["object"]["balance"] == "1.0"


def test_with_and_without_the_slash(ex: KyrrexSandbox) -> None:
    with opened(ex, address(ex).replace("/?", "?")) as client:
        assert client.recv()[0] == "0"
    with pytest.raises(websocket.WebSocketBadStatusException) as refused, opened(ex, address(ex).replace("v1", "v2")):
        pass
    assert refused.value.status_code == 404


# Refusing.

WRONG: List[Dict[str, str]] = [{"api_sign": "0" * 64}, {"api_sign": ""}, {"api_key": "nobody"}]


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_key_is_refused_by_http(ex: KyrrexSandbox, query: Dict[str, str]) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused, opened(ex, **query):
        pass
    assert refused.value.status_code == 403
    assert json.loads(refused.value.resp_body or b"") == {"code": 4, "message": "Forbidden"}
    listener = Listener(ex, **query)
    with pytest.raises(NotConnected):
        listener.connect()
    assert len(ex.complaints) == 2
    assert ex.opened == 0


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_key_is_refused_by_connect_error(query: Dict[str, str]) -> None:
    with KyrrexSandbox(refusal="connect_error") as ex:
        with opened(ex, **query) as client:
            client.recv()
            client.send("40")
            assert client.recv() == '44{"message":"Authentication failed"}'
            ex.account("usdt")
            assert ex.subscribers() == []
        listener = Listener(ex, **query)
        listener.freely(listener.try_to_connect)
        assert listener.refused.get(timeout=WAIT) == {"message": "Authentication failed"}


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_key_is_refused_by_disconnecting(query: Dict[str, str]) -> None:
    with KyrrexSandbox(refusal="disconnect") as ex:
        with opened(ex, **query) as client:
            client.recv()
            client.send("40")
            assert [client.recv()[:2], client.recv()] == ["40", "41"]
            assert ex.subscribers() == []


def test_the_next_connections_are_refused_whatever_their_key(ex: KyrrexSandbox) -> None:
    for form in ("http", "connect_error", "disconnect"):
        ex.reject_next(form)
    ex.refuse(503, "away", {"Retry-After": "3"}, times=1)
    for status in (503, 403):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused, opened(ex):
            pass
        assert refused.value.status_code == status
    for answer in ("44", "40"):
        with opened(ex) as client:
            client.recv()
            client.send("40")
            assert client.recv()[:2] == answer
    with connected(ex):
        assert ex.complaints == []
    with pytest.raises(ValueError, match="none of"):
        ex.reject_next("by letter")


def test_wrong_handshakes_get_the_codes_of_engine_io(ex: KyrrexSandbox) -> None:
    def answer(url: str) -> Any:
        with requests.get(url.replace("ws://", "http://"), timeout=WAIT) as response:
            return response.status_code, response.text

    polling = address(ex, transport="polling")
    status, text = answer(polling)
    assert (status, text[0]) == (200, "0")
    assert "maxPayload" in json.loads(text[1:])
    codes = {
        0: address(ex, transport="pigeon"),
        1: polling + "&sid=abc",
        3: address(ex),
        5: address(ex, transport="polling", EIO="3"),
    }
    for code, url in codes.items():
        status, text = answer(url)
        assert (status, json.loads(text)["code"]) == (400, code)
    ex.polling = False
    assert answer(polling) == (400, '{"code":0,"message":"Transport unknown"}')
    assert len(ex.complaints) == 5


# REST.


def test_the_users_id_is_asked_with_a_signature() -> None:
    def ask(ex: KyrrexSandbox, canonical: str, query: str = "", **headers: str) -> requests.Response:
        text = canonical.replace("verb", "GET").replace("path", "/api/v2/members/me").replace("access_key", ex.key)
        sign = hmac.new(ex.secret.encode(), text.replace("query", query).encode(), hashlib.sha256).hexdigest()
        url = f"{ex.rest_url}/api/v2/members/me{'?' if query else ''}{query}"
        return requests.get(url, headers={"APIKey": ex.key, "APISign": sign, **headers}, timeout=WAIT)

    short, long = "verb|path|query", "verb|path|query|access_key"
    for allowed, answers in ((short, (200, 401)), (long, (401, 200)), ("both", (200, 200))):
        with KyrrexSandbox(rest_canonical=allowed, uuid_field="uid" if allowed == long else "uuid") as ex:
            assert (ask(ex, short).status_code, ask(ex, long).status_code) == answers
            good = ask(ex, allowed if allowed != "both" else short, "a=1&b=2")
            assert good.json()["uid" if allowed == long else "uuid"] == ex.user_uuid
            assert ask(ex, short, APIKey="nobody").json()["error"]["code"] == 2008
            assert ask(ex, short, APISign="no").json()["error"]["code"] == 2005
            assert requests.get(f"{ex.rest_url}/api/v2/trades", timeout=WAIT).status_code == 404


# Objects.


def contents(ex: KyrrexSandbox, count: int) -> List[Tuple[str, str, Dict[str, Any]]]:
    return [(each["event"], each["action"], each["object"]) for each in ex.published[-count:]]


def test_an_order_lives_and_the_balances_follow(ex: KyrrexSandbox) -> None:
    with connected(ex) as client:
        order = ex.place("btcusdt", "buy", 64000, "0.05")
        created, account = event(client)[1]["data"], event(client)[1]["data"]
        assert (created["action"], created["object"]["state"], created["object"]["origin_volume"]) == (
            "create",
            "wait",
            "0.05",
        )
        assert (account["object"]["balance"], account["object"]["locked"]) == ("96800.0", "3200.0")
        ex.fill(order, "0.01")
        names = [event(client) for _ in range(4)]
    assert [name for name, _ in names] == ["trade", "order", "account", "account"]
    (_, _, trade), (_, action, told), (_, _, quote), (_, _, base) = contents(ex, 4)
    assert (trade["order_id"], trade["funds"], trade["fee"], trade["fee_asset"]) == (
        told["id"],
        "640.0",
        "0.00001",
        "btc",
    )
    assert (action, told["state"], told["executed_volume"], told["remaining_volume"]) == (
        "update",
        "wait",
        "0.01",
        "0.04",
    )
    assert told["trades_count"] == 1
    assert (quote["currency"], quote["locked"], quote["total"]) == ("usdt", "2560.0", "99360.0")
    assert (base["currency"], base["balance"]) == ("btc", "5.00999")
    ex.fill(order)
    assert contents(ex, 4)[1][2]["state"] == "done"
    sold = ex.place("btcusdt", "sell", 65000, 1)
    ex.fill(sold, "0.5")
    assert contents(ex, 4)[3][2]["balance"] == "129267.5"
    ex.cancel(sold)
    (_, _, told), (_, _, account) = contents(ex, 2)
    assert (told["state"], told["executed_volume"], account["locked"]) == ("cancel", "0.5", "0.0")
    with pytest.raises(ValueError, match="CANCELLED"):
        ex.fill(sold)
    with pytest.raises(ValueError, match="free"):
        ex.place("btcusdt", "sell", 65000, 1000)
    with pytest.raises(ValueError, match="market"):
        ex.place("BTC-USD", "sell", 65000, 1)


def test_transfers_walk_through_their_statuses(ex: KyrrexSandbox) -> None:
    ex.deposit("usdt", 25, "done", fee=1)
    told = contents(ex, 5)
    assert [each[2].get("status") for each in told] == ["created", "aml_processing", "processing", "done", None]
    assert [each[1] for each in told[:2]] == ["create", "update"]
    assert (told[3][2]["done_at"] is None, told[2][2]["done_at"]) == (False, None)
    assert told[4][2]["balance"] == "100024.0"
    frozen = ex.deposit("usdt", 25)
    ex.advance(frozen, "frozen")
    assert contents(ex, 1)[0][2]["status"] == "frozen"
    with pytest.raises(ValueError, match="frozen"):
        ex.advance(frozen)
    out = ex.withdrawal("eth", 2, fee="0.1")
    (_, action, initiated), (_, _, account) = contents(ex, 2)
    assert (action, initiated["status"], initiated["type"], account["locked"]) == (
        "create",
        "initiated",
        "withdraw",
        "2.1",
    )
    ex.advance(out, "postponed")
    ex.advance(out)
    assert contents(ex, 1)[0][2]["status"] == "aml_processing"
    ex.advance(out, "rejected")
    assert contents(ex, 1)[0][2]["balance"] == "50.0"
    ex.withdrawal("eth", 2, "done", fee="0.1")
    assert contents(ex, 1)[0][2]["total"] == "47.9"
    with pytest.raises(ValueError, match="free"):
        ex.withdrawal("eth", 1000)
    with pytest.raises(ValueError, match="none of"):
        ex.advance(ex.deposit("usdt", 1), "lost")


def test_a_random_walk_is_numbered_ordered_and_repeatable(ex: KyrrexSandbox) -> None:
    with connected(ex) as client:
        ex.random_walk(800, seed=3)
        received = [event(client) for _ in range(800)]
    published = [
        (each["event"], {"version": "1", "action": each["action"], "object": each["object"]}) for each in ex.published
    ]
    assert [(name, payload["data"]) for name, payload in received] == published
    again = KyrrexSandbox()
    again.random_walk(800, seed=3)
    assert [each["event"] for each in again.published] == [each["event"] for each in ex.published]
    balances = [each["object"] for each in ex.published if each["event"] == "account"]
    assert all(Decimal(each["total"]) == Decimal(each["balance"]) + Decimal(each["locked"]) for each in balances)
    assert min(Decimal(each[name]) for each in balances for name in ("balance", "locked")) >= 0


def test_the_market_runs_by_itself(ex: KyrrexSandbox) -> None:
    with connected(ex) as client:
        ex.run(500)
        assert {event(client)[0] for _ in range(30)} <= set(EVENTS)
        ex.pause()


# Packets.


def test_acknowledgements_are_counted(ex: KyrrexSandbox) -> None:
    ex.ask_acks = True
    with listening(ex) as listener:
        ex.account("usdt")
        assert listener.take(1)[0][0] == "account"
        ex.wait_until(lambda: ex.acknowledged == 1)
    with connected(ex) as client:
        ex.account("usdt")
        text = client.recv()
        assert text.startswith('421["account",')
        client.send("431[]")
        ex.wait_until(lambda: ex.acknowledged == 2)
        ex.send_event("order", {"any": "thing"}, ack=True)
        assert client.recv() == '422["order",{"any":"thing"}]'
    assert ex.complaints == []


def test_packets_of_all_kinds_in_order(ex: KyrrexSandbox) -> None:
    strange = ["7what", "9", "", "4", "42", "42[", '42["account"]', "3", "6", '44{"message":"no"}', "45", "x" * 300_000]
    with connected(ex) as client:
        for text in strange:
            ex.account("usdt")
            ex.send_raw(text)
        for text in strange:
            assert event(client)[0] == "account"
            assert client.recv() == text
        ex.send_raw(b"\x00\x01")
        assert client.recv_data() == (websocket.ABNF.OPCODE_BINARY, b"\x00\x01")
        ex.send_event("deposit", b"\x05\x06")
        assert client.recv() == '451-["deposit",{"_placeholder":true,"num":0}]'
        assert client.recv_data() == (websocket.ABNF.OPCODE_BINARY, b"\x05\x06")
        ex.customer(note="n" * 200_000)
        assert len(event(client)[1]["data"]["object"]["note"]) == 200_000
        ex.send_frame(1, b"42[", fin=False)
        ex.send_frame(0, b'"order"]')
        assert client.recv() == '42["order"]'


def test_a_foreign_client_takes_a_binary_event(ex: KyrrexSandbox) -> None:
    with listening(ex) as listener:
        ex.send_event("deposit", b"\x05\x06")
        assert listener.take(1) == [("deposit", b"\x05\x06")]


def test_what_a_listener_has_no_reason_to_say_is_noted(ex: KyrrexSandbox) -> None:
    with connected(ex) as client:
        client.send('421["subscribe",{}]')
        assert client.recv() == "431[]"
        client.send("2")
        client.send("42[broken")
        ex.wait_until(lambda: len(ex.complaints) == 3)
        assert len(ex.remarks) == 1
        ex.account("usdt")
        assert event(client)[0] == "account"
        client.send("nonsense")
        assert closing(client) == 1000
    ex.wait_until(lambda: not ex.sessions)


# Liveness and ends.


def test_pings_want_pongs() -> None:
    with KyrrexSandbox(ping_interval=0.02, ping_timeout=WAIT) as ex:
        with listening(ex) as listener:
            ex.wait_until(lambda: ex.messages.count(3) >= 3)
            ex.account("usdt")
            assert listener.take(1)
        assert ex.complaints == []
    with KyrrexSandbox(ping_interval=0.02, ping_timeout=0.1) as ex, connected(ex) as client:
        assert client.recv() == "2"
        assert closing(client) == 1000
        assert len(ex.complaints) == 1


def test_silence() -> None:
    with KyrrexSandbox(ping_interval=0.02, ping_timeout=0.3) as ex, connected(ex) as client:
        ex.hold_pings()
        ex.account("usdt")
        while (text := client.recv()) == "2":
            client.send("3")
        assert text.startswith("42")
        client.settimeout(0.5)
        with pytest.raises(websocket.WebSocketTimeoutException):
            client.recv()
        ex.release_pings()
        client.settimeout(WAIT)
        assert client.recv() == "2"
        assert ex.complaints == []


def test_a_silent_exchange_is_noticed_by_a_foreign_client() -> None:
    with KyrrexSandbox(ping_interval=0.05, ping_timeout=0.5) as ex, listening(ex) as listener:
        ex.stall()
        assert listener.ended.get(timeout=WAIT)
        ex.resume()


def test_no_namespace_in_time(ex: KyrrexSandbox) -> None:
    ex.connect_timeout = 0.05
    with opened(ex) as client:
        assert [client.recv()[0], client.recv()] == ["0", "1"]
        assert closing(client) == 1000
    assert len(ex.complaints) == 1


ENDS: List[Tuple[Callable[[KyrrexSandbox], None], List[str], Optional[int]]] = [
    (lambda ex: ex.close_engine(), ["1"], 1000),
    (lambda ex: ex.close_connections(4321, "bye"), [], 4321),
    (lambda ex: ex.drop(), [], None),
    (lambda ex: ex.drop(reset=True), [], None),
]


@pytest.mark.parametrize(("end", "texts", "code"), ENDS)
def test_ends(ex: KyrrexSandbox, end: Callable[[KyrrexSandbox], None], texts: List[str], code: Optional[int]) -> None:
    with connected(ex) as client:
        ex.account("usdt")
        assert event(client)[0] == "account"
        end(ex)
        assert [client.recv() for _ in texts] == texts
        assert closing(client) == code
    ex.wait_until(lambda: not ex.sessions)
    with listening(ex) as listener:
        end(ex)
        assert listener.ended.get(timeout=WAIT)


def test_what_was_published_comes_before_the_end(ex: KyrrexSandbox) -> None:
    with connected(ex) as client:
        ex.random_walk(300)
        ex.drop()
        assert [event(client)[0] for _ in range(300)] == [each["event"] for each in ex.published]
        assert closing(client) is None


def test_the_namespace_ends_and_the_connection_stays(ex: KyrrexSandbox) -> None:
    with connected(ex) as client:
        ex.disconnect()
        assert client.recv() == "41"
        ex.account("usdt")
        client.send("40")
        assert client.recv()[:2] == "40"
    with listening(ex) as listener:
        ex.disconnect()
        assert listener.ended.get(timeout=WAIT)


# The version before.


def test_engine_3_by_hand() -> None:
    with KyrrexSandbox(engine=3, ping_interval=0.3, ping_timeout=0.2) as ex:
        with opened(ex, EIO="3") as client:
            opening = client.recv()
            assert list(json.loads(opening[1:])) == ["sid", "upgrades", "pingInterval", "pingTimeout"]
            assert client.recv() == "40"
            client.send("2probe")
            assert client.recv() == "3probe"
            ex.wait_for_subscriber()
            ex.account("usdt")
            assert event(client)[0] == "account"
            ex.send_event("deposit", b"\x05")
            assert client.recv().startswith("451-")
            assert client.recv_data()[1] == b"\x04\x05"
            ex.send_event("order", 1, ack=True)
            assert client.recv() == '420["order",1]'
            client.send("430[]")
            ex.wait_until(lambda: ex.acknowledged == 1)
            ex.send_raw("x")
            ex.disconnect()
            assert [client.recv(), client.recv()] == ["x", "41"]
            assert closing(client) == 1000
            assert ex.complaints == ["connection 1: no ping in time"]
        for form, texts in (("connect_error", ['44"no"']), ("disconnect", ["40", "41"])):
            ex.reject_next(form, message="no")
            with opened(ex) as client:
                assert [client.recv() for _ in range(len(texts) + 1)][1:] == texts
        with opened(ex) as client:
            assert [client.recv()[0], client.recv()] == ["0", "40"]
            ex.close_engine()
            assert client.recv() == "1"
            assert closing(client) == 1000
        polling = requests.get(address(ex, transport="polling").replace("ws://", "http://"), timeout=WAIT).text
        size, _, rest = polling.partition(":")
        assert rest[int(size) :] == "2:40"


@pytest.mark.parametrize(("way", "answer"), [("stream", b"Unsupported protocol version"), ("cut", b"")])
def test_another_version_is_refused_as_node_does_it(ex: KyrrexSandbox, way: str, answer: bytes) -> None:
    """It takes the WebSocket, and what follows is no frame."""
    ex.version_refusal = way
    with opened(ex, EIO="3") as client:
        came = b""
        while True:
            piece = client.sock.recv(4096)
            if not piece:
                break
            came += piece
    assert came[:17] == (b"HTTP/1.1 400 Bad " if answer else b"")
    assert came.endswith(answer)
    assert [text.partition(": ")[2] for text in ex.complaints] == ["handshake: Unsupported protocol version"]


def test_another_version_is_refused_as_python_engineio_does_it(ex: KyrrexSandbox) -> None:
    ex.version_refusal = "http"
    with pytest.raises(websocket.WebSocketBadStatusException, match="400") as refused, opened(ex, EIO="3"):
        pass
    assert refused.value.resp_body == b"Unsupported protocol version"


def test_a_client_of_today_does_not_understand_engine_3() -> None:
    with KyrrexSandbox(engine=3) as ex, opened(ex) as client:
        assert "maxPayload" not in client.recv()
        client.send("40")  # which a client of today sends, and one of then did not
        ex.wait_until(lambda: len(ex.complaints) == 1)


# The surroundings.


def test_over_tls_and_through_a_faulty_wire() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with KyrrexSandbox(ssl_context=context) as ex:
        client: Any = websocket.create_connection(address(ex), timeout=WAIT, sslopt={"context": trusting})
        client.recv()
        client.send("40")
        assert client.recv()[:2] == "40"
        ex.wait_for_subscriber()
        ex.account("usdt")
        assert event(client)[0] == "account"
        client.shutdown()
    with KyrrexSandbox() as ex, FaultProxy("127.0.0.1", ex.port) as proxy:
        with opened(ex, proxy.url(address(ex))) as client:
            client.recv()
            client.send("40")
            client.recv()
            ex.wait_for_subscriber()
            proxy.cut()
            assert closing(client) is None
        ex.wait_until(lambda: not ex.sessions)


def test_many_come_and_go(ex: KyrrexSandbox) -> None:
    """No thread and no entry of python-socketio's books is left of a connection that has ended."""

    def come_and_go() -> None:
        for _ in range(5):
            with connected(ex) as client:
                ex.account("usdt")
                assert event(client)[0] == "account"

    crowd = [threading.Thread(target=come_and_go) for _ in range(4)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(4 * WAIT)
    ex.wait_until(lambda: not ex.sessions)
    ex.close()
    assert [each.name for each in threading.enumerate() if each.name.startswith("sandbox")] == []
    ex.start()
    with connected(ex):
        assert ex.opened == 21


def test_a_port_is_kept_and_arguments_are_checked() -> None:
    ex = KyrrexSandbox(path="/other/path/")
    with ex:
        assert ex.url.endswith("/other/path/")
        port = ex.port
    with ex:
        assert ex.port == port
        with connected(ex):
            assert ex.opened == 1
    for wrong in (
        {"envelope": "both"},
        {"engine": 2},
        {"refusal": "tcp"},
        {"rest_canonical": ""},
        {"uuid_field": "id"},
    ):
        with pytest.raises(ValueError, match="none of"):
            KyrrexSandbox(**wrong)
