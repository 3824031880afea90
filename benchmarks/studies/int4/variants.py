"""The ways of rounding weights that the study compares."""

from __future__ import annotations

from dataclasses import dataclass

from studies.int4.rounding import Grid

INT8 = Grid(bits=8)
GRIDS = (
    *(Grid(group=group) for group in (None, 128, 64, 32)),
    Grid(group=32, symmetric=False),
)
EMBEDDINGS = Grid(group=32)
"""Of embeddings in 4 bits: each row has a scale for 32 neighbouring numbers."""


@dataclass(frozen=True)
class Variant:
    """A grid for the weights, and how they are rounded to it."""

    grid: Grid
    compensated: bool = True
    down: Grid | None = None
    """Of the second matmul of each feed-forward pair, where it is another one."""

    @property
    def name(self) -> str:
        """What tables call it."""
        if self.grid.bits == 8:
            return "int8, the recipe's rounding"
        scales = f"groups of {self.grid.group}" if self.grid.group else "one scale per output"
        zero = "" if self.grid.symmetric else ", asymmetric"
        how = "GPTQ" if self.compensated else "nearest"
        return f"int4, {how}, {scales}{zero}" + (", all but down" if self.down else "")

    @property
    def with_small_embeddings(self) -> bool:
        """Whether it is also measured with embeddings in 4 bits."""
        return self.compensated and self.grid in {INT8, Grid(group=32)}

    def of(self, *, down: bool) -> Grid:
        """The grid of a matmul that is, or is not, the second of a feed-forward pair."""
        return self.down if down and self.down else self.grid


VARIANTS = (
    Variant(INT8),
    *(Variant(grid) for grid in GRIDS),
    *(Variant(Grid(group=group), down=INT8) for group in (128, 32)),
    *(Variant(grid, compensated=False) for grid in GRIDS[:2]),
)
