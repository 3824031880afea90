"""A small grammar of patterns that are filled in at random, with the sign as a parameter.

`[a|b|c]` is one of several choices, `{name}` a slot, and `<good^bad>` its first part in good news
and its second in bad news. All three nest. So one pattern gives a pair of sentences that differ in
nothing but what turns the sign.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

_CLOSING = {"[": "]", "<": ">"}
_DIVIDER = {"[": "|", "<": "^"}
_SPECIAL = "[]<>{}^|"


@dataclass(frozen=True)
class Slot:
    """A place that is filled with the value of a name, the same throughout one sentence."""

    name: str


@dataclass(frozen=True)
class Fork:
    """Parts of which one is taken: by chance, or by the sign."""

    parts: tuple[tuple[Node, ...], ...]
    by_sign: bool


Node = str | Slot | Fork


@cache
def parse(pattern: str) -> tuple[Node, ...]:
    """The nodes of a pattern.

    Raises:
        ValueError: a bracket is not closed, or a `<` has not exactly two parts.
    """
    nodes, end = _parse(pattern, 0, "")
    if end < len(pattern):
        raise ValueError(f"{pattern!r}: unexpected {pattern[end]!r} at {end}")
    return nodes


def _parse(pattern: str, at: int, stops: str) -> tuple[tuple[Node, ...], int]:
    """The nodes from ``at`` up to one of ``stops``, and where that is."""
    nodes: list[Node] = []
    while at < len(pattern) and pattern[at] not in stops:
        sign = pattern[at]
        if sign in _CLOSING:
            node, at = _fork(pattern, at)
            nodes.append(node)
        elif sign == "{":
            end = pattern.find("}", at)
            if end < 0:
                raise ValueError(f"{pattern!r}: a '{{' is not closed")
            nodes.append(Slot(pattern[at + 1 : end]))
            at = end + 1
        elif sign in _SPECIAL:
            raise ValueError(f"{pattern!r}: unexpected {sign!r} at {at}")
        else:
            end = at
            while end < len(pattern) and pattern[end] not in _SPECIAL:
                end += 1
            nodes.append(pattern[at:end])
            at = end
    return tuple(nodes), at


def _fork(pattern: str, at: int) -> tuple[Fork, int]:
    """The fork that opens at ``at``, and the place after it."""
    sign = pattern[at]
    divider, closing = _DIVIDER[sign], _CLOSING[sign]
    parts: list[tuple[Node, ...]] = []
    while not parts or pattern[at] == divider:
        part, at = _parse(pattern, at + 1, divider + closing)
        parts.append(part)
        if at >= len(pattern):
            raise ValueError(f"{pattern!r}: a {sign!r} is not closed")
    if sign == "<" and len(parts) != 2:
        raise ValueError(f"{pattern!r}: expected two parts in <...^...>, got {len(parts)}")
    return Fork(tuple(parts), by_sign=sign == "<"), at + 1


@dataclass
class Filling:
    """Fills the slots of one sentence.

    Args:
        slots: the pattern of each slot that has one.
        given: the function that makes the value of any other slot.
        rng: the only source of chance.
    """

    slots: Mapping[str, str]
    given: Callable[[str], str]
    rng: random.Random
    _values: dict[str, str] = field(default_factory=dict)

    def fill(self, pattern: str, *, good: bool) -> str:
        """The sentence of a pattern with one sign. Both signs consume the same chance."""
        return "".join(self._text(node, good) for node in parse(pattern))

    def _text(self, node: Node, good: bool) -> str:
        if isinstance(node, str):
            return node
        if isinstance(node, Slot):
            if node.name not in self._values:
                self._values[node.name] = (
                    self.fill(self.slots[node.name], good=good)
                    if node.name in self.slots
                    else self.given(node.name)
                )
            return self._values[node.name]
        if node.by_sign:
            both = ["".join(self._text(one, good) for one in part) for part in node.parts]
            return both[0 if good else 1]
        return "".join(self._text(one, good) for one in self.rng.choice(node.parts))
