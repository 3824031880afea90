"""Texts that come again: computed once, answered each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.batching.repeats import first_rows
from leanbert.engines import Batch
from leanbert.errors import InputError

TEXTS = ["profit", "a bad loss", "profit", "profit year", "a bad loss", "Profit!"] * 40


def test_rows_of_the_same_ids_and_types_are_found() -> None:
    ids = [[2, 7, 3], [2, 7], [2, 7, 3], [3, 2, 7], [2, 7, 3]]
    assert first_rows(Batch.of(ids)) == [0, 1, 0, 3, 0]
    types = [[0, 0, 0], [0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert first_rows(Batch.of(ids, types)) == [0, 1, 2, 3, 0]


def test_no_repeats_is_none() -> None:
    assert first_rows(Batch.of([[2, 7, 3], [2, 7], [7, 2, 3]])) is None
    assert first_rows(Batch.of([])) is None


@pytest.fixture(params=["latency", "throughput"])
def classify(tiny_bundle: Path, request: pytest.FixtureRequest) -> Any:
    return pipeline("text-classification", tiny_bundle, mode=request.param, threads=2, top_k=None)


def counted(classify: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each batch had that the engine computed."""
    found: list[int] = []
    run = classify.runner.engine.run

    def noted(batch: Batch) -> Any:
        found.append(len(batch))
        return run(batch)

    monkeypatch.setattr(classify.runner.engine, "run", noted)
    return found


def test_each_is_computed_once_and_answered_alike(
    classify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = counted(classify, monkeypatch)
    every = classify(TEXTS, deduplicate=False)
    assert sum(batches) == len(TEXTS)
    assert classify.runner.repeats == 0
    batches.clear()
    assert classify(TEXTS) == every
    different = len(set(TEXTS))
    assert sum(batches) == different
    assert classify.runner.repeats == len(TEXTS) - different


def test_answers_that_repeat_are_independent(tiny_features: Path) -> None:
    embed = pipeline("feature-extraction", tiny_features, return_tensors="np", pooling="mean")
    first, second = embed(["profit", "profit"])
    assert np.array_equal(first, second)
    before = second.copy()
    first[:] = 0
    assert np.array_equal(second, before)


def test_the_flag_is_checked(tiny_bundle: Path) -> None:
    with pytest.raises(InputError, match="deduplicate is 'no'; expected True or False"):
        pipeline("text-classification", tiny_bundle, deduplicate="no")
