"""Choose how rows of activations are rounded to uint8: their range, and a smoothing before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanbert_export.int8.rounding import (
    CACHED,
    Doubles,
    Floats,
    nearest_levels,
    quantize_columns,
)
from leanbert_export.int8.searching import least_error

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
_ROW_PARTS = 4  # of these rows, when ranges are compared
_SMOOTHED_AT_ONCE = 1 << 17  # weights of some columns, when smoothings are compared


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
        restored = np.empty(rows.shape, np.float32)
        number = max(1, CACHED // max(1, rows.shape[1]))
        for start in range(0, len(rows), number):
            self._round_few(rows[start : start + number], restored[start : start + number])
        return restored

    def _round_few(self, rows: Floats, restored: Floats) -> None:
        high = rows.max(axis=1, keepdims=True) * np.float32(self.high)
        low = rows.min(axis=1, keepdims=True) * np.float32(self.low)
        scale = np.maximum(np.maximum(high, low), np.float32(TINY))
        np.rint(np.divide(rows, scale, out=restored), out=restored)
        restored += self.zero_point
        np.clip(restored, 0, 255, out=restored)
        restored -= self.zero_point
        restored *= scale


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
    parts = [np.ascontiguousarray(rows[i::_ROW_PARTS]) for i in range(_ROW_PARTS)]
    roots = np.sqrt(shares).astype(np.float32)[:, None]
    # |x @ W|^2 is x @ (W @ W.T) @ x, which is less work where there are more outputs than inputs.
    square = weight @ weight.T if weight.shape[1] > weight.shape[0] else None

    def part(candidate: ActivationRange, i: int) -> float:
        lost = candidate.round_trip(parts[i])
        lost -= parts[i]
        lost *= roots[i::_ROW_PARTS]
        if square is not None:
            return float(np.vdot(lost @ square, lost))
        changed = lost @ weight
        return float(np.vdot(changed, changed))

    def whole(candidate: ActivationRange) -> float:
        changed = (rows - candidate.round_trip(rows)) @ weight
        return float(((changed**2).sum(axis=1) * shares).sum())

    def best(candidates: Sequence[ActivationRange]) -> ActivationRange:
        number = least_error(
            len(candidates),
            _ROW_PARTS,
            lambda number, i: part(candidates[number], i),
            lambda number: whole(candidates[number]),
        )
        return candidates[number]

    # Of equals the first is taken: the symmetric zero point and the whole range stand first.
    zero_point = best([ActivationRange(z) for z in _ZERO_POINTS]).zero_point
    return best([ActivationRange(zero_point, clip) for clip in _CLIPS])


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
    largest = np.abs(sample.rows.astype(np.float32)).max(axis=0)
    plain = np.ones(len(weight), np.float32)
    candidates = [plain, *_candidates(largest, np.abs(weight).max(axis=1))]
    number = -(-weight.shape[1] * len(weight) // _SMOOTHED_AT_ONCE)
    parts = [np.ascontiguousarray(weight[:, i::number]) for i in range(number)]
    roots = np.sqrt(shares).astype(np.float32)[:, None]
    counted = [wanted[:, i::number] * roots for i in range(number)]
    rounded: dict[int, Floats] = {}

    def rows_of(candidate: int) -> Floats:
        return ActivationRange().round_trip(rows / candidates[candidate])

    def part(candidate: int, i: int) -> float:
        if candidate not in rounded:
            rounded[candidate] = rows_of(candidate) * roots
        levels, scale = nearest_levels(parts[i] * candidates[candidate][:, None], limit)
        lost = rounded[candidate] @ levels
        lost *= scale
        lost -= counted[i]
        return worth(candidate) * float(np.vdot(lost, lost))

    def whole(candidate: int) -> float:
        levels, scale = quantize_columns(weight * candidates[candidate][:, None], limit)
        restored = rows_of(candidate) @ (levels * scale)
        error = float((((wanted - restored) ** 2).sum(axis=1) * shares).sum())
        return error * worth(candidate)

    def worth(candidate: int) -> float:
        return 1.0 if candidate else _WORTH

    chosen = least_error(len(candidates), number, part, whole)
    return candidates[chosen] if chosen else None


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
