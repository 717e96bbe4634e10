"""The command ``python -m xchws.sandbox``: runs a simulated exchange until Ctrl-C and says how to reach it."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from typing import Any, Callable, Dict, List, Optional

from .catalogue import ENTRIES, MissingExtra

HISTORY = 10_000  # events and messages kept; a command may run for weeks


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command; its exit status: 0 after Ctrl-C, --duration or a closed pipe, 1 for a missing extra, a taken port or
    an output that cannot be written, 2 for wrong arguments."""
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
        return _run(exchange, entry.summary, arguments)
    except KeyboardInterrupt:
        return 0
    finally:
        exchange.close()


def _run(exchange: Any, summary: str, arguments: argparse.Namespace) -> int:
    try:
        exchange.start()
    except OSError as error:
        ports = [str(port) for port in (arguments.port, getattr(arguments, "rest_port", 0)) if port]
        print(f"port {' or '.join(ports) or 0}: {error.strerror}", file=sys.stderr)
        return 1
    try:
        print(f"{summary}, simulated")
        print("\n".join(exchange.instructions()), flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest must not come up when Python ends
        if isinstance(error, BrokenPipeError):
            return 0  # whoever read has read enough
        print(f"the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    if arguments.rate > 0:
        exchange.run(arguments.rate)
    threading.Event().wait(arguments.duration)
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
        command.add_argument("--rate", type=_rate, default=2.0, help="events per second (default: 2; 0: none)")
        command.add_argument("--seed", type=_seed, help="makes the events repeatable")
        command.add_argument("--duration", type=_duration, help="seconds to run (default: until Ctrl-C)")
    return parser


def _port(text: str) -> int:
    return int(_number(text, int, 65_535, "a port is a whole number from 0 to 65535"))


def _seed(text: str) -> int:
    return int(_number(text, int, 2**63, "a seed is a whole number from 0 on"))


def _rate(text: str) -> float:
    return _number(text, float, 10_000, "a rate is a number of events per second from 0 to 10000")


def _duration(text: str) -> float:
    return _number(text, float, 1e9, "a duration is a number of seconds from 0 to 1000000000")


def _number(text: str, kind: Callable[[str], float], most: float, words: str) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise argparse.ArgumentTypeError(f"{words}, not {text!r}")
    return number


if __name__ == "__main__":
    sys.exit(main())
