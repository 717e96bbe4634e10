"""Every error that xchws raises or reports.

    XchwsError                            .retryable says whether the session tries again
    ├── ConfigurationError (ValueError)   before anything starts
    ├── StateError (RuntimeError)         started twice, used after stop, used in a forked child
    ├── WaitTimeout (TimeoutError)        a wait ended before what was waited for came
    ├── ConnectionFailed                  the connection could not be made or was lost
    │   ├── OpenFailed                    no usable connection came about: DNS, TCP, TLS, proxy, token, login
    │   ├── HandshakeRejected             the server answered the WebSocket handshake with another HTTP status
    │   ├── ConnectionLost                a connection that stood ended: close code and reason, reset, end of stream
    │   ├── Silent                        nothing was heard for too long, or an answer that was due never came
    │   └── SlowConsumer                  the callbacks fell so far behind that events had to be given up
    ├── AuthenticationFailed              a refused key stays refused: not retried for ever
    ├── ExchangeError                     the exchange said no
    │   ├── SubscriptionRejected
    │   ├── RequestRejected
    │   └── RateLimited                   retry_after: seconds
    ├── ProtocolError                     a message that we could not understand (its text inside)
    └── CallbackError                     what a callback raised, as __cause__

Texts that come from outside pass through `credentials.Secrets.redact` before they get into an error.
All of them survive pickling, so that a Celery result or a process pool can carry them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Optional

_LONG = 1000  # characters


class XchwsError(Exception):
    """The root of all errors of xchws.

    Attributes:
        retryable: whether the session goes on after it. A property of the class.
        exchange: the exchange's name, or "" where none is concerned.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, exchange: str = "") -> None:
        super().__init__(message)
        self.exchange = exchange


class ConfigurationError(XchwsError, ValueError):
    """An argument that cannot work; the text says what it may be.

    Attributes:
        argument: the argument's name, or "".
    """

    def __init__(self, message: str = "", *, argument: str = "", exchange: str = "") -> None:
        if len(message) > _LONG:  # what was given stands in it; what it may be stands at its beginning or its end
            message = f"{message[: _LONG // 2]} … {message[-_LONG // 4 :]}"
        super().__init__(message, exchange=exchange)
        self.argument = argument


class StateError(XchwsError, RuntimeError):
    """A call that does not fit the client's state: started twice, used after stop, used in a forked child."""


class WaitTimeout(XchwsError, TimeoutError):
    """A wait ended before what was waited for came. The connection is not touched by it."""


class ConnectionFailed(XchwsError):
    """The connection could not be made or was lost. The session tries again."""

    retryable = True

    def __init__(self, message: str = "", *, retry_after: Optional[float] = None, exchange: str = "") -> None:
        super().__init__(message, exchange=exchange)
        self.retry_after = retry_after  # seconds, where the server said so (Retry-After)


class OpenFailed(ConnectionFailed):
    """No usable connection came about: DNS, TCP, TLS, proxy, token endpoint, or no READY in time."""


class HandshakeRejected(ConnectionFailed):
    """The server answered the WebSocket handshake with an HTTP status other than 101.

    Attributes:
        status: the HTTP status.
        body: the beginning of the answer's body, without secrets.
        retry_after: seconds, if the answer had a Retry-After header.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        body: str = "",
        retry_after: Optional[float] = None,
        exchange: str = "",
    ) -> None:
        super().__init__(message, retry_after=retry_after, exchange=exchange)
        self.status = status
        self.body = body


class ConnectionLost(ConnectionFailed):
    """A connection that stood ended.

    Attributes:
        code: the WebSocket close code; 1006 where the end came without a close frame (RFC 6455, section 7.1.5).
        reason: the peer's reason, without secrets.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: int = 1006,
        reason: str = "",
        retry_after: Optional[float] = None,
        exchange: str = "",
    ) -> None:
        super().__init__(message, retry_after=retry_after, exchange=exchange)
        self.code = code
        self.reason = reason


class Silent(ConnectionFailed):
    """Nothing was heard for too long, or an answer that was due never came."""


class SlowConsumer(ConnectionFailed):
    """The callbacks (or an iterator's loop) fell so far behind that events had to be given up.

    Attributes:
        dropped: how many events were given up when it was noticed.
    """

    def __init__(
        self, message: str = "", *, dropped: int = 0, retry_after: Optional[float] = None, exchange: str = ""
    ) -> None:
        super().__init__(message, retry_after=retry_after, exchange=exchange)
        self.dropped = dropped


class AuthenticationFailed(XchwsError):
    """The exchange refuses the credentials. Not retried for ever: the client stops and says so.

    Attributes:
        code: the exchange's own code for it (a string or a number), or None.
    """

    def __init__(self, message: str = "", *, code: Any = None, exchange: str = "") -> None:
        super().__init__(message, exchange=exchange)
        self.code = code


class ExchangeError(XchwsError):
    """The exchange said no.

    Attributes:
        code: the exchange's own code (a string or a number), or None where it gives none.
        message: the exchange's own words, without secrets.
    """

    def __init__(self, text: str = "", *, code: Any = None, message: str = "", exchange: str = "") -> None:
        super().__init__(text, exchange=exchange)
        self.code = code
        self.message = message or text


class SubscriptionRejected(ExchangeError):
    """The exchange refuses a subscription. The connection and the other subscriptions go on."""


class RequestRejected(ExchangeError):
    """The exchange refuses a request."""


class RateLimited(ExchangeError):
    """Too many requests.

    Attributes:
        retry_after: seconds to wait, where the exchange said so.
    """

    retryable = True

    def __init__(
        self,
        text: str = "",
        *,
        code: Any = None,
        message: str = "",
        retry_after: Optional[float] = None,
        exchange: str = "",
    ) -> None:
        super().__init__(text, code=code, message=message, exchange=exchange)
        self.retry_after = retry_after


class ProtocolError(XchwsError):
    """A message that we could not understand. The connection goes on.

    Attributes:
        text: the message as it came, shortened and without secrets.
    """

    retryable = True

    def __init__(self, message: str = "", *, text: str = "", exchange: str = "") -> None:
        super().__init__(message, exchange=exchange)
        self.text = text


class CallbackError(XchwsError):
    """A callback raised; what it raised is the `__cause__`. The connection goes on.

    Attributes:
        callback: the function.
        event: what it was called with.
    """

    retryable = True

    def __init__(self, message: str = "", *, callback: Any = None, event: Any = None, exchange: str = "") -> None:
        super().__init__(message, exchange=exchange)
        self.callback = callback
        self.event = event

    def __reduce__(self) -> Any:
        # A callback is often a local function, which cannot be pickled: the text names it.
        return (type(self), (str(self),), {"exchange": self.exchange, "event": self.event})


def text_of(raised: BaseException) -> str:
    """What an exception says, whatever it is: a user's `__str__` may raise."""
    try:
        return str(raised)
    except BaseException:  # sys.exit() in it, too: the thread that asks must live
        return "(its text cannot be read)"
