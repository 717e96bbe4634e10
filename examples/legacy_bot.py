"""A bot that used `websocket.WebSocketApp`, turned to xchws in two steps. The old lines were:

    def on_message(ws, message):
        message = json.loads(message)
        if "push" in message:
            for element in message["push"]["pub"]["data"]:
                order = element["order"]
                print(order["orderId"], order["status"], order["executedQty"])

    def on_open(ws):
        ws.send(json.dumps({"connect": {"token": token}, "id": 1}))
        ws.send(json.dumps({"subscribe": {"channel": channel}, "id": 2}))

    while True:                                         # reconnects, with the token of an hour ago
        app = websocket.WebSocketApp(url, on_open=on_open, on_message=on_message)
        app.run_forever(ping_interval=20)
        time.sleep(5)

Step 1 keeps the body of `on_message`: it gets the parsed message instead of the text. Login, token, pings and reconnects are
no longer the bot's. Step 2 takes `on_order` instead: the same fields for every exchange, amounts as exact Decimals.
Both are registered here, so that one sees them side by side.
"""

from __future__ import annotations

import argparse
import os
import threading
from typing import Any

import xchws

parser = argparse.ArgumentParser(description="A bot for WebSocketApp, turned to xchws.")
parser.add_argument("--url", default=os.environ.get("XCHWS_URL"), help="another stream address")
parser.add_argument("--rest-url", default=os.environ.get("XCHWS_REST_URL"), help="another REST base")
parser.add_argument("--seconds", type=float, help="end by itself after so long")
arguments = parser.parse_args()

client = xchws.Indodax(url=arguments.url, rest_url=arguments.rest_url)


# Step 1: every message as the exchange says it.
@client.on_message
def on_message(message: Any) -> None:
    if "push" in message:
        for element in message["push"]["pub"]["data"]:
            order = element["order"]
            print("as it came:", order["orderId"], order["status"], order["executedQty"])


# Step 2: the typed way. When nothing needs step 1 any more, it goes.
@client.on_order
def on_order(order: xchws.Order) -> None:
    print("typed:", order.id, order.status, order.filled)


@client.on_disconnect
def on_close(event: xchws.Disconnected) -> None:
    if event.error is not None:
        print("connection lost:", event.error)


if arguments.seconds:
    timer = threading.Timer(arguments.seconds, client.stop)
    timer.daemon = True
    timer.start()

client.run_forever()
