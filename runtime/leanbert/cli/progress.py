"""A progress bar on stderr, drawn only where a person watches."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

_WIDTH = 24
_EVERY = 0.1  # seconds between drawings


class Progress:
    """Counts towards ``total``, or without end if it is ``None``; a context manager.

    Args:
        total: how many there will be.
        unit: what is counted, for example ``"texts"``.
        beside: where results go meanwhile; on the same terminal they are progress enough, and a
            bar would stand between them.
    """

    def __init__(self, total: int | None, unit: str, beside: TextIO | None = None) -> None:
        self.total, self._unit = total, unit
        self._done = 0
        self._label = ""
        self._start = time.monotonic()
        self._drawn = 0.0
        watched = sys.stderr is not None and sys.stderr.isatty()
        self.shown = watched and not (beside is not None and beside.isatty())

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")  # the bar goes, results stay
            sys.stderr.flush()

    def step(self, label: str) -> None:
        """Name the work that begins now."""
        self._label = label
        self._draw()

    def advance(self, count: int = 1) -> None:
        """Count ``count`` more as done."""
        self._done += count
        if time.monotonic() - self._drawn >= _EVERY:
            self._draw()

    def _draw(self) -> None:
        if not self.shown:
            return
        self._drawn = time.monotonic()
        seconds = self._drawn - self._start
        rate = self._done / seconds if seconds > 0 else 0.0
        if self.total:
            full = round(_WIDTH * self._done / self.total)
            bar = "█" * full + "░" * (_WIDTH - full)
            left = (self.total - self._done) / rate if rate else 0.0
            text = f"{bar} {self._done}/{self.total} {self._unit}"
            text += f"  {self._label}" if self._label else f"  {rate:,.0f}/s  {left:,.0f} s left"
        else:
            text = f"{self._done} {self._unit}  {rate:,.0f}/s"
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
