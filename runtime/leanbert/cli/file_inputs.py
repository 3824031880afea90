"""The rows of files, pipes and stdin as the inputs of ``leanbert predict``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from leanbert.cli.inputs import Entry, Failure, Record
from leanbert.errors import InputError
from leanbert.records import Found, ReadOptions, Row, Table, open_table, survey
from leanbert.records.sources import is_stored

__all__ = ["FileInputs"]


class FileInputs(AbstractContextManager["FileInputs"]):
    """The rows of several files, one file after the other.

    All files are opened at first, so that one which cannot be read, or lacks a column, is named
    before anything is computed. Pipes stay open, as they can be opened once only.

    Args:
        found: the files.
        reading: how they are read.
        text_column: the column of the texts; bare lines need no column's name.
        text_pair_column: that of the second texts, if any.

    Raises:
        InputError: a file cannot be opened, or has no such column.
        MissingExtraError: a format needs a library that is not installed.
    """

    def __init__(
        self,
        found: Sequence[Found],
        reading: ReadOptions,
        *,
        text_column: str,
        text_pair_column: str | None = None,
    ) -> None:
        self._found, self._reading = found, reading
        self._text_column, self._pair_column = text_column, text_pair_column
        self._open = ExitStack()
        self._tables: list[Table] = []
        self._pipes: dict[int, Table] = {}
        with ExitStack() as opening:
            opening.push(self._open)
            for number, file in enumerate(found):
                if is_stored(file.path):
                    with open_table(file.path, reading) as table:
                        self._look_at(table)
                else:
                    table = self._open.enter_context(open_table(file.path, reading))
                    self._look_at(table)
                    self._pipes[number] = table
            opening.pop_all()

    def _look_at(self, table: Table) -> None:
        table.require(self._column(table), "--text-column")
        if self._pair_column is not None:
            table.require(self._pair_column, "--text-pair-column")
        self._tables.append(table)

    def _column(self, table: Table) -> str:
        return "text" if table.lines else self._text_column

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def parted_column(self) -> str:
        """The column of the texts in rows that hold their parts."""
        return "text" if all(table.lines for table in self._tables) else self._text_column

    @property
    def live(self) -> bool:
        """Whether some rows come as somebody writes them: from stdin, a pipe, a terminal."""
        return bool(self._pipes)

    @property
    def numbered(self) -> bool:
        """Whether there may be several documents, which a number tells apart."""
        return len(self._tables) > 1 or not self._tables[0].lines

    def schema(self) -> Any:
        """The Arrow schema of all files that have one; ``None`` if none has.

        Raises:
            InputError: two files give a column types that do not go together.
        """
        tables = [table for table in self._tables if table.schema is not None]
        if not tables:
            return None
        from leanbert.records.batches import unified

        return unified([table.schema for table in tables], tables[0].name)

    def known(self, *, keyed: bool, counted: bool) -> tuple[tuple[str, ...] | None, int | None]:
        """The columns and the number of all rows, as far as they can be known beforehand.

        Args:
            keyed: whether the columns are needed, so that reading all files twice is worth it.
            counted: whether the number of rows is.
        """
        columns: dict[str, None] = {}
        declared, total = True, 0 if counted else None
        for number, (file, table) in enumerate(zip(self._found, self._tables, strict=True)):
            names, rows = table.columns, table.count
            if (names is None and keyed) or (rows is None and counted):
                found = None if number in self._pipes else survey(file.path, self._reading)
                names, rows = (names, None) if found is None else (found.columns, found.rows)
            columns.update(dict.fromkeys(names or ()))
            declared = declared and names is not None
            total = None if total is None or rows is None else total + rows
        return tuple(columns) if declared else None, total

    def entries(
        self, given: Callable[[Record], Any], *, tolerant: bool = False
    ) -> Iterator[Entry | Failure]:
        """Yield the rows with what the pipeline takes for them.

        Args:
            given: what the pipeline takes for a record.
            tolerant: whether a row that cannot be used is yielded as a :class:`Failure`.

        Raises:
            InputError: a file cannot be read; or a row cannot be used, if that is not tolerated.
        """
        for number, (row, column) in enumerate(self._rows()):
            try:
                record = Record(row.text(column), self._pair(row), row, number)
                entry: Entry | Failure = Entry(record, given(record))
            except InputError as error:
                if not tolerant:
                    raise
                entry = Failure(row, number, str(error).removeprefix(f"{row.where}: "))
            yield entry

    def _rows(self) -> Iterator[tuple[Row, str]]:
        for number, file in enumerate(self._found):
            pipe = self._pipes.get(number)
            opened = nullcontext(pipe) if pipe is not None else open_table(file.path, self._reading)
            with opened as table:
                column = self._column(table)
                for row in table.rows:
                    yield row, column

    def _pair(self, row: Row) -> str | None:
        if self._pair_column is None:
            return None
        return row.text(self._pair_column, "--text-pair-column")
