"""Proxy: by which way connections leave: the `proxy` argument, or else the environment as requests reads it."""

from __future__ import annotations

import importlib.util
from typing import Optional
from urllib.parse import unquote, urlsplit

import attrs
from requests.utils import get_environ_proxies, select_proxy

from xchws.errors import ConfigurationError

_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")


@attrs.frozen
class Proxy:
    """A proxy's address; user and password are in no `repr`."""

    scheme: str
    host: str
    port: int
    user: Optional[str] = attrs.field(default=None, repr=False)
    password: Optional[str] = attrs.field(default=None, repr=False)
    url: str = attrs.field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Read `scheme://[user:password@]host:port`.

        Raises:
            ConfigurationError: it is not of that form, or a SOCKS proxy is asked for without the packages for it.
        """
        if not isinstance(url, str):
            raise _unfit(f"a proxy is given as a string such as 'http://proxy.example:8080', not {type(url).__name__}")
        if not url.isprintable() or " " in url:
            raise _unfit(
                "the address has a space or a character that cannot be printed; write those of a password as %20"
            )
        if "://" not in url:
            raise _unfit("a proxy needs its scheme, host and port: write for example proxy='http://proxy.example:8080'")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")  # what cannot be written so cannot be looked up
        except ValueError:
            raise _unfit("the proxy's address cannot be read: it is scheme://[user:password@]host:port") from None
        if parts.scheme not in _SCHEMES:
            raise _unfit(f"the proxy's scheme may be one of {', '.join(_SCHEMES)}, not {parts.scheme!r}")
        if not host or not port or parts.path not in ("", "/") or parts.query:
            raise _unfit(
                f"a proxy is {parts.scheme}://[user:password@]host:port with a host and a port and nothing more"
            )
        if parts.scheme.startswith("socks") and importlib.util.find_spec("socks") is None:
            raise _unfit('a SOCKS proxy needs one more package: pip install "xchws[socks]"')
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(parts.scheme, host, port, user, password, url)


def _unfit(text: str) -> ConfigurationError:
    return ConfigurationError(f"proxy: {text}", argument="proxy")


def environment_proxy(url: str) -> Optional[Proxy]:
    """The proxy that the environment names for a WebSocket URL, by requests' rules (HTTPS_PROXY, ALL_PROXY, NO_PROXY, …).

    Raises:
        ConfigurationError: the environment names one that cannot be read.
    """
    plain = url.replace("wss://", "https://", 1) if url.startswith("wss://") else url.replace("ws://", "http://", 1)
    named = select_proxy(plain, get_environ_proxies(plain))
    if not named:
        return None
    return Proxy.parse(named if "://" in named else f"http://{named}")
