"""Compare answers with transformers': the same structure, keys and spans, scores within a bound."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

ATOL = 1e-4


def is_newer() -> bool:
    """Whether the transformers that is installed is of version 5 or newer."""
    return metadata.version("transformers") >= "5"


AS_BEFORE = pytest.mark.skipif(
    "transformers" in metadata.packages_distributions() and is_newer(),
    reason="transformers 5 builds known tokenizers by their class and not by tokenizer.json",
)


def check_same(ours: Any, theirs: Any, where: str = "") -> None:
    """Assert that two answers are equal but for scores, which may differ by ``ATOL``.

    Ours must be plain Python: theirs are numpy's numbers where they will.
    """
    assert isinstance(theirs, list) == isinstance(ours, list), (where, ours, theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs), (where, ours, theirs)
        for i, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            check_same(our, their, f"{where}[{i}]")
        return
    assert list(ours) == list(theirs), (where, ours, theirs)
    for key, value in ours.items():
        if key == "score":
            assert type(value) is float, (where, value)
            assert abs(value - float(theirs[key])) < ATOL, (where, ours, theirs)
        else:
            assert type(value) in (str, int), (where, key, value)
            assert value == theirs[key], (where, ours, theirs)
