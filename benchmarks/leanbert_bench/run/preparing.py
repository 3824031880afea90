"""The cache: what each back end needs of one checkpoint, made once and kept.

A folder's name depends on all that decides what is in it: the weights, the versions, the CPU's
instruction sets. It gets this name when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from leanbert.bundle import file_sha256
from leanbert.cpu import isa_flags
from leanbert.errors import InputError
from leanbert_bench.provenance import installed

_STALE = 86_400  # seconds
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


class NotPreparedError(Exception):
    """What is asked for is not in the cache."""


@dataclass(frozen=True)
class Preparation:
    """One checkpoint, and where that is kept which is made of it."""

    checkpoint: Path
    task: str
    cache: Path
    weights_sha256: str
    calibration_rows: int | None = None
    """How many calibration texts are taken; ``None`` for all. A few suffice for random weights,
    whose answers mean nothing."""
    only_cached: bool = False
    """Whether :class:`NotPreparedError` is raised instead of making anything."""

    def once(
        self,
        name: str,
        packages: Sequence[str],
        make: Callable[[Path], object],
        *,
        sources: bool = False,
    ) -> Path:
        """Return the folder that ``make`` fills, from the cache if it is there.

        Args:
            name: the beginning of the folder's name.
            packages: distributions whose versions decide what is made.
            make: fills the empty folder that it is given.
            sources: whether the sources of LeanBERT's export decide it too, which may change
                without a new version.
        """
        key = {
            "name": name,
            "task": self.task,
            "calibration_rows": self.calibration_rows,
            "weights": self.weights_sha256,
            "config": file_sha256(self.checkpoint / "config.json"),
            "isa": isa_flags(),
            "versions": {package: installed(package) for package in packages},
            "sources": _sources_sha256() if sources else None,
        }
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        folder = self.cache / f"{name}-{digest}"
        if self.only_cached and not folder.is_dir():
            raise NotPreparedError(name)
        return make_once(folder, make)

    def calibration_texts(self) -> list[str]:
        """Return what LeanBERT's export calibrates on by default; static peers get the same."""
        from leanbert_export.samples import sample_texts

        return list(sample_texts())[: self.calibration_rows]


def default_cache() -> Path:
    """Return where the operating system keeps a user's caches."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        home = Path(base) if base else Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME")
        home = Path(base) if base else Path.home() / ".cache"
    return home / "leanbert" / "bench"


def weights_of(checkpoint: Path) -> tuple[str, int]:
    """Return the sha256 of a checkpoint's weights and their bytes.

    Of several files it is the sha256 of their digests.

    Raises:
        InputError: it has none.
    """
    files = next((found for p in _WEIGHTS if (found := sorted(checkpoint.glob(p)))), [])
    if not files:
        raise InputError(f"{checkpoint}: no model.safetensors (or pytorch_model.bin)")
    digests = [file_sha256(file) for file in files]
    total = sum(file.stat().st_size for file in files)
    if len(digests) == 1:
        return digests[0], total
    return hashlib.sha256("".join(digests).encode()).hexdigest(), total


def make_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return ``folder``, filled by ``make`` if it is missing; it appears whole or not at all."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f"{folder.name}.*.partial"):
        if time.time() - stale.stat().st_mtime > _STALE:  # whoever made it was killed
            shutil.rmtree(stale, ignore_errors=True)
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    start = time.perf_counter()
    try:
        make(partial)
        _seconds_file(folder).write_text(f"{time.perf_counter() - start:.3f}\n", encoding="ascii")
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process made the same
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def seconds_spent(folder: Path) -> float | None:
    """Return how many seconds it took to make a folder of the cache; ``None`` if unknown."""
    try:
        return float(_seconds_file(folder).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _seconds_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.seconds")


def _sources_sha256() -> str:
    import leanbert_export

    files = sorted(Path(leanbert_export.__path__[0]).rglob("*.py"))
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()
