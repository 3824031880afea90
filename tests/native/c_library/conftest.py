"""Bundles of each task that the C library does, of seeded numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import native_bundles, tiny_bundles
from tests.helpers.c_library import EMBEDDED, Model, c_library_path
from tests.native.c_library.sealing import TAGS, write_config

HEADS: dict[str, dict[str, Any]] = {
    "text-classification": {},
    "token-classification": {"head": "every_token"},
    "feature-extraction": {},
}


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
