"""The demonstration: the real clients against simulated exchanges, a cut in the middle, and an account in the end.

What was lost is counted: every event that a simulated exchange published must have arrived, word for word, unless it was
published during the cut. The markets stand still while the cut is made and while the clients come back, so that it is exact
what was published to nobody; a Gap must tell of those. A further exchange is one more entry in EXHIBITS.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Callable, Deque, Dict, Iterable, List, Optional, Sequence, Tuple, Type

import attrs
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

import xchws
from xchws import clock
from xchws.events import Data, Event, State
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
from xchws.sandbox.jsontext import read, write

_BEAT = 0.7  # seconds after which every market moves again
_MOVES = 5  # events that it publishes then
_BEFORE, _CUT = 0.4, 0.2  # shares of the duration: until the cut, and of the cut
_PATIENCE = 10.0  # seconds, for all that the demonstration waits for besides its duration
_TICK = 0.02  # seconds to wait for an event of one client before the next one's turn
_TURN = 50  # events of one client at most before the next one's turn
_BACKOFF = xchws.Backoff(initial=0.25, maximum=0.5)

Expected = Tuple[Type[Data], Any]


@attrs.frozen
class Exhibit:
    """One exchange of the demonstration.

    Attributes:
        name: as on the command line.
        sandbox: makes the simulated exchange: an ExchangeServer that is a Market, too.
        client: makes the client of a running sandbox and subscribes what is to be seen.
        expected: the events, each as its class and its `raw`, that an entry of the sandbox's `published` has to become.
        retold: whether an event is part of a snapshot, which tells of no event that was published.
    """

    name: str
    sandbox: Callable[[], Any]
    client: Callable[[Any], xchws.Client]
    expected: Callable[[Any], Iterable[Expected]]
    retold: Callable[[Any], bool] = lambda event: False


def _finery_client(sandbox: FinerySandbox) -> xchws.Client:
    client = xchws.Finery(sandbox.key, sandbox.secret, url=sandbox.url, backoff=_BACKOFF)
    for instrument in ("BTC-EUR", "BTC-USD", "ETH-USD"):
        client.subscribe_order_book(instrument)
    client.subscribe_orders()
    client.subscribe_positions()
    client.subscribe_limits()
    return client


def _finery_expected(published: Any) -> Iterable[Expected]:
    feed, data = published["feed"], published["data"]
    if feed == "F":
        yield xchws.OrderBook, ["F", published["targets"][0], published["action"], data]
    elif feed == "O":
        yield xchws.Order, data
        if published["action"] == "D":
            yield xchws.Fill, data
    elif feed == "K":
        yield xchws.Position, data
    elif feed == "L":
        yield finery.CounterpartyLimit, data


def _finery_retold(event: Any) -> bool:
    return bool(event.raw[2] == "S" if isinstance(event, xchws.OrderBook) else getattr(event, "action", "") == "S")


def _indodax_client(sandbox: IndodaxSandbox) -> xchws.Client:
    return xchws.Indodax(sandbox.key, sandbox.secret, url=sandbox.url, rest_url=sandbox.rest_url, backoff=_BACKOFF)


def _indodax_expected(published: Any) -> Iterable[Expected]:
    order = published["order"]
    yield xchws.Order, order
    if order["status"] == "FILL":
        yield xchws.Fill, order


def _indodax_market_client(sandbox: IndodaxMarketSandbox) -> xchws.Client:
    client = xchws.IndodaxMarket(url=sandbox.url, token=sandbox.token, backoff=_BACKOFF)
    client.subscribe_summary()
    for pair in sandbox.pairs:
        client.subscribe_ticks(pair)
        client.subscribe_trades(pair)
        client.subscribe_order_book(pair)
    return client


_INDODAX_MARKET_CLASSES: Dict[str, Type[Data]] = {
    indodax_market.TICKS: indodax_market.Tick,
    indodax_market.TRADES: indodax_market.MarketTrade,
    indodax_market.ORDER_BOOK: indodax_market.MarketOrderBook,
    indodax_market.SUMMARY: indodax_market.MarketTicker,
}


def _indodax_market_expected(published: Any) -> Iterable[Expected]:
    channel, data = published["channel"], published["data"]["data"]
    (kind,) = (kind for prefix, kind in _INDODAX_MARKET_CLASSES.items() if channel.startswith(prefix))
    for element in data if isinstance(data, list) else [data]:
        yield kind, element


def _kyan_client(sandbox: KyanSandbox) -> xchws.Client:
    client = xchws.Kyan(sandbox.key, url=sandbox.url, backoff=_BACKOFF)
    address = sandbox.account().smart_account_address
    client.subscribe_orderbook_maker(address)
    client.subscribe_trades(address)
    client.subscribe_account_state(address)
    for pair in ("BTC_USDC", "ETH_USDC", "ARB_USDC"):
        client.subscribe_index_price(pair)
        client.subscribe_funding(f"{pair}-PERPETUAL")
        client.subscribe_interest_rate(pair)
        client.subscribe_iv(pair)
    return client


_KYAN_CLASSES: Dict[str, Type[Data]] = {
    "account_state": kyan.AccountState,
    "cancel_order": kyan.Order,
    "funding": kyan.Funding,
    "index_price": kyan.IndexPrice,
    "interest_rate": kyan.InterestRate,
    "post_order": kyan.Order,
    "svi": kyan.Volatility,
    "trade": kyan.Fill,
    "update_order": kyan.Order,
}


def _kyan_expected(published: Any) -> Iterable[Expected]:
    yield _KYAN_CLASSES[published["type"]], published["data"]


def _kyan_retold(event: Any) -> bool:
    return isinstance(event, kyan.Order) and event.action == "snapshot"


def _kyrrex_client(sandbox: KyrrexSandbox) -> xchws.Client:
    return xchws.Kyrrex(sandbox.key, sandbox.secret, url=sandbox.url, rest_url=sandbox.rest_url, backoff=_BACKOFF)


_KYRREX_CLASSES: Dict[str, Type[Data]] = {
    "account": kyrrex.Account,
    "customer": kyrrex.Customer,
    "deposit": kyrrex.Transfer,
    "deposit_address": kyrrex.DepositAddress,
    "order": kyrrex.Order,
    "trade": kyrrex.Fill,
    "withdrawal": kyrrex.Transfer,
}


def _kyrrex_expected(published: Any) -> Iterable[Expected]:
    yield _KYRREX_CLASSES[published["event"]], published["object"]


def _richamster_client(sandbox: RichamsterSandbox) -> xchws.Client:
    client = xchws.Richamster(sandbox.token, url=sandbox.url, backoff=_BACKOFF)
    for pair in ("BTC/UAH", "ETH/UAH", "KRB/UAH"):
        client.subscribe_ticker(pair)
        client.subscribe_order_book(pair)
        client.subscribe_trades(pair)
        client.subscribe_user_orders(pair)
    return client


def _richamster_expected(published: Any) -> Iterable[Expected]:
    if "last" in published:
        yield xchws.Ticker, published
    elif "created_at" not in published:
        yield xchws.BookLevel, published
    else:
        yield (xchws.Order if "pk" in published else xchws.Trade), published


EXHIBITS = (
    Exhibit("finery", lambda: FinerySandbox(seed=1), _finery_client, _finery_expected, _finery_retold),
    Exhibit("indodax", lambda: IndodaxSandbox(seed=1), _indodax_client, _indodax_expected),
    Exhibit(
        "indodax-market",
        lambda: IndodaxMarketSandbox(seed=1),
        _indodax_market_client,
        _indodax_market_expected,
    ),
    Exhibit("kyan", lambda: KyanSandbox(seed=1), _kyan_client, _kyan_expected, _kyan_retold),
    Exhibit("kyrrex", lambda: KyrrexSandbox(seed=1), _kyrrex_client, _kyrrex_expected),
    Exhibit("richamster", lambda: RichamsterSandbox(seed=1), _richamster_client, _richamster_expected),
)


# ------------------------------------------------------------------------------------------------------------ account


@attrs.frozen
class Account:
    """What became of what an exchange published, counted in events.

    Attributes:
        due: published on a live connection; silent: published during the cut.
        missing: due and not arrived; recovered: silent and arrived after all; surplus: arrived and never published, or twice.
    """

    due: int
    silent: int
    missing: int
    recovered: int
    surplus: int


Key = Tuple[str, str]


def _keys(expected: Iterable[Expected]) -> Iterable[Key]:
    # Through the text and back: a published number remembers its spelling, one that arrived is the plain Decimal.
    return ((kind.__name__, write(read(write(raw)))) for kind, raw in expected)


def account(
    exhibit: Exhibit, published: Sequence[Any], arrived: Counter[Key], cut: Optional[int], resumed: Optional[int]
) -> Account:
    """Compare.

    Args:
        published: the sandbox's list; cut, resumed: from which and up to which entry it spoke to nobody.
        arrived: how often which event came, as its class's name and the JSON text of its `raw`.
    """
    start = len(published) if cut is None else cut
    end = len(published) if resumed is None else resumed
    due: Counter[Key] = Counter()
    silent: Counter[Key] = Counter()
    for number, entry in enumerate(published):
        (silent if start <= number < end else due).update(_keys(exhibit.expected(entry)))
    beyond = arrived - due
    return Account(
        due=sum(due.values()),
        silent=sum(silent.values()),
        missing=sum((due - arrived).values()),
        recovered=sum((beyond & silent).values()),
        surplus=sum((beyond - silent).values()),
    )


class _Stand:
    """An exhibit while it runs: both ends, and what has arrived."""

    def __init__(self, exhibit: Exhibit, sandbox: Any) -> None:
        self.exhibit = exhibit
        self.sandbox = sandbox
        self.client = exhibit.client(sandbox)
        self.stream = self.client.events(Event, timeout=_TICK)
        self.arrived: Counter[Key] = Counter()
        self.gaps: List[xchws.Gap] = []
        self.cut: Optional[int] = None
        self.resumed: Optional[int] = None
        self.last = ""

    def take(self, event: Event) -> None:
        if isinstance(event, xchws.Gap):
            self.gaps.append(event)
        elif isinstance(event, Data) and not isinstance(event, xchws.Other) and not self.exhibit.retold(event):
            self.arrived[(type(event).__name__, write(event.raw))] += 1

    @property
    def ready(self) -> bool:
        status = self.client.status()
        return status.state is State.READY and all(state == "active" for _, state in status.subscriptions)

    @property
    def told(self) -> bool:
        """Whether Gaps have told of everything that is subscribed."""
        channels = {channel for gap in self.gaps for channel in gap.channels}
        return bool(self.gaps) and channels.issuperset(name for name, _ in self.client.status().subscriptions)

    def gap(self) -> str:
        """What the Gaps told, in a line."""
        if not self.gaps:
            return f"{self.exhibit.name}: no Gap came"
        since, until = min(gap.since for gap in self.gaps), max(gap.until for gap in self.gaps)
        missing = "nothing is missing" if all(gap.recovered for gap in self.gaps) else "what was said then is missing"
        return f"{self.exhibit.name}: Gap from {_moment(since)} to {_moment(until)} UTC, {missing}"

    def account(self) -> Account:
        return account(self.exhibit, self.sandbox.published, self.arrived, self.cut, self.resumed)

    def whole(self) -> bool:
        return not self.account().missing

    def hang_up(self) -> None:
        """Cut the connection and take no other, until `pick_up`. What is published meanwhile is published to nobody."""
        self.cut = self.sandbox.published_count
        self.sandbox.refuse(503, "down for a moment")
        self.sandbox.drop()

    def pick_up(self) -> None:
        self.resumed = self.sandbox.published_count
        self.sandbox.accept()


# -------------------------------------------------------------------------------------------------------------- words


def _moment(instant: datetime) -> str:
    return f"{instant:%H:%M:%S}.{instant.microsecond // 1000:03}"


def _order(event: xchws.Order) -> str:
    filled = "" if event.filled is None else f", {event.filled} filled"
    status = event.exchange_status if event.status is xchws.OrderStatus.UNKNOWN else event.status
    return f"order   {event.symbol} {event.side} {event.quantity} at {event.price}: {status}{filled}"


def _disconnected(event: xchws.Disconnected) -> str:
    again = "" if event.retry_in is None else f"; next try in {event.retry_in:.2f} s"
    return f"down    {event.error or 'stopped'}{again}"


def _book(event: xchws.OrderBook) -> str:
    bid, ask = (f"{side[0][1]} at {side[0][0]}" if side else "nothing" for side in (event.bids, event.asks))
    return f"book    {event.symbol} bid {bid}, ask {ask}"


_WORDS: Dict[Type[Event], Callable[[Any], str]] = {
    xchws.Order: _order,
    xchws.Fill: lambda event: f"fill    {event.symbol} {event.side} {event.quantity} at {event.price}",
    xchws.Ticker: lambda event: f"ticker  {event.symbol} last {event.last}, volume {event.volume}",
    xchws.Trade: lambda event: f"trade   {event.symbol} {event.side} {event.quantity} at {event.price}",
    xchws.Balance: lambda event: f"balance {event.asset} {event.free} free, {event.locked} locked",
    xchws.Transfer: lambda event: f"{event.direction} {event.asset} {event.amount}: {event.status}",
    indodax_market.Tick: lambda event: f"tick    {event.symbol} {event.quantity} at {event.price}",
    kyrrex.DepositAddress: lambda event: f"address {event.asset} {event.address}",
    xchws.OrderBook: _book,
    xchws.Position: lambda event: f"position {event.symbol} {event.quantity} with {event.account}",
    xchws.BookLevel: lambda event: f"level   {event.symbol} {event.side} {event.quantity} at {event.price}",
    kyan.IndexPrice: lambda event: f"index   {event.symbol} {event.value}",
    xchws.Data: lambda event: f"{type(event).__name__:7} {event.symbol}",
    xchws.StateChanged: lambda event: f"state   {event.old} -> {event.new}",
    xchws.Disconnected: _disconnected,
}


def _words(event: Event) -> Optional[str]:
    """What is shown of an event; None for what another event tells already."""
    for kind in type(event).__mro__:
        if kind in _WORDS:
            return _WORDS[kind](event)
    return None


class _Lines:
    """Shows everything as lines."""

    def say(self, line: str) -> None:
        print(line, flush=True)

    def refresh(self, stands: Sequence[_Stand]) -> None:
        pass  # every line has been shown


class _Board:
    """Shows a table of the exchanges over the last lines. Drawn by the caller's thread."""

    def __init__(self, live: Live, console: Console) -> None:
        self._live = live
        self._console = console
        self._lines: Deque[str] = deque(maxlen=100)

    def say(self, line: str) -> None:
        self._lines.append(line)

    def refresh(self, stands: Sequence[_Stand]) -> None:
        table = Table(expand=True)
        for heading in ("exchange", "state", "events", "reconnects"):
            table.add_column(heading, no_wrap=True)
        table.add_column("last", ratio=1, no_wrap=True)
        for stand in stands:
            status = stand.client.status()
            style = "green" if status.state is State.READY else "bold red"
            state = Text(str(status.state), style)
            events = str(sum(stand.arrived.values()))
            table.add_row(stand.exhibit.name, state, events, str(status.reconnects), Text(stand.last))
        room = max(3, min(14, self._console.height - len(stands) - 6))
        shown = [Text(line, no_wrap=True, overflow="ellipsis") for line in list(self._lines)[-room:]]
        self._live.update(Group(table, *shown), refresh=True)


# ------------------------------------------------------------------------------------------------------------- course


class _Course:
    """The demonstration from beginning to end."""

    def __init__(self, stands: Sequence[_Stand], screen: Any, duration: float) -> None:
        self._stands = stands
        self._screen = screen
        self._duration = duration
        self._latest = clock.monotonic() + duration + _PATIENCE

    def run(self) -> bool:
        """Whether everything came about in time."""
        self._screen.say("The clients are the real ones, the exchanges are simulated on this machine.")
        for stand in self._stands:
            stand.client.start()
        if not self._until(lambda stand: stand.ready, "did not connect"):
            return False
        self._live(_BEFORE)
        if not self._until(_Stand.whole, "keeps something back"):
            return False
        self._screen.say("--- The connections are cut and new ones refused. The markets go on, and nobody hears them.")
        for stand in self._stands:
            stand.hang_up()
        self._live(_CUT)
        self._screen.say("--- The exchanges take connections again.")
        for stand in self._stands:
            stand.pick_up()
        if not self._until(lambda stand: stand.ready and stand.told, "did not come back with a Gap"):
            return False
        for stand in self._stands:
            self._screen.say(f"--- {stand.gap()}")
        self._live(1 - _BEFORE - _CUT)
        return self._until(_Stand.whole, "keeps something back")

    def _live(self, share: float) -> None:
        """Let the markets live for a share of the duration."""
        begun = clock.monotonic()
        beats = 0
        while clock.monotonic() < begun + self._duration * share:
            if clock.monotonic() >= begun + beats * _BEAT:
                beats += 1
                for stand in self._stands:
                    stand.sandbox.random_walk(_MOVES)
            self._turn()

    def _until(self, reached: Callable[[_Stand], bool], complaint: str) -> bool:
        while True:
            self._turn()
            late = [stand for stand in self._stands if not reached(stand)]
            if not late:
                return True
            if clock.monotonic() >= self._latest:
                for stand in late:
                    self._screen.say(f"--- {stand.exhibit.name} {complaint}.")
                return False

    def _turn(self) -> None:
        """Take what has arrived and show it; wait a tick for it."""
        news = False
        for stand in self._stands:
            for _ in range(_TURN):
                try:
                    event = next(stand.stream)
                except xchws.WaitTimeout:
                    break
                news = True
                stand.take(event)
                words = _words(event)
                if words is not None:
                    self._screen.say(f"{_moment(clock.utc_now())}  {stand.exhibit.name:14} {words}")
                    if isinstance(event, Data):
                        stand.last = words
        if news:
            self._screen.refresh(self._stands)


def run(exhibits: Sequence[Exhibit], duration: float, console: Optional[Console]) -> int:
    """Run the demonstration; its exit status: 1 if something was lost, or a cut was not told by a Gap.

    Args:
        exhibits: which exchanges.
        duration: seconds that their markets live.
        console: a terminal, for a live table; None: lines.

    Raises:
        XchwsError: a client ended with it.
    """
    # The lines tell of every error; unheard, the logger's warnings would tell them a second time, on stderr.
    logging.getLogger("xchws").addHandler(logging.NullHandler())
    with ExitStack() as stack:
        stands: List[_Stand] = []
        for exhibit in exhibits:
            stand = _Stand(exhibit, stack.enter_context(exhibit.sandbox()))
            stack.callback(stand.client.stop)
            stands.append(stand)
        with ExitStack() as drawing:
            screen: Any = _Lines()
            if console is not None:
                live = drawing.enter_context(Live(console=console, auto_refresh=False))
                screen = _Board(live, console)
            in_time = _Course(stands, screen, duration).run()
        return _summary(stands) if in_time else max(1, _summary(stands))


def _summary(stands: Sequence[_Stand]) -> int:
    """Say what became of everything; the exit status."""
    total: Counter[str] = Counter()
    print("\n               events   arrived   in the gap   recovered   reconnects   lost   twice")
    for stand in stands:
        found = stand.account()
        reconnects = stand.client.status().reconnects
        arrived = sum(stand.arrived.values())
        unheard = found.silent - found.recovered
        total.update(events=arrived, gap=unheard, reconnects=reconnects, lost=found.missing, twice=found.surplus)
        print(
            f"{stand.exhibit.name:14} {found.due + found.silent:6} {arrived:9} {unheard:12} {found.recovered:11} "
            f"{reconnects:12} {found.missing:6} {found.surplus:7}"
        )
    for stand in stands:
        print(stand.gap())
    print(
        f"events: {total['events']}, reconnects: {total['reconnects']}, published during the cut: {total['gap']}, "
        f"lost: {total['lost']}"
    )
    return 0 if all(stand.gaps for stand in stands) and not total["lost"] and not total["twice"] else 1
