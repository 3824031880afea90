"""How a token's row becomes uint8: its range, and the smoothing that comes before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanbert_export.int8.rounding import Doubles, Floats, quantize_columns

SYMMETRIC, AFTER_GELU = 128, 16
"""Zero points without calibration. GELU's output is hardly negative, so its zero lies low."""

GELU_FLOOR = 0.1701
"""GELU's minimum is -0.16997, at -0.7518; the tanh form's is -0.17004, at -0.7525."""

TINY = 1e-30
"""The least scale: a row of zeros divides by it and stays zero."""

_ZERO_POINTS = (128, 112, 144, 96, 160, 80, 176, 64, 192, 48, 208, 32, 224, 16, 240, 8)
_CLIPS = (1.0, 0.95, 0.9, 0.8)
_ROWS = 512  # of calibration, for one product's searches
_FIRST = 128  # of them first tokens
_FIRST_WEIGHT = 0.15  # of the first tokens' error in the whole


@dataclass(frozen=True)
class ActivationRange:
    """One scale a row, one zero point a product.

    ``scale = max(row_max * clip / (255 - zero_point), -row_min * clip / zero_point)``
    """

    zero_point: int = SYMMETRIC
    clip: float = 1.0

    @property
    def high(self) -> float:
        """What the row's maximum is multiplied by."""
        return self.clip / (255 - self.zero_point)

    @property
    def low(self) -> float:
        """What the row's minimum is multiplied by, negative."""
        return -self.clip / self.zero_point

    def round_trip(self, rows: Floats) -> Floats:
        """Quantize and restore, as the graph does. *Shape:* ``(tokens, inputs)``, kept."""
        high = rows.max(axis=1, keepdims=True) * np.float32(self.high)
        low = rows.min(axis=1, keepdims=True) * np.float32(self.low)
        scale = np.maximum(np.maximum(high, low), np.float32(TINY))
        levels = np.clip(np.rint(rows / scale) + self.zero_point, 0, 255)
        restored: Floats = ((levels - self.zero_point) * scale).astype(np.float32)
        return restored


@dataclass(frozen=True)
class Sample:
    """Rows of one product's input, seen on calibration texts."""

    rows: npt.NDArray[np.float16]
    """*Shape:* ``(tokens, inputs)``."""
    first: npt.NDArray[np.bool_]
    """*Shape:* ``(tokens,)``: whether the row is a text's first token."""

    def few(self, seed: int = 0) -> tuple[Floats, Doubles]:
        """A subset for searches, and the weight of each row's error.

        A classifier answers from the first token, whose rows look like no other (one channel of
        30 among values of 0.1) and are one in thirty.
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
    """The zero point and clip whose rounding of the rows changes ``rows @ weight`` least."""
    rows, shares = sample.few()

    def error(candidate: ActivationRange) -> float:
        changed = (rows - candidate.round_trip(rows)) @ weight
        return float(((changed**2).sum(axis=1) * shares).sum())

    # The first of equals is taken: the symmetric zero point, the whole range.
    zero_point = min((ActivationRange(z) for z in _ZERO_POINTS), key=error).zero_point
    return min((ActivationRange(zero_point, clip) for clip in _CLIPS), key=error)


def choose_smoothing(sample: Sample, weight: Floats, limit: int) -> Floats | None:
    """Factors that move a channel's size from the rows into the weights, or ``None``.

    ``(rows / factors) @ (factors[:, None] * weight)`` is the same product (SmoothQuant, Xiao et
    al., arXiv 2211.10438); the candidates are theirs at several strengths, and plain caps on the
    channels that stand out. The one that changes the product least is taken.

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


_WORTH = 0.95  # smoothing is one more pass over the rows: it must pay


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
