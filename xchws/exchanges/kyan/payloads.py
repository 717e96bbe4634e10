"""Payloads: the wire objects of Kyan's channels.

Source: the pages of the channels at https://docs.kyan.blue/docs, read 2026-11. What a page does not promise in every case is
optional. Numbers are JSON numbers there; texts are taken too.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any, List, Optional, Union

import msgspec

_EXACT = decimal.Context(prec=250)  # digits; more than any sum of amounts within that magnitude has


class IndexPrice(msgspec.Struct):
    """index_price."""

    value: Decimal
    timestamp: Optional[Decimal] = None


class Instruments(msgspec.Struct):
    """instruments: always the full list."""

    instruments: List[Any]
    updated_at: Optional[Decimal] = None


class Funding(msgspec.Struct):
    """funding."""

    instrument_name: str
    funding_rate: Decimal
    timestamp: Optional[Decimal] = None
    spot_price: Optional[Decimal] = None
    perp_price: Optional[Decimal] = None


class InterestRate(msgspec.Struct):
    """interest_rate. `v` is the rate."""

    v: Decimal
    sid: str = ""
    timestamp: Optional[Decimal] = None


class Svi(msgspec.Struct):
    """svi, of the channel iv."""

    sid: str
    alpha: Decimal
    beta: Decimal
    rho: Decimal
    m: Decimal
    sigma: Decimal
    timestamp: Optional[Decimal] = None


class Greeks(msgspec.Struct):
    """The greeks of a portfolio or of a position; a perpetual has only some."""

    delta: Optional[Decimal] = None
    gamma: Optional[Decimal] = None
    vega: Optional[Decimal] = None
    theta: Optional[Decimal] = None
    rho: Optional[Decimal] = None


class AccountState(msgspec.Struct):
    """account_state. `margin_account` is a number here and a UUID in `position`."""

    pair: str
    margin_account: Union[str, int, None] = None
    timestamp: Optional[Decimal] = None
    im: Optional[Decimal] = None
    mm: Optional[Decimal] = None
    matrix_risk: Optional[Decimal] = None
    delta_risk: Optional[Decimal] = None
    roll_risk: Optional[Decimal] = None
    unrealised_pnl: Optional[Decimal] = None
    equity: Optional[Decimal] = None
    portfolio_greeks: Optional[Greeks] = None
    liquidation: Optional[bool] = None


class Positions(msgspec.Struct):
    """position: all positions of an account, of one market at a time (a guess)."""

    positions: List[msgspec.Raw]
    margin_account: Union[str, int, None] = None
    market: str = ""


class Position(msgspec.Struct):
    """One of them."""

    instrument_name: str
    size: Decimal
    id: Union[str, int, None] = None
    average_price: Optional[Decimal] = None
    entry_fee: Optional[Decimal] = None
    instrument_type: Optional[str] = None
    mark_price: Optional[Decimal] = None
    mark_iv: Optional[Decimal] = None
    mark_interest: Optional[Decimal] = None
    current_funding_rate: Optional[Decimal] = None
    position_greeks: Optional[Greeks] = None


class Trade(msgspec.Struct):
    """trade."""

    trade_id: str
    instrument_name: str
    order_id: str = ""
    margin_account_id: Optional[str] = None
    smart_account_address: Optional[str] = None
    size: Optional[Decimal] = None
    timestamp: Optional[Decimal] = None
    direction: Optional[str] = None
    index_price: Optional[Decimal] = None
    average_price: Optional[Decimal] = None
    limit_price: Optional[Decimal] = None
    liquidation: Optional[bool] = None
    iv: Optional[Decimal] = None
    taker_fee: Optional[Decimal] = None
    maker_fee: Optional[Decimal] = None
    systemic_risk_fee: Optional[Decimal] = None
    liquidation_fee: Optional[Decimal] = None
    realised_funding: Optional[Decimal] = None


class Transfer(msgspec.Struct):
    """deposit and withdrawal, of the channel transfer."""

    amount: Decimal
    symbol: str
    action_seq: Union[str, int, None] = None
    action: Optional[str] = None
    margin_account_id: Optional[str] = None
    smart_account_address: Optional[str] = None


class MmpTriggered(msgspec.Struct):
    """mmp_triggered."""

    pair_symbol: str
    smart_account_address: Optional[str] = None
    frozen_until: Optional[Decimal] = None
    frozen_duration_seconds: Optional[Decimal] = None


class Bankruptcy(msgspec.Struct, rename="camel"):
    """bankruptcy: the one payload with keys in camel case."""

    market: str
    margin_account_id: Optional[str] = None


class Order(msgspec.Struct):
    """An order in the book. No page has its field list: the names are those of the order entry, and of a third party's client.

    Attributes:
        amount: the size of a perpetual's order, contracts: of an option's; creation_timestamp: in seconds.
    """

    order_id: str
    instrument_name: Optional[str] = None
    type: Optional[str] = None
    direction: Optional[str] = None
    price: Optional[Decimal] = None
    limit_price: Optional[Decimal] = None
    amount: Optional[Decimal] = None
    contracts: Optional[Decimal] = None
    filled_amount: Optional[Decimal] = None
    order_state: Optional[str] = None
    post_only: Optional[bool] = None
    mmp: Optional[bool] = None
    liquidation: Optional[bool] = None
    maker: Optional[str] = None
    taker: Optional[str] = None
    creation_timestamp: Optional[Decimal] = None

    @property
    def limit(self) -> Optional[Decimal]:
        """The limit price."""
        return self.price if self.price is not None else self.limit_price

    @property
    def size(self) -> Optional[Decimal]:
        """The ordered size."""
        return self.amount if self.amount is not None else self.contracts

    @property
    def remaining(self) -> Optional[Decimal]:
        """What has not been executed."""
        return None if self.size is None else _EXACT.subtract(self.size, self.filled_amount or Decimal(0))

    def after(self, earlier: Optional[Order]) -> Order:
        """This order, with what it does not say taken from what was said of it earlier."""
        if earlier is not None:
            for names in _ORDER_FACTS:
                if all(getattr(self, name) is None for name in names):
                    for name in names:
                        setattr(self, name, getattr(earlier, name))
        return self


# Two names of one thing: a snapshot may use one and the changes the other, with another meaning (what is left, what was ordered).
_NAMESAKES = (("price", "limit_price"), ("amount", "contracts"))
_ORDER_FACTS = (
    *_NAMESAKES,
    *((field.name,) for field in msgspec.structs.fields(Order) if not any(field.name in names for names in _NAMESAKES)),
)


class Snapshot(msgspec.Struct):
    """The first message of a book. Its layout is on no page: one list of orders, or a list for each side."""

    orders: Optional[List[msgspec.Raw]] = None
    bids: Optional[List[msgspec.Raw]] = None
    asks: Optional[List[msgspec.Raw]] = None
    instrument_name: Optional[str] = None


def total(amounts: List[Decimal]) -> Decimal:
    """The exact sum."""
    found = amounts[0]
    for amount in amounts[1:]:
        found = _EXACT.add(found, amount)
    return found
