"""How much disk a back end needs installed: the closure of its dependencies, counted by file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")

Find = Callable[[str], Any]


def installed_bytes(names: Iterable[str], find: Find = metadata.distribution) -> int | None:
    """Bytes on disk of these distributions with all they require; ``None`` if one is absent."""
    try:
        found = closure(names, find)
    except metadata.PackageNotFoundError:
        return None
    return sum(distribution_bytes(one) for one in found.values())


def closure(names: Iterable[str], find: Find = metadata.distribution) -> dict[str, Any]:
    """The distributions and what they require, by normalized name.

    Requirements of extras are left out, and those whose marker excludes this machine: what is not
    installed is not needed here.

    Raises:
        PackageNotFoundError: one of ``names`` is not installed.
    """
    found = {_normal(name): find(name) for name in names}
    waiting = list(found.values())
    while waiting:
        for requirement in waiting.pop().requires or ():
            name, _, marker = requirement.partition(";")
            match = _NAME.match(name)
            if match is None or "extra" in marker:
                continue
            key = _normal(match[1])
            if key in found:
                continue
            try:
                found[key] = find(match[1])
            except metadata.PackageNotFoundError:
                continue
            waiting.append(found[key])
    return found


def distribution_bytes(distribution: Any) -> int:
    """Bytes of the files that a distribution's RECORD lists; bytecode that pip made counts.

    An editable install lists no sources: those of LeanBERT's runtime and model are counted where
    they stand.
    """
    own = _editable_sources(distribution)
    files = list(own) if own is not None else _recorded(distribution)
    return sum(path.stat().st_size for path in files if path.is_file())  # some are gone


def _recorded(distribution: Any) -> list[Path]:
    return [Path(distribution.locate_file(file)) for file in distribution.files or ()]


def _editable_sources(distribution: Any) -> list[Path] | None:
    text = distribution.read_text("direct_url.json")
    if not text or not json.loads(text).get("dir_info", {}).get("editable"):
        return None
    import leanbert
    import leanbert_models

    folders = [Path(package.__path__[0]) for package in (leanbert, leanbert_models)]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
