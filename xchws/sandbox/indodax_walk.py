"""The life of its own of Indodax's public market: trades that eat the order book, and levels that come and go.

Made up; every number in it is consistent with all before. Knows nothing of connections and offsets.
"""

from __future__ import annotations

import random
from decimal import Decimal

from .indodax_quotes import IndodaxQuotes, Quotes, Side, new_volume
from .jsontext import Number, plain

FEWEST = 4  # levels of a side, below which new ones are made
MOST = 60


class IndodaxWalk(IndodaxQuotes):
    """Chooses pairs and what happens to them."""

    def step(self, chooser: random.Random, limit: int) -> int:
        before = self.published_count
        pair = chooser.choice(self.pairs)
        quotes = self._quotes[pair]
        luck = chooser.random()
        with self.one_frame():
            if luck < 0.5:
                self._execute(chooser, pair, quotes, limit)
            elif luck < 0.6:
                self.order_book(pair)  # identical repeats are common
            elif luck < 0.85:
                self._change(chooser, quotes)
                self.order_book(pair)
            else:
                self.summary()
        return self.published_count - before

    def _execute(self, chooser: random.Random, pair: str, quotes: Quotes, limit: int) -> None:
        """Somebody takes the best levels: up to three publications, one row for each level."""
        side = chooser.choice(("buy", "sell"))
        levels = quotes.asks if side == "buy" else quotes.bids
        self._refill(chooser, quotes)
        taken = []
        for _ in range(min(chooser.randint(1, 3), len(levels))):
            price, volume = levels.pop(0)
            part = volume if chooser.random() < 0.5 else min(volume, new_volume(chooser, volume))
            if part < volume:
                levels.insert(0, (price, volume - part))
            taken.append((Number(plain(price)), part))
            if part < volume:
                break
        with self.batch():
            for price, volume in taken:
                self.trade(pair, side, price, base=volume)
        if limit >= 2:
            with self.batch():
                for price, volume in taken:
                    self.tick(pair, price, volume)
        if limit >= 3:
            self._refill(chooser, quotes)
            self.order_book(pair)

    def _change(self, chooser: random.Random, quotes: Quotes) -> None:
        self._refill(chooser, quotes)
        levels = chooser.choice((quotes.bids, quotes.asks))
        luck = chooser.random()
        if luck < 0.3 and len(levels) > FEWEST:
            levels.pop(chooser.randrange(len(levels)))
        elif luck < 0.7:
            place = chooser.randrange(len(levels))
            levels[place] = (levels[place][0], new_volume(chooser, quotes.size))
        elif quotes.asks[0][0] - quotes.bids[0][0] > quotes.step:
            better = quotes.step if levels is quotes.bids else -quotes.step
            levels.insert(0, (levels[0][0] + better, new_volume(chooser, quotes.size)))
            del levels[MOST:]
        else:
            self._extend(chooser, quotes, levels)

    def _refill(self, chooser: random.Random, quotes: Quotes) -> None:
        for levels in (quotes.asks, quotes.bids):
            while len(levels) < FEWEST:
                self._extend(chooser, quotes, levels)

    def _extend(self, chooser: random.Random, quotes: Quotes, levels: Side) -> None:
        """One more level beyond the worst one; a side without any begins beyond the other."""
        other = quotes.bids if levels is quotes.asks else quotes.asks
        worst = levels[-1][0] if levels else other[0][0] if other else Decimal(quotes.last)
        distance = quotes.step * chooser.randint(1, 5)
        price = worst + distance if levels is quotes.asks else worst - distance
        if price <= 0:
            price = worst / 2  # so near to zero, steps grow smaller
        levels.append((price, new_volume(chooser, quotes.size)))
