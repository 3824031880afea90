"""Read the patterns beside this module, and make pairs of sentences of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leanbert_training.phenomena.filling import Values, registered
from leanbert_training.phenomena.grammar import Filling

_FOLDER = Path(__file__).parent
_FILES = ("results.txt", "markets.txt", "events.txt", "elsewhere.txt", "statements.txt")
_SIGNS = {"*": (0, 1), "+": (0,), "-": (1,), "0": (2,)}
"""Which labels a pattern makes, by its first character: a pair, or one sentence."""


@dataclass(frozen=True)
class Pattern:
    """A pattern, the phenomenon that it belongs to, and the labels that it makes."""

    phenomenon: str
    labels: tuple[int, ...]
    text: str


@cache
def patterns() -> tuple[Pattern, ...]:
    """All patterns, in the order of their files.

    Raises:
        ValueError: a line is not as expected.
    """
    found: list[Pattern] = []
    for name in _FILES:
        phenomenon = ""
        lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            mark, _, text = line.partition(" ")
            if mark in ("", "#"):
                continue
            if mark == "=":
                phenomenon = text
            elif mark in _SIGNS and text and phenomenon:
                found.append(Pattern(phenomenon, _SIGNS[mark], text))
            else:
                raise ValueError(f"{name}, line {number}: expected =, {', '.join(_SIGNS)} or #")
    return tuple(found)


@cache
def slots() -> dict[str, str]:
    """The pattern of each slot that has one, by its name."""
    found = {}
    for line in (_FOLDER / "slots.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, pattern = line.partition(": ")
            found[name] = pattern
    return found


def generate(rounds: int, seed: int = 0) -> list[tuple[str, int, str]]:
    """Fill every pattern ``rounds`` times, once for each of its labels.

    Returns:
        The sentences with their label, 0 positive, 1 negative, 2 neutral, and their phenomenon.
        No sentence occurs twice.
    """
    rng = random.Random(seed)
    found: dict[str, tuple[int, str]] = {}
    for _ in range(rounds):
        for pattern in patterns():
            start = rng.getrandbits(64)
            for label in pattern.labels:
                own = random.Random(start)  # the same choices for both signs
                values = Values(own)
                text = Filling(slots(), values, own).fill(pattern.text, good=label == 0)
                found.setdefault(registered(text, own), (label, pattern.phenomenon))
    return [(text, label, phenomenon) for text, (label, phenomenon) in found.items()]
