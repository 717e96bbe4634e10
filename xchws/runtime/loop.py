"""Loop: what the owner thread does. It waits on the socket and the wake-up pair, and does what the session decides.

Everything that may block for long, dialling and REST calls, runs on a helper thread which hands its result back through the
mailbox. Each of them has a CancelScope, by which it is ended when its time is up or nobody wants its result any more. So
stop() never waits for a mute peer, and a live connection is served while its successor is being dialled.
"""

from __future__ import annotations

import selectors
import socket
from datetime import datetime, timezone
from functools import partial
from typing import Callable, Deque, Dict, List, Optional

from xchws import clock, log
from xchws.errors import ConnectionFailed, HandshakeRejected, OpenFailed, XchwsError, text_of
from xchws.events import Event
from xchws.exchanges.exchange import Exchange
from xchws.runtime.bell import insist
from xchws.sansio import actions, frames
from xchws.sansio.actions import Close, Effect
from xchws.sansio.session import Session
from xchws.threads import OurThread
from xchws.transports.connection import Connection
from xchws.transports.dialler import Dialler
from xchws.transports.http import Http
from xchws.transports.route import Route
from xchws.transports.scope import CancelScope

_LINGER = 1.0  # seconds for which an ended connection may still send its close frame and read the peer's
_PATIENCE = 3600.0  # seconds for one select at most
_SCARCE = 0.1  # seconds after which there may be memory again
_READS = 8  # batches of one socket between two looks at the others, the mailbox and the timers

Command = Callable[[float], List[Effect]]


class _Forsaken(BaseException):
    """The process was forked in a function of the user's on this thread, and this is the child: nothing here is its business."""


class Loop:
    """Runs one session. `run` is the work of the owner thread.

    Args:
        mail: commands that have come already; more come by `post`.
        session: decides; exchange: says where to dial; http: makes its REST calls; dialler: opens its connections.
        publish: takes a batch of events and says how many did not fit.
        settled, resolved: take what became of subscriptions and requests.
        finished: is called last, on the owner thread, with the error that ended it; once more if it raises.
    """

    def __init__(
        self,
        mail: Deque[Command],
        session: Session,
        exchange: Exchange,
        http: Http,
        dialler: Dialler,
        publish: Callable[[List[Event]], int],
        settled: Callable[[actions.Settled], None],
        resolved: Callable[[actions.Resolved], None],
        finished: Callable[[Optional[XchwsError]], None],
    ) -> None:
        self._session = session
        self._exchange = exchange
        self._http = http
        self._dialler = dialler
        self._publish = publish
        self._settled = settled
        self._resolved = resolved
        self._finished = finished
        self._mail = mail
        self._events: List[Event] = []
        self._helpers: Dict[CancelScope, int] = {}  # what helper threads do, and for which link
        # Every open connection, from the moment that a helper thread has opened it until it is dropped.
        self._routes: Dict[Connection, Route] = {}
        self._connections: Dict[int, Connection] = {}
        self._lingering: Dict[Connection, float] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._over = False
        self._released = False
        self._forsaken = False
        self._error: Optional[XchwsError] = None
        self._stopped = False  # over, and that has been published
        self._told = False
        self._fault: Optional[BaseException] = None  # that has not been said
        name = exchange.name
        # Made beforehand: whatever fails when the owner thread has failed, there is something to say.
        self._internal = XchwsError(f"{name}: internal error, the client has stopped", exchange=name)
        self.received = 0  # messages
        self.left = False  # whether the program ends, and nobody is told of anything any more

    # ------------------------------------------------------------------------------------------------- on any thread

    def post(self, command: Command) -> None:
        """Have the owner thread do this. Takes no lock, so a signal handler may call it."""
        self._mail.append(command)
        self.wake()

    def wake(self) -> None:
        """Have the owner thread look at its mail."""
        try:
            self._waker.send(b"\0")
        except OSError:
            pass  # full: the owner will wake anyway; closed: it has ended, and what is posted comes too late

    def hurry(self) -> None:
        """Have the owner thread wait no more for the close frames of connections that have ended."""
        self.post(self._drop_lingering)

    def leave(self) -> None:
        """Have the owner thread say goodbye to the exchange and go, and tell nobody: the program ends."""
        self.left = True
        self.post(self._say_goodbye)

    def discard(self) -> None:
        """Let go of what was made for a thread that never began."""
        self._selector.close()
        for sock in (self._woken, self._waker):
            sock.close()

    def forsake(self) -> None:
        """In a forked child: let go of every descriptor without touching the parent's connection."""
        self._forsaken = True
        for connection in self._routes:
            connection.forsake()
        self._routes.clear()
        self._connections.clear()
        self._lingering.clear()
        for scope in self._helpers:
            scope.forsake()
        # Nothing is unregistered: to the kernel this selector is the parent's, too.
        self.discard()

    # ------------------------------------------------------------------------------------------- on the owner thread

    def run(self) -> None:
        """Live until the session is over. Whatever fails, it is over then, all is let go of, and everybody has been told."""
        # Each of the others twice: what failed for want of memory may work a little later.
        last = (self._break_off, self._break_off, self.release, self.release, self._tell_end, self._tell_end)
        for step in (self._live, self._stop, self._stop, *last):
            try:
                self._say_fault()
                step()
            except _Forsaken:
                return
            except BaseException as fault:  # nothing may end this thread unseen
                if self._forsaken:
                    raise  # out of the user's function in the child: it is the child's to show
                self._fault = fault
                if self._error is None and not self._stopped:
                    self._error = self._internal
                if isinstance(fault, MemoryError):
                    clock.pause(_SCARCE)
        self._say_fault()

    def _live(self) -> None:
        self._carry_out_mail()  # what was wanted before the start
        self._do(self._session.start(clock.monotonic()))
        self._deliver()
        while not self._over or self._lingering:
            self._turn()

    def _say_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            log.critical("%s: the owner thread failed", self._exchange.name, raised=fault)
            if self._error is self._internal:
                text = f"{self._internal}: {type(fault).__name__}: {self._exchange.secrets.redact(text_of(fault))}"
                self._error = XchwsError(text, exchange=self._exchange.name)

    def _stop(self) -> None:
        """After a fault: stop the session in order."""
        if not self._stopped:
            self._do(self._session.stop(clock.monotonic(), self._error))
            self._deliver()

    def _break_off(self) -> None:
        """Stop the session where that failed, too, or where the fault was in the middle of its stopping."""
        if not self._stopped:
            self._events = []
            self._do(self._session.break_off(clock.monotonic(), self._error or self._internal))
            self._deliver()

    def _tell_end(self) -> None:
        if not (self.left or self._told):
            self._finished(self._error)
            self._told = True

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._patience()):
            if key.data is None:
                self._drain_wakes()
            else:
                number, connection = key.data
                if mask & selectors.EVENT_WRITE:
                    self._flush(number, connection)
                if mask & selectors.EVENT_READ:
                    self._read(number, connection)
        self._carry_out_mail()
        self._deliver()  # a failed try is told before the next one begins
        now = clock.monotonic()
        due = self._session.deadline()
        if due is not None and now >= due:
            self._do(self._session.wake(now))
        for connection, until in list(self._lingering.items()):
            if now >= until:
                self._drop(connection)
        for scope in self._helpers:
            if now >= scope.deadline:
                scope.cancel()
        self._deliver()

    def _carry_out_mail(self) -> None:
        while self._mail:
            self._do(self._mail.popleft()(clock.monotonic()))

    def _patience(self) -> Optional[float]:
        if self._mail:
            return 0.0
        times = [*self._lingering.values(), *(scope.deadline for scope in self._helpers if not scope.cancelled)]
        due = self._session.deadline()
        if due is not None:
            times.append(due)
        # In pieces: epoll takes no more than some 24 days, and Retry-After may say anything.
        return min(_PATIENCE, max(0.0, min(times) - clock.monotonic())) if times else None

    def _drain_wakes(self) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            pass  # all drained

    def _read(self, number: int, connection: Connection) -> None:
        for _ in range(_READS):
            if self._connections.get(number) is not connection:
                self._read_lingering(connection)
                return
            try:
                items = connection.read()
            except ConnectionFailed as error:
                self._broken(number, connection, error)
                return
            if items is None:
                return
            self.received += len(items)
            self._do(self._session.received(number, items, clock.monotonic()))
            self._deliver()

    def _read_lingering(self, connection: Connection) -> None:
        """An ended connection: nothing that it says is wanted but its close frame or its end."""
        if connection not in self._lingering:
            return
        try:
            items = connection.read()
        except ConnectionFailed:
            self._drop(connection)
            return
        if items and any(isinstance(item, (frames.Close, frames.Violation)) for item in items):
            self._drop(connection)

    def _flush(self, number: int, connection: Connection) -> None:
        if self._connections.get(number) is not connection and connection not in self._lingering:
            return  # it ended in this very turn
        try:
            connection.flush()
        except ConnectionFailed as error:
            self._broken(number, connection, error)
        else:
            self._watch(number, connection)

    def _broken(self, number: int, connection: Connection, error: ConnectionFailed) -> None:
        self._drop(connection)
        if self._connections.pop(number, None) is connection:
            self._do(self._session.lost(number, getattr(error, "reason", str(error)), clock.monotonic()))

    def _watch(self, number: int, connection: Connection) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        known = self._selector.get_map().get(connection.fileno())
        if known is None:
            self._selector.register(connection, events, (number, connection))
        elif known.events != events:
            self._selector.modify(connection, events, (number, connection))

    def _drop(self, connection: Connection) -> None:
        """Close the socket at once."""
        self._lingering.pop(connection, None)
        try:
            self._selector.unregister(connection)
        except (KeyError, ValueError):
            pass  # not watched, or closed already
        connection.close()
        route = self._routes.pop(connection, None)
        if route is not None:
            self._exchange.ended(route)

    def _say_goodbye(self, now: float) -> List[Effect]:
        for effect in self._session.stop(now):
            if isinstance(effect, actions.Hangup):
                self._hang_up(effect)
        self._over = self._stopped = True
        return self._drop_lingering(now)

    def _drop_lingering(self, now: float) -> List[Effect]:
        for connection in list(self._lingering):
            self._drop(connection)
        return []

    # ------------------------------------------------------------------------------------------------------- effects

    def _do(self, effects: List[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Event):
                self._events.append(effect)
            elif isinstance(effect, actions.Write):
                self._write(effect)
            elif isinstance(effect, actions.Dial):
                self._dial(effect)
            elif isinstance(effect, actions.Hangup):
                self._hang_up(effect)
            elif isinstance(effect, actions.Run):
                self._run_job(effect)
            elif isinstance(effect, actions.Settled):
                self._settled(effect)
            elif isinstance(effect, actions.Resolved):
                self._resolved(effect)
            elif isinstance(effect, actions.ServerTime):
                self._heard_time(effect)
            elif isinstance(effect, actions.Finish):
                self._error = effect.error
                self._over = True

    def _deliver(self) -> None:
        while self._events:
            events, self._events = self._events, []
            if self.left:
                return
            dropped = self._publish(events)
            self._stopped = self._over  # the last event is told once only, whatever fails from now on
            if self._forsaken:
                raise _Forsaken
            if dropped:
                self._do(self._session.overflowed(dropped, clock.monotonic()))

    def _heard_time(self, told: actions.ServerTime) -> None:
        try:
            moment = datetime.fromtimestamp(told.milliseconds / 1000, timezone.utc)
            self._exchange.offset.heard(moment, moment, clock.utc_of(told.asked), clock.utc_now())
        except (OverflowError, ValueError, OSError):
            pass  # no year that there is

    def _write(self, write: actions.Write) -> None:
        connection = self._connections.get(write.link)
        if connection is None:
            return
        try:
            connection.write(write.opcode, write.payload)
        except ConnectionFailed as error:
            # The session is in the middle of its decision: it hears of the loss when that is carried out.
            reason = getattr(error, "reason", str(error))
            self._drop(connection)
            del self._connections[write.link]
            self._mail.append(lambda now: self._session.lost(write.link, reason, now))
        else:
            self._watch(write.link, connection)

    def _hang_up(self, hangup: actions.Hangup) -> None:
        for scope, number in self._helpers.items():
            if number == hangup.link:
                scope.cancel()
        connection = self._connections.pop(hangup.link, None)
        if connection is None:
            return
        if hangup.code is None:
            self._drop(connection)
            return
        try:
            connection.write_close(hangup.code, hangup.reason)
        except ConnectionFailed:
            self._drop(connection)
        else:
            self._lingering[connection] = clock.monotonic() + _LINGER
            self._watch(hangup.link, connection)

    def _dial(self, dial: actions.Dial) -> None:
        def unopened(error: XchwsError) -> Command:
            return lambda now: self._session.dial_failed(dial.link, Close(error), now)

        self._help(dial.link, lambda scope: self._open(dial, scope), "dial", dial.timeout, unopened)

    def _run_job(self, run: actions.Run) -> None:
        def unfetched(error: XchwsError) -> Command:
            return lambda now: self._session.fetched(run.link, run.job, error, now)

        self._help(run.link, lambda scope: self._fetch(run, scope), f"job {run.job}", self._http.timeout, unfetched)

    def _help(
        self,
        link: int,
        work: Callable[[CancelScope], Command],
        name: str,
        timeout: float,
        failed: Callable[[XchwsError], Command],
    ) -> None:
        """Do blocking work on a helper thread; what comes of it is done by the owner."""
        scope = CancelScope(timeout)
        # Made beforehand: the owner hears of the end of this work, whatever fails when the work has failed.
        fault = OpenFailed(f"{self._exchange.name}: {name} failed", exchange=self._exchange.name)
        outcome = failed(fault)

        def run() -> None:
            nonlocal outcome
            try:
                outcome = work(scope)
            except XchwsError as error:
                # Its frames hold what was sent, keys and signatures among it: a crash reporter would show them.
                outcome = failed(error.with_traceback(None))
            except BaseException as error:  # a fault of ours or of a user's function: the client must hear of it
                log.error("%s", fault, raised=error)
                text = f"{fault}: {type(error).__name__}: {text_of(error)}"
                outcome = failed(OpenFailed(self._exchange.secrets.redact(text), exchange=self._exchange.name))
            finally:
                try:
                    scope.release()
                finally:
                    insist(hand_in)
                    if self._released:
                        self._dispose()  # the owner has gone: what came too late, a socket above all, is put away here

        def helped(now: float) -> List[Effect]:
            self._helpers.pop(scope, None)
            return outcome(now)

        hand_in = partial(self.post, helped)
        self._helpers[scope] = link
        try:
            OurThread(run, f"xchws {self._exchange.name} {name}").start()
        except (RuntimeError, MemoryError) as error:  # no more threads can be started in this process for now
            del self._helpers[scope]
            self._mail.append(failed(OpenFailed(f"{self._exchange.name}: {error}", exchange=self._exchange.name)))

    # ------------------------------------------------------------------------------------------- on a helper thread

    def _open(self, dial: actions.Dial, scope: CancelScope) -> Command:
        try:
            route = self._exchange.route(self._http.within(scope))
            try:
                connection = self._dialler.dial(route, scope)
                self._routes[connection] = route
            except BaseException:
                self._exchange.ended(route)
                raise
        except HandshakeRejected as error:
            close = self._exchange.refused(error.with_traceback(None))
            return lambda now: self._session.dial_failed(dial.link, close, now)
        except XchwsError as error:
            close = Close(error.with_traceback(None))
            return lambda now: self._session.dial_failed(dial.link, close, now)
        return lambda now: self._opened(dial.link, route, connection, now)

    def _fetch(self, run: actions.Run, scope: CancelScope) -> Command:
        result = self._exchange.fetch(run.job, self._http.within(scope))
        return lambda now: self._session.fetched(run.link, run.job, result, now)

    # ------------------------------------------------------------------------------------- on the owner thread again

    def _opened(self, number: int, route: Route, connection: Connection, now: float) -> List[Effect]:
        if not self._session.expects(number):
            self._drop(connection)
            return []
        try:
            protocol = self._exchange.protocol(route)
        except Exception as error:  # a fault of ours must not end this thread
            log.error("%s: no protocol for the connection", self._exchange.name, raised=error)
            self._drop(connection)
            text = f"{self._exchange.name}: internal error: {type(error).__name__}: {text_of(error)}"
            failed = OpenFailed(self._exchange.secrets.redact(text), exchange=self._exchange.name)
            return self._session.dial_failed(number, Close(failed), now)
        self._connections[number] = connection
        self._watch(number, connection)
        # What came with the handshake's answer may lie decrypted in the TLS layer already, where select does not see it.
        self._mail.append(lambda now: self._read_first(number, connection))
        return self._session.dialled(number, protocol, now)

    def _read_first(self, number: int, connection: Connection) -> List[Effect]:
        self._read(number, connection)
        return []

    def release(self) -> None:
        """Let go of everything. On the owner thread, last."""
        for scope in self._helpers:
            scope.cancel()
        try:
            for connection in list(self._routes):
                self._drop(connection)
        finally:
            self._connections.clear()
            self._released = True
            self._dispose()
            self.discard()

    def _dispose(self) -> None:
        """Empty the mailbox of a session that is over; a command for it does nothing but close what it brings."""
        while True:
            try:
                command = self._mail.popleft()
            except IndexError:
                return
            try:
                command(clock.monotonic())
            except BaseException as error:
                log.error("%s: what came too late could not be put away", self._exchange.name, raised=error)
