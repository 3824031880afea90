"""Run Python with the sources of another checkout, for the studies that compare two trees."""

from __future__ import annotations

import os
from pathlib import Path

from leanbert.errors import InputError

SOURCES_FIRST = """
import sys
# An editable install would put its own sources before those of PYTHONPATH.
sys.meta_path[:] = [f for f in sys.meta_path if "importlib" in str(getattr(f, "__module__", ""))]
"""
"""What a child process runs first, so that it imports the sources that PYTHONPATH names."""


def python_path(tree: Path, *folders: str) -> str:
    """The ``PYTHONPATH`` of the sources in some folders of a checkout.

    Args:
        tree: the root of the checkout.
        folders: by their names in it.

    Raises:
        InputError: one of them is missing.
    """
    paths = [tree.resolve() / folder for folder in folders]
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path}: missing; give the root of a checkout")
    return os.pathsep.join(map(str, paths))
