"""Route: where a connection goes and how it is dialled. Made anew for every dial, because headers and URLs may be signed."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import attrs


@attrs.frozen
class Route:
    """One dial's destination.

    Attributes:
        url: the complete WebSocket address; it may hold a signature, so it is in no `repr`.
        headers: additional handshake headers; they may hold a signature, so they are in no `repr`.
        origin: the Origin header to send; None: none is sent.
        grant: what the protocol needs of what was fetched on the way (a token, a channel).
    """

    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    origin: Optional[str] = None
    grant: Any = attrs.field(default=None, repr=False)
