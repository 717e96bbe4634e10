"""The Kyrrex client against its simulated exchange, over real sockets: the user's id, the stream, and everything that breaks."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple
from urllib.parse import quote

import pytest

import xchws
from tests.client.hearing import Everything, shown
from xchws import clock
from xchws.exchanges.kyrrex import models
from xchws.sandbox import FaultProxy, KyrrexSandbox

Make = Callable[..., xchws.Kyrrex]

QUICK = xchws.Backoff(initial=0.01, maximum=0.05)
TRIES = 5  # that a refused key, or a wrong version, is given
SETTLE = 0.02  # seconds, where the exchange is trusted
HELD = 5.0  # seconds within which a connect that is taken back is taken back

PRINTED = (Path(__file__).resolve().parents[1] / "exchanges/samples/kyrrex/account.json").read_text("utf-8")
"""The one object that the vendor's page prints."""


@pytest.fixture
def kyrrex() -> Iterator[KyrrexSandbox]:
    with KyrrexSandbox(seed=1) as exchange:
        yield exchange


@pytest.fixture
def make(clients: List[xchws.Client]) -> Make:
    """Makes a client of a simulated exchange, by default with the exchange's own key."""

    def make(exchange: KyrrexSandbox, key: Any = None, secret: Any = None, **options: Any) -> xchws.Kyrrex:
        arguments: Any = {
            "url": exchange.url, "rest_url": exchange.rest_url, "backoff": QUICK, "settle": SETTLE, **options,
        }  # fmt: skip
        client = xchws.Kyrrex(key or exchange.key, secret or exchange.secret, **arguments)
        clients.append(client)
        return client

    return make


def started(exchange: KyrrexSandbox, client: xchws.Client) -> xchws.Client:
    """READY on both sides: what is published from now on is for this client."""
    client.start(10)
    exchange.wait_for_subscriber()
    return client


def stands(exchange: KyrrexSandbox, client: xchws.Client, connections: int = 1) -> None:
    """The connection (the only one, unless a number is given) serves."""
    found = client.expect(models.Account, asset="proof")
    exchange.wait_for_subscriber()
    exchange.account("proof", balance="1")
    assert found.result(5).free == 1
    assert exchange.opened == connections


# ------------------------------------------------------------------------------------------------------ who the user is


def test_a_given_id_is_not_asked_for(kyrrex: KyrrexSandbox, make: Make) -> None:
    stands(kyrrex, started(kyrrex, make(kyrrex, user_uuid=kyrrex.user_uuid, rest_url="http://127.0.0.1:1")))
    assert kyrrex.rest_requests == [] and kyrrex.complaints == []


@pytest.mark.parametrize("uuid_field", ["uuid", "uid"])
@pytest.mark.parametrize(
    ("rest_canonical", "refused"),
    [("verb|path|query", 0), ("verb|path|query|access_key", 1), ("both", 0)],
)
def test_the_id_is_asked_for_once(make: Make, rest_canonical: str, refused: int, uuid_field: str) -> None:
    with KyrrexSandbox(rest_canonical=rest_canonical, uuid_field=uuid_field) as exchange:
        client = started(exchange, make(exchange))
        back = client.expect(xchws.Connected)
        exchange.drop()
        back.result(5)
        stands(exchange, client, 2)
        assert len(exchange.rest_requests) == 1 + refused, "the second connection knows it"
        assert exchange.complaints == ["REST: a wrong APISign"] * refused


def test_a_key_that_rest_refuses_ends_it(kyrrex: KyrrexSandbox, make: Make) -> None:
    with pytest.raises(xchws.AuthenticationFailed, match="Signature is incorrect"):
        make(kyrrex, secret="wrong").start(10)
    assert len(kyrrex.rest_requests) == 2, "both spellings"
    assert kyrrex.handshakes == []


@pytest.mark.parametrize("status", [302, 404, 500, 503])
def test_an_endpoint_that_fails_is_asked_again(kyrrex: KyrrexSandbox, make: Make, status: int) -> None:
    client = make(kyrrex)
    down = client.expect(xchws.Disconnected)
    kyrrex.refuse_rest(status, "<html>maintenance</html>", {"Location": "http://127.0.0.1:1/"}, times=1)
    started(kyrrex, client)
    assert isinstance(down.result(1).error, xchws.OpenFailed)
    assert kyrrex.complaints == []


def test_rest_that_says_when(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = make(kyrrex)
    down = client.expect(xchws.Disconnected)
    kyrrex.refuse_rest(429, "slow down", {"Retry-After": "777"})
    client.start()
    assert isinstance(down.result(5).error, xchws.RateLimited)
    assert (down.result(0).retry_in or 0) >= 777
    assert client.status().state is xchws.State.WAITING


def test_keys_with_signs_that_need_quoting(kyrrex: KyrrexSandbox, make: Make) -> None:
    kyrrex.add_account("a+b/c=d&e f%41ü", "s+/=&ü", "id|+/=")
    client = make(kyrrex, "a+b/c=d&e f%41ü", "s+/=&ü", user_uuid="id|+/=")
    client.start(10)
    kyrrex.wait_for_subscriber(key="a+b/c=d&e f%41ü")
    assert kyrrex.complaints == []


# ---------------------------------------------------------------------------------------------------------- the objects


def test_the_account_as_the_vendor_prints_it(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = make(kyrrex)
    balance = client.expect(xchws.Balance)
    said: List[Any] = []
    client.on_message(said.append)
    started(kyrrex, client)
    kyrrex.send_raw(f'42["account",{PRINTED}]')
    account = balance.result(5)
    assert isinstance(account, models.Account)
    assert [str(part) for part in (account.free, account.locked, account.total, account.bonus)] == [
        "82.9858332031", "14.12", "97.1058332031", "10.0",
    ]  # fmt: skip
    assert [str(part) for part in (account.aml_locked, account.launchpad, account.savings, account.stacking)] == [
        "0.0"
    ] * 4
    assert (account.asset, account.name, account.coin_type, account.action) == ("usdt", "usdt", "crypto", "update")
    assert account.tag is None and account.time is None and account.exchange == "kyrrex"
    assert account.raw == json.loads(PRINTED)["data"]["object"]
    client.stop()
    assert said == [["account", json.loads(PRINTED)]]
    assert kyrrex.complaints == []


@pytest.mark.parametrize("ask_acks", [False, True])
@pytest.mark.parametrize("envelope", ["data", "plain"])
def test_all_seven_objects_with_exact_numbers(make: Make, envelope: str, ask_acks: bool) -> None:
    with KyrrexSandbox(seed=1, envelope=envelope) as exchange:
        exchange.ask_acks = ask_acks
        client = started(exchange, make(exchange))
        stream = client.events(xchws.Data, timeout=5)
        order = exchange.place("btcusdt", "buy", "64000.10", "0.050")
        exchange.fill(order, "0.012345678901234567")
        deposit = exchange.deposit("trx", "25.50", fee="0.1", dchain_id="trc20usdt")
        exchange.deposit_address("usdt", "trc20usdt", tag="memo 7")
        exchange.customer(kyc_status="verified", phone=35621)
        withdrawal = exchange.withdrawal("eth", "0.5", fee="0.001")
        events: List[Any] = [next(stream) for _ in exchange.published]
        exchange.wait_until(lambda: exchange.acknowledged == (len(events) if ask_acks else 0))
        assert exchange.complaints == []
    # `published` keeps the objects as they were made; on the wire they are JSON with all amounts in strings.
    assert [event.raw for event in events] == [entry["object"] for entry in exchange.published]
    assert [event.action for event in events] == [entry["action"] for entry in exchange.published]
    new, locked, fill, partly, paid, got, coming, address, customer, leaving, held = events
    assert isinstance(new, models.Order) and isinstance(partly, models.Order) and isinstance(fill, models.Fill)
    assert (new.id, new.symbol, new.side, new.type, new.status) == (order.id, "btcusdt", "buy", "limit", "NEW")
    assert (str(new.price), str(new.quantity), str(new.filled)) == ("64000.1", "0.05", "0.0")
    assert new.average_price is None
    assert (partly.status, partly.exchange_status, partly.final) == ("PARTIALLY_FILLED", "wait", False)
    assert (str(partly.filled), str(partly.remaining)) == ("0.012345678901234567", "0.037654321098765433")
    assert (partly.average_price, partly.trades_count) == (Decimal("64000.1"), 1)
    assert new.time == datetime.fromtimestamp(order.created // 1000, timezone.utc)
    assert (fill.order_id, fill.side, fill.quantity, fill.price) == (order.id, "buy", partly.filled, new.price)
    assert (str(fill.fee), fill.fee_asset) == ("0.000012345678901234567", "btc")
    assert (str(fill.funds), fill.funds_asset) == ("790.1246842469024114567", "usdt")
    assert (locked.asset, str(locked.locked), str(locked.free)) == ("usdt", "3200.005", "96799.995")
    assert (paid.asset, got.asset, str(got.total)) == ("usdt", "btc", "5.012333333222333332433")
    assert (coming.direction, coming.id, coming.status) == ("deposit", deposit.uuid, "created")
    assert (str(coming.amount), str(coming.fee), coming.asset, coming.dchain) == ("25.5", "0.1", "trx", "trc20usdt")
    assert coming.transaction_link.endswith(coming.transaction_id) and coming.address == deposit.address
    assert isinstance(address, models.DepositAddress)
    assert (address.asset, address.dchain, address.tag) == ("usdt", "trc20usdt", "memo 7")
    assert isinstance(customer, models.Customer)
    assert (customer.id, customer.status, customer.phone) == (exchange.user_uuid, "verified", "35621")
    assert "demo@example.com" not in repr(customer) and customer.email == "demo@example.com"
    assert (leaving.direction, leaving.id, leaving.status) == ("withdrawal", withdrawal.uuid, "initiated")
    assert (leaving.transaction_id, held.asset, str(held.locked)) == (None, "eth", "0.501")
    assert all(event.exchange == "kyrrex" for event in events)


def test_an_order_to_its_end(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = started(kyrrex, make(kyrrex))
    orders, transfers = client.events(xchws.Order, timeout=5), client.events(xchws.Transfer, timeout=5)
    whole, half = kyrrex.place("ethusdt", "sell", "3100", "2"), kyrrex.place("trxusdt", "buy", "0.25", "40")
    kyrrex.fill(whole)
    kyrrex.fill(half, "10")
    kyrrex.cancel(half)
    told = [(order.id, str(order.status), order.final) for order in (next(orders) for _ in range(5))]
    assert told == [
        (whole.id, "NEW", False),
        (half.id, "NEW", False),
        (whole.id, "FILLED", True),
        (half.id, "PARTIALLY_FILLED", False),
        (half.id, "CANCELED", True),
    ]
    kyrrex.deposit("btc", "1", "done")
    kyrrex.advance(kyrrex.withdrawal("btc", "1"), "rejected")
    assert [next(transfers).status for _ in range(6)] == [
        "created", "aml_processing", "processing", "done", "initiated", "rejected",
    ]  # fmt: skip
    assert kyrrex.complaints == []


def test_a_binary_event(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = make(kyrrex)
    balance, other = client.expect(xchws.Balance), client.expect(xchws.Other)
    started(kyrrex, client)
    kyrrex.send_event("account", PRINTED.encode(), ack=True)
    kyrrex.send_event("fireworks", b"\x00\xff", ack=True)
    assert str(balance.result(5).free) == "82.9858332031"
    assert other.result(5).kind == "fireworks"
    kyrrex.wait_until(lambda: kyrrex.acknowledged == 2)
    assert kyrrex.complaints == []


def test_an_event_that_nobody_knows(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = make(kyrrex)
    other = client.expect(xchws.Other)
    started(kyrrex, client)
    kyrrex.send_event("margin_call", {"level": "1.10"}, ack=True)
    assert (other.result(5).kind, other.result(0).raw) == ("margin_call", ["margin_call", {"level": "1.10"}])
    kyrrex.wait_until(lambda: kyrrex.acknowledged == 1)
    stands(kyrrex, client)
    assert kyrrex.complaints == []


@pytest.mark.parametrize(
    "packet",
    [
        *("", "4", "5", "7", "9", "x", "47", "49", "\u00b2", "bAAAA"),
        *("430[]", "437[]", "40", '40{"sid":"again"}', "0{}", '42/other,["account",{}]', "41/other,"),
        *("42", "42[", "42[]", "42[5]", "42{}", '42["account"]', '42["account",5]', '42["account",{"data":{}}]'),
        *('42["account",{"object":{"currency":"x","balance":"NaN"}}]', '42["order",{"object":{"state":"wait"}}]'),
        *("42" + "[" * 5000, '451-["account",{"_placeholder":true,"num":5}]', "4599999999999-[]"),
        *(b"", b"\x00\xff", b"{}"),
    ],
)
def test_packets_that_do_not_belong_are_told_and_the_connection_lives(
    kyrrex: KyrrexSandbox, make: Make, packet: Any
) -> None:
    client = started(kyrrex, make(kyrrex))
    failure = client.expect(xchws.Failure)
    kyrrex.send_raw(packet)
    if packet == '451-["account",{"_placeholder":true,"num":5}]':
        kyrrex.send_raw(b"{}")
    stands(kyrrex, client)
    error = failure.result(5).error
    assert isinstance(error, xchws.ProtocolError)
    assert len(str(error)) < 1000
    assert kyrrex.complaints == []


def test_packets_that_say_nothing_are_passed_over(kyrrex: KyrrexSandbox, make: Make) -> None:
    errors: List[Any] = []
    client = started(kyrrex, make(kyrrex, on_error=errors.append))
    for packet in ("6", "3", "3probe", "2", "2probe"):
        kyrrex.send_raw(packet)
    stands(kyrrex, client)
    said = ["40", "3", "3"]
    kyrrex.wait_until(lambda: [item.text for item in kyrrex.received if item.kind == "message"] == said)
    assert errors == [] and kyrrex.complaints == []


# --------------------------------------------------------------------------------------------------------- refused keys


@pytest.mark.parametrize("refusal", ["http", "connect_error", "disconnect"])
def test_a_refused_key_ends_it(make: Make, refusal: str) -> None:
    """The three shapes of which nobody knows which one is Kyrrex's."""
    with KyrrexSandbox(refusal=refusal) as exchange:
        connected: List[Any] = []
        client = make(exchange, secret="wrong", user_uuid=exchange.user_uuid, settle=HELD, on_connect=connected.append)
        over = client.expect(xchws.Stopped)
        with pytest.raises(xchws.AuthenticationFailed, match="user_uuid") as refused:
            client.start(20)
        assert over.result(5).error is refused.value
        assert len(exchange.handshakes) == TRIES
        assert connected == [], "it was never READY"
        assert exchange.complaints == [f"connection {number}: a wrong api_sign" for number in range(1, TRIES + 1)]


@pytest.mark.parametrize("refusal", ["http", "connect_error", "disconnect"])
def test_a_key_that_is_refused_for_a_moment(kyrrex: KyrrexSandbox, make: Make, refusal: str) -> None:
    client = make(kyrrex)
    downs = client.events(xchws.Disconnected, timeout=5)
    kyrrex.reject_next(refusal, times=TRIES - 1, message="not now")
    started(kyrrex, client)
    stands(kyrrex, client, kyrrex.opened)
    errors = [next(downs).error for _ in range(TRIES - 1)]
    assert all(isinstance(error, xchws.ConnectionFailed) for error in errors)
    assert all("not now" in str(error) for error in errors) or refusal == "disconnect"
    assert len(kyrrex.handshakes) == TRIES
    assert kyrrex.complaints == []


def test_another_user_hears_nothing(kyrrex: KyrrexSandbox, make: Make) -> None:
    kyrrex.add_account("another-key", "another-secret", "another1")
    ours: List[Any] = []
    client, other = make(kyrrex, on_balance=ours.append), make(kyrrex, "another-key", "another-secret")
    started(kyrrex, client)
    other.start(10)
    kyrrex.wait_for_subscriber(key="another-key")
    theirs = other.expect(xchws.Balance)
    kyrrex.account("btc", key="another-key")
    theirs.result(5)
    stands(kyrrex, client, 2)
    client.stop()
    assert [event.asset for event in ours] == ["proof"]
    assert kyrrex.complaints == []


# ------------------------------------------------------------------------------------------------ versions of Engine.IO


def test_engine_io_3_is_recognised_and_named(make: Make) -> None:
    with KyrrexSandbox(engine=3) as exchange:
        client = make(exchange)
        with pytest.raises(xchws.ConfigurationError, match=r'Engine\.IO 3 .*engine="3"') as wrong:
            client.start(20)
        assert wrong.value.argument == "engine"
        assert exchange.opened == TRIES
        # Before it knows, it asks for the namespace as version 4 does.
        assert all("not a packet of a client: '40'" in said for said in exchange.complaints)


@pytest.mark.parametrize("way", ["http", "stream", "cut"])
def test_engine_io_4_asked_for_3_is_named(kyrrex: KyrrexSandbox, make: Make, way: str) -> None:
    kyrrex.version_refusal = way
    client = make(kyrrex, engine="3")
    down = client.expect(xchws.Disconnected)
    with pytest.raises(xchws.ConfigurationError, match='engine="4"') as wrong:
        client.start(20)
    assert wrong.value.argument == "engine"
    assert len(kyrrex.handshakes) == TRIES
    assert {"http": "HTTP 400", "stream": "HTTP answer in place of a frame", "cut": "1006"}[way] in str(
        down.result(0).error
    )


@pytest.mark.parametrize("way", ["stream", "cut"])
def test_a_server_that_has_spoken_engine_io_3_before_is_not_taken_for_one_of_4(make: Make, way: str) -> None:
    """Whatever ends its connections early, it will come back."""
    with KyrrexSandbox(engine=3) as exchange:
        client = started(exchange, make(exchange, engine="3"))
        exchange.engine, exchange.version_refusal = 4, way
        exchange.drop()
        exchange.wait_until(lambda: len(exchange.handshakes) > 2 * TRIES)
        exchange.engine = 3
        client.wait_ready(10)
        assert client.status().state is xchws.State.READY


@pytest.mark.parametrize("ask_acks", [False, True])
def test_engine_io_3_is_spoken(make: Make, ask_acks: bool) -> None:
    with KyrrexSandbox(engine=3, ping_interval=0.1, ping_timeout=HELD) as exchange:
        exchange.ask_acks = ask_acks
        errors: List[Any] = []
        client = make(exchange, engine="3", on_error=errors.append)
        binary, fill = client.expect(xchws.Balance, asset="usdt"), client.expect(xchws.Fill)
        started(exchange, client)
        exchange.wait_until(lambda: sum(item.text == "2" for item in exchange.received) >= 3)
        exchange.fill(exchange.place("btceur", "sell", "59000.5", "0.1"))
        exchange.send_event("account", PRINTED.encode(), ack=True)
        assert fill.result(5).price == Decimal("59000.5")
        assert str(binary.result(5).total) == "97.1058332031"
        stands(exchange, client)
        exchange.wait_until(lambda: exchange.acknowledged == 1 + (exchange.published_count if ask_acks else 0))
        assert errors == [] and exchange.complaints == []


@pytest.mark.parametrize("refusal", ["http", "connect_error", "disconnect"])
def test_a_refused_key_by_engine_io_3(make: Make, refusal: str) -> None:
    with KyrrexSandbox(engine=3, refusal=refusal) as exchange:
        with pytest.raises(xchws.AuthenticationFailed, match="user_uuid"):
            make(exchange, secret="wrong", user_uuid=exchange.user_uuid, settle=HELD, engine="3").start(20)
        assert len(exchange.handshakes) == TRIES


# ----------------------------------------------------------------------------------------------------------------- ends


ENDS: Dict[str, Tuple[Callable[[KyrrexSandbox], object], str]] = {
    "41": (lambda exchange: exchange.disconnect(), "Socket.IO disconnect"),
    "1": (lambda exchange: exchange.close_engine(), "Engine.IO close"),
    "1 alone": (lambda exchange: exchange.send_raw("1"), "Engine.IO close"),
    "close frame": (lambda exchange: exchange.close_connections(1001, "going away"), "1001 going away"),
    "close 1008": (lambda exchange: exchange.close_connections(1008, "policy"), "1008 policy"),
    "end of TCP": (lambda exchange: exchange.drop(), "1006"),
    "reset of TCP": (lambda exchange: exchange.drop(reset=True), "1006"),
    "44": (lambda exchange: exchange.send_raw('44{"message":"go"}'), "refused to connect: go"),
    "no UTF-8": (lambda exchange: exchange.send_frame(1, b"\xff\xfe"), "not UTF-8"),
    "masked": (lambda exchange: exchange.send_frame(1, b"2", mask=True), "masked frame"),
    "reserved opcode": (lambda exchange: exchange.send_frame(3, b"2"), "reserved opcode"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_live_connection_that_ends_is_made_anew(kyrrex: KyrrexSandbox, make: Make, end: str) -> None:
    act, says = ENDS[end]
    client = started(kyrrex, make(kyrrex))
    stands(kyrrex, client)
    down, back, gap = client.expect(xchws.Disconnected), client.expect(xchws.Connected), client.expect(xchws.Gap)
    act(kyrrex)
    error = down.result(5).error
    assert isinstance(error, xchws.ConnectionFailed) and says in str(error)
    assert back.result(5).gap is not None
    assert gap.result(5).channels == models.OBJECTS and not gap.result(0).recovered
    stands(kyrrex, client, 2)
    assert kyrrex.complaints == []


@pytest.mark.parametrize("end", ["41", "1"])
def test_a_connection_that_had_objects_may_end_as_often_as_it_likes(
    kyrrex: KyrrexSandbox, make: Make, end: str
) -> None:
    client = started(kyrrex, make(kyrrex))
    for connection in range(1, TRIES + 3):
        stands(kyrrex, client, connection)
        back = client.expect(xchws.Connected)
        ENDS[end][0](kyrrex)
        back.result(5)
    assert kyrrex.complaints == []


@pytest.mark.parametrize(("ping_interval", "says"), [(None, "nothing was heard"), (0.05, "no Engine.IO packet")])
def test_silence_is_noticed(make: Make, ping_interval: Any, says: str) -> None:
    """Pongs of WebSocket prove the line and not the session."""
    with KyrrexSandbox(ping_interval=0.1, ping_timeout=0.4) as exchange:
        client = make(exchange, ping_interval=ping_interval)
        started(exchange, client)
        exchange.wait_until(lambda: sum(item.text == "3" for item in exchange.received) >= 2)
        down, back = client.expect(xchws.Disconnected), client.expect(xchws.Connected)
        exchange.hold_pings()
        assert isinstance(down.result(10).error, xchws.Silent)
        assert says in str(down.result(0).error)
        exchange.release_pings()
        back.result(10)
        assert exchange.complaints == []


def test_a_dead_line_is_noticed(kyrrex: KyrrexSandbox, make: Make) -> None:
    port = int(kyrrex.url.split(":")[2].split("/")[0])
    with FaultProxy("127.0.0.1", port) as proxy:
        client = started(kyrrex, make(kyrrex, url=proxy.url(kyrrex.url), ping_interval=0.1, ping_timeout=0.2))
        down, back = client.expect(xchws.Disconnected), client.expect(xchws.Connected)
        proxy.freeze()
        assert isinstance(down.result(5).error, xchws.Silent)
        proxy.thaw()
        proxy.cut()
        back.result(5)
        proxy.byte_by_byte()
        kyrrex.wait_for_subscriber()
        stands(kyrrex, client, kyrrex.opened)


def test_a_long_object(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = started(kyrrex, make(kyrrex))
    balance = client.expect(xchws.Balance)
    kyrrex.account("btc", "1.5", note="é" * 1_500_000)
    assert balance.result(10).free == Decimal("1.5")
    assert len(balance.result(0).raw["note"]) == 1_500_000
    assert kyrrex.opened == 1 and kyrrex.complaints == []


def test_a_message_that_is_too_long(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = started(kyrrex, make(kyrrex))
    stands(kyrrex, client)
    session = kyrrex.wait_for_subscriber()
    down, back = client.expect(xchws.Disconnected), client.expect(xchws.Connected)
    kyrrex.send_frame(1, b"4" * (16 * 1024 * 1024 + 1), session=session)
    error = down.result(10).error
    assert isinstance(error, xchws.ConnectionLost) and error.code == 1009
    back.result(10)
    stands(kyrrex, client, 2)
    assert kyrrex.complaints == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, '0{"sid":"Qx","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'),
        (200, '96:0{"sid":"Qx","upgrades":[],"pingInterval":25000,"pingTimeout":5000}2:40'),
        (400, '{"code":0,"message":"Transport unknown"}'),
        (400, '{"code":1,"message":"Session ID unknown"}'),
        (400, '{"code":3,"message":"Bad request"}'),
        (302, ""),
        (429, "slow down"),
        (502, "<html>bad gateway</html>"),
    ],
)
def test_answers_of_polling_and_of_others_pass(kyrrex: KyrrexSandbox, make: Make, status: int, body: str) -> None:
    client = make(kyrrex)
    downs = client.events(xchws.Disconnected, timeout=5)
    kyrrex.refuse(status, body, {"Location": "ws://127.0.0.1:1/"} if status == 302 else {}, times=2)
    started(kyrrex, client)
    for error in (next(downs).error, next(downs).error):
        assert isinstance(error, xchws.HandshakeRejected)
        assert (error.status, error.body) == (status, body)
    assert kyrrex.complaints == []


@pytest.mark.parametrize(
    "body",
    [
        '{"code":0,"message":"Transport unknown"}',
        '{"code":1,"message":"Session ID unknown"}',
        '{"code":2,"message":"Bad handshake method"}',
        '{"code":3,"message":"Bad request"}',
    ],
)
def test_a_server_that_takes_no_websocket_is_not_mistaken_for_one_that_refuses_the_key(
    kyrrex: KyrrexSandbox, make: Make, body: str
) -> None:
    kyrrex.refuse(400, body)
    with pytest.raises(xchws.ConfigurationError, match="WebSocket"):
        make(kyrrex).start(20)
    assert len(kyrrex.handshakes) == TRIES


def test_the_vendors_backoff_is_the_default() -> None:
    exchange = xchws.Kyrrex("key", "secret")._exchange
    assert exchange.backoff == xchws.Backoff(initial=5.0, maximum=10.0, factor=2.0, randomization=0.5)
    assert [exchange.backoff.ceiling(failures) for failures in (1, 2, 3, 100)] == [5.0, 10.0, 10.0, 10.0]
    assert exchange.backoff.delay(1, lambda: 0.0) == 2.5 and exchange.backoff.delay(9, lambda: 1.0) == 10.0


def test_what_the_client_sends(kyrrex: KyrrexSandbox, make: Make) -> None:
    client = started(kyrrex, make(kyrrex))
    stands(kyrrex, client)
    assert client.stop(5)
    kyrrex.wait_until(lambda: any(item.kind == "close" for item in kyrrex.received))
    said = [(item.kind, item.text) for item in kyrrex.received if item.kind != "rest"]
    assert said == [("handshake", ""), ("message", "40"), ("close", "")]
    (handshake,) = kyrrex.handshakes
    assert handshake.path == f"/zsu/ws/v1/?api_key={kyrrex.key}&api_sign={kyrrex.sign()}&EIO=4&transport=websocket"
    assert "origin" not in handshake.headers
    assert kyrrex.complaints == []


# ---------------------------------------------------------------------------------------------------------------- order


def test_two_thousand_events_once_and_in_order_over_a_cut(kyrrex: KyrrexSandbox, make: Make) -> None:
    begun = clock.utc_now()
    client = make(kyrrex)
    stream = client.events(xchws.Event, timeout=10)
    started(kyrrex, client)

    def publish(count: int) -> None:
        """Numbered orders, each with the account that it changes."""
        while kyrrex.published_count < count:
            kyrrex.place("trxusdt", "buy", "0.25", "1.5")

    publish(900)
    kyrrex.refuse(503, "down for a moment")
    down = client.expect(xchws.Disconnected)
    kyrrex.drop()
    down.result(5)
    cut = clock.utc_now()
    publish(1_100)  # to nobody
    kyrrex.accept()
    kyrrex.wait_for_subscriber(timeout=10)
    publish(2_000)
    told: List[Any] = []
    while len(told) < 1_801:
        event = next(stream)
        if isinstance(event, (xchws.Data, xchws.Gap)):
            told.append(event)
    gap = told.pop(900)
    objects = [entry["object"] for entry in kyrrex.published]
    assert [event.raw for event in told] == objects[:900] + objects[1_100:]
    assert isinstance(gap, xchws.Gap) and not gap.recovered and gap.channels == models.OBJECTS
    assert begun <= gap.since <= cut <= gap.until
    assert gap.last_time == told[898].time, "the last order's: accounts have no time"
    assert client.stop(5)
    assert [event for event in stream if isinstance(event, (xchws.Data, xchws.Gap))] == [], "nothing comes twice"
    assert kyrrex.complaints == []


def test_cuts_amid_the_market_lose_nothing_unsaid(kyrrex: KyrrexSandbox, make: Make) -> None:
    """The market does not wait for the cut: whatever is missing is missing at a Gap."""
    client = make(kyrrex)
    stream = client.events(xchws.Event, timeout=10)
    started(kyrrex, client)
    kyrrex.run(1_500)
    for _ in range(4):
        watch = client.events(xchws.Data, timeout=10)
        for _ in range(150):
            next(watch)
        watch.close()
        back = client.expect(xchws.Connected)
        kyrrex.drop()
        back.result(5)
        kyrrex.wait_for_subscriber()
    kyrrex.pause()
    stands(kyrrex, client, 5)
    client.stop()
    segments: List[List[Any]] = [[]]
    for event in stream:
        if isinstance(event, xchws.Gap):
            segments.append([])
        elif isinstance(event, xchws.Data):
            segments[-1].append(event.raw)
    published = [entry["object"] for entry in kyrrex.published]
    place = 0
    for segment in segments:
        while published[place : place + len(segment)] != segment:
            place += 1
            assert place + len(segment) <= len(published), (
                "what comes between two Gaps is what was said, and nothing is missing"
            )
        place += len(segment)
    assert len(segments) == 5 and all(segments) and place == len(published)
    assert kyrrex.complaints == []


# -------------------------------------------------------------------------------------------------------------- secrets


def test_no_secret_in_a_whole_life(
    kyrrex: KyrrexSandbox, make: Make, log: Everything, capfd: pytest.CaptureFixture[str]
) -> None:
    key, secret = "KEY-with+signs/of=its own", "SECRET-with+signs"
    account = kyrrex.add_account(key, secret, "uuid4life")
    sign = kyrrex.sign(key)
    texts: List[str] = []
    client = make(kyrrex, key, secret)
    client.on(xchws.Event, lambda event: texts.extend([repr(event), str(event)]))
    client.on_error(lambda error: texts.extend(shown(error)))
    client.on_message(lambda message: texts.append(repr(message)))
    client.start(10)
    query = kyrrex.handshakes[0].path.split("?")[1]
    rest_sign = kyrrex.rest_requests[0].headers["apisign"]
    secrets = {key, quote(key, safe=""), secret, sign, rest_sign, query}
    echo = " ".join(["echo", *secrets])
    kyrrex.wait_for_subscriber(key=key)
    fill = client.expect(xchws.Fill)
    kyrrex.fill(kyrrex.place("btcusdt", "buy", "64000", "0.1", key=key))
    texts.append(repr(fill.result(5).raw))
    for packet in (f"x {echo}", f"42[{json.dumps(echo)}", f'42["account",{json.dumps(echo)}]', f"4{echo}"):
        failed = client.expect(xchws.Failure)
        kyrrex.send_raw(packet)
        texts += shown(failed.result(5).error)
    troubles: List[Callable[[], None]] = [
        lambda: kyrrex.reject_next("http", message=echo),
        lambda: kyrrex.reject_next("connect_error", message=echo),
        lambda: kyrrex.refuse(500, f"<html>{echo}</html>", times=1),
        lambda: kyrrex.refuse(302, echo, {"Location": f"https://elsewhere/?{query}"}, times=1),
    ]
    for trouble in troubles:
        trouble()
        downs = client.events(xchws.Disconnected, timeout=5)
        kyrrex.drop()
        texts += [text for _ in range(2) for text in shown(next(downs).error)]
        client.wait_ready(5)
    down = client.expect(xchws.Disconnected)
    kyrrex.close_connections(1008, f"bad {sign}")
    texts += shown(down.result(5).error)
    client.wait_ready(5)
    texts += [
        repr(client),
        repr(vars(client)),
        repr(client.status()),
        repr(client._exchange),
        repr(vars(client._session)),
    ]
    client.stop()
    out, error = capfd.readouterr()
    everything = "\n".join([*texts, *log.texts, out, error])
    for sign_of_life in ("Fill", "READY", "echo ***", "1008", "HTTP 500", "refused to connect"):
        assert sign_of_life in everything, f"there must be {sign_of_life} to look through"
    for one in secrets:
        assert one not in everything
    assert account.secret not in everything and kyrrex.complaints == []


@pytest.mark.parametrize("refusal", ["http", "connect_error", "disconnect"])
def test_a_refused_key_is_not_shown(make: Make, log: Everything, refusal: str) -> None:
    with KyrrexSandbox(refusal=refusal) as exchange:
        texts: List[str] = []
        client = make(
            exchange, "KEY-unknown", "SECRET-unknown", user_uuid="u", on_error=lambda e: texts.extend(shown(e))
        )
        with pytest.raises(xchws.AuthenticationFailed) as refused:
            client.start(20)
        client.stop()
        everything = "\n".join([*texts, *shown(refused.value), *log.texts, repr(client.status())])
        sign = exchange.handshakes[0].path.split("api_sign=")[1].split("&")[0]
        assert len(sign) == 64
        for secret in ("KEY-unknown", "SECRET-unknown", sign):
            assert secret not in everything


def test_a_key_that_rest_refuses_is_not_shown(kyrrex: KyrrexSandbox, make: Make, log: Everything) -> None:
    key, secret = "KEY-unknown", "SECRET-unknown"
    client = make(kyrrex, key, secret)
    kyrrex.refuse_rest(403, f'{{"error":{{"code":2008,"message":"who is {key} with {secret}?"}}}}')
    with pytest.raises(xchws.AuthenticationFailed, match=r"who is \*\*\* with \*\*\*\?") as refused:
        client.start(10)
    client.stop()
    everything = "\n".join([*shown(refused.value), *log.texts, repr(client.status())])
    signatures = [request.headers["apisign"] for request in kyrrex.rest_requests]
    assert len(signatures) == 2
    for one in (key, secret, *signatures):
        assert one not in everything


def test_nobody_answers_and_nothing_is_shown(kyrrex: KyrrexSandbox, make: Make, log: Everything) -> None:
    client = make(kyrrex, url="ws://127.0.0.1:1", user_uuid="u", backoff=xchws.Backoff(initial=60, maximum=60))
    down = client.expect(xchws.Disconnected)
    client.start()
    texts = shown(down.result(5).error)
    client.stop()
    everything = "\n".join([*texts, *log.texts])
    assert "no connection" in everything
    assert kyrrex.key not in everything and "api_sign" not in everything
