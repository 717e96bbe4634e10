"""What a command does when its output cannot be written, and what it says to numbers that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

import xchws
from tests.cli.program import ROOT, WAIT, environment
from xchws.cli import LISTENERS, main

FULL = Path("/dev/full")
COMMANDS = {
    "demo": ["-m", "xchws", "demo", "--duration", "1"],
    "help": ["-m", "xchws", "--help"],
    "version": ["-m", "xchws", "--version"],
    "sandbox": ["-m", "xchws", "sandbox", "indodax", "--duration", "0"],
    "the sandbox's own command": ["-m", "xchws.sandbox", "indodax", "--duration", "0"],
}


def run(arguments: List[str], output: int) -> Tuple[int, str]:
    variables = environment()
    del variables["PYTHONUNBUFFERED"]  # what is buffered fails late
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=str(ROOT),
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=WAIT,
    )
    return ended.returncode, ended.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_said_in_a_line(command: str) -> None:
    with FULL.open("w") as full:
        status, errors = run(COMMANDS[command], full.fileno())
    assert status == 1
    assert errors.count("\n") == 1 and "No space left on device" in errors


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_pipe_ends_it_quietly(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run(COMMANDS[command], writing) == (0, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_nobody_to_complain_to() -> None:
    with FULL.open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "xchws", "--version"],
            cwd=str(ROOT),
            env=environment(),
            stdout=full,
            stderr=full,
            timeout=WAIT,
        )
    assert ended.returncode == 1


NO_DURATIONS = ("nan", "inf", "-1", "0", "1e99", "soon", "")
NO_PORTS = ("99999", "-1", "http", "", "1.5")
WRONG = [
    *((["demo", "--duration", text], "a number of seconds from 1 to 600") for text in NO_DURATIONS),
    *((["listen", "indodax", "--duration", text], "a number of seconds from 0.001 to 1e+09") for text in NO_DURATIONS),
    *((["listen", "indodax", "--count", text], "--count") for text in ("0", "-1", "1.5", "nan", "")),
    *((["sandbox", "indodax", "--port", text], "a port is a whole number from 0 to 65535") for text in NO_PORTS),
    *((["sandbox", "indodax", "--rest-port", text], "a port is a whole number from 0 to 65535") for text in NO_PORTS),
    *(
        (["sandbox", "kyan", "--rate", text], "a rate is a number of events per second from 0 to 10000")
        for text in ("-1", "nan", "inf", "1e9", "fast", "")
    ),
    *((["sandbox", "kyan", "--seed", text], "a seed is a whole number from 0 on") for text in ("-1", "x", "1.5", "")),
    *(
        (["sandbox", "kyan", "--duration", text], "a duration is a number of seconds from 0 to 1000000000")
        for text in ("-1", "nan", "inf", "1e10", "soon", "")
    ),
    (["sandbox", "kyan", "--rest-port", "1"], "unrecognized arguments: --rest-port"),
    (["sandbox", "moon"], "invalid choice: 'moon'"),
    (["sandbox"], "EXCHANGE"),
    (["moon"], "No such command 'moon'"),
]


@pytest.mark.parametrize(
    ("arguments", "says"), WRONG, ids=lambda one: " ".join(one)[:40] if isinstance(one, list) else ""
)
def test_a_wrong_argument_is_told_what_to_write(
    arguments: List[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert says in said.err and said.out == ""


@pytest.mark.parametrize("exchange", LISTENERS)
@pytest.mark.parametrize("value", ["", " ", "x", "-1", "nan", "\n", "é", "wss://", "http://h/p?q", "a=b", ","])
def test_nonsense_for_every_option_of_listen(
    exchange: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for vendor in ("INDODAX", "KYRREX", "KYAN", "FINERY"):
        monkeypatch.setenv(f"{vendor}_KEY", "key")
        monkeypatch.setenv(f"{vendor}_SECRET", "secret")
    taken: List[object] = []
    monkeypatch.setattr(xchws.Client, "start", taken.append)
    monkeypatch.setattr(xchws.Client, "stop", lambda client: None)
    listener = LISTENERS[exchange]
    options = [f"--{name.replace('_', '-')}" for name in listener.arguments] + ["--on", "--duration", "--count"]
    options += [f"--{listener.pair}", "--channel"] if listener.channels else []
    for option in options:
        if option == "--token" or (exchange, option) == ("indodax-market", "--pair") and value in ("x", "nan"):
            continue  # that can be one
        status = main(["listen", exchange, "--duration", "0.001", option, value])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert taken == [], f"{option} {value!r} was taken"
        assert status == 2 and said.out == "" and "Error: " in said.err, (option, value)
