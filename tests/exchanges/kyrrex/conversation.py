"""Both halves of a conversation with Kyrrex's stream, as bytes. It knows the protocol class and no test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Type, TypeVar

from xchws.credentials import Secrets
from xchws.exchanges.kyrrex.protocol import AccountMemory, KyrrexProtocol
from xchws.sansio.actions import Output, Ready, Send
from xchws.sansio.fills import FillMemory

OPEN = b'0{"sid":"Qx3a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
OPEN_THREE = b'0{"sid":"Qx3a","upgrades":[],"pingInterval":25000,"pingTimeout":5000}'
CONNECTED = b'40{"sid":"Zr9k"}'

VENDORS_ACCOUNT = (Path(__file__).resolve().parents[1] / "samples/kyrrex/account.json").read_bytes()
"""The one object that the vendor's page prints."""

# The other objects, in the words of the platform's webhooks and of its REST API; every value is invented.
OBJECTS: Dict[str, Dict[str, Any]] = {
    "account": {
        "aml_locked": "0.0",
        "balance": "1520.25",
        "bonus": "0.0",
        "coin_type": "crypto",
        "currency": "usdt",
        "launchpad": "0.0",
        "locked": "75.5",
        "name": "usdt",
        "savings": "0.0",
        "stacking": "0.0",
        "tag": "",
        "total": "1595.75",
    },
    "deposit": {
        "uuid": "d-5581",
        "tx_id": "9fe0",
        "tx_link": "https://explorer.example/tx/9fe0",
        "status": "processing",
        "address": "TQx1",
        "tag": None,
        "amount": "25.0",
        "asset": "usdt",
        "asset_type": "crypto",
        "dchain_id": "trc20usdt",
        "fee": "0.1",
        "control": None,
        "high_risk": None,
        "created_at": "2026-05-02T10:00:00Z",
        "updated_at": "2026-05-02T10:00:30Z",
        "done_at": None,
    },
    "withdrawal": {
        "uuid": "w-77",
        "status": "initiated",
        "address": "0xabc",
        "tag": 4711,
        "amount": "0.5",
        "asset": "eth",
        "dchain_id": "eth",
        "fee": "0.001",
        "tx_id": None,
        "created_at": "2026-05-02T10:00:00Z",
        "updated_at": "2026-05-02T10:00:00Z",
    },
    "trade": {
        "id": 91002,
        "order_id": 40551,
        "market": "btcusdt",
        "side": "buy",
        "type": "bid",
        "price": "64000.0",
        "volume": "0.01",
        "funds": "640.0",
        "funds_asset": "usdt",
        "fee": "0.00001",
        "fee_asset": "btc",
        "created_at": "2026-05-02T10:00:00Z",
    },
    "order": {
        "id": 40551,
        "market": "btcusdt",
        "side": "buy",
        "ord_type": "limit",
        "state": "wait",
        "price": "64000.0",
        "avg_price": "0.0",
        "volume": "0.05",
        "origin_volume": "0.05",
        "remaining_volume": "0.05",
        "executed_volume": "0.0",
        "trades_count": 0,
        "created_at": "2026-05-02T09:59:00Z",
    },
    "deposit_address": {
        "address": "TQx1",
        "tag": None,
        "dchain_id": "trc20usdt",
        "asset": "usdt",
        "uuid": "a-1",
        "created_at": "2026-05-02T09:59:00Z",
    },
    "customer": {
        "uid": "c-9",
        "kyc_status": "approved",
        "email": "ada@mail.example",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "phone": 356210000,
        "updated_at": "2026-05-02T09:59:00Z",
    },
}

T = TypeVar("T")


def opened(
    first: bytes = OPEN, engine: str = "4", settle: float = 1.0, trades: Optional[FillMemory] = None
) -> KyrrexProtocol:
    """A protocol that has been told, at 0 s, that the session is open."""
    protocol = KyrrexProtocol(engine, settle, AccountMemory(trades or FillMemory()), Secrets())
    protocol.opened(0.0)
    protocol.received(first, 0.0)
    return protocol


def connected(engine: str = "4", settle: float = 1.0, trades: Optional[FillMemory] = None) -> KyrrexProtocol:
    """A protocol whose namespace is connected since 0 s and that is not ready yet."""
    protocol = opened(OPEN, engine, settle, trades)
    protocol.received(CONNECTED if engine == "4" else b"40", 0.0)
    return protocol


def ready(trades: Optional[FillMemory] = None) -> KyrrexProtocol:
    """A protocol that is ready since 1 s."""
    protocol = connected(trades=trades)
    assert protocol.wake(1.0) == [Ready()]
    return protocol


def event(name: str, /, action: Any = "update", **changed: Any) -> bytes:
    """A message with one of the objects in the page's envelope; a key set to `...` is left out."""
    fields = {**OBJECTS[name], **changed}
    kept = {key: value for key, value in fields.items() if value is not ...}
    return message(name, {"data": {"version": "1", "action": action, "object": kept}})


def message(name: str, *arguments: Any) -> bytes:
    """A message with an event; an argument given as bytes stands in it as it is."""
    texts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in (name, *arguments)]
    return b"42[" + b",".join(texts) + b"]"


def of(outputs: Sequence[Output], kind: Type[T]) -> List[T]:
    return [output for output in outputs if isinstance(output, kind)]


def only(outputs: Sequence[Output], kind: Type[T]) -> T:
    """The one output there is, of this class."""
    assert len(outputs) == 1, outputs
    assert isinstance(outputs[0], kind), outputs
    return outputs[0]


def sent(outputs: Sequence[Output]) -> List[bytes]:
    return [output.payload for output in of(outputs, Send)]
