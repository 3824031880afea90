"""Arrow files and streams (``.arrow``, ``.feather``), where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from leanbert.errors import InputError
from leanbert.records.batches import arrow_library, batch_rows, named_apart, not_a_file, seekable
from leanbert.records.table import Table

__all__ = ["arrow_table"]

_FILE, _OLD_FEATHER = b"ARROW1", b"FEA1"


def arrow_table(file: BinaryIO, name: str) -> Table:
    """Read an Arrow file or stream; values keep their types.

    Raises:
        MissingExtraError: pyarrow is not installed.
        InputError: it is neither, or Feather's first version.
    """
    library = arrow_library(name, ".arrow and .feather")
    file = seekable(file)
    start = file.read(len(_FILE))
    file.seek(0)
    if start.startswith(_OLD_FEATHER):
        raise InputError(f"{name}: is Feather's first version; write it again with pyarrow")
    try:
        if start == _FILE:
            reader = library.ipc.open_file(file)
            batches: Iterator[Any] = map(reader.get_batch, range(reader.num_record_batches))
        else:
            reader = library.ipc.open_stream(file)
            batches = iter(reader)
    except (library.ArrowException, OSError) as error:
        raise not_a_file(name, "an Arrow file", error) from error
    schema = named_apart(reader.schema, name)
    columns = tuple(schema.names)
    return Table(name, "arrow", batch_rows(batches, columns, name), columns, schema)
