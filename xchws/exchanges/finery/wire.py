"""Wire: the objects and rows as Finery Markets writes them, field by field. Fields that came with newer versions of a page, or
that a page does not promise, are optional; what comes after the last one is passed over.

Source: https://faq.finerymarkets.com/api-reference/ (feeds F, B, I, O, K, P, L, S, N, R; REST methods), read 2026-11.
"""

from __future__ import annotations

from typing import List, Optional, Tuple, Union

import msgspec

Id = Union[int, str]
Flag = Union[bool, int, None]


class Sides(msgspec.Struct, array_like=True):
    """A book's snapshot: levels of price and size."""

    bids: List[Tuple[int, int]]
    asks: List[Tuple[int, int]]


class Changes(msgspec.Struct, array_like=True):
    """A book's update: action, price and size."""

    bids: List[Tuple[str, int, int]]
    asks: List[Tuple[str, int, int]]


class Level(msgspec.Struct, array_like=True):
    """A level to which a newer version of the exchange has added something."""

    price: int
    size: int


class Change(msgspec.Struct, array_like=True):
    """The same of an update."""

    action: str
    price: int
    size: int


class WiderSides(msgspec.Struct, array_like=True):
    """Sides of such levels."""

    bids: List[Level]
    asks: List[Level]


class WiderChanges(msgspec.Struct, array_like=True):
    """Changes of such updates."""

    bids: List[Change]
    asks: List[Change]


class Frame(msgspec.Struct, array_like=True):
    """A message of a feed; `feed_id` is the echo of what bind said."""

    feed: str
    feed_id: msgspec.Raw
    action: str
    data: msgspec.Raw


class OrderRow(msgspec.Struct, array_like=True):
    """An order. Whether `by_volume` is a number or a boolean is not said; 0 and false are taken for "by size"."""

    instrument: Id
    type: int
    side: int
    cancel_reason: int
    id: Id
    client_order_id: Optional[Id]
    price: Optional[int]
    initial: Optional[int]
    left: int
    created: Optional[int] = None
    by_volume: Flag = None


class DealRow(msgspec.Struct, array_like=True):
    """An execution: the order's fields, then the deal's. `owner` is the taker's in the newer form, which has `maker_owner`,
    and the counterparty's subaccount in the older one."""

    instrument: Id
    type: int
    side: int
    cancel_reason: int
    id: Id
    client_order_id: Optional[Id]
    price: Optional[int]
    initial: Optional[int]
    left: int
    created: Optional[int]
    moment: int
    deal_id: Id
    aggressor: Optional[int]
    deal_price: int
    size: int
    volume: Optional[int] = None
    delta: Optional[int] = None
    counterparty: Optional[Id] = None
    by_volume: Flag = None
    owner: Optional[Id] = None
    linked_to: Optional[Id] = None
    deal_type: Optional[int] = None
    maker_owner: Optional[Id] = None
    liquidity_source: Optional[int] = None


class PositionRow(msgspec.Struct, array_like=True):
    """A position."""

    currency: Id
    value: int
    counterparty: Optional[Id] = None
    max_reachable: Optional[int] = None
    min_reachable: Optional[int] = None


class Permissions(msgspec.Struct):
    """Who may trade."""

    ownTradingEnabled: Optional[bool] = None  # the wire's name
    mutualTradingEnabled: Optional[bool] = None  # the wire's name


class LimitObject(msgspec.Struct):
    """One of the two limits. That the margins are in per cent times 10,000, as in the older rows, is a guess."""

    asset: Id = ""
    grossLimit: Optional[int] = None  # the wire's name
    limitUtilization: Optional[int] = None  # the wire's name
    equity: Optional[int] = None
    maintenanceMargin: Optional[int] = None  # the wire's name
    restrictedTrading: Flag = None  # the wire's name
    initialMargin: Optional[int] = None  # the wire's name
    tradingDisabled: Flag = None  # the wire's name; of a version between, which has no `tradingPermissions`


class CounterpartyObject(msgspec.Struct):
    """A counterparty's limits, newer form."""

    counterpartyId: Id  # the wire's name
    tradingPermissions: Optional[Permissions] = None  # the wire's name
    ownLimit: Optional[LimitObject] = None  # the wire's name
    mutualLimit: Optional[LimitObject] = None  # the wire's name


class CounterpartyRow(msgspec.Struct, array_like=True):
    """A counterparty's limits, oldest form. `disabled`: bit 0 by the client, bit 1 by the counterparty."""

    counterparty: Id
    currency: Id
    gross: Optional[int] = None
    mutual_currency: Optional[Id] = None
    mutual_gross: Optional[int] = None
    utilization: Optional[int] = None
    maintenance_margin: Optional[int] = None
    restricted_trading: Flag = None
    initial_margin: Optional[int] = None
    equity: Optional[int] = None
    taker_markup: Optional[int] = None
    disabled: Optional[int] = None


class GlobalRow(msgspec.Struct, array_like=True):
    """A global limit. Its feed's rows are not documented; these are the rows of the REST method as a third party reads them."""

    currency: Id
    net: Optional[int]
    gross: Optional[int]
    net_used: Optional[int] = None
    gross_used: Optional[int] = None


class SettlementObject(msgspec.Struct):
    """A settlement order or a settlement. `commitedAt` is the page's spelling; the right one is taken, too."""

    settlementOrderId: Id  # the wire's name
    clientId: Optional[Id] = None  # the wire's name
    counterpartyId: Optional[Id] = None  # the wire's name
    createdAt: Optional[int] = None  # the wire's name
    comment: Optional[str] = None
    flags: Optional[int] = None
    currency1: Id = ""
    size1: Optional[int] = None
    network1: Optional[Id] = None
    currency2: Optional[Id] = None
    size2: Optional[int] = None
    network2: Optional[Id] = None
    settlementId: Optional[Id] = None  # the wire's name
    commitedAt: Optional[int] = None  # the wire's name
    committedAt: Optional[int] = None  # the wire's name


class SettlementRow(msgspec.Struct, array_like=True):
    """A settlement order of the combined feed P and of the method `positions`."""

    id: Id
    currency1: Id
    currency2: Optional[Id]
    size1: Optional[int]
    size2: Optional[int] = None
    created: Optional[int] = None
    counterparty: Optional[Id] = None
    network1: Optional[Id] = None
    network2: Optional[Id] = None


class TransactionRow(msgspec.Struct, array_like=True):
    """A settlement transaction."""

    counterparty: Id
    currency: Id
    amount: int
    settlement_order_id: Optional[Id] = None
    comment: Optional[str] = None
    created: Optional[int] = None
    tx_id: Optional[Id] = None
    sent: Optional[int] = None
    flags: Optional[int] = None
    moment: Optional[int] = None
    id: Optional[Id] = None
    fee: Optional[int] = None
    network: Optional[Id] = None


class RequestRow(msgspec.Struct, array_like=True):
    """A settlement request."""

    counterparty: Id
    currency: Id
    flags: Optional[int]
    amount: int
    comment: Optional[str] = None
    expires: Optional[int] = None
    network: Optional[Id] = None
    id: Id = ""
    created: Optional[int] = None


class CurrencyRow(msgspec.Struct, array_like=True):
    """A currency; only the answer to a request has the networks."""

    name: str
    id: int
    step: Optional[int] = None
    usd: Optional[int] = None
    type: Optional[Id] = None
    networks: Optional[List[Id]] = None


class InstrumentRow(msgspec.Struct, array_like=True):
    """An instrument."""

    name: str
    id: int
    asset: Id = ""
    balance: Id = ""


class NetworkRow(msgspec.Struct, array_like=True):
    """A network."""

    name: str
    description: str = ""
    id: Optional[int] = None


class DealObject(msgspec.Struct):
    """An execution in the answer to `add` or `mod`."""

    id: Id = ""
    price: Optional[int] = None
    size: Optional[int] = None
    volume: Optional[int] = None
    delta: Optional[int] = None
    counterpartyId: Optional[Id] = None  # the wire's name
    counterpartySubaccountId: Optional[Id] = None  # the wire's name


class OrderAnswer(msgspec.Struct):
    """The answer to `add`, `mod` and `del`; a `cancelReason` that is missing is 0."""

    id: Id
    clientOrderId: Optional[Id] = None  # the wire's name
    initialSize: Optional[int] = None  # the wire's name
    remainingSize: Optional[int] = None  # the wire's name
    remainingVolume: Optional[int] = None  # the wire's name
    cancelReason: Optional[int] = None  # the wire's name
    origId: Optional[Id] = None  # the wire's name
    origRemainingSize: Optional[int] = None  # the wire's name
    deals: Optional[List[DealObject]] = None
