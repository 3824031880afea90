"""What a traced graph has to quantize: the same as the graph that is built from a description."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from leanbert_export.graph.editing import bias_after, constant, weight_of
from leanbert_export.graph.final import FinalGraph, Matmul
from leanbert_export.graph.saving import save_with_weights
from leanbert_export.int8.quantization import quantize_graph
from leanbert_export.int8.ranges import AFTER_GELU, SYMMETRIC, Sample
from leanbert_export.int8.weights import quantize_matmuls
from leanbert_export.recipe import Int8Settings
from leanbert_export.tracing.rewriting import final_graph
from tests.helpers.export_graphs import matmuls, read

if TYPE_CHECKING:
    from tests.export.conftest import Workshop

pytestmark = pytest.mark.slow


def facts(matmul: Matmul) -> tuple[str, tuple[int, ...], bool, bool, bool]:
    return (
        matmul.name,
        matmul.weight.shape,
        matmul.add is not None,
        matmul.after_gelu,
        matmul.first_token,
    )


def sample(matmul: Matmul, seed: int = 0) -> Sample:
    rows = np.random.default_rng(seed).standard_normal((200, len(matmul.weight)))
    rows[:, 3] *= 20  # so that LayerNorm's readers are smoothed
    return Sample(rows.astype(np.float16), np.arange(200) % 10 == 0)


def graph_of(workshop: Workshop, kind: str, way: str) -> FinalGraph:
    return workshop.final(kind) if way == "built" else final_graph(workshop.fused(kind))


both_ways = pytest.mark.parametrize("way", ["built", "traced"])


@both_ways
def test_of_a_classifier(workshop: Workshop, way: str) -> None:
    found = graph_of(workshop, "classifier", way).matmuls
    # Name, shape, bias of its own, after GELU, first token only. The query's bias is added after
    # the split, keys need none, the values' went on, and the second feed-forward's was absorbed.
    assert [facts(matmul) for matmul in found] == [
        ("layer.0.qkv", (32, 96), False, False, False),
        ("layer.0.attention_output", (32, 32), True, False, False),
        ("layer.0.ffn_up", (32, 64), True, False, False),
        ("layer.0.ffn_down", (64, 32), False, True, False),
        ("layer.1.query", (32, 32), True, False, True),
        ("layer.1.key_value", (32, 64), False, False, False),
        ("layer.1.attention_output", (32, 32), True, False, True),
        ("layer.1.ffn_up", (32, 64), True, False, True),
        ("layer.1.ffn_down", (64, 32), False, True, True),
        ("head.dense", (32, 32), True, False, True),
    ]


@both_ways
def test_of_features(workshop: Workshop, way: str) -> None:
    found = graph_of(workshop, "features", way).matmuls
    assert [facts(matmul) for matmul in found] == [
        fact
        for i in range(2)
        for fact in (
            (f"layer.{i}.qkv", (32, 96), False, False, False),
            (f"layer.{i}.attention_output", (32, 32), True, False, False),
            (f"layer.{i}.ffn_up", (32, 64), True, False, False),
            (f"layer.{i}.ffn_down", (64, 32), False, True, False),
        )
    ]


@both_ways
def test_the_real_model(workshop: Workshop, way: str) -> None:
    found = graph_of(workshop, "minilm-classifier", way).matmuls
    assert len(found) == 4 * 6 + 2
    kinds = Counter(matmul.name.rpartition(".")[2] for matmul in found)
    assert kinds == Counter(
        qkv=5, query=1, key_value=1, attention_output=6, ffn_up=6, ffn_down=6, dense=1
    )
    assert [p.name for p in found if p.first_token] == [
        "layer.5.query",
        "layer.5.attention_output",
        "layer.5.ffn_up",
        "layer.5.ffn_down",
        "head.dense",
    ]
    assert all(p.after_gelu == p.name.endswith("ffn_down") for p in found)


def test_without_samples_the_plan_is_plain(workshop: Workshop) -> None:
    found = workshop.final("classifier").matmuls
    for name, plan in quantize_matmuls(found, {}, Int8Settings()).items():
        zero_point = AFTER_GELU if name.endswith("ffn_down") else SYMMETRIC
        assert plan.summary() == {"zero_point": zero_point, "clip": 1.0, "smoothed": False}
        assert not plan.bias_change.any()


def test_only_readers_of_a_layernorm_are_smoothed(workshop: Workshop) -> None:
    found = workshop.final("classifier").matmuls
    named: list[str] = []
    plans = quantize_matmuls(
        found, {p.name: sample(p) for p in found}, Int8Settings(), named.append
    )
    names = [p.name for p in found]
    assert list(plans) == names
    assert sorted(named) == sorted(names)
    for name, plan in plans.items():
        reads_norm = not name.endswith(("attention_output", "ffn_down"))
        assert (plan.smoothing is not None) == reads_norm, name


@pytest.fixture
def shared(workshop: Workshop, tmp_path: Path) -> FinalGraph:
    """As ALBERT's layers: the second has the first one's weights, but biases of its own."""
    model = ir.load(workshop.fused("features"))
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    every = [node for node in model.graph if weight_of(node) is not None]
    assert len(every) == 12
    for own, other in zip(every[6:], every[:6], strict=True):
        own.replace_input_with(1, other.inputs[1])
    ir.save(model, tmp_path / "shared.onnx")
    return final_graph(tmp_path / "shared.onnx")


def test_layers_that_share_weights_share_a_plan(shared: FinalGraph) -> None:
    found = shared.matmuls
    samples = {matmul.name: sample(matmul, i) for i, matmul in enumerate(found)}
    named: list[str] = []
    plans = quantize_matmuls(found, samples, Int8Settings(), named.append)
    first, second = found[:4], found[4:]
    assert named == [matmul.name for matmul in first]
    for one, other in zip(first, second, strict=True):
        assert one.name.replace("layer.0", "layer.1") == other.name
        assert one.weight_name == other.weight_name
        assert plans[one.name] is plans[other.name]
    alone = quantize_matmuls(first, {name: samples[name] for name in samples}, Int8Settings())
    # The second layer's rows count: without them another plan comes out.
    assert any(not np.array_equal(alone[p.name].levels, plans[p.name].levels) for p in first)


def test_layers_that_share_weights_share_int8_tensors(shared: FinalGraph, tmp_path: Path) -> None:
    found = shared.matmuls
    biases = {p.name: b.vector for p in shared.matmuls if (b := bias_after(p.node)) is not None}
    plans = quantize_matmuls(
        found, {p.name: sample(p, i) for i, p in enumerate(found)}, Int8Settings()
    )
    assert quantize_graph(shared, plans, Int8Settings()) == 8
    save_with_weights(shared.model, tmp_path / "model.onnx")
    graph = read(tmp_path)
    int8 = matmuls(graph)
    assert len(int8) == 8
    for one, other in zip(int8[:4], int8[4:], strict=True):
        assert list(one.node.input[1:2]) == list(other.node.input[1:2])
        assert one.node.input[3] == other.node.input[3]
    tensors = [name for name, array in graph.weights.items() if array.dtype == np.int8]
    assert len(tensors) == 4 + 2  # and the tables of words and positions
    by_node = {node.name: node for node in shared.model.graph if node.op_type == "Add"}
    for matmul in found:
        bias = biases.get(matmul.name)
        if bias is None or matmul.add is None:
            continue
        add = by_node[matmul.add.name]
        (vector,) = (c for v in add.inputs if (c := constant(v)) is not None)
        expected = bias + plans[matmul.name].bias_change
        np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-6)
