"""Finery Markets: its client. Source: https://faq.finerymarkets.com/api-reference/websocket-api, read 2026-11."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping, Optional, Union
from urllib.parse import urlsplit

from xchws import clock
from xchws.client import Client
from xchws.credentials import Secrets, credential
from xchws.errors import AuthenticationFailed, ConfigurationError, HandshakeRejected, OpenFailed, WaitTimeout
from xchws.exchanges.exchange import Exchange, address, environment
from xchws.exchanges.finery import codes, feeds, models, signing
from xchws.exchanges.finery.errors import NAME
from xchws.exchanges.finery.places import LIMIT, Place, Places
from xchws.exchanges.finery.protocol import FineryProtocol
from xchws.exchanges.finery.trading import Trading
from xchws.hooks import Hook
from xchws.sansio.actions import Close
from xchws.sansio.fills import FillMemory
from xchws.sansio.protocol import Protocol
from xchws.sansio.trust import Trust
from xchws.subscribing import Subscription
from xchws.transports.http import Http
from xchws.transports.route import Route

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from xchws.client import ClientOptions

_ENVIRONMENTS = {
    "production": "wss://trade.finerymarkets.com/ws",
    "test": "wss://test.finerymarkets.com/ws",
}
_STALE_LIMIT = (
    5  # handshakes in a row refused for their nonce or timestamp before that is held to be for good; see Trust, too
)

PLACES = Places()
"""Of the whole process."""

FeedId = Union[str, int, Mapping[str, Any], None]


class FineryExchange(Exchange):
    """Finery Markets for one key."""

    name = NAME

    def __init__(self, key: str, secret: str, url: str, json_ping: bool) -> None:
        super().__init__(Secrets())
        self.secrets.add(key, secret)
        self._key = key
        self._secret = secret
        self._url = url
        self._host = _host_of(url)
        self._json_ping = json_ping
        self._fills = FillMemory()
        self._trust = Trust()
        self._nonce = 0  # of the last handshake

    def route(self, http: Http) -> Route:
        place = PLACES.take(self._host)
        if place is None:
            raise OpenFailed(
                f"{NAME}: this process has {LIMIT} connections to {self._host}, and the exchange takes no more than that from "
                "one address; stop a client that is not needed",
                exchange=NAME,
            )
        now = clock.unix_microseconds()
        self._nonce = signing.nonce(self._key, now)
        headers = signing.headers(self._key, self._secret, self._nonce, now // 1000)
        self.secrets.add_passing(headers["EFX-Sign"])
        return Route(self._url, headers=headers, grant=place)

    def protocol(self, route: Route) -> Protocol:
        self._trust.served = True  # the handshake is the login
        return FineryProtocol(self._fills, self._json_ping, self.secrets)

    def ended(self, route: Route) -> None:
        place: Place = route.grant
        place.give_back()

    def refused(self, error: HandshakeRejected) -> Close:
        code = _code_of(error.body)
        if code is None:
            return Close(error)
        said = f"{NAME}: the login is refused (HTTP {error.status}): {codes.words(code)}"
        if code in codes.STALE and self.offset.words():
            said += f"; {self.offset.words()}"
        if code in codes.REFUSED_FOR_GOOD:
            return Close(AuthenticationFailed(f"{said}; check the key and its secret", code=code, exchange=NAME))
        refused = HandshakeRejected(
            said, status=error.status, body=error.body, retry_after=error.retry_after, exchange=NAME
        )
        if code not in codes.STALE or (code == codes.BAD_NONCE and signing.NONCES.passed(self._key, self._nonce)):
            return Close(refused)  # a nonce of another client of this process may have overtaken ours on the way
        verdict = AuthenticationFailed(
            f"{said}; {_STALE_LIMIT} times in a row: is this machine's clock right, and is the key used by one process only?",
            code=code,
            exchange=NAME,
        )
        return Close(refused, verdict=verdict, limit=_STALE_LIMIT, patience=self._trust.patience)


def _host_of(url: str) -> str:
    """Host and port, however the address spells them."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (80 if parts.scheme == 'ws' else 443)}"


def _code_of(body: str) -> Optional[int]:
    """The error code in the body of a refused handshake. Its form is documented nowhere: `{"error": code}` is REST's, and a
    bare code or the stream's array are taken, too."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(said, dict):
        said = said.get("error", said.get("code"))
    elif isinstance(said, list) and len(said) == 4 and said[2] == "Z":
        said = said[3]
    return codes.code_of(said)


class Finery(Trading, Client):
    """Books, orders, positions, limits and settlements on Finery Markets, live, and requests on the same connection.

    `on_order_book` (feeds B, F), `on_order` and `on_fill` (O), `on_position` (K), `on_limit` (L), `on_global_limit` (G),
    `on_settlement` (S), `on_transfer` (N), `on_settlement_request` (R), `on_instruments` (I), `on_probably_cancelled`; every
    event has its letter in `action`. After a reconnect each feed tells its state anew, after a `Gap`: what the snapshot
    does not name is gone. The gap counts as recovered but for feeds O, P, S and N: executions that happened in between are
    told by `deal_history()` only. Requests take and give plain numbers; see `add_order` and its neighbours.

    Args:
        key, secret: of the API; else FINERY_KEY and FINERY_SECRET of the environment.
        environment: "production" or "test".
        url: the complete stream address instead of the environment's.
        json_ping: send `{"event":"ping"}` every 25 seconds beside the ping frames, in case these do not count as activity.
        **options: what every client takes; see `xchws.Client`.

    Raises:
        ConfigurationError: an argument that cannot work; the text says what it may be.
    """

    on_limit: Hook[models.CounterpartyLimit] = Hook(models.CounterpartyLimit)
    on_global_limit: Hook[models.GlobalLimit] = Hook(models.GlobalLimit)
    on_settlement: Hook[models.Settlement] = Hook(models.Settlement)
    on_settlement_request: Hook[models.SettlementRequest] = Hook(models.SettlementRequest)
    on_instruments: Hook[models.Instruments] = Hook(models.Instruments)
    on_probably_cancelled: Hook[models.ProbablyCancelled] = Hook(models.ProbablyCancelled)

    _exchange: FineryExchange

    def __init__(
        self,
        key: Optional[str] = None,
        secret: Optional[str] = None,
        *,
        environment: str = "production",
        url: Optional[str] = None,
        json_ping: bool = False,
        **options: Unpack[ClientOptions],
    ) -> None:
        default_url = _environment(environment)
        if not isinstance(json_ping, bool):
            raise ConfigurationError(
                f"{NAME}: json_ping must be True or False, not {json_ping!r}", argument="json_ping", exchange=NAME
            )
        super().__init__(
            FineryExchange(
                credential(key, "key", "FINERY_KEY", NAME),
                credential(secret, "secret", "FINERY_SECRET", NAME),
                address(url, "url", ("ws", "wss"), default_url, NAME),
                json_ping,
            ),
            **options,
        )

    # ---------------------------------------------------------------------------------------------------------- feeds

    def bind(self, feed: str, feed_id: FeedId = None) -> Subscription:
        """Subscribe a feed by its letter.

        Args:
            feed: B, F, I, G, L, K, O, P, S, N or R.
            feed_id: what the exchange wants for this feed: an instrument's or currency's name or number, or an object such
                as `{"instrument": "BTC-USD", "clientId": 7}`; None where it wants none.

        Raises:
            ConfigurationError: no such feed, or no such kind of id.
            StateError: the client has been stopped, or is a copy in a forked child.
        """
        return self._subscribe(feeds.topic_of(feed, feed_id))

    def unbind(self, feed: str, feed_id: FeedId = None) -> None:
        """Want a feed no more, whichever way it was subscribed; the same arguments as for `bind`. One that is not subscribed
        is passed over. Raises ConfigurationError as `bind`, and StateError in a forked child."""
        topic = feeds.topic_of(feed, feed_id)
        self._check_process()
        subscription = self._find(topic)
        if subscription is not None:
            subscription.unsubscribe()

    def subscribe_order_book(self, instrument: FeedId) -> Subscription:
        """Feed F: the firm book that can be executed against, 25 levels a side, as `OrderBook`. Raises as `bind`."""
        return self.bind(feeds.FIRM_BOOK, instrument)

    def subscribe_global_order_book(self, instrument: FeedId) -> Subscription:
        """Feed B: the global book, for viewing, 25 levels a side, as `OrderBook`. Raises as `bind`."""
        return self.bind(feeds.ALL_BOOKS, instrument)

    def subscribe_orders(self, feed_id: FeedId = None) -> Subscription:
        """Feed O: own orders and executions, as `Order` and `Fill`. Raises as `bind`."""
        return self.bind(feeds.ORDERS, feed_id)

    def subscribe_positions(self, currency: FeedId = None) -> Subscription:
        """Feed K: positions with each counterparty, of one currency or of all, as `Position`. Raises as `bind`."""
        return self.bind(feeds.POSITIONS, currency)

    def subscribe_limits(self) -> Subscription:
        """Feed L: counterparty limits, as `CounterpartyLimit`. Raises as `bind`."""
        return self.bind(feeds.LIMITS)

    def subscribe_global_limits(self) -> Subscription:
        """Feed G: global limits, as `GlobalLimit`; the exchange's page on it could not be read. Raises as `bind`."""
        return self.bind(feeds.GLOBAL_LIMITS)

    def subscribe_settlements(self, currency: FeedId = None) -> Subscription:
        """Feed S: settlement orders and settlements, as `Settlement`. Raises as `bind`."""
        return self.bind(feeds.SETTLEMENTS, currency)

    def subscribe_settlement_transactions(self) -> Subscription:
        """Feed N: settlement transactions, as `SettlementTransaction`, which is a `Transfer`. Raises as `bind`."""
        return self.bind(feeds.TRANSACTIONS)

    def subscribe_settlement_requests(self) -> Subscription:
        """Feed R: settlement requests, as `SettlementRequest`. Raises as `bind`."""
        return self.bind(feeds.REQUESTS)

    def subscribe_instruments(self) -> Subscription:
        """Feed I: currencies and instruments, as `Instruments`; updates become `Other`. Raises as `bind`."""
        return self.bind(feeds.INSTRUMENTS)

    def subscribe_combined(self) -> Subscription:
        """Feed P: positions, orders and settlement orders in one; obsolete, the exchange says. Raises as `bind`."""
        return self.bind(feeds.COMBINED)

    # ---------------------------------------------------------------------------------------------- for the requests

    def _request(self, request: Any, timeout: Optional[float]) -> Any:
        try:
            return Client._request(self, request, timeout)
        except WaitTimeout:
            request.given_up = True  # the connection may have had it a moment later than it was asked for
            raise

    def _new_client_order_id(self) -> int:
        return signing.CLIENT_ORDER_IDS.draw("", clock.unix_microseconds())

    def _excerpt(self, text: bytes) -> str:
        return self._exchange.secrets.excerpt(text)


def _environment(name: str) -> str:
    return environment(name, _ENVIRONMENTS, NAME)
