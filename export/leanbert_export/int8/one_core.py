"""Let numpy's matmuls compute on one core for a while, so that several can run side by side."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = ["matmuls_on_one_core"]

_PREFIXES, _SUFFIXES = ("scipy_openblas", "openblas"), ("64_", "")


@contextmanager
def matmuls_on_one_core() -> Iterator[bool]:
    """Set the threads of numpy's own OpenBLAS to one within the block, for the whole process.

    Gives whether that was possible: numpy may have been built with another library.
    """
    library = _openblas()
    if library is None:
        yield False
        return
    before = _call(library, "get_num_threads")
    _call(library, "set_num_threads", 1)
    try:
        yield True
    finally:
        _call(library, "set_num_threads", before)


def _openblas() -> ctypes.CDLL | None:
    """The library that numpy's wheel brings, which is loaded already."""
    packages = Path(np.__file__).parents[1]
    for folder in (packages / "numpy.libs", packages / "numpy" / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            if _name(library, "set_num_threads") and _name(library, "get_num_threads"):
                return library
    return None


def _name(library: ctypes.CDLL, function: str) -> str | None:
    names = (f"{prefix}_{function}{suffix}" for prefix in _PREFIXES for suffix in _SUFFIXES)
    return next((name for name in names if hasattr(library, name)), None)


def _call(library: ctypes.CDLL, function: str, *numbers: int) -> int:
    return int(getattr(library, str(_name(library, function)))(*numbers))
