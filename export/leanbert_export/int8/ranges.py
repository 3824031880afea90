"""Choose how rows of activations are rounded to uint8: their range, and a smoothing before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanbert_export.int8.rounding import Doubles, Floats, quantize_columns

SYMMETRIC, AFTER_GELU = 128, 16
"""Zero points without calibration. The output of GELU is hardly negative, so its zero is low."""

GELU_FLOOR = 0.1701
"""Minus the lower bound of GELU. Its minimum is -0.16997, at -0.7518; that of its tanh form is
-0.17004, at -0.7525."""

TINY = 1e-30
"""The least scale: a row of zeros is divided by it and stays zero."""

_ZERO_POINTS = (128, 112, 144, 96, 160, 80, 176, 64, 192, 48, 208, 32, 224, 16, 240, 8)
_CLIPS = (1.0, 0.95, 0.9, 0.8)
_ROWS = 512  # calibration rows that the searches for one matmul use
_FIRST = 128  # how many of these rows may be of first tokens
_FIRST_WEIGHT = 0.15  # share of the first tokens' error in the whole error


@dataclass(frozen=True)
class ActivationRange:
    """How rows become uint8: the zero point of a matmul, and the scale of each row.

    ``scale = max(row_max * clip / (255 - zero_point), -row_min * clip / zero_point)``
    """

    zero_point: int = SYMMETRIC
    clip: float = 1.0

    @property
    def high(self) -> float:
        """The factor by which a row's maximum becomes its scale."""
        return self.clip / (255 - self.zero_point)

    @property
    def low(self) -> float:
        """The factor by which a row's minimum becomes its scale; it is negative."""
        return -self.clip / self.zero_point

    def round_trip(self, rows: Floats) -> Floats:
        """Round rows to uint8 and restore them, as the graph does.

        *Shape:* ``(tokens, inputs)`` -> ``(tokens, inputs)``.
        """
        high = rows.max(axis=1, keepdims=True) * np.float32(self.high)
        low = rows.min(axis=1, keepdims=True) * np.float32(self.low)
        scale = np.maximum(np.maximum(high, low), np.float32(TINY))
        levels = np.clip(np.rint(rows / scale) + self.zero_point, 0, 255)
        restored: Floats = ((levels - self.zero_point) * scale).astype(np.float32)
        return restored


@dataclass(frozen=True)
class Sample:
    """The rows that one matmul read on calibration texts."""

    rows: npt.NDArray[np.float16]
    """*Shape:* ``(tokens, inputs)``."""
    first: npt.NDArray[np.bool_]
    """*Shape:* ``(tokens,)``. Whether the row belongs to the first token of a text."""

    def few(self, seed: int = 0) -> tuple[Floats, Doubles]:
        """Draw rows for the searches, and say how much the error of each counts.

        A classifier reads the first token only. Rows of first tokens look like no others (one
        channel of 30 among values of 0.1), and only about one row in thirty is one of them.

        *Shape:* ``(rows, inputs)`` float32 and ``(rows,)`` float64, which sums to 1.
        """
        order = np.random.default_rng(seed).permutation(len(self.rows))
        first = order[self.first[order]][:_FIRST]
        others = order[~self.first[order]][: _ROWS - len(first)]
        weights = np.concatenate(
            [
                np.full(len(first), _FIRST_WEIGHT / max(1, len(first))),
                np.full(len(others), (1 - _FIRST_WEIGHT) / max(1, len(others))),
            ]
        )
        return self.rows[np.concatenate([first, others])].astype(np.float32), weights


def choose_range(sample: Sample, weight: Floats) -> ActivationRange:
    """Choose the zero point and the clip whose rounding changes ``rows @ weight`` least."""
    rows, shares = sample.few()

    def error(candidate: ActivationRange) -> float:
        changed = (rows - candidate.round_trip(rows)) @ weight
        return float(((changed**2).sum(axis=1) * shares).sum())

    # min() takes the first of equals: the symmetric zero point and the whole range stand first.
    zero_point = min((ActivationRange(z) for z in _ZERO_POINTS), key=error).zero_point
    return min((ActivationRange(zero_point, clip) for clip in _CLIPS), key=error)


def choose_smoothing(sample: Sample, weight: Floats, limit: int) -> Floats | None:
    """Choose factors that move the size of outlier channels from the rows into the weights.

    ``(rows / factors) @ (factors[:, None] * weight)`` gives the same result (SmoothQuant, Xiao et
    al., arXiv 2211.10438). The candidates are SmoothQuant's factors at several strengths, and
    plain caps on the channels that stand out. The candidate with the least error is taken, unless
    it saves less than 5%: then the result is ``None``.

    *Shape:* ``(inputs,)`` float32.
    """
    rows, shares = sample.few()
    wanted = rows @ weight

    def error(factors: Floats) -> float:
        levels, scale = quantize_columns(weight * factors[:, None], limit)
        restored = ActivationRange().round_trip(rows / factors) @ (levels * scale)
        return float((((wanted - restored) ** 2).sum(axis=1) * shares).sum())

    best: Floats | None = None
    least = error(np.ones(len(weight), np.float32)) * _WORTH
    for factors in _candidates(np.abs(sample.rows).max(axis=0), np.abs(weight).max(axis=1)):
        if (found := error(factors)) < least:
            best, least = factors, found
    return best


_WORTH = 0.95  # smoothing costs a multiplication of all rows, so it must save some error


def _candidates(inputs: Floats, weights: Floats) -> Iterator[Floats]:
    inputs = inputs.astype(np.float32) + np.float32(1e-6)
    weights = weights + np.float32(1e-6)
    for strength in (0.5, 0.6, 0.7, 0.8, 0.9):
        factors = inputs**strength / weights ** (1 - strength)
        yield (factors / np.median(factors)).astype(np.float32)
    for cap in (1.0, 1.5, 2.0, 3.0):
        for strength in (0.5, 0.75, 1.0):
            factors = np.maximum(1, inputs / (cap * np.median(inputs))) ** strength
            yield (factors / np.median(factors)).astype(np.float32)
