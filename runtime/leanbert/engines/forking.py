"""What a forked child does with the ONNX Runtime sessions of its parent: it leaves them alone.

The threads of a session stay with the parent, and its locks may have been held at that moment. A
child that ran the session could wait for ever, and so could one that frees it, when it exits. So
the child makes itself a session of its own at the first call, and the other one is never freed.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["Forkable", "leak", "watch_forks"]


class Forkable(Protocol):
    """An engine whose parts must not be used, nor freed, in a forked child."""

    def abandon(self) -> None:
        """Called in the child, before anything else runs there."""


_watched: WeakSet[Any] = WeakSet()


def watch_forks(engine: Forkable) -> None:
    """Have ``engine.abandon`` called in every forked child, as long as the engine lives."""
    _watched.add(engine)


def leak(thing: object) -> None:
    """Keep ``thing`` from ever being freed, at the end of the interpreter, too."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _abandon_all() -> None:
    for engine in list(_watched):
        engine.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
