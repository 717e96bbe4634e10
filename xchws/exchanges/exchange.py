"""Exchange: what the runtime must know of an exchange besides its protocol: where to dial, and what to fetch beside it.

`route` and `fetch` may block: they run on a helper thread. The rest decides only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Mapping, Optional, Tuple, TypeVar
from urllib.parse import urlsplit

from xchws import clock
from xchws.backoff import Backoff
from xchws.credentials import Secrets
from xchws.errors import ConfigurationError, HandshakeRejected
from xchws.sansio.actions import Close, Topic
from xchws.sansio.protocol import Protocol
from xchws.transports.http import Http
from xchws.transports.route import Route

T = TypeVar("T")


class Exchange(ABC):
    """One exchange for one client; it outlives the connections and holds what must.

    Attributes:
        name: in lower case, as events and errors carry it.
        channels: what comes without being subscribed, in words; a Gap names them.
        overlap: whether the exchange permits a second connection beside the first.
        backoff: what to wait between tries unless the user says otherwise.
        offset: how far the exchange's clock is ahead of this machine's, as far as its answers have told.
    """

    name: ClassVar[str]
    channels: Tuple[str, ...] = ()
    overlap: bool = False
    backoff: Backoff = Backoff()

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self.offset = clock.Offset()

    @abstractmethod
    def route(self, http: Http) -> Route:
        """Where the next dial goes, with fresh signatures and tokens; blocks for a REST call where one is needed.

        Raises:
            XchwsError: there is no way; `refused` decides what follows from it.
        """

    @abstractmethod
    def protocol(self, route: Route) -> Protocol:
        """What speaks on the connection that this route led to."""

    def begin(self, topic: Topic) -> None:  # noqa: B027  # most exchanges have nothing to do here
        """A new subscription of this topic is about to be asked for, and owes nothing to an earlier one."""

    def fetch(self, job: str, http: Http) -> Any:
        """Do a job that the protocol asked for; blocks.

        Raises:
            XchwsError: it failed; the protocol gets the error.
        """
        raise NotImplementedError(job)  # a protocol that asks for jobs comes with an exchange that does them

    def ended(self, route: Route) -> None:  # noqa: B027  # most exchanges have nothing to do here
        """The connection that this route led to, or the try to make it, is over; called on any thread, once per route."""

    def refused(self, error: HandshakeRejected) -> Close:
        """What a handshake that was answered with another status than 101 means here."""
        return Close(error)


def address(value: Optional[str], argument: str, schemes: Tuple[str, ...], default: str, exchange: str) -> str:
    """An address given by the user, or the default.

    Raises:
        ConfigurationError: it is not an URL with one of the schemes and a host, or it has user, password or fragment.
    """
    if value is None:
        return default
    form = f"{schemes[-1]}://host/…"
    if not isinstance(value, str):
        raise _unfit(exchange, argument, f"an address such as {form}, not a {type(value).__name__}")
    if not value.isprintable() or " " in value:
        raise _unfit(exchange, argument, f"an address such as {form}, without blanks")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # what cannot be written so cannot be looked up
    except ValueError:
        raise _unfit(exchange, argument, f"an address such as {form}; what was given cannot be read as one") from None
    if parts.scheme not in schemes or not host:
        raise _unfit(
            exchange, argument, f"an address that begins with {' or '.join(f'{s}://' for s in schemes)} and a host"
        )
    if port == 0:
        raise _unfit(exchange, argument, "an address with a port from 1 to 65535, or without one")
    if parts.username or parts.password or parts.fragment:
        raise _unfit(exchange, argument, "an address without user, password and #fragment")
    return value


def base_address(value: Optional[str], argument: str, schemes: Tuple[str, ...], default: str, exchange: str) -> str:
    """As `address`, for one that other paths are appended to: scheme, host and port, without a slash at the end.

    Raises:
        ConfigurationError: what `address` refuses, or an address with a path or a query.
    """
    given = address(value, argument, schemes, default, exchange)
    parts = urlsplit(given)
    if parts.path not in ("", "/") or parts.query or "?" in given:
        raise _unfit(
            exchange,
            argument,
            f"an address without path and query, such as {parts.scheme}://{parts.netloc}",
        )
    return f"{parts.scheme}://{parts.netloc}"


def environment(name: str, known: Mapping[str, T], exchange: str) -> T:
    """What belongs to an environment of the exchange.

    Raises:
        ConfigurationError: there is no such environment.
    """
    if not isinstance(name, str) or name not in known:
        raise _unfit(exchange, "environment", f"{' or '.join(repr(one) for one in known)}, not {name!r}")
    return known[name]


def _unfit(exchange: str, argument: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{exchange}: {argument} must be {wanted}", argument=argument, exchange=exchange)
