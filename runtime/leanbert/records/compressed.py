"""Files compressed with gzip or zstd, read as if they were not."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from leanbert.errors import InputError, MissingExtraError

__all__ = ["decompressed"]

_BUFFER = 1 << 20  # bytes


def decompressed(file: BinaryIO, name: str, compression: str) -> BinaryIO:
    """The content of a compressed file, decompressed as it is read.

    Args:
        file: of one or several gzip members or zstd frames.
        name: what messages call it.
        compression: ``"gzip"`` or ``"zstd"``.

    Raises:
        MissingExtraError: zstd is in neither this Python nor pyarrow, which is not installed.
        InputError: at a read, if the file is damaged, cut short or not compressed so.
    """
    opened = _zstd(file, name) if compression == "zstd" else _gzip(file)
    return io.BufferedReader(_Checked(*opened, name=name, compression=compression), _BUFFER)


class _Checked(io.RawIOBase):
    """Reads a decompressor, and says whose content is at fault."""

    def __init__(
        self, read: Callable[[int], bytes], faults: tuple[type[Exception], ...], *,
        name: str, compression: str,
    ) -> None:  # fmt: skip
        self._read, self._faults = read, faults
        self._said = f"{name}: cannot be decompressed with {compression}; is it damaged or cut off?"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._read(len(buffer))
        except self._faults as error:
            raise InputError(f"{self._said} ({error})") from error
        buffer[: len(data)] = data
        return len(data)


def _gzip(file: BinaryIO) -> tuple[Callable[[int], bytes], tuple[type[Exception], ...]]:
    return gzip.GzipFile(fileobj=file, mode="rb").read, (EOFError, OSError, zlib.error)


def _zstd(file: BinaryIO, name: str) -> tuple[Callable[[int], bytes], tuple[type[Exception], ...]]:
    try:
        zstd = import_module("compression.zstd")  # from Python 3.14 on
    except ImportError:
        return _arrow_zstd(file, name)
    return zstd.ZstdFile(file).read, (EOFError, OSError, zstd.ZstdError)


def _arrow_zstd(
    file: BinaryIO, name: str
) -> tuple[Callable[[int], bytes], tuple[type[Exception], ...]]:
    try:
        import pyarrow  # noqa: ICN001 - it is no name of this module's
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: reading .zst needs pyarrow or Python 3.14; install it with: "
            'pip install "leanbert[bulk]"'
        ) from error
    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(file, mode="r"), "zstd")
    return stream.read, (pyarrow.ArrowException, OSError)
