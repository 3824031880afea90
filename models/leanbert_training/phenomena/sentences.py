"""Read the patterns and wordings beside this module, and make sentences of them.

A pattern is filled many times, and most make a pair of opposite sign. A wording is one sentence in
one of several voices (``wordings/``), in which at most names and numbers are filled in.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from leanbert_training.phenomena.filling import Values, registered
from leanbert_training.phenomena.grammar import Filling

_FOLDER = Path(__file__).parent
_FILES = ("results.txt", "markets.txt", "events.txt", "elsewhere.txt", "statements.txt")
_VOICES = _FOLDER / "wordings"
_BLOCK = 8
_HELD = 16
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
    return tuple(pattern for name in _FILES for pattern in _read(_FOLDER / name))


@cache
def wordings() -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]]:
    """The sentences of the voices that are learnt, and those held back, file after file.

    Of each voice one of every 16 blocks of eight neighbours is held back. Sentences that differ
    only in their sign mostly stand side by side, and so mostly stay together.

    Raises:
        ValueError: a line is not as expected, or is a pair.
    """
    learnt: list[Pattern] = []
    held: list[Pattern] = []
    for path in sorted(_VOICES.glob("*.txt")):
        for number, one in enumerate(_read(path)):
            if len(one.labels) != 1:
                raise ValueError(f"{path.name}: a wording has one label: {one.text}")
            (held if number // _BLOCK % _HELD == _HELD - 1 else learnt).append(one)
    return tuple(learnt), tuple(held)


def _read(path: Path) -> list[Pattern]:
    found: list[Pattern] = []
    phenomenon = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark, _, text = line.partition(" ")
        if mark in ("", "#"):
            continue
        if mark == "=":
            phenomenon = text
        elif mark in _SIGNS and text and phenomenon:
            found.append(Pattern(phenomenon, _SIGNS[mark], text))
        else:
            raise ValueError(f"{path.name}, line {number}: expected =, {', '.join(_SIGNS)} or #")
    return found


@cache
def slots() -> dict[str, str]:
    """The pattern of each slot that has one, by its name."""
    found = {}
    for line in (_FOLDER / "slots.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, pattern = line.partition(": ")
            found[name] = pattern
    return found


def generate(
    rounds: int, seed: int = 0, chosen: Sequence[Pattern] | None = None
) -> list[tuple[str, int, str]]:
    """Fill every pattern ``rounds`` times, once for each of its labels.

    Args:
        rounds: how often.
        seed: decides what is filled in.
        chosen: patterns or wordings; ``None`` for all patterns.

    Returns:
        The sentences with their label, 0 positive, 1 negative, 2 neutral, and their phenomenon.
        No sentence occurs twice.
    """
    rng = random.Random(seed)
    found: dict[str, tuple[int, str]] = {}
    for _ in range(rounds):
        for pattern in patterns() if chosen is None else chosen:
            start = rng.getrandbits(64)
            for label in pattern.labels:
                own = random.Random(start)  # the same choices for both signs
                values = Values(own)
                text = Filling(slots(), values, own).fill(pattern.text, good=label == 0)
                found.setdefault(registered(text, own), (label, pattern.phenomenon))
    return [(text, label, phenomenon) for text, (label, phenomenon) in found.items()]
