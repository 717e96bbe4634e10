"""The pages against the code: what they show runs, what they name exists, what they promise is all there is.

A further exchange needs a row in the README's table of exchanges and a page in docs/ named as its folder, with its events in
tables that have a column `callback` and its arguments in one with a column `argument`; for the walk below, an entry in WALKS.
"""

from __future__ import annotations

import ast
import builtins
import configparser
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Set, Tuple, Type

import attrs
import pytest

import xchws
from tests.docs import pages
from tests.docs.conftest import QUICK, RUNNERS, WAIT
from tests.docs.pages import PAGES, ROOT, Block
from xchws import errors
from xchws.cli import LISTENERS
from xchws.hooks import Hook
from xchws.sandbox import (
    FinerySandbox,
    IndodaxMarketSandbox,
    IndodaxSandbox,
    KyanSandbox,
    KyrrexSandbox,
    RichamsterSandbox,
)

README = ROOT / "README.md"

PYTHON = [block for page in PAGES for block in pages.blocks(page) if block.language == "python"]
RUN = [block for block in PYTHON if block.mark.run]
page_by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

CLIENTS: Dict[str, Type[xchws.Client]] = {
    name: found
    for name, found in vars(xchws).items()
    if name in xchws.__all__
    and inspect.isclass(found)
    and issubclass(found, xchws.Client)
    and found is not xchws.Client
}
client_by_client = pytest.mark.parametrize("client_class", list(CLIENTS.values()), ids=list(CLIENTS))


# -------------------------------------------------------------------------------------------------------------- blocks


def test_there_is_something_to_run() -> None:
    assert {block.mark.run for block in RUN} >= {"indodax", "richamster", "tests"}


@page_by_page
def test_every_comment_is_the_mark_of_a_python_block(page: Path) -> None:
    marked = [block for block in pages.blocks(page) if block.mark != pages.Mark()]
    assert pages.marks(page) == len(marked)
    for block in marked:
        assert block.language == "python" and block.mark.run in RUNNERS, block.name
        assert block.mark.run == "tests" or block.mark.until, f"{block.name}: until when?"


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_every_block_is_python(block: Block) -> None:
    compile("\n" * (block.line - 1) + block.text, block.name, "exec")


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_a_marked_block_runs(block: Block, run_block: Callable[[Block], None]) -> None:
    run_block(block)


# --------------------------------------------------------------------------------------------------------------- names


def _hooks(client_class: Type[xchws.Client]) -> Dict[str, Hook[Any]]:
    found = ((name, getattr(client_class, name)) for name in dir(client_class))
    return {name: hook for name, hook in found if isinstance(hook, Hook)}


def _package(client_class: Type[xchws.Client]) -> str:
    return client_class.__module__.rpartition(".")[0]


def _page(client_class: Type[xchws.Client]) -> Path:
    return ROOT / "docs" / f"{_package(client_class).rpartition('.')[2]}.md"


def _classes_of_the_code() -> Set[str]:
    found: Set[str] = set()
    for path in (ROOT / "xchws").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found.update(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return found


CLASSES = _classes_of_the_code()
FOREIGN = {"SSLContext", "NullHandler", "WebSocketApp", "Origin", "Decimal"}
"""Capitalised words between backticks that are other people's classes, or headers."""


@page_by_page
def test_every_dotted_name_exists(page: Path) -> None:
    named = set(re.findall(r"\bxchws(?:\.[A-Za-z_]\w*)+", pages.text_of(page)))
    for name in sorted(named):
        pkgutil.resolve_name(name)


@page_by_page
def test_every_callback_and_method_exists(page: Path) -> None:
    text = pages.text_of(page)
    for name in sorted(set(re.findall(r"\bon_[a-z_]*[a-z]\b", text))):
        assert any(name in _hooks(each) for each in CLIENTS.values()), name
    for name in sorted(set(re.findall(r"\b(?:client\.|(?=subscribe_[a-z]))([a-z_]*[a-z])\(", text))):
        assert any(hasattr(each, name) for each in CLIENTS.values()), name


@page_by_page
def test_every_class_and_attribute_exists(page: Path) -> None:
    for word in pages.code_words(page):
        found = re.fullmatch(r"([A-Z][a-z]\w*)(?:\.(\w+))?(?:\(.*\))?", word)
        if found is None or found[1] in FOREIGN:
            continue
        name, attribute = found[1], found[2]
        assert name in CLASSES or hasattr(builtins, name), f"{page.name}: there is no {name}"
        if attribute is None:
            continue
        owner = getattr(xchws, name, None)
        if owner is not None:
            fields = {field.name for field in attrs.fields(owner)} if attrs.has(owner) else set()
            assert attribute in fields or hasattr(owner, attribute), f"{page.name}: {word}"


def test_the_tree_of_errors_is_whole() -> None:
    (tree,) = (block.text for block in pages.blocks(README) if block.text.startswith("XchwsError"))
    drawn = re.findall(r"\b[A-Z]\w+", re.sub(r"\(\w+\)", "", tree))
    real = {name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, Exception)}
    assert sorted(drawn) == sorted(real)
    for name, builtin in re.findall(r"(\w+) \((\w+)\)", tree):
        assert issubclass(getattr(xchws, name), getattr(builtins, builtin))


def test_every_error_and_callback_is_in_the_readme() -> None:
    text = pages.text_of(README)
    assert [name for name in xchws.__all__ if name not in text and hasattr(errors, name)] == []
    assert [name for name in _hooks(xchws.Client) if f"`{name}`" not in text] == []


def test_defaults_are_those_of_the_code() -> None:
    text = pages.text_of(README)
    backoff = re.search(r"xchws\.Backoff\((initial=[^)]*stable=[^)]*)\)", text)
    assert backoff is not None
    given = dict(part.split("=") for part in backoff[1].split(", "))
    assert {name: float(value) for name, value in given.items()} == {
        field.name: field.default for field in attrs.fields(xchws.Backoff) if field.default is not None
    }
    for name, parameter in inspect.signature(xchws.Client.__init__).parameters.items():
        if name != "backoff" and parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            default = parameter.default
            spelled = (
                f'"{default}"' if isinstance(default, str) else f"{default:_}" if type(default) is int else default
            )
            assert f"`{name}={spelled}`" in text


# ---------------------------------------------------------------------------------------------------- links, commands


@page_by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in pages.links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert target == ROOT or ROOT in target.parents, f"{page.name}: {link} leads out of the repository"
        assert not anchor or anchor in pages.anchors(target), f"{page.name}: {link}"


def test_every_page_is_linked() -> None:
    reached = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in pages.links(page)}
    assert [page.name for page in PAGES if page not in reached] == []


@page_by_page
def test_every_command_exists(page: Path) -> None:
    text = pages.text_of(page)
    for target in re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE):
        assert re.search(rf"^{re.escape(target)}:", pages.text_of(ROOT / "Makefile"), re.MULTILINE), target
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for extras in re.findall(r'"xchws\[([\w,]+)\]"', text):
        assert set(extras.split(",")) <= set(setup["options.extras_require"]), extras
    for exchange in re.findall(r"xchws listen (\w+)", text):
        assert exchange in LISTENERS


def test_the_pythons_are_those_of_the_metadata() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    declared = re.findall(r":: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    (said,) = re.findall(r"^CPython (.*)\. The package", pages.text_of(README), re.MULTILINE)
    assert re.findall(r"3\.\d+", said) == declared


def test_the_changelog_names_this_version() -> None:
    assert re.search(rf"^## \[{re.escape(xchws.__version__)}\]", pages.text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)


# ----------------------------------------------------------------------------------------------------------- exchanges


def _rows(page: Path, column: str) -> List[Dict[str, str]]:
    return [row for table in pages.tables(page) for row in table if column in row]


def _named(text: str, prefix: str) -> Set[str]:
    return set(re.findall(rf"\b{prefix}_[a-z_]*[a-z]\b", text))


def _row(client_class: Type[xchws.Client]) -> Dict[str, str]:
    rows = [row for row in _rows(README, "class") if row["class"] == f"`xchws.{client_class.__name__}`"]
    assert len(rows) == 1, f"the README's table of exchanges has {len(rows)} rows for {client_class.__name__}"
    return rows[0]


def _modules(package: str) -> List[Any]:
    """The modules of an exchange that its exported clients are made of: their own and what these import of the folder."""
    waiting = [found.__module__ for found in CLIENTS.values() if _package(found) == package]
    modules: Dict[str, Any] = {}
    while waiting:
        name = waiting.pop()
        if name not in modules:
            modules[name] = importlib.import_module(name)
            for node in ast.walk(ast.parse(inspect.getsource(modules[name]))):
                if isinstance(node, ast.ImportFrom) and node.module is not None:
                    if node.module.startswith(f"{package}."):
                        waiting.append(node.module)
                    elif node.module == package:
                        waiting += [f"{package}.{one.name}" for one in node.names]
    return list(modules.values())


def _emitted(client_class: Type[xchws.Client]) -> Set[str]:
    """The callbacks of every event class that the exchange's modules make."""
    found: Set[str] = set()
    for module in _modules(_package(client_class)):
        for known in vars(module).values():
            if inspect.isclass(known) and issubclass(known, xchws.Data) and known is not xchws.Data:
                found |= _callbacks(client_class, known)
    return found


def _callbacks(client_class: Type[xchws.Client], event_class: Type[xchws.Event]) -> Set[str]:
    return {name for name, hook in _hooks(client_class).items() if issubclass(event_class, hook.event_class)}


@client_by_client
def test_every_exchange_has_its_row(client_class: Type[xchws.Client]) -> None:
    row = _row(client_class)
    heard = _named(row["what you hear"], "on")
    assert heard and heard <= _emitted(client_class)
    there = {name for name in dir(client_class) if name.startswith("subscribe_")}
    named = _named(row["subscribing"], "subscribe")
    assert named <= there and bool(named) == bool(there)
    page = _page(client_class)
    if page.is_file():
        assert f"(docs/{page.name})" in row["page"]
    else:
        assert row["page"] == f"`help(xchws.{client_class.__name__})`" and client_class.__doc__


WITH_PAGE = [found for found in CLIENTS.values() if _page(found).is_file()]


@pytest.mark.parametrize("client_class", WITH_PAGE, ids=lambda found: found.__name__)
def test_every_page_is_whole(client_class: Type[xchws.Client]) -> None:
    page = _page(client_class)
    text = pages.text_of(page)
    assert f"`xchws.{client_class.__name__}`" in text
    assert {name for name in dir(client_class) if name.startswith("subscribe_")} <= _named(text, "subscribe")
    for heading in ("## What is a guess", "## Sources"):
        assert heading in text
    assert "read 2026-11" in text
    told = _named(" ".join(row["callback"] for row in _rows(page, "callback")), "on")
    of_this_page = [found for found in WITH_PAGE if _page(found) == page]
    assert told == set().union(*(_emitted(found) for found in of_this_page)), (
        "the tables name the callbacks that are fed, and no other"
    )
    arguments = set(re.findall(r"`(\w+)`", " ".join(row["argument"] for row in _rows(page, "argument"))))
    parameters = inspect.signature(client_class.__init__).parameters.values()
    assert {one.name for one in parameters if one.kind is not one.VAR_KEYWORD} - {"self"} <= arguments


def _finery(exchange: Any) -> xchws.Client:
    exchange.settlement("EUR", 5)  # the walk settles nothing; the snapshots tell of these
    exchange.transaction("BTC", 5)
    exchange.limit_change(gross_limit=5)
    client = xchws.Finery(exchange.key, exchange.secret, url=exchange.url, backoff=QUICK)
    for subscribe in (
        client.subscribe_orders,
        client.subscribe_positions,
        client.subscribe_limits,
        client.subscribe_settlements,
        client.subscribe_settlement_transactions,
    ):
        subscribe()
    client.subscribe_order_book("BTC-EUR")
    return client


def _indodax(exchange: Any) -> xchws.Client:
    return xchws.Indodax(exchange.key, exchange.secret, url=exchange.url, rest_url=exchange.rest_url, backoff=QUICK)


def _indodax_market(exchange: Any) -> xchws.Client:
    client = xchws.IndodaxMarket(url=exchange.url, token=exchange.token, backoff=QUICK)
    client.subscribe_summary()
    for pair in exchange.pairs:
        for subscribe in (client.subscribe_ticks, client.subscribe_trades, client.subscribe_order_book):
            subscribe(pair)
    return client


def _kyan(exchange: Any) -> xchws.Client:
    exchange.fill(exchange.place("ETH_USDC-PERPETUAL", "buy", "3000", "500"))
    account = exchange.account().smart_account_address
    client = xchws.Kyan(exchange.key, url=exchange.url, backoff=QUICK)
    for pair in ("BTC_USDC", "ETH_USDC", "ARB_USDC"):
        client.subscribe_index_price(pair)
        client.subscribe_funding(f"{pair}-PERPETUAL")
    client.subscribe_orderbook_perps()
    client.subscribe_trades()
    for subscribe in (
        client.subscribe_trades,
        client.subscribe_account_state,
        client.subscribe_orderbook_maker,
        client.subscribe_transfers,
        client.subscribe_position,
    ):
        subscribe(account)
    return client


def _more_of_kyan(exchange: Any) -> None:
    """What the walk does not do."""
    exchange.transfer("deposit", "USDC", "5")
    exchange.publish_positions()
    exchange.fill(
        exchange.place("ETH_USDC-PERPETUAL", "buy", "3000", "10", key=exchange.add_account("another_key").key)
    )


def _kyrrex(exchange: Any) -> xchws.Client:
    return xchws.Kyrrex(exchange.key, exchange.secret, url=exchange.url, rest_url=exchange.rest_url, backoff=QUICK)


def _richamster(exchange: Any) -> xchws.Client:
    client = xchws.Richamster(exchange.token, url=exchange.url, backoff=QUICK)
    for pair in ("BTC/UAH", "ETH/UAH", "KRB/UAH"):
        for subscribe in (
            client.subscribe_ticker,
            client.subscribe_order_book,
            client.subscribe_trades,
            client.subscribe_user_orders,
        ):
            subscribe(pair)
    return client


WALKS: Tuple[Tuple[Any, Callable[[Any], xchws.Client]], ...] = (
    (FinerySandbox, _finery),
    (IndodaxSandbox, _indodax),
    (IndodaxMarketSandbox, _indodax_market),
    (KyanSandbox, _kyan),
    (KyrrexSandbox, _kyrrex),
    (RichamsterSandbox, _richamster),
)


MORE: Dict[Any, Callable[[Any], None]] = {KyanSandbox: _more_of_kyan}
UNKNOWN = {KyrrexSandbox: '42["unheard_of",{}]'}
"""What is Other on an exchange, where it is not the text below."""


@pytest.mark.parametrize(("sandbox", "make"), WALKS, ids=[sandbox.__name__ for sandbox, _ in WALKS])
def test_what_really_comes_is_what_the_tables_name(sandbox: Any, make: Callable[[Any], xchws.Client]) -> None:
    with sandbox(seed=1) as exchange:
        client = make(exchange)
        told = _named(_row(type(client))["what you hear"], "on")
        heard: Set[str] = set()
        client.on(xchws.Data, lambda event: heard.update(_callbacks(type(client), type(event))))
        with client:
            client.wait_ready(WAIT)
            for name, _ in client.status().subscriptions:
                next(each for each in client._subscriptions if each.name == name).wait(WAIT)
            exchange.random_walk(200)
            MORE.get(sandbox, lambda exchange: None)(exchange)
            other = client.expect(xchws.Other)
            exchange.send_raw(UNKNOWN.get(sandbox, '{"push":{"channel":"x","join":{}},"unheard":"of"}'))
            other.result(WAIT)
        # What is so special that it is not in the README's row is on the exchange's own page.
        assert told <= heard and (heard == told or sandbox is KyanSandbox)
