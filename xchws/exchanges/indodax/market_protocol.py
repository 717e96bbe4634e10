"""IndodaxMarketProtocol: the market-data stream on one connection.

The script: connect with the published token, then subscribe channel by channel. A channel has at most one command on its way,
because what is answered second need not have been carried out second. Offsets tell what was lost and what came before; how far
a channel has been read outlives the connection, and the next one asks the server to replay from there. Where something is lost
on a connection that stands, the channel is left and joined again with the same request, and what comes meanwhile is held back.

Sources: https://github.com/btcid/indodax-official-api-docs, Marketdata-websocket.md, and Centrifugo 2.8.6's source, read 2026-11.
"""

from __future__ import annotations

from typing import Any, Dict, Hashable, List, Mapping, Optional, Sequence, Set, Tuple

import attrs

from xchws.credentials import Secrets
from xchws.errors import (
    AuthenticationFailed,
    ExchangeError,
    OpenFailed,
    Silent,
    SubscriptionRejected,
    XchwsError,
)
from xchws.events import Data, Failure, Other
from xchws.exchanges.indodax import centrifugo_v1 as centrifugo
from xchws.exchanges.indodax import market_models as models
from xchws.exchanges.indodax.centrifugo import ALREADY_SUBSCRIBED, TEMPORARY, TOKEN_REFUSED, Error, pieces
from xchws.exchanges.indodax.channels import Channel, Positions, Stage, Telling
from xchws.exchanges.indodax.market_feed import MarketFeed
from xchws.exchanges.indodax.models import NAME
from xchws.sansio.actions import (
    Close,
    Expiry,
    Interrupted,
    Output,
    Ready,
    Refused,
    Send,
    Topic,
    Unanswered,
)
from xchws.sansio.protocol import UNREADABLE, Protocol
from xchws.sansio.trust import Trust

_REPLY = 10.0  # seconds for an answer to a command
_RETRY_FIRST, _RETRY_LAST = 1.0, 30.0  # seconds between tries of a subscription that the server puts off
_DOUBLINGS = 8  # of that time; more change nothing
_LONGEST = 10**9  # seconds; a number beyond is as good as never, and one far beyond is no float
_QUIET = 60.0  # seconds: the server pings every 25 s (Centrifugo's default), so two are missing by then
_SLOWLY = 30.0  # seconds before a reconnect that the server advises against
_SUSPECT = 5  # closes in a row with such an advice before it is followed for good

_HINTS = {
    102: "; there is no such channel",
    103: "; it is not open to everybody",
    centrifugo.LIMIT_EXCEEDED: "; one connection takes 128 channels (as measured in 2026): make a second client for more",
}


@attrs.define
class MarketMemory:
    """What outlives a connection: how far each channel has been read, and whether the token has ever been taken."""

    positions: Positions = attrs.field(factory=Positions)
    trust: Trust = attrs.field(factory=Trust)


class IndodaxMarketProtocol(Protocol):
    """The market-data stream on one connection."""

    exchange = NAME
    silence = _QUIET

    def __init__(self, token: str, memory: MarketMemory, secrets: Secrets) -> None:
        super().__init__(secrets)
        self._token = token
        self._memory = memory
        self._feed = MarketFeed(memory.positions, self._leave, self.unreadable)
        self._number = 0
        self._pending: Dict[int, Tuple[Optional[Channel], float]] = {}  # command -> channel (None: connect), deadline
        self._abandoned: Set[int] = set()  # commands whose answer is not waited for any more
        self._channels: Dict[str, Channel] = {}
        self._retries: Dict[str, float] = {}  # channel -> when to try again

    # -------------------------------------------------------------------------------------------------------- commands

    def opened(self, now: float) -> List[Output]:
        return [self._command(centrifugo.CONNECT, {"token": self._token}, None, now)]

    def _command(self, method: int, parameters: Mapping[str, Any], channel: Optional[Channel], now: float) -> Send:
        self._number += 1
        self._pending[self._number] = (channel, now + _REPLY)
        return Send(centrifugo.command(self._number, method, parameters))

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        channel = self._channels.setdefault(topic.channel, Channel(topic))
        channel.wanted = True
        return self._pursue(channel, now)

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        channel = self._channels.get(topic.channel)
        if channel is None:
            return []
        self._dismiss(channel)
        return self._pursue(channel, now)

    def _dismiss(self, channel: Channel) -> None:
        channel.wanted = channel.mending = False
        channel.early.clear()
        self._retries.pop(channel.topic.channel, None)
        self._memory.positions.forget(channel.topic.channel)

    def _pursue(self, channel: Channel, now: float) -> List[Output]:
        """Send what brings a channel nearer to where it is wanted."""
        name = channel.topic.channel
        if channel.wanted and channel.stage is Stage.AWAY and name not in self._retries:
            channel.stage = Stage.JOINING
            parameters: Dict[str, Any] = {"channel": name}
            channel.from_ = self._memory.positions.get(name)
            if channel.from_ is not None:
                # Only with the epoch the server says whether it could replay everything (centrifuge v0.14.2, client.go).
                parameters.update(recover=True, offset=channel.from_.offset)
                if channel.from_.epoch:
                    parameters["epoch"] = channel.from_.epoch
            return [self._command(centrifugo.SUBSCRIBE, parameters, channel, now)]
        if not channel.wanted and channel.stage is Stage.JOINED:
            return [self._leave(channel, now)]
        return []

    def _leave(self, channel: Channel, now: float) -> Send:
        channel.stage = Stage.LEAVING
        return self._command(centrifugo.UNSUBSCRIBE, {"channel": channel.topic.channel}, channel, now)

    # -------------------------------------------------------------------------------------------------------- messages

    def received(self, text: bytes, now: float) -> List[Output]:
        outputs: List[Output] = []
        for piece in pieces(text):
            if self.verbatim:
                outputs.append(self.message(piece))
            outputs += self._piece(piece, now)
            if outputs and type(outputs[-1]) is Close:
                break  # what comes after the end of the conversation is not for us
        return outputs

    def _piece(self, piece: bytes, now: float) -> List[Output]:
        try:
            frame, flaws = centrifugo.frame_of(piece)
        except UNREADABLE as error:
            return [self.unreadable(piece, f"a message that cannot be understood ({error})")]
        if frame.id:
            return self._reply(frame.id, piece, now)
        push = frame.result
        if frame.error is not None:
            return [self.unreadable(piece, "an error that answers nothing that was asked")]
        if push is None:
            return [self._other("unknown", piece)]
        outputs = self._flawed(flaws, piece)
        body = push.data or centrifugo.Body()
        if push.type == centrifugo.PUBLICATION and push.data is not None:
            return outputs + self._publication(push.channel, body, piece, now)
        if push.type == centrifugo.ENDED:
            return outputs + self._ended(push.channel, body.resubscribe or bool(flaws), piece)
        return [*outputs, self._other(centrifugo.PUSHES.get(push.type, f"push {push.type}"), piece)]

    def _flawed(self, flaws: Sequence[str], piece: bytes) -> List[Output]:
        return [self.unreadable(piece, f"{', '.join(flaws)} of no known form")] if flaws else []

    def _other(self, kind: str, piece: bytes) -> Other:
        return Other(kind=kind, wire=piece, path=(), exchange=NAME)

    # ---------------------------------------------------------------------------------------------------- publications

    def _publication(self, name: str, publication: centrifugo.Publication, piece: bytes, now: float) -> List[Output]:
        channel = self._channels.get(name)
        if channel is None:
            return [self._other(name or "unknown", piece)]
        if not channel.wanted:
            return []  # it was on its way when the channel was left
        return self._feed.came(channel, Telling(publication, piece), now)

    def _ended(self, name: str, again: bool, piece: bytes) -> List[Output]:
        """The server ended a subscription."""
        channel = self._channels.get(name)
        if channel is None:
            return [self._other(centrifugo.PUSHES[centrifugo.ENDED], piece)]
        if not channel.wanted:
            return []  # it was to be left anyway, and the answer to that is still to come
        for number in [number for number, (whose, _) in self._pending.items() if whose is channel]:
            del self._pending[number]
            self._abandoned.add(number)
        channel.stage = Stage.AWAY
        if again:
            return [Interrupted(channel.topic)]
        outputs = self._feed.given_up(channel)
        self._dismiss(channel)
        text = f"{NAME}: the server ended the subscription {channel.topic.name!r} for good"
        return [*outputs, Refused(channel.topic, SubscriptionRejected(text, exchange=NAME))]

    # --------------------------------------------------------------------------------------------------------- replies

    def _reply(self, number: int, piece: bytes, now: float) -> List[Output]:
        if number in self._abandoned:
            self._abandoned.discard(number)
            return []
        if number not in self._pending:
            return [self.unreadable(piece, "an answer to nothing that was asked")]
        channel, _ = self._pending.pop(number)
        if channel is None:
            reply = centrifugo.reply_of(piece, centrifugo.ConnectResult)
            return self._flawed(reply.flaws, piece) + self._connected(reply, now)
        if channel.stage is Stage.LEAVING:
            return self._left(channel, centrifugo.reply_of(piece, centrifugo.Nothing), now)
        answer = centrifugo.reply_of(piece, centrifugo.SubscribeResult)
        outputs = self._flawed(answer.flaws, piece)
        if answer.error is None:
            return outputs + self._joined(channel, answer, piece, now)
        if answer.error.code == ALREADY_SUBSCRIBED:
            return outputs + self._joined_before(channel, now)
        return outputs + self._not_joined(channel, answer.error, now)

    def _connected(self, reply: centrifugo.Reply[centrifugo.ConnectResult], now: float) -> List[Output]:
        error = reply.error
        if error is None:
            self._memory.trust.served = True
            expires = reply.result.expires and reply.result.ttl > 0
            return [Expiry(now + min(reply.result.ttl, _LONGEST) if expires else None), Ready()]
        said = self.secrets.excerpt(error.message)
        text = f"{NAME}: connect was refused: {error.code} {said}"
        failed = OpenFailed(text, exchange=NAME)
        if error.code in TEMPORARY:
            return [Close(failed)]
        if error.code in TOKEN_REFUSED:
            return [self._token_refused(failed, error.code)]
        verdict = ExchangeError(text, code=error.code, message=said, exchange=NAME)
        return [Close(failed, verdict=verdict, limit=_SUSPECT, patience=self._memory.trust.patience)]

    def _token_refused(self, error: XchwsError, code: int) -> Close:
        """A token that was never taken is wrong; one that was may only meet with a fault of the server's, for a while."""
        text = f"{error}; is the token out of date? Marketdata-websocket.md of Indodax's documentation prints the present one"
        verdict = AuthenticationFailed(text, code=code, exchange=NAME)
        trust = self._memory.trust
        return Close(error, verdict=verdict, limit=_SUSPECT if trust.served else 1, patience=trust.patience)

    def _left(self, channel: Channel, reply: centrifugo.Reply[centrifugo.Nothing], now: float) -> List[Output]:
        channel.stage = Stage.AWAY
        outputs: List[Output] = []
        if reply.error is not None:
            said = self.secrets.excerpt(reply.error.message)
            text = f"{NAME}: unsubscribing {channel.topic.name!r} was refused: {reply.error.code} {said}"
            failure = ExchangeError(text, code=reply.error.code, message=said, exchange=NAME)
            outputs.append(Failure(error=failure, exchange=NAME))
        return outputs + self._pursue(channel, now)

    def _not_joined(self, channel: Channel, error: Error, now: float) -> List[Output]:
        channel.stage = Stage.AWAY
        if not channel.wanted:
            return []
        topic, said = channel.topic, self.secrets.excerpt(error.message)
        if error.code in TEMPORARY:
            self._retries[topic.channel] = now + min(_RETRY_LAST, _RETRY_FIRST * 2.0**channel.tries)
            channel.tries = min(channel.tries + 1, _DOUBLINGS)
            text = f"{NAME}: {topic.name!r} is put off: {error.code} {said}"
            return [Failure(error=ExchangeError(text, code=error.code, message=said, exchange=NAME), exchange=NAME)]
        outputs = self._feed.given_up(channel)
        self._dismiss(channel)
        text = f"{NAME}: {topic.name!r} is refused: {error.code} {said}{_HINTS.get(error.code, '')}"
        return [*outputs, Refused(topic, SubscriptionRejected(text, code=error.code, message=said, exchange=NAME))]

    def _joined_before(self, channel: Channel, now: float) -> List[Output]:
        """The server has it already, after a reply that was lost: where the stream stands the next publication says."""
        channel.stage = Stage.JOINED
        if not channel.wanted:
            return self._pursue(channel, now)
        channel.tries = 0
        return self._feed.joined_before(channel, now)

    def _joined(
        self, channel: Channel, answer: centrifugo.Reply[centrifugo.SubscribeResult], piece: bytes, now: float
    ) -> List[Output]:
        channel.stage = Stage.JOINED
        if not channel.wanted:
            return self._pursue(channel, now)
        topic, asked, result = channel.topic, channel.from_, answer.result
        told = result.offset is not None or bool({"result", "offset"} & set(answer.flaws)) or bool(channel.early)
        if asked is None and not told and topic.channel.startswith(models.NAMESPACES):
            # A pair that does not exist is acknowledged like one that does, but nothing has ever been published there. A
            # channel that is known from before is not doubted: a server that has lost its history has no offset either.
            outputs = self._feed.given_up(channel)
            self._dismiss(channel)
            text = (
                f"{NAME}: {topic.name!r} is acknowledged without an offset: nothing was ever published there; "
                'is it a pair of the exchange, in the form "btcidr"?'
            )
            return [*outputs, Refused(topic, SubscriptionRejected(text, exchange=NAME)), *self._pursue(channel, now)]
        channel.tries = 0
        return self._feed.joined(channel, result, piece, now)

    # ------------------------------------------------------------------------------------------------------------ time

    def deadline(self) -> Optional[float]:
        times = [*(by for _, by in self._pending.values()), *self._retries.values()]
        return min(times) if times else None

    def wake(self, now: float) -> List[Output]:
        outputs: List[Output] = []
        for name in [name for name, due in self._retries.items() if now >= due]:
            del self._retries[name]
            outputs += self._pursue(self._channels[name], now)
        for number, (channel, by) in list(self._pending.items()):
            if now >= by:
                del self._pending[number]
                self._abandoned.add(number)
                if channel is None:
                    error = Silent(f"{NAME}: no answer to connect within {_REPLY:g} s", exchange=NAME)
                    return [*outputs, Close(error)]
                outputs += self._unanswered(channel, now)
        return outputs

    def _unanswered(self, channel: Channel, now: float) -> List[Output]:
        if channel.stage is Stage.LEAVING:
            channel.stage = Stage.AWAY  # wanted again meanwhile, it is subscribed; else what comes of it is passed over
            return self._pursue(channel, now)
        outputs: List[Output] = []
        if channel.wanted:
            outputs = [*self._feed.left_over(channel), Unanswered(channel.topic)]
        # The session ends the connection, or the subscription: for that case the server is told.
        channel.stage = Stage.JOINED
        channel.wanted = False
        return outputs + self._pursue(channel, now)

    # ------------------------------------------------------------------------------------------------------------ ends

    def ended(self) -> List[Output]:
        wanted = [channel for channel in self._channels.values() if channel.wanted]
        return [output for channel in wanted for output in self._feed.left_over(channel)]

    def closed(self, code: int, reason: str) -> Close:
        words, reconnect = centrifugo.advice_of(code, reason)
        error = self.lost(code, words)
        if reconnect:
            return Close(error)
        if code == centrifugo.FORCED:
            return Close(ExchangeError(str(error), code=code, message=error.reason, exchange=NAME))
        if code == centrifugo.INVALID_TOKEN:
            return self._token_refused(error, code)
        # Our own fault, or one that a later try may be spared: slowly, and not for ever.
        error.retry_after = _SLOWLY
        text = f"{error}; the server asks not to connect again"
        verdict = ExchangeError(text, code=code, message=error.reason, exchange=NAME)
        exclusive, patience = code == centrifugo.CONNECTION_LIMIT, self._memory.trust.patience
        return Close(error, verdict=verdict, limit=_SUSPECT, patience=patience, exclusive=exclusive)

    def identity(self, event: Data) -> Optional[Hashable]:
        """Channel and offset, in their epoch; and the place within the publication, which may hold several events."""
        name, offset = getattr(event, "channel", ""), getattr(event, "offset", None)
        channel = self._channels.get(name)
        if channel is None or offset is None:
            return None
        return (name, channel.epoch, offset, event._path[-1])
