"""Read the texts that calibrate and judge, with or without labels, and divide them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leanbert.errors import InputError
from leanbert.records import ReadOptions, Row, open_table
from leanbert.tokenization import TextInput


@dataclass(frozen=True)
class Examples:
    """Texts or pairs, and the label of each where there are labels."""

    texts: Sequence[TextInput]
    labels: Sequence[int] | None = None

    def split(self, most: int) -> tuple[Examples, Examples]:
        """Divide the examples at random, with a fixed seed.

        Returns:
            Two thirds, which calibrate, and one third, which is held back to judge. No more than
            ``most`` are held back; a single example does both.
        """
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
    reading: ReadOptions | None = None,
) -> Examples:
    """Read any file that :mod:`leanbert.records` reads; empty texts are left out.

    Args:
        path: the file.
        id2label: the model's labels. A label in the file is one of their names, in any case, or
            their number.
        text_column: the column of the texts; a file of bare lines needs none.
        label_column: the column of the true labels, if there are any.
        pair_column: the column of second texts, such as a question's context.
        reading: how the file is read.

    Raises:
        InputError: the file or a row cannot be read, or a label is not the model's.
        MissingExtraError: its format needs a library that is not installed.
    """
    texts: list[TextInput] = []
    labels: list[int] = []
    with open_table(path, reading) as table:
        column = "text" if table.lines else text_column
        table.require(column, "--text-column")
        if pair_column is not None:
            table.require(pair_column, "--text-pair-column")
        if label_column is not None:
            table.require(label_column, "--label-column")
        for row in table.rows:
            missing = column in row.values and row.values[column] is None  # a null of Parquet
            text = "" if missing else row.text(column)
            if not text.strip():
                continue
            pair = None if pair_column is None else row.text(pair_column, "--text-pair-column")
            texts.append(text if pair is None else (text, pair))
            if label_column is not None:
                labels.append(_label(row, label_column, id2label))
    if len(texts) < 2:
        raise InputError(f"{path}: {len(texts)} texts; calibration needs two at least")
    return Examples(texts, labels if label_column is not None else None)


def _label(row: Row, column: str, id2label: Mapping[int, str]) -> int:
    if row.values.get(column) is None:
        raise InputError(f"{row.where}: no label in the column {column!r}")
    value = str(row.values[column]).strip()
    for number, name in id2label.items():
        if value.lower() == name.lower() or value == str(number):
            return number
    raise InputError(
        f"{row.where}: the label {value!r} is not the model's; it has "
        f"{', '.join(f'{number} {name}' for number, name in id2label.items())}"
    )
