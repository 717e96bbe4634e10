"""A WSGI application that gunicorn loads before it forks (preload_app), and gunicorn's configuration."""

from __future__ import annotations

import json
from typing import Any, Callable, List

from tests.forks.workers import clients

bind = "127.0.0.1:0"
workers = 2
preload_app = True
wsgi_app = "tests.forks.workers.wsgi:application"


def when_ready(server: Any) -> None:
    """In the process that forks, before it does: say where it listens."""
    clients.start_before()
    print(json.dumps(server.LISTENERS[0].sock.getsockname()), flush=True)


def post_fork(server: Any, worker: Any) -> None:
    """In the worker."""
    clients.start_after()


def application(environment: Any, start_response: Callable[..., Any]) -> List[bytes]:
    """Tell what the worker sees, or the next ticker that it hears."""
    heard = environment["PATH_INFO"] == "/heard"
    body = clients.heard(20) if heard else json.dumps(clients.seen())
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body.encode()]
