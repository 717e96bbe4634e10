"""Binding and its answers, the exchange's own status, books out of step, pings."""

from __future__ import annotations

from typing import Any, Callable, List

import pytest

from tests.exchanges.finery import samples
from tests.exchanges.finery.conversation import CONNECTED, Conversation
from xchws import events
from xchws.errors import ConfigurationError, ExchangeError, OpenFailed, ProtocolError, SubscriptionRejected
from xchws.exchanges import finery
from xchws.exchanges.finery import codes
from xchws.exchanges.finery.feeds import topic_of
from xchws.sansio import frames

BIND = {"event": "bind", "feed": "F", "feedId": "ETH-USD"}
UNBIND = {"event": "unbind", "feed": "F", "feedId": "ETH-USD"}
SNAPSHOT = samples.MESSAGES["firm book"]
BAD = ["F", "ETH-USD", "M", [[["-", 5, 0]], []]]


def bound() -> Conversation:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.hear(SNAPSHOT)
    talk.sent()
    return talk


# -------------------------------------------------------------------------------------------------------------- status


def test_nothing_is_bound_before_the_exchange_is_connected() -> None:
    talk = Conversation(connected=False)
    talk.bind("F", "ETH-USD")
    assert talk.sent() == []
    assert talk.session.state == "CONNECTING"
    talk.hear(CONNECTED)
    assert talk.session.state == "READY"
    assert talk.sent() == [BIND]
    talk.hear(CONNECTED)
    assert talk.sent() == []


@pytest.mark.parametrize("code", [2, [2], "2"])
def test_an_exchange_without_its_back_end_is_waited_for(code: Any) -> None:
    talk = Conversation(connected=False)
    talk.bind("O")
    talk.hear(["X", 0, "Z", code])
    assert talk.session.state == "SUSPENDED"
    assert "not connected" in talk.of(events.Suspended)[0].reason
    talk.wait(500)
    assert (talk.dials, talk.sent()) == (1, [])
    talk.hear(CONNECTED)
    assert talk.session.state == "READY"
    assert talk.sent() == [{"event": "bind", "feed": "O"}]


def test_an_exchange_that_does_not_say_how_it_stands() -> None:
    talk = Conversation(connected=False)
    talk.wait(10)
    assert isinstance(talk.of(events.Disconnected)[0].error, OpenFailed)
    assert "not ready within 10 s" in str(talk.errors()[0])


def test_an_exchange_that_loses_its_back_end() -> None:
    talk = bound()
    talk.hear(["X", 0, "Z", 2])
    assert (talk.session.state, talk.state("F", "ETH-USD")) == ("SUSPENDED", "pending")
    talk.hear(CONNECTED)
    assert (talk.session.state, talk.sent()) == ("READY", [BIND])
    told = talk.hear(SNAPSHOT)
    assert [type(one) for one in told] == [events.Gap, events.OrderBook]
    assert talk.of(events.Gap)[0].recovered


def test_unbound_while_it_is_gone() -> None:
    talk = bound()
    talk.hear(["X", 0, "Z", 2])
    talk.unbind("F", "ETH-USD")
    talk.hear(CONNECTED)
    assert talk.sent() == []


def test_feeds_that_stayed_bound_are_renewed_for_a_snapshot() -> None:
    talk = bound()
    talk.hear(["X", 0, "Z", 2], CONNECTED, ["F", "ETH-USD", "Z", 100])
    assert talk.state("F", "ETH-USD") == "pending"
    assert talk.sent() == [BIND, UNBIND, BIND]
    assert not talk.hear(["F", "ETH-USD", "M", [[], []]])
    assert not talk.hear(["F", "ETH-USD", "U", 0])
    assert [type(one) for one in talk.hear(SNAPSHOT)] == [events.Gap, events.OrderBook]
    assert talk.state("F", "ETH-USD") == "active" and talk.of(events.Gap)[-1].recovered
    assert not talk.errors()


def test_a_feed_that_stayed_bound_and_tells_its_snapshot_by_itself() -> None:
    talk = bound()
    told = talk.hear(["X", 0, "Z", 2], CONNECTED, SNAPSHOT, ["F", "ETH-USD", "Z", 100])
    assert [type(one) for one in told[-2:]] == [events.Gap, events.OrderBook]
    assert talk.sent() == [BIND] and talk.state("F", "ETH-USD") == "active"
    assert not talk.errors()


LOST = ["X", 0, "Z", 2]
NO_ORDERS = ["O", 0, "S", []]
DEAL = samples.MESSAGES["deal"]


def test_what_a_renewed_feed_tells_before_its_snapshot_is_told_after_the_gap() -> None:
    """An execution is told once only; so it is kept until the gap has been told."""
    talk = Conversation()
    talk.bind("O")
    talk.hear(NO_ORDERS, LOST, CONNECTED, ["O", 0, "Z", 100])
    talk.now += 5
    assert talk.hear(DEAL, ["O", 0, "U", 0]) == []
    told = talk.hear(["O", 0, "S", [samples.ORDER]])
    assert [type(one) for one in told] == [events.Gap, finery.Order, finery.Fill, finery.Order]
    (gap,) = talk.of(events.Gap)
    assert not gap.recovered and (gap.until - gap.since).total_seconds() == 5


def test_a_snapshot_that_tells_all_comes_next_after_its_gap() -> None:
    """Not what a kept feed told before it, which it tells again."""
    limits, update = samples.MESSAGES["limits"], samples.MESSAGES["limit"]
    talk = Conversation()
    talk.bind("L")
    talk.hear(limits, LOST)
    talk.hear_at_once(CONNECTED, limits)
    assert talk.hear(["L", 0, "Z", 100], update, ["L", 0, "U", 0]) == []
    gap, *told = talk.hear(limits)
    assert isinstance(gap, events.Gap) and gap.recovered
    assert told and all(isinstance(one, finery.CounterpartyLimit) and one.action == "S" for one in told)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("feed", ["O", "F"])
def test_what_a_kept_feed_tells_with_the_return_of_the_back_end_comes_after_the_gap(feed: str, together: bool) -> None:
    """Its own snapshot may come before it is bound anew, in the same read even, or in place of the answer to that."""
    talk = Conversation()
    if feed == "O":
        talk.bind("O")
        talk.hear(NO_ORDERS, LOST)
        said: List[Any] = [CONNECTED, NO_ORDERS, DEAL, ["O", 0, "Z", 100], ["O", 0, "U", 0], NO_ORDERS, DEAL]
        kinds: List[Any] = [events.Gap, finery.Order, finery.Fill]
    else:
        talk.bind("F", "ETH-USD")
        talk.hear(SNAPSHOT, LOST)
        update = ["F", "ETH-USD", "M", [[], []]]
        said = [CONNECTED, SNAPSHOT, update, ["F", "ETH-USD", "Z", 100], ["F", "ETH-USD", "U", 0], SNAPSHOT, update]
        kinds = [events.Gap, events.OrderBook]
    talk.events.clear()
    if together:
        talk.hear_at_once(*said[:3])
        talk.hear_at_once(*said[3:])
    else:
        talk.hear(*said[:4])
    told = [type(one) for one in talk.events if isinstance(one, (events.Gap, events.Data, events.Failure))]
    assert told[: len(kinds)] == kinds and told.count(events.Gap) == 1
    assert len(talk.of(finery.Fill)) == (feed == "O"), "once"


def test_what_was_told_before_a_feed_is_live_is_told_at_the_latest_when_it_will_not_be() -> None:
    ends: List[Callable[[Conversation], Any]] = [
        lambda talk: talk.lose(),
        lambda talk: talk.hear(["O", 0, "Z", 3]),
        lambda talk: talk.wait(11),
    ]
    for end in ends:
        talk = Conversation()
        talk.bind("O")
        assert talk.hear(DEAL) == []
        end(talk)
        assert len(talk.of(finery.Fill)) == 1


def test_a_feed_that_was_given_up_while_the_back_end_was_away_is_unbound_where_it_is_bound_still() -> None:
    talk = bound()
    talk.hear(LOST)
    talk.unbind("F", "ETH-USD")
    assert talk.hear(CONNECTED, SNAPSHOT, SNAPSHOT)[2:] == []
    talk.wait(0)
    assert talk.sent() == [UNBIND]
    assert talk.hear(["F", "ETH-USD", "U", 0]) == []
    talk.bind("F", "ETH-USD")
    assert talk.sent() == [BIND] and [type(one) for one in talk.hear(SNAPSHOT)] == [events.OrderBook]


def test_bound_already_twice() -> None:
    talk = Conversation()
    talk.bind("O")
    talk.hear(["O", 0, "Z", 100], ["O", 0, "Z", 101], ["O", 0, "Z", 100])
    assert talk.state("O") == "active"
    assert not talk.errors()
    talk.bind("F", "ETH-USD")
    talk.hear(["F", "ETH-USD", "Z", 100], ["F", "ETH-USD", "Z", 101], ["F", "ETH-USD", "Z", 100])
    # Without a snapshot a book is nothing: a new connection gets one.
    assert talk.session.state == "WAITING"


# ---------------------------------------------------------------------------------------------------------------- bind


@pytest.mark.parametrize(
    ("feed_id", "echo"),
    [
        ("ETH-USD", b'"ETH-USD"'),
        ("ETH-USD", b'"ETH\\u002dUSD"'),
        (880011, b"880011"),
        ({"instrument": "ETH-USD", "clientId": 7}, b'{ "clientId": 7, "instrument": "ETH-USD" }'),
        ({"instrument": "ETH-USD", "clientId": 7}, b'{"instrument":"ETH-USD","clientId":7}'),
    ],
)
def test_the_echo_tells_whose_message_it_is(feed_id: Any, echo: bytes) -> None:
    talk = Conversation()
    talk.bind("F", feed_id)
    assert talk.sent() == [{"event": "bind", "feed": "F", "feedId": feed_id}]
    told = talk.hear(b'["F",' + echo + b',"S",[[[3,1]],[]]]')
    assert isinstance(told[-1], events.OrderBook)
    assert told[-1].symbol == ("880011" if feed_id == 880011 else "ETH-USD")
    assert talk.state("F", feed_id) == "active"


@pytest.mark.parametrize("echo", [0, None])
def test_the_echo_of_none(echo: Any) -> None:
    talk = Conversation()
    talk.bind("K")
    talk.hear(["K", echo, "S", []])
    assert talk.state("K") == "active"


def test_two_of_a_feed() -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.bind("F", 42)
    talk.bind("B", "ETH-USD")
    talk.hear(["F", 42, "S", samples.BOOK])
    states = [talk.state(feed, feed_id) for feed, feed_id in (("F", "ETH-USD"), ("F", 42), ("B", "ETH-USD"))]
    assert states == [None, "active", None]


@pytest.mark.parametrize("code", sorted({*codes._ERRORS, 9999} - {0, 100} - codes.PASSING))
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_refused_bind(code: int, wrapped: bool) -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.hear(["F", "ETH-USD", "Z", [code] if wrapped else code])
    error = talk.errors()[-1]
    assert isinstance(error, SubscriptionRejected)
    assert error.code == code
    assert codes.words(code) in str(error)
    assert (talk.state("F", "ETH-USD"), talk.session.state) == ("refused", "READY")


@pytest.mark.parametrize("code", sorted(codes.PASSING))
def test_a_trouble_that_passes(code: int) -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.sent()
    talk.hear(["F", "ETH-USD", "Z", code])
    assert talk.sent() == []
    talk.wait(2)
    assert talk.sent() == [BIND]
    talk.hear(["F", "ETH-USD", "Z", code])
    talk.wait(2)
    assert talk.sent() == []
    talk.wait(5)
    assert talk.sent() == [BIND]
    talk.hear(SNAPSHOT)
    assert talk.state("F", "ETH-USD") == "active"
    assert [error.code for error in talk.errors() if isinstance(error, ExchangeError)] == [code, code]


def test_a_bind_without_an_answer() -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.wait(11)
    assert talk.session.state in ("WAITING", "CONNECTING")
    talk.open()
    talk.hear(CONNECTED)
    talk.wait(11)
    assert talk.state("F", "ETH-USD") == "refused"


def test_a_snapshot_that_cannot_be_read_is_not_one() -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.hear(["F", "ETH-USD", "S", [[["x"]], []]])
    assert talk.state("F", "ETH-USD") is None
    talk.hear(SNAPSHOT)
    assert talk.state("F", "ETH-USD") == "active"


@pytest.mark.parametrize(
    ("feed", "feed_id"),
    [
        ("T", None),
        ("", None),
        (5, None),
        ("F", None),
        ("F", ""),
        ("F", 0),
        ("F", True),
        ("F", 1.5),
        ("F", {}),
        ("K", {1j: 2}),
    ],
)
def test_no_feed_of_that_kind(feed: Any, feed_id: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        topic_of(feed, feed_id)
    assert caught.value.argument in ("feed", "feed_id")


# -------------------------------------------------------------------------------------------------------------- unbind


def test_unbind() -> None:
    talk = bound()
    talk.unbind("F", "ETH-USD")
    assert talk.sent() == [UNBIND]
    assert talk.hear(SNAPSHOT, ["F", "ETH-USD", "M", [[], []]]) == []
    assert talk.hear(["F", "ETH-USD", "U", 0]) == []
    talk.wait(60)
    assert talk.session.state == "READY"


def test_unbound_already() -> None:
    talk = bound()
    talk.unbind("F", "ETH-USD")
    assert talk.hear(["F", "ETH-USD", "Z", 101]) == []
    assert len(talk.hear(["F", "ETH-USD", "U", 0])) == 1


def test_an_unbind_that_fails_is_told_and_the_feed_is_passed_over() -> None:
    talk = bound()
    talk.unbind("F", "ETH-USD")
    talk.hear(["F", "ETH-USD", "Z", [10]])
    assert "could not be unbound" in str(talk.errors()[-1])
    assert talk.hear(SNAPSHOT) == []
    assert talk.hear(["F", "ETH-USD", "U", 0]) == []


def test_an_unbind_without_an_answer() -> None:
    talk = bound()
    talk.unbind("F", "ETH-USD")
    talk.wait(30)
    assert talk.session.state == "READY"
    assert talk.hear(SNAPSHOT) == []
    talk.bind("F", "ETH-USD")
    talk.hear(["F", "ETH-USD", "Z", 100], ["F", "ETH-USD", "U", 0], SNAPSHOT)
    assert talk.state("F", "ETH-USD") == "active"


def test_unbound_and_bound_again_at_once() -> None:
    talk = bound()
    talk.unbind("F", "ETH-USD")
    talk.bind("F", "ETH-USD")
    assert talk.sent() == [UNBIND, BIND]
    assert talk.hear(SNAPSHOT, ["F", "ETH-USD", "U", 0]) == []
    assert [type(one) for one in talk.hear(SNAPSHOT)] == [events.OrderBook]
    assert talk.state("F", "ETH-USD") == "active"


@pytest.mark.parametrize("answer", ["S", "Z", 100])
def test_unbound_before_the_answer_to_bind(answer: Any) -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.unbind("F", "ETH-USD")
    talk.unbind("F", "ETH-USD")
    assert talk.sent() == [BIND, UNBIND]
    told = talk.hear(SNAPSHOT if answer == "S" else ["F", "ETH-USD", "Z", 34 if answer == "Z" else answer])
    assert told == []
    talk.hear(["F", "ETH-USD", "Z", 101])
    assert talk.session.state == "READY"
    talk.wait(30)
    assert talk.session.state == "READY"


def test_a_refusal_with_a_later_bind_on_its_way() -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.unbind("F", "ETH-USD")
    talk.bind("F", "ETH-USD")
    talk.hear(["F", "ETH-USD", "Z", 10], ["F", "ETH-USD", "Z", 101], SNAPSHOT)
    assert talk.state("F", "ETH-USD") == "active"
    assert len(talk.errors()) == 1


def test_an_answer_to_unbind_without_the_id() -> None:
    talk = Conversation()
    talk.bind("K", "BTC")
    talk.bind("K", "USD")
    talk.hear(["K", "BTC", "S", []], ["K", "USD", "S", []])
    talk.unbind("K", "BTC")
    assert talk.hear(["K", 0, "U", 0]) == []
    assert len(talk.hear(["K", 0, "U", 0])) == 1


def test_a_feed_that_the_exchange_ends() -> None:
    talk = bound()
    talk.hear(["F", "ETH-USD", "U", 0])
    assert (talk.sent(), talk.state("F", "ETH-USD")) == ([BIND], "pending")
    assert [type(one) for one in talk.hear(SNAPSHOT)] == [events.Gap, events.OrderBook]
    talk.hear(["F", "ETH-USD", "U", 0])
    assert talk.sent() == []
    assert talk.hear(["F", "ETH-USD", "U", 0]) == []
    talk.wait(2)
    assert talk.sent() == [BIND]


def test_a_feed_that_fails() -> None:
    talk = bound()
    talk.hear(["F", "ETH-USD", "Z", 104])
    assert "has failed: 104" in str(talk.errors()[-1])
    assert (talk.sent(), talk.state("F", "ETH-USD")) == ([BIND], "pending")
    talk.hear(["F", "ETH-USD", "Z", 100], ["F", "ETH-USD", "U", 0], SNAPSHOT)
    assert talk.state("F", "ETH-USD") == "active"
    talk.hear(["F", "ETH-USD", "Z", 100])
    assert talk.state("F", "ETH-USD") == "active"


# --------------------------------------------------------------------------------------------------------------- books


def books(talk: Conversation) -> List[events.OrderBook]:
    return talk.of(events.OrderBook)


def test_the_examples_of_the_page() -> None:
    talk = bound()
    talk.hear(samples.MESSAGES["update"])
    assert [[int(price * 10**8) for price, _ in side] for side in (books(talk)[-1].bids, books(talk)[-1].asks)] == [
        [312000000000, 311950000000, 311900000000],
        [],
    ]
    talk.hear(samples.MESSAGES["cut"])
    assert [int(price * 10**8) for price, _ in books(talk)[-1].bids] == [311900000000]
    talk.hear(["F", "ETH-USD", "M", [[["~", 0, 0]], []]])
    assert books(talk)[-1].bids == ()
    assert books(talk)[1].bids != ()
    assert not talk.errors()


def test_a_level_with_something_new_in_it() -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    talk.hear(["F", "ETH-USD", "S", [[[5, 1, "new"]], []]], ["F", "ETH-USD", "M", [[["M", 5, 2, "new"]], []]])
    assert [str(book.bids[0][1]) for book in books(talk)] == ["1E-8", "2E-8"]


def test_both_modes_of_the_global_book() -> None:
    talk = Conversation()
    talk.bind("B", "ETH-USD")
    talk.hear(samples.MESSAGES["global book"], samples.MESSAGES["global book"], samples.MESSAGES["global book update"])
    assert len(books(talk)) == 3
    assert books(talk)[0] == books(talk)[1] != books(talk)[2]


def test_a_book_out_of_step_takes_a_new_snapshot() -> None:
    talk = bound()
    talk.hear(BAD)
    assert isinstance(talk.errors()[-1], ProtocolError)
    assert "out of step" in str(talk.errors()[-1])
    assert (talk.sent(), talk.state("F", "ETH-USD")) == ([UNBIND, BIND], "pending")
    assert talk.hear(BAD, ["F", "ETH-USD", "U", 0]) == []
    gap, book = talk.hear(SNAPSHOT)
    assert isinstance(gap, events.Gap)
    assert (gap.channels, gap.recovered) == (("F ETH-USD",), True)
    assert isinstance(book, events.OrderBook)


def test_a_book_that_is_often_out_of_step_waits_longer() -> None:
    talk = bound()
    talk.hear(BAD, ["F", "ETH-USD", "U", 0], SNAPSHOT)
    talk.sent()
    talk.hear(BAD)
    assert talk.sent() == [UNBIND]
    assert [type(one) for one in talk.hear(["F", "ETH-USD", "U", 0], BAD)] == [events.Other]
    talk.wait(2)
    assert talk.sent() == [BIND]
    talk.hear(SNAPSHOT)
    talk.wait(100)
    talk.sent()
    talk.hear(BAD)
    assert talk.sent() == [UNBIND, BIND]


def test_an_update_that_cannot_be_read_is_out_of_step() -> None:
    talk = bound()
    talk.hear(["F", "ETH-USD", "M", [[["-"]], []]])
    assert talk.sent() == [UNBIND, BIND]


def test_an_update_before_a_snapshot() -> None:
    talk = Conversation()
    talk.bind("F", "ETH-USD")
    assert [type(one) for one in talk.hear(["F", "ETH-USD", "M", [[], []]])] == [events.Other]


def test_a_resync_that_is_not_answered() -> None:
    talk = bound()
    talk.hear(BAD)
    talk.wait(11)
    assert talk.session.state in ("WAITING", "CONNECTING")


def test_after_a_reconnect() -> None:
    talk = bound()
    talk.reconnect()
    assert talk.sent() == [BIND]
    gap, book = talk.hear(SNAPSHOT)
    assert isinstance(gap, events.Gap)
    assert gap.recovered


# --------------------------------------------------------------------------------------------------------------- pings


@pytest.mark.parametrize("json_ping", [False, True])
def test_something_is_sent_every_25_seconds_whatever_comes(json_ping: bool) -> None:
    talk = bound() if not json_ping else Conversation(json_ping=True)
    for _ in range(30):
        talk.wait(5)
        talk.hear(["news"])
    pings = [write for write in talk.writes if write.opcode == frames.PING]
    assert len(pings) == 6
    assert talk.sent() == ([{"event": "ping"}] * 6 if json_ping else [])
    if json_ping:
        assert talk.hear({"event": "ping"}) == []
    assert talk.hear({"event": "pong"}) == []


def test_pings_begin_before_the_exchange_is_connected() -> None:
    talk = Conversation(connected=False)
    talk.hear(["X", 0, "Z", 2])
    talk.wait(30)
    assert [write.opcode for write in talk.writes] == [frames.PING]


def test_the_feeds_that_recover() -> None:
    talk = Conversation()
    for feed in "IGLKOPSNR":
        talk.bind(feed)
        talk.hear([feed, 0, "S", [0, [], [], []] if feed in "PN" else [[], []] if feed in "IR" else []])
    talk.reconnect()
    for feed in "IGLKOPSNR":
        talk.hear([feed, 0, "S", [0, [], [], []] if feed in "PN" else [[], []] if feed in "IR" else []])
    recovered = {gap.channels[0]: gap.recovered for gap in talk.of(events.Gap)}
    assert recovered == {feed: feed not in "OPSN" for feed in "IGLKOPSNR"}
    assert not talk.of(finery.Order)
