"""Parquet files, where pyarrow is installed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from leanbert.errors import InputError, MissingExtraError
from leanbert.records.model import Row, Table

__all__ = ["count_parquet", "parquet_table"]


def parquet_table(file: BinaryIO, name: str) -> Table:
    """Read a Parquet file; values keep their types.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: it is not a Parquet file.
    """
    opened = _opened(file, name)
    schema = opened.schema_arrow
    return Table(name, "parquet", _rows(opened, name), tuple(schema.names), schema)


def count_parquet(file: BinaryIO, name: str) -> int:
    """The number of rows, from the file's footer.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: it is not a Parquet file.
    """
    return int(_opened(file, name).metadata.num_rows)


def _opened(file: BinaryIO, name: str) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: reading .parquet needs pyarrow; install it with: pip install pyarrow"
        ) from error
    if not file.seekable():  # a pipe: its footer comes last
        file = io.BytesIO(file.read())
    try:
        return ParquetFile(file)
    except (ArrowException, OSError) as error:
        raise _broken(name, error) from error


def _rows(opened: Any, name: str) -> Iterator[Row]:
    from pyarrow import ArrowException

    number = 0
    try:
        for batch in opened.iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield Row(values, f"{name}: row {number}")
    except (ArrowException, OSError) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> InputError:
    return InputError(f"{name}: not a Parquet file ({str(error).splitlines()[0]})")
