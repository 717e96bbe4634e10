"""Kyrrex: the client of the account stream. Sources: see protocol.py and signing.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Optional
from urllib.parse import urlsplit

from xchws.backoff import Backoff
from xchws.client import Client
from xchws.credentials import Secrets, credential
from xchws.durations import seconds
from xchws.errors import ConfigurationError, HandshakeRejected, XchwsError
from xchws.exchanges.exchange import Exchange, address, base_address, environment
from xchws.exchanges.kyrrex import signing
from xchws.exchanges.kyrrex.models import NAME, OBJECTS, Customer, DepositAddress
from xchws.exchanges.kyrrex.protocol import FOUR, LIMIT, THREE, AccountMemory, KyrrexProtocol, refused_key
from xchws.hooks import Hook
from xchws.sansio.actions import Close
from xchws.sansio.protocol import Protocol
from xchws.transports.http import Http
from xchws.transports.route import Route

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from xchws.client import ClientOptions

    class KyrrexOptions(ClientOptions, total=False):
        """What every client takes, and the hooks that only this one has."""

        on_customer: Callable[[Any], Any]
        on_deposit_address: Callable[[Any], Any]


# Source: https://docs.kyrrex.com/websocket, read 2026-11; it names the hosts of the stream, and REST is taken to be there, too.
_ENVIRONMENTS = {
    "production": ("wss://my.kyrrex.mt", "https://my.kyrrex.mt"),
    "stage": ("wss://my.kyrrex.mt.wldev.app", "https://my.kyrrex.mt.wldev.app"),
}
_PATH = "/zsu/ws/v1"
_OPEN_TIMEOUT = 10.0  # seconds: what every client has by default
# What a server of Engine.IO says when it refuses a WebSocket, as the bare text or inside JSON: engine.io's server.ts.
_UNSUPPORTED = "unsupported protocol version"
# … and when what it got is no request for a WebSocket that it takes. "Bad request" alone says anybody about anything.
_NO_WEBSOCKET = (
    "transport unknown",
    "session id unknown",
    "bad handshake method",
    '{"code":3,"message":"bad request"}',
)
_PASSING = frozenset((408, 425, 429))  # the 4xx statuses that pass by themselves


class KyrrexExchange(Exchange):
    """Kyrrex's account stream for one key."""

    name = NAME
    channels = OBJECTS
    # Source: the vendor's sample, read 2026-11: reconnectionDelay 5000, reconnectionDelayMax 10000, randomizationFactor 0.5.
    backoff = Backoff(initial=5.0, maximum=10.0, factor=2.0, randomization=0.5)

    def __init__(
        self,
        key: str,
        secret: str,
        user_uuid: Optional[str],
        url: str,
        rest_url: str,
        path: str,
        engine: str,
        settle: float,
    ) -> None:
        super().__init__(Secrets())
        self.secrets.add(key, secret)
        self._key = key
        self._secret = secret
        self._user_uuid = user_uuid
        self._url = url
        self._rest_url = rest_url.rstrip("/")
        self._path = path
        self._engine = engine
        self._settle = settle
        self._memory = AccountMemory()

    def route(self, http: Http) -> Route:
        if self._user_uuid is None:
            self._user_uuid = self._asked_uuid(http)
        signature = signing.stream_sign(self._key, self._secret, self._user_uuid)
        url = signing.stream_url(self._url, self._path, self._engine, self._key, signature)
        # The signature has no time in it: whoever has the address has the stream.
        self.secrets.add(signature, url, url.split("?", 1)[1])
        return Route(url)

    def _asked_uuid(self, http: Http) -> str:
        refusal: Optional[XchwsError] = None
        for canonical in signing.CANONICALS:
            signature = signing.sign(self._secret, canonical.format(key=self._key))
            self.secrets.add(signature)
            answer = http.call("GET", self._rest_url + signing.ME, headers=signing.rest_headers(self._key, signature))
            try:
                return signing.uuid_of(answer.status, answer.body, answer.retry_after, self.secrets)
            except XchwsError as error:
                if not signing.refuses_signature(answer.status, answer.body):
                    raise
                refusal = error
        assert refusal is not None, "there is a spelling to try"
        raise refusal

    def protocol(self, route: Route) -> Protocol:
        return KyrrexProtocol(self._engine, self._settle, self._memory, self.secrets)

    def refused(self, error: HandshakeRejected) -> Close:
        if not 400 <= error.status < 500 or error.status in _PASSING:
            return Close(error)
        said = error.body.lower()
        if _UNSUPPORTED in said:
            other = FOUR if self._engine == THREE else THREE
            return self._misconfigured(
                error, f'the server does not speak Engine.IO {self._engine}; give engine="{other}"', "engine"
            )
        if error.status == 404:
            return self._misconfigured(error, "is the url right, and the path?", "path")
        if error.status == 400 and any(text in said for text in _NO_WEBSOCKET):
            return self._misconfigured(
                error, "the server takes no WebSocket there, or a proxy spoils the request", "url"
            )
        return self._suspected(error, refused_key(str(error)))

    def _misconfigured(self, error: HandshakeRejected, advice: str, argument: str) -> Close:
        return self._suspected(error, ConfigurationError(f"{error}; {advice}", argument=argument, exchange=NAME))

    def _suspected(self, error: HandshakeRejected, verdict: XchwsError) -> Close:
        return Close(error, verdict=verdict, limit=LIMIT, patience=self._memory.trust.patience)


class Kyrrex(Client):
    """An account on Kyrrex, live: `on_balance`, `on_order`, `on_fill`, `on_transfer`, `on_customer`, `on_deposit_address`.

    There is nothing to subscribe. `on_message` gets every event as the server emitted it: a list of its name and arguments.

    Args:
        key, secret: the API key and its secret; else KYRREX_KEY and KYRREX_SECRET of the environment.
        user_uuid: the member's uuid; else KYRREX_USER_UUID of the environment; else it is asked by REST, once.
        environment: "production" or "stage".
        url: the complete stream address instead of the environment's; without a path, `path` is appended. Its query may have
            parameters of its own.
        rest_url: the REST base (no path) instead of the environment's; with a `url`, the same host by default.
        path: the stream's path on the host.
        engine: the version of Engine.IO, "4" or (Socket.IO 2's) "3".
        settle: seconds for which a connection must stand before it is READY, because the server says nowhere that it has
            accepted the key; an object of the account is proof enough before. It must be below `open_timeout`.
        **options: what every client takes; see `xchws.Client`.

    Raises:
        ConfigurationError: an argument that cannot work; the text says what it may be.
    """

    on_customer: Hook[Customer] = Hook(Customer)
    on_deposit_address: Hook[DepositAddress] = Hook(DepositAddress)

    def __init__(
        self,
        key: Optional[str] = None,
        secret: Optional[str] = None,
        *,
        user_uuid: Optional[str] = None,
        environment: str = "production",
        url: Optional[str] = None,
        rest_url: Optional[str] = None,
        path: str = _PATH,
        engine: str = FOUR,
        settle: float = 1.0,
        **options: Unpack[KyrrexOptions],
    ) -> None:
        default_url, default_rest_url = _environment(environment)
        stream = address(url, "url", ("ws", "wss"), default_url, NAME)
        if url is not None:
            # A brand of the same platform has both on its own host, and a key must not go to another's.
            parts = urlsplit(stream)
            default_rest_url = f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"
        exchange = KyrrexExchange(
            credential(key, "key", "KYRREX_KEY", NAME),
            credential(secret, "secret", "KYRREX_SECRET", NAME),
            _checked_uuid(user_uuid),
            stream,
            base_address(rest_url, "rest_url", ("http", "https"), default_rest_url, NAME),
            _checked_path(path),
            _checked_engine(engine),
            seconds(settle, "settle", owner=NAME, zero=True),
        )
        super().__init__(exchange, **options)
        if settle >= options.get("open_timeout", _OPEN_TIMEOUT):
            raise _unfit("settle", f"below open_timeout, not {settle!r}: the client would never be READY")


def _environment(name: str) -> tuple[str, str]:
    return environment(name, _ENVIRONMENTS, NAME)


def _unfit(argument: str, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{NAME}: {argument} must be {wanted}", argument=argument, exchange=NAME)


def _checked_uuid(user_uuid: Optional[str]) -> Optional[str]:
    if user_uuid is None and "KYRREX_USER_UUID" not in os.environ:
        return None
    return credential(user_uuid, "user_uuid", "KYRREX_USER_UUID", NAME)


def _checked_path(path: str) -> str:
    if not isinstance(path, str) or not path.startswith("/") or not path.isprintable() or set(path) & set(" ?#"):
        raise _unfit("path", f'a path such as "{_PATH}", not {path!r}')
    return path


def _checked_engine(engine: str) -> str:
    if not isinstance(engine, str) or engine not in (THREE, FOUR):
        raise _unfit("engine", f'"{FOUR}" or "{THREE}", not {engine!r}')
    return engine
