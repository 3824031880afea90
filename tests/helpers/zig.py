"""Where zig is, the compiler for other systems than this one."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

__all__ = ["find_zig"]


def find_zig() -> Path | None:
    """The program: in the folder ``LEANBERT_ZIG``, in the package ``ziglang``, or on the PATH."""
    package = find_spec("ziglang")
    inside = package.submodule_search_locations if package is not None else None
    folders = [os.environ.get("LEANBERT_ZIG"), *(inside or ())]
    for folder in filter(None, folders):
        found = shutil.which("zig", path=folder)
        if found is not None:
            return Path(found)
    found = shutil.which("zig")
    return None if found is None else Path(found)
