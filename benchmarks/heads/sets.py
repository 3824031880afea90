"""The three public sets: entities (WNUT-17), answers (XQuAD, English), similarity (STS-B)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from leanbert.errors import InputError

TAGS = ("corporation", "creative-work", "group", "location", "person", "product")
LABELS = ("O", *(f"{prefix}-{tag}" for tag in TAGS for prefix in "BI"))
"""Of the entity model, in the order of its logits."""

_WNUT = {
    "train": "wnut17train.conll",
    "dev": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}


@dataclass(frozen=True)
class Sentence:
    """Words, with the tag of each."""

    words: list[str]
    tags: list[str]


@dataclass(frozen=True)
class Question:
    """A question with its answer, whose first character is ``start`` in the context."""

    question: str
    context: str
    answer: str
    start: int


def sentences(data: Path, part: str) -> list[Sentence]:
    """WNUT-17's ``train``, ``dev`` or ``test``.

    Raises:
        InputError: it is not in ``data``.
    """
    found: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    for line in [*_read(data / "wnut17" / _WNUT[part]).splitlines(), ""]:
        word, _, tag = line.strip().partition("\t")
        if word:
            words.append(word)
            tags.append(tag.strip())
        elif words:
            found.append(Sentence(words, tags))
            words, tags = [], []
    return found


def questions(data: Path) -> tuple[list[Question], list[Question]]:
    """XQuAD's English questions, half to train on and half to measure, every other article.

    Raises:
        InputError: it is not in ``data``.
    """
    halves: tuple[list[Question], list[Question]] = [], []
    articles = json.loads(_read(data / "xquad" / "xquad.en.json"))["data"]
    for number, article in enumerate(articles):
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answer = asked["answers"][0]
                halves[number % 2].append(
                    Question(
                        asked["question"],
                        paragraph["context"],
                        answer["text"],
                        answer["answer_start"],
                    )
                )
    return halves


def similarities(data: Path, part: str) -> tuple[list[str], list[str], list[float]]:
    """STS-B's pairs of sentences and their similarity, 0 to 5; ``train``, ``dev`` or ``test``.

    Raises:
        InputError: it is not in ``data``.
    """
    rows = [line.split("\t") for line in _read(data / "stsb" / f"sts-{part}.csv").splitlines()]
    return [row[5] for row in rows], [row[6] for row in rows], [float(row[4]) for row in rows]


def _read(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path}: missing; --data is the folder of the public sets")
    return path.read_text(encoding="utf-8")
