"""Http: one REST call at a time, by requests. Answers of any status come back; only the network's failures raise.

No exception of requests leaves this room, not even as a cause: its objects hold the request with its signed headers.
"""

from __future__ import annotations

import ssl
from email.utils import parsedate_to_datetime
from typing import Any, Mapping, Optional

import attrs
import requests
from requests.adapters import HTTPAdapter

from xchws import clock
from xchws.credentials import Secrets
from xchws.errors import OpenFailed
from xchws.transports.proxy import Proxy

_MAX_BODY = 1024 * 1024  # bytes; the answers wanted here have some hundred


@attrs.frozen
class Answer:
    """An HTTP answer.

    Attributes:
        status: the HTTP status; body: at most 1 MiB of it; retry_after: seconds, if the header said so.
    """

    status: int
    body: bytes
    retry_after: Optional[float] = None


def retry_after(headers: Mapping[str, str]) -> Optional[float]:
    """The Retry-After header in seconds from now; None if there is none or it cannot be read.

    Both forms of RFC 9110, section 10.2.3. A date is taken against the answer's own Date header where there is one, so that
    this machine's wall clock does not matter.
    """
    given = {name.lower(): value for name, value in headers.items()}
    value = given.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(min(int(value), 10**9))
    try:
        until = parsedate_to_datetime(value)
        base = parsedate_to_datetime(given["date"]) if "date" in given else clock.utc_now()
        return max(0.0, (until - base).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


class _TlsAdapter(HTTPAdapter):
    """Makes requests use the caller's SSLContext."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Add nothing to the caller's context: requests would load its own certificates into it."""

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        # What the context says holds; requests would set CERT_REQUIRED, and its own certificates, in it.
        kept = {name: value for name, value in pool.items() if not name.startswith("ca_")}
        return host, {**kept, "cert_reqs": self._context.verify_mode}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)


class Http:
    """Makes REST calls. Thread-safe: every call has a requests session of its own.

    Args:
        exchange: the name for errors; secrets: what must not be shown; proxy: None for the environment's;
        tls: None for the default verification; timeout: seconds for each step of a call.
    """

    def __init__(
        self, exchange: str, secrets: Secrets, proxy: Optional[Proxy], tls: Optional[ssl.SSLContext], timeout: float
    ) -> None:
        self._exchange = exchange
        self._secrets = secrets
        self._proxy = proxy
        self._tls = tls
        self._timeout = timeout

    def call(self, method: str, url: str, *, body: Optional[bytes] = None, headers: Mapping[str, str]) -> Answer:
        """Make one call. The body goes out exactly as given; redirects are not followed.

        Raises:
            OpenFailed: no answer came: DNS, TCP, TLS, proxy, timeout, or a broken answer.
        """
        try:
            return self._call(method, url, body, headers)
        except requests.RequestException as error:
            failure = f"{type(error).__name__}: {error}"
        except (OSError, ValueError) as error:  # urllib3 lets some through
            failure = f"{type(error).__name__}: {error}"
        where = self._secrets.redact(url.split("?", 1)[0])
        # Raised outside the except clause: the chain would carry the request.
        raise OpenFailed(
            f"{self._exchange}: {method} {where} failed: {self._secrets.excerpt(failure)}", exchange=self._exchange
        )

    def _call(self, method: str, url: str, body: Optional[bytes], headers: Mapping[str, str]) -> Answer:
        with requests.Session() as session:
            if self._tls is not None:
                session.mount("https://", _TlsAdapter(self._tls))
            if self._proxy is not None:
                session.trust_env = False
                session.proxies = {"http": self._proxy.url, "https": self._proxy.url}
            # A netrc file would add an Authorization header of its own; the environment's proxies are still wanted.
            session.auth = _no_auth
            with session.request(
                method, url, data=body, headers=dict(headers), timeout=self._timeout, allow_redirects=False, stream=True
            ) as response:
                content = b""
                for chunk in response.iter_content(65536):
                    content += chunk
                    if len(content) >= _MAX_BODY:
                        break
                return Answer(response.status_code, content[:_MAX_BODY], retry_after(response.headers))


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
