"""One library in a process of its own: takes commands on stdin, a JSON object a line, and reports on stdout in the same form.

    python -m benchmarks.reliability.puppet MODULE PLACE    MODULE has a class Adapter; PLACE is a JSON object

Only the standard library and the adapter are imported: it runs in the library's environment. The main thread works off the
commands, so that nothing but the library keeps the process alive after the last one. Connections to anywhere but this machine
are refused and reported, and SIGUSR1 writes the stacks of all threads to stderr.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.metadata
import json
import logging
import os
import platform
import signal
import socket
import sys
import threading
import time
from typing import Any, Callable, Dict, Optional

from benchmarks.reliability.peers.peer import Listener, Peer, Place

_FORKED_CALL = 8.0  # seconds for what the forked child tries
_HOME = ("127.0.0.1", "::1", "localhost")


class Reporter:
    """Writes lines to what stdout was at the beginning; what a library prints goes to stderr."""

    def __init__(self) -> None:
        self._pipe = os.dup(1)
        os.dup2(2, 1)

    def __call__(self, **what: Any) -> None:
        os.write(self._pipe, (json.dumps({**what, "at": time.monotonic()}) + "\n").encode())


def keep_home(report: Reporter) -> None:
    """Refuse and report whatever leads out of this machine, and report every dial."""
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(address: Any) -> None:
        if isinstance(address, tuple):
            if address[0] not in _HOME:
                report(outside=str(address[0]))
                raise OSError(f"this comparison stays on this machine: {address[0]}")
            report(dial=address[1])

    def guarded(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    def guarded_resolve(host: Any, *more: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name not in _HOME:
            report(outside=str(name))
            raise socket.gaierror(f"this comparison stays on this machine: {name}")
        return resolve(host, *more, **named)

    socket.socket.connect = guarded  # type: ignore[method-assign, assignment]  # the one place that all of Python's dials pass
    socket.socket.connect_ex = guarded_ex  # type: ignore[method-assign, assignment]  # the same
    socket.getaddrinfo = guarded_resolve


class Callback:
    """The user's function: it reports, and misbehaves when it is told to."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self.raises = False
        self.takes = 0.0
        self.stops: Optional[Callable[[], object]] = None

    def __call__(self, topic: str, number: int) -> None:
        self._report(message=topic, number=number)
        if self.takes:
            time.sleep(self.takes)
        if self.raises:
            self.raises = False
            raise ValueError("the user's own mistake")
        if self.stops is not None:
            stop, self.stops = self.stops, None
            began = time.monotonic()
            raised = attempt(stop)
            self._report(stopped=time.monotonic() - began, raised=raised)


class Told:
    """What the library tells the user; one that tells the same a hundred thousand times is cut short."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._times: Dict[str, int] = {}

    def __call__(self, what: str, text: object = "", since: Optional[object] = None) -> None:
        times = self._times[what] = self._times.get(what, 0) + 1
        if times <= 20 or times & (times - 1) == 0:
            self._report(told=what, text=str(text)[:200], since=None if since is None else str(since), times=times)


def attempt(call: Callable[[], object]) -> Optional[str]:
    """The class of what a call raises; None for nothing."""
    try:
        call()
    except Exception as error:  # whatever a library raises is a finding
        return type(error).__name__
    return None


def forked(peer: Peer, topic: str) -> Dict[str, Any]:
    """What a child of os.fork() comes to when it subscribes with the parent's object."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, (attempt(lambda: peer.subscribe(topic)) or "").encode() + b".")
        os._exit(0)
    os.close(writer)
    os.set_blocking(reader, False)
    deadline = time.monotonic() + _FORKED_CALL
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.02)
    try:
        said = os.read(reader, 4096).decode()
    except BlockingIOError:
        said = ""
    os.close(reader)
    return {"returned": said.endswith("."), "child_raised": said.rstrip(".") or None}


def log_everything(path: str) -> None:
    """Every logger that there is or will be, at DEBUG, into a file."""
    logging.basicConfig(filename=path, level=logging.DEBUG, format="%(name)s %(levelname)s %(message)s", force=True)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.setLevel(logging.DEBUG)


def end_with(parent: int) -> None:
    """Let this process not outlive the program that started it, whatever threads the library keeps."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="adapter", daemon=True).start()


def main() -> None:
    end_with(os.getppid())
    report = Reporter()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    keep_home(report)
    callback = Callback(report)
    adapter = importlib.import_module(sys.argv[1]).Adapter
    peer: Peer = adapter(Place(**json.loads(sys.argv[2])), Listener(callback, Told(report)))
    for line in sys.stdin:
        command = json.loads(line)
        do, more, raised = command["do"], {}, None  # type: str, Dict[str, Any], Optional[str]
        if do == "end":
            break
        if do == "start":
            raised = attempt(peer.start)
            more = {"version": importlib.metadata.version(peer.package), "python": platform.python_version()}
        elif do == "subscribe":
            raised = attempt(lambda: peer.subscribe(command["topic"]))  # noqa: B023  # called at once
        elif do == "stop":
            raised = attempt(peer.stop)
        elif do == "misbehave":
            callback.raises = command.get("raises", False)
            callback.takes = command.get("takes", 0.0)
            callback.stops = peer.stop if command.get("stops") else None
        elif do == "fork":
            more = forked(peer, command["topic"])
        elif do == "log":
            log_everything(command["path"])
        others = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
        threads = [name for name in others if name != "adapter"]  # a thread so named is what the user would write
        report(did=do, raised=raised, threads=threads, **more)


if __name__ == "__main__":
    main()
