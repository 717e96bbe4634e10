"""Kyan: its client. Source: https://docs.kyan.blue/docs/websocket-api and the pages beside it, read 2026-11."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple, Union

from xchws import clock
from xchws.client import Client
from xchws.credentials import Secrets, credential
from xchws.durations import seconds
from xchws.errors import ConfigurationError
from xchws.exchanges.exchange import Exchange, address, environment
from xchws.exchanges.kyan import channels, models
from xchws.exchanges.kyan.channels import MARKETS, NAME
from xchws.exchanges.kyan.protocol import GetInstruments, KyanProtocol, Logout
from xchws.exchanges.kyan.session import Memory
from xchws.hooks import Hook
from xchws.sansio.protocol import Protocol
from xchws.subscribing import Subscription
from xchws.transports.http import Http
from xchws.transports.route import Route

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from xchws.client import ClientOptions

    class KyanOptions(ClientOptions, total=False):
        """The keyword arguments of every client, and Kyan's own functions to register."""

        on_index_price: Callable[[Any], Any]
        on_instruments: Callable[[Any], Any]
        on_funding: Callable[[Any], Any]
        on_interest_rate: Callable[[Any], Any]
        on_volatility: Callable[[Any], Any]
        on_account_state: Callable[[Any], Any]
        on_mmp_triggered: Callable[[Any], Any]
        on_bankruptcy: Callable[[Any], Any]
        on_book_order: Callable[[Any], Any]


# Source: https://docs.kyan.blue/docs/websocket-api, read 2026-11.
_ENVIRONMENTS = {"production": "wss://api.kyan.sh/ws", "staging": "wss://staging.kyan.sh/ws"}
_LIFETIME = 3600.0  # seconds; https://docs.kyan.blue/docs/ws-connection, read 2026-11
_KEY = re.compile(r"[a-zA-Z0-9_]+")


class KyanExchange(Exchange):
    """Kyan for one key."""

    name = NAME
    overlap = True

    def __init__(self, key: str, url: str, recovery: bool, lifetime: float) -> None:
        super().__init__(Secrets())
        self.secrets.add(key)
        self._key = key
        self._url = url
        self._lifetime = lifetime
        self._memory = Memory(recovery, clock.monotonic)

    def route(self, http: Http) -> Route:
        return Route(self._url)

    def protocol(self, route: Route) -> Protocol:
        return KyanProtocol(self._key, self._memory, self._lifetime, self.secrets)


class Kyan(Client):
    """Options and perpetuals on Kyan, live: prices, books, and the own account. Orders are entered by REST only.

    Besides what every client has: `on_index_price`, `on_instruments`, `on_funding`, `on_interest_rate`, `on_volatility`,
    `on_account_state`, `on_mmp_triggered`, `on_bankruptcy`, `on_book_order`.

    Args:
        key: the API key, of letters, digits and underscores; else KYAN_KEY of the environment.
        environment: "production" or "staging".
        url: the complete stream address instead of the environment's.
        session_recovery: whether to have the exchange replay what was missed after a short loss of the connection.
        session_lifetime: seconds after which the exchange ends every session; a new one takes over before.
        **options: what every client takes; see `xchws.Client`.

    Raises:
        ConfigurationError: an argument that cannot work; the text says what it may be.
    """

    on_index_price: Hook[models.IndexPrice] = Hook(models.IndexPrice)
    on_instruments: Hook[models.Instruments] = Hook(models.Instruments)
    on_funding: Hook[models.Funding] = Hook(models.Funding)
    on_interest_rate: Hook[models.InterestRate] = Hook(models.InterestRate)
    on_volatility: Hook[models.Volatility] = Hook(models.Volatility)
    on_account_state: Hook[models.AccountState] = Hook(models.AccountState)
    on_mmp_triggered: Hook[models.MmpTriggered] = Hook(models.MmpTriggered)
    on_bankruptcy: Hook[models.Bankruptcy] = Hook(models.Bankruptcy)
    on_book_order: Hook[models.BookOrder] = Hook(models.BookOrder)

    def __init__(
        self,
        key: Optional[str] = None,
        *,
        environment: str = "production",
        url: Optional[str] = None,
        session_recovery: bool = True,
        session_lifetime: float = _LIFETIME,
        **options: Unpack[KyanOptions],
    ) -> None:
        super().__init__(
            KyanExchange(
                _checked_key(key),
                address(url, "url", ("ws", "wss"), _url_of(environment), NAME),
                _checked_recovery(session_recovery),
                seconds(session_lifetime, "session_lifetime", owner=NAME),
            ),
            **options,
        )

    # ---------------------------------------------------------------------------------------------------- subscribing

    def subscribe(self, channel: str, **query: Any) -> Subscription:
        """Subscribe to a channel by the exchange's name for it, with its query as keyword arguments.

        Raises:
            ConfigurationError: an unknown channel, an entry of the query that is missing or unknown, or a value of another
                form.
            StateError: the client has been stopped, or is a copy in a forked child.
        """
        return self._subscribe(channels.topic(channel, query))

    def subscribe_index_price(self, pair: str) -> Subscription:
        """The index price of a pair such as "ETH_USDC", as `kyan.IndexPrice`. Raises as `subscribe`, as all of these do."""
        return self.subscribe("index_price", pair=pair)

    def subscribe_instruments(self, market: Optional[str] = None) -> Subscription:
        """All instruments of a base token such as "ETH" (None: of each), as `kyan.Instruments`; at first and on changes."""
        return self.subscribe("instruments", market=market)

    def subscribe_funding(self, instrument_name: str) -> Subscription:
        """The funding of a perpetual such as "ETH_USDC-PERPETUAL", as `kyan.Funding`."""
        return self.subscribe("funding", instrument_name=instrument_name)

    def subscribe_interest_rate(self, pair: str, expiry: Optional[str] = None) -> Subscription:
        """The interest rate of a pair, at an expiry such as "27MAR26", as `kyan.InterestRate`."""
        return self.subscribe("interest_rate", pair=pair, expiry=expiry)

    def subscribe_iv(self, pair: str, maturity: Optional[str] = None) -> Subscription:
        """The volatility surface of a pair, at a maturity such as "27MAR26", as `kyan.Volatility`."""
        return self.subscribe("iv", pair=pair, maturity=maturity)

    def subscribe_orderbook_perps(
        self,
        pair: Optional[str] = None,
        *,
        instrument_name: Optional[str] = None,
        direction: Optional[str] = None,
        skip_snapshot: Optional[bool] = None,
    ) -> Subscription:
        """The books of the perpetuals, order by order as `kyan.BookOrder` and, from the snapshot on, as `OrderBook`.

        Args:
            pair: such as "ETH_USDC"; instrument_name: such as "ETH_USDC-PERPETUAL"; direction: "buy" or "sell"; None: all.
            skip_snapshot: begin without the orders that rest; then no `OrderBook` can be gathered.
        """
        return self.subscribe(
            "orderbook_perps",
            pair=pair,
            instrument_name=instrument_name,
            direction=direction,
            skip_snapshot=skip_snapshot,
        )

    def subscribe_orderbook_options(
        self,
        pair: Optional[str] = None,
        *,
        instrument_name: Optional[str] = None,
        maturity: Optional[str] = None,
        strike: Union[int, float, Decimal, None] = None,
        type: Optional[str] = None,
        direction: Optional[str] = None,
        skip_snapshot: Optional[bool] = None,
    ) -> Subscription:
        """The books of the options, as `subscribe_orderbook_perps`.

        Args:
            instrument_name: one option, or any of pair, maturity ("27MAR26"), strike (USD) and type ("C" or "P").
            direction, skip_snapshot: as there.
        """
        return self.subscribe(
            "orderbook_options",
            pair=pair,
            instrument_name=instrument_name,
            maturity=maturity,
            strike=strike,
            type=type,
            direction=direction,
            skip_snapshot=skip_snapshot,
        )

    def subscribe_orderbook_maker(self, maker: str, pair: Optional[str] = None) -> Subscription:
        """The orders of a maker (an address), all that rest at first, as `Order`."""
        return self.subscribe("orderbook_maker", maker=maker, pair=pair)

    def subscribe_account_state(self, account: str, pair: Optional[str] = None) -> Subscription:
        """The margin of an account (its owner's address or its own), as `kyan.AccountState`."""
        return self.subscribe("account_state", account=account, pair=pair)

    def subscribe_position(self, account: str, market: Optional[str] = None) -> Subscription:
        """The positions of a smart account, in a base token such as "ETH", as `Position`; quantity 0 when one is gone."""
        return self.subscribe("position", account=account, market=market)

    def subscribe_trades(
        self, account: Optional[str] = None, *, pair: Optional[str] = None, direction: Optional[str] = None
    ) -> Subscription:
        """Executions: with an account, its own as `Fill`; without one, everybody's as `Trade`."""
        return self.subscribe("trade", account=account, pair=pair, direction=direction)

    def subscribe_transfers(
        self, account: str, *, symbol: Optional[str] = None, type: Optional[str] = None
    ) -> Subscription:
        """Deposits and withdrawals of an account, as `Transfer`. symbol: the currency; type: "deposit" or "withdrawal"."""
        return self.subscribe("transfer", account=account, symbol=symbol, type=type)

    def subscribe_mmp(self, smart_account_address: Optional[str] = None, pair: Optional[str] = None) -> Subscription:
        """Market maker protection, when it freezes an account, as `kyan.MmpTriggered`."""
        return self.subscribe("mmp", smart_account_address=smart_account_address, pair=pair)

    def subscribe_bankruptcy(self, market: Optional[str] = None) -> Subscription:
        """Bankruptcies in a market, which is a pair such as "ETH_USDC" here, as `kyan.Bankruptcy`."""
        return self.subscribe("bankruptcy", market=market)

    def subscribe_account_liquidation(self, account: str) -> Subscription:
        """Liquidations of an account. The vendor documents no message of it: what comes is `Other`."""
        return self.subscribe("account_liquidation", account=account)

    def subscribe_rfq(
        self, account: Optional[str] = None, *, type: Optional[str] = None, order_id: Optional[str] = None
    ) -> Subscription:
        """Requests for quotes. The vendor documents no message of it: what comes is `Other`."""
        return self.subscribe("rfq", account=account, type=type, order_id=order_id)

    # ------------------------------------------------------------------------------------------------------- requests

    def get_instruments(self, *markets: str, timeout: Optional[float] = 10.0) -> Tuple[str, ...]:
        """The names of the instruments of these base tokens (none given: BTC, ETH and ARB). Waits `timeout` seconds at most.

        Raises:
            ConfigurationError: no base token in capitals.
            RequestRejected, RateLimited: the exchange refuses.
            ProtocolError: its answer has no list of names.
            WaitTimeout, Silent: no answer in time (60 seconds where `timeout` is longer or None).
            ConnectionLost: there is no connection, or it ended before the answer came.
            StateError: not started, stopped, called on the owner thread, or a copy in a forked child.
        """
        for market in markets:
            if not isinstance(market, str) or not re.fullmatch(r"[A-Z0-9]+", market):
                raise _unfit("markets", f'base tokens in capitals such as "ETH", not {market!r}')
        found: Tuple[str, ...] = self._request(GetInstruments(markets or MARKETS), timeout)
        return found

    def logout(self, timeout: Optional[float] = 10.0) -> None:
        """End the session at the exchange, and with it the client, which could do nothing without one.

        Where an exception comes out of it, Ctrl-C too, the client lives on as long as its session does: it stops when the
        exchange agrees after all, and logs in anew where the connection is lost or no answer has come for a minute.

        Raises:
            RequestRejected, RateLimited, WaitTimeout, Silent, ConnectionLost, StateError: as `get_instruments`.
        """
        self._request(Logout(), timeout)
        self.stop()


def _checked_key(value: Optional[str]) -> str:
    key = credential(value, "key", "KYAN_KEY", NAME)
    if not _KEY.fullmatch(key):
        raise _unfit("key", "made of letters, digits and underscores only")
    return key


def _url_of(name: str) -> str:
    return environment(name, _ENVIRONMENTS, NAME)


def _checked_recovery(value: bool) -> bool:
    if not isinstance(value, bool):
        raise _unfit("session_recovery", f"True or False, not {value!r}")
    return value


def _unfit(argument: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{NAME}: {argument} must be {wanted}", argument=argument, exchange=NAME)
