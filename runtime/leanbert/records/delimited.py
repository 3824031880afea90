"""Rows of cells: CSV, TSV, and lines of a text and its label."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any

from leanbert.errors import InputError, warn
from leanbert.records.lines import MOST_CHARACTERS
from leanbert.records.model import ReadOptions, Row, Table

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

    Raises:
        InputError: a row cannot be read, or has more cells than there are columns.
    """
    first = next(lines, "")
    delimiter = options.delimiter or ("\t" if kind == "tsv" else _guess(first, options))
    reader = _reader(chain([first] if first else [], lines), delimiter, options)
    header = next(_cells(reader, name), [])
    columns = _distinct(header, name)
    return Table(name, kind, _rows(reader, name, columns, delimiter), columns)


def labelled_table(lines: Iterator[str], name: str, delimiter: str) -> Table:
    """Read lines of a text and its label, parted by the last ``delimiter`` of the line.

    The columns are ``text`` and ``label``; empty lines are skipped.

    Raises:
        InputError: a line has no delimiter.
    """

    def rows() -> Iterator[Row]:
        for number, line in enumerate(lines, 1):
            where = f"{name}: line {number}"
            if not line.strip():
                continue
            text, found, label = line.rpartition(delimiter)
            if not found:
                raise InputError(f"{where}: has no {delimiter!r} between a text and its label")
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


def _cells(reader: Any, name: str) -> Iterator[list[str]]:
    """Each row that has cells."""
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            said = str(error)
            if "new-line character" in said:
                said = "a carriage return stands outside quotes"
            raise InputError(f"{name}: line {reader.line_num}: not valid CSV ({said})") from error
        if cells is None:
            return
        if cells:
            yield cells


def _distinct(header: list[str], name: str) -> tuple[str, ...]:
    columns: list[str] = []
    for column in header:
        distinct, number = column, 2
        while distinct in columns or (distinct != column and distinct in header):
            distinct, number = f"{column}.{number}", number + 1
        if distinct != column:
            warn(
                f"{name}: several columns are named {column!r}; a later one is read as {distinct!r}"
            )
        columns.append(distinct)
    return tuple(columns)


def _rows(reader: Any, name: str, columns: tuple[str, ...], delimiter: str) -> Iterator[Row]:
    for cells in _cells(reader, name):
        where = f"{name}: line {reader.line_num}"
        if len(cells) > len(columns):
            raise InputError(f"{where}: more cells than the header has columns")
        if delimiter == "\t" and any("\t" in cell and "\n" in cell for cell in cells):
            raise InputError(
                f"{where}: a cell in quotes runs over several lines and holds tabs; if quotes are "
                "plain characters in this file, pass --no-quotes"
            )
        yield Row(dict(zip(columns, cells, strict=False)), where)
