"""The files that a manifest lists: each is there, inside the bundle, and has its content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from leanbert.bundle.manifest import MANIFEST, FileEntry
from leanbert.bundle.reading import (
    MOST_GRAPH_BYTES,
    MOST_JSON_BYTES,
    file_sha256,
    read_file,
    status,
)
from leanbert.bundle.tokenizer_file import MOST_TOKENIZER_BYTES
from leanbert.errors import BundleCorruptError, BundleNotFoundError

__all__ = [
    "Stamp",
    "check_content",
    "check_presence",
    "check_unchanged",
    "read_member",
    "stamp_of",
]

Stamp: TypeAlias = "tuple[int, int, int, int]"
"""Device, inode, size in bytes and time of the last change in nanoseconds of a file."""

_REQUIRED = ("model.onnx", "tokenizer.json", "config.json")
# Hashing takes a time in proportion to the size. Weights may have any; a graph is one protobuf.
_MOST_BYTES = {"model.onnx": MOST_GRAPH_BYTES, "tokenizer.json": MOST_TOKENIZER_BYTES}


def check_presence(root: Path, files: Mapping[str, FileEntry]) -> dict[Path, Stamp]:
    """Check everything about a bundle's files but their content.

    Returns:
        The stamp of each file, by which :func:`check_unchanged` notices a change.

    Raises:
        BundleNotFoundError: a file is missing.
        BundleCorruptError: a file is no regular file, has another size, lies outside the bundle,
            or looks like a part of the graph and is not listed.
    """
    for name in _REQUIRED:
        if name not in files:
            raise BundleCorruptError(
                f"{root / MANIFEST}: does not list {name}; export the bundle again"
            )
    for path in root.glob("model.onnx*"):
        if path.name not in files:
            raise BundleCorruptError(
                f"{path}: not listed in {MANIFEST}, so it cannot be trusted; remove it, "
                "or export the bundle again"
            )
    home = root.resolve()
    blobs = _blobs(home)
    stamps = {}
    for name, entry in files.items():
        path = root / name
        found = status(path)
        if found is None:
            raise BundleNotFoundError(f"{path}: missing from the bundle; export it again")
        target = path.resolve()
        if not (target.is_relative_to(home) or (blobs and target.parent == blobs)):
            raise BundleCorruptError(
                f"{path}: a link out of the bundle, to {target}; put the file itself there"
            )
        if not stat.S_ISREG(found.st_mode):
            raise BundleCorruptError(f"{path}: is no regular file; copy or export the bundle again")
        _check_size(path, found.st_size, entry.size)
        stamps[path] = stamp_of(found)
    return stamps


def check_unchanged(stamps: Mapping[Path, Stamp]) -> None:
    """Check that no file was changed or replaced since its stamp was taken.

    Raises:
        BundleCorruptError: a file was.
    """
    for path, stamp in stamps.items():
        found = status(path)
        if found is None or stamp_of(found) != stamp:
            raise BundleCorruptError(f"{path}: was changed while it was opened; open it again")


def stamp_of(found: os.stat_result) -> Stamp:
    """What tells a change of a file, of what the system says about it."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _check_size(path: Path, size: int, listed: int) -> None:
    """Compare the size with the manifest's, and that with the most that such a file may have."""
    most = _MOST_BYTES.get(path.name, MOST_JSON_BYTES if path.suffix == ".json" else None)
    if most is not None and listed > most:
        raise BundleCorruptError(
            f"{path}: has {listed:,} bytes, such a file may have {most:,}; export the bundle again"
        )
    if size != listed:
        raise BundleCorruptError(
            f"{path}: {size:,} bytes instead of {listed:,} (truncated or replaced); "
            "copy or export the bundle again"
        )


def _blobs(home: Path) -> Path | None:
    """Where a snapshot in the hub's cache keeps its files; ``None`` for any other directory.

    ``models--NAME/snapshots/COMMIT/file`` is a link to ``models--NAME/blobs/HASH``.
    """
    for folder in (home, *home.parents):
        if folder.parent.name == "snapshots":
            return folder.parent.parent / "blobs"
    return None


def check_content(path: Path, entry: FileEntry) -> None:
    """Hash the file at ``path``.

    Raises:
        BundleCorruptError: its content is not what the manifest says.
    """
    _compare(path, file_sha256(path), entry)


def read_member(path: Path, entry: FileEntry | None, most: int) -> bytes:
    """The content of a small file, which is the manifest's wherever there is an ``entry``.

    Raises:
        BundleNotFoundError: there is no such file.
        BundleCorruptError: it has more than ``most`` bytes or another content, or is unreadable.
    """
    data = read_file(path, most)
    if entry is not None:
        _compare(path, hashlib.sha256(data).hexdigest(), entry)
    return data


def _compare(path: Path, digest: str, entry: FileEntry) -> None:
    if digest != entry.sha256:
        raise BundleCorruptError(
            f"{path}: content differs from its sha256 in {MANIFEST}; "
            "copy or export the bundle again"
        )
