"""Texts that come again: computed once, answered each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert import pipeline
from leanbert.batching import repeats
from leanbert.batching.repeats import Recent
from leanbert.engines import Batch
from leanbert.errors import InputError

TEXTS = ["profit", "a bad loss", "profit", "profit year", "a bad loss", "Profit!"] * 40


def test_rows_of_the_same_ids_and_types_are_found() -> None:
    ids = [[2, 7, 3], [2, 7], [2, 7, 3], [3, 2, 7], [2, 7, 3]]
    assert Recent[int]().plan(Batch.of(ids)).new == [0, 1, 3]
    types = [[0, 0, 0], [0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert Recent[int]().plan(Batch.of(ids, types)).new == [0, 1, 2, 3]
    assert Recent[int]().plan(Batch.of([])).new == []


def test_a_later_group_repeats_rows_of_one_that_is_still_computed() -> None:
    recent: Recent[str] = Recent()
    first = recent.plan(Batch.of([[2, 7], [2, 8]]))
    second = recent.plan(Batch.of([[2, 8], [2, 9]]))
    assert (first.new, second.new) == ([0, 1], [1])
    recent.fill(first, {0: "seven", 1: "eight"})
    assert [first.row(0), first.row(1)] == ["seven", "eight"]
    recent.fill(second, {1: "nine"})
    assert [second.row(0), second.row(1)] == ["eight", "nine"]


def test_what_there_is_no_room_for_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_BYTES", 1000)
    recent: Recent[int] = Recent()
    for i in range(100):
        group = recent.plan(Batch.of([[2, i, 3]]))
        assert group.new == [0]
        recent.fill(group, {0: i})
        assert group.row(0) == i
        assert len(recent._cells) <= 9
    assert recent.plan(Batch.of([[2, 99, 3]])).new == []
    assert recent.plan(Batch.of([[2, 5, 3]])).new == [0]


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
