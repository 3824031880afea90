"""Read the public sets of labelled financial texts that back ends are compared on.

The labels are those of FinBERT, in its order: 0 positive, 1 negative, 2 neutral.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LABELS = ("positive", "negative", "neutral")
_TWITTER = {"0": 1, "1": 0, "2": 2}  # bearish, bullish, neutral


@dataclass(frozen=True)
class Example:
    """One text with the index of its label in :data:`LABELS`."""

    text: str
    label: int


def load_twitter(path: Path) -> list[Example]:
    """Read ``sent_train.csv`` or ``sent_valid.csv`` of zeroshot/twitter-financial-news-sentiment.

    Raises:
        KeyError: a label is not 0, 1 or 2.
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [Example(row["text"], _TWITTER[row["label"]]) for row in csv.DictReader(file)]


def load_phrasebank(path: Path) -> list[Example]:
    """Read ``Sentences_*Agree.txt`` of Financial PhraseBank (CC BY-NC-SA 3.0: evaluation only).

    Raises:
        OSError: the file cannot be read.
        ValueError: a label is not one of :data:`LABELS`.
    """
    lines = path.read_text(encoding="latin-1").splitlines()
    parts = [line.rpartition("@") for line in lines]
    return [Example(text, LABELS.index(label.strip())) for text, _, label in parts]


def without(examples: Sequence[Example], others: Sequence[Example]) -> list[Example]:
    """The ``examples`` that are no re-post of a text in ``others``, in their order."""
    keys = {_key(example.text) for example in others}
    return [example for example in examples if _key(example.text) not in keys]


def _key(text: str) -> str:
    """The key that all re-posts of one text share: no links, case and punctuation."""
    return re.sub(r"\W+", " ", re.sub(r"https?://\S+", "", text).lower()).strip()
