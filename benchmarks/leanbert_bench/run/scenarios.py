"""MLPerf Inference's scenarios, as a worker plays them to its back end.

Names and definitions follow the rules of MLPerf Inference (mlcommons/inference_policies): in
*SingleStream* a query is one sample and the next is sent when the last is answered; in
*MultiStream* a query is eight samples; *Offline* gives all samples at once; in *Server* queries of
one sample arrive by a Poisson process. Times are end to end, tokenization included.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from leanbert_bench.statistics import percentile

SINGLE_STREAM, MULTI_STREAM = "SingleStream", "MultiStream"
OFFLINE, SERVER = "Offline", "Server"
SCENARIOS = (SINGLE_STREAM, MULTI_STREAM, OFFLINE, SERVER)
SAMPLES_PER_QUERY = 8
"""The samples per query of MultiStream."""

_LEAST = 3  # timed queries, however slow
_FIRST_LOAD, _STEP = 0.7, 1.15


@dataclass(frozen=True)
class Attempt:
    """One rate of the Server scenario that was tried."""

    qps: float
    p99_ms: float
    held: bool
    """Whether at most 1% of the queries took longer than the bound."""


def latencies(
    answer: Callable[[Sequence[Any]], object],
    items: Sequence[Any],
    *,
    size: int = 1,
    warmup: int = 3,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return the milliseconds of each query of ``size`` items, one after the other.

    Args:
        answer: answers the items of a query.
        items: what the queries are made of; a rest that fills none is left out.
        size: the items per query.
        warmup: how many queries are answered first and discarded.
        seconds: after so long no query begins, but three are timed in any case.
        clock: returns seconds.
    """
    queries = [items[i : i + size] for i in range(0, len(items) - size + 1, size)]
    for query in queries[:warmup]:
        answer(query)
    found: list[float] = []
    begin = clock()
    for query in queries:
        start = clock()
        if len(found) >= _LEAST and start - begin > seconds:
            break
        answer(query)
        found.append(1e3 * (clock() - start))
    return found


def arrivals(qps: float, queries: int, seed: int) -> list[float]:
    """Return the seconds at which each query arrives; the gaps are exponential and seeded."""
    random = Random(seed)  # noqa: S311 - arrivals, not secrets
    at, found = 0.0, []
    for _ in range(queries):
        at += random.expovariate(qps)
        found.append(at)
    return found


def poisson(
    answer: Callable[[Sequence[Any]], object],
    items: Sequence[Any],
    times: Sequence[float],
    bound_ms: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[float, bool]:
    """Answer queries of one item as they arrive, in order, one at a time.

    It ends as soon as more than 1% are too late, since the rate cannot hold any more.

    Args:
        answer: answers one query.
        items: what is asked, in order, again from the first when they end.
        times: when each query arrives, see :func:`arrivals`.
        bound_ms: the latency from arrival to answer that 99% must keep.
        clock: returns seconds.
        sleep: waits for the next arrival.

    Returns:
        The 99th percentile in ms of what was answered, and whether the bound was kept.
    """
    allowed = len(times) // 100
    late, found = 0, []
    begin = clock()
    for i, at in enumerate(times):
        wait = begin + at - clock()
        if wait > 0:
            sleep(wait)
        answer([items[i % len(items)]])
        took = 1e3 * (clock() - begin - at)
        found.append(took)
        late += took > bound_ms
        if late > allowed:
            return percentile(found, 99), False
    return percentile(found, 99), True


class RateSearch:
    """Find the highest rate that holds in a few attempts.

    From a first guess it goes up or down in steps of 15% until one rate held and one did not. Then
    it halves the gap between them, on a logarithmic scale.

    Args:
        guess_qps: the first rate: the one that held before, or see :meth:`from_service_time`.
        attempts: how many rates are tried.
    """

    def __init__(self, guess_qps: float, attempts: int) -> None:
        self._next = guess_qps
        self._left = attempts
        self._held: float | None = None
        self._failed: float | None = None

    @classmethod
    def from_service_time(cls, milliseconds: float, attempts: int) -> RateSearch:
        """Begin at 70% of the rate that keeps a back end busy all the time."""
        return cls(_FIRST_LOAD * 1e3 / milliseconds, attempts)

    @property
    def next_qps(self) -> float | None:
        """The rate to try; ``None`` when the attempts are spent."""
        return self._next if self._left > 0 else None

    @property
    def best_qps(self) -> float | None:
        """The highest rate that held; ``None`` if none did."""
        return self._held

    def take(self, attempt: Attempt) -> None:
        """Take the result of an attempt into account."""
        self._left -= 1
        if attempt.held:
            self._held = max(attempt.qps, self._held or 0.0)
        else:
            self._failed = min(attempt.qps, self._failed or math.inf)
        if self._held is None:
            self._next = attempt.qps / _STEP**2
        elif self._failed is None or self._failed <= self._held:
            self._next = self._held * _STEP
        else:
            self._next = math.sqrt(self._held * self._failed)
