"""The resident memory of this process."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> float | None:
    """Return the largest resident set of this process so far in MiB, ``None`` if unknown."""
    # Linux lets ru_maxrss survive an exec, so a child reports at least its parent's peak; VmHWM
    # begins anew with the program.
    found = _status("VmHWM")
    if found is not None or sys.platform == "win32":
        return found
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def resident_memory() -> float | None:
    """Return the resident set of this process in MiB, ``None`` if unknown."""
    return _status("VmRSS")


def _status(key: str) -> float | None:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None
