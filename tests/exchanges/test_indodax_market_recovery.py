"""Indodax's market-data stream over several connections: nothing doubled, nothing missing, and nothing claimed that is not so.

The peer here is a stream with a history, written from the description of Centrifugo 2.8's recovery: an epoch, offsets that rise
by one, the last few publications kept, `recovered` only where the epoch fits and the whole hole is filled.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xchws.backoff import Backoff
from xchws.client import Client
from xchws.credentials import Secrets
from xchws.errors import ConfigurationError, HandshakeRejected, StateError
from xchws.events import Data, Event, Failure, Gap, State
from xchws.exchanges.indodax.market_client import IndodaxMarket, IndodaxMarketExchange
from xchws.exchanges.indodax.market_models import MarketOther, MarketTrade, Tick
from xchws.exchanges.indodax.market_protocol import IndodaxMarketProtocol, MarketMemory
from xchws.sansio.actions import Accepted, Dial, Hangup, Interrupted, Missed, Output, Refused, Send, Topic, Write
from xchws.sansio.session import Session, Terms
from xchws.transports.http import Http

TRADES = Topic("market:trade-activity-btcidr")
NEWS = Topic("news")
TOKEN = "published-token"
EPOCH = "1633990001"
HTTP = Http("indodax", Secrets(), None, None, 1.0)  # the stream's way needs no call


def row(sequence: int) -> List[Any]:
    return ["btcidr", 1780000000 + sequence, sequence, "sell", 881991000, "29740", "0.00003372"]


def text(*messages: Any) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def publication(offset: int) -> Dict[str, Any]:
    return {"data": [row(offset)], "offset": offset}


def push(offset: int) -> bytes:
    return text({"result": {"channel": TRADES.channel, "data": publication(offset)}})


def reply(number: int, offset: Optional[int], epoch: Optional[str] = EPOCH, **more: Any) -> bytes:
    result = {"recoverable": True, "epoch": epoch, "offset": offset, **more}
    return text({"id": number, "result": {name: value for name, value in result.items() if value is not None}})


def sent(outputs: List[Output]) -> List[Any]:
    return [json.loads(output.payload) for output in outputs if isinstance(output, Send)]


def ids(outputs: List[Output]) -> List[int]:
    return [int(output.id or "") for output in outputs if isinstance(output, MarketTrade)]


def connected(memory: MarketMemory) -> IndodaxMarketProtocol:
    protocol = IndodaxMarketProtocol(TOKEN, memory, Secrets())
    protocol.opened(0.0)
    protocol.received(text({"id": 1, "result": {}}), 0.0)
    return protocol


def read_to(offset: int) -> MarketMemory:
    """The memory after a connection on which the stream has been read to here."""
    memory = MarketMemory()
    protocol = connected(memory)
    protocol.subscribe(TRADES, 0.0)
    protocol.received(reply(2, offset - 1), 0.0)
    assert ids(protocol.received(push(offset), 0.0)) == [offset]
    return memory


def again(memory: MarketMemory) -> IndodaxMarketProtocol:
    """The next connection, with its subscription (command 2) on the way."""
    protocol = connected(memory)
    parameters = sent(protocol.subscribe(TRADES, 0.0))[0]["params"]
    assert parameters == {"channel": TRADES.channel, "recover": True, "offset": 50, "epoch": EPOCH}
    return protocol


# --------------------------------------------------------------------------------------------------- replies one by one


def test_recovered() -> None:
    protocol = again(read_to(50))
    outputs = protocol.received(
        reply(2, 53, recovered=True, publications=[publication(51), publication(52), publication(53)]), 0.0
    )
    assert outputs[0] == Accepted(TRADES, recovered=True)
    assert ids(outputs) == [51, 52, 53]
    second = outputs[2]
    assert isinstance(second, MarketTrade)
    assert (second.offset, second.raw) == (52, row(52))
    assert ids(protocol.received(push(53) + push(54), 0.0)) == [54]


def test_recovered_where_nothing_was_missed() -> None:
    protocol = again(read_to(50))
    assert protocol.received(reply(2, 50, recovered=True), 0.0) == [Accepted(TRADES, recovered=True)]
    outputs = protocol.received(push(51), 0.0)
    assert (ids(outputs), len(outputs)) == ([51], 1)


def test_a_replay_that_begins_with_what_is_known_as_in_the_vendors_example() -> None:
    protocol = again(read_to(50))
    outputs = protocol.received(reply(2, 52, publications=[publication(n) for n in (50, 51, 52)]), 0.0)
    assert outputs[0] == Accepted(TRADES, recovered=False)
    assert ids(outputs) == [51, 52]


def test_not_recovered_what_is_left_of_the_history_is_told() -> None:
    protocol = again(read_to(50))
    outputs = protocol.received(reply(2, 90, publications=[publication(n) for n in (88, 89, 90)]), 0.0)
    assert outputs[0] == Accepted(TRADES, recovered=False)
    assert ids(outputs) == [88, 89, 90]
    assert [type(output) for output in protocol.received(push(90) + push(91), 0.0)] == [MarketTrade]


def test_not_recovered_and_nothing_left() -> None:
    protocol = again(read_to(50))
    assert protocol.received(reply(2, 90), 0.0) == [Accepted(TRADES, recovered=False)]
    assert ids(protocol.received(push(91), 0.0)) == [91]


@pytest.mark.parametrize("epoch", ["2000000000", None])
@pytest.mark.parametrize("offset", [3, None])
def test_another_epoch_counts_anew(epoch: Optional[str], offset: Optional[int]) -> None:
    memory = read_to(50)
    protocol = again(memory)
    replayed = [publication(2), publication(3)] if offset else []
    outputs = protocol.received(reply(2, offset, epoch, publications=replayed), 0.0)
    assert outputs[0] == Accepted(TRADES, recovered=False)
    assert ids(outputs) == ([2, 3] if offset else [])
    outputs = protocol.received(push((offset or 0) + 1), 0.0)
    assert [type(output) for output in outputs] == [MarketTrade]
    parameters = sent(connected(memory).subscribe(TRADES, 0.0))[0]["params"]
    assert (parameters["offset"], parameters.get("epoch")) == ((offset or 0) + 1, epoch)


def test_a_stream_that_went_back_in_the_same_epoch_counts_anew() -> None:
    memory = read_to(50)
    protocol = again(memory)
    assert protocol.received(reply(2, 4), 0.0) == [Accepted(TRADES, recovered=False)]
    assert ids(protocol.received(push(5), 0.0)) == [5]
    assert sent(connected(memory).subscribe(TRADES, 0.0))[0]["params"]["offset"] == 5


def test_offsets_of_another_epoch_are_not_compared() -> None:
    protocol = again(read_to(50))
    outputs = protocol.received(reply(2, 52, "2000000000", publications=[publication(n) for n in range(49, 53)]), 0.0)
    assert outputs[0] == Accepted(TRADES, recovered=False)
    assert ids(outputs) == [49, 50, 51, 52]


def test_a_reply_that_repeats_the_offset_that_was_asked_for() -> None:
    protocol = again(read_to(50))
    outputs = protocol.received(reply(2, 50, recovered=True, publications=[publication(51), publication(52)]), 0.0)
    assert outputs[0] == Accepted(TRADES, recovered=True)
    outputs = protocol.received(push(52) + push(53), 0.0)
    assert (ids(outputs), len(outputs)) == ([53], 1)


@pytest.mark.parametrize(
    ("top", "replayed"),
    [(53, [51, 53]), (53, [52, 53]), (53, [51, 52]), (53, []), (None, [52])],
)
def test_the_servers_word_is_checked(top: Optional[int], replayed: List[int]) -> None:
    protocol = again(read_to(50))
    publications = [publication(offset) for offset in replayed]
    outputs = protocol.received(reply(2, top, recovered=True, publications=publications), 0.0)
    assert outputs[0] == Accepted(TRADES, recovered=False)
    assert ids(outputs) == replayed


@pytest.mark.parametrize(
    ("bad", "told"), [(5, [51, 53]), ({"data": [row(52)], "offset": "x"}, [51, 52, 53]), ({"offset": 52}, [51, 53])]
)
def test_a_bad_publication_loses_no_neighbour(bad: Any, told: List[int]) -> None:
    protocol = again(read_to(50))
    publications = [publication(51), bad, publication(53)]
    outputs = protocol.received(reply(2, 53, recovered=True, publications=publications), 0.0)
    complete = bad == {"offset": 52}  # it holds nothing, and it is counted
    assert outputs[0] == Accepted(TRADES, recovered=complete)
    assert ids(outputs) == told
    assert [type(one) for one in outputs[1:] if not isinstance(one, MarketTrade)] == [
        MarketOther if complete else Failure
    ]
    for output in outputs:
        if isinstance(output, MarketOther):
            assert output.raw == bad


def test_what_comes_before_the_reply_is_told_after_it_and_once() -> None:
    protocol = again(read_to(50))
    assert protocol.received(push(52) + push(53), 0.0) == []
    outputs = protocol.received(reply(2, 52, recovered=True, publications=[publication(51), publication(52)]), 0.0)
    assert outputs[0] == Accepted(TRADES, recovered=True)
    assert ids(outputs) == [51, 52, 53]


def test_a_channel_without_offsets_is_subscribed_anew() -> None:
    memory = MarketMemory()
    for _ in range(2):
        protocol = connected(memory)
        assert sent(protocol.subscribe(NEWS, 0.0))[0]["params"] == {"channel": "news"}
        assert protocol.received(text({"id": 2, "result": {}}), 0.0) == [Accepted(NEWS)]
        for _ in range(2):
            outputs = protocol.received(text({"result": {"channel": "news", "data": {"data": 1}}}), 0.0)
            assert [type(output) for output in outputs] == [MarketOther]


def test_what_is_unsubscribed_is_not_recovered() -> None:
    memory = read_to(50)
    protocol = again(memory)
    protocol.received(reply(2, 50, recovered=True), 0.0)
    protocol.unsubscribe(TRADES, 0.0)
    assert sent(connected(memory).subscribe(TRADES, 0.0))[0]["params"] == {"channel": TRADES.channel}


# ------------------------------------------------------------------------------- what is lost on a line that stands


def broken(memory: Optional[MarketMemory] = None) -> IndodaxMarketProtocol:
    """A connection on which 51 and 52 were lost: 53 has come at 7 s, and command 3 leaves the channel."""
    protocol = again(memory or read_to(50))
    protocol.received(reply(2, 50, recovered=True), 0.0)
    assert ids(protocol.received(push(51), 5.0)) == [51]
    interrupted, leave = protocol.received(push(54), 7.0)
    assert interrupted == Interrupted(TRADES, since=5.0)
    assert sent([leave]) == [{"id": 3, "method": 2, "params": {"channel": TRADES.channel}}]
    assert protocol.subscribe(TRADES, 7.0) == [], "one command at a time"
    return protocol


def left(memory: Optional[MarketMemory] = None) -> IndodaxMarketProtocol:
    """The same, with the channel left, and command 4 on its way to join it again."""
    protocol = broken(memory)
    (join,) = sent(protocol.received(text({"id": 3, "result": {}}), 8.0))
    where = {"channel": TRADES.channel, "recover": True, "offset": 51, "epoch": EPOCH}
    assert join == {"id": 4, "method": 1, "params": where}
    return protocol


def test_a_jump_is_replayed_on_the_same_connection() -> None:
    protocol = left()
    outputs = protocol.received(
        reply(4, 55, recovered=True, publications=[publication(n) for n in (52, 53, 54, 55)]), 9.0
    )
    assert outputs[0] == Accepted(TRADES, recovered=True)
    assert ids(outputs) == [52, 53, 54, 55], "53 had come, and is told in its place, once"
    assert ids(protocol.received(push(55) + push(56), 9.0)) == [56]


def test_what_comes_meanwhile_waits_its_turn() -> None:
    protocol = broken()
    assert protocol.received(push(55), 7.5) == []
    protocol.received(text({"id": 3, "result": {}}), 8.0)
    outputs = protocol.received(
        reply(4, 56, recovered=True, publications=[publication(n) for n in (52, 53, 54, 55, 56)]), 9.0
    )
    assert ids(outputs) == [52, 53, 54, 55, 56]


def test_what_is_lost_for_good_is_a_gap_and_what_has_come_is_told() -> None:
    for replayed, told in (([54, 55], [54, 55]), ([], [54]), ([55], [54, 55])):
        protocol = left()
        outputs = protocol.received(reply(4, 55, publications=[publication(n) for n in replayed]), 9.0)
        assert outputs[0] == Accepted(TRADES, recovered=False)
        assert ids(outputs) == told
        assert len(outputs) == 1 + len(told)
        assert ids(protocol.received(push(56), 9.0)) == [56]


def test_a_hole_that_the_server_does_not_see_is_seen() -> None:
    """Its word goes by the first of what it replays."""
    outputs = left().received(reply(4, 55, recovered=True, publications=[publication(n) for n in (52, 54, 55)]), 9.0)
    assert outputs[0] == Accepted(TRADES, recovered=False)
    assert ids(outputs) == [52, 54, 55]


def test_another_epoch_comes_after_what_was_held_back() -> None:
    memory = read_to(50)
    outputs = left(memory).received(reply(4, 3, "2000000000", publications=[publication(n) for n in (2, 3)]), 9.0)
    assert outputs[0] == Accepted(TRADES, recovered=False)
    assert ids(outputs) == [54, 2, 3]
    parameters = sent(connected(memory).subscribe(TRADES, 0.0))[0]["params"]
    assert (parameters["offset"], parameters["epoch"]) == (3, "2000000000")


def test_a_stream_that_begins_anew_is_asked_about() -> None:
    for first in (1, 7):
        protocol = again(read_to(50))
        protocol.received(reply(2, 50, recovered=True), 0.0)
        interrupted, leave = protocol.received(push(first), 1.0)
        assert interrupted == Interrupted(TRADES, since=0.0)
        protocol.subscribe(TRADES, 1.0)
        assert protocol.received(push(first + 1), 1.0) == []
        protocol.received(text({"id": 3, "result": {}}), 2.0)
        outputs = protocol.received(reply(4, first + 2, "2000000000"), 3.0)
        assert outputs[0] == Accepted(TRADES, recovered=False)
        assert ids(outputs) == [first, first + 1]
        outputs = protocol.received(push(first + 3), 3.0)
        assert (ids(outputs), len(outputs)) == ([first + 3], 1)


def test_doubles_from_before_the_subscription_cost_nothing_but_a_question_now_and_then() -> None:
    protocol = again(read_to(50))
    protocol.received(reply(2, 50, recovered=True), 0.0)
    asked, number = 0, 3
    for second in range(1, 200):
        if protocol.received(push(49), float(second)):
            asked += 1
            protocol.subscribe(TRADES, float(second))
            protocol.received(text({"id": number, "result": {}}), float(second))
            answer = protocol.received(reply(number + 1, 49 + second, recovered=True), float(second))
            assert answer == [Accepted(TRADES, recovered=True)]
            number += 2
        outputs = protocol.received(push(50 + second), float(second))
        assert (ids(outputs), len(outputs)) == ([50 + second], 1)
    assert 3 <= asked <= 10


def test_doubles_of_what_was_told_on_this_connection_cost_nothing() -> None:
    protocol = again(read_to(50))
    protocol.received(reply(2, 52, recovered=True, publications=[publication(51), publication(52)]), 0.0)
    assert protocol.received(push(51) + push(52), 1.0) == []
    assert ids(protocol.received(push(53) + push(51) + push(54), 1.0)) == [53, 54]


def test_what_is_held_back_is_replayed_or_told_by_the_next_connection() -> None:
    memory = read_to(50)
    broken(memory)
    for answer, told in (
        (reply(2, 54, recovered=True, publications=[publication(n) for n in (52, 53, 54)]), [52, 53, 54]),
        (reply(2, 90), [54]),
    ):
        memory = read_to(50)
        broken(memory)
        protocol = connected(memory)
        assert sent(protocol.subscribe(TRADES, 0.0))[0]["params"]["offset"] == 51
        assert ids(protocol.received(answer, 0.0)) == told


@pytest.mark.parametrize("code", [102, 106, 5000])
def test_what_is_held_back_is_told_when_the_channel_is_refused(code: int) -> None:
    protocol = left()
    missed, trade, refused = protocol.received(text({"id": 4, "error": {"code": code, "message": "no"}}), 9.0)
    assert missed == Missed((TRADES.channel,), since=5.0)
    assert ids([trade]) == [54]
    assert isinstance(refused, Refused)


def test_what_is_held_back_is_told_when_the_server_ends_the_channel_for_good() -> None:
    protocol = broken()
    missed, trade, refused = protocol.received(
        text({"result": {"type": 3, "channel": TRADES.channel, "data": {}}}), 8.0
    )
    assert missed == Missed((TRADES.channel,), since=5.0)
    assert ids([trade]) == [54]
    assert isinstance(refused, Refused)


def test_the_server_interrupts_what_is_being_mended() -> None:
    protocol = broken()
    ended = text({"result": {"type": 3, "channel": TRADES.channel, "data": {"resubscribe": True}}})
    assert protocol.received(ended, 8.0) == [Interrupted(TRADES)]
    (join,) = sent(protocol.subscribe(TRADES, 8.0))
    assert join["params"]["offset"] == 51
    assert protocol.received(text({"id": 3, "result": {}}), 8.0) == [], "the answer to what nobody waits for"
    outputs = protocol.received(reply(4, 54, recovered=True, publications=[publication(n) for n in (52, 53, 54)]), 9.0)
    assert ids(outputs) == [52, 53, 54]


def test_joining_again_is_put_off_and_loses_nothing() -> None:
    protocol = left()
    (failure,) = protocol.received(text({"id": 4, "error": {"code": 100, "message": "internal"}}), 9.0)
    assert isinstance(failure, Failure)
    (join,) = sent(protocol.wake(10.0))
    assert join["params"]["offset"] == 51
    assert ids(protocol.received(reply(5, 54), 10.0)) == [54]


def test_leaving_is_refused_or_not_answered() -> None:
    protocol = broken()
    failure, join = protocol.received(text({"id": 3, "error": {"code": 108, "message": "no"}}), 8.0)
    assert isinstance(failure, Failure)
    assert sent([join])[0]["params"]["offset"] == 51
    outputs = protocol.received(text({"id": 4, "error": {"code": 105, "message": "already subscribed"}}), 9.0)
    assert outputs[0] == Accepted(TRADES)
    assert ids(outputs) == [54]
    mute = broken()
    due = mute.deadline()
    assert due == 17.0
    assert sent(mute.wake(due))[0]["params"]["offset"] == 51


def test_unsubscribed_while_it_is_mended() -> None:
    memory = read_to(50)
    protocol = broken(memory)
    assert protocol.unsubscribe(TRADES, 8.0) == []
    assert protocol.received(push(55), 8.0) == []
    assert protocol.received(text({"id": 3, "result": {}}), 8.0) == []
    assert sent(protocol.subscribe(TRADES, 9.0))[0]["params"] == {"channel": TRADES.channel}
    assert protocol.received(reply(4, 60), 9.0) == [Accepted(TRADES)], "nothing of the old subscription is told"


def test_a_server_that_counts_otherwise_is_not_asked_for_ever() -> None:
    """One that counts by twos replays nothing: after the first two times it is asked ever less often."""
    protocol = again(read_to(50))
    protocol.received(reply(2, 50, recovered=True), 0.0)
    asked, number, missed = 0, 3, 0
    told: List[int] = []
    for step in range(1, 301):
        offset = 50 + 2 * step
        outputs = protocol.received(push(offset), float(step))
        if any(isinstance(output, Interrupted) for output in outputs):
            asked += 1
            protocol.subscribe(TRADES, float(step))
            protocol.received(text({"id": number, "result": {}}), float(step))
            outputs = protocol.received(reply(number + 1, offset, publications=[publication(offset)]), float(step))
            assert outputs[0] == Accepted(TRADES, recovered=False)
            number += 2
        else:
            missed += any(isinstance(output, Missed) for output in outputs)
        told += ids(outputs)
    assert told == [50 + 2 * step for step in range(1, 301)]
    assert missed == 300 - asked
    assert 5 <= asked <= 12


def test_what_comes_before_the_first_reply_is_told_even_if_the_reply_counts_it() -> None:
    protocol = connected(MarketMemory())
    protocol.subscribe(TRADES, 0.0)
    assert protocol.received(push(7), 0.0) == []
    assert ids(protocol.received(reply(2, 7), 0.0)) == [7]
    assert ids(protocol.received(push(7) + push(8), 0.0)) == [8]


@pytest.mark.parametrize("unanswered", [False, True])
def test_what_came_before_a_reply_that_never_came(unanswered: bool) -> None:
    """Of a new subscription it is told; of one that goes on somewhere the next connection tells it in its place."""
    protocol = connected(MarketMemory())
    protocol.subscribe(TRADES, 0.0)
    protocol.received(push(7) + push(8), 0.0)
    outputs = protocol.wake(10.0) if unanswered else protocol.ended()
    assert ids(outputs) == [7, 8]
    assert protocol.ended() == []
    memory = read_to(50)
    protocol = again(memory)
    protocol.received(push(52), 0.0)
    assert ids(protocol.wake(10.0) if unanswered else protocol.ended()) == []
    answer = reply(2, 90, publications=[publication(90)])
    assert ids(again(memory).received(answer, 0.0)) == [52, 90]


# ------------------------------------------------------------------------------------------------- random conversations


class Stream:
    """A channel of a server: what is published in it, and the last few of that kept."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.epoch = 1
        self.log: List[Tuple[int, int]] = []  # offset in the epoch, number of all
        self.total = 0
        self.top = 0

    def publish(self) -> Dict[str, Any]:
        self.total += 1
        self.top += 1
        self.log.append((self.top, self.total))
        return self._publication(*self.log[-1])

    def skip(self) -> None:
        """An offset is used up for what nobody will ever see."""
        self.top += 1

    def restart(self) -> None:
        self.epoch += 1
        self.log = []
        self.top = 0

    def _publication(self, offset: int, number: int) -> Dict[str, Any]:
        return {"data": [row(number)], "offset": offset}

    def answer(self, command: Dict[str, Any]) -> Dict[str, Any]:
        parameters = command["params"]
        result: Dict[str, Any] = {"recoverable": True, "epoch": str(self.epoch)}
        if self.top:
            result["offset"] = self.top
        if parameters.get("recover"):
            since = parameters["offset"]
            replayed = [entry for entry in self.log[-self.kept :] if entry[0] > since]
            if replayed:
                result["publications"] = [self._publication(*entry) for entry in replayed]
            whole = replayed[0][0] == since + 1 if replayed else self.top == since
            if whole and parameters.get("epoch") == str(self.epoch):
                result["recovered"] = True
        return {"id": command["id"], "result": result}


ACTIONS = st.lists(
    st.sampled_from(["publish", "publish", "publish", "flush", "flush", "unheard", "cut", "restart"]), max_size=60
)


@given(ACTIONS, st.integers(min_value=1, max_value=6))
def test_over_any_cuts_all_that_the_server_can_replay_comes_once_in_order(actions: List[str], kept: int) -> None:
    stream, memory = Stream(kept), MarketMemory()
    stream.publish()
    outputs: List[Output] = []
    on_the_wire: List[Dict[str, Any]] = []
    expected: List[int] = []
    verdicts: List[bool] = []
    known = 0  # the last publication that the client has heard of

    def connect() -> IndodaxMarketProtocol:
        nonlocal known
        protocol = connected(memory)
        answer = stream.answer(sent(protocol.subscribe(TRADES, 0.0))[0])
        replayed = [found["data"][0][2] for found in answer["result"].get("publications", [])]
        expected.extend(number for number in replayed if number > known)
        verdicts.append(answer["result"].get("recovered", False))
        known = stream.total
        # What is published while the answer is on its way comes behind it in the same frame.
        behind = {"result": {"channel": TRADES.channel, "data": stream.publish()}}
        outputs.extend(protocol.received(text(answer, behind), 0.0))
        known = stream.total
        expected.append(known)
        return protocol

    protocol = connect()
    for action in actions:
        if action == "publish":
            on_the_wire.append({"result": {"channel": TRADES.channel, "data": stream.publish()}})
        elif action == "flush":
            outputs.extend(protocol.received(text(*on_the_wire), 0.0))
            expected.extend(message["result"]["data"]["data"][0][2] for message in on_the_wire)
            known = stream.total
            on_the_wire = []
        else:
            # The connection breaks: what is on the wire is lost with it, and is in the history only.
            on_the_wire = []
            if action == "restart":
                stream.restart()
            elif action == "unheard":
                stream.publish()
            protocol = connect()
    told = ids(outputs)
    assert told == expected
    assert told == sorted(set(told))
    assert [output.recovered for output in outputs if isinstance(output, Accepted)] == verdicts
    assert not [output for output in outputs if isinstance(output, (Missed, Failure))]
    if all(verdicts[1:]):
        assert told == list(range(2, told[-1] + 1))


# --------------------------------------------------------------------------------------------------- with the session


def utc_of(instant: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=instant)


class Line:
    """A session of this exchange, its connections carried out by hand."""

    def __init__(self) -> None:
        self.exchange = IndodaxMarketExchange(TOKEN, "ws://stream.test/ws/")
        self.session = Session(
            Terms(
                exchange=self.exchange.name,
                channels=self.exchange.channels,
                overlap=self.exchange.overlap,
                backoff=Backoff(),
                open_timeout=10.0,
                ping_interval=None,
                ping_timeout=None,
                draw=lambda: 0.5,
                utc_of=utc_of,
                verbatim=lambda: False,
                congested=lambda: False,
            )
        )
        self.link = 0
        self.events: List[Event] = []
        self.commands: List[Any] = []

    def take(self, effects: List[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Dial):
                self.link = effect.link
            elif isinstance(effect, Write):
                self.commands.append(json.loads(effect.payload))
            elif isinstance(effect, Event):
                self.events.append(effect)

    def connect(self, now: float) -> None:
        protocol = self.exchange.protocol(self.exchange.route(HTTP))
        self.take(self.session.dialled(self.link, protocol, now))
        self.receive(text({"id": 1, "result": {}}), now)

    def receive(self, message: bytes, now: float) -> None:
        self.take(self.session.received(self.link, [message], now))


def test_a_gap_that_the_exchange_filled_says_so_and_comes_before_what_was_missed() -> None:
    line = Line()
    line.take(line.session.start(0.0))
    line.take(line.session.subscribe(TRADES, 0.0))
    line.connect(1.0)
    line.receive(reply(2, 49) + push(50), 1.0)
    line.take(line.session.lost(line.link, "reset", 5.0))
    due = line.session.deadline()
    assert due is not None
    line.take(line.session.wake(due))
    line.connect(due)
    assert line.commands[-1]["params"] == {"channel": TRADES.channel, "recover": True, "offset": 50, "epoch": EPOCH}
    line.receive(reply(2, 52, recovered=True, publications=[publication(51), publication(52)]), due)
    told = [event for event in line.events if isinstance(event, (Gap, Data))]
    assert [type(event) for event in told] == [MarketTrade, Gap, MarketTrade, MarketTrade]
    gap = told[1]
    assert isinstance(gap, Gap)
    assert (gap.recovered, gap.channels, gap.since) == (True, (TRADES.channel,), utc_of(1.0))
    assert line.session.state is State.READY


def test_a_subscription_that_the_server_interrupts_is_recovered_on_the_same_connection() -> None:
    line = Line()
    line.take(line.session.start(0.0))
    line.take(line.session.subscribe(TRADES, 0.0))
    line.connect(1.0)
    line.receive(reply(2, 49) + push(50), 1.0)
    line.receive(text({"result": {"type": 3, "channel": TRADES.channel, "data": {"resubscribe": True}}}), 2.0)
    line.receive(reply(3, 51, recovered=True, publications=[publication(51)]), 3.0)
    gaps = [event for event in line.events if isinstance(event, Gap)]
    assert [gap.recovered for gap in gaps] == [True]
    assert [event.id for event in line.events if isinstance(event, MarketTrade)] == ["50", "51"]


class Server(Line):
    """A session and a server between which everything takes its time: what is said waits until it is let through."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.stream = Stream(kept)
        self.stream.publish()
        self.now = 0.0
        self.down: List[Dict[str, Any]] = []
        self.joined = False
        self.published_at: Dict[int, float] = {}
        self.told_at: Dict[int, float] = {}
        self.take(self.session.start(self.now))
        self.take(self.session.subscribe(TRADES, self.now))
        self.dial()

    def take(self, effects: List[Any]) -> None:
        super().take(effects)
        for effect in effects:
            if isinstance(effect, MarketTrade):
                self.told_at[int(effect.id or "")] = self.now
            if isinstance(effect, Hangup) and effect.link == self.link:
                self.down, self.commands, self.joined = [], [], False

    def dial(self) -> None:
        self.now += 1.0
        while self.session.retry_at is not None:
            self.now = max(self.now, self.session.retry_at)
            self.take(self.session.wake(self.now))
        protocol = self.exchange.protocol(self.exchange.route(HTTP))
        self.take(self.session.dialled(self.link, protocol, self.now))

    def publish(self, heard: bool = True) -> None:
        published = self.stream.publish()
        self.published_at[self.stream.total] = self.now
        if self.joined and heard:
            self.down.append({"result": {"channel": TRADES.channel, "data": published}})

    def lose(self) -> None:
        self.publish(heard=False)

    def skip(self) -> None:
        self.stream.skip()

    def serve(self) -> None:
        """The server reads the commands that have come."""
        waiting, self.commands = self.commands, []
        for command in waiting:
            method = command["method"]
            if method == 0:
                self.down.append({"id": command["id"], "result": {}})
            elif method == 2:
                self.joined = False
                self.down.append({"id": command["id"], "result": {}})
            else:
                assert not self.joined, "a second subscription to the same channel"
                self.joined = True
                self.down.append(self.stream.answer(command))

    def tell(self, count: Optional[int] = None) -> None:
        """What the server has said arrives, in one message."""
        coming, self.down = self.down[:count], self.down[count:] if count else []
        if coming:
            self.now += 0.5
            self.receive(text(*coming), self.now)

    def tell_one(self) -> None:
        self.tell(1)

    def cut(self) -> None:
        self.take(self.session.lost(self.link, "reset", self.now))
        self.dial()

    def restart(self) -> None:
        self.stream.restart()
        self.cut()

    def settle(self) -> None:
        while self.commands or self.down:
            self.serve()
            self.tell()


@given(
    st.lists(
        st.sampled_from(
            [*["publish"] * 4, *["tell", "serve"] * 2, "tell_one", "tell_one", "lose", "lose", "skip", "cut", "restart"]
        ),
        max_size=60,
    ),
    st.integers(min_value=1, max_value=6),
)
def test_whatever_is_lost_is_replayed_or_in_a_gap(actions: List[str], kept: int) -> None:
    line = Server(kept)
    line.settle()
    begun = line.stream.total
    for action in actions:
        getattr(line, action)()
    line.settle()
    line.publish()
    line.settle()
    heard = [int(event.id or "") for event in line.events if isinstance(event, MarketTrade)]
    assert heard == sorted(set(heard)), "each once, in order"
    assert heard[-1:] == [line.stream.total], "the stream goes on"
    gaps = [event for event in line.events if isinstance(event, Gap)]
    for number in sorted(set(range(begun + 1, line.stream.total)) - set(heard)):
        after = line.told_at[next(one for one in heard if one > number)]
        assert [
            gap
            for gap in gaps
            if not gap.recovered and gap.since <= utc_of(after) and utc_of(line.published_at[number]) <= gap.until
        ], f"{number} is missing, and no Gap that was not recovered tells it"
    if all(gap.recovered for gap in gaps):
        assert heard == list(range(begun + 1, line.stream.total + 1))
    assert not [event for event in line.events if isinstance(event, Failure) and "internal" in str(event.error)]


def test_a_connection_that_mutely_keeps_a_subscription_waiting_is_remade() -> None:
    line = Line()
    line.take(line.session.start(0.0))
    line.take(line.session.subscribe(TRADES, 0.0))
    line.connect(1.0)
    line.take(line.session.wake(11.0))
    assert line.session.state is State.WAITING


# ---------------------------------------------------------------------------------------------------------- the client


@pytest.mark.parametrize("environment", ["production", "demo"])
def test_the_published_token_and_address_are_the_default(environment: str) -> None:
    client = IndodaxMarket(environment=environment)
    route = client._exchange.route(HTTP)
    assert route.url == {
        "production": "wss://ws3.indodax.com/ws/",
        "demo": "wss://ws.demo-indodax.com/ws/",
    }[environment]  # fmt: skip
    assert route.origin is None
    (connect,) = sent(client._exchange.protocol(route).opened(0.0))
    assert len(connect["params"]["token"].split(".")) == 3


def test_another_token_and_address() -> None:
    client = IndodaxMarket(token=TOKEN, url="ws://127.0.0.1:1/ws/")
    route = client._exchange.route(HTTP)
    assert route.url == "ws://127.0.0.1:1/ws/"
    assert sent(client._exchange.protocol(route).opened(0.0))[0]["params"] == {"token": TOKEN}
    assert TOKEN not in repr(client)


@pytest.mark.parametrize(
    "arguments", [{"environment": "moon"}, {"token": ""}, {"token": 5}, {"url": "http://x"}, {"on_ticks": print}]
)
def test_arguments_that_cannot_work(arguments: Any) -> None:
    with pytest.raises(ConfigurationError):
        IndodaxMarket(**arguments)


def test_subscriptions_by_name_are_channels() -> None:
    client = IndodaxMarket()
    assert [
        subscription.name
        for subscription in (
            client.subscribe_ticks("usdtidr"),
            client.subscribe_summary(),
            client.subscribe_trades("btcidr"),
            client.subscribe_order_book("1inchidr"),
            client.subscribe("pws:anything"),
        )
    ] == [
        "chart:tick-usdtidr",
        "market:summary-24h",
        "market:trade-activity-btcidr",
        "market:order-book-1inchidr",
        "pws:anything",
    ]
    assert client.subscribe("market:trade-activity-btcidr") is client.subscribe_trades("btcidr")


@pytest.mark.parametrize(
    ("pair", "hint"),
    [("btc_idr", "btcidr"), ("BTC/IDR", "btcidr"), ("BTCIDR", "btcidr"), ("", ""), ("é", ""), (5, ""), (None, "")],
)
def test_a_pair_of_another_form(pair: Any, hint: str) -> None:
    client = IndodaxMarket()
    for subscribe in (client.subscribe_ticks, client.subscribe_trades, client.subscribe_order_book):
        with pytest.raises(ConfigurationError) as raised:
            subscribe(pair)
        assert raised.value.argument == "pair"
        assert ("did you mean" in str(raised.value)) == bool(hint)
        assert repr(hint) in str(raised.value) or not hint


@pytest.mark.parametrize("channel", ["", "a b", "a\n", 5, None, "x" * 256, "é" * 128])
def test_a_text_that_is_no_channel(channel: Any) -> None:
    with pytest.raises(ConfigurationError):
        IndodaxMarket().subscribe(channel)


def test_ticks_have_a_hook() -> None:
    ticks: List[Tick] = []
    client: Client = IndodaxMarket(on_tick=ticks.append)
    client._registry.check(Tick, {"symbol": "btcidr"}, "queue")


def test_a_new_subscription_does_not_go_on_where_an_old_one_ended() -> None:
    client = IndodaxMarket()
    memory = client._exchange._memory

    def subscribe() -> Any:
        subscription = client.subscribe_trades("btcidr")
        while client._mail:  # what the owner thread does
            client._mail.popleft()(0.0)
        return subscription

    subscription = subscribe()
    memory.positions.note(TRADES.channel, EPOCH, 50)
    assert subscribe() is subscription
    assert memory.positions.get(TRADES.channel) is not None
    subscription.unsubscribe()
    subscribe()
    assert memory.positions.get(TRADES.channel) is None


def test_after_the_end_nothing_can_be_subscribed() -> None:
    client = IndodaxMarket()
    client.stop()
    with pytest.raises(StateError):
        client.subscribe_summary()


@pytest.mark.parametrize(("status", "wait"), [(404, 30.0), (403, 30.0), (429, None), (503, None)])
def test_a_refused_handshake(status: int, wait: Optional[float]) -> None:
    exchange = IndodaxMarketExchange(TOKEN, "ws://stream.test/ws/")
    close = exchange.refused(HandshakeRejected("no", status=status))
    assert isinstance(close.error, HandshakeRejected)
    assert close.error.retry_after == wait


def test_of_two_connections_in_one_epoch_the_one_ahead_counts() -> None:
    memory = read_to(50)
    memory.positions.note(TRADES.channel, EPOCH, 49)
    again(memory)
    memory.positions.note(TRADES.channel, "later", 3)
    position = memory.positions.get(TRADES.channel)
    assert position is not None
    assert (position.epoch, position.offset) == ("later", 3)
