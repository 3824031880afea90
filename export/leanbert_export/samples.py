"""LeanBERT's own sample of texts, which calibrates and judges where the user gives no texts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources


def sample_texts() -> Sequence[str]:
    """Our own headlines and sentences in several languages, one text per line of the file."""
    text = resources.files("leanbert_export").joinpath("sample_texts.txt")
    return text.read_text(encoding="utf-8").splitlines()
