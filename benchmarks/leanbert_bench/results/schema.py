"""``results.json``: its versions, and how it is checked, read and written.

A run writes samples. Whatever is computed from them is computed by the reader, so that an old file
gains from a better statistic. A compacted file (:mod:`leanbert_bench.results.compact`) holds a
summary in place of each turn's samples; that is what version 2 adds to version 1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leanbert.errors import InputError
from leanbert.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from leanbert_bench.results.access import Json


SCHEMA_VERSION = 2
NAME = "results.json"
"""What a run calls its results within its output directory."""

_READABLE = (1, SCHEMA_VERSION)
_DIGITS = 7
"""Significant digits of a number that is written; more would be noise."""

_REQUIRED = {
    "machine": dict, "versions": dict, "model": dict, "settings": dict, "data": dict,
    "backends": list,
}  # fmt: skip
_REQUIRED_OF_A_BACKEND = ("id", "name", "status")


def read_results(path: Path) -> Json:
    """Read what a run wrote.

    Args:
        path: the file, or the directory that holds it as ``results.json``.

    Raises:
        InputError: the file is missing, or it holds no results of a known version.
    """
    file = path / NAME if path.is_dir() else path
    results = read_json(file)
    check_results(results, str(file))
    found: Json = results
    return found


def read_json(file: Path) -> Any:
    """Read any JSON file.

    Raises:
        InputError: the file is missing or holds no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({error})") from error


def check_results(results: object, where: str) -> None:
    """Check the version and the keys that every reader relies on.

    Args:
        results: decoded JSON.
        where: the name of its file, for the message.

    Raises:
        InputError: these are no results of ``leanbert bench run`` that this version reads.
    """
    if not isinstance(results, dict) or "schema_version" not in results:
        raise InputError(f"{where}: not a result of leanbert bench run (no schema_version)")
    version = results["schema_version"]
    if version not in _READABLE:
        raise InputError(
            f"{where}: schema version {version!r}, but this leanbert reads up to {SCHEMA_VERSION}; "
            "run the bench again, or read it with the leanbert that wrote it"
        )
    wrong = [key for key, kind in _REQUIRED.items() if not isinstance(results.get(key), kind)]
    if wrong:
        raise InputError(f"{where}: missing or malformed: {', '.join(wrong)}")
    for i, backend in enumerate(results["backends"]):
        lacking = [
            key
            for key in _REQUIRED_OF_A_BACKEND
            if not isinstance(backend, dict) or not isinstance(backend.get(key), str)
        ]
        if lacking:
            raise InputError(f"{where}: backends[{i}] lacks {', '.join(lacking)}")
    seen: set[str] = set()
    for backend in results["backends"]:
        if backend["id"] in seen:
            raise InputError(f"{where}: the back end {backend['id']} is there twice")
        seen.add(backend["id"])


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write :func:`to_json`; ``path`` holds the old file or the whole new one.

    Raises:
        OSError: the directory is missing or not writable.
    """
    with whole_file(path) as file:
        file.write(to_json(value))


def to_json(value: Mapping[str, Any]) -> str:
    """Lay an object out with one key per line, and one line per item of a list of objects.

    So each back end of ``results.json`` has one line. Numbers keep seven significant digits.
    """
    lines = []
    for key, content in _rounded(value).items():
        if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
            listed = ",\n".join(map(_line, content))
            lines.append(f"{_line(key)}: [\n{listed}\n]")
        else:
            lines.append(f"{_line(key)}: {_line(content)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
