"""Reading: parts of messages become events, each by itself, so that a bad one never loses its neighbours.

It knows rows and objects, not messages, feeds or connections.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple, Type, TypeVar, Union

import msgspec

from xchws.events import Data, OrderStatus, Path
from xchws.exchanges.finery import models, wire
from xchws.exchanges.finery.codes import CANCEL_REASONS, ORDER_TYPES
from xchws.exchanges.finery.errors import NAME, Malformed
from xchws.exchanges.finery.units import percent, plain, plain_or_none
from xchws.sansio.protocol import UNREADABLE

T = TypeVar("T")
Made = Union[Data, Malformed]
Make = Callable[[Any, str, bytes, Path], Data]

_SIDES = {0: "buy", 1: "sell"}


def decoded(raw: Union[bytes, msgspec.Raw], kind: Type[T]) -> T:
    """A part of a message as this kind; numbers written as text are taken.

    Raises:
        Malformed: it is none.
    """
    try:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError:
            return msgspec.json.decode(raw, type=kind, strict=False)
    except UNREADABLE as error:
        raise Malformed(str(error), bytes(raw)) from None


def parts(raw: Union[bytes, msgspec.Raw]) -> List[msgspec.Raw]:
    """The elements of an array, unparsed.

    Raises:
        Malformed: it is no array.
    """
    return decoded(raw, List[msgspec.Raw])


def one(raw: Union[bytes, msgspec.Raw], kind: Type[Any], make: Make, action: str, text: bytes, path: Path) -> Made:
    """The event of one row or object, or what is wrong with it."""
    try:
        return make(decoded(raw, kind), action, text, path)
    except Malformed as error:
        return Malformed(str(error), bytes(raw))


def many(
    raw: Union[bytes, msgspec.Raw], kind: Type[Any], make: Make, action: str, text: bytes, path: Path
) -> List[Made]:
    """The events of a list of rows or objects."""
    try:
        elements = parts(raw)
    except Malformed as error:
        return [error]
    return [one(element, kind, make, action, text, (*path, index)) for index, element in enumerate(elements)]


def text_of(value: Optional[wire.Id]) -> Optional[str]:
    """An id or a name as text; None for none."""
    return None if value is None else str(value)


# --------------------------------------------------------------------------------------------------------------- books


def sides(raw: Union[bytes, msgspec.Raw]) -> wire.Sides:
    """A book's snapshot.

    Raises:
        Malformed: it is none.
    """
    try:
        return decoded(raw, wire.Sides)
    except Malformed:
        wider = decoded(raw, wire.WiderSides)
        return wire.Sides(*([(one.price, one.size) for one in side] for side in (wider.bids, wider.asks)))


def changes(raw: Union[bytes, msgspec.Raw]) -> wire.Changes:
    """A book's update.

    Raises:
        Malformed: it is none.
    """
    try:
        return decoded(raw, wire.Changes)
    except Malformed:
        wider = decoded(raw, wire.WiderChanges)
        return wire.Changes(*([(one.action, one.price, one.size) for one in side] for side in (wider.bids, wider.asks)))


# ---------------------------------------------------------------------------------------------------- orders and deals


def _status(left: int, initial: Optional[int], reason: int, action: str) -> Tuple[OrderStatus, bool]:
    """The state in the common words, and whether it is the last. There is none on the wire: it follows from what is left,
    the reason of the cancellation and the letter. 0 left is FILLED whatever the reason: an IOC order always has one."""
    if not left:
        return OrderStatus.FILLED, True
    if reason:
        return OrderStatus.CANCELED, True
    if action == "-":
        return OrderStatus.UNKNOWN, True  # it is gone, nothing cancelled it, and something was left
    if action == "D" or (initial is not None and left < initial):
        return OrderStatus.PARTIALLY_FILLED, False
    return OrderStatus.NEW, False


def order(row: Union[wire.OrderRow, wire.DealRow], action: str, text: bytes, path: Path) -> models.Order:
    """An order, or the order of an execution."""
    status, final = _status(row.left, row.initial, row.cancel_reason, action)
    initial, left = plain_or_none(row.initial), plain(row.left)
    filled = None if row.initial is None else plain(row.initial - row.left)
    by_volume = bool(row.by_volume)
    amounts = (initial, filled, left)
    quantity, done, remaining = (None, None, None) if by_volume else amounts
    volume, volume_done, volume_remaining = amounts if by_volume else (None, None, None)
    return models.Order(
        exchange=NAME,
        wire=text,
        path=path,
        symbol=str(row.instrument),
        time_ms=row.moment if isinstance(row, wire.DealRow) else row.created,
        id=str(row.id),
        client_order_id=text_of(row.client_order_id),
        side=_SIDES.get(row.side),
        type=ORDER_TYPES.get(row.type, str(row.type)),
        status=status,
        price=plain_or_none(row.price),
        quantity=quantity,
        filled=done,
        remaining=remaining,
        final=final,
        exchange_status=CANCEL_REASONS.get(row.cancel_reason, str(row.cancel_reason)),
        action=action,
        cancel_reason=row.cancel_reason,
        by_volume=by_volume,
        volume=volume,
        volume_filled=volume_done,
        volume_remaining=volume_remaining,
    )


def fill(row: wire.DealRow, action: str, text: bytes, path: Path) -> models.Fill:
    """An execution."""
    newer = row.maker_owner is not None
    liquidity = None
    if row.aggressor in _SIDES:
        liquidity = "taker" if row.aggressor == row.side else "maker"
    return models.Fill(
        exchange=NAME,
        wire=text,
        path=path,
        symbol=str(row.instrument),
        time_ms=row.moment,
        id=str(row.deal_id),
        order_id=str(row.id),
        client_order_id=text_of(row.client_order_id),
        side=_SIDES.get(row.side),
        price=plain(row.deal_price),
        quantity=plain(row.size),
        liquidity=liquidity,
        volume=plain_or_none(row.volume),
        delta=plain_or_none(row.delta),
        counterparty_id=text_of(row.counterparty),
        counterparty_subaccount_id=None if newer else text_of(row.owner),
        taker_order_owner_id=text_of(row.owner) if newer else None,
        maker_order_owner_id=text_of(row.maker_owner),
        linked_to=text_of(row.linked_to),
        deal_type=row.deal_type,
        liquidity_source=row.liquidity_source,
        order_remaining=plain(row.left),
        by_volume=bool(row.by_volume),
    )


def position(row: wire.PositionRow, action: str, text: bytes, path: Path) -> models.Position:
    """A position; one that is removed is 0, whatever the row still says."""
    value = plain(row.value)
    whom = text_of(row.counterparty)
    return models.Position(
        exchange=NAME,
        wire=text,
        path=path,
        symbol=str(row.currency),
        account=whom,
        quantity=plain(0) if action == "-" else value,
        action=action,
        counterparty_id=whom or "",
        max_reachable=plain_or_none(row.max_reachable),
        min_reachable=plain_or_none(row.min_reachable),
    )


# --------------------------------------------------------------------------------------------------------------- limits


def _restriction(value: wire.Flag) -> Any:
    return None if isinstance(value, bool) else percent(value)


def _limit(said: Optional[wire.LimitObject]) -> Optional[models.Limit]:
    if said is None:
        return None
    return models.Limit(
        asset=str(said.asset),
        gross_limit=plain_or_none(said.grossLimit),
        utilization=plain_or_none(said.limitUtilization),
        equity=plain_or_none(said.equity),
        maintenance_margin=percent(said.maintenanceMargin),
        restricted_trading=_restriction(said.restrictedTrading),
        initial_margin=percent(said.initialMargin),
    )


def _enabled(permission: Optional[bool], limit: Optional[wire.LimitObject]) -> Optional[bool]:
    """Whether trading is enabled, by the permissions, or by what stood in the limit itself before there were any."""
    if permission is not None or limit is None or limit.tradingDisabled is None:
        return permission
    return not limit.tradingDisabled


def counterparty_limit(
    said: Union[wire.CounterpartyObject, wire.CounterpartyRow], action: str, text: bytes, path: Path
) -> models.CounterpartyLimit:
    """The limits between the account and a counterparty, in either form."""
    if isinstance(said, wire.CounterpartyObject):
        permissions = said.tradingPermissions or wire.Permissions()
        whom, own, mutual = said.counterpartyId, _limit(said.ownLimit), _limit(said.mutualLimit)
        own_enabled = _enabled(permissions.ownTradingEnabled, said.ownLimit)
        mutual_enabled = _enabled(permissions.mutualTradingEnabled, said.mutualLimit)
    else:
        whom = said.counterparty
        own = models.Limit(
            asset=str(said.currency),
            gross_limit=plain_or_none(said.gross),
            utilization=plain_or_none(said.utilization),
            equity=plain_or_none(said.equity),
            maintenance_margin=percent(said.maintenance_margin),
            restricted_trading=_restriction(said.restricted_trading),
            initial_margin=percent(said.initial_margin),
        )
        mutual = None
        if said.mutual_currency is not None:
            mutual = models.Limit(asset=str(said.mutual_currency), gross_limit=plain_or_none(said.mutual_gross))
        own_enabled = None if said.disabled is None else not said.disabled & 1
        mutual_enabled = None if said.disabled is None else not said.disabled & 2
    return models.CounterpartyLimit(
        exchange=NAME,
        wire=text,
        path=path,
        action=action,
        counterparty_id=str(whom),
        own=own,
        mutual=mutual,
        own_trading_enabled=own_enabled,
        mutual_trading_enabled=mutual_enabled,
    )


def counterparty(raw: Union[bytes, msgspec.Raw], action: str, text: bytes, path: Path) -> Made:
    """The limits between the account and a counterparty, whichever form they have."""
    row = bytes(raw).lstrip().startswith(b"[")
    return one(raw, wire.CounterpartyRow if row else wire.CounterpartyObject, counterparty_limit, action, text, path)


def counterparties(raw: Union[bytes, msgspec.Raw], action: str, text: bytes, path: Path) -> List[Made]:
    """A list of them."""
    try:
        elements = parts(raw)
    except Malformed as error:
        return [error]
    return [counterparty(element, action, text, (*path, index)) for index, element in enumerate(elements)]


def global_limit(row: wire.GlobalRow, action: str, text: bytes, path: Path) -> models.GlobalLimit:
    """A global limit."""
    return models.GlobalLimit(
        exchange=NAME,
        wire=text,
        path=path,
        action=action,
        asset=str(row.currency),
        net_limit=plain_or_none(row.net),
        gross_limit=plain_or_none(row.gross),
        net_used=plain_or_none(row.net_used),
        gross_used=plain_or_none(row.gross_used),
    )
