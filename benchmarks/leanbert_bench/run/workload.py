"""The texts of a run, with their labels if there are any."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from leanbert.bundle import file_sha256
from leanbert.errors import InputError
from leanbert.records import ReadOptions, open_table, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leanbert.records import Row


_SEED = 0
_SAMPLE = "sample_headlines.csv"
_SHORTEST, _LONGEST, _MIXED_SEED = 3, 400, 20  # words; of mixed texts


@dataclass(frozen=True)
class Workload:
    """What every back end answers."""

    name: str
    """The name of the file."""
    sha256: str
    rows: int
    """The number of texts in the whole file, before any limit."""
    texts: Sequence[str]
    labels: Sequence[str] | None
    bundled: bool = False
    """Whether it is LeanBERT's own sample."""
    pairs: Sequence[str] | None = None
    """The other text of each row, for the similarity of embeddings; ``labels`` are numbers then."""
    questions: Sequence[str] | None = None
    """The questions, whose contexts are ``texts``, for question answering."""
    truths: Sequence[Sequence[str]] | None = None
    """The true answers of each question."""
    words: Sequence[Sequence[str]] | None = None
    """The words that each text was joined from, for token classification."""
    tags: Sequence[Sequence[str]] | None = None
    """The true tag of each word."""

    @property
    def items(self) -> list[Any]:
        """What a pipeline is called with, one item per row."""
        if self.questions is None:
            return list(self.texts)
        return [
            {"question": question, "context": context}
            for question, context in zip(self.questions, self.texts, strict=True)
        ]

    def shuffled(self, turn: int) -> list[Any]:
        """Return the items in a random order that is the same for every back end of a turn."""
        items = self.items
        Random(_SEED + turn).shuffle(items)  # noqa: S311 - an order, not a secret
        return items

    def drawn(self, turn: int, count: int) -> list[Any]:
        """Return ``count`` shuffled items; a short list is gone through again."""
        items: list[Any] = []
        again = 0
        while len(items) < count:
            items += self.shuffled(turn + 1000 * again)
            again += 1
        return items[:count]


def read_workload(
    path: Path,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    limit: int | None = None,
    pair_column: str | None = None,
    reading: ReadOptions | None = None,
) -> Workload:
    """Read any file that :mod:`leanbert.records` reads; empty texts are left out.

    Args:
        path: the file.
        text_column: the column of texts; a file of bare lines needs none.
        label_column: the column of true labels, if there are any.
        limit: keep a seeded sample of so many rows.
        pair_column: the column of second texts, if there are any.
        reading: how the file is read.

    Raises:
        InputError: the file cannot be read, or lacks a column or any text.
        MissingExtraError: its format needs a library that is not installed.
    """
    flags = {label_column: "--label-column", pair_column: "--text-pair-column"}
    columns: list[list[str]] = [[], [], []]
    with open_table(path, reading) as table:
        text_column = "text" if table.lines else text_column
        table.require(text_column, "--text-column")
        for name in filter(None, (label_column, pair_column)):
            table.require(name, flags[name])
        for row in table.rows:
            missing = text_column in row.values and row.values[text_column] is None
            text = "" if missing else row.text(text_column)
            others = (label_column, pair_column)
            cells = [text, *("" if name is None else _cell(row, name) for name in others)]
            if text.strip():
                for column, cell in zip(columns, cells, strict=True):
                    column.append(cell)
    texts, labels, pairs = columns
    if not texts:
        raise InputError(f"{path}: has no texts")
    found = Workload(
        name=path.name,
        sha256=file_sha256(path),
        rows=len(texts),
        texts=texts,
        labels=labels if label_column else None,
        pairs=pairs if pair_column else None,
    )
    return _limited(found, limit)


def _cell(row: Row, column: str) -> str:
    """A second text, a label's name or number, or a similarity; nothing is an empty text."""
    value = row.values.get(column)
    return "" if value is None else str(value)


def bundled_workload(limit: int | None = None) -> Workload:
    """Return LeanBERT's own headlines, which are labelled positive, negative or neutral."""
    with resources.as_file(resources.files("leanbert_bench").joinpath(_SAMPLE)) as path:
        found = read_workload(path, label_column="label", limit=limit)
    return replace(found, bundled=True)


def match_labels(workload: Workload, labels: Sequence[str], where: object) -> list[int]:
    """Return the number of each row's label among the model's, by its name or number.

    Raises:
        InputError: a label is none of the model's.
    """
    known = {label.lower(): i for i, label in enumerate(labels)}
    known |= {str(i): i for i in range(len(labels)) if str(i) not in known}
    found = []
    for label in workload.labels or ():
        if label.strip().lower() not in known:
            raise InputError(
                f"{where}: the label {label!r} is none of the model's: {', '.join(labels)}"
            )
        found.append(known[label.strip().lower()])
    return found


def read_squad(path: Path, limit: int | None = None) -> Workload:
    """Read questions with their contexts and true answers from a SQuAD file (JSON, v1 or v2).

    Raises:
        InputError: it is no such file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        rows = [
            (item["question"], paragraph["context"], [one["text"] for one in item["answers"]])
            for article in content["data"]
            for paragraph in article["paragraphs"]
            for item in paragraph["qas"]
        ]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a SQuAD file ({error!r})") from error
    if not rows:
        raise InputError(f"{path}: has no questions")
    found = Workload(
        name=path.name,
        sha256=file_sha256(path),
        rows=len(rows),
        texts=[row[1] for row in rows],
        labels=None,
        questions=[row[0] for row in rows],
        truths=[row[2] or [""] for row in rows],
    )
    return _limited(found, limit)


def read_conll(
    path: Path, limit: int | None = None, reading: ReadOptions | None = None
) -> Workload:
    """Read sentences: one word with its tag per line, and a blank line between sentences.

    Raises:
        InputError: it is no such file.
    """
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    for row in read_rows(path, replace(reading or ReadOptions(), format="txt", delimiter=None)):
        line = row.values["text"]
        parts = line.split()
        if not parts:
            if words[-1]:
                words.append([])
                tags.append([])
        elif len(parts) < 2:
            raise InputError(f"{row.where}: expected a word and its tag, got {line!r}")
        elif parts[0] != "-DOCSTART-":
            words[-1].append(parts[0])
            tags[-1].append(parts[-1])
    if not words[-1]:
        words.pop()
        tags.pop()
    if not words:
        raise InputError(f"{path}: has no sentences")
    found = Workload(
        name=path.name,
        sha256=file_sha256(path),
        rows=len(words),
        texts=[" ".join(sentence) for sentence in words],
        labels=None,
        words=words,
        tags=tags,
    )
    return _limited(found, limit)


def mixed_texts(first: int, count: int) -> list[str]:
    """Return seeded texts of 3 to 400 words, log-uniformly, from number ``first`` of a series."""
    words = [word for text in bundled_workload().texts for word in text.split()]

    def series() -> Iterator[str]:
        for i in range(first, first + count):
            chance = Random(_MIXED_SEED + i)  # noqa: S311 - seeded texts, not secrets
            length = round(_SHORTEST * (_LONGEST / _SHORTEST) ** chance.random())
            yield " ".join(chance.choices(words, k=length))

    return list(series())


def _limited(workload: Workload, limit: int | None) -> Workload:
    """A seeded sample of so many rows."""
    if limit is None or limit >= workload.rows:
        return workload
    kept = Random(_SEED).sample(range(workload.rows), limit)  # noqa: S311 - not a secret

    def take(column: Sequence[Any] | None) -> Any:
        return None if column is None else [column[i] for i in kept]

    return replace(
        workload,
        texts=take(workload.texts),
        labels=take(workload.labels),
        pairs=take(workload.pairs),
        questions=take(workload.questions),
        truths=take(workload.truths),
        words=take(workload.words),
        tags=take(workload.tags),
    )
