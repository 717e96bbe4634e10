"""Indodax's public market: ticks, trades, day summaries and order books, and a life of its own on demand.

Payloads: https://github.com/btcid/indodax-official-api-docs, Marketdata-websocket.md (read 2026-11). Knows nothing of
connections and offsets: what is made here goes to ``publish``.
"""

from __future__ import annotations

import random
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any, ContextManager, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from .jsontext import Number, plain
from .market import Amount, Market, amount

SUMMARY = "market:summary-24h"
BOOK_LEVELS = 50  # of each side in a push
SATOSHI = Decimal("0.00000001")
# What one step of the quote currency is. That usdt has 8 places is a guess.
STEP = {"idr": Decimal(1), "usdt": SATOSHI}
PAIR = re.compile(r"([a-z0-9]+)(idr|usdt)")
JSON_NUMBER = re.compile(r"(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
# The first pairs: price, and the step of prices and the greatest volume in the walk; all made up.
FIRST = {
    "btcidr": ("1600000000", "1000", "0.5"),
    "ethidr": ("55000000", "1000", "5"),
    "solidr": ("2450000", "100", "40"),
    "dogeidr": ("3512", "1", "20000"),
    "btcusdt": ("97012.5", "0.5", "0.5"),
    "ethusdt": ("3300.25", "0.05", "5"),
}

Level = Tuple[Amount, Amount]  # price in the quote currency, volume in the base currency
Side = List[Tuple[Decimal, Decimal]]


@dataclass
class Quotes:
    """What is known of one pair: the last day's figures, and the order book, best prices first."""

    step: Decimal
    size: Decimal
    last: Number
    low: Number
    high: Number
    day_ago: Number
    quote_volume: Decimal = Decimal(0)
    base_volume: Decimal = Decimal(0)
    bids: Side = field(default_factory=list)
    asks: Side = field(default_factory=list)

    def see(self, price: Number) -> None:
        """The market is at this price."""
        self.last, self.low, self.high = price, min(self.low, price), max(self.high, price)


class IndodaxQuotes(Market):
    """Publishes what it is told, and keeps summaries and books consistent with it. Times are whole seconds."""

    def __init__(self, seed: Optional[int] = None, history: Optional[int] = None) -> None:
        super().__init__(seed, history)
        self._quotes: Dict[str, Quotes] = {}
        self._sequence = 14_000_000
        self._orders = random.Random(seed)  # of keys; its own, so that looking at a book changes no other choice
        self._batches = 0
        self._batched: Dict[str, List[List[Any]]] = {}
        for pair, (price, step, size) in FIRST.items():
            self._open(pair, Number(price), Decimal(step), Decimal(size))

    def publish(self, channel: str, payload: Any) -> None:
        """Send it to the channel, and count it in; the market lock is held."""
        raise NotImplementedError

    def one_frame(self) -> ContextManager[object]:
        """What is published inside travels together."""
        raise NotImplementedError

    @property
    def pairs(self) -> List[str]:
        """The listed pairs."""
        with self.market_lock:
            return list(self._quotes)

    def list_pair(self, pair: str, price: Amount) -> None:
        """A new pair: publishes its first tick, trade and order book.

        Raises:
            ValueError: no such pair can be, or it is listed already.
        """
        split(pair)
        number = json_number(price, "price")
        with self.market_lock:
            if pair in self._quotes:
                raise ValueError(f"{pair} is listed already")
            self._open(pair, number, Decimal(1).scaleb(number.adjusted() - 4), Decimal(1))
            for channel, payload in self._first_payloads(pair):
                self.publish(channel, payload)

    def tick(self, pair: str, price: Amount, volume: Amount) -> None:
        """A point of the chart.

        Args:
            price: quote currency per unit, a JSON number spelled as given.
            volume: in the base currency.

        Raises:
            TypeError: a float.
            ValueError: an unknown pair, or a number that cannot be.
        """
        number, text = json_number(price, "price"), volume_text(volume)
        with self.market_lock:
            self._need(pair).see(number)
            self._add_rows(tick_channel(pair), [[self._seconds(), self._next(), number, text]])

    def trade(
        self, pair: str, side: str, price: Amount, quote: Optional[Amount] = None, base: Optional[Amount] = None
    ) -> None:
        """An execution; low, high, last and volumes of the summary follow it.

        Args:
            side: ``buy`` or ``sell``.
            price: quote currency per unit, a JSON number spelled as given.
            quote, base: volumes in the two currencies; one may be left out and is computed.

        Raises:
            TypeError: a float.
            ValueError: an unknown pair or side, a number that cannot be, or neither volume.
        """
        number = json_number(price, "price")
        if side not in ("buy", "sell") or (quote is None and base is None):
            raise ValueError("side is 'buy' or 'sell', and at least one volume is needed")
        with self.market_lock:
            quotes = self._need(pair)
            texts = [None if volume is None else volume_text(volume) for volume in (quote, base)]
            in_quote = texts[0] or plain((Decimal(texts[1] or 0) * number).quantize(STEP[split(pair)[1]], ROUND_FLOOR))
            in_base = texts[1] or plain((Decimal(in_quote) / number).quantize(SATOSHI, ROUND_FLOOR))
            quotes.see(number)
            quotes.quote_volume += Decimal(in_quote)
            quotes.base_volume += Decimal(in_base)
            self._add_rows(
                trade_channel(pair), [[pair, self._seconds(), self._next(), side, number, in_quote, in_base]]
            )

    def summary(self, *pairs: str) -> None:
        """The last day's figures of these pairs, or of all.

        Raises:
            ValueError: an unknown pair.
        """
        with self.market_lock:
            self._add_rows(SUMMARY, self._summary_rows(pairs or tuple(self._quotes)))

    def order_book(
        self, pair: str, bids: Optional[Iterable[Level]] = None, asks: Optional[Iterable[Level]] = None
    ) -> None:
        """A whole order book of at most 50 levels on each side, which is what is published of a deeper one.

        Args:
            bids, asks: pairs of price (quote currency per unit) and volume (base currency), in any order; None leaves
                the side as it is, so that ``order_book(pair)`` says the same again.

        Raises:
            TypeError: a float.
            ValueError: an unknown pair, a number that cannot be, or a bid that is not below every ask.
        """
        with self.market_lock:
            quotes = self._need(pair)
            new_bids = quotes.bids if bids is None else sorted_side(bids, falling=True)
            new_asks = quotes.asks if asks is None else sorted_side(asks, falling=False)
            if new_bids and new_asks and new_bids[0][0] >= new_asks[0][0]:
                raise ValueError("the best bid must be below the best ask")
            quotes.bids, quotes.asks = new_bids, new_asks
            self.publish(book_channel(pair), self._book(pair))

    @contextmanager
    def batch(self) -> Iterator[None]:
        """The rows of ticks, trades and summaries made inside are one publication for each channel, at the end."""
        with self.market_lock:
            self._batches += 1
            try:
                yield
            finally:
                self._batches -= 1
                if not self._batches:
                    batched, self._batched = self._batched, {}
                    for channel, rows in batched.items():
                        self.publish(channel, rows)

    def first_payloads(self) -> List[Tuple[str, Any]]:
        """What the exchange had published last on each channel before anybody looked."""
        payloads = [item for pair in self._quotes for item in self._first_payloads(pair)]
        return [*payloads, (SUMMARY, self._summary_rows(tuple(self._quotes)))]

    def _first_payloads(self, pair: str) -> List[Tuple[str, Any]]:
        last, now = self._quotes[pair].last, self._seconds()
        quote = plain((Decimal("0.01") * last).quantize(STEP[split(pair)[1]], ROUND_FLOOR))
        return [
            (tick_channel(pair), [[now, self._next(), last, "0.01"]]),
            (trade_channel(pair), [[pair, now, self._next(), "buy", last, quote, "0.01"]]),
            (book_channel(pair), self._book(pair)),
        ]

    def _open(self, pair: str, price: Number, step: Decimal, size: Decimal) -> None:
        quotes = Quotes(step, size, last=price, low=price, high=price, day_ago=price)
        chooser = random.Random(pair)  # the same first book whatever the seed
        for side, sign in ((quotes.bids, -1), (quotes.asks, 1)):
            for distance in range(1, 9):
                level = price + sign * distance * step
                if level > 0:
                    side.append((level, new_volume(chooser, size)))
        self._quotes[pair] = quotes

    def _book(self, pair: str) -> Dict[str, Any]:
        quotes = self._quotes[pair]
        return {
            "pair": pair,
            "ask": [self._level(pair, *level) for level in quotes.asks[:BOOK_LEVELS]],
            "bid": [self._level(pair, *level) for level in quotes.bids[:BOOK_LEVELS]],
        }

    def _level(self, pair: str, price: Decimal, volume: Decimal) -> Dict[str, str]:
        base, quote = split(pair)
        members = [
            (f"{base}_volume", plain(volume)),
            (f"{quote}_volume", plain((price * volume).quantize(STEP[quote], ROUND_FLOOR))),
            ("price", plain(price)),
        ]
        self._orders.shuffle(members)  # the vendor's order of keys varies
        return dict(members)

    def _summary_rows(self, pairs: Sequence[str]) -> List[List[Any]]:
        rows: List[List[Any]] = []
        for pair in pairs:
            quotes = self._need(pair)
            prices = [quotes.last, quotes.low, quotes.high, quotes.day_ago]
            rows.append([pair, self._seconds(), *prices, plain(quotes.quote_volume), plain(quotes.base_volume)])
        return rows

    def _add_rows(self, channel: str, rows: List[List[Any]]) -> None:
        if self._batches:
            self._batched.setdefault(channel, []).extend(rows)
        else:
            self.publish(channel, rows)

    def _need(self, pair: str) -> Quotes:
        if pair not in self._quotes:
            raise ValueError(f"{pair!r} is not listed; list_pair() does it")
        return self._quotes[pair]

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _seconds(self) -> int:
        return self.now() // 1000


def tick_channel(pair: str) -> str:
    """Where ticks of the pair are published."""
    return f"chart:tick-{pair}"


def trade_channel(pair: str) -> str:
    """Where trades of the pair are published."""
    return f"market:trade-activity-{pair}"


def book_channel(pair: str) -> str:
    """Where the order book of the pair is published."""
    return f"market:order-book-{pair}"


def split(pair: str) -> Tuple[str, str]:
    """Base and quote currency.

    Raises:
        ValueError: no such pair can be.
    """
    found = PAIR.fullmatch(pair)
    if found is None:
        raise ValueError(f"{pair!r} is no pair like 'btcidr' or 'btcusdt'")
    return found.group(1), found.group(2)


def json_number(value: Amount, name: str) -> Number:
    """A positive JSON number with the spelling that is given.

    Raises:
        TypeError: a float.
        ValueError: not above zero, or no JSON number.
    """
    if not isinstance(value, float) and not JSON_NUMBER.fullmatch(str(value)):
        raise ValueError(f"{name}: {value!r} is no positive JSON number")
    amount(value, name)
    return Number(value)


def volume_text(value: Amount) -> str:
    """A volume as the wire has it: a string spelled as given, a number without exponent."""
    number = json_number(value, "volume")
    return value if isinstance(value, str) else plain(number)


def new_volume(chooser: random.Random, size: Decimal) -> Decimal:
    """A volume of the base currency, at most *size*."""
    return max(SATOSHI, (size * chooser.randint(100, 10_000) / 10_000).quantize(SATOSHI))


def sorted_side(levels: Iterable[Level], falling: bool) -> Side:
    """One side of a book, the best price first.

    Raises:
        TypeError: a float.
        ValueError: a price or volume that is not above zero.
    """
    side = [(Decimal(json_number(price, "price")), Decimal(json_number(size, "volume"))) for price, size in levels]
    return sorted(side, reverse=falling)
