"""xchws on Indodax's market data, which the exchange replays after a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.reliability.dialects.indodax_market import IndodaxMarket
from benchmarks.reliability.peers.peer import TOKEN
from benchmarks.reliability.peers.xchws_peer import XchwsPeer

if TYPE_CHECKING:
    import xchws


class Adapter(XchwsPeer):
    """`xchws.IndodaxMarket`."""

    title = "xchws (Indodax)"
    dialect = IndodaxMarket
    settings = f"{XchwsPeer.settings} The exchange can replay what was missed."

    def client_for(self, url: str, **options: Any) -> xchws.Client:
        import xchws

        return xchws.IndodaxMarket(token=TOKEN, url=url, **options)
