"""Feed: makes events of what Kyan's channels tell, for one session. It knows no connection: messages in, events out.

Source: the pages of the channels at https://docs.kyan.blue/docs, read 2026-11. An event names its channel, but several of the
samples echo fewer keys of the query than were sent, so a missing key says nothing.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Hashable, List

from xchws.events import Data, Event, Failure, OrderBook, Other, Path
from xchws.exchanges.kyan import channels, models, payloads, wire
from xchws.exchanges.kyan.account import Account
from xchws.exchanges.kyan.channels import NAME
from xchws.exchanges.kyan.orders import CHANGES, Orders
from xchws.exchanges.kyan.session import KyanSession
from xchws.exchanges.kyan.wire import Envelope
from xchws.sansio.fills import FillView
from xchws.sansio.overlap import STATE
from xchws.sansio.protocol import UNREADABLE

Complain = Callable[[bytes, str], Failure]

_read_index_price = wire.reader(payloads.IndexPrice)
_read_instruments = wire.reader(payloads.Instruments)
_read_funding = wire.reader(payloads.Funding)
_read_interest_rate = wire.reader(payloads.InterestRate)
_read_svi = wire.reader(payloads.Svi)
_read_bankruptcy = wire.reader(payloads.Bankruptcy)


class Feed:
    """The events of one session.

    Args:
        session: what is subscribed, and what was told before; fills: the executions told already.
        complain: makes the Failure for a text that cannot be understood.
    """

    def __init__(self, session: KyanSession, fills: FillView, complain: Complain) -> None:
        self._session = session
        self._complain = complain
        account = Account(session, fills, complain)
        self.orders = Orders(session, complain)
        self._kinds: Dict[str, Callable[[Envelope, bytes, Any, Path], List[Event]]] = {
            "index_price": self._index_price,
            "instruments": self._instruments,
            "funding": self._funding,
            "interest_rate": self._interest_rate,
            "svi": self._svi,
            "account_state": account.state,
            "position": account.position,
            "trade": account.trade,
            "deposit": account.transfer,
            "withdrawal": account.transfer,
            "mmp_triggered": account.mmp_triggered,
            "bankruptcy": self._bankruptcy,
            **dict.fromkeys(CHANGES, self.orders.change),
            "ob_maker_orders": self.orders.snapshot,
            # A third party's word for it, and what it would be called by the rule of `instruments`: a snapshot's type is
            # on no page of the vendor.
            "ob_snapshot": self.orders.snapshot,
            "orderbook_perps": self.orders.snapshot,
            "orderbook_options": self.orders.snapshot,
        }

    def events(self, envelope: Envelope, text: bytes) -> List[Event]:
        """What an event message tells."""
        make = self._kinds.get(envelope.type)
        path: Path = ("data",) if envelope.has_data else ()
        if make is None:
            if channels.BOOKS & {envelope.channel} and self.orders.is_snapshot(envelope, text):
                make = self.orders.snapshot
            else:
                kind = envelope.type or "unknown"
                return [Other(kind=kind, wire=text, path=path, time_ms=envelope.timestamp_ms, exchange=NAME)]
        try:
            return make(envelope, text, envelope.data if path else text, path)
        except UNREADABLE as error:
            return [self._complain(text, f"a {envelope.type} that cannot be understood ({error})")]
        except ValueError as error:
            return [self._complain(text, f"a {envelope.type} that cannot be right: {error}")]

    # --------------------------------------------------------------------------------------------------------- market

    def _index_price(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        found = _read_index_price(data)
        symbol = self._session.asked(envelope.channel, envelope.query, "pair")
        time = envelope.time_ms(found.timestamp)
        return [models.IndexPrice(exchange=NAME, wire=text, path=path, symbol=symbol, time_ms=time, value=found.value)]

    def _instruments(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        found = _read_instruments(data)
        names = tuple(name for name in found.instruments if isinstance(name, str) and name)
        made: List[Event] = []
        if len(names) != len(found.instruments):
            made.append(self._complain(text, "an instruments list with something that is no name"))
        # Without a market in the query there is one event for each market: the names tell which.
        symbol = (
            names[0].partition("_")[0] if names else self._session.asked(envelope.channel, envelope.query, "market")
        )
        time = envelope.time_ms(found.updated_at)
        made.append(models.Instruments(exchange=NAME, wire=text, path=path, symbol=symbol, time_ms=time, names=names))
        return made

    def _funding(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        found = _read_funding(data)
        return [
            models.Funding(
                exchange=NAME,
                wire=text,
                path=path,
                symbol=found.instrument_name,
                time_ms=envelope.time_ms(found.timestamp),
                rate=found.funding_rate,
                spot_price=found.spot_price,
                perp_price=found.perp_price,
            )
        ]

    def _interest_rate(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        found = _read_interest_rate(data)
        pair, expiry = models.series_of(found.sid)
        return [
            models.InterestRate(
                exchange=NAME,
                wire=text,
                path=path,
                symbol=pair or self._session.asked(envelope.channel, envelope.query, "pair"),
                time_ms=envelope.time_ms(found.timestamp),
                rate=found.v,
                expiry=expiry or models.text_or_none(envelope.query.get("expiry")),
                series=found.sid,
            )
        ]

    def _svi(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        found = _read_svi(data)
        pair, maturity = models.series_of(found.sid)
        return [
            models.Volatility(
                exchange=NAME,
                wire=text,
                path=path,
                symbol=pair or self._session.asked(envelope.channel, envelope.query, "pair"),
                time_ms=envelope.time_ms(found.timestamp),
                maturity=maturity,
                alpha=found.alpha,
                beta=found.beta,
                rho=found.rho,
                m=found.m,
                sigma=found.sigma,
                series=found.sid,
            )
        ]

    def _bankruptcy(self, envelope: Envelope, text: bytes, data: Any, path: Path) -> List[Event]:
        found = _read_bankruptcy(data)
        return [
            models.Bankruptcy(
                exchange=NAME,
                wire=text,
                path=path,
                symbol=found.market,
                time_ms=envelope.timestamp_ms,
                margin_account=found.margin_account_id,
            )
        ]


def identity(event: Data) -> Hashable:
    """What makes two events of two overlapping connections the same one: the payload, for the envelopes differ.

    An order is posted and cancelled once in its life, so that these are the same whatever else is said of it: where books begin
    with single orders, what rests is posted to the one connection as it stands by then. STATE for what only the connection in
    use is to tell: whole books, positions, which come every second with nothing in them that tells two ticks apart, and
    snapshots, which may be older than what has been told already.
    """
    if isinstance(event, OrderBook):
        return STATE
    envelope, _ = wire.envelope_of(event._wire)
    if envelope.type == "position":
        return STATE
    if isinstance(event, (models.BookOrder, models.Order)):
        if envelope.type == "update_order":
            return (type(event).__name__, event.id, event.filled, event.quantity, event.exchange_status)
        return (type(event).__name__, event.id, envelope.type) if envelope.type in CHANGES else STATE
    payload = bytes(envelope.data) if envelope.has_data else event._wire
    if isinstance(event, Other):
        # What it is, is not known: rather told twice than taken for a repetition.
        return (event.kind, payload, envelope.timestamp_ms)
    return (type(event).__name__, event.symbol, envelope.type, payload)
