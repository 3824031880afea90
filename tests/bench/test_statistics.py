from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leanbert_bench.statistics import (
    drift,
    estimate,
    geometric_mean,
    independent_ratio,
    median,
    paired_ratio,
    paired_ratios,
    percentile,
    spread,
)


@pytest.mark.parametrize(
    ("values", "expected"), [([3], 3), ([5, 1, 3], 3), ([4, 1, 3, 2], 2.5), ([1, 1, 9], 1)]
)
def test_median(values: list[float], expected: float) -> None:
    assert median(values) == expected


def test_the_order_of_turns_does_not_matter() -> None:
    one, other = estimate([3.0, 1.0, 2.0, 5.0]), estimate([5.0, 2.0, 1.0, 3.0])
    assert (one.median, one.low, one.high) == (other.median, other.low, other.high)


def test_nothing_has_no_estimate() -> None:
    with pytest.raises(ValueError, match="no turns"):
        estimate([])
    with pytest.raises(ValueError, match="no turns"):
        independent_ratio([], [1.0])


def test_the_interval_covers_the_median_as_often_as_it_says() -> None:
    random = Random(3)  # noqa: S311 - noise, not a secret
    held = 0
    for _ in range(300):
        found = estimate([random.gauss(10, 1) for _ in range(15)])
        held += found.low <= 10 <= found.high
    assert 0.90 < held / 300 < 0.995


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


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (90, 90), (99, 99), (100, 100), (0.5, 1), (89.5, 90)]
)
def test_percentiles_are_measured_values(percent: float, expected: float) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


def test_percentile_of_few_values_is_one_of_them() -> None:
    assert percentile([3.0, 1.0, 2.0], 90) == 3.0
    assert percentile([7.0], 1) == 7.0
    assert percentile([5.0, 1.0, 4.0, 2.0, 3.0], 50) == 3.0


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_percentile_refuses(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_geometric_mean_is_fair_to_ratios() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1)
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4)
    for bad in ([], [1.0, 0.0]):
        with pytest.raises(ValueError, match="geometric"):
            geometric_mean(bad)


def test_a_slow_turn_cancels_out_of_a_paired_ratio() -> None:
    found = paired_ratio([10, 20, 10.5, 9.5], [5, 10, 5.2, 4.8, 99])
    assert found.significant
    assert [found.low, found.high] == pytest.approx([1.979, 2.02], abs=0.02)
    # Taken apart, the same turns leave more doubt.
    apart = independent_ratio([10, 20, 10.5, 9.5], [5, 10, 5.2, 4.8])
    assert apart.low < found.low < found.high < apart.high


def test_significance_needs_an_interval_that_leaves_out_1() -> None:
    assert not estimate([0.9, 1.1, 1.0, 1.05]).significant
    assert estimate([1.1, 1.2, 1.15]).significant
    assert not estimate([1.2]).significant
    assert not estimate([1.2]).certain


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.5, 100), min_size=1, max_size=6),
    st.lists(st.floats(0.5, 100), min_size=1, max_size=6),
)
def test_a_ratio_turned_over_is_its_inverse(above: list[float], below: list[float]) -> None:
    ratio, inverse = independent_ratio(above, below), independent_ratio(below, above)
    assert ratio.median == pytest.approx(1 / inverse.median)
    assert min(above) / max(below) * 0.999 <= ratio.low <= ratio.high
    assert ratio.high <= max(above) / min(below) * 1.001


@settings(max_examples=25)
@given(st.lists(st.floats(0.5, 100), min_size=2, max_size=7), st.floats(0.1, 10))
def test_units_do_not_matter_to_the_interval(turns: list[float], unit: float) -> None:
    plain, scaled = estimate(turns), estimate([unit * turn for turn in turns])
    assert (scaled.low, scaled.high) == pytest.approx((unit * plain.low, unit * plain.high))
    assert plain.low <= plain.median <= plain.high


def test_spread_and_drift() -> None:
    assert spread([10, 12, 9]) == pytest.approx(0.3)
    assert spread([10]) == 0
    assert drift([10, 10, 99, 12, 12]) == pytest.approx(1.2)
    assert drift([10, 20, 30]) == 1
