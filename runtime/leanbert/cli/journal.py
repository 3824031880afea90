"""The journal beside a partial output: what was begun, and how much of it is surely on the disk.

It is a text file. Its first line says what was begun; each further one is written after everything
that it speaks of lies on the disk. A line begins with the checksum of the rest, so that one which
was cut by a crash is not taken for whole: it, and what follows it, does not count.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanbert.cli.disk import Disk
from leanbert.errors import InputError

__all__ = ["Journal"]

_LOCKED_BYTE = 1 << 40  # Windows locks bytes; nobody reads this one


class Journal:
    """An opened journal, which no other process opens meanwhile.

    Args:
        path: of the file, which is made if it is not there.
        disk: makes the calls.

    Raises:
        InputError: another process has it open.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self.records: list[dict[str, Any]] = []
        """The lines that counted when it was opened: what was begun, and each state after that."""
        self._handle = _open_locked(path, disk)
        self._size = 0
        for line in self._content().splitlines(keepends=True):
            record = _parsed(line)
            if record is None:
                break
            self.records.append(record)
            self._size += len(line)

    def _content(self) -> bytes:
        data = b""
        try:
            while block := os.read(self._handle, 1 << 20):
                data += block
        except BaseException:
            self.close()
            raise
        return data

    def clear(self) -> None:
        """Forget all lines, durably."""
        self.records.clear()
        self._size = 0
        self._disk.truncate(self._handle, 0)
        self._disk.sync(self._handle)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line, and wait until it lies on the disk."""
        body = json.dumps(record, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        self._disk.truncate(self._handle, self._size)  # a line that was cut by a crash
        self._disk.write(self._handle, line)
        self._disk.sync(self._handle)
        self._size += len(line)

    def close(self) -> None:
        """Let others open it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def remove(self) -> None:
        """Close and remove it."""
        self.close()  # first: Windows removes no open file
        self._disk.remove(self.path)


def _parsed(line: bytes) -> dict[str, Any] | None:
    mark, _, body = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or mark != b"%08x" % zlib.crc32(body):
        return None
    found = json.loads(body)
    return found if isinstance(found, dict) else None


def _open_locked(path: Path, disk: Disk) -> int:
    while True:
        handle = disk.open(path)
        try:
            _lock(handle, path)
        except BaseException:
            os.close(handle)
            raise
        if _is_at(handle, path):
            return handle
        os.close(handle)  # the process that had locked it removed it meanwhile


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int, path: Path) -> None:
    try:
        if os.name == "nt":
            _lock_windows(handle)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        output = path.name.removesuffix(".partial.journal")
        raise InputError(
            f"{path.with_name(output)}: another process writes it at this moment"
        ) from error
    except OSError:
        return  # a file system without locks


def _lock_windows(handle: int) -> None:
    from importlib import import_module

    msvcrt = import_module("msvcrt")
    os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
    msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    os.lseek(handle, 0, os.SEEK_SET)
