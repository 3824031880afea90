"""How rows lie in a partial file, so that a run can go on at a cut between two of them.

Text can be cut after any row. gzip can be cut between its members, and a member ends after about
256 KiB of text. Parquet cannot be cut at all, as its footer comes last; so its rows lie in the
partial file as an Arrow stream, which can be cut between its batches, and the Parquet file is made
of it at the end. Where members and batches end depends on the rows alone, so an output is the same
byte for byte however often its run was interrupted.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

from leanbert.cli.answers import Answers
from leanbert.cli.appended import Appended
from leanbert.cli.parquet_writing import ArrowWriter
from leanbert.cli.writing import Columns

__all__ = ["StagedParquet", "StagedText"]

_MEMBER = 1 << 18  # characters of a gzip member
_GZIP = 31  # zlib's number for gzip's header and checksum
_LEVEL = 6


class StagedText:
    """Text in UTF-8, as it is or in gzip members.

    Args:
        file: where it goes.
        gzipped: whether it is compressed.
    """

    def __init__(self, file: Appended, *, gzipped: bool) -> None:
        self._file, self._gzipped = file, gzipped
        self._member: Any = None
        self._length = 0

    def write(self, text: str, /) -> None:
        """Append ``text``; what has no UTF-8 becomes a question mark."""
        data = text.encode("utf-8", "replace")
        if self._gzipped:
            if self._member is None:
                self._member, self._length = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP), 0
            self._length += len(data)
            data = self._member.compress(data)
        self._file.write(data)

    def isatty(self) -> bool:
        """It is a file."""
        return False

    @property
    def cut_anywhere(self) -> bool:
        """Whether a run can go on after each row."""
        return not self._gzipped

    @property
    def at_cut(self) -> bool:
        """Whether a run can go on after what was written so far."""
        return self._member is None

    def end_row(self) -> None:
        """Say that all of a row was written."""
        if self._member is not None and self._length >= _MEMBER:
            self._end_member()

    def finish(self) -> None:
        """Write what is left. An empty gzip file has one empty member."""
        if self._gzipped and (self._member is not None or not self._file.extent[0]):
            if self._member is None:
                self.write("")
            self._end_member()

    def _end_member(self) -> None:
        self._file.write(self._member.flush())
        self._member = None


class StagedParquet(ArrowWriter):
    """Rows as an Arrow stream, of which :meth:`build` makes the Parquet file.

    Args:
        show: what the task's answers look like.
        file: where it goes.
        path: what messages call the output.
        columns: the columns.
        declared: the Arrow schema of the input, if it has one.
    """

    def __init__(
        self, show: Answers, file: Appended, path: Path, columns: Columns, declared: Any = None
    ) -> None:
        super().__init__(show, path, columns, declared)
        self._file = file
        if file.extent[0]:
            with file.path.open("rb") as begun:
                self.schema = self._final(self.arrow.ipc.open_stream(begun).schema)

    def begin(self) -> None:
        """Write the schema."""
        self._file.write(self._plain(self.schema).serialize().to_pybytes())

    def write_batch(self, batch: Any) -> None:
        """Write a batch."""
        plain = [column.cast(field.type) for column, field in zip(
            batch.columns, self._plain(self.schema), strict=True)]  # fmt: skip
        staged = self.arrow.RecordBatch.from_arrays(plain, schema=self._plain(self.schema))
        self._file.write(staged.serialize().to_pybytes())

    cut_anywhere = False

    @property
    def at_cut(self) -> bool:
        """Whether a run can go on after what was written so far."""
        return not self.pending

    def end_row(self) -> None:
        """Nothing is left to do: full batches are written."""

    def build(self, staged: Path, whole: Appended) -> None:
        """Write the Parquet file, a row group for each batch."""
        from pyarrow.parquet import ParquetWriter

        with staged.open("rb") as source, _Sink(whole) as sink:
            stream = self.arrow.ipc.open_stream(source)
            schema = self._final(stream.schema)
            with ParquetWriter(sink, schema) as writer:
                for batch in stream:
                    columns = [
                        column.dictionary_encode().cast(field.type)
                        if self.arrow.types.is_dictionary(field.type)
                        else column
                        for column, field in zip(batch.columns, schema, strict=True)
                    ]
                    writer.write_batch(self.arrow.RecordBatch.from_arrays(columns, schema=schema))

    def _plain(self, schema: Any) -> Any:
        """The schema without dictionaries, which an Arrow stream writes apart from its batches."""
        types = self.arrow.types
        return self.arrow.schema(
            [
                field.with_type(field.type.value_type) if types.is_dictionary(field.type) else field
                for field in schema
            ]
        )

    def _final(self, staged: Any) -> Any:
        """The schema of a partial file with the dictionaries that the input declares."""
        if self._declared is None:
            return staged
        fields = []
        for field in staged:
            index = self._declared.get_field_index(field.name)
            declared = None if index < 0 else self._declared.field(index).type
            if self.arrow.types.is_dictionary(declared or field.type):
                field = field.with_type(declared)
            fields.append(field)
        return self.arrow.schema(fields)


class _Sink(io.RawIOBase):
    """A file for pyarrow that appends."""

    def __init__(self, file: Appended) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.extent[0]

    def write(self, data: Any) -> int:
        return self._file.write(bytes(data))
