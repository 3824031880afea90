"""Medians and their uncertainty, ratios between back ends that took turns, and noise.

Turns are resampled, not samples: the samples of one turn share whatever the machine did meanwhile,
so that they would pass for more evidence than they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

_RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A median over turns with its bootstrap 95% confidence interval."""

    median: float
    low: float
    high: float
    turns: tuple[float, ...]
    """The value of each turn, in order."""

    @property
    def certain(self) -> bool:
        """Whether there are at least the two turns that an interval needs."""
        return len(self.turns) > 1

    @property
    def significant(self) -> bool:
        """Whether the interval of a ratio leaves out 1, which is "no change"."""
        return self.certain and not self.low <= 1 <= self.high


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("median of no values")
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of the values do not exceed.

    This is the nearest rank. Nothing is interpolated: a latency that is reported was measured.

    Args:
        values: in any order.
        percent: above 0 and at most 100, for example 90 for p90.

    Raises:
        ValueError: there are no values, or ``percent`` is out of range.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"percentile {percent} of {len(values)} values")
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def geometric_mean(values: Sequence[float]) -> float:
    """Return the mean of ratios in which a half and a double cancel out.

    Raises:
        ValueError: there are no values, or one is not above 0.
    """
    if not values or min(values) <= 0:
        raise ValueError("geometric mean of no values, or of one that is not above 0")
    return math.exp(sum(map(math.log, values)) / len(values))


def estimate(turns: Sequence[float]) -> Estimate:
    """Return the median of the turns with its percentile-bootstrap 95% interval; seeded.

    Raises:
        ValueError: there are no turns.
    """
    if not turns:
        raise ValueError("estimate of no turns")
    low, high = _interval(_resampled_medians(turns, 0))
    return Estimate(median(turns), low, high, tuple(turns))


def paired_ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return ``above / below`` turn by turn, so that what slows a whole turn cancels out.

    Raises:
        ValueError: the numbers of turns differ.
    """
    return [a / b for a, b in zip(above, below, strict=True)]


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Return ``above / below`` of two back ends of one run, over the turns that both took.

    Raises:
        ValueError: there is no such turn.
    """
    both = min(len(above), len(below))
    return estimate(paired_ratios(above[:both], below[:both]))


def independent_ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Return the ratio of the medians of two runs, whose turns cannot be paired.

    Each side is resampled by itself. ``turns`` holds the ratio turn by turn, as far as both go.

    Raises:
        ValueError: a side has no turns.
    """
    if not above or not below:
        raise ValueError("ratio of no turns")
    both = min(len(above), len(below))
    sides = zip(_resampled_medians(above, 0), _resampled_medians(below, 1), strict=True)
    low, high = _interval([over / under for over, under in sides])
    turns = tuple(paired_ratios(above[:both], below[:both]))
    return Estimate(median(above) / median(below), low, high, turns)


def _resampled_medians(turns: Sequence[float], stream: int) -> list[float]:
    ordered = sorted(turns)
    return [(ordered[i] + ordered[j]) / 2 for i, j in _middles(len(ordered), stream)]


@lru_cache(maxsize=64)
def _middles(count: int, stream: int) -> tuple[tuple[int, int], ...]:
    """The ranks whose mean is the median of each resample: the same for any ``count`` values.

    They are drawn once per count and stream, since drawing takes most of the time.
    """
    random = Random(f"{_SEED} {stream}")  # noqa: S311 - a resampling, not a secret
    resamples = (sorted(random.choices(range(count), k=count)) for _ in range(_RESAMPLES))
    return tuple((ranks[(count - 1) // 2], ranks[count // 2]) for ranks in resamples)


def _interval(resampled: Sequence[float]) -> tuple[float, float]:
    found = sorted(resampled)
    return found[int(0.025 * _RESAMPLES)], found[int(0.975 * _RESAMPLES) - 1]


def spread(turns: Sequence[float]) -> float:
    """Return how far the turns lie apart: largest less smallest, over the median.

    Raises:
        ValueError: there are no turns.
    """
    return (max(turns) - min(turns)) / median(turns)


def drift(turns: Sequence[float]) -> float:
    """Return the median of the last half of the turns over that of the first half.

    It is 1 below four turns. An odd turn in the middle belongs to neither half.
    """
    half = len(turns) // 2
    return median(turns[-half:]) / median(turns[:half]) if len(turns) >= 4 else 1.0
