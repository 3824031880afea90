"""studies.int4.packing: two levels in a byte, and the bytes of whole models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studies.int4.measuring import BERT_BASE
from studies.int4.packing import Shapes, bundle_bytes, matmul_bytes, pack, unpack
from studies.int4.rounding import Grid, Levels


def every_level(grid: Grid) -> Levels:
    pairs = np.arange(256, dtype=np.int16)
    levels = np.empty((2, 256), np.int16)
    levels[0], levels[1] = pairs % 16 + grid.lowest, pairs // 16 + grid.lowest
    return levels


@pytest.mark.parametrize("symmetric", [True, False])
def test_every_pair_of_levels_comes_back(symmetric: bool) -> None:
    grid = Grid(symmetric=symmetric)
    levels = every_level(grid)
    packed = pack(levels, grid)
    assert packed.shape == (1, 256)
    assert packed.dtype == np.uint8
    assert len(np.unique(packed)) == 256
    np.testing.assert_array_equal(unpack(packed, grid), levels)


def test_the_first_of_a_pair_is_the_lower_half() -> None:
    assert pack(np.array([[1], [-8]], np.int16), Grid()).tolist() == [[0x81]]


@pytest.mark.parametrize(
    ("levels", "grid", "message"),
    [
        ([[8], [0]], Grid(), "levels 0 to 8 do not fit"),
        ([[0], [1]], Grid(bits=8), "do not fit into 4 bits"),
        ([[0]], Grid(), "1 inputs are no pairs"),
    ],
)
def test_what_does_not_fit_is_refused(levels: list[list[int]], grid: Grid, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(np.array(levels, np.int16), grid)


def test_bytes_of_a_matmul() -> None:
    assert matmul_bytes(64, 10, Grid(bits=8)) == 640 + 40
    assert matmul_bytes(64, 10, Grid()) == 320 + 40
    assert matmul_bytes(64, 10, Grid(group=32)) == 320 + 2 * 20
    assert matmul_bytes(64, 10, Grid(group=32, symmetric=False)) == 320 + 2 * 20 + 10


def test_bytes_of_a_model() -> None:
    shapes = Shapes([(64, 10), (32, 64)], [(32, 64)], [(100, 64)], (8, 64), 5)
    int8, int4 = Grid(bits=8), Grid()
    up, down = matmul_bytes(64, 10, int4), matmul_bytes(32, 64, int8)
    words, positions = 6400 + 400, 512 + 32
    assert bundle_bytes(shapes, int4, int8, int8) == up + down + words + positions + 20


def test_bert_base_has_85_million_weights_in_its_layers() -> None:
    assert sum(k * n for k, n in BERT_BASE.matmuls[:-1]) == 84_934_656
    int8 = bundle_bytes(BERT_BASE, Grid(bits=8), Grid(bits=8), Grid(bits=8))
    assert int8 == pytest.approx(110.3e6, rel=0.005)


def test_the_embedded_model_has_the_size_of_its_file() -> None:
    """The arithmetic for BERT, with the shapes of the embedded model."""
    layer = [(384, 1152), (384, 384), (384, 768), (768, 384)]
    per_layer = 384 + 384 + 768 + 4 * 384 + 2 * 384  # biases, norms, smoothing
    others = 6 * per_layer + 2 * 384 + 2 * 384 + 2 * 384 + 3 * 385
    shapes = Shapes([*layer * 6, (384, 384)], [(768, 384)] * 6, [(5600, 384)], (512, 384), others)
    int8 = Grid(bits=8)
    root = Path(__file__).parents[4]
    weights = root / "models/leanbert_models/financial_sentiment/model.onnx.data"
    assert bundle_bytes(shapes, int8, int8, int8) == pytest.approx(weights.stat().st_size, rel=0.01)
