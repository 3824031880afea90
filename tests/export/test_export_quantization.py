"""The int8 graph, read with onnx and held against the checkpoint's own weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import numpy_helper
from safetensors.numpy import load_file

from leanbert_export.checkpoint import find_checkpoint
from leanbert_export.errors import ExportError
from leanbert_export.quantization import WEIGHTS_FILE, Int8Settings, quantize, quantize_columns

if TYPE_CHECKING:
    from export.conftest import Workshop

LAYERS, WIDTH = 2, 32  # of the tiny checkpoints


@dataclass
class Graph:
    """A graph's nodes, and its weights as arrays."""

    nodes: list[Any]
    weights: Mapping[str, npt.NDArray[Any]]
    counts: Mapping[str, int]

    def of(self, op_type: str) -> list[Any]:
        return [node for node in self.nodes if node.op_type == op_type]

    def products(self) -> list[list[npt.NDArray[Any]]]:
        """Weight, scale and bias of each int8 product, in the graph's order."""
        return [
            [self.weights[node.input[i]] for i in (1, 2, 4)]
            for node in self.of("DynamicQuantizeMatMul")
        ]


def read(bundle: Path) -> Graph:
    graph = onnx.load(str(bundle / "model.onnx")).graph
    nodes = list(graph.node)
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    return Graph(nodes, weights, Counter(node.op_type for node in nodes))


@pytest.fixture(scope="module")
def int8(workshop: Workshop) -> Graph:
    return read(workshop.bundle("classifier", "int8"))


@pytest.fixture(scope="module")
def torch_weights(workshop: Workshop) -> dict[str, npt.NDArray[np.float32]]:
    made: dict[str, npt.NDArray[np.float32]] = load_file(workshop.tiny() / "model.safetensors")
    return made


@pytest.mark.slow
def test_every_product_is_one_operator(int8: Graph) -> None:
    assert int8.counts["DynamicQuantizeMatMul"] == 4 * LAYERS + 1  # and the pooler
    assert int8.counts["MultiHeadAttention"] == LAYERS
    assert int8.counts["Gemm"] == 1  # the classifier stays in fp32
    for absent in ("MatMul", "MatMulInteger", "QLinearMatMul", "DynamicQuantizeLinear"):
        assert absent not in int8.counts
    for absent in ("QAttention", "Attention", "SkipLayerNormalization", "BiasGelu"):
        assert absent not in int8.counts


@pytest.mark.slow
def test_features_have_no_pooler(workshop: Workshop) -> None:
    graph = read(workshop.bundle("features", "int8"))
    assert graph.counts["DynamicQuantizeMatMul"] == 4 * LAYERS
    assert "Gemm" not in graph.counts


@pytest.mark.slow
def test_the_real_model_too(workshop: Workshop) -> None:
    report = workshop.report("minilm-classifier", "int8")
    assert report.operators["DynamicQuantizeMatMul"] == 4 * 6 + 1
    assert report.operators["MultiHeadAttention"] == 6
    assert report.bundle_bytes < 0.27 * report.checkpoint_bytes


@pytest.mark.slow
def test_products_keep_the_checkpoints_weights(
    int8: Graph, torch_weights: dict[str, npt.NDArray[np.float32]]
) -> None:
    expected: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = []

    def join(*names: str) -> None:
        expected.append(
            (
                np.concatenate([torch_weights[f"{name}.weight"].T for name in names], axis=1),
                np.concatenate([torch_weights[f"{name}.bias"] for name in names]),
            )
        )

    for i in range(LAYERS):
        layer = f"bert.encoder.layer.{i}"
        join(*(f"{layer}.attention.self.{name}" for name in ("query", "key", "value")))
        join(f"{layer}.attention.output.dense")
        join(f"{layer}.intermediate.dense")
        join(f"{layer}.output.dense")
    join("bert.pooler.dense")
    products = int8.products()
    assert len(products) == len(expected)
    for (weight, scale, bias), (wanted, wanted_bias) in zip(products, expected, strict=True):
        assert weight.dtype == np.int8
        assert scale.dtype == bias.dtype == np.float32
        assert weight.shape == wanted.shape
        assert scale.shape == bias.shape == (wanted.shape[1],)
        assert np.abs(weight.astype(int)).max(axis=0).tolist() == [127] * len(scale)
        assert np.all(np.abs(weight * scale - wanted) <= scale * 0.5001)
        np.testing.assert_array_equal(bias, wanted_bias)


@pytest.mark.slow
def test_products_are_symmetric_and_have_a_bias(int8: Graph) -> None:
    for node in int8.of("DynamicQuantizeMatMul"):
        assert node.domain == "com.microsoft"
        assert len(node.input) == 5
        assert not node.input[3]  # no zero point
        assert node.input[4]


@pytest.mark.slow
def test_attention_takes_one_split_product(int8: Graph) -> None:
    makers = {output: node for node in int8.nodes for output in node.output}
    for node in int8.of("MultiHeadAttention"):
        splits = [makers[name] for name in node.input[:3]]
        assert [split.op_type for split in splits] == ["Split"] * 3
        assert splits[0] == splits[1] == splits[2]
        assert list(splits[0].output) == list(node.input[:3])
        assert makers[splits[0].input[0]].op_type == "DynamicQuantizeMatMul"
        assert not node.input[3]  # the bias went into the product


@pytest.mark.slow
def test_embeddings_are_int8_with_a_scale_a_row(
    int8: Graph, torch_weights: dict[str, npt.NDArray[np.float32]]
) -> None:
    tables = [
        array
        for node in int8.of("Gather")
        if (array := int8.weights.get(node.input[0])) is not None and array.ndim == 2
    ]
    shapes = {table.shape: table for table in tables if table.dtype == np.int8}
    scales = {table.shape: table for table in tables if table.shape[1] == 1}
    for kind in ("word", "position"):
        wanted = torch_weights[f"bert.embeddings.{kind}_embeddings.weight"]
        table, scale = shapes[wanted.shape], scales[(len(wanted), 1)]
        assert scale.dtype == np.float32
        assert np.all(np.abs(table * scale - wanted) <= scale * 0.5001)
    floats = [t.shape for t in tables if t.dtype == np.float32 and t.shape[1] > 1]
    assert floats == [(2, WIDTH)]  # token types


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["fp32", "int8"])
def test_weights_lie_beside_the_graph(workshop: Workshop, recipe: str) -> None:
    bundle = workshop.bundle("classifier", recipe)
    graph = onnx.load(str(bundle / "model.onnx"), load_external_data=False).graph
    outside = [item for item in graph.initializer if item.external_data]
    assert outside
    for item in outside:
        where = {entry.key: entry.value for entry in item.external_data}
        assert where["location"] == WEIGHTS_FILE == "model.onnx.data"
    inside = sum(len(item.raw_data) for item in graph.initializer if not item.external_data)
    assert inside < (bundle / "model.onnx").stat().st_size < 100_000
    assert (bundle / WEIGHTS_FILE).stat().st_size > 10 * inside


@pytest.mark.slow
def test_reduce_range_leaves_seven_bits(workshop: Workshop) -> None:
    report = workshop.report("classifier", "int8", reduce_range=True)
    products = read(report.path).products()
    assert len(products) == 4 * LAYERS + 1
    for weight, scale, _ in products:
        assert np.abs(weight.astype(int)).max(axis=0).tolist() == [63] * len(scale)


@pytest.mark.slow
def test_a_graph_without_its_products_is_refused(workshop: Workshop, tmp_path: Path) -> None:
    checkpoint = find_checkpoint(str(workshop.tiny()), revision=None, task=None)
    model = onnx.load(str(workshop.trace(checkpoint, tmp_path / "traced")))
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            node.op_type = "Other"
    onnx.save(model, str(tmp_path / "none.onnx"))
    with pytest.raises(ExportError, match=r"^0 products quantized where 0 were expected"):
        quantize(tmp_path / "none.onnx", tmp_path / "model.onnx", Int8Settings())
    assert not (tmp_path / "model.onnx").exists()


magnitudes = st.floats(2**-60, 2**60, width=32)
elements = st.one_of(st.just(0.0), magnitudes, magnitudes.map(lambda value: -value))
matrices = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=elements)


@given(matrices, st.sampled_from([127, 63]))
def test_columns_are_off_by_half_a_step_at_most(
    weight: npt.NDArray[np.float32], limit: int
) -> None:
    quantized, scale = quantize_columns(weight, limit)
    assert quantized.dtype == np.int8
    assert scale.dtype == np.float32
    assert quantized.shape == weight.shape
    assert scale.shape == weight.shape[1:]
    assert np.all(scale > 0)
    assert np.abs(quantized.astype(int)).max() <= limit
    steps = np.abs(quantized.astype(np.float64) - weight.astype(np.float64) / scale)
    assert steps.max() <= 0.5 + 1e-4
    zero = ~weight.any(axis=0)
    assert not quantized[:, zero].any()
    assert np.all(np.abs(quantized[:, ~zero].astype(int)).max(axis=0, initial=0) == limit)


@given(matrices)
def test_columns_do_not_depend_on_each_other_or_on_sign(weight: npt.NDArray[np.float32]) -> None:
    quantized, scale = quantize_columns(weight, 127)
    mirrored, same = quantize_columns(-weight, 127)
    np.testing.assert_array_equal(mirrored, -quantized)
    np.testing.assert_array_equal(same, scale)
    first, own = quantize_columns(weight[:, :1], 127)
    np.testing.assert_array_equal(first, quantized[:, :1])
    np.testing.assert_array_equal(own, scale[:1])
