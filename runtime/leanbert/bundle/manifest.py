"""The manifest ``leanbert.json``: what a bundle says of itself, sealed against change.

Its first key, ``sha256``, is the digest of the file's own bytes with that digest's 64 characters
replaced by zeros; every other file of the bundle is listed with its digest and size. So a changed
byte anywhere is noticed, in the manifest too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from leanbert.bundle.config import parse_json, read_file
from leanbert.errors import BundleCorruptError, BundleVersionError

MANIFEST = "leanbert.json"
FORMAT_VERSION = 1

_SEAL = re.compile(rb'^\{\s*"sha256": "([0-9a-f]{64})"')
_ZEROS = b"0" * 64
SHORTEST, _LONGEST = 4, 1 << 20  # tokens; a pair has three special ones


@dataclass(frozen=True)
class FileEntry:
    """Digest and size in bytes of one file of the bundle."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Golden:
    """One text with what PyTorch's fp32 model answered for it."""

    text: str
    text_pair: str | None
    reference: Sequence[float]
    """Logits, or the mean-pooled ``last_hidden_state`` of a feature-extraction model."""
    positions: Sequence[int] | None = None
    """Of an output a token: the tokens that ``reference`` keeps, row by row; ``None``: pooled."""
    columns: Sequence[int] | None = None
    """The values of each row that it keeps, where a vocabulary has too many; ``None``: all."""


@dataclass(frozen=True)
class Manifest:
    """The parsed manifest; attributes are named as its keys."""

    task: str
    source: Mapping[str, Any]
    """Model, revision and the sha256 of its weights."""
    recipe: Mapping[str, Any]
    """Name and every setting of the quantization."""
    max_length: int
    """Longest input in tokens, special tokens included."""
    optimized: bool
    """The graph is final: the engine must not rewrite it."""
    files: Mapping[str, FileEntry]
    operators: Mapping[str, int]
    """How often each operator that the export counts stands in the graph."""
    atol: float
    """Largest difference between a golden reference and this bundle's own answer that passes."""
    mean_atol: float
    """The same for the mean difference over all golden answers, which is steadier."""
    golden: Sequence[Golden]
    evidence: Sequence[Mapping[str, Any]]
    """Measured: data set, rows, metric in fp32 and int8, agreement, largest difference."""
    card: Mapping[str, Any]
    """What a person should know: licence, data, limits."""
    versions: Mapping[str, str]
    native: Mapping[str, Any] | None = None
    """Where the native engine finds each tensor, not yet checked; ``None`` if it cannot run it."""


def seal(content: Mapping[str, Any]) -> bytes:
    """Serialize a manifest's content and write its own digest into it."""
    document = {"sha256": _ZEROS.decode(), "format_version": FORMAT_VERSION, **content}
    document["sha256"] = _ZEROS.decode()
    data = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    return data.replace(_ZEROS, hashlib.sha256(data).hexdigest().encode(), 1)


def parse_manifest(path: Path) -> Manifest:
    """Read, check and parse the manifest at ``path``.

    Raises:
        BundleVersionError: its format is newer than this LeanBERT.
        BundleCorruptError: it was changed, or a part is missing or malformed.
    """
    data = read_file(path)
    content = parse_json(data, path)
    version = content.get("format_version")
    if version != FORMAT_VERSION:  # before the seal: a newer format may seal itself otherwise
        raise BundleVersionError(
            f"{path}: bundle format {version!r} is unknown here (this LeanBERT reads format "
            f"{FORMAT_VERSION}); upgrade with: pip install -U leanbert"
        )
    found = _SEAL.match(data)
    if (
        not found
        or hashlib.sha256(data[: found.start(1)] + _ZEROS + data[found.end(1) :]).hexdigest()
        != found.group(1).decode()
    ):
        raise BundleCorruptError(f"{path}: was changed after the export; export it again")
    try:
        return _parse(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleCorruptError(f"{path}: malformed manifest ({error!r}); export again") from error


def _parse(content: Mapping[str, Any]) -> Manifest:
    golden = content["golden"]
    return Manifest(
        task=str(content["task"]),
        source=dict(content["source"]),
        recipe=dict(content["recipe"]),
        max_length=_max_length(content["max_length"]),
        optimized=bool(content["optimized"]),
        files={
            _plain_name(name): FileEntry(sha256=str(entry["sha256"]), size=int(entry["size"]))
            for name, entry in content["files"].items()
        },
        operators={str(name): int(count) for name, count in content["operators"].items()},
        atol=float(golden["atol"]),
        mean_atol=float(golden.get("mean_atol", golden["atol"])),
        golden=[_golden(item) for item in golden["texts"]],
        evidence=[dict(item) for item in content["evidence"]],
        card=dict(content.get("card", {})),
        versions={str(name): str(version) for name, version in content["versions"].items()},
        native=None if content.get("native") is None else dict(content["native"]),
    )


def _golden(item: Mapping[str, Any]) -> Golden:
    pair = item.get("text_pair")
    if not isinstance(item["text"], str) or not (pair is None or isinstance(pair, str)):
        raise TypeError("a golden text is not a string")
    return Golden(
        item["text"],
        pair,
        [float(value) for value in item["reference"]],
        _indices(item.get("positions")),
        _indices(item.get("columns")),
    )


def _indices(values: Sequence[Any] | None) -> list[int] | None:
    if values is None:
        return None
    if not all(type(value) is int and value >= 0 for value in values):
        raise ValueError("a golden text keeps positions or columns that are no whole numbers")
    return list(values)


def _max_length(value: object) -> int:
    if not isinstance(value, int) or not SHORTEST <= value <= _LONGEST:
        raise ValueError(f"max_length {value!r} is not between {SHORTEST} and {_LONGEST}")
    return value


def _plain_name(name: str) -> str:
    """``name`` if it stays below the bundle on every operating system; ValueError otherwise."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if (
        not name
        or "\\" in name
        or "\0" in name
        or posix.is_absolute()
        or windows.drive
        or ".." in posix.parts
    ):
        raise ValueError(f"file name {name!r} leaves the bundle")
    return name
