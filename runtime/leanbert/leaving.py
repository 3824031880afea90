"""The end of the interpreter, while daemon threads still compute.

Python ends a daemon thread when it comes back from native code into an interpreter that is being
taken down. Where the native code is C++ or Rust, that aborts the process ("terminate called without
an active exception"). So before the interpreter is taken down, calls into native code are waited
for, and threads that would begin another one are held. What cannot be helped: a call that takes
longer than :data:`PATIENCE`, and threads that other libraries hold in native code.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

__all__ = ["PATIENCE", "hold_if_leaving", "when_leaving"]

PATIENCE = 10.0
"""Seconds that the end of the interpreter waits for calls into native code."""

# Where a thread stands while it is in native code, or in the few lines around that.
_NATIVE = ("leanbert.engines", "leanbert.tokenization", "onnxruntime")

_leaving = False
_callbacks: list[Callable[[], object]] = []


def hold_if_leaving() -> None:
    """Keep a thread that would call native code until the process has ended, once it is about to.

    Not the main thread: it is the one that ends, and may still be asked by others' exit handlers.
    """
    if _leaving and threading.current_thread() is not threading.main_thread():
        threading.Event().wait()


def when_leaving(callback: Callable[[], object]) -> None:
    """Have ``callback`` called when the interpreter is about to end, before threads are held."""
    _callbacks.append(callback)


@atexit.register
def _leave() -> None:
    global _leaving
    for callback in _callbacks:
        callback()
    _leaving = True
    deadline = time.monotonic() + PATIENCE
    while any(map(_is_native, _other_threads())) and time.monotonic() < deadline:
        time.sleep(0.001)  # lets them run on


def _other_threads() -> list[FrameType]:
    """Where every other thread stands."""
    own = threading.get_ident()
    return [frame for thread, frame in sys._current_frames().items() if thread != own]


def _is_native(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(_NATIVE)
