"""Two thousand numbered events with a cut in the middle: all that was told to a live connection arrives, once, in order, and
the Gap says since when something may be missing."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable, List, Tuple

import xchws
from xchws.sandbox import IndodaxSandbox, RichamsterSandbox

Make = Callable[..., Any]


def test_indodax(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    told: List[Tuple[Any, ...]] = []
    gaps: List[xchws.Gap] = []
    client = make_indodax(on_gap=gaps.append)
    client.on_order(lambda order: told.append((order.id, order.exchange_status, order.filled)))
    client.start(5)
    for half in range(2):
        indodax.wait_for_subscriber()
        indodax.random_walk(999 - half, seed=half)
        all_of_it = client.expect(xchws.Order, symbol=f"half{half}idr")
        indodax.place(f"half{half}idr", "BUY", "1", "1")
        all_of_it.result(20)
        if not half:
            cut_at = datetime.now(timezone.utc)
            back = client.expect(xchws.Gap)
            indodax.refuse(503)
            indodax.drop()
            indodax.place("unseenidr", "BUY", "1", "1")  # told to nobody: this is what the Gap is about
            indodax.accept()
            back.result(10)
    client.stop()
    sent = [
        (event["order"]["orderId"], event["order"]["status"], event["order"]["executedQty"])
        for event in indodax.published
    ]
    heard = [one for one in sent if "unseen" not in one[0]]
    assert [(order, status, str(filled)) for order, status, filled in told] == heard
    assert len(sent) == 2000 and len(told) == len(heard) == 1999
    (gap,) = gaps
    assert gap.since <= cut_at <= gap.until and not gap.recovered
    assert gap.last_time is not None and gap.last_time <= cut_at
    assert indodax.complaints == []


def test_richamster(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    told: List[Any] = []
    gaps: List[xchws.Gap] = []
    client = make_richamster(on_gap=gaps.append)
    client.on_book_level(lambda level: told.append(int(level.quantity)))
    client.start(5)
    book = client.subscribe_order_book("BTC/UAH").wait(5)
    for number in range(1, 2001):
        if number in (1000, 2000):
            all_of_it = client.expect(xchws.BookLevel, quantity=number)
        if number == 1001:
            all_of_it.result(20)
            cut_at = datetime.now(timezone.utc)
            back = client.expect(xchws.Gap)
            richamster.drop()
            back.result(10)
            book.wait(5)
        richamster.level("BTC/UAH", "selling", "2650000", str(number))
    all_of_it.result(20)
    client.stop()
    assert told == list(range(1, 2001))
    (gap,) = gaps
    assert gap.channels == ("order_book BTC/UAH",) and gap.since <= cut_at <= gap.until and not gap.recovered
    assert richamster.complaints == []
