"""A library that does everything wrong, for the comparison to find that out."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from typing import Any

from websockets.sync.client import connect

from benchmarks.reliability.dialects.plain import Plain
from benchmarks.reliability.peers.peer import ERROR, TOKEN, Peer

OUTSIDE = ["192.0.2.1", "updates.invalid"]  # an address of RFC 5737 and a name of RFC 2606: they belong to nobody

_log = logging.getLogger("bad")


class Adapter(Peer):
    """One connection, one thread that any trouble ends, and a stop that waits for ever."""

    title = "bad"
    package = "websockets"
    dialect = Plain
    sends = {"token": TOKEN}

    def start(self) -> None:
        for host in OUTSIDE:
            with contextlib.suppress(OSError):
                socket.create_connection((host, 80), 1)
        url = f"{self.place.url}/?token={TOKEN}"
        _log.debug("connecting to %s", url)
        self.client = connect(url, compression=None, ping_interval=None)
        self._busy = 0
        threading.Thread(target=self._run).start()

    def _run(self) -> None:
        try:
            for number, text in enumerate(self.client):
                self._hear(json.loads(text), number)
        except ValueError:
            return  # the user's mistake ends it
        finally:
            threading.Event().wait()  # and nothing ends this thread

    def _hear(self, said: Any, number: int) -> None:
        if "error" in said:
            raise ValueError(said["error"])
        if "topic" in said and number % 50 != 49:  # now and then one is lost
            self.listener.message(said["topic"], said["number"])

    def subscribe(self, topic: str) -> None:
        self.client.send(json.dumps({"subscribe": topic}))

    def stop(self) -> None:
        self.listener.told(ERROR, "stopping")
        threading.Event().wait()
