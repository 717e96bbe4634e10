"""Calls: requests as they go out, made of what a user gives. Every argument that cannot work is refused here, before anything is
sent, with its name and what it may be.

Source: https://faq.finerymarkets.com/api-reference/rest-api (add, mod, del, book, dealHistory and others), read 2026-11. The
stream takes the REST methods with the same content, without nonce and signature.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import attrs
import msgspec

from xchws.exchanges.finery.units import Amount, unfit, units

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)

_SIDES = {"buy": "bid", "sell": "ask", "bid": "bid", "ask": "ask"}
_RESTING = ("limit", "postOnly")
_IMMEDIATE = ("limitIOC", "limitFOK", "marketIOC", "marketFOK")
_MARKET = ("marketIOC", "marketFOK")
_MAX_PAGE = 250  # rows, of dealHistory and the settlement histories

Instant = Union[datetime, int]
OrderId = Union[int, str]


@attrs.define
class Call:
    """One request.

    Attributes:
        method, content: as they go out; amounts are whole numbers of 1e-8.
        timeout: how long its answer is waited for, seconds; None: without end.
        sent: set once it has been handed to a connection: from then on it may have been carried out.
        given_up: set once nobody waits for its answer any more.
    """

    method: str
    content: Mapping[str, Any]
    timeout: Optional[float] = None
    sent: bool = False
    given_up: bool = False


def plain_call(method: str, content: Optional[Mapping[str, Any]], timeout: Optional[float]) -> Call:
    """A request that is taken as it is.

    Raises:
        ConfigurationError: no method, a content that is no JSON object, or one with a Decimal or a float in it.
    """
    if not isinstance(method, str) or not method or not method.isprintable() or " " in method:
        raise unfit("method", f"a REST method's name such as 'positions', not {method!r}")
    if content is not None and not isinstance(content, Mapping):
        raise unfit("content", f"a JSON object (a dict) or None, not {content!r}")
    said = dict(content or {})
    _check_whole(said)
    try:
        msgspec.json.encode(said)
    except (TypeError, ValueError, RecursionError) as error:
        raise unfit("content", f"what can be written as JSON; it cannot: {error}") from None
    return Call(method, said, timeout)


def _check_whole(content: Any) -> None:
    """msgspec writes a Decimal as text, and a float is not what the exchange wants: neither may go out unnoticed."""
    waiting: List[Any] = [content]
    for _ in range(100_000):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, (Decimal, float)):
            raise unfit(
                "content", f"free of {type(value).__name__} ({value}): the wire has amounts as whole numbers of 1e-8"
            )
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple)):
            waiting.extend(value)
    raise unfit("content", "less than 100,000 values that do not hold each other")


def add(
    instrument: str,
    side: str,
    type: str,
    size: Optional[Amount],
    volume: Optional[Amount],
    price: Optional[Amount],
    client_order_id: OrderId,
    cod: bool,
    firm_book_enabled: Optional[bool],
    qs_enabled: Optional[bool],
    makers: Optional[Sequence[int]],
    timeout: Optional[float],
) -> Call:
    """Add an order; see `Finery.add_order`."""
    content: Dict[str, Any] = {
        "instrument": instrument_name(instrument),
        "clientOrderId": order_number(client_order_id, "client_order_id"),
    }
    if not isinstance(side, str) or side not in _SIDES:
        raise unfit("side", f'"buy" or "sell" (or the exchange\'s "bid" or "ask"), not {side!r}')
    if not isinstance(type, str) or type not in (*_RESTING, *_IMMEDIATE):
        raise unfit("type", f"one of {', '.join((*_RESTING, *_IMMEDIATE))}, not {type!r}")
    if (size is None) == (volume is None):
        both = "both are" if size is not None else "neither is"
        raise unfit("size", f"given, or volume, but exactly one of the two: {both}")
    if size is not None:
        content["size"] = units(size, "size")
    else:
        if type in _RESTING:
            raise unfit("volume", f"left out for a {type} order: only takers' orders can be by volume; give size")
        assert volume is not None, "checked above"
        content["volume"] = units(volume, "volume")
    if type in _MARKET:
        if price is not None:
            raise unfit("price", f"left out for a {type} order, not {price!r}")
    elif price is None:
        raise unfit("price", f"given for a {type} order")
    else:
        content["price"] = units(price, "price")
    content["side"] = _SIDES[side]
    content["type"] = type
    content["cod"] = _truth(cod, "cod")
    if firm_book_enabled is not None:
        content["firmBookEnabled"] = _truth(firm_book_enabled, "firm_book_enabled")
    if qs_enabled is not None:
        content["qsEnabled"] = _truth(qs_enabled, "qs_enabled")
    if makers is not None:
        content["makers"] = _numbers(makers, "makers")
    return Call("add", content, timeout)


def modify(
    order_id: OrderId, price: Amount, size: Amount, client_order_id: Optional[OrderId], timeout: Optional[float]
) -> Call:
    """Replace an order; see `Finery.modify_order`."""
    content: Dict[str, Any] = {
        "orderId": order_number(order_id, "order_id"),
        "price": units(price, "price"),
        "size": units(size, "size"),
    }
    if client_order_id is not None:
        content["clientOrderId"] = order_number(client_order_id, "client_order_id")
    return Call("mod", content, timeout)


def delete(order_id: Optional[OrderId], client_order_id: Optional[OrderId], timeout: Optional[float]) -> Call:
    """Cancel an order by exactly one of its ids."""
    if (order_id is None) == (client_order_id is None):
        both = "both are" if order_id is not None else "neither is"
        raise unfit("order_id", f"given, or client_order_id, but exactly one of the two: {both}")
    if order_id is not None:
        return Call("del", {"orderId": order_number(order_id, "order_id")}, timeout)
    assert client_order_id is not None, "checked above"
    return Call("del", {"clientOrderId": order_number(client_order_id, "client_order_id")}, timeout)


def delete_all(instrument: Optional[str], timeout: Optional[float]) -> Call:
    """Cancel all orders. That an instrument narrows it is a guess: no page that could be read tells of this method's content."""
    return Call("delAll", {} if instrument is None else {"instrument": instrument_name(instrument)}, timeout)


def book(instrument: str, tradable: bool, client_id: Optional[int], timeout: Optional[float]) -> Call:
    """The order book of an instrument."""
    content: Dict[str, Any] = {"instrument": instrument_name(instrument), "tradable": _truth(tradable, "tradable")}
    if client_id is not None:
        content["clientId"] = _number(client_id, "client_id")
    return Call("book", content, timeout)


def positions(filter: Optional[str], timeout: Optional[float]) -> Call:
    """Positions, orders and settlement orders."""
    return Call("positions", {} if filter is None else {"filter": _word(filter, "filter")}, timeout)


def history(
    method: str,
    instrument: Union[str, Sequence[str], None],
    counterparty_ids: Optional[Sequence[int]],
    filter: Optional[str],
    till: Optional[OrderId],
    start: Optional[Instant],
    end: Optional[Instant],
    limit: Optional[int],
    timeout: Optional[float],
) -> Call:
    """One page of a history."""
    content: Dict[str, Any] = {}
    if isinstance(instrument, str):
        content["instrument"] = instrument_name(instrument)
    elif instrument is not None:
        if not isinstance(instrument, (list, tuple)) or not instrument:
            raise unfit("instrument", f"a name, a list of names that is not empty, or None, not {instrument!r}")
        content["instrument"] = [instrument_name(name) for name in instrument]
    if counterparty_ids is not None:
        content["counterpartyIds"] = _numbers(counterparty_ids, "counterparty_ids")
    if filter is not None:
        content["filter"] = _word(filter, "filter")
    if till is not None:
        content["till"] = order_number(till, "till")
    if start is not None:
        content["from"] = _milliseconds(start, "start")
    if end is not None:
        content["to"] = _milliseconds(end, "end")
    if limit is not None:
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MAX_PAGE:
            raise unfit("limit", f"a whole number from 1 to {_MAX_PAGE}, not {limit!r}")
        content["limit"] = limit
    return Call(method, content, timeout)


# --------------------------------------------------------------------------------------------------- one argument each


def instrument_name(value: str) -> str:
    """An instrument's name.

    Raises:
        ConfigurationError: it is none.
    """
    if (
        not isinstance(value, str)
        or not value.isprintable()
        or " " in value
        or not 0 < value.find("-") < len(value) - 1
    ):
        hint = ""
        if isinstance(value, str):
            likely = value.upper().replace("/", "-").replace("_", "-").replace(" ", "")
            hint = f"; did you mean {likely!r}?" if "-" in likely.strip("-") else ""
        raise unfit("instrument", f"a name such as 'BTC-USD', not {value!r}{hint}")
    return value


def order_number(value: OrderId, argument: str) -> int:
    """An order's id or client order id, as number or as the text that events and replies have it in.

    Raises:
        ConfigurationError: it is no whole number from 1 to 2**63 - 1.
    """
    number: Any = value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number < 2**63:
        raise unfit(argument, f"a whole number from 1 to {2**63 - 1} or the same as text, not {value!r}")
    return number


def _number(value: int, argument: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise unfit(argument, f"a whole number from 0 to {2**32 - 1}, not {value!r}")
    return value


def _numbers(values: Sequence[int], argument: str) -> List[int]:
    if not isinstance(values, (list, tuple, set, frozenset)) or not values:
        raise unfit(argument, f"a list of whole numbers that is not empty, or None, not {values!r}")
    return [_number(value, argument) for value in values]


def _word(value: str, argument: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or not value or " " in value:
        raise unfit(argument, f"a word such as 'all', not {value!r}")
    return value


def _truth(value: bool, argument: str) -> bool:
    if not isinstance(value, bool):
        raise unfit(argument, f"True or False, not {value!r}")
    return value


def _milliseconds(value: Instant, argument: str) -> int:
    if isinstance(value, datetime) and value.tzinfo is not None and value >= _EPOCH:
        return (value - _EPOCH) // _MILLISECOND
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise unfit(argument, f"an aware datetime or whole Unix milliseconds, not {value!r}")
