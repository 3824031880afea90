"""What is left of a closed pipeline: every use of it is refused in one line."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from leanbert.errors import EngineError

__all__ = ["Closed", "give_back", "refuse_closed"]


def refuse_closed() -> NoReturn:
    """Refuse a use of a closed pipeline.

    Raises:
        EngineError: always.
    """
    raise EngineError("this pipeline is closed; open another one with leanbert.pipeline(...)")


class Closed:
    """Stands where a part of a pipeline was: whatever is asked of it is refused.

    A call that another thread has begun ends with that line when it comes here.
    """

    def __getattr__(self, name: str) -> Any:
        refuse_closed()


def give_back() -> None:
    """Give the memory that was freed back to the system, where the C library keeps it (glibc).

    After an ONNX Runtime session of the embedded model that was 22 of 93 MiB.
    """
    if sys.platform != "linux":
        return
    import ctypes  # late: a pipeline that is never closed does without

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
