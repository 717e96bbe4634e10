"""Under gunicorn, Celery or anything else that forks: the client is made in the worker, after the fork.

    python examples/forked_workers.py BTC/UAH ETH/UAH

A connection belongs to one process. A client that was started before the fork is dead in the child and says so (StateError).
Under Celery the client is made and started in a handler of the signal `worker_process_init`, under gunicorn in the hook
`post_fork`: there with `client.start()`, for `run_forever()` would not come back and the worker would do nothing else.
Here the standard library's multiprocessing starts processes that do nothing else: one for each pair.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import threading
from typing import Optional

import xchws


def worker(pair: str, url: Optional[str], seconds: Optional[float]) -> None:
    """The life of one worker, in its own process."""
    client = xchws.Richamster(url=url)
    client.on_trade(lambda trade: print("worker", pair, "trade", trade.quantity, "at", trade.price, flush=True))
    client.on_error(lambda error: print("worker", pair, "trouble:", error, flush=True))
    client.subscribe_trades(pair)
    if seconds:
        timer = threading.Timer(seconds, client.stop)
        timer.daemon = True
        timer.start()
    client.run_forever()


def main() -> None:
    """Fork the workers and wait for them."""
    parser = argparse.ArgumentParser(description="One process and one client for each pair.")
    parser.add_argument("pairs", nargs="*", default=["BTC/UAH", "ETH/UAH"], help="such as BTC/UAH")
    parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
    parser.add_argument("--seconds", type=float, help="end by itself after so long")
    arguments = parser.parse_args()
    workers = [
        multiprocessing.Process(target=worker, args=(pair, arguments.url, arguments.seconds))
        for pair in arguments.pairs
    ]
    for process in workers:
        process.start()
    try:
        for process in workers:
            process.join()
    except KeyboardInterrupt:  # Ctrl-C reaches the workers, too; each stops its client
        for process in workers:
            process.join()


if __name__ == "__main__":
    main()
