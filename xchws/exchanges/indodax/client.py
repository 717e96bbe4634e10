"""Indodax: the client of the private stream. Sources: see protocol.py and token.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from xchws.client import Client
from xchws.credentials import Secrets, credential
from xchws.errors import ConfigurationError, HandshakeRejected, OpenFailed
from xchws.exchanges.exchange import Exchange, address, base_address, environment
from xchws.exchanges.indodax import token
from xchws.exchanges.indodax.models import NAME
from xchws.exchanges.indodax.protocol import CHANNELS, IndodaxProtocol, OrdersMemory
from xchws.exchanges.indodax.token import Grant
from xchws.sansio.actions import Close
from xchws.sansio.protocol import Protocol
from xchws.transports.http import Http
from xchws.transports.route import Route

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from xchws.client import ClientOptions

# Source: Private-websocket.md of Indodax's API documentation, read 2026-11.
_ENVIRONMENTS = {
    "production": ("wss://pws.indodax.com/ws/?cf_ws_frame_ping_pong=true", "https://indodax.com"),
    "demo": ("wss://pws.demo-indodax.com/ws/?cf_ws_frame_ping_pong=true", "https://demo-indodax.com"),
}
_FORBIDDEN_LIMIT = 5


class IndodaxExchange(Exchange):
    """Indodax's private stream for one key."""

    name = NAME
    channels = CHANNELS
    overlap = True

    def __init__(self, key: str, secret: str, url: str, rest_url: str) -> None:
        super().__init__(Secrets())
        self.secrets.add(key, secret)
        self._key = key
        self._secret = secret
        self._url = url
        self._rest_url = rest_url
        self._memory = OrdersMemory()

    def route(self, http: Http) -> Route:
        return Route(self._url, grant=self._grant(http))

    def _grant(self, http: Http) -> Grant:
        body, headers = token.request(self._key, self._secret)
        self.secrets.add(headers["Sign"])
        answer = http.call("POST", self._rest_url + token.PATH, body=body, headers=headers)
        return token.grant_of(answer.status, answer.body, answer.retry_after, self.secrets)

    def protocol(self, route: Route) -> Protocol:
        return IndodaxProtocol(route.grant, self._memory, self.secrets)

    def fetch(self, job: str, http: Http) -> Any:
        return self._grant(http)

    def refused(self, error: HandshakeRejected) -> Close:
        if error.status != 403:
            return Close(error)
        # The vendor's page names one reason: an Origin header, which is never sent from here. It does not heal by itself.
        verdict = ConfigurationError(
            f"{error}; Indodax answers 403 to a wrong Origin header. xchws sends none: does a proxy add one, is the url "
            "right, or is this machine's address blocked?",
            argument="url",
            exchange=NAME,
        )
        return Close(
            OpenFailed(str(error), retry_after=error.retry_after, exchange=NAME),
            verdict=verdict,
            limit=_FORBIDDEN_LIMIT,
            patience=self._memory.trust.patience,
        )


class Indodax(Client):
    """Own orders and executions on Indodax, live: `on_order`, `on_fill`. There is nothing to subscribe.

    Args:
        key, secret: the TAPI key and its secret; else INDODAX_KEY and INDODAX_SECRET of the environment.
        environment: "production" or "demo".
        url: the complete stream address instead of the environment's; rest_url: the REST base (no path) likewise.
        **options: what every client takes; see `xchws.Client`.

    Raises:
        ConfigurationError: an argument that cannot work; the text says what it may be.
    """

    def __init__(
        self,
        key: Optional[str] = None,
        secret: Optional[str] = None,
        *,
        environment: str = "production",
        url: Optional[str] = None,
        rest_url: Optional[str] = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        default_url, default_rest_url = _environment(environment)
        super().__init__(
            IndodaxExchange(
                credential(key, "key", "INDODAX_KEY", NAME),
                credential(secret, "secret", "INDODAX_SECRET", NAME),
                address(url, "url", ("ws", "wss"), default_url, NAME),
                base_address(rest_url, "rest_url", ("http", "https"), default_rest_url, NAME),
            ),
            **options,
        )


def _environment(name: str) -> tuple[str, str]:
    return environment(name, _ENVIRONMENTS, NAME)
