"""Records of files: the one reader of the command, the export and the benchmark.

A file becomes a :class:`Table` of :class:`Row`, read lazily and in order. What a file is follows
from its name (see :data:`SUFFIXES`) or from :class:`ReadOptions`:

* ``txt``: each line is a text, an empty line too. With a delimiter a line is a text and its label,
  as Financial PhraseBank writes them (``text@label``).
* ``csv`` and ``tsv``: the first row names the columns.
* ``jsonl``: each line is a JSON object; empty lines are skipped.
* ``parquet`` and ``arrow`` (``.arrow``, ``.feather``): need pyarrow, the extra ``bulk``.

Each may be compressed (:data:`COMPRESSED`): a further ending ``.gz`` or ``.zst`` says so.

What a reader cannot read costs one row, or one :class:`~leanbert.errors.InputError` that says the
file, the line, and what to do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leanbert.records.model import Row
from leanbert.records.names import COMPRESSED, FORMATS, SUFFIXES

if TYPE_CHECKING:
    from leanbert.records.finding import Found, find_files
    from leanbert.records.options import ReadOptions
    from leanbert.records.reading import Survey, open_table, read_rows, survey
    from leanbert.records.table import Table

__all__ = [
    "COMPRESSED",
    "FORMATS",
    "SUFFIXES",
    "Found",
    "ReadOptions",
    "Row",
    "Survey",
    "Table",
    "find_files",
    "open_table",
    "read_rows",
    "survey",
]

# Resolved on first use, so that a command which reads no file does not wait for the readers.
_HOME = {
    "Found": "finding",
    "ReadOptions": "options",
    "Survey": "reading",
    "Table": "table",
    "find_files": "finding",
    "open_table": "reading",
    "read_rows": "reading",
    "survey": "reading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"leanbert.records.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
