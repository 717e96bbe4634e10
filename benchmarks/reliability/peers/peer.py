"""Peer: what an adapter does. It drives a library through its public API, as its documentation says, in the puppet's process.

Adapters import their library inside functions, by name: it lies in an environment of its own, and has no types to rely on.
"""

from __future__ import annotations

from typing import Any, Callable, ClassVar, Mapping, NamedTuple, Optional, Type

from benchmarks.reliability.dialects.dialect import Dialect

KEY, SECRET, TOKEN = "key-of-the-user-4c1f90", "secret-of-the-user-7d20ee", "token-of-the-user-b36a15"


class Place(NamedTuple):
    """Where the exchange is, and how the library is to be set up for this trial.

    Attributes:
        url: of the WebSocket server, without path; rest_url: of its REST server, without path.
        private: log in, and listen to what is the user's own, with `KEY`, `SECRET` and `TOKEN`.
        quick: set the library's documented keepalive, if it has any, to some seconds.
    """

    url: str
    rest_url: str
    private: bool = False
    quick: bool = False


class Listener(NamedTuple):
    """What an adapter tells of what the library told the user's functions.

    Attributes:
        message: called with the topic and the number, in the library's callback, and may raise there.
        told: called with one of the words below, a text, and, for a gap, since when (as text).
    """

    message: Callable[[str, int], None]
    told: Callable[..., None]


INTERRUPTED = "interrupted"
"""The library called a function of the user's because the connection was lost."""
GAP = "gap"
"""... and said since when."""
LOST = "lost"
"""The library said that messages were lost because the callback was too slow."""
ERROR = "error"
"""Any other trouble: a refusal, an exception of the user's."""


class Peer:
    """One library.

    Attributes:
        title: how the page names it; package: its name on PyPI.
        settings: what was set that is not its default, and why, for the page.
        spared: trial -> why it cannot be put to this library.
        sends: secret -> its text, that `private` puts on the wire; keeps: the same, of what it only signs with.
    """

    title: ClassVar[str]
    package: ClassVar[str]
    dialect: ClassVar[Type[Dialect]]
    settings: ClassVar[str] = "Defaults."
    spared: ClassVar[Mapping[str, str]] = {}
    sends: ClassVar[Mapping[str, str]] = {}
    keeps: ClassVar[Mapping[str, str]] = {}

    def __init__(self, place: Place, listener: Listener) -> None:
        self.place = place
        self.listener = listener
        self.client: Any = None  # the library's object

    def start(self) -> None:
        """Connect; returns when the library lets go of the caller."""
        raise NotImplementedError

    def subscribe(self, topic: str) -> None:
        """Subscribe one of the topics of the dialect."""
        raise NotImplementedError

    def stop(self) -> Optional[object]:
        """What the documentation says ends it."""
        raise NotImplementedError
