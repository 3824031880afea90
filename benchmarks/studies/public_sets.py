"""Write the public sets of financial texts as files that leanbert bench run reads.

twitter.csv is Twitter financial news (zeroshot/twitter-financial-news-sentiment, validation),
phrasebank.csv Financial PhraseBank (50Agree; CC BY-NC-SA 3.0: evaluation only), both.csv holds
both, and calibration.csv has 300 training tweets that stand in none of them. Columns: text, label.

examples:
  python -m studies.public_sets --data DATA -o build/sets
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leanbert.errors import InputError
from leanbert.files import whole_file
from leanbert_bench.run.workload import Workload, read_conll
from studies.command_line import new_parser, one_line_errors

LABELS = ("positive", "negative", "neutral")
"""Of the financial sets, in FinBERT's order."""

TAGS = ("corporation", "creative-work", "group", "location", "person", "product")
ENTITY_LABELS = ("O", *(f"{prefix}-{tag}" for tag in TAGS for prefix in "BI"))
"""Of WNUT-17's entities, in the order of the entity model's logits."""

CALIBRATION_TEXTS = 300
_SEED = 0
_TWITTER = {"0": "negative", "1": "positive", "2": "neutral"}  # bearish, bullish, neutral
_WNUT = {
    "train": "wnut17train.conll",
    "dev": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}

Example = tuple[str, str]
"""A text and its label."""


@dataclass(frozen=True)
class Question:
    """A question with its answer, whose first character is ``start`` in the context."""

    question: str
    context: str
    answer: str
    start: int


def twitter(data: Path, part: str) -> list[Example]:
    """Read the ``train`` or ``valid`` part of Twitter financial news.

    Raises:
        InputError: it is not in ``data``, or a label is not 0, 1 or 2.
    """
    path = data / "twitter_financial_news" / f"sent_{part}.csv"
    rows = csv.DictReader(_text_of(path).splitlines(keepends=True))
    try:
        return [(row["text"], _TWITTER[row["label"]]) for row in rows]
    except KeyError as error:
        raise InputError(f"{path}: no column or label {error}") from error


def phrasebank(data: Path) -> list[Example]:
    """Read ``Sentences_50Agree.txt`` of Financial PhraseBank.

    Raises:
        InputError: it is not in ``data``, or a line is not of the form text@label.
    """
    path = data / "phrasebank" / "Sentences_50Agree.txt"
    found = []
    for number, line in enumerate(_text_of(path, "latin-1").splitlines(), 1):
        text, _, label = line.rpartition("@")
        if label.strip() not in LABELS:
            raise InputError(f"{path}: line {number}: not PhraseBank's text@label")
        found.append((text, label.strip()))
    return found


def without(examples: Sequence[Example], others: Sequence[Example]) -> list[Example]:
    """Return the ``examples`` that are no re-post of a text in ``others``, in their order."""
    keys = {_key(text) for text, _ in others}
    return [example for example in examples if _key(example[0]) not in keys]


def _key(text: str) -> str:
    """The key that all re-posts of one text share: no links, case and punctuation."""
    return re.sub(r"\W+", " ", re.sub(r"https?://\S+", "", text).lower()).strip()


def entities(data: Path, part: str) -> Workload:
    """Read the sentences of WNUT-17's ``train``, ``dev`` or ``test`` part.

    Raises:
        InputError: it is not in ``data``.
    """
    path = data / "wnut17" / _WNUT[part]
    _text_of(path)
    return read_conll(path)


def questions(data: Path) -> tuple[list[Question], list[Question]]:
    """Read XQuAD's English questions: every other article to train on, the rest to measure.

    Raises:
        InputError: it is not in ``data``.
    """
    halves: tuple[list[Question], list[Question]] = [], []
    articles = json.loads(_text_of(data / "xquad" / "xquad.en.json"))["data"]
    for number, article in enumerate(articles):
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answer, context = asked["answers"][0], paragraph["context"]
                halves[number % 2].append(
                    Question(asked["question"], context, answer["text"], answer["answer_start"])
                )
    return halves


def similarities(data: Path, part: str) -> tuple[list[str], list[str], list[float]]:
    """Read STS-B's pairs of sentences and their similarity, 0 to 5; ``train``, ``dev``, ``test``.

    Raises:
        InputError: it is not in ``data``.
    """
    lines = _text_of(data / "stsb" / f"sts-{part}.csv").splitlines()
    rows = [line.split("\t") for line in lines]
    return [row[5] for row in rows], [row[6] for row in rows], [float(row[4]) for row in rows]


def _text_of(path: Path, encoding: str = "utf-8") -> str:
    if not path.is_file():
        raise InputError(f"{path}: missing; --data is the folder of the public sets")
    return path.read_text(encoding=encoding)


def write(data: Path, folder: Path) -> None:
    """Write the four files into ``folder``.

    Raises:
        InputError: a set is not in ``data``.
    """
    tweets, sentences = twitter(data, "valid"), phrasebank(data)
    both = [*tweets, *sentences]
    rest = without(twitter(data, "train"), both)
    drawn = random.Random(_SEED).sample(rest, CALIBRATION_TEXTS)  # noqa: S311 - not a secret
    folder.mkdir(parents=True, exist_ok=True)
    files = {"twitter": tweets, "phrasebank": sentences, "both": both, "calibration": drawn}
    for name, examples in files.items():
        with whole_file(folder / f"{name}.csv") as file:
            csv.writer(file, lineterminator="\n").writerows([("text", "label"), *examples])


def main(words: Sequence[str] | None = None) -> int:
    """Write the files."""
    parser: argparse.ArgumentParser = new_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args(words)

    def run() -> int:
        write(args.data, args.output)
        return 0

    return one_line_errors("public_sets", run)


if __name__ == "__main__":
    sys.exit(main())
