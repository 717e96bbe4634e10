"""The market inside a simulated exchange: orders, numbered events, and a life of its own on demand.

Knows neither wire nor exchange: a subclass makes and delivers the events.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Deque, Dict, List, Optional, Union

Amount = Union[Decimal, int, str]


@dataclass
class SandboxOrder:
    """An order on a simulated exchange, as it stands.

    Attributes:
        number: rises with every order of the sandbox.
        id: the exchange's id on the wire.
        account: whose it is: the API key or the token.
        price: quote currency per unit; ``quantity`` and ``filled`` are in the base currency.
        created: milliseconds since 1970.
        status: ``NEW``, ``FILL`` (in part), ``DONE``, ``CANCELLED`` or ``REJECTED``.
    """

    number: int
    id: str
    client_order_id: str
    account: str
    symbol: str
    side: str
    price: Decimal
    quantity: Decimal
    created: int
    filled: Decimal = Decimal(0)
    status: str = "NEW"
    participant: str = "MAKER"

    @property
    def remaining(self) -> Decimal:
        """What is not filled yet."""
        return self.quantity - self.filled

    @property
    def open(self) -> bool:
        """Whether it can still be filled or cancelled."""
        return self.status in ("NEW", "FILL")


LARGEST_STEP = 8
"""More events than any single thing that happens in a market publishes."""


class Market:
    """Numbered events from a seeded walk. One lock makes the order of ``published`` the order on the wire.

    *history* limits how many published events are kept (None: all).
    """

    def __init__(self, seed: Optional[int] = None, history: Optional[int] = None) -> None:
        self.market_lock = threading.RLock()
        self.published_count = 0
        self._random = random.Random(seed)
        self._published: Deque[Dict[str, Any]] = deque(maxlen=history)
        self._walked: List[SandboxOrder] = []
        self._time = 0
        self._stop: Optional[threading.Event] = None
        self._runner: Optional[threading.Thread] = None

    @property
    def published(self) -> List[Dict[str, Any]]:
        """Every event so far as the wire object it was, in order: the n-th event is ``published[n - 1]``."""
        with self.market_lock:
            return list(self._published)

    def random_walk(self, events: int, seed: Optional[int] = None) -> None:
        """Publish exactly *events* events at once, consistent with all before; *seed* makes the choices repeatable."""
        chooser = self._random if seed is None else random.Random(seed)
        made = 0
        while made < events:
            with self.market_lock:
                made += self.step(chooser, events - made)

    def run(self, rate: float) -> None:
        """Publish *rate* events per second in the background, until ``pause()``."""
        if rate <= 0:
            raise ValueError("the rate must be above 0 events per second")
        self.pause()
        stop = threading.Event()
        runner = threading.Thread(target=self._run, args=(rate, stop), name="sandbox-market", daemon=True)
        runner.start()
        # Noted only now: a Ctrl-C before leaves nothing that pause() could not join.
        self._stop, self._runner = stop, runner

    def pause(self) -> None:
        """End ``run()``; returns when the last event is out."""
        if self._stop is not None and self._runner is not None:
            self._stop.set()
            self._runner.join()
        self._stop = self._runner = None

    def step(self, chooser: random.Random, limit: int) -> int:
        """Do something that publishes at least one and at most *limit* events; how many."""
        raise NotImplementedError

    def number_event(self, event: Dict[str, Any]) -> None:
        """Count an event in; the market lock must be held."""
        self._published.append(event)
        self.published_count += 1

    def now(self) -> int:
        """Milliseconds since 1970, never falling."""
        self._time = max(self._time, int(time.time() * 1000))
        return self._time

    def _run(self, rate: float, stop: threading.Event) -> None:
        began = time.monotonic()
        made = 0
        while not stop.wait(min(1.0 / rate, 0.1)):
            due = int((time.monotonic() - began) * rate)
            while made < due and not stop.is_set():
                with self.market_lock:
                    # A step may publish several events ahead of the rate: a market of single events would never trade.
                    made += self.step(self._random, max(LARGEST_STEP, due - made))

    def walked_order(self, chooser: random.Random) -> Optional[SandboxOrder]:
        """An open order that the walk placed, or None when it is time for a new one."""
        self._walked = [order for order in self._walked if order.open]
        if not self._walked or (len(self._walked) < 50 and chooser.random() < 0.35):
            return None
        return chooser.choice(self._walked)


def amount(value: Amount, name: str) -> Decimal:
    """A positive decimal.

    Raises:
        TypeError: a float, which has no exact decimal spelling.
        ValueError: not above zero.
    """
    if isinstance(value, float):
        raise TypeError(f"{name}: write {value!r} as a string or Decimal")
    number = Decimal(value)
    if number <= 0:
        raise ValueError(f"{name} must be above zero")
    return number
