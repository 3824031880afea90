"""Rows of cells: CSV, TSV, and lines of a text and its label."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any

from leanbert.errors import InputError
from leanbert.records.lines import MOST_CHARACTERS, shows_bytes, undecodable
from leanbert.records.model import Row
from leanbert.records.options import ReadOptions
from leanbert.records.repeats import distinct_columns
from leanbert.records.table import Table

__all__ = ["delimited_table", "labelled_table"]

_GUESSED = (",", "\t", ";")


def delimited_table(lines: Iterator[str], name: str, kind: str, options: ReadOptions) -> Table:
    """Read CSV or TSV, whose first row names the columns.

    Of columns that share a name the first keeps it; the others get a number, with a warning.

    Args:
        lines: with their ends.
        name: what messages call the file.
        kind: ``"csv"`` or ``"tsv"``.
        options: the delimiter and the quotes.

    A row that cannot be read, or has more cells than there are columns, has a problem.

    Raises:
        InputError: the header cannot be read.
    """
    lines = _Remembered(lines)
    first = next(lines, "")
    delimiter = options.delimiter or ("\t" if kind == "tsv" else _guess(first, options))
    reader = _reader(chain([first] if first else [], lines), delimiter, options)
    header, problem = next(_cells(reader), ([], None))
    if problem is None and undecodable("".join(header)):
        problem = f"not valid {options.encoding}; pass --encoding, for example --encoding latin-1"
    if problem is not None:
        raise InputError(f"{name}: line {reader.line_num}: {problem}")
    columns = distinct_columns(header, name)
    return Table(name, kind, _rows(reader, lines, name, columns, delimiter, options), columns)


def labelled_table(lines: Iterator[str], name: str, options: ReadOptions) -> Table:
    """Read lines of a text and its label, parted by the last ``options.delimiter`` of the line.

    The columns are ``text`` and ``label``; empty lines are skipped. A line without the delimiter
    has a problem.
    """
    delimiter = str(options.delimiter)

    def rows() -> Iterator[Row]:
        for number, line in enumerate(lines, 1):
            where = f"{name}: line {number}"
            if not line.strip():
                continue
            text, found, label = line.rpartition(delimiter)
            problem = None
            if undecodable(line):
                problem = f"not valid {options.encoding}"
            elif not found:
                problem = f"has no {delimiter!r} between a text and its label"
            if problem is not None:
                yield Row({}, where, problem, shows_bytes(line))
            else:
                yield Row({"text": text, "label": label.strip()}, where)

    return Table(name, "txt", rows(), ("text", "label"))


def _reader(lines: Iterator[str], delimiter: str, options: ReadOptions) -> Any:
    csv.field_size_limit(MOST_CHARACTERS)  # documents are longer than the default of 128 KiB
    if options.quotes:
        return csv.reader(lines, delimiter=delimiter, strict=True)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)


def _guess(header: str, options: ReadOptions) -> str:
    """The delimiter that gives the header most columns, a comma rather than others."""

    def columns(delimiter: str) -> int:
        try:
            return len(next(_reader(iter([header]), delimiter, options), []))
        except csv.Error:  # a header over several lines, or one that only others can read
            return header.count(delimiter)

    return max(_GUESSED, key=columns)


class _Remembered:
    """Lines, with those that were drawn since they were last asked for."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._drawn: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._drawn.append(line)
        return line

    def drawn(self) -> str:
        """The lines of the row that was just read."""
        return "".join(self._drawn)

    def forget(self) -> None:
        """Begin with the next row."""
        self._drawn.clear()


def _cells(reader: Any) -> Iterator[tuple[list[str], str | None]]:
    """Each row that has cells, or the problem of one that cannot be read."""
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            said = str(error)
            if "new-line character" in said:
                said = "a carriage return stands outside quotes"
            yield [], f"not valid CSV ({said})"
            continue
        if cells is None:
            return
        if cells:
            yield cells, None


def _rows(
    reader: Any,
    lines: _Remembered,
    name: str,
    columns: tuple[str, ...],
    delimiter: str,
    options: ReadOptions,
) -> Iterator[Row]:
    lines.forget()
    for cells, unread in _cells(reader):
        where = f"{name}: line {reader.line_num}"
        problem = unread
        if unread is None:
            problem = _problem(cells, columns, delimiter, options)
        if problem is None:
            yield Row(dict(zip(columns, cells, strict=False)), where)
        else:
            yield Row({}, where, problem, shows_bytes(lines.drawn()))
        lines.forget()


def _problem(
    cells: list[str], columns: tuple[str, ...], delimiter: str, options: ReadOptions
) -> str | None:
    if len(cells) > len(columns):
        return "more cells than the header has columns"
    if delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in cells):
        return (
            "a cell in quotes runs over several lines and holds tabs; if quotes are plain "
            "characters in this file, pass --no-quotes"
        )
    if options.bad_rows and any(map(undecodable, cells)):
        return f"not valid {options.encoding}"
    return None
