"""Tickers and trades on Richamster. No key is needed.

    python examples/market_data.py BTC/UAH ETH/UAH

To try it without the exchange: `xchws sandbox richamster`, and then with `--url` what it prints.
"""

from __future__ import annotations

import argparse
import os
import threading

import xchws

parser = argparse.ArgumentParser(description="Tickers and trades on Richamster.")
parser.add_argument("pairs", nargs="*", default=["BTC/UAH"], help="such as BTC/UAH")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

client = xchws.Richamster(url=arguments.url)


# A slow function would find older tickers still waiting; of those, only the newest of each pair is of interest.
@client.on_ticker(when_slow="latest")
def ticker(event: xchws.Ticker) -> None:
    print("ticker", event.symbol, "last", event.last, "high", event.high, "low", event.low, "volume", event.volume)


# Of trades, every single one.
@client.on_trade
def trade(event: xchws.Trade) -> None:
    print("trade", event.symbol, event.side, event.quantity, "at", event.price, "=", event.quote_quantity)


client.on_error(lambda error: print("trouble:", error))

# Remembered, and subscribed again after every reconnect.
for pair in arguments.pairs:
    client.subscribe_ticker(pair)
    client.subscribe_trades(pair)

if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)
    timer.daemon = True
    timer.start()

client.run_forever()
