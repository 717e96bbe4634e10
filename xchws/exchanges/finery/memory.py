"""Memory: which orders die with a connection."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import attrs

from xchws.exchanges.finery import models
from xchws.exchanges.finery.errors import NAME


@attrs.define
class Bound:
    """An order bound to its connection."""

    instrument: str
    client_order_id: Optional[str]
    id: Optional[str] = None


class OrdersAtRisk:
    """The orders added with cod=True on one connection, as far as they may still be alive."""

    def __init__(self) -> None:
        self._orders: Dict[int, Bound] = {}  # the reqId of the request that added it -> the order
        # The reqId of a modification on its way -> the order that it replaces, and the one to be. Feed O may tell the end of
        # the one before the answer tells of the other.
        self._replacing: Dict[int, Tuple[str, Bound]] = {}

    def asked(self, req_id: int, method: str, content: Mapping[str, Any]) -> None:
        """A request goes out. Until it is answered, the order may be there."""
        if method.rsplit("/", 1)[-1] == "add" and content.get("cod") is True:
            number = content.get("clientOrderId")
            instrument = str(content.get("instrument", ""))
            self._orders[req_id] = Bound(instrument, None if number is None else str(number))
        elif method == "mod":
            original = str(content.get("orderId"))
            order = next((known for known in self._orders.values() if known.id == original), None)
            if order is not None:
                # That the new order is bound to the connection as well is a guess.
                number = content.get("clientOrderId", order.client_order_id)
                self._replacing[req_id] = (original, Bound(order.instrument, None if number is None else str(number)))

    def refused(self, req_id: int) -> None:
        """The request was refused: there is no such order."""
        self._orders.pop(req_id, None)
        self._replacing.pop(req_id, None)

    def answered(self, req_id: int, method: str, content: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """The request was carried out."""
        if method == "delAll":
            instrument = content.get("instrument")
            self._forget(lambda order: instrument is None or order.instrument == instrument)
            return
        if method == "del":
            gone, client_gone = content.get("orderId"), content.get("clientOrderId")
            self.gone(None if gone is None else str(gone), None if client_gone is None else str(client_gone))
            return
        order = self._orders.get(req_id)
        if req_id in self._replacing:
            original, order = self._replacing.pop(req_id)
            self.gone(original, None)
            self._orders[req_id] = order
        if order is not None:
            number, own_number = answer.get("id"), answer.get("clientOrderId")
            order.id = None if number is None else str(number)
            order.client_order_id = order.client_order_id if own_number is None else str(own_number)
        left = answer.get("remainingSize", answer.get("remainingVolume"))
        if order is not None and (left == 0 or answer.get("cancelReason")):
            self._forget(lambda known: known is order)

    def gone(self, order_id: Optional[str], client_order_id: Optional[str]) -> None:
        """The order of one of these ids is no more."""
        self._forget(
            lambda order: (
                (order_id is not None and order.id == order_id)
                or (client_order_id is not None and order.client_order_id == client_order_id)
            )
        )

    def ended(self, order_id: str, client_order_id: Optional[str]) -> None:
        """An order has ended; its client order id counts only where no answer has told the id yet."""
        self._forget(
            lambda order: (
                order.id == order_id
                or (order.id is None and client_order_id is not None and order.client_order_id == client_order_id)
            )
        )

        for req_id, (original, order) in list(self._replacing.items()):
            if order_id != original and client_order_id is not None and order.client_order_id == client_order_id:
                del self._replacing[req_id]

    def _forget(self, which: Callable[[Bound], bool]) -> None:
        for req_id in [req_id for req_id, order in self._orders.items() if which(order)]:
            del self._orders[req_id]

    def events(self) -> List[models.ProbablyCancelled]:
        """The connection is lost."""
        known = {order.id for order in self._orders.values()}
        replaced = [order for original, order in self._replacing.values() if original not in known]
        return [
            models.ProbablyCancelled(
                exchange=NAME, symbol=order.instrument, client_order_id=order.client_order_id, id=order.id
            )
            for order in (*self._orders.values(), *replaced)
        ]
