"""The calls of the file system that a resumable output is made of.

They stand in one class, so that a test can cut the power between any two of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """Files that are written to their end, and made durable when that is asked for."""

    def open(self, path: Path, *, anew: bool = False) -> int:
        """Open a file for reading and writing, empty if it is not there or begun ``anew``."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        return os.open(path, flags | (os.O_TRUNC if anew else 0), 0o666)

    def write(self, handle: int, data: bytes) -> None:
        """Write all of ``data`` at the file's position."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]

    def truncate(self, handle: int, size: int) -> None:
        """Cut the file to ``size`` bytes, and go to its end."""
        os.ftruncate(handle, size)
        os.lseek(handle, size, os.SEEK_SET)

    def sync(self, handle: int) -> None:
        """Wait until what was written lies on the disk."""
        os.fsync(handle)

    def replace(self, path: Path, target: Path) -> None:
        """Give the file the name ``target``, in one step."""
        path.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names of the folder's files lie on the disk, where systems can do that."""
        with suppress(OSError):  # Windows opens no folders, and some file systems refuse
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
