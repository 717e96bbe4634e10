"""A whole account on Kyrrex, live: balances, orders, executions, deposits and withdrawals.

    export KYRREX_KEY=... KYRREX_SECRET=...
    python examples/kyrrex_account.py usdt btc

Ctrl-C ends it. To try it without a key, start `xchws sandbox kyrrex` and copy what it prints:

    KYRREX_KEY=... KYRREX_SECRET=... python examples/kyrrex_account.py --url ws://... --rest-url http://...
"""

from __future__ import annotations

import argparse
import os
import threading
from decimal import Decimal
from typing import Dict, Optional

import xchws

parser = argparse.ArgumentParser(description="A whole account on Kyrrex, live.")
parser.add_argument("assets", nargs="*", help="such as usdt btc; all by default")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--rest-url", default=os.environ.get("XCHWS_REST_URL"), help="another REST base")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

client = xchws.Kyrrex(url=arguments.url, rest_url=arguments.rest_url)
free: Dict[str, Optional[Decimal]] = {}


# A balance is the whole state of one currency, so the newest one is all that counts.
@client.on_balance
def changed(balance: xchws.Balance) -> None:
    free[balance.asset] = balance.free
    if not arguments.assets or balance.asset in arguments.assets:
        print("balance", balance.asset, "free", balance.free, "locked", balance.locked, "total", balance.total)


@client.on_order
def ordered(order: xchws.Order) -> None:
    print("order", order.id, order.side, order.symbol, order.status, order.filled, "of", order.quantity)


@client.on_fill
def executed(fill: xchws.Fill) -> None:
    print("fill", fill.order_id, fill.quantity, "at", fill.price, "fee", fill.fee, fill.fee_asset)


@client.on_transfer
def moved(transfer: xchws.Transfer) -> None:
    print(transfer.direction, transfer.id, transfer.amount, transfer.asset, transfer.status)


@client.on_gap
def missed(gap: xchws.Gap) -> None:
    # What happened while the connection was away is not sent again: ask for balances, orders and transfers by REST.
    free.clear()
    print("gap from", gap.since, "to", gap.until)


client.on_error(lambda error: print("trouble:", error))

if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)  # stop() is legal from any thread
    timer.daemon = True
    timer.start()

client.run_forever()  # connects, and again whenever the connection is lost
print("known in the end:", ", ".join(f"{asset} {amount}" for asset, amount in sorted(free.items())) or "nothing")
