"""CancelScope: lets the owner end what a helper thread blocks on, and bounds all of it by one deadline.

It knows a connection by a second descriptor of its own: whoever wraps, detaches or closes the first one, shutting the second
one down ends what waits for the peer. What it cannot end is a name being looked up: the system's resolver takes its time.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Optional

from xchws import clock


class Cancelled(OSError):
    """The work was cancelled, or its deadline has passed."""


class CancelScope:
    """The bounds of one piece of blocking work. Timeouts of sockets begin anew with every byte; this one does not.

    Args:
        timeout: seconds for all of it, from now on.

    Attributes:
        deadline: the monotonic instant of its end; whoever watches it calls `cancel` then.
    """

    def __init__(self, timeout: float) -> None:
        self.deadline = clock.monotonic() + timeout
        self._timeout = timeout
        self._lock = threading.Lock()
        self._twin: Optional[socket.socket] = None
        self._number = -1  # the first one's
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._cancelled

    def hold(self, sock: socket.socket) -> None:
        """This socket, connected or not, is what the work blocks on now; the one before is over.

        Raises:
            Cancelled: the work is to end.
        """
        twin = sock.dup()
        with self._lock:
            if not self._cancelled:
                former, self._twin = self._twin, twin
                self._number = sock.fileno()
        if self._cancelled:
            twin.close()
        elif former is not None:
            former.close()
        self.remaining()

    def remaining(self) -> float:
        """Seconds left, above 0.

        Raises:
            Cancelled: there are none.
        """
        left = self.deadline - clock.monotonic()
        if left <= 0:
            raise Cancelled(f"not done within {self._timeout:g} s")
        if self._cancelled:
            raise Cancelled("given up")
        return left

    def cancel(self) -> None:
        """Have the work end soon; from any thread."""
        with self._lock:
            self._cancelled = True
            if self._twin is not None:
                try:
                    self._twin.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # not connected, or not any more: then nobody waits for the peer

    def release(self) -> None:
        """The work is over: let go of the connection without touching it."""
        with self._lock:
            twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()

    def forsake(self) -> None:
        """In a forked child: let go of both descriptors. The lock may be held by a thread that the child does not have.

        Were the first one left open, the peer would not see the end of the connection in the parent until the child ends.
        """
        if self._twin is None:
            return
        twin = self._twin.detach()
        try:
            if os.path.sameopenfile(self._number, twin):  # else it has been closed, and may be something else by now
                os.close(self._number)
        except OSError:
            pass  # it has been closed
        os.close(twin)
