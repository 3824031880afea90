"""Rounding of weights and rows: bounds that hold for all inputs, and choices on made-up ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper

from leanbert_export.int8.ranges import (
    GELU_FLOOR,
    TINY,
    ActivationRange,
    Sample,
    choose_range,
    choose_smoothing,
)
from leanbert_export.int8.rounding import (
    clipped_scales,
    column_scales,
    quantize_columns,
    quantize_compensated,
)

Floats = npt.NDArray[np.float32]
SEEDS = range(8)


def floats(*shape: int, seed: int) -> Floats:
    made: Floats = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return made


def rows_like_activations(count: int, width: int, seed: int) -> Floats:
    """Correlated channels of different sizes, as LayerNorm gives."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((width, width)) / math.sqrt(width)
    rows = (rng.standard_normal((count, width)) @ mixing + rng.standard_normal(width)) * np.exp(
        rng.standard_normal(width)
    )
    made: Floats = rows.astype(np.float32)
    return made


def gram_of(rows: Floats) -> npt.NDArray[np.float64]:
    made: npt.NDArray[np.float64] = rows.T.astype(np.float64) @ rows
    return made


def matmul_error(rows: Floats, weight: Floats, levels: Any, scale: Floats) -> float:
    return float((((rows @ weight) - rows @ (levels * scale)) ** 2).sum())


def sample_of(rows: Floats) -> Sample:
    first = np.zeros(len(rows), bool)
    first[::10] = True
    return Sample(rows.astype(np.float16), first)


# Weights.


@pytest.mark.parametrize("limit", [127, 63])
@pytest.mark.parametrize(("width", "outputs"), [(24, 10), (200, 12)])  # one block, and two
def test_compensation_never_loses_to_nearest(width: int, outputs: int, limit: int) -> None:
    """On the rows it was made for: each seed, and clearly so on average."""
    ratios = []
    for seed in SEEDS:
        rows = rows_like_activations(400, width, seed)
        weight = floats(width, outputs, seed=seed + 100)
        nearest = matmul_error(rows, weight, *quantize_columns(weight, limit))
        found = matmul_error(rows, weight, *quantize_compensated(weight, gram_of(rows), limit))
        ratios.append(found / nearest)
    assert max(ratios) <= 1.0
    assert np.mean(ratios) < 0.7


@given(
    hnp.arrays(np.float32, (6, 3), elements=st.floats(-8, 8, width=32)),
    hnp.arrays(np.float32, (9, 6), elements=st.floats(-8, 8, width=32)),
    st.sampled_from([127, 63]),
)
def test_compensated_levels_stay_within_the_limit(weight: Floats, rows: Floats, limit: int) -> None:
    """Whatever the rows: channels that are always 0, repeated, or all alike."""
    levels, scale = quantize_compensated(weight, gram_of(rows), limit)
    assert levels.dtype == np.int8
    assert scale.dtype == np.float32
    assert levels.shape == weight.shape
    assert scale.shape == (3,)
    assert np.abs(levels.astype(int)).max() <= limit
    assert np.all(np.isfinite(scale))
    assert np.all(scale > 0)


@pytest.mark.parametrize("gram", [np.zeros((5, 5)), np.full((5, 5), np.nan)])
def test_no_energy_is_to_the_nearest(gram: npt.NDArray[np.float64]) -> None:
    weight = floats(5, 4, seed=0)
    for found, wanted in zip(
        quantize_compensated(weight, gram, 127), quantize_columns(weight, 127), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_without_correlation_nothing_is_spread() -> None:
    weight = floats(12, 4, seed=1)
    energy = np.exp(np.random.default_rng(2).standard_normal(12))
    levels, scale = quantize_compensated(weight, np.diag(energy), 127)
    np.testing.assert_array_equal(scale, clipped_scales(weight, energy, 127))
    nearest = np.clip(np.rint(weight.astype(np.float64) / scale), -127, 127)
    np.testing.assert_array_equal(levels, nearest)


def test_the_order_of_inputs_does_not_matter() -> None:
    rows, weight = rows_like_activations(300, 150, 3), floats(150, 6, seed=4)
    order = np.random.default_rng(5).permutation(150)
    levels, scale = quantize_compensated(weight, gram_of(rows), 127)
    mixed, same = quantize_compensated(weight[order], gram_of(rows[:, order]), 127)
    np.testing.assert_allclose(same, scale, rtol=1e-6)
    assert (mixed != levels[order]).mean() < 0.01  # a tie here and there


def test_clipped_scales() -> None:
    plain = floats(400, 3, seed=6)
    full = column_scales(plain, 127)
    even = np.ones(400)
    scales = clipped_scales(plain, even, 127)
    assert np.all(scales <= full)
    shares = scales / full
    assert all(
        any(abs(s - c) < 1e-6 for c in (1, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)) for s in shares
    )
    # A weight that stands out, on an input that is always 0, costs nothing when it is clipped.
    plain[7] = 10 * plain.max()
    energy = even.copy()
    energy[7] = 0
    assert np.all(clipped_scales(plain, energy, 127) < 0.6 * column_scales(plain, 127))
    # On an input that matters it is kept.
    energy[7] = 1e9
    np.testing.assert_array_equal(clipped_scales(plain, energy, 127), column_scales(plain, 127))


@pytest.mark.parametrize("limit", [127, 7])
def test_clipping_never_costs(limit: int) -> None:
    for seed in SEEDS:
        weight, energy = floats(64, 9, seed=seed), np.abs(floats(64, seed=seed + 50)).astype(float)

        def error(scale: Floats, weight: Floats = weight, energy: Any = energy) -> Any:
            levels = np.clip(np.rint(weight / scale), -limit, limit)
            return (energy[:, None] * (weight - levels * scale) ** 2).sum(axis=0)

        clipped, full = clipped_scales(weight, energy, limit), column_scales(weight, limit)
        assert np.all(error(clipped) <= error(full) * (1 + 1e-6))


# Rows.


def quantize_graph(chosen: ActivationRange, width: int) -> Any:
    """The operators that `quantization` writes for a matmul's rows."""
    arrays = {
        "axis": np.array([-1], np.int64),
        "high": np.array([chosen.high], np.float32),
        "low": np.array([chosen.low], np.float32),
        "tiny": np.array([TINY], np.float32),
        "zero": np.array([chosen.zero_point], np.uint8),
    }
    nodes = [
        helper.make_node("ReduceMax", ["x", "axis"], ["max"], keepdims=1),
        helper.make_node("ReduceMin", ["x", "axis"], ["min"], keepdims=1),
        helper.make_node("Mul", ["max", "high"], ["a"]),
        helper.make_node("Mul", ["min", "low"], ["b"]),
        helper.make_node("Max", ["a", "b", "tiny"], ["scale"]),
        helper.make_node("Shape", ["scale"], ["shape"]),
        helper.make_node("Expand", ["zero", "shape"], ["zeros"]),
        helper.make_node(
            "QuantizeLinear", ["x", "scale", "zeros"], ["y"], axis=-1, block_size=width
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "rows",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, None, width])],
        [
            helper.make_tensor_value_info("y", TensorProto.UINT8, [1, None, width]),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1, None, 1]),
        ],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options)


def odd_rows(width: int) -> Floats:
    rows = floats(300, width, seed=width)
    rows[::3] = np.abs(rows[::3])
    rows[1::7, 0] *= 300  # an outlier
    rows[:40] = np.round(4 * rows[:40]) / 4  # ties
    rows[40:60] *= np.float32(1e-34)  # beside the least scale
    rows[60:80] *= np.float32(1e30)
    rows[80] = 0
    rows[81] = -3
    return rows


@pytest.mark.parametrize("width", [32, 33, 384])
@pytest.mark.parametrize(
    "chosen",
    [ActivationRange(), ActivationRange(16), ActivationRange(112, 0.9), ActivationRange(240, 0.8)],
    ids=str,
)
def test_round_trip_is_onnxruntimes(chosen: ActivationRange, width: int) -> None:
    rows = odd_rows(width)
    levels, scale = quantize_graph(chosen, width).run(None, {"x": rows[None]})
    restored = (levels[0].astype(np.float32) - chosen.zero_point) * scale[0]
    np.testing.assert_array_equal(chosen.round_trip(rows), restored)


ranges = st.builds(ActivationRange, st.sampled_from(range(8, 248, 8)), st.just(1.0))
row_arrays = hnp.arrays(
    np.float32, (4, 7), elements=st.floats(-(2**20), 2**20, width=32, allow_subnormal=False)
)


@given(row_arrays, ranges)
def test_rows_are_off_by_half_a_step(rows: Floats, chosen: ActivationRange) -> None:
    restored = chosen.round_trip(rows)
    high = rows.max(axis=1) / (255 - chosen.zero_point)
    low = -rows.min(axis=1) / chosen.zero_point
    step = np.maximum(np.maximum(high, low), 1e-30)[:, None]
    assert np.all(np.abs(restored - rows) <= step * 0.501)
    assert not restored[rows == 0].any()
    for i in range(len(rows)):  # whatever its neighbours
        np.testing.assert_array_equal(chosen.round_trip(rows[i : i + 1])[0], restored[i])


@given(row_arrays, ranges, st.integers(-20, 20))
def test_rows_scale_with_their_values(rows: Floats, chosen: ActivationRange, power: int) -> None:
    rows = np.where(np.abs(rows) < 2**-20, np.float32(0), rows)
    factor = np.float32(2.0**power)
    np.testing.assert_array_equal(
        chosen.round_trip(rows * factor), chosen.round_trip(rows) * factor
    )


def range_error(rows: Floats, weight: Floats, chosen: ActivationRange) -> float:
    return float((((rows - chosen.round_trip(rows)) @ weight) ** 2).sum())


def test_one_sided_rows_get_a_low_zero_point() -> None:
    weight = floats(64, 16, seed=1)
    rows = np.abs(floats(600, 64, seed=2))
    assert choose_range(sample_of(rows), weight).zero_point == 8
    assert choose_range(sample_of(-rows), weight).zero_point == 240
    gelu = rows_after_gelu(floats(600, 64, seed=3) * 3)
    assert choose_range(sample_of(gelu), weight).zero_point <= 32
    both = floats(600, 64, seed=4)
    both[:, 0], both[:, 1] = 4, -4  # each row's ends, on both sides
    assert choose_range(sample_of(both), weight).zero_point == 128


def test_the_chosen_range_is_not_worse_than_the_plain_one() -> None:
    for seed in SEEDS:
        rows, weight = rows_like_activations(400, 48, seed), floats(48, 8, seed=seed)
        rows = rows.astype(np.float16).astype(np.float32)
        sample = Sample(rows.astype(np.float16), np.zeros(len(rows), bool))
        chosen = choose_range(sample, weight)
        assert range_error(rows, weight, chosen) <= range_error(rows, weight, ActivationRange())


def smoothed_error(rows: Floats, weight: Floats, factors: Floats) -> float:
    levels, scale = quantize_columns(weight * factors[:, None], 127)
    found = ActivationRange().round_trip(rows / factors) @ (levels * scale)
    return float(((found - rows @ weight) ** 2).sum())


def test_smoothing_helps_where_a_channel_stands_out() -> None:
    for seed in SEEDS:
        rows, weight = floats(400, 64, seed=seed), floats(64, 32, seed=seed + 20)
        rows[:, 5] *= 60
        rows[:, 40] -= 25
        factors = choose_smoothing(sample_of(rows), weight, 127)
        assert factors is not None
        assert factors.dtype == np.float32
        assert factors.shape == (64,)
        assert np.all(factors > 0)
        assert factors.argmax() == 5
        plain = smoothed_error(rows, weight, np.ones(64, np.float32))
        assert smoothed_error(rows, weight, factors) < 0.5 * plain


def test_smoothing_leaves_alone_what_is_even() -> None:
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1, 1, (500, 128)).astype(np.float32)
    weight = rng.uniform(-1, 1, (128, 128)).astype(np.float32)
    assert choose_smoothing(sample_of(rows), weight, 127) is None


def test_smoothing_leaves_alone_what_is_exact() -> None:
    rng = np.random.default_rng(0)
    rows, weight = (
        rng.integers(-126, 127, shape).astype(np.float32) for shape in ((90, 9), (9, 5))
    )
    rows[:, 0], weight[0] = 127, 127  # so the step is 1
    rows[:, 1] = rng.choice([-100, 100], 90)
    assert smoothed_error(rows, weight, np.ones(9, np.float32)) == 0
    assert choose_smoothing(sample_of(rows), weight, 127) is None


def rows_after_gelu(rows: Floats) -> Floats:
    made: Floats = np.array([gelu(float(x)) for x in rows.ravel()], np.float32).reshape(rows.shape)
    return made


def gelu(x: float) -> float:
    return 0.5 * x * math.erfc(-x / math.sqrt(2))


def gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(("function", "lowest"), [(gelu, -0.16997), (gelu_tanh, -0.17004)])
def test_gelu_is_never_below_its_floor(function: Any, lowest: float) -> None:
    values = [function(float(x)) for x in np.linspace(-40, 0, 40_001)]
    assert min(values) >= -GELU_FLOOR
    near = [function(float(x)) for x in np.linspace(-0.7525, -0.751, 15_001)]
    assert min(near) == pytest.approx(min(values), abs=1e-6)
    assert min(near) == pytest.approx(lowest, abs=5e-6)


def test_few_rows_weigh_first_tokens() -> None:
    first = np.zeros(2000, bool)
    first[::4] = True
    rows, weights = Sample(floats(2000, 3, seed=0).astype(np.float16), first).few()
    assert rows.shape == (512, 3)
    assert rows.dtype == np.float32
    assert weights.sum() == pytest.approx(1)
    assert weights[:128].sum() == pytest.approx(0.15)
    only: Sequence[Sample] = [
        Sample(np.ones((5, 3), np.float16), np.full(5, every)) for every in (True, False)
    ]
    for sample in only:  # a head's rows are all first tokens
        rows, weights = sample.few()
        assert len(rows) == len(weights) == 5
        assert np.ptp(weights) == 0
        assert weights.min() > 0


@pytest.mark.parametrize("limit", [127, 63])
@pytest.mark.parametrize("width", [1, 5, 128, 300])  # below a block, one whole, and more
def test_compensation_is_gptq(width: int, limit: int) -> None:
    """The levels of the published algorithm, which spreads errors by the inverse's factor."""
    rows, weight = rows_like_activations(2 * width, width, 7), floats(width, 90, seed=8)
    gram = gram_of(rows)
    levels, scale = quantize_compensated(weight, gram, limit)
    energy = np.diag(gram)
    np.testing.assert_array_equal(scale, clipped_scales(weight, energy, limit))
    order = np.argsort(-energy, kind="stable")
    hessian = gram[np.ix_(order, order)] + 0.001 * energy.mean() * np.eye(width)
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    left = weight[order].astype(np.float64)
    for i, place in enumerate(order):
        level = np.clip(np.rint(left[i] / scale), -limit, limit)
        np.testing.assert_array_equal(levels[place], level)
        error = (left[i] - level * scale) / upper[i, i]
        left[i + 1 :] -= np.outer(upper[i, i + 1 :], error)


def test_scales_do_not_depend_on_the_columns_beside() -> None:
    weight, energy = floats(700, 300, seed=3), np.exp(floats(700, seed=4)).astype(np.float64)
    whole = clipped_scales(weight, energy, 127)
    single = [clipped_scales(weight[:, i : i + 100], energy, 127) for i in (0, 100, 200)]
    np.testing.assert_array_equal(whole, np.concatenate(single))
