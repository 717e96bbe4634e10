"""docs/adding-an-exchange.md, taken at its word: its files and lines, added to a copy of xchws, are a sixth exchange.

A block belongs to the file that the heading above it names: a Python block is the whole file, a diff block adds lines below
one that is there. The copy is used in two ways: in another process, as a package of its own, by the test that the page shows;
and in this one, its new files as if they lay among the others.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import shutil
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple, Type

import msgspec
import pytest

import xchws.exchanges
import xchws.sandbox
from tests.docs import pages
from tests.docs.conftest import QUICK, WAIT
from tests.docs.pages import ROOT
from tests.packaging import test_import_walls as walls
from xchws.credentials import Secrets
from xchws.sansio.actions import Accepted, Close, Output, Ready, Refused, Renew, Send, Topic, Unanswered
from xchws.sansio.protocol import Protocol

PAGE = ROOT / "docs" / "adding-an-exchange.md"
TEST = "tests/client/test_pond_live.py"
NEW_MODULES = ("xchws.exchanges.pond", "xchws.sandbox.pond")
DUCK, FROG = Topic("ticker", ("DUCK/REED",)), Topic("ticker", ("FROG/REED",))


def _by_file(language: str) -> Dict[str, List[str]]:
    """File -> its blocks in this language."""
    lines = pages.text_of(PAGE).splitlines()
    found: Dict[str, List[str]] = {}
    for block in pages.blocks(PAGE):
        if block.language == language:
            heading = next(line for line in reversed(lines[: block.line - 2]) if line.startswith("##"))
            named = re.fullmatch(r"### `([\w/.]+)`", heading)
            assert named is not None, f"{block.name}: the heading above it names no file"
            found.setdefault(named[1], []).append(block.text)
    return found


FILES = {path: "".join(texts) for path, texts in _by_file("python").items()}
LINES = _by_file("diff")


def _with_lines(text: str, diff: str) -> str:
    """The text of a file with the lines of a diff below the one that they are to follow."""
    above, *added = diff.splitlines()
    assert above.startswith(" ") and added and all(line.startswith("+") for line in added), diff
    lines = text.splitlines()
    assert lines.count(above[1:]) == 1, f"there must be one line {above[1:]!r} for the page's lines to follow"
    place = lines.index(above[1:]) + 1
    return "\n".join([*lines[:place], *(line[1:] for line in added), *lines[place:], ""])


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with xchws in it, and what the page adds."""
    top = tmp_path_factory.mktemp("copy")
    shutil.copytree(str(ROOT / "xchws"), str(top / "xchws"), ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in FILES.items():
        assert not (ROOT / path).exists(), f"{path} is there already"
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text, encoding="utf-8")
    for path, diffs in LINES.items():
        text = (top / path).read_text(encoding="utf-8")
        for diff in diffs:
            text = _with_lines(text, diff)
        (top / path).write_text(text, encoding="utf-8")
    return top


class Pond(NamedTuple):
    """What the page's modules offer."""

    client: Any
    protocol: Any
    sandbox: Any


@pytest.fixture(scope="module")
def pond(copy: Path) -> Iterator[Pond]:
    """The new files, imported as parts of the xchws that is under test here."""
    with pytest.MonkeyPatch.context() as patch:
        for package in (xchws.exchanges, xchws.sandbox):
            folder = copy.joinpath(*package.__name__.split("."))
            patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        try:
            yield Pond(
                importlib.import_module("xchws.exchanges.pond.client").Pond,
                importlib.import_module("xchws.exchanges.pond.protocol").PondProtocol,
                importlib.import_module("xchws.sandbox.pond").PondSandbox,
            )
        finally:
            for name in [name for name in sys.modules if name.startswith(NEW_MODULES)]:
                del sys.modules[name]
            for package in (xchws.exchanges, xchws.sandbox):
                vars(package).pop("pond", None)


# ------------------------------------------------------------------------------------------------- its files and lines


def test_it_asks_for_no_other_change() -> None:
    folder = [f"xchws/exchanges/pond/{name}.py" for name in ("__init__", "client", "models", "protocol")]
    assert sorted(FILES) == sorted([*folder, "xchws/sandbox/pond.py", TEST])
    added = {path: len(re.findall(r"^\+.", "".join(diffs), re.MULTILINE)) for path, diffs in LINES.items()}
    assert added == {"xchws/__init__.py": 2, "xchws/sandbox/__init__.py": 3, "xchws/sandbox/catalogue.py": 1}


def test_its_files_keep_the_walls() -> None:
    broken: List[str] = []
    for path, source in FILES.items():
        room, _, inside = path.partition("/")
        if room == "xchws":
            for wall in walls.WALLS:
                broken += walls.findings(wall, inside, source)
            broken += [found for found in (walls.neighbour(inside, source),) if found]
            broken += [found for found in (walls.nameless_logger(inside, source),) if found]
    assert broken == []


def _run(copy: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=str(copy),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV_"))},
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_its_test_passes(copy: Path) -> None:
    said = _run(copy, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(copy), TEST)
    assert f"{FILES[TEST].count('def test_')} passed" in said


def test_its_lines_make_it_known(copy: Path) -> None:
    program = (
        "from xchws import *\n"
        "from xchws.sandbox.__main__ import main\n"
        "print(Pond.__module__, flush=True)\n"
        "main(['pond', '--rate', '1000', '--duration', '0.05'])\n"
    )
    imported, summary, *instructions = _run(copy, "-W", "error", "-c", program).splitlines()
    assert imported == "xchws.exchanges.pond.client" and summary == "Pond: prices, simulated"
    assert [line.split()[0] for line in instructions] == ["url", "key"]


# ------------------------------------------------------------------------------------- its protocol: bytes in, outputs out


def _opened(pond: Pond, *topics: Topic) -> Protocol:
    """A connection that is logged in; the topics have the ids 2, 3, …"""
    protocol: Protocol = pond.protocol("key", Secrets())
    (hello,) = protocol.opened(0.0)
    assert isinstance(hello, Send) and msgspec.json.decode(hello.payload) == {"op": "hello", "id": 1, "key": "key"}
    assert protocol.received(b'{"id":1,"ok":true}', 0.0) == [Ready()]
    for number, topic in enumerate(topics, 2):
        (asked,) = protocol.subscribe(topic, 0.0)
        assert isinstance(asked, Send) and msgspec.json.decode(asked.payload)["id"] == number
    return protocol


def _error_of(output: Output) -> xchws.XchwsError:
    assert isinstance(output, (Close, Refused, xchws.Failure))
    return output.error


CODES: Tuple[Tuple[str, str, Type[xchws.XchwsError], Dict[str, Any]], ...] = (
    ("10", '{"id":1,"error":{"code":10,"text":"t"}}', xchws.AuthenticationFailed, {"code": 10}),
    ("20", '{"id":2,"error":{"code":20,"text":"t"}}', xchws.SubscriptionRejected, {"code": 20, "message": "t"}),
    ("30", '{"id":1,"error":{"code":30,"wait":2.5}}', xchws.RateLimited, {"code": 30, "retry_after": 2.5}),
    ("any other, to a hello", '{"id":1,"error":{"code":99}}', xchws.OpenFailed, {"retry_after": None}),
    ("any other, without an id", '{"error":{"code":99,"text":"t"}}', xchws.ExchangeError, {"code": 99}),
)


@pytest.mark.parametrize(("code", "text", "error", "said"), CODES, ids=[code for code, *_ in CODES])
def test_every_code(pond: Pond, code: str, text: str, error: Type[xchws.XchwsError], said: Dict[str, Any]) -> None:
    (row,) = (row for table in pages.tables(PAGE) for row in table if row.get("code") == code)
    assert f"`{error.__name__}`" in row["becomes"]
    (output,) = _opened(pond, DUCK).received(text.encode(), 1.0)
    made = _error_of(output)
    assert type(made) is error and {name: getattr(made, name) for name in said} == said
    ends = isinstance(output, Close) and not made.retryable
    assert ends == ("the client stops" in row["becomes"])
    assert isinstance(output, Close) == (error in (xchws.AuthenticationFailed, xchws.RateLimited, xchws.OpenFailed))


def test_every_close_code(pond: Pond) -> None:
    table = next(table for table in pages.tables(PAGE) if table[0].get("code") == "10")
    assert [row["code"] for row in table] == [*(code for code, *_ in CODES), "close code 4001", "any other close code"]
    protocol = _opened(pond)
    ended, other = protocol.closed(4001, "no more"), protocol.closed(1012, "")
    assert isinstance(ended.error, xchws.ConnectionLost) and isinstance(other.error, xchws.ConnectionLost)
    assert isinstance(ended.verdict, xchws.AuthenticationFailed) and ended.limit == 3
    assert other.verdict is None


def test_answers_find_their_subscription(pond: Pond) -> None:
    protocol = _opened(pond, DUCK, FROG)
    assert protocol.received(b'{"id":3,"ok":true}', 1.0) == [Accepted(FROG)]
    assert protocol.received(b'{"id":3,"ok":true}', 1.0) == []
    due = protocol.deadline()
    assert due is not None and protocol.wake(due - 0.1) == []
    assert protocol.wake(due) == [Unanswered(DUCK)]
    assert protocol.deadline() is None


def test_nobody_waits_for_the_answer_after_unsubscribing(pond: Pond) -> None:
    protocol = _opened(pond, DUCK)
    (left,) = protocol.unsubscribe(DUCK, 1.0)
    assert isinstance(left, Send) and b'"unsubscribe"' in left.payload
    (again,) = protocol.subscribe(DUCK, 1.0)
    assert protocol.received(b'{"id":2,"ok":true}', 1.0) == []
    assert isinstance(again, Send) and msgspec.json.decode(again.payload)["id"] == 4
    assert protocol.received(b'{"id":4,"ok":true}', 1.0) == [Accepted(DUCK)]


PRICE = '{"pair":"DUCK/REED","price":1.2300,"at":1767225600000}'
BAD_PRICES = (
    "null", "7", '"x"', "[]", "{}", '{"pair":"DUCK/REED"}', '{"price":1}', '{"pair":null,"price":1}',
    '{"pair":"DUCK/REED","price":null}', '{"pair":"DUCK/REED","price":"dear"}', '{"pair":"DUCK/REED","price":true}',
    '{"pair":"DUCK/REED","price":"NaN"}', '{"pair":"DUCK/REED","price":"-Infinity"}',
    '{"pair":"DUCK/REED","price":1,"at":"noon"}', '{"pair":"DUCK/REED","price":[1]}',
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD_PRICES)
def test_a_bad_price_does_not_lose_its_neighbours(pond: Pond, bad: str) -> None:
    text = f'{{"prices":[{PRICE},{bad},{PRICE}],"since":"long ago"}}'.encode()
    first, failure, last = _opened(pond).received(text, 1.0)
    assert isinstance(first, xchws.Ticker) and isinstance(last, xchws.Ticker)
    assert str(first.last) == str(last.last) == "1.2300"
    assert first.raw == last.raw == {"pair": "DUCK/REED", "price": first.last, "at": 1767225600000}
    assert isinstance(failure, xchws.Failure) and isinstance(failure.error, xchws.ProtocolError)
    assert failure.error.text == bad


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{}", xchws.Other),
        ('{"weather":"rain"}', xchws.Other),
        ('{"prices":[]}', None),
        ('{"bye":60}', Renew),
        ('{"bye":"soon"}', xchws.Failure),
        ('{"prices":7}', xchws.Failure),
        ('{"id":2}', xchws.Failure),
        ('{"id":1,"ok":"yes"}', xchws.Failure),
        ('{"id":2,"error":"no"}', xchws.Failure),
        ('{"id":2,"error":{}}', xchws.Failure),
        ('{"error":{"code":20}}', xchws.Failure),
        ("[]", xchws.Failure),
        ("no json", xchws.Failure),
        ("[" * 100_000, xchws.Failure),
    ],
)
def test_whatever_comes_is_told(pond: Pond, text: str, kind: Any) -> None:
    made = _opened(pond, DUCK).received(text.encode(), 1.0)
    assert [type(output) for output in made] == ([] if kind is None else [kind])


def test_two_connections_tell_the_same_thing(pond: Pond) -> None:
    one, other = _opened(pond), _opened(pond)
    seen = []
    for protocol, text in ((one, PRICE), (other, PRICE), (other, PRICE.replace("1.2300", "1.2301"))):
        (event,) = protocol.received(f'{{"prices":[{text}]}}'.encode(), 1.0)
        assert isinstance(event, xchws.Data)
        seen.append(protocol.identity(event))
    assert seen[0] == seen[1] != seen[2]
    assert one.identity(xchws.Other()) is None


# -------------------------------------------------------------------------------------------------- over a real socket


@pytest.fixture
def exchange(pond: Pond) -> Iterator[Any]:
    with pond.sandbox(seed=1) as running:
        yield running


@pytest.fixture
def client(pond: Pond, exchange: Any) -> Iterator[Any]:
    made = pond.client(exchange.key, url=exchange.url, backoff=QUICK)
    yield made
    assert made.stop(WAIT)


def _subscribed(client: Any, *pairs: str) -> None:
    subscriptions = [client.subscribe_ticker(pair) for pair in pairs]
    client.start(WAIT)
    for subscription in subscriptions:
        subscription.wait(WAIT)


@pytest.mark.parametrize("pair", ["DUCK", "duck/reed", "", None, 7])
def test_a_pair_of_another_form_is_refused_at_once(client: Any, pair: Any) -> None:
    with pytest.raises(xchws.ConfigurationError) as refused:
        client.subscribe_ticker(pair)
    assert refused.value.argument == "pair"


def test_a_limit_is_kept(exchange: Any, client: Any) -> None:
    exchange.busy = 0.05
    refused = client.expect(xchws.Disconnected)
    client.start()
    ended = refused.result(WAIT)
    assert isinstance(ended.error, xchws.RateLimited) and ended.retry_in >= 0.05
    exchange.busy = None
    client.wait_ready(WAIT)


def test_a_planned_end_leaves_no_gap(exchange: Any, client: Any) -> None:
    told: List[Any] = []
    client.on(xchws.Event, told.append)
    _subscribed(client, "DUCK/REED", "FROG/REED")
    (first,) = exchange.sessions
    exchange.send_raw('{"bye":60}')
    # It is asked for a sign of life once its successor serves all; what it tells after that shows that it has told all.
    exchange.wait_until(lambda: [each for each in exchange.received if (each.kind, each.session) == ("ping", 1)], WAIT)
    before = client.expect(xchws.Ticker)
    exchange.price("DUCK/REED", "1.10")
    before.result(WAIT)
    exchange.drop(first)
    exchange.wait_until(lambda: len(exchange.sessions) == 1, WAIT)
    after = client.expect(xchws.Ticker, symbol="FROG/REED")
    exchange.price("FROG/REED", "2.20")
    after.result(WAIT)
    assert client.stop(WAIT)
    assert [str(event.last) for event in told if isinstance(event, xchws.Ticker)] == ["1.10", "2.20"]
    assert [event for event in told if isinstance(event, (xchws.Gap, xchws.Failure))] == []
    assert exchange.opened == 2 and exchange.complaints == []


class _Everything(logging.Handler):
    """Keeps whatever is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [self.format(record), repr(record.__dict__)]


def test_the_key_is_never_shown(exchange: Any, client: Any) -> None:
    texts: List[str] = []
    client.on(xchws.Event, lambda event: texts.append(repr(event)))
    client.on_error(lambda error: texts.append("".join(traceback.format_exception(type(error), error, None))))
    client.on_message(lambda message: texts.append(repr(message)))
    log, root = _Everything(), logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        _subscribed(client, "DUCK/REED")
        lost = client.expect(xchws.Disconnected)
        for said in (f"no json {exchange.key}", f'{{"error":{{"code":99,"text":"who is {exchange.key}?"}}}}'):
            exchange.send_raw(said)
        exchange.close_connections(4001, f"no more {exchange.key}")
        lost.result(WAIT)
        client.wait_ready(WAIT)
        real, exchange.key = exchange.key, "renewed"
        ended = client.expect(xchws.Stopped)
        exchange.drop()
        assert isinstance(ended.result(WAIT).error, xchws.AuthenticationFailed)  # the text repeats the key
        assert client.stop(WAIT)
    finally:
        root.removeHandler(log)
        root.setLevel(level)
    texts += [*log.texts, repr(client), repr(client.status()), repr(client._exchange)]
    assert [text for text in texts if real in text] == []
    assert sum("***" in text for text in texts) >= 4
