"""The standard streams, which may be closed, full, or replaced by the caller's own."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from leanbert.errors import InputError
from leanbert.shown import shown

__all__ = [
    "Nowhere",
    "complain",
    "forget_stdout",
    "put",
    "require_stdout",
    "standard_streams",
]


class Nowhere(io.TextIOBase):
    """Stands for a stream that is closed; takes everything and keeps nothing."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Forget ``text``."""
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True


@contextmanager
def standard_streams() -> Iterator[None]:
    """Put :class:`Nowhere` in the place of stdout and stderr where they are closed.

    Their descriptors are opened on the null device, so that no file of the command gets the
    number 1 or 2, to which libraries write.
    """
    closed = [name for name in ("stdout", "stderr") if getattr(sys, name) is None]
    if closed and os.name == "posix":
        number = 0
        while number < 3:  # each takes the lowest number that is free
            number = os.open(os.devnull, os.O_RDWR)
        os.close(number)
    for name in closed:
        setattr(sys, name, Nowhere())
    try:
        yield
    finally:
        for name in closed:
            setattr(sys, name, None)


def require_stdout(advice: str) -> None:
    """Check that what a command says can be read by someone.

    Args:
        advice: what to do about it.

    Raises:
        InputError: stdout is closed.
    """
    if isinstance(sys.stdout, Nowhere):
        raise InputError(f"stdout is closed; {advice}")


def complain(line: str) -> None:
    """Write one line to stderr for people, without what a terminal would obey."""
    put(f"leanbert: {shown(' '.join(line.split()))}\n")


def put(text: str) -> None:
    """Write to stderr. If that fails, nobody reads it, and the work goes on."""
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def forget_stdout() -> None:
    """Send what stdout still holds to the null device, after its reader has gone."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
