"""The rows that the model learns from: labelled ones, and unlabelled texts for the teachers."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanbert_training.data import Sets, Target, load_sets, normalized, unlabelled_texts

UNLABELLED = ("post", "sentence")
"""The kinds of rows that no data set labels: posts of Twitter, and sentences of formal text."""


@dataclass(frozen=True)
class Row:
    """A training text with its target, and with FinBERT's answer where that is known."""

    text: str
    target: Target
    finbert: Target | None
    kind: str
    """The source: ``"tweet"``, ``"finbert"``, ``"own"`` or one of :data:`UNLABELLED`."""

    @property
    def label(self) -> int:
        """The most probable label's index."""
        return max(range(3), key=self.target.__getitem__)


_TRANSFER = {  # share of the unlabelled texts that comes from each file
    "stocknet_tweets": 0.5, "earnings22": 0.15, "earnings21": 0.1, "fed_speeches": 0.1,
    "fomc_minutes": 0.15,
}  # fmt: skip
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORDS = range(6, 41)


def transfer_rows(
    data: Path, rows: int, seed: int, shares: Mapping[str, float] = _TRANSFER
) -> list[Row]:
    """Pick ``rows`` unlabelled tweets and sentences that are in no evaluation set.

    The choice depends on ``seed`` alone. Of texts that differ only in links, case, punctuation,
    cashtags and numbers one is kept, because half of the tweets are such notices. ``shares`` says
    which part of the rows comes from each file. Each target is uniform: the real one comes later.
    """
    evaluation = load_sets(data).evaluation()
    seen = {_shape(example.text) for examples in evaluation.values() for example in examples}
    thirds = (1 / 3, 1 / 3, 1 / 3)
    found: list[Row] = []
    for name, texts in unlabelled_texts(data / "unlabelled", characters=12_000_000).items():
        parts, kind = texts, "post"
        if name != "stocknet_tweets":
            kind = "sentence"
            parts = [" ".join(part.split()) for text in texts for part in _SENTENCE_END.split(text)]
        random.Random(seed).shuffle(parts)
        wanted = len(found) + round(shares.get(name, 0.0) * rows)
        for part in parts:
            if len(found) >= wanted:
                break
            if len(part.split()) in _WORDS and (shape := _shape(part)) not in seen:
                seen.add(shape)
                found.append(Row(part.strip(), thirds, None, kind))
    return found


def _shape(text: str) -> str:
    return normalized(re.sub(r"^RT\b|[$#@]\w+|\d[\d.,]*", "", text))


def smoothed(label: int, amount: float) -> Target:
    """A one-hot target of which ``amount`` is spread evenly over all three labels."""
    row = [amount / 3 + (1 - amount) * (index == label) for index in range(3)]
    return (row[0], row[1], row[2])


def blended(own: Sequence[float], other: Sequence[float], share: float) -> Target:
    """A target of which ``share`` comes from ``other``, and the rest from ``own``."""
    row = [(1 - share) * a + share * b for a, b in zip(own, other, strict=True)]
    return (row[0], row[1], row[2])


def training_rows(sets: Sets, finbert: dict[str, int], own: list[tuple[str, int]]) -> list[Row]:
    """The labelled rows: tweets with both labels, FinBERT's soft labels, and sentences of our own.

    Args:
        sets: the public sets; own sentences that occur in an evaluation set are left out.
        finbert: FinBERT's label of a tweet by its :func:`~leanbert_training.data.normalized` text.
        own: sentences of our own with their label.
    """
    rows = []
    for example in sets.train:
        if max(example.target) == 1.0:  # a tweet's label is certain, FinBERT's answer never
            answer = finbert.get(normalized(example.text))
            second = None if answer is None else smoothed(answer, 0.3)
            rows.append(Row(example.text, smoothed(example.label, 0.06), second, "tweet"))
        else:
            rows.append(Row(example.text, example.target, example.target, "finbert"))
    evaluated = [e for examples in sets.evaluation().values() for e in examples]
    keys = {normalized(example.text) for example in evaluated}
    for text, label in own:
        if normalized(text) not in keys:
            rows.append(Row(text, smoothed(label, 0.1), smoothed(label, 0.1), "own"))
    return rows


def held_back(rows: Sequence[Row], share: float) -> npt.NDArray[np.bool_]:
    """Which rows are held back from training, for choices and for fitting the temperature.

    Rows are picked by the hash of their normalized text, so re-posts stay together. Only labelled
    rows of the public sets are picked, because sentences filled from patterns measure nothing.

    *Shape:* ``(rows,)``, true where a row is held back.
    """

    def held(row: Row) -> bool:
        digest = hashlib.sha256(f"held {normalized(row.text)}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < share * 2**32

    return np.array([row.kind in ("tweet", "finbert") and held(row) for row in rows], dtype=bool)


def split_rows(rows: list[Row], share: float) -> tuple[list[Row], list[Row]]:
    """The rows to train on and the rows that are :func:`held_back`, each in its order."""
    held = held_back(rows, share)
    return (
        [row for row, one in zip(rows, held, strict=True) if not one],
        [row for row, one in zip(rows, held, strict=True) if one],
    )
