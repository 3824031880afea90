from __future__ import annotations

import pytest

from leanbert_bench.statistics import estimate, median, paired_ratios


@pytest.mark.parametrize(
    ("values", "expected"), [([3], 3), ([5, 1, 3], 3), ([4, 1, 3, 2], 2.5), ([1, 1, 9], 1)]
)
def test_median(values: list[float], expected: float) -> None:
    assert median(values) == expected


def test_no_values_have_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_equal_turns_leave_no_doubt() -> None:
    found = estimate([2.0] * 5)
    assert (found.median, found.low, found.high) == (2.0, 2.0, 2.0)
    assert found.turns == (2.0,) * 5


def test_interval_is_reproducible_and_within_the_turns() -> None:
    turns = [10.0, 12.0, 11.0, 30.0, 9.0, 11.5, 10.5]
    found = estimate(turns)
    assert found == estimate(turns)
    assert min(turns) <= found.low < found.median == 11.0 < found.high <= max(turns)


def test_more_turns_narrow_the_interval() -> None:
    few, many = estimate([1.0, 2.0, 3.0, 4.0, 5.0]), estimate([1.0, 2.0, 3.0, 4.0, 5.0] * 40)
    assert many.high - many.low < few.high - few.low


def test_ratios_are_paired_by_turn() -> None:
    # The machine halves its speed in the second turn: the ratio does not see it.
    assert paired_ratios([20, 10], [10, 5]) == [2, 2]
    with pytest.raises(ValueError, match=r"zip\(\)"):
        paired_ratios([1], [1, 2])
