"""What a reader must know of the machine, and whether it was quiet."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from leanbert import __version__
from leanbert.cpu import allowed_cores, cgroup_quota, cpu_name, isa_flags
from leanbert_bench.records import installed

__all__ = ["BusyClock", "describe", "source_commit", "versions"]

PACKAGES = (
    "torch", "torchao", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime",
    "openvino", "nncf", "ctranslate2", "tokenizers", "numpy",
)  # fmt: skip
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_MEMINFO, _STAT = Path("/proc/meminfo"), Path("/proc/stat")


def describe() -> dict[str, Any]:
    """The CPU and how much of it this process may use."""
    return {
        "cpu": cpu_name(),
        "isa_flags": list(isa_flags()),
        "cores_allowed": allowed_cores(),
        "cores_host": os.cpu_count(),
        "quota": cgroup_quota(),
        "governor": _governor(),
        "memory_bytes": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of every package that takes part, if it is installed."""
    found = {name: version for name in PACKAGES if (version := installed(name))}
    return {"leanbert": __version__, **found}


def source_commit() -> str | None:
    """The commit that these sources stand at, ``-dirty`` if they differ; ``None`` outside git."""
    here = str(Path(__file__).parent)
    try:
        inside = _git(here, "ls-files", "--error-unmatch", __file__)
        if inside is None:
            return None
        commit = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except OSError:
        return None
    return f"{commit}-dirty" if commit and changed else commit


def _git(folder: str, *arguments: str) -> str | None:
    done = subprocess.run(
        ["git", "-C", folder, *arguments],  # noqa: S607 - the user's git
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _governor() -> str | None:
    try:
        return _GOVERNOR.read_text().strip()
    except OSError:
        return None


def _memory() -> int | None:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


class BusyClock:
    """How many cores of the whole machine are busy while we are idle; Linux only."""

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat

    def cores_busy(self, seconds: float = 0.3) -> float | None:
        """Cores that did work during the next ``seconds``; ``None`` where it cannot be read.

        Sleeps meanwhile, so what it finds is others' work, or a worker of ours that spins.
        """
        before = self._read()
        time.sleep(seconds)
        after = self._read()
        if before is None or after is None:
            return None
        total, idle = after[0] - before[0], after[1] - before[1]
        if total <= 0:
            return None
        return (total - idle) / total * (os.cpu_count() or 1)

    def _read(self) -> tuple[int, int] | None:
        """Ticks of all CPUs together, and those of them that were idle or waited for a disk."""
        try:
            fields = self._stat.read_text().split("\n", 1)[0].split()[1:9]
        except OSError:
            return None
        ticks = [int(field) for field in fields]
        return sum(ticks), ticks[3] + ticks[4]
