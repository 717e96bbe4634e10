"""codes: every error code and close code of Indodax's pages and of the servers behind them, and what each leads to.

Sources: Private-websocket.md and Marketdata-websocket.md of https://github.com/btcid/indodax-official-api-docs; errors.go
and disconnect.go of https://github.com/centrifugal/centrifuge, as of Centrifugo 5.2.0 and of v0.14.2 (Centrifugo 2.8.6); read
2026-11.
The pages of Richamster and Kyrrex have no codes.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple, Type

import xchws

TOKEN: Dict[str, str] = {
    "invalid_tapi_key": "Invalid TAPI key",
    "invalid_credentials": "Invalid credentials. API not found or session has expired.",
    "bad_sign": "Invalid credentials. Bad sign.",
}
"""Of the token endpoint: the code and its text. Each ends the client at once."""

Verdict = Optional[Tuple[int, Type[xchws.XchwsError]]]
"""How often in a row, and what the client ends with then; None: it never does."""

REFUSED, UNFIT = xchws.AuthenticationFailed, xchws.ExchangeError

REPLIES: Dict[int, Verdict] = {
    100: None,
    101: (5, REFUSED),
    102: (5, UNFIT),
    103: (2, REFUSED),
    104: (5, UNFIT),
    105: (5, UNFIT),  # to connect; to subscribe it is a success
    106: (5, UNFIT),
    107: (5, UNFIT),
    108: (5, UNFIT),
    109: (5, REFUSED),
    110: (5, REFUSED),
    111: None,
    112: (5, UNFIT),
    113: None,
}
"""Errors in replies to connect and subscribe on the stream of own orders."""

AGAIN, SLOWLY, STOP = "again", "slowly", "stop"

CLOSES: Dict[int, Tuple[str, str, Verdict]] = {
    3000: ("connection closed", AGAIN, None),
    3001: ("shutdown", AGAIN, None),
    3004: ("internal server error", AGAIN, None),
    3005: ("connection expired", AGAIN, None),
    3006: ("subscription expired", AGAIN, None),
    3008: ("slow", AGAIN, None),
    3009: ("write error", AGAIN, None),
    3010: ("insufficient state", AGAIN, None),
    3011: ("force reconnect", AGAIN, None),
    3012: ("no pong", AGAIN, None),
    3013: ("too many requests", AGAIN, None),
    3014: ("state invalidated", AGAIN, None),
    3500: ("invalid token", AGAIN, (5, REFUSED)),
    3501: ("bad request", SLOWLY, None),
    3502: ("stale", AGAIN, None),
    3503: ("force disconnect", STOP, (1, UNFIT)),
    3504: ("connection limit", SLOWLY, None),
    3505: ("channel limit", SLOWLY, None),
    3506: ("inappropriate protocol", SLOWLY, None),
    3507: ("permission denied", STOP, (1, REFUSED)),
    3508: ("not available", SLOWLY, None),
    3509: ("too many errors", SLOWLY, None),
}
"""Of the stream of own orders: the reason, what follows, and the verdict."""

MARKET_CONNECT: Dict[int, Verdict] = {
    100: None,
    101: (1, REFUSED),
    102: (5, UNFIT),
    103: (1, REFUSED),
    104: (5, UNFIT),
    105: (5, UNFIT),
    106: (5, UNFIT),
    107: (5, UNFIT),
    108: (5, UNFIT),
    109: (1, REFUSED),
    110: (1, REFUSED),
    111: None,
}
"""Errors in replies to connect on the stream of market data, for a token that was never taken."""

MARKET_SUBSCRIBE: Dict[int, str] = {
    100: AGAIN, 101: STOP, 102: STOP, 103: STOP, 104: STOP, 105: "active", 106: STOP, 107: STOP, 108: STOP, 109: STOP,
    110: STOP, 111: AGAIN,
}  # fmt: skip
"""Errors in replies to subscribe there: put off, refused, or as good as a success."""

MARKET_CLOSES: Dict[int, Tuple[str, str, Verdict]] = {
    3000: ("normal", AGAIN, None),
    3001: ("shutdown", AGAIN, None),
    3002: ("invalid token", AGAIN, (5, REFUSED)),  # of a token that was taken before
    3003: ("bad request", SLOWLY, (5, UNFIT)),
    3004: ("internal server error", AGAIN, None),
    3005: ("expired", AGAIN, None),
    3006: ("subscription expired", AGAIN, None),
    3007: ("stale", SLOWLY, (5, UNFIT)),
    3008: ("slow", AGAIN, None),
    3009: ("write error", AGAIN, None),
    3010: ("insufficient state", AGAIN, None),
    3011: ("force reconnect", AGAIN, None),
    3012: ("force disconnect", STOP, (1, UNFIT)),
    3013: ("connection limit", SLOWLY, (5, UNFIT)),
}
"""Of the stream of market data: the reason, what follows, and the verdict."""
