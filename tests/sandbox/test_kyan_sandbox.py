"""The simulated Kyan, driven by a foreign WebSocket client: does it behave as the vendor's pages say?

Samples of https://docs.kyan.blue/docs/ws-authentication and of the channel pages (read 2026-11) serve as references
for texts and fields.
"""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Dict, Iterator, List, Optional

import pytest
import websocket

from xchws.sandbox import KyanSandbox
from xchws.sandbox.kyan import MAGIC_KEYS
from xchws.sandbox.kyan_orders import LISTED

WAIT = 5.0
PERP = "ETH_USDC-PERPETUAL"
CALL = "ETH_USDC-26MAR27-4200-C"
ORDER_FIELDS = [
    "order_id",
    "instrument_name",
    "type",
    "direction",
    "price",
    "amount",
    "filled_amount",
    "order_state",
    "post_only",
    "mmp",
    "liquidation",
    "maker",
    "taker",
    "creation_timestamp",
]
# As the pages ws-trade, ws-account-state and ws-position show them.
TRADE_FIELDS = (
    "margin_account_id smart_account_address trade_id order_id size timestamp direction index_price instrument_name "
    "average_price limit_price liquidation iv taker_fee maker_fee systemic_risk_fee liquidation_fee realised_funding"
).split()
STATE_FIELDS = (
    "timestamp margin_account pair im mm matrix_risk delta_risk roll_risk unrealised_pnl equity portfolio_greeks liquidation"
).split()
OPTION_POSITION_FIELDS = (
    "id margin_account_id instrument_name size average_price entry_fee instrument_type mark_price mark_iv mark_interest "
    "position_greeks"
).split()
PATTERN_ERROR = (
    'invalid auth payload [{"instancePath":"/api_key","schemaPath":"#/properties/api_key/pattern","keyword":"pattern",'
    '"params":{"pattern":"^[a-zA-Z0-9_]+$"},"message":"must match pattern \\"^[a-zA-Z0-9_]+$\\""}]'
)


class Client:
    """websocket-client, and the few words that a test needs."""

    def __init__(self, url: str) -> None:
        self.socket: Any = websocket.create_connection(url, timeout=WAIT)

    def send(self, **command: Any) -> None:
        self.socket.send(json.dumps(command))

    def take(self) -> Dict[str, Any]:
        text = self.socket.recv()
        assert text, "the connection has ended"
        answer: Dict[str, Any] = json.loads(text, parse_float=Decimal)
        return answer

    def ask(self, **command: Any) -> Dict[str, Any]:
        self.send(**command)
        return self.take()

    def subscribe(self, channel: str, **query: Any) -> Dict[str, Any]:
        return self.ask(type="subscribe", id="s", subscriptions=[{"channel": channel, "query": query}])

    def close_code(self) -> Optional[int]:
        while True:
            try:
                opcode, data = self.socket.recv_data()
            except (OSError, websocket.WebSocketConnectionClosedException):
                return None
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")


@pytest.fixture
def ex() -> Iterator[KyanSandbox]:
    with KyanSandbox(seed=1) as exchange:
        yield exchange


@contextmanager
def opened(ex: KyanSandbox) -> Iterator[Client]:
    client = Client(ex.url)
    try:
        yield client
    finally:
        client.socket.shutdown()


@contextmanager
def authorized(ex: KyanSandbox) -> Iterator[Client]:
    with opened(ex) as client:
        assert client.ask(type="auth", api_key=ex.key)["success"] is True
        yield client


def error(answer: Dict[str, Any]) -> str:
    assert (answer["kind"], answer["success"]) == ("response", False)
    text: str = answer["error"]
    return text


# Authentication.


def test_the_session_of_the_vendors_page(ex: KyanSandbox) -> None:
    with opened(ex) as client:
        answer = client.ask(type="auth", api_key=ex.key, id="a1")
        assert list(answer) == ["kind", "type", "id", "timestamp_ms", "message_id", "success"]
        assert (answer["kind"], answer["type"], answer["id"], answer["success"]) == ("response", "auth", "a1", True)
        assert uuid.UUID(answer["message_id"]).version == 4
        assert len(str(answer["timestamp_ms"])) == 13
        names = client.ask(type="get_instruments", markets=["ETH"], id=7)
        assert names["id"] == 7
        assert names["data"]["instruments"] == [name for name in LISTED if name.startswith("ETH")]
        assert client.subscribe("index_price", pair="ETH_USDC")["success"] is True
        ex.index_price("ETH_USDC", "3120.75")
        event = client.take()
        assert list(event) == ["kind", "type", "timestamp_ms", "message_id", "seq_id", "data", "subscription"]
        assert (event["kind"], event["type"], event["seq_id"]) == ("event", "index_price", 1)
        assert event["data"]["value"] == Decimal("3120.75")
        assert event["subscription"] == {"channel": "index_price", "query": {"pair": "ETH_USDC"}}
        assert client.ask(type="logout", id="l")["success"] is True
        assert error(client.subscribe("trade")) == "Not Authorized"
        assert client.ask(type="auth", api_key=ex.key)["success"] is True
        ex.index_price("ETH_USDC", 3000)
        assert client.ask(type="get_instruments")["type"] == "get_instruments"
    assert len(ex.complaints) == 1


def test_nothing_before_auth(ex: KyanSandbox) -> None:
    with opened(ex) as client:
        for command in ("subscribe", "unsubscribe", "get_instruments", "enable_session_recovery", "logout", "dance"):
            answer = client.ask(type=command, id=command)
            assert (answer["type"], answer["id"], error(answer)) == ("error", command, "Not Authorized")


def test_the_key_is_refused(ex: KyanSandbox) -> None:
    with opened(ex) as client:
        answer = client.ask(type="auth", api_key="no-key!", id="x")
        assert (answer["type"], answer["id"], error(answer)) == ("error", "x", PATTERN_ERROR)
        assert "'api_key'" in error(client.ask(type="auth"))
        assert "must be string" in error(client.ask(type="auth", api_key=5))
        for key, text in MAGIC_KEYS.items():
            answer = client.ask(type="auth", api_key=key)
            assert (answer["type"], error(answer)) == ("auth", text)
        assert error(client.ask(type="auth", api_key="unheard_of")) == "NOT_FOUND"
        ex.reject_next("auth", "FORBIDDEN")
        answer = client.ask(type="auth", api_key=ex.key)
        assert (answer["type"], error(answer)) == ("auth", "FORBIDDEN")
        assert client.ask(type="auth", api_key=ex.key)["success"] is True
        answer = client.ask(type="auth", api_key=ex.key)
        assert (answer["type"], error(answer)) == ("auth", "Session already authorized")


# Subscribing.

ACCOUNT = "0x" + "aB" * 20
GOOD: List[Any] = [
    ("index_price", {"pair": "ETH_USDC"}),
    ("instruments", {"market": "ARB"}),
    ("instruments", {}),
    ("funding", {"instrument_name": PERP}),
    ("interest_rate", {"pair": "BTC_USDC", "expiry": "27MAR26"}),
    ("iv", {"pair": "BTC_USDC", "maturity": "27MAR26"}),
    ("orderbook_perps", {}),
    ("orderbook_perps", {"pair": "BTC_USDC", "direction": "buy", "options": {"skip_snapshot": True}}),
    ("orderbook_options", {"instrument_name": CALL}),
    ("orderbook_options", {"pair": "ETH_USDC", "maturity": "27MAR26", "strike": 4200, "type": "C"}),
    ("orderbook_maker", {"maker": ACCOUNT, "pair": "ETH_USDC"}),
    ("account_state", {"account": ACCOUNT}),
    ("position", {"account": ACCOUNT, "market": "ETH"}),
    ("trade", {}),
    ("trade", {"account": ACCOUNT, "pair": "ETH_USDC", "direction": "sell"}),
    ("transfer", {"account": ACCOUNT, "symbol": "USDC", "type": "deposit"}),
    ("mmp", {}),
    ("bankruptcy", {"market": "ETH_USDC"}),
    ("account_liquidation", {"account": ACCOUNT}),
    ("rfq", {"account": ACCOUNT}),
]
BAD: List[Any] = [
    ("index_price", {}),
    ("index_price", {"pair": "ETH"}),
    ("index_price", ["ETH_USDC"]),
    ("instruments", {"market": "ETH_USDC"}),
    ("funding", {"instrument_name": CALL}),
    ("interest_rate", {"pair": "BTC_USDC", "expiry": "2026-03-27"}),
    ("iv", {"maturity": "27MAR26"}),
    ("orderbook_perps", {"skip_snapshot": True}),
    ("orderbook_perps", {"options": {"skip_snapshot": "yes"}}),
    ("orderbook_perps", {"direction": "long"}),
    ("orderbook_options", {"instrument_name": PERP}),
    ("orderbook_options", {"strike": "4200"}),
    ("orderbook_options", {"strike": True}),
    ("orderbook_maker", {"pair": "ETH_USDC"}),
    ("account_state", {"account": "0x12"}),
    ("position", {"market": "ETH"}),
    ("trade", {"account": "me"}),
    ("transfer", {"account": ACCOUNT, "type": "gift"}),
    ("mmp", {"account": ACCOUNT}),
    ("bankruptcy", {"market": "ETH"}),
]


@pytest.mark.parametrize(("channel", "query"), GOOD)
def test_good_queries(ex: KyanSandbox, channel: str, query: Any) -> None:
    with authorized(ex) as client:
        answer = client.subscribe(channel, **query)
        assert (answer["type"], answer["success"]) == ("subscribe", True)
    assert ex.complaints == []


@pytest.mark.parametrize(("channel", "query"), BAD)
def test_bad_queries(ex: KyanSandbox, channel: str, query: Any) -> None:
    with authorized(ex) as client:
        answer = client.ask(type="subscribe", subscriptions=[{"channel": channel, "query": query}])
        assert (answer["type"], error(answer)) == ("error", f"Invalid query for {channel} channel")
        assert ex.subscribers(channel) == []


def test_bad_subscriptions(ex: KyanSandbox) -> None:
    good = {"channel": "trade", "query": {}}
    with authorized(ex) as client:
        bad: List[Any] = [[], ["trade"], [{"channel": "weather"}], [{}], [good, {"channel": None}]]
        for entries in bad:
            text = error(client.ask(type="subscribe", subscriptions=entries))
            assert text == "Invalid subscription parameters"
        assert "must be array" in error(client.ask(type="subscribe", subscriptions=good))
        assert "'subscriptions'" in error(client.ask(type="subscribe", channel="trade", query={}))
        assert ex.subscribers("trade") == []
        ex.bad_entry_fails_all = False
        assert error(client.ask(type="subscribe", subscriptions=[{"channel": "weather"}, good]))
        assert ex.subscribers("trade") == ex.sessions
        for text in ("[1]", "no JSON"):
            client.socket.send(text)
            assert "must be object" in error(client.take())
        assert "invalid dance payload" in error(client.ask(type="dance"))
        assert "/markets/1" in error(client.ask(type="get_instruments", markets=["ETH", "DOGE"]))
        assert "must be string,number" in error(client.ask(type="logout", id=[1]))


def test_unsubscribe_ends_it(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        client.subscribe("trade", account=ex.account().owner)
        client.subscribe("bankruptcy")
        client.subscribe("trade", account=ex.account().owner.upper().replace("X", "x"))  # the same in another spelling
        assert len(ex.remarks) == 1
        entry = {"channel": "trade", "query": {"account": ex.account().owner}}
        assert client.ask(type="unsubscribe", subscriptions=[entry])["type"] == "unsubscribe"
        ex.fill(ex.place(PERP, "buy", 3000, 10))
        ex.bankruptcy("ETH_USDC")
        assert client.take()["type"] == "bankruptcy"
        assert client.ask(type="unsubscribe", subscriptions=[entry])["success"] is True
        assert len(ex.remarks) == 2


def test_layouts_of_get_instruments(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        for layout in ("object", "list", "top"):
            ex.instruments_layout = layout
            answer = client.ask(type="get_instruments", markets=["ARB"])
            names = {"object": lambda a: a["data"]["instruments"], "list": lambda a: a["data"]}.get(
                layout, lambda a: a["instruments"]
            )(answer)
            assert names[0] == "ARB_USDC-PERPETUAL"


# Events.


def test_instruments_come_whole_and_on_change(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        client.subscribe("instruments")
        first = [client.take() for _ in range(3)]
        assert [each["data"]["instruments"][0][:3] for each in first] == ["BTC", "ETH", "ARB"]
        ex.list_instrument("ETH_USDC-25JUN27-5000-P")
        assert client.take()["data"]["instruments"][-1] == "ETH_USDC-25JUN27-5000-P"
        ex.expire_instrument(CALL)
        gone = client.take()["data"]
        assert list(gone) == ["updated_at", "instruments"]
        assert CALL not in gone["instruments"]


def test_single_events_have_the_fields_of_the_pages(ex: KyanSandbox) -> None:
    mine = ex.account()
    with authorized(ex) as client:
        for channel, query in (
            ("funding", {"instrument_name": PERP}),
            ("interest_rate", {"pair": "ETH_USDC"}),
            ("iv", {"pair": "ETH_USDC", "maturity": "26MAR27"}),
            ("transfer", {"account": mine.smart_account_address, "type": "withdrawal"}),
            ("mmp", {}),
            ("bankruptcy", {"market": "ETH_USDC"}),
            ("rfq", {}),
        ):
            assert client.subscribe(channel, **query)["success"] is True
        ex.funding(PERP, "-0.00004")
        data = client.take()["data"]
        assert list(data) == ["instrument_name", "timestamp", "spot_price", "perp_price", "funding_rate"]
        assert data["funding_rate"] == Decimal("-0.00004")
        ex.interest_rate("ETH_USDC", "0.041")
        assert list(client.take()["data"]) == ["sid", "v", "timestamp"]
        ex.svi("ETH_USDC", "25JUN27")
        ex.svi("ETH_USDC", sigma="0.5")
        event = client.take()
        assert (event["type"], event["data"]["sid"]) == ("svi", "SVI-ETH_USDC-26MAR27")
        assert list(event["data"]) == ["sid", "alpha", "beta", "rho", "m", "sigma", "timestamp"]
        ex.transfer("deposit", "USDC", 250)
        ex.transfer("withdrawal", "USDC", 50)
        event = client.take()
        assert (event["type"], event["data"]["action"], event["data"]["amount"]) == ("withdrawal", "withdrawal", 50)
        assert mine.collateral == 10_200
        ex.trigger_mmp("ETH_USDC")
        event = client.take()
        assert (event["type"], event["subscription"]) == ("mmp_triggered", {"channel": "mmp", "query": {}})
        assert list(event["data"]) == [
            "smart_account_address",
            "pair_symbol",
            "frozen_until",
            "frozen_duration_seconds",
        ]
        ex.bankruptcy("BTC_USDC")
        ex.bankruptcy("ETH_USDC")
        assert client.take()["data"] == {"marginAccountId": mine.margin_account_id, "market": "ETH_USDC"}
        ex.rfq("rfq_request", {"order_id": "o1"})
        assert client.take()["type"] == "rfq_request"


def test_an_order_lives_and_the_account_follows(ex: KyanSandbox) -> None:
    mine = ex.account()
    with authorized(ex) as client:
        for channel, query in (
            ("orderbook_perps", {"pair": "ETH_USDC", "options": {"skip_snapshot": True}}),
            ("orderbook_options", {"strike": 4200, "type": "C", "options": {"skip_snapshot": True}}),
            ("trade", {"account": mine.owner}),
            ("account_state", {"account": mine.smart_account_address, "pair": "ETH_USDC"}),
        ):
            assert client.subscribe(channel, **query)["success"] is True
        order = ex.place(PERP, "buy", "3119.5", 500)
        posted = client.take()
        assert (posted["type"], list(posted["data"])) == ("post_order", ORDER_FIELDS)
        assert posted["subscription"] == {"channel": "orderbook_perps", "query": {"pair": "ETH_USDC"}}
        assert (posted["data"]["order_state"], posted["data"]["amount"]) == ("open", 500)
        assert len(str(posted["data"]["creation_timestamp"])) == 10
        ex.fill(order, 200)
        updated, trade, state = [client.take() for _ in range(3)]
        assert (updated["type"], updated["data"]["order_state"]) == ("update_order", "partially_filled")
        assert updated["data"]["filled_amount"] == 200
        assert list(trade["data"]) == [name for name in TRADE_FIELDS if name != "iv"]
        assert trade["data"]["order_id"] == order.id
        assert list(state["data"]) == STATE_FIELDS
        assert isinstance(state["data"]["margin_account"], int)
        ex.fill(order)
        assert [client.take()["type"] for _ in range(3)] == ["update_order", "trade", "account_state"]
        assert mine.positions[PERP].size == 500
        with pytest.raises(ValueError, match="DONE"):
            ex.cancel(order)
        call = ex.place(CALL, "sell", 90, 2)
        assert client.take()["data"]["contracts"] == 2
        edited = ex.edit(call, price="91.5")
        cancelled, posted = client.take(), client.take()
        assert (cancelled["type"], cancelled["data"]["order_id"]) == ("cancel_order", call.id)
        assert (posted["type"], posted["data"]["order_id"], posted["data"]["price"]) == (
            "post_order",
            edited.id,
            Decimal("91.5"),
        )
        ex.fill(edited)
        assert list([client.take() for _ in range(3)][1]["data"]) == TRADE_FIELDS
        assert mine.positions[CALL].size == -2
        protected = ex.place(PERP, "sell", 3200, 10, mmp=True)
        ex.trigger_mmp("ETH_USDC")
        assert client.take()["data"]["order_id"] == protected.id
        cancelled = client.take()
        assert (cancelled["type"], cancelled["data"]["mmp"]) == ("cancel_order", True)
    for wrong in (("hold", 3000, 1), ("buy", "3000.05", 1), ("buy", 3000, "1.5"), ("buy", 0, 1)):
        with pytest.raises(ValueError, match="side|multiple|above"):
            ex.place(PERP, *wrong)


def test_snapshots_of_a_book(ex: KyanSandbox) -> None:
    low, high = ex.place(PERP, "buy", 3000, 10), ex.place(PERP, "buy", 3001, 20)
    ask = ex.place(PERP, "sell", 3100, 30)
    with authorized(ex) as client:
        client.subscribe("orderbook_perps", pair="ETH_USDC")
        event = client.take()
        assert (event["type"], event["seq_id"]) == ("ob_snapshot", 1)
        assert event["data"]["instrument_name"] == PERP
        assert [each["order_id"] for each in event["data"]["bids"]] == [high.id, low.id]
        assert [list(each) for each in event["data"]["asks"]] == [ORDER_FIELDS]
        client.ask(type="unsubscribe", subscriptions=[{"channel": "orderbook_perps", "query": {"pair": "ETH_USDC"}}])
        ex.snapshot_layout = "flat"
        client.subscribe("orderbook_perps", instrument_name=PERP, direction="sell")
        event = client.take()
        assert "data" not in event
        assert (event["instrument_name"], event["seq_id"], event["bids"]) == (PERP, 2, [])
        assert event["asks"] == [
            {
                "order_id": ask.id,
                "maker": ex.account().smart_account_address,
                "amount": "30",
                "limit_price": "3100",
            }
        ]
        ex.snapshot_layout = "post_order"
        client.subscribe("orderbook_perps")
        assert [client.take()["data"]["order_id"] for _ in range(3)] == [low.id, high.id, ask.id]
        client.subscribe("orderbook_maker", maker=ex.account().owner)
        event = client.take()
        assert event["type"] == "ob_maker_orders"
        assert [each["order_id"] for each in event["data"]] == [low.id, high.id, ask.id]
        ex.maker_layout = "orders"
        client.subscribe("orderbook_maker", maker=ex.account().owner, pair="BTC_USDC")
        assert client.take()["data"] == {"orders": []}
        ex.cancel(low)
        # The same order through two subscriptions that overlap: told apart by order_id alone.
        told = [client.take() for _ in range(2)]
        assert {each["data"]["order_id"] for each in told} == {low.id}
        assert [each["subscription"]["channel"] for each in told] == ["orderbook_perps", "orderbook_maker"]


def test_a_snapshot_for_every_option_that_the_query_means(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        client.subscribe("orderbook_options", pair="ETH_USDC", strike=4200)
        names = [client.take()["data"]["instrument_name"] for _ in range(2)]
        assert names == [CALL, CALL[:-1] + "P"]


def test_positions_come_every_second_for_each_market() -> None:
    with KyanSandbox(position_interval=0.02) as ex, authorized(ex) as client:
        ex.fill(ex.place(CALL, "buy", 88, 2))
        client.subscribe("position", account=ex.account().smart_account_address)
        told = [client.take() for _ in range(6)]
        assert [each["data"]["market"] for each in told] == ["BTC", "ETH", "ARB"] * 2
        assert told[0]["data"]["margin_account"] == ex.account().margin_account_id
        (position,) = told[1]["data"]["positions"]
        assert list(position) == OPTION_POSITION_FIELDS
        assert (position["size"], position["average_price"]) == (2, 88)
    with KyanSandbox(position_interval=None) as ex, authorized(ex) as client:
        ex.fill(ex.place(PERP, "sell", 3000, 40))
        ex.position_ids = False
        client.subscribe("position", account=ex.account().smart_account_address, market="ETH")
        ex.publish_positions()
        (position,) = client.take()["data"]["positions"]
        assert "id" not in position
        assert (position["size"], position["instrument_type"]) == (-40, "perp")


def test_a_random_walk_is_numbered_and_repeatable(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        skip = {"skip_snapshot": True}
        account = ex.account().owner
        entries: List[Any] = [
            {"channel": f"orderbook_{kind}", "query": {"options": skip}} for kind in ("perps", "options")
        ]
        entries += [{"channel": "trade"}, {"channel": "account_state", "query": {"account": account}}]
        for pair in ("BTC_USDC", "ETH_USDC", "ARB_USDC"):
            entries += [{"channel": name, "query": {"pair": pair}} for name in ("index_price", "interest_rate", "iv")]
            entries += [{"channel": "funding", "query": {"instrument_name": f"{pair}-PERPETUAL"}}]
        assert client.ask(type="subscribe", subscriptions=entries)["success"] is True
        ex.random_walk(600, seed=3)
        received = [client.take() for _ in range(600)]
    assert [each["seq_id"] for each in received] == list(range(1, 601))
    assert len({each["message_id"] for each in received}) == 600
    assert [{"type": each["type"], "data": each["data"]} for each in received] == ex.published
    assert len({each["type"] for each in received}) == 9
    again = KyanSandbox()
    again.random_walk(600, seed=3)
    assert [each["type"] for each in again.published] == [each["type"] for each in received]


def test_the_market_runs_by_itself(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        for pair in ("BTC_USDC", "ETH_USDC", "ARB_USDC"):
            client.subscribe("index_price", pair=pair)
        ex.run(500)
        assert [client.take()["type"] for _ in range(10)] == ["index_price"] * 10
        ex.pause()


# Numbering.


def test_numbers_are_skipped_and_messages_repeated(ex: KyanSandbox) -> None:
    with authorized(ex) as client, authorized(ex) as other:
        for each in (client, other):
            each.subscribe("bankruptcy")
        ex.bankruptcy("ETH_USDC")
        first = client.take()
        ex.repeat_message(ex.sessions[0])
        assert client.take() == first
        ex.skip_seq(3, ex.sessions[0])
        ex.bankruptcy("ETH_USDC")
        assert client.take()["seq_id"] == 5
        assert [other.take()["seq_id"] for _ in range(2)] == [1, 2]


def test_responses_may_be_numbered_and_messages_may_have_no_ids() -> None:
    with KyanSandbox(seq_id_on_responses=True) as ex, authorized(ex) as client:
        assert client.subscribe("bankruptcy")["seq_id"] == 2
        ex.bankruptcy("ETH_USDC")
        assert client.take()["seq_id"] == 3
    with KyanSandbox(message_ids=False) as ex, authorized(ex) as client:
        client.subscribe("bankruptcy")
        ex.bankruptcy("ETH_USDC")
        assert list(client.take()) == ["kind", "type", "timestamp_ms", "data", "subscription"]


# Misbehaving.


def test_answers_are_lost_refused_or_limited(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        ex.ignore_next("subscribe")
        client.send(type="subscribe", id="lost", subscriptions=[{"channel": "bankruptcy"}])
        ex.wait_for_subscriber("bankruptcy")
        ex.bankruptcy("ETH_USDC")
        assert client.take()["type"] == "bankruptcy"
        ex.reject_next("subscribe", "Invalid subscription parameters")
        assert error(client.subscribe("trade")) == "Invalid subscription parameters"
        ex.rate_limit(2)
        assert [error(client.ask(type="logout")) for _ in range(2)] == ["RATELIMITED"] * 2
        assert client.ask(type="get_instruments")["success"] is True
    assert ex.complaints == []


def test_a_session_has_its_time() -> None:
    with KyanSandbox(session_lifetime=0.05) as ex:
        with opened(ex) as client:
            assert client.close_code() == 1000
        ex.lifetime_close_code = 4001
        with opened(ex) as client:
            assert client.close_code() == 4001
        ex.lifetime_close_code = None
        with opened(ex) as client:
            assert client.close_code() is None


def test_pings_are_answered_or_not(ex: KyanSandbox) -> None:
    with opened(ex) as client:
        client.socket.ping("one")
        opcode, data = client.socket.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"one")
        ex.answer_pings = False
        client.socket.ping("two")
        client.send(type="auth", api_key=ex.key)
        assert client.socket.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_TEXT
        ex.wait_until(lambda: [each.text for each in ex.received if each.kind == "ping"] == ["one", "two"])


# Recovery.


@contextmanager
def recoverable(ex: KyanSandbox) -> Iterator[str]:
    """A session that told one event, can be recovered, and is cut; the token."""
    with authorized(ex) as client:
        enabled = client.ask(type="enable_session_recovery", id="r1")
        assert list(enabled)[-3:] == ["success", "recovery_token", "ttl_seconds"]
        token: str = enabled["recovery_token"]
        assert str(uuid.UUID(token)) == token
        client.subscribe("index_price", pair="ETH_USDC")
        ex.index_price("ETH_USDC", 1)
        assert client.take()["data"]["value"] == 1
        ex.drop()
        yield token


def recover(client: Client, ex: KyanSandbox, token: str, **more: Any) -> Dict[str, Any]:
    return client.ask(type="recover_session", recovery_token=token, api_key=ex.key, id="r2", **more)


def test_a_recovered_session_gets_what_it_missed(ex: KyanSandbox) -> None:
    with recoverable(ex) as token:
        for value in (2, 3):
            ex.index_price("ETH_USDC", value)
        ex.index_price("BTC_USDC", 4)
        with opened(ex) as client:
            answer = recover(client, ex, token)
            assert (answer["success"], answer["ttl_seconds"]) == (True, 30)
            assert (answer["subscriptions_restored"], answer["messages_replayed"]) == (1, 2)
            assert answer["recovery_token"] != token
            told = [client.take() for _ in range(2)]
            assert [(each["data"]["value"], each["seq_id"]) for each in told] == [(2, 1), (3, 2)]
            ex.index_price("ETH_USDC", 5)
            assert client.take()["data"]["value"] == 5
            ex.drop()
        ex.index_price("ETH_USDC", 6)
        ex.replay_overlap, ex.replay_before_reply = 1, True
        with opened(ex) as client:
            first = recover(client, ex, answer["recovery_token"])
            assert [first["data"]["value"], client.take()["data"]["value"]] == [5, 6]
            assert client.take()["messages_replayed"] == 2
        with opened(ex) as client:
            assert error(recover(client, ex, token)) == "Recovery token not found"
    assert len(ex.complaints) == 1


def test_nothing_is_missed_while_a_busy_market_is_cut_and_recovered(ex: KyanSandbox) -> None:
    """A session cut again and again: replayed and live messages together are what was published, in order."""
    done = threading.Event()

    def publish() -> None:
        for value in range(1, 801):
            ex.index_price("ETH_USDC", value)
        done.set()

    values: List[int] = []
    publisher = threading.Thread(target=publish)
    with authorized(ex) as client:
        token = client.ask(type="enable_session_recovery")["recovery_token"]
        client.subscribe("index_price", pair="ETH_USDC")
        publisher.start()
        for target in (50, 200, 400):
            while len(values) < target:
                values.append(client.take()["data"]["value"])
            ex.close_connections(4000)
            while True:
                opcode, data = client.socket.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    break
                values.append(json.loads(data)["data"]["value"])
            client.socket.shutdown()
            client = Client(ex.url)
            answer = recover(client, ex, token)
            token = answer["recovery_token"]
        while len(values) < 800:
            values.append(client.take()["data"]["value"])
        client.socket.shutdown()
    publisher.join(WAIT)
    assert done.is_set()
    assert values == list(range(1, 801))


def test_recovery_from_behind_a_stall(ex: KyanSandbox) -> None:
    """The old connection is there but mute: its client comes back on a new one."""
    with authorized(ex) as client:
        token = client.ask(type="enable_session_recovery")["recovery_token"]
        client.subscribe("index_price", pair="ETH_USDC")
        ex.stall()
        ex.index_price("ETH_USDC", 7)
        with opened(ex) as second:
            assert recover(second, ex, token)["messages_replayed"] == 1
            assert second.take()["data"]["value"] == 7
            ex.wait_until(lambda: len(ex.sessions) == 1)


def test_recovery_fails(ex: KyanSandbox) -> None:
    with recoverable(ex) as token:
        with authorized(ex) as client:
            assert "first message" in error(recover(client, ex, token))
        for reason, text in (
            ("expired", "Recovery token expired"),
            ("instance", "Recovery token not found"),
            ("overflow", "Recovery buffer overflow"),
            ("for a whim", "for a whim"),
        ):
            ex.fail_recovery(reason)
            with opened(ex) as client:
                answer = recover(client, ex, token)
                assert (answer["type"], error(answer)) == ("recover_session", text)
        with opened(ex) as client:
            assert "invalid recover_session payload" in error(client.ask(type="recover_session", api_key=ex.key))
        with opened(ex) as client:
            answer = client.ask(type="recover_session", recovery_token=token, api_key="k_disabled")
            assert error(answer) == "FORBIDDEN"
        ex.add_account("another_key")
        with opened(ex) as client:
            answer = client.ask(type="recover_session", recovery_token=token, api_key="another_key")
            assert "another api key" in error(answer)
        with opened(ex) as client:
            assert recover(client, ex, token)["success"] is True


def test_what_was_missed_must_fit_and_the_window_ends() -> None:
    with KyanSandbox(recovery_buffer=3) as ex, recoverable(ex) as token:
        for value in range(2, 6):
            ex.index_price("ETH_USDC", value)
        with opened(ex) as client:
            assert error(recover(client, ex, token)) == "Recovery buffer overflow"
            assert client.ask(type="auth", api_key=ex.key)["success"] is True
    with KyanSandbox(recovery_window=0.0) as ex, recoverable(ex) as token, opened(ex) as client:
        assert error(recover(client, ex, token)) == "Recovery token expired"


def test_recovery_is_enabled_once_in_ten_seconds(ex: KyanSandbox) -> None:
    with authorized(ex) as client:
        first = client.ask(type="enable_session_recovery")
        assert error(client.ask(type="enable_session_recovery")) == "RATELIMITED"
        ex.recovery_enable_interval = 0.0
        assert client.ask(type="enable_session_recovery")["recovery_token"] != first["recovery_token"]
