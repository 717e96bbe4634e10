"""os.fork(): the child's copy of a client is dead and says so, and the parent's does not notice, whatever the child does."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from typing import Iterator, Tuple

import pytest
import trustme

from tests.client.test_stopping import run
from tests.rigs import RIGS, Rig
from xchws.sandbox import IndodaxSandbox

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
    out, error = program.communicate(timeout=60)
    assert (error, program.returncode) == ("", code), out
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
