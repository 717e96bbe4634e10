"""A maker on Finery Markets: one order beside the market, which follows the best bid and dies with the connection.

    export FINERY_KEY=... FINERY_SECRET=...
    python examples/finery_orders.py BTC-EUR 0.1

Ctrl-C ends it, and the exchange cancels the order. To try it without a key, start `xchws sandbox finery` and copy what it prints:

    FINERY_KEY=... FINERY_SECRET=... python examples/finery_orders.py BTC-EUR 0.1 --url ws://...
"""

from __future__ import annotations

import argparse
import os
import threading
from decimal import Decimal
from typing import Optional

import xchws
from xchws.exchanges import finery

parser = argparse.ArgumentParser(description="One order that follows the best bid.")
parser.add_argument("instrument", help="such as BTC-EUR")
parser.add_argument("size", help="in the base currency, such as 0.1")
parser.add_argument("--below", default="100", help="how far below the best bid, in the quote currency")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

below = Decimal(arguments.below)
client = xchws.Finery(url=arguments.url)
best: Optional[Decimal] = None  # bid that the order was placed for
order_id: Optional[str] = None


@client.on_order
def changed(order: finery.Order) -> None:
    print("order", order.id, order.status, order.filled, "of", order.quantity, "at", order.price)


@client.on_fill
def executed(fill: finery.Fill) -> None:
    print("fill", fill.order_id, fill.quantity, "at", fill.price, "with", fill.counterparty_id)


@client.on_order_book(when_slow="latest")
def moved(book: xchws.OrderBook) -> None:
    # The own order is in the book, too, but below the best bid.
    global best, order_id
    if not book.bids or book.bids[0][0] == best:
        return
    best = book.bids[0][0]
    wanted = {"price": best - below, "size": arguments.size}
    try:  # a callback has a thread of its own, so it may wait for an answer
        if order_id is None:
            order_id = client.add_order(book.symbol, "buy", type="postOnly", cod=True, **wanted).id
        else:
            order_id = client.modify_order(order_id, **wanted).id
    except finery.Rejection as refusal:
        print("refused:", refusal)
        order_id = None  # executed, removed, or never placed
    except (finery.OrderUnknown, xchws.ConnectionLost) as error:
        print("trouble:", error)  # if it was placed, it has died with the connection


@client.on_disconnect
def down(_: xchws.Disconnected) -> None:
    global best, order_id
    best = order_id = None  # to be placed anew, on the next connection


@client.on_probably_cancelled
def gone(lost: finery.ProbablyCancelled) -> None:
    # The exchange cancels what was placed with cod=True on a connection that is lost; the next snapshot of orders tells.
    print("probably cancelled", lost.id)


@client.on_error
def trouble(error: xchws.XchwsError) -> None:
    print("trouble:", error)


client.subscribe_orders()
client.subscribe_order_book(arguments.instrument)

if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)  # stop() is legal from any thread
    timer.daemon = True
    timer.start()

client.run_forever()  # the order goes with the connection
