"""Dialect: what the scripted server says in one exchange's language. Knows no socket and no library, only the standard library.

Three subscriptions exist everywhere: `FIRST` and `SECOND` are taken, `REFUSED` is answered by the exchange's own error.
"""

from __future__ import annotations

from typing import Any, ClassVar, Dict, List, Mapping, NamedTuple, Sequence, Tuple, Union

FIRST, SECOND, REFUSED = "first", "second", "refused"

Text = Union[str, bytes]


class Opening(NamedTuple):
    """How a connection begins: `status` other than 101 refuses the handshake; `topics` are what its path subscribes."""

    status: int = 101
    says: Sequence[Text] = ()
    topics: Sequence[str] = ()


class Answer(NamedTuple):
    """What follows from a message: `topics` are subscribed before `says` is sent."""

    says: Sequence[Text] = ()
    topics: Sequence[str] = ()


class Dialect:
    """One exchange, without its faults: those belong to the trials.

    Attributes:
        symbols: topic -> how the exchange names it.
        secrets: what must not be seen in a log, by its name: what the server issued, or found in what it was sent.
    """

    symbols: ClassVar[Mapping[str, str]]

    def __init__(self) -> None:
        self.secrets: Dict[str, str] = {}

    @classmethod
    def topic(cls, symbol: str) -> str:
        """The topic of a symbol; the symbol itself for one that is unknown."""
        return next((topic for topic, known in cls.symbols.items() if known.lower() == symbol.lower()), symbol)

    def opening(self, path: str) -> Opening:
        """What a handshake for this path leads to."""
        return Opening()

    def answer(self, message: Text, published: Mapping[str, int]) -> Answer:
        """What a message leads to; `published` says how many were published of each topic."""
        raise NotImplementedError

    def data(self, topic: str, number: int) -> Text:
        """The `number`-th message of a topic."""
        raise NotImplementedError

    def rest(self, method: str, path: str, url: str) -> Tuple[int, Any]:
        """Status and JSON for a REST request; `url` is the WebSocket server's."""
        return 404, {}


def taken(symbols: List[str], dialect: Dialect) -> List[str]:
    """The topics of these symbols that may be subscribed."""
    return [topic for topic in map(dialect.topic, symbols) if topic in (FIRST, SECOND)]
