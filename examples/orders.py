"""The first script: own orders on Indodax, live.

    export INDODAX_KEY=... INDODAX_SECRET=...
    python examples/orders.py

Ctrl-C ends it. To try it without a key, start `xchws sandbox indodax` and copy what it prints:

    INDODAX_KEY=... INDODAX_SECRET=... python examples/orders.py --url ws://... --rest-url http://...
"""

from __future__ import annotations

import argparse
import os
import threading

import xchws

parser = argparse.ArgumentParser(description="Own orders on Indodax, live.")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--rest-url", default=os.environ.get("XCHWS_REST_URL"), help="another REST base")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

client = xchws.Indodax(url=arguments.url, rest_url=arguments.rest_url)


@client.on_order
def changed(order: xchws.Order) -> None:
    print("order", order.id, order.side, order.symbol, order.status, order.filled, "of", order.quantity)


@client.on_fill
def executed(fill: xchws.Fill) -> None:
    print("fill", fill.order_id, fill.quantity, "at", fill.price, "fee", fill.fee, fill.fee_asset)


@client.on_gap
def missed(gap: xchws.Gap) -> None:
    # The connection was away. What happened meanwhile is not sent again: ask for open orders and trades by REST.
    print("gap", ", ".join(gap.channels), "from", gap.since, "to", gap.until)


@client.on_error
def trouble(error: xchws.XchwsError) -> None:
    print("trouble:", error)


if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)  # stop() is legal from any thread
    timer.daemon = True
    timer.start()

client.run_forever()  # connects, and again whenever the connection is lost
