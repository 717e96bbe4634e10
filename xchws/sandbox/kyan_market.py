"""Kyan's market: prices, instruments, what else happens to accounts, and a life of its own on demand.

Payloads: the channel pages of https://docs.kyan.blue (read 2026-11). Orders are in kyan_orders.py. Knows nothing of
connections.
"""

from __future__ import annotations

import random
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Dict, Optional

from .kyan_accounts import number
from .kyan_channels import PAIRS, PERPETUAL, Event, checked_pair, instrument_facts, market_of
from .kyan_orders import CONTRACT_STEP, MATURITY, NEAR, PRICE_STEP, KyanOrder, KyanOrders
from .market import Amount, amount

FILL_EVENTS = 3  # update_order, trade, account_state


class KyanMarket(KyanOrders):
    """Publishes what it is told, consistent with the books of ``KyanOrders``."""

    # Prices and instruments.

    def index_price(self, pair: str, value: Amount) -> None:
        """An index price in USD."""
        with self.changing():
            self._prices[checked_pair(pair)] = amount(value, "value")
            data = {"value": number(value), "timestamp": self.now()}
            self._publish(Event("index_price", data, ("index_price",), {"pair": pair}))

    def funding(self, instrument_name: str, rate: Amount, perp_price: Optional[Amount] = None) -> None:
        """A funding rate of a perpetual; it may be negative."""
        pair = instrument_facts(instrument_name)["pair"]
        with self.changing():
            self._rates[market_of(pair)] = Decimal(rate)
            data = {
                "instrument_name": instrument_name,
                "timestamp": self.now(),
                "spot_price": number(self._prices[pair]),
                "perp_price": number(self._prices[pair] if perp_price is None else perp_price),
                "funding_rate": number(rate),
            }
            self._publish(Event("funding", data, ("funding",), {"instrument_name": instrument_name}))

    def interest_rate(self, pair: str, value: Amount, expiry: Optional[str] = None) -> None:
        """An interest rate; *expiry* is what a query may ask for, the payload does not tell it."""
        data = {"sid": f"INTEREST-{checked_pair(pair)}", "v": number(value), "timestamp": self.now()}
        with self.changing():
            self._publish(Event("interest_rate", data, ("interest_rate",), {"pair": pair, "expiry": expiry}))

    def svi(self, pair: str, maturity: str = MATURITY, alpha: Amount = "0.03", **more: Amount) -> None:
        """The parameters of an implied volatility: *alpha*, and ``beta``, ``rho``, ``m``, ``sigma``."""
        values = {"alpha": alpha, "beta": "0.4", "rho": "-0.2", "m": "0.01", "sigma": "0.35", **more}
        data: Dict[str, Any] = {"sid": f"SVI-{checked_pair(pair)}-{maturity}"}
        data.update((name, number(value)) for name, value in values.items())
        with self.changing():
            data["timestamp"] = self.now()
            self._publish(Event("svi", data, ("iv",), {"pair": pair, "maturity": maturity}))

    def instruments_event(self, market: str) -> Event:
        """All instruments of a market, as the ``instruments`` channel tells them."""
        names = [name for name in self.instruments if market_of(instrument_facts(name)["pair"]) == market]
        data = {"updated_at": self.updated_at, "instruments": names}
        return Event("instruments", data, ("instruments",), {"market": market})

    def list_instrument(self, name: str) -> None:
        """A new instrument."""
        market = market_of(instrument_facts(name)["pair"])
        with self.changing():
            self.instruments.append(name)
            self.updated_at = self.now()
            self._publish(self.instruments_event(market))

    def expire_instrument(self, name: str) -> None:
        """It is gone: cancels what rests in it, and publishes the list without it.

        Raises:
            ValueError: it is not listed.
        """
        with self.changing():
            self.instruments.remove(name)
            self.updated_at = self.now()
            for order in self.resting(instrument_name=name):
                self._end(order)
            self._publish(self.instruments_event(market_of(instrument_facts(name)["pair"])))

    # What happens to accounts.

    def account_state(self, pair: str, key: Optional[str] = None) -> None:
        """Publish the state of an account as it stands."""
        with self.changing():
            self._publish_state(self.account(key), checked_pair(pair))

    def transfer(self, action: str, symbol: str, quantity: Amount, key: Optional[str] = None) -> None:
        """A ``deposit`` or ``withdrawal`` of USDC, BTC, ETH or ARB.

        Raises:
            ValueError: another action.
        """
        if action not in ("deposit", "withdrawal"):
            raise ValueError("action is 'deposit' or 'withdrawal'")
        account = self.account(key)
        with self.changing():
            if symbol == "USDC":
                account.collateral += amount(quantity, "quantity") * (1 if action == "deposit" else -1)
            data = {
                "margin_account_id": account.margin_account_id,
                "smart_account_address": account.smart_account_address,
                "amount": number(quantity),
                "action_seq": self._hex()[:12],
                "action": action,
                "symbol": symbol,
            }
            self._publish(Event(action, data, ("transfer",), {**account.facts(), "symbol": symbol, "type": action}))

    def trigger_mmp(self, pair: str, key: Optional[str] = None, seconds: Optional[int] = 60) -> None:
        """Market maker protection: cancels the account's orders that have it, then ``mmp_triggered``; *seconds* None
        leaves out how long it lasts."""
        account = self.account(key)
        with self.changing():
            for order in self.resting(pair=checked_pair(pair)):
                if order.mmp and order.account == account.key:
                    self._end(order)
            data: Dict[str, Any] = {"smart_account_address": account.smart_account_address, "pair_symbol": pair}
            if seconds is not None:
                data.update(frozen_until=self.now() + seconds * 1000, frozen_duration_seconds=seconds)
            self._publish(Event("mmp_triggered", data, ("mmp",), account.facts(pair)))

    def bankruptcy(self, pair: str, key: Optional[str] = None) -> None:
        """An account is bankrupt; everybody may know."""
        data = {"marginAccountId": self.account(key).margin_account_id, "market": checked_pair(pair)}
        with self.changing():
            self._publish(Event("bankruptcy", data, ("bankruptcy",), {"market": pair}))

    def rfq(self, event_type: str, data: Dict[str, Any], key: Optional[str] = None) -> None:
        """An event of the channel ``rfq`` (``rfq_request``, …); no page that could be read shows its data."""
        facts = {**self.account(key).facts(), "type": data.get("type"), "order_id": data.get("order_id")}
        with self.changing():
            self._publish(Event(event_type, data, ("rfq",), facts))

    def funding_rate(self, market: str) -> Decimal:
        return self._rates.get(market, Decimal("0.00004"))

    # A life of its own.

    def step(self, chooser: random.Random, limit: int) -> int:
        before = self.published_count
        order = self.walked_order(chooser)
        if isinstance(order, KyanOrder):
            self._move(chooser, order, limit)
        elif chooser.random() < 0.5:
            self._quote(chooser)
        else:
            name = chooser.choice(self.instruments)
            pair = instrument_facts(name)["pair"]
            near = self._prices[pair] * (1 if PERPETUAL.fullmatch(name) else Decimal("0.03"))
            step = PRICE_STEP[pair]
            price = max(step, (near * chooser.randint(950, 1050) / 1000 / step).to_integral_value(ROUND_FLOOR) * step)
            size = chooser.randint(2, 50) * (Decimal(10) if PERPETUAL.fullmatch(name) else CONTRACT_STEP[pair])
            self._walked.append(self.place(name, chooser.choice(("buy", "sell")), price, size))
        return self.published_count - before

    def _move(self, chooser: random.Random, order: KyanOrder, limit: int) -> None:
        luck = chooser.random()
        if luck < 0.6 and limit >= FILL_EVENTS:
            unit = self._units(order.symbol)[1]
            part = (order.remaining / 2 / unit).to_integral_value(ROUND_FLOOR) * unit
            self.fill(order, part if luck < 0.3 and part else None)
        elif luck < 0.8 and limit >= 2:
            self._walked.append(self.edit(order, order.price + self._units(order.symbol)[0]))
        else:
            self.cancel(order)

    def _quote(self, chooser: random.Random) -> None:
        pair = chooser.choice(PAIRS)
        luck = chooser.random()
        if luck < 0.7:
            value = NEAR[pair] * chooser.randint(9_800, 10_200) / 10_000
            self.index_price(pair, value.quantize(Decimal("0.0001")))
        elif luck < 0.8:
            self.funding(f"{pair}-PERPETUAL", Decimal(chooser.randint(-100, 100)).scaleb(-6))
        elif luck < 0.9:
            self.interest_rate(pair, Decimal(chooser.randint(100, 900)).scaleb(-4))
        else:
            self.svi(pair, alpha=Decimal(chooser.randint(100, 900)).scaleb(-4))
