"""websocket-client's own loop: `WebSocketApp(...).run_forever(reconnect=...)` in a thread, as its documentation shows."""

from __future__ import annotations

import importlib
import json
import threading
from typing import Any

from benchmarks.reliability.dialects.plain import Plain
from benchmarks.reliability.peers.peer import ERROR, INTERRUPTED, TOKEN, Peer


class Adapter(Peer):
    """`WebSocketApp` with the user's own subscriptions sent in its function for the opening, as its examples do."""

    title = "websocket-client"
    package = "websocket-client"
    dialect = Plain
    settings = (
        "`run_forever(reconnect=1, ping_interval=20, ping_timeout=10)` in a daemon thread, the subscriptions sent by the user's "
        "function for the opening; for the half-open line `ping_interval=2, ping_timeout=1`."
    )
    sends = {"token": TOKEN}

    def start(self) -> None:
        websocket: Any = importlib.import_module("websocket")
        self._wanted: list[str] = []
        self._opened = threading.Event()
        header = {"Authorization": f"Bearer {TOKEN}"} if self.place.private else None
        self.client = websocket.WebSocketApp(
            f"{self.place.url}/" + (f"?token={TOKEN}" if self.place.private else ""),
            header=header,
            on_open=self._open,
            on_message=self._message,
            on_error=self._error,
            on_close=lambda app, code, reason: self.listener.told(INTERRUPTED, code),
            on_reconnect=self._open,
        )
        interval, wait = (2, 1) if self.place.quick else (20, 10)
        threading.Thread(
            target=lambda: self.client.run_forever(reconnect=1, ping_interval=interval, ping_timeout=wait), daemon=True
        ).start()
        self._opened.wait(10)

    def _open(self, app: Any) -> None:
        for topic in self._wanted:
            app.send(json.dumps({"subscribe": topic}))
        self._opened.set()

    def _error(self, app: Any, error: Exception) -> None:
        kind = type(error).__name__
        self.listener.told(INTERRUPTED if kind.startswith(("WebSocket", "Connection")) else ERROR, kind)

    def _message(self, app: Any, text: str) -> None:
        said = json.loads(text)
        if "topic" in said:
            self.listener.message(said["topic"], said["number"])
        elif "error" in said:
            self.listener.told(ERROR, said["error"])

    def subscribe(self, topic: str) -> None:
        self._wanted.append(topic)
        self.client.send(json.dumps({"subscribe": topic}))

    def stop(self) -> None:
        self.client.close()
