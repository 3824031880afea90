"""One call on a thread of its own, while the caller does something else.

This is for native code, which lets Python run on: hashing a file, packing weights.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Aside"]

R = TypeVar("R")


class Aside(Generic[R]):
    """Begins ``call`` on a thread.

    Args:
        call: takes nothing.
        name: of the thread, as debuggers show it.
    """

    def __init__(self, call: Callable[[], R], name: str) -> None:
        self._results: list[R] = []
        self._failures: list[BaseException] = []

        def run() -> None:
            try:
                self._results.append(call())
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                self._failures.append(error)

        self._thread = threading.Thread(target=run, name=name, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end of the call, whatever it comes to."""
        self._thread.join()

    def result(self) -> R:
        """Wait for the call; return what it returned, or raise what it raised."""
        self.wait()
        if self._failures:
            raise self._failures[0]
        return self._results[0]
