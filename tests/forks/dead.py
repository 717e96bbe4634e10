"""What a client must be in a forked child: dead, and saying so. Runs in the child; the processes' tests share it."""

from __future__ import annotations

import gc
import os
import stat
from typing import Any, Callable, Dict, List

import xchws

WHAT_TO_DO = "Make a new client in the child"

CALLS: Dict[str, Callable[[Any], Any]] = {
    "start": lambda client: client.start(),
    "start(1)": lambda client: client.start(1),
    "wait_ready": lambda client: client.wait_ready(1),
    "run_forever": lambda client: client.run_forever(),
    "with": lambda client: client.__enter__(),
    "status": lambda client: client.status(),
    "on": lambda client: client.on(xchws.Event, print),
    "on_…": lambda client: client.on_order(print),
    "off": lambda client: client.off(print),
    "expect": lambda client: client.expect(xchws.Order),
    "events": lambda client: client.events(xchws.Order),
}
OF_ONE: Dict[str, Dict[str, Callable[[Any], Any]]] = {
    "Richamster": {"subscribe": lambda client: client.subscribe_ticker("BTC/UAH")},
    "IndodaxMarket": {"subscribe": lambda client: client.subscribe_ticks("btcidr")},
    "Kyan": {
        "subscribe": lambda client: client.subscribe_trades(),
        "get_instruments": lambda client: client.get_instruments(timeout=1),
        "logout": lambda client: client.logout(timeout=1),
    },
    "Finery": {
        "subscribe": lambda client: client.subscribe_limits(),
        "unbind": lambda client: client.unbind("L"),
        "request": lambda client: client.request("instruments", timeout=1),
        "cancel_order": lambda client: client.cancel_order(1, timeout=1),
    },
}


def says_so(name: str, call: Callable[[], Any]) -> List[str]:
    try:
        said = call()
    except xchws.StateError as error:
        return [] if WHAT_TO_DO in str(error) else [f"{name} does not say what to do: {error}"]
    except Exception as error:
        return [f"{name} raised {error!r}"]
    return [f"{name} returned {said!r}"]


def dead(client: Any, waiting: Dict[str, Any]) -> List[str]:
    """What is not as it should be. `waiting`: what was got from the client before the fork."""
    wrong: List[str] = []
    for name, call in {**CALLS, **OF_ONE.get(type(client).__name__, {})}.items():
        wrong += says_so(f"{client!r}.{name}", lambda call=call: call(client))  # type: ignore[misc]  # bound here
    if "dead copy" not in repr(client):
        wrong.append(f"{client!r} does not look dead")
    for name, thing in waiting.items():
        if isinstance(thing, xchws.Subscription):
            wrong += says_so(f"{name}.wait", lambda thing=thing: thing.wait(1))  # type: ignore[misc]  # bound here
            if thing.active:
                wrong.append(f"{name} is active")
        elif isinstance(thing, xchws.EventStream):
            wrong += says_so(f"next({name})", lambda thing=thing: next(thing))  # type: ignore[misc]  # bound here
            thing.close()
        else:
            wrong += says_so(f"{name}.result", lambda thing=thing: thing.result(1))  # type: ignore[misc]  # bound here
            thing.cancel()
    if client.stop() is not True or client.stop(None) is not True:
        wrong.append("stop() in the child has something to wait for")
    return wrong


def sockets() -> List[int]:
    """The descriptors of this process that are sockets, but its standard streams."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.append(int(name))
        except OSError:
            pass  # it was the listing's own
    return found


def collected() -> None:
    """Have Python finalise all that nobody refers to any more."""
    for _ in range(3):
        gc.collect()
