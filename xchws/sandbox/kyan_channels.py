"""Kyan's channels: what a subscription may ask for, and which events belong to it.

From the channel pages of https://docs.kyan.blue/docs/websocket-api (read 2026-11). ``account_liquidation`` and ``rfq``
are in unofficial code only. That a key which no page names makes a query invalid is a guess.
Knows neither connections nor the market.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

MARKETS = ("BTC", "ETH", "ARB")
PAIRS = tuple(f"{market}_USDC" for market in MARKETS)
PERPETUAL = re.compile(r"(BTC|ETH|ARB)_USDC-PERPETUAL")
OPTION = re.compile(r"((?:BTC|ETH|ARB)_USDC)-(\d{2}[A-Z]{3}\d{2})-(\d+(?:\.\d+)?)-([CP])")
MATURITY = re.compile(r"\d{2}[A-Z]{3}\d{2}")
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

Check = Callable[[Any], bool]


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _like(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _options(value: Any) -> bool:
    return (
        isinstance(value, dict) and set(value) <= {"skip_snapshot"} and all(isinstance(v, bool) for v in value.values())
    )


@dataclass(frozen=True)
class Channel:
    """*fields*: the keys a query may have, and what each value must be; *required* ones must be there."""

    name: str
    fields: Mapping[str, Check]
    required: Tuple[str, ...] = ()

    def accepts(self, query: Any) -> bool:
        """Whether the vendor would take this query."""
        return (
            isinstance(query, dict)
            and all(name in query for name in self.required)
            and all(name in self.fields and self.fields[name](value) for name, value in query.items())
        )


_PAIR, _MARKET, _ACCOUNT = _one_of(*PAIRS), _one_of(*MARKETS), _like(ADDRESS)
_SIDE = _one_of("buy", "sell")

CHANNELS: Dict[str, Channel] = {
    channel.name: channel
    for channel in (
        Channel("index_price", {"pair": _PAIR}, ("pair",)),
        Channel("instruments", {"market": _MARKET}),
        Channel("funding", {"instrument_name": _like(PERPETUAL)}, ("instrument_name",)),
        Channel("interest_rate", {"pair": _PAIR, "expiry": _like(MATURITY)}, ("pair",)),
        Channel("iv", {"pair": _PAIR, "maturity": _like(MATURITY)}, ("pair",)),
        Channel(
            "orderbook_perps",
            {"instrument_name": _like(PERPETUAL), "pair": _PAIR, "direction": _SIDE, "options": _options},
        ),
        Channel(
            "orderbook_options",
            {
                "instrument_name": _like(OPTION),
                "pair": _PAIR,
                "maturity": _like(MATURITY),
                "strike": _number,
                "type": _one_of("C", "P"),
                "direction": _SIDE,
                "options": _options,
            },
        ),
        Channel("orderbook_maker", {"maker": _ACCOUNT, "pair": _PAIR}, ("maker",)),
        Channel("account_state", {"account": _ACCOUNT, "pair": _PAIR}, ("account",)),
        Channel("position", {"account": _ACCOUNT, "market": _MARKET}, ("account",)),
        Channel("trade", {"account": _ACCOUNT, "pair": _PAIR, "direction": _SIDE}),
        Channel(
            "transfer",
            {
                "account": _ACCOUNT,
                "symbol": _one_of("USDC", *MARKETS),
                "type": _one_of("deposit", "withdrawal"),
            },
            ("account",),
        ),
        Channel("mmp", {"smart_account_address": _ACCOUNT, "pair": _PAIR}),
        Channel("bankruptcy", {"market": _PAIR}),  # a pair, whatever the key is called
        Channel("account_liquidation", {"account": _ACCOUNT}, ("account",)),
        Channel("rfq", {"account": _ACCOUNT, "type": _string, "order_id": _string}),
    )
}
BOOKS = ("orderbook_perps", "orderbook_options")


@dataclass(frozen=True)
class Event:
    """Something that happened: *data* as on the wire, and what subscriptions can be matched with.

    A fact is a value, or a tuple of values that all are true (an account has two addresses).
    """

    type: str
    data: Any
    channels: Tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Subscription:
    """A channel and a query that it accepts, as the client wrote it."""

    channel: str
    query: Mapping[str, Any]

    @property
    def key(self) -> Tuple[Any, ...]:
        """The same for subscriptions that mean the same."""
        wanted = sorted((name, value) for name, value in self._wanted().items())
        return (self.channel, *((name, _normal(value)) for name, value in wanted))

    @property
    def skip_snapshot(self) -> bool:
        return bool(self.query.get("options", {}).get("skip_snapshot", False))

    def wire(self) -> Dict[str, Any]:
        """What events repeat of it: the channel pages' examples leave ``options`` out."""
        return {"channel": self.channel, "query": self._wanted()}

    def wants(self, event: Event) -> bool:
        """Whether the event belongs to it."""
        return self.channel in event.channels and self.matches(event.facts)

    def matches(self, facts: Mapping[str, Any]) -> bool:
        """Whether every key of the query is among the facts."""
        for name, value in self._wanted().items():
            fact = facts.get(name)
            known = fact if isinstance(fact, tuple) else (fact,)
            if _normal(value) not in [_normal(each) for each in known]:
                return False
        return True

    def _wanted(self) -> Dict[str, Any]:
        return {name: value for name, value in self.query.items() if name != "options"}


def instrument_facts(name: str) -> Dict[str, Any]:
    """What the name of an instrument says.

    Raises:
        ValueError: it is no instrument's name.
    """
    if PERPETUAL.fullmatch(name):
        return {"instrument_name": name, "pair": name.split("-")[0]}
    option = OPTION.fullmatch(name)
    if option is None:
        raise ValueError(f"{name!r}: an instrument is like 'ETH_USDC-PERPETUAL' or 'ETH_USDC-27MAR26-4200-C'")
    pair, maturity, strike, kind = option.groups()
    return {"instrument_name": name, "pair": pair, "maturity": maturity, "strike": Decimal(strike), "type": kind}


def book_of(name: str) -> str:
    """The channel of an instrument's order book."""
    return BOOKS[0] if PERPETUAL.fullmatch(name) else BOOKS[1]


def market_of(pair: str) -> str:
    """``ETH`` of ``ETH_USDC``."""
    return pair.split("_")[0]


def checked_pair(pair: str) -> str:
    """The pair itself.

    Raises:
        ValueError: it is none.
    """
    if pair not in PAIRS:
        raise ValueError(f"{pair!r}: a pair is one of {', '.join(PAIRS)}")
    return pair


def _normal(value: Any) -> Optional[Any]:
    """Addresses are the same in any case."""
    return value.lower() if isinstance(value, str) and ADDRESS.fullmatch(value) else value
