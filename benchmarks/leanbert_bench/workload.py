"""The texts of a run, with their labels if known."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from leanbert.bundle import file_sha256
from leanbert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Workload", "read_workload"]

_SEED = 0


@dataclass(frozen=True)
class Workload:
    """What every back end answers."""

    name: str
    """The file's name."""
    sha256: str
    rows: int
    """Texts in the whole file, before any limit."""
    texts: Sequence[str]
    labels: Sequence[str] | None

    def shuffled(self, turn: int) -> list[str]:
        """The texts in an order that is random but the same for every back end of a turn."""
        texts = list(self.texts)
        Random(_SEED + turn).shuffle(texts)  # noqa: S311 - an order, not a secret
        return texts


def read_workload(
    path: Path,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    limit: int | None = None,
) -> Workload:
    """Read a ``.txt`` (a text a line) or ``.csv`` file (commas or tabs); empty texts are left out.

    Args:
        path: the file, in UTF-8.
        text_column: the CSV's column of texts.
        label_column: the CSV's column of true labels, if it has one.
        limit: keep a seeded sample of so many rows.

    Raises:
        InputError: the file cannot be read, or lacks a column or any text.
    """
    try:
        if path.suffix.lower() == ".txt":
            if label_column:
                raise InputError(f"{path}: a .txt file has no columns; use a .csv for labels")
            pairs = [(line, "") for line in path.read_text(encoding="utf-8-sig").splitlines()]
        elif path.suffix.lower() == ".csv":
            pairs = _read_csv(path, text_column, label_column)
        else:
            raise InputError(f"{path}: cannot read {path.suffix or 'this'} files; use .txt or .csv")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise InputError(f"{path}: not a valid CSV file ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    pairs = [(text, label) for text, label in pairs if text.strip()]
    if not pairs:
        raise InputError(f"{path}: has no texts")
    rows = len(pairs)
    if limit is not None and limit < rows:
        pairs = Random(_SEED).sample(pairs, limit)  # noqa: S311 - a sample, not a secret
    labels = [label for _, label in pairs] if label_column else None
    return Workload(path.name, file_sha256(path), rows, [text for text, _ in pairs], labels)


def _read_csv(path: Path, text_column: str, label_column: str | None) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        # FinBERT's own split of PhraseBank is called .csv and separated by tabs.
        reader = csv.DictReader(file, delimiter="\t" if "\t" in header else ",")
        for name in filter(None, (text_column, label_column)):
            if name not in (reader.fieldnames or ()):
                raise InputError(
                    f"{path}: no column {name!r}; it has {', '.join(reader.fieldnames or ())} "
                    "(pass --text-column or --label-column)"
                )
        return [
            (row[text_column] or "", (row[label_column] or "") if label_column else "")
            for row in reader
        ]
