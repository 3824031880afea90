"""What the measurements beside ``leanbert bench`` record of the machine and of a bundle."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from typing import TYPE_CHECKING, Any

from leanbert import __version__
from leanbert.bundle import MANIFEST, file_sha256
from leanbert.cpu import allowed_cores, cpu_name, isa_flags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["describe_bundle", "describe_machine", "installed"]

_PACKAGES = ("torch", "transformers", "optimum-onnx", "onnxruntime", "tokenizers", "numpy")

Json = dict[str, Any]


def describe_machine(packages: Sequence[str] = ()) -> Json:
    """The CPU, what this process may use of it, and the versions that matter, ``packages`` too."""
    versions = {"python": platform.python_version(), "leanbert": __version__}
    versions |= {name: found for name in (*_PACKAGES, *packages) if (found := installed(name))}
    return {
        "cpu": cpu_name(),
        "isa": list(isa_flags()),
        "allowed_cores": allowed_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "versions": versions,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def installed(package: str) -> str | None:
    """The version of an installed distribution, read without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe_bundle(path: Path) -> Json:
    """A bundle's name and the digest of its manifest, ``None`` for a plain export."""
    manifest = path / MANIFEST
    digest = file_sha256(manifest) if manifest.is_file() else None
    return {"name": path.resolve().name, "manifest_sha256": digest}
