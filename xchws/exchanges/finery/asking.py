"""Asking: the requests that wait for their answers on one connection. Answers come in any order and are told apart by reqId.

Sources: see replies.py and calls.py.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, List, Mapping, Optional

import attrs
import msgspec

from xchws.credentials import Secrets
from xchws.events import Failure, Order, Other
from xchws.exchanges.finery import codes
from xchws.exchanges.finery.calls import Call
from xchws.exchanges.finery.errors import NAME, Rejection
from xchws.exchanges.finery.memory import OrdersAtRisk
from xchws.exchanges.finery.models import ProbablyCancelled
from xchws.exchanges.finery.replies import Answer, answer_of
from xchws.exchanges.finery.units import plain_or_none
from xchws.sansio.actions import Output, Replied, Send
from xchws.sansio.protocol import UNREADABLE

_KEPT = 1_000  # requests that nobody waits for any more, in case their answers still come


@attrs.frozen
class Pending:
    """A request that has gone out; `until`: when (monotonic) nobody waits for it any more."""

    ticket: int
    call: Call
    until: Optional[float]

    def is_awaited(self, now: float) -> bool:
        """Whether somebody still waits for it."""
        return not self.call.given_up and (self.until is None or now <= self.until)


class Asking:
    """The requests of one connection."""

    def __init__(self, secrets: Secrets, unreadable: Callable[[bytes, str], Failure]) -> None:
        self._secrets = secrets
        self._unreadable = unreadable
        self._numbers = itertools.count(1)
        self._pending: Dict[int, Pending] = {}
        self._at_risk = OrdersAtRisk()

    def ask(self, ticket: int, call: Call, now: float) -> List[Output]:
        """Send a request."""
        number = next(self._numbers)
        call.sent = True
        self._forget(now)
        self._pending[number] = Pending(ticket, call, None if call.timeout is None else now + call.timeout)
        self._at_risk.asked(number, call.method, call.content)
        message = {"event": "request", "reqId": number, "method": call.method, "content": call.content}
        return [Send(msgspec.json.encode(message))]

    def _forget(self, now: float) -> None:
        over = [number for number, pending in self._pending.items() if not pending.is_awaited(now)]
        for number in over[: max(0, len(over) - _KEPT)]:
            del self._pending[number]

    def told(self, fields: Dict[str, msgspec.Raw], text: bytes, now: float) -> List[Output]:
        """An object came that is an answer."""
        try:
            answer = answer_of(fields)
        except UNREADABLE as error:
            return [self._unreadable(text, f"an answer that cannot be understood ({error})")]
        number = answer.req_id
        if bytes(fields.get("reqId", b"null")) == b"null":
            # A third party has seen answers without reqId: with one request on its way there is no doubt.
            awaited = [number for number, pending in self._pending.items() if pending.is_awaited(now)]
            number = awaited[0] if len(awaited) == 1 else None
        pending = self._pending.pop(number, None) if number is not None else None
        if number is None or pending is None:
            return [self._unreadable(text, "an answer to nothing that was asked, or to one of several requests")]
        outputs: List[Output] = []
        if not pending.is_awaited(now):
            # Whoever asked has given up, and may want to know after all what became of it.
            outputs.append(Other(kind=f"late answer to {pending.call.method}", wire=text, exchange=NAME))
        if answer.code is not None:
            if answer.original_id is not None:
                self._at_risk.gone(answer.original_id, None)
            self._at_risk.refused(number)
            return [*outputs, Replied(pending.ticket, error=self._rejection(pending.call, answer))]
        self._at_risk.answered(number, pending.call.method, pending.call.content, _object(answer.value))
        return [*outputs, Replied(pending.ticket, value=answer.value)]

    def _rejection(self, call: Call, answer: Answer) -> Rejection:
        code = None if answer.code == -1 else answer.code
        said = "an error without a code" if code is None else codes.words(code)
        parameter = None if answer.parameter is None else self._secrets.excerpt(answer.parameter)
        where = "" if parameter is None else f", parameter {parameter!r}"
        text = f"{NAME}: the request {call.method!r} is refused: {said}{where}"
        if answer.original_id is not None:
            text += f"; order {answer.original_id} has been removed all the same"
        return Rejection(
            text,
            code=code,
            message=said,
            parameter=parameter,
            original_id=answer.original_id,
            original_remaining=plain_or_none(answer.original_remaining),
            exchange=NAME,
        )

    def order_told(self, order: Order) -> None:
        """Feed O tells of an order."""
        if order.final:
            self._at_risk.ended(order.id, order.client_order_id)

    def ended(self) -> List[ProbablyCancelled]:
        """The connection is lost: what dies with it."""
        return self._at_risk.events()


def _object(value: bytes) -> Mapping[str, Any]:
    said = msgspec.json.decode(value)
    return said if isinstance(said, dict) else {}
