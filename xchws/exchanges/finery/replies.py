"""Replies: what the answers to requests say.

The form of an answer over the stream is documented nowhere. A third party's client (read 2026-11) reads
`{"event":"request","reqId":…,"reply":…}` and `{"event":"request","reqId":…,"error":…,"param":…}`, with the REST method's answer
as `reply`. What is taken beyond that is a guess, in case the exchange puts the answer beside `reqId`. The answers themselves:
https://faq.finerymarkets.com/api-reference/rest-api, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Type, TypeVar

import attrs
import msgspec

from xchws.events import Data, OrderBook, parsed
from xchws.exchanges.finery import models, reading, settlements, wire
from xchws.exchanges.finery.book import Book, OutOfStep
from xchws.exchanges.finery.codes import code_of
from xchws.exchanges.finery.errors import Malformed
from xchws.exchanges.finery.feeds import book_event
from xchws.exchanges.finery.reading import Made, decoded, parts, text_of
from xchws.exchanges.finery.units import plain_or_none

D = TypeVar("D", bound=Data)

_ENVELOPE = ("event", "reqId", "method", "reply", "error")


@attrs.frozen
class Answer:
    """One answer.

    Attributes:
        req_id: which request it is to; None: it does not say.
        value: the REST method's answer, as it came.
        code: the error code; None: no error. A code that cannot be read is -1.
        parameter, original_id, original_remaining: see errors.Rejection; the last in units of 1e-8.
    """

    req_id: Optional[int]
    value: bytes = b"null"
    code: Optional[int] = None
    parameter: Optional[str] = None
    original_id: Optional[str] = None
    original_remaining: Optional[int] = None


def answer_of(fields: Dict[str, msgspec.Raw]) -> Answer:
    """The answer that a message's object is."""
    said = {name: msgspec.json.decode(raw) for name, raw in fields.items() if name in ("reqId", "error")}
    req_id = code_of(said.get("reqId"))
    if "reply" in fields:
        value = bytes(fields["reply"])
    else:
        beside = {name: raw for name, raw in fields.items() if name not in _ENVELOPE}
        value = msgspec.json.encode(beside) if beside else b"null"
    detail = _object(value)
    error = said["error"] if "error" in said else detail.get("error")
    # A reply that is an object may bring its own error, as over REST; 0 is none.
    if error is None or code_of(error) == 0:
        return Answer(req_id, value)
    code = code_of(error)
    parameter = detail.get("param") if "param" not in fields else msgspec.json.decode(fields["param"])
    original, remaining = detail.get("origId"), detail.get("origRemainingSize")
    return Answer(
        req_id,
        value,
        code=-1 if code is None else code,
        parameter=None if parameter is None else str(parameter),
        original_id=None if original is None else str(original),
        original_remaining=remaining if isinstance(remaining, int) and abs(remaining) < 2**63 else None,
    )


def _object(value: bytes) -> Dict[str, Any]:
    said = msgspec.json.decode(value)
    return said if isinstance(said, dict) else {}


# ---------------------------------------------------------------------------------------------- the answers themselves


def _all(made: List[Made], kind: Type[D]) -> Tuple[D, ...]:
    """All of them, of this class; one that cannot be read spoils the answer."""
    found: List[D] = []
    for one in made:
        if isinstance(one, Malformed):
            raise one
        assert isinstance(one, kind), "what makes them makes no others"
        found.append(one)
    return tuple(found)


def order(value: bytes) -> models.OrderReply:
    """`add` and `mod`. Like all of these it raises Malformed if the answer is not what the pages say."""
    said = decoded(value, wire.OrderAnswer)
    return models.OrderReply(
        id=str(said.id),
        client_order_id=text_of(said.clientOrderId),
        initial_size=plain_or_none(said.initialSize),
        remaining_size=plain_or_none(said.remainingSize),
        remaining_volume=plain_or_none(said.remainingVolume),
        cancel_reason=said.cancelReason or 0,
        deals=tuple(
            models.Deal(
                id=str(deal.id),
                price=plain_or_none(deal.price),
                size=plain_or_none(deal.size),
                volume=plain_or_none(deal.volume),
                delta=plain_or_none(deal.delta),
                counterparty_id=text_of(deal.counterpartyId),
                counterparty_subaccount_id=text_of(deal.counterpartySubaccountId),
            )
            for deal in said.deals or ()
        ),
        original_id=text_of(said.origId),
        original_remaining_size=plain_or_none(said.origRemainingSize),
    )


def delete(value: bytes) -> models.DeleteReply:
    """`del`."""
    said = decoded(value, wire.OrderAnswer)
    return models.DeleteReply(
        id=str(said.id),
        remaining_size=plain_or_none(said.remainingSize),
        remaining_volume=plain_or_none(said.remainingVolume),
    )


def book(value: bytes, instrument: str) -> OrderBook:
    """`book`."""
    sides = reading.sides(value)
    try:
        return book_event(Book(sides.bids, sides.asks), instrument, value)
    except OutOfStep as error:
        raise Malformed(str(error), value) from None


def instruments(value: bytes) -> models.Instruments:
    """`instruments`."""
    return _all(settlements.instruments(value, value, ()), models.Instruments)[0]


def portfolio(value: bytes) -> models.Portfolio:
    """`positions`."""
    elements = parts(value)
    if len(elements) < 4:
        raise Malformed("positions, orders and settlement orders are wanted", value)
    next_id = parsed(elements[0])
    return models.Portfolio(
        next_id=None if next_id is None else str(next_id),
        positions=_all(reading.many(elements[1], wire.PositionRow, reading.position, "", value, (1,)), models.Position),
        orders=_all(reading.many(elements[2], wire.OrderRow, reading.order, "", value, (2,)), models.Order),
        settlements=_all(
            reading.many(elements[3], wire.SettlementRow, settlements.settlement_row, "", value, (3,)),
            models.Settlement,
        ),
    )


def deals(value: bytes) -> Tuple[models.Fill, ...]:
    """`dealHistory`."""
    return _all(reading.many(value, wire.DealRow, reading.fill, "", value, ()), models.Fill)


def global_limits(value: bytes) -> Tuple[models.GlobalLimit, ...]:
    """`limits`."""
    return _all(reading.many(value, wire.GlobalRow, reading.global_limit, "", value, ()), models.GlobalLimit)


def counterparty_limits(value: bytes) -> Tuple[models.CounterpartyLimit, ...]:
    """`climits`."""
    return _all(reading.counterparties(value, "", value, ()), models.CounterpartyLimit)


def transactions(value: bytes) -> Tuple[models.SettlementTransaction, ...]:
    """`settlementTransactionHistory`; its rows do not tell the direction."""
    made = reading.many(value, wire.TransactionRow, settlements.transaction(""), "", value, ())
    return _all(made, models.SettlementTransaction)


def plain(value: bytes) -> Any:
    """An answer as it is, parsed; numbers with a point are Decimal."""
    return parsed(value)
