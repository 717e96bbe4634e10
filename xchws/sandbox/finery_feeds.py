"""The feeds of the simulated Finery Markets: what a bind may ask for, and the snapshot that answers it.

Pages "Feed B" to "Feed S" of https://faq.finerymarkets.com/api-reference/websocket-api (read 2026-11). Feeds I and G
have no page: I is the answer to "instruments" without networks, as that page says; G are the rows of "limits".
Knows no connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence

from .finery_accounts import FineryAccount, currency_named, currency_rows, instrument_named, instrument_rows
from .finery_book import FineryRefusal
from .finery_trading import order_row
from .finery_walk import FineryWalk
from .jsontext import write

FEEDS = ("B", "F", "I", "G", "L", "K", "O", "P", "S", "N", "R")
NOT_AUTHORISED, BAD_FEED, BAD_FEED_ID = 3, 102, 103
# The page of the FIX market data says who gets which book; that a bind is refused by 3 is a guess.
BARRED = {"maker": "F", "taker": "B"}


@dataclass(frozen=True)
class Binding:
    """What a connection is bound to: the feed, the feedId as it was sent (0 if none was), and what it means.

    Attributes:
        target: the instrument or currency by name; None for all.
    """

    feed: str
    feed_id: Any
    target: Optional[str]

    def wants(self, feed: str, targets: Sequence[str]) -> bool:
        """Whether an event of this feed about these instruments or currencies belongs to it."""
        return feed == self.feed and (self.target is None or self.target in targets)


def binding_key(feed: object, feed_id: object) -> str:
    """What two binds have in common if they are the same: the order of an object's members does not matter."""
    if isinstance(feed_id, dict):
        feed_id = dict(sorted(feed_id.items()))
    return write([feed, feed_id])


def bind(feed: object, feed_id: Any, account: FineryAccount) -> Binding:
    """The binding that is asked for.

    Raises:
        FineryRefusal: 102, 103 or 3.
    """
    if not isinstance(feed, str) or feed not in FEEDS:
        raise FineryRefusal(BAD_FEED)
    target: Optional[str] = None
    if feed in ("B", "F", "O"):
        name = feed_id
        if feed == "F" and isinstance(feed_id, dict):  # a master's view of a client's book
            name = feed_id.get("instrument") if isinstance(feed_id.get("clientId"), int) else None
        target = instrument_named(name)
        if target is None and (feed != "O" or feed_id is not None):
            raise FineryRefusal(BAD_FEED_ID)
    elif feed in ("K", "S") and feed_id is not None:
        target = currency_named(feed_id)
        if target is None:
            raise FineryRefusal(BAD_FEED_ID)
    if BARRED.get(account.role) == feed:
        raise FineryRefusal(NOT_AUTHORISED)
    return Binding(feed, 0 if feed_id is None else feed_id, target)


def snapshot(exchange: FineryWalk, binding: Binding, account: FineryAccount) -> Any:
    """The data of the snapshot; the market lock must be held."""
    feed, target = binding.feed, binding.target
    if feed in ("B", "F"):
        assert target is not None
        return list(exchange.view(target))
    if feed == "I":
        return [currency_rows(networks=False), instrument_rows()]
    if feed == "G":
        return list(account.global_limits.values())
    if feed == "L":
        return exchange.limit_rows(account)
    if feed == "K":
        rows = positions(exchange, account, target)
        return [exchange.next_id, rows] if exchange.old_layouts else rows
    if feed == "O":
        return [order_row(order) for order in exchange.open_orders(account, target)]
    if feed == "S":
        orders = exchange.settlement_orders(account)
        return [order for order in orders if target in (None, order["currency1"], order.get("currency2"))]
    if feed == "N":
        return [0, *exchange.transactions(account)]
    if feed == "R":
        return list(exchange.settlement_requests(account))
    return everything(exchange, account)


def positions(exchange: FineryWalk, account: FineryAccount, currency: Optional[str] = None) -> Any:
    """The account's positions as on feed K."""
    return [
        exchange.position_row(account, name, counterparty)
        for name, counterparty in account.positions
        if currency in (None, name)
    ]


def everything(exchange: FineryWalk, account: FineryAccount) -> Any:
    """What feed P and the request ``positions`` tell."""
    orders = [order_row(order) for order in exchange.open_orders(account)]
    return [exchange.next_id, positions(exchange, account), orders, exchange.settlement_rows(account)]
