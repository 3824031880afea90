"""Tests on real clusters of this machine take minutes, so ``make clusters`` alone runs them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from leanbert.pipelines import embedded_bundle, pipeline

ROWS = 2_000
LAST = "the last text of all"  # a worker that meets it is killed
"""Of the table that all tests answer."""


@pytest.fixture(scope="session", autouse=True)
def asked_for() -> None:
    if "LEANBERT_CLUSTERS" not in os.environ:
        pytest.skip("takes minutes and its own environment: make clusters")


@pytest.fixture(scope="session")
def news(asked_for: None) -> Any:
    """A pyarrow table: texts, some of them missing, and a column whose name answers have, too."""
    pyarrow = pytest.importorskip("pyarrow")
    words = ["profit", "loss", "rose", "fell", "the", "bank", "said", "its", "shares", "not", "yet"]
    texts: list[str | None] = [
        " ".join(words[(i * k) % len(words)] for k in range(1, 3 + i % 8)) + f" {i}"
        for i in range(ROWS - 1)
    ]
    texts = [None if i % 97 == 5 else text for i, text in enumerate(texts)]
    labels = [f"given {i % 3}" for i in range(ROWS)]
    return pyarrow.table({"id": list(range(ROWS)), "headline": [*texts, LAST], "label": labels})


@pytest.fixture(scope="session")
def plain(news: Any) -> bytes:
    """What the plain run answers, as bytes."""
    with pytest.warns(match="values of 'headline' are missing"):
        answered = pipeline(mode="throughput").table(news, "headline")
    return as_bytes(answered.to_pylist())


@pytest.fixture
def moving_bundle(tmp_path: Path) -> Path:
    """The embedded model in a place of its own, from which a test takes it away."""
    return Path(shutil.copytree(embedded_bundle(), tmp_path / "here"))


def as_bytes(rows: Iterable[Any]) -> bytes:
    """Rows in the order of their numbers; a float is written with all its digits."""
    ordered = sorted(rows, key=lambda row: row["id"])
    return "\n".join(json.dumps(row, sort_keys=True) for row in ordered).encode()
