"""What Indodax's private stream says about orders: the wire objects, and the events that they become.

Source: https://github.com/btcid/indodax-official-api-docs, Private-websocket.md, read 2026-11. Its examples say FILL where
its table says FILLED; both are taken. Fields that it does not promise in every case are optional.
"""

from __future__ import annotations

from decimal import Decimal
from typing import List, Optional

import attrs
import msgspec

from xchws import events
from xchws.events import Order, OrderStatus

NAME = "indodax"

NEW, FILLS, DONE, CANCELLED, REJECTED = "NEW", ("FILL", "FILLED"), "DONE", "CANCELLED", "REJECTED"


class FillInformation(msgspec.Struct):
    """The execution, on an update with status FILL. `filledQty` is of the whole order so far, `qty` of this execution."""

    participant: Optional[str] = None
    filledQty: Optional[Decimal] = None  # the wire's name
    qty: Optional[Decimal] = None
    feeAsset: Optional[str] = None  # the wire's name
    feeRate: Optional[Decimal] = None  # the wire's name
    fee: Optional[Decimal] = None
    taxAsset: Optional[str] = None  # the wire's name
    taxRate: Optional[Decimal] = None  # the wire's name
    tax: Optional[Decimal] = None
    clearingAsset: Optional[str] = None  # the wire's name
    clearingRate: Optional[Decimal] = None  # the wire's name
    clearing: Optional[Decimal] = None


class OrderUpdate(msgspec.Struct):
    """The state of an order. `executedQty` is of the whole order so far."""

    orderId: str  # the wire's name
    status: str
    tradeId: Optional[str] = None  # the wire's name
    symbol: str = ""
    side: Optional[str] = None
    origQty: Optional[Decimal] = None  # the wire's name
    unfilledQty: Optional[Decimal] = None  # the wire's name
    executedQty: Optional[Decimal] = None  # the wire's name
    price: Optional[Decimal] = None
    transactionTime: Optional[int] = None  # the wire's name
    clientOrderId: Optional[str] = None  # the wire's name
    fillInformation: Optional[FillInformation] = None  # the wire's name


class StreamEvent(msgspec.Struct):
    """One element of a publication. Only `order_update` is documented."""

    eventType: str = ""  # the wire's name
    order: Optional[OrderUpdate] = None


class StreamKind(msgspec.Struct):
    """The same, for an element whose other keys are not of the documented form."""

    eventType: str = ""  # the wire's name


ORDER_UPDATE = "order_update"
StreamEvents = List[StreamEvent]


@attrs.frozen(kw_only=True)
class Fill(events.Fill):
    """One execution of an own order, with Indodax's levies.

    Attributes:
        fee_rate: share of the value; tax, tax_asset, tax_rate: the tax; clearing, clearing_asset, clearing_rate: the clearing
            house's levy. Amounts in their asset, rates as a share of the value.
    """

    fee_rate: Optional[Decimal] = None
    tax: Optional[Decimal] = None
    tax_asset: Optional[str] = None
    tax_rate: Optional[Decimal] = None
    clearing: Optional[Decimal] = None
    clearing_asset: Optional[str] = None
    clearing_rate: Optional[Decimal] = None


class NotANumber(ValueError):
    """An amount is NaN or infinite: msgspec reads such texts as Decimal, no exchange means them."""


def _check(*amounts: Optional[Decimal]) -> None:
    for amount in amounts:
        if amount is not None and not amount.is_finite():
            raise NotANumber(f"an amount is {amount}")


def status_of(update: OrderUpdate) -> OrderStatus:
    """The order's state in the common words.

    An order that rests and has executed in part is PARTIALLY_FILLED whatever the word. DONE is the end of an order that
    executed in full; a DONE that leaves something unfilled is documented nowhere and is UNKNOWN, and so is an execution that
    does not say what it leaves.
    """
    word = update.status.upper()
    unfilled = update.unfilledQty
    if unfilled is None and update.origQty is not None and update.executedQty is not None:
        unfilled = update.origQty - update.executedQty
    if word == CANCELLED:
        return OrderStatus.CANCELED
    if word == REJECTED:
        return OrderStatus.REJECTED
    if word == NEW:
        return OrderStatus.PARTIALLY_FILLED if update.executedQty else OrderStatus.NEW
    if word in FILLS and unfilled is not None:
        return OrderStatus.PARTIALLY_FILLED if unfilled else OrderStatus.FILLED
    if word == DONE and not unfilled:
        return OrderStatus.FILLED
    return OrderStatus.UNKNOWN


_FINAL = frozenset((OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED))
_SIDES = {"BUY": "buy", "SELL": "sell"}
_LIQUIDITY = {"MAKER": "maker", "TAKER": "taker"}


def _type_of(order_id: str) -> Optional[str]:
    """The order's type out of `<pair>-<kind>-<number>`. A guess: that is how all documented ids look."""
    parts = order_id.split("-")
    return parts[1] if len(parts) == 3 and parts[1] else None


def order_event(update: OrderUpdate, wire: bytes, path: events.Path) -> Order:
    """The update as an Order.

    Raises:
        NotANumber: an amount is NaN or infinite.
    """
    _check(update.price, update.origQty, update.executedQty, update.unfilledQty)
    status = status_of(update)
    return Order(
        exchange=NAME,
        wire=wire,
        path=path,
        symbol=update.symbol,
        time_ms=update.transactionTime,
        id=update.orderId,
        client_order_id=update.clientOrderId,
        side=_SIDES.get(update.side or "", update.side),
        type=_type_of(update.orderId),
        status=status,
        price=update.price,
        quantity=update.origQty,
        filled=update.executedQty,
        remaining=update.unfilledQty,
        final=status in _FINAL or update.status.upper() == DONE,
        exchange_status=update.status,
    )


def fill_event(update: OrderUpdate, fill: FillInformation, wire: bytes, path: events.Path) -> Fill:
    """The execution in an update as a Fill. Its price is the update's: the only one that the stream gives.

    Raises:
        NotANumber: an amount is NaN or infinite.
    """
    _check(update.price, fill.qty, fill.fee, fill.feeRate, fill.tax, fill.taxRate, fill.clearing, fill.clearingRate)
    return Fill(
        exchange=NAME,
        wire=wire,
        path=path,
        symbol=update.symbol,
        time_ms=update.transactionTime,
        id=update.tradeId,
        order_id=update.orderId,
        client_order_id=update.clientOrderId,
        side=_SIDES.get(update.side or "", update.side),
        price=update.price,
        quantity=fill.qty,
        fee=fill.fee,
        fee_asset=fill.feeAsset,
        liquidity=_LIQUIDITY.get(fill.participant or "", fill.participant),
        fee_rate=fill.feeRate,
        tax=fill.tax,
        tax_asset=fill.taxAsset,
        tax_rate=fill.taxRate,
        clearing=fill.clearing,
        clearing_asset=fill.clearingAsset,
        clearing_rate=fill.clearingRate,
    )
