"""The book against a model that is as simple as can be: two dicts."""

from __future__ import annotations

from decimal import Decimal
from typing import Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xchws.exchanges.finery.book import DEPTH, Book, OutOfStep
from xchws.exchanges.finery.errors import Malformed

UNIT = Decimal("0.00000001")
Levels = Tuple[Tuple[Decimal, Decimal], ...]


def shown(model: Dict[int, int], best_last: bool) -> Levels:
    return tuple((price * UNIT, model[price] * UNIT) for price in sorted(model, reverse=best_last))


def simple() -> Book:
    return Book([(100, 1), (99, 2), (98, 3)], [(101, 4), (102, 5), (103, 6)])


def bids(book: Book) -> List[Tuple[int, int]]:
    return [(int(price / UNIT), int(size / UNIT)) for price, size in book.bids.levels]


def asks(book: Book) -> List[Tuple[int, int]]:
    return [(int(price / UNIT), int(size / UNIT)) for price, size in book.asks.levels]


def test_a_snapshot_is_sorted_whatever_its_order() -> None:
    book = Book([(98, 1), (100, 2), (99, 0)], [(103, 1), (101, 2)])
    assert bids(book) == [(100, 2), (98, 1)]
    assert asks(book) == [(101, 2), (103, 1)]


def test_amounts_are_exact() -> None:
    book = Book([(312000000000, 150000001)], [])
    assert book.bids.levels == ((Decimal("3120"), Decimal("1.50000001")),)


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        ([("+", 97, 9)], [(100, 1), (99, 2), (98, 3), (97, 9)]),
        ([("+", 99, 9)], [(100, 1), (99, 9), (98, 3)]),
        ([("M", 99, 9)], [(100, 1), (99, 9), (98, 3)]),
        ([("M", 99, 0)], [(100, 1), (98, 3)]),
        ([("-", 99, 5)], [(100, 1), (98, 3)]),
        ([("~", 99, 9)], [(99, 9), (98, 3)]),
        ([("~", 98, 3)], [(98, 3)]),
        ([("~", 97, 3)], [(97, 3)]),
        ([("~", 99, 0)], [(98, 3)]),
        ([("~", 0, 0)], []),
        ([("-", 99, 0), ("+", 99, 7)], [(100, 1), (99, 7), (98, 3)]),
    ],
)
def test_actions_on_bids(updates: List[Tuple[str, int, int]], expected: List[Tuple[int, int]]) -> None:
    book = simple()
    book.apply(updates, [])
    assert bids(book) == expected
    assert asks(book) == [(101, 4), (102, 5), (103, 6)]


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (("~", 102, 9), [(102, 9), (103, 6)]),
        (("~", 104, 9), [(104, 9)]),
        (("~", 0, 0), []),
        (("+", 104, 1), [(101, 4), (102, 5), (103, 6), (104, 1)]),
    ],
)
def test_actions_on_asks(update: Tuple[str, int, int], expected: List[Tuple[int, int]]) -> None:
    book = simple()
    book.apply([], [update])
    assert asks(book) == expected


@pytest.mark.parametrize(
    "update",
    [
        ("M", 97, 1),
        ("-", 97, 0),
        ("~", 0, 5),
        ("~", -1, 5),
        ("+", 97, -1),
        ("+", 0, 1),
        ("+", -5, 1),
        ("?", 100, 1),
        ("+", 101, 1),
        ("+", 105, 1),
    ],
)
def test_out_of_step(update: Tuple[str, int, int]) -> None:
    with pytest.raises(OutOfStep):
        simple().apply([update], [])


def test_a_number_beyond_64_bits() -> None:
    with pytest.raises(Malformed):
        simple().apply([("+", 2**64, 1)], [])


def test_what_crosses_within_a_message_only_is_in_step() -> None:
    book = simple()
    book.apply([("+", 101, 1)], [("-", 101, 0)])
    assert (bids(book)[0], asks(book)[0]) == ((101, 1), (102, 5))


def test_where_the_exchange_shows_a_crossed_book_crossing_proves_nothing() -> None:
    book = Book([(100, 1)], [(100, 1)])
    book.apply([("+", 105, 1)], [])
    assert bids(book)[0] == (105, 1)


def test_more_levels_than_are_published_are_cut_off() -> None:
    book = Book([(1000 - n, 1) for n in range(40)], [])
    assert len(bids(book)) == DEPTH
    book.apply([("+", 1001, 1)], [])
    assert [price for price, _ in bids(book)] == [1001 - n for n in range(DEPTH)]
    # What was cut off may still be told of.
    book.apply([("-", 1001 - DEPTH, 0)], [])
    book.apply([("-", 1001, 0), ("M", 1000 - DEPTH, 7)], [])
    assert bids(book)[-1] == (1000 - DEPTH, 7)
    with pytest.raises(OutOfStep):
        book.apply([("-", 1, 0)], [])


def test_what_was_cut_off_is_forgotten_some_day() -> None:
    book = Book([(1000 - n, 1) for n in range(200)], [])
    with pytest.raises(OutOfStep):
        book.apply([("-", 1000 - DEPTH, 0)], [])


@given(st.data())
def test_a_walk_beside_a_model(data: st.DataObject) -> None:
    """Bids below 1000 and asks above, fewer than the depth at a time, so that nothing crosses and nothing is cut off."""
    models: List[Dict[int, int]] = [
        data.draw(st.dictionaries(st.integers(*ends), st.integers(1, 9), max_size=12))
        for ends in ((1, 999), (1001, 1999))
    ]
    book = Book(list(models[0].items()), list(models[1].items()))
    for _ in range(data.draw(st.integers(0, 20))):
        said: Tuple[List[Tuple[str, int, int]], List[Tuple[str, int, int]]] = ([], [])
        for side, (model, updates) in enumerate(zip(models, said)):
            for _ in range(data.draw(st.integers(0, 3))):
                kind = data.draw(st.sampled_from("+M-~" if model else "+"))
                size = data.draw(st.integers(1, 9))
                if kind in "M-":
                    price = data.draw(st.sampled_from(sorted(model)))
                elif len(model) >= DEPTH:
                    continue
                else:
                    price = data.draw(st.integers(1, 999)) + 1000 * side
                if kind == "-":
                    del model[price]
                elif kind == "~":
                    if data.draw(st.integers(0, 5)) == 0:
                        price = size = 0
                        model.clear()
                    else:
                        for better in [one for one in model if (one < price if side else one > price)]:
                            del model[better]
                        model[price] = size
                else:
                    model[price] = size
                updates.append((kind, price, size))
        book.apply(*said)
        assert book.bids.levels == shown(models[0], True)
        assert book.asks.levels == shown(models[1], False)
