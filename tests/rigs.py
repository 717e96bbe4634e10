"""Rigs: each client with its simulated exchange, ready to be tormented: numbered events in, the numbers out again.

A rig says what is the same question for every exchange: which subscriptions are usual, how the n-th event is published and
recognised, what the exchange's side sees, and what a Gap may be expected to say. It does nothing by itself, and knows no fault.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Tuple, Type

import xchws
from xchws.events import Data
from xchws.exchanges import finery
from xchws.exchanges.indodax import market_models as indodax_market
from xchws.exchanges.kyan import models as kyan
from xchws.exchanges.kyrrex import models as kyrrex
from xchws.sandbox import (
    FinerySandbox,
    IndodaxMarketSandbox,
    IndodaxSandbox,
    KyanSandbox,
    KyrrexSandbox,
    RichamsterSandbox,
)

QUICK = xchws.Backoff(initial=0.01, maximum=0.05)
PAIR = "ETH_USDC"


class Rig(ABC):
    """One client and its simulated exchange.

    Attributes:
        name: as on the command line.
        streams: the channels that a Gap names after the line broke for a short while -> whether it says `recovered`, because
            the exchange replays all that was missed beyond doubt. One Gap tells of all that comes by itself, and one of each
            subscription. Where it is not together, the exchange's side sees them under the same names.
        parted: the same after the exchange itself has closed the connection, where that makes a difference.
        numbered: the one of them that the numbered events belong to.
        event_class: what they are to the client.
        together: whether one Gap tells of all streams; else each has its own.
        begins_anew: the streams that are subscribed once more after a recovery that may lack something: they have a second Gap.
        rest: whether a REST call comes before the dial: "always", "once" (the first time), or "never".
        login: the first thing that the client says on a connection, as bytes on the wire; None where the handshake was all.
        renewal: how a planned life ends: "succession" (the next connection before the end of this one), or None: there is none.
        unsubscribes: whether the exchange can be told that a subscription is not wanted any more.
        replays: whether numbered events that the exchange knows to be missed are told after a reconnect.
    """

    name: ClassVar[str]
    streams: ClassVar[Mapping[str, bool]]
    parted: ClassVar[Mapping[str, bool]] = {}
    numbered: ClassVar[str]
    event_class: ClassVar[Type[Data]]
    together: ClassVar[bool] = False
    begins_anew: ClassVar[Tuple[str, ...]] = ()
    rest: ClassVar[str] = "never"
    login: ClassVar[Optional[bytes]] = None
    renewal: ClassVar[Optional[str]] = None
    replays: ClassVar[bool] = False
    unsubscribes: ClassVar[bool] = True

    @abstractmethod
    def sandbox(self, seed: int = 1, ssl_context: Optional[ssl.SSLContext] = None, **options: Any) -> Any:
        """A simulated exchange, not started; it is a context manager. `options` are its own."""

    @abstractmethod
    def make(self, sandbox: Any, **options: Any) -> xchws.Client:
        """The client of a running sandbox, without subscriptions. Every option may be given, `url` and `rest_url` above all."""

    @abstractmethod
    def subscribe(self, sandbox: Any, client: Any) -> List[xchws.Subscription]:
        """The usual subscriptions, made now or before: the same objects every time. The first is not the numbered one."""

    @abstractmethod
    def wanted(self, sandbox: Any) -> List[str]:
        """What the exchange must see while the client is served, as `sandbox.subscriptions`."""

    @abstractmethod
    def tell(self, sandbox: Any, number: int) -> None:
        """Publish the numbered event; numbers begin with 1. It is one entry of `sandbox.published`."""

    @abstractmethod
    def number(self, event: Data) -> Optional[int]:
        """The number of an event of the client's; None for any other event."""

    def client(self, sandbox: Any, **options: Any) -> xchws.Client:
        """The client of a running sandbox with its usual subscriptions, not started."""
        client = self.make(sandbox, **{"backoff": QUICK, **options})
        self.subscribe(sandbox, client)
        return client

    def served(self, sandbox: Any) -> bool:
        """Whether the exchange sees exactly the wanted subscriptions, each on one connection only."""
        return bool(sandbox.subscriptions == self.wanted(sandbox))

    def wait_served(self, sandbox: Any, client: xchws.Client, timeout: float = 5.0) -> None:
        """Wait until client and exchange agree that exactly the wanted subscriptions are served.

        Raises:
            TimeoutError: not within about this many seconds; it says what the exchange sees.
            XchwsError: what ended the client.
        """
        client.wait_ready(timeout)
        for subscription in self.subscribe(sandbox, client):
            subscription.wait(timeout)
        try:
            sandbox.wait_until(lambda: self.served(sandbox), timeout)
        except TimeoutError:
            raise TimeoutError(
                f"{self.name}: the exchange sees {sandbox.subscriptions}, not {self.wanted(sandbox)}"
            ) from None

    def settle(self, client: Any) -> None:  # noqa: B027  # most exchanges need nothing for it
        """Wait until the exchange could replay what is missed from now on."""

    def rest_port(self, sandbox: Any) -> int:
        """The port of the REST endpoint.

        Raises:
            AttributeError: this exchange has none.
        """
        return int(sandbox.rest_url.rsplit(":", 1)[1])

    def __repr__(self) -> str:
        return self.name


class Indodax(Rig):
    name = "indodax"
    streams = {"orders": False}
    numbered = "orders"
    event_class = xchws.Order
    together = True
    rest = "always"
    login = b'"connect"'
    renewal = "succession"

    def sandbox(self, seed: int = 1, ssl_context: Optional[ssl.SSLContext] = None, **options: Any) -> Any:
        return IndodaxSandbox(seed=seed, ssl_context=ssl_context, **options)

    def make(self, sandbox: Any, **options: Any) -> xchws.Client:
        arguments: Dict[str, Any] = {"url": sandbox.url, "rest_url": sandbox.rest_url, **options}
        return xchws.Indodax(sandbox.key, sandbox.secret, **arguments)

    def subscribe(self, sandbox: Any, client: Any) -> List[xchws.Subscription]:
        return []

    def wanted(self, sandbox: Any) -> List[str]:
        return [sandbox.channel()]

    def tell(self, sandbox: Any, number: int) -> None:
        sandbox.place("btcidr", "BUY", "1", "1", client_order_id=f"n-{number}")

    def number(self, event: Data) -> Optional[int]:
        if isinstance(event, xchws.Order) and event.client_order_id and event.client_order_id.startswith("n-"):
            return int(event.client_order_id[2:])
        return None


class IndodaxMarket(Rig):
    name = "indodax-market"
    streams = {"chart:tick-btcidr": True, "market:order-book-btcidr": True, "market:summary-24h": True}
    numbered = "chart:tick-btcidr"
    event_class = indodax_market.Tick
    login = b'"token"'
    replays = True

    def sandbox(self, seed: int = 1, ssl_context: Optional[ssl.SSLContext] = None, **options: Any) -> Any:
        return IndodaxMarketSandbox(seed=seed, ssl_context=ssl_context, **options)

    def make(self, sandbox: Any, **options: Any) -> xchws.Client:
        arguments: Dict[str, Any] = {"url": sandbox.url, "token": sandbox.token, **options}
        return xchws.IndodaxMarket(**arguments)

    def subscribe(self, sandbox: Any, client: Any) -> List[xchws.Subscription]:
        return [client.subscribe_order_book("btcidr"), client.subscribe_ticks("btcidr"), client.subscribe_summary()]

    def wanted(self, sandbox: Any) -> List[str]:
        return sorted(self.streams)

    def tell(self, sandbox: Any, number: int) -> None:
        sandbox.tick("btcidr", "1600000000", str(number))

    def number(self, event: Data) -> Optional[int]:
        if isinstance(event, indodax_market.Tick) and event.quantity is not None:
            return int(event.quantity)
        return None


class Richamster(Rig):
    """Its token is a function: it is called anew for every subscription of own orders."""

    name = "richamster"
    streams = {"order_book BTC/UAH": False, "ticker BTC/UAH": False, "user_orders BTC/UAH": False}
    numbered = "order_book BTC/UAH"
    event_class = xchws.BookLevel
    unsubscribes = False

    def sandbox(self, seed: int = 1, ssl_context: Optional[ssl.SSLContext] = None, **options: Any) -> Any:
        return RichamsterSandbox(seed=seed, ssl_context=ssl_context, **options)

    def make(self, sandbox: Any, **options: Any) -> xchws.Client:
        arguments: Dict[str, Any] = {"token": lambda: sandbox.token, "url": sandbox.url, **options}
        return xchws.Richamster(**arguments)

    def subscribe(self, sandbox: Any, client: Any) -> List[xchws.Subscription]:
        return [
            client.subscribe_ticker("BTC/UAH"),
            client.subscribe_order_book("BTC/UAH"),
            client.subscribe_user_orders("BTC/UAH"),
        ]

    def wanted(self, sandbox: Any) -> List[str]:
        return sorted(self.streams)

    def tell(self, sandbox: Any, number: int) -> None:
        sandbox.level("BTC/UAH", "selling", "2650000", str(number))

    def number(self, event: Data) -> Optional[int]:
        if isinstance(event, xchws.BookLevel) and event.quantity is not None:
            return int(event.quantity)
        return None


class Kyrrex(Rig):
    """READY at once (`settle`): the simulated exchange is trusted."""

    name = "kyrrex"
    streams = dict.fromkeys(kyrrex.OBJECTS, False)
    numbered = "account"
    event_class = kyrrex.Account
    together = True
    rest = "once"
    login = b"40"

    def sandbox(self, seed: int = 1, ssl_context: Optional[ssl.SSLContext] = None, **options: Any) -> Any:
        return KyrrexSandbox(seed=seed, ssl_context=ssl_context, **options)

    def make(self, sandbox: Any, **options: Any) -> xchws.Client:
        arguments: Dict[str, Any] = {"url": sandbox.url, "rest_url": sandbox.rest_url, "settle": 0.02, **options}
        return xchws.Kyrrex(sandbox.key, sandbox.secret, **arguments)

    def subscribe(self, sandbox: Any, client: Any) -> List[xchws.Subscription]:
        return []

    def wanted(self, sandbox: Any) -> List[str]:
        return ["account"]

    def tell(self, sandbox: Any, number: int) -> None:
        sandbox.account("numbered", balance=str(number))

    def number(self, event: Data) -> Optional[int]:
        if isinstance(event, kyrrex.Account) and event.asset == "numbered" and event.free is not None:
            return int(event.free)
        return None


class Kyan(Rig):
    name = "kyan"
    streams = {f"index_price pair={PAIR}": False, f"orderbook_perps pair={PAIR}": False, "trade": False}
    parted = dict.fromkeys(streams, True)
    begins_anew = (f"orderbook_perps pair={PAIR}",)
    numbered = f"index_price pair={PAIR}"
    event_class = kyan.IndexPrice
    login = b'"api_key"'
    renewal = "succession"
    replays = True

    def sandbox(self, seed: int = 1, ssl_context: Optional[ssl.SSLContext] = None, **options: Any) -> Any:
        return KyanSandbox(seed=seed, ssl_context=ssl_context, **{"position_interval": None, **options})

    def make(self, sandbox: Any, **options: Any) -> xchws.Client:
        arguments: Dict[str, Any] = {"url": sandbox.url, **options}
        return xchws.Kyan(sandbox.key, **arguments)

    def subscribe(self, sandbox: Any, client: Any) -> List[xchws.Subscription]:
        return [client.subscribe_trades(), client.subscribe_index_price(PAIR), client.subscribe_orderbook_perps(PAIR)]

    def wanted(self, sandbox: Any) -> List[str]:
        return sorted(self.streams)

    def tell(self, sandbox: Any, number: int) -> None:
        sandbox.index_price(PAIR, str(number))

    def number(self, event: Data) -> Optional[int]:
        return int(event.value) if isinstance(event, kyan.IndexPrice) and event.value is not None else None

    def settle(self, client: Any) -> None:
        client.get_instruments(timeout=5)  # answers come in order, and this one after the recovery token's


class Finery(Rig):
    """The numbers are limits of a counterparty: a snapshot tells the last one again, which is no event that was published."""

    name = "finery"
    streams = {"L": True, "F BTC-EUR": True, "O": False}
    numbered = "L"
    event_class = finery.CounterpartyLimit

    def sandbox(self, seed: int = 1, ssl_context: Optional[ssl.SSLContext] = None, **options: Any) -> Any:
        return FinerySandbox(seed=seed, ssl_context=ssl_context, **options)

    def make(self, sandbox: Any, **options: Any) -> xchws.Client:
        arguments: Dict[str, Any] = {"url": sandbox.url, **options}
        return xchws.Finery(sandbox.key, sandbox.secret, **arguments)

    def subscribe(self, sandbox: Any, client: Any) -> List[xchws.Subscription]:
        return [client.subscribe_order_book("BTC-EUR"), client.subscribe_limits(), client.subscribe_orders()]

    def wanted(self, sandbox: Any) -> List[str]:
        return sorted(self.streams)

    def tell(self, sandbox: Any, number: int) -> None:
        sandbox.limit_change(gross_limit=number)

    def number(self, event: Data) -> Optional[int]:
        if isinstance(event, finery.CounterpartyLimit) and event.action != "S" and event.own is not None:
            limit = event.own.gross_limit
            return None if limit is None else int(limit.scaleb(8))
        return None


RIGS: Tuple[Rig, ...] = (Indodax(), IndodaxMarket(), Richamster(), Kyrrex(), Kyan(), Finery())
"""All clients, in the order of the documentation's tables."""
