"""What a run costs, and what a model computes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leanbert_bench.run.operations import operations
from leanbert_bench.run.plan import (
    FULL,
    GRID,
    QUICK,
    QUICK_SECONDS,
    Plan,
    Speed,
    estimate_seconds,
    guessed_peaks,
    parts_of,
    turn_seconds,
)

BERT_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
PEAKS = {"fp32": 233e9, "int8": 925e9}


def estimate(plan: Plan, *backends: tuple[str, str, float]) -> float:
    return estimate_seconds(plan, Speed(BERT_BASE, 28, PEAKS), backends, rows=117)


def test_bert_base_has_85_million_multiply_adds_a_token() -> None:
    found = operations(BERT_BASE, 1, 1)
    assert found is not None
    layers = 12 * (4 * 768**2 + 2 * 768 * 3072)
    assert layers == 84_934_656
    assert found["linear"] == 2 * (layers + 768**2)
    assert found["weight_bytes_int8"] == layers + 768**2
    assert found["weight_bytes_fp32"] == 4 * found["weight_bytes_int8"]
    # Scores and values: 2 matmuls of length x length x hidden per layer, 2 operations each.
    long = operations(BERT_BASE, 8, 128)
    assert long is not None
    assert long["attention"] == 12 * 2 * 2 * 8 * 128 * 128 * 768
    assert long["linear"] == 2 * 8 * (128 * layers + 768**2)


def test_other_families_name_their_sizes_otherwise() -> None:
    distil = {"dim": 768, "hidden_dim": 3072, "n_layers": 6}
    assert operations(distil, 1, 8) == operations({**BERT_BASE, "num_hidden_layers": 6}, 1, 8)
    assert operations({"hidden_size": 8}, 1, 8) is None


def test_a_turn_measures_the_grid_and_then_the_scenarios() -> None:
    names = [part.name for part in parts_of(FULL)]
    assert names[: len(GRID)] == ["1x8", "1x32", "1x64", "1x128", "8x32", "8x128", "1x512"]
    assert names[len(GRID) :] == ["SingleStream", "MultiStream", "Offline", "Server"]
    assert [part.name for part in parts_of(QUICK)][:3] == ["SingleStream", "Offline", "1x8"]


def test_quick_is_planned_to_end_within_two_minutes() -> None:
    assert QUICK_SECONDS < 120
    assert QUICK.quick
    assert not FULL.quick
    # One heavy and one light back end of FinBERT's size, prepared: their share of the budget.
    heavy = estimate(QUICK, ("pytorch", "fp32", 0.0))
    light = estimate(QUICK, ("leanbert", "int8", 0.0))
    assert light < heavy < QUICK_SECONDS / 2
    # Even where nothing was measured, a turn of both leaves room for a second one.
    slow = Speed(BERT_BASE, 28, guessed_peaks(2))
    both = sum(turn_seconds(QUICK, slow, precision) for precision in ("fp32", "int8"))
    assert both < QUICK_SECONDS / 4


def test_the_estimate_grows_with_what_is_asked_for() -> None:
    one = estimate(FULL, ("pytorch", "fp32", 0.0))
    assert estimate(FULL, ("pytorch", "fp32", 0.0), ("leanbert", "int8", 0.0)) > one
    assert estimate(replace(FULL, turns=10), ("pytorch", "fp32", 0.0)) > one
    assert estimate(FULL, ("pytorch", "fp32", 60.0)) == pytest.approx(one + 60, abs=1)
    few = replace(FULL, memory_counts=(), cold_starts=0, scenarios=())
    assert estimate(few, ("pytorch", "fp32", 0.0)) < one / 2


def test_weights_in_fp16_are_estimated_as_fp32() -> None:
    speed = Speed(BERT_BASE, 28, guessed_peaks(2))
    assert speed.one("fp16") == speed.one("fp32") > speed.one("int8")
