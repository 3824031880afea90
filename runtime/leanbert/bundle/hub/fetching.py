"""Fetch a model from the hub into the cache that all tools share, and check what came.

The hub is asked once for the commit that the revision means and for its files with their sizes and
hashes. Every file is then of that commit. What is in the cache is not fetched again. Where the hub
does not answer, the commit that the cache has for the revision is taken, with a warning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanbert import __version__
from leanbert.bundle.hub.choosing import collect
from leanbert.bundle.hub.failures import Failure, explain
from leanbert.bundle.hub.names import check_repository
from leanbert.bundle.manifest import MANIFEST, is_plain
from leanbert.bundle.members import Stamp, stamp_of
from leanbert.bundle.reading import file_sha256, open_regular
from leanbert.bundle.values import brief
from leanbert.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    InputError,
    MissingExtraError,
    warn,
)

__all__ = ["Snapshot", "fetch"]

_US = {"library_name": "leanbert", "library_version": __version__}
_PATIENCE = 10.0  # seconds that the hub has to answer a question; huggingface_hub's own for files
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class Snapshot:
    """A model of the hub at one commit, in the cache."""

    name: str
    commit: str
    """The 40 hexadecimal digits of the commit."""
    path: Path
    """The directory to open."""
    graph: str | None
    """The chosen ONNX file of a plain export, relative to ``path``; ``None`` for a bundle."""
    files: tuple[str, ...]
    """All files that belong to the model, relative to ``path``, each with slashes."""
    hashed: Mapping[Stamp, str] = field(repr=False, compare=False)
    """The sha256 of the large files, by their stamps before they were read; see
    :meth:`leanbert.bundle.Bundle.open`."""


@dataclass(frozen=True)
class _Entry:
    """What is known of a file; ``None`` for what is not."""

    size: int | None
    digest: str | None
    """64 hexadecimal digits are the sha256 of a large file, 40 are git's name of a small one."""


def fetch(
    name: str,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    file_name: str | None = None,
    subfolder: str | None = None,
) -> Snapshot:
    """Fetch the files of a model that are not in the cache, and check them.

    ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HOME`` mean what they mean to
    huggingface_hub, which shows its progress on a terminal.

    Args:
        name: ``owner/name``.
        revision: a branch, a tag or a commit; ``None`` for the branch ``main``.
        token: a token of the hub; ``None`` for that of the environment, ``False`` for none.
        file_name: the ONNX file to take where there are several; see
            :func:`leanbert.bundle.foreign.choose_graph`.
        subfolder: the folder of that file, or of a bundle, in the repository.

    Raises:
        BundleNotFoundError: there is no such repository, revision or file, or none in the cache.
        BundleError: the hub refuses access or cannot be reached, or it has a checkpoint only.
        BundleCorruptError: a file is not what the hub says.
        InputError: an argument cannot be used.
        MissingExtraError: huggingface_hub is not installed.
    """
    check_repository(name)
    if revision is not None and not is_plain(revision):
        raise InputError(f"revision is {brief(revision)}; give a branch, a tag or a commit")
    source = _source(name, revision, token, subfolder)
    parts = collect(name, source.files, source.get, file_name=file_name, subfolder=subfolder)
    source.remember(revision)
    root = source.root()
    return Snapshot(
        name, source.commit, root / parts.folder, parts.graph, parts.files, source.hashed
    )


def _source(
    name: str, revision: str | None, token: str | bool | None, subfolder: str | None
) -> _OnHub | _Cached:
    """Where the files come from: the hub, or the cache alone."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: models of the hub need huggingface_hub, which cannot be imported ({error}); "
            "install with: pip install huggingface_hub"
        ) from error
    try:
        info = HfApi(token=token, **_US).model_info(
            name, revision=revision, files_metadata=True, timeout=_PATIENCE
        )
    except Exception as error:
        failure = explain(error, revision)
        if failure is None:
            raise
        cached = _find_cached(name, revision, subfolder) if failure.unreachable else None
        if cached is None:
            raise _error(name, failure) from error
        if "HF_HUB_OFFLINE" not in failure.reason:
            warn(f"{name}: {failure.reason}; using commit {cached.commit[:12]} of the cache")
        return cached
    files = {item.rfilename: _entry(item) for item in info.siblings or ()}
    return _OnHub(name, str(info.sha), {f: e for f, e in files.items() if is_plain(f)}, token)


def _error(name: str, failure: Failure) -> BundleError:
    kind = BundleNotFoundError if failure.missing or failure.unreachable else BundleError
    cached = ", and the cache does not have it" if failure.unreachable else ""
    return kind(f"{name}: {failure.reason}{cached}")


def _entry(item: Any) -> _Entry:
    """Size and digest as the hub lists them."""
    lfs = item.lfs or {}
    return _Entry(item.size, lfs.get("sha256") or item.blob_id)


class _OnHub:
    """The files of a commit on the hub."""

    def __init__(
        self, name: str, commit: str, files: Mapping[str, _Entry], token: str | bool | None
    ) -> None:
        self.name, self.commit, self.files = name, commit, files
        self.hashed: dict[Stamp, str] = {}
        self._token = token
        self._places: dict[str, Path] = {}

    def get(self, file: str) -> Path:
        """The place of a file in the cache, after it was fetched where that is needed."""
        if file in self._places:
            return self._places[file]
        path = self._download(file)
        if not _is_whole(path, self.files[file], self.hashed):
            path = self._download(file, again=True)
            if not _is_whole(path, self.files[file], self.hashed):
                raise BundleCorruptError(
                    f"{self.name}: {file} is not what the hub lists for commit "
                    f"{self.commit[:12]}, though it was fetched twice; try again later"
                )
        self._places[file] = path
        return path

    def _download(self, file: str, *, again: bool = False) -> Path:
        from huggingface_hub import hf_hub_download

        with _explained(self.name, self.commit):
            return Path(
                hf_hub_download(
                    self.name, file, revision=self.commit, token=self._token,
                    force_download=again, **_US,
                )
            )  # fmt: skip

    def root(self) -> Path:
        """The snapshot's directory."""
        file, path = next(iter(self._places.items()))
        return path.parents[file.count("/")]

    def remember(self, revision: str | None) -> None:
        """Note the commit of the revision in the cache, where tools look for it while offline."""
        if revision == self.commit:
            return
        refs = self.root().parents[1] / "refs" / (revision or "main")
        with suppress(OSError):  # a cache that cannot be written has the files all the same
            refs.parent.mkdir(parents=True, exist_ok=True)
            if not refs.is_file() or refs.read_text(encoding="utf-8") != self.commit:
                refs.write_text(self.commit, encoding="utf-8")


class _Cached:
    """The files of a commit that are in the cache."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.commit = name, root.name
        self.hashed: dict[Stamp, str] = {}
        self._root = root
        self.files = {
            path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()
        }

    def get(self, file: str) -> Path:
        """The place of a file, which is there."""
        path = self._root / file
        blob = path.resolve().name  # where links work, the digest
        entry = _Entry(None, blob if _DIGEST.fullmatch(blob) else None)
        if not _is_whole(path, entry, self.hashed):
            raise BundleCorruptError(
                f"{path}: is damaged; delete the folder {self._root.parents[1]}, and fetch the "
                "model again"
            )
        return path

    def root(self) -> Path:
        """The snapshot's directory."""
        return self._root

    def remember(self, revision: str | None) -> None:
        """Nothing: it is what was remembered."""


def _find_cached(name: str, revision: str | None, subfolder: str | None) -> _Cached | None:
    """The cache's snapshot of a revision, if it has one."""
    from huggingface_hub import try_to_load_from_cache

    folders = dict.fromkeys(("", "onnx/", f"{subfolder.strip('/')}/" if subfolder else ""))
    for file in (f"{folder}{base}" for folder in folders for base in (MANIFEST, "config.json")):
        found = try_to_load_from_cache(name, file, revision=revision)
        if isinstance(found, str):
            return _Cached(name, Path(found).parents[file.count("/")])
    return None


def _is_whole(path: Path, entry: _Entry, hashed: dict[Stamp, str]) -> bool:
    """Whether a file is what the hub lists, as far as that is known; a sha256 is remembered."""
    found = path.stat()
    size = found.st_size
    if entry.size is not None and entry.size != size:
        return False
    if entry.digest is None:
        return True
    if len(entry.digest) == 64:
        digest = hashed[stamp_of(found)] = file_sha256(path)
        return digest == entry.digest
    return _git_name(path, size) == entry.digest


def _git_name(path: Path, size: int) -> str:
    """How git names a file's content."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _explained(name: str, revision: str) -> Iterator[None]:
    """Raise what huggingface_hub raises as one line."""
    try:
        yield
    except Exception as error:
        failure = explain(error, revision)
        if failure is None:
            raise
        kind = BundleNotFoundError if failure.missing else BundleError
        raise kind(f"{name}: {failure.reason}") from error
