"""MarketFeed: what comes of the market data's channels, each publication once and in order. It sends nothing by itself.

Source: see channels.py. Where the offsets show that something was lost on a connection that stands, the channel is left and
joined again, which replays it; what comes meanwhile is held back.
"""

from __future__ import annotations

from typing import Callable, List, Sequence

from xchws.events import Failure
from xchws.exchanges.indodax import centrifugo_v1 as centrifugo
from xchws.exchanges.indodax import market_models as models
from xchws.exchanges.indodax.channels import Channel, Positions, Stage, Telling, replay_of
from xchws.sansio.actions import Accepted, Interrupted, Missed, Output, Send

_MEND_LAST = 60.0  # seconds at most between two tries to get what is missing, where they are in vain
_DOUBLINGS = 8  # of that time; more change nothing


class MarketFeed:
    """The channels of one connection.

    Args:
        positions: how far each channel has been read, on whatever connection.
        leave: makes the command that leaves a channel; unreadable: makes the failure for a text that cannot be read.
    """

    def __init__(
        self,
        positions: Positions,
        leave: Callable[[Channel, float], Send],
        unreadable: Callable[[bytes, str], Failure],
    ) -> None:
        self._positions = positions
        self._leave = leave
        self._unreadable = unreadable

    def came(self, channel: Channel, telling: Telling, now: float) -> List[Output]:
        """A publication was pushed."""
        if channel.stage is Stage.JOINED:
            return self._live(channel, telling, now)
        if channel.stage is Stage.JOINING:
            channel.early.append(telling)
        else:
            self._positions.hold(channel.topic.channel, telling)
        return []

    def _live(self, channel: Channel, telling: Telling, now: float) -> List[Output]:
        """A publication in its turn. Centrifugo counts by one, so a jump is a loss; what was told here is a double, and what
        is older than the subscription can only be of a stream that has begun anew.
        """
        offset, last = telling.offset, channel.last
        if not offset:
            channel.last = None  # one that cannot be counted: the next one says where the stream stands
            return self._told(channel, telling)
        outputs: List[Output] = []
        if last is not None and offset != last + 1:
            if channel.floor <= offset <= last:
                return []
            if channel.epoch and now >= channel.mend_from:
                return self._mend(channel, telling, now)
            if offset <= last:
                if channel.epoch:
                    return []  # the server has been asked, and knows of no other stream
                self._positions.forget(channel.topic.channel)
                channel.floor = offset - 1
            outputs.append(Missed((channel.topic.name,), channel.whole_until))
        self._advance(channel, offset, now)
        return outputs + self._told(channel, telling)

    def _mend(self, channel: Channel, telling: Telling, now: float) -> List[Output]:
        """Something is missing before this one: leave the channel, and have what is missing replayed upon joining it again."""
        channel.mending = True
        self._positions.hold(channel.topic.channel, telling)
        return [Interrupted(channel.topic, channel.whole_until), self._leave(channel, now)]

    def _advance(self, channel: Channel, offset: int, now: float) -> None:
        channel.last = offset
        channel.whole_until = now
        self._positions.note(channel.topic.channel, channel.epoch, offset)

    def _told(self, channel: Channel, telling: Telling) -> List[Output]:
        outputs: List[Output] = [self._unreadable(telling.text, telling.flaw)] if telling.flaw else []
        publication = telling.publication
        if publication is None:
            return outputs
        # Where there is no data, `raw` is what there is.
        path = telling.path[:-1] if publication.data is centrifugo.NULL else telling.path
        place = models.Place(channel.topic.channel, publication.offset or None, telling.wire, path)
        for one in models.read(publication.data, place):
            outputs.append(self._unreadable(one.text, one.why) if isinstance(one, models.Unread) else one)
        return outputs

    def given_up(self, channel: Channel) -> List[Output]:
        """The subscription will not be: what came for it and waits for what is missing before it is told now."""
        came = [*self._positions.release(channel.topic.channel), *channel.early]
        channel.early = []
        outputs: List[Output] = [Missed((channel.topic.name,), channel.whole_until)] if came and channel.mending else []
        for telling in came:
            outputs += self._told(channel, telling)
        return outputs

    def joined_before(self, channel: Channel, now: float) -> List[Output]:
        """The server had the subscription already: where the stream stands the next publication says."""
        channel.epoch = "" if channel.from_ is None else channel.from_.epoch
        channel.last, channel.floor = None, 0
        came = [*self._positions.release(channel.topic.channel), *channel.early]
        return [Accepted(channel.topic), *self._caught_up(channel, False, came, now)]

    def joined(self, channel: Channel, result: centrifugo.SubscribeResult, piece: bytes, now: float) -> List[Output]:
        """The subscription stands; `piece` is the reply that says so."""
        topic, asked = channel.topic, channel.from_
        held = self._positions.release(topic.channel)
        replay = replay_of(asked, result, piece, held, channel.early)
        if replay.anew:
            self._positions.forget(topic.channel)
        channel.epoch, channel.last, channel.floor = replay.epoch, None, replay.floor
        if result.offset is not None or result.epoch or replay.last or asked is not None:
            self._advance(channel, replay.last, now)
        outputs: List[Output] = [Accepted(topic, replay.recovered)]
        for telling in replay.tellings:
            outputs += self._told(channel, telling)
        mended = replay.anew or (replay.recovered and bool(replay.tellings))
        return outputs + self._caught_up(channel, mended, replay.rest, now)

    def _caught_up(self, channel: Channel, mended: bool, came: Sequence[Telling], now: float) -> List[Output]:
        """The subscription stands; `came` is what was told meanwhile and is not counted in its reply.

        `mended`: if it was made anew because something was wrong with it, that was not in vain.
        """
        channel.early = []
        if channel.mending:
            channel.mending = False
            channel.vain = 0 if mended else min(channel.vain + 1, _DOUBLINGS)
            # What is lost for good once is no reason not to ask the next time; a server that counts otherwise is.
            channel.mend_from = now + min(_MEND_LAST, 2.0**channel.vain) if channel.vain > 1 else now
        outputs: List[Output] = []
        for telling in came:
            if channel.stage is Stage.JOINED:
                outputs += self._live(channel, telling, now)
            else:
                self._positions.hold(channel.topic.channel, telling)
        return outputs

    def left_over(self, channel: Channel) -> List[Output]:
        """What came before a reply that will not come: told now, or in its place by a connection that goes on from there."""
        early, channel.early = channel.early, []
        if self._positions.get(channel.topic.channel) is None:
            return [output for telling in early for output in self._told(channel, telling)]
        for telling in early:
            self._positions.hold(channel.topic.channel, telling)
        return []
