"""Own orders per second, from the socket to the callback, beside websocket-client's own WebSocketApp in the same run.

A process of its own sends Indodax fills (about 420 bytes each) over loopback as fast as they are taken. Rounds are interleaved
and medians printed; read the ratios, for the absolute figures belong to one machine. Bounded: about half a minute.

    python benchmarks/orders.py [events per round] [rounds]
"""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import queue
import socket
import statistics
import sys
import threading
import time
from decimal import Decimal
from typing import Any, Callable, Dict, List

import attrs
import websocket

import xchws
from xchws.exchanges.indodax.client import IndodaxExchange
from xchws.exchanges.indodax.token import Grant
from xchws.transports.http import Http

CHANNEL = "pws:#c12d3ca099785ede15c37c9b7642ab89d19bc96e"


def frames(count: int) -> bytes:
    out = []
    for number in range(count):
        text = (
            f'{{"push":{{"channel":"{CHANNEL}","pub":{{"data":[{{"eventType":"order_update","order":{{"orderId":'
            f'"aaveidr-limit-{number}","tradeId":"{72057594037968281 + number}","symbol":"aaveidr","side":"BUY","origQty":'
            '"0.0046462","unfilledQty":"0","executedQty":"0.0046462","price":"4289899","description":"AAVE/IDR","status":'
            '"FILL","transactionTime":1734490232679,"fillInformation":{"participant":"TAKER","filledQty":"0.0046462","qty":'
            '"0.0046462","feeAsset":"idr","feeRate":0.002,"fee":"39","taxAsset":"idr","taxRate":0.0012,"tax":"23",'
            '"clearingAsset":"idr","clearingRate":2.22E-4,"clearing":"4"},"clientOrderId":"lendidr-limit-13525"}}]}}}'
        ).encode()
        out.append(b"\x81\x7e" + len(text).to_bytes(2, "big") + text)
    return b"".join(out)


def serve(server: socket.socket, count: int, talks: bool) -> None:
    """Send the frames to one connection after another; with `talks`, after the script of connect and subscribe."""
    stream = frames(count)
    while True:
        connection, _ = server.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            if talks:
                for reply in (b'{"id":1,"connect":{"client":"c","version":"5.2.0"}}', b'{"id":2,"subscribe":{}}'):
                    connection.recv(4096)
                    connection.sendall(bytes((0x81, len(reply))) + reply)
            try:
                connection.sendall(stream)
                while connection.recv(4096):
                    pass
            except OSError:
                pass  # the client has seen enough


class Exchange(IndodaxExchange):
    """Indodax without its token endpoint."""

    def _grant(self, http: Http) -> Grant:
        return Grant("token", CHANNEL)


def xchws_orders(url: str, count: int, callbacks: str) -> float:
    client = xchws.Client(
        Exchange("key", "secret", url, "http://127.0.0.1:1"), callbacks=callbacks, capacity=10 * count
    )
    seen, began, done = [0], [0.0], threading.Event()

    def order(event: xchws.Order) -> None:
        if not seen[0]:
            began[0] = time.perf_counter()
        seen[0] += 1
        if seen[0] == count:
            done.set()

    client.on_order(order)
    client.start(10)
    assert done.wait(60), f"only {seen[0]} came"
    took = time.perf_counter() - began[0]
    client.stop(1)
    return count / took


@attrs.frozen(kw_only=True)
class PlainOrder:
    id: str
    status: str
    price: Decimal
    quantity: Decimal
    filled: Decimal
    remaining: Decimal


def app_orders(url: str, count: int, **options: Any) -> float:
    """What a bot does by hand: WebSocketApp, json, Decimal, attrs, a queue.Queue to another thread."""
    seen, began, ended = [0], [0.0], [0.0]
    handed: queue.Queue[Any] = queue.Queue()
    done = threading.Event()

    def message(app: websocket.WebSocketApp, text: str) -> None:
        if not seen[0]:
            began[0] = time.perf_counter()
        order = json.loads(text)["push"]["pub"]["data"][0]["order"]
        handed.put(
            PlainOrder(
                id=order["orderId"],
                status=order["status"],
                price=Decimal(order["price"]),
                quantity=Decimal(order["origQty"]),
                filled=Decimal(order["executedQty"]),
                remaining=Decimal(order["unfilledQty"]),
            )
        )
        seen[0] += 1
        if seen[0] == count:
            app.close()

    def work() -> None:
        for _ in range(count):
            handed.get()
        ended[0] = time.perf_counter()
        done.set()

    threading.Thread(target=work, daemon=True).start()
    websocket.WebSocketApp(url, on_message=message).run_forever(**options)
    assert done.wait(60)
    return count / (ended[0] - began[0])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    few = max(1, count // 10)  # the slow one gets fewer
    urls = []
    for number, talks in ((count, True), (few, False)):
        server = socket.create_server(("127.0.0.1", 0))
        multiprocessing.get_context("fork").Process(target=serve, args=(server, number, talks), daemon=True).start()
        urls.append(f"ws://127.0.0.1:{server.getsockname()[1]}/")
        server.close()
    paths: Dict[str, Callable[[], float]] = {
        "WebSocketApp, defaults + json + Decimal + attrs + queue.Queue": lambda: app_orders(urls[1], few),
        "WebSocketApp, skip_utf8_validation, the same": lambda: app_orders(urls[1], few, skip_utf8_validation=True),
        "xchws, callbacks thread": lambda: xchws_orders(urls[0], count, "thread"),
        "xchws, inline": lambda: xchws_orders(urls[0], count, "inline"),
    }
    rates: Dict[str, List[float]] = {name: [] for name in paths}
    for _ in range(rounds):
        for name, measure in paths.items():
            rates[name].append(measure())
    base = statistics.median(next(iter(rates.values())))
    print(f"CPython {sys.version.split()[0]}, {rounds} rounds, orders per second (median) and ratio to the first line")
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"{rate:>10,.0f}  {rate / base:>6.1f}  {name}")


if __name__ == "__main__":
    main()
