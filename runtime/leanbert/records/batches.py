"""Record batches of pyarrow as rows, for Parquet and Arrow files."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from leanbert.errors import InputError, MissingExtraError
from leanbert.records.model import Row
from leanbert.records.repeats import distinct_columns

__all__ = ["arrow_library", "batch_rows", "named_apart", "not_a_file", "seekable", "unified"]

_HELD = 64 << 20  # bytes of a pipe that are kept in memory


def arrow_library(name: str, ending: str) -> Any:
    """The module pyarrow.

    Args:
        name: what messages call the file.
        ending: of its name.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: ICN001 - it is no name of this module's
    except ImportError as error:
        raise MissingExtraError(
            f'{name}: reading {ending} needs pyarrow; install it with: pip install "leanbert[bulk]"'
        ) from error
    return pyarrow


def seekable(file: BinaryIO) -> BinaryIO:
    """``file``, or a copy of what is left of it where it is a pipe or compressed."""
    if file.seekable():
        return file
    copy = tempfile.SpooledTemporaryFile(_HELD)  # noqa: SIM115 - closed with its last reader
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return io.BufferedReader(_Raw(copy))


class _Raw(io.RawIOBase):
    """A spooled file, which says of itself that it can be sought only from Python 3.11 on."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return int(self._file.tell())

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def named_apart(schema: Any, name: str) -> Any:
    """The schema with a name of its own for each column; a warning says which got another."""
    columns = distinct_columns(schema.names, name)
    if list(columns) == schema.names:
        return schema
    import pyarrow  # noqa: ICN001 - it is no name of this module's

    fields = [field.with_name(column) for field, column in zip(schema, columns, strict=True)]
    return pyarrow.schema(fields, metadata=schema.metadata)


def unified(schemas: Sequence[Any], name: str) -> Any:
    """One schema for the rows of several files.

    Args:
        schemas: of the files; numbers of several widths get the widest.
        name: what messages call the files.

    Raises:
        InputError: two give a column types that do not go together.
    """
    import pyarrow  # noqa: ICN001 - it is no name of this module's

    try:
        if len(schemas) == 1:
            return schemas[0]
        return pyarrow.unify_schemas(schemas, promote_options="permissive")
    except pyarrow.ArrowException as error:
        raise InputError(
            f"{name} and the other files: {str(error).splitlines()[0]}; write one output for each "
            "(-o FOLDER)"
        ) from error


def batch_rows(batches: Iterable[Any], columns: tuple[str, ...], name: str) -> Iterator[Row]:
    """Yield the rows of record batches, whose columns get the names ``columns``.

    Raises:
        InputError: a batch cannot be read.
    """
    from pyarrow import ArrowException

    number = 0
    try:
        for batch in batches:
            cells = [_values(column) for column in batch.columns]
            for row in zip(*cells, strict=True) if cells else [()] * batch.num_rows:
                number += 1
                yield Row(dict(zip(columns, row, strict=True)), f"{name}: row {number}")
    except (ArrowException, OSError) as error:
        raise not_a_file(name, "readable to its end", error) from error


def not_a_file(name: str, what: str, error: Exception) -> InputError:
    """The error of a file that is not what its name says."""
    return InputError(f"{name}: not {what} ({str(error).splitlines()[0]})")


def _values(column: Any) -> list[Any]:
    """The values of a column; moments finer than Python's become their text."""
    try:
        found: list[Any] = column.to_pylist()
    except ValueError:  # nanoseconds, which Python has no type for
        import pyarrow  # noqa: ICN001 - it is no name of this module's

        found = column.cast(pyarrow.string()).to_pylist()
    return found
