"""MLPerf's scenarios with a clock of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from leanbert_bench.run.scenarios import (
    Attempt,
    RateSearch,
    arrivals,
    latencies,
    poisson,
)


class Clock:
    """Time passes only where somebody works or sleeps."""

    def __init__(self, service: float) -> None:
        self.now, self.service = 100.0, service
        self.asked: list[list[Any]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def answer(self, items: Sequence[Any]) -> None:
        self.asked.append(list(items))
        self.now += self.service * len(items)


def test_single_stream_times_each_text_after_the_warm_up() -> None:
    clock = Clock(0.002)
    found = latencies(clock.answer, ["a", "b", "c"], warmup=2, clock=clock)
    assert found == pytest.approx([2.0] * 3)
    assert clock.asked == [["a"], ["b"], ["a"], ["b"], ["c"]]


def test_multi_stream_asks_eight_at_once_and_leaves_a_rest_out() -> None:
    clock = Clock(0.001)
    found = latencies(clock.answer, list(range(20)), size=8, warmup=0, clock=clock)
    assert found == pytest.approx([8.0, 8.0])
    assert [len(query) for query in clock.asked] == [8, 8]


def test_a_slow_back_end_is_timed_three_times_and_no_more() -> None:
    clock = Clock(10.0)
    assert len(latencies(clock.answer, range(50), warmup=0, seconds=1.0, clock=clock)) == 3


def test_arrivals_are_a_poisson_process() -> None:
    times = arrivals(50.0, 4000, seed=1)
    assert times == arrivals(50.0, 4000, seed=1) != arrivals(50.0, 4000, seed=2)
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(1 / 50, rel=0.05)
    spread = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert spread == pytest.approx(mean**2, rel=0.15)  # as exponential gaps have


def test_a_query_waits_for_those_before_it() -> None:
    clock = Clock(0.010)
    # The second arrives while the first is answered, the third long after.
    p99, held = poisson(
        clock.answer, ["a", "b"], [0.0, 0.004, 1.0], 20.0, clock=clock, sleep=clock.sleep
    )
    assert held
    assert p99 == pytest.approx(16.0)
    assert clock.asked == [["a"], ["b"], ["a"]]


def test_an_attempt_ends_when_too_many_are_late() -> None:
    clock = Clock(0.010)
    times = [0.001 * i for i in range(1000)]
    p99, held = poisson(clock.answer, ["a"], times, 50.0, clock=clock, sleep=clock.sleep)
    assert not held
    assert p99 > 50
    assert len(clock.asked) < 30  # ten may be late, and each wait grows by 9 ms


@pytest.mark.parametrize("limit", [3.0, 40.0, 66.0, 90.0, 400.0])
def test_the_search_closes_in_on_the_highest_rate(limit: float) -> None:
    search = RateSearch.from_service_time(10.0, 14)  # 100 a second at most: begins at 70
    tried = []
    while (qps := search.next_qps) is not None:
        tried.append(qps)
        search.take(Attempt(qps, 1.0, qps <= limit))
    assert tried[0] == pytest.approx(70.0)
    assert len(tried) == 14
    assert search.best_qps is not None
    assert 0.8 * limit < search.best_qps <= limit


def test_no_rate_may_hold() -> None:
    search = RateSearch(10.0, 3)
    while (qps := search.next_qps) is not None:
        search.take(Attempt(qps, 9.9, False))
    assert search.best_qps is None
