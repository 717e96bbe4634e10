"""Trust: whether the exchange has served a client before. If so, a refusal that may pass is given time to pass.

It outlives connections.
"""

from __future__ import annotations

import attrs

_PATIENCE = 3600.0  # seconds: longer than a server is confused, or in maintenance, as a rule


@attrs.define
class Trust:
    """What is known of a key, or of an address, from connections before.

    Attributes:
        served: the exchange has accepted it once.
    """

    served: bool = False

    @property
    def patience(self) -> float:
        """Seconds for which a refusal that may pass must have gone on before it is taken at its word."""
        return _PATIENCE if self.served else 0.0
