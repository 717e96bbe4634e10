"""Scripts in Node, and the npm packages they need: these are installed once, into .interop/."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, List

CACHE = Path(__file__).resolve().parent.parent.parent / ".interop"
PACKAGES = (
    "socket.io@4",
    "socket.io-client@4",
    "ws@8",
    "centrifuge@5",
    "centrifuge-4@npm:centrifuge@4",
    "centrifuge-2@npm:centrifuge@2",
)
WAIT = 20.0  # seconds
INSTALL = 180.0  # seconds
OLDEST = 18  # the first release of Node that has fetch


class Unavailable(Exception):
    """Node, npm or a way to the packages is missing."""


def installed() -> Path:
    """Where Node finds the packages.

    Raises:
        Unavailable: they are not there and cannot be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("node and npm are not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=WAIT).stdout.strip()
    if not version.startswith("v") or int(version[1:].partition(".")[0]) < OLDEST:
        raise Unavailable(f"node {OLDEST} or newer is needed, this is {version or 'of no version'}")
    # Another list of packages is another place, so that an older installation does not pass for it.
    place = CACHE / hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    if not place.is_dir():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", made, *PACKAGES]
            try:
                done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=INSTALL)
            except subprocess.TimeoutExpired:
                raise Unavailable(f"npm did not install {', '.join(PACKAGES)} within {INSTALL:g} s") from None
            if done.returncode:
                raise Unavailable(f"npm cannot install {', '.join(PACKAGES)}: {done.stderr.strip()[:120]}")
            whole = Path(made) / "whole"
            whole.mkdir()
            (Path(made) / "node_modules").rename(whole / "node_modules")
            try:
                whole.rename(place)
            except OSError:
                assert place.is_dir(), "another process of the tests was faster"
    return place / "node_modules"


class Node:
    """A script in a Node process; what it says are lines of JSON. It ends when its input ends."""

    def __init__(self, packages: Path, script: str, **options: Any) -> None:
        self._process = subprocess.Popen(
            ["node", "-e", script, json.dumps(options)],
            env={"NODE_PATH": str(packages), "PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._said: queue.Queue[List[Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))

    def __enter__(self) -> Node:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(WAIT)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._said.put(json.loads(line))

    def tell(self, *words: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def hear(self, kind: str) -> List[Any]:
        """The next that begins with this word; what comes before it is passed over."""
        while True:
            said = self._said.get(timeout=WAIT)
            if said[0] == kind:
                return said[1:]

    def take(self, count: int) -> List[List[Any]]:
        return [self._said.get(timeout=WAIT) for _ in range(count)]
