"""How many cores this process may use, and what they can do.

A container with a quota of two cores on a host of 64 must start two threads, not 64
(huggingface/text-embeddings-inference#405): affinity and the cgroup's quota count, not the host.
"""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_SELF_CGROUP = Path("/proc/self/cgroup")
_CPUINFO = Path("/proc/cpuinfo")

# The instruction sets that int8 kernels choose by, as Linux names them.
_ISA_FLAGS: tuple[str, ...] = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
)
_ISA_FLAGS += ("asimd", "asimddp", "i8mm", "bf16", "sve")


def allowed_cores() -> int:
    """The cores that one call computes on where the user names no number of threads.

    It is the smallest of these, and at least 1:

    - the cores of the process's affinity mask, or, where the system refuses to tell it (as some
      sandboxes do) or has none, all cores of the machine;
    - the CPU quota of the process's cgroup, to the nearest whole number. At 1.5 cores two threads,
      which the kernel then stops for a part of each period, answered 691 texts per second, one
      answered 623; nearer to a whole number the stops cost more than the share is worth;
    - the environment variable ``OMP_NUM_THREADS``. Frameworks that start several worker processes
      set it (Ray, joblib, torchrun), since each with all cores slows the others: two processes of
      two threads on two cores answered 446 texts per second, of one thread each 866. ``threads=``
      in the call goes before it.
    """
    counts = [_affinity()]
    quota = cgroup_quota()
    if quota is not None:
        counts.append(int(quota + 0.5))
    wanted = omp_num_threads()
    if wanted is not None:
        counts.append(wanted)
    return max(1, min(counts))


def omp_num_threads() -> int | None:
    """The value of ``OMP_NUM_THREADS``, of its first level; ``None`` where it says no number."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdecimal() and int(first) > 0 else None


def _affinity() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not Linux, or refused
        return os.cpu_count() or 1


def cgroup_quota(root: Path = _CGROUP, membership: Path = _SELF_CGROUP) -> float | None:
    """The tightest CPU quota in cores that this process's cgroup or an ancestor sets.

    Reads ``cpu.max`` (v2) and ``cpu.cfs_quota_us`` / ``cpu.cfs_period_us`` (v1), as described in
    the kernel's Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst. ``None``
    where no quota is set or none can be read.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    found = [_v2_quota(root / "cpu.max"), _v1_quota(root / "cpu")]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        parts = Path(group.lstrip("/")).parts
        for depth in range(len(parts), 0, -1):
            if not controllers:
                found.append(_v2_quota(root.joinpath(*parts[:depth], "cpu.max")))
            elif "cpu" in controllers.split(","):
                found.append(_v1_quota(root.joinpath("cpu", *parts[:depth])))
    return min((quota for quota in found if quota), default=None)


def _v2_quota(path: Path) -> float | None:
    try:
        quota, period = path.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _v1_quota(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


@cache
def isa_flags() -> tuple[str, ...]:
    """The instruction sets of this CPU that matter here; empty where they cannot be read."""
    try:
        text = _CPUINFO.read_text()
    except OSError:
        return ()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            have = set(value.split())
            return tuple(flag for flag in _ISA_FLAGS if flag in have)
    return ()


@cache
def cpu_name() -> str:
    """The processor's marketing name, or what the platform knows of it."""
    try:
        for line in _CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
