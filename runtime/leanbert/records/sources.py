"""Where bytes come from: files by name, pipes, and stdin."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from leanbert.errors import InputError
from leanbert.files import own_descriptor
from leanbert.records.names import COMPRESSED, endings_of, format_of, known_endings
from leanbert.records.options import ReadOptions

__all__ = ["Source", "is_stored", "open_source"]


@dataclass(frozen=True)
class Source:
    """An opened file."""

    file: BinaryIO
    name: str
    """As messages call it."""
    format: str
    """One of :data:`leanbert.records.FORMATS`."""
    encoding: str


@contextmanager
def open_source(path: Path | None, options: ReadOptions) -> Iterator[Source]:
    """Open a file, a pipe or a device; ``None`` and ``-`` are stdin.

    A file whose name ends in ``.gz`` or ``.zst`` is decompressed as it is read. A pipe or a device
    whose name says no format has lines of text, as stdin has.

    Raises:
        InputError: it cannot be opened, or nothing says its format.
        MissingExtraError: zstd needs a library that is not installed.
    """
    if path is None or str(path) == "-":
        yield _stdin(options)
        return
    kind = options.format or format_of(path)
    ending, compression = endings_of(path)
    if kind is None and is_stored(path):
        what = f"cannot read {ending} files" if ending else "its name has no ending"
        if compression and not ending:
            what = f"nothing says its format before {compression}"
        raise InputError(
            f"{path}: {what}; use {known_endings()}, or say the format with --input-format"
        )
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    with file:
        content: BinaryIO = file
        if compression:
            from leanbert.records.compressed import decompressed

            content = decompressed(file, str(path), COMPRESSED[compression])
        yield Source(content, str(path), kind or "txt", options.encoding)


def is_stored(path: Path | None) -> bool:
    """Whether ``path`` is a file that can be read twice: no pipe, no device, not stdin."""
    return path is not None and str(path) != "-" and own_descriptor(path) is None and path.is_file()


def _stdin(options: ReadOptions) -> Source:
    if sys.stdin is None:
        raise InputError("stdin is closed; give texts as arguments or with --input")
    kind = options.format or "txt"
    file = getattr(sys.stdin, "buffer", None)
    if file is None:  # the caller put a stream of text in its place
        text = sys.stdin.read().encode("utf-8", "surrogatepass")
        return Source(io.BytesIO(text), "stdin", kind, "utf-8")
    with suppress(OSError, ValueError, AttributeError):  # it is no stream of the system's
        # Not sys.stdin, which the interpreter closes at its end: it aborts if a thread reads it.
        file = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115 - it stays open
    return Source(file, "stdin", kind, options.encoding)
