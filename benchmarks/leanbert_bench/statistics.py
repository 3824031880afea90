"""Medians, their uncertainty, and ratios between back ends that took turns."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Estimate", "estimate", "median", "paired_ratios"]

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


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("median of no values")
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def estimate(turns: Sequence[float]) -> Estimate:
    """The median of the turns and its percentile-bootstrap 95% interval, with a fixed seed.

    Raises:
        ValueError: there are no turns.
    """
    random = Random(_SEED)  # noqa: S311 - a resampling, not a secret
    resampled = sorted(median(random.choices(turns, k=len(turns))) for _ in range(_RESAMPLES))
    return Estimate(
        median=median(turns),
        low=resampled[int(0.025 * _RESAMPLES)],
        high=resampled[int(0.975 * _RESAMPLES) - 1],
        turns=tuple(turns),
    )


def paired_ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """``above / below`` turn by turn, so that what slows a whole turn cancels out.

    Raises:
        ValueError: the numbers of turns differ.
    """
    return [a / b for a, b in zip(above, below, strict=True)]
