"""Index prices, books and executions on Kyan. KYAN_KEY in the environment; any key of yours will do.

    python examples/kyan_market.py ETH_USDC BTC_USDC

To try it without the exchange: `xchws sandbox kyan`, and then with `--url` and KYAN_KEY as it prints them.
"""

from __future__ import annotations

import argparse
import os
import threading

import xchws
from xchws.exchanges.kyan.models import IndexPrice

parser = argparse.ArgumentParser(description="Index prices, books and executions on Kyan.")
parser.add_argument("pairs", nargs="*", default=["ETH_USDC"], help="such as ETH_USDC")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

client = xchws.Kyan(url=arguments.url)


@client.on_index_price
def index_price(event: IndexPrice) -> None:
    print("index", event.symbol, event.value)


# The whole book each time it changes; of those that wait while the last one is printed, only the newest is of interest.
@client.on_order_book(when_slow="latest")
def order_book(book: xchws.OrderBook) -> None:
    bid = "{1} at {0}".format(*book.bids[0]) if book.bids else "none"
    ask = "{1} at {0}".format(*book.asks[0]) if book.asks else "none"
    print("book", book.symbol, "bid", bid, "ask", ask)


@client.on_trade
def trade(event: xchws.Trade) -> None:
    print("trade", event.symbol, event.side, event.quantity, "at", event.price)


# After a short loss the exchange sends again what was missed; the gap is closed if that is all of it beyond doubt.
@client.on_gap
def gap(event: xchws.Gap) -> None:
    print("gap", ", ".join(event.channels), "closed" if event.recovered else "may have missed something")


client.on_error(lambda error: print("trouble:", error))

for pair in arguments.pairs:
    client.subscribe_index_price(pair)
    client.subscribe_orderbook_perps(pair)
    client.subscribe_trades(pair=pair)

if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)
    timer.daemon = True
    timer.start()

client.run_forever()
