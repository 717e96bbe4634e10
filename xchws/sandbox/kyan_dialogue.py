"""One connection to the simulated Kyan: commands in, responses out.

Commands and error texts: https://docs.kyan.blue/docs/ws-authentication, ws-connection, ws-session-recovery (read
2026-11). The replies to subscribe, unsubscribe, get_instruments and recover_session are on no page that could be read;
they follow the envelope that all have.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from .jsontext import plain, read
from .kyan_channels import BOOKS, CHANNELS, MARKETS, Event, Subscription, instrument_facts
from .kyan_errors import (
    ALREADY_AUTHORIZED,
    INVALID_SUBSCRIPTIONS,
    NOT_AUTHORIZED,
    RATE_LIMITED,
    RECOVERY_FAILURES,
    invalid,
    missing,
    wrong_key,
)
from .kyan_stream import Stream
from .record import REMARK
from .session import Dialogue, Session

if TYPE_CHECKING:
    from .kyan import KyanSandbox


class KyanDialogue(Dialogue):
    """Everything a client may say, and what is said back."""

    def __init__(self, session: Session, exchange: KyanSandbox, stream: Stream) -> None:
        self.stream = stream
        self._session = session
        self._exchange = exchange
        self._messages = 0
        self._enabled_at: Optional[float] = None
        self._ticking = False
        self._commands = {
            "auth": self._auth,
            "logout": self._logout,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "get_instruments": self._get_instruments,
            "enable_session_recovery": self._enable_recovery,
            "recover_session": self._recover,
        }

    def opened(self) -> None:
        self._session.call_later(self._exchange.session_lifetime, lambda: self._exchange.end_session(self._session))

    def message(self, text: str, binary: bool) -> None:
        self._messages += 1
        try:
            request = read(text)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            self._fail("message", None, invalid("message", "", "type", {"type": "object"}, "must be object"))
            return
        kind, request_id = request.get("type"), request.get("id")
        name = kind if isinstance(kind, str) else str(kind)
        if isinstance(request_id, (dict, list, bool)):
            error = invalid(name, "/id", "type", {"type": ["string", "number"]}, "must be string,number")
            self._fail(name, None, error)
            return
        planned = self._exchange.planned_rejection(name)
        if planned is not None:
            self._fail(name, request_id, planned, "auth" if name == "auth" else "error", complain=False)
        elif self.stream.key is None and name not in ("auth", "recover_session"):
            self._fail(name, request_id, NOT_AUTHORIZED)
        elif name not in self._commands:
            allowed = {"allowedValues": list(self._commands)}
            error = invalid(name, "/type", "enum", allowed, "must be equal to one of the allowed values")
            self._fail(name, request_id, error)
        else:
            self._commands[name](request, request_id)

    def subscriptions(self) -> List[str]:
        return [
            " ".join([each.channel, *(f"{name}={value}" for name, value in each.wire()["query"].items())])
            for each in self._all()
        ]

    # Commands.

    def _auth(self, request: Dict[str, Any], request_id: Any) -> None:
        error = wrong_key("auth", request)
        if error is not None:
            self._fail("auth", request_id, error)
            return
        error = ALREADY_AUTHORIZED if self.stream.key is not None else self._exchange.key_error(request["api_key"])
        if error is not None:
            self._fail("auth", request_id, error, "auth")
            return
        self.stream.key = request["api_key"]
        self._succeed("auth", request_id)

    def _logout(self, request: Dict[str, Any], request_id: Any) -> None:
        with self._exchange.book_lock, self._session.together():
            self.stream.subscriptions.clear()
            self.stream.key = self.stream.token = None
            self._succeed("logout", request_id)

    def _subscribe(self, request: Dict[str, Any], request_id: Any) -> None:
        wanted, error = self._subscriptions("subscribe", request)
        if error is not None and (self._exchange.bad_entry_fails_all or not wanted):
            self._fail("subscribe", request_id, error)
            return
        with self._exchange.book_lock, self._session.together():
            for subscription in wanted:
                if subscription.key in self.stream.subscriptions:
                    self._session.complain(f"{REMARK}{subscription.channel} {dict(subscription.query)} a second time")
                self.stream.subscriptions[subscription.key] = subscription
            if error is None:
                self._succeed("subscribe", request_id)
            else:
                self._fail("subscribe", request_id, error)
            for subscription in wanted:
                self._snapshot(subscription)
        self.keep_ticking()

    def _unsubscribe(self, request: Dict[str, Any], request_id: Any) -> None:
        wanted, error = self._subscriptions("unsubscribe", request)
        if error is not None:
            self._fail("unsubscribe", request_id, error)
            return
        with self._exchange.book_lock, self._session.together():
            for subscription in wanted:
                if self.stream.subscriptions.pop(subscription.key, None) is None:
                    self._session.complain(f"{REMARK}{subscription.channel} was not subscribed")
            self._succeed("unsubscribe", request_id)

    def _get_instruments(self, request: Dict[str, Any], request_id: Any) -> None:
        markets = request.get("markets", list(MARKETS))
        if not isinstance(markets, list):
            error = invalid("get_instruments", "/markets", "type", {"type": "array"}, "must be array")
            self._fail("get_instruments", request_id, error)
            return
        for position, market in enumerate(markets):
            if market not in MARKETS:
                error = invalid(
                    "get_instruments",
                    f"/markets/{position}",
                    "enum",
                    {"allowedValues": list(MARKETS)},
                    "must be equal to one of the allowed values",
                    "#/properties/markets/items/enum",
                )
                self._fail("get_instruments", request_id, error)
                return
        names: List[str] = []
        with self._exchange.book_lock:
            for market in markets:
                names.extend(self._exchange.instruments_event(market).data["instruments"])
        layouts: Dict[str, Dict[str, Any]] = {
            "object": {"data": {"instruments": names}},
            "list": {"data": names},
            "top": {"instruments": names},
        }
        self._succeed("get_instruments", request_id, layouts[self._exchange.instruments_layout])

    def _enable_recovery(self, request: Dict[str, Any], request_id: Any) -> None:
        now = time.monotonic()
        if self._enabled_at is not None and now - self._enabled_at < self._exchange.recovery_enable_interval:
            self._fail("enable_session_recovery", request_id, RATE_LIMITED)
            return
        self._enabled_at = now
        with self._session.together():
            self.stream.token = str(uuid.uuid4())
            self._succeed("enable_session_recovery", request_id, self._token())

    def _recover(self, request: Dict[str, Any], request_id: Any) -> None:
        name = "recover_session"
        error = wrong_key(name, request)
        if error is None and not isinstance(request.get("recovery_token"), str):
            error = missing(name, "recovery_token")
        if error is not None:
            self._fail(name, request_id, error)
            return
        planned = self._exchange.planned_recovery_failure()
        if planned is not None:
            self._fail(name, request_id, RECOVERY_FAILURES.get(planned, planned), name, complain=False)
            return
        if self._messages > 1:
            self._fail(name, request_id, RECOVERY_FAILURES["first"], name)
            return
        error = self._exchange.key_error(request["api_key"])
        if error is not None:
            self._fail(name, request_id, error, name)
            return
        with self._exchange.book_lock:
            old = self._exchange.detached(request["recovery_token"])
            missed = None if old is None else old.missed(self._exchange.replay_overlap)
            reason = "instance" if old is None else "expired" if old.lost else "overflow" if missed is None else ""
            if old is not None and old.key != request["api_key"]:
                reason = "key"
            if reason or old is None or missed is None:
                self._fail(name, request_id, RECOVERY_FAILURES[reason], name)
                return
            old.token = None
            old.session.close(1000)  # if it is still there: its client has come back another way
            with self._session.together():
                self.stream.key, self.stream.token = old.key, str(uuid.uuid4())
                self.stream.subscriptions = dict(old.subscriptions)
                old.subscriptions.clear()
                more = {
                    **self._token(),
                    "subscriptions_restored": len(self.stream.subscriptions),
                    "messages_replayed": len(missed),
                }
                if not self._exchange.replay_before_reply:
                    self._succeed(name, request_id, more)
                for message in missed:
                    self.stream.tell_message(message)
                if self._exchange.replay_before_reply:
                    self._succeed(name, request_id, more)
        self.keep_ticking()

    def _token(self) -> Dict[str, Any]:
        window = self._exchange.recovery_window
        return {"recovery_token": self.stream.token, "ttl_seconds": int(window) if window == int(window) else window}

    def _subscriptions(self, kind: str, request: Dict[str, Any]) -> Tuple[List[Subscription], Optional[str]]:
        """The good entries, and what is wrong with the first bad one."""
        if "subscriptions" not in request:
            return [], missing(kind, "subscriptions")
        entries = request["subscriptions"]
        if not isinstance(entries, list):
            return [], invalid(kind, "/subscriptions", "type", {"type": "array"}, "must be array")
        good: List[Subscription] = []
        error: Optional[str] = None if entries else INVALID_SUBSCRIPTIONS
        for entry in entries:
            name = entry.get("channel") if isinstance(entry, dict) else None
            if not isinstance(name, str) or name not in CHANNELS or not set(entry) <= {"channel", "query"}:
                error = error or INVALID_SUBSCRIPTIONS
            elif not CHANNELS[name].accepts(entry.get("query", {})):
                error = error or f"Invalid query for {name} channel"
            else:
                good.append(Subscription(name, entry.get("query", {})))
        return good, error

    # Events of this connection alone.

    def _snapshot(self, subscription: Subscription) -> None:
        exchange, name = self._exchange, subscription.channel
        if name == "instruments":
            market = subscription.query.get("market")
            for each in MARKETS if market is None else (market,):
                self._tell(exchange.instruments_event(each), subscription)
        elif name == "orderbook_maker":
            account = exchange.account_at(subscription.query["maker"])
            orders = [
                exchange.order_data(order)
                for order in exchange.resting()
                if account is not None
                and order.account == account.key
                and subscription.query.get("pair", order.symbol.split("-")[0]) == order.symbol.split("-")[0]
            ]
            data = {"orders": orders} if exchange.maker_layout == "orders" else orders
            self._tell(Event("ob_maker_orders", data, (name,)), subscription)
        elif name in BOOKS and not subscription.skip_snapshot:
            self._book_snapshot(subscription)

    def _book_snapshot(self, subscription: Subscription) -> None:
        exchange = self._exchange
        book = BOOKS.index(subscription.channel)
        for name in exchange.instruments:
            facts = instrument_facts(name)
            if ("strike" in facts) != bool(book) or not Subscription(
                subscription.channel, {k: v for k, v in subscription.query.items() if k != "direction"}
            ).matches(facts):
                continue
            wanted = subscription.query.get("direction")
            orders = [each for each in exchange.resting(instrument_name=name) if wanted in (None, each.side)]
            orders.sort(key=lambda each: each.price)
            if exchange.snapshot_layout == "post_order":
                for order in orders:
                    self._tell(Event("post_order", exchange.order_data(order), ()), subscription)
                continue
            sides = {
                "bids": [order for order in reversed(orders) if order.side == "buy"],
                "asks": [order for order in orders if order.side == "sell"],
            }
            if exchange.snapshot_layout == "ob_snapshot":
                lists = {side: [exchange.order_data(order) for order in found] for side, found in sides.items()}
                self._tell(Event("ob_snapshot", {"instrument_name": name, **lists}, ()), subscription)
                continue
            flat: Dict[str, Any] = {"kind": "event", "type": "ob_snapshot", "timestamp_ms": exchange.now()}
            if exchange.message_ids:
                flat["message_id"] = str(uuid.uuid4())
            flat["instrument_name"] = name
            for side, found in sides.items():
                flat[side] = [
                    {
                        "order_id": order.id,
                        "maker": exchange.account(order.account).smart_account_address,
                        "amount": plain(order.remaining),
                        "limit_price": plain(order.price),
                    }
                    for order in found
                ]
            self.stream.tell_message(flat)

    def keep_ticking(self) -> None:
        """Positions are told every second, as long as somebody wants them."""
        interval = self._exchange.position_interval
        if self._ticking or interval is None or not any(each.channel == "position" for each in self._all()):
            return
        self._ticking = True

        def tick() -> None:
            self._ticking = False
            self.tell_positions()
            self.keep_ticking()

        self._session.call_later(interval, tick)

    def tell_positions(self) -> None:
        """One event for each market of each ``position`` subscription."""
        exchange = self._exchange
        with exchange.book_lock:
            for subscription in self._all():
                account = exchange.account_at(subscription.query.get("account", ""))
                if subscription.channel != "position" or account is None:
                    continue
                market = subscription.query.get("market")
                for each in MARKETS if market is None else (market,):
                    data = account.positions_of(each, exchange.funding_rate(each), exchange.position_ids)
                    self._tell(Event("position", data, ("position",)), subscription)

    def _all(self) -> List[Subscription]:
        with self._exchange.book_lock:
            return list(self.stream.subscriptions.values())

    def _tell(self, event: Event, subscription: Subscription) -> None:
        self.stream.tell(event, subscription, self._exchange.now())

    # Answers.

    def _succeed(self, kind: str, request_id: Any, more: Optional[Dict[str, Any]] = None) -> None:
        text = self.stream.response(kind, request_id, self._exchange.now(), {"success": True, **(more or {})})
        self._exchange.reply(self._session, kind, text)

    def _fail(self, kind: str, request_id: Any, error: str, shape: str = "error", complain: bool = True) -> None:
        """*shape*: the ``type`` of the answer; ``error`` for all but a refused key or recovery."""
        if complain:
            self._session.complain(f"{kind}: {error}")
        text = self.stream.response(shape, request_id, self._exchange.now(), {"success": False, "error": error})
        self._exchange.reply(self._session, kind, text)
