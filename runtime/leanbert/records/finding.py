"""The files that a command line names: files themselves, patterns such as ``*.csv``, folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leanbert.errors import InputError, warn
from leanbert.files import own_descriptor
from leanbert.records.names import format_of, known_endings
from leanbert.shown import counted

__all__ = ["Found", "find_files"]

_NAMED = 3
"""Files that a warning names at most."""


@dataclass(frozen=True)
class Found:
    """A file to read."""

    path: Path
    """``-`` is stdin."""
    relative: Path
    """Its name, or its path within the folder that was given."""


def find_files(given: Sequence[Path], *, any_ending: bool = False) -> list[Found]:
    """The files that ``given`` names, each once, in the order of ``given`` and then of their names.

    A pattern (``*``, ``?``, ``[…]``, ``**`` for folders within folders) stands for the files that
    it matches, unless a file has just this name. A folder stands for all files in it and in its
    folders whose ending is known; names that begin with ``.`` or ``_`` are left out, as Hadoop and
    Spark do.

    Args:
        given: paths and patterns; ``-`` is stdin.
        any_ending: whether all files of folders are meant, since a flag says their format.

    Raises:
        InputError: a pattern matches nothing, or a folder holds no file that can be read.
    """
    found: dict[str, Found] = {}
    for path in given:
        for file in _files(path, any_ending=any_ending):
            key = str(file.path) if _is_open_already(file.path) else os.path.realpath(file.path)
            if key in found:
                warn(f"{file.path}: is named several times; it is read once")
            else:
                found[key] = file
    return list(found.values())


def _is_open_already(path: Path) -> bool:
    return str(path) == "-" or own_descriptor(path) is not None


def _files(path: Path, *, any_ending: bool) -> Iterator[Found]:
    if glob.has_magic(str(path)) and not path.exists():
        matched = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - of any root
        if not matched:
            raise InputError(f"{path}: no file matches this pattern")
        for name in matched:
            yield from _matched(Path(name), any_ending=any_ending)
    else:
        yield from _matched(path, any_ending=any_ending)


def _matched(path: Path, *, any_ending: bool) -> Iterator[Found]:
    if path.is_dir() and not _is_open_already(path):
        yield from _folder(path, any_ending=any_ending)
    else:
        yield Found(path, Path(path.name))


def _folder(folder: Path, *, any_ending: bool) -> Iterator[Found]:
    left_out: list[str] = []
    count = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith((".", "_")):
                continue
            if any_ending or format_of(path) is not None:
                count += 1
                yield Found(path, path.relative_to(folder))
            else:
                left_out.append(str(path.relative_to(folder)))
    if not count:
        raise InputError(f"{folder}: no file in this folder ends in {known_endings()}")
    if left_out:
        more = ", …" if len(left_out) > _NAMED else ""
        warn(
            f"{folder}: left out {counted(len(left_out), 'file')}, since the ending says no "
            f"format: {', '.join(left_out[:_NAMED])}{more}"
        )
