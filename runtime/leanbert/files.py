"""Where results go: files that appear whole or not at all, and streams that are written through."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

__all__ = [
    "name_full_disk",
    "own_descriptor",
    "whole_binary_file",
    "whole_directory",
    "whole_file",
]

_DESCRIPTORS = re.compile(r"/dev/fd|/proc/(\d+)(?:/task/\d+)?/fd")
_MOST_LINKS = 40  # as many as Linux follows
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def whole_file(path: Path, *, errors: str = "strict") -> Iterator[TextIO]:
    """A UTF-8 text file that takes its name when the block ends well, and else vanishes.

    A link stays a link, and a file that is replaced keeps its permissions. A pipe, a device and
    an open file of this process (``/dev/stdout``, ``/dev/fd/63``) are written through.

    Raises:
        OSError: the directory is missing or not writable, or the disk is full; it names ``path``.
    """
    with (
        name_full_disk(path),
        _descriptor(path) as handle,
        os.fdopen(handle, "w", encoding="utf-8", errors=errors, newline="\n") as file,
    ):
        yield file


@contextmanager
def whole_binary_file(path: Path) -> Iterator[BinaryIO]:
    """The same as :func:`whole_file` for bytes."""
    with name_full_disk(path), _descriptor(path) as handle, os.fdopen(handle, "wb") as file:
        yield file


@contextmanager
def whole_directory(path: Path, check: Callable[[], None]) -> Iterator[Path]:
    """A new directory, which takes the name ``path`` if the block ends well, and else vanishes.

    Args:
        path: what is there already is replaced.
        check: raises if what is at ``path`` must stay; it is called at once and at the end, since
            another process may have put something there meanwhile.

    Raises:
        OSError: the directory cannot be made; it names ``path``.
    """
    import shutil  # late: the first answer needs no directory
    import tempfile

    check()
    parent = path.absolute().parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=parent))
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        fresh, old = work / "new", work / "old"
        fresh.mkdir()
        yield fresh
        check()
        if path.exists():
            path.rename(old)
        try:
            fresh.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not path.exists():
            with suppress(OSError):  # another process may use them by now
                for folder in made:
                    folder.rmdir()


@contextmanager
def name_full_disk(path: Path | str) -> Iterator[None]:
    """Put ``path`` into the error of a write that failed, which by itself names no file."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            error.filename = str(path)
        raise


def own_descriptor(path: Path) -> int | None:
    """The number of the open file of this process that ``path`` names, as ``/dev/stdout`` does."""
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        found = _DESCRIPTORS.fullmatch(folder)
        if found is not None and path.name.isdecimal():
            return int(path.name) if found[1] in (None, str(os.getpid())) else None
        if not path.is_symlink():
            return None
        path = Path(folder, os.readlink(path))  # noqa: PTH115 - as it is written, unresolved
    return None


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    """A descriptor to write to, which the block closes."""
    number = own_descriptor(path)
    if number is not None:
        if sys.stdout is not None:
            sys.stdout.flush()  # what was written before comes before
        try:
            handle = os.dup(number)
        except OSError as error:
            error.filename = str(path)
            raise
        yield handle
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():  # a device or a pipe
        yield os.open(path, os.O_WRONLY)
        return
    target = path.resolve()
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    import tempfile  # late: most commands write no file

    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    partial = Path(name)
    try:
        yield handle
        partial.chmod(mode)  # mkstemp makes it ours alone
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
