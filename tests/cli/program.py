"""A Python program in a process of its own, read line by line, for tests of what users start.

Nothing waits longer than WAIT; a program that does not end is killed.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Dict, List, Optional, Type

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT = 30.0  # seconds


def environment(**more: str) -> Dict[str, str]:
    """What a program gets: the way to this tree, and no credential, proxy or setting of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


class Program:
    """`python ARGUMENTS…` from start to end, as a context manager."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=str(ROOT),
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a process group of its own, as under a shell: Ctrl-C reaches its children, too
            text=True,
            encoding="utf-8",
        )
        self.lines: List[str] = []
        self._errors: List[str] = []
        self._waiting: queue.Queue[Optional[str]] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout,)),
            threading.Thread(target=self._read_errors, args=(self._process.stderr,)),
        ]

    def __enter__(self) -> Program:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], raised: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended, and its children have
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._waiting.put(line.rstrip("\n"))
        self._waiting.put(None)

    def _read_errors(self, pipe: IO[str]) -> None:
        self._errors.extend(pipe)

    @property
    def output(self) -> str:
        """Everything read so far."""
        return "\n".join(self.lines)

    @property
    def errors(self) -> str:
        """Everything on stderr so far."""
        return "".join(self._errors)

    def line(self, text: str = "") -> str:
        """The next line that contains the text."""
        while True:
            line = self._next()
            assert line is not None, f"it ended without {text!r}:\n{self.output}\n{self.errors}"
            if text in line:
                return line

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> int:
        """Read the rest and wait for the end; the exit status."""
        while self._next() is not None:
            pass
        status = self._process.wait(WAIT)
        for reader in self._readers:
            reader.join()
        return status

    def _next(self) -> Optional[str]:
        try:
            line = self._waiting.get(timeout=WAIT)
        except queue.Empty:
            raise AssertionError(f"nothing more came within {WAIT:g} s:\n{self.output}\n{self.errors}") from None
        if line is not None:
            self.lines.append(line)
        return line
