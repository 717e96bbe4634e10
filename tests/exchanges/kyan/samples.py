"""Samples: messages of Kyan's stream. Those of the login are as printed on docs.kyan.blue/docs/ws-authentication, read 2026-11;
the payloads of the channels have the names, types and nesting of their pages, with values of our own."""

from __future__ import annotations

from typing import Any, Dict

from tests.exchanges.kyan.conversation import ME, event
from tests.exchanges.printed import printed

AUTH_OK, AUTH_INVALID, AUTH_NOT_FOUND, AUTH_FAILED, LOGOUT_OK = (
    printed("kyan", f"{name}.json").encode()
    for name in ("auth_success", "auth_invalid_key", "auth_not_found", "auth_failed", "logout_success")
)

PERP, CALL = "ETH_USDC-PERPETUAL", "ETH_USDC-27MAR26-4200-C"
UUID = "1c6a2b9e-52f5-4a27-a0a5-83a7ad1f5f10"

ORDER: Dict[str, Any] = {
    "order_id": "9f0c1e2d3b4a59687786958473625140", "instrument_name": PERP, "type": "good_til_cancelled",
    "direction": "buy", "price": 3119.5, "amount": 500, "filled_amount": 0, "order_state": "open", "post_only": True,
    "mmp": False, "liquidation": False, "maker": ME, "taker": None, "creation_timestamp": 1774000123,
}  # fmt: skip
TRADE: Dict[str, Any] = {
    "margin_account_id": UUID, "smart_account_address": ME, "trade_id": "a" * 32, "order_id": "b" * 32, "size": 1.0,
    "timestamp": 1774000123000, "direction": "sell", "index_price": 3120.5, "instrument_name": CALL,
    "average_price": 90.5, "limit_price": 90.0, "liquidation": False, "iv": 0.6, "taker_fee": 0.0003,
    "maker_fee": 0.0001, "systemic_risk_fee": 0.0, "liquidation_fee": 0, "realised_funding": 0,
}  # fmt: skip
GREEKS = {"delta": 0.2, "gamma": 0.001, "vega": 12.0, "theta": -4.0, "rho": 1.5}
POSITIONS: Dict[str, Any] = {
    "margin_account": UUID, "market": "ETH", "positions": [
        {"id": "p-17", "margin_account_id": UUID, "instrument_name": PERP, "size": 4.0, "average_price": 3090.0,
         "entry_fee": 0.9, "instrument_type": "perp", "mark_price": 3121.0, "current_funding_rate": 0.00004,
         "position_greeks": {"delta": 4.0}},
        {"id": "p-18", "margin_account_id": UUID, "instrument_name": CALL, "size": 2.0, "average_price": 88.0,
         "entry_fee": 0.4, "instrument_type": "option", "mark_price": 91.5, "mark_iv": 0.61, "mark_interest": 0.041,
         "position_greeks": GREEKS},
    ],
}  # fmt: skip

PAIR = {"pair": "ETH_USDC"}
SAMPLES: Dict[str, Dict[str, Any]] = {
    "index_price": event("index_price", {"value": 3120.75, "timestamp": 1774000123440}, query=PAIR),
    "instruments": event("instruments", {"updated_at": 1774000100000, "instruments": [PERP, CALL]}),
    "funding": event(
        "funding",
        {"instrument_name": PERP, "timestamp": 1774000123000, "spot_price": 3120.5, "perp_price": 3122.0,
         "funding_rate": 0.00004},
    ),
    "interest_rate": event(
        "interest_rate", {"sid": "INTEREST-ETH_USDC", "v": 0.041, "timestamp": 1774000123000}, query=PAIR
    ),
    "svi": event(
        "svi",
        {"sid": "SVI-ETH_USDC-27MAR26", "alpha": 0.03, "beta": 0.4, "rho": -0.2, "m": 0.01, "sigma": 0.35,
         "timestamp": 1774000123000},
        "iv",
    ),
    "account_state": event(
        "account_state",
        {"timestamp": 1774000123000, "margin_account": 731, "pair": "ETH_USDC", "im": 900.0, "mm": 450.0,
         "matrix_risk": 300.0, "delta_risk": 120.0, "roll_risk": 10.0, "unrealised_pnl": -35.5, "equity": 8200.25,
         "portfolio_greeks": GREEKS, "liquidation": False},
        query={"account": ME},
    ),
    "position": event("position", POSITIONS),
    "trade": event("trade", TRADE, query={"account": ME}),
    "deposit": event(
        "deposit",
        {"margin_account_id": UUID, "smart_account_address": ME, "amount": 250, "action_seq": "q7h2",
         "action": "deposit", "symbol": "USDC"},
        "transfer",
    ),
    "mmp_triggered": event(
        "mmp_triggered",
        {"smart_account_address": ME, "pair_symbol": "ETH_USDC", "frozen_until": 1774000183000,
         "frozen_duration_seconds": 60},
        "mmp",
    ),
    "bankruptcy": event("bankruptcy", {"marginAccountId": UUID, "market": "ETH_USDC"}),
    "post_order": event("post_order", ORDER, "orderbook_perps", query=PAIR),
    "update_order": event("update_order", {**ORDER, "filled_amount": 200}, "orderbook_perps", query=PAIR),
    "cancel_order": event("cancel_order", {"order_id": ORDER["order_id"], "mmp": True}, "orderbook_perps"),
    "ob_maker_orders": event("ob_maker_orders", [ORDER], "orderbook_maker", query={"maker": ME}),
    "ob_snapshot": event(
        "ob_snapshot",
        {"instrument_name": PERP, "bids": [{"order_id": "1", "maker": ME, "amount": "5", "limit_price": "3119.5"}],
         "asks": []},
        "orderbook_perps", query=PAIR,
    ),
}  # fmt: skip
