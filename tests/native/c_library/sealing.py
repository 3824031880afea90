"""Seal bundles again whose files were changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from leanbert.bundle import MANIFEST, seal
from tests.helpers import tiny_bundles

__all__ = ["TAGS", "change", "write_config"]

TAGS = ("O", "B-ORG", "I-ORG", "B-PER", "I-PER", "MISC")


def change(folder: Path, **content: Any) -> Path:
    """Write a bundle's manifest again, for the files that are there now and with other content."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            data = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest = {**tiny_bundles.read_content(folder), "files": files, **content}
    (folder / MANIFEST).write_bytes(
        seal({key: value for key, value in manifest.items() if value is not None})
    )
    return folder


def write_config(folder: Path, **content: Any) -> Path:
    """Change keys of a bundle's config; the seal is made again."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text(encoding="utf-8")), **content}
    path.write_text(json.dumps(config), encoding="utf-8")
    return change(folder)
