"""Answers of two back ends against values worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanbert_bench.backends import REFERENCE
from leanbert_bench.run.journal import Journal
from leanbert_bench.run.judging import accuracy, batch_invariance
from leanbert_bench.run.participants import Bench
from tests.helpers.bench_models import SMALL, checkpoint, subject, workload

FP32 = [[0.5, 0.45, 0.05], [0.9, 0.05, 0.05], [0.1, 0.7, 0.2], [0.2, 0.2, 0.6]]
TEXTS = ["a", "b", "c", "d"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Four texts, of which the reference answered all in the same way in every batch."""
    model = subject(checkpoint(tmp_path / "model"))
    labels = ["negative", "positive", "negative", "neutral"]
    texts = workload(texts=TEXTS, labels=labels, rows=4)
    found = Bench(SMALL, model, texts, 1, Journal(tmp_path / "partial", {}))
    keep(found, REFERENCE, FP32, FP32, FP32)
    yield found
    found.journal.close()


def keep(bench: Bench, id_: str, alone: Any, ordered: Any, shuffled: Any) -> None:
    for way, scores in (("alone", alone), ("sorted", ordered), ("shuffled", shuffled)):
        bench.journal.put(id_, f"scores {way}", scores)


def changed(**rows: list[float]) -> list[list[float]]:
    return [rows.get(text, row) for text, row in zip(TEXTS, FP32, strict=True)]


def test_a_flip_counts_as_held_above_the_margin_only(bench: Bench) -> None:
    # fp32 held the label of a by 0.05, that of c by 0.5
    int8 = changed(a=[0.45, 0.5, 0.05], c=[0.1, 0.4, 0.5])
    keep(bench, "int8", int8, int8, int8)
    found = accuracy(bench, "int8")
    assert found is not None
    assert (found["flips_count"], found["held"], found["held_flipped"]) == (2, 3, 1)
    assert (found["agreement"], found["accuracy"]) == (0.5, 0.75)
    assert found["max_difference"] == pytest.approx(0.3)
    assert found["mean_difference"] == pytest.approx((0.05 * 2 + 0.3 * 2) / 12)


def test_the_reference_is_not_compared_with_itself(bench: Bench) -> None:
    found = accuracy(bench, REFERENCE)
    assert found is not None
    assert (found["held"], found["held_flipped"], found["accuracy"]) == (3, 0, 0.75)
    assert "agreement" not in found


def test_a_label_that_its_batch_changes_counts_if_the_reference_held_it(bench: Bench) -> None:
    ordered = changed(b=[0.8, 0.15, 0.05], d=[0.2, 0.5, 0.3])  # d was held by 0.4
    keep(bench, "int8", FP32, ordered, changed(a=[0.4, 0.55, 0.05], b=[0.95, 0.0, 0.05]))
    found = batch_invariance(bench, "int8")
    assert found is not None
    assert found["sorted"] == found["largest"] == pytest.approx(0.3)
    assert found["shuffled"] == pytest.approx(0.1)
    assert (found["rows"], found["held"], found["held_flipped"]) == (4, 3, 1)
    same = batch_invariance(bench, REFERENCE)
    assert same is not None
    assert (same["largest"], same["held_flipped"]) == (0, 0)
    assert batch_invariance(bench, "nobody") is None


def test_embeddings_are_compared_by_their_cosines(bench: Bench) -> None:
    model = replace(bench.subject, task="feature-extraction")
    texts = replace(bench.workload, labels=None)
    both = Bench(SMALL, model, texts, 1, bench.journal)
    ours = changed(c=[0.7, 0.1, 0.2])
    keep(both, "int8", ours, ours, changed(c=[0.7, 0.1, -0.2]))
    found, change = accuracy(both, "int8"), batch_invariance(both, "int8")
    assert found is not None
    assert change is not None
    worst = (0.07 + 0.07 + 0.04) / (0.01 + 0.49 + 0.04)
    assert found["worst_cosine"] == pytest.approx(worst)
    assert found["mean_cosine"] == pytest.approx((3 + worst) / 4)
    assert change["worst_cosine"] == pytest.approx((0.49 + 0.01 - 0.04) / 0.54)
    assert "agreement" not in found
    assert "held" not in change
