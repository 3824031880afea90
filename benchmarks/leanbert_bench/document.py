"""``results.json``: reading it, checking it, and what it says of who was measured.

It holds raw samples only; whatever is computed from them is computed by the reader, so that an
old file gains from a better statistic.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leanbert.errors import InputError
from leanbert.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "NAME",
    "SCHEMA_VERSION",
    "Json",
    "backend_of",
    "check_document",
    "dig",
    "measured",
    "name_of",
    "parse_shape",
    "read_document",
    "reference_of",
    "shapes_of",
    "troubles",
    "write_document",
]

SCHEMA_VERSION = 1
NAME = "results.json"
"""What a run calls its results within its output directory."""

Json = dict[str, Any]

_WITHOUT_RESULT = ("skipped", "failed", "timed_out")

_REQUIRED = {
    "machine": dict, "versions": dict, "model": dict, "settings": dict, "data": dict,
    "backends": list,
}  # fmt: skip
_REQUIRED_OF_A_BACKEND = ("id", "name", "status")


def read_document(path: Path) -> Json:
    """Read what a run wrote.

    Args:
        path: the file, or the directory that holds it as ``results.json``.

    Raises:
        InputError: the file is missing, or not of this kind and version.
    """
    file = path / NAME if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({error})") from error
    check_document(document, str(file))
    found: Json = document
    return found


def check_document(document: object, where: str) -> None:
    """Check the version and the keys that every reader relies on.

    Args:
        document: decoded JSON.
        where: the name of its file, for the message.

    Raises:
        InputError: it is not a result of this version's ``leanbert bench run``.
    """
    if not isinstance(document, dict) or "schema_version" not in document:
        raise InputError(f"{where}: not a result of leanbert bench run (no schema_version)")
    version = document["schema_version"]
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{where}: schema version {version!r}, but this leanbert reads {SCHEMA_VERSION}; "
            "run the bench again, or read it with the leanbert that wrote it"
        )
    wrong = [key for key, kind in _REQUIRED.items() if not isinstance(document.get(key), kind)]
    if wrong:
        raise InputError(f"{where}: missing or malformed: {', '.join(wrong)}")
    for i, backend in enumerate(document["backends"]):
        lacking = [
            key
            for key in _REQUIRED_OF_A_BACKEND
            if not isinstance(backend, dict) or not isinstance(backend.get(key), str)
        ]
        if lacking:
            raise InputError(f"{where}: backends[{i}] lacks {', '.join(lacking)}")
    seen: set[str] = set()
    for backend in document["backends"]:
        if backend["id"] in seen:
            raise InputError(f"{where}: the back end {backend['id']} is there twice")
        seen.add(backend["id"])


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write results as JSON; ``path`` holds the old file or the whole new one.

    Raises:
        OSError: the directory is missing or not writable.
    """
    with whole_file(path) as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")


def dig(value: Any, *keys: str) -> Any:
    """``value[a][b]…``, or ``None`` as soon as something on the way is absent or null."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def measured(document: Mapping[str, Any]) -> list[Json]:
    """The back ends that gave something to show, in the run's order.

    One that failed half-way keeps its row only among :func:`troubles`: what it gave before is not
    what was asked for.
    """
    return [item for item in document["backends"] if item["status"] not in _WITHOUT_RESULT]


def troubles(document: Mapping[str, Any]) -> list[str]:
    """Who gave no result, why, and what to do; one line for all that share the cause."""
    found: dict[str, list[str]] = {}
    for backend in document["backends"]:
        if backend["status"] not in _WITHOUT_RESULT:
            continue
        cause = str(backend["status"]).replace("_", " ")
        if backend.get("reason"):
            cause += f": {backend['reason']}"
        # The reason often names the command already.
        if backend.get("install") and backend["install"] not in cause:
            cause += f"; {backend['install']}"
        found.setdefault(cause, []).append(name_of(backend))
    return [f"{'; '.join(names)}: {cause}" for cause, names in found.items()]


def backend_of(document: Mapping[str, Any], identifier: str) -> Json | None:
    """The back end of that id."""
    found: list[Json] = [item for item in document["backends"] if item["id"] == identifier]
    return found[0] if found else None


def reference_of(document: Mapping[str, Any]) -> Json | None:
    """The back end that ratios refer to, if it gave a result."""
    found = backend_of(document, str(document["settings"].get("reference")))
    return found if found is not None and found in measured(document) else None


def name_of(backend: Mapping[str, Any]) -> str:
    """The name for people, on one line."""
    return " ".join(str(backend["name"]).split())


def shapes_of(document: Mapping[str, Any]) -> list[str]:
    """The grid's shapes that any back end was measured at, by batch size, then by length."""
    found = {shape for item in measured(document) for shape in dig(item, "grid") or {}}
    return sorted(found, key=parse_shape)


def parse_shape(shape: str) -> tuple[int, int]:
    """Batch size and sequence length of a shape such as ``8x128``.

    Raises:
        InputError: it is not such a shape.
    """
    batch, _, length = shape.partition("x")
    if not (batch.isdecimal() and length.isdecimal()):
        raise InputError(f"{shape!r} is no shape of the form BATCHxLENGTH; the results are damaged")
    return int(batch), int(length)
