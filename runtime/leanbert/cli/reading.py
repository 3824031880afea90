"""Texts for ``leanbert predict``: arguments, stdin, .txt and .jsonl files, as a lazy stream."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from leanbert.errors import InputError

__all__ = ["Record", "count_lines", "read_records"]

_SUFFIXES = (".txt", ".jsonl")


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


def read_records(
    texts: Sequence[str],
    path: Path | None,
    *,
    encoding: str = "utf-8",
    text_column: str = "text",
    text_pair_column: str | None = None,
) -> Iterator[Record]:
    """Yield the command's inputs in order: its arguments, else the file, else stdin.

    In a ``.txt`` file and on stdin each line is a text, an empty one too, so that answers and
    lines keep their numbers.

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
    as_json = path is not None and path.suffix.lower() == ".jsonl"
    with _open(path) as (file, name):
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
            if as_json:
                if text.strip():
                    yield _json_record(text, where, text_column, text_pair_column)
            else:
                yield Record(text.rstrip("\r\n"))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _readable(lines: Iterable[bytes | str], name: str) -> Iterator[bytes | str]:
    try:
        yield from lines
    except UnicodeError as error:
        raise InputError(f"{name}: not in the encoding that --encoding says ({error})") from error


def _json_record(line: str, where: str, text_column: str, text_pair_column: str | None) -> Record:
    try:
        row = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error})") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected a JSON object, got {type(row).__name__}")

    def column(name: str) -> str:
        if not isinstance(row.get(name), str):
            raise InputError(
                f"{where}: no text under {name!r}; it has {', '.join(map(str, row)) or 'nothing'}"
                " (pass --text-column)"
            )
        return str(row[name])

    pair = column(text_pair_column) if text_pair_column else None
    return Record(column(text_column), pair, row)


@contextmanager
def _open(path: Path | None) -> Iterator[tuple[BinaryIO, str]]:
    if path is None or str(path) == "-":
        if sys.stdin is None:
            raise InputError("stdin is closed; give texts as arguments or with --input")
        yield sys.stdin.buffer, "stdin"
        return
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: cannot read {path.suffix or 'this'} files; use .txt or .jsonl")
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
