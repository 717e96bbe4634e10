"""Text messages a second out of bytes in memory: our FrameReader beside websocket-client's own reader.

Run `python benchmarks/frames.py`. Rounds alternate between the readers; each figure is the median of its rounds.
No system call is in it, so what a socket costs is left out on both sides.
"""

from __future__ import annotations

import statistics
import time
from typing import Callable, Dict, List, Tuple

import websocket

from xchws.sansio.frames import FrameReader

SIZES: Tuple[Tuple[str, int], ...] = (("ticker", 120), ("order", 420), ("book", 1500), ("big", 60_000))
FEED = 65_536  # bytes; what one read of the socket takes at most
ROUNDS = 5
ROUND_SECONDS = 0.15


class MemorySocket:
    """As much of a socket as websocket-client reads from: a stream that is all there."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream
        self._pos = 0

    def recv(self, size: int) -> bytes:
        data = self._stream[self._pos : self._pos + size]
        self._pos += len(data)
        return data

    def gettimeout(self) -> None:
        return None


def frame(payload: bytes) -> bytes:
    """An unmasked text frame, as a server sends it."""
    size = len(payload)
    return (b"\x81" + bytes((size,)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + payload


def frame_reader(stream: bytes, count: int) -> None:
    """Our reader, fed 64 KiB at a time: frames are cut where the feeds end."""
    reader = FrameReader()
    read = 0
    for start in range(0, len(stream), FEED):
        read += len(reader.feed(stream[start : start + FEED]))
    assert read == count


def records(stream: bytes, count: int) -> None:
    """Our reader, fed one frame at a time, as when each comes in a TLS record or a packet of its own."""
    reader = FrameReader()
    size = len(stream) // count
    for start in range(0, len(stream), size):
        assert len(reader.feed(stream[start : start + size])) == 1


def websocket_client(skip_utf8_validation: bool) -> Callable[[bytes, int], None]:
    def run(stream: bytes, count: int) -> None:
        socket = websocket.WebSocket(skip_utf8_validation=skip_utf8_validation)
        socket.sock = MemorySocket(stream)  # type: ignore[assignment]  # it has all that reading asks for
        for _ in range(count):
            socket.recv_data()

    return run


READERS: Dict[str, Callable[[bytes, int], None]] = {
    "FrameReader": frame_reader,
    "FrameReader, a frame a feed": records,
    "websocket-client": websocket_client(skip_utf8_validation=False),
    "websocket-client, UTF-8 unchecked": websocket_client(skip_utf8_validation=True),
}


def rate(run: Callable[[bytes, int], None], one: bytes, count: int) -> float:
    """Messages a second over one stream of count frames."""
    stream = one * count
    begun = time.perf_counter()
    run(stream, count)
    return count / (time.perf_counter() - begun)


def main() -> None:
    for name, size in SIZES:
        one = frame(b"x" * size)
        counts: Dict[str, int] = {}
        for reader, run in READERS.items():
            trial = 1 if size > FEED // 2 else 50
            counts[reader] = max(trial, min(20_000_000 // size, int(rate(run, one, trial) * ROUND_SECONDS)))
        rates: Dict[str, List[float]] = {reader: [] for reader in READERS}
        for _ in range(ROUNDS):
            for reader, run in READERS.items():
                rates[reader].append(rate(run, one, counts[reader]))
        ours = statistics.median(rates["FrameReader"])
        print(f"{name}, {size} bytes")
        for reader in READERS:
            median = statistics.median(rates[reader])
            print(f"  {reader:<34}{median:>12,.0f} messages/s{1e6 / median:>12.2f} us{ours / median:>10.2f} : 1")


if __name__ == "__main__":
    main()
