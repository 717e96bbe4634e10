"""Place an order and wait for its execution, in straight code: no callback, no polling.

    export INDODAX_KEY=... INDODAX_SECRET=...
    python examples/wait_for_fill.py btcidr --seconds 60

`place_order` only asks you to place the order by hand: what stands there in a bot is its own REST call.
Exit status 0 after an execution, 1 if none came in time.
"""

from __future__ import annotations

import argparse
import os
import sys

import xchws

parser = argparse.ArgumentParser(description="Wait for the execution of an order.")
parser.add_argument("symbol", nargs="?", default="btcidr", help="as the exchange writes it, such as btcidr")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--rest-url", default=os.environ.get("XCHWS_REST_URL"), help="another REST base")
parser.add_argument("--seconds", type=float, default=60.0, help="how long to wait (60)")
arguments = parser.parse_args()


def place_order(symbol: str) -> None:
    """Your REST call goes here. xchws listens; it places no orders on Indodax."""
    print("place an order on", symbol, "now")


client = xchws.Indodax(url=arguments.url, rest_url=arguments.rest_url)
client.start(timeout=10)  # returns when orders are being heard, or raises what is wrong
try:
    # First watch, then act: an execution that comes faster than the REST call returns is not missed.
    execution = client.expect(xchws.Fill, symbol=arguments.symbol)
    place_order(arguments.symbol)
    fill = execution.result(arguments.seconds)
except xchws.WaitTimeout:
    print("no execution within", arguments.seconds, "s")
    sys.exit(1)
finally:
    client.stop()
print("filled", fill.quantity, "at", fill.price, "order", fill.order_id)
