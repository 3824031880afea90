"""Round the weights of a matmul to int8 so that its result changes least.

All of this happens in the export and costs nothing at run time. numpy is fast enough, since the
arrays are a few MB.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float32]"
Doubles: TypeAlias = "npt.NDArray[np.float64]"
Int8: TypeAlias = "npt.NDArray[np.int8]"

CACHED = 1 << 16
"""So many numbers stay in a core's caches from one operation to the next."""

_CLIPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
_BLOCK = 128  # inputs whose weights one matmul corrects by what the earlier inputs lost
_FEW = 8  # inputs of a block that are handled one by one in between
_LEAST_COLUMNS = 64  # fewer at once would make each operation's own cost show
# This share of the mean energy is added to the energy of each input. GPTQ itself uses 0.01, for far
# larger models. With both values the mean difference of probability is 0.0029 (the teacher of the
# embedded model, Twitter validation set).
_DAMPING = 0.001


def quantize_columns(weight: Floats, limit: int) -> tuple[Int8, Floats]:
    """Round to the nearest symmetric int8 level, with one scale per column.

    *Shape:* ``(inputs, outputs)`` -> ``(inputs, outputs)`` int8 in ``[-limit, limit]``,
    ``(outputs,)`` float32; ``weight ~ int8 * scale``.
    """
    scale = column_scales(weight, limit)
    return np.clip(np.rint(weight / scale), -limit, limit).astype(np.int8), scale


def nearest_levels(weight: Floats, limit: int) -> tuple[Floats, Floats]:
    """:func:`quantize_columns` for estimates: in float32, written over the weights.

    The weights are multiplied by the inverse of their scale, not divided, so that one in a million
    becomes a neighbouring level.
    """
    scale = column_scales(weight, limit)
    np.multiply(weight, 1 / scale, out=weight)
    return np.rint(weight, out=weight), scale


def column_scales(weight: Floats, limit: int) -> Floats:
    """The scale of each column at which its largest weight is ``limit``."""
    largest = np.maximum(weight.max(axis=0), -weight.min(axis=0))
    # Below the smallest normal number the division would underflow to 0. Such weights become 0.
    tiny = np.finfo(np.float32).tiny * limit
    scale: Floats = np.where(largest > tiny, largest / limit, 1.0).astype(np.float32)
    return scale


def clipped_scales(weight: Floats, energy: Doubles, limit: int) -> Floats:
    """The scale of each column; it is smaller where clipping the largest weights saves error.

    ``energy``, *shape* ``(inputs,)``, is the sum of squares of each input, by which the error of
    a weight is multiplied.
    """
    best = np.empty(weight.shape[1], np.float32)
    width = max(_LEAST_COLUMNS, CACHED // len(weight))
    for start in range(0, len(best), width):
        place = slice(start, start + width)
        best[place] = _clipped(np.ascontiguousarray(weight[:, place]), energy, limit)
    return best


def _clipped(weight: Floats, energy: Doubles, limit: int) -> Floats:
    """:func:`clipped_scales` of some columns, so few that they stay in the CPU's caches."""
    full = column_scales(weight, limit)
    best, least = full, np.full(weight.shape[1], np.inf)
    errors, wide = np.empty_like(weight), np.empty(weight.shape)
    for share in _CLIPS:
        scale = (full * np.float32(share)).astype(np.float32)
        np.divide(weight, scale, out=errors)
        np.rint(errors, out=errors)
        np.clip(errors, -limit, limit, out=errors)
        np.multiply(errors, scale, out=errors)
        np.subtract(weight, errors, out=errors)
        np.square(errors, out=errors)
        error = np.multiply(energy[:, None], errors, out=wide).sum(axis=0)
        better = error < least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best


def quantize_compensated(weight: Floats, gram: Doubles, limit: int) -> tuple[Int8, Floats]:
    """Round the weights input by input, and let each make up for what the earlier ones lost.

    This is GPTQ (Frantar et al., arXiv 2210.17323). It minimizes the squared error of the result
    greedily; the second derivative is ``gram``, the sum of ``x.T @ x`` over the calibration rows
    ``x``. Inputs of most energy come first.

    GPTQ spreads each error over the inputs still to come, by the Cholesky factor of the inverse of
    ``gram``. With the upper triangular ``R`` of ``gram = R @ R.T`` the same sum needs no inverse:
    an input's weights become ``weight[j] + sum(R[i, j] * lost[i] for i < j) / R[j, j]``, where
    ``lost[i]`` is what rounding took from the weights of input ``i``.

    *Shape:* weight ``(inputs, outputs)`` and gram ``(inputs, inputs)`` -> levels and scales as in
    :func:`quantize_columns`.
    """
    energy = np.diag(gram)
    mean = float(energy.mean())
    if not mean > 0:
        return quantize_columns(weight, limit)
    scale = clipped_scales(weight, energy, limit)
    order = np.argsort(-energy, kind="stable")
    root = _upper_root(gram, order, _DAMPING * mean)
    diagonal = np.diag(root)
    left, wide_scale = weight[order].astype(np.float64), scale.astype(np.float64)
    lost = np.empty_like(left)
    levels = np.empty(left.shape, np.int8)
    for start in range(0, len(left), _BLOCK):
        end = min(start + _BLOCK, len(left))
        shares = root[:end, start:end] / diagonal[start:end]
        wanted = left[start:end] + shares[:start].T @ lost[:start]
        levels[order[start:end]] = _round_block(
            wanted, left[start:end], shares[start:], wide_scale, limit, lost[start:end]
        )
    return levels, scale


def _upper_root(gram: Doubles, order: npt.NDArray[np.intp], damping: float) -> Doubles:
    """The upper triangular ``R`` with ``R @ R.T`` the damped ``gram`` in the given order.

    Read backwards, it is the Cholesky factor of the matrix read backwards.
    """
    backwards = order[::-1]
    matrix = gram[np.ix_(backwards, backwards)]
    matrix[np.diag_indices_from(matrix)] += damping
    root: Doubles = np.linalg.cholesky(matrix).astype(np.float64, copy=False)
    return root[::-1, ::-1]


def _round_block(
    wanted: Doubles, weight: Doubles, shares: Doubles, scale: Doubles, limit: int, lost: Doubles
) -> Doubles:
    """The levels of some inputs' weights; ``lost`` is filled with what each of them loses.

    Args:
        wanted: the weights with what the inputs of earlier blocks lost; it is overwritten.
        weight: the weights themselves, *shape* ``(inputs, outputs)``.
        shares: how much of an input's loss (row) each later one makes up for (column).
        scale: of each column.
        limit: the largest level.
        lost: *shape* ``(inputs, outputs)``.
    """
    size = len(weight)
    levels = np.empty_like(weight)
    moved = np.empty((_FEW, weight.shape[1]))
    for start in range(0, size, _FEW):
        end = min(start + _FEW, size)
        if start:
            wanted[start:end] += shares[:start, start:end].T @ lost[:start]
        for i in range(start, end):
            level = np.divide(wanted[i], scale, out=levels[i])
            np.clip(np.rint(level, out=level), -limit, limit, out=level)
            np.multiply(level, scale, out=lost[i])
            np.subtract(weight[i], lost[i], out=lost[i])
            rest = moved[: end - i - 1]
            np.multiply(shares[i, i + 1 : end, None], lost[i], out=rest)
            wanted[i + 1 : end] += rest
    return levels
