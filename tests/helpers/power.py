"""A disk whose power can be cut: it keeps what was synced, and of the rest whatever it likes."""

from __future__ import annotations

import os
import random
from pathlib import Path

from leanbert.cli.disk import Disk


class PowerCut(BaseException):
    """The power is off; nothing more is done."""


class FallibleDisk(Disk):
    """A folder's files, of which :meth:`reboot` keeps what was synced.

    Args:
        folder: the only folder.
        calls: that are made before the power is cut; ``None`` never cuts it.
    """

    def __init__(self, folder: Path, calls: int | None = None) -> None:
        self.folder = folder
        self.calls = 0
        self._left = calls
        self._held: list[int] = []  # so that no number of a file is given to another
        self._paths: dict[int, int] = {}  # the file of each handle
        self._contents: dict[int, bytes] = {}  # what is synced of each file
        self._untouched: dict[int, int] = {}  # bytes of that which were never cut off since
        self._current: dict[int, int] = {}  # a handle for each file
        self._names: dict[str, int] = {}  # what is synced of the folder
        self._changes: list[tuple[str, int | None]] = []  # since then
        for path in folder.iterdir():
            handle = os.open(path, os.O_RDWR)
            file = self._known(handle)
            self._contents[file] = self._read(handle)
            self._names[path.name] = file
            os.close(handle)

    def _known(self, handle: int) -> int:
        file = os.fstat(handle).st_ino
        if file not in self._current:
            kept = os.dup(handle)
            self._held.append(kept)
            self._current[file] = kept
        return file

    @staticmethod
    def _read(handle: int) -> bytes:
        return os.pread(handle, 1 << 24, 0)

    def _spend(self) -> None:
        self.calls += 1
        if self._left is not None and self.calls > self._left:
            raise PowerCut

    def open(self, path: Path, *, anew: bool = False) -> int:
        self._spend()
        there = path.exists()
        handle = super().open(path, anew=anew)
        file = self._known(handle)
        self._contents.setdefault(file, b"")
        if anew:
            self._untouched[file] = 0
        if not there:
            self._changes.append((path.name, file))
        return handle

    def write(self, handle: int, data: bytes) -> None:
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self._spend()
            super().write(handle, part)

    def truncate(self, handle: int, size: int) -> None:
        self._spend()
        super().truncate(handle, size)
        file = os.fstat(handle).st_ino
        self._untouched[file] = min(size, self._untouched.get(file, size))

    def sync(self, handle: int) -> None:
        self._spend()
        file = os.fstat(handle).st_ino
        self._contents[file] = self._read(handle)
        self._untouched.pop(file, None)

    def replace(self, path: Path, target: Path) -> None:
        self._spend()
        file = path.stat().st_ino
        super().replace(path, target)
        self._changes.append((f"{path.name}\0{target.name}", file))

    def remove(self, path: Path) -> None:
        self._spend()
        if path.exists():
            super().remove(path)
            self._changes.append((path.name, None))

    def sync_folder(self, folder: Path) -> None:
        self._spend()
        for change in self._changes:
            self._apply(change)
        self._changes.clear()

    def _apply(self, change: tuple[str, int | None]) -> None:
        name, file = change
        name, moved, target = name.partition("\0")
        if moved:
            self._names.pop(name, None)
            name = target
        if file is None:
            self._names.pop(name, None)
        else:
            self._names[name] = file

    def reboot(self, chance: random.Random) -> None:
        """Leave in the folder what the disk kept: all that was synced, and some of the rest."""
        for change in self._changes:
            if chance.random() < 0.5:
                self._apply(change)
        kept = {name: self._kept(file, chance) for name, file in self._names.items()}
        for path in self.folder.iterdir():
            path.unlink()
        for name, content in kept.items():
            (self.folder / name).write_bytes(content)
        self.close()

    def _kept(self, file: int, chance: random.Random) -> bytes:
        synced, current = self._contents[file], self._read(self._current[file])
        if current == synced:
            return synced
        kept = synced[: self._untouched.get(file, len(synced))]
        tail = current[len(kept) :]
        tail = tail[: chance.randint(0, len(tail))]
        return chance.choice(
            [synced, kept + tail, kept + bytes(len(tail)), kept + tail + b"\0" * 7]
        )

    def close(self) -> None:
        """Let go of all files."""
        while self._held:
            os.close(self._held.pop())
