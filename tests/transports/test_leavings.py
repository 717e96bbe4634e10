"""What the library's streams leave behind when their work is done: nothing that the collector would have to close.

It closes a stream in whatever thread it happens to run. In the main thread a signal may come meanwhile, and Python drops what its
handler raises there: Ctrl-C would be lost, without a word.
"""

from __future__ import annotations

import gc
import io
from typing import Any, Callable, Dict, Iterator, List

import pytest

import xchws
from tests.client.conftest import QUICK
from xchws.sandbox import FaultProxy, IndodaxSandbox

OURS = ("xchws.transports", "urllib3", "http.client")
"""Where the streams come from that a client makes; those of the simulated exchange are other ones."""


def streams() -> List[Any]:
    kinds = ((found, type(found)) for found in gc.get_objects())  # isinstance() would ask a dead proxy
    return [found for found, kind in kinds if issubclass(kind, io.IOBase) and kind.__module__.startswith(OURS)]


@pytest.fixture
def left() -> Iterator[Callable[[], List[Any]]]:
    """What streams have been left so far. The collector does not run within the test: what is in a cycle stays where it is."""
    gc.collect()
    gc.disable()
    before = streams()
    yield lambda: [stream for stream in streams() if not any(stream is known for known in before)]
    gc.enable()


FATES: Dict[str, Callable[[IndodaxSandbox, FaultProxy], object]] = {
    "it is accepted": lambda exchange, proxy: None,
    "the handshake is refused": lambda exchange, proxy: exchange.refuse(503, "<html>later</html>", times=3),
    "the handshake is redirected": lambda exchange, proxy: exchange.refuse(302, headers={"Location": "/"}, times=3),
    "the token is refused": lambda exchange, proxy: exchange.refuse_rest(500, "<html>later</html>", times=3),
    "the handshake is cut": lambda exchange, proxy: proxy.cut_on(b"Upgrade: websocket"),
}


@pytest.mark.parametrize("fate", FATES)
def test_no_stream_is_left_to_the_collector(fate: str, left: Callable[[], List[Any]]) -> None:
    with IndodaxSandbox(seed=1) as exchange, FaultProxy("127.0.0.1", exchange.port) as proxy:
        FATES[fate](exchange, proxy)
        url = proxy.url(of=exchange.url)
        with xchws.Indodax(exchange.key, exchange.secret, url=url, rest_url=exchange.rest_url, backoff=QUICK) as client:
            client.wait_ready(10)
            assert (client.status().last_error is None) is (fate == "it is accepted")
            assert left() == []
    assert left() == []
