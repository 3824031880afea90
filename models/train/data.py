"""Read the public sets that the embedded model is trained and judged on.

Labels are FinBERT's, in FinBERT's order: 0 positive, 1 negative, 2 neutral
(https://huggingface.co/ProsusAI/finbert, config.json).
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

LABELS = ("positive", "negative", "neutral")
TWEETS_SOURCE = "prasad11s"
Target = tuple[float, float, float]
"""A distribution over :data:`LABELS`."""

_TWITTER_TO_LABEL = {"0": 1, "1": 0, "2": 2}  # bearish, bullish, neutral


@dataclass(frozen=True)
class Example:
    """One text with its target distribution over :data:`LABELS` (sums to 1)."""

    text: str
    target: Target

    @property
    def label(self) -> int:
        """The most probable label's index."""
        return max(range(3), key=self.target.__getitem__)


def _one_hot(label: int) -> Target:
    return (float(label == 0), float(label == 1), float(label == 2))


def normalized(text: str) -> str:
    """A key under which re-posts of one text fall together: no links, case or punctuation."""
    return re.sub(r"\W+", " ", re.sub(r"https?://\S+", "", text).lower()).strip()


def load_twitter(path: Path) -> list[Example]:
    """``sent_train.csv`` or ``sent_valid.csv`` of zeroshot/twitter-financial-news-sentiment."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Example(row["text"], _one_hot(_TWITTER_TO_LABEL[row["label"]]))
            for row in csv.DictReader(file)
        ]


def load_phrasebank(path: Path) -> list[Example]:
    """``Sentences_*Agree.txt`` of Financial PhraseBank (CC BY-NC-SA 3.0: evaluation only)."""
    examples = []
    for line in path.read_text(encoding="latin-1").splitlines():
        text, _, label = line.rpartition("@")
        examples.append(Example(text, _one_hot(LABELS.index(label.strip()))))
    return examples


def load_finbert(path: Path) -> list[Example]:
    """``finbert_probs.jsonl``: what ProsusAI/finbert answered, as soft labels."""
    examples = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            probs = [float(row[f"p_{label}"]) for label in LABELS]
            total = sum(probs)
            examples.append(
                Example(row["text"], (probs[0] / total, probs[1] / total, probs[2] / total))
            )
    return examples


def hold_out(examples: list[Example], rows: int) -> tuple[list[Example], list[Example]]:
    """Split off ``rows`` examples by the hash of their text: the same rows on any machine.

    Returns the rest (in order) and the held-out rows; re-posts of a held-out text leave the rest.
    """

    def rank(example: Example) -> str:
        return hashlib.sha256(normalized(example.text).encode()).hexdigest()

    held = sorted(examples, key=rank)[:rows]
    keys = {normalized(example.text) for example in held}
    return [e for e in examples if normalized(e.text) not in keys], held


def without(examples: list[Example], others: list[Example]) -> list[Example]:
    """``examples`` less every re-post of a text in ``others``."""
    keys = {normalized(example.text) for example in others}
    return [example for example in examples if normalized(example.text) not in keys]


def load_finbert_labels(path: Path) -> dict[str, int]:
    """``finbert_labels.jsonl``: the label that ProsusAI/finbert gave to each tweet, by its key.

    The file's PhraseBank rows (they have another ``src``) are for measuring and stay out.
    """
    labels = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["src"] == TWEETS_SOURCE:
                labels[normalized(row["text"])] = LABELS.index(row["pred"])
    return labels


def unlabelled_texts(root: Path, characters: int = 3_000_000) -> dict[str, list[str]]:
    """The first texts of each unlabelled file below ``root``, for counting pieces."""
    found: dict[str, list[str]] = {}
    for path in sorted(root.iterdir()):
        texts, size = [], 0
        if path.suffix not in (".txt", ".jsonl"):
            continue
        with path.open(encoding="utf-8") as file:
            for line in file:
                texts.append(json.loads(line)["text"] if path.suffix == ".jsonl" else line)
                size += len(texts[-1])
                if size >= characters:
                    break
        found[path.stem] = texts
    return found


UNLABELLED = ("post", "sentence")


@dataclass(frozen=True)
class Row:
    """A training text with what to answer, and what FinBERT answered where that is known."""

    text: str
    target: Target
    finbert: Target | None
    kind: str
    """``"tweet"``, ``"finbert"``, ``"own"`` or one of :data:`UNLABELLED`: where it comes from."""

    @property
    def label(self) -> int:
        """The most probable label's index."""
        return max(range(3), key=self.target.__getitem__)


_TRANSFER = {  # share of the transfer texts, by the file they are from
    "stocknet_tweets": 0.5, "earnings22": 0.15, "earnings21": 0.1, "fed_speeches": 0.1,
    "fomc_minutes": 0.15,
}  # fmt: skip
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORDS = range(6, 41)


def transfer_rows(data: Path, rows: int, seed: int) -> list[Row]:
    """``rows`` unlabelled tweets and sentences, seeded, that are in no evaluation set.

    Of texts that are equal but for links, case, punctuation, cashtags and numbers one is kept:
    half of the tweets are such notices. Their targets say nothing: teachers are to give them.
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
        wanted = len(found) + round(_TRANSFER.get(name, 0.0) * rows)
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
    """A one-hot target that leaves ``amount`` to all three labels alike."""
    row = [amount / 3 + (1 - amount) * (index == label) for index in range(3)]
    return (row[0], row[1], row[2])


def training_rows(sets: Sets, finbert: dict[str, int], own: list[tuple[str, int]]) -> list[Row]:
    """The rows to learn from: tweets with both labels, FinBERT's soft answers, own sentences."""
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
    """Which rows are held back for choices and the temperature: by hash, re-posts together.

    Only labelled rows of the public sets: own sentences, filled from patterns, measure nothing.
    """

    def held(row: Row) -> bool:
        digest = hashlib.sha256(f"held {normalized(row.text)}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < share * 2**32

    return np.array([row.kind in ("tweet", "finbert") and held(row) for row in rows], dtype=bool)


def split_rows(rows: list[Row], share: float) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows :func:`held_back`, each in order."""
    held = held_back(rows, share)
    return (
        [row for row, one in zip(rows, held, strict=True) if not one],
        [row for row, one in zip(rows, held, strict=True) if one],
    )


@dataclass(frozen=True)
class Sets:
    """Everything the recipe uses: what is learnt from, and what is only measured."""

    train: list[Example]
    twitter_valid: list[Example]
    phrasebank_all_agree: list[Example]
    phrasebank_50_agree: list[Example]
    finbert_held_out: list[Example]

    def evaluation(self) -> dict[str, list[Example]]:
        """The evaluation sets by the name they carry on the card."""
        return {
            "twitter_valid": self.twitter_valid,
            "phrasebank_all_agree": self.phrasebank_all_agree,
            "phrasebank_50_agree": self.phrasebank_50_agree,
            "finbert_held_out": self.finbert_held_out,
        }


def load_sets(root: Path, held_out_rows: int = 500) -> Sets:
    """Load all sets below ``root`` and clean the training set of every evaluation text.

    Raises ``FileNotFoundError`` if a file is missing.
    """
    twitter = root / "twitter_financial_news"
    phrasebank = root / "phrasebank"
    valid = load_twitter(twitter / "sent_valid.csv")
    all_agree = load_phrasebank(phrasebank / "Sentences_AllAgree.txt")
    half_agree = load_phrasebank(phrasebank / "Sentences_50Agree.txt")
    soft, held = hold_out(
        load_finbert(root / "finbert_reference" / "finbert_probs.jsonl"), held_out_rows
    )
    train = load_twitter(twitter / "sent_train.csv") + soft
    return Sets(
        train=without(train, [*valid, *half_agree, *held]),
        twitter_valid=valid,
        phrasebank_all_agree=all_agree,
        phrasebank_50_agree=half_agree,
        finbert_held_out=held,
    )
