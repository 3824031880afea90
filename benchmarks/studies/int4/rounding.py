"""Round weights to few bits: to the nearest level, or by GPTQ, with one scale per group of inputs.

Weights have the shape ``(inputs, outputs)``. A group is some adjacent inputs of one output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float32]"
Doubles: TypeAlias = "npt.NDArray[np.float64]"
Levels: TypeAlias = "npt.NDArray[np.int16]"

_CLIPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5)
_BLOCK = 64  # inputs whose weights one matmul corrects by what the earlier inputs lost
_TINY = 1e-7  # the least scale; f16 still holds it


@dataclass(frozen=True)
class Grid:
    """The levels that weights may have."""

    bits: int = 4
    group: int | None = None
    """Inputs that share a scale; ``None`` for all inputs of an output."""
    symmetric: bool = True
    """Whether the level of zero is 0; else each group has its own."""

    @property
    def lowest(self) -> int:
        """The lowest level."""
        return -(1 << self.bits - 1) if self.symmetric else 0

    @property
    def highest(self) -> int:
        """The highest level."""
        return self.lowest + (1 << self.bits) - 1

    def groups(self, inputs: int) -> int:
        """How many groups an output has.

        Raises:
            ValueError: the groups do not divide the inputs.
        """
        size = self.group or inputs
        if inputs % size:
            raise ValueError(f"{inputs} inputs cannot be cut into groups of {size}")
        return inputs // size


@dataclass(frozen=True)
class Steps:
    """The scale and the level of zero of every group, *shape* ``(groups, outputs)``."""

    grid: Grid
    scale: Floats
    zero: Floats

    def levels(self, weight: Floats) -> Levels:
        """The nearest levels. *Shape:* ``(inputs, outputs)``."""
        scale, zero = self.of_inputs(len(weight))
        nearest = np.rint(weight / scale) + zero
        found: Levels = np.clip(nearest, self.grid.lowest, self.grid.highest).astype(np.int16)
        return found

    def restored(self, levels: Levels) -> Floats:
        """The weights of some levels. *Shape:* ``(inputs, outputs)``."""
        scale, zero = self.of_inputs(len(levels))
        found: Floats = (levels.astype(np.float32) - zero) * scale
        return found

    def of_inputs(self, inputs: int) -> tuple[Floats, Floats]:
        """Scale and zero of each weight. *Shape:* ``(inputs, outputs)`` both."""
        each = inputs // len(self.scale)
        return np.repeat(self.scale, each, axis=0), np.repeat(self.zero, each, axis=0)


def widest_steps(weight: Floats, grid: Grid, clip: float = 1.0) -> Steps:
    """The steps that reach the outermost weights of each group, or the share ``clip`` of them.

    Scales of groups are rounded to f16, as they would be stored.

    Raises:
        ValueError: the groups do not divide the inputs.
    """
    grouped = weight.reshape(grid.groups(len(weight)), -1, weight.shape[1])
    if grid.symmetric:
        scale = np.abs(grouped).max(axis=1) * np.float32(clip / grid.highest)
    else:
        low = np.minimum(grouped.min(axis=1), 0) * np.float32(clip)
        high = np.maximum(grouped.max(axis=1), 0) * np.float32(clip)
        scale = (high - low) / np.float32(grid.highest)
    if grid.group:
        scale = scale.astype(np.float16).astype(np.float32)
    scale = np.maximum(scale, np.float32(_TINY))
    if grid.symmetric:
        return Steps(grid, scale, np.zeros_like(scale))
    return Steps(grid, scale, np.clip(np.rint(-low / scale), 0, grid.highest).astype(np.float32))


def clipped_steps(weight: Floats, grid: Grid, energy: Doubles) -> Steps:
    """The steps that leave the least squared error of each group, of several that clip.

    *Shape:* energy ``(inputs,)``, how much the error of each input counts.

    Raises:
        ValueError: the groups do not divide the inputs.
    """
    best, least = widest_steps(weight, grid), None
    counts = energy.astype(np.float32)[:, None]
    for clip in _CLIPS:
        steps = widest_steps(weight, grid, clip)
        lost = counts * (weight - steps.restored(steps.levels(weight))) ** 2
        error = lost.reshape(len(steps.scale), -1, weight.shape[1]).sum(axis=1)
        if least is None:
            best, least = steps, error
            continue
        better = error < least
        best = Steps(
            grid,
            np.where(better, steps.scale, best.scale),
            np.where(better, steps.zero, best.zero),
        )
        least = np.where(better, error, least)
    return best


def round_nearest(weight: Floats, grid: Grid) -> tuple[Levels, Steps]:
    """Round every weight to the nearest level.

    Raises:
        ValueError: the groups do not divide the inputs.
    """
    steps = widest_steps(weight, grid)
    return steps.levels(weight), steps


def round_compensated(
    weight: Floats, gram: Doubles, grid: Grid, damping: float = 0.01
) -> tuple[Levels, Steps]:
    """Round the weights input by input, and let the later ones make up for what is lost.

    This is GPTQ (Frantar et al., arXiv 2210.17323) with the inputs of most energy first (its
    act-order) and with scales that are fixed before, so that groups stay groups of neighbours.

    *Shape:* gram ``(inputs, inputs)``, the sum of ``x.T @ x`` over the calibration rows ``x``.

    Args:
        weight: the weights.
        gram: the second derivative of the error.
        grid: the levels.
        damping: the share of the mean energy that is added to each input's.

    Raises:
        ValueError: the groups do not divide the inputs.
    """
    energy = np.diag(gram)
    mean = float(energy.mean())
    if not mean > 0:
        return round_nearest(weight, grid)
    steps = clipped_steps(weight, grid, energy + damping * mean)
    order = np.argsort(-energy, kind="stable")
    damped = gram[np.ix_(order, order)] + damping * mean * np.eye(len(order))
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    scale, zero = (each[order].astype(np.float64) for each in steps.of_inputs(len(weight)))
    left = weight[order].astype(np.float64)
    levels = np.empty(weight.shape, np.int16)
    for start in range(0, len(left), _BLOCK):
        end = min(start + _BLOCK, len(left))
        errors = np.empty((end - start, left.shape[1]))
        for i in range(start, end):
            found = np.clip(np.rint(left[i] / scale[i]) + zero[i], grid.lowest, grid.highest)
            levels[order[i]] = found
            errors[i - start] = (left[i] - (found - zero[i]) * scale[i]) / upper[i, i]
            left[i + 1 : end] -= upper[i, i + 1 : end, None] * errors[i - start]
        left[end:] -= upper[start:end, end:].T @ errors
    return levels, steps
