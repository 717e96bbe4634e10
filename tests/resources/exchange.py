"""A simulated exchange in a process of its own, so that what it holds is not taken for what a client holds.

The child (`python -m tests.resources.exchange NAME`) says where it is reached. It obeys lines: `cut` cuts every connection,
`tell N` publishes the N-th event; with the end of its input it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Optional, Type

from tests.rigs import RIGS, Rig

ROOT = Path(__file__).resolve().parents[2]
HISTORY = 100  # events and messages that the exchange keeps


def rig_of(name: str) -> Rig:
    """The rig of this name.

    Raises:
        KeyError: there is none.
    """
    return {rig.name: rig for rig in RIGS}[name]


class Exchange:
    """The exchange of a rig, as seen from the process of its clients; a context manager.

    Attributes:
        addresses: the arguments by which a client finds it.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.addresses: Dict[str, Any] = {}
        self._accounts = rig.sandbox()  # never started: who the clients are

    def __enter__(self) -> Exchange:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.resources.exchange", self.rig.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.addresses = json.loads(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._process.communicate(timeout=30)

    def client(self, **options: Any) -> Any:
        """A client of this exchange with its usual subscriptions, not started."""
        return self.rig.client(self._accounts, **{**self.addresses, **options})

    def wait_served(self, client: Any, timeout: float) -> None:
        """Wait until the client is READY and its subscriptions are active; raises what these raise."""
        client.wait_ready(timeout)
        for subscription in self.rig.subscribe(self._accounts, client):
            subscription.wait(timeout)

    def cut(self) -> None:
        """Cut every connection."""
        self._order("cut")

    def tell(self, first: int, last: int) -> None:
        """Publish these events."""
        self._order(*(f"tell {number}" for number in range(first, last + 1)))

    def _order(self, *lines: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()


def serve(rig: Rig) -> None:
    """Run the exchange until the input ends."""
    with rig.sandbox(history=HISTORY) as sandbox:
        addresses = {"url": sandbox.url}
        if rig.rest != "never":
            addresses["rest_url"] = sandbox.rest_url
        print(json.dumps(addresses), flush=True)
        for line in sys.stdin:
            verb, *numbers = line.split()
            if verb == "cut":
                sandbox.drop()
            else:
                rig.tell(sandbox, int(numbers[0]))


if __name__ == "__main__":
    serve(rig_of(sys.argv[1]))
