"""Mutation: messages with parts removed, added or of another kind, as an exchange that has changed might send them."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Iterator, List, Tuple

STRANGE: Tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e300, 10**400, 2**63, 2**64, -(2**70), "", "x", "NaN", "Infinity", "1e400", "é" * 3, "1.5",
    "-5", "１２", [], [[]], [None], {}, {"a": 1},
)  # fmt: skip


def places(node: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """The ways to every part of a message."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(entries):
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated(choose: random.Random, message: Any) -> Any:
    """The message with none to three of its parts changed."""
    changed = copy.deepcopy(message)
    for _ in range(choose.choice((0, 0, 1, 1, 2, 3))):
        found = list(places(changed))
        if not found:
            return changed
        path = choose.choice(found)
        node = changed
        for step in path[:-1]:
            node = node[step]
        chance = choose.random()
        if chance < 0.25:
            del node[path[-1]]
        elif chance < 0.8:
            node[path[-1]] = copy.deepcopy(choose.choice(STRANGE))
        elif isinstance(node, dict):
            node[f"new{choose.random()}"] = copy.deepcopy(choose.choice(STRANGE))
        else:
            node.append(copy.deepcopy(choose.choice(STRANGE)))
    return changed


def spoilt(choose: random.Random, message: Any) -> bytes:
    """Its text; now and then cut off, or with a key twice."""
    text = json.dumps(message).encode()
    chance = choose.random()
    if chance < 0.05:
        return text[: choose.randint(0, len(text))]
    return text.replace(b"{", b'{"type":"x",', 1) if chance < 0.1 else text


def pick(choose: random.Random, *weighted: Tuple[str, int]) -> str:
    """One of these words, by their weights."""
    words: List[str] = [word for word, _ in weighted]
    return choose.choices(words, [weight for _, weight in weighted])[0]
