"""A variable of the environment for as long as a library takes to read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["variable"]


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment inside the block, unless somebody has set it already."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
