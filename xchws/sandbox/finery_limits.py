"""Limits on the simulated Finery Markets, and what feeds L and G tell of them.

Layouts of feed L, the older one too, and of "climits": https://faq.finerymarkets.com/api-reference/ (read 2026-11).
Feed G has no page; its rows are those that third-party clients know of "limits", and that its changes come
as ``M`` with one row is a guess.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .finery_accounts import HOUSE, FineryAccount, FineryAccounts


class FineryLimits(FineryAccounts):
    """Tells what it is told; nothing is refused because of a limit."""

    def limit_change(
        self,
        counterparty: int = HOUSE,
        gross_limit: Optional[int] = None,
        utilization: int = 0,
        *,
        asset: str = "USD",
        equity: int = 0,
        mutual_gross_limit: Optional[int] = None,
        maintenance_margin: Optional[int] = None,
        own_trading: bool = True,
        mutual_trading: bool = True,
        remove: bool = False,
        key: Optional[str] = None,
    ) -> None:
        """Set or *remove* what the account has agreed with a counterparty: feed L says ``+``, ``M`` or ``-``.

        Args:
            gross_limit, mutual_gross_limit: units of *asset*; None: no such limit.
            utilization, equity: units of *asset*.
            maintenance_margin: per cent x 10,000.

        Raises:
            ValueError: there is nothing to remove.
        """
        with self.market_lock:
            account = self.account(key)
            known = account.limits.get(counterparty)
            if remove:
                if known is None:
                    raise ValueError(f"there is no limit for counterparty {counterparty}")
                del account.limits[counterparty]
                self._publish("L", "-", self._limit_data(known), (), account)
                return
            limit: Dict[str, Any] = {
                "counterpartyId": counterparty,
                "tradingPermissions": {"ownTradingEnabled": own_trading, "mutualTradingEnabled": mutual_trading},
            }
            if gross_limit is not None:
                own: Dict[str, Any] = {"grossLimit": gross_limit, "asset": asset}
                own.update({"limitUtilization": utilization, "equity": equity})
                if maintenance_margin is not None:
                    own["maintenanceMargin"] = maintenance_margin
                limit["ownLimit"] = own
            if mutual_gross_limit is not None:
                mutual = {"grossLimit": mutual_gross_limit, "asset": asset}
                limit["mutualLimit"] = {**mutual, "limitUtilization": utilization, "equity": equity}
            account.limits[counterparty] = limit
            self._publish("L", "+" if known is None else "M", self._limit_data(limit), (), account)

    def global_limit_change(
        self,
        currency: str,
        net_limit: int,
        gross_limit: int,
        net_used: int = 0,
        gross_used: int = 0,
        key: Optional[str] = None,
    ) -> None:
        """Set the account's limit of a currency, in units: feed G says ``+`` or ``M``."""
        with self.market_lock:
            account = self.account(key)
            action = "M" if currency in account.global_limits else "+"
            row = [currency, net_limit, gross_limit, net_used, gross_used]
            account.global_limits[currency] = row
            self._publish("G", action, row, (), account)

    def limit_rows(self, account: FineryAccount) -> List[Any]:
        """All the account's limits as on feed L."""
        return [self._limit_data(limit) for limit in account.limits.values()]

    def _limit_data(self, limit: Dict[str, Any]) -> Any:
        if not self.old_layouts:
            return limit
        own, mutual = limit.get("ownLimit", {}), limit.get("mutualLimit", {})
        permissions = limit["tradingPermissions"]
        disabled = (not permissions["ownTradingEnabled"]) | (not permissions["mutualTradingEnabled"]) << 1
        return [
            limit["counterpartyId"],
            own.get("asset", "USD"),
            own.get("grossLimit", 0),
            mutual.get("asset"),
            mutual.get("grossLimit"),
            own.get("limitUtilization", 0),
            own.get("maintenanceMargin", 0),
            False,  # restrictedTrading
            0,  # initialMargin
            own.get("equity", 0),
            0,  # takerMarkup
            disabled,
        ]
