"""Indodax: the client of the market-data stream. Source: Marketdata-websocket.md, see market_protocol.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Optional

from xchws.client import Client
from xchws.credentials import Secrets, credential
from xchws.errors import ConfigurationError, HandshakeRejected
from xchws.exchanges.exchange import Exchange, address, environment
from xchws.exchanges.indodax.market_models import ORDER_BOOK, SUMMARY, TICKS, TRADES, Tick
from xchws.exchanges.indodax.market_protocol import IndodaxMarketProtocol, MarketMemory
from xchws.exchanges.indodax.models import NAME
from xchws.hooks import Hook
from xchws.sansio.actions import Close, Topic
from xchws.sansio.protocol import Protocol
from xchws.subscribing import Subscription
from xchws.transports.http import Http
from xchws.transports.route import Route

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from xchws.client import ClientOptions

    class IndodaxMarketOptions(ClientOptions, total=False):
        """The keyword arguments of every client, and this one's own function to register."""

        on_tick: Callable[[Any], Any]


# Addresses and tokens: https://github.com/btcid/indodax-official-api-docs, Marketdata-websocket.md, read 2026-11. The tokens
# are printed there for everybody and are no secrets. The one for production expires on 2031-09-08.
_DEMO_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
    "OqWmyrtOvp_DvIdBnOgU9gyXhURkEOtu8brZtvwjYAw"
)
_ENVIRONMENTS = {
    "production": (
        "wss://ws3.indodax.com/ws/",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE5NDY2MTg0MTV9.UR1lBM6Eqh0yWz-PVirw1uPCxe60FdchR8eNVdsskeo",
    ),
    "demo": (
        "wss://ws.demo-indodax.com/ws/",
        _DEMO_TOKEN,
    ),
}
_PAIR = re.compile(r"[a-z0-9]+")
_LONGEST_CHANNEL = 255  # characters; Centrifugo's default
_SLOWLY = 30.0  # seconds before the next try after a handshake that was refused with a 4xx status
_PASSING = frozenset((408, 425, 429))  # the 4xx statuses that pass by themselves


class IndodaxMarketExchange(Exchange):
    """Indodax's market-data stream."""

    name = NAME
    overlap = True

    def __init__(self, token: str, url: str) -> None:
        super().__init__(Secrets())
        self.secrets.add(token)
        self._token = token
        self._url = url
        self._memory = MarketMemory()

    def route(self, http: Http) -> Route:
        return Route(self._url)

    def protocol(self, route: Route) -> Protocol:
        return IndodaxMarketProtocol(self._token, self._memory, self.secrets)

    def refused(self, error: HandshakeRejected) -> Close:
        if 400 <= error.status < 500 and error.status not in _PASSING and error.retry_after is None:
            error.retry_after = _SLOWLY
        return Close(error)

    def begin(self, topic: Topic) -> None:
        """A new subscription begins with what comes from now on, not where an earlier one of the channel ended."""
        self._memory.positions.forget(topic.channel)


class IndodaxMarket(Client):
    """Market data of Indodax, live: `on_tick`, `on_ticker` (summary), `on_trade`, `on_order_book`.

    After a reconnect the exchange replays what was missed as far as it still has it; `Gap.recovered` says whether that was
    all. A pair is written as Indodax does, such as "btcidr".

    Args:
        environment: "production" or "demo".
        url: the complete stream address instead of the environment's.
        token: instead of the environment's token, which Indodax publishes for everybody.
        **options: what every client takes, and `on_tick`; see `xchws.Client`.

    Raises:
        ConfigurationError: an argument that cannot work; the text says what it may be.
    """

    on_tick: Hook[Tick] = Hook(Tick)

    _exchange: IndodaxMarketExchange

    def __init__(
        self,
        *,
        environment: str = "production",
        url: Optional[str] = None,
        token: Optional[str] = None,
        **options: Unpack[IndodaxMarketOptions],
    ) -> None:
        default_url, published = _environment(environment)
        super().__init__(
            IndodaxMarketExchange(
                published if token is None else credential(token, "token", "", NAME),
                address(url, "url", ("ws", "wss"), default_url, NAME),
            ),
            **options,
        )

    def subscribe_ticks(self, pair: str) -> Subscription:
        """The points of a pair's price chart, as `Tick`.

        Raises:
            ConfigurationError: no pair of the form "btcidr".
            StateError: the client has been stopped, or is a copy in a forked child.
        """
        return self._subscribe(_topic(TICKS, pair))

    def subscribe_summary(self) -> Subscription:
        """The last 24 hours of every pair that changes, as `Ticker`.

        Raises:
            StateError: the client has been stopped, or is a copy in a forked child.
        """
        return self._subscribe(Topic(SUMMARY))

    def subscribe_trades(self, pair: str) -> Subscription:
        """The executions of a pair, as `Trade`. Raises as `subscribe_ticks`."""
        return self._subscribe(_topic(TRADES, pair))

    def subscribe_order_book(self, pair: str) -> Subscription:
        """A pair's book, whole at every change, at most 50 levels on each side, as `OrderBook`. Raises as `subscribe_ticks`."""
        return self._subscribe(_topic(ORDER_BOOK, pair))

    def subscribe(self, channel: str) -> Subscription:
        """Any channel by its name; what xchws has no class for comes as `Other`, with the channel as its kind.

        Raises:
            ConfigurationError: no text that can be a channel.
            StateError: the client has been stopped, or is a copy in a forked child.
        """
        fits = isinstance(channel, str) and channel.isprintable() and " " not in channel
        if not fits or not 0 < len(channel.encode()) <= _LONGEST_CHANNEL:
            raise ConfigurationError(
                f'{NAME}: channel must be a text such as "{TRADES}btcidr", at most {_LONGEST_CHANNEL} bytes, '
                f"not {channel!r:.80}",
                argument="channel",
                exchange=NAME,
            )
        return self._subscribe(Topic(channel))


def _environment(name: str) -> tuple[str, str]:
    return environment(name, _ENVIRONMENTS, NAME)


def _topic(prefix: str, pair: str) -> Topic:
    if not isinstance(pair, str) or not _PAIR.fullmatch(pair) or len(prefix + pair) > _LONGEST_CHANNEL:
        hint = ""
        if isinstance(pair, str):
            likely = re.sub(r"[^a-z0-9]+", "", pair.lower())
            hint = f"; did you mean {likely!r}?" if likely else ""
        raise ConfigurationError(
            f'{NAME}: pair must be two currencies in lower case with nothing between, such as "btcidr", not {pair!r}{hint}',
            argument="pair",
            exchange=NAME,
        )
    return Topic(prefix + pair)
