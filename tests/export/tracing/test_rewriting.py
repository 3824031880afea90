"""Each step of the rewriting alone keeps the outputs, and what it does not know it leaves alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx_ir.passes.common import LiftConstantsToInitializersPass
from safetensors.numpy import load_file

from leanbert_export.graph.editing import add_node, constant, tidy
from leanbert_export.tracing.residuals import absorb_biases
from leanbert_export.tracing.rewriting import (
    join_projections,
    keep_first_token,
    open_gemms,
    rewrite,
)

if TYPE_CHECKING:
    from tests.export.conftest import Workshop

pytestmark = pytest.mark.slow

Step = Callable[[ir.Graph], Any]
STEPS: list[Step] = [absorb_biases, keep_first_token, join_projections, open_gemms]
ATOL = 1e-5
LENGTHS = (9, 1, 17, 2, 12)


def load(path: Path) -> ir.Model:
    model = ir.load(path)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    return model


def answers(model: ir.Model) -> list[npt.NDArray[np.float32]]:
    """The outputs to random ids of several lengths, where there are real tokens."""
    rng = np.random.default_rng(5)
    shape = len(LENGTHS), max(LENGTHS)
    mask = (np.arange(shape[1]) < np.array(LENGTHS)[:, None]).astype(np.int64)
    inputs = {
        "input_ids": rng.integers(0, 30_000, shape),
        "attention_mask": mask,
        "token_type_ids": rng.integers(0, 2, shape),
    }
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = session.run(None, inputs)
    return [output[mask.astype(bool)] if output.ndim == 3 else output for output in found]


def counts(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def assert_same_answers(model: ir.Model, other: ir.Model) -> None:
    for one, two in zip(answers(model), answers(other), strict=True):
        assert np.ptp(one) > 0.1
        np.testing.assert_allclose(one, two, rtol=0, atol=ATOL)


def change_of(step: Step, path: Path) -> Counter[str]:
    """How the numbers of operators change by a step that keeps the answers."""
    model = load(path)
    before = counts(model)
    step(model.graph)
    tidy(model)
    assert_same_answers(load(path), model)
    after = counts(model)
    return Counter({k: n for k in before | after if (n := after[k] - before[k])})


@pytest.mark.parametrize(
    ("step", "classifier", "features"),
    [
        (absorb_biases, {"Add": -2}, {"Add": -2}),
        (keep_first_token, {"Gather": 1}, {}),
        # Three matmuls become one; the query's bias is a sum, the value's is in the next one's.
        (
            join_projections,
            {"MatMul": -4, "Split": 2, "Add": 2},
            {"MatMul": -4, "Split": 2, "Add": 2},
        ),
        (open_gemms, {"Gemm": -1, "MatMul": 1, "Add": 1}, {}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_one_step(
    step: Step, classifier: dict[str, int], features: dict[str, int], workshop: Workshop
) -> None:
    assert change_of(step, workshop.fused("classifier")) == classifier
    assert change_of(step, workshop.fused("features")) == features


@pytest.mark.parametrize("kind", ["classifier", "features", "regression", "multi-label"])
def test_all_steps(kind: str, workshop: Workshop) -> None:
    assert_same_answers(load(workshop.fused(kind)), rewrite(workshop.fused(kind)))


@pytest.mark.parametrize("second", STEPS)
@pytest.mark.parametrize("first", STEPS)
def test_steps_in_any_order(first: Step, second: Step, workshop: Workshop) -> None:
    model = load(workshop.fused("classifier"))
    for step in (first, second):
        step(model.graph)
        tidy(model)
    assert_same_answers(load(workshop.fused("classifier")), model)


def test_the_last_layer_asks_with_one_token(workshop: Workshop) -> None:
    model = load(workshop.fused("classifier"))
    *_, attention = (node for node in model.graph if node.op_type == "MultiHeadAttention")
    key = attention.inputs[1]
    keep_first_token(model.graph)
    tidy(model)
    first, last = (node for node in model.graph if node.op_type == "MultiHeadAttention")
    assert last.inputs[1] is key
    assert last.inputs[0] is not None
    query = last.inputs[0].producer()
    assert query is not None
    assert query.inputs[0] is not None
    gather = query.inputs[0].producer()
    assert gather is not None
    assert (gather.op_type, gather.attributes.get_int("axis")) == ("Gather", 1)
    index = constant(gather.inputs[1])
    assert index is not None
    assert index.tolist() == [0]
    assert first.inputs[0] is not None
    before = first.inputs[0].producer()
    assert before is not None
    assert before.op_type == "MatMul"


def test_where_the_projections_biases_go(workshop: Workshop) -> None:
    torch = load_file(workshop.tiny("features") / "model.safetensors")
    model = load(workshop.fused("features"))
    join_projections(model.graph)
    tidy(model)
    left = [
        array
        for value in model.graph.initializers.values()
        if (array := constant(value)) is not None
    ]
    attentions = [node for node in model.graph if node.op_type == "MultiHeadAttention"]
    for i, attention in enumerate(attentions):
        layer = f"encoder.layer.{i}.attention"
        query, key, value = (torch[f"{layer}.self.{n}.bias"] for n in ("query", "key", "value"))
        weight, bias = (torch[f"{layer}.output.dense.{n}"] for n in ("weight", "bias"))
        assert attention.inputs[3] is None
        assert attention.inputs[0] is not None
        add = attention.inputs[0].producer()
        assert add is not None
        np.testing.assert_array_equal(constant(add.inputs[1]), query)
        (matmul,) = (use.node for use in attention.outputs[0].uses())
        (after,) = (use.node for use in matmul.outputs[0].uses())
        (found,) = (c for v in after.inputs if (c := constant(v)) is not None)
        np.testing.assert_allclose(found, bias + weight @ value, rtol=0, atol=1e-6)
        for gone in (key, value):
            assert not any(a.shape == gone.shape and np.array_equal(a, gone) for a in left)


def test_absorbed_biases_are_gone(workshop: Workshop) -> None:
    torch = load_file(workshop.tiny("features") / "model.safetensors")
    model = load(workshop.fused("features"))
    assert absorb_biases(model.graph) == 2
    assert absorb_biases(model.graph) == 0
    tidy(model)
    vectors = {
        array.tobytes()
        for value in model.graph.initializers.values()
        if (array := constant(value)) is not None and array.ndim == 1
    }
    for i in range(2):
        layer = f"encoder.layer.{i}"
        assert torch[f"{layer}.output.dense.bias"].tobytes() not in vectors
        assert torch[f"{layer}.attention.output.dense.bias"].tobytes() in vectors


# Structures that a step does not know.


def head(model: ir.Model) -> tuple[ir.Node, ir.Value]:
    """The Gather of the first token, and what it reads."""
    (gather,) = (
        node
        for node in model.graph
        if node.op_type == "Gather" and node.attributes.get_int("axis", 0) == 1
    )
    source = gather.inputs[0]
    assert source is not None
    return gather, source


def scalar(graph: ir.Graph, name: str, number: int) -> ir.Value:
    tensor = ir.tensor(np.array(number, np.int64), name=name)
    shape, kind = ir.Shape([]), ir.TensorType(tensor.dtype)
    value = ir.Value(name=name, shape=shape, type=kind, const_value=tensor)
    graph.initializers[name] = value
    return value


def two_tokens(model: ir.Model) -> None:
    gather, source = head(model)
    last = scalar(model.graph, "last", -1)
    second = add_node(model.graph, "Gather", [source, last], after=gather, axis=1)
    total = add_node(model.graph, "Add", [gather.outputs[0], second], after=second.producer())
    for user, index in list(gather.outputs[0].uses()):
        if user is not total.producer():
            user.replace_input_with(index, total)


def another_token(model: ir.Model) -> None:
    gather, _ = head(model)
    gather.replace_input_with(1, scalar(model.graph, "token", -1))


def hidden_states_too(model: ir.Model) -> None:
    _, source = head(model)
    source.dtype = ir.DataType.FLOAT
    model.graph.outputs.append(source)


def unknown_operator(model: ir.Model) -> None:
    """The sum of all tokens so far: the first's alone would not do for the others."""
    gather, source = head(model)
    axis = scalar(model.graph, "axis", 1)
    gather.replace_input_with(0, add_node(model.graph, "CumSum", [source, axis], before=gather))


@pytest.mark.parametrize("change", [two_tokens, another_token, hidden_states_too, unknown_operator])
def test_a_head_that_needs_more_tokens(
    change: Callable[[ir.Model], None], workshop: Workshop
) -> None:
    model, same = (load(workshop.fused("classifier")) for _ in range(2))
    for each in (model, same):
        change(each)
        tidy(each)
    keep_first_token(model.graph)
    tidy(model)
    assert [node.op_type for node in model.graph] == [node.op_type for node in same.graph]
    assert_same_answers(same, model)


def test_an_output_in_the_middle_keeps_its_bias(workshop: Workshop) -> None:
    def with_output(path: Path) -> ir.Model:
        model = load(path)
        norms = [node for node in model.graph if node.op_type == "LayerNormalization"]
        value = norms[1].outputs[0]  # of the first attention: it would take the bias
        value.dtype = ir.DataType.FLOAT
        model.graph.outputs.append(value)
        return model

    path = workshop.fused("classifier")
    model = with_output(path)
    assert absorb_biases(model.graph) == 1  # the second layer's
    tidy(model)
    assert_same_answers(with_output(path), model)


def test_gemms_that_do_more_stay(workshop: Workshop) -> None:
    model = load(workshop.fused("classifier"))
    inner = next(node for node in model.graph if node.op_type == "Gemm")
    inner.attributes["beta"] = ir.AttrFloat32("beta", 0.5)
    open_gemms(model.graph)
    assert counts(model)["Gemm"] == 2


def test_unlike_sources_are_not_joined(workshop: Workshop) -> None:
    """Keys and values of different inputs, as in attention across two texts."""
    model = load(workshop.fused("features"))
    before = counts(model)
    for node in list(model.graph):
        if node.op_type == "MultiHeadAttention":
            assert node.inputs[2] is not None
            value = node.inputs[2].producer()
            assert value is not None
            value.replace_input_with(
                0, add_node(model.graph, "Tanh", [value.inputs[0]], before=value)
            )
    join_projections(model.graph)
    tidy(model)
    assert counts(model) == before + Counter(Tanh=2)
