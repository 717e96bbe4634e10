"""stop() of each client in each state that it can be in: in time, and nothing is left.

What drips while it is being opened: tests/transports/test_deadlines.py. From where stop() may be called: test_stopping.py and
test_any_moment.py.
"""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

import pytest

import xchws
from tests.rigs import RIGS, Rig
from tests.transports.test_deadlines import PHASES, Dripping
from xchws import clock
from xchws.sandbox import FaultProxy
from xchws.sansio import frames
from xchws.sansio.actions import Effect

IN_TIME = 0.3
"""Seconds that stop() gets. The promise is: within these and one second more, whatever the peer does."""

PATIENCE = 10.0
"""Seconds for what comes soon, and may be late on a machine that is busy."""

AGES = 600.0
NEVER_AGAIN = xchws.Backoff(initial=AGES, maximum=AGES)


class Stage:
    """Where a scene is played.

    Attributes:
        afterwards: is called once stop() has returned, where something outside must be let go before the helpers can end.
    """

    def __init__(self, rig: Rig, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rig = rig
        self.stack = stack
        self.monkeypatch = monkeypatch
        self.afterwards: Callable[[], Any] = lambda: None

    def sandbox(self, **options: Any) -> Any:
        return self.stack.enter_context(self.rig.sandbox(**options))

    def client(self, sandbox: Any, **options: Any) -> Any:
        client = self.rig.client(sandbox, **{"backoff": NEVER_AGAIN, "open_timeout": AGES, **options})
        self.stack.callback(client.stop)
        return client

    def ready(self, **options: Any) -> Tuple[Any, Any]:
        sandbox = self.sandbox()
        client = self.client(sandbox, **options)
        client.start()
        self.rig.wait_served(sandbox, client, PATIENCE)
        return sandbox, client

    def mute(self, **addresses: str) -> Any:
        """A client that is being started, with an address at which it is heard and never answered; `{}` is the port."""
        server = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = server.getsockname()[1]
        client = self.client(self.sandbox(), **{name: form.format(port) for name, form in addresses.items()})
        client.start()
        server.settimeout(PATIENCE)
        sock = self.stack.enter_context(server.accept()[0])
        sock.settimeout(PATIENCE)
        assert sock.recv(1), "the client has spoken"
        return client


class Scene(NamedTuple):
    """One state: `play` brings a client there; `fits`: the clients that can be there; `ended`: what stop() says."""

    play: Callable[[Stage], Any]
    fits: Callable[[Rig], Any]
    ended: bool


SCENES: Dict[str, Scene] = {}


def scene(
    name: str, fits: Callable[[Rig], Any] = lambda rig: True, ended: bool = True
) -> Callable[[Callable[[Stage], Any]], Callable[[Stage], Any]]:
    def remember(play: Callable[[Stage], Any]) -> Callable[[Stage], Any]:
        SCENES[name] = Scene(play, fits, ended)
        return play

    return remember


@scene("new")
def new(stage: Stage) -> Any:
    return stage.client(stage.sandbox())


@scene("the name is looked up")
def looked_up(stage: Stage) -> Any:
    asked, answer = threading.Event(), threading.Event()
    genuine = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        asked.set()
        assert answer.wait(30)
        return genuine(host, *arguments, **options)

    client = stage.client(stage.sandbox())
    stage.monkeypatch.setattr(socket, "getaddrinfo", look_up)
    stage.afterwards = answer.set
    client.start()
    assert asked.wait(PATIENCE)
    return client


@scene("TLS handshake without an end")
def in_tls(stage: Stage) -> Any:
    return stage.mute(url="wss://127.0.0.1:{}/")


@scene("WebSocket handshake without an end")
def in_handshake(stage: Stage) -> Any:
    return stage.mute(url="ws://127.0.0.1:{}/")


@scene("WebSocket handshake that drips")
def dripping(stage: Stage) -> Any:
    server = Dripping(*PHASES["handshake"])
    stage.stack.callback(server.close)
    client = stage.client(stage.sandbox(), url=f"ws://127.0.0.1:{server.port}/")
    client.start()
    assert server.dripped.wait(PATIENCE)
    return client


@scene("REST call without an end", lambda rig: rig.rest != "never")
def in_rest(stage: Stage) -> Any:
    return stage.mute(rest_url="http://127.0.0.1:{}")


@scene("REST call over TLS without an end", lambda rig: rig.rest != "never")
def in_rest_tls(stage: Stage) -> Any:
    return stage.mute(rest_url="https://127.0.0.1:{}")


@scene("login pending", lambda rig: rig.login)
def login_pending(stage: Stage) -> Any:
    sandbox = stage.sandbox()
    options = {"settle": AGES / 2} if stage.rig.name == "kyrrex" else {}
    sandbox.ignore_next("any", 1000)
    client = stage.client(sandbox, **options)
    client.start()
    sandbox.wait_until(lambda: sandbox.messages, PATIENCE)
    return client


@scene("subscriptions pending", lambda rig: not rig.together)
def subscriptions_pending(stage: Stage) -> Any:
    sandbox = stage.sandbox()
    for kind in ("subscribe", "bind", "order_book", "ticker", "user_orders"):
        sandbox.ignore_next(kind, 1000)
    client = stage.client(sandbox)
    client.start(PATIENCE)
    sandbox.wait_until(lambda: len(sandbox.messages) > bool(stage.rig.login), PATIENCE)
    assert "pending" in [subscription.state for subscription in stage.rig.subscribe(sandbox, client)]
    return client


@scene("ready")
def ready(stage: Stage) -> Any:
    return stage.ready()[1]


@scene("ready, the peer is mute")
def ready_and_mute(stage: Stage) -> Any:
    sandbox, client = stage.ready()
    sandbox.stall()
    return client


@scene("ready, the network is frozen")
def ready_and_frozen(stage: Stage) -> Any:
    sandbox = stage.sandbox()
    proxy = stage.stack.enter_context(FaultProxy("127.0.0.1", sandbox.port))
    client = stage.client(sandbox, url=proxy.url(sandbox.url))
    client.start()
    stage.rig.wait_served(sandbox, client, PATIENCE)
    proxy.freeze()
    return client


@scene("ready, the peer does not read")
def ready_and_unread(stage: Stage) -> Any:
    """All that the system keeps for it is full, and more waits in the client."""
    sandbox, client = stage.ready()
    sandbox.stall()
    full = threading.Event()

    def flood(now: float) -> List[Effect]:
        for connection in client._loop._connections.values():
            while not connection.unsent:
                connection.write(frames.BINARY, bytes(1_000_000))
        full.set()
        return []

    client._loop.post(flood)
    assert full.wait(PATIENCE)
    return client


@scene("suspended", lambda rig: rig.name == "finery")
def suspended(stage: Stage) -> Any:
    sandbox, client = stage.ready()
    told = client.expect(xchws.Suspended)
    sandbox.disconnect_backend()
    told.result(PATIENCE)
    return client


@scene("waiting to try again")
def waiting(stage: Stage) -> Any:
    sandbox, client = stage.ready()
    told = client.expect(xchws.Disconnected)
    sandbox.drop()
    assert told.result(PATIENCE).retry_in is not None and client.status().state is xchws.State.WAITING
    return client


@scene("a token is being fetched", lambda rig: rig.name == "indodax")
def refreshing(stage: Stage) -> Any:
    sandbox = stage.sandbox(ttl=1)
    proxy = stage.stack.enter_context(FaultProxy("127.0.0.1", stage.rig.rest_port(sandbox)))
    client = stage.client(sandbox, rest_url=proxy.url(sandbox.rest_url))
    client.start(PATIENCE)
    proxy.freeze()  # the refresh is due after half the ttl
    proxy.wait_for_connection(PATIENCE)
    assert any(" job " in thread.name for thread in threading.enumerate())
    return client


@scene("the user's token function does not return", lambda rig: rig.name == "richamster")
def in_token_function(stage: Stage) -> Any:
    asked, answer = threading.Event(), threading.Event()
    sandbox = stage.sandbox()

    def token() -> str:
        asked.set()
        assert answer.wait(30)
        return str(sandbox.token)

    client = stage.client(sandbox, token=token)
    stage.afterwards = answer.set
    client.start()
    assert asked.wait(PATIENCE)
    return client


@scene("two connections overlap", lambda rig: rig.renewal == "succession")
def overlapping(stage: Stage) -> Any:
    """The next connection is up, and the former is being drained."""
    if stage.rig.name == "kyan":
        sandbox = stage.sandbox(session_lifetime=1)
        client = stage.client(sandbox, session_lifetime=1.0)
    else:
        sandbox = stage.sandbox(ttl=2)
        client = stage.client(sandbox)
        sandbox.reject_next("refresh", 108, "not available")
    client.start(PATIENCE)
    sandbox.wait_until(lambda: len(sandbox.sessions) == 2, PATIENCE)
    return client


@scene("a successor is being dialled", lambda rig: rig.name == "kyan")
def succeeding(stage: Stage) -> Any:
    sandbox = stage.sandbox()
    proxy = stage.stack.enter_context(FaultProxy("127.0.0.1", sandbox.port))
    client = stage.client(sandbox, url=proxy.url(sandbox.url), session_lifetime=1.0)
    client.start(PATIENCE)
    proxy.freeze()
    proxy.wait_for_connection(PATIENCE, 2)
    return client


@scene("a request waits for its answer", lambda rig: rig.name in ("finery", "kyan"))
def asking(stage: Stage) -> Any:
    sandbox, client = stage.ready()
    sandbox.ignore_next("any", 1000)
    heard = len(sandbox.messages)
    said: List[Exception] = []

    def ask() -> None:
        try:
            client.request("instruments", timeout=AGES) if stage.rig.name == "finery" else client.get_instruments()
        except xchws.XchwsError as error:
            said.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    sandbox.wait_until(lambda: len(sandbox.messages) > heard, PATIENCE)

    def end() -> None:
        thread.join(PATIENCE)
        assert [type(error) for error in said] == [xchws.ConnectionLost], "it was sent: its fate is unknown"

    stage.afterwards = end
    return client


def stuck(stage: Stage, **options: Any) -> Any:
    """A client with a function of the user's that does not return until `afterwards`."""
    sandbox, client = stage.ready(**options)
    entered, go_on = threading.Event(), threading.Event()

    def hold(event: xchws.Event) -> None:  # the client's end is an event that waits, too
        if isinstance(event, xchws.Data) and stage.rig.number(event) == 1:
            entered.set()
            assert go_on.wait(30)

    client.on(xchws.Event, hold)
    stage.afterwards = go_on.set
    stage.rig.tell(sandbox, 1)
    assert entered.wait(PATIENCE)
    return client


@scene("a callback does not return", ended=False)
def stuck_callback(stage: Stage) -> Any:
    return stuck(stage)


@scene("an inline callback does not return", ended=False)
def stuck_inline(stage: Stage) -> Any:
    return stuck(stage, callbacks="inline")


@scene("a where does not return", ended=False)
def stuck_where(stage: Stage) -> Any:
    sandbox, client = stage.ready()
    entered, go_on = threading.Event(), threading.Event()

    def hold(event: xchws.Data) -> bool:
        entered.set()
        return go_on.wait(30)

    client.expect(xchws.Data, where=hold)
    stage.afterwards = go_on.set
    stage.rig.tell(sandbox, 1)
    assert entered.wait(PATIENCE)
    return client


def ours(ending: Tuple[str, ...] = ("",)) -> List[threading.Thread]:
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("xchws ") and thread.name.endswith(ending)
    ]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_things:
        yield open_things


@pytest.mark.parametrize(
    ("name", "rig"),
    [(name, rig) for name, scene in SCENES.items() for rig in RIGS if scene.fits(rig)],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_stop_in_time(name: str, rig: Rig, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(rig, stack, monkeypatch)
    client = SCENES[name].play(stage)
    begun = clock.monotonic()
    ended = client.stop(IN_TIME)
    took = clock.monotonic() - begun
    assert took < IN_TIME + 1, f"stop({IN_TIME}) took {took:.2f} s"
    assert ended is SCENES[name].ended
    if ended:
        assert ours(("owner", "callbacks")) == []
        assert client.status().undelivered == 0
    stage.afterwards()
    assert client.stop(PATIENCE)
    for thread in ours():
        thread.join(PATIENCE)
    assert ours() == []
    status = client.status()
    assert status.state is xchws.State.STOPPED and status.threads_alive and status.backlog == 0
    if not ended and "where" not in name:
        assert status.undelivered >= 1, "what was waiting is counted"
    with pytest.raises(xchws.StateError):
        client.wait_ready(PATIENCE)
