"""Client: what every client of an exchange can do. The exchanges' own clients add their arguments and subscriptions."""

from __future__ import annotations

import difflib
import itertools
import random
import threading
from collections import deque
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterator, List, Optional, Type, TypeVar

from xchws import clock, log, process
from xchws.backoff import Backoff
from xchws.durations import checked_timeout, seconds
from xchws.errors import ConfigurationError, OpenFailed, StateError, WaitTimeout, XchwsError
from xchws.events import (
    Balance,
    BookLevel,
    Connected,
    Disconnected,
    Event,
    Failure,
    Fill,
    Gap,
    Message,
    Order,
    OrderBook,
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
from xchws.exchanges.exchange import Exchange
from xchws.hooks import Hook, check_hooks
from xchws.runtime.bell import Bell, Latch
from xchws.runtime.dispatcher import Dispatcher
from xchws.runtime.loop import Command, Loop
from xchws.runtime.registry import QUEUE, Registry
from xchws.runtime.signals import sigterm_calls
from xchws.runtime.strand import Strand
from xchws.sansio.actions import Effect, Resolved, Topic
from xchws.sansio.session import Session, Terms
from xchws.status import Status
from xchws.subscribing import Subscription, Subscriptions
from xchws.transports import tls as transports_tls
from xchws.transports.dialler import Dialler
from xchws.transports.http import Http
from xchws.transports.proxy import Proxy
from xchws.waiting import Answer, remaining
from xchws.watching import EventStream, Expectation, Filter, Watchers

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from typing_extensions import Literal, TypedDict

    class ClientOptions(TypedDict, total=False):
        """The keyword arguments that every client takes; Client says what they mean."""

        backoff: Optional[Backoff]
        open_timeout: float
        ping_interval: Optional[float]
        ping_timeout: Optional[float]
        proxy: Optional[str]
        tls: Optional[ssl.SSLContext]
        capacity: int
        callbacks: Literal["thread", "inline"]
        on_order: Callable[[Any], Any]
        on_fill: Callable[[Any], Any]
        on_balance: Callable[[Any], Any]
        on_position: Callable[[Any], Any]
        on_transfer: Callable[[Any], Any]
        on_trade: Callable[[Any], Any]
        on_ticker: Callable[[Any], Any]
        on_order_book: Callable[[Any], Any]
        on_book_level: Callable[[Any], Any]
        on_other: Callable[[Any], Any]
        on_connect: Callable[[Any], Any]
        on_disconnect: Callable[[Any], Any]
        on_gap: Callable[[Any], Any]
        on_suspend: Callable[[Any], Any]
        on_state: Callable[[Any], Any]
        on_stop: Callable[[Any], Any]
        on_error: Callable[[Any], Any]
        on_message: Callable[[Any], Any]


E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound="Client")

_MAX_MESSAGE = 16 * 1024 * 1024  # bytes; the largest message known of the five exchanges has some 100 KiB
_IN_A_HURRY = 0.25  # seconds for what is left to do at the end of stop(): to close sockets, and for threads to end


def _error_of(event: Event) -> XchwsError:
    assert isinstance(event, Failure)
    return event.error


def _data_of(event: Event) -> Any:
    assert isinstance(event, Message)
    return event.data


class Client:
    """A live connection to one exchange. It is made by an exchange's own class.

    The constructor does no I/O and starts no thread. All durations are seconds.

    Args:
        exchange: what is on the other side.
        backoff: how long to wait between tries; None: the exchange's default.
        open_timeout: for everything from the dial to READY.
        ping_interval: own pings after so long a quiet, where the exchange allows them; None: none.
        ping_timeout: how long to wait for any sign of life after a ping; None: for ever.
        proxy: `http://[user:password@]host:port`, `socks5://…`; None: the environment's.
        tls: the context for wss and https; None: the system's certificates are verified.
        capacity: how many events may wait for the callbacks; more: SlowConsumer, and the connection is remade.
        callbacks: "thread": on a thread of their own; "inline": on the owner thread, for the lowest latency; a slow
            function holds up the connection then, and waiting inside one raises StateError.
        on_…: functions to register, as by the methods of that name.

    Raises:
        ConfigurationError: an argument that cannot work; the text says what it may be.
    """

    on_order: Hook[Order] = Hook(Order)
    on_fill: Hook[Fill] = Hook(Fill)
    on_balance: Hook[Balance] = Hook(Balance)
    on_position: Hook[Position] = Hook(Position)
    on_transfer: Hook[Transfer] = Hook(Transfer)
    on_trade: Hook[Trade] = Hook(Trade)
    on_ticker: Hook[Ticker] = Hook(Ticker)
    on_order_book: Hook[OrderBook] = Hook(OrderBook)
    on_book_level: Hook[BookLevel] = Hook(BookLevel)
    on_other: Hook[Other] = Hook(Other)
    on_connect: Hook[Connected] = Hook(Connected)
    on_disconnect: Hook[Disconnected] = Hook(Disconnected)
    on_gap: Hook[Gap] = Hook(Gap)
    on_suspend: Hook[Suspended] = Hook(Suspended)
    on_state: Hook[StateChanged] = Hook(StateChanged)
    on_stop: Hook[Stopped] = Hook(Stopped)
    on_error: Hook[XchwsError] = Hook(Failure, _error_of)
    on_message: Hook[Any] = Hook(Message, _data_of)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check_hooks(cls)

    def __init__(
        self,
        exchange: Exchange,
        *,
        backoff: Optional[Backoff] = None,
        open_timeout: float = 10.0,
        ping_interval: Optional[float] = 20.0,
        ping_timeout: Optional[float] = 10.0,
        proxy: Optional[str] = None,
        tls: Optional[ssl.SSLContext] = None,
        capacity: int = 100_000,
        callbacks: str = "thread",
        **hooks: Callable[[Any], Any],
    ) -> None:
        if not isinstance(exchange, Exchange):
            raise ConfigurationError(
                f"exchange must be an Exchange, not {exchange!r}; a client is made by an exchange's own class, such as "
                "xchws.Indodax",
                argument="exchange",
            )
        self._exchange = exchange
        self._registry = Registry()
        if backoff is not None and not isinstance(backoff, Backoff):
            raise _unfit(exchange, "backoff", f"a xchws.Backoff(initial=…, maximum=…), not {backoff!r}")
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise _unfit(exchange, "capacity", f"a whole number of events, 1 or more, not {capacity!r}")
        if not isinstance(callbacks, str) or callbacks not in ("thread", "inline"):
            raise _unfit(exchange, "callbacks", f'"thread" or "inline", not {callbacks!r}')
        name = exchange.name
        self._open_timeout = seconds(open_timeout, "open_timeout", owner=name)
        self._proxy = Proxy.parse(proxy) if proxy is not None else None
        self._tls = transports_tls.checked(tls)
        self._bell = Bell()  # rung when the state changes and when a thread ends
        self._dispatcher = Dispatcher(
            self._registry,
            capacity,
            callbacks == "inline",
            exchange.name,
            self._bell,
            self._report,
            self._callbacks_lost,
        )
        self._session = Session(
            Terms(
                exchange=exchange.name,
                channels=exchange.channels,
                overlap=exchange.overlap,
                backoff=backoff or exchange.backoff,
                open_timeout=self._open_timeout,
                ping_interval=None if ping_interval is None else seconds(ping_interval, "ping_interval", owner=name),
                ping_timeout=None if ping_timeout is None else seconds(ping_timeout, "ping_timeout", owner=name),
                # Of the system: processes that are forked from one must not all wait equally long.
                draw=random.SystemRandom().random,
                utc_of=clock.utc_of,
                verbatim=self._wants_messages,
                congested=lambda: self._dispatcher.backlog > capacity // 2,
            )
        )
        self._capacity = capacity
        self._entered = threading.Lock()  # taken by the first start(), and kept
        self._owner = Strand(f"xchws {exchange.name} owner", self._own, self._owner_ended, self._bell)
        self._mail: Deque[Command] = deque()
        self._loop: Optional[Loop] = None
        self._ended: Latch[Optional[XchwsError]] = Latch(self._bell)
        self._forked = False
        self._tickets = itertools.count(1)
        self._answers: Dict[int, Answer] = {}  # one entry comes or goes at a time, which is atomic
        self._watchers = Watchers(self._check_wait, self._ended, self._ending)
        self._subscriptions = Subscriptions(
            exchange.name,
            self._session,
            self._post,
            self._check_wait,
            self._check_process,
            self._ended,
            exchange.begin,
        )
        self._register(hooks)
        process.remember(self)

    def _register(self, hooks: Dict[str, Callable[[Any], Any]]) -> None:
        known = [name for name in dir(type(self)) if isinstance(getattr(type(self), name), Hook)]
        for name, function in hooks.items():
            if name not in known:
                close = difflib.get_close_matches(name, [*known, *_OPTIONS], n=1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join([*_OPTIONS, *known])}"
                raise ConfigurationError(
                    f"{self._exchange.name}: unknown argument {name!r}{hint}",
                    argument=name,
                    exchange=self._exchange.name,
                )
            getattr(self, name)(function)

    # --------------------------------------------------------------------------------------------------- registering

    def on(
        self, event_class: Type[Event], function: Optional[F] = None, *, when_slow: str = QUEUE, **filters: Any
    ) -> Any:
        """Register a function for a class of events and its subclasses; without a function, return a decorator.

        `on(xchws.Event, …)` gets every event, but the messages as they came only with `on(xchws.Message, …)`. The function
        gets the event itself, whatever its class.

        Raises:
            ConfigurationError: no event class, no plain function (a coroutine function is none), an unknown filter, or a
                `when_slow` that is unknown or not for these events.
        """
        self._check_process()
        if function is None:
            self._registry.check(event_class, filters, when_slow)
            return lambda decorated: self.on(event_class, decorated, when_slow=when_slow, **filters)
        self._registry.add(event_class, function, filters, when_slow)
        return function

    def off(self, function: Callable[..., Any]) -> int:
        """Take out every registration of a function; how many there were. What waits for it is not delivered.

        Raises:
            ConfigurationError: what is given is no function.
            StateError: a copy in a forked child.
        """
        self._check_process()
        if not callable(function):
            raise _unfit(self._exchange, "function", f"a function that was registered, not {function!r}")
        return self._registry.remove(function)

    # --------------------------------------------------------------------------------------------------------- living

    def start(self, timeout: Optional[float] = None) -> None:
        """Start the threads and begin to connect. With a timeout, wait so many seconds for READY as well.

        Raises:
            StateError: started before, stopped before, or a copy in a forked child.
            WaitTimeout: not READY in time; the client goes on trying.
            ConfigurationError: the timeout is no number of seconds.
            XchwsError: what ended the client meanwhile, such as AuthenticationFailed.
        """
        checked_timeout(timeout)
        if not self._begin():
            raise StateError(f"{self._exchange.name}: stopped while it was being started; make a new client")
        if timeout is not None:
            self.wait_ready(timeout)

    def _begin(self) -> bool:
        """Start the threads; False if stop() came meanwhile, from another thread or a signal handler."""
        self._check_process()
        name = self._exchange.name
        if self._owner.is_over:
            raise StateError(f"{name}: a stopped client cannot be started again; make a new one")
        if not self._entered.acquire(blocking=False):
            raise StateError(f"{name}: the client is started")
        loop = None
        try:
            loop = self._loop = self._make_loop()
            self._dispatcher.start()
            self._owner.start()
        except BaseException as error:
            if loop is not None:
                raise self._not_begun(loop, error) from None
            self._entered.release()
            if isinstance(error, OSError):
                raise OpenFailed(f"{name}: no sockets are to be had: {error}", exchange=name) from error
            raise
        if self._owner.called_off:
            loop.discard()
            return False
        return True

    def _not_begun(self, loop: Loop, error: BaseException) -> BaseException:
        """The threads could not be started, or Ctrl-C came meanwhile; what is to be raised."""
        if isinstance(error.__context__, KeyboardInterrupt):
            error = error.__context__  # it has upset what threading was in the middle of
        if isinstance(error, (RuntimeError, MemoryError)):
            text = f"{self._exchange.name}: the threads could not be started: {error}"
            failure = XchwsError(text, exchange=self._exchange.name)
            failure.__cause__ = error
        else:
            failure = None
        if self._owner.call_off():  # else the owner has begun all the same, and the client lives
            self._finish_unbegun(failure)
            loop.discard()
        return failure or error

    def _make_loop(self) -> Loop:
        name, secrets = self._exchange.name, self._exchange.secrets
        offset = self._exchange.offset
        http = Http(name, secrets, self._proxy, self._tls, self._open_timeout, offset)
        dialler = Dialler(name, secrets, self._proxy, self._tls, offset, _MAX_MESSAGE)
        return Loop(
            self._mail,
            self._session,
            self._exchange,
            http,
            dialler,
            self._publish,
            self._subscriptions.settle,
            self._resolve,
            self._finish,
        )

    def _own(self) -> None:
        assert self._loop is not None, "it is there before its thread is started"
        self._loop.run()

    def wait_ready(self, timeout: Optional[float]) -> None:
        """Wait until the client is READY, at most `timeout` seconds (None: without end).

        Raises:
            WaitTimeout: not READY in time.
            ConfigurationError: the timeout is no number of seconds.
            StateError: not started, stopped, called on the owner thread, or a copy in a forked child.
            XchwsError: what ended the client.
        """
        checked_timeout(timeout)
        self._check_process()
        if self._loop is None and not self._ended.given:
            raise StateError(f"{self._exchange.name}: not started; call start() first")
        self._check_wait("wait for READY")
        over = self._bell.wait_for(lambda: self._session.state is State.READY or self._ended.given, timeout)
        if self._ended.given:
            raise self._ending()
        if not over:
            last = self._session.last_error
            because = f"; the last trouble was: {last}" if last is not None else ""
            raise WaitTimeout(
                f"{self._exchange.name}: not READY within {timeout:g} s (state {self._session.state}){because}"
            )

    def stop(self, timeout: Optional[float] = 5.0) -> bool:
        """End the connection and both threads, and deliver what waits for the callbacks, within `timeout` seconds.

        Idempotent, and legal from any thread, from a callback and from a signal handler. What the callbacks do not get to in
        time is given up, counted in `status().undelivered` and logged. It takes no lock that anybody else holds; but where a
        signal handler has interrupted the main thread in the middle of writing a log record, our threads that have something
        to log wait for that, so that it ends after the handler has returned.

        Args:
            timeout: None: until all has been delivered and has ended, however long that takes.

        Raises:
            ConfigurationError: the timeout is no number of seconds; nothing has been stopped.

        Returns:
            Whether everything has ended. From a callback it tells of the owner thread only (the callback's own thread ends
            when the callback returns); with inline callbacks it is False, for the same reason.
        """
        checked_timeout(timeout)
        if self._forked:
            return True  # nothing of this copy lives
        deadline = None if timeout is None else clock.monotonic() + timeout
        if self._owner.call_off():  # it has not begun, and never will
            self._finish_unbegun(None)
            return self._dispatcher.join(deadline)
        loop = self._loop
        assert loop is not None, "it is there before its thread begins"
        self._post(self._session.stop)
        if self._owner.is_current:
            return False
        ended = self._owner.join(deadline)
        if not ended:
            loop.hurry()
            ended = self._owner.join(clock.monotonic() + _IN_A_HURRY)
        if not (ended and self._dispatcher.join(deadline)):
            given_up = self._dispatcher.abandon()
            if given_up:
                log.warning(
                    "%s: stopped before the callbacks were done: %d events were not delivered",
                    self._exchange.name,
                    given_up,
                )
        until = clock.monotonic() + _IN_A_HURRY
        return self._dispatcher.join(until) and (ended or self._owner.join(until))

    def _finish_unbegun(self, error: Optional[XchwsError]) -> None:
        """The end of a client whose owner thread cannot tell of it: what that would do is done here."""
        self._session.stop(clock.monotonic(), error)
        self._finish(error)
        self._dispatcher.call_off()

    def _callbacks_lost(self) -> None:
        """On the callbacks thread, which ends before its time: a client that delivers nothing must not look alive."""
        error = self._thread_lost("callbacks")
        self._post(lambda now: self._session.stop(now, error))

    def _owner_ended(self) -> None:
        """On the owner thread, which ends: whatever ended it, the client has ended, too."""
        assert self._loop is not None, "it is there before its thread is started"
        if not (self._ended.given or self._forked or self._loop.left):
            self._loop.release()
            self._finish_unbegun(self._thread_lost("owner"))

    def _thread_lost(self, which: str) -> XchwsError:
        name = self._exchange.name
        return XchwsError(
            f"{name}: internal error, the client has stopped: its {which} thread has ended", exchange=name
        )

    def run_forever(self, *, handle_signals: bool = False) -> None:
        """Start, if that has not been done, and block until the client is stopped. Ctrl-C stops it cleanly.

        Args:
            handle_signals: SIGTERM stops it too, as long as this call lasts; only in the main thread.

        Raises:
            XchwsError: what ended the client, if it was neither `stop()` nor a signal.
            StateError: stopped before it was started, or a copy in a forked child.
            ConfigurationError: `handle_signals` outside the main thread.
        """
        asked: Latch[None] = Latch(self._bell)  # by SIGTERM
        try:
            with sigterm_calls(lambda: asked.give(None)) if handle_signals else nullcontext():
                if self._loop is None:
                    self._begin()
                self._check_process()
                self._check_wait("run_forever")
                self._bell.wait_for(lambda: asked.given or (self._ended.given and self._dispatcher.is_done), None)
                if asked.given:
                    self.stop()
                    return
        except KeyboardInterrupt:
            self.stop()
            return
        if self._ended.value is not None:
            raise self._ending()

    def __enter__(self: C) -> C:
        try:
            self.start()
        except KeyboardInterrupt:
            self.stop()  # there will be no __exit__
            raise
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        raised: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    def status(self) -> Status:
        """What the client is doing at this moment. Cheap, and legal at any time but in a forked child.

        Raises:
            StateError: a copy in a forked child.
        """
        self._check_process()
        session, loop, dispatcher = self._session, self._loop, self._dispatcher
        state, since = session.stage
        active, retry_at = session.active, session.retry_at
        expiry = active.expiry if active is not None else None
        retry_in = None
        if state is State.WAITING:
            retry_in = 0.0 if retry_at is None else remaining(retry_at)
        return Status(
            exchange=self._exchange.name,
            state=state,
            since=None if since is None else clock.utc_of(since),
            last_message=None if session.last_heard is None else clock.utc_of(session.last_heard),
            attempt=0 if state is State.READY else session.attempt,
            reconnects=max(0, session.connections - 1),
            last_error=session.last_error,
            retry_in=retry_in,
            subscriptions=tuple(
                (subscription.name, subscription.state)
                for subscription in self._subscriptions
                if subscription.is_wanted
            ),
            backlog=dispatcher.backlog,
            messages=loop.received if loop is not None else 0,
            callback_failures=dispatcher.callback_failures,
            undelivered=dispatcher.undelivered,
            token_expires=None if expiry is None else clock.utc_of(expiry),
            clock_offset=self._exchange.offset.seconds,
            threads_alive=state in (State.NEW, State.STOPPED) or (self._owner.works and dispatcher.works),
        )

    # -------------------------------------------------------------------------------------------------------- waiting

    def expect(
        self, event_class: Type[E], where: Optional[Callable[[E], bool]] = None, **filters: Any
    ) -> Expectation[E]:
        """Watch for an event from now on, so that what is done next cannot race it; `.result(timeout)` waits for it.

        It watches until the event has come; once its result has been asked for, only as long as somebody keeps it.

        Args:
            event_class: its class or a base class; where: a quick test, called on the owner thread;
            **filters: attribute=value.

        Raises:
            ConfigurationError: no event class, an unknown filter, or a `where` that cannot be called.
            StateError: a copy in a forked child.
        """
        self._check_process()
        checked = self._registry.check(event_class, filters, QUEUE)
        if where is not None and not callable(where):
            raise _unfit(
                self._exchange, "where", f"a function that takes the event and says whether it fits, not {where!r}"
            )
        return self._watchers.expect(Filter(event_class, checked, where))

    def events(self, event_class: Type[E], *, timeout: Optional[float] = None, **filters: Any) -> EventStream[E]:
        """The events from now on as an iterator, for code shaped as a loop; `EventStream` says how it ends.

        They are gathered as long as somebody keeps it.

        Args:
            event_class: their class or a base class; timeout: seconds to wait for each; **filters: attribute=value.

        Raises:
            ConfigurationError: no event class, an unknown filter, or a timeout that is no number of seconds.
            StateError: a copy in a forked child.
        """
        self._check_process()
        checked = self._registry.check(event_class, filters, QUEUE)
        return self._watchers.stream(Filter(event_class, checked, None), timeout, self._capacity)

    def _wants_messages(self) -> bool:
        return self._registry.wants_messages() or self._watchers.want_messages()

    def _ending(self) -> XchwsError:
        error = self._ended.value
        if error is None:
            return StateError(f"{self._exchange.name}: the client has been stopped")
        return error.with_traceback(None)  # each who waits raises it: their places would pile up

    # ---------------------------------------------------------------------------------------------------- subscribing

    def _subscribe(self, topic: Topic) -> Subscription:
        """The subscription of this topic: a new one, or the one that there is."""
        self._check_process()
        return self._subscriptions.subscribe(topic)

    def _find(self, topic: Topic) -> Optional[Subscription]:
        """The subscription of this topic, if there is one."""
        return self._subscriptions.find(topic)

    def _request(self, request: Any, timeout: Optional[float]) -> Any:
        """Have the protocol make a request and wait for its answer, at most `timeout` seconds (None: without end).

        Raises:
            WaitTimeout: no answer in time; whether the exchange carries it out is unknown.
            ConfigurationError: the timeout is no number of seconds; nothing was sent.
            RequestRejected: the exchange refuses it.
            ConnectionLost: there is no connection (then it was not sent), or it ended before the answer came.
            StateError: not started, stopped, called on the owner thread, or a copy in a forked child.
        """
        checked_timeout(timeout)
        self._check_process()
        self._check_wait("wait for an answer")
        name = self._exchange.name
        if self._loop is None:
            raise StateError(f"{name}: not started; call start() first")
        ticket = next(self._tickets)
        answer = Answer()
        try:
            self._answers[ticket] = answer
            # What nobody waits for any more when its turn comes is not sent.
            self._post(lambda now: self._session.request(ticket, request, now) if ticket in self._answers else [])
            if self._ended.given and self._answers.pop(ticket, None) is not None:
                raise StateError(f"{name}: the client has been stopped; the request was not sent")
            if answer.wait(timeout):
                return answer.value
        finally:
            self._answers.pop(ticket, None)
        raise WaitTimeout(f"{name}: no answer within {timeout:g} s; whether the request was carried out is unknown")

    def _report(self, failure: Failure) -> None:
        """On the callbacks thread: what a callback raised reaches those who wait, too; they are served by the owner only."""

        def offer(now: float) -> List[Effect]:
            self._watchers.offer([failure])
            return []

        self._post(offer)

    def _post(self, command: Command) -> None:
        if self._ended.given:
            return  # there is nobody any more to carry it out
        self._mail.append(command)
        if self._loop is not None:
            self._loop.wake()

    # ------------------------------------------------------------------------------------------- on the owner thread

    def _publish(self, events: List[Event]) -> int:
        for event in events:
            if isinstance(event, StateChanged):
                log.info("%s: %s -> %s", self._exchange.name, event.old, event.new)
                self._bell.ring()
            elif isinstance(event, Failure):
                log.warning("%s", event.error)
        self._watchers.offer(events)
        dropped = self._dispatcher.put(events)
        if dropped and self._session.state is State.STOPPED:
            self._dispatcher.lose(dropped)
        return dropped

    def _resolve(self, resolved: Resolved) -> None:
        answer = self._answers.get(resolved.ticket)
        if answer is not None:  # else nobody waits any more
            answer.give(resolved)
            self._answers.pop(resolved.ticket, None)

    def _finish(self, error: Optional[XchwsError]) -> None:
        """The end. What goes wrong with one of those who wait keeps it from no other, and is raised when all the others know."""
        error = self._ended.give(error)
        self._dispatcher.close()
        fault: Optional[BaseException] = None
        for tell in self._tellings(error):
            try:
                tell()
            except BaseException as raised:
                fault = raised
        if fault is not None:
            raise fault

    def _tellings(self, error: Optional[XchwsError]) -> Iterator[Callable[[], None]]:
        """What tells each of those who wait that the client has ended."""
        yield from self._watchers.tellings()
        yield from self._subscriptions.tellings(error)
        text = f"{self._exchange.name}: stopped; the request was not sent"
        for ticket in list(self._answers):
            yield partial(self._resolve, Resolved(ticket, error=StateError(text)))

    # --------------------------------------------------------------------------------- when the process forks or ends

    def _forsake(self) -> None:
        """In a forked child."""
        if not self._entered.locked() and not self._owner.is_over:
            self._subscriptions.unlock()  # all else is as good as new
            return
        self._forked = True
        error = self._forked_error()
        self._dispatcher.forsake()
        if self._loop is not None:
            self._loop.forsake()
        self._watchers.forsake(error)
        self._subscriptions.forsake(error)

    def _let_go(self) -> None:
        """At the end of the program: no function is called any more, and what waits for one is counted and said."""
        if self._forked or self._loop is None:
            return
        given_up = self._dispatcher.abandon()
        if given_up:
            log.warning("%s: the program ended: %d events were not delivered", self._exchange.name, given_up)
        self._loop.leave()

    def _is_gone(self, deadline: float) -> bool:
        """After `_let_go`: wait for the threads until a monotonic instant; whether they have ended."""
        if self._forked or self._loop is None:
            return True
        return self._owner.join(deadline) and self._dispatcher.join(deadline)

    # ------------------------------------------------------------------------------------------------------- guarding

    def _check_process(self) -> None:
        if self._forked:
            raise self._forked_error()

    def _forked_error(self) -> StateError:
        return StateError(
            f"{self._exchange.name}: this client was started before os.fork(); its connection belongs to the parent "
            "process. Make a new client in the child (in a Celery worker or under gunicorn: after the fork)"
        )

    def _check_wait(self, what: str) -> None:
        self._check_process()
        if self._owner.is_current:
            raise StateError(
                f"{self._exchange.name}: cannot {what} in an inline callback: it runs on the owner thread, which would wait "
                'for itself; use callbacks="thread"'
            )

    def __reduce__(self) -> Any:
        # What multiprocessing's "spawn" and "forkserver" do with an argument, and copy.copy().
        raise TypeError(
            f"{self._exchange.name}: a client cannot be copied or sent to another process: its connection belongs to this one. "
            "Make a new client there"
        )

    def __repr__(self) -> str:
        state = "a dead copy in a forked process" if self._forked else self._session.state
        return f"<{type(self).__name__} {state}>"


_OPTIONS = ("backoff", "open_timeout", "ping_interval", "ping_timeout", "proxy", "tls", "capacity", "callbacks")


def _unfit(exchange: Exchange, argument: str, wanted_is: str) -> ConfigurationError:
    return ConfigurationError(
        f"{exchange.name}: {argument} must be {wanted_is}", argument=argument, exchange=exchange.name
    )
