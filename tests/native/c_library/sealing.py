"""Seal bundles again whose files were changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.helpers import tiny_bundles

__all__ = ["TAGS", "change", "write_config"]

TAGS = ("O", "B-ORG", "I-ORG", "B-PER", "I-PER", "MISC")


def change(folder: Path) -> Path:
    """Write a bundle's manifest again, for the files that are there now."""
    tiny_bundles.reseal(folder, tiny_bundles.read_content(folder))
    return folder


def write_config(folder: Path, **content: Any) -> Path:
    """Change keys of a bundle's config; the seal is made again."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text(encoding="utf-8")), **content}
    path.write_text(json.dumps(config), encoding="utf-8")
    return change(folder)
