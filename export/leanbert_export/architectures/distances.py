"""Which row of a table a distance between two tokens has."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["disentangled_rows", "relative_buckets"]

Ints = npt.NDArray[np.int64]


def relative_buckets(distances: Ints, buckets: int, max_distance: int) -> Ints:
    """The rows of MPNet's table.

    Args:
        distances: the key's position minus the query's.
        buckets: rows of the table.
        max_distance: where the last row begins.
    """
    half = buckets // 2
    exact = half // 2
    far = np.abs(distances)
    # In float32 and in this order, as PyTorch does it: at the edges of buckets every bit counts.
    logarithm = np.log(np.maximum(far, 1).astype(np.float32) / np.float32(exact))
    scaled = logarithm / np.float32(math.log(max_distance / exact)) * np.float32(half - exact)
    large = np.minimum(exact + scaled.astype(np.int64), half - 1)
    found: Ints = np.where(distances > 0, half, 0) + np.where(far < exact, far, large)
    return found


def disentangled_rows(distances: Ints, span: int, buckets: int, max_distance: int) -> Ints:
    """The rows of DeBERTa's table.

    Args:
        distances: the query's position minus the key's.
        span: half the rows of the table.
        buckets: half of them, less one, are exact; 0: all are.
        max_distance: where the logarithmic scale ends.
    """
    found = distances
    if buckets > 0 and max_distance > 0:
        middle = buckets // 2
        far = np.where(np.abs(distances) < middle, middle - 1, np.abs(distances))
        ratio = np.log(far.astype(np.float32) / np.float32(middle)) / np.log(
            np.float32((max_distance - 1) / middle)
        )
        logarithmic = np.ceil(ratio * np.float32(middle - 1)) + np.float32(middle)
        signed = logarithmic * np.sign(distances)
        found = np.where(far <= middle, distances, signed).astype(np.int64)
    rows: Ints = np.clip(found + span, 0, 2 * span - 1)
    return rows
