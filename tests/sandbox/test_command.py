"""The command line, as a process and as a function, and the walls round the sandbox."""

from __future__ import annotations

import ast
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

import xchws.sandbox
from xchws.sandbox.__main__ import main

ROOM = Path(xchws.sandbox.__file__).parent
ROOT = ROOM.parent.parent


def test_it_says_what_to_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["indodax", "--duration", "0", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^url +ws://127\.0\.0\.1:\d+/ws/\?cf_ws_frame_ping_pong=true$", said, re.MULTILINE)
    assert re.search(r"^rest_url +http://127\.0\.0\.1:\d+$", said, re.MULTILINE)
    assert "DEMO-KEY-" in said
    assert "demo-secret-" in said
    assert "xchws.Indodax(" in said
    assert main(["richamster", "--duration", "0", "--rate", "0"]) == 0
    assert "demo-token-" in capsys.readouterr().out


def test_wrong_arguments_and_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere"]) == 2
    assert main(["indodax", "--port", "70000"]) == 2
    assert main(["--help"]) == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["richamster", "--port", str(taken.getsockname()[1])]) == 1
    assert "port" in capsys.readouterr().err


def test_ctrl_c_ends_it_cleanly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "xchws.sandbox", "richamster", "--rate", "50"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout is not None
    said = b""
    while b"client.subscribe" not in said:
        assert select.select([process.stdout], [], [], 20.0)[0]
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece
        said += piece
    found = re.search(rb"ws://\S+/stream/", said)
    assert found is not None
    with connect(found.group().decode(), compression=None, proxy=None) as client:
        client.send('{"channel":"order_book","pair":"BTC/UAH"}')
        assert "success" in str(client.recv(5.0))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20.0)
    assert (process.returncode, errors) == (0, b"")


def test_a_missing_extra_is_said_in_a_sentence() -> None:
    code = "import sys; sys.modules['websockets'] = None\nfrom xchws.sandbox.__main__ import main\nsys.exit(main(['indodax']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30.0,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == 'the sandbox needs the extra: pip install "xchws[sandbox]"'


@pytest.mark.parametrize("name", xchws.sandbox.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(xchws.sandbox, name).__name__ == name


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_the_sandbox_imports_nothing_else_of_the_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level <= 1
            assert node.level == 1 or not (node.module or "").startswith("xchws")
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("xchws") for alias in node.names)
