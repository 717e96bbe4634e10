"""Credentials and what must never be shown.

A credential comes from an argument or from the environment. `Secrets` knows every secret text of one client, the tokens
that it got on the way too, and takes them out of any text from outside before it reaches an error, a log or an event.
"""

from __future__ import annotations

import json
import os
from typing import Optional
from urllib.parse import quote, quote_plus

from xchws.errors import ConfigurationError

HIDDEN = "***"
_SHORT = 300
_LONGEST = 4096  # characters of a credential; a token of a kilobyte is a long one
_PASSING_KEPT = 100


class Secrets:
    """The secret texts of one client. It shows none of them, not even in its `repr`.

    Several threads may add to it at once: one entry comes or goes at a time, which is atomic.
    """

    __slots__ = ("_lasting", "_passing", "_texts")

    def __init__(self) -> None:
        self._lasting: dict[str, None] = {}
        self._passing: dict[str, int] = {}  # the higher, the later it was added
        self._texts: tuple[str, ...] = ()

    def add(self, *texts: Optional[str]) -> None:
        """Remember secret texts; None and "" are passed over. The forms that an URL gives them are remembered too."""
        for text in texts:
            if text:
                self._lasting[text] = None
        self._arrange()

    def add_passing(self, text: str) -> None:
        """Remember a secret text that will be replaced by others, such as a token: the last 100 of them are kept."""
        known = self._passing.copy()
        known[text] = self._passing[text] = max(known.values(), default=0) + 1
        for old in sorted(known, key=known.__getitem__)[:-_PASSING_KEPT]:
            self._passing.pop(old, None)
        self._arrange()

    def _arrange(self) -> None:
        arranged = None
        while arranged != (texts := [*self._lasting, *self._passing]):  # what came meanwhile is not there yet
            self._texts = _forms(texts)
            arranged = texts

    def redact(self, text: str) -> str:
        """The text with every known secret replaced."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def redact_bytes(self, text: bytes) -> bytes:
        """The same for UTF-8; what holds no secret comes back untouched."""
        for secret in self._texts:
            if secret.encode() in text:
                return self.redact(text.decode("utf-8", "replace")).encode()
        return text

    def excerpt(self, text: str | bytes, length: int = _SHORT) -> str:
        """A redacted text of at most `length` characters, for an error; bytes are read as UTF-8 as far as they are."""
        if isinstance(text, bytes):
            # What lies beyond is not shown; the margin lets a secret that straddles the cut be found whole.
            text = text[: length * 4 + 4096].decode("utf-8", "replace")
        shown = self.redact(text)
        return shown if len(shown) <= length else f"{shown[:length]}… ({len(text)} characters)"

    def __repr__(self) -> str:
        return f"Secrets({HIDDEN})"


def _forms(texts: list[str]) -> tuple[str, ...]:
    """All forms that the texts may be met in, in the order in which they must be looked for."""
    known: set[str] = set()
    for text in texts:
        escaped = json.dumps(text)[1:-1]
        known.update((text, quote(text, safe=""), quote_plus(text), escaped, escaped.replace("/", "\\/")))
    # A secret may hold another one (a URL its signature): the longest goes first, or its rest would stay.
    return tuple(sorted(known, key=lambda text: (-len(text), text)))


def credential(value: Optional[str], argument: str, variable: str, exchange: str) -> str:
    """A credential from the argument, or else from the environment variable.

    Raises:
        ConfigurationError: it is nowhere, not a string, empty, longer than any credential, or has white space at an end or
            characters that cannot be printed or stand in no header.
    """
    source = f"argument {argument!r}"
    if value is None:
        value = os.environ.get(variable)
        source = f"environment variable {variable}"
        if value is None:
            raise ConfigurationError(
                f"{exchange}: no {argument}: give {argument}=… or set the environment variable {variable}",
                argument=argument,
                exchange=exchange,
            )
    if not isinstance(value, str):
        raise ConfigurationError(
            f"{exchange}: {source} must be a string, not {type(value).__name__}", argument=argument, exchange=exchange
        )
    if not value:
        raise ConfigurationError(f"{exchange}: {source} is empty", argument=argument, exchange=exchange)
    headers_take_it = all(ord(character) < 256 for character in value)  # Latin-1
    if value != value.strip() or not value.isprintable() or not headers_take_it or len(value) > _LONGEST:
        raise ConfigurationError(
            f"{exchange}: {source} has white space at an end, characters that no credential has, or more than {_LONGEST} of "
            "them; was something else copied than the credential itself?",
            argument=argument,
            exchange=exchange,
        )
    return value
