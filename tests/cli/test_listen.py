"""`xchws listen` and what stands beside it, as a shell starts it: lines, JSON lines, exit status, Ctrl-C, closed pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Dict, Iterator, List, Tuple

import pytest

import xchws
from tests.cli.program import ROOT, WAIT, Program, environment
from xchws.cli import main
from xchws.sandbox import IndodaxMarketSandbox, IndodaxSandbox, KyrrexSandbox, RichamsterSandbox

XCHWS = ("-m", "xchws")


@pytest.fixture
def indodax() -> Iterator[IndodaxSandbox]:
    with IndodaxSandbox() as exchange:
        yield exchange


@pytest.fixture
def richamster() -> Iterator[RichamsterSandbox]:
    with RichamsterSandbox() as exchange:
        yield exchange


def listen_indodax(exchange: IndodaxSandbox, *arguments: str, **variables: str) -> Program:
    keys = {"INDODAX_KEY": exchange.key, "INDODAX_SECRET": exchange.secret, **variables}
    addresses = ("--url", exchange.url, "--rest-url", exchange.rest_url)
    return Program(*XCHWS, "listen", "indodax", *addresses, *arguments, **keys)


def listen_richamster(exchange: RichamsterSandbox, *arguments: str, **variables: str) -> Program:
    return Program(*XCHWS, "listen", "richamster", "--url", exchange.url, *arguments, **variables)


def objects(program: Program) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in program.lines]


def iso(milliseconds: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03}Z"


# --------------------------------------------------------------------------------------------------------- JSON lines


def test_json_lines_say_what_the_exchange_said(indodax: IndodaxSandbox) -> None:
    with listen_indodax(indodax, "--json", "--on", "order,fill", "--count", "4") as program:
        indodax.wait_for_subscriber(timeout=WAIT)
        order = indodax.place("btcidr", "BUY", "1600000000", "0.12345678", client_order_id='my "ördér"')
        indodax.fill(order)
        assert program.end() == 0
    assert program.errors == ""
    new, fill, done = (published["order"] for published in indodax.published)
    told = objects(program)
    assert [one["event"] for one in told] == ["Order", "Order", "Fill", "Order"]
    for one, wire in zip((told[0], told[1], told[3]), (new, fill, done)):
        assert {name: value for name, value in one.items() if name != "event"} == {
            "exchange": "indodax",
            "symbol": "btcidr",
            "time": iso(wire["transactionTime"]),
            "id": order.id,
            "client_order_id": 'my "ördér"',
            "side": "buy",
            "type": "limit",
            "status": "NEW" if wire is new else "FILLED",
            "price": "1600000000",
            "quantity": "0.12345678",
            "filled": wire["executedQty"],
            "remaining": wire["unfilledQty"],
            "average_price": None,
            "final": wire is not new,
            "exchange_status": wire["status"],
        }
    assert told[2]["id"] == fill["tradeId"]
    assert told[2]["quantity"] == fill["fillInformation"]["qty"]
    assert Decimal(told[2]["clearing_rate"]) == fill["fillInformation"]["clearingRate"]


def test_market_data_and_own_orders(richamster: RichamsterSandbox) -> None:
    channels = ("--channel", "ticker,trades, order_book,user_orders", "--pair", "BTC/UAH", "--pair", "ETH/UAH")
    with listen_richamster(
        richamster, "--json", *channels, "--on", "ticker,trade,book_level,order", RICHAMSTER_TOKEN=richamster.token
    ) as program:
        for channel in ("ticker", "trading", "order_book", "user_orders"):
            for pair in ("BTC/UAH", "ETH/UAH"):
                richamster.wait_for_subscriber(channel, pair, timeout=WAIT)
        order = richamster.place("BTC/UAH", "selling", "2650000.50", "0.10")
        richamster.fill(order)
        richamster.ticker("ETH/UAH", "98000.00")
        program.line('"ETH/UAH"')
        program.interrupt()
        assert program.end() == 130
    assert [one["event"] for one in objects(program)] == [
        *("Order", "BookLevel"),
        *("Order", "Trade", "BookLevel", "Ticker"),
        "Ticker",
    ]
    assert objects(program)[0]["price"] == "2650000.50"
    assert objects(program)[0]["quantity"] == "0.1"
    assert objects(program)[0]["id"] == order.id
    assert objects(program)[-1]["last"] == "98000.00"
    assert objects(program)[-1]["time"] is None
    assert richamster.token not in program.output + program.errors
    assert richamster.complaints == []


def test_connection_events(indodax: IndodaxSandbox) -> None:
    with listen_indodax(indodax, "--json") as program:
        program.line("Connected")
        order = indodax.place("btcidr", "BUY", "1600000000", "0.5")
        program.line(order.id)
        indodax.drop()
        program.line("Gap")
        program.interrupt()
        assert program.end() == 130
    assert program.errors == "", "errors are among the lines: no warning tells them again"
    told = {one["event"]: one for one in objects(program)}
    assert told["Connected"]["gap"] > 0
    assert told["Disconnected"]["retry_in"] >= 0
    assert told["Disconnected"]["error"] == {
        "type": "ConnectionLost",
        "text": "indodax: the connection was closed: 1006 the peer ended the connection without a close frame",
    }
    assert told["Failure"]["error"] == told["Disconnected"]["error"]
    gap = told["Gap"]
    assert gap["channels"] == ["orders"]
    assert gap["recovered"] is False
    assert gap["since"] <= gap["until"]
    assert gap["last_time"] == iso(order.created)
    assert datetime.fromisoformat(gap["since"].replace("Z", "+00:00")).tzinfo == timezone.utc
    assert indodax.secret not in program.output
    assert indodax.key not in program.output


def test_messages_and_what_has_no_class(richamster: RichamsterSandbox) -> None:
    arguments = ("--pair", "BTC/UAH", "--channel", "ticker", "--json", "--on", "message,other", "--count", "4")
    with listen_richamster(richamster, *arguments, RICHAMSTER_TOKEN=richamster.token) as program:
        richamster.wait_for_subscriber("ticker", "BTC/UAH", timeout=WAIT)
        richamster.ticker("BTC/UAH", "2650000.10")
        richamster.send_raw('{"pair": "BTC/UAH", "weather": 1.50, "said": ["x ' + richamster.token + ' x"]}')
        assert program.end() == 0
    answer, ticker, message, other = objects(program)
    assert answer["data"]["type"] == "success"
    assert ticker["data"]["last"] == "2650000.10"
    assert message["data"] == other["raw"] == {"pair": "BTC/UAH", "weather": "1.50", "said": ["x *** x"]}


# -------------------------------------------------------------------------------------------------------------- lines


def test_lines_for_people(indodax: IndodaxSandbox) -> None:
    with listen_indodax(indodax, "--count", "3") as program:
        indodax.wait_for_subscriber(timeout=WAIT)
        order = indodax.place("btcidr", "BUY", "1600000000", "0.5", client_order_id="two words\x1b[31m")
        indodax.cancel(order)
        assert program.end() == 0
    assert program.lines[0] == "indodax Connected attempt=1"
    assert program.lines[1] == (
        f"indodax Order symbol=btcidr time={iso(order.created)} id={order.id} "
        'client_order_id="two words\\u001b[31m" side=buy type=limit status=NEW price=1600000000 quantity=0.5 filled=0 '
        "remaining=0.5 final=false exchange_status=NEW"
    )
    assert "status=CANCELED" in program.lines[2]


def test_kyrrex() -> None:
    with KyrrexSandbox(engine=3) as exchange:
        addresses = ("--url", exchange.base_url, "--path", "/zsu/ws/v1", "--rest-url", exchange.rest_url)
        credentials = {"KYRREX_KEY": exchange.key, "KYRREX_SECRET": exchange.secret}
        arguments = (*addresses, "--engine", "3", "--json", "--on", "balance,deposit_address", "--count", "2")
        with Program(*XCHWS, "listen", "kyrrex", *arguments, **credentials) as program:
            exchange.wait_for_subscriber(timeout=WAIT)
            exchange.account("usdt", balance="82.98583320310", locked="14.12")
            address = exchange.deposit_address("trx", "trc20")
            assert program.end() == 0
    balance, found = objects(program)
    assert (balance["event"], balance["asset"], balance["free"]) == ("Account", "usdt", "82.9858332031")
    assert (found["event"], found["address"], found["dchain"]) == ("DepositAddress", address, "trc20")
    assert exchange.secret not in program.output and program.errors == ""


def test_indodax_market() -> None:
    with IndodaxMarketSandbox() as exchange:
        addresses = ("--url", exchange.url, "--token", exchange.token)
        channels = ("--channel", "summary,trades,order_book")
        arguments = (*addresses, "--pair", "btcusdt", *channels, "--json", "--count", "3")
        with Program(*XCHWS, "listen", "indodax-market", *arguments, "--on", "ticker,trade,order_book") as program:
            for channel in ("market:summary-24h", "market:trade-activity-btcusdt", "market:order-book-btcusdt"):
                exchange.wait_for_subscriber(channel, timeout=WAIT)
            exchange.trade("btcusdt", "sell", "97012.50", base="0.10")
            exchange.summary("btcusdt")
            exchange.order_book("btcusdt", bids=[("97012", "1.5")], asks=[])
            assert program.end() == 0
        assert exchange.complaints == []
    trade, day, book = objects(program)
    assert (trade["event"], trade["symbol"], trade["side"]) == ("MarketTrade", "btcusdt", "sell")
    assert (trade["price"], trade["quantity"], trade["quote_quantity"]) == ("97012.50", "0.10", "9701.25")
    assert (day["event"], day["last"], day["volume"]) == ("MarketTicker", "97012.50", "0.1")
    assert (book["event"], book["bids"], book["asks"]) == ("MarketOrderBook", [["97012", "1.5"]], [])
    assert program.errors == ""


def test_a_given_origin_is_sent() -> None:
    with RichamsterSandbox(require_origin="https://richamster.com") as exchange:
        arguments = ("--pair", "BTC/UAH", "--origin", "https://richamster.com", "--on", "connect", "--count", "1")
        with listen_richamster(exchange, *arguments) as program:
            assert program.end() == 0
    assert program.lines == ["richamster Connected attempt=1"]


# ----------------------------------------------------------------------------------------------------------- the ends


def test_duration_ends_it(richamster: RichamsterSandbox) -> None:
    with listen_richamster(richamster, "--pair", "BTC/UAH", "--duration", "0.2", "--on", "ticker") as program:
        assert program.end() == 0
    assert (program.output, program.errors) == ("", "")


def test_ctrl_c(indodax: IndodaxSandbox) -> None:
    with listen_indodax(indodax) as program:
        program.line("Connected")
        program.interrupt()
        assert program.end() == 130
    assert program.errors == ""


def test_a_closed_pipe_ends_it_quietly(indodax: IndodaxSandbox) -> None:
    process = subprocess.Popen(
        [sys.executable, *XCHWS, "listen", "indodax", "--url", indodax.url, "--rest-url", indodax.rest_url],
        cwd=str(ROOT),
        env=environment(INDODAX_KEY=indodax.key, INDODAX_SECRET=indodax.secret),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None and process.stderr is not None
        assert "Connected" in process.stdout.readline()
        process.stdout.close()
        indodax.place("btcidr", "BUY", "1600000000", "0.5")
        assert process.stderr.read() == ""
        assert process.wait(WAIT) == 0


def test_refused_credentials(indodax: IndodaxSandbox) -> None:
    with listen_indodax(indodax, INDODAX_SECRET="not-the-secret") as program:
        assert program.end() == 1
    assert program.errors.startswith("xchws: indodax: ")
    assert "Bad sign" in program.errors
    assert "Traceback" not in program.errors
    assert "not-the-secret" not in program.output + program.errors


def test_every_subscription_refused(richamster: RichamsterSandbox) -> None:
    richamster.reject_subscription("No such pair.", times=2)
    with listen_richamster(richamster, "--pair", "BTC/UAH") as program:
        assert program.end() == 1
    assert "No such pair." in program.errors
    assert "Traceback" not in program.errors
    assert "SubscriptionRejected" not in program.errors, "people read it"


def test_one_subscription_of_two_refused(richamster: RichamsterSandbox) -> None:
    richamster.reject_subscription("No such channel.")
    with listen_richamster(richamster, "--pair", "BTC/UAH", "--on", "trade", "--count", "1") as program:
        richamster.wait_for_subscriber("trading", "BTC/UAH", timeout=WAIT)
        richamster.trade("BTC/UAH", "buying", "2650000", "1")
        assert program.end() == 0
    assert "richamster Trade" in program.output
    assert "No such channel." in program.errors, "with errors left out of the lines, the logger's warning is heard"


# ----------------------------------------------------------------------------------------------------- wrong arguments


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("indodax",), "INDODAX_KEY"),
        (("indodax", "--on", "ordr"), "did you mean 'order'?"),
        (("indodax", "--on", "order,,fill"), "--on: there is no ''"),
        (("indodax", "--on", "xyz"), "there are balance, "),
        (("indodax", "--count", "0"), "--count"),
        (("indodax", "--duration", "-1"), "--duration"),
        (("indodax", "--origin", "https://indodax.com"), "No such option"),
        (("indodax-market",), "--pair btcidr"),
        (("indodax-market", "--pair", "BTC_IDR"), "did you mean 'btcidr'?"),
        (("richamster",), "--pair BTC/UAH"),
        (("richamster", "--pair", "btc-uah"), "did you mean 'BTC/UAH'?"),
        (("richamster", "--pair", "BTC/UAH", "--channel", "trade"), "did you mean 'trades'?"),
        (("richamster", "--pair", "BTC/UAH", "--channel", "user_orders"), "RICHAMSTER_TOKEN"),
        (("richamster", "--pair", "BTC/UAH", "--url", "http://127.0.0.1/"), "ws://"),
        (("richamster", "--pair", "BTC/UAH", "--origin", "richamster.com"), "origin"),
        (("moon",), "No such command 'moon'"),
    ],
)
def test_wrong_arguments(
    arguments: Tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INDODAX_KEY", "INDODAX_SECRET", "RICHAMSTER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert main(["listen", *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_an_environment_that_there_is_not(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDODAX_KEY", "a-key")
    monkeypatch.setenv("INDODAX_SECRET", "a-secret")
    assert main(["listen", "indodax", "--environment", "moon"]) == 2
    assert "'production' or 'demo'" in capsys.readouterr().err


def test_wrong_arguments_end_the_process_with_2() -> None:
    with Program(*XCHWS, "listen", "richamster") as program:
        assert program.end() == 2
    assert program.errors.startswith("Usage: xchws listen richamster")


# --------------------------------------------------------------------------------------------- version, sandbox, extras


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"xchws {xchws.__version__}\n"


def test_help_explains_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "richamster", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Amounts are strings" in said
    assert "ISO 8601" in said
    assert "RICHAMSTER_TOKEN" in said
    assert "ticker,trades by default" in said


def test_sandbox_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "indodax", "--duration", "0.1", "--rate", "0"]) == 0
    assert "rest_url  http://127.0.0.1:" in capsys.readouterr().out
    assert main(["sandbox", "moon"]) == 2
    assert main(["sandbox", "--help"]) == 0


@pytest.mark.parametrize(
    ("missing", "arguments", "says"),
    [
        ("click", ["--version"], 'the xchws command needs the extra: pip install "xchws[cli]"'),
        ("rich", ["--version"], 'the xchws command needs the extra: pip install "xchws[cli]"'),
        ("websockets", ["demo"], 'the sandbox needs the extra: pip install "xchws[sandbox]"'),
        ("websockets", ["sandbox", "indodax"], 'the sandbox needs the extra: pip install "xchws[sandbox]"'),
    ],
)
def test_missing_extra(missing: str, arguments: List[str], says: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from xchws.cli import main; sys.exit(main({arguments!r}))"
    with Program("-c", code) as program:
        assert program.end() == 1
    assert program.errors.strip() in (says, f"Error: {says}")
    assert program.output == ""
