"""A progress bar on stderr, drawn only where a person watches."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, TextIO

from leanbert.cli.streams import put
from leanbert.shown import shown

__all__ = ["Progress"]

_WIDTH = 24
_EVERY = 0.1  # seconds between drawings
_SOON = 2.0  # seconds of answers before anything is said of the time left


class Progress:
    """Counts towards ``total``, or without end if it is ``None``; a context manager.

    Answers come in bursts, and the first one comes late, after the model was loaded. So the rate
    is counted from the first answer on, and it is shown when it means something.

    Args:
        total: how many there will be.
        unit: what is counted, for example ``"texts"``.
        beside: where results go meanwhile; on the same terminal they are progress enough, and a
            bar would stand between them.
    """

    def __init__(self, total: int | None, unit: str, beside: Any = None) -> None:
        self.total, self._unit = total, unit
        self._done = self._first = 0
        self.failed = 0
        """How many of those that are done have failed."""
        self._label = ""
        self._start = 0.0
        self._drawn = 0.0
        self.shown = _watched(sys.stderr) and not _watched(beside)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.shown:
            return
        if kind is None and self._done and not self._label:
            self._draw()
            put("\n")  # the whole bar stays
        else:
            put("\r\x1b[K")

    def step(self, label: str) -> None:
        """Name the work that begins now."""
        self._label = label
        self._draw()

    def advance(self, count: int = 1) -> None:
        """Count ``count`` more as done."""
        self._done += count
        now = time.monotonic()
        if not self._start:
            self._start, self._first = now, self._done
        if now - self._drawn >= _EVERY:
            self._draw()

    def skip(self, count: int) -> None:
        """Count ``count`` as done by an earlier run."""
        self._done += count

    def _draw(self) -> None:
        if not self.shown:
            return
        self._drawn = time.monotonic()
        parts = [f"{self._done:,} {self._unit}"]
        if self.total:
            full = min(_WIDTH, _WIDTH * self._done // self.total)
            bar = "█" * full + "░" * (_WIDTH - full)
            parts = [f"{bar} {self._done:,}/{self.total:,} {self._unit}"]
        if self._label:
            parts.append(shown(self._label))
        else:
            parts += self._speed()
            if self.failed:
                parts.append(f"{self.failed:,} failed")
        put("\r\x1b[K" + "  ".join(parts))

    def _speed(self) -> list[str]:
        seconds = self._drawn - self._start
        if not self._start or seconds < _SOON:
            return []
        rate = (self._done - self._first) / seconds
        parts = [f"{rate:,.0f}/s"]
        if self.total and rate and self._done < self.total:
            parts.append(f"{(self.total - self._done) / rate:,.0f} s left")
        return parts


def _watched(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()
