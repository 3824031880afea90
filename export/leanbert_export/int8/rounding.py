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

_CLIPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
_BLOCK = 128
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


def column_scales(weight: Floats, limit: int) -> Floats:
    """The scale of each column at which its largest weight is ``limit``."""
    largest = np.abs(weight).max(axis=0)
    # Below the smallest normal number the division would underflow to 0. Such weights become 0.
    tiny = np.finfo(np.float32).tiny * limit
    scale: Floats = np.where(largest > tiny, largest / limit, 1.0).astype(np.float32)
    return scale


def clipped_scales(weight: Floats, energy: Doubles, limit: int) -> Floats:
    """The scale of each column; it is smaller where clipping the largest weights saves error.

    ``energy``, *shape* ``(inputs,)``, is the sum of squares of each input, by which the error of
    a weight is multiplied.
    """
    full = column_scales(weight, limit)
    best, least = full, np.full(weight.shape[1], np.inf)
    for share in _CLIPS:
        scale = (full * np.float32(share)).astype(np.float32)
        levels = np.clip(np.rint(weight / scale), -limit, limit)
        error = (energy[:, None] * (weight - levels * scale) ** 2).sum(axis=0)
        better = error < least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best


def inverse_root(matrix: Doubles) -> Doubles:
    """The upper triangular ``U`` with ``U.T @ U`` the inverse of a symmetric positive matrix.

    Read backwards, the Cholesky factor of the matrix read backwards is an upper triangular root of
    the matrix itself, and its inverse is ``U``: a third of the work of inverting first.
    """
    root = np.linalg.cholesky(matrix[::-1, ::-1])[::-1, ::-1]
    return _inverse_upper(root.astype(np.float64, copy=False))


def _inverse_upper(matrix: Doubles) -> Doubles:
    """The inverse of an upper triangular matrix, block by block."""
    size = len(matrix)
    if size <= 2 * _BLOCK:
        found: Doubles = np.triu(np.linalg.inv(matrix))
        return found
    half = size // 2
    first, last = _inverse_upper(matrix[:half, :half]), _inverse_upper(matrix[half:, half:])
    made = np.zeros_like(matrix)
    made[:half, :half], made[half:, half:] = first, last
    made[:half, half:] = -first @ (matrix[:half, half:] @ last)
    return made


def quantize_compensated(weight: Floats, gram: Doubles, limit: int) -> tuple[Int8, Floats]:
    """Round the weights input by input, and spread each error over the inputs still to come.

    This is GPTQ (Frantar et al., arXiv 2210.17323). It minimizes the squared error of the result
    greedily; the second derivative is ``gram``, the sum of ``x.T @ x`` over the calibration rows
    ``x``. Inputs of most energy come first.

    *Shape:* weight ``(inputs, outputs)`` and gram ``(inputs, inputs)`` -> levels and scales as in
    :func:`quantize_columns`.
    """
    energy = np.diag(gram)
    mean = float(energy.mean())
    if not mean > 0:
        return quantize_columns(weight, limit)
    scale = clipped_scales(weight, energy, limit)
    order = np.argsort(-energy, kind="stable")
    hessian = gram[np.ix_(order, order)].copy()
    hessian[np.diag_indices_from(hessian)] += _DAMPING * mean
    upper = inverse_root(hessian)
    left = weight[order].astype(np.float64)
    rounded = np.empty(left.shape, np.int8)
    for start in range(0, len(left), _BLOCK):
        end = min(start + _BLOCK, len(left))
        errors = np.empty((end - start, left.shape[1]))
        for i in range(start, end):
            level = np.clip(np.rint(left[i] / scale), -limit, limit)
            rounded[i] = level
            errors[i - start] = (left[i] - level * scale) / upper[i, i]
            left[i + 1 : end] -= np.outer(upper[i, i + 1 : end], errors[i - start])
        left[end:] -= upper[start:end, end:].T @ errors
    levels = np.empty_like(rounded)
    levels[order] = rounded
    return levels, scale
