"""Samples: messages in the forms of the vendor's pages (the values are invented), with what they become.

Source: https://faq.finerymarkets.com/api-reference/, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Dict

ORDER = ["ETH-USD", 0, 0, 0, 5501, 900071, 312000000000, 25000000, 25000000, 1718000000123, 0]
DEAL = [
    "ETH-USD", 0, 0, 0, 5501, 900071, 312000000000, 25000000, 5000000, 1718000000123, 1718000001456, 77, 1, 311900000000,
    20000000, 62380000000, 0, 9, 0, 4, 0, 0, 3, 0,
]  # fmt: skip
OLD_DEAL = [*DEAL[:19], 12, 0, 0]
POSITION = ["BTC", -150000000, 9, 100000000, -250000000]
LIMIT: Dict[str, Any] = {
    "counterpartyId": 5,
    "tradingPermissions": {"ownTradingEnabled": True, "mutualTradingEnabled": False, "ownIncomingFlowEnabled": True},
    "ownLimit": {
        "grossLimit": 100000000000000,
        "asset": "USD",
        "limitUtilization": 250000000,
        "equity": -5,
        "maintenanceMargin": 50000,
        "restrictedTrading": 30000,
        "initialMargin": 100000,
    },
    "mutualLimit": {"grossLimit": 1, "asset": "EUR", "limitUtilization": 0, "equity": 0},
}
MIDDLE_LIMIT = {
    "counterpartyId": 5,
    "ownLimit": {**LIMIT["ownLimit"], "markup": 0, "tradingDisabled": False},
    "mutualLimit": {**LIMIT["mutualLimit"], "markup": 0, "tradingDisabled": True},
}
OLD_LIMIT = [5, "USD", 100000000000000, "EUR", 1, 250000000, 50000, 30000, 100000, -5, 0, 2]
GLOBAL_LIMIT = ["USD", 500000000, None, 100000000, 0]
SETTLEMENT = {
    "settlementOrderId": 31, "clientId": 2, "counterpartyId": 9, "createdAt": 1718000000123, "comment": "c", "flags": 0,
    "currency1": "BTC", "size1": -100000000, "network1": "bitcoin", "currency2": "USD", "size2": 6000000000000,
}  # fmt: skip
SETTLED = {**SETTLEMENT, "settlementId": 78, "commitedAt": 1718000002000}
TRANSACTION = [
    9,
    "BTC",
    100000000,
    31,
    "c",
    1718000000123,
    "0xabc",
    1718000000456,
    0,
    1718000000789,
    79,
    1000,
    "bitcoin",
]
REQUEST = [9, "BTC", 0, 100000000, "c", 1718000009999, "bitcoin", 55, 1718000000123]
CURRENCY = ["ETH", 71001, 1, 312000000000, "crypto"]
INSTRUMENT = ["ETH-USD", 880011, "ETH", "USD"]
SETTLEMENT_ROW = [31, "BTC", "USD", -100000000, 6000000000000, 1718000000123, 9, "bitcoin", None]
BOOK = [[[312000000000, 150000000], [311900000000, 70000000]], [[312100000000, 90000000]]]

MESSAGES = {
    "status": ["X", 0, "Z", 0],
    "no status": ["X", 0, "Z", 2],
    "global book": ["B", "ETH-USD", "S", BOOK],
    "global book update": ["B", "ETH-USD", "M", [[["M", 312000000000, 1]], []]],
    "firm book": ["F", "ETH-USD", "S", BOOK],
    "update": ["F", "ETH-USD", "M", [[["+", 311950000000, 40000000]], [["-", 312100000000, 0]]]],
    "cut": ["F", "ETH-USD", "M", [[["~", 311900000000, 70000000]], []]],
    "cut all": ["F", "ETH-USD", "M", [[], [["~", 0, 0]]]],
    "masters' book": ["F", {"instrument": "ETH-USD", "clientId": 7}, "S", BOOK],
    "instruments": ["I", 0, "S", [[CURRENCY], [INSTRUMENT]]],
    "orders": ["O", 0, "S", [ORDER]],
    "orders, nested": ["O", 0, "S", [[ORDER]]],
    "order added": ["O", 0, "+", ORDER],
    "order removed": ["O", 0, "-", ORDER],
    "deal": ["O", 0, "D", DEAL],
    "older deal": ["O", 0, "D", OLD_DEAL],
    "positions": ["K", 0, "S", [POSITION]],
    "positions, older": ["K", 0, "S", [80, [POSITION[:3]]]],
    "position": ["K", 0, "M", POSITION],
    "combined": ["P", 0, "S", [80, [POSITION], [ORDER], [SETTLEMENT_ROW]]],
    "limits": ["L", 0, "S", [LIMIT]],
    "limits, version between": ["L", 0, "S", [MIDDLE_LIMIT]],
    "limits, older": ["L", 0, "S", [OLD_LIMIT]],
    "limit": ["L", 0, "M", LIMIT],
    "global limits": ["G", 0, "S", [GLOBAL_LIMIT]],
    "settlements": ["S", 0, "S", [SETTLEMENT]],
    "settled": ["S", 0, "D", [SETTLED]],
    "transactions": ["N", 0, "S", [0, [TRANSACTION], []]],
    "transaction": ["N", 0, "D", [[], [TRANSACTION]]],
    "requests": ["R", 0, "S", [[REQUEST], []]],
    "request": ["R", 0, "+", [[], [REQUEST]]],
    "failure": ["F", "ETH-USD", "Z", 102],
    "failure in a list": ["F", "ETH-USD", "Z", [102]],
    "unbound": ["F", "ETH-USD", "U", 0],
    "answer": {"event": "request", "reqId": 1, "reply": {"id": 5501, "remainingSize": 5000000}},
    "refusal": {"event": "request", "reqId": 1, "error": 9, "param": "clientOrderId"},
    "login": {"event": "auth"},
}
