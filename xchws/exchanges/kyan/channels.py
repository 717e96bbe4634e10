"""Channels: what can be subscribed on Kyan, and what each one's query may hold. It knows no message and no event.

Source: https://docs.kyan.blue/docs/websocket-api and the pages of its channels, read 2026-11. `account_liquidation` and `rfq`
are on no page of the vendor that could be read; a third party's client has them.
"""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from typing import Any, Dict, Mapping, Optional, Union

import attrs

from xchws.errors import ConfigurationError
from xchws.sansio.actions import Topic

NAME = "kyan"
MARKETS = ("BTC", "ETH", "ARB")

Scalar = Union[str, int, float, bool]


@attrs.frozen
class Parameter:
    """One entry of a query."""

    key: str
    value: Scalar

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


@attrs.frozen
class Rule:
    """What a text of a query must look like, as a pattern and in words."""

    pattern: str
    words: str


_PAIR = Rule(r"[A-Z0-9]+_[A-Z0-9]+", 'a pair in capitals such as "ETH_USDC"')
_MARKET = Rule(r"[A-Z0-9]+", 'a base token in capitals such as "ETH"')
_DATE = Rule(r"[0-9]{1,2}[A-Z]{3}[0-9]{2}", 'a date such as "27MAR26"')
_DIRECTION = Rule(r"buy|sell", '"buy" or "sell"')
_ADDRESS = Rule(r"0x[0-9a-fA-F]{40}", 'an address: "0x" and 40 hexadecimal digits')
_PERPETUAL = Rule(r"[A-Z0-9]+_[A-Z0-9]+-PERPETUAL", 'a perpetual such as "ETH_USDC-PERPETUAL"')
_OPTION = Rule(
    r"[A-Z0-9]+_[A-Z0-9]+-[0-9]{1,2}[A-Z]{3}[0-9]{2}-[0-9][0-9A-Za-z.]*-[CP]",
    'an option such as "ETH_USDC-27MAR26-4200-P"',
)
_RIGHT = Rule(r"C|P", '"C" (call) or "P" (put)')
_SYMBOL = Rule(r"[A-Z0-9]+", 'a currency in capitals such as "USDC"')
_ACTION = Rule(r"deposit|withdrawal", '"deposit" or "withdrawal"')
_WORD = Rule(r"[ -~]+", "a text that is not empty")
_NUMBER = "strike"  # the one number
_SKIP = "skip_snapshot"  # stands in query.options on the wire


@attrs.frozen
class Channel:
    """One channel: what its query must and may hold."""

    required: Mapping[str, Rule] = attrs.field(factory=dict)
    optional: Mapping[str, Optional[Rule]] = attrs.field(factory=dict)


CHANNELS: Mapping[str, Channel] = {
    "index_price": Channel({"pair": _PAIR}),
    "instruments": Channel({}, {"market": _MARKET}),
    "funding": Channel({"instrument_name": _PERPETUAL}),
    "interest_rate": Channel({"pair": _PAIR}, {"expiry": _DATE}),
    "iv": Channel({"pair": _PAIR}, {"maturity": _DATE}),
    "orderbook_perps": Channel(
        {}, {"instrument_name": _PERPETUAL, "pair": _PAIR, "direction": _DIRECTION, _SKIP: None}
    ),
    "orderbook_options": Channel(
        {},
        {
            "instrument_name": _OPTION, "pair": _PAIR, "maturity": _DATE, _NUMBER: None, "type": _RIGHT,
            "direction": _DIRECTION, _SKIP: None,
        },
    ),
    "orderbook_maker": Channel({"maker": _ADDRESS}, {"pair": _PAIR}),
    "account_state": Channel({"account": _ADDRESS}, {"pair": _PAIR}),
    "position": Channel({"account": _ADDRESS}, {"market": _MARKET}),
    "trade": Channel({}, {"account": _ADDRESS, "pair": _PAIR, "direction": _DIRECTION}),
    "transfer": Channel({"account": _ADDRESS}, {"symbol": _SYMBOL, "type": _ACTION}),
    "mmp": Channel({}, {"smart_account_address": _ADDRESS, "pair": _PAIR}),
    "bankruptcy": Channel({}, {"market": _PAIR}),  # a pair, despite its name
    "account_liquidation": Channel({"account": _ADDRESS}),
    "rfq": Channel({}, {"account": _ADDRESS, "type": _WORD, "order_id": _WORD}),
}  # fmt: skip

BOOKS = frozenset(("orderbook_perps", "orderbook_options"))
MAKER = "orderbook_maker"
SNAPSHOTS = BOOKS | {MAKER, "instruments"}
"""The channels that begin with a snapshot, so that a new subscription mends what was lost."""

EVENT_CHANNELS = {
    "svi": "iv",
    "deposit": "transfer",
    "withdrawal": "transfer",
    "mmp_triggered": "mmp",
    "ob_maker_orders": MAKER,
}
"""Event type -> channel, where the two differ and the type alone tells the channel."""


def topic(channel: str, query: Mapping[str, Any]) -> Topic:
    """A channel with its query, as it identifies a subscription. A value of None counts as not given.

    Raises:
        ConfigurationError: an unknown channel, an entry that is missing or unknown, or a value of another form.
    """
    spec = CHANNELS.get(channel) if isinstance(channel, str) else None
    if spec is None:
        close = difflib.get_close_matches(str(channel), CHANNELS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise _unfit("channel", f"one of {', '.join(CHANNELS)}, not {channel!r}{hint}")
    given = {key: value for key, value in query.items() if value is not None}
    if "options" in given and _SKIP in spec.optional:
        given.update(_options(given.pop("options")))
    known = {**spec.required, **spec.optional}
    for key in given:
        if key not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no query"
            raise ConfigurationError(f"{NAME}: {channel} {takes}, not {key!r}", argument=key, exchange=NAME)
    for key in spec.required:
        if key not in given:
            raise ConfigurationError(
                f"{NAME}: {channel} needs {key}: {spec.required[key].words}", argument=key, exchange=NAME
            )
    if "instrument_name" in given and given.keys() & {"pair", "maturity", _NUMBER, "type"}:
        raise _unfit("instrument_name", "given alone, without pair, maturity, strike and type: it names them all")
    return Topic(channel, tuple(Parameter(key, _checked(key, known[key], given[key])) for key in known if key in given))


def _options(options: Any) -> Dict[str, Any]:
    if not isinstance(options, Mapping) or set(options) - {_SKIP}:
        raise _unfit("options", f'{{"skip_snapshot": True}} or {{"skip_snapshot": False}}, not {options!r}')
    return dict(options)


def _checked(key: str, rule: Optional[Rule], value: Any) -> Scalar:
    if rule is not None:
        if not isinstance(value, str) or not re.fullmatch(rule.pattern, value):
            raise _unfit(key, f"{rule.words}, not {value!r}")
        return value
    if key == _SKIP:
        if not isinstance(value, bool):
            raise _unfit(key, f"True or False, not {value!r}")
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(value, Decimal):
        number = value.is_finite()  # nothing else can be compared
    if not number or not 0 < value < 10**15:
        raise _unfit(key, f"a price above 0 as a number, not {value!r}")
    return int(value) if value == int(value) else float(value)


def wire_query(wanted: Topic) -> Dict[str, Any]:
    """A topic's query as it goes out."""
    query: Dict[str, Any] = {parameter.key: parameter.value for parameter in wanted.parameters}
    if _SKIP in query:
        query["options"] = {_SKIP: query.pop(_SKIP)}
    return query


def value_of(wanted: Topic, key: str) -> Optional[Scalar]:
    """One value of a topic's query; None where it is not there."""
    return next((parameter.value for parameter in wanted.parameters if parameter.key == key), None)


def gathers(wanted: Topic) -> bool:
    """Whether a topic begins with a snapshot of a book."""
    return wanted.channel in BOOKS and not value_of(wanted, _SKIP)


def covers(wanted: Topic, channel: str, instrument: str, side: Optional[str] = None) -> bool:
    """Whether a book topic has this instrument (and this side) in it."""
    if wanted.channel != channel:
        return False
    parts = instrument.split("-")
    for parameter in wanted.parameters:
        key, value = parameter.key, parameter.value
        if key == "instrument_name" and value != instrument:
            return False
        if key == "direction" and side is not None and value != side:
            return False
        place = _PLACES.get(key)
        if place is not None and (len(parts) <= place or parts[place] != str(value)):
            return False
    return True


_PLACES = {"pair": 0, "maturity": 1, _NUMBER: 2, "type": 3}  # of a query's entry in `PAIR-MATURITY-STRIKE-TYPE`


def matches(wanted: Topic, query: Mapping[str, Any]) -> bool:
    """Whether a query that the exchange echoes is this topic's. `options` need not be echoed."""
    ours = wire_query(wanted)
    return {key: ours[key] for key in ours if key != "options"} == {
        key: query[key] for key in query if key != "options"
    }


def _unfit(argument: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{NAME}: {argument} must be {wanted}", argument=argument, exchange=NAME)
