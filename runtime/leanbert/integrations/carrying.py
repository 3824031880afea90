"""A model's way to the workers of a cluster: a recipe, and the bundle as one file where it lacks.

The driver makes a :class:`Recipe`, which is small and travels with the code. A worker that has the
same bundle under the same path opens it there; any other worker unpacks an archive that the
cluster's own means bring. The manifest's digest is in the recipe, and the manifest has the digest
of every other file, so each byte is checked on each machine that opens the bundle.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanbert import __version__
from leanbert.bundle import Bundle
from leanbert.bundle.manifest import MANIFEST, is_plain, parse_manifest
from leanbert.errors import BundleCorruptError, EngineError, InputError, MissingExtraError
from leanbert.pipelines import Pipeline, pipeline

__all__ = ["Recipe", "packed", "recipe_for"]

_WORKER_BYTES = 640 << 20  # Python, pyarrow, the cluster's own code, the rows of a few batches
_TIMES = 3  # bytes of memory for each byte of a bundle: the archive, the weights, the packed ones
_opened: dict[str, Pipeline[Any]] = {}  # of this process


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to open the model that the driver chose."""

    task: str
    path: Path
    """Where the bundle lies on the driver's machine."""
    digest: str
    """SHA-256 of the bundle's manifest."""
    threads: int
    """Cores that the worker computes on."""
    column: str
    """Of the texts."""
    options: Mapping[str, Any]
    """Defaults for the arguments of a call."""
    answers: Any
    """``pyarrow.Schema`` of the answers, under the names that they have where no column clashes."""
    memory: int
    """Bytes that the worker needs."""
    version: str = __version__
    """LeanBERT's, on the driver."""

    @property
    def file_name(self) -> str:
        """What the archive is called where archives are files."""
        return f"leanbert-{self.digest}.zip"

    def opened(self, fetch: Callable[[], bytes], folder: Path | None = None) -> Pipeline[Any]:
        """The model, which a process opens once.

        Args:
            fetch: gives the archive; it is called where the bundle is not at hand.
            folder: to unpack it in; ``None`` for one in the system's folder of temporary files.

        Raises:
            EngineError: this machine has another version of LeanBERT.
            BundleError: what was found or fetched is not the driver's bundle.
        """
        if self.version != __version__:
            raise EngineError(
                f"this worker has LeanBERT {__version__} and the driver {self.version}, which may "
                "answer otherwise; install one version on all machines"
            )
        key = repr((self.task, self.digest, self.threads, sorted(self.options.items())))
        if key not in _opened:
            path = self.path if _is_at(self.path, self.digest) else self._unpacked(fetch, folder)
            _opened[key] = pipeline(
                self.task, path, mode="throughput", threads=self.threads, **self.options
            )
        return _opened[key]

    def _unpacked(self, fetch: Callable[[], bytes], folder: Path | None) -> Path:
        if folder is None:
            user = getattr(os, "getuid", lambda: 0)()
            folder = Path(tempfile.gettempdir(), f"leanbert-bundles-{user}")
        target = folder / self.digest
        if _is_at(target, self.digest):
            return target
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".unpacking.", dir=folder))
        try:
            with zipfile.ZipFile(io.BytesIO(fetch())) as archive:
                if not all(is_plain(name) for name in archive.namelist()):
                    raise BundleCorruptError(f"{self.file_name}: a file in it leaves the bundle")
                archive.extractall(fresh)
            if not _is_at(fresh, self.digest):
                raise BundleCorruptError(
                    f"{self.file_name}: what arrived is not the driver's bundle; start anew"
                )
            try:
                fresh.rename(target)
            except OSError:
                if not _is_at(target, self.digest):  # no other worker of this machine was first
                    raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return target

    def answered(self, model: Pipeline[Any], batch: Any) -> Any:
        """A pyarrow table or record batch with the answers as further columns.

        Their types are the same in every batch, also where each text of one is missing.
        """
        made = model.table(batch, self.column)
        schema = made.schema
        for i, kind in enumerate(self.answers.types, made.num_columns - len(self.answers)):
            schema = schema.set(i, schema.field(i).with_type(kind))
        return made.cast(schema)


def recipe_for(
    model: str | Path | Bundle | None,
    column: str,
    threads: int,
    options: Mapping[str, Any],
) -> Recipe:
    """Open a model on the driver, so that what is wrong is said there, and say how to open it.

    Args:
        model: as :func:`leanbert.pipeline` takes it.
        column: of the texts.
        threads: cores of a worker.
        options: of :func:`leanbert.pipeline`.

    Raises:
        InputError: the model is no sealed bundle, or ``threads`` or an option cannot be used.
        MissingExtraError: pyarrow, which carries the rows, is not installed.
        LeanBertError: the model cannot be opened.
    """
    try:
        import pyarrow  # noqa: ICN001 - it is no name of this module's
    except ImportError as error:
        raise MissingExtraError(
            'frames of a cluster need pyarrow; install it with: pip install "leanbert[bulk]"'
        ) from error
    given = dict(options)
    answerer = pipeline(given.pop("task", None), model, threads=threads, **given)
    bundle = answerer.bundle
    if bundle.manifest is None:
        raise InputError(
            f"{bundle.path}: a plain export has no manifest, by which a worker could check it; "
            "make a bundle with leanbert export"
        )
    answered = answerer.table(pyarrow.table({"": ["text"]}), "")
    return Recipe(
        answerer.task,
        bundle.path.absolute(),
        _digest(bundle.path),
        threads,
        column,
        answerer.defaults,
        answered.schema.remove(0),
        _WORKER_BYTES + _TIMES * bundle.size,
    )


def packed(path: Path) -> bytes:
    """The files of a bundle as an archive; who unpacks it checks their contents."""
    files = parse_manifest(path / MANIFEST).files
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name in (MANIFEST, *files):
            archive.write(path / name, name)
    return data.getvalue()


def _digest(path: Path) -> str:
    return hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest()


def _is_at(path: Path, digest: str) -> bool:
    try:
        return _digest(path) == digest
    except OSError:
        return False
