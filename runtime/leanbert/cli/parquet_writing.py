"""Writers of Parquet: answers as record batches of pyarrow, which is the extra ``bulk``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from leanbert.cli.answers import Answers
from leanbert.cli.cells import exact_cell
from leanbert.cli.inputs import Record
from leanbert.cli.writing import Columns, Writer
from leanbert.errors import InputError, MissingExtraError

__all__ = ["ArrowWriter", "ParquetWriter"]

_CHUNK = 8192  # rows that are written at once
_TYPES = {"score": "float64", "start": "int64", "end": "int64", "token": "int64",
          "corpus_id": "int64", "document": "int64", "embedding": None}  # fmt: skip
"""Types of the answers' columns; ``None`` follows the first rows, others are text."""


class ArrowWriter(Writer):
    """Record batches with the columns of CSV, which keep their types.

    A column's type is the one that a Parquet or Arrow input declares, else that of its first rows.

    Args:
        show: what the task's answers look like.
        path: what messages call the output.
        columns: the columns.
        declared: the Arrow schema of the input, if it has one.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, show: Answers, path: Path, columns: Columns, declared: Any = None) -> None:
        super().__init__(show)
        try:
            import pyarrow  # noqa: ICN001 - it is no name of this module's
        except ImportError as error:
            raise MissingExtraError(
                f"{path}: writing .parquet needs pyarrow; install it with: "
                'pip install "leanbert[bulk]"'
            ) from error
        self.arrow = pyarrow
        self.schema: Any = None
        """Of the batches, once it is known."""
        self._path, self._columns, self._declared = path, columns, declared
        self._rows: list[list[Any]] = []

    @abstractmethod
    def begin(self) -> None:
        """Write what precedes the batches, now that :attr:`schema` is known."""

    @abstractmethod
    def write_batch(self, batch: Any) -> None:
        """Write some rows."""

    @property
    def pending(self) -> bool:
        """Whether rows wait for their batch."""
        return bool(self._rows)

    def write(self, record: Record, answer: Any) -> None:
        """See :class:`leanbert.cli.writing.Writer`."""
        before = self._columns.of(record)
        self._rows += [[*before, *row] for row in self.rows(record, answer)]
        if len(self._rows) >= _CHUNK:
            self._flush()

    def finish(self) -> None:
        """Write the last rows."""
        if self._rows or self.schema is None:
            self._flush()

    def _flush(self) -> None:
        names = self._columns.names
        values = [[row[i] for row in self._rows] for i in range(len(names))]
        if self.schema is None:
            fields = zip(names, self._types(values), strict=True)
            self.schema = self.arrow.schema(list(fields))
            self.begin()
        arrays = [
            self._array(column, field.type, field.name)
            for column, field in zip(values, self.schema, strict=True)
        ]
        self.write_batch(self.arrow.RecordBatch.from_arrays(arrays, schema=self.schema))
        self._rows = []

    def _types(self, values: Sequence[list[Any]]) -> list[Any]:
        """A type for each column, from what is known and from the first rows."""
        names, own = self._columns.names, self._columns.own
        answers = [*self.show.columns, *self.show.label_columns]
        first = len(names) - len(answers) - len(own)
        types = [self.arrow.int64()] * first
        for name, column in zip(own, values[first:], strict=False):
            index = -1 if self._declared is None else self._declared.get_field_index(name)
            types.append(self._found(column) if index < 0 else self._declared.field(index).type)
        for i, name in enumerate(answers):
            label = i >= len(self.show.columns)
            known = "float64" if label else _TYPES.get(name, "string")
            column = values[first + len(own) + i]
            types.append(self._found(column) if known is None else self.arrow.type_for_alias(known))
        return types

    def _found(self, column: list[Any]) -> Any:
        """The type of these values; text for nothing, and where they have several."""
        try:
            kind = self.arrow.array(column).type
        except (self.arrow.ArrowException, OverflowError):
            return self.arrow.string()
        return self.arrow.string() if self.arrow.types.is_null(kind) else kind

    def _array(self, column: list[Any], kind: Any, name: str) -> Any:
        types = self.arrow.types
        fine = types.is_temporal(kind) and any(isinstance(value, str) for value in column)
        if types.is_string(kind) or types.is_large_string(kind) or fine:
            column = [None if value is None else str(exact_cell(value)) for value in column]
        try:
            # Moments in nanoseconds were read as text, as Python has no type for them.
            return self.arrow.array(column).cast(kind) if fine else self.arrow.array(column, kind)
        except (self.arrow.ArrowException, OverflowError) as error:
            raise InputError(
                f"{self._path}: the column {name!r} is {kind} in the first rows, and later is not "
                f"({str(error).splitlines()[0]}); write JSON lines (-o NAME.jsonl)"
            ) from error


class ParquetWriter(ArrowWriter):
    """A Parquet file that is written through, to a pipe for example.

    Args:
        show: what the task's answers look like.
        file: where to write.
        path: what messages call it.
        columns: the columns.
        declared: the Arrow schema of the input, if it has one.
    """

    def __init__(
        self, show: Answers, file: BinaryIO, path: Path, columns: Columns, declared: Any = None
    ) -> None:
        super().__init__(show, path, columns, declared)
        self._file = file
        self._writer: Any = None

    def begin(self) -> None:
        """Open the writer."""
        from pyarrow.parquet import ParquetWriter as Opened

        self._writer = Opened(self._file, self.schema)

    def write_batch(self, batch: Any) -> None:
        """Write a row group."""
        self._writer.write_batch(batch)

    def finish(self) -> None:
        """Write the last rows and the footer."""
        super().finish()
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer, which would complain when it is collected."""
        if self._writer is not None:
            with suppress(OSError, ValueError):
                self._writer.close()
