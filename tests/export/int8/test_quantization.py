"""The int8 graph, read with onnx and held against the checkpoint's own weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from leanbert_export.errors import ExportError
from leanbert_export.graph.saving import WEIGHTS_FILE
from leanbert_export.int8.quantization import check_matmuls
from leanbert_export.int8.rounding import quantize_columns
from tests.helpers.export_graphs import Graph, matmuls, read, recipe_of

if TYPE_CHECKING:
    from tests.export.conftest import Workshop

LAYERS, WIDTH = 2, 32  # of the tiny checkpoints
Floats = npt.NDArray[np.float32]

LAYER = {"MultiHeadAttention": 1, "Split": 1, "Gelu": 1, "LayerNormalization": 2, "Add": 5}
"""Whatever the recipe: sums of the query's bias, two other biases, and two residuals."""
ABSENT = (
    "Attention", "BiasGelu", "Constant", "DequantizeLinear", "DynamicQuantizeLinear", "Erf",
    "FastGelu", "MatMulInteger", "QAttention", "QLinearMatMul", "SkipLayerNormalization", "Softmax",
    "Transpose",
)  # fmt: skip


def per_token(matmuls: int, after_gelu: int, smoothed: int) -> Counter[str]:
    """The operators of some matmuls: a GELU's minimum is known, so its rows need no ReduceMin."""
    return Counter(
        ReduceMax=matmuls,
        ReduceMin=matmuls - after_gelu,
        Mul=2 * matmuls - after_gelu + smoothed,
        Max=matmuls,
        QuantizeLinear=matmuls,
        MatMulIntegerToFloat=matmuls,
    )


def smoothed(recipe: Mapping[str, Any], place: str) -> int:
    """Matmuls of a layer (or the head) that are smoothed."""
    return sum(
        plan["smoothed"]
        for name, plan in recipe["products"].items()
        if name.rpartition(".")[0] == place
    )


def assert_operators(bundle: Path, layers: int, *, classifier: bool) -> None:
    """Every operator of every layer, and no others."""
    graph, recipe = read(bundle), recipe_of(bundle)
    embeddings, *found, head = graph.layers()
    assert len(found) == layers
    for i, layer in enumerate(found):
        last = classifier and i == layers - 1
        expected = Counter(LAYER) + per_token(4 + last, 1, smoothed(recipe, f"layer.{i}"))
        expected += Counter(Gather=int(last))  # of the first token
        if i == 0:  # the mask
            expected += Counter(Cast=1, ReduceSum=1)
        assert layer == expected, i
    assert embeddings == Counter(
        # Ids, and the position's, of rows and scales; token types.
        Gather=5, Cast=2, Mul=2, Slice=1, Add=2, LayerNormalization=1
    )  # fmt: skip
    expected = Counter[str]()
    if classifier:
        expected = per_token(1, 0, smoothed(recipe, "head")) + Counter(
            Gather=1, Add=1, Tanh=1, Gemm=1
        )
    assert head == expected
    total = graph.counts
    assert total["MatMulIntegerToFloat"] == len(recipe["products"])
    assert len(recipe["products"]) == (4 * layers + 2 if classifier else 4 * layers)
    # One zero point, as many times as there are rows: for all tokens, for first tokens, in a head.
    kinds = {
        (plan["zero_point"], name.startswith(f"layer.{layers - 1}") and classifier
         and not name.endswith("key_value"), name.startswith("head."))
        for name, plan in recipe["products"].items()
    }  # fmt: skip
    assert total["Expand"] == total["Shape"] - 1 == len(kinds)
    for absent in (*ABSENT, "MatMul", "DynamicQuantizeMatMul"):
        assert absent not in total


@pytest.fixture(scope="module")
def int8(workshop: Workshop) -> Graph:
    return read(workshop.bundle("classifier", "int8"))


@pytest.fixture(scope="module")
def torch_weights(workshop: Workshop) -> dict[str, Floats]:
    made: dict[str, Floats] = load_file(workshop.tiny() / "model.safetensors")
    return made


@pytest.fixture(scope="module")
def wanted(torch_weights: dict[str, Floats]) -> list[Floats]:
    """The checkpoint's weights, joined as the classifier's matmuls join them."""

    def join(*names: str) -> Floats:
        return np.concatenate([torch_weights[f"{name}.weight"].T for name in names], axis=1)

    expected = []
    for i in range(LAYERS):
        layer = f"bert.encoder.layer.{i}"
        query, key, value = (f"{layer}.attention.self.{part}" for part in ("query", "key", "value"))
        if i < LAYERS - 1:
            expected.append(join(query, key, value))
        else:
            expected += [join(query), join(key, value)]
        expected.append(join(f"{layer}.attention.output.dense"))
        expected.append(join(f"{layer}.intermediate.dense"))
        expected.append(join(f"{layer}.output.dense"))
    return [*expected, join("bert.pooler.dense")]


@pytest.mark.slow
def test_operators_of_a_classifier(workshop: Workshop) -> None:
    assert_operators(workshop.bundle("classifier", "int8"), LAYERS, classifier=True)


@pytest.mark.slow
def test_features_have_no_pooler_and_need_every_token(workshop: Workshop) -> None:
    assert_operators(workshop.bundle("features", "int8"), LAYERS, classifier=False)


@pytest.mark.slow
def test_the_real_model_too(workshop: Workshop) -> None:
    report = workshop.report("minilm-classifier", "int8")
    assert_operators(report.path, 6, classifier=True)
    assert report.operators == read(report.path).counts
    assert report.bundle_bytes < 0.27 * report.checkpoint_bytes


@pytest.mark.slow
def test_names_of_the_matmuls(workshop: Workshop) -> None:
    whole = ["qkv", "attention_output", "ffn_up", "ffn_down"]
    last = ["query", "key_value", *whole[1:]]
    names = {
        kind: list(recipe_of(workshop.bundle(kind, "int8"))["products"])
        for kind in ("classifier", "features")
    }
    assert names["features"] == [f"layer.{i}.{name}" for i in range(LAYERS) for name in whole]
    assert names["classifier"] == [
        *(f"layer.0.{name}" for name in whole),
        *(f"layer.1.{name}" for name in last),
        "head.dense",
    ]


@pytest.mark.slow
def test_per_tensor_has_one_operator_per_matmul(workshop: Workshop, wanted: list[Floats]) -> None:
    bundle = workshop.bundle("classifier", "int8-per-tensor")
    graph = read(bundle)
    assert graph.counts == Counter(LAYER) + Counter(LAYER) + Counter(
        # Of the embeddings and the head, see `assert_operators`; one Gather of the first token.
        DynamicQuantizeMatMul=4 * LAYERS + 2, Gather=7, Cast=3, Mul=2, Slice=1, Add=3,
        LayerNormalization=1, ReduceSum=1, Shape=1, Tanh=1, Gemm=1,
    )  # fmt: skip
    for node, weight in zip(graph.of("DynamicQuantizeMatMul"), wanted, strict=True):
        assert node.domain == "com.microsoft"
        assert not any(node.input[3:])  # no zero point, no bias: it is added after
        levels, scale = (graph.weights[name] for name in node.input[1:3])
        assert levels.dtype == np.int8
        assert scale.dtype == np.float32
        assert scale.shape == (weight.shape[1],)
        assert np.abs(levels.astype(int)).max(axis=0).tolist() == [127] * len(scale)
        assert np.all(np.abs(levels * scale - weight) <= scale * 0.5001)


@pytest.mark.slow
def test_matmuls_keep_the_checkpoints_weights(int8: Graph, wanted: list[Floats]) -> None:
    found = matmuls(int8)
    assert len(found) == len(wanted)
    for matmul, weight in zip(found, wanted, strict=True):
        assert matmul.levels.dtype == np.int8
        assert matmul.scale.dtype == np.float32
        assert matmul.levels.shape == weight.shape
        assert matmul.scale.shape == (weight.shape[1],)
        assert np.all(matmul.scale > 0)
        assert np.abs(matmul.levels.astype(int)).max() <= 127
        assert np.all(np.abs(matmul.levels.astype(int)).max(axis=0) > 63)  # all 8 bits
        # Not each to its nearest: an error is made good by the weights that come after.
        error = np.linalg.norm(matmul.weight - weight, axis=0) / np.linalg.norm(weight, axis=0)
        assert error.max() < 0.2
        assert error.mean() < 0.03


@pytest.mark.slow
def test_each_row_is_quantized_alone(workshop: Workshop, int8: Graph) -> None:
    plans = list(recipe_of(workshop.bundle("classifier", "int8"))["products"].values())
    for matmul, plan in zip(matmuls(int8), plans, strict=True):
        node, quantize = matmul.node, matmul.quantize
        assert node.domain == "com.microsoft"
        assert len(node.input) == 5  # its bias is a sum of its own, its weights are symmetric
        assert matmul.zero_point == plan["zero_point"]
        assert (matmul.smoothing is not None) == plan["smoothed"]
        attributes = {
            item.name: onnx.helper.get_attribute_value(item) for item in quantize.attribute
        }
        assert attributes == {"axis": -1, "block_size": matmul.levels.shape[0]}
        scale = int8.maker(quantize.input[1])
        assert scale.op_type == "Max"
        high = int8.maker(scale.input[0])
        assert high.op_type == "Mul"
        largest = int8.maker(high.input[0])
        assert largest.op_type == "ReduceMax"
        assert largest.input[0] == quantize.input[0]
        assert int8.weights[largest.input[1]].tolist() == [-1]
        assert int8.weights[high.input[1]] == pytest.approx(
            plan["clip"] / (255 - plan["zero_point"]), rel=1e-6
        )
        zeros = int8.maker(quantize.input[2])
        assert zeros.op_type == "Expand"
        assert int8.weights[zeros.input[0]].tolist() == [plan["zero_point"]]


@pytest.mark.slow
def test_attention_takes_one_split_matmul(int8: Graph) -> None:
    """In the last layer keys and values alone: its query is of the first token."""
    first, last = int8.of("MultiHeadAttention")
    for node, position in ((first, 0), (last, 1)):
        splits = [int8.maker(name) for name in node.input[position:3]]
        if position == 0:  # on the way lies the query's bias
            splits[0] = int8.maker(splits[0].input[0])
        assert all(split == splits[-1] for split in splits)
        assert splits[-1].op_type == "Split"
        assert int8.maker(splits[-1].input[0]).op_type == "MatMulIntegerToFloat"
        assert list(splits[-1].output)[-2:] == list(node.input[1:3])
        assert not node.input[3]  # the query's bias is added before, the value's went on
    query = int8.maker(int8.maker(last.input[0]).input[0])
    assert query.op_type == "MatMulIntegerToFloat"
    rows = int8.maker(query.input[0]).input[0]
    while int8.maker(rows).op_type != "Gather":
        rows = int8.maker(rows).input[0]
    gather = int8.maker(rows)
    assert gather.attribute[0].i == 1
    assert int8.weights[gather.input[1]].tolist() == [0]


@pytest.mark.slow
def test_the_fp32_graph_has_the_same_form(workshop: Workshop) -> None:
    graph = read(workshop.bundle("classifier"))
    embeddings, first, last, head = graph.layers()
    assert first == Counter(LAYER) + Counter(MatMul=4, Cast=1, ReduceSum=1)
    assert last == Counter(LAYER) + Counter(MatMul=5, Gather=1)
    assert head == Counter(Gather=1, MatMul=1, Add=1, Tanh=1, Gemm=1)
    assert embeddings == Counter(Gather=3, Slice=1, Add=2, LayerNormalization=1)
    _, *layers, head = read(workshop.bundle("features")).layers()
    assert [layer["MatMul"] for layer in layers] == [4, 4]
    assert not head
    for absent in ABSENT:
        assert absent not in graph.counts


@pytest.mark.slow
def test_embeddings_are_int8_with_one_scale_per_row(
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
    found = matmuls(read(report.path))
    assert len(found) == 4 * LAYERS + 2
    for matmul in found:
        largest = np.abs(matmul.levels.astype(int)).max(axis=0)
        assert largest.max() <= 63
        assert largest.min() > 31  # and no more is lost


@pytest.mark.slow
def test_a_graph_without_its_matmuls_is_refused(workshop: Workshop) -> None:
    final = workshop.final("classifier")
    graph = final.model.graph
    check_matmuls(len(final.matmuls), graph)
    with pytest.raises(ExportError, match=r"^0 matmuls were found where 8 were expected"):
        check_matmuls(0, graph)
    with pytest.raises(ExportError, match=r"^7 matmuls were found where 8"):
        check_matmuls(7, graph)
    empty = ir.Graph([], [], nodes=[])
    with pytest.raises(ExportError, match=r"^0 matmuls were found where 0"):
        check_matmuls(0, empty)


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
