"""A Celery application whose main process has a client of its own before it forks its workers."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_process_init, worker_process_shutdown

from tests.forks.workers import clients

FOLDER = os.environ["XCHWS_TEST_FOLDER"]

app = Celery("workers", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.update(
    broker_transport_options={
        "control_folder": f"{FOLDER}/control",
        "data_folder_in": f"{FOLDER}/queue",
        "data_folder_out": f"{FOLDER}/queue",
    },
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


def in_the_main_process(**_: Any) -> None:
    """Before the fork."""
    clients.start_before()


def in_the_worker(**_: Any) -> None:
    """After it."""
    clients.start_after()


def at_its_end(**_: Any) -> None:
    """The worker's own client goes with it."""
    if clients.after is not None:
        clients.after.stop()


worker_init.connect(in_the_main_process)
worker_process_init.connect(in_the_worker)
worker_process_shutdown.connect(at_its_end)


def hears() -> str:
    """The next ticker that the worker's own client hears."""
    return clients.heard(20)


seen = app.task(clients.seen)
heard = app.task(hears)
