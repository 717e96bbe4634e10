"""What Finery Markets' pages print, over a real socket through a whole client, and every error code wherever one may come.

The pages print little as it goes over the wire: the status, bind, unbind and one request, and these in no JSON. The other
messages are in the forms that the pages describe (tests/exchanges/finery/samples.py).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Tuple, Type

import pytest
from websockets.sync.server import ServerConnection

import xchws
from tests.client.conftest import QUICK
from tests.client.test_samples_over_sockets import peer
from tests.exchanges.finery import samples
from tests.exchanges.printed import meant, printed, table
from xchws.exchanges import finery
from xchws.exchanges.finery import codes
from xchws.sandbox import FinerySandbox

D = Decimal
WAIT = 10.0
EMPTY: Dict[str, Any] = {**dict.fromkeys("BFIR", [[], []]), "N": [0, [], []], "P": [0, [], [], []]}


class Exchange:
    """Answers a bind with an empty snapshot, an unbind with its end, and a request with what `answer` says."""

    def __init__(self, answer: Callable[[Any], List[Any]]) -> None:
        self._answer = answer
        self.heard: List[Any] = []

    def __call__(self, connection: ServerConnection) -> None:
        connection.send(json.dumps(meant(printed("finery", "status.txt"))))
        for text in connection:
            said = json.loads(text)
            self.heard.append(said)
            feed, feed_id = said.get("feed"), said.get("feedId", 0)
            answers = {"bind": [[feed, feed_id, "S", EMPTY.get(feed, [])]], "unbind": [[feed, feed_id, "U", 0]]}
            for message in answers.get(said["event"]) or self._answer(said):
                connection.send(json.dumps(message))


def replied(said: Any, reply: Any) -> List[Any]:
    return [{"event": "request", "reqId": said["reqId"], "reply": reply}]


@pytest.fixture
def make(clients: List[xchws.Client]) -> Callable[..., xchws.Finery]:
    def made(url: str, **options: Any) -> xchws.Finery:
        client = xchws.Finery("key", "secret", url=url, backoff=QUICK, **options)
        clients.append(client)
        return client

    return made


Make = Callable[..., xchws.Finery]


# ------------------------------------------------------------------------------------------------------- the samples


def test_what_is_sent_is_what_the_page_prints(make: Make) -> None:
    exchange = Exchange(lambda said: replied(said, {"id": 5}))
    content = meant(printed("finery", "request.txt"), side="bid")["content"]
    with peer(exchange) as url:
        client = make(url)
        client.start(WAIT)  # the status is the one that the page prints, as JSON
        client.bind("B", 42).wait(WAIT)
        client.unbind("B", 42)
        assert client.request("add", content) == {"id": 5}
        by_name = client.add_order("BTC-EUR", "buy", type="marketIOC", size="0.001", client_order_id=1)
        assert client.request("positions") == {"id": 5}
        client.stop()
    bind, unbind, plain, named, empty = exchange.heard
    assert bind == meant(printed("finery", "bind.txt")) and unbind == meant(printed("finery", "unbind.txt"))
    wanted = meant(printed("finery", "request.txt"), side="bid")
    assert plain == {**wanted, "reqId": 1}
    assert named == {**wanted, "reqId": 2} and by_name.id == "5"
    assert empty["content"] == {}, "an empty object where there are no parameters"


# ------------------------------------------------------------------------------------------------------- the messages

ETH_USD = finery.Instrument(name="ETH-USD", id=880011, base="ETH", quote="USD")
Found = List[Tuple[str, Type[xchws.Data], Dict[str, Any]]]


def book(bids: str, asks: str = "") -> Found:
    """A whole book, its levels written as `price:size`."""
    sides = {
        name: tuple((D(price), D(size)) for price, size in (level.split(":") for level in side.split()))
        for name, side in (("bids", bids), ("asks", asks))
    }
    return [("on_order_book", xchws.OrderBook, {"symbol": "ETH-USD", **sides})]


def transaction(**said: Any) -> Found:
    return [("on_transfer", finery.SettlementTransaction, said)]


MESSAGES: Dict[str, Found] = {
    # Message -> the callbacks that it reaches, in order, with the event's class and what it says.
    "instruments": [("on_instruments", finery.Instruments, {"instruments": (ETH_USD,)})],
    "orders": [("on_order", finery.Order, {"id": "5501", "action": "S", "price": D(3120), "status": "NEW"})],
    "orders, nested": [("on_order", finery.Order, {"id": "5501", "action": "S", "quantity": D("0.25")})],
    "order added": [("on_order", finery.Order, {"action": "+", "client_order_id": "900071", "side": "buy"})],
    "order removed": [("on_order", finery.Order, {"action": "-", "status": "UNKNOWN", "final": True})],
    "deal": [
        ("on_order", finery.Order, {"action": "D", "status": "PARTIALLY_FILLED", "remaining": D("0.05")}),
        ("on_fill", finery.Fill, {"id": "77", "price": D(3119), "quantity": D("0.2"), "liquidity": "maker"}),
    ],
    "older deal": [  # the same deal once more, with fewer fields: no second Fill
        ("on_order", finery.Order, {"action": "D", "filled": D("0.2")}),
    ],
    "positions": [("on_position", finery.Position, {"quantity": D("-1.5"), "max_reachable": D(1)})],
    "positions, older": [("on_position", finery.Position, {"quantity": D("-1.5"), "max_reachable": None})],
    "position": [("on_position", finery.Position, {"action": "M", "symbol": "BTC", "account": "9"})],
    "combined": [
        ("on_position", finery.Position, {"quantity": D("-1.5")}),
        ("on_order", finery.Order, {"id": "5501"}),
        ("on_settlement", finery.Settlement, {"id": "31", "quantity2": D(60000)}),
    ],
    "limits": [("on_limit", finery.CounterpartyLimit, {"counterparty_id": "5", "own_trading_enabled": True})],
    "limits, version between": [
        ("on_limit", finery.CounterpartyLimit, {"own_trading_enabled": True, "mutual_trading_enabled": False})
    ],
    "limits, older": [("on_limit", finery.CounterpartyLimit, {"mutual_trading_enabled": False})],
    "limit": [("on_limit", finery.CounterpartyLimit, {"action": "M", "counterparty_id": "5"})],
    "global limits": [
        ("on_global_limit", finery.GlobalLimit, {"asset": "USD", "net_limit": D(5), "gross_limit": None})
    ],
    "settlements": [("on_settlement", finery.Settlement, {"id": "31", "quantity1": D(-1), "settlement_id": None})],
    "settled": [
        ("on_settlement", finery.Settlement, {"action": "D", "settlement_id": "78", "committed_ms": 1718000002000})
    ],
    "transactions": transaction(direction="deposit", amount=D(1), status=None),
    "transaction": transaction(direction="withdrawal", status="committed by receiver", fee=D("0.00001")),
    "requests": [("on_settlement_request", finery.SettlementRequest, {"direction": "incoming", "amount": D(1)})],
    "request": [("on_settlement_request", finery.SettlementRequest, {"direction": "outgoing", "action": "+"})],
    "global book": book("3120:1.5 3119:0.7", "3121:0.9"),
    "global book update": book("3120:0.00000001 3119:0.7", "3121:0.9"),
    "firm book": book("3120:1.5 3119:0.7", "3121:0.9"),
    "update": book("3120:1.5 3119.5:0.4 3119:0.7"),
    "cut": book("3119:0.7"),
    "cut all": book("3119:0.7"),
    "masters' book": book("3120:1.5 3119:0.7", "3121:0.9"),
    "login": [("on_other", xchws.Other, {"kind": "auth"})],
}
ANSWERED = {"status", "no status", "answer", "refusal", "failure", "failure in a list", "unbound"}
"""The messages that answer something, or say how the exchange stands: they are in other tests of this file."""


def test_every_message_in_the_forms_of_the_pages(make: Make) -> None:
    assert set(MESSAGES) | ANSWERED == set(samples.MESSAGES) and not set(MESSAGES) & ANSWERED

    def told(said: Any) -> List[Any]:
        messages = [samples.MESSAGES[name] for name in MESSAGES] if said["method"] == "tell" else []
        return [*messages, *replied(said, [])]

    with peer(Exchange(told)) as url:
        client = make(url, callbacks="inline")
        heard: List[Tuple[str, Any]] = []
        for hook in sorted({hook for wanted in MESSAGES.values() for hook, _, _ in wanted}):
            getattr(client, hook)(lambda event, hook=hook: heard.append((hook, event)))
        trouble: List[Any] = []
        client.on_error(trouble.append)
        client.start(WAIT)
        for feed in "BFIGLKOPSNR":
            client.bind(feed, "ETH-USD" if feed in "BF" else None).wait(WAIT)
        client.bind("F", {"instrument": "ETH-USD", "clientId": 7}).wait(WAIT)
        client.request("nothing")
        heard.clear()  # the empty beginnings
        client.request("tell")
        client.stop()
    wanted = [(name, *one) for name, found in MESSAGES.items() for one in found]
    assert [(hook, type(event)) for hook, event in heard] == [(hook, kind) for _, hook, kind, _ in wanted]
    for (name, _, _, attributes), (_, event) in zip(wanted, heard):
        assert {key: getattr(event, key) for key in attributes} == attributes, name
    assert trouble == []


# ---------------------------------------------------------------------------------------------------------- the codes

CODES = [int(row["code"]) for row in table("finery", "error_codes.tsv")]
ERRORS = [code for code in CODES if code]


def test_every_code_of_the_list_has_its_words() -> None:
    assert len(CODES) == len(set(CODES)) == 100
    assert set(CODES) == set(codes._ERRORS), "no code is missing, and none is made up"
    assert codes.words(9_999) == "9999 (unknown code)"


def test_every_code_as_the_answer_to_a_request(make: Make) -> None:
    def refused(said: Any) -> List[Any]:
        return [{"event": "request", "reqId": said["reqId"], "error": said["content"]["code"], "param": "price"}]

    with peer(Exchange(refused)) as url:
        client = make(url)
        client.start(WAIT)
        for code in [*ERRORS, 9_999]:
            with pytest.raises(finery.Rejection) as rejected:
                client.request("add", {"code": code})
            assert (rejected.value.code, rejected.value.parameter) == (code, "price")
            assert codes.words(code) in str(rejected.value) and codes.words(code) == rejected.value.message
        assert client.status().reconnects == 0
        client.stop()


@pytest.mark.parametrize("wrapped", [False, True])
def test_every_code_as_the_answer_to_bind_and_unbind(make: Make, wrapped: bool) -> None:
    """Where a code passes by itself the feed is bound again; 100 says that it is bound, 101 that it is not."""

    class Refusing(Exchange):
        def __call__(self, connection: ServerConnection) -> None:
            connection.send('["X",0,"Z",0]')
            binds: List[Any] = []
            for text in connection:
                said = json.loads(text)
                code = int(said["feedId"].partition(" ")[2])
                at_first = said["event"] == "bind" and said["feedId"] not in binds
                binds += [said["feedId"]] if at_first else []
                if said["feedId"].startswith("unbind"):
                    refuses = said["event"] == "unbind"
                else:
                    refuses = at_first
                action, data = ("Z", [code] if wrapped else code) if refuses else ("S", [])
                if not refuses and said["event"] == "unbind":
                    action, data = "U", 0
                connection.send(json.dumps(["K", said["feedId"], action, data]))

    passing = {2, 10, 104}
    with peer(Refusing(lambda said: [])) as url:
        client = make(url)
        client.start(WAIT)
        again = []
        for code in ERRORS:
            failure = client.expect(xchws.Failure)
            subscription = client.bind("K", f"bind {code}")
            if code == codes.BINDING_EXISTS:
                subscription.wait(WAIT)
                failure.cancel()
                continue
            error = failure.result(WAIT).error
            assert type(error) is xchws.SubscriptionRejected and error.code == code and codes.words(code) in str(error)
            if code in passing:
                again.append(subscription)
            else:
                with pytest.raises(xchws.SubscriptionRejected):
                    subscription.wait(WAIT)
        for code in ERRORS:
            failure = client.expect(xchws.Failure)
            client.bind("K", f"unbind {code}").wait(WAIT)
            client.unbind("K", f"unbind {code}")
            if code == codes.BINDING_NOT_FOUND:
                failure.cancel()
                continue
            error = failure.result(WAIT).error
            assert type(error) is xchws.ExchangeError and error.code == code and "could not be unbound" in str(error)
        for subscription in again:
            subscription.wait(WAIT)
        assert client.status().reconnects == 0
        client.stop()


def test_every_code_as_the_status(make: Make) -> None:
    def status(said: Any) -> List[Any]:
        return [["X", 0, "Z", said["content"]["code"]], ["X", 0, "Z", 0], *replied(said, [])]

    with peer(Exchange(status)) as url:
        client = make(url)
        suspended: List[str] = []
        client.on_suspend(lambda event: suspended.append(event.reason))
        client.start(WAIT)
        for code in ERRORS:
            client.request("limits", {"code": code})
        assert client.status().state is xchws.State.READY and client.status().reconnects == 0
        client.stop()
    assert len(suspended) == len(ERRORS)
    assert all(codes.words(code) in reason for code, reason in zip(ERRORS, suspended))


@pytest.fixture
def exchange() -> Iterator[FinerySandbox]:
    with FinerySandbox(seed=1) as exchange:
        yield exchange


def test_every_code_as_the_answer_to_the_handshake(exchange: FinerySandbox, clients: List[xchws.Client]) -> None:
    """In the body of the refusal. Three are for good; two of the others are when they come five times in a row."""
    client = xchws.Finery(
        exchange.key, exchange.secret, url=exchange.url, backoff=xchws.Backoff(initial=0.001, maximum=0.001)
    )
    clients.append(client)
    passing = [code for code in ERRORS if code not in (3, 13, 14)]
    for code in passing:
        exchange.reject_next("handshake", code)
    errors: List[xchws.XchwsError] = []
    client.on_error(errors.append)
    client.start(60)
    client.stop()
    assert all(type(error) is xchws.HandshakeRejected for error in errors)
    assert [codes.words(code) in str(error) for code, error in zip(passing, errors)] == [True] * len(passing)
    for code in (3, 13, 14):
        exchange.reject_next("handshake", code)
        clients.append(xchws.Finery(exchange.key, exchange.secret, url=exchange.url, backoff=QUICK))
        with pytest.raises(xchws.AuthenticationFailed) as refused:
            clients[-1].start(WAIT)
        assert refused.value.code == code and codes.words(code) in str(refused.value)
