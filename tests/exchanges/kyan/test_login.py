"""Logging in, every error of the vendor's page, recovering a session, renewing it."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Tuple, Type

import pytest

from tests.exchanges.kyan import samples
from tests.exchanges.kyan.conversation import KEY, ME, Conversation, event
from xchws.errors import (
    AuthenticationFailed,
    ConnectionLost,
    OpenFailed,
    RateLimited,
    RequestRejected,
    Silent,
    SubscriptionRejected,
    XchwsError,
)
from xchws.events import Connected, Disconnected, Failure, Gap, Message, State, Stopped
from xchws.exchanges.kyan.models import Fill, IndexPrice
from xchws.exchanges.kyan.protocol import GetInstruments, Logout
from xchws.exchanges.kyan.session import Numbering
from xchws.sansio.actions import Resolved

TOKEN = "7f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5d"
TOKEN2 = "8f0d0b52-1a55-4c9b-8a0e-6d1a2f3b4c5e"


def price(number: int, **fields: Any) -> Dict[str, Any]:
    return event(
        "index_price", {"value": number, "timestamp": 1774000123440 + number}, query={"pair": "ETH_USDC"}, **fields
    )


def as_printed(sample: bytes) -> bytes:
    return sample.replace(b"optional-request-id", b"1")


def test_auth_is_the_first_message_and_nothing_else_goes_out_before_its_answer() -> None:
    talk = Conversation()
    talk.subscribe("index_price", pair="ETH_USDC")
    talk.open()
    assert talk.sent() == [{"type": "auth", "id": "1", "api_key": KEY}]
    talk.say(as_printed(samples.AUTH_OK))
    assert talk.session.state is State.READY
    assert [one["type"] for one in talk.sent()] == ["enable_session_recovery", "subscribe"]


@pytest.mark.parametrize("sample", [samples.AUTH_INVALID, samples.AUTH_NOT_FOUND])
def test_a_refused_key_ends_the_client_at_once(sample: bytes) -> None:
    talk = Conversation()
    talk.open()
    talk.say(as_printed(sample))
    assert talk.session.state is State.STOPPED
    assert isinstance(talk.error, AuthenticationFailed)
    assert KEY not in str(talk.error)


@pytest.mark.parametrize("shape", ["auth", "error"])
@pytest.mark.parametrize(
    "error, kind, fatal, wait",
    [
        ("NOT_FOUND", AuthenticationFailed, True, None),
        ("FORBIDDEN", AuthenticationFailed, True, None),
        ("KEY_USAGE_EXCEEDED", RateLimited, False, 60.0),
        ("RATELIMITED", RateLimited, False, 5.0),
        ("Failed to validate api key", OpenFailed, False, 1.0),
        ("Not Authorized", OpenFailed, False, 1.0),
        ("something new", OpenFailed, False, 1.0),
    ],
)
def test_every_refusal_of_a_login(
    shape: str, error: str, kind: Type[XchwsError], fatal: bool, wait: Optional[float]
) -> None:
    talk = Conversation()
    talk.open()
    talk.answer({**talk.sent()[0], "type": shape}, error)
    (failure,) = talk.told(Failure)
    assert type(failure.error) is kind and error in str(failure.error)
    assert (talk.session.state is State.STOPPED) is fatal
    assert talk.told(Disconnected)[0].retry_in == wait


def test_a_failure_to_validate_the_key_is_believed_after_five_in_a_row() -> None:
    talk = Conversation()
    for _ in range(4):
        talk.open()
        talk.say(as_printed(samples.AUTH_FAILED))
        talk.redial()
    talk.open()
    talk.say(as_printed(samples.AUTH_FAILED))
    assert isinstance(talk.error, AuthenticationFailed)


def test_already_authorized_is_authorized() -> None:
    talk = Conversation()
    talk.open()
    talk.answer(talk.sent()[0], "Session already authorized")
    assert talk.session.state is State.READY


def test_a_login_without_an_answer_is_tried_again() -> None:
    talk = Conversation()
    talk.open()
    talk.pass_time(12)
    assert len(talk.dials) == 2 and not talk.told(Connected)


@pytest.mark.parametrize("missing", ["id", "kind", "success", "timestamp_ms"])
def test_a_login_whose_answer_lacks_something_is_one(missing: str) -> None:
    talk = Conversation()
    talk.open()
    reply = {"kind": "response", "type": "auth", "id": 1, "timestamp_ms": 1, "success": True}
    del reply[missing]
    if missing == "kind":
        del reply["timestamp_ms"]
    talk.say(reply)
    assert talk.session.state is State.READY


def test_an_error_without_an_id_finds_its_command() -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    talk.subscribe("index_price", pair="ETH_USDC")
    funding = talk.subscribe("funding", instrument_name=samples.PERP)
    talk.say({"kind": "response", "type": "error", "success": False, "error": "Invalid query for funding channel"})
    assert [(one.topic, one.state) for one in talk.settled] == [(funding, "refused")]
    talk.say({"kind": "response", "type": "error", "success": False, "error": "Invalid subscription parameters"})
    assert [one.state for one in talk.settled] == ["refused", "refused"]
    talk.request(GetInstruments(("ETH",)))
    talk.subscribe("index_price", pair="ETH_USDC")
    talk.say({"kind": "response", "type": "error", "success": False, "error": "something"})  # of which of the two?
    assert "something" in str(talk.told(Failure)[-1].error) and not talk.resolved
    talk.say({"kind": "response", "type": "error", "success": False, "error": "invalid get_instruments payload []"})
    assert isinstance(talk.resolved[0].error, RequestRejected)


def test_an_unanswered_unsubscribe_and_an_unwanted_subscribe_harm_nothing() -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    topic = talk.subscribe("index_price", pair="ETH_USDC")
    talk.unsubscribe(topic)
    talk.pass_time(11)
    assert talk.session.state is State.READY and len(talk.told(Failure)) == 1


def test_a_subscription_that_is_never_answered_is_taken_back() -> None:
    talk = Conversation(recovery=False)
    for _ in range(2):
        talk.authorize()
        talk.subscribe("index_price", pair="ETH_USDC")
        assert [said["type"] for said in talk.sent()] == ["subscribe"]
        link = talk.dials[-1]
        talk.pass_time(11)
    assert [said["type"] for said in talk.sent(link)] == ["unsubscribe"], "it may be served all the same"
    assert talk.session.state is State.READY and not talk.session.wanted


def test_a_subscription_whose_events_come_needs_no_answer() -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    talk.subscribe("index_price", pair="ETH_USDC")
    talk.say(price(1, message_id="m1"))
    assert [one.state for one in talk.settled] == ["active"]
    talk.pass_time(11)
    assert talk.session.state is State.READY and not talk.told(Failure) and len(talk.dials) == 1


def test_the_count_of_what_was_restored_may_be_anything() -> None:
    for count in ("x", [1], True, 1):
        talk = lost_session()
        talk.open()
        talk.answer(talk.sent()[0], recovery_token=TOKEN2, subscriptions_restored=count)
        assert talk.session.state is State.READY


@pytest.mark.parametrize(
    "error",
    ["Invalid subscription parameters", "Invalid query for index_price channel", "invalid subscribe payload [{}]", ""],
)
def test_a_refused_subscription_harms_nothing_else(error: str) -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    good = talk.subscribe("index_price", pair="BTC_USDC")
    bad = talk.subscribe("index_price", pair="ETH_USDC")
    first, second = talk.sent()
    talk.answer(first)
    talk.answer({**second, "type": "error"}, error)
    states = {one.topic: one for one in talk.settled}
    assert states[good].state == "active"
    assert states[bad].state == "refused" and isinstance(states[bad].error, SubscriptionRejected)
    assert talk.session.state is State.READY


def test_a_rate_limited_subscription_is_tried_again() -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    topic = talk.subscribe("index_price", pair="ETH_USDC")
    for wait in (1.0, 2.0, 4.0):
        (command,) = talk.sent()
        talk.answer(command, "RATELIMITED")
        talk.pass_time(wait - 0.01)
        assert talk.sent() == []
        talk.pass_time(0.01)
    talk.accept()
    assert [(one.topic, one.state) for one in talk.settled] == [(topic, "active")]
    assert all(isinstance(failure.error, RateLimited) for failure in talk.told(Failure))
    late = talk.subscribe("index_price", pair="BTC_USDC")
    talk.answer(talk.sent()[0], "KEY_USAGE_EXCEEDED")
    talk.unsubscribe(late)
    talk.pass_time(100)
    assert talk.sent() == []


def test_many_subscriptions_do_not_go_out_all_at_once() -> None:
    talk = Conversation(recovery=False)
    for number in range(50):
        talk.subscribe("index_price", pair=f"T{number}_USDC")
    talk.authorize()
    counts = [len(talk.accept())]
    for _ in range(3):
        talk.pass_time(1.0)
        counts.append(len(talk.accept()))
    assert counts == [20, 20, 10, 0]


def test_not_authorized_makes_a_new_connection_and_then_refuses_the_topic() -> None:
    talk = Conversation()
    talk.authorize(TOKEN)
    topic = talk.subscribe("account_state", account=ME)
    talk.answer(talk.sent()[-1], "Not Authorized")
    assert isinstance(talk.told(Disconnected)[-1].error, ConnectionLost)
    talk.pass_time(2)
    talk.authorize()  # asserts auth, not a recovery
    talk.answer(talk.sent()[-1], "Not Authorized")
    assert [(one.topic, one.state) for one in talk.settled] == [(topic, "refused")]
    assert len(talk.hangups) == 1
    talk.say({"kind": "response", "type": "error", "id": "99", "success": False, "error": "Not Authorized"})
    assert talk.session.state is State.WAITING


def test_a_subscription_without_an_answer_costs_the_connection_and_then_itself() -> None:
    talk = Conversation(recovery=False)
    talk.subscribe("index_price", pair="ETH_USDC")
    for _ in range(2):
        talk.authorize()
        talk.pass_time(10)
        talk.pass_time(2)
    assert talk.settled[-1].state == "refused"


def test_unsubscribing_is_answered() -> None:
    talk = Conversation(recovery=False)
    topic = talk.live("index_price", pair="ETH_USDC")
    talk.unsubscribe(topic)
    (command,) = talk.sent()
    assert command["type"] == "unsubscribe" and command["subscriptions"] == [
        {"channel": "index_price", "query": {"pair": "ETH_USDC"}}
    ]
    assert talk.answer(command) == []
    talk.subscribe("index_price", pair="ETH_USDC")
    talk.unsubscribe(topic)
    subscribe, unsubscribe = talk.sent()
    assert talk.answer(subscribe) == []
    (failure,) = talk.answer(unsubscribe, "oops")
    assert isinstance(failure, Failure) and "oops" in str(failure.error)
    talk.subscribe("index_price", pair="ETH_USDC")
    talk.unsubscribe(topic)
    talk.pass_time(11)
    assert "unsubscribe" in str(talk.told(Failure)[-1].error) and talk.session.state is State.READY


@pytest.mark.parametrize(("error", "wait"), [("RATELIMITED", 5.0), ("KEY_USAGE_EXCEEDED", 60.0)])
def test_unsubscribing_that_meets_the_rate_limit_is_tried_again(error: str, wait: float) -> None:
    """Or the exchange would go on telling what nobody wants; and a book that is to begin anew would not."""
    talk = Conversation(recovery=False)
    topic = talk.live("index_price", pair="ETH_USDC")
    talk.unsubscribe(topic)
    talk.answer(talk.sent()[0], error)
    assert isinstance(talk.told(Failure)[-1].error, RateLimited)
    talk.pass_time(wait - 0.1)
    assert talk.sent() == []
    talk.pass_time(0.2)
    assert [one["type"] for one in talk.accept()] == ["unsubscribe"]
    talk.pass_time(100)
    assert talk.sent() == []
    talk.subscribe("orderbook_perps", pair="ETH_USDC")
    talk.accept()
    for number in (1, 3):  # something is missing
        talk.say(price(number, seq_id=number))
    unsubscribe, subscribe = talk.sent()
    talk.answer(unsubscribe, error)
    talk.answer(subscribe)
    talk.pass_time(wait + 0.1)
    assert [one["type"] for one in talk.accept()] == ["unsubscribe", "subscribe"]


def test_requests() -> None:
    talk = Conversation(recovery=False)
    talk.authorize()
    for fields in (
        {"data": ["A", "B"]},
        {"data": {"instruments": ["A", {"instrument_name": "B"}]}},
        {"instruments": ["A", "B"]},
    ):
        talk.request(GetInstruments(("ETH",)))
        (command,) = talk.sent()
        assert command == {"type": "get_instruments", "id": command["id"], "markets": ["ETH"]}
        talk.answer(command, **fields)
        assert talk.resolved[-1].value == ("A", "B")
    for odd in ({}, {"data": [1]}, {"data": "x"}):
        talk.request(GetInstruments(("ETH",)))
        talk.answer(talk.sent()[0], **odd)
        assert talk.resolved[-1].error is not None
    for error, kind in (("RATELIMITED", RateLimited), ("invalid get_instruments payload []", RequestRejected)):
        talk.request(GetInstruments(("ETH",)))
        talk.answer(talk.sent()[0], error)
        assert type(talk.resolved[-1].error) is kind
    talk.request(GetInstruments(("ETH",)))
    talk.pass_time(61)
    assert "no answer" in str(talk.resolved[-1].error) and not talk.hangups
    talk.sent()
    talk.request(GetInstruments(("ETH",)))
    talk.answer(talk.sent()[0], "Not Authorized")
    assert isinstance(talk.resolved[-1].error, RequestRejected)
    assert len(talk.hangups) == 1


def logging_out() -> Tuple[Conversation, Dict[str, Any]]:
    talk = Conversation(recovery=False)
    talk.authorize()
    talk.request(Logout())
    (command,) = talk.sent()
    return talk, command


def test_logout() -> None:
    talk, command = logging_out()
    talk.say(samples.LOGOUT_OK.replace(b"optional-request-id", command["id"].encode()))
    assert talk.resolved == [Resolved(1)] and len(talk.hangups) == 1
    assert talk.told(Stopped) == [Stopped(exchange="kyan")]


def test_a_logout_that_is_refused() -> None:
    talk, command = logging_out()
    talk.answer(command, "RATELIMITED")
    assert isinstance(talk.resolved[-1].error, RateLimited)
    assert not talk.hangups and not talk.told(Stopped)


def test_a_logout_without_an_answer() -> None:
    """Whether there is still a session nobody knows; one that has ended would tell nothing."""
    talk, _ = logging_out()
    talk.pass_time(61)
    assert isinstance(talk.resolved[-1].error, Silent) and len(talk.hangups) == 1
    assert talk.told(Disconnected) and not talk.told(Stopped)


# ------------------------------------------------------------------------------------------------------------ recovery


def lost_session(**fields: float) -> Conversation:
    talk = Conversation()
    talk.authorize(TOKEN)
    talk.subscribe("index_price", pair="ETH_USDC")
    talk.accept()
    talk.say(price(1, message_id="m1", seq_id=4))
    talk.events.clear()
    talk.settled.clear()
    talk.lose()
    talk.pass_time(1.0)
    return talk


@pytest.mark.parametrize("replay_first", [True, False])
def test_a_lost_session_is_recovered(replay_first: bool) -> None:
    talk = lost_session()
    talk.open()
    (command,) = talk.sent()
    assert command == {"type": "recover_session", "id": "1", "recovery_token": TOKEN, "api_key": KEY}
    replay = [
        price(1, message_id="m1", seq_id=4),
        price(2, message_id="m2", seq_id=5),
        price(3, message_id="m3", seq_id=6),
    ]
    if replay_first:
        assert talk.say(*replay) == []
    talk.answer(command, recovery_token=TOKEN2, message_id="m9", seq_id=1)
    if not replay_first:
        talk.say(*replay)
    told = [one for one in talk.events if isinstance(one, (Connected, Gap, IndexPrice))]
    assert [type(one) for one in told] == [Connected, Gap, IndexPrice, IndexPrice]
    (gap,) = talk.told(Gap)
    assert gap.recovered is replay_first, "by then it is known that the replay begins with what has been told"
    assert [one.state for one in talk.settled] == ["pending", "active"]
    assert talk.sent() == []
    talk.say(price(4, message_id="m4", seq_id=2))
    assert len(talk.told(Gap)) == 1
    talk.lose()
    talk.pass_time(2.0)
    talk.open()
    assert talk.sent()[0]["recovery_token"] == TOKEN2


def test_a_session_that_the_exchange_ended_itself_is_recovered_without_a_doubt() -> None:
    talk = Conversation()
    talk.authorize(TOKEN)
    talk.subscribe("index_price", pair="ETH_USDC")
    talk.accept()
    for link_ends, recovered in ((talk.dismiss, True), (talk.lose, False), (talk.dismiss, True)):
        talk.events.clear()
        link_ends()
        talk.redial()
        talk.open()
        talk.answer(talk.sent()[0], recovery_token=TOKEN2)
        assert [gap.recovered for gap in talk.told(Gap)] == [recovered]


@pytest.mark.parametrize("how", ["refused", "silent", "lost", "partial", "closed"])
def test_a_recovery_that_fails_is_followed_by_a_login_on_another_connection(how: str) -> None:
    talk = lost_session()
    talk.open()
    (command,) = talk.sent()
    talk.say(price(2, message_id="m2"))
    if how == "refused":
        talk.answer({**command, "type": "error"}, "recovery token expired")
    elif how == "silent":
        talk.pass_time(5)
    elif how == "partial":
        talk.answer(command, recovery_token=TOKEN2, subscriptions_restored=0)
    else:
        talk.lose()
    assert talk.session.state in (State.WAITING, State.CONNECTING)
    assert not talk.told(IndexPrice)
    talk.pass_time(5)
    talk.authorize()
    assert [one["type"] for one in talk.accept()][-1] == "subscribe"
    (gap,) = talk.told(Gap)
    assert not gap.recovered


def test_no_recovery_is_tried_after_the_window() -> None:
    talk = lost_session()
    talk.pass_time(29.5)
    talk.authorize()


def test_only_what_was_active_comes_back_and_what_is_not_wanted_any_more_is_unsubscribed() -> None:
    talk = Conversation()
    talk.authorize(TOKEN)
    first = talk.subscribe("index_price", pair="ETH_USDC")
    second = talk.subscribe("index_price", pair="BTC_USDC")
    third = talk.subscribe("index_price", pair="ARB_USDC")
    commands = talk.sent()
    talk.answer(commands[0])
    talk.answer(commands[1])
    talk.lose()
    talk.unsubscribe(second)
    talk.pass_time(1)
    talk.open()
    talk.settled.clear()
    talk.answer(talk.sent()[0], recovery_token=TOKEN2, subscriptions_restored=2)
    assert [one.topic for one in talk.settled] == [first]
    talk.pass_time(0)
    sent = {(one["type"], one["subscriptions"][0]["query"]["pair"]) for one in talk.accept()}
    assert sent == {("subscribe", "ARB_USDC"), ("unsubscribe", "BTC_USDC")}
    assert [one.topic for one in talk.settled] == [first, third]


def test_recovery_is_enabled_once_in_ten_seconds() -> None:
    talk = Conversation()
    talk.authorize()
    talk.lose()
    talk.pass_time(1)
    talk.authorize()
    assert talk.sent() == []
    talk.pass_time(8.9)
    assert talk.sent() == []
    talk.pass_time(0.1)
    (command,) = talk.sent()
    assert command["type"] == "enable_session_recovery"
    talk.answer(command, "RATELIMITED")
    talk.pass_time(10)
    (command,) = talk.sent()
    talk.answer(command, "unknown command")
    talk.lose()
    talk.redial()
    talk.authorize()
    talk.pass_time(100)
    assert talk.sent() == [] and len(talk.told(Failure)) == 4


@pytest.mark.parametrize("fields", [{}, {"recovery_token": 5}, {"recovery_token": TOKEN, "ttl_seconds": "soon"}])
def test_a_token_that_cannot_be_read_is_told_and_not_used(fields: Dict[str, Any]) -> None:
    talk = Conversation()
    talk.authorize()
    (failure,) = talk.answer(talk.sent()[0], **fields)
    assert isinstance(failure, Failure) and TOKEN not in str(failure.error)
    talk.lose()
    talk.pass_time(1)
    talk.authorize()


def test_an_unanswered_request_for_recovery_is_told() -> None:
    talk = Conversation()
    talk.authorize()
    talk.pass_time(11)
    assert "enable_session_recovery" in str(talk.told(Failure)[0].error) and talk.session.state is State.READY


def test_the_token_is_in_no_message() -> None:
    talk = Conversation(verbatim=True)
    talk.authorize(TOKEN)
    assert len(talk.told(Message)) == 2
    assert not any(TOKEN in one.text for one in talk.told(Message))
    talk.say(
        ("{" + f'"recovery_token":"{TOKEN2}"').encode(), {"kind": "response", "id": "77", "recovery_token": TOKEN2}
    )
    assert TOKEN2 not in str(talk.told(Failure)[-1].error)


def test_tokens_are_kept_secret_for_long_and_not_for_ever() -> None:
    talk = Conversation(verbatim=True)
    talk.authorize("token-0")
    for number in range(1, 500):
        talk.say({"kind": "response", "id": "77", "recovery_token": f"token-{number:03}", "message_id": f"m{number}"})
    assert not any("token-" in one.text for one in talk.told(Message))
    kept = [number for number in range(500) if talk.secrets.redact(f"token-{number:03}") == "***"]
    assert kept == list(range(400, 500)), "every connection brings a token: what is remembered must have an end"


def test_a_session_is_renewed_before_its_hour_is_up_by_a_login_beside_it() -> None:
    talk = Conversation()
    talk.authorize(TOKEN)
    topic = talk.subscribe("trade", account=ME)
    talk.accept()
    (old,) = talk.dials
    talk.events.clear()
    talk.pass_time(3299)
    assert talk.dials == [old]
    talk.pass_time(1)
    old, new = talk.dials
    talk.authorize(TOKEN2)  # asserts auth
    first = event("trade", {**samples.TRADE, "trade_id": "1"}, query={"account": ME})
    second = event("trade", {**samples.TRADE, "trade_id": "2"}, query={"account": ME})
    talk.say(first, link=new)
    talk.say(first, second, link=old)
    talk.accept()
    talk.pass_time(2)
    assert talk.hangups == [old]
    talk.say(second, event("trade", {**samples.TRADE, "trade_id": "3"}, query={"account": ME}), link=new)
    assert [fill.id for fill in talk.told(Fill)] == ["1", "2", "3"]
    assert not talk.told(Gap) and talk.session.wanted[topic].state == "active"
    talk.lose()
    talk.pass_time(1)
    talk.open()
    assert talk.sent()[0]["recovery_token"] == TOKEN2


def test_a_short_session_is_renewed_a_tenth_before_its_end() -> None:
    talk = Conversation(lifetime=10.0)
    talk.authorize()
    talk.pass_time(8.9)
    assert len(talk.dials) == 1
    talk.pass_time(0.2)
    assert len(talk.dials) == 2


# ----------------------------------------------------------------------------------------------------------- numbering


def gaps(numbers: str, earlier: Optional[int] = None) -> str:
    """Numbers as words, `-` for a message without one; those that a gap is seen before."""
    numbering = Numbering(earlier)
    return " ".join(word for word in numbers.split() if numbering.skips(None if word == "-" else int(word)))


@pytest.mark.parametrize(
    "numbers, earlier, found",
    [
        ("1 2 3", None, ""),
        ("1 3 4", None, "3"),
        ("5 6 9", None, "9"),
        ("1 2 2 1 3", None, ""),
        ("- - 3 4", None, ""),
        ("1 - 3 4", None, ""),  # a reply may have had number 2
        ("1 - 2 - 4", None, "4"),  # replies have none, as was seen
        ("1 - 4", None, "4"),
        ("1 58 59 2 3", 57, ""),
        ("58 1 59 2", 57, ""),
        ("58 60", 57, "60"),
        ("59 60", 57, "59"),
        ("1 2 4", 57, "4"),
    ],
)
def test_gaps_in_the_numbers(numbers: str, earlier: Optional[int], found: str) -> None:
    assert gaps(numbers, earlier) == found


def test_a_repeated_message_is_no_gap() -> None:
    numbering = Numbering()
    assert not numbering.skips(1) and not numbering.skips(2, repeated=True) and not numbering.skips(9, repeated=True)
    assert not numbering.skips(3) and numbering.skips(5)


def test_the_key_is_in_no_repr() -> None:
    talk = Conversation()
    talk.open()
    assert not re.search(KEY, repr(talk.memory) + repr(talk.session) + repr(talk.secrets))
