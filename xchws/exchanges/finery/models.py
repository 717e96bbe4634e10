"""What Finery Markets tells beyond the common events, and what its requests answer.

Amounts are plain Decimals in the currency that the docstring names; ids are texts; times are Unix milliseconds, also as aware UTC
`datetime` where the class is an event. `action` is the exchange's letter: "S" part of a snapshot, "+" added, "M" modified,
"-" removed, "D" executed; "" in the answer to a request.

Source: https://faq.finerymarkets.com/api-reference/ (feeds, REST methods, data types), read 2026-11.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Optional, Tuple

import attrs

from xchws import events
from xchws.events import Data

# ------------------------------------------------------------------------------------------------- orders and positions


@attrs.frozen(kw_only=True)
class Order(events.Order):
    """The state of an own order. Where it was given by volume, quantity, filled and remaining are None.

    Attributes:
        action: see above.
        cancel_reason: 0 in place or filled, 1 by client, 2 as non-book order, 3 self-trade prevention, 4 cancel on
            disconnect; `exchange_status` has it in words.
        by_volume: the order was given by volume; volume, volume_filled, volume_remaining: quote currency, then.
    """

    action: str = ""
    cancel_reason: int = 0
    by_volume: bool = False
    volume: Optional[Decimal] = None
    volume_filled: Optional[Decimal] = None
    volume_remaining: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Fill(events.Fill):
    """One execution of an own order. The exchange tells no fee.

    Attributes:
        volume: quote currency; delta: as the exchange says, in units of 1.
        counterparty_id, counterparty_subaccount_id: with whom.
        taker_order_owner_id, maker_order_owner_id, linked_to: as the exchange says.
        deal_type: 0 regular, 1 authorised, 2 liquidation.
        liquidity_source: 0 firm book, 1 RFQ, 2 quote streams.
        order_remaining: what is left of the order after it, base currency (quote currency where `by_volume`).
        by_volume: the order was given by volume.
    """

    volume: Optional[Decimal] = None
    delta: Optional[Decimal] = None
    counterparty_id: Optional[str] = None
    counterparty_subaccount_id: Optional[str] = None
    taker_order_owner_id: Optional[str] = None
    maker_order_owner_id: Optional[str] = None
    linked_to: Optional[str] = None
    deal_type: Optional[int] = None
    liquidity_source: Optional[int] = None
    order_remaining: Optional[Decimal] = None
    by_volume: bool = False


@attrs.frozen(kw_only=True)
class Position(events.Position):
    """What is owed in one currency between the account and one counterparty: `symbol` is the currency, `account` the
    counterparty's id, `quantity` the signed amount in the currency (0 once it is removed).

    Attributes:
        action: see above.
        counterparty_id: with whom; "" where the exchange does not say.
        max_reachable, min_reachable: how far the open orders may take it.
    """

    action: str = ""
    counterparty_id: str = ""
    max_reachable: Optional[Decimal] = None
    min_reachable: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class ProbablyCancelled(Data):
    """The connection is lost on which this order was added with cod=True: the exchange cancels such orders (cancel on
    disconnect). That it did is told by feed O on the next connection, or by `deal_history()`, not by this event.

    Attributes:
        client_order_id: as it was given; id: the exchange's id, None if the answer to `add_order` did not come any more.
    """

    client_order_id: Optional[str] = None
    id: Optional[str] = None


# --------------------------------------------------------------------------------------------------------------- limits


@attrs.frozen(kw_only=True)
class Limit:
    """One side of a counterparty limit. Amounts in `asset`, margins in per cent; None where the exchange does not say."""

    asset: str = ""
    gross_limit: Optional[Decimal] = None
    utilization: Optional[Decimal] = None
    equity: Optional[Decimal] = None
    maintenance_margin: Optional[Decimal] = None
    restricted_trading: Optional[Decimal] = None
    initial_margin: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class CounterpartyLimit(Data):
    """The limits between the account and one counterparty.

    Attributes:
        action: see above.
        counterparty_id: with whom.
        own, mutual: the account's limit for the counterparty, and the counterparty's for the account; None: there is none.
        own_trading_enabled, mutual_trading_enabled: None where the exchange does not say.
    """

    latest_by = ("counterparty_id",)

    action: str = ""
    counterparty_id: str = ""
    own: Optional[Limit] = None
    mutual: Optional[Limit] = None
    own_trading_enabled: Optional[bool] = None
    mutual_trading_enabled: Optional[bool] = None


@attrs.frozen(kw_only=True)
class GlobalLimit(Data):
    """The account's global limit in one currency; amounts in `asset`, None where the exchange does not say."""

    latest_by = ("asset",)

    action: str = ""
    asset: str = ""
    net_limit: Optional[Decimal] = None
    gross_limit: Optional[Decimal] = None
    net_used: Optional[Decimal] = None
    gross_used: Optional[Decimal] = None


# ---------------------------------------------------------------------------------------------------------- settlements


@attrs.frozen(kw_only=True)
class Settlement(Data):
    """A settlement order, or with action "D" the settlement that it led to.

    Attributes:
        action: see above.
        id: of the settlement order; settlement_id: of the settlement, action "D" only.
        client_id, counterparty_id: between whom.
        asset1, quantity1, network1 and asset2, quantity2, network2: what is settled, in one currency or in two.
        committed_ms: when it was settled, Unix milliseconds, action "D" only.
        comment, flags: as the exchange says.
    """

    action: str = ""
    id: str = ""
    settlement_id: Optional[str] = None
    client_id: Optional[str] = None
    counterparty_id: Optional[str] = None
    asset1: str = ""
    quantity1: Optional[Decimal] = None
    network1: Optional[str] = None
    asset2: Optional[str] = None
    quantity2: Optional[Decimal] = None
    network2: Optional[str] = None
    committed_ms: Optional[int] = None
    comment: Optional[str] = None
    flags: Optional[int] = None


@attrs.frozen(kw_only=True)
class SettlementTransaction(events.Transfer):
    """Money sent to settle: a `Transfer`, "deposit" if it comes in, "withdrawal" if it goes out, with the network's fee.

    Attributes:
        action: see above.
        counterparty_id: to or from whom; settlement_order_id: what it settles; network: on which it goes.
        comment: as it was given; flags: as the exchange says (the lowest two bits: 0 committed by receiver, 1 by admin,
            2 cancelled by sender, 3 by admin; `status` has them in words once it is over).
        sent_ms, moment_ms: when it was sent and when it was committed or cancelled, Unix milliseconds.
    """

    action: str = ""
    counterparty_id: str = ""
    settlement_order_id: Optional[str] = None
    network: Optional[str] = None
    comment: Optional[str] = None
    flags: Optional[int] = None
    sent_ms: Optional[int] = None
    moment_ms: Optional[int] = None


@attrs.frozen(kw_only=True)
class SettlementRequest(Data):
    """A counterparty's request to settle ("incoming") or one's own ("outgoing").

    Attributes:
        action: see above.
        id: of the request; direction: see above; counterparty_id: to or from whom.
        asset, amount, network: what is wanted; expires_ms: Unix milliseconds; comment, flags: as the exchange says.
    """

    action: str = ""
    id: str = ""
    direction: str = ""
    counterparty_id: str = ""
    asset: str = ""
    amount: Optional[Decimal] = None
    network: Optional[str] = None
    expires_ms: Optional[int] = None
    comment: Optional[str] = None
    flags: Optional[int] = None


# ---------------------------------------------------------------------------------------------------------- instruments


@attrs.frozen(kw_only=True)
class Currency:
    """A currency; `step`: the smallest amount of it; `usd_price`: its value in US dollars; `networks`: their ids or names."""

    name: str = ""
    id: int = 0
    step: Optional[Decimal] = None
    usd_price: Optional[Decimal] = None
    type: Optional[str] = None
    networks: Tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Instrument:
    """An instrument; `base` and `quote` are its currencies."""

    name: str = ""
    id: int = 0
    base: str = ""
    quote: str = ""


@attrs.frozen(kw_only=True)
class Network:
    """A network on which currencies are sent."""

    name: str = ""
    description: str = ""
    id: Optional[int] = None


@attrs.frozen(kw_only=True)
class Instruments(Data):
    """All currencies and instruments; the networks come in the answer to a request only."""

    currencies: Tuple[Currency, ...] = ()
    instruments: Tuple[Instrument, ...] = ()
    networks: Tuple[Network, ...] = ()


# -------------------------------------------------------------------------------------------------------------- replies


@attrs.frozen(kw_only=True)
class Deal:
    """One execution in the answer to `add_order` or `modify_order`.

    Attributes:
        price: quote currency per unit of base currency; size: base currency; volume: quote currency.
    """

    id: str = ""
    price: Optional[Decimal] = None
    size: Optional[Decimal] = None
    volume: Optional[Decimal] = None
    delta: Optional[Decimal] = None
    counterparty_id: Optional[str] = None
    counterparty_subaccount_id: Optional[str] = None


@attrs.frozen(kw_only=True)
class OrderReply:
    """What became of an order that was added or modified.

    Attributes:
        id, client_order_id: of the order (of the new one, after a modification).
        initial_size, remaining_size: base currency; remaining_volume: quote currency, for an order by volume.
        cancel_reason: 0 in place or filled, 1 by client, 2 as non-book order (what did not execute at once is dropped),
            3 self-trade prevention, 4 cancel on disconnect.
        deals: what was executed at once. Feed O tells the same ones as `Fill`.
        original_id, original_remaining_size: of the order that was modified.
    """

    id: str = ""
    client_order_id: Optional[str] = None
    initial_size: Optional[Decimal] = None
    remaining_size: Optional[Decimal] = None
    remaining_volume: Optional[Decimal] = None
    cancel_reason: int = 0
    deals: Tuple[Deal, ...] = ()
    original_id: Optional[str] = None
    original_remaining_size: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class DeleteReply:
    """The answer to `cancel_order`: what was left of it, base currency (quote currency for an order by volume)."""

    id: str = ""
    remaining_size: Optional[Decimal] = None
    remaining_volume: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Portfolio:
    """The answer to `positions`. `next_id`: the id that the next deal, settlement or transaction will have."""

    next_id: Optional[str] = None
    positions: Tuple[Position, ...] = ()
    orders: Tuple[Order, ...] = ()
    settlements: Tuple[Settlement, ...] = ()
