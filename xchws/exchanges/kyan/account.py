"""Account: what Kyan's account channels tell: margin, positions, executions, transfers, market maker protection.

Source: https://docs.kyan.blue/docs/ws-account-state, /ws-position, /ws-trade, /ws-transfer, /ws-mmp, read 2026-11.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Callable, List, Optional, Set

from xchws.events import Event, Failure, Path
from xchws.exchanges.kyan import channels, models, payloads
from xchws.exchanges.kyan.channels import NAME
from xchws.exchanges.kyan.session import KyanSession
from xchws.exchanges.kyan.wire import Envelope, milliseconds, reader
from xchws.sansio.fills import FillView
from xchws.sansio.protocol import UNREADABLE

_read_account_state = reader(payloads.AccountState)
_read_positions = reader(payloads.Positions)
_read_position = reader(payloads.Position)
_read_trade = reader(payloads.Trade)
_read_transfer = reader(payloads.Transfer)
_read_mmp = reader(payloads.MmpTriggered)


class Account:
    """The account channels of one session.

    Args:
        session: what is subscribed, and the positions told before; fills: the executions told already.
        complain: makes the Failure for a text that cannot be understood.
    """

    def __init__(self, session: KyanSession, fills: FillView, complain: Callable[[bytes, str], Failure]) -> None:
        self._session = session
        self._fills = fills
        self._complain = complain

    def state(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        """account_state."""
        found = _read_account_state(data)
        return [
            models.AccountState(
                exchange=NAME,
                wire=text,
                path=path,
                symbol=found.pair,
                time_ms=envelope.time_ms(found.timestamp),
                account=self._session.asked(envelope.channel, envelope.query, "account") or None,
                margin_account=models.text_or_none(found.margin_account),
                initial_margin=found.im,
                maintenance_margin=found.mm,
                matrix_risk=found.matrix_risk,
                delta_risk=found.delta_risk,
                roll_risk=found.roll_risk,
                unrealised_pnl=found.unrealised_pnl,
                equity=found.equity,
                greeks=models.greeks_of(found.portfolio_greeks),
                liquidation=found.liquidation,
            )
        ]

    def position(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        """position: the whole list of one market."""
        found = _read_positions(data)
        account = models.text_or_none(found.margin_account)
        made: List[Event] = []
        named: Set[str] = set()
        whole = True
        for index, raw in enumerate(found.positions):
            try:
                position = _read_position(raw)
            except (*UNREADABLE, ValueError) as error:
                made.append(self._complain(text, f"a position that cannot be understood ({error})"))
                whole = False
                continue
            named.add(position.instrument_name)
            place: Path = (*path, "positions", index)
            made.append(_position_event(position, account, found.market, envelope, wire=text, path=place))
        # A position that has been closed is just not in the list any more.
        key = (account or "", found.market)
        before = self._session.positions.get(key, set())
        if not whole:
            named |= before
        self._session.positions[key] = named
        for gone in sorted(before - named):
            made.append(
                models.Position(
                    exchange=NAME,
                    wire=text,
                    path=path,
                    symbol=gone,
                    time_ms=envelope.timestamp_ms,
                    account=account,
                    market=found.market,
                    quantity=Decimal(0),
                )
            )
        return made

    def trade(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        """trade: of an account that was asked for, or of anybody."""
        found = _read_trade(data)
        time = envelope.time_ms(found.timestamp)
        topics = [topic for topic in self._session.topics if topic.channel == "trade"]
        accounts = {str(channels.value_of(topic, "account") or "").lower() for topic in topics}
        public = "" in accounts or not topics
        address = (found.smart_account_address or "").lower()
        if envelope.query.get("account") or (address and address in accounts) or not public:
            side = found.direction or ""
            if self._fills.is_new(address or found.margin_account_id or "", found.order_id, found.trade_id, side):
                return [_fill(found, wire=text, path=path, time_ms=time)]
            if not public:
                return []
        return [_public_trade(found, wire=text, path=path, time_ms=time)]

    def transfer(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        """deposit, withdrawal."""
        found = _read_transfer(data)
        return [
            models.Transfer(
                exchange=NAME,
                wire=text,
                path=path,
                time_ms=envelope.timestamp_ms,
                id=models.text_or_none(found.action_seq),
                direction=found.action or envelope.type,
                asset=found.symbol,
                amount=found.amount,
                account=found.smart_account_address,
                margin_account=found.margin_account_id,
            )
        ]

    def mmp_triggered(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        """mmp_triggered."""
        found = _read_mmp(data)
        return [
            models.MmpTriggered(
                exchange=NAME,
                wire=text,
                path=path,
                symbol=found.pair_symbol,
                time_ms=envelope.timestamp_ms,
                account=found.smart_account_address,
                frozen_until_ms=milliseconds(found.frozen_until),
                frozen_seconds=found.frozen_duration_seconds,
            )
        ]


def _position_event(
    position: payloads.Position, account: Optional[str], market: str, envelope: Envelope, **where: Any
) -> models.Position:
    return models.Position(
        exchange=NAME,
        symbol=position.instrument_name,
        time_ms=envelope.timestamp_ms,
        account=account,
        quantity=position.size,
        entry_price=position.average_price,
        mark_price=position.mark_price,
        id=models.text_or_none(position.id),
        market=market,
        instrument_type=position.instrument_type,
        entry_fee=position.entry_fee,
        funding_rate=position.current_funding_rate,
        mark_iv=position.mark_iv,
        mark_interest=position.mark_interest,
        greeks=models.greeks_of(position.position_greeks),
        **where,
    )


def _fill(found: payloads.Trade, **where: Any) -> models.Fill:
    return models.Fill(
        exchange=NAME,
        symbol=found.instrument_name,
        id=found.trade_id,
        order_id=found.order_id,
        side=found.direction,
        price=found.average_price,
        quantity=found.size,
        account=found.smart_account_address,
        margin_account=found.margin_account_id,
        limit_price=found.limit_price,
        index_price=found.index_price,
        iv=found.iv,
        liquidation=found.liquidation,
        taker_fee=found.taker_fee,
        maker_fee=found.maker_fee,
        systemic_risk_fee=found.systemic_risk_fee,
        liquidation_fee=found.liquidation_fee,
        realised_funding=found.realised_funding,
        **where,
    )


def _public_trade(found: payloads.Trade, **where: Any) -> models.Trade:
    return models.Trade(
        exchange=NAME,
        symbol=found.instrument_name,
        id=found.trade_id,
        side=found.direction,
        price=found.average_price,
        quantity=found.size,
        account=found.smart_account_address,
        order_id=found.order_id,
        limit_price=found.limit_price,
        index_price=found.index_price,
        iv=found.iv,
        liquidation=found.liquidation,
        **where,
    )
