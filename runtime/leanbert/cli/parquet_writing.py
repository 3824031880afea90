"""The writer of Parquet files, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from leanbert.cli.answers import Answers
from leanbert.cli.cells import exact_cell
from leanbert.cli.inputs import Record
from leanbert.cli.writing import Columns, Writer
from leanbert.errors import InputError, MissingExtraError

__all__ = ["ParquetWriter"]

_CHUNK = 8192  # rows that are written at once
_TYPES = {"score": "float64", "start": "int64", "end": "int64", "token": "int64",
          "corpus_id": "int64", "document": "int64", "embedding": None}  # fmt: skip
"""Types of the answers' columns; ``None`` follows the first rows, others are text."""


class ParquetWriter(Writer):
    """A Parquet file with the columns of CSV, which keep their types.

    A column's type is the one that a Parquet input declares, else that of its first rows.

    Args:
        show: what the task's answers look like.
        file: where to write.
        path: what messages call it.
        columns: the columns.
        schema: the Arrow schema of the input, if it is Parquet, too.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(
        self, show: Answers, file: BinaryIO, path: Path, columns: Columns, schema: Any = None
    ) -> None:
        super().__init__(show)
        try:
            import pyarrow  # noqa: ICN001 - it is no name of this module's
            from pyarrow import parquet
        except ImportError as error:
            raise MissingExtraError(
                f"{path}: writing .parquet needs pyarrow; install it with: "
                'pip install "leanbert[bulk]"'
            ) from error
        self._arrow, self._parquet = pyarrow, parquet
        self._file, self._path, self._columns, self._declared = file, path, columns, schema
        self._writer: Any = None
        self._schema: Any = None
        self._rows: list[list[Any]] = []

    def write(self, record: Record, answer: Any) -> None:
        """See :class:`leanbert.cli.writing.Writer`."""
        before = self._columns.of(record)
        self._rows += [[*before, *row] for row in self.rows(record, answer)]
        if len(self._rows) >= _CHUNK:
            self._flush()

    def finish(self) -> None:
        """Write the last rows and the footer."""
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer, which would complain when it is collected."""
        if self._writer is not None:
            with suppress(OSError, ValueError):
                self._writer.close()

    def _flush(self) -> None:
        names = self._columns.names
        values = [[row[i] for row in self._rows] for i in range(len(names))]
        self._rows = []
        if self._writer is None:
            fields = zip(names, self._types(values), strict=True)
            self._schema = self._arrow.schema(list(fields))
            self._writer = self._parquet.ParquetWriter(self._file, self._schema)
        arrays = [
            self._array(column, field.type, field.name)
            for column, field in zip(values, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def _types(self, values: Sequence[list[Any]]) -> list[Any]:
        """A type for each column, from what is known and from the first rows."""
        names, own = self._columns.names, self._columns.own
        answers = [*self.show.columns, *self.show.label_columns]
        first = len(names) - len(answers) - len(own)
        types = [self._arrow.int64()] * first
        for name, column in zip(own, values[first:], strict=False):
            declared = None if self._declared is None else self._declared.field(name).type
            types.append(declared or self._found(column))
        for i, name in enumerate(answers):
            label = i >= len(self.show.columns)
            known = "float64" if label else _TYPES.get(name, "string")
            column = values[first + len(own) + i]
            types.append(
                self._found(column) if known is None else self._arrow.type_for_alias(known)
            )
        return types

    def _found(self, column: list[Any]) -> Any:
        """The type of these values; text for nothing, and where they have several."""
        try:
            kind = self._arrow.array(column).type
        except (self._arrow.ArrowException, OverflowError):
            return self._arrow.string()
        return self._arrow.string() if self._arrow.types.is_null(kind) else kind

    def _array(self, column: list[Any], kind: Any, name: str) -> Any:
        if self._arrow.types.is_string(kind):
            column = [None if value is None else str(exact_cell(value)) for value in column]
        try:
            return self._arrow.array(column, type=kind)
        except (self._arrow.ArrowException, OverflowError) as error:
            raise InputError(
                f"{self._path}: the column {name!r} is {kind} in the first rows, and later is not "
                f"({str(error).splitlines()[0]}); write JSON lines (-o NAME.jsonl)"
            ) from error
