"""What holds for every test: it ends the threads it started, and it runs the same way each time.

Knows nothing of xchws.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from typing import Any, Iterator, List

import pytest
from hypothesis import settings

THREADS_END_WITHIN = 5.0
"""How long a thread may outlive its test, in seconds."""

TOGETHER = (
    "tests/benchmarks/test_reliability_comparison.py",
    "tests/interop/",
    "tests/packaging/test_distribution.py",
)
"""Tests that one process runs: it installs, builds or holds a comparison once for all of them."""

UNMEASURED = (
    "tests/benchmarks/",
    "tests/client/test_any_moment.py",
    "tests/client/test_bursts.py",
    "tests/client/test_signals.py",
    "tests/client/test_stop_everywhere.py",
    "tests/client/test_two_thousand.py",
    "tests/client/test_unseen.py",
    "tests/faults/",
    "tests/forks/",
    "tests/interop/",
    "tests/resources/",
    "tests/soak/",
)
"""Tests of the whole under load or in odd moments: with --cov they are not measured, which would make them twice as long. What
they alone reach is no more covered for it: each line should be held by a test that looks at what it does."""

# The same examples in every run: a red suite is red again when it is run again. To look for new ones:
# pytest --hypothesis-profile=explore
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", max_examples=2_000, deadline=None, print_blob=True)
# Measuring coverage makes every line three times as dear: that run looks at fewer examples, the others at all of them.
settings.register_profile("covered", settings.get_profile("ci"), max_examples=40)
settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    """With --cov, and unless another profile is asked for, the smaller one. Ctrl-C means what it does in a terminal."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it puts into the background so, and the programs that the tests interrupt would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("cov_source", None) and not config.getoption("--hypothesis-profile"):
        settings.load_profile("covered")


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """What needs no measuring is marked for pytest-cov."""
    for item in items:
        if item.nodeid.startswith(UNMEASURED):
            item.add_marker(pytest.mark.no_cover)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each test goes to the process that is free, but for those that must stay together."""
    from xdist.scheduler import LoadScopeScheduling

    def place(nodeid: str) -> str:
        return next((room for room in TOGETHER if nodeid.startswith(room)), nodeid)

    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = place
    return scheduling


def _alive(threads: List[threading.Thread], patience: float) -> List[threading.Thread]:
    """Give those of the threads that have not ended after `patience` seconds in all."""
    deadline = time.monotonic() + patience
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in threads if thread.is_alive()]


def _stack(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    where = "".join(traceback.format_stack(frame)) if frame is not None else "  (no frame)\n"
    return f"{thread.name}{' (daemon)' if thread.daemon else ''} stands at\n{where}"


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fails a test that leaves a thread running. Fixtures of wider scope start before this one and may keep theirs."""
    before = set(threading.enumerate())
    yield
    left = _alive([thread for thread in threading.enumerate() if thread not in before], THREADS_END_WITHIN)
    if left:
        pytest.fail(
            f"{len(left)} thread(s) outlived the test by {THREADS_END_WITHIN:g} s:\n\n"
            + "\n".join(_stack(thread) for thread in left),
            pytrace=False,
        )
