"""Read a file of a model directory: regular files only, up to a size, each failure one line.

A directory from elsewhere may hold a named pipe, a device or a sparse file of many gigabytes in
place of a JSON file. Reading must not wait for a writer, nor fill the memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from leanbert.errors import BundleCorruptError, BundleError, BundleNotFoundError

__all__ = [
    "MOST_GRAPH_BYTES",
    "MOST_JSON_BYTES",
    "file_sha256",
    "open_regular",
    "parse_json",
    "parse_json_value",
    "read_file",
    "read_into",
    "read_json",
    "read_whole",
    "status",
]

MOST_JSON_BYTES = 16 << 20
"""Largest size of a JSON file of a model directory; published ones have up to 5 MB."""

MOST_GRAPH_BYTES = 2 << 30
"""Largest size of an ONNX file: protobuf's own limit."""

_BLOCK = 1 << 20  # bytes that are read and hashed at once: they stay in the cache
# Where the system has them: never wait for the writer of a pipe; Windows must not change bytes.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def status(path: Path) -> os.stat_result | None:
    """What the system says about ``path``; ``None`` if there is nothing.

    Raises:
        BundleError: the system does not say, for example because the name is too long.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BundleError(f"{path}: cannot be looked at ({error.strerror})") from error
    except ValueError as error:  # a name with a null character
        raise BundleError(f"{str(path)!r}: cannot be a path ({error})") from error


@contextmanager
def open_regular(path: Path) -> Iterator[FileIO]:
    """Open ``path`` for reading if it is a regular file.

    Raises:
        BundleNotFoundError: there is no such file.
        BundleCorruptError: it is no regular file, or cannot be opened or read.
    """
    try:
        with FileIO(path, opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BundleCorruptError(f"{path}: is no regular file; copy or export it again")
            yield file
    except FileNotFoundError as error:
        raise BundleNotFoundError(f"{path}: missing; copy or export it again") from error
    except OSError as error:
        raise BundleCorruptError(
            f"{path}: cannot be read ({error.strerror}); allow it, or copy or export it again"
        ) from error


def _open(path: str, _: int) -> int:
    return os.open(path, _FLAGS)


def read_file(path: Path, most: int = MOST_JSON_BYTES) -> bytes:
    """The bytes of a regular file of at most ``most`` bytes.

    Raises:
        BundleNotFoundError: there is no such file.
        BundleCorruptError: it is larger, is no regular file, or cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        parts: list[bytes] = []
        # One byte more than allowed is asked for, since the file may grow while it is read.
        left = most + 1 if size <= most else 0
        while left and (part := file.read(min(left, _BLOCK))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise BundleCorruptError(
            f"{path}: has more than the {most:,} bytes that such a file may have; "
            "copy or export it again"
        )
    return b"".join(parts)


def read_whole(path: Path) -> bytearray:
    """The bytes of a regular file of any size, for weights.

    Raises:
        BundleNotFoundError: there is no such file.
        BundleCorruptError: it is no regular file, cannot be read, or was cut short meanwhile.
    """
    with open_regular(path) as file:
        content = bytearray(os.fstat(file.fileno()).st_size)
        read_into(file, 0, content)
    return content


def read_into(file: FileIO, offset: int, array: Any) -> None:
    """Fill a contiguous array, or a bytearray, with the bytes of ``file`` from ``offset`` on.

    Raises:
        BundleCorruptError: the file ends before, since it was cut short meanwhile.
    """
    at = 0
    view = memoryview(array)  # alone: Nuitka 4.3 cannot compile it in an unpacking
    if view.nbytes == 0:
        return
    view = view.cast("B")
    file.seek(offset)
    while at < len(view) and (size := file.readinto(view[at:])):
        at += size
    if at < len(view):
        raise BundleCorruptError(f"{file.name}: was cut short while it was read; copy it again")


def read_json(path: Path, most: int = MOST_JSON_BYTES) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
        BundleNotFoundError: there is no such file.
        BundleCorruptError: the file is not a JSON object in UTF-8 of at most ``most`` bytes.
    """
    return parse_json(read_file(path, most), path)


def parse_json(data: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in ``data``, the content of ``path``.

    Raises:
        BundleCorruptError: it is not a JSON object in UTF-8.
    """
    content = parse_json_value(data, path)
    if not isinstance(content, dict):
        raise BundleCorruptError(f"{path}: not a JSON object; export it again")
    return content


def parse_json_value(data: bytes, path: Path) -> object:
    """As :func:`parse_json`, of any JSON value."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested too deeply
        raise BundleCorruptError(f"{path}: not valid JSON ({error}); export it again") from error


def file_sha256(path: Path) -> str:
    """The sha256 of a regular file's bytes, in hexadecimal.

    The file is read, not mapped: a mapped file that somebody cuts short meanwhile ends the process.

    Raises:
        BundleNotFoundError: there is no such file.
        BundleCorruptError: it is no regular file, or cannot be read.
    """
    digest = hashlib.sha256()
    block = memoryview(bytearray(_BLOCK))
    with open_regular(path) as file:
        while size := file.readinto(block):
            digest.update(block[:size])  # other threads run meanwhile
    return digest.hexdigest()
