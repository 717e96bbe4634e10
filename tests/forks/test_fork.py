"""os.fork(): the child's copy of a client is dead and says so, and the parent's does not notice, whatever the child does."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from typing import Iterator, Tuple

import pytest
import trustme

from tests.client.test_stopping import START, arguments, run
from tests.rigs import RIGS, Rig
from xchws.sandbox import FaultProxy, IndodaxSandbox, RichamsterSandbox

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
LINUX = sys.platform.startswith("linux")

QUIET = "import warnings; warnings.filterwarnings('ignore', 'This process .* is multi-threaded')\n"  # Python 3.12 on


@pytest.fixture
def indodax() -> Iterator[IndodaxSandbox]:
    with IndodaxSandbox(seed=1) as exchange:
        yield exchange


def line(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    said = program.stdout.readline()
    assert said, program.communicate()[1]
    return said.rstrip("\n")


def go(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("go\n")
    program.stdin.flush()


def ended(program: subprocess.Popen[str], code: int = 0) -> str:
    assert program.stdout is not None and program.stderr is not None
    if program.stdin is not None:
        program.stdin.close()
    out = program.stdout.read()  # communicate() would pass over what readline() has read ahead
    error = program.stderr.read()
    program.stdout.close()
    program.stderr.close()
    assert (error, program.wait(60)) == ("", code), out
    return out


ALL_SIX = (
    QUIET
    + """
import os, sys, xchws
from tests.forks.dead import collected, dead, sockets
from tests.rigs import RIGS
rig = {rig.name: rig for rig in RIGS}[sys.argv[1]]

class Exchange:  # what a rig wants to know of a sandbox, which is in another process
    locals().update(eval(sys.argv[2]))

way = sys.argv[3]
client = rig.client(Exchange, on_error=print, **eval(sys.argv[4]))
waiting = {f"subscription {number}": each for number, each in enumerate(rig.subscribe(Exchange, client))}
waiting["stream"] = client.events(xchws.Event)  # it has kept events by the time of the fork
waiting["expectation"] = client.expect(xchws.Suspended)
unborn = rig.client(Exchange)
client.start(20)
for each in rig.subscribe(Exchange, client):
    each.wait(20)
print("ready", flush=True)
sys.stdin.readline()
child = os.fork()
if not child:
    wrong = [f"sockets {sockets()}"] if sockets() and sys.platform.startswith("linux") else []
    wrong += dead(client, waiting)
    if way == "collects":
        del client, waiting
        collected()
    if way == "makes its own":
        unborn.start(20)
        for each in rig.subscribe(Exchange, unborn):
            each.wait(20)
        heard = unborn.expect(xchws.Data, where=rig.number)
        os.write(1, b"both\\n")
        if rig.number(heard.result(20)) != 1 or not unborn.stop():
            wrong.append("the child's own client is no good")
        again = rig.client(Exchange)
        again.start(20)  # and this one it forgets
    if wrong:
        os.write(1, repr(wrong).encode() + b"\\n")
    if way == "raises":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its traceback
        raise LookupError
    sys.exit(7)
heard = client.expect(xchws.Data, where=rig.number)
status = os.waitpid(child, 0)[1] >> 8
print("child", status, flush=True)
sys.stdin.readline()
status = client.status()
print(rig.number(heard.result(20)), status.reconnects, status.state, status.threads_alive, client.stop())
"""
)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Tuple[ssl.SSLContext, str]:
    """A server's context, and the file that a client trusts it by."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    path = tmp_path_factory.mktemp("certificates") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return server, str(path)


@pytest.mark.parametrize("rig", RIGS, ids=repr)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_the_copy_is_dead_and_the_parent_does_not_notice(
    rig: Rig, tls: bool, certificates: Tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    way = "makes its own" if tls else {"indodax": "raises", "kyan": "exits"}.get(rig.name, "collects")
    with rig.sandbox(ssl_context=certificates[0] if tls else None) as sandbox:
        about = {
            name: getattr(sandbox, name)
            for name in ("url", "rest_url", "base_url", "key", "secret", "token")
            if isinstance(getattr(sandbox, name, None), str)
        }
        monkeypatch.setenv("SSL_CERT_FILE", certificates[1])
        program = run(ALL_SIX, rig.name, repr(about), way, "{}", stdin=subprocess.PIPE)
        assert line(program) == "ready"
        sandbox.wait_until(lambda: rig.served(sandbox))
        first = sandbox.wait_for_session()
        go(program)
        if way == "makes its own":
            assert line(program) == "both"
            assert len(sandbox.sessions) == 2
            rig.tell(sandbox, 1)
        assert line(program) == f"child {1 if way == 'raises' else 7}"
        assert first in sandbox.sessions and first.close_code is None, "the parent's connection is untouched"
        if way != "makes its own":
            rig.tell(sandbox, 1)
        go(program)
        assert ended(program) == "1 0 READY True True\n"
        assert sandbox.complaints == []
        assert sandbox.opened == (3 if way == "makes its own" else 1)


IN_A_FUNCTION = (
    QUIET
    + START.replace("url=url,", "url=url, callbacks=sys.argv[5],")
    + """
import os, threading
from tests.forks.dead import dead, sockets
where, way = sys.argv[6:]
me, child, again, through = os.getpid(), [], [], threading.Event()

def fork(event):
    if child:
        again.append(1) if os.getpid() == me else os.write(1, b"IN THE CHILD\\n")
        return event.symbol == "lastidr" and through.set()
    child.append(os.fork())
    if child[0]:
        return
    wrong = dead(client, {"expectation": later}) + [str(number) for number in sockets()]
    os.write(1, f"child {wrong}\\n".encode())
    if way == "os._exit":
        os._exit(7)
    if way == "sys.exit":
        sys.exit(7)
    if way == "raises":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its traceback
        raise LookupError

if where == "callback":
    client.on_order(fork)
else:
    client.expect(xchws.Order, where=fork)
later = client.expect(xchws.Suspended)
client.start(20)
print("ready", flush=True)
assert through.wait(20)
status = os.waitpid(child[0], 0)[1]
print("over", os.WEXITSTATUS(status), os.WIFSIGNALED(status), flush=True)
status = client.status()
print(status.reconnects, status.callback_failures, status.state, client.stop(), len(again))
"""
)


@pytest.mark.skipif(not LINUX, reason="the child looks for its sockets in /proc")
@pytest.mark.parametrize("way", ["returns", "raises", "sys.exit", "os._exit"])
@pytest.mark.parametrize(("callbacks", "where"), [("thread", "callback"), ("inline", "callback"), ("thread", "where")])
def test_a_child_of_a_function_of_the_users(indodax: IndodaxSandbox, callbacks: str, where: str, way: str) -> None:
    """It does in the child what it wants. When it is over the child ends, without a word and without another event."""
    program = run(IN_A_FUNCTION, *arguments(indodax), callbacks, where, way)
    assert line(program) == "ready"
    with indodax.one_frame():
        for symbol in ("btcidr", "ethidr", "lastidr"):
            indodax.place(symbol, "BUY", "1", "1")
    assert line(program) == "child []"
    # A thread of the child's that ends by sys.exit() or by an exception ends the process as Python does: with 0.
    assert line(program) == f"over {7 if way == 'os._exit' else 0} False"
    assert ended(program) == "0 0 READY True 2\n"
    assert indodax.opened == 1 and indodax.complaints == []


OPENING = (
    QUIET
    + """
import os, sys, xchws
from tests.forks.dead import dead, sockets
client = xchws.Richamster(url=sys.argv[1], open_timeout=60)
rest = xchws.Indodax("key", "secret", url="ws://127.0.0.1:9/", rest_url=sys.argv[2], open_timeout=60)
client.start()
rest.start()
print("dialling", flush=True)
sys.stdin.readline()
child = os.fork()
if not child:
    print("child", dead(client, {}) + dead(rest, {}) + sockets(), flush=True)
    sys.stdin.readline()
    sys.exit(7)
print("forked", flush=True)
client.wait_ready(20)
print(client.status().reconnects, client.stop(), rest.stop(), flush=True)
os.waitpid(child, 0)
"""
)


@pytest.mark.skipif(not LINUX, reason="the child looks for its sockets in /proc")
def test_a_fork_while_connections_are_being_opened() -> None:
    """The child keeps nothing of them: the peer sees their end in the parent, though the child lives on."""
    with RichamsterSandbox(seed=1) as exchange, FaultProxy("127.0.0.1", exchange.port) as proxy:
        proxy.freeze()
        program = run(OPENING, proxy.url(exchange.url), f"http://127.0.0.1:{proxy.port}", stdin=subprocess.PIPE)
        assert line(program) == "dialling"
        proxy.wait_for_connection(n=2)
        go(program)
        assert {line(program), line(program)} == {"forked", "child []"}
        proxy.thaw()
        assert line(program) == "0 True True"
        proxy.wait_for_no_connection()
        exchange.wait_until(lambda: not exchange.sessions)
        assert exchange.opened == 1
        go(program)
        ended(program)


EVERY_STEP = (
    QUIET
    + """
import os, signal, sys, threading
from tests.moments import OURS
from tests.forks.dead import dead
import xchws
from xchws.sandbox import RichamsterSandbox

class Halt:  # of the client's threads, before one of their steps
    left, reached, go_on = -1, threading.Event(), threading.Event()
    place = ""

    def called(self, frame, event, argument):
        return self.stepped if frame.f_code.co_filename.startswith(OURS) and "sandbox" not in frame.f_code.co_filename else None

    def stepped(self, frame, event, argument):
        if event == "line" and self.left >= 0:
            self.left -= 1
            if self.left < 0:
                self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                self.reached.set()
                assert self.go_on.wait(30)
        return self.stepped

with RichamsterSandbox(seed=1) as exchange:
    halt = Halt()
    client = xchws.Richamster(url=exchange.url, callbacks=sys.argv[1])
    subscription = client.subscribe_ticker("BTC/UAH")
    client.on_ticker(lambda event: done.set(), when_slow=sys.argv[2])
    done = threading.Event()
    client.expect(xchws.Suspended)  # looked at every time, and not over
    threading.settrace(halt.called)
    client.start(20)
    threading.settrace(None)
    subscription.wait(20)
    steps, wrong = 0, []
    while True:
        halt.reached.clear(), halt.go_on.clear(), done.clear()
        seen = client.expect(xchws.Ticker)
        halt.left = 4 * steps
        exchange.ticker("BTC/UAH", 1)
        while not halt.reached.wait(0.001) and not done.is_set():
            pass
        if not halt.reached.is_set():
            break  # there are no more steps
        child = os.fork()
        if not child:
            signal.alarm(20)  # a child that waits for a lock of its parent's dies of it
            said = dead(client, {"subscription": subscription, "expectation": seen} if not seen.done else {})
            client = subscription = seen = None
            os._exit(1 if said else 0)
        status = os.waitpid(child, 0)[1]
        if status:
            wrong.append((halt.place, status))
        halt.go_on.set()
        assert done.wait(20) and seen.result(20)
        steps += 1
    halt.left = -1
    halt.go_on.set()
    print(steps > 20, wrong, client.status().reconnects, client.stop())
"""
)


@pytest.mark.parametrize(("callbacks", "when_slow"), [("thread", "queue"), ("thread", "latest"), ("inline", "queue")])
def test_a_fork_at_any_moment_of_the_clients_threads(callbacks: str, when_slow: str) -> None:
    """They are halted before every fourth step from the socket to the callback, with what they hold, and then comes the fork."""
    assert ended(run(EVERY_STEP, callbacks, when_slow)) == "True [] 0 True\n"
