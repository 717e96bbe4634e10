"""Close codes: every one that RFC 6455 and the registry name, those of Centrifugo, and samples of the free ranges."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import xchws
from tests.faults.fault import Fault
from tests.faults.outcomes import Outcomes, Ready, Stopped, lost, parted
from tests.faults.trial import Trial
from xchws.errors import AuthenticationFailed, ConnectionLost, ExchangeError

PHASE = "close code"
CUT = Ready(parted, ConnectionLost)
CODES = (
    *range(1000, 1016),
    1016, 2999,
    # Centrifugo: 3000 to 3013 of version 2.8, 3000 to 3012 and 3500 to 3508 of version 5
    *range(3000, 3015), 3499, *range(3500, 3510), 3999,
    4000, 4001, 4003, 4100, 4499, 4500, 4999,
)  # fmt: skip
VALID = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
# What these say is for good; all others pass.
FOR_GOOD: Dict[int, Outcomes] = {
    3012: {"indodax-market": Stopped(ExchangeError)},  # force disconnect
    3503: {"indodax": Stopped(ExchangeError)},  # force disconnect
    3507: {"indodax": Stopped(AuthenticationFailed)},  # permission denied
}
FAULTS: List[Fault] = []


def closed(code: int) -> Callable[[Trial], Any]:
    """The exchange closes with this code."""

    def inject(trial: Trial) -> None:
        event = trial.lose(lambda: trial.sandbox.close_connections(code, "because"))
        error = event.error
        assert isinstance(error, xchws.XchwsError) and str(code) in str(error), repr(error)

    return inject


for _code in CODES:
    # A code that may not be sent breaks the protocol: then nothing is known of what came before.
    _but: Outcomes = {} if _code in VALID else {"kyan": Ready(lost, ConnectionLost)}
    FAULTS.append(Fault(PHASE, str(_code), closed(_code), CUT, {**_but, **FOR_GOOD.get(_code, {})}))


def five_times(code: int) -> Callable[[Trial], Any]:
    """The exchange closes with this code as soon as the client is READY, five times in a row."""

    def inject(trial: Trial) -> None:
        for _ in range(5):
            mark = trial.mark()
            if trial.lose(lambda: trial.sandbox.close_connections(code, "because")).retry_in is None:
                return
            trial.came(xchws.Connected, mark)

    return inject


_IN_A_ROW: List[Tuple[int, Outcomes]] = [
    (1000, {}),
    (1008, {}),
    (3002, {"indodax-market": Stopped(AuthenticationFailed)}),
    (3003, {"indodax-market": Stopped(ExchangeError)}),
    (3500, {"indodax": Stopped(AuthenticationFailed)}),
]
for _code, _but in _IN_A_ROW:
    FAULTS.append(
        Fault(
            PHASE, f"{_code}, five times in a row", five_times(_code), Ready(parted, ConnectionLost, again=True), _but
        )
    )
