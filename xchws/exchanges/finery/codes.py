"""Codes: Finery Markets' error codes, cancel reasons and order types in words. It decides nothing but which codes pass by
themselves.

Source: https://faq.finerymarkets.com/api-reference/ (list of error codes, data types), read 2026-11. Codes above 45 are from an
older list; the page has newer ones that are not known here, and every number is taken.
"""

from __future__ import annotations

from typing import Any, Optional

NOT_CONNECTED, NOT_AUTHORISED, BAD_NONCE, BAD_TIMESTAMP, INTERNAL = 2, 3, 6, 7, 10
AGREEMENT_NOT_SIGNED, BAD_SIGNATURE = 13, 14
BINDING_EXISTS, BINDING_NOT_FOUND, OUT_OF_SYNC = 100, 101, 104

REFUSED_FOR_GOOD = frozenset((NOT_AUTHORISED, AGREEMENT_NOT_SIGNED, BAD_SIGNATURE))
STALE = frozenset((BAD_NONCE, BAD_TIMESTAMP))
"""What a fresh nonce and timestamp may cure."""
PASSING = frozenset((NOT_CONNECTED, INTERNAL, OUT_OF_SYNC))

_ERRORS = {
    0: "no error",
    1: "not implemented",
    2: "not connected to Finery Markets",
    3: "not authorised: the key lacks the permission",
    4: "already authorised",
    5: "wrong password",
    6: "wrong nonce",
    7: "wrong timestamp",
    8: "method not available",
    9: "parameter missing or invalid",
    10: "internal error",
    11: "wrong MFA code",
    12: "MFA is off",
    13: "the user agreement is not signed",
    14: "wrong signature",
    15: "the link has expired",
    20: "invalid currency flags",
    21: "invalid currency price",
    22: "invalid currency balance step",
    23: "invalid currency name",
    24: "the currency's name cannot be changed",
    25: "the currency's balance step cannot be changed",
    26: "currency not found",
    27: "the currency cannot be removed",
    28: "invalid currency type",
    30: "invalid instrument flags",
    31: "invalid instrument name",
    32: "the instrument's asset currency cannot be changed",
    33: "the instrument's balance currency cannot be changed",
    34: "instrument not found",
    35: "the instrument cannot be removed",
    36: "the instrument is not permitted by a counterparty",
    40: "invalid client flags",
    41: "invalid taker delta ratio",
    42: "invalid client name",
    43: "the client's type cannot be changed",
    44: "the client exists already",
    45: "client not found",
    46: "the user name exists already",
    50: "invalid limit flags",
    51: "invalid net limit",
    52: "invalid gross limit",
    53: "limit not found",
    54: "the clients of the limit are identical",
    55: "the types of the limit's clients are identical",
    60: "invalid settlement order flags",
    61: "invalid settlement order size",
    62: "invalid settlement order comment",
    63: "the clients of the settlement are identical",
    64: "settlement order not found",
    65: "the settlement order stems from a transaction",
    70: "invalid order size",
    71: "invalid order price",
    72: "invalid order flags",
    73: "order type not allowed",
    74: "the client order id is in use",
    75: "the post-only order would have been executed",
    76: "the IOC order found nothing to execute against",
    77: "too little liquidity for the FOK order",
    78: "self-trade prevention",
    79: "a limit would be breached",
    80: "order not found",
    81: "exactly one of size and volume is wanted",
    82: "makers' orders cannot be by volume",
    83: "invalid order volume",
    84: "trading is not allowed",
    85: "no open position in the order's currencies",
    90: "nothing would be left of the modified order",
    91: "the modified order is of the other side",
    100: "bound already",
    101: "not bound",
    102: "no such feed",
    103: "invalid feed id",
    104: "the database is out of sync",
    110: "a field is missing",
    111: "a field is invalid",
    112: "the user name does not meet the rules",
    113: "the password does not meet the rules",
    114: "the password must be changed",
    120: "too many keys",
    121: "key not found",
    130: "the settlement request exists already",
    131: "settlement request not found",
    132: "invalid settlement request flags",
    133: "invalid settlement request counterparty",
    134: "invalid settlement request comment",
    135: "invalid settlement request amount",
    140: "invalid settlement transaction flags",
    141: "invalid settlement transaction amount",
    142: "invalid settlement transaction txId",
    143: "the clients of the settlement transaction are identical",
    144: "settlement transaction not found",
    # 160 to 167: two clients, global and counterparty limits, net and gross; which is which is not told reliably.
    **dict.fromkeys(range(160, 168), "the settlement order would breach a limit"),
}

CANCEL_REASONS = {
    0: "",
    1: "by client",
    2: "as non-book order",
    3: "self-trade prevention",
    4: "cancel on disconnect",
}

ORDER_TYPES = {
    0: "limit",
    1: "postOnly",
    2: "limitIOC",
    3: "limitFOK",
    4: "marketIOC",
    5: "marketFOK",
    6: "manual",
    7: "pendingLimit",  # an older page: liquidation trade
    9: "RFQ",
}


def words(code: int) -> str:
    """A code with what it means: `14 (wrong signature)`."""
    return f"{code} ({_ERRORS.get(code, 'unknown code')})"


def code_of(value: Any) -> Optional[int]:
    """The code that a parsed JSON value says: a number, the same as text, or either in a list; None: it says none.

    That a code may come in a list is a third party's knowledge, the text form a guess.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
