"""Kyan's accounts: addresses, positions, and the payloads that speak of them.

Fields: the pages ws-account-state, ws-position, ws-transfer of https://docs.kyan.blue (read 2026-11). How a margin is
computed is not told there; the figures here only hang together.
Knows neither connections nor order books.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Dict, List, Optional

from .jsontext import Number, plain
from .kyan_channels import PERPETUAL, instrument_facts, market_of

PLACES = Decimal("1E-8")


def number(value: Any) -> Number:
    """A JSON number of at most 8 places, without trailing zeros."""
    exact = Decimal(value)
    exponent = exact.as_tuple().exponent
    return Number(plain(exact.quantize(PLACES) if isinstance(exponent, int) and exponent < -8 else exact))


@dataclass
class KyanPosition:
    """*size* is signed: contracts of an option, USD of a perpetual."""

    id: str
    instrument_name: str
    size: Decimal = Decimal(0)
    average_price: Decimal = Decimal(0)
    entry_fee: Decimal = Decimal(0)
    mark_price: Decimal = Decimal(0)

    @property
    def perpetual(self) -> bool:
        return PERPETUAL.fullmatch(self.instrument_name) is not None

    def trade(self, change: Decimal, price: Decimal, fee: Decimal) -> None:
        """*change* was bought (above zero) or sold at *price*."""
        before, after = self.size, self.size + change
        if before * change >= 0:
            self.average_price = (before * self.average_price + change * price) / after
        elif before * after < 0:
            self.average_price = price  # from long to short, or back
        self.size, self.mark_price = after, price
        self.entry_fee += fee

    @property
    def unrealised(self) -> Decimal:
        """USD."""
        if not self.average_price:
            return Decimal(0)
        gain = self.mark_price - self.average_price
        return self.size * (gain / self.average_price if self.perpetual else gain)


@dataclass
class KyanAccount:
    """An account of the simulated exchange.

    Attributes:
        key: its API key.
        smart_account_address, owner: both are the account where a query names one.
        margin_account: the number in ``account_state``; ``margin_account_id`` is the UUID everywhere else.
        collateral: USDC.
    """

    key: str
    smart_account_address: str
    owner: str
    margin_account: int
    margin_account_id: str
    collateral: Decimal = Decimal(10_000)
    positions: Dict[str, KyanPosition] = field(default_factory=dict)

    @classmethod
    def of(cls, key: str, count: int) -> KyanAccount:
        """The account of an API key: the same addresses every time."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        return cls(
            key,
            "0x" + digest[:40],
            "0x" + hashlib.sha256(digest.encode()).hexdigest()[:40],
            730 + count,
            str(uuid.uuid5(uuid.NAMESPACE_OID, key)),
        )

    def facts(self, pair: Optional[str] = None) -> Dict[str, Any]:
        """What subscriptions can be matched with."""
        facts: Dict[str, Any] = {
            "account": (self.smart_account_address, self.owner),
            "maker": (self.smart_account_address, self.owner),
            "smart_account_address": self.smart_account_address,
        }
        return facts if pair is None else {**facts, "pair": pair}

    def position(self, instrument_name: str) -> KyanPosition:
        """The position in an instrument, a new one of size 0 if there is none."""
        if instrument_name not in self.positions:
            digest = hashlib.sha256(f"{self.key} {instrument_name}".encode()).hexdigest()
            self.positions[instrument_name] = KyanPosition(f"p-{digest[:12]}", instrument_name)
        return self.positions[instrument_name]

    def held(self, market: str) -> List[KyanPosition]:
        """What is held of a market (``ETH``)."""
        return [
            position
            for name, position in self.positions.items()
            if position.size and market_of(instrument_facts(name)["pair"]) == market
        ]

    def state(self, pair: str, now: int) -> Dict[str, Any]:
        """The data of ``account_state``; *now* in ms."""
        held = self.held(market_of(pair))
        notional = sum(
            (abs(each.size) * (1 if each.perpetual else each.mark_price) for each in held),
            Decimal(0),
        )
        pnl = sum((each.unrealised for each in held), Decimal(0))
        delta = sum((each.size for each in held), Decimal(0))
        return {
            "timestamp": now,
            "margin_account": self.margin_account,
            "pair": pair,
            "im": number(notional / 10),
            "mm": number(notional / 20),
            "matrix_risk": number(notional / 40),
            "delta_risk": number(notional / 80),
            "roll_risk": number(0),
            "unrealised_pnl": number(pnl),
            "equity": number(self.collateral + pnl),
            "portfolio_greeks": {
                "delta": number(delta),
                **{name: number(0) for name in ("gamma", "vega", "theta", "rho")},
            },
            "liquidation": False,
        }

    def positions_of(self, market: str, funding_rate: Decimal, with_ids: bool) -> Dict[str, Any]:
        """The data of ``position`` for a market; without ids in the layout that changelog 1.15.0 shows."""
        positions: List[Dict[str, Any]] = []
        for each in self.held(market):
            item: Dict[str, Any] = {
                "id": each.id,
                "margin_account_id": self.margin_account_id,
                "instrument_name": each.instrument_name,
                "size": number(each.size),
                "average_price": number(each.average_price),
                "entry_fee": number(each.entry_fee),
                "instrument_type": "perp" if each.perpetual else "option",
                "mark_price": number(each.mark_price),
            }
            if each.perpetual:
                item["current_funding_rate"] = number(funding_rate)
                item["position_greeks"] = {"delta": number(each.size)}
            else:
                item["mark_iv"] = Number("0.61")
                item["mark_interest"] = Number("0.041")
                greeks = {"delta": each.size / 2, "gamma": 0, "theta": 0, "vega": 0, "rho": 0}
                item["position_greeks"] = {name: number(value) for name, value in greeks.items()}
            if not with_ids:
                for name in ("id", "margin_account_id", "entry_fee"):
                    del item[name]
            positions.append(item)
        return {"margin_account": self.margin_account_id, "market": market, "positions": positions}
