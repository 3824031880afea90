"""Files that only grow, and know the hash of what they hold."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from leanbert.cli.disk import Disk

__all__ = ["Appended", "Extent", "extent_of", "hashed", "new_hash"]

Extent = tuple[int, str]
"""The bytes of a file, and their hash."""

_BUFFER = 1 << 18  # bytes that are held before they are written
_BLOCK = 1 << 20  # bytes per read


def new_hash() -> Any:
    """The hash of all files and rows: fast, and nobody finds two contents that share it."""
    return hashlib.blake2b(digest_size=16)


class Appended:
    """A file that is appended to.

    Args:
        disk: makes the calls.
        path: of the file.
        size: bytes that are kept of what it holds; the rest is cut off.
        known: the hash of these bytes, where they were just read; ``None`` reads them.
    """

    def __init__(self, disk: Disk, path: Path, size: int = 0, known: Any = None) -> None:
        self.path = path
        self._disk = disk
        self._handle = disk.open(path, anew=size == 0)
        self._size = size
        self._held: list[bytes] = []
        self._held_size = 0
        try:
            self._hash = _hash_of(self._handle, size) if known is None else known
            if size:
                disk.truncate(self._handle, size)
        except BaseException:
            self.close()
            raise

    @property
    def extent(self) -> Extent:
        """What it holds, with what is not written yet."""
        return self._size, self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Append ``data``.

        Raises:
            OSError: the disk is full; it names the file.
        """
        self._size += len(data)
        self._hash.update(data)
        self._held.append(data)
        self._held_size += len(data)
        if self._held_size >= _BUFFER:
            self._flush()
        return len(data)

    def sync(self) -> None:
        """Write what is held, and wait until all of it lies on the disk."""
        self._flush()
        self._disk.sync(self._handle)

    def close(self) -> None:
        """Close the file. What is still held is dropped."""
        self._held.clear()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _flush(self) -> None:
        data = b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        if data:
            self._disk.write(self._handle, data)


def extent_of(path: Path, size: int | None = None) -> Extent | None:
    """What the first ``size`` bytes of a file hold, or all of them; ``None`` if it has fewer."""
    found = hashed(path, size)
    return None if found is None else (found[0], found[1].hexdigest())


def hashed(path: Path, size: int | None = None) -> tuple[int, Any] | None:
    """The same, with the hash itself, to which more bytes may be added."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(handle).st_size
        if size is not None and found < size:
            return None
        size = found if size is None else size
        return size, _hash_of(handle, size)
    finally:
        os.close(handle)


def _hash_of(handle: int, size: int) -> Any:
    found = new_hash()
    while size:
        data = os.read(handle, min(_BLOCK, size))
        if not data:
            break
        found.update(data)
        size -= len(data)
    return found
