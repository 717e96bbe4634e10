"""The command ``python -m xchws.sandbox``: runs a simulated exchange until Ctrl-C and says how to reach it."""

from __future__ import annotations

import argparse
import sys
import threading
from typing import Any, Dict, List, Optional

from .catalogue import ENTRIES, MissingExtra

HISTORY = 10_000  # events and messages kept; a command may run for weeks


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status: 0 after Ctrl-C or --duration, 1 for a missing extra or a taken port, 2 for
    wrong arguments."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    entry = ENTRIES[arguments.exchange]
    options: Dict[str, Any] = {"port": arguments.port, "seed": arguments.seed, "history": HISTORY}
    if entry.rest:
        options["rest_port"] = arguments.rest_port
    try:
        exchange = entry.load()(**options)
    except MissingExtra as missing:
        print(missing, file=sys.stderr)
        return 1
    try:
        exchange.start()
        print(f"{entry.summary}, simulated")
        print("\n".join(exchange.instructions()), flush=True)
        if arguments.rate > 0:
            exchange.run(arguments.rate)
        threading.Event().wait(arguments.duration)
    except OSError as error:
        print(f"port {arguments.port or arguments.rest_port}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        exchange.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m xchws.sandbox", description="A simulated exchange on 127.0.0.1. Ctrl-C ends it."
    )
    commands = parser.add_subparsers(dest="exchange", required=True, metavar="EXCHANGE")
    for entry in ENTRIES.values():
        command = commands.add_parser(entry.name, help=entry.summary, description=entry.summary)
        command.add_argument("--port", type=_port, default=0, help="of the WebSocket (default: any free one)")
        if entry.rest:
            command.add_argument("--rest-port", type=_port, default=0, help="of the REST endpoint (likewise)")
        command.add_argument("--rate", type=float, default=2.0, help="events per second (default: 2; 0: none)")
        command.add_argument("--seed", type=int, help="makes the events repeatable")
        command.add_argument("--duration", type=float, help="seconds to run (default: until Ctrl-C)")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
