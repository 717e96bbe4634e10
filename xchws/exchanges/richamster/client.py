"""Richamster: its client. Source: https://richamster.com/api/v1/docs/websockets/, read 2026-11."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Union

from xchws.client import Client
from xchws.credentials import Secrets, credential
from xchws.errors import ConfigurationError, HandshakeRejected
from xchws.exchanges.exchange import Exchange, address, base_address
from xchws.exchanges.richamster.models import NAME, ORDER_BOOK, TICKER, TRADING, USER_ORDERS
from xchws.exchanges.richamster.protocol import RichamsterProtocol
from xchws.sansio.actions import Close, Topic
from xchws.sansio.protocol import Protocol
from xchws.subscribing import Subscription
from xchws.transports.http import Http
from xchws.transports.route import Route

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from xchws.client import ClientOptions

_URL = "wss://richamster.com/ws/public/v1/stream/"
_PAIR = re.compile(r"[A-Z0-9]+/[A-Z0-9]+")
_CHANNELS = (TICKER, ORDER_BOOK, TRADING, USER_ORDERS)
_SLOWLY = 30.0  # seconds before the next try after a handshake that was refused with a 4xx status
_PASSING = frozenset((408, 425, 429))  # the 4xx statuses that pass by themselves

Token = Union[str, Callable[[], str]]


class RichamsterExchange(Exchange):
    """Richamster for one user."""

    name = NAME

    def __init__(
        self, token: Optional[Token], url: str, origin: Optional[str], wire_channels: Mapping[str, str]
    ) -> None:
        super().__init__(Secrets())
        self._token = token
        self._url = url
        self._origin = origin
        self._wire_channels = wire_channels
        if isinstance(token, str):
            self.secrets.add(token)

    @property
    def has_token(self) -> bool:
        """Whether own orders can be subscribed."""
        return self._token is not None

    def route(self, http: Http) -> Route:
        return Route(self._url, origin=self._origin)

    def protocol(self, route: Route) -> Protocol:
        fixed = self._token if isinstance(self._token, str) else None
        return RichamsterProtocol(fixed, callable(self._token), self._wire_channels, self.secrets)

    def fetch(self, job: str, http: Http) -> Any:
        assert callable(self._token), "the protocol asks only where there is a function"
        token = self._token()
        if not isinstance(token, str) or not token:
            what = "an empty text" if token == "" else type(token).__name__
            raise ConfigurationError(
                f"{NAME}: the token function must return a text that is not empty, not {what}",
                argument="token",
                exchange=NAME,
            )
        self.secrets.add_passing(token)
        return token

    def refused(self, error: HandshakeRejected) -> Close:
        if error.status == 403 and self._origin is None:
            error = HandshakeRejected(
                f'{error}; Richamster may want an Origin header: try origin="https://richamster.com"',
                status=error.status,
                body=error.body,
                retry_after=error.retry_after,
                exchange=NAME,
            )
        if 400 <= error.status < 500 and error.status not in _PASSING and error.retry_after is None:
            error.retry_after = _SLOWLY
        return Close(error)


class Richamster(Client):
    """Market data and own orders on Richamster, live.

    `on_ticker`, `on_book_level` (order book), `on_trade`, `on_order`. Prefer a client of its own for own orders: on a shared
    connection the exchange's messages about own and public orders may look alike, and what cannot be told is `Other`.

    Args:
        token: what the exchange gives after login (a JWT), or a function that returns it, called anew for every
            subscription of own orders, on a thread of its own; else RICHAMSTER_TOKEN of the environment; None: market data only.
        url: the complete stream address instead of the exchange's.
        origin: the Origin header to send; None: none.
        wire_channels: channel -> name to send for it. The exchange's page says `trading` in its examples for `ticker` and
            `user_orders`; where that is meant, `{"ticker": "trading", "user_orders": "trading"}` speaks so.
        **options: what every client takes; see `xchws.Client`.

    Raises:
        ConfigurationError: an argument that cannot work; the text says what it may be.
    """

    _exchange: RichamsterExchange

    def __init__(
        self,
        token: Optional[Token] = None,
        *,
        url: Optional[str] = None,
        origin: Optional[str] = None,
        wire_channels: Optional[Mapping[str, str]] = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(
            RichamsterExchange(
                _checked_token(token),
                address(url, "url", ("ws", "wss"), _URL, NAME),
                None if origin is None else base_address(origin, "origin", ("http", "https"), "", NAME),
                _checked_channels({} if wire_channels is None else wire_channels),
            ),
            **options,
        )

    def subscribe_ticker(self, pair: str) -> Subscription:
        """The last 24 hours of a pair such as "BTC/UAH", as `Ticker`.

        Raises:
            ConfigurationError: no pair of that form.
            StateError: the client has been stopped, or is a copy in a forked child.
        """
        return self._subscribe(_topic(TICKER, pair))

    def subscribe_order_book(self, pair: str) -> Subscription:
        """Changes of a pair's order book, level by level, as `BookLevel`; the exchange sends no snapshot. Raises as above."""
        return self._subscribe(_topic(ORDER_BOOK, pair))

    def subscribe_trades(self, pair: str) -> Subscription:
        """Closed orders of anybody (the channel `trading`), as `Trade`. Raises as above."""
        return self._subscribe(_topic(TRADING, pair))

    def subscribe_user_orders(self, pair: str) -> Subscription:
        """Own orders, as `Order`. Raises as above, and ConfigurationError if the client has no token."""
        if not self._exchange.has_token:
            raise ConfigurationError(
                f"{NAME}: own orders need a token: give token=… (a text or a function) or set RICHAMSTER_TOKEN",
                argument="token",
                exchange=NAME,
            )
        return self._subscribe(_topic(USER_ORDERS, pair))


def _topic(channel: str, pair: str) -> Topic:
    if not isinstance(pair, str) or not _PAIR.fullmatch(pair):
        hint = ""
        if isinstance(pair, str):
            likely = re.sub(r"[^A-Z0-9]+", "/", pair.upper())
            hint = f"; did you mean {likely!r}?" if _PAIR.fullmatch(likely) else ""
        raise ConfigurationError(
            f'{NAME}: pair must be two currencies in capitals with a slash, such as "BTC/UAH", not {pair!r}{hint}',
            argument="pair",
            exchange=NAME,
        )
    return Topic(channel, (pair,))


def _checked_token(token: Optional[Token]) -> Optional[Token]:
    if callable(token):
        return token
    if token is None and "RICHAMSTER_TOKEN" not in os.environ:
        return None
    return credential(token, "token", "RICHAMSTER_TOKEN", NAME)


def _checked_channels(channels: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(channels, Mapping):
        raise ConfigurationError(
            f"{NAME}: wire_channels must be a mapping, not {type(channels).__name__}",
            argument="wire_channels",
            exchange=NAME,
        )
    for channel, name in channels.items():
        if channel not in _CHANNELS or not isinstance(name, str) or not name:
            raise ConfigurationError(
                f"{NAME}: wire_channels maps {', '.join(_CHANNELS)} to the name to send, not {channel!r} to {name!r}",
                argument="wire_channels",
                exchange=NAME,
            )
    return dict(channels)
