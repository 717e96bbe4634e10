"""For code that is a loop: own orders and executions on Indodax as an iterator, in the main thread.

export INDODAX_KEY=... INDODAX_SECRET=...
python examples/loop_over_events.py
"""

from __future__ import annotations

import argparse
import os
import threading

import xchws

parser = argparse.ArgumentParser(description="Own orders and executions on Indodax, in a loop.")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--rest-url", default=os.environ.get("XCHWS_REST_URL"), help="another REST base")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

client = xchws.Indodax(url=arguments.url, rest_url=arguments.rest_url)
events = client.events(xchws.Event)  # from now on; asked for before the start, so that nothing comes before it

if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)  # the loop ends when the client is stopped
    timer.daemon = True
    timer.start()

with client:  # starts it, and stops it in the end
    try:
        for event in events:
            if isinstance(event, xchws.Order):
                print("order", event.id, event.status, "remaining", event.remaining)
            elif isinstance(event, xchws.Fill):
                print("fill", event.order_id, event.quantity, "at", event.price)
            elif isinstance(event, (xchws.Gap, xchws.Disconnected)):
                print(event)
    except KeyboardInterrupt:
        print("stopped")
