"""The signature, against vectors; the nonce, from many threads."""

from __future__ import annotations

import threading
from typing import List

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
    now = 1718000000123
    first, second = (signing.headers("a key", SECRET, signing.nonce("a key", now), now) for _ in range(2))
    assert set(first) == {"EFX-Key", "EFX-Sign", "EFX-Content"}
    assert first["EFX-Content"] == '{"nonce":1718000000123000,"timestamp":1718000000123}'
    assert second["EFX-Content"] == '{"nonce":1718000000123001,"timestamp":1718000000123}'
    for headers in (first, second):
        assert headers["EFX-Sign"] == signing.signature(SECRET, headers["EFX-Content"])


def test_the_nonce_rises_when_the_clock_goes_back() -> None:
    rising = signing.Rising()
    assert [rising.draw("k", least) for least in (50, 40, 41, 51, 90)] == [50, 51, 52, 53, 90]
    assert rising.draw("another", 7) == 7
    assert rising.passed("k", 53) and not rising.passed("k", 90)


def test_the_nonce_rises_on_many_threads() -> None:
    rising = signing.Rising()
    threads, each = 16, 2_000
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
    assert sorted(number for numbers in drawn for number in numbers) == list(range(1, threads * each + 1))
