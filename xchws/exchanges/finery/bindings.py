"""Bindings: the feeds of one connection: what is bound, what answers what, and what is done about a failure.

It knows the letters and ids of feeds and the answers to bind and unbind, not what the feeds tell.
Source: https://faq.finerymarkets.com/api-reference/websocket-api, read 2026-11.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from xchws.errors import ExchangeError, SubscriptionRejected
from xchws.events import Failure, Other
from xchws.exchanges.finery import codes, feeds
from xchws.exchanges.finery.binding import BIND, UNBIND, Binding
from xchws.exchanges.finery.errors import NAME
from xchws.sansio.actions import Accepted, Interrupted, Output, Refused, Topic, Unanswered


class Bindings:
    """The feeds of one connection."""

    def __init__(self) -> None:
        self._all: Dict[Tuple[str, bytes], Binding] = {}
        self._waiting: Dict[Tuple[str, bytes], Binding] = {}  # those with a deadline, or with one lately

    def clear(self) -> None:
        """The exchange has lost its back end. Whether it keeps feeds bound is not documented: all are bound anew later."""
        for binding in self._all.values():
            binding.lose()
        self._waiting.clear()

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._all.values())

    def subscribe(self, topic: Topic, now: float) -> List[Output]:
        """Bind a feed."""
        key = (topic.channel, feeds.key_of(topic))
        binding = self._all.get(key)
        if binding is None:
            binding = self._all[key] = Binding(topic)
        binding.wanted = True
        binding.stray_at = None
        self._waiting[key] = binding
        return list(binding.bind(now))

    def unsubscribe(self, topic: Topic, now: float) -> List[Output]:
        """Unbind a feed."""
        binding = self._all.get((topic.channel, feeds.key_of(topic)))
        if binding is None:
            return []
        binding.wanted = False
        binding.book = None
        binding.due = None
        binding.early.clear()
        if binding.lost:
            return []  # should the exchange have kept it, it will be unbound when it tells something
        if binding.pending and binding.pending[-1] == UNBIND:
            return []
        self.watch(binding)
        return [binding.send(UNBIND, now)]

    def watch(self, binding: Binding) -> None:
        """It has a deadline now."""
        self._waiting[binding.feed, binding.key] = binding

    def stray(self, binding: Binding, now: float) -> None:
        """It is bound although nobody wants it any more. It is unbound by `wake`, when the session has taken note of all that
        came with this: somebody may want it again."""
        if UNBIND not in binding.pending:
            binding.stray_at = now
            self.watch(binding)

    def deadline(self) -> Optional[float]:
        """When `wake` wants to be called next; None: not at all."""
        times = []
        for key, binding in list(self._waiting.items()):
            time = binding.deadline
            if time is None:
                del self._waiting[key]
            else:
                times.append(time)
        return min(times) if times else None

    def wake(self, now: float) -> List[Output]:
        """A deadline has come, perhaps one of these."""
        outputs: List[Output] = []
        for binding in list(self._waiting.values()):
            if binding.stray_at is not None:
                outputs.append(binding.send(UNBIND, now))
            elif binding.pending and now >= binding.answer_by:
                # It is muted from now on: whether the exchange has bound or unbound it is not known.
                binding.pending.clear()
                if binding.wanted and not binding.live:
                    binding.wanted = False
                    return [*outputs, Unanswered(binding.topic)]
            elif binding.due is not None and now >= binding.due:
                outputs.append(binding.send(BIND, now))
        return outputs

    def find(self, feed: str, echo: bytes, action: str) -> Optional[Binding]:
        """Whose message it is."""
        binding = self._all.get((feed, echo))
        if binding is None and feed in feeds.PART_OF_COMBINED:
            binding = self._all.get((feeds.COMBINED, echo))
        if binding is None and echo == feeds.NO_ID and action in ("U", "Z"):
            # The pages show unbind without feedId for feeds that may be bound with one: the echo may lack it, then.
            candidates = [one for (letter, _), one in self._all.items() if letter == feed and one.head == UNBIND]
            binding = candidates[0] if len(candidates) == 1 else None
        return binding

    # --------------------------------------------------------------------------------------------------------- answers

    def failed(self, binding: Optional[Binding], feed: str, code: int, now: float) -> List[Output]:
        """A failure came: the answer to a command, or else of the feed itself."""
        if binding is None or not binding.pending:
            return self._failed_unasked(binding, feed, code, now)
        if code == codes.BINDING_EXISTS and binding.head == UNBIND and binding.was_lost:
            return []  # its bind has been answered by the snapshot of what was bound still
        command = binding.answered(UNBIND if code == codes.BINDING_NOT_FOUND else None)
        if binding.lost:
            return []  # where it is wanted, it will be bound again in any case
        if command == UNBIND:
            return self._not_unbound(binding, code)
        if code == codes.BINDING_EXISTS:
            return self._bound_already(binding, now)
        if not binding.wanted:
            self._drop_if_over(binding)
            return []  # whether it could be had is of no interest any more
        error = SubscriptionRejected(
            f"{NAME}: the feed {binding.topic.name!r} is refused: {codes.words(code)}",
            code=code,
            message=codes.words(code),
            exchange=NAME,
        )
        if binding.pending:
            return [Failure(error=error, exchange=NAME)]  # a later bind is on its way
        if code in codes.PASSING:
            binding.trouble(now)
            binding.trouble(now)  # not at once: the exchange is in trouble itself
            self.watch(binding)
            return [Failure(error=error, exchange=NAME), *binding.bind(now)]
        self._drop(binding)
        return [Refused(binding.topic, error)]

    def _failed_unasked(self, binding: Optional[Binding], feed: str, code: int, now: float) -> List[Output]:
        if binding is not None and code == codes.BINDING_EXISTS:
            return []  # it outlived the loss of the back end, and its snapshot came before this answer
        name = binding.topic.name if binding is not None else feed
        error = ExchangeError(
            f"{NAME}: the feed {name!r} has failed: {codes.words(code)}",
            code=code,
            message=codes.words(code),
            exchange=NAME,
        )
        failure = Failure(error=error, exchange=NAME)
        if binding is None or not binding.wanted or binding.due is not None or binding.lost:
            return [failure]
        binding.book = None
        binding.trouble(now)
        return [failure, Interrupted(binding.topic)]

    def _not_unbound(self, binding: Binding, code: int) -> List[Output]:
        if code == codes.BINDING_NOT_FOUND:
            self._drop_if_over(binding)
            return []
        text = f"{NAME}: the feed {binding.topic.name!r} could not be unbound: {codes.words(code)}"
        error = ExchangeError(text, code=code, message=codes.words(code), exchange=NAME)
        return [Failure(error=error, exchange=NAME)]  # what it still says is passed over

    def _bound_already(self, binding: Binding, now: float) -> List[Output]:
        """Bound it is, but no snapshot came: unbind and bind for one, once. It is accepted when that comes, because what is
        told until then cannot be told from what is left of the binding before."""
        if not binding.wanted or binding.pending or binding.live:
            return []
        if not binding.renewed:
            binding.renewed = True
            return [binding.send(UNBIND, now), binding.send(BIND, now)]
        if not binding.is_book:
            binding.accept()
            return [Accepted(binding.topic)]
        binding.wanted = False
        return [Unanswered(binding.topic)]

    def unbound(self, binding: Optional[Binding], other: Other, now: float) -> List[Output]:
        """A feed is unbound; `other` is what to say if that makes no sense."""
        if binding is not None and UNBIND in binding.pending:
            binding.answered(UNBIND)
            self._drop_if_over(binding)
            return []
        if binding is None or binding.head == BIND:
            return [other]
        if not binding.wanted:
            self._drop(binding)
            return []
        if binding.due is not None or binding.lost:
            return []  # it will be bound again in any case
        binding.book = None
        binding.trouble(now)
        return [Interrupted(binding.topic)]

    def _drop_if_over(self, binding: Binding) -> None:
        if not binding.wanted and not binding.pending:
            self._drop(binding)

    def _drop(self, binding: Binding) -> None:
        self._all.pop((binding.feed, binding.key), None)
        self._waiting.pop((binding.feed, binding.key), None)
