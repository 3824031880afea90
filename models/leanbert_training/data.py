"""Read the public data sets that the embedded model is trained and measured on.

The labels are those of FinBERT, in its order: 0 positive, 1 negative, 2 neutral
(https://huggingface.co/ProsusAI/finbert, config.json).
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

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
    """The key that all re-posts of one text share: ``text`` without links, case and punctuation."""
    return re.sub(r"\W+", " ", re.sub(r"https?://\S+", "", text).lower()).strip()


def load_twitter(path: Path) -> list[Example]:
    """Read ``sent_train.csv`` or ``sent_valid.csv`` of zeroshot/twitter-financial-news-sentiment.

    Raises:
        KeyError: a label is not 0, 1 or 2.
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Example(row["text"], _one_hot(_TWITTER_TO_LABEL[row["label"]]))
            for row in csv.DictReader(file)
        ]


def load_phrasebank(path: Path) -> list[Example]:
    """Read ``Sentences_*Agree.txt`` of Financial PhraseBank (CC BY-NC-SA 3.0: evaluation only).

    Raises:
        OSError: the file cannot be read.
        ValueError: a label is not one of :data:`LABELS`.
    """
    examples = []
    for line in path.read_text(encoding="latin-1").splitlines():
        text, _, label = line.rpartition("@")
        examples.append(Example(text, _one_hot(LABELS.index(label.strip()))))
    return examples


def load_finbert(path: Path) -> list[Example]:
    """Read ``finbert_probs.jsonl``: ProsusAI/finbert's probabilities, as soft labels."""
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
    """Split off ``rows`` examples by the hash of their text, so that any machine picks the same.

    Returns:
        The rest, in its order and without re-posts of a held-out text; and the held-out rows.
    """

    def rank(example: Example) -> str:
        return hashlib.sha256(normalized(example.text).encode()).hexdigest()

    held = sorted(examples, key=rank)[:rows]
    keys = {normalized(example.text) for example in held}
    return [e for e in examples if normalized(e.text) not in keys], held


def without(examples: list[Example], others: list[Example]) -> list[Example]:
    """The ``examples`` that are no re-post of a text in ``others``, in their order."""
    keys = {normalized(example.text) for example in others}
    return [example for example in examples if normalized(example.text) not in keys]


def load_finbert_labels(path: Path) -> dict[str, int]:
    """Read ``finbert_labels.jsonl``: the label that ProsusAI/finbert gave to each tweet.

    The file also holds PhraseBank rows, which have another ``src``. They are for measuring only
    and are left out.

    Returns:
        The index of the label by :func:`normalized` text.
    """
    labels = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["src"] == TWEETS_SOURCE:
                labels[normalized(row["text"])] = LABELS.index(row["pred"])
    return labels


def unlabelled_texts(root: Path, characters: int = 3_000_000) -> dict[str, list[str]]:
    """The first texts of each unlabelled file in ``root``, at least ``characters`` characters each.

    Returns:
        The texts by the name of their file, without its ending.
    """
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


@dataclass(frozen=True)
class Sets:
    """The examples that the recipe trains on, and those that it only measures on."""

    train: list[Example]
    twitter_valid: list[Example]
    phrasebank_all_agree: list[Example]
    phrasebank_50_agree: list[Example]
    finbert_held_out: list[Example]

    def evaluation(self) -> dict[str, list[Example]]:
        """The evaluation sets by the names that the card gives them."""
        return {
            "twitter_valid": self.twitter_valid,
            "phrasebank_all_agree": self.phrasebank_all_agree,
            "phrasebank_50_agree": self.phrasebank_50_agree,
            "finbert_held_out": self.finbert_held_out,
        }


def load_sets(root: Path, held_out_rows: int = 500) -> Sets:
    """Load all sets below ``root`` and remove every evaluation text from the training set.

    Raises:
        FileNotFoundError: a file is missing.
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
