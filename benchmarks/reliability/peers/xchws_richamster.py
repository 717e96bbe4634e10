"""xchws on Richamster's wire; own orders with a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.reliability.dialects.richamster import Richamster
from benchmarks.reliability.peers.peer import TOKEN
from benchmarks.reliability.peers.xchws_peer import XchwsPeer

if TYPE_CHECKING:
    import xchws


class Adapter(XchwsPeer):
    """`xchws.Richamster`."""

    title = "xchws (Richamster)"
    dialect = Richamster

    def client_for(self, url: str, **options: Any) -> xchws.Client:
        import xchws

        if not self.place.private:
            return xchws.Richamster(url=url, **options)
        client = xchws.Richamster(TOKEN, url=url, **options)
        client.subscribe_user_orders("BTC/UAH")
        return client
