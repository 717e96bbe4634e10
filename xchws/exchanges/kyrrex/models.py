"""What Kyrrex's stream says about an account, as events.

Sources: see wire.py. What an inferred field means is a guess after peatio, whose words the platform uses.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

import attrs

from xchws import events
from xchws.events import Data, OrderStatus
from xchws.exchanges.kyrrex.wire import (
    AccountObject,
    Amount,
    CustomerObject,
    DepositAddressObject,
    Number,
    OrderObject,
    Reader,
    TradeObject,
    TransferObject,
    Unfit,
    Word,
    said,
)

NAME = "kyrrex"
CUSTOMER = "customer"


@attrs.frozen(kw_only=True)
class Account(events.Balance):
    """What the account holds of one currency. `free` is Kyrrex's `balance`.

    Attributes:
        action: Kyrrex's word for what happened: "create", "update", …; None if it says none. So on every event here.
        name: of the currency, for people; coin_type: "crypto", …
        aml_locked, bonus, launchpad, savings, stacking: further parts of the account, in the currency. On the vendor's page
            `total` is balance and locked only, without the bonus.
        tag: the exchange's.
    """

    action: Word = None
    name: Word = None
    coin_type: Word = None
    aml_locked: Amount = None
    bonus: Amount = None
    launchpad: Amount = None
    savings: Amount = None
    stacking: Amount = None
    tag: Word = None


@attrs.frozen(kw_only=True)
class Order(events.Order):
    """The state of an own order; `action` as in Account, `trades_count`: how many executions it has had."""

    action: Word = None
    trades_count: Optional[int] = None


@attrs.frozen(kw_only=True)
class Fill(events.Fill):
    """One execution of an own order; `action` as in Account, `funds`: what it is worth, in `funds_asset`."""

    action: Word = None
    funds: Amount = None
    funds_asset: Word = None


@attrs.frozen(kw_only=True)
class Transfer(events.Transfer):
    """A deposit or a withdrawal.

    Attributes:
        action: as in Account; dchain: the chain and the token on it, such as "trc20usdt"; tag: the address's memo.
        transaction_link: the transaction in a block explorer.
    """

    action: Word = None
    dchain: Word = None
    tag: Word = None
    transaction_link: Word = None


@attrs.frozen(kw_only=True)
class DepositAddress(Data):
    """An address to deposit to.

    Attributes:
        action: as in Account; id: the exchange's, or None; asset: the currency, or None; dchain, tag: as in Transfer.
    """

    action: Word = None
    id: Word = None
    address: Word = None
    asset: Word = None
    dchain: Word = None
    tag: Word = None


@attrs.frozen(kw_only=True)
class Customer(Data):
    """The customer's profile. What is personal is not in its `repr`, and no error shows it.

    Attributes:
        action: as in Account; id: the exchange's, or None; status: of the customer's verification, or None.
        email, first_name, last_name, phone: None where the exchange does not say. `raw` has the rest.
    """

    action: Word = None
    id: Word = None
    status: Word = None
    email: Word = attrs.field(default=None, repr=False)
    first_name: Word = attrs.field(default=None, repr=False)
    last_name: Word = attrs.field(default=None, repr=False)
    phone: Word = attrs.field(default=None, repr=False)


# ------------------------------------------------------------------------------------------------------------- building

_SIDES = {"buy": "buy", "sell": "sell", "bid": "buy", "ask": "sell"}
_LIQUIDITY = ("maker", "taker")
_GONE = ("destroy", "delete")
_FINAL = frozenset((OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED))
_ENDS = {
    "cancel": OrderStatus.CANCELED, "canceled": OrderStatus.CANCELED, "cancelled": OrderStatus.CANCELED,
    "fail": OrderStatus.REJECTED, "failed": OrderStatus.REJECTED,
    "reject": OrderStatus.REJECTED, "rejected": OrderStatus.REJECTED,
}  # fmt: skip


def _text(*values: Number) -> Word:
    return next((str(value) for value in values if value is not None and value != ""), None)


def _side(word: Word) -> Word:
    return None if word is None else _SIDES.get(word.lower(), word)


def status_of(wire: OrderObject, action: Word) -> OrderStatus:
    """The order's state in the common words.

    An order that rests and has executed in part is PARTIALLY_FILLED whatever the word. A `done` that leaves something
    unexecuted is documented nowhere and is UNKNOWN, as is an order that is taken away while its word says that it rests.
    """
    word = (wire.state or "").lower()
    if word == "wait" and action not in _GONE:
        return OrderStatus.PARTIALLY_FILLED if _has_executed(wire) else OrderStatus.NEW
    if word == "done" and not wire.remaining_volume:
        return OrderStatus.FILLED
    return _ENDS.get(word, OrderStatus.UNKNOWN)


def _has_executed(wire: OrderObject) -> bool:
    if wire.executed_volume is not None:
        return wire.executed_volume > 0
    ordered = wire.origin_volume
    return ordered is not None and wire.remaining_volume is not None and wire.remaining_volume < ordered


def _account(wire: AccountObject, about: Dict[str, Any]) -> Data:
    if not wire.currency:
        raise Unfit("an account without currency")
    return Account(
        asset=wire.currency,
        total=wire.total,
        free=wire.balance,
        locked=wire.locked,
        name=wire.name,
        coin_type=wire.coin_type,
        aml_locked=wire.aml_locked,
        bonus=wire.bonus,
        launchpad=wire.launchpad,
        savings=wire.savings,
        stacking=wire.stacking,
        tag=_text(wire.tag),
        **about,
    )


def _order(wire: OrderObject, about: Dict[str, Any]) -> Data:
    number = _text(wire.id, wire.uuid, wire.uid)
    if number is None:
        raise Unfit("an order without id")
    status = status_of(wire, about["action"])
    return Order(
        symbol=wire.market or "",
        id=number,
        side=_side(wire.side),
        type=wire.ord_type,
        status=status,
        price=wire.price,
        quantity=wire.origin_volume if wire.origin_volume is not None else wire.volume,
        filled=wire.executed_volume,
        remaining=wire.remaining_volume,
        average_price=wire.avg_price or None,  # 0 before the first execution
        final=status in _FINAL or (wire.state or "").lower() == "done" or about["action"] in _GONE,
        exchange_status=wire.state,
        trades_count=wire.trades_count,
        **about,
    )


def _fill(wire: TradeObject, about: Dict[str, Any]) -> Data:
    if wire.price is None and wire.volume is None:
        raise Unfit("a trade without price and volume")
    word = (wire.type or "").lower()
    return Fill(
        symbol=wire.market or "",
        id=_text(wire.id),
        order_id=_text(wire.order_id) or "",
        side=_side(wire.side) if wire.side else _SIDES.get(word),
        price=wire.price,
        quantity=wire.volume,
        fee=wire.fee,
        fee_asset=wire.fee_asset,
        liquidity=word if word in _LIQUIDITY else None,
        funds=wire.funds,
        funds_asset=wire.funds_asset,
        **about,
    )


def _transfer(direction: str) -> Callable[[TransferObject, Dict[str, Any]], Data]:
    def build(wire: TransferObject, about: Dict[str, Any]) -> Data:
        number, status = _text(wire.uuid, wire.uid, wire.id), _text(wire.status, wire.state)
        if number is None and status is None and wire.amount is None:
            raise Unfit(f"a {direction} without id, status and amount")
        return Transfer(
            id=number,
            direction=direction,
            asset=wire.asset or wire.currency or "",
            amount=wire.amount,
            fee=wire.fee,
            status=status,
            address=wire.address,
            transaction_id=_text(wire.tx_id, wire.txid),
            transaction_link=wire.tx_link,
            dchain=_text(wire.dchain_id, wire.dchain),
            tag=_text(wire.tag),
            **about,
        )

    return build


def _deposit_address(wire: DepositAddressObject, about: Dict[str, Any]) -> Data:
    return DepositAddress(
        id=_text(wire.uuid, wire.uid, wire.id),
        address=_text(wire.address, wire.deposit_address),
        asset=_text(wire.asset, wire.currency),
        dchain=_text(wire.dchain_id, wire.dchain),
        tag=_text(wire.tag),
        **about,
    )


def _customer(wire: CustomerObject, about: Dict[str, Any]) -> Data:
    return Customer(
        id=_text(wire.uuid, wire.uid, wire.id),
        status=_text(wire.kyc_status, wire.status),
        email=wire.email,
        first_name=wire.first_name,
        last_name=wire.last_name,
        phone=_text(wire.phone),
        **about,
    )


_KINDS: Dict[str, Tuple[Reader[Any], Callable[[Any, Dict[str, Any]], Data]]] = {
    CUSTOMER: (Reader(CustomerObject), _customer),
    "deposit": (Reader(TransferObject), _transfer("deposit")),
    "order": (Reader(OrderObject), _order),
    "withdrawal": (Reader(TransferObject), _transfer("withdrawal")),
    "trade": (Reader(TradeObject), _fill),
    "deposit_address": (Reader(DepositAddressObject), _deposit_address),
    "account": (Reader(AccountObject), _account),
}

OBJECTS = tuple(_KINDS)
"""The seven names on the vendor's page, in its order."""


def event_of(name: str, payload: bytes) -> Tuple[Data, List[str]]:
    """One of the seven events, and the fields of it that could not be read.

    Raises:
        Unfit: no event can be made of it; the text says why.
        msgspec.MsgspecError, RecursionError: it is no JSON object.
    """
    reader, build = _KINDS[name]
    found = said(payload)
    reading = reader.read(found.text)
    unread = reading.unread
    action = found.action
    if action is not None and not isinstance(action, str):
        action = None
        unread.append("action")
    about = {
        "exchange": NAME, "wire": found.wire, "path": found.path, "time_ms": reading.time_ms, "action": action,
    }  # fmt: skip
    return build(reading.wire, about), unread
