"""The walls between the rooms of xchws, read off the source and held.

Nothing is imported or run: every rule looks at the syntax tree of a file. A rule that can no longer find anything is a
rule that has gone: each one brings a line that breaks it, and a test feeds it that line.

A path is relative to xchws/. One that ends in a slash stands for the folder; `*` stands for anything but a slash.
"""

from __future__ import annotations

import ast
import configparser
import re
import sys
from functools import cache
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "xchws"

EVERYWHERE = ("*", "*/")
DEMO = ("cli.py", "demo.py")
TALKING = (*DEMO, "sandbox/__main__.py")
SANS_IO = ("sansio/", "exchanges/*/")
"""What decides and never does; of an exchange's folder, all but client.py."""


class Wall(NamedTuple):
    """One rule. `names` are dotted: an import or use of `a.b` breaks `a`; a leading `*.` stands for any module."""

    name: str
    why: str
    names: Tuple[str, ...]
    breaks: Tuple[str, str]
    """A path and a source that break the rule, for the test of the rule itself."""
    rooms: Tuple[str, ...] = EVERYWHERE
    """Where the rule holds."""
    doors: Tuple[str, ...] = ()
    """Where it does not hold after all."""
    but: Tuple[str, ...] = ()
    """Names that stay allowed."""
    uses: bool = False
    """Whether it is about uses of a name (`print`, `datetime.datetime.now`) and not about imports."""
    annotations_are_free: bool = False
    """Whether an import under TYPE_CHECKING is allowed."""
    functions_are_free: bool = False
    """Whether an import inside a function is allowed."""


WALLS = (
    # What of the outside may be imported where.
    Wall(
        "one clock",
        "a test with a fake clock is only a test if nothing reads another one",
        ("time", "sched"),
        breaks=("runtime/loop.py", "import time"),
        doors=("clock.py", "sandbox/"),
    ),
    Wall(
        "one calendar",
        "the wall clock is a clock, too",
        ("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
        breaks=("events.py", "import datetime as d\nnow = d.datetime.now(d.timezone.utc)"),
        doors=("clock.py", "sandbox/"),
        uses=True,
    ),
    Wall(
        "foreign transports",
        "their exceptions, timeouts and quirks stop in transports/",
        ("websocket", "requests", "urllib3", "http", "urllib.request", "socks"),
        breaks=("client.py", "from requests import Session"),
        doors=("transports/", "sandbox/"),
    ),
    Wall(
        "sockets",
        "only the owner thread's loop and its connection touch one",
        ("socket", "select", "selectors"),
        breaks=("sansio/frames.py", "import socket"),
        doors=("transports/", "runtime/", "sandbox/"),
    ),
    Wall(
        "TLS",
        "a context is made by the user or in transports/, and only named elsewhere",
        ("ssl",),
        breaks=("client.py", "import ssl"),
        doors=("transports/", "sandbox/"),
        annotations_are_free=True,
    ),
    Wall(
        "threads",
        "a user's code and the owner thread meet in runtime/, in Client and in what waits for it, and nowhere else",
        ("threading", "_thread", "queue", "concurrent", "multiprocessing"),
        breaks=("exchanges/kyan/client.py", "def later():\n    import threading"),
        doors=("runtime/", "transports/", "sandbox/", "client.py", "subscribing.py", "threads.py"),
    ),
    Wall(
        "no asyncio",
        "the library is for blocking code, and python-socketio's asyncio half is not used",
        ("asyncio",),
        breaks=("client.py", "import asyncio"),
    ),
    Wall(
        "chance",
        "a retry that a test can foretell takes its chance from outside",
        ("random", "secrets", "uuid"),
        breaks=("sansio/session.py", "from random import uniform"),
        rooms=SANS_IO + ("runtime/",),
        doors=("exchanges/*/client.py",),
    ),
    Wall(
        "the generator that all share",
        "the global generator is the user's to seed: ours is an object that is passed in",
        ("random.*",),
        breaks=("backoff.py", "import random\nseconds = random.uniform(0, 1)"),
        doors=("sandbox/",),
        but=("random.Random", "random.SystemRandom"),
        uses=True,
    ),
    Wall(
        "websockets and the terminal",
        "they come with the extras",
        ("websockets", "click", "rich"),
        breaks=("client.py", "import rich.table"),
        doors=(*DEMO, "sandbox/"),
    ),
    Wall(
        "Socket.IO",
        "only its codec is used, and only by the one exchange that speaks it",
        ("socketio", "engineio"),
        breaks=("exchanges/kyan/protocol.py", "import socketio"),
        doors=("exchanges/kyrrex/socketio.py", "sandbox/"),
    ),
    # Which room may know which.
    Wall(
        "sansio/ only decides",
        "what does and what is outside stands above it",
        ("xchws.runtime", "xchws.transports", "xchws.exchanges", "xchws.client", "xchws.cli", "xchws.clock"),
        breaks=("sansio/session.py", "from ..runtime.loop import Loop"),
        rooms=("sansio/",),
    ),
    Wall(
        "an exchange's protocol only decides",
        "it is called by the loop and calls nobody back",
        ("xchws.runtime", "xchws.transports", "xchws.client", "xchws.cli", "xchws.clock"),
        breaks=("exchanges/finery/protocol.py", "from ...clock import Clock"),
        rooms=("exchanges/*/",),
        doors=("exchanges/*/client.py", "exchanges/indodax/market_client.py"),
    ),
    Wall(
        "an exchange does not run",
        "what starts a thread or waits is the same for all of them",
        ("xchws.runtime", "xchws.cli"),
        breaks=("exchanges/finery/client.py", "from xchws.runtime import loop"),
        rooms=("exchanges/",),
    ),
    Wall(
        "runtime/ knows no exchange",
        "a sixth exchange must not need a change in it",
        ("xchws.exchanges", "xchws.client", "xchws.cli"),
        breaks=("runtime/loop.py", "import xchws.exchanges.kyan.protocol"),
        rooms=("runtime/",),
        but=("xchws.exchanges.exchange",),
    ),
    Wall(
        "transports/ carry bytes",
        "they know neither who asks nor what is said",
        ("xchws.runtime", "xchws.exchanges", "xchws.client", "xchws.cli"),
        breaks=("transports/http.py", "from ..exchanges import indodax"),
        rooms=("transports/",),
    ),
    Wall(
        "the client knows no exchange",
        "what all clients can do names none of them",
        ("xchws.exchanges", "xchws.cli"),
        breaks=("client.py", "from .exchanges.kyan import models"),
        rooms=("client.py",),
        but=("xchws.exchanges.exchange",),
    ),
    Wall(
        "values at the bottom",
        "events, errors and the like are known by everyone and know no room",
        ("xchws.sansio", "xchws.runtime", "xchws.transports", "xchws.exchanges", "xchws.client", "xchws.cli"),
        breaks=("events.py", "from .client import Client"),
        rooms=("events.py", "errors.py", "credentials.py", "backoff.py", "clock.py", "log.py", "threads.py"),
    ),
    Wall(
        "the sandbox stands alone",
        "it is written from the vendors' pages: what it took from us would agree with us in our mistakes",
        ("xchws",),
        breaks=("sandbox/kyan.py", "from ..events import Order"),
        rooms=("sandbox/",),
        but=("xchws.sandbox",),
    ),
    Wall(
        "the sandbox is no part of the clients",
        "it comes with an extra",
        ("xchws.sandbox",),
        breaks=("client.py", "def f():\n    from . import sandbox"),
        doors=(*DEMO, "sandbox/"),
    ),
    Wall(
        "the command does without the sandbox until it is asked for",
        "the extra may not be there",
        ("xchws.sandbox",),
        breaks=("cli.py", "from xchws.sandbox import kyan"),
        rooms=("cli.py",),
        annotations_are_free=True,
        functions_are_free=True,
    ),
    # What a library leaves alone.
    Wall(
        "silence",
        "what a library has to say goes to its logger or to a callback",
        ("print", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"),
        breaks=("client.py", "print('hello')"),
        doors=TALKING,
        uses=True,
    ),
    Wall(
        "settings of the process",
        "they belong to the program, and another library in it may count on them",
        (
            "*.enableTrace",
            "*.setdefaulttimeout",
            "decimal.setcontext",
            "gc.disable",
            "gc.set_threshold",
            "locale.setlocale",
            "sys.setrecursionlimit",
            "sys.setswitchinterval",
            "threading.stack_size",
            "warnings.filterwarnings",
            "warnings.simplefilter",
        ),
        breaks=("transports/connection.py", "import websocket\nwebsocket.enableTrace(True)"),
        uses=True,
    ),
    Wall(
        "signals",
        "Ctrl-C is the program's; only a command of ours, and whoever asks for run_forever(handle_signals=True), is the program",
        ("signal.signal", "signal.set_wakeup_fd", "signal.setitimer", "signal.alarm"),
        breaks=("client.py", "from signal import SIGINT, signal\nsignal(SIGINT, None)"),
        doors=(*TALKING, "runtime/signals.py"),
        uses=True,
    ),
    Wall(
        "the root logger",
        "it is the program's (logging.info and its like set it up, too)",
        tuple(f"logging.{name}" for name in "basicConfig root debug info warning error critical exception log".split()),
        breaks=("runtime/loop.py", "import logging\nlogging.warning('late')"),
        doors=TALKING,
        uses=True,
    ),
)

DISTRIBUTIONS = {
    "attr": "attrs",
    "attrs": "attrs",
    "click": "click",
    "engineio": "python-engineio",
    "msgspec": "msgspec",
    "requests": "requests",
    "urllib3": "requests",
    "rich": "rich",
    "socks": "PySocks",
    "socketio": "python-socketio",
    "websocket": "websocket-client",
    "websockets": "websockets",
}
"""What of others may be imported at all, and the requirement in setup.cfg that brings it."""


class Seen(NamedTuple):
    """One import, or one use of a name."""

    name: str
    line: int
    use: bool
    typing_only: bool
    in_function: bool
    bare_call: bool


class Reader(ast.NodeVisitor):
    """Collects the imports of a file and its uses of what was imported, by their full dotted names."""

    def __init__(self, path: str) -> None:
        self.seen: List[Seen] = []
        self._package = ["xchws", *path.split("/")[:-1]]
        self._aliases: dict[str, str] = {}
        self._typing_only = False
        self._in_function = False
        self._called_bare: Set[int] = set()

    def _note(self, name: str, node: ast.AST, use: bool) -> None:
        line = getattr(node, "lineno", 0)
        self.seen.append(Seen(name, line, use, self._typing_only, self._in_function, id(node) in self._called_bare))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._note(alias.name, node, use=False)
            self._aliases[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        start = self._package[: len(self._package) - node.level + 1] if node.level else []
        module = ".".join([*start, *([node.module] if node.module else [])])
        for alias in node.names:
            self._note(f"{module}.{alias.name}", node, use=False)
            self._aliases[alias.asname or alias.name] = f"{module}.{alias.name}"

    def visit_If(self, node: ast.If) -> None:
        outside = self._typing_only
        self._typing_only = outside or ast.dump(node.test).find("'TYPE_CHECKING'") >= 0
        for statement in node.body:
            self.visit(statement)
        self._typing_only = outside
        self.visit(node.test)
        for statement in node.orelse:
            self.visit(statement)

    def _visit_function(self, node: ast.AST) -> None:
        outside, self._in_function = self._in_function, True
        self.generic_visit(node)
        self._in_function = outside

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function
    visit_Lambda = _visit_function

    def visit_Call(self, node: ast.Call) -> None:
        nothing = all(isinstance(arg, ast.Constant) and not arg.value for arg in node.args)
        if nothing and not node.keywords:
            self._called_bare.add(id(node.func))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path: List[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            path.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in self._aliases:
            self._note(".".join([self._aliases[inner.id], *path]), node, use=True)
        else:
            self.visit(inner)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._note(self._aliases.get(node.id, node.id), node, use=True)


@cache  # every wall looks at every file
def read(path: str, source: str) -> List[Seen]:
    reader = Reader(path)
    reader.visit(ast.parse(source))
    return reader.seen


def within(path: str, rooms: Sequence[str]) -> bool:
    for room in rooms:
        pattern = re.escape(room).replace(r"\*", "[^/]*")
        if re.match(pattern if room.endswith("/") else pattern + "$", path):
            return True
    return False


@cache
def covers(name: str, names: Tuple[str, ...]) -> bool:
    for wanted in names:
        pattern = re.escape(wanted).replace(r"\*", ".*")
        if re.match(pattern + r"(\.|$)", name):
            return True
    return False


def findings(wall: Wall, path: str, source: str) -> Iterator[str]:
    """Tell every place of a file that breaks the rule."""
    if not within(path, wall.rooms) or within(path, wall.doors):
        return
    for seen in read(path, source):
        if seen.use != wall.uses or not covers(seen.name, wall.names) or covers(seen.name, wall.but):
            continue
        if (wall.annotations_are_free and seen.typing_only) or (wall.functions_are_free and seen.in_function):
            continue
        yield f"xchws/{path}:{seen.line}: {seen.name} ({wall.name}: {wall.why})"


@cache
def modules() -> Tuple[Tuple[str, str], ...]:
    files = sorted(PACKAGE.rglob("*.py"))
    return tuple((file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")) for file in files)


def neighbour(path: str, source: str) -> Optional[str]:
    """Name the first import by one exchange of another."""
    parts = path.split("/")
    if parts[0] != "exchanges" or len(parts) < 3:
        return None
    for seen in read(path, source):
        other = re.match(r"xchws\.exchanges\.(\w+)", seen.name)
        shared = other and (PACKAGE / "exchanges" / f"{other[1]}.py").is_file()
        if not seen.use and other and not shared and other[1] != parts[1]:
            return f"xchws/{path}:{seen.line}: {seen.name}"
    return None


def nameless_logger(path: str, source: str) -> Optional[str]:
    """Name the first place that asks for the root logger."""
    for seen in read(path, source):
        if seen.use and seen.name == "logging.getLogger" and seen.bare_call:
            return f"xchws/{path}:{seen.line}: logging.getLogger() is the root logger"
    return None


@pytest.mark.parametrize("wall", WALLS, ids=lambda wall: wall.name)
def test_wall_stands(wall: Wall) -> None:
    broken = [finding for path, source in modules() for finding in findings(wall, path, source)]
    assert not broken, "\n".join(["", *broken])


@pytest.mark.parametrize("wall", WALLS, ids=lambda wall: wall.name)
def test_wall_can_be_hit(wall: Wall) -> None:
    path, source = wall.breaks
    assert list(findings(wall, path, source))
    for door in wall.doors:
        through = door.replace("*", "kyan") + ("any.py" if door.endswith("/") else "")
        assert not list(findings(wall, through, source))


@pytest.mark.parametrize("wall", [wall for wall in WALLS if not wall.uses], ids=lambda wall: wall.name)
def test_annotations_are_free_only_where_the_wall_says_so(wall: Wall) -> None:
    path, source = wall.breaks
    indented = "\n".join("    " + line for line in source.split("\n"))
    hidden = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n{indented}\n"
    assert bool(list(findings(wall, path, hidden))) is not wall.annotations_are_free


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import time as t", "time"),
        ("from time import sleep as rest", "time.sleep"),
        ("from . import frames", "xchws.sansio.frames"),
        ("from .. import client", "xchws.client"),
        ("from ..exchanges.kyan import protocol", "xchws.exchanges.kyan.protocol"),
        ("try:\n    import ssl\nexcept ImportError:\n    pass", "ssl"),
    ],
)
def test_imports_are_read_by_their_full_names(source: str, name: str) -> None:
    assert [seen.name for seen in read("sansio/session.py", source) if not seen.use] == [name]


def test_exchanges_do_not_know_each_other() -> None:
    broken = [found for found in (neighbour(path, source) for path, source in modules()) if found]
    assert not broken, "\n".join(["", *broken])


@pytest.mark.parametrize(
    "source",
    ["from ..kyrrex import models", "from xchws.exchanges import kyrrex", "import xchws.exchanges.finery.client"],
)
def test_an_exchange_that_knows_another_is_found(source: str) -> None:
    assert neighbour("exchanges/kyan/protocol.py", source)
    assert not neighbour("__init__.py", source)
    assert not neighbour(
        "exchanges/kyan/protocol.py", "from .models import Order\nfrom xchws.exchanges.kyan import signing"
    )


def test_every_logger_has_a_name() -> None:
    broken = [found for found in (nameless_logger(path, source) for path, source in modules()) if found]
    assert not broken, "\n".join(["", *broken])


@pytest.mark.parametrize("call", ["getLogger()", "getLogger(None)", 'getLogger("")'])
def test_a_nameless_logger_is_found(call: str) -> None:
    assert nameless_logger("client.py", f"import logging\nlog = logging.{call}")
    assert nameless_logger("client.py", f"from logging import getLogger\nlog = {call}")
    assert not nameless_logger("client.py", "import logging\nlog = logging.getLogger(__name__)")


def declared() -> Set[str]:
    """The requirements in setup.cfg that users get, by name."""
    config = configparser.RawConfigParser()
    config.read_string((ROOT / "setup.cfg").read_text(encoding="utf-8"))
    extras = config["options.extras_require"]
    lines = "\n".join([config["options"]["install_requires"], extras["cli"], extras["sandbox"], extras["socks"]]).split(
        "\n"
    )
    return {re.split(r"[^A-Za-z0-9._-]", line.strip())[0] for line in lines if line.strip()}


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot tell which modules are its own")
def test_what_is_imported_is_required() -> None:
    roots = {
        (seen.name.partition(".")[0], path)
        for path, source in modules()
        for seen in read(path, source)
        if not seen.use and not seen.typing_only
    }
    foreign = {(root, path) for root, path in roots if root not in sys.stdlib_module_names and root != "xchws"}
    assert {(root, path) for root, path in foreign if root not in DISTRIBUTIONS} == set()
    assert {DISTRIBUTIONS[root] for root, _ in foreign} - declared() == set()
