"""Expectations, iterators, subscriptions, wait_ready, status."""

from __future__ import annotations

import gc
import pickle
import threading
import traceback
from datetime import timedelta
from typing import Any, Callable, List

import pytest

import xchws
from xchws.sandbox import IndodaxSandbox, RichamsterSandbox
from xchws.sansio.actions import Settled

Make = Callable[..., Any]


def test_an_expectation_begins_at_once(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    expected = client.expect(xchws.Order, where=lambda order: order.final, symbol="btcidr")
    order = indodax.place("btcidr", "SELL", "900", "2")
    indodax.cancel(order)
    found = expected.result(5)
    assert expected.done and found.status is xchws.OrderStatus.CANCELED and found.id == order.id


def test_an_expectation_that_does_not_come(make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    expected = client.expect(xchws.Order)
    with pytest.raises(xchws.WaitTimeout, match="no Order came within 0.01 s") as waited:
        expected.result(0.01)
    assert isinstance(waited.value, TimeoutError)
    cancelled = client.expect(xchws.Order)
    cancelled.cancel()
    with pytest.raises(xchws.StateError, match="cancelled"):
        cancelled.result(1)
    client.stop()
    with pytest.raises(xchws.StateError, match="stopped"):
        expected.result(1)
    with pytest.raises(xchws.StateError, match="stopped"):
        client.expect(xchws.Order).result(1)


def test_a_where_that_raises_reaches_who_waits(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    expected = client.expect(xchws.Order, where=lambda order: 1 // 0 == 1)
    indodax.place("btcidr", "SELL", "900", "2")
    with pytest.raises(xchws.CallbackError) as raised:
        expected.result(5)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    client.wait_ready(1)


@pytest.mark.parametrize("timeout", [-1, "1", True, float("nan")])
def test_a_timeout_is_a_number_of_seconds(make_indodax: Make, timeout: Any) -> None:
    client = make_indodax()
    with pytest.raises(ValueError, match="timeout must be"):
        client.expect(xchws.Order).result(timeout)
    with pytest.raises(ValueError, match="timeout must be"):
        client.start(timeout)


def test_events_as_a_loop(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    stream = client.events(xchws.Order, symbol="btcidr", timeout=5)
    for number in range(3):
        indodax.place("btcidr", "SELL", "900", str(number + 1))
        indodax.place("ethidr", "SELL", "900", "1")
    seen = []
    for order in stream:
        seen.append(int(order.quantity))
        if len(seen) == 3:
            client.stop()
    assert seen == [1, 2, 3]


def test_a_stream_says_when_nothing_comes_and_goes_on(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    stream = client.events(xchws.Order, timeout=0.01)
    with pytest.raises(xchws.WaitTimeout):
        next(stream)
    seen = client.expect(xchws.Order)
    indodax.place("btcidr", "SELL", "900", "1")
    seen.result(5)
    assert next(stream).symbol == "btcidr"
    stream.close()
    assert list(stream) == []


def test_what_nobody_can_ask_any_more_is_not_kept(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    for _ in range(100):
        with pytest.raises(xchws.WaitTimeout):
            client.expect(xchws.Order).result(0)
        with pytest.raises(xchws.WaitTimeout):
            next(client.events(xchws.Order, timeout=0))
    looked_at: List[xchws.Order] = []
    client.expect(xchws.Order, where=looked_at.append)
    kept = client.expect(xchws.Order, symbol="ethidr")
    gc.collect()
    assert len(client._watchers) == 2
    for symbol in ("btcidr", "ethidr"):
        indodax.place(symbol, "SELL", "900", "1")
    assert kept.result(5).symbol == "ethidr"
    assert [order.symbol for order in looked_at] == ["btcidr", "ethidr"], "whoever has a where and asks nothing is kept"
    assert len(client._watchers) == len(client._watchers._unasked) == 1


def test_messages_may_be_waited_for(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    expected, stream = (
        client.expect(xchws.Message, lambda told: "900" in told.text),
        client.events(xchws.Message, timeout=5),
    )
    indodax.place("btcidr", "SELL", "900", "1")
    assert "900" in expected.result(5).text
    assert any("900" in message.text for message in stream)
    stream.close()
    everything = client.events(xchws.Event)
    seen = client.expect(xchws.Order)
    indodax.place("btcidr", "SELL", "901", "1")
    seen.result(5)
    client.stop()
    told = list(everything)
    assert any(isinstance(event, xchws.Order) for event in told)
    assert not any(isinstance(event, xchws.Message) for event in told), "they are for those who ask for them"


def test_a_loop_that_is_too_slow_is_told_so(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax(capacity=5)
    client.start(5)
    stream = client.events(xchws.Order)
    last = client.expect(xchws.Order, quantity=8)
    with indodax.batch():
        for number in range(8):
            indodax.place("btcidr", "SELL", "900", str(number + 1))
    last.result(5)
    assert [int(next(stream).quantity) for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(xchws.SlowConsumer) as slow:
        next(stream)
    assert slow.value.dropped == 3


def test_what_was_expected_is_in_the_streams_already(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    client.start(5)
    streams: List[Any] = []
    kept: List[List[int]] = []
    for _ in range(8):
        client.expect(xchws.Order, where=lambda order: kept.append([len(stream._events) for stream in streams]))
        streams.append(client.events(xchws.Order))
    indodax.place("btcidr", "SELL", "900", "1")
    last = client.expect(xchws.Order, quantity=2)
    indodax.place("btcidr", "SELL", "900", "2")
    last.result(5)
    assert kept[:8] == [[1] * 8] * 8


def places(error: BaseException) -> int:
    """How many places it has come through."""
    return sum(1 for _ in traceback.walk_tb(error.__traceback__))


def test_an_error_that_many_are_told_does_not_grow(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client = make_richamster()
    richamster.reject_subscription()
    refused = client.subscribe_ticker("BTC/UAH")
    client.start(5)
    lengths = set()
    for _ in range(5):
        with pytest.raises(xchws.SubscriptionRejected) as raised:
            refused.wait(5)
        lengths.add(places(raised.value))
    assert len(lengths) == 1


def test_nothing_piles_up_after_the_end(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.add_account("another", "other-secret")
    client._exchange._secret = "wrong"
    with pytest.raises(xchws.AuthenticationFailed):
        client.start(5)
    lengths = set()
    for _ in range(5):
        client.stop(5)
        with pytest.raises(xchws.AuthenticationFailed) as raised:
            next(client.events(xchws.Order))
        lengths.add(places(raised.value))
    assert len(lengths) == 1
    assert not client._mail


def test_a_fatal_error_reaches_everybody_who_waits(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.add_account("another", "other-secret")
    client._exchange._secret = "wrong"
    expected, stream = client.expect(xchws.Order), client.events(xchws.Order)
    with pytest.raises(xchws.AuthenticationFailed) as refused:
        client.start(5)
    assert refused.value.code == "bad_sign"
    for wait in (lambda: client.wait_ready(1), lambda: expected.result(1), lambda: next(stream), client.run_forever):
        with pytest.raises(xchws.XchwsError):
            wait()
    assert client.status().state is xchws.State.STOPPED
    assert client.status().last_error is refused.value
    assert len(indodax.rest_requests) == 1, "a refused key is not tried again"


def test_subscriptions(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    errors: List[Any] = []
    client = make_richamster(richamster.token, on_error=errors.append)
    early = client.subscribe_ticker("BTC/UAH")
    assert early.name == "ticker BTC/UAH" and early.state == "pending" and not early.active
    assert client.subscribe_ticker("BTC/UAH") is early
    client.start(5)
    assert early.wait(5) is early and early.active
    others = [client.subscribe_order_book("BTC/UAH"), client.subscribe_user_orders("BTC/UAH")]
    for subscription in others:
        subscription.wait(5)
    asked = [message["channel"] for message in richamster.messages]
    assert asked == ["ticker", "order_book", "user_orders"]
    richamster.reject_subscription("Currency pair is invalid.")
    refused = client.subscribe_trades("XXX/UAH")
    with pytest.raises(xchws.SubscriptionRejected, match="Currency pair is invalid"):
        refused.wait(5)
    assert refused.state == "refused"
    assert client.status().state is xchws.State.READY and richamster.opened == 1
    others[0].unsubscribe()
    others[0].unsubscribe()
    with pytest.raises(xchws.StateError, match="ended"):
        others[0].wait(1)
    assert client.status().subscriptions == (("ticker BTC/UAH", "active"), ("user_orders BTC/UAH", "active"))
    client.stop()
    assert early.state == "ended"
    with pytest.raises(xchws.StateError):
        client.subscribe_ticker("ETH/UAH")
    assert [type(error) for error in errors] == [xchws.SubscriptionRejected]
    assert richamster.complaints == []


def test_each_subscription_is_sent_again_once(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client = make_richamster()
    client.start(5)
    pairs = ["BTC/UAH", "ETH/UAH", "KRB/UAH"]
    subscriptions = [client.subscribe_trades(pair).wait(5) for pair in pairs]
    for _ in range(3):
        gaps = [client.expect(xchws.Gap, channels=(subscription.name,)) for subscription in subscriptions]
        richamster.drop()
        for gap in gaps:
            assert gap.result(5).since <= gap.result(0).until
        for subscription in subscriptions:
            subscription.wait(5)
    assert [message["pair"] for message in richamster.messages] == pairs * 4
    assert client.status().reconnects == 3


def test_an_unanswered_subscription(richamster: RichamsterSandbox, make_richamster: Make) -> None:
    client = make_richamster()
    client.start(5)
    richamster.ignore_next("any")
    subscription = client.subscribe_ticker("BTC/UAH")
    with pytest.raises(xchws.WaitTimeout, match="was not answered within 0.05 s"):
        subscription.wait(0.05)


def test_ready_in_time_or_not(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    with pytest.raises(xchws.StateError, match="not started"):
        client.wait_ready(1)
    indodax.refuse(503, "maintenance")
    with pytest.raises(xchws.WaitTimeout, match="HTTP 503: maintenance"):
        client.start(0.3)
    indodax.accept()
    client.wait_ready(5)


def test_status_is_true(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    new = client.status()
    assert (new.state, new.since, new.last_message, new.reconnects) == (xchws.State.NEW, None, None, 0)
    client.start(5)
    ready = client.status()
    assert ready.state is xchws.State.READY and ready.threads_alive and ready.attempt == 0
    assert ready.since is not None and ready.last_message is not None and ready.token_expires is not None
    assert timedelta(hours=23) < ready.token_expires - ready.since < timedelta(hours=25)
    indodax.refuse(502, "<html>bad gateway</html>")
    down = client.expect(xchws.Disconnected, where=lambda event: isinstance(event.error, xchws.OpenFailed) or True)
    indodax.drop()
    down.result(5)
    assert client.status().state in (xchws.State.WAITING, xchws.State.CONNECTING)
    indodax.accept()
    client.wait_ready(5)
    again = client.status()
    assert again.reconnects == 1 and isinstance(again.last_error, xchws.ConnectionFailed)
    client.stop()
    assert client.status().state is xchws.State.STOPPED


def test_wait_ready_is_woken_from_another_thread(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    client = make_indodax()
    indodax.refuse(503)
    client.start()
    woken = threading.Event()

    def wait() -> None:
        client.wait_ready(10)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    indodax.accept()
    assert woken.wait(10)
    thread.join()


def test_events_of_a_client_that_was_stopped_are_none(indodax: IndodaxSandbox, make_indodax: Make) -> None:
    unstarted, client = make_indodax(), make_indodax()
    unstarted.stop()
    client.start(5)
    before = client.events(xchws.Order)
    client.stop()
    assert [list(stream) for stream in (before, client.events(xchws.Order), unstarted.events(xchws.Order))] == [
        [],
        [],
        [],
    ]


@pytest.mark.parametrize("callbacks", ["thread", "inline"])
def test_what_a_callback_raises_reaches_those_who_wait_too(
    indodax: IndodaxSandbox, make_indodax: Make, callbacks: str
) -> None:
    told: List[Any] = []
    client = make_indodax(callbacks=callbacks, on_error=told.append)

    def raises(order: xchws.Order) -> None:
        raise ValueError(str(order.quantity))

    client.on_order(raises)
    client.start(5)
    stream = client.events(xchws.Failure, timeout=5)
    third = client.expect(xchws.Failure, where=lambda failure: str(failure.error).endswith("3"))
    for number in (1, 2, 3):
        indodax.place("btcidr", "SELL", "900", str(number))
    errors = [next(stream).error for _ in range(3)]
    assert [str(error.__cause__) for error in errors] == ["1", "2", "3"]
    assert all(isinstance(error, xchws.CallbackError) for error in errors)
    assert third.result(5).error is errors[2]
    client.stop()
    assert told == errors and list(stream) == []


def test_a_client_is_not_copied_or_sent_elsewhere(make_indodax: Make) -> None:
    """multiprocessing's "spawn" and "forkserver" pickle the arguments of a process."""
    with pytest.raises(TypeError, match="Make a new client there"):
        pickle.dumps(make_indodax())


def test_what_became_of_an_earlier_subscription_is_not_said_of_a_new_one(
    richamster: RichamsterSandbox, make_richamster: Make
) -> None:
    client = make_richamster()
    earlier = client.subscribe_ticker("BTC/UAH")
    client.start(5)
    earlier.wait(5)
    entered, go_on = threading.Event(), threading.Event()

    def hold(now: float) -> List[Any]:
        entered.set()
        assert go_on.wait(10)
        return [Settled(earlier.topic, state) for state in ("active", "refused")]

    client._post(hold)
    assert entered.wait(5)
    earlier.unsubscribe()
    later = client.subscribe_ticker("BTC/UAH")
    go_on.set()
    assert later.wait(5).active and not earlier.is_wanted
