"""What a checkpoint's README says of its licence and its base model, for the bundle's card."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["NOT_STATED", "Origin", "read_origin"]

NOT_STATED = "not stated"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Origin:
    """The metadata that the hub reads of a model's README."""

    license: str = NOT_STATED
    base_model: str = NOT_STATED


def read_origin(folder: Path) -> Origin:
    """Read the block of YAML at the head of ``README.md``; nothing there is no error."""
    path = folder / "README.md"
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return Origin()
    content = _metadata(path)
    return Origin(_listed(content.get("license")), _listed(content.get("base_model")))


def _metadata(path: Path) -> Mapping[str, Any]:
    from huggingface_hub.repocard import metadata_load

    with suppress(Exception):  # what cannot be read says nothing; yaml's errors have no typed base
        return metadata_load(path) or {}
    return {}


def _listed(value: object) -> str:
    """One name, or the names of a list."""
    names = value if isinstance(value, list) else [value]
    words = [" ".join(name.split()) for name in names if isinstance(name, str) and name.strip()]
    return ", ".join(words) or NOT_STATED
