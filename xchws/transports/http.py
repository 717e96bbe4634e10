"""Http: one REST call at a time, by requests. Answers of any status come back; only the network's failures raise.

No exception of requests leaves this room, not even as a cause: its objects hold the request with its signed headers.
"""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Dict, Mapping, Optional

import attrs
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from xchws import clock
from xchws.credentials import Secrets
from xchws.errors import OpenFailed
from xchws.transports import tcp, tls
from xchws.transports.proxy import Proxy, environment_proxy
from xchws.transports.scope import Cancelled, CancelScope
from xchws.transports.tcp import Reach, ReachedConnection

_LONGEST = 1e9  # seconds: nobody means a longer Retry-After, and instants that far away can still be written down
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
        return min(float(value), _LONGEST)
    try:
        until = parsedate_to_datetime(value)
        base = parsedate_to_datetime(given["date"]) if "date" in given else clock.utc_now()
        return min(max(0.0, (until - base).total_seconds()), _LONGEST)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def hear_date(offset: Optional[clock.Offset], headers: Mapping[str, str], asked: datetime) -> None:
    """Take what the answer's Date header says of the server's clock (RFC 9110, section 6.6.1): whole seconds, cut off.

    An answer with an Age comes out of a cache, and its date is of another day.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if offset is None or "date" not in given or given.get("age", "0").strip() != "0":
        return
    try:
        said = parsedate_to_datetime(given["date"])
        offset.heard(said, said + timedelta(seconds=1), asked, clock.utc_now())
    except (TypeError, ValueError, IndexError, OverflowError):
        pass  # no date, or none that can be read


class _TlsConnection(HTTPSConnection):
    """As ReachedConnection, with TLS."""

    def __init__(self, *args: Any, reach: Reach, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reach = reach

    def _new_conn(self) -> socket.socket:
        return self._reach(self.host, self.port)


class _Pool(HTTPConnectionPool):
    def __init__(self, *args: Any, reach: Reach, **kwargs: Any) -> None:
        self.ConnectionCls = partial(ReachedConnection, reach=reach)  # type: ignore[assignment]  # it is called only
        super().__init__(*args, **kwargs)


class _TlsPool(HTTPSConnectionPool):
    def __init__(self, *args: Any, reach: Reach, **kwargs: Any) -> None:
        self.ConnectionCls = partial(_TlsConnection, reach=reach)  # type: ignore[assignment]  # it is called only
        super().__init__(*args, **kwargs)


class _Adapter(HTTPAdapter):
    """Makes requests use streams that the scope knows, and a given SSLContext."""

    def __init__(self, context: Optional[ssl.SSLContext], reach: Reach) -> None:
        self._context = context
        self._pools: Dict[str, Any] = {"http": partial(_Pool, reach=reach), "https": partial(_TlsPool, reach=reach)}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Add nothing to the context: requests would load its own certificates into it."""

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        # What the context says holds; requests would set CERT_REQUIRED, and its own certificates, in it.
        kept = {name: value for name, value in pool.items() if not name.startswith("ca_")}
        if self._context is not None:
            kept["cert_reqs"] = self._context.verify_mode
        return host, kept


class Http:
    """Makes REST calls. Thread-safe: every call has a requests session of its own.

    Args:
        exchange: the name for errors; secrets: what must not be shown; proxy: None for the environment's;
        tls: None to verify by the system's certificates; timeout: seconds for a call, all in all.
        offset: hears what the answers' dates say.
        scope: what bounds the calls instead; see `within`.
    """

    def __init__(
        self,
        exchange: str,
        secrets: Secrets,
        proxy: Optional[Proxy],
        tls: Optional[ssl.SSLContext],
        timeout: float,
        offset: Optional[clock.Offset] = None,
        scope: Optional[CancelScope] = None,
    ) -> None:
        self.timeout = timeout
        self._exchange = exchange
        self._secrets = secrets
        self._proxy = proxy
        self._tls = tls
        self._offset = offset
        self._scope = scope

    def within(self, scope: CancelScope) -> Http:
        """The same, for one helper thread: the scope ends its calls."""
        return Http(self._exchange, self._secrets, self._proxy, self._tls, self.timeout, self._offset, scope)

    def call(self, method: str, url: str, *, body: Optional[bytes] = None, headers: Mapping[str, str]) -> Answer:
        """Make one call. The body goes out exactly as given; redirects are not followed.

        Raises:
            OpenFailed: no answer came: DNS, TCP, TLS, proxy, the end of the scope, or a broken answer.
            ConfigurationError: the environment names a proxy that cannot be used.
        """
        proxy = self._proxy or environment_proxy(url)
        scope = self._scope or CancelScope(self.timeout)
        try:
            answer = self._call(method, url, body, headers, proxy, scope)
            scope.remaining()  # an answer without a length looks whole when its connection is cut
            return answer
        except (requests.RequestException, OSError, ValueError) as error:  # urllib3 lets some through
            failure = self._told(error, scope)
        finally:
            if self._scope is None:
                scope.release()
        where = self._secrets.redact(url.split("?", 1)[0])
        # Raised outside the except clause: the chain would carry the request.
        raise OpenFailed(f"{self._exchange}: {method} {where} failed: {failure}", exchange=self._exchange)

    def _told(self, error: Exception, scope: CancelScope) -> str:
        try:
            scope.remaining()
        except Cancelled as ended:  # what the library made of it tells less
            return str(ended)
        return self._secrets.excerpt(f"{type(error).__name__}: {error}")

    def _call(
        self,
        method: str,
        url: str,
        body: Optional[bytes],
        headers: Mapping[str, str],
        proxy: Optional[Proxy],
        scope: CancelScope,
    ) -> Answer:
        carried = proxy is not None and proxy.scheme != "http"  # by SOCKS, of which requests hears nothing
        context = (self._tls or tls.default()) if url.startswith("https:") else None
        with requests.Session() as session:
            # The environment's proxy is known already, and a netrc file would add an Authorization header of its own.
            session.trust_env = False
            if proxy is not None and not carried:
                session.proxies = {"http": proxy.url, "https": proxy.url}
            adapter = _Adapter(context, partial(tcp.connect, proxy=proxy if carried else None, scope=scope))
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            asked = clock.utc_now()
            with session.request(
                method,
                url,
                data=body,
                headers=dict(headers),
                timeout=scope.remaining(),
                allow_redirects=False,
                stream=True,
            ) as response:
                hear_date(self._offset, response.headers, asked)
                content = b""
                for chunk in response.iter_content(65536):
                    content += chunk
                    if len(content) >= _MAX_BODY:
                        break
                return Answer(response.status_code, content[:_MAX_BODY], retry_after(response.headers))
