"""Scores by the native library: the bits of :mod:`leanbert.numerics`, whatever it is given."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert import scores
from leanbert.engines.native.binding import library_with
from leanbert.numerics import apply_function
from leanbert.scores import rows_of_scores, scores_of

HUGE = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = st.integers(1, 5).flatmap(
    lambda labels: st.lists(
        st.lists(HUGE, min_size=labels, max_size=labels), min_size=1, max_size=20
    )
)
FUNCTIONS = ("softmax", "sigmoid", "none")
BY = pytest.mark.parametrize(
    "by",
    [
        pytest.param(
            "native",
            marks=pytest.mark.skipif(
                library_with("lb_scores") is None,
                reason="the native library is not there, or older than lb_scores",
            ),
        ),
        "numpy",
    ],
)


@pytest.fixture
def way(by: str, monkeypatch: pytest.MonkeyPatch) -> str:
    if by == "numpy":
        monkeypatch.setattr(scores, "library_with", lambda _: None)
    return by


def bits(values: Any) -> list[int]:
    found: list[int] = np.ascontiguousarray(values).view(np.uint32).ravel().tolist()
    return found


@pytest.mark.skipif(library_with("lb_scores") is None, reason="no native library with lb_scores")
@given(ROWS, st.sampled_from(FUNCTIONS))
def test_the_bits_are_those_of_numerics(rows: list[list[float]], function: str) -> None:
    logits = np.array(rows, np.float32)
    found, sound = scores_of(function, logits)
    assert sound
    assert found.shape == logits.shape
    assert bits(found) == bits(apply_function(function, logits))


@BY
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_any_shape_and_any_layout_may_be_given(function: str) -> None:
    source = np.random.default_rng(3).normal(0, 4, (6, 5, 8)).astype(np.float32)
    read_only = source.copy()
    read_only.flags.writeable = False
    for logits in (source, source[0], source[0, 0], source[::2, :, ::3], source.T, read_only):
        found, sound = scores_of(function, logits)
        assert sound
        assert found.shape == logits.shape
        assert bits(found) == bits(apply_function(function, logits))
    assert source.tolist() == read_only.tolist()  # nothing is written to what was given


@BY
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_nothing_gives_nothing(shape: tuple[int, int]) -> None:
    found, sound = scores_of("sigmoid", np.zeros(shape, np.float32))
    assert sound
    assert found.shape == shape


@BY
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_row_without_numbers_spoils_no_other(function: str) -> None:
    inf, nan = math.inf, math.nan
    rows = [[1, 2, 3], [nan, 1, 2], [inf, 1, 2], [1, -inf, 2], [-1, 0, 88]]
    logits = np.array(rows, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not scores_of(function, logits)[1]
        found = rows_of_scores(function, logits)
    assert found[1:4] == [None] * 3
    for i in (0, 4):
        assert [found[i]] == apply_function(function, logits[i : i + 1]).tolist()
