"""Whether other processes keep the machine busy while the back ends wait."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")


def cores_busy(seconds: float = 0.3, stat: Path = _STAT) -> float | None:
    """Measure how many cores of the whole machine work during the next ``seconds``.

    This process sleeps meanwhile, so what is found is the work of other processes.

    Args:
        seconds: how long to watch.
        stat: Linux's ``/proc/stat``.

    Returns:
        A number of cores, or ``None`` where ``stat`` cannot be read.
    """
    before = _ticks(stat)
    time.sleep(seconds)
    after = _ticks(stat)
    if before is None or after is None:
        return None
    total, idle = after[0] - before[0], after[1] - before[1]
    return (total - idle) / total * (os.cpu_count() or 1) if total > 0 else None


def _ticks(stat: Path) -> tuple[int, int] | None:
    """Ticks of all CPUs together, and how many of them were idle or waited for a disk."""
    try:
        fields = stat.read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    ticks = [int(field) for field in fields]
    return sum(ticks), ticks[3] + ticks[4]
