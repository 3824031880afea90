"""The search for the least error: the choice of the whole errors, in fewer computations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leanbert_export.int8.searching import least_error


class Errors:
    """Errors of candidates in parts, and the record of what was asked for."""

    def __init__(self, parts: list[list[float]], whole: list[float] | None = None) -> None:
        self.parts = parts
        self.sums = whole or [sum(one) for one in parts]
        self.asked: list[tuple[int, int]] = []
        self.whole: list[int] = []

    def search(self) -> int:
        def part(candidate: int, i: int) -> float:
            self.asked.append((candidate, i))
            return self.parts[candidate][i]

        def whole(candidate: int) -> float:
            self.whole.append(candidate)
            return self.sums[candidate]

        return least_error(len(self.parts), len(self.parts[0]), part, whole)


@pytest.mark.parametrize("seed", range(20))
def test_the_least_is_found_and_most_parts_are_not_computed(seed: int) -> None:
    parts = np.exp(np.random.default_rng(seed).standard_normal((12, 8))) * np.arange(4, 16)[:, None]
    errors = Errors(np.random.default_rng(seed).permutation(parts).tolist())
    assert errors.search() == int(np.argmin(errors.sums))
    assert len(errors.asked) == len(set(errors.asked)) < 12 * 8
    assert not errors.whole


def test_near_candidates_are_compared_by_their_whole_errors() -> None:
    errors = Errors([[5.0, 5.0], [1.0, 1.0], [1.0, 1.0001], [1.0, 1.1]], [10.0, 2.0, 1.9, 2.1])
    assert errors.search() == 2
    assert errors.whole == [1, 2]


def test_of_equals_the_first_is_taken() -> None:
    assert Errors([[2.0, 1.0], [0.5, 0.5], [0.5, 0.5]]).search() == 1
    assert Errors([[0.0, 0.0], [0.0, 0.0]]).search() == 0
    assert Errors([[3.0], [2.0], [2.0]]).search() == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_errors_that_are_no_numbers_are_left_to_the_whole_ones(bad: float) -> None:
    errors = Errors([[bad, 1.0], [1.0, 1.0]], [3.0, 2.0])
    assert errors.search() == 1
    assert errors.whole == [0, 1]
    errors = Errors([[1.0, bad], [1.0, bad]], [3.0, 2.0])
    assert errors.search() == 1
