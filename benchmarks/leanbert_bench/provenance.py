"""What was measured on what: the machine, the versions, the commit and the bundle."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from leanbert import __version__
from leanbert.bundle import MANIFEST, file_sha256
from leanbert.cpu import allowed_cores, cgroup_quota, cpu_name, isa_flags

PACKAGES = (
    "torch", "torchao", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime",
    "openvino", "nncf", "ctranslate2", "tokenizers", "numpy",
)  # fmt: skip
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_MEMINFO = Path("/proc/meminfo")


def describe_machine() -> dict[str, Any]:
    """Describe the CPU and how much of it this process may use."""
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


def describe_study() -> dict[str, Any]:
    """Describe what the JSON file of every study begins with: machine, versions and date."""
    return {
        "machine": describe_machine(),
        "versions": versions(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Return the version of every installed package that takes part in a benchmark."""
    found = {name: version for name in PACKAGES if (version := installed(name))}
    return {"leanbert": __version__, **found}


def installed(package: str) -> str | None:
    """Return the version of a distribution without importing it, or ``None`` if it is absent."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe_bundle(path: Path) -> dict[str, str | None]:
    """Return a bundle's name and its manifest's sha256, ``None`` for an export without one."""
    manifest = path / MANIFEST
    digest = file_sha256(manifest) if manifest.is_file() else None
    return {"name": path.resolve().name, "manifest_sha256": digest}


def source_commit() -> str | None:
    """Return the sources' git commit, with ``-dirty`` if files differ, or ``None`` outside git."""
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
