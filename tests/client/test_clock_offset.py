"""How far the exchange's clock is ahead, as `status()` and the texts of errors tell it: out of dates and times on the wire."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Dict, Iterator, List, Tuple

import pytest

import xchws
from xchws import clock
from xchws.exchanges.finery import codes
from xchws.sandbox import FinerySandbox, IndodaxSandbox, KyanSandbox, RichamsterSandbox
from xchws.transports.http import hear_date

NOON = datetime(2026, 11, 2, 12, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def fast() -> Iterator[None]:
    """This machine's clock is 100 s ahead of everybody else's."""
    genuine = clock.utc_now
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clock, "utc_now", lambda: genuine() + timedelta(seconds=100))
        yield


# ------------------------------------------------------------------------------------------------------------ arithmetic


def test_each_answer_narrows_it_down() -> None:
    offset = clock.Offset()
    assert offset.seconds is None and offset.words() == ""
    offset.heard(at(10), at(11), asked=at(0), answered=at(0.2))  # from 9.8 to 11
    assert offset.seconds == pytest.approx(10.4)
    offset.heard(at(20), at(21), asked=at(9.9), answered=at(10.0))  # from 10 to 11.1
    assert offset.seconds == pytest.approx(10.5)
    offset.heard(at(30.6), at(30.6), asked=at(20), answered=at(20.1))  # from 10.5 to 10.6
    assert offset.seconds == pytest.approx(10.55)


def test_what_contradicts_the_earlier_ones_replaces_them() -> None:
    offset = clock.Offset()
    offset.heard(at(10), at(11), asked=at(0), answered=at(0))
    offset.heard(at(0), at(1), asked=at(0), answered=at(0))
    assert offset.seconds == pytest.approx(0.5)


def test_a_clock_that_was_set_meanwhile_says_nothing() -> None:
    offset = clock.Offset()
    offset.heard(at(10), at(11), asked=at(100), answered=at(0))
    assert offset.seconds is None


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (0.4, "this machine's clock agrees with the exchange's to about a second"),
        (-0.4, "this machine's clock agrees with the exchange's to about a second"),
        (95.0, "this machine's clock is 95 s behind the exchange's"),
        (-3600.0, "this machine's clock is 3600 s ahead of the exchange's"),
    ],
)
def test_in_words(ahead: float, words: str) -> None:
    offset = clock.Offset()
    offset.heard(at(ahead), at(ahead), asked=at(0), answered=at(0))
    assert offset.words() == words


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Date": ""},
        {"Date": "yesterday"},
        {"Date": "Mon, 32 Nov 2026 12:00:00 GMT"},
        {"Date": "Mon, 02 Nov 2026 12:00:00 -0000"},  # of a zone that is not said
        {"Date": "Mon, 02 Nov 2026 12:00:00 GMT", "Age": "17"},  # out of a cache
        {"Date": "\ud800"},
    ],
)
def test_dates_that_say_nothing(headers: Dict[str, str]) -> None:
    offset = clock.Offset()
    hear_date(offset, headers, clock.utc_now())
    assert offset.seconds is None


def test_whatever_the_header_is_called() -> None:
    offset = clock.Offset()
    hear_date(offset, {"date": "Mon, 02 Nov 2026 12:00:00 GMT", "age": "0"}, clock.utc_now())
    assert offset.seconds is not None


# ------------------------------------------------------------------------------------------------------------ on the wire


def test_out_of_the_handshake(fast: None) -> None:
    with RichamsterSandbox() as exchange, xchws.Richamster(url=exchange.url) as client:
        client.wait_ready(5)
        assert client.status().clock_offset == pytest.approx(-100, abs=3)


def test_out_of_a_rest_call(fast: None) -> None:
    with IndodaxSandbox() as exchange:
        client = xchws.Indodax(exchange.key, exchange.secret, url="ws://127.0.0.1:1/", rest_url=exchange.rest_url)
        down = client.expect(xchws.Disconnected)
        assert client.status().clock_offset is None
        with client:
            down.result(5)
            assert client.status().clock_offset == pytest.approx(-100, abs=3)


def test_an_exchange_that_tells_milliseconds(fast: None) -> None:
    with KyanSandbox() as exchange, xchws.Kyan(exchange.key, url=exchange.url) as client:
        client.wait_ready(5)
        assert client.status().clock_offset == pytest.approx(-100, abs=2)


@pytest.mark.parametrize("milliseconds", ["-1", "99999999999999999999", "1e300", "null"])
def test_a_time_that_there_is_not(milliseconds: str) -> None:
    with KyanSandbox() as exchange:
        exchange.ignore_next("auth")
        client = xchws.Kyan(exchange.key, url=exchange.url)
        with client:
            session = exchange.wait_for_session()
            exchange.wait_until(lambda: bool(exchange.messages))
            session.send_text(
                f'{{"kind":"response","type":"auth","id":"1","timestamp_ms":{milliseconds},"success":true}}'
            )
            client.wait_ready(5)
            assert client.status().threads_alive


@pytest.mark.parametrize("code", [codes.BAD_TIMESTAMP, codes.BAD_NONCE])
def test_a_refused_timestamp_is_explained(fast: None, code: int) -> None:
    told: List[Tuple[str, str]] = []
    with FinerySandbox() as exchange:
        exchange.refuse(400, f'{{"error":{code}}}')
        client = xchws.Finery(
            exchange.key, exchange.secret, url=exchange.url, backoff=xchws.Backoff(initial=0.01, maximum=0.01)
        )
        client.on_error(lambda error: told.append((type(error).__name__, str(error))))
        with pytest.raises(
            xchws.AuthenticationFailed, match="this machine's clock is (99|100|101) s ahead of the exchange's"
        ):
            client.run_forever()
    assert told and all("s ahead of the exchange's" in text for _, text in told)
