"""Scores and poolings against their definitions, written naively in float64."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert.numerics import (
    apply_function,
    cls_pool,
    l2_normalize,
    max_pool,
    mean_pool,
    sigmoid,
    softmax,
)

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


def hex_bits(values: Any) -> list[str]:
    """The bits of each float32."""
    return [f"{word:08x}" for word in values.ravel().view(np.uint32).tolist()]


# Logits of three texts, and the bits that their scores have on every CPU and system.
LOGITS = array([[2.5, -1.25, 0.125], [-7.0625, 3.3, 3.2], [40, -40, 88.5]])
SOFTMAX = "3f654805 3cac8cbd 3daa9ca5 378b2388 3f066477 3ef334e6 1c82a014 00000000 3f800000"
SIGMOID = "3f6c948f 3e640b81 3f07fd56 3a605e85 3f76e4ce 3f75f93c 3f800000 229cbc92 3f800000"


@pytest.mark.parametrize(("function", "bits"), [(softmax, SOFTMAX), (sigmoid, SIGMOID)])
def test_scores_have_the_committed_bits(function: Any, bits: str) -> None:
    assert hex_bits(function(LOGITS)) == bits.split()
    many = np.tile(LOGITS, (20, 1))  # beyond what plain Python computes
    assert hex_bits(function(many)) == bits.split() * 20


@given(st.lists(HUGE, min_size=3, max_size=3))
def test_few_and_many_numbers_give_the_same_bits(row: list[float]) -> None:
    for function in (softmax, sigmoid):
        alone, among = function(array([row])), function(array([row] * 50))
        assert hex_bits(alone) * 50 == hex_bits(among)


@given(ROWS)
def test_scores_are_within_one_step_of_float32(row: list[float]) -> None:
    top = max(array(row).tolist())
    exponentials = [math.exp(value - top) for value in array(row).tolist()]
    wanted = np.array([value / math.fsum(exponentials) for value in exponentials])
    for found in (softmax(array(row)), softmax(array([row] * 40))[7]):
        assert (np.abs(found - wanted) <= np.spacing(wanted.astype(np.float32))).all()


@pytest.mark.parametrize("times", [1, 40])
def test_what_is_no_number_stays_none(times: int) -> None:
    inf, nan = math.inf, math.nan
    rows = [[1, nan, 2], [nan, 1, 2], [inf, 1, 2], [-inf, -inf, -inf], [-inf, 1, 1], [0, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = softmax(array(rows * times))[:6]
        logistic = sigmoid(array([inf, -inf, nan, 0] * 12 * times))[:4]
    assert np.isnan(found[:4]).all()
    assert found[4].tolist() == [0, 0.5, 0.5]
    assert logistic[[0, 1, 3]].tolist() == [1, 0, 0.5]
    assert np.isnan(logistic[2])


def test_scores_do_not_depend_on_simd() -> None:
    """With every instruction set beyond numpy's baseline off: numpy's own exp differs there."""
    program = (
        "import numpy as np; from leanbert.numerics import *;"
        "x = np.random.RandomState(0).random_sample((500, 7)).astype(np.float32) * 60 - 30;"
        "y = np.random.RandomState(1).random_sample((77, 391)).astype(np.float32) - 0.5;"
        "answers = softmax(x), sigmoid(x), mean_pool(y), l2_normalize(y), l2_normalize(y[0]);"
        "print(b''.join(answer.tobytes() for answer in answers).hex())"
    )
    core = "numpy._core" if hasattr(np, "_core") else "numpy.core"
    umath = importlib.import_module(f"{core}._multiarray_umath")
    beyond = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NPY_DISABLE_CPU_FEATURES": features},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for features in ("", " ".join(beyond))
    }
    assert len(answers) == 1


def test_nothing_in_gives_nothing_out() -> None:
    for shape in ((0, 3), (0,), (2, 0)):
        assert sigmoid(np.zeros(shape, np.float32)).shape == shape
    assert softmax(np.zeros((0, 3), np.float32)).shape == (0, 3)


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
def test_a_row_has_the_same_scores_alone_and_among_others(rows: list[list[float]]) -> None:
    many = array(rows * 20)  # more numbers than take the way of few
    for name in ("softmax", "sigmoid", "none"):
        together = apply_function(name, many).tolist()
        for row, found in zip(rows, together, strict=False):
            assert apply_function(name, array([row])).tolist() == [found]


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
