"""Settlements: settlement orders, transactions and requests, and the instruments, as events.

It knows rows and objects, not messages, feeds or connections; reading.py says how a bad one is told.
"""

from __future__ import annotations

from typing import List, Tuple, Type, TypeVar, Union

import msgspec

from xchws.events import Path
from xchws.exchanges.finery import models, wire
from xchws.exchanges.finery.errors import NAME, Malformed
from xchws.exchanges.finery.reading import Made, Make, decoded, many, parts, text_of
from xchws.exchanges.finery.units import plain, plain_or_none

T = TypeVar("T")

_TRANSACTION_STATUS = ("committed by receiver", "committed by admin", "cancelled by sender", "cancelled by admin")


def settlement(said: wire.SettlementObject, action: str, text: bytes, path: Path) -> models.Settlement:
    """A settlement order or a settlement."""
    return models.Settlement(
        exchange=NAME,
        wire=text,
        path=path,
        time_ms=said.createdAt,
        action=action,
        id=str(said.settlementOrderId),
        settlement_id=text_of(said.settlementId),
        client_id=text_of(said.clientId),
        counterparty_id=text_of(said.counterpartyId),
        asset1=str(said.currency1),
        quantity1=plain_or_none(said.size1),
        network1=text_of(said.network1),
        asset2=text_of(said.currency2),
        quantity2=plain_or_none(said.size2),
        network2=text_of(said.network2),
        committed_ms=said.commitedAt if said.commitedAt is not None else said.committedAt,
        comment=said.comment,
        flags=said.flags,
    )


def settlement_row(row: wire.SettlementRow, action: str, text: bytes, path: Path) -> models.Settlement:
    """A settlement order of the combined feed."""
    return models.Settlement(
        exchange=NAME,
        wire=text,
        path=path,
        time_ms=row.created,
        action=action,
        id=str(row.id),
        counterparty_id=text_of(row.counterparty),
        asset1=str(row.currency1),
        quantity1=plain_or_none(row.size1),
        network1=text_of(row.network1),
        asset2=text_of(row.currency2),
        quantity2=plain_or_none(row.size2),
        network2=text_of(row.network2),
    )


def transaction(direction: str) -> Make:
    """Makes settlement transactions: "deposit", "withdrawal", or "" where it is not told."""

    def make(row: wire.TransactionRow, action: str, text: bytes, path: Path) -> models.SettlementTransaction:
        # Before it is over, the same bits are 0, too: only then do they say how it ended.
        over = action in ("D", "-") or (action == "" and row.moment)
        return models.SettlementTransaction(
            exchange=NAME,
            wire=text,
            path=path,
            time_ms=row.created,
            id=text_of(row.id),
            direction=direction,
            asset=str(row.currency),
            amount=plain(row.amount),
            fee=plain_or_none(row.fee),
            status=_TRANSACTION_STATUS[row.flags & 3] if over and row.flags is not None else None,
            transaction_id=text_of(row.tx_id),
            action=action,
            counterparty_id=str(row.counterparty),
            settlement_order_id=text_of(row.settlement_order_id),
            network=text_of(row.network),
            comment=row.comment,
            flags=row.flags,
            sent_ms=row.sent,
            moment_ms=row.moment,
        )

    return make


def settlement_request(direction: str) -> Make:
    """Makes settlement requests, "incoming" or "outgoing"."""

    def make(row: wire.RequestRow, action: str, text: bytes, path: Path) -> models.SettlementRequest:
        return models.SettlementRequest(
            exchange=NAME,
            wire=text,
            path=path,
            time_ms=row.created,
            action=action,
            id=str(row.id),
            direction=direction,
            counterparty_id=str(row.counterparty),
            asset=str(row.currency),
            amount=plain(row.amount),
            network=text_of(row.network),
            expires_ms=row.expires,
            comment=row.comment,
            flags=row.flags,
        )

    return make


def both_ways(
    raw: Union[bytes, msgspec.Raw], kind: Type[object], make: Tuple[Make, Make], action: str, text: bytes, path: Path
) -> List[Made]:
    """The events of `[incoming, outgoing]`, where something reserved may stand before the two."""
    try:
        lists = parts(raw)
        if len(lists) < 2:
            raise Malformed("incoming and outgoing are wanted", bytes(raw))
    except Malformed as error:
        return [error]
    first = len(lists) - 2
    return [
        *many(lists[first], kind, make[0], action, text, (*path, first)),
        *many(lists[first + 1], kind, make[1], action, text, (*path, first + 1)),
    ]


TRANSACTION = (transaction("deposit"), transaction("withdrawal"))
REQUEST = (settlement_request("incoming"), settlement_request("outgoing"))


# ---------------------------------------------------------------------------------------------------------- instruments


def _rows(raw: msgspec.Raw, kind: Type[T], bad: List[Made]) -> List[T]:
    """The rows that can be read; the others go to `bad`."""
    found: List[T] = []
    try:
        elements = parts(raw)
    except Malformed as error:
        bad.append(error)
        return []
    for element in elements:
        try:
            found.append(decoded(element, kind))
        except Malformed as error:
            bad.append(error)
    return found


def _currency(row: wire.CurrencyRow) -> models.Currency:
    return models.Currency(
        name=row.name,
        id=row.id,
        step=plain_or_none(row.step),
        usd_price=plain_or_none(row.usd),
        type=text_of(row.type),
        networks=tuple(str(network) for network in row.networks or ()),
    )


def instruments(raw: Union[bytes, msgspec.Raw], text: bytes, path: Path) -> List[Made]:
    """`[currencies, instruments]`, with the networks as a third list where they are told."""
    bad: List[Made] = []
    try:
        lists = parts(raw)
        if len(lists) < 2:
            raise Malformed("currencies and instruments are wanted", bytes(raw))
        currencies = tuple(_currency(row) for row in _rows(lists[0], wire.CurrencyRow, bad))
    except Malformed as error:
        return [Malformed(str(error), bytes(raw))]
    event = models.Instruments(
        exchange=NAME,
        wire=text,
        path=path,
        currencies=currencies,
        instruments=tuple(
            models.Instrument(name=row.name, id=row.id, base=str(row.asset), quote=str(row.balance))
            for row in _rows(lists[1], wire.InstrumentRow, bad)
        ),
        networks=tuple(
            models.Network(name=row.name, description=row.description, id=row.id)
            for row in (_rows(lists[2], wire.NetworkRow, bad) if len(lists) > 2 else [])
        ),
    )
    return [event, *bad]
