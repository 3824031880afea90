"""Texts for ``leanbert predict``: arguments, stdin and files, as a lazy stream."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from leanbert.errors import InputError, MissingExtraError

__all__ = ["Record", "count_lines", "read_records"]

_SUFFIXES = (".txt", ".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class Record:
    """One input: the text, its pair if any, and the row it came in."""

    text: str
    text_pair: str | None = None
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def model_input(self) -> str | dict[str, str]:
        """What a pipeline takes."""
        if self.text_pair is None:
            return self.text
        return {"text": self.text, "text_pair": self.text_pair}

    def column(self, name: str, flag: str) -> str:
        """Another text of the row.

        Raises:
            InputError: the row has none of this name.
        """
        if not isinstance(self.row.get(name), str):
            raise InputError(
                f"no text under {name!r}, as {flag} asks; the row has "
                f"{', '.join(map(str, self.row)) or 'no columns'}"
            )
        return str(self.row[name])


def read_records(
    texts: Sequence[str],
    path: Path | None,
    *,
    encoding: str = "utf-8",
    text_column: str = "text",
    text_pair_column: str | None = None,
    whole: bool = False,
) -> Iterator[Record]:
    """Yield the command's inputs in order: its arguments, else the file, else stdin.

    In a ``.txt`` file and on stdin each line is a text, an empty one too, so that answers and
    lines keep their numbers; with ``whole`` they are one text. Other files have a text a row.

    Raises:
        InputError: a file is missing, of an unknown kind, or a line cannot be read.
    """
    try:
        "".encode(encoding)  # knows text encodings only
    except (LookupError, UnicodeError) as error:
        raise InputError(f"--encoding {encoding}: Python knows no such text encoding") from error
    if texts:
        for text in texts:
            yield Record(text)
        return
    suffix = "" if path is None else path.suffix.lower()
    with _open(path) as (file, name):
        if suffix == ".parquet":
            rows = _parquet_rows(file, name)
        elif suffix == ".csv":
            rows = _csv_rows(file, name, encoding)
        elif suffix == ".jsonl":
            rows = _json_rows(_lines(file, name, encoding))
        elif whole:
            yield Record("".join(line for line, _ in _lines(file, name, encoding)))
            return
        else:
            for line, _ in _lines(file, name, encoding):
                yield Record(line.rstrip("\r\n"))
            return
        for row, where in rows:
            pair = _column(row, text_pair_column, where) if text_pair_column else None
            yield Record(_column(row, text_column, where), pair, row)


def _lines(file: BinaryIO, name: str, encoding: str) -> Iterator[tuple[str, str]]:
    """Each line with its end, and what to call it."""
    lines: Iterable[bytes | str] = file
    if "\n".encode(encoding) != b"\n":  # UTF-16 and its like: bytes do not show the lines
        lines = io.TextIOWrapper(file, encoding=encoding, newline="\n")
    for number, line in enumerate(_readable(lines, name), 1):
        where = f"{name}: line {number}"
        try:
            text = line.decode(encoding) if isinstance(line, bytes) else line
        except UnicodeDecodeError as error:
            raise InputError(
                f"{where}: not valid {encoding} ({error.reason}); pass --encoding, "
                "for example --encoding latin-1"
            ) from error
        if number == 1:
            text = text.removeprefix("\ufeff")  # the mark that some editors put first
        yield text, where


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _readable(lines: Iterable[bytes | str], name: str) -> Iterator[bytes | str]:
    try:
        yield from lines
    except UnicodeError as error:
        raise InputError(f"{name}: not in the encoding that --encoding says ({error})") from error


def _json_rows(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[dict[str, Any], str]]:
    for line, where in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not valid JSON ({error})") from error
        if not isinstance(row, dict):
            raise InputError(f"{where}: expected a JSON object, got {type(row).__name__}")
        yield row, where


def _csv_rows(file: BinaryIO, name: str, encoding: str) -> Iterator[tuple[dict[str, Any], str]]:
    reader = csv.DictReader((line for line, _ in _lines(file, name, encoding)), strict=True)
    csv.field_size_limit(1 << 27)  # documents are longer than the 128 KiB of its default
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{name}: line {reader.line_num}: not valid CSV ({error})") from error
        if row is None:
            return
        where = f"{name}: line {reader.line_num}"
        if None in row:
            raise InputError(f"{where}: more cells than the header has columns")
        yield {key: value for key, value in row.items() if value is not None}, where


def _parquet_rows(file: BinaryIO, name: str) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: reading .parquet needs pyarrow; install it with: pip install pyarrow"
        ) from error
    try:
        number = 0
        for batch in ParquetFile(file).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield row, f"{name}: row {number}"
    except (ArrowException, OSError) as error:
        raise InputError(f"{name}: not a Parquet file ({str(error).splitlines()[0]})") from error


def _column(row: dict[str, Any], name: str, where: str) -> str:
    if not isinstance(row.get(name), str):
        raise InputError(
            f"{where}: no text under {name!r}; it has {', '.join(map(str, row)) or 'nothing'}"
            " (pass --text-column)"
        )
    return str(row[name])


@contextmanager
def _open(path: Path | None) -> Iterator[tuple[BinaryIO, str]]:
    if path is None or str(path) == "-":
        if sys.stdin is None:
            raise InputError("stdin is closed; give texts as arguments or with --input")
        yield sys.stdin.buffer, "stdin"
        return
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            f"{path}: cannot read {path.suffix or 'this'} files; use "
            f"{', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}"
        )
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    with file:
        yield file, str(path)


def count_lines(path: Path | None) -> int | None:
    """Lines of a regular file, for the progress bar; ``None`` for a pipe."""
    if path is None or not path.is_file():
        return None
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
