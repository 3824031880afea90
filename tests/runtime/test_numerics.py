"""Scores and poolings against their definitions, written naively in float64."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert.numerics import cls_pool, l2_normalize, max_pool, mean_pool, sigmoid, softmax

FLOATS = st.floats(-30, 30, width=32)
ROWS = st.lists(FLOATS, min_size=1, max_size=8)
HUGE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def array(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


@given(ROWS)
def test_softmax_is_its_definition(row: list[float]) -> None:
    found = softmax(array([row, row[::-1]]))
    top = max(row)
    exponentials = [math.exp(value - top) for value in row]
    wanted = [value / sum(exponentials) for value in exponentials]
    assert found[0] == pytest.approx(wanted, abs=1e-6)
    assert found[1] == pytest.approx(wanted[::-1], abs=1e-6)
    assert found.dtype == np.float32


@given(ROWS, st.integers(-1000, 1000))
def test_softmax_does_not_see_a_shift(row: list[float], shift: int) -> None:
    exact = array([round(value * 8) / 8 for value in row])  # the sum is exact in float32
    np.testing.assert_allclose(softmax(exact + np.float32(shift)), softmax(exact), atol=1e-6)


@given(st.lists(HUGE, min_size=1, max_size=6))
def test_softmax_never_overflows(row: list[float]) -> None:
    values = array(row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a difference of two huge numbers may be -inf: fine
        found = softmax(values)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1, abs=1e-5)
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


@given(FLOATS)
def test_sigmoid_is_its_definition(value: float) -> None:
    assert sigmoid(array([value]))[0] == pytest.approx(1 / (1 + math.exp(-value)), abs=1e-6)


@given(HUGE)
def test_sigmoid_saturates_silently(value: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sigmoid(array([value, -value]))
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum() == pytest.approx(1, abs=1e-6)
    if value > 100:
        assert found.tolist() == [1.0, 0.0]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_pooling_is_its_definition(seed: int, lengths: list[int]) -> None:
    source, width = np.random.RandomState(seed), 4
    for length in lengths:
        hidden = array(source.standard_normal((length, width)))
        pooled = mean_pool(hidden)
        assert pooled.shape == (width,)
        assert pooled.dtype == np.float32
        for k in range(width):
            wanted = sum(float(hidden[j, k]) for j in range(length)) / max(1, length)
            assert pooled[k] == pytest.approx(wanted, abs=1e-5)
        if length:
            assert cls_pool(hidden).tolist() == hidden[0].tolist()
            assert max_pool(hidden).tolist() == [max(column) for column in hidden.T.tolist()]


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=9))
def test_a_row_has_the_same_softmax_alone_and_among_others(rows: list[list[float]]) -> None:
    together = softmax(array(rows))
    for row, found in zip(rows, together, strict=True):
        assert softmax(array([row])).tolist() == [found.tolist()]


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_normalized_vectors_have_length_1(rows: list[list[float]]) -> None:
    found = l2_normalize(array(rows))
    for row, vector in zip(rows, found, strict=True):
        norm = math.sqrt(sum(value * value for value in row))
        if norm < 1e-10:
            assert np.abs(vector).max() <= 1
        else:
            assert vector == pytest.approx([value / norm for value in row], abs=1e-5)
    assert l2_normalize(array([0, 0])).tolist() == [0, 0]
