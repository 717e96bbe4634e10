"""A simulated exchange: its listening socket, its connections, its bad behaviour on demand, its record.

The foundation that every exchange of the sandbox stands on: a subclass says which handshakes it takes
(``process_request``), what it says on a connection (``create_dialogue``) and, if it has one, what its REST
endpoint answers (``rest``). Knows nothing of any exchange, and nothing of the rest of xchws.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Type, TypeVar, Union

from .record import REMARK, Received, Record
from .rest import RestReply, RestServer
from .session import Dialogue, Refusal, Session

HOST = "127.0.0.1"

Self = TypeVar("Self", bound="ExchangeServer")


class ExchangeServer:
    """Listens on 127.0.0.1 from ``start()`` to ``close()``; a context manager does both.

    Args:
        port: of the WebSocket; 0 takes any free one, and keeps it over ``close()`` and a later ``start()``.
        rest_port: of the REST endpoint, for an exchange that has one (``has_rest``).
        ssl_context: serve ``wss`` and ``https`` with it.
        max_message_size: bytes; a longer message closes the connection with 1009.
        history: how many received things are kept (None: all of them).
    """

    has_rest = False
    path = "/"
    queue_limit = 1 << 20  # bytes waiting for one client; beyond, it is too slow
    slow_after = 5.0  # seconds a publisher waits for a client that does not read

    def __init__(
        self,
        port: int = 0,
        rest_port: int = 0,
        ssl_context: Optional[ssl.SSLContext] = None,
        max_message_size: int = 65536,
        history: Optional[int] = None,
    ) -> None:
        self.port = port
        self.ssl_context = ssl_context
        self.max_message_size = max_message_size
        self.record = Record(history)
        self._rest = RestServer(self.rest, self.record, rest_port, ssl_context) if self.has_rest else None
        self._lock = threading.RLock()
        self._threads: Dict[threading.Thread, Session] = {}
        self._sessions: List[Session] = []
        self._opened = 0
        self._refusal: Optional[Tuple[Refusal, Optional[int]]] = None
        self._ignored: Dict[str, int] = {}
        self._reply_delay = 0.0
        self.pings_held = False
        self._listener: Optional[socket.socket] = None
        self._acceptor: Optional[threading.Thread] = None
        self._accepted = 0

    # Life.

    def start(self: Self) -> Self:
        """Listen. Does nothing if it already does.

        Raises:
            OSError: the port is taken.
        """
        if self._listener is not None:
            return self
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self.port))
            listener.listen(128)
            listener.setblocking(False)
            if self._rest is not None:
                self._rest.start()
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._stopper, self._stopped = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="sandbox-acceptor", daemon=True)
        self._acceptor.start()
        return self

    def close(self) -> None:
        """Cut everything and wait for all threads. May be called twice; ``start()`` may follow."""
        if self._listener is None or self._acceptor is None:
            return
        self._stopper.send(b"x")
        self._acceptor.join()
        for item in (self._listener, self._stopper, self._stopped):
            item.close()
        self._listener = None
        for thread, session in self._sessions_and_threads():
            session.drop()
            thread.join()
        if self._rest is not None:
            self._rest.close()

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address for a client, known after ``start()``."""
        return f"{'wss' if self.ssl_context else 'ws'}://{HOST}:{self.port}{self.path}"

    @property
    def rest_url(self) -> str:
        """The REST endpoint's base, without path.

        Raises:
            AttributeError: this exchange has none.
        """
        return f"{'https' if self.ssl_context else 'http'}://{HOST}:{self._need_rest().port}"

    def instructions(self) -> List[str]:
        """Lines for a human: what to write to use this exchange."""
        return [f"url     {self.url}"]

    # What a subclass says.

    def run(self, rate: float) -> None:
        """Let the market live by itself, *rate* events per second."""
        raise NotImplementedError

    def process_request(self, session: Session) -> Optional[Refusal]:
        """The exchange's opinion of a handshake; None accepts. Extend it: this one does ``refuse()`` and the path."""
        with self._lock:
            if self._refusal is not None:
                refusal, times = self._refusal
                left = None if times is None else times - 1
                self._refusal = None if left == 0 else (refusal, left)
                return refusal
        if session.path.split("?")[0] != self.path.split("?")[0]:
            session.complain(f"handshake for {session.path!r}")
            return Refusal(404, "Not Found")
        return None

    def create_dialogue(self, session: Session) -> Dialogue:
        """What speaks on this connection."""
        raise NotImplementedError

    def rest(self, request: Received) -> RestReply:
        """The answer to a REST request."""
        return RestReply(404, "Not Found")

    def too_slow(self, session: Session) -> None:
        """A client does not read: what the exchange does about it."""
        session.drop()

    # What the sessions report.

    def session_opened(self, session: Session) -> None:
        with self._lock:
            self._opened += 1
            self._sessions.append(session)
        self.record.notify()

    def session_over(self, session: Session) -> None:
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)
        self.record.notify()

    def reply(self, session: Session, kind: str, text: str) -> None:
        """Send the answer to a command of *kind*, unless it is to be lost, and after the delay that was asked for."""
        self.record.notify()  # whatever the command did is done
        with self._lock:
            for name in (kind, "any"):
                if self._ignored.get(name, 0) > 0:
                    self._ignored[name] -= 1
                    return
            delay = self._reply_delay
        if delay > 0:
            session.call_later(delay, lambda: session.send_text(text))
        else:
            session.send_text(text)

    def deliver(self, session: Session, text: str) -> None:
        """Send published text: waits a while for a client that reads slowly, and gives it up then."""
        session.send_text(text)
        if not session.wait_drained(self.queue_limit, self.slow_after):
            self.too_slow(session)

    # Looking.

    @property
    def sessions(self) -> List[Session]:
        """The live connections, oldest first."""
        with self._lock:
            return list(self._sessions)

    @property
    def subscriptions(self) -> List[str]:
        """What the live connections are subscribed to, in the exchange's words, sorted: once for each connection."""
        return sorted(name for session in self.sessions for name in session.dialogue.subscriptions())

    @property
    def opened(self) -> int:
        """How many handshakes succeeded since the beginning."""
        return self._opened

    @property
    def received(self) -> List[Received]:
        """Everything clients sent, in order."""
        return self.record.received

    @property
    def messages(self) -> List[Any]:
        """The messages among ``received``, parsed (a message that is no JSON: None)."""
        return [item.parsed for item in self.received if item.kind == "message"]

    @property
    def handshakes(self) -> List[Received]:
        """The handshakes among ``received``, refused ones too."""
        return [item for item in self.received if item.kind == "handshake"]

    @property
    def rest_requests(self) -> List[Received]:
        """The REST requests among ``received``."""
        return [item for item in self.received if item.kind == "rest"]

    @property
    def complaints(self) -> List[str]:
        """All that clients did and the vendor would not accept; what it merely frowns upon begins with ``remark:``."""
        return self.record.complaints

    @property
    def remarks(self) -> List[str]:
        """The complaints that are remarks."""
        return [text for text in self.complaints if REMARK in text]

    def wait_until(self, predicate: Callable[[], object], timeout: float = 5.0) -> None:
        """Wait for something that clients do or that is done to them.

        Raises:
            TimeoutError: it did not come true within *timeout* seconds.
        """
        if not self.record.wait_until(predicate, timeout):
            raise TimeoutError(f"not within {timeout:g} s")

    def wait_for_session(self, n: int = 1, timeout: float = 5.0) -> Session:
        """Wait until *n* connections are live; the newest of them.

        Raises:
            TimeoutError: not within *timeout* seconds.
        """
        found: List[Session] = []

        def enough() -> bool:
            found[:] = self.sessions
            return len(found) >= n

        self.wait_until(enough, timeout)
        return found[-1]

    # Misbehaving: on all live connections, or on the one that is given.

    def drop(self, session: Optional[Session] = None, reset: bool = False) -> None:
        """Cut the TCP connection without a close frame: FIN, or RST if *reset*."""
        for each in self._chosen(session):
            each.drop(reset)

    def close_connections(self, code: int = 1001, reason: str = "", session: Optional[Session] = None) -> None:
        """Close with a close frame."""
        for each in self._chosen(session):
            each.close(code, reason)

    def stall(self, session: Optional[Session] = None) -> None:
        """Open and silent: reads nothing, sends nothing, not even pongs."""
        for each in self._chosen(session):
            each.stall()

    def resume(self, session: Optional[Session] = None) -> None:
        """End ``stall()``."""
        for each in self._chosen(session):
            each.resume()

    def refuse(
        self, status: int, body: str = "", headers: Optional[Mapping[str, str]] = None, times: Optional[int] = None
    ) -> None:
        """Answer the next handshakes (*times* of them; None: all until ``accept()``) with this HTTP status."""
        with self._lock:
            self._refusal = (Refusal(status, body, headers), times)

    def accept(self) -> None:
        """End ``refuse()``."""
        with self._lock:
            self._refusal = None

    def refuse_rest(
        self, status: int, body: str = "", headers: Optional[Mapping[str, str]] = None, times: Optional[int] = None
    ) -> None:
        """Answer the next REST requests (*times* of them; None: all until ``accept_rest()``) with this."""
        self._need_rest().refuse(RestReply(status, body, headers), times)

    def accept_rest(self) -> None:
        """End ``refuse_rest()``."""
        self._need_rest().accept()

    def slow_rest(self, seconds: float) -> None:
        """Let every REST answer take this long; 0 ends it."""
        self._need_rest().delay = seconds

    def delay_replies(self, seconds: float) -> None:
        """Let answers to commands take this long, so that published messages overtake them; 0 ends it."""
        self._reply_delay = seconds

    def ignore_next(self, kind: str, times: int = 1) -> None:
        """Lose the next answers to commands of this kind (the command works; ``any``: of whatever kind)."""
        with self._lock:
            self._ignored[kind] = self._ignored.get(kind, 0) + times

    def send_raw(self, content: Union[str, bytes], session: Optional[Session] = None) -> None:
        """Send a message as it is: str as text, bytes as binary."""
        for each in self._chosen(session):
            if isinstance(content, str):
                each.send_text(content)
            else:
                each.send_binary(content)

    def send_frame(
        self,
        opcode: int,
        payload: bytes,
        fin: bool = True,
        rsv: int = 0,
        mask: bool = False,
        session: Optional[Session] = None,
    ) -> None:
        """Write one wire frame as it is: fragments, reserved opcodes, reserved bits, invalid UTF-8, masked."""
        for each in self._chosen(session):
            each.send_frame(opcode, payload, fin, rsv, mask)

    def hold_pings(self) -> None:
        """Send no pings from now on."""
        self.pings_held = True

    def release_pings(self) -> None:
        """End ``hold_pings()``."""
        self.pings_held = False

    def _chosen(self, session: Optional[Session]) -> Iterable[Session]:
        return self.sessions if session is None else [session]

    def _need_rest(self) -> RestServer:
        if self._rest is None:
            raise AttributeError(f"{type(self).__name__} has no REST endpoint")
        return self._rest

    def _sessions_and_threads(self) -> List[Tuple[threading.Thread, Session]]:
        with self._lock:
            return list(self._threads.items())

    def _accept(self) -> None:
        assert self._listener is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._stopped for key, _ in selector.select()):
                    return
                try:
                    sock, _ = self._listener.accept()
                except OSError:
                    continue  # the client went away between the two calls
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._accepted += 1
                session = Session(self, sock, self._accepted)
                with self._lock:
                    for thread in [thread for thread in self._threads if not thread.is_alive()]:
                        del self._threads[thread]
                    self._threads[session.thread] = session
                    session.thread.start()
