"""Stand: one client on its simulated exchange, with a proxy between, events that never cease, and somebody who looks on.

It does no fault; it says whether the client has recovered from one, and what became of every event.
"""

from __future__ import annotations

import random
import re
import ssl
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import cache
from types import TracebackType
from typing import Any, Dict, List, Optional, Tuple, Type

import trustme

import xchws
from tests.rigs import Rig
from tests.soak.ledger import Hole, Ledger, Number, Refusal
from tests.soak.ledger import State as Whole
from xchws.exchanges import finery
from xchws.sandbox import FaultProxy

PATIENCE = 60.0  # seconds until a client that is not served again counts as lost
LOOK = 0.02  # seconds between two looks at a client
PING_INTERVAL, PING_TIMEOUT = 0.5, 1.0
SILENCE = PING_INTERVAL + PING_TIMEOUT
"""Seconds: the liveness deadline. A connection on which nothing comes for longer must have been given up."""
CAPACITY = 300
RATE = 60.0  # numbered events per second, on the average

# Short lives, so that renewals happen all the time.
SANDBOX: Dict[str, Dict[str, Any]] = {"indodax": {"ttl": 8}, "kyan": {"session_lifetime": 15.0}}
CLIENT: Dict[str, Dict[str, Any]] = {"kyan": {"session_lifetime": 10.0}}
# The stream that the numbers come on, as a Gap names it; where one Gap tells of all, any of its names will do.
STREAM = {
    "indodax": "orders",
    "indodax-market": "chart:tick-btcidr",
    "richamster": "order_book BTC/UAH",
    "kyrrex": "account",
    "kyan": "index_price pair=ETH_USDC",
    "finery": "L",
}


# What the exchanges have reason to complain of, because it is what the faults are about; and what they merely frown upon: Kyan's
# sees a channel asked for a second time where its rate limit has refused to let go of it for a new snapshot.
DUE = re.compile(r"expired token|refused with error|Recovery token|remark: ")


def over_tls(rig: Rig, seed: int) -> bool:
    """Whether this client speaks TLS in the run of this seed: half of them do."""
    return random.Random(f"{seed}/{rig.name}/tls").random() < 0.5


@cache
def _contexts() -> Tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the exchanges, and for the clients that trust them."""
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    return serving, trusting


class Raised(Exception):
    """What the raising callback raises."""


class Stand:
    """A context manager: inside it the client runs and events are published."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.ledger = Ledger(time.time())
        self.troubles: List[str] = []  # what must not happen
        self.errors: Dict[str, int] = {}  # what on_error was told, by class
        self.reconnects = 0
        self.longest_silence = 0.0  # seconds, while the client said that it was READY
        self.dead_threads = 0
        self.raising = 0  # so many events more for which a callback raises
        self.raised = 0
        self.go_on = threading.Event()  # cleared: the callbacks stand still
        self.go_on.set()
        self._tls = _contexts() if over_tls(rig, seed) else (None, None)
        self._random = random.Random(f"{seed}/{rig.name}/publisher")
        self._number = 0
        self._newest = 0
        self._publishing = threading.RLock()
        self._ending = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Stand:
        rig, enter = self.rig, self._stack.enter_context
        serving, trusting = self._tls
        self.sandbox = enter(rig.sandbox(history=2000, ssl_context=serving, **SANDBOX.get(rig.name, {})))
        self.proxy = enter(FaultProxy("127.0.0.1", self.sandbox.port))
        self.client = rig.client(
            self.sandbox,
            url=self.proxy.url(self.sandbox.url),
            backoff=xchws.Backoff(initial=0.02, maximum=0.3, stable=0.05),
            open_timeout=1.5,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            tls=trusting,
            capacity=CAPACITY,
            **CLIENT.get(rig.name, {}),
        )
        self.client.on(xchws.Data, self._raise)
        self.client.on(xchws.Data, self._note)
        if rig.event_class.latest_by:
            self.client.on(rig.event_class, self._note_newest, when_slow="latest")
        self.client.on_gap(self._note_gap)
        self.client.on_error(self._note_error)
        self.client.on_stop(self._note_stop)
        self.client.on_connect(self._note_connect)
        self.client.start()
        self._stack.callback(self.client.stop, PATIENCE)
        rig.wait_served(self.sandbox, self.client, PATIENCE)
        rig.settle(self.client)
        self._threads = [
            threading.Thread(target=work, name=f"{rig.name} {work.__name__}") for work in (self._publish, self._look)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._ending.set()
        self.go_on.set()
        self._stack.close()

    # ------------------------------------------------------------------------------------------------------- publishing

    def tell(self, count: int = 1) -> int:
        """Publish the next numbered events; the number of the last."""
        with self._publishing:
            for _ in range(count):
                self._number += 1
                self.ledger.sent(self._number, time.time())
                self.rig.tell(self.sandbox, self._number)
            return self._number

    def _publish(self) -> None:
        try:
            while not self._ending.wait(self._random.uniform(0.0, 2.0 / RATE)):
                self.tell()
        except Exception as error:
            self.troubles.append(f"the soak itself: publishing failed: {error!r}")

    # --------------------------------------------------------------------------------------------- what the user is told

    def _note(self, event: xchws.events.Data) -> None:
        self.go_on.wait(PATIENCE)
        number = self.rig.number(event)
        if number is not None:
            self.ledger.entries.append(Number(number))
        elif (
            isinstance(event, finery.CounterpartyLimit) and event.own is not None and event.own.gross_limit is not None
        ):
            self.ledger.entries.append(Whole(int(event.own.gross_limit.scaleb(8))))

    def _note_newest(self, event: xchws.events.Data) -> None:
        number = self.rig.number(event)
        if number is not None:
            if number < self._newest:
                self.troubles.append(f"a callback for the newest was told {number} after {self._newest}")
            self._newest = number

    def _raise(self, event: xchws.events.Data) -> None:
        if self.raising > 0 and self.rig.number(event) is not None:
            self.raising -= 1
            self.raised += 1
            raise (Raised, SystemExit, KeyboardInterrupt)[self.raised % 3]("on purpose")

    def _note_gap(self, gap: xchws.Gap) -> None:
        if STREAM[self.rig.name] in gap.channels:
            since = min(gap.since, gap.last_time or gap.since)
            self.ledger.entries.append(Hole(since.timestamp(), gap.until.timestamp(), gap.recovered))

    def _note_error(self, error: xchws.XchwsError) -> None:
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1
        if isinstance(error, xchws.SubscriptionRejected):
            self.ledger.entries.append(Refusal())
        if ": internal error: " in str(error):
            self.troubles.append(str(error))

    def _note_stop(self, event: xchws.Stopped) -> None:
        if event.error is not None:
            self.troubles.append(f"the client stopped: {event.error!r}")

    def _note_connect(self, event: xchws.Connected) -> None:
        self.reconnects += event.gap is not None

    # ------------------------------------------------------------------------------------------------------- looking on

    def _look(self) -> None:
        while not self._ending.wait(LOOK):
            status = self.client.status()
            if not status.threads_alive and status.state is not xchws.State.STOPPED:
                self.dead_threads += 1
            if status.state is xchws.State.READY and status.last_message is not None and status.since is not None:
                # The answer to the handshake is a sign of life, too; Richamster's client is READY by it.
                silence = (datetime.now(timezone.utc) - max(status.last_message, status.since)).total_seconds()
                self.longest_silence = max(self.longest_silence, silence)

    def recovered(self) -> bool:
        """Wait until the client is served as it should be and events arrive; whether that has come about."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.rig.wait_served(self.sandbox, self.client, 5.0)
                self._arrives()
                return True
            except (TimeoutError, xchws.SubscriptionRejected) as error:  # a refused one is subscribed anew
                if time.monotonic() >= deadline:
                    return self._is_lost(error)
            except xchws.XchwsError as error:
                return self._is_lost(error)

    def _arrives(self) -> None:
        with self._publishing:
            before = self._number
        arrival = self.client.expect(xchws.Data, where=lambda event: (self.rig.number(event) or 0) > before)
        self.tell()
        try:
            arrival.result(5.0)
        finally:
            arrival.cancel()

    def _is_lost(self, error: Exception) -> bool:
        seen = self.sandbox.subscriptions
        self.troubles.append(f"not served again: {error!r}; the exchange sees {seen}; {self.client.status()}")
        return False

    def end(self) -> None:
        """The last event arrives, and the client stops in time with all its threads."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        if self.client.status().state is not xchws.State.STOPPED:
            self.recovered()
        if not self.client.stop(PATIENCE):
            self.troubles.append("the client did not stop")
        if self.client.status().undelivered:
            self.troubles.append(f"{self.client.status().undelivered} events were not delivered at the end")
        complaints = [text for text in self.sandbox.complaints if not DUE.search(text)]
        self.troubles += [f"the exchange complains: {text}" for text in complaints[:5]]
