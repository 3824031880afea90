"""How much disk an installed back end needs: the files of all that it depends on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")

Find = Callable[[str], Any]


def installed_bytes(
    names: Iterable[str], folders: Iterable[Path] = (), find: Find = metadata.distribution
) -> int | None:
    """Return the bytes of these distributions and all they require; ``None`` if one is absent.

    Args:
        names: of the distributions.
        folders: whose files are counted, too: packages that are not Python's.
        find: gives a distribution by its name.
    """
    try:
        found = closure(names, find)
    except metadata.PackageNotFoundError:
        return None
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return sum(distribution_bytes(one) for one in found.values()) + sum(
        file.stat().st_size for file in files
    )


def closure(names: Iterable[str], find: Find = metadata.distribution) -> dict[str, Any]:
    """Return the distributions and what they require, by normalized name.

    Requirements of extras are left out, and so are those that are not installed, because a marker
    excludes them on this machine.

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
    """Return the bytes of the files that a distribution's RECORD lists, with pip's bytecode.

    An editable install lists no sources, so those of LeanBERT's runtime and model are counted
    where they stand.
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
