"""Two levels of 4 bits in a byte, and the bytes that a model's weights take in each form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studies.int4.rounding import Grid, Levels

_F16, _F32 = 2, 4  # bytes


def pack(levels: Levels, grid: Grid) -> npt.NDArray[np.uint8]:
    """Put the levels of two neighbouring inputs into one byte, the first into its lower half.

    *Shape:* ``(inputs, outputs)`` -> ``(inputs / 2, outputs)``.

    Raises:
        ValueError: a level does not belong to a grid of 4 bits, or the number of inputs is odd.
    """
    if grid.bits != 4 or levels.min() < grid.lowest or levels.max() > grid.highest:
        raise ValueError(f"levels {levels.min()} to {levels.max()} do not fit into 4 bits")
    if len(levels) % 2:
        raise ValueError(f"{len(levels)} inputs are no pairs")
    halves = (levels & 15).astype(np.uint8)
    packed: npt.NDArray[np.uint8] = halves[::2] | halves[1::2] << np.uint8(4)
    return packed


def unpack(packed: npt.NDArray[np.uint8], grid: Grid) -> Levels:
    """Return the levels that :func:`pack` was given. *Shape:* ``(2 * pairs, outputs)``."""
    levels = np.empty((2 * len(packed), packed.shape[1]), np.int16)
    levels[::2], levels[1::2] = packed & 15, packed >> 4
    if grid.symmetric:
        levels[levels > grid.highest] -= 16
    return levels


@dataclass(frozen=True)
class Shapes:
    """The tensors of a model, as far as their size goes."""

    matmuls: Sequence[tuple[int, int]]
    """Inputs and outputs of each matmul that is quantized."""
    downs: Sequence[tuple[int, int]]
    """Those of them that are the second of a feed-forward pair."""
    embeddings: Sequence[tuple[int, int]]
    """Rows and width of each embedding that may have 4 bits."""
    positions: tuple[int, int]
    """Rows and width of the embedding of positions, which keeps its 8 bits."""
    others: int
    """Numbers that stay f32: biases, norms, smoothings, token types, the classifier."""


def matmul_bytes(inputs: int, outputs: int, grid: Grid) -> int:
    """The bytes of a matmul's weights with their scales and zeros.

    One scale per output is f32, scales of groups are f16, and zeros have the bits of a level.

    Raises:
        ValueError: the groups do not divide the inputs.
    """
    scales = grid.groups(inputs) * outputs
    zeros = 0 if grid.symmetric else -(-scales * grid.bits // 8)
    return inputs * outputs * grid.bits // 8 + scales * (_F16 if grid.group else _F32) + zeros


def bundle_bytes(shapes: Shapes, grid: Grid, down: Grid, embeddings: Grid) -> int:
    """The bytes of all weights of a model, the second feed-forward matmuls with the grid ``down``.

    An embedding's row is what a matmul's output is: its numbers share scales.
    """
    total = shapes.others * _F32
    rest = list(shapes.matmuls)
    for shape in shapes.downs:
        rest.remove(shape)
        total += matmul_bytes(*shape, down)
    total += sum(matmul_bytes(*shape, grid) for shape in rest)
    total += sum(matmul_bytes(width, rows, embeddings) for rows, width in shapes.embeddings)
    return total + matmul_bytes(*shapes.positions[::-1], Grid(bits=8))
