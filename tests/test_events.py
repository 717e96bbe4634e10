"""Events: they do not change, keep numbers exact, read times, and show no wire."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, List, Type

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xchws
from xchws import events
from xchws.errors import ConnectionLost, XchwsError
from xchws.events import (
    Balance,
    BookLevel,
    Connected,
    Data,
    Disconnected,
    Event,
    Failure,
    Fill,
    Gap,
    Message,
    Order,
    OrderBook,
    OrderStatus,
    Other,
    Position,
    State,
    StateChanged,
    Stopped,
    Suspended,
    Ticker,
    Trade,
    Transfer,
)

WIRE = b'{"data": [{"p": 1.2300, "q": 2.22E-4, "n": 7, "new": "key"}, {"p": 9.99999999999999999999}], "s": "w1re"}'


def tree(root: Type[Event]) -> List[Type[Event]]:
    found = [root]
    for child in root.__subclasses__():
        found += tree(child)
    return found


EVERY = [one for one in tree(Event) if one.__module__ == events.__name__]

SAMPLES: List[Event] = [
    Event(exchange="sim"),
    Connected(attempt=2, gap=1.5, exchange="sim"),
    Disconnected(exchange="sim", retry_in=2.0),
    Suspended(reason="maintenance"),
    Gap(channels=("orders",), recovered=True),
    StateChanged(old=State.NEW, new=State.CONNECTING),
    Stopped(),
    Message(wire=WIRE),
    Data(symbol="btcidr", time_ms=1, wire=WIRE, path=("data", 0)),
    Order(id="1", status=OrderStatus.FILLED, price=Decimal("1.2300"), final=True, wire=WIRE),
    Fill(id="1", quantity=Decimal("2.22E-4"), wire=WIRE),
    Balance(asset="btc", total=Decimal("0.1")),
    Position(account="7", quantity=Decimal("-1")),
    Transfer(id="1", direction="deposit", amount=Decimal(1)),
    Trade(id="1", price=Decimal("9.99999999999999999999")),
    Ticker(last=Decimal(1)),
    OrderBook(bids=((Decimal(1), Decimal(2)),)),
    BookLevel(side="buy", price=Decimal(1), quantity=Decimal(0)),
    Other(kind="news", wire=WIRE),
]


def name(event: Event) -> str:
    return type(event).__name__


def test_every_class_has_a_sample() -> None:
    assert {type(event) for event in SAMPLES} | {Failure} == set(EVERY)


@pytest.mark.parametrize("kind", EVERY)
def test_every_class_is_public_and_can_be_made_of_nothing(kind: Type[Event]) -> None:
    assert getattr(xchws, kind.__name__) is kind
    assert kind().exchange == ""


@pytest.mark.parametrize("event", SAMPLES, ids=name)
def test_events_do_not_change(event: Event) -> None:
    for field in attrs.fields(type(event)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(event, field.name, None)
    with pytest.raises(AttributeError):
        event.new = 1  # type: ignore[attr-defined]  # that it is refused is what is tested
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("event", SAMPLES, ids=name)
def test_positions_say_nothing(event: Event) -> None:
    kind: Any = type(event)
    with pytest.raises(TypeError):
        kind("sim")


@pytest.mark.parametrize("event", SAMPLES, ids=name)
def test_pickling_keeps_everything(event: Event) -> None:
    again = pickle.loads(pickle.dumps(event))
    assert type(again) is type(event)
    assert again == event
    assert repr(again) == repr(event)
    if isinstance(event, Data):
        assert isinstance(again, Data)
        assert again.raw == event.raw


def test_pickling_an_event_with_an_error() -> None:
    again = pickle.loads(pickle.dumps(Failure(error=ConnectionLost("gone", code=4001, exchange="sim"))))
    assert (str(again.error), again.error.code) == ("gone", 4001)
    again = pickle.loads(pickle.dumps(Stopped(error=XchwsError("gone"))))
    assert str(again.error) == "gone"


@pytest.mark.parametrize("event", SAMPLES, ids=name)
def test_the_repr_shows_no_wire(event: Event) -> None:
    assert "w1re" not in repr(event)
    assert "wire" not in repr(event) and "path" not in repr(event)


def test_raw_is_what_the_path_leads_to() -> None:
    trade = Trade(wire=WIRE, path=("data", 0))
    assert trade.raw == {"p": Decimal("1.23"), "q": Decimal("2.22E-4"), "n": 7, "new": "key"}
    assert str(trade.raw["p"]) == "1.2300", "as the exchange wrote it"
    assert type(trade.raw["n"]) is int
    assert str(Trade(wire=WIRE, path=("data", 1, "p")).raw) == "9.99999999999999999999"
    assert Trade(wire=WIRE).raw["s"] == "w1re"
    assert Trade().raw is None


def test_raw_is_made_anew_each_time() -> None:
    trade = Trade(wire=WIRE, path=("data", 0))
    trade.raw["p"] = None
    assert trade.raw["p"] == Decimal("1.23")


def test_equal_events_may_come_over_different_wires() -> None:
    assert Trade(id="1", wire=WIRE) == Trade(id="1", wire=b"{}")
    assert hash(Trade(id="1", wire=WIRE)) == hash(Trade(id="1", wire=b"{}"))
    assert Trade(id="1") != Trade(id="2")
    kinds: List[Data] = [Trade(id="1"), Fill(id="1")]
    assert kinds[0] != kinds[1]


def test_a_message_as_it_came() -> None:
    message = Message(wire='{"a": 0.10, "b": "€"}'.encode())
    assert message.text == '{"a": 0.10, "b": "€"}'
    assert message.data == {"a": Decimal("0.10"), "b": "€"}
    assert str(message.data["a"]) == "0.10"
    assert Message(wire=b"\xff").text == "\ufffd"


def test_a_number_beyond_every_decimal_is_its_text() -> None:
    wire = b'{"size":1e99999999999999999999,"price":-1.5E-99999999999999999999,"id":7}'
    told = {"size": "1e99999999999999999999", "price": "-1.5E-99999999999999999999", "id": 7}
    assert Message(wire=wire).data == Order(wire=wire).raw == told


def test_what_the_latest_is_of() -> None:
    """Each class whose newest event is enough says what attributes tell whose it is; they are there and can be keys."""
    classes, waiting = set(), [Event]
    while waiting:
        event_class = waiting.pop()
        classes.add(event_class)
        waiting += event_class.__subclasses__()
    assert {one for one in classes if one.__module__ == events.__name__ and one.latest_by} == {
        Balance,
        OrderBook,
        Position,
        Ticker,
    }
    for event_class in classes:
        event = event_class()
        assert all(hash(getattr(event, name)) is not None for name in event_class.latest_by), event_class


@pytest.mark.parametrize(
    ("milliseconds", "time"),
    [
        (None, None),
        (0, datetime(1970, 1, 1, tzinfo=timezone.utc)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)),
        (1_767_225_600_123, datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=timezone.utc)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)),
        (253_402_300_800_000, None),
        (10**18, None),
        (10**400, None),
        (-(10**18), None),
    ],
)
def test_times(milliseconds: Any, time: Any) -> None:
    assert Trade(time_ms=milliseconds).time == time


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_are_exact(milliseconds: int) -> None:
    time = Trade(time_ms=milliseconds).time
    assert time is not None
    assert time.utcoffset() == timedelta(0)
    assert (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1) == milliseconds


@given(st.integers())
def test_no_time_raises(milliseconds: int) -> None:
    time = Trade(time_ms=milliseconds).time
    assert (time is not None) == (-62_135_596_800_000 <= milliseconds <= 253_402_300_799_999)


@pytest.mark.parametrize("word", [*State, *OrderStatus])
def test_words_are_their_values(word: Any) -> None:
    assert word == word.value == str(word) == f"{word}"
    assert pickle.loads(pickle.dumps(word)) is word
