"""The resident memory of this process, and of those that it started."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def peak_memory() -> float | None:
    """Return the largest resident set so far in MiB, ``None`` if unknown.

    On Linux those of the processes that it started and that still run are added.
    """
    # Linux lets ru_maxrss survive an exec, so a child reports at least its parent's peak; VmHWM
    # begins anew with the program.
    found = _status("VmHWM")
    if found is not None or sys.platform == "win32":
        return found
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def resident_memory() -> float | None:
    """Return the resident set in MiB, with those of its processes; ``None`` if unknown."""
    return _status("VmRSS")


def _status(key: str) -> float | None:
    own = _status_of("self", key)
    return None if own is None else own + sum(_status_of(child, key) or 0 for child in _children())


def _status_of(process: str, key: str) -> float | None:
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def _children() -> Iterator[str]:
    """The processes that this one's threads started and that still run."""
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from file.read_text().split()
