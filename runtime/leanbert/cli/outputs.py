"""Where ``leanbert predict`` writes, and in which form: what flags and names ask for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from leanbert.cli.answers import Answers
from leanbert.cli.streams import require_stdout
from leanbert.cli.writing import Columns, CsvWriter, JsonWriter, LinesWriter, TableWriter, Writer
from leanbert.errors import InputError
from leanbert.files import name_full_disk, own_descriptor, whole_binary_file, whole_file

__all__ = ["check_output", "make_writer", "open_output", "output_form"]

_FORMS = {
    ".csv": "csv",
    ".tsv": "lines",
    ".txt": "lines",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
"""What a file's name asks for; a name without an ending asks for nothing."""


def check_output(path: Path | None) -> None:
    """Refuse an output that cannot be written, before anything is computed.

    Raises:
        InputError: it is a directory, or in none that exists, or stdout is closed.
    """
    if path is None:
        require_stdout("name a file with -o")
    elif path.is_dir():
        raise InputError(f"{path}: is a directory; -o names the file to write")
    elif own_descriptor(path) is None and not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such directory")


def output_form(path: Path | None, asked: str | None, task: str) -> str | None:
    """``"csv"``, ``"lines"``, ``"json"``, ``"table"`` or ``"parquet"``.

    Args:
        path: of the output; ``None`` is stdout.
        asked: the form that a flag asks for.
        task: embeddings are JSON where nothing asks for another form.

    Returns:
        ``None`` if it depends on who reads: a table for a terminal, lines for all others.

    Raises:
        InputError: no form belongs to the name's ending, or a flag contradicts it.
    """
    ending = "" if path is None else path.suffix.lower()
    form = _FORMS.get(ending)
    if asked is not None:
        if form == "parquet":
            raise InputError(f"{path}: --{asked} does not write Parquet; leave it out")
        return asked
    if form is None and ending and path is not None and not _is_stream(path):
        known = ", ".join(list(_FORMS)[:-1])
        raise InputError(
            f"{path}: cannot write {ending} files; use {known} or {list(_FORMS)[-1]}, or say the "
            "form with --csv or --json"
        )
    return "json" if form is None and task == "feature-extraction" else form


@contextmanager
def open_output(path: Path | None, form: str | None) -> Iterator[TextIO | BinaryIO]:
    """Stdout, a stream that is written through, or a file that appears whole or not at all.

    It takes bytes for ``"parquet"``, and else text.
    """
    if path is None:
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:  # a program's own stream stays as it is
            reconfigure(encoding="utf-8", errors="replace")
        with name_full_disk("stdout"):
            yield sys.stdout
    elif form == "parquet":
        with whole_binary_file(path) as file:
            yield file
    else:
        with whole_file(path, errors="replace") as text:
            yield text


def make_writer(
    form: str | None,
    out: TextIO | BinaryIO,
    path: Path | None,
    show: Answers,
    columns: Columns,
    *,
    known: Sequence[str] = (),
    schema: Any = None,
) -> Writer:
    """The writer of a form.

    Args:
        form: as :func:`output_form` gives it.
        out: as :func:`open_output` gives it.
        path: what messages call it.
        show: what the task's answers look like.
        columns: of CSV and Parquet.
        known: the keys of all inputs, as far as they are known.
        schema: the Arrow schema of the input, if it has one.

    Raises:
        MissingExtraError: pyarrow is needed and not installed.
    """
    if form == "parquet":
        from leanbert.cli.parquet_writing import ParquetWriter

        return ParquetWriter(show, cast(BinaryIO, out), Path(str(path)), columns, schema)
    text = cast(TextIO, out)
    if form == "csv":
        return CsvWriter(show, text, columns)
    if form == "json":
        return JsonWriter(show, text, known)
    if form == "table" or (form is None and text.isatty()):
        return TableWriter(show, text)
    return LinesWriter(show, text)


def _is_stream(path: Path) -> bool:
    return own_descriptor(path) is not None or (path.exists() and not path.is_file())
