"""Texts to calibrate and to judge on, with or without labels: read from a file, split in two."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leanbert.cli.reading import read_records
from leanbert.errors import InputError
from leanbert.tokenization import TextInput

_SUFFIXES = (".txt", ".jsonl", ".csv")


@dataclass(frozen=True)
class Examples:
    """Texts or pairs, and the label of each where there are labels."""

    texts: Sequence[TextInput]
    labels: Sequence[int] | None = None

    def split(self, most: int) -> tuple[Examples, Examples]:
        """Two thirds to calibrate, one, and no more than ``most`` texts, held back; seed 0."""
        order = np.random.default_rng(0).permutation(len(self.texts))
        cut = max(1, len(order) * 2 // 3, len(order) - most)
        parts = order[:cut], order[cut:] if len(order) > 1 else order
        made = [self._take(sorted(int(i) for i in part)) for part in parts]
        return made[0], made[1]

    def _take(self, indices: Sequence[int]) -> Examples:
        labels = None if self.labels is None else [self.labels[i] for i in indices]
        return Examples([self.texts[i] for i in indices], labels)


def read_examples(
    path: Path,
    id2label: Mapping[int, str],
    *,
    text_column: str = "text",
    label_column: str | None = None,
    pair_column: str | None = None,
) -> Examples:
    """Read a ``.txt`` (a text a line), ``.jsonl`` or ``.csv`` file; empty texts are left out.

    A label is one of the model's names, in any case, or its number. ``pair_column`` is the second
    text of each, such as a question's context.

    Raises:
        InputError: the file or a line cannot be read, or a label is not the model's.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: expected a {', '.join(_SUFFIXES)} file")
    texts: list[TextInput] = []
    labels: list[int] = []
    for where, text, row in _rows(path, text_column):
        if not text.strip():
            continue
        texts.append(text if pair_column is None else (text, _pair(row, pair_column, where)))
        if label_column is not None:
            labels.append(_label(row, label_column, id2label, where))
    if len(texts) < 2:
        raise InputError(f"{path}: {len(texts)} texts; calibration needs two at least")
    return Examples(texts, labels if label_column is not None else None)


def _rows(path: Path, text_column: str) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    if path.suffix.lower() != ".csv":
        records = read_records([], path, text_column=text_column)
        for number, record in enumerate(records, 1):
            yield f"{path}: text {number}", record.text, record.row
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if text_column not in (reader.fieldnames or ()):
                raise InputError(
                    f"{path}: no column {text_column!r}; it has "
                    f"{', '.join(reader.fieldnames or ()) or 'none'} (pass --text-column)"
                )
            for row in reader:
                yield f"{path}: line {reader.line_num}", row[text_column] or "", row
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a UTF-8 CSV file ({error})") from error


def _pair(row: Mapping[str, object], column: str, where: str) -> str:
    if not isinstance(row.get(column), str):
        raise InputError(f"{where}: no text in the column {column!r} for the pair")
    return str(row[column])


def _label(row: Mapping[str, object], column: str, id2label: Mapping[int, str], where: str) -> int:
    if column not in row:
        has = ", ".join(map(str, row)) or "no columns (labels need .csv or .jsonl)"
        raise InputError(f"{where}: no label column {column!r}; it has {has}")
    value = str(row[column]).strip()
    for number, name in id2label.items():
        if value.lower() == name.lower() or value == str(number):
            return number
    raise InputError(
        f"{where}: the label {value!r} is not the model's; it has "
        f"{', '.join(f'{number} {name}' for number, name in id2label.items())}"
    )
