"""A library that does everything right, for the comparison to find that out."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from typing import List, Optional

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from benchmarks.reliability.dialects.plain import Plain
from benchmarks.reliability.peers.peer import ERROR, GAP, TOKEN, Peer


class Adapter(Peer):
    """A thread that connects again and again; everything the trials ask for in a few lines."""

    title = "good"
    package = "websockets"
    dialect = Plain
    sends = {"token": TOKEN}

    def start(self) -> None:
        self._wanted: List[str] = []
        self._over = threading.Event()
        self._connection: Optional[ClientConnection] = None
        self._process = os.getpid()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(20)

    def _run(self) -> None:
        query = f"?token={TOKEN}" if self.place.private else ""
        wait = 0.3 if self.place.quick else 20.0
        quiet = logging.getLogger("good")
        quiet.disabled = True
        since = None
        while not self._over.wait(0.0 if since is None else 0.3):
            try:
                with connect(
                    f"{self.place.url}/{query}",
                    compression=None,
                    open_timeout=1.0,
                    ping_interval=wait,
                    ping_timeout=wait,
                    close_timeout=0.3,
                    logger=quiet,  # it would show the path
                ) as connection:
                    self._connection = connection
                    if self._over.is_set():
                        return
                    for topic in list(self._wanted):
                        connection.send(json.dumps({"subscribe": topic}))
                    if since is not None:
                        self.listener.told(GAP, "", since=since)
                    self._ready.set()
                    for text in connection:
                        self._hear(json.loads(text))
            except (OSError, WebSocketException):
                pass  # the next round tries again
            since = time.time()

    def _hear(self, said: dict[str, object]) -> None:
        if "error" in said:
            self.listener.told(ERROR, said["error"])
        elif "topic" in said:
            try:
                self.listener.message(str(said["topic"]), int(str(said["number"])))
            except ValueError as error:
                self.listener.told(ERROR, error)

    def subscribe(self, topic: str) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("made before the fork")
        self._wanted.append(topic)
        assert self._connection is not None
        self._connection.send(json.dumps({"subscribe": topic}))

    def stop(self) -> None:
        self._over.set()
        if self._connection is not None:
            self._connection.close_socket()
        if threading.current_thread() is not self._thread:
            self._thread.join()
