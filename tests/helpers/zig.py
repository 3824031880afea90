"""Where zig is, the compiler for other systems than this one."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

__all__ = ["find_zig"]


def find_zig() -> Path | None:
    """The program: in the folder ``LEANBERT_ZIG``, in the package ``ziglang``, or on the PATH.

    Raises:
        SystemExit: the variable is set, and there is no zig in that folder.
    """
    given = os.environ.get("LEANBERT_ZIG")
    if given:
        found = shutil.which("zig", path=given)
        if found is None:
            raise SystemExit(f"LEANBERT_ZIG is {given!r}: no folder with the program zig in it")
        return Path(found)
    package = find_spec("ziglang")
    inside = package.submodule_search_locations if package is not None else None
    for folder in inside or ():
        found = shutil.which("zig", path=folder)
        if found is not None:
            return Path(found)
    found = shutil.which("zig")
    return None if found is None else Path(found)
