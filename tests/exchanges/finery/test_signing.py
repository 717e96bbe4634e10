"""The signature, against vectors; the nonce, from many threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import List

import pytest

from xchws import clock
from xchws.exchanges.finery import signing

SECRET = "demo-secret-7Qx"


def test_the_content_and_its_signature() -> None:
    said = signing.content(1718000000123456, 1718000000123)
    assert said == '{"nonce":1718000000123456,"timestamp":1718000000123}'
    assert signing.signature(SECRET, said) == "nUo3h8dQmDVWkW8Aji+JvT2O+acUcnMZswcysVzmnFiPQYhA6Wj+mDs3wvlQ2zFT"


def test_the_signature_covers_the_exact_text() -> None:
    spaced = '{"nonce": 1718000000123456, "timestamp": 1718000000123}'
    assert signing.signature(SECRET, spaced) == "loXCxWU7veTN9pY4NABN7SJ08ugH0bfvl3AN7r6DRa9qyrgPb7sMqHbip201Xa4C"
    rest = 'positions{"filter":"all","nonce":1718000000123457,"timestamp":1718000000124}'
    assert signing.signature(SECRET, rest) == "i9fIDPxRNhZjicjHeHbOnkOr2UncKXFUVBnP4sQPyyGk27Fi0dn6m02NiSi/J7rW"


def test_every_handshake_is_signed_anew() -> None:
    now = 1718000000123456
    first, second = (signing.headers("a key", SECRET, signing.nonce("a key", now), now // 1000) for _ in range(2))
    assert set(first) == {"EFX-Key", "EFX-Sign", "EFX-Content"}
    assert first["EFX-Content"] == '{"nonce":1718000000123456,"timestamp":1718000000123}'
    assert second["EFX-Content"] == '{"nonce":1718000000123457,"timestamp":1718000000123}'
    for headers in (first, second):
        assert headers["EFX-Sign"] == signing.signature(SECRET, headers["EFX-Content"])


def test_the_nonce_rises_when_the_clock_goes_back() -> None:
    rising = signing.Rising()
    assert [rising.draw("k", least) for least in (50, 40, 41, 51, 90)] == [50, 51, 52, 53, 90]
    assert rising.draw("another", 7) == 7
    assert rising.passed("k", 53) and not rising.passed("k", 90)


FORKED = """
import os
from xchws.exchanges.finery.places import Places
from xchws.exchanges.finery.signing import Rising

places, rising = Places(limit=2), Rising()
rising.draw("k", 500)  # ahead of the clock, as after a clock that was set back
held = [places.take("host:443") for _ in range(2)]
child = os.fork()
if not child:
    # It has no connections yet, and its nonces go on from its parent's.
    mine = [places.take("host:443") for _ in range(3)]
    os._exit(0 if [place is None for place in mine] == [False, False, True] and rising.draw("k", 7) == 501 else 1)
_, status = os.waitpid(child, 0)
assert status == 0
assert rising.draw("k", 7) == 501 and places.take("host:443") is None  # what the child does is its own
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_counts_its_own_connections_and_goes_on_with_the_nonces() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


def test_two_processes_that_draw_in_the_same_millisecond_draw_apart() -> None:
    """As far as the clock tells them apart: the nonce has its microseconds."""
    first, second = (signing.Rising().draw("k", clock.unix_microseconds()) for _ in range(2))
    assert len(str(first)) == 16 and first < 2**53
    readings = {signing.Rising().draw("k", clock.unix_microseconds()) % 1000 for _ in range(1_000)}
    assert len(readings) > 10 and second >= first


def test_the_nonce_rises_on_many_threads() -> None:
    rising = signing.Rising()
    threads, each = 16, 500
    drawn: List[List[int]] = [[] for _ in range(threads)]
    gate = threading.Barrier(threads)

    def draw(into: List[int]) -> None:
        gate.wait(10)
        for _ in range(each):
            into.append(rising.draw("k", 1))

    running = [threading.Thread(target=draw, args=(into,)) for into in drawn]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(30)
    assert all(numbers == sorted(numbers) for numbers in drawn)
    assert len({number for numbers in drawn for number in numbers}) == threads * each
