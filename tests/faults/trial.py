"""Trial: one client, its simulated exchange and the wire between, while a fault is done to them; and what is asked afterwards.

Everything that a user is told is kept in the order of telling. On the owner thread, where nothing can change meanwhile, the
client's `status()` is looked at with every event.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
    Type,
    TypeVar,
)
from unittest.mock import patch

import pytest

import xchws
from tests.faults import certificates
from tests.faults.outcomes import Ready, Stopped
from tests.faults.peer import Peer, Script
from tests.faults.timepiece import Timepiece
from tests.rigs import Rig
from xchws.events import Data, State
from xchws.sandbox import FaultProxy

if TYPE_CHECKING:
    from tests.faults.fault import Fault

E = TypeVar("E", bound=xchws.Event)
T = TypeVar("T")

WAIT = 10.0  # seconds, for anything that must come about
LONG = 0.1  # seconds; a wait between tries that is longer is not waited for: the clock leaps
TEDIOUS = 901.0  # seconds; where a key was good before, it takes five refusals and an hour until that is the end
FAR = 7_000_000
TRANSIT = 0.25  # seconds; on this machine nothing is on its way, or waits to be read, for longer
NAME = "exchange.invalid"  # RFC 6761: nobody has it

WALK = {
    State.NEW: {State.CONNECTING, State.STOPPED},
    State.CONNECTING: {State.READY, State.SUSPENDED, State.WAITING, State.STOPPED},
    State.READY: {State.SUSPENDED, State.WAITING, State.CONNECTING, State.STOPPED},
    State.SUSPENDED: {State.READY, State.WAITING, State.CONNECTING, State.STOPPED},
    State.WAITING: {State.CONNECTING, State.STOPPED},
    State.STOPPED: set(),
}


class Trial:
    """A client (not started) and all that can be done to it.

    Attributes:
        outcome: how it must end.
        sandbox, client: both ends; subscriptions: the usual ones.
        proxy: the wire of the stream; rest_proxy: of REST, where there is one.
        time: the client's clock.
        events: all that was told so far, in order; errors: what `on_error` got.
        astray: port -> the port that is dialled instead; None: the exchange's name is unknown. Where it is dialled by a name.
        dial: begins to connect, in whichever way the act wants it: `start()`, or a cut of a connection that serves.
        look_up: looking up the name takes until this is set.
        dialled: how often the stream has been dialled by its name.
        user: something of the user's, where a fault is in that.
        again: the client has been served before, by and by.
        patient: tries are not hurried: the client waits as long as it says.
    """

    def __init__(self, rig: Rig, fault: Fault) -> None:
        self.rig = rig
        self.outcome = fault.of(rig)
        self.fault = fault
        self.time = Timepiece()
        self.events: List[xchws.Event] = []
        self.errors: List[xchws.XchwsError] = []
        self.dial: Callable[[], None] = self._start
        self.again = False
        self.user: Any = None
        self.patient = False
        self.dialled = 0
        self.look_up: Optional[threading.Event] = None
        self._told = threading.Condition()
        self._published: Dict[int, float] = {}  # number -> when, monotonic
        self._number = 0
        self._walls: Dict[int, float] = {}  # id of a Gap -> by how much the wall clock was wrong when it was told
        self._odd: List[str] = []  # what status() said that cannot be
        self._mark = 0
        self._ours: List[
            Any
        ] = []  # errors that are no news: of connections that the trial has cut, and texts of others
        self._forgotten = 0  # how many of the errors belong to the first act
        self.astray: Dict[int, Optional[int]] = {}
        self._stack = ExitStack()

    # ------------------------------------------------------------------------------------------------ its beginning

    def __enter__(self) -> Trial:
        with ExitStack() as stack:
            stack.enter_context(self.time.installed())
            options = self.fault.exchange(self.rig)
            context = certificates.server() if self.fault.tls else None
            self.sandbox = stack.enter_context(self.rig.sandbox(ssl_context=context, **options))
            self.proxy = stack.enter_context(FaultProxy("127.0.0.1", self.sandbox.port))
            arguments: Dict[str, Any] = {"url": self.proxy.url(self.sandbox.url), **self.fault.options(self)}
            if self.rig.rest != "never" and self.fault.rest:
                self.rest_proxy = stack.enter_context(FaultProxy("127.0.0.1", self.rig.rest_port(self.sandbox)))
                arguments["rest_url"] = self.rest_proxy.url(self.sandbox.rest_url)
            if self.fault.tls:
                arguments["tls"] = certificates.trusting()
            if self.fault.named:
                stack.enter_context(patch.object(socket, "getaddrinfo", self._getaddrinfo))
                stack.enter_context(patch.dict(os.environ, {"NO_PROXY": "*"}))
                for name in ("url", "rest_url"):
                    if name in arguments:
                        arguments[name] = arguments[name].replace("127.0.0.1", NAME)
            self.client: Any = self.rig.client(self.sandbox, **arguments)
            self.subscriptions = self.rig.subscribe(self.sandbox, self.client)
            stack.callback(self._end)
            self.client.on_error(self.errors.append)  # before the next one: whom that wakes finds the error told
            self.client.on(xchws.Event, self._tell)
            self.client.expect(xchws.Event, where=self._look)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.close()

    def enter(self, context: ContextManager[T]) -> T:
        """Enter a context that lasts as long as the trial."""
        return self._stack.enter_context(context)

    def _end(self) -> None:
        assert self.client.stop(WAIT), "the client did not end"

    def _tell(self, event: xchws.Event) -> None:
        with self._told:
            self.events.append(event)
            self._told.notify_all()

    # ------------------------------------------------------------------------------------------ on the owner thread

    def _look(self, event: xchws.Event) -> bool:
        status = self.client.status()
        if isinstance(event, xchws.Gap):
            self._walls[id(event)] = self.time.wrong
        if isinstance(event, xchws.Disconnected) and (event.retry_in or 0.0) > LONG and not self.patient:
            self.time.leapt += event.retry_in or 0.0
        if isinstance(event, xchws.Disconnected) and event.retry_in is not None and self.again and self._is_to_stop:
            self.time.leapt += TEDIOUS
        odd = []
        if not status.threads_alive:
            odd.append("a thread is dead")
        if (status.state is State.WAITING) != (status.retry_in is not None):
            odd.append(f"retry_in is {status.retry_in}")
        if (status.state is State.READY) != (status.attempt == 0) and status.state in (State.READY, State.CONNECTING):
            odd.append(f"attempt is {status.attempt}")
        if status.state is State.WAITING and status.last_error is None:
            odd.append("there is no last_error")
        if odd:
            self._odd.append(f"{event!r}: {status.state}: {', '.join(odd)}")
        return False

    @property
    def _is_to_stop(self) -> bool:
        return isinstance(self.outcome, Stopped) and self.outcome.error is not None

    # --------------------------------------------------------------------------------------------- names and the clock

    def _getaddrinfo(self, host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
        if host == NAME:
            asked, host, port = port, "127.0.0.1", self.astray.get(port, port)
            self.dialled += asked == self.proxy.port
            self.sandbox.record.notify()
            if self.look_up is not None:
                self.look_up.wait(WAIT)
            if port is None:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return _getaddrinfo(host, port, *arguments, **more)

    def leap(self, seconds: float) -> None:
        """Let so much time pass for the client, and see to it that it has noticed."""
        self.time.leapt += seconds
        self.noticed()

    def noticed(self) -> None:
        """Wait until the owner thread has gone round once more."""
        for _ in range(2):  # in the first turn it may have looked at its timers already
            turned = threading.Event()

            def turn(now: float, turned: threading.Event = turned) -> List[Any]:
                turned.set()
                return []

            self.client._loop.post(turn)
            give_up = time.monotonic() + WAIT
            while not turned.wait(0.05) and self.client.status().state is not State.STOPPED:
                if time.monotonic() > give_up:
                    raise TimeoutError("the owner thread does not turn")

    # ------------------------------------------------------------------------------------------------------ what is done

    def _start(self) -> None:
        self.client.start()

    def second_act(self) -> None:
        """From now on connecting begins with the loss of a connection that serves. What has been told so far is no news."""
        self.again = True
        self.dial = self.cut
        self._forgotten = len(self.errors)
        self._mark = self.mark()

    def cut(self) -> None:
        """Lose the connection that serves, by a FIN; told when it returns."""
        self._ours.append(self.lose(self.proxy.cut).error)

    def forgive(self, text: str) -> None:
        """An error with this text is no news."""
        self._ours.append(text)

    def lose(self, act: Callable[[], Any]) -> xchws.Disconnected:
        """Do what costs the connection; return when that is told. A numbered event is published to nobody meanwhile."""
        mark = self.mark()
        act()
        self.publish()
        return self.came(xchws.Disconnected, mark)

    @contextmanager
    def detour(self, script: Script, tls: Optional[ssl.SSLContext] = None) -> Iterator[Peer]:
        """New connections lead to a peer that follows the script."""
        with Peer(script, tls) as peer:
            before = self.proxy.target
            self.proxy.target = ("127.0.0.1", peer.port)
            yield peer
            self.proxy.target = before

    def echo_answers(self) -> None:
        """From now on the exchange gives every answer twice."""
        for name in ("reply", "reply_at_once"):
            answer = getattr(self.sandbox, name, None)
            if answer is not None:

                def twice(*arguments: Any, answer: Callable[..., Any] = answer) -> None:
                    answer(*arguments)
                    answer(*arguments)

                setattr(self.sandbox, name, twice)

    def publish(self) -> int:
        """Publish the next number, whoever hears it."""
        self._number += 1
        self._published[self._number] = self.time.monotonic()
        self.rig.tell(self.sandbox, self._number)
        return self._number

    def heard(self) -> None:
        """Publish some numbers, and see them come through."""
        for _ in range(3):
            number = self.publish()
        self._comes(number)

    def heard_on(self, connections: int) -> None:
        """Publish a number, and wait until it has been read on so many connections."""
        self._number += FAR  # so that its digits stand in no other message
        marker = str(self._number + 1).encode()
        read: Set[int] = set()
        received = self.client._session.received

        def watch(link: int, items: Any, now: float) -> Any:
            if any(isinstance(item, bytes) and marker in item for item in items):
                with self._told:
                    read.add(link)
                    self._told.notify_all()
            return received(link, items, now)

        with patch.object(self.client._session, "received", watch):
            self._comes(self.publish())
            with self._told:
                assert self._told.wait_for(lambda: len(read) >= connections, WAIT), f"read on {read}"

    def _comes(self, number: int) -> None:
        mark = self._mark
        self.came(Data, 0, lambda event: self.rig.number(event) == number)
        self._mark = mark  # what is waited for next may have been told before the number

    # -------------------------------------------------------------------------------------------------- what is waited for

    def mark(self) -> int:
        """Where `came` is to begin to look."""
        with self._told:
            return len(self.events)

    def came(self, kind: Type[E], mark: Optional[int] = None, where: Callable[[Any], bool] = lambda event: True) -> E:
        """Wait for an event after the mark; without one, after the last that this method has found."""
        begin = self._mark if mark is None else mark
        found: List[E] = []

        def look() -> bool:
            for place in range(begin, len(self.events)):
                event = self.events[place]
                if isinstance(event, kind) and where(event):
                    found.append(event)
                    self._mark = max(self._mark, place + 1)
                    return True
            return False

        with self._told:
            if not self._told.wait_for(look, WAIT):
                raise TimeoutError(f"no {kind.__name__}; told was {self.events[begin:]}")
        return found[0]

    def failed(self, kind: Type[xchws.XchwsError] = xchws.XchwsError) -> xchws.Disconnected:
        """Wait for the next try that fails."""
        event = self.came(xchws.Disconnected, where=lambda event: not self.is_ours(event.error))
        assert isinstance(event.error, kind), repr(event.error)
        return event

    def asked(self, count: Callable[[], int], more: int = 1) -> None:
        """Wait until the exchange has been asked for so much more than by now."""
        before = count()
        self.sandbox.wait_until(lambda: count() >= before + more, WAIT)

    def serves(self, without: Tuple[str, ...] = ()) -> None:
        """Wait until client and exchange agree that all is served, and see two numbers come through."""
        patiently(self.client.wait_ready)
        for subscription in self.subscriptions:
            if subscription.name not in without:
                patiently(subscription.wait)
        wanted = [name for name in self.rig.wanted(self.sandbox) if name not in without]
        fine = [wanted] if self.rig.unsubscribes else [wanted, self.rig.wanted(self.sandbox)]
        sandbox = self.sandbox
        try:
            sandbox.wait_until(lambda: sandbox.subscriptions in fine and len(sandbox.sessions) == 1, WAIT)
        except TimeoutError:
            raise TimeoutError(f"{sandbox.subscriptions} on {sandbox.sessions}, not {wanted}") from None
        if self.rig.numbered not in without:
            for number in (self.publish(), self.publish()):
                self._comes(number)

    # ------------------------------------------------------------------------------------------------- what must hold

    def check(self, outcome: Ready, first: bool = False) -> None:
        """What must hold after the fault, while the client serves. `first`: nothing had been whole that could be missed."""
        status = self.client.status()
        assert status.state is State.READY and status.threads_alive, status
        assert (status.attempt, status.retry_in) == (0, None), status
        known = sorted(status.subscriptions)
        wanted = (
            [] if self.rig.together else [name for name in self.rig.wanted(self.sandbox) if name not in outcome.without]
        )
        assert known == [(name, "active") for name in wanted], status
        connected = sum(isinstance(event, xchws.Connected) for event in self.events)
        assert status.reconnects == connected - 1 + outcome.renewals, status
        ends = [event.error for event in self.events if isinstance(event, xchws.Disconnected)]
        if ends:
            assert status.last_error is not None and any(status.last_error is error for error in (*ends, *self.errors))
        self._check_told(outcome.error)
        self._check_gaps(outcome.gaps(self.rig), outcome.again, first)
        self._check_numbers()

    def _check_told(self, error: Optional[Type[xchws.XchwsError]]) -> None:
        """Nothing is silent: every end is told to on_error, and the fault among what is."""
        for event in self.events:
            if isinstance(event, xchws.Disconnected) and event.error is not None:
                planned = event.error.__class__ is xchws.ConnectionLost and "renewed" in str(event.error)
                assert planned or any(event.error is told for told in self.errors), f"on_error was not told of {event}"
        news = [told for told in self.errors[self._forgotten :] if not self.is_ours(told)]
        if error is None:
            assert news == []
        else:
            assert any(isinstance(told, error) for told in news), self.errors

    def is_ours(self, error: Optional[xchws.XchwsError]) -> bool:
        """Whether an error is no news."""
        return any(error is ours or (isinstance(ours, str) and ours in str(error)) for ours in self._ours)

    def _gaps_told(self) -> Dict[str, List[bool]]:
        told: Dict[str, List[bool]] = {}
        for event in self.events:
            if isinstance(event, xchws.Gap):
                assert event.since <= event.until
                for channel in event.channels:
                    told.setdefault(channel, []).append(event.recovered)
        return told

    def _check_gaps(self, expected: Mapping[str, bool], again: bool, first: bool) -> None:
        """One of each stream. `again`: perhaps one more, where it had been whole in between, or had been at `first`."""
        told = self._gaps_told()
        if again and first:
            assert all(len(found) == 1 or name in self.rig.begins_anew for name, found in told.items()), told
            return
        expected = {} if first else expected
        connections = sum(isinstance(event, xchws.Connected) for event in self.events)
        assert set(told) == set(expected), told
        for channel, recovered in expected.items():
            most = connections - 1 if again else 1
            most *= 2 if channel in self.rig.begins_anew and not recovered else 1
            assert len(told[channel]) <= most and (again or told[channel][-1] is recovered), told
        if self.rig.together and expected:
            assert again or sum(isinstance(event, xchws.Gap) for event in self.events) == 1

    def _check_numbers(self, ended: bool = False) -> None:
        """Once each, in order; and what is missing was told in a Gap's time, which begins no earlier than it need. `ended`:
        it may also be missing because it came after the end."""
        heard: List[int] = []
        gaps: List[Tuple[xchws.Gap, int]] = []  # with what had been heard before it
        for event in self.events:
            if isinstance(event, xchws.Gap) and self.rig.numbered in event.channels:
                gaps.append((event, heard[-1] if heard else 0))
            elif isinstance(event, Data):
                number = self.rig.number(event)
                if number is not None:
                    heard.append(number)
        assert heard == sorted(set(heard)), heard
        spans = [self._span(gap) for gap, _ in gaps]
        missed = set(self._published) - set(heard)
        for number in missed:
            told_at = self._published[number]
            last = ended and (not heard or number > heard[-1])
            assert last or any(since - TRANSIT <= told_at <= until for since, until in spans), (
                f"{number} is missing, without a word"
            )
        for (gap, before), (since, until) in zip(gaps, spans):
            if gap.recovered and self.rig.replays:
                for number in missed:
                    if since <= self._published[number] <= until and not (ended and number > heard[-1]):
                        # What was told while the exchange's answer was on its way belongs to the next break.
                        told_at = self._published[number] + TRANSIT
                        assert any(since < other <= told_at for other, _ in spans), (
                            f"recovered, and {number} is missing"
                        )
            assert not before or self._published[before] <= since + TRANSIT, "what was heard last is no part of the Gap"

    def _span(self, gap: xchws.Gap) -> Tuple[float, float]:
        """Its time by the monotonic clock."""
        set_now, self.time.wrong = self.time.wrong, self._walls[id(gap)]
        zero = self.time.wall_of(0.0)
        self.time.wrong = set_now
        return (gap.since - zero).total_seconds(), (gap.until - zero).total_seconds()

    def check_stopped(self, error: Optional[Type[xchws.XchwsError]]) -> None:
        """What must hold after the end."""
        stopped = self.came(xchws.Stopped, 0)
        assert stopped.error is None if error is None else isinstance(stopped.error, error), repr(stopped.error)
        assert self.client.stop(WAIT)
        status = self.client.status()
        assert status.state is State.STOPPED and status.subscriptions == () and status.retry_in is None, status
        assert self.events[-1] is stopped, "Stopped is the last event"
        if error is not None:
            assert status.last_error is stopped.error and any(told is stopped.error for told in self.errors)
            with pytest.raises(error) as raised:
                self.client.wait_ready(0)
            assert raised.value is stopped.error
        self.sandbox.wait_until(lambda: not self.sandbox.sessions, WAIT)
        self._check_numbers(ended=True)

    def close(self) -> None:
        """Stop the client; what must hold of every life."""
        assert self.client.stop(WAIT), "the client did not end"
        self.sandbox.wait_until(lambda: not self.sandbox.sessions, WAIT)
        assert self._odd == []
        status = self.client.status()
        assert (status.backlog, status.undelivered, status.callback_failures) == (0, 0, 0)
        at = State.NEW
        for event in self.events:
            if isinstance(event, xchws.StateChanged):
                assert event.old is at and event.new in WALK[at], self.events
                at = event.new
        assert at is self.client.status().state is State.STOPPED
        unexpected = [text for text in self.sandbox.complaints if not self.fault.may_complain(text)]
        assert unexpected == []


_getaddrinfo = socket.getaddrinfo


def patiently(wait: Callable[[float], Any]) -> None:
    """Wait by the clock on the wall: where the client's clock leaps, its own waits end early."""
    give_up = time.monotonic() + WAIT
    while True:
        try:
            wait(WAIT)
            return
        except xchws.WaitTimeout:
            if time.monotonic() >= give_up:
                raise
