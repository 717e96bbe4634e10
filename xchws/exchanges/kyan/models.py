"""What Kyan's stream says, as events. It knows no connection and no message, only their payloads.

Source: the pages of the channels at https://docs.kyan.blue/docs, read 2026-11. Sizes stay in the exchange's unit: options in
contracts, perpetuals' orders in USD notional.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Optional, Tuple

import attrs

from xchws import events
from xchws.events import Data, OrderStatus
from xchws.exchanges.kyan import payloads
from xchws.exchanges.kyan.channels import NAME
from xchws.exchanges.kyan.wire import milliseconds


@attrs.frozen(kw_only=True)
class IndexPrice(Data):
    """The index price of a pair (`symbol`), in USD."""

    latest_by = ("symbol",)

    value: Decimal = Decimal(0)


@attrs.frozen(kw_only=True)
class Instruments(Data):
    """All instruments of a market (`symbol`, the base token): the full list each time; what has expired is just not in it."""

    latest_by = ("symbol",)

    names: Tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Funding(Data):
    """The funding of a perpetual. rate: share of the notional; spot_price, perp_price: USD."""

    latest_by = ("symbol",)

    rate: Decimal = Decimal(0)
    spot_price: Optional[Decimal] = None
    perp_price: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class InterestRate(Data):
    """The interest rate of a pair (`symbol`). rate: a share; expiry: such as "27MAR26", or None; series: the exchange's `sid`."""

    latest_by = ("series",)

    rate: Decimal = Decimal(0)
    expiry: Optional[str] = None
    series: str = ""


@attrs.frozen(kw_only=True)
class Volatility(Data):
    """The volatility surface of a pair (`symbol`) at one maturity, as the parameters of an SVI curve.

    Attributes:
        maturity: such as "27MAR26"; alpha, beta, rho, m, sigma: the parameters; series: the exchange's `sid`.
    """

    latest_by = ("series",)

    maturity: Optional[str] = None
    alpha: Decimal = Decimal(0)
    beta: Decimal = Decimal(0)
    rho: Decimal = Decimal(0)
    m: Decimal = Decimal(0)
    sigma: Decimal = Decimal(0)
    series: str = ""


@attrs.frozen(kw_only=True)
class Greeks:
    """Sensitivities; None where the exchange does not say."""

    delta: Optional[Decimal] = None
    gamma: Optional[Decimal] = None
    vega: Optional[Decimal] = None
    theta: Optional[Decimal] = None
    rho: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class AccountState(Data):
    """The margin of an account in a pair (`symbol`). Money in USD.

    Attributes:
        account: the address that was asked for; margin_account: the exchange's number of it.
        initial_margin, maintenance_margin, matrix_risk, delta_risk, roll_risk, unrealised_pnl, equity: None where not said.
        greeks: of the portfolio; liquidation: whether it is being liquidated.
    """

    latest_by = ("account", "margin_account", "symbol")

    account: Optional[str] = None
    margin_account: Optional[str] = None
    initial_margin: Optional[Decimal] = None
    maintenance_margin: Optional[Decimal] = None
    matrix_risk: Optional[Decimal] = None
    delta_risk: Optional[Decimal] = None
    roll_risk: Optional[Decimal] = None
    unrealised_pnl: Optional[Decimal] = None
    equity: Optional[Decimal] = None
    greeks: Optional[Greeks] = None
    liquidation: Optional[bool] = None


@attrs.frozen(kw_only=True)
class Position(events.Position):
    """A position. `account` is the margin account; a quantity of 0 says that the position is gone from the exchange's list.

    Attributes:
        id: the exchange's id; market: the base token; instrument_type: "perp" or "option".
        entry_fee: USD; funding_rate, mark_iv, mark_interest: shares; greeks: of the position.
    """

    id: Optional[str] = None
    market: str = ""
    instrument_type: Optional[str] = None
    entry_fee: Optional[Decimal] = None
    funding_rate: Optional[Decimal] = None
    mark_iv: Optional[Decimal] = None
    mark_interest: Optional[Decimal] = None
    greeks: Optional[Greeks] = None


@attrs.frozen(kw_only=True)
class Fill(events.Fill):
    """One execution of an account that was asked for. `price` is the execution's average price.

    Attributes:
        account: the smart account's address; margin_account: its id.
        limit_price, index_price: USD; iv: a share, options only; liquidation: whether it was one.
        taker_fee, maker_fee, systemic_risk_fee, liquidation_fee, realised_funding: as the exchange says them; whether the
            first two are amounts or rates is not documented, so `fee` stays None.
    """

    account: Optional[str] = None
    margin_account: Optional[str] = None
    limit_price: Optional[Decimal] = None
    index_price: Optional[Decimal] = None
    iv: Optional[Decimal] = None
    liquidation: Optional[bool] = None
    taker_fee: Optional[Decimal] = None
    maker_fee: Optional[Decimal] = None
    systemic_risk_fee: Optional[Decimal] = None
    liquidation_fee: Optional[Decimal] = None
    realised_funding: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Trade(events.Trade):
    """One public execution. account: the smart account's address; order_id: its order; the rest as in `Fill`."""

    account: Optional[str] = None
    order_id: str = ""
    limit_price: Optional[Decimal] = None
    index_price: Optional[Decimal] = None
    iv: Optional[Decimal] = None
    liquidation: Optional[bool] = None


@attrs.frozen(kw_only=True)
class Transfer(events.Transfer):
    """A deposit or withdrawal. account: the smart account's address; margin_account: its id."""

    account: Optional[str] = None
    margin_account: Optional[str] = None


@attrs.frozen(kw_only=True)
class MmpTriggered(Data):
    """Market maker protection has frozen an account in a pair (`symbol`): its orders with mmp are cancelled.

    Attributes:
        account: the smart account's address; frozen_until_ms: milliseconds since 1970-01-01 UTC; frozen_seconds: for how long.
    """

    account: Optional[str] = None
    frozen_until_ms: Optional[int] = None
    frozen_seconds: Optional[Decimal] = None


@attrs.frozen(kw_only=True)
class Bankruptcy(Data):
    """A margin account is bankrupt in a pair (`symbol`)."""

    margin_account: Optional[str] = None


@attrs.frozen(kw_only=True)
class BookOrder(Data):
    """What happened to one order of anybody in the book.

    Attributes:
        action: "snapshot", "post", "update" (executed in part or in full) or "cancel".
        id: the order's; side: "buy" or "sell"; price: USD.
        quantity, filled, remaining: contracts for options, USD notional for perpetuals; None where not said.
        exchange_status: the exchange's word for its state; time_in_force: such as "good_til_cancelled".
        maker, taker: addresses; post_only, mmp, liquidation: flags; created_ms: when it was posted, in milliseconds.
    """

    action: str = ""
    id: str = ""
    side: Optional[str] = None
    price: Optional[Decimal] = None
    quantity: Optional[Decimal] = None
    filled: Optional[Decimal] = None
    remaining: Optional[Decimal] = None
    exchange_status: Optional[str] = None
    time_in_force: Optional[str] = None
    maker: Optional[str] = None
    taker: Optional[str] = None
    post_only: Optional[bool] = None
    mmp: Optional[bool] = None
    liquidation: Optional[bool] = None
    created_ms: Optional[int] = None


@attrs.frozen(kw_only=True)
class Order(events.Order):
    """An order of a maker that was asked for. Quantities as in `BookOrder`; an edit is a cancelled order and a new one.

    Attributes:
        action: "snapshot" (it rests when the subscription begins, and may have been told before), "post", "update" or "cancel".
        time_in_force: such as "good_til_cancelled"; maker, taker: addresses; post_only, mmp, liquidation: flags;
        created_ms: when it was posted, in milliseconds.
    """

    action: str = ""
    time_in_force: Optional[str] = None
    maker: Optional[str] = None
    taker: Optional[str] = None
    post_only: Optional[bool] = None
    mmp: Optional[bool] = None
    liquidation: Optional[bool] = None
    created_ms: Optional[int] = None


# ------------------------------------------------------------------------------------------------------ payload to event


def text_or_none(value: Any) -> Optional[str]:
    """An id that may be a number."""
    return None if value is None else str(value)


def greeks_of(found: Optional[payloads.Greeks]) -> Optional[Greeks]:
    """The greeks of a payload."""
    if found is None:
        return None
    return Greeks(delta=found.delta, gamma=found.gamma, vega=found.vega, theta=found.theta, rho=found.rho)


def series_of(sid: str) -> Tuple[str, Optional[str]]:
    """Pair and date out of `SVI-ETH_USDC-27MAR26` or `INTEREST-ETH_USDC`."""
    parts = sid.split("-")
    return parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else None


_ENDINGS = {
    "cancelled": OrderStatus.CANCELED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "filled": OrderStatus.FILLED,
}
_FINAL = frozenset(_ENDINGS.values())


def status_of(action: str, order: payloads.Order) -> OrderStatus:
    """The order's state in the common words. Kyan's own words for `order_state` are documented nowhere: these are guesses."""
    if action == "cancel":
        return OrderStatus.CANCELED
    ending = _ENDINGS.get((order.order_state or "").lower())
    if ending is not None:
        return ending
    filled, size = order.filled_amount, order.size
    if filled and size is not None and filled >= size:
        return OrderStatus.FILLED
    if filled or (order.order_state or "").lower() == "partially_filled":
        return OrderStatus.PARTIALLY_FILLED
    if action in ("post", "snapshot") or filled is not None:
        return OrderStatus.NEW
    return OrderStatus.UNKNOWN


def order_event(action: str, order: payloads.Order, **where: Any) -> Order:
    """A maker's order."""
    status = status_of(action, order)
    return Order(
        exchange=NAME,
        symbol=order.instrument_name or "",
        id=order.order_id,
        side=order.direction,
        type="limit",
        status=status,
        price=order.limit,
        quantity=order.size,
        filled=order.filled_amount,
        remaining=order.remaining,
        final=status in _FINAL,
        exchange_status=order.order_state,
        action=action,
        time_in_force=order.type,
        maker=order.maker,
        taker=order.taker,
        post_only=order.post_only,
        mmp=order.mmp,
        liquidation=order.liquidation,
        created_ms=milliseconds(order.creation_timestamp),
        **where,
    )


def book_order_event(action: str, order: payloads.Order, **where: Any) -> BookOrder:
    """Anybody's order."""
    return BookOrder(
        exchange=NAME,
        symbol=order.instrument_name or "",
        action=action,
        id=order.order_id,
        side=order.direction,
        price=order.limit,
        quantity=order.size,
        filled=order.filled_amount,
        remaining=order.remaining,
        exchange_status=order.order_state,
        time_in_force=order.type,
        maker=order.maker,
        taker=order.taker,
        post_only=order.post_only,
        mmp=order.mmp,
        liquidation=order.liquidation,
        created_ms=milliseconds(order.creation_timestamp),
        **where,
    )


def is_over(action: str, order: payloads.Order) -> bool:
    """Whether the order is in the book no more."""
    return status_of(action, order) in _FINAL
