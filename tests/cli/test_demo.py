"""`xchws demo`: as a newcomer sees it, and whether it would notice a loss."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections import Counter
from typing import Any, Dict, List, Optional

import pytest

from tests.cli.program import ROOT, WAIT, Program, environment
from xchws import demo
from xchws.sandbox import IndodaxSandbox
from xchws.sandbox.jsontext import read, write
from xchws.sandbox.session import Session

(INDODAX,) = (exhibit for exhibit in demo.EXHIBITS if exhibit.name == "indodax")


def test_piped() -> None:
    with Program("-m", "xchws", "demo") as program:
        assert program.end() == 0
    assert program.errors == ""
    assert "\x1b" not in program.output
    for exhibit in demo.EXHIBITS:
        own = [line for line in program.lines if exhibit.name in line]
        assert any("READY -> WAITING" in line for line in own)
        assert any("HTTP 503" in line for line in own)
        assert any("CONNECTING -> READY" in line for line in own)
        assert sum(f"{exhibit.name}: Gap from" in line for line in own) == 2, "when it comes, and in the summary"
    for word in (" order ", " fill ", " ticker ", " trade ", " level "):
        assert word in program.output
    assert f"reconnects: {len(demo.EXHIBITS)}, " in program.lines[-1]
    assert program.lines[-1].endswith("lost: 0")


def test_in_a_terminal() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "xchws", "demo", "--duration", "1.5"],
        cwd=str(ROOT),
        env=environment(TERM="xterm-256color", COLUMNS="110", LINES="30"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with process:
        try:
            while True:
                shown += os.read(ours, 65536)
        except OSError:
            pass  # how Linux tells that the other end of a terminal is closed
        finally:
            os.close(ours)
        assert process.wait(WAIT) == 0, shown.decode()
    text = shown.decode()
    assert "exchange" in text and "reconnects" in text
    assert "WAITING" in text and "READY" in text
    assert "\x1b[?25h" in text, "the cursor is there again"
    assert "Traceback" not in text
    assert text.rstrip().endswith("lost: 0")


def test_plain_in_a_terminal_draws_nothing() -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "xchws", "demo", "--plain"],
        cwd=str(ROOT),
        env=environment(TERM="xterm-256color"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while b"CONNECTING -> READY" not in shown:
            shown += os.read(ours, 65536)
        process.kill()
    os.close(ours)
    assert b"\x1b" not in shown


@pytest.mark.parametrize("moment", ["NEW -> CONNECTING", "---", "HTTP 503"])
def test_ctrl_c(moment: str) -> None:
    with Program("-m", "xchws", "demo", "--duration", "2") as program:
        program.line(moment)
        program.interrupt()
        assert program.end() == 130
    assert program.errors == ""


def test_wrong_duration() -> None:
    with Program("-m", "xchws", "demo", "--duration", "soon") as program:
        assert program.end() == 2
    assert "--duration" in program.errors


# ------------------------------------------------------------------------------------------------ would it notice a loss?


class Forgetful(IndodaxSandbox):
    """Publishes its third event and tells nobody."""

    def deliver_orders(self, key: str, events: List[Dict[str, Any]]) -> None:
        if self.published_count != 3:
            super().deliver_orders(key, events)


class Repetitive(IndodaxSandbox):
    """Tells its third event twice."""

    def deliver_orders(self, key: str, events: List[Dict[str, Any]]) -> None:
        super().deliver_orders(key, events)
        if self.published_count == 3:
            super().deliver_orders(key, events)


class Uncut(IndodaxSandbox):
    """Its connections hold whatever happens."""

    def drop(self, session: Optional[Session] = None, reset: bool = False) -> None:
        pass


def run(sandbox: type, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> List[str]:
    monkeypatch.setattr(demo, "_PATIENCE", 1.5)
    exhibit = demo.Exhibit("indodax", lambda: sandbox(seed=1), INDODAX.client, INDODAX.expected)
    assert demo.run([exhibit], 0.6, None) == 1
    return capsys.readouterr().out.splitlines()


def test_a_loss_is_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(Forgetful, capsys, monkeypatch)
    assert said[-1].endswith("lost: 1")
    assert "--- indodax keeps something back." in said


def test_what_comes_twice_is_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(Repetitive, capsys, monkeypatch)
    assert said[-1].endswith("lost: 0")
    (row,) = (line for line in said if line.startswith("indodax  "))
    assert row.split()[-1] == "1"


def test_a_cut_without_a_gap_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(Uncut, capsys, monkeypatch)
    assert "--- indodax did not come back with a Gap." in said
    assert "indodax: no Gap came" in said


def test_account() -> None:
    with IndodaxSandbox(seed=7) as exchange:
        exchange.random_walk(40)
        published = exchange.published

    def keys(first: int, last: int) -> Counter[demo.Key]:
        return Counter(
            (kind.__name__, write(read(write(raw))))
            for entry in published[first:last]
            for kind, raw in INDODAX.expected(entry)
        )

    def total(first: int, last: int) -> int:
        return sum(keys(first, last).values())

    fills = sum(entry["order"]["status"] == "FILL" for entry in published)
    assert fills and total(0, 40) == 40 + fills
    assert demo.account(INDODAX, published, keys(0, 40), None, None) == demo.Account(total(0, 40), 0, 0, 0, 0)
    due, silent = total(0, 10) + total(30, 40), total(10, 30)
    heard = keys(0, 10) + keys(30, 40)
    assert demo.account(INDODAX, published, heard, 10, 30) == demo.Account(due, silent, 0, 0, 0)
    assert demo.account(INDODAX, published, keys(0, 40), 10, 30) == demo.Account(due, silent, 0, silent, 0)
    assert demo.account(INDODAX, published, keys(0, 10), 10, 30).missing == total(30, 40)
    assert demo.account(INDODAX, published, heard + keys(0, 1), 10, 30).surplus == total(0, 1)
    stranger = Counter({("Order", "{}"): 1})
    assert demo.account(INDODAX, published, heard + stranger, 10, 30).surplus == 1
