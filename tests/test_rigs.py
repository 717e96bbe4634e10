"""The rigs themselves: each brings its client up, numbers come through, and a cut is told as the rig says."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Dict, Iterator, List

import pytest

import xchws
from tests.rigs import RIGS, Rig
from xchws.sandbox import FaultProxy


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as open_things:
        yield open_things


@pytest.mark.parametrize("rig", RIGS, ids=repr)
def test_a_rig_keeps_its_word(rig: Rig, stack: ExitStack) -> None:
    sandbox = stack.enter_context(rig.sandbox())
    proxy = stack.enter_context(FaultProxy("127.0.0.1", sandbox.port))
    heard: List[Any] = []
    gaps: List[xchws.Gap] = []
    client = rig.client(sandbox, url=proxy.url(sandbox.url), on_gap=gaps.append)
    client.on(xchws.Data, lambda event: heard.append(rig.number(event)))
    stack.callback(client.stop)
    client.start(5)
    rig.wait_served(sandbox, client)
    rig.settle(client)
    arrives(rig, sandbox, client, 1, 2)
    before = sandbox.published_count
    sandbox.refuse(503)
    gone = client.expect(xchws.Disconnected)
    proxy.cut()
    gone.result(5)
    sandbox.wait_until(lambda: not sandbox.sessions)
    rig.tell(sandbox, 3)
    assert sandbox.published_count == before + 1, "a number is one event"
    assert sandbox.subscriptions == []
    sandbox.accept()
    rig.wait_served(sandbox, client)
    arrives(rig, sandbox, client, 4)
    client.stop()
    assert [number for number in heard if number is not None] == ([1, 2, 3, 4] if rig.replays else [1, 2, 4])
    told: Dict[str, bool] = {channel: gap.recovered for gap in gaps for channel in gap.channels}
    assert told == rig.streams
    # One that begins anew after a recovery has a second Gap, before its snapshot.
    assert len(gaps) == (1 if rig.together else len(rig.streams) + len(rig.begins_anew))
    assert sandbox.complaints == []


def arrives(rig: Rig, sandbox: Any, client: xchws.Client, *numbers: int) -> None:
    last = client.expect(xchws.Data, where=lambda event: rig.number(event) == numbers[-1])
    for number in numbers:
        rig.tell(sandbox, number)
    last.result(5)
