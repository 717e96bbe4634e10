"""How many processes share the suite out on a machine of so many cores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PARALLEL = Path(__file__).resolve().parents[2] / ".ci" / "parallel"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no POSIX shell there")
@pytest.mark.parametrize(
    ("answer", "processes"), [("echo 1", 4), ("echo 2", 4), ("echo 3", 6), ("echo 64", 8), ("exit 1", 4)]
)
def test_two_processes_for_a_core(tmp_path: Path, answer: str, processes: int) -> None:
    getconf = tmp_path / "getconf"
    getconf.write_text(f"#!/bin/sh\n{answer}\n")
    getconf.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    told = subprocess.run([PARALLEL], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True)
    assert told.stdout == f"-n {processes} --dist load\n"
