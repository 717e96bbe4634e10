"""The simulated exchanges, and clients on them that are stopped after the test."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List

import pytest

import xchws
from tests.client.hearing import Everything, everything_logged
from xchws.sandbox import IndodaxSandbox, RichamsterSandbox

QUICK = xchws.Backoff(initial=0.01, maximum=0.05)


@pytest.fixture
def indodax() -> Iterator[IndodaxSandbox]:
    with IndodaxSandbox(seed=1) as exchange:
        yield exchange


@pytest.fixture
def richamster() -> Iterator[RichamsterSandbox]:
    with RichamsterSandbox(seed=1) as exchange:
        yield exchange


@pytest.fixture
def clients() -> Iterator[List[xchws.Client]]:
    made: List[xchws.Client] = []
    yield made
    for client in made:
        assert client.stop(10), "the client did not end"


@pytest.fixture
def make_indodax(indodax: IndodaxSandbox, clients: List[xchws.Client]) -> Callable[..., xchws.Indodax]:
    def make(**options: Any) -> xchws.Indodax:
        arguments: Any = {"url": indodax.url, "rest_url": indodax.rest_url, "backoff": QUICK, **options}
        client = xchws.Indodax(indodax.key, indodax.secret, **arguments)
        clients.append(client)
        return client

    return make


@pytest.fixture
def make_richamster(richamster: RichamsterSandbox, clients: List[xchws.Client]) -> Callable[..., xchws.Richamster]:
    def make(token: Any = None, **options: Any) -> xchws.Richamster:
        arguments: Any = {"url": richamster.url, "backoff": QUICK, **options}
        client = xchws.Richamster(token, **arguments)
        clients.append(client)
        return client

    return make


@pytest.fixture
def log() -> Iterator[Everything]:
    with everything_logged() as handler:
        yield handler
