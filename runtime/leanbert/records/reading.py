"""Open a file as a table, whatever its format, and look through it beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leanbert.records.delimited import delimited_table, labelled_table
from leanbert.records.jsonl import json_table
from leanbert.records.lines import read_lines
from leanbert.records.model import ReadOptions, Row, Table
from leanbert.records.parquet import count_parquet, parquet_table
from leanbert.records.sources import Source, is_stored, open_source

__all__ = ["Survey", "open_table", "read_rows", "survey"]


@dataclass(frozen=True)
class Survey:
    """What one reading of a whole file found."""

    rows: int
    columns: tuple[str, ...]
    """Every column that any row has, in the order of their first rows."""


@contextmanager
def open_table(path: Path | None, options: ReadOptions | None = None) -> Iterator[Table]:
    """Open a file, a pipe, or stdin (``None`` or ``-``) for reading once.

    Raises:
        InputError: it cannot be opened or read, now or when its rows are drawn.
        MissingExtraError: its format needs a library that is not installed.
    """
    options = options or ReadOptions()
    with open_source(path, options) as source:
        yield _table(source, options)


def read_rows(path: Path | None, options: ReadOptions | None = None) -> Iterator[Row]:
    """Yield the rows of a file lazily; see :func:`open_table`."""
    with open_table(path, options) as table:
        yield from table.rows


def survey(path: Path | None, options: ReadOptions | None = None) -> Survey | None:
    """Count the rows of a stored file and list its columns; ``None`` for a pipe and stdin.

    Raises:
        InputError: it cannot be read to its end.
        MissingExtraError: its format needs a library that is not installed.
    """
    if not is_stored(path):
        return None
    options = options or ReadOptions()
    with open_source(path, options) as source:
        table = _table(source, options)
        if table.format == "parquet":
            return Survey(count_parquet(source.file, source.name), table.columns or ())
        count = 0
        columns = dict.fromkeys(table.columns or ())
        for row in table.rows:
            count += 1
            if table.columns is None:
                columns.update(dict.fromkeys(row.values))
        return Survey(count, tuple(columns))


def _table(source: Source, options: ReadOptions) -> Table:
    if source.format == "parquet":
        return parquet_table(source.file, source.name)
    lines = read_lines(source.file, source.name, source.encoding)
    if source.format == "jsonl":
        return json_table(lines, source.name)
    if source.format == "txt":
        if options.delimiter is not None:
            return labelled_table(lines, source.name, options.delimiter)
        rows = _document if options.whole else _texts
        return Table(source.name, "txt", rows(lines, source.name), ("text",))
    return delimited_table(lines, source.name, source.format, options)


def _texts(lines: Iterator[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        text = line.removesuffix("\n").removesuffix("\r")
        yield Row({"text": text}, f"{name}: line {number}")


def _document(lines: Iterator[str], name: str) -> Iterator[Row]:
    yield Row({"text": "".join(lines)}, name)
