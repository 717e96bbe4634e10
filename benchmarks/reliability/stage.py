"""Stage: one library in a process of its own, before a scripted exchange, with a proxy between them that breaks the line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Type

from benchmarks.reliability.dialects.dialect import FIRST, SECOND
from benchmarks.reliability.peers.peer import Peer, Place
from benchmarks.reliability.server import Server
from xchws.sandbox import FaultProxy

ROOT = Path(__file__).resolve().parent.parent.parent
_BEAT = 0.05  # seconds between two messages of a stream
_MESSAGES = 15  # of each topic before the trial: some libraries behave otherwise in the beginning
_KEPT_FROM_STDERR = 4000  # characters
_HARD_LIMIT = 240.0  # seconds for a trial; the limits below end it well before


class Limits(NamedTuple):
    """How long things may take, in seconds; generous, so that only what does not come at all is judged by them.

    Attributes:
        begin: until messages of both subscriptions come; recover: after a fault; notice: until silence is noticed;
        end: for the process to end after stop; patience: until something that should end counts as never ending;
        down: each half of an outage; slow: for a slow callback to work off the burst; idle: without one more message,
        before a burst counts as over; late: for what is told after a recovery.
        burst: messages; takes: seconds that the slow callback takes for each.
    """

    begin: float = 20.0
    recover: float = 40.0
    notice: float = 50.0
    end: float = 6.0
    patience: float = 20.0
    down: float = 5.0
    slow: float = 40.0
    idle: float = 5.0
    late: float = 2.0
    burst: int = 5000
    takes: float = 0.002


class Unfit(Exception):
    """The trial cannot be held: the library did not come so far. Says where it stood."""


class Puppet:
    """The library's process. `lines` is all that it has reported."""

    def __init__(self, python: str, module: str, place: Place, changed: threading.Condition) -> None:
        self._changed = changed
        self.lines: List[Dict[str, Any]] = []
        self._folder = tempfile.TemporaryDirectory()
        self.log = str(Path(self._folder.name, "log"))
        self._errors = Path(self._folder.name, "stderr")
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.reliability.puppet", module, json.dumps(place._asdict())],
                cwd=str(ROOT),
                env={**kept, "HOME": self._folder.name, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(json.loads(line))
                self._changed.notify_all()

    def those(self, key: str, since: int = 0) -> Iterator[Dict[str, Any]]:
        """What was reported under this key, from the `since`-th line on."""
        return (line for line in self.lines[since:] if key in line)

    def do(self, do: str, timeout: float, **more: Any) -> Optional[Dict[str, Any]]:
        """Give a command; the report of it, or None if there is none in time."""
        start = len(self.lines)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
        except OSError:
            return None  # the process has ended
        with self._changed:
            self._changed.wait_for(lambda: any(line.get("did") == do for line in self.lines[start:]), timeout)
        return next((line for line in self.lines[start:] if line.get("did") == do), None)

    def end(self, timeout: float) -> Optional[float]:
        """Let the main thread return; the seconds until the process has ended, None if it does not in time."""
        assert self._process.stdin is not None
        began = time.monotonic()
        try:
            self._process.stdin.write(json.dumps({"do": "end"}) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended already
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began

    def errors(self) -> str:
        """What it wrote to stderr, and what the library printed."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def where(self) -> str:
        """Where the main thread stands (file, line and function of its innermost calls)."""
        before = len(self.errors())
        try:
            os.kill(self._process.pid, signal.SIGUSR1)
        except ProcessLookupError:
            return ""
        deadline = time.monotonic() + 2.0
        while "Current thread" not in self.errors()[before:] and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.05)  # for the rest of the stacks
        return self.errors()[before:][:_KEPT_FROM_STDERR]

    def kill(self) -> None:
        """End it, whatever it does."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended

    def close(self) -> None:
        """End it, and forget its files."""
        self.kill()
        self._process.wait()
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                pass  # what was still to be written to it
        self._folder.cleanup()


class Stage:
    """What a trial works with, as a context manager.

    Args:
        python: of the library's environment; module: its adapter's; limits: how long things may take.
        private, quick: see `Place`.
    """

    def __init__(
        self,
        python: str,
        module: str,
        adapter: Type[Peer],
        limits: Limits,
        *,
        private: bool = False,
        quick: bool = False,
    ) -> None:
        self.adapter = adapter
        self.limits = limits
        self.changed = threading.Condition()
        self.server = Server(adapter.dialect(), self.changed)
        self._how = (python, module, private, quick)
        self.version = self.python = ""

    def __enter__(self) -> Stage:
        python, module, private, quick = self._how
        self.server.start()
        self.proxy = FaultProxy("127.0.0.1", self.server.port).start()
        url = f"ws://127.0.0.1:{self.proxy.port}"
        self.server.public_url = url
        self.puppet = Puppet(python, module, Place(url, self.server.rest_url, private, quick), self.changed)
        # Whatever waits for it here, and be it a send that it does not read, goes on when it has been killed.
        self._watchdog = threading.Timer(_HARD_LIMIT, self.puppet.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._watchdog.cancel()
        self.puppet.close()
        self.proxy.close()
        self.server.close()

    # ------------------------------------------------------------------------------------------------ what trials do

    def begin(self) -> None:
        """Start it, subscribe both topics, and see a message of each arrive.

        Raises:
            Unfit: one of these does not happen.
        """
        self.start()
        for topic in (FIRST, SECOND):
            reply = self.puppet.do("subscribe", self.limits.begin, topic=topic)
            if reply is None or reply["raised"]:
                raise Unfit(f"subscribe: {self._why(reply)}")
        for _ in range(_MESSAGES):
            if not self.flow(self.arrivals(), self.limits.begin):
                raise Unfit(f"no messages at the beginning: {self.puppet.errors()[-_KEPT_FROM_STDERR:]}")

    def start(self) -> None:
        """Start it.

        Raises:
            Unfit: that raises or does not return.
        """
        reply = self.puppet.do("start", self.limits.begin)
        if reply is None or reply["raised"]:
            raise Unfit(f"start: {self._why(reply)}")
        self.version, self.python = reply["version"], reply["python"]

    def _why(self, reply: Optional[Dict[str, Any]]) -> str:
        if reply is not None:
            return f"{reply['raised']}: {self.puppet.errors()[-_KEPT_FROM_STDERR:]}"
        return f"it does not return: {self.puppet.where()}"

    def arrivals(self, *topics: str) -> Callable[[], bool]:
        """Whether a message that is published from now on has come, of each topic (of both by default)."""
        wanted = topics or (FIRST, SECOND)
        published, start = dict(self.server.published), len(self.puppet.lines)

        def come() -> bool:
            seen = {
                line["message"]
                for line in self.puppet.those("message", start)
                if line["number"] > published[line["message"]]
            }
            return seen.issuperset(wanted)

        return come

    def flow(self, until: Callable[[], bool], timeout: float) -> Optional[float]:
        """Publish on both topics again and again until something holds; the seconds that took, None if it never does."""
        began = time.monotonic()
        while time.monotonic() < began + timeout:
            self.server.publish(FIRST, SECOND)
            with self.changed:
                if self.changed.wait_for(until, _BEAT):
                    return time.monotonic() - began
        return None

    @contextmanager
    def pulse(self) -> Iterator[None]:
        """Meanwhile, publish as an exchange does that knows nothing of what goes on here."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(_BEAT):
                self.server.publish(FIRST, SECOND)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        yield
        over.set()
        thread.join()

    def wait(self, until: Callable[[], bool], timeout: float) -> Optional[float]:
        """Wait in silence until something holds; the seconds that took, None if it never does."""
        began = time.monotonic()
        with self.changed:
            return time.monotonic() - began if self.changed.wait_for(until, timeout) else None

    def dials(self, since: int = 0) -> int:
        """How often it dialled the exchange's stream since the `since`-th line."""
        return sum(line["dial"] == self.proxy.port for line in self.puppet.those("dial", since))

    def told(self, since: int = 0) -> List[Dict[str, Any]]:
        """What the library told the user since the `since`-th line."""
        return list(self.puppet.those("told", since))

    def numbers(self, topic: str, since: int = 0) -> List[int]:
        """The numbers of the messages of a topic that have come, in order."""
        return [line["number"] for line in self.puppet.those("message", since) if line["message"] == topic]


def innermost(stacks: str) -> str:
    """Of a dump of stacks, the innermost call of a library in which the main thread stands; empty for none."""
    dumps = re.split(r"\n(?=(?:Current thread|Thread) )", stacks.strip())
    main = next((dump for dump in dumps if "puppet.py" in dump and "in main" in dump), "")
    for path, line, function in re.findall(r'File "([^"]*)", line (\d+) in (\S+)', main):
        if "/site-packages/" in path:
            return f"{Path(path).name}, line {line}, {function}"
    return ""
