"""Say what a run does now: on a terminal in one line that is overwritten, else in a few lines."""

from __future__ import annotations

import sys
import time

from leanbert.cli.streams import put
from leanbert.shown import shown

_EVERY = 5.0  # seconds between lines where no terminal shows them


class Ticker:
    """Shows the time of a run and the step that it is at.

    Args:
        begin: :func:`time.monotonic` when it began.
        expected: seconds that it is expected to take; ``None`` if that is unknown.
    """

    def __init__(self, begin: float, expected: float | None) -> None:
        self._begin = begin
        self._expected = expected
        self._tty = sys.stderr.isatty()
        self._said = -_EVERY

    def expect(self, seconds: float) -> None:
        """Set the seconds that the whole run is expected to take."""
        self._expected = seconds

    def say(self, line: str) -> None:
        """Show the step that begins now; warnings and failures stay on the screen."""
        elapsed = time.monotonic() - self._begin
        left = ""
        if self._expected and elapsed < self._expected:
            left = f", about {duration(self._expected - elapsed)} left"
        clock = f"[{duration(elapsed)}{left}]"
        lasting = line.startswith("warning:") or "failed:" in line or "timed out:" in line
        if not self._tty and not lasting and elapsed - self._said < _EVERY:
            return
        self._said = elapsed
        if self._tty:
            end = "\n" if lasting else ""
            put(f"\r\x1b[K{clock} {shown(line)}{end}")
        else:
            put(f"{clock} {shown(line)}\n")


def duration(seconds: float) -> str:
    """Write seconds for people: ``1 h 05 min``, ``4 min 10 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def say(line: str) -> None:
    """Write a line that stays, beside whatever shows the progress."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    put(f"{clear}leanbert: bench: {shown(line)}\n")
