"""Where ``leanbert predict`` writes, and in which form: what flags and names ask for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from leanbert.cli.answers import Answers
from leanbert.cli.inputs import Record
from leanbert.cli.streams import require_stdout
from leanbert.cli.writing import (
    Columns,
    CsvWriter,
    JsonWriter,
    LinesWriter,
    TableWriter,
    TextOut,
    Writer,
)
from leanbert.errors import InputError
from leanbert.files import name_full_disk, own_descriptor, whole_binary_file, whole_file
from leanbert.records.names import endings_of
from leanbert.shown import listed

__all__ = [
    "check_columns",
    "check_output",
    "is_gzipped",
    "is_resumable",
    "make_directory",
    "make_writer",
    "open_output",
    "output_form",
]

_FORMS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "lines",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".html": "html",
}
"""What a file's name asks for; a name without an ending asks for nothing."""


KEYED = frozenset({"csv", "tsv", "json", "parquet"})
"""Forms that have the input's columns."""


def check_columns(form: str | None, chosen: Sequence[str] | None) -> None:
    """Refuse ``--columns`` of a form that has none of the input's columns.

    Args:
        form: as :func:`output_form` gives it.
        chosen: the columns that the command line names; ``None`` if it names none.

    Raises:
        InputError: the form is lines or a table.
    """
    if chosen is not None and form not in KEYED:
        raise InputError(
            "--columns is for CSV, JSON lines and Parquet; add --csv or --json, or name such a "
            "file with -o"
        )


def check_output(path: Path | None) -> None:
    """Refuse an output that cannot be written, before anything is computed.

    Raises:
        InputError: it is a directory, or in none that exists, or stdout is closed.
    """
    if path is None:
        require_stdout("name a file with -o")
    elif path.is_dir():
        raise InputError(f"{path}: is a directory; name the file to write")
    elif own_descriptor(path) is None and not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such directory")


def make_directory(path: Path) -> None:
    """Make a directory for outputs, with those above it; what is there already stays.

    Raises:
        InputError: the path, or what should hold it, is a file.
        OSError: the directory cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        places = (place for place in (path, *path.parents) if place.exists() and not place.is_dir())
        raise InputError(
            f"{next(places, path)}: is a file; name a directory for the outputs"
        ) from error


def output_form(path: Path | None, asked: str | None, task: str) -> str | None:
    """``"csv"``, ``"tsv"``, ``"lines"``, ``"json"``, ``"table"``, ``"html"`` or ``"parquet"``.

    Args:
        path: of the output; ``None`` is stdout.
        asked: the form that a flag asks for.
        task: embeddings are JSON where nothing asks for another form.

    Returns:
        ``None`` if it depends on who reads: a table for a terminal, lines for all others.

    Raises:
        InputError: no form belongs to the name's ending, or a flag contradicts it.
    """
    ending, compression = ("", "") if path is None else endings_of(path)
    form = _FORMS.get(ending)
    if compression and path is not None and not _is_written_through(path):
        if compression != ".gz":
            raise InputError(
                f"{path}: cannot write {compression} files; use .gz, or no compression"
            )
        if form == "parquet":
            raise InputError(f"{path}: Parquet is compressed by itself; leave {compression} out")
    if asked is not None:
        if form == "parquet":
            raise InputError(f"{path}: --{asked} does not write Parquet; leave it out")
        return asked
    if form is None and ending and path is not None and not _is_written_through(path):
        raise InputError(
            f"{path}: cannot write {ending} files; use {listed(list(_FORMS))}, all but .parquet "
            "also with .gz, or say the form with --csv or --json"
        )
    return "json" if form is None and task == "feature-extraction" else form


def is_gzipped(path: Path | None) -> bool:
    """Whether the name of an output asks for gzip."""
    return path is not None and endings_of(path)[1] == ".gz"


def is_resumable(path: Path | None, asked: str | None = None) -> bool:
    """Whether an output is a file that can be written in parts: no stream, no device, no page.

    Args:
        path: of the output; ``None`` is stdout.
        asked: the form that a flag asks for.
    """
    if path is None or _is_written_through(path):
        return False
    return (asked or _FORMS.get(endings_of(path)[0])) != "html"


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
    elif is_gzipped(path) and not _is_written_through(path):
        import gzip  # late: few outputs are compressed
        import io

        with (
            whole_binary_file(path) as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
            io.TextIOWrapper(packed, "utf-8", errors="replace", newline="\n") as text,
        ):
            yield text
    else:
        with whole_file(path, errors="replace") as text:
            yield text


def make_writer(
    form: str | None,
    out: TextOut | BinaryIO,
    path: Path | None,
    show: Answers,
    columns: Columns,
    *,
    chosen: Sequence[str] | None = None,
    schema: Any = None,
    begun: bool = False,
    given: Callable[[Record], Any] | None = None,
) -> Writer:
    """The writer of a form.

    Args:
        form: as :func:`output_form` gives it.
        out: as :func:`open_output` gives it.
        path: what messages call it.
        show: what the task's answers look like.
        columns: of CSV and Parquet, and the keys of all inputs as far as they are known.
        chosen: the only columns of the input to write; ``None`` for all.
        schema: the Arrow schema of the input, if it has one.
        begun: whether ``out`` holds rows already, so that no header is to be written.
        given: makes what the pipeline takes of a record, for a page.

    Raises:
        MissingExtraError: pyarrow is needed and not installed.
    """
    if form == "parquet":
        from leanbert.cli.parquet_writing import ParquetWriter

        return ParquetWriter(show, cast(BinaryIO, out), Path(str(path)), columns, schema)
    text = cast(TextOut, out)
    if form == "html":
        from leanbert.cli.page_writing import PageWriter

        return PageWriter(show, text, path, given)
    if form in {"csv", "tsv"}:
        delimiter = "," if form == "csv" else "\t"
        return CsvWriter(show, text, columns, delimiter=delimiter, begun=begun)
    if form == "json":
        return JsonWriter(show, text, columns.known or (), chosen)
    if form == "table" or (form is None and text.isatty()):
        return TableWriter(show, text)
    return LinesWriter(show, text)


def _is_written_through(path: Path) -> bool:
    return own_descriptor(path) is not None or (path.exists() and not path.is_file())
