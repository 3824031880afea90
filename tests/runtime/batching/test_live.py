"""Lazy feeds: the first answer at once, large groups for a fast feed, small ones for a slow one."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.batching import live
from leanbert.batching.drawing import DrawnAhead
from leanbert.batching.live import live_groups
from leanbert.errors import InputError


class Clock:
    """A clock that stands still until a feed moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(live, "monotonic", made)
    return made


def feed(clock: Clock, waits: Iterator[float]) -> Iterator[int]:
    for i, seconds in enumerate(waits):
        clock.now += seconds
        yield i


def sizes(clock: Clock, waits: list[float], size: int = 2048) -> list[int]:
    return [len(group) for group in live_groups(feed(clock, iter(waits)), size, 0.05)]


def test_a_fast_feed_fills_ever_larger_groups(clock: Clock) -> None:
    assert sizes(clock, [0.0] * 3000) == [1, 4, 16, 64, 256, 1024, 1635]
    assert sizes(clock, [0.0] * 100, size=10) == [1, 4, 10, 10, 10, 10, 10, 10, 10, 10, 10, 5]


def test_each_item_of_a_slow_feed_is_answered_before_the_next_is_drawn(clock: Clock) -> None:
    assert sizes(clock, [0.0, 1.0, 1.0, 1.0]) == [1, 1, 1, 1]
    assert sizes(clock, [2.0, 1.0, 1.0]) == [1, 1, 1]


def test_a_group_ends_when_its_first_item_has_waited_long_enough(clock: Clock) -> None:
    # 1 item, then 4 in time, then one each 20 ms: three of them reach 50 ms.
    assert sizes(clock, [0.0] * 5 + [0.02] * 9) == [1, 4, 4, 4, 1]


def test_a_pause_ends_a_group_and_starts_small_again(clock: Clock) -> None:
    assert sizes(clock, [0.0] * 21 + [0.0, 0.0, 5.0] + [0.0] * 6) == [1, 4, 16, 3, 1, 4, 1]


def test_the_time_that_the_caller_takes_is_not_the_feed_s(clock: Clock) -> None:
    groups = []
    for group in live_groups(feed(clock, itertools.repeat(0.0, 21)), 2048, 0.05):
        groups.append(len(group))
        clock.now += 10
    assert groups == [1, 4, 16]


def test_a_feed_drawn_ahead_is_not_waited_for() -> None:
    told: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    groups = live_groups(DrawnAhead(iter(told.get, None)), 2048, 0.01)
    for i in range(5):  # each is sent when the one before was answered, as a program does
        told.put(i)
        assert next(groups) == [i]
    told.put(None)
    assert list(groups) == []


def test_what_a_feed_raises_comes_after_its_items() -> None:
    def broken() -> Iterator[int]:
        yield from range(3)
        raise ValueError("broken")

    drawn = DrawnAhead(broken())
    assert [next(drawn), next(drawn), next(drawn)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(drawn)
    with pytest.raises(StopIteration):
        next(drawn)


def test_a_feed_is_drawn_so_far_ahead_and_no_farther() -> None:
    numbers: list[int] = []

    def endless() -> Iterator[int]:
        for i in itertools.count():
            numbers.append(i)
            yield i

    drawn = DrawnAhead(endless(), most=10)
    assert next(drawn) == 0
    drawn.close()
    assert drawn._thread is not None
    drawn._thread.join(60)
    assert not drawn._thread.is_alive()
    assert len(numbers) <= 12


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_the_first_answer_does_not_wait_for_a_second_text(tiny_bundle: Path, mode: str) -> None:
    classify = pipeline("text-classification", tiny_bundle, mode=mode, threads=2)
    drawn: list[int] = []

    def texts() -> Iterator[str]:
        for i in range(30):
            drawn.append(i)
            yield "profit" if i % 2 else "a bad loss"

    answers = classify(texts())
    first = next(answers)
    assert drawn == [0]
    assert [first, *answers] == classify(["profit" if i % 2 else "a bad loss" for i in range(30)])
    assert drawn == list(range(30))


def test_whole_groups_where_nothing_is_waited_for(tiny_bundle: Path) -> None:
    classify = pipeline("text-classification", tiny_bundle)
    drawn: list[int] = []

    def texts() -> Iterator[str]:
        for i in range(30):
            drawn.append(i)
            yield "profit"

    next(classify(texts(), max_wait_ms=None))
    assert drawn == list(range(30))


@pytest.mark.parametrize("wrong", [-1, "50", True, 1e9, float("nan")])
def test_a_wait_that_is_no_time_is_refused(tiny_bundle: Path, wrong: Any) -> None:
    with pytest.raises(InputError, match=r"max_wait_ms is .*; expected milliseconds"):
        pipeline("text-classification", tiny_bundle, max_wait_ms=wrong)
