"""Records of files: the one reader of the command, the export and the benchmark.

A file becomes a :class:`Table` of :class:`Row`, read lazily and in order. What a file is follows
from its name (see :data:`SUFFIXES`) or from :class:`ReadOptions`:

* ``txt``: each line is a text, an empty line too. With a delimiter a line is a text and its label,
  as Financial PhraseBank writes them (``text@label``).
* ``csv`` and ``tsv``: the first row names the columns.
* ``jsonl``: each line is a JSON object; empty lines are skipped.
* ``parquet``: needs pyarrow, which is not installed with LeanBERT.

Every reader refuses what it cannot read whole: one :class:`~leanbert.errors.InputError` says the
file, the line, and what to do.
"""

from __future__ import annotations

from leanbert.records.model import FORMATS, SUFFIXES, ReadOptions, Row, Table
from leanbert.records.reading import Survey, open_table, read_rows, survey

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "ReadOptions",
    "Row",
    "Survey",
    "Table",
    "open_table",
    "read_rows",
    "survey",
]
