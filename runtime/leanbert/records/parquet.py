"""Parquet files, where pyarrow is installed."""

from __future__ import annotations

from typing import BinaryIO

from leanbert.records.batches import arrow_library, batch_rows, named_apart, not_a_file, seekable
from leanbert.records.table import Table

__all__ = ["parquet_table"]


def parquet_table(file: BinaryIO, name: str) -> Table:
    """Read a Parquet file; values keep their types.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: it is not a Parquet file.
    """
    library = arrow_library(name, ".parquet")
    from pyarrow.parquet import ParquetFile

    try:
        opened = ParquetFile(seekable(file))
    except (library.ArrowException, OSError) as error:
        raise not_a_file(name, "a Parquet file", error) from error
    schema = named_apart(opened.schema_arrow, name)
    columns = tuple(schema.names)
    rows = batch_rows(opened.iter_batches(), columns, name)
    return Table(name, "parquet", rows, columns, schema, int(opened.metadata.num_rows))
