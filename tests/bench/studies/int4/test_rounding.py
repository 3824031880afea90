"""studies.int4.rounding: the levels, the groups, and what GPTQ gains."""

from __future__ import annotations

import numpy as np
import pytest

from studies.int4.rounding import (
    Doubles,
    Floats,
    Grid,
    Levels,
    Steps,
    clipped_steps,
    round_compensated,
    round_nearest,
    widest_steps,
)

GRIDS = [
    Grid(),
    Grid(symmetric=False),
    Grid(group=32),
    Grid(group=32, symmetric=False),
    Grid(bits=8),
]


def weights(inputs: int = 96, outputs: int = 20) -> Floats:
    return np.random.default_rng(1).normal(size=(inputs, outputs)).astype(np.float32)


def gram(inputs: int = 96) -> Doubles:
    """Of rows whose inputs depend on one another and have different sizes."""
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(300, inputs)) @ draw.normal(size=(inputs, inputs))
    rows *= np.exp(draw.normal(size=inputs))
    found: Doubles = rows.T @ rows
    return found


def test_bounds_of_levels() -> None:
    assert (Grid().lowest, Grid().highest) == (-8, 7)
    assert (Grid(symmetric=False).lowest, Grid(symmetric=False).highest) == (0, 15)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_no_weight_is_further_than_half_a_step(grid: Grid) -> None:
    weight = weights()
    levels, steps = round_nearest(weight, grid)
    assert grid.lowest <= levels.min() <= levels.max() <= grid.highest
    scale, _ = steps.of_inputs(len(weight))
    # A scale in f16 is off by 2^-11 of itself, and the level of zero is rounded, too.
    allowed = 0.5 + 15 * 2**-11 + (0 if grid.symmetric else 0.5)
    assert (np.abs(weight - steps.restored(levels)) <= scale * allowed).all()


def test_groups_have_scales_of_their_own() -> None:
    weight = weights(64, 3)
    weight[32:] *= 100
    _, steps = round_nearest(weight, Grid(group=32))
    assert steps.scale.shape == (2, 3)
    expected = np.abs(weight[:32]).max(axis=0) / 7
    np.testing.assert_allclose(steps.scale[0], expected, rtol=2**-11)
    np.testing.assert_array_equal(steps.scale, steps.scale.astype(np.float16))


def test_zero_is_exact_where_it_has_a_level_of_its_own() -> None:
    weight = np.array([[0.0], [3.0], [1.5], [-0.6]], np.float32)
    levels, steps = round_nearest(weight, Grid(symmetric=False))
    assert steps.restored(levels)[0, 0] == 0
    assert (levels[1, 0], levels[3, 0], steps.zero[0, 0]) == (15, 0, 3)


def test_groups_must_divide_the_inputs() -> None:
    with pytest.raises(ValueError, match="96 inputs cannot be cut into groups of 64"):
        round_nearest(weights(), Grid(group=64))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_clipping_is_never_worse_by_what_it_minimizes(grid: Grid) -> None:
    weight = weights()
    energy = np.diag(gram())

    def error(steps_of: object) -> Doubles:
        steps = clipped_steps(weight, grid, energy) if steps_of else widest_steps(weight, grid)
        lost = weight - steps.restored(steps.levels(weight))
        found: Doubles = (energy[:, None] * lost.astype(np.float64) ** 2).sum(axis=0)
        return found

    assert (error(True) <= error(False) * (1 + 1e-5)).all()


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_gptq_beats_rounding_on_its_own_objective(grid: Grid) -> None:
    weight, second = weights(), gram()

    def error(rounded: tuple[Levels, Steps]) -> float:
        levels, steps = rounded
        lost = (weight - steps.restored(levels)).astype(np.float64)
        return float(np.einsum("io,ij,jo->", lost, second, lost))

    compensated = error(round_compensated(weight, second, grid))
    assert compensated < 0.8 * error(round_nearest(weight, grid))


def test_gptq_without_rows_rounds_to_the_nearest() -> None:
    weight, grid = weights(), Grid(group=32)
    levels, _ = round_compensated(weight, np.zeros((96, 96)), grid)
    np.testing.assert_array_equal(levels, round_nearest(weight, grid)[0])
