"""The simulated market-data service of Indodax, driven by a foreign WebSocket client.

Samples of the vendor's page (Marketdata-websocket.md, read 2026-11) and Centrifugo 2.8's rules serve as references.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import struct
import threading
from decimal import Decimal
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
import trustme
import websocket

from xchws.sandbox import FaultProxy, IndodaxMarketSandbox

WAIT = 5.0
TICKS = "chart:tick-btcidr"
TRADES = "market:trade-activity-btcidr"
BOOK = "market:order-book-btcidr"
SUMMARY = "market:summary-24h"


class Client:
    """websocket-client, and the messages that are still to come of the frames it has read."""

    def __init__(self, url: str, **options: Any) -> None:
        self.socket = websocket.create_connection(url, WAIT, **options)
        self.numbers = 0
        self.frames: List[str] = []
        self.waiting: List[str] = []

    def send(self, text: str) -> None:
        self.socket.send(text)

    def command(self, method: Any, **params: Any) -> int:
        self.numbers += 1
        self.send(json.dumps({"method": method, "params": params, "id": self.numbers}))
        return self.numbers

    def ask(self, method: Any, **params: Any) -> Dict[str, Any]:
        number = self.command(method, **params)
        answer = self.take()
        assert answer.pop("id") == number
        return answer

    def subscribe(self, channel: str, **position: Any) -> Dict[str, Any]:
        result: Dict[str, Any] = self.ask(1, channel=channel, **position)["result"]
        return result

    def take_text(self) -> str:
        if not self.waiting:
            opcode, data = self.socket.recv_data()
            assert opcode == 1, (opcode, data)
            self.frames.append(data.decode())
            assert self.frames[-1].endswith("\n")
            self.waiting = self.frames[-1].split("\n")[:-1]
            assert all(self.waiting)
        return self.waiting.pop(0)

    def take(self) -> Dict[str, Any]:
        answer: Dict[str, Any] = json.loads(self.take_text(), parse_float=Decimal)
        return answer

    def push(self) -> Dict[str, Any]:
        answer = self.take()
        assert list(answer) == ["result"]
        result: Dict[str, Any] = answer["result"]
        return result

    def closing(self) -> Tuple[int, str]:
        opcode, data = self.socket.recv_data()
        assert opcode == 8, (opcode, data)
        return struct.unpack("!H", data[:2])[0], data[2:].decode()


class Mute(websocket.WebSocket):
    """Answers no ping."""

    def pong(self, payload: Any = "") -> None:
        pass


@contextlib.contextmanager
def opened(ex: IndodaxMarketSandbox, url: Optional[str] = None, **options: Any) -> Iterator[Client]:
    client = Client(url or ex.url, **options)
    with contextlib.ExitStack() as stack:
        stack.callback(client.socket.shutdown)  # close() would wait for the server
        yield client


@contextlib.contextmanager
def connected(ex: IndodaxMarketSandbox, *channels: str, **options: Any) -> Iterator[Client]:
    with opened(ex, **options) as client:
        assert "result" in client.ask(0, token=ex.token)
        for channel in channels:
            client.subscribe(channel)
        yield client


@pytest.fixture
def ex() -> Iterator[IndodaxMarketSandbox]:
    with IndodaxMarketSandbox(seed=1) as exchange:
        yield exchange


def reason(text: str, reconnect: bool) -> str:
    return json.dumps({"reason": text, "reconnect": reconnect}, separators=(",", ":"))


def test_the_session_of_the_vendors_page(ex: IndodaxMarketSandbox) -> None:
    with opened(ex) as client:
        client.send(json.dumps({"params": {"token": ex.token}, "id": 1}))
        answer = client.take()
        assert list(answer["result"]) == ["client", "version", "expires", "ttl"]
        assert answer["result"]["version"] == "2.8.7"
        assert answer["result"]["ttl"] == 160000000
        client.send(json.dumps({"method": 1, "params": {"channel": TRADES}, "id": 2}))
        answer = client.take()
        assert list(answer["result"]) == ["recoverable", "epoch", "offset"]
        offset = answer["result"]["offset"]
        assert answer == {"id": 2, "result": {"recoverable": True, "epoch": ex.position(TRADES)[1], "offset": offset}}
        assert answer["result"]["epoch"].isdigit()
        ex.trade("btcidr", "buy", "1600000000", "160000", "0.0001")
        push = client.push()
        assert push["channel"] == TRADES
        assert list(push["data"]) == ["data", "offset"]
        assert push["data"]["offset"] == offset + 1
        [[pair, seconds, sequence, side, price, quote, base]] = push["data"]["data"]
        assert (pair, side, price, quote, base) == ("btcidr", "buy", 1600000000, "160000", "0.0001")
        assert type(seconds) is type(sequence) is type(price) is int
        client.send(json.dumps({"method": 2, "params": {"channel": TRADES}, "id": 3}))
        assert client.take() == {"id": 3, "result": {}}
        client.send('{"method":7,"id":4}')
        assert client.take() == {"id": 4}
        ex.trade("btcidr", "buy", "1600000000", "160000")
        client.send('{"method":7,"id":5}')
        assert client.take() == {"id": 5}
    assert ex.complaints == []
    assert ex.published[0] == push


@pytest.mark.parametrize("method", [0, "connect", "CONNECT"])
def test_methods_are_numbers_or_names(ex: IndodaxMarketSandbox, method: Any) -> None:
    with opened(ex) as client:
        assert client.ask(method, token=ex.token)["result"]["expires"] is True
        assert "offset" in client.ask("subscribe", channel=TICKS)["result"]
        assert client.ask("ping") == {}


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "",
        "{}",
        '{"method":1,"params":{"channel":"market:summary-24h"},"id":1}',
        '{"method":7,"id":1}',
        '{"method":99,"id":1}',
        '{"id":1}',
        '{"params":{},"id":1}',
        '{"params":{"token":""},"id":1}',
        '{"params":{"token":7},"id":1}',
        '{"params":[],"id":1}',
        '{"params":{"token":"x"}}',
        '{"params":{"token":"x"},"id":"1"}',
        '{"params":{"token":"x"},"id":-1}',
        '{"method":"connekt","params":{"token":"x"},"id":1}',
    ],
)
def test_what_closes_before_connect(ex: IndodaxMarketSandbox, text: str) -> None:
    with opened(ex) as client:
        client.send(text)
        assert client.closing() == (3003, '{"reason":"bad request","reconnect":false}')
    assert len(ex.complaints) == 1


def test_a_wrong_token_closes(ex: IndodaxMarketSandbox) -> None:
    for command in ({"params": {"token": ex.token + "x"}, "id": 1}, {"params": {"token": "\ud800"}, "id": 1}):
        with opened(ex) as client:
            client.send(json.dumps(command))
            assert client.closing() == (3002, '{"reason":"invalid token","reconnect":false}')


@pytest.mark.parametrize(
    "text",
    [
        '{"params":{"token":"TOKEN"},"id":3}',
        '{"method":1,"id":3}',
        '{"method":1,"params":{"channel":""},"id":3}',
        '{"method":1,"params":{"channel":5},"id":3}',
        '{"method":1,"params":{"channel":"market:summary-24h","recover":1},"id":3}',
        '{"method":1,"params":{"channel":"market:summary-24h","recover":true,"offset":"1"},"id":3}',
        '{"method":1,"params":{"channel":"market:summary-24h","recover":true,"epoch":1},"id":3}',
        '{"method":2,"params":{},"id":3}',
        '{"method":6,"params":{},"id":3}',
        '{"method":7}',
        '{"method":10,"params":{},"id":3}',
        '{"method":true,"id":3}',
        "{",
    ],
)
def test_what_closes_after_connect(ex: IndodaxMarketSandbox, text: str) -> None:
    with connected(ex) as client:
        client.send(text.replace("TOKEN", ex.token))
        assert client.closing() == (3003, reason("bad request", False))


def test_no_connect_is_stale() -> None:
    with IndodaxMarketSandbox(stale_after=0.1) as ex, opened(ex) as client:
        assert client.closing() == (3007, reason("stale", False))


@pytest.mark.parametrize(
    ("method", "channel", "code", "message"),
    [
        (1, "elsewhere:btcidr", 102, "unknown channel"),
        (1, "summary-24h", 103, "permission denied"),
        (1, "$market:summary-24h", 103, "permission denied"),
        (1, "market:#7", 103, "permission denied"),
        (1, "market:" + "x" * 250, 107, "bad request"),
        (1, TICKS, 105, "already subscribed"),
        (3, TICKS, 103, "permission denied"),
        (4, TICKS, 108, "not available"),
        (5, TRADES, 103, "permission denied"),
        (6, "elsewhere:x", 102, "unknown channel"),
        ("history", TICKS, 108, "not available"),
        (9, "", 104, "method not found"),
        (11, TICKS, 108, "not available"),
        (12, "", 104, "method not found"),
    ],
)
def test_commands_that_get_an_error(
    ex: IndodaxMarketSandbox, method: Any, channel: str, code: int, message: str
) -> None:
    with connected(ex, TICKS) as client:
        assert client.ask(method, channel=channel) == {"error": {"code": code, "message": message}}
        assert client.ask(7) == {}
    assert len(ex.complaints) == 1


def test_the_129th_channel_is_one_too_many(ex: IndodaxMarketSandbox) -> None:
    with connected(ex) as client:
        for number in range(128):
            client.subscribe(f"market:order-book-{number}idr")
        assert client.ask(1, channel=BOOK)["error"] == {"code": 106, "message": "limit exceeded"}
        assert client.ask(2, channel="market:order-book-7idr") == {"result": {}}
        assert "offset" in client.subscribe(BOOK)


@pytest.mark.parametrize("channel", ["chart:tick-nopeidr", "chart:tick-BTCIDR", "market:order-book-btc_idr"])
def test_an_unknown_pair_is_a_success_without_offset(ex: IndodaxMarketSandbox, channel: str) -> None:
    with connected(ex) as client:
        assert list(client.subscribe(channel)) == ["recoverable", "epoch"]
        ex.random_walk(50)
        assert client.ask(7) == {}
    assert ex.complaints == []


def test_a_pair_that_is_listed_comes_alive(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, "market:order-book-xrpidr") as client:
        ex.list_pair("xrpidr", "8120")
        push = client.push()
        assert push["data"]["offset"] == 1
        assert push["data"]["data"]["bid"][0]["price"] == "8119.9"
    assert "xrpidr" in ex.pairs
    assert ex.published_count == 3
    for pair in ("xrpidr", "xrp", "XRPIDR"):
        with pytest.raises(ValueError, match="xrp|XRP"):
            ex.list_pair(pair, 8120)


def test_several_commands_in_one_frame(ex: IndodaxMarketSandbox) -> None:
    with opened(ex) as client:
        commands = [
            {"params": {"token": ex.token}, "id": 1},
            {"method": 1, "params": {"channel": TICKS}, "id": 2},
            {"method": 7, "id": 3},
        ]
        client.send("\n".join(json.dumps(command) for command in commands) + "\n")
        assert [client.take()["id"] for _ in range(3)] == [1, 2, 3]
        client.send('{"method":7,"id":4}\nnonsense\n{"method":7,"id":5}')
        assert client.take() == {"id": 4}
        assert client.closing()[0] == 3003


def test_busy_frames_hold_several_messages_each_with_its_newline(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, TICKS) as client:
        begun = len(client.frames)
        with ex.one_frame():
            for number in range(20):
                ex.tick("btcidr", 1_600_000_000 + number, "0.1")
        pushes = [client.push() for _ in range(20)]
        assert pushes == ex.published
        assert [frame.count("\n") for frame in client.frames[begun:]] == [16, 4]


def test_a_reply_does_not_overtake_what_was_pushed_before(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, TICKS) as client, ex.one_frame():
        ex.tick("btcidr", 1, 1)
        number = client.command(7)
        assert client.push()["channel"] == TICKS
        assert client.take() == {"id": number}


def test_numbers_are_written_as_given(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, TICKS, TRADES) as client:
        ex.tick("btcidr", "1.600E+9", "0.00010")
        text = client.take_text()
        assert ",1.600E+9," in text
        assert ',"0.00010"]' in text
        ex.trade("btcidr", "sell", "1600000000.50", base=Decimal("0.001"))
        text = client.take_text()
        assert '"sell",1600000000.50,"1600000","0.001"]' in text
        ex.trade("btcidr", "sell", 1600000000, quote="800000000")
        assert '"sell",1600000000,"800000000","0.5"]' in client.take_text()
    with pytest.raises(TypeError):
        ex.tick("btcidr", 1.5, 1)  # type: ignore[arg-type]  # a float is what this is about
    wrong: List[Callable[[], None]] = [
        lambda: ex.tick("nopeidr", 1, 1),
        lambda: ex.tick("btcidr", "01", 1),
        lambda: ex.tick("btcidr", 0, 1),
        lambda: ex.tick("btcidr", "NaN", 1),
        lambda: ex.tick("btcidr", 1, "-1"),
        lambda: ex.trade("btcidr", "BUY", 1, 1),
        lambda: ex.trade("btcidr", "buy", 1),
        lambda: ex.summary("nopeidr"),
        lambda: ex.order_book("btcidr", [(100, 1)], [(100, 1)]),
    ]
    for each in wrong:
        with pytest.raises(ValueError, match=r"."):
            each()
    assert ex.published_count == 3


def test_the_order_book_is_the_vendors(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, BOOK) as client:
        ex.order_book("btcidr", [(99, "0.5"), (100, "1")], [("102", "0.01"), ("101", 2)])
        book = client.push()["data"]["data"]
        assert book == {
            "pair": "btcidr",
            "ask": [
                {"btc_volume": "2", "idr_volume": "202", "price": "101"},
                {"btc_volume": "0.01", "idr_volume": "1", "price": "102"},
            ],
            "bid": [
                {"btc_volume": "1", "idr_volume": "100", "price": "100"},
                {"btc_volume": "0.5", "idr_volume": "49", "price": "99"},
            ],
        }
        ex.order_book("btcidr")
        assert client.push()["data"]["data"] == book
        ex.order_book("btcidr", [(price, 1) for price in range(1, 100)], [(price, 1) for price in range(100, 200)])
        book = client.push()["data"]["data"]
        assert [len(book["ask"]), len(book["bid"])] == [50, 50]
        assert (book["bid"][0]["price"], book["ask"][0]["price"]) == ("99", "100")
        assert len({tuple(level) for level in book["ask"] + book["bid"]}) > 1


def test_the_summary_follows_the_trades(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, SUMMARY) as client:
        ex.trade("ethidr", "buy", "56000000", base="2")
        ex.trade("ethidr", "buy", "54000000.0", base="1")
        ex.trade("ethidr", "buy", 55000001, base="1")
        ex.summary("ethidr")
        [row] = client.push()["data"]["data"]
        assert [row[0], *row[2:]] == ["ethidr", 55000001, 54000000, 56000000, 55000000, "221000001", "4"]
        ex.summary()
        assert [row[0] for row in client.push()["data"]["data"]] == ex.pairs


def test_a_batch_is_one_publication_for_each_channel(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, TICKS, TRADES) as client:
        with ex.batch():
            for price in (1, 2, 3):
                ex.trade("btcidr", "buy", price, base=1)
                ex.tick("btcidr", price, 1)
        trades, ticks = client.push(), client.push()
        assert [row[4] for row in trades["data"]["data"]] == [1, 2, 3]
        assert [row[2] for row in ticks["data"]["data"]] == [1, 2, 3]
    assert ex.published_count == 2


def all_channels(ex: IndodaxMarketSandbox) -> List[str]:
    kinds = ("chart:tick-", "market:trade-activity-", "market:order-book-")
    return [SUMMARY] + [kind + pair for pair in ex.pairs for kind in kinds]


def test_a_random_walk_is_consistent_numbered_and_repeatable(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, *all_channels(ex)) as client:
        offsets = {channel: ex.position(channel)[0] for channel in all_channels(ex)}
        begun = len(client.frames)
        ex.random_walk(1500, seed=7)
        received = [client.push() for _ in range(1500)]
        assert max(frame.count("\n") for frame in client.frames[begun:]) == 3
    assert received == ex.published
    assert ex.published_count == 1500
    last: Dict[str, Any] = {}
    volumes: Dict[str, Decimal] = {}
    books: Dict[str, Any] = {}
    repeats = 0
    for push in received:
        channel, payload = push["channel"], push["data"]["data"]
        offsets[channel] += 1
        assert push["data"]["offset"] == offsets[channel]
        if channel == SUMMARY:
            for pair, _, price, low, high, _, quote, base in payload:
                assert low <= price <= high
                assert price == last.get(pair, price)
                assert Decimal(base) == volumes.get(pair, 0)
                assert Decimal(quote) > 0 or Decimal(base) < 1
        elif "trade-activity" in channel:
            for pair, _, _, side, price, quote, base in payload:
                assert side in ("buy", "sell")
                assert 0 <= price * Decimal(base) - Decimal(quote) < 1
                last[pair] = price
                volumes[pair] = volumes.get(pair, Decimal(0)) + Decimal(base)
        elif "tick" in channel:
            assert payload[-1][2] == last[channel[len("chart:tick-") :]]
        else:
            asks, bids = ([Decimal(level["price"]) for level in payload[side]] for side in ("ask", "bid"))
            assert asks == sorted(set(asks))
            assert bids == sorted(set(bids), reverse=True)
            assert 0 < bids[0] < asks[0]
            repeats += books.get(channel) == payload
            books[channel] = payload
    assert repeats > 10
    again = IndodaxMarketSandbox(seed=2)
    again.random_walk(1500, seed=7)
    assert without_times(again.published) == without_times(received)


def without_times(events: List[Dict[str, Any]]) -> List[Any]:
    """The events with the second of each row taken out."""
    result = []
    for event in events:
        rows = event["data"]["data"]
        if isinstance(rows, list):
            place = 0 if event["channel"].startswith("chart") else 1
            rows = [row[:place] + row[place + 1 :] for row in rows]
        result.append((event["channel"], event["data"]["offset"], rows))
    return result


@pytest.mark.parametrize("seed", range(5))
def test_long_walks_do_not_get_stuck(seed: int) -> None:
    ex = IndodaxMarketSandbox(seed=seed, history=10)
    ex.order_book("dogeidr", [], [])
    ex.order_book("btcidr", [], [("0.5", "0.00000001")])
    ex.random_walk(3000)
    assert ex.published_count == 3002
    assert len(ex.published) == 10


def test_the_market_runs_by_itself(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, *all_channels(ex)) as client:
        ex.run(500)
        received = [client.push() for _ in range(20)]
        ex.pause()
        assert received == ex.published[:20]
        count = ex.published_count
    ex.random_walk(1)
    assert ex.published_count == count + 1


def test_recovery_brings_what_was_published_meanwhile(ex: IndodaxMarketSandbox) -> None:
    with connected(ex) as client:
        known = client.subscribe(TICKS)
    ex.wait_until(lambda: not ex.sessions)
    for price in (1, 2, 3):
        ex.tick("btcidr", price, 1)
    position = {"recover": True, "offset": known["offset"], "epoch": known["epoch"]}
    with connected(ex) as client:
        answer = client.subscribe(TICKS, **position)
        assert list(answer) == ["recoverable", "epoch", "publications", "offset", "recovered"]
        assert answer["recovered"] is True
        assert answer["offset"] == known["offset"] + 3
        assert answer["publications"] == [event["data"] for event in ex.published]
        assert [publication["offset"] - known["offset"] for publication in answer["publications"]] == [1, 2, 3]
        ex.tick("btcidr", 4, 1)
        assert client.push()["data"]["offset"] == known["offset"] + 4
    with connected(ex) as client:
        answer = client.subscribe(TICKS, **{**position, "offset": known["offset"] + 4})
        assert list(answer) == ["recoverable", "epoch", "offset", "recovered"]
    for missing in ({"epoch": ""}, {"epoch": "1"}):
        with connected(ex) as client:
            answer = client.subscribe(TICKS, **{**position, **missing})
            assert "recovered" not in answer
            assert len(answer["publications"]) == 4
    with connected(ex) as client:
        assert "publications" not in client.subscribe(TICKS)


def test_the_trick_that_gives_a_snapshot_works_at_once(ex: IndodaxMarketSandbox) -> None:
    with connected(ex) as client:
        for channel in all_channels(ex):
            known = client.subscribe(channel)
            client.ask(2, channel=channel)
            answer = client.subscribe(channel, recover=True, offset=known["offset"] - 1, epoch=known["epoch"])
            assert answer["recovered"] is True
            assert len(answer["publications"]) == 1
    assert ex.published == []


def test_a_gap_longer_than_the_history_is_not_recovered() -> None:
    with IndodaxMarketSandbox(history_size=5) as ex:
        offset, epoch = ex.position(TICKS)
        for price in range(1, 7):
            ex.tick("btcidr", price, 1)
        with connected(ex) as client:
            answer = client.subscribe(TICKS, recover=True, offset=offset, epoch=epoch)
            assert "recovered" not in answer
            assert [item["offset"] - offset for item in answer["publications"]] == [2, 3, 4, 5, 6]
            client.ask(2, channel=TICKS)
            assert client.subscribe(TICKS, recover=True, offset=offset + 1, epoch=epoch)["recovered"] is True


def test_a_restart_forgets_everything(ex: IndodaxMarketSandbox) -> None:
    with connected(ex) as client:
        known = client.subscribe(TICKS)
        ex.restart()
        assert client.closing() == (3001, reason("shutdown", True))
        assert ex.sessions == []
    position = {"recover": True, "offset": known["offset"], "epoch": known["epoch"]}
    with connected(ex) as client:
        answer = client.subscribe(TICKS, **position)
        assert list(answer) == ["recoverable", "epoch"]
        assert answer["epoch"] != known["epoch"]
        ex.tick("btcidr", 1, 1)
        assert client.push()["data"]["offset"] == 1
        client.ask(2, channel=TICKS)
        assert client.subscribe(TICKS, **position) == {**answer, "offset": 1}


def test_a_new_epoch_leaves_connections_alone(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, TICKS, TRADES) as client:
        before, other = ex.position(TICKS)[1], ex.position(TRADES)
        ex.new_epoch(TICKS)
        ex.tick("btcidr", 1, 1)
        assert client.push()["data"]["offset"] == 1
        assert ex.position(TICKS)[1] != before
        assert ex.position(TRADES) == other


def test_loss_and_repetition(ex: IndodaxMarketSandbox) -> None:
    offset, epoch = ex.position(TICKS)
    with connected(ex, TICKS) as client:
        ex.lose_next(TICKS)
        ex.tick("btcidr", 1, 1)
        ex.tick("btcidr", 2, 1)
        push = client.push()
        assert push["data"]["offset"] == offset + 2
        ex.repeat(TICKS)
        assert client.push() == push
        client.ask(2, channel=TICKS)
        answer = client.subscribe(TICKS, recover=True, offset=offset, epoch=epoch)
        assert [item["data"][0][2] for item in answer["publications"]] == [1, 2]
        assert answer["recovered"] is True
        ex.skip_offset(TICKS)
        ex.tick("btcidr", 3, 1)
        assert client.push()["data"]["offset"] == offset + 4
        client.ask(2, channel=TICKS)
        answer = client.subscribe(TICKS, recover=True, offset=offset + 2, epoch=epoch)
        assert [item["offset"] for item in answer["publications"]] == [offset + 4]
        assert "recovered" not in answer
    ex.new_epoch(TICKS)
    with pytest.raises(LookupError):
        ex.repeat(TICKS)


def test_subscribing_while_the_market_runs_loses_nothing(ex: IndodaxMarketSandbox) -> None:
    with connected(ex) as client:
        ex.run(2000)
        known = client.subscribe(SUMMARY)
        for _ in range(10):
            number = client.command(2, channel=SUMMARY)
            expected = known["offset"]
            while True:
                answer = client.take()
                if "id" in answer:
                    break
                expected += 1
                assert answer["result"]["data"]["offset"] == expected
            assert answer == {"id": number, "result": {}}
            position = {"recover": True, "offset": expected, "epoch": known["epoch"]}
            known = client.subscribe(SUMMARY, **position)
            assert known["recovered"] is True
            assert known["offset"] == expected + len(known.get("publications", []))
        ex.pause()


@pytest.mark.parametrize("code", [100, 101, 109, 110, 111])
def test_planned_errors(ex: IndodaxMarketSandbox, code: int) -> None:
    ex.reject_next("connect", code)
    ex.reject_next("subscribe", 100, "busy", times=2)
    with opened(ex) as client:
        assert client.ask(0, token=ex.token)["error"]["code"] == code
        assert "result" in client.ask(0, token=ex.token)
        for _ in range(2):
            assert client.ask(1, channel=TICKS) == {"error": {"code": 100, "message": "busy"}}
        assert "offset" in client.subscribe(TICKS)
    assert ex.complaints == []


def test_lost_and_late_replies(ex: IndodaxMarketSandbox) -> None:
    with connected(ex) as client:
        ex.ignore_next("subscribe")
        client.command(1, channel=TICKS)
        assert client.ask(7) == {}
        assert client.ask(1, channel=TICKS)["error"]["code"] == 105
        ex.delay_replies(0.2)
        number = client.command(1, channel=TRADES)
        ex.wait_for_subscriber(TRADES)
        ex.trade("btcidr", "buy", 1, 1)
        assert client.push()["channel"] == TRADES
        answer = client.take()
        assert answer["id"] == number


def test_the_other_pushes(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, TICKS, TRADES) as client:
        ex.unsubscribe_push(TICKS, resubscribe=True)
        assert client.push() == {"type": 3, "channel": TICKS, "data": {"resubscribe": True}}
        assert ex.subscribers(TICKS) == []
        ex.join(TRADES, "c-1")
        assert client.push() == {"type": 1, "channel": TRADES, "data": {"info": {"user": "", "client": "c-1"}}}
        ex.leave(TRADES, "c-1", user="7")
        assert client.push() == {"type": 2, "channel": TRADES, "data": {"info": {"user": "7", "client": "c-1"}}}
        ex.send_message({"hello": 1})
        assert client.push() == {"type": 4, "data": {"data": {"hello": 1}}}
        ex.push(77, None, "market:x", session=ex.sessions[0])
        assert client.push() == {"type": 77, "channel": "market:x", "data": None}
        ex.unsubscribe_push()
        assert client.push() == {"type": 3, "channel": TRADES, "data": {"resubscribe": False}}
        client.send('{"method":8,"params":{"data":1}}')
        assert client.ask(7) == {}
    assert ex.complaints == ["connection 1: send, which nobody handles"]


@pytest.mark.parametrize(
    ("code", "text", "reconnect"),
    [
        (3000, "normal", True),
        (3001, "shutdown", True),
        (3002, "invalid token", False),
        (3003, "bad request", False),
        (3004, "internal server error", True),
        (3005, "expired", True),
        (3006, "subscription expired", True),
        (3007, "stale", False),
        (3008, "slow", True),
        (3009, "write error", True),
        (3010, "insufficient state", True),
        (3011, "force reconnect", True),
        (3012, "force disconnect", False),
        (3013, "connection limit", False),
    ],
)
def test_close_codes_and_their_reasons(ex: IndodaxMarketSandbox, code: int, text: str, reconnect: bool) -> None:
    with connected(ex) as client, connected(ex) as other:
        first, second = ex.sessions
        ex.close_connections(code, session=first)
        assert client.closing() == (code, reason(text, reconnect))
        ex.close_connections(code, "other", second, reconnect=not reconnect)
        assert other.closing() == (code, reason("other", not reconnect))


def test_codes_that_the_protocol_does_not_have(ex: IndodaxMarketSandbox) -> None:
    for options, text in (({}, "going"), ({"reconnect": False}, reason("going", False))):
        with connected(ex) as client:
            ex.close_connections(1001, "going", **options)  # type: ignore[arg-type]  # a dict of options has one type
            assert client.closing() == (1001, text)


def test_pings_say_ping_and_want_pong_frames() -> None:
    with IndodaxMarketSandbox(ping_interval=0.1, pong_timeout=2.0) as ex, connected(ex) as client:
        for _ in range(3):
            assert client.socket.recv_data(control_frame=True) == (9, b"ping")
        ex.wait_until(lambda: [item.text for item in ex.received if item.kind == "pong"][:2] == ["ping", "ping"])
        assert ex.complaints == []


def test_a_missing_pong_cuts_without_a_close_frame_whatever_else_is_said() -> None:
    with IndodaxMarketSandbox(ping_interval=0.5) as ex:
        assert ex.pong_timeout == pytest.approx(0.5556, abs=0.0001)
        with connected(ex, class_=Mute) as client:
            with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
                while True:
                    client.command(7)
                    client.take()
        ex.wait_until(lambda: ex.complaints == ["connection 1: no pong frame in time"])


def test_pings_can_be_held() -> None:
    with IndodaxMarketSandbox(ping_interval=0.05, pong_timeout=0.3) as ex:
        ex.hold_pings()
        with connected(ex) as client:
            client.socket.settimeout(0.5)
            with pytest.raises(websocket.WebSocketTimeoutException):
                client.socket.recv_data(control_frame=True)
            ex.release_pings()
            client.socket.settimeout(WAIT)
            assert client.socket.recv_data(control_frame=True) == (9, b"ping")


def test_expiry_and_refresh() -> None:
    with IndodaxMarketSandbox(ttl=1, expire_grace=0.0) as ex, connected(ex) as client:
        ex.ttl = 1000
        answer = client.ask(10, token=ex.token)
        assert list(answer["result"]) == ["client", "version", "expires", "ttl"]
        assert answer["result"]["ttl"] == 1000
        ex.ttl = 1
        with connected(ex) as other:
            assert other.closing() == (3005, reason("expired", True))
        assert client.ask(7) == {}
        client.command("refresh", token="other")
        assert client.closing() == (3002, reason("invalid token", False))


def test_a_client_that_does_not_read_is_slow(ex: IndodaxMarketSandbox) -> None:
    ex.slow_after, ex.queue_limit = 0.1, 10_000
    with FaultProxy("127.0.0.1", ex.port) as proxy, connected(ex, *all_channels(ex), url=proxy.url(of=ex.url)):
        session = ex.sessions[0]
        proxy.freeze()
        while ex.sessions and ex.published_count < 100_000:
            ex.random_walk(500)
        assert ex.sessions == []
        proxy.cut()
        assert session.closed.wait(WAIT)


def test_what_was_missed_while_stalled_comes_at_the_end(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, TICKS) as client:
        ex.stall()
        ex.tick("btcidr", 1, 1)
        ex.resume()
        assert client.push() == ex.published[0]
        ex.queue_limit = 10_000
        ex.stall()
        for price in range(1, 300):
            ex.tick("btcidr", price, 1)
        ex.resume()
        while True:
            opcode, data = client.socket.recv_data()
            if opcode == 8:
                break
        assert data == struct.pack("!H", 3008) + reason("slow", True).encode()


def test_any_origin_but_not_any_path(ex: IndodaxMarketSandbox) -> None:
    with connected(ex, origin="https://elsewhere.example"):
        assert ex.handshakes[0].headers["origin"] == "https://elsewhere.example"
    with pytest.raises(websocket.WebSocketBadStatusException) as refused, opened(ex, url=ex.url + "x"):
        pass
    assert refused.value.status_code == 404


def test_an_id_twice_is_remarked(ex: IndodaxMarketSandbox) -> None:
    with connected(ex) as client:
        client.numbers = 0
        assert client.ask(7) == {}
    assert len(ex.remarks) == len(ex.complaints) == 1


def test_over_tls() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with IndodaxMarketSandbox(ssl_context=server) as ex:
        assert ex.url.startswith("wss:")
        with connected(ex, *all_channels(ex), sslopt={"context": trusting}) as client:
            ex.random_walk(300)
            assert [client.push() for _ in range(300)] == ex.published
    assert ex.complaints == []


def test_closing_ends_threads_and_streams_live_on() -> None:
    before = set(threading.enumerate())
    ex = IndodaxMarketSandbox().start()
    port, epoch = ex.port, ex.position(TICKS)[1]
    with connected(ex, TICKS):
        ex.run(100)
        ex.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("sandbox")]
    offset = ex.position(TICKS)[0]
    ex.tick("btcidr", 1, 1)
    with ex:
        assert ex.port == port
        with connected(ex) as client:
            answer = client.subscribe(TICKS, recover=True, offset=offset, epoch=epoch)
            assert [item["data"][0][2] for item in answer["publications"]] == [1]
            assert answer["recovered"] is True
