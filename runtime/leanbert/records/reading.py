"""Open a file as a table, whatever its format, and look through it beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leanbert.records.lines import read_lines, shows_bytes, undecodable
from leanbert.records.model import Row
from leanbert.records.options import ReadOptions
from leanbert.records.sources import Source, is_stored, open_source
from leanbert.records.table import Table

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
        InputError: it cannot be opened or read, now or when its rows are drawn. A single row that
            cannot be read is raised unless ``options.bad_rows`` wants it as it is.
        MissingExtraError: its format needs a library that is not installed.
    """
    options = options or ReadOptions()
    with open_source(path, options) as source:
        table = _table(source, options)
        if not options.bad_rows:
            table.rows = _checked(table.rows)
        yield table


def read_rows(path: Path | None, options: ReadOptions | None = None) -> Iterator[Row]:
    """Yield the rows of a file lazily; see :func:`open_table`."""
    with open_table(path, options) as table:
        yield from table.rows


def survey(path: Path | None, options: ReadOptions | None = None) -> Survey | None:
    """Count the rows of a stored file and list its columns; ``None`` for a pipe and stdin.

    Raises:
        InputError: it cannot be read to its end. Rows with a problem count, too.
        MissingExtraError: its format needs a library that is not installed.
    """
    if not is_stored(path):
        return None
    options = options or ReadOptions()
    with open_source(path, options) as source:
        table = _table(source, options)
        if table.count is not None:
            return Survey(table.count, table.columns or ())
        count = 0
        columns = dict.fromkeys(table.columns or ())
        for row in table.rows:
            count += 1
            if table.columns is None:
                columns.update(dict.fromkeys(row.values))
        return Survey(count, tuple(columns))


def _table(source: Source, options: ReadOptions) -> Table:
    """The table of a source; each format's reader is imported where it is needed."""
    if source.format == "parquet":
        from leanbert.records.parquet import parquet_table

        return parquet_table(source.file, source.name)
    if source.format == "arrow":
        from leanbert.records.arrow import arrow_table

        return arrow_table(source.file, source.name)
    lines = read_lines(source.file, source.name, source.encoding, keep_bytes=options.bad_rows)
    if source.format == "jsonl":
        from leanbert.records.jsonl import json_table

        return json_table(lines, source.name, options)
    if source.format == "txt" and options.delimiter is None:
        rows = _document if options.whole else _texts
        return Table(source.name, "txt", rows(lines, source.name, options), ("text",))
    from leanbert.records.delimited import delimited_table, labelled_table

    if source.format == "txt":
        return labelled_table(lines, source.name, options)
    return delimited_table(lines, source.name, source.format, options)


def _checked(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        row.check()
        yield row


def _texts(lines: Iterator[str], name: str, options: ReadOptions) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        yield _text(line.removesuffix("\n").removesuffix("\r"), f"{name}: line {number}", options)


def _document(lines: Iterator[str], name: str, options: ReadOptions) -> Iterator[Row]:
    yield _text("".join(lines), name, options)


def _text(text: str, where: str, options: ReadOptions) -> Row:
    if options.bad_rows and undecodable(text):
        return Row({}, where, f"not valid {options.encoding}", shows_bytes(text))
    return Row({"text": text}, where)
