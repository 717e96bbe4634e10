"""Executions, order books and the last 24 hours on Indodax. No key is needed.

    python examples/indodax_market.py btcidr ethidr

To try it without the exchange: `xchws sandbox indodax-market`, and then with `--url` and `--token` as it prints them.
"""

from __future__ import annotations

import argparse
import os
import threading

import xchws

parser = argparse.ArgumentParser(description="Executions, order books and the last 24 hours on Indodax.")
parser.add_argument("pairs", nargs="*", default=["btcidr"], help="such as btcidr")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--token", default=os.environ.get("XCHWS_TOKEN"), help="its token, instead of the published one")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

client = xchws.IndodaxMarket(url=arguments.url, token=arguments.token)


@client.on_trade
def trade(event: xchws.Trade) -> None:
    print("trade", event.symbol, event.side, event.quantity, "at", event.price)


# The whole book each time it changes; of those that wait while the last one is printed, only the newest is of interest.
@client.on_order_book(when_slow="latest")
def order_book(book: xchws.OrderBook) -> None:
    bid = "{1} at {0}".format(*book.bids[0]) if book.bids else "none"
    ask = "{1} at {0}".format(*book.asks[0]) if book.asks else "none"
    print("book", book.symbol, "bid", bid, "ask", ask)


@client.on_ticker
def last_day(event: xchws.Ticker) -> None:
    print("24 h", event.symbol, "last", event.last, "low", event.low, "high", event.high, "volume", event.volume)


# The exchange sends again what was missed, as far as it still has it: the gap is closed then.
@client.on_gap
def gap(event: xchws.Gap) -> None:
    print("gap", ", ".join(event.channels), "closed" if event.recovered else "may have missed something")


client.on_error(lambda error: print("trouble:", error))

client.subscribe_summary()
for pair in arguments.pairs:
    client.subscribe_trades(pair)
    client.subscribe_order_book(pair)

if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)
    timer.daemon = True
    timer.start()

client.run_forever()
