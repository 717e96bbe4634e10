"""xchws: a live WebSocket connection to an exchange for code without asyncio. Callbacks in, threads hidden.

import xchws

client = xchws.Indodax(key, secret)

@client.on_order
def changed(order):
    print(order.symbol, order.side, order.status, order.filled, "of", order.quantity)

client.run_forever()
"""

from __future__ import annotations

import logging

from xchws.backoff import Backoff
from xchws.client import Client
from xchws.errors import (
    AuthenticationFailed,
    CallbackError,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ExchangeError,
    HandshakeRejected,
    OpenFailed,
    ProtocolError,
    RateLimited,
    RequestRejected,
    Silent,
    SlowConsumer,
    StateError,
    SubscriptionRejected,
    WaitTimeout,
    XchwsError,
)
from xchws.events import (
    Balance,
    BookLevel,
    Connected,
    Data,
    Disconnected,
    Event,
    Failure,
    Fill,
    Gap,
    Message,
    Order,
    OrderBook,
    OrderStatus,
    Other,
    Position,
    State,
    StateChanged,
    Stopped,
    Suspended,
    Ticker,
    Trade,
    Transfer,
)
from xchws.exchanges.finery.client import Finery
from xchws.exchanges.indodax.client import Indodax
from xchws.exchanges.indodax.market_client import IndodaxMarket
from xchws.exchanges.kyan.client import Kyan
from xchws.exchanges.kyrrex.client import Kyrrex
from xchws.exchanges.richamster.client import Richamster
from xchws.status import Status
from xchws.subscribing import Subscription
from xchws.watching import EventStream, Expectation

__version__ = "0.1.0"

# Without a handler of the program's own, Python would print warnings to stderr: the library prints nothing.
logging.getLogger("xchws").addHandler(logging.NullHandler())

__all__ = [
    "AuthenticationFailed",
    "Backoff",
    "Balance",
    "BookLevel",
    "CallbackError",
    "Client",
    "ConfigurationError",
    "Connected",
    "ConnectionFailed",
    "ConnectionLost",
    "Data",
    "Disconnected",
    "Event",
    "EventStream",
    "ExchangeError",
    "Expectation",
    "Failure",
    "Fill",
    "Finery",
    "Gap",
    "HandshakeRejected",
    "Indodax",
    "IndodaxMarket",
    "Kyan",
    "Kyrrex",
    "Message",
    "OpenFailed",
    "Order",
    "OrderBook",
    "OrderStatus",
    "Other",
    "Position",
    "ProtocolError",
    "RateLimited",
    "RequestRejected",
    "Richamster",
    "Silent",
    "SlowConsumer",
    "State",
    "StateChanged",
    "StateError",
    "Status",
    "Stopped",
    "Subscription",
    "SubscriptionRejected",
    "Suspended",
    "Ticker",
    "Trade",
    "Transfer",
    "WaitTimeout",
    "XchwsError",
]
