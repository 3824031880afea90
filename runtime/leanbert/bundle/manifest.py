"""The manifest ``leanbert.json``: what a bundle says of itself, sealed against change.

Its first key, ``sha256``, is the digest of the file's own bytes with that digest's 64 characters
replaced by zeros; every other file of the bundle is listed with its digest and size. So a changed
byte anywhere is noticed, in the manifest too.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from leanbert.bundle.reading import parse_json, read_file
from leanbert.bundle.values import (
    WrongValueError,
    boolean,
    brief,
    is_whole,
    items,
    mapping,
    number,
    text,
    whole,
)
from leanbert.errors import BundleCorruptError, BundleVersionError

__all__ = [
    "FORMAT_VERSION",
    "LONGEST",
    "MANIFEST",
    "SHORTEST",
    "FileEntry",
    "Golden",
    "Manifest",
    "is_plain",
    "parse_manifest",
    "seal",
]

MANIFEST = "leanbert.json"
FORMAT_VERSION = 1

SHORTEST = 4
"""The smallest ``max_length`` in tokens: a pair has three special ones."""
LONGEST = 1 << 20
"""The largest ``max_length`` in tokens."""

_SEAL = re.compile(rb'^\{\s*"sha256": "([0-9a-f]{64})"')
_ZEROS = b"0" * 64
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TASK = re.compile(r"[a-z0-9]+(-[a-z0-9]+){0,7}")
_MOST_FILES = 1000
_MOST_BYTES = 1 << 40  # of one file; what is on the disk bounds it further
_MOST_NAME = 255  # bytes of a file's name, as most systems allow


class FileEntry(NamedTuple):
    """Digest and size in bytes of one file of the bundle."""

    sha256: str
    size: int


class Golden(NamedTuple):
    """One text, or a text and its pair, with what PyTorch's fp32 model answered for it."""

    text: str
    text_pair: str | None
    reference: Sequence[float]
    """Logits, or the mean-pooled ``last_hidden_state`` of a feature-extraction model."""
    positions: Sequence[int] | None = None
    """Where the output has one row per token: the tokens whose rows ``reference`` holds, one row
    after the other; ``None``: it holds the mean of all rows."""
    columns: Sequence[int] | None = None
    """The columns of each row that it holds, where a vocabulary has too many; ``None``: all."""


class Manifest(NamedTuple):
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
    """The largest absolute difference of an answer from its golden reference that passes."""
    mean_atol: float
    """The largest mean absolute difference over all golden texts that passes; the mean is
    steadier than the maximum."""
    golden: Sequence[Golden]
    evidence: Sequence[Mapping[str, Any]]
    """Measured: data set, rows, metric in fp32 and int8, agreement, largest difference."""
    card: Mapping[str, Any]
    """What a person should know: licence, data, limits."""
    versions: Mapping[str, str]
    native: Mapping[str, Any] | None = None
    """Where the native engine finds each tensor, not yet checked; ``None`` if that engine cannot
    compute the graph."""


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
    # Looked at before the seal: a newer format may seal itself otherwise.
    if not is_whole(version) or version != FORMAT_VERSION:
        raise BundleVersionError(
            f"{path}: bundle format {brief(version)} is unknown here (this LeanBERT reads format "
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
    except (KeyError, WrongValueError) as error:
        missing = isinstance(error, KeyError)
        what = f"{error.args[0]} is missing" if missing else str(error)
        raise BundleCorruptError(f"{path}: malformed manifest ({what}); export again") from error


def _parse(content: Mapping[str, Any]) -> Manifest:
    golden = mapping("golden", content["golden"])
    atol = _bound("golden.atol", golden["atol"])
    native = content.get("native")
    return Manifest(
        task=_task(content["task"]),
        source=mapping("source", content["source"]),
        recipe=mapping("recipe", content["recipe"]),
        max_length=whole("max_length", content["max_length"], SHORTEST, LONGEST),
        optimized=boolean("optimized", content["optimized"]),
        files=_files(mapping("files", content["files"])),
        operators={
            name: whole(f"operators.{brief(name)}", count, 0, 1 << 31)
            for name, count in mapping("operators", content["operators"]).items()
        },
        atol=atol,
        mean_atol=_bound("golden.mean_atol", golden.get("mean_atol", atol)),
        golden=[
            _golden(f"golden text {i}", mapping(f"golden text {i}", item))
            for i, item in enumerate(items("golden.texts", golden["texts"]))
        ],
        evidence=[
            mapping(f"evidence {i}", item)
            for i, item in enumerate(items("evidence", content["evidence"]))
        ],
        card=mapping("card", content.get("card", {})),
        versions={
            name: text(f"versions.{brief(name)}", version)
            for name, version in mapping("versions", content["versions"]).items()
        },
        native=None if native is None else mapping("native", native),
    )


def _task(value: object) -> str:
    """A task's name. Names of other times are read, since the caller says what it can do."""
    if not isinstance(value, str) or len(value) > 64 or not _TASK.fullmatch(value):
        raise WrongValueError(
            f"task is {brief(value)}; expected a name such as text-classification"
        )
    return value


def _bound(name: str, value: object) -> float:
    bound = number(name, value)
    if not (math.isfinite(bound) and bound >= 0):
        raise WrongValueError(f"{name} is {brief(value)}; expected a number of at least 0")
    return bound


def _files(entries: Mapping[str, Any]) -> dict[str, FileEntry]:
    if len(entries) > _MOST_FILES:
        raise WrongValueError(f"files has {len(entries)} entries; expected at most {_MOST_FILES}")
    files = {}
    for name, entry in entries.items():
        _check_name(name)
        entry = mapping(f"files.{name}", entry)
        digest = entry["sha256"]
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise WrongValueError(
                f"files.{name}.sha256 is {brief(digest)}; expected 64 digits of hex"
            )
        size = whole(f"files.{name}.size", entry["size"], 0, _MOST_BYTES)
        files[name] = FileEntry(sha256=digest, size=size)
    return files


def _golden(name: str, item: Mapping[str, Any]) -> Golden:
    pair = item.get("text_pair")
    if not items(f"{name}.reference", item["reference"]):
        raise WrongValueError(f"{name}.reference is empty")
    return Golden(
        text(f"{name}.text", item["text"]),
        None if pair is None else text(f"{name}.text_pair", pair),
        [number(f"{name}.reference", value) for value in item["reference"]],
        _indices(f"{name}.positions", item.get("positions")),
        _indices(f"{name}.columns", item.get("columns")),
    )


def _indices(name: str, values: object) -> list[int] | None:
    if values is None:
        return None
    return [whole(name, value, 0, 1 << 31) for value in items(name, values)]


def is_plain(name: str) -> bool:
    """Whether a file name stays below its folder on every operating system."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return not (
        not name
        or "\\" in name
        or "\0" in name
        or posix.is_absolute()
        or windows.drive
        or ".." in posix.parts
    )


def _check_name(name: str) -> None:
    """Refuse a file name that leaves the bundle, or cannot be one on some operating system."""
    if not is_plain(name):
        raise WrongValueError(f"file name {brief(name)} leaves the bundle")
    if not name.isprintable() or len(name.encode(errors="surrogatepass")) > _MOST_NAME:
        raise WrongValueError(f"file name {brief(name)} cannot be one on every system")
