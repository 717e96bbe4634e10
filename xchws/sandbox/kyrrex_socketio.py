"""Socket.IO 5 on Engine.IO 4 as python-socketio's real server speaks it, on the sandbox's own connections.

python-socketio and python-engineio decide what is said: packets, handshake of the namespace, pings, acknowledgements.
Their WebSocket is replaced by a Wire that ends in a Session, so that the connection can be stalled, reset and fed frames
of any kind. Their threads inherit the connection's end, so that none outlives it.
Knows nothing of Kyrrex's objects.
"""

from __future__ import annotations

import json
import queue
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Union

import engineio
import socketio
from engineio.exceptions import EngineIOError
from socketio.exceptions import ConnectionRefusedError as Refused

from .kyrrex_dialogue import KyrrexDialogue
from .kyrrex_orders import KyrrexAccount
from .session import SILENT, Session

if TYPE_CHECKING:
    from .kyrrex import KyrrexSandbox, Verdict

DIALOGUE = "xchws.dialogue"  # the key in the WSGI environment
NOOP = 6


class Task(threading.Thread):
    """A thread of a connection; it sleeps no longer than the connection lives."""

    def __init__(self, ended: threading.Event, target: Callable[..., Any], args: Any, kwargs: Any) -> None:
        super().__init__(target=target, args=args, kwargs=kwargs, name="sandbox-socketio", daemon=True)
        self.ended = ended


class EngineServer(engineio.Server):  # type: ignore[misc]  # engineio carries no annotations
    """python-engineio's server on Sessions instead of a web server's sockets."""

    _async: Dict[str, Any]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The one place where a transport can be put in without an asynchronous framework of its own.
        self._async = {**self._async, "websocket": Wire}
        self._tasks: List[Task] = []
        self._tasks_lock = threading.Lock()

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        return self.start_task(self._ended(), target, *args, **kwargs)

    def start_task(self, ended: threading.Event, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        task = Task(ended, target, args, kwargs)
        with self._tasks_lock:
            self._tasks = [each for each in self._tasks if each.is_alive()]
            self._tasks.append(task)
            task.start()
        return task

    def sleep(self, seconds: float = 0) -> None:
        self._ended().wait(seconds)

    def join_tasks(self) -> None:
        """Wait for the threads of connections that have ended."""
        while self._tasks:
            with self._tasks_lock:
                tasks, self._tasks = self._tasks, []
            for task in tasks:
                task.join()

    def _ended(self) -> threading.Event:
        """The end of the connection whose thread asks."""
        task = threading.current_thread()
        assert isinstance(task, Task)
        return task.ended


class SocketServer(socketio.Server):  # type: ignore[misc]  # socketio carries no annotations
    """python-socketio's server; connections come from Sessions. Its bookkeeping is done by one thread at a time."""

    def __init__(self, ping_interval: float, ping_timeout: float, max_message_size: int) -> None:
        super().__init__(
            async_mode="threading",
            async_handlers=False,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_http_buffer_size=max_message_size,
            cors_allowed_origins="*",
            monitor_clients=False,
            logger=SILENT,
            engineio_logger=SILENT,
        )
        self.serial = threading.RLock()
        for name in ("message", "disconnect"):
            self.eio.on(name, self._one_at_a_time(self.eio.handlers[name]))
        self.on("connect", self._connect)
        self.on("*", lambda *arguments: None)  # an event with an id is acknowledged, as any listener would

    def _engineio_server_class(self) -> Any:
        return EngineServer

    def _one_at_a_time(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def serially(*arguments: Any) -> Any:
            with self.serial:
                return handler(*arguments)

        return serially

    def _connect(self, sid: str, environ: Dict[str, Any], _: Any = None) -> None:
        environ[DIALOGUE].admit(sid)


class Wire:
    """What python-engineio takes for a WebSocket."""

    def __init__(self, handler: Callable[[Wire], Any], server: EngineServer, **_: Any) -> None:
        self._handler = handler
        self._dialogue: Optional[Engine4Dialogue] = None

    def __call__(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> List[bytes]:
        self._dialogue = environ[DIALOGUE]
        self._handler(self)
        return []

    def send(self, content: Union[str, bytes]) -> None:
        self._need().sent(content)

    def wait(self) -> Union[str, bytes, None]:
        return self._need().next_message()

    def close(self) -> None:
        self._need().finished()

    def _need(self) -> Engine4Dialogue:
        assert self._dialogue is not None
        return self._dialogue


class Verbatim:
    """A frame as it is, in the place of a packet; *sending* is set when its turn has come."""

    packet_type = NOOP
    data = None

    def __init__(self, content: Union[str, bytes, None]) -> None:
        self.content = content
        self.sending = threading.Event()

    def encode(self) -> Union[str, bytes, None]:
        self.sending.set()
        return self.content


class Engine4Dialogue(KyrrexDialogue):
    """A connection that python-socketio's server holds the conversation on."""

    def __init__(
        self,
        session: Session,
        exchange: KyrrexSandbox,
        account: Optional[KyrrexAccount],
        verdict: Optional[Verdict],
        server: SocketServer,
    ) -> None:
        super().__init__(session, exchange, account, verdict)
        self._server = server
        self._ended = threading.Event()
        self._incoming: queue.Queue[Union[str, bytes, None]] = queue.Queue()
        self._engine_id: Optional[str] = None
        self._id: Optional[str] = None

    # From the session.

    def opened(self) -> None:
        self._server.eio.start_task(self._ended, self._serve)
        self._session.call_later(self._exchange.connect_timeout, self._check_connected)
        self._check_pongs()

    def message(self, text: str, binary: bool) -> None:
        self.check(text)
        self._incoming.put(text.encode() if binary else text)

    def ended(self) -> None:
        self.live = False
        self._ended.set()
        self._incoming.put(None)

    # From python-socketio's server, in a thread of its own.

    def sent(self, content: Union[str, bytes, None]) -> None:
        if content is None:
            return  # a Verbatim that only marks a place
        if self._engine_id is None and isinstance(content, str):
            # The first packet opens; engineio cuts a ping interval below a second down to 0.
            self._engine_id = str(json.loads(content[1:])["sid"])
            content = self._exchange.open_packet(self._engine_id)
        if content == "2" and self._exchange.pings_held:
            self._incoming.put("3")  # it is the sandbox that keeps silent: the server must not mind
        elif isinstance(content, str):
            self._exchange.deliver(self._session, content)
        else:
            self._session.send_binary(content)

    def next_message(self) -> Union[str, bytes, None]:
        self._settle()
        return self._incoming.get()

    def finished(self) -> None:
        self._pong_overdue()  # python-engineio's writer gives up on a mute client, too, and may be the first to
        self._session.close(1000)

    def admit(self, sid: str) -> None:
        """The namespace is asked for.

        Raises:
            socketio.exceptions.ConnectionRefusedError: the client is to be told so.
        """
        if self.verdict is not None and self.verdict.form == "connect_error":
            raise Refused(self.verdict.message)
        self._id = sid

    # From the exchange, in any thread.

    def emit(self, event: str, content: Any, ack: bool) -> None:
        with self._server.serial:
            try:
                self._server.emit(event, content, to=self._id, callback=self.acknowledged if ack else None)
            except EngineIOError:
                pass  # it ended meanwhile

    def raw(self, content: Union[str, bytes]) -> None:
        self._put(Verbatim(content))

    def flush(self) -> None:
        if threading.current_thread() is self._session.thread or self._session.closed.is_set():
            return
        mark = Verbatim(None)
        if self._put(mark):
            mark.sending.wait(self._exchange.slow_after)

    def disconnect(self) -> None:
        self.live = False
        with self._server.serial:
            if self._id is not None:
                self._server.disconnect(self._id)

    def close_engine(self) -> None:
        self.live = False
        connection = self._connection()
        if connection is not None:
            connection.close(wait=False)

    # Small change.

    def _serve(self) -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": self._session.path.split("?")[0],
            "QUERY_STRING": self._session.path.partition("?")[2],
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_UPGRADE": "websocket",
            "HTTP_HOST": self._session.headers.get("host", ""),
            "wsgi.url_scheme": "http",
            DIALOGUE: self,
        }
        try:
            self._server.handle_request(environ, lambda *_: None)
        except Exception as error:  # whatever a malformed packet raises in a foreign library
            self._session.complain(f"the server failed on a packet: {error!r}")
            connection = self._connection()
            if connection is not None:
                connection.close(wait=False, abort=True)
        finally:
            self._server.eio.sockets.pop(self._engine_id, None)

    def _settle(self) -> None:
        """All that came so far is dealt with: if the namespace was asked for or left, that is done now."""
        if self._id is None or self._ended.is_set():
            return
        connected = self._server.manager.is_connected(self._id, "/")
        if self.verdict is not None:
            self.disconnect()
            self._id = None
        elif connected != self.live:
            self.live = connected
            self._exchange.record.notify()

    def _connection(self) -> Any:
        """python-engineio's socket of this connection."""
        return self._server.eio.sockets.get(self._engine_id)

    def _put(self, packet: Verbatim) -> bool:
        connection = self._connection()
        if connection is None or connection.closed:
            return False
        try:
            connection.send(packet)
        except EngineIOError:
            return False  # it ended meanwhile
        return True

    def _check_connected(self) -> None:
        if self._id is None and self.verdict is None:
            self._session.complain("no CONNECT in time")
            self.close_engine()

    def _check_pongs(self) -> None:
        if not self._pong_overdue():
            self._session.call_later(min(1.0, self._exchange.ping_timeout / 4), self._check_pongs)

    def _pong_overdue(self) -> bool:
        """Whether the client is found to owe a pong; python-engineio ends the connection then."""
        with self._server.serial:
            connection = self._connection()
            if connection is None or connection.closed or connection.check_ping_timeout():
                return False
        self._session.complain("no pong in time")
        return True
