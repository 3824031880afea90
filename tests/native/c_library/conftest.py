"""Bundles of each task that the C library does, of seeded numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from leanbert.bundle import MANIFEST, seal
from tests.helpers import native_bundles, tiny_bundles
from tests.helpers.c_library import EMBEDDED, Model, c_library_path

TAGS = ("O", "B-ORG", "I-ORG", "B-PER", "I-PER", "MISC")
HEADS: dict[str, dict[str, Any]] = {
    "text-classification": {},
    "token-classification": {"head": "every_token"},
    "feature-extraction": {},
}


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


@pytest.fixture(scope="session")
def make_native(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build a bundle that both engines open; the options are those of ``random_model``."""
    c_library_path()

    def make(
        task: str = "text-classification", labels: Sequence[str] | None = None, **options: Any
    ) -> Path:
        folder = tmp_path_factory.mktemp("native") / "bundle"
        names = labels or (TAGS if task == "token-classification" else tiny_bundles.LABELS)
        head = {**HEADS[task], **options}
        native_bundles.build(folder, task, **{"labels": len(names), **head})
        return write_config(folder, id2label={str(i): name for i, name in enumerate(names)})

    return make


@pytest.fixture(scope="session")
def embedded() -> Any:
    """The embedded model, open in the C library."""
    c_library_path()
    with Model(EMBEDDED) as model:
        yield model
