from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from leanbert import cpu
from leanbert.bundle import Bundle
from leanbert.bundle.graph_summary import GraphSummary
from leanbert.engines import Batch, saturation
from leanbert.engines.onnxruntime import OnnxRuntimeEngine
from leanbert.engines.saturation import (
    Matmuls,
    choose_matmuls,
    int8_matmuls,
    use_uint8_weights,
)
from leanbert.errors import EngineError
from leanbert.pipelines import embedded_bundle

CONVERTS = tuple(map(int, ort.__version__.split(".")[:2])) >= (1, 30)
X86 = platform.machine().lower() in {"x86_64", "amd64"}
LEVEL = ort.GraphOptimizationLevel


def with_recipe(path: Path, **recipe: object) -> Bundle:
    bundle = Bundle.open(path)
    assert bundle.manifest
    return replace(bundle, manifest=bundle.manifest._replace(recipe=recipe))


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the CPU behave as a test wants."""

    def set_to(products: Matmuls) -> None:
        monkeypatch.setattr(saturation, "int8_matmuls", lambda: products)

    return set_to


def test_the_probe_is_a_valid_model() -> None:
    model = onnx.load_from_string(saturation._probe_graph())
    onnx.checker.check_model(model, full_check=True)
    (weights,) = model.graph.initializer
    array = numpy_helper.to_array(weights)
    assert array.dtype == np.int8
    assert (array == 127).all()
    assert [node.op_type for node in model.graph.node] == ["MatMulInteger"]


def test_this_cpu_has_an_exact_way() -> None:
    assert saturation._is_exact(uint8_weights=True)
    assert int8_matmuls() in {Matmuls.INT8, Matmuls.UINT8}
    assert int8_matmuls() is int8_matmuls()


@pytest.mark.parametrize(
    ("sums", "exact"),
    [(16 * 255 * 127, True), (8 * 32767, False)],  # vpmaddubsw stops at 32767 for each pair
)
def test_the_probe_sees_saturation(monkeypatch: pytest.MonkeyPatch, sums: int, exact: bool) -> None:
    class Session:
        def __init__(self, *_: object, **__: object) -> None: ...

        def run(self, *_: object) -> list[Any]:
            return [np.array([[16 * 255 * 127, sums]], dtype=np.int32)]

    monkeypatch.setattr(ort, "InferenceSession", Session)
    assert saturation._is_exact(uint8_weights=False) is exact


@pytest.mark.parametrize(
    ("plain", "converted", "wanted"),
    [
        (True, True, Matmuls.INT8),
        (True, False, Matmuls.INT8),
        (False, True, Matmuls.UINT8),
        (False, False, Matmuls.SATURATING),
    ],
)
def test_what_the_probe_finds_decides(
    monkeypatch: pytest.MonkeyPatch, plain: bool, converted: bool, wanted: Matmuls
) -> None:
    monkeypatch.setattr(
        saturation, "_is_exact", lambda uint8_weights: converted if uint8_weights else plain
    )
    monkeypatch.setattr(ort, "__version__", "1.30.0")
    assert int8_matmuls.__wrapped__() is wanted


@pytest.mark.parametrize("version", ["1.20.1", "1.24.4", "1.25.0", "1.27.0", "1.29.0"])
def test_versions_that_do_not_convert_or_abort_are_not_asked_to(
    monkeypatch: pytest.MonkeyPatch, pretend: Any, tiny_bundle: Path, version: str
) -> None:
    asked: list[bool] = []

    def exact(*, uint8_weights: bool) -> bool:
        asked.append(uint8_weights)
        return uint8_weights

    monkeypatch.setattr(saturation, "_is_exact", exact)
    monkeypatch.setattr(ort, "__version__", version)
    assert int8_matmuls.__wrapped__() is Matmuls.SATURATING
    assert asked == [False]
    pretend(Matmuls.SATURATING)
    wanted = f"onnxruntime {version} has no exact way here; upgrade onnxruntime to 1.30 or newer"
    with pytest.raises(EngineError, match=wanted):
        choose_matmuls(with_recipe(tiny_bundle, name="int8"))


@pytest.mark.parametrize("flags", [(), ("avx2",), ("avx2", "avx512_vnni", "avx_vnni")])
def test_flags_are_not_believed(monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    monkeypatch.setattr(cpu, "isa_flags", lambda: flags)
    assert int8_matmuls.__wrapped__() is int8_matmuls()


@pytest.mark.parametrize("found", [Matmuls.INT8, Matmuls.UINT8, Matmuls.SATURATING])
@pytest.mark.parametrize(
    ("recipe", "wanted"),
    [
        ({"name": "fp32"}, Matmuls.FP32),
        ({"name": "int8", "reduce_range": True}, Matmuls.INT7),
        ({"name": "int8", "reduce_range": False}, None),
        ({"name": "another"}, None),
    ],
)
def test_only_8_bit_weights_ask_the_cpu(
    pretend: Any, tiny_bundle: Path, found: Matmuls, recipe: dict[str, Any], wanted: Any
) -> None:
    pretend(found)
    bundle = with_recipe(tiny_bundle, **recipe)
    if wanted is None and found is Matmuls.SATURATING:
        with pytest.raises(EngineError, match=r"saturate on this CPU.*--reduce-range"):
            choose_matmuls(bundle)
    else:
        assert choose_matmuls(bundle) is (wanted or found)


def test_a_foreign_graph_is_run_as_it_is(
    pretend: Any, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(Matmuls.SATURATING)
    int8 = GraphSummary({"MatMulInteger": 1}, {})
    monkeypatch.setattr(saturation, "summarize_graph", lambda _: int8)
    foreign = replace(Bundle.open(tiny_bundle), manifest=None)
    assert choose_matmuls(foreign) is Matmuls.SATURATING


def test_both_ways_give_the_same_logits(pretend: Any) -> None:
    """uint8 weights minus their zero point are the int8 weights: the sums are the same."""
    batch = Batch.of([[2, 1618, 3123, 3]])
    bundle = Bundle.open(embedded_bundle())
    if int8_matmuls() is not Matmuls.INT8:
        pytest.skip("int8 saturates on this CPU, so there is nothing to compare with")
    logits = {}
    for products in (Matmuls.INT8, Matmuls.UINT8):
        pretend(products)
        engine = OnnxRuntimeEngine(bundle, 1)
        assert engine.report.matmuls == products.value
        logits[products] = engine.run(batch)["logits"]
    difference = np.abs(logits[Matmuls.INT8] - logits[Matmuls.UINT8]).max()
    assert difference < 1e-5


@pytest.mark.parametrize(
    "operator", ["MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"]
)
@pytest.mark.parametrize("level", [LEVEL.ORT_DISABLE_ALL, LEVEL.ORT_ENABLE_ALL])
@pytest.mark.skipif(not X86, reason="only x86 builds of ONNX Runtime turn int8 weights into uint8")
@pytest.mark.skipif(not CONVERTS, reason="ONNX Runtime does so from 1.30 on")
def test_every_int8_operator_gets_uint8_weights(tmp_path: Path, operator: str, level: Any) -> None:
    done = tmp_path / "done.onnx"
    options = ort.SessionOptions()
    options.log_severity_level = 4  # it warns that the graph it saves is for this CPU only
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(done)
    disabled = use_uint8_weights(options)
    ort.InferenceSession(
        one_node(operator),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=disabled,
    )
    graph = onnx.load(done).graph
    assert [node.op_type for node in graph.node] == [operator]
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert types[graph.node[0].input[1]] == TensorProto.UINT8


def test_per_token_products_are_exact(tmp_path: Path) -> None:
    """Rows of their own scale through MatMulIntegerToFloat, where int8 would saturate."""
    rng = np.random.default_rng(5)
    values = np.abs(rng.normal(size=(5, 32))).astype(np.float32)  # one sign: pairs add up
    weights = np.full((32, 4), 127, np.int8)
    scale = values.max(axis=1, keepdims=True) / np.float32(127)
    rounded = np.rint(values / scale).astype(np.int64)
    wanted = (rounded @ weights.astype(np.int64)) * scale.astype(np.float64)
    for products in (Matmuls.UINT8, int8_matmuls()):
        options = ort.SessionOptions()
        options.graph_optimization_level = LEVEL.ORT_DISABLE_ALL
        disabled = use_uint8_weights(options) if products is Matmuls.UINT8 else []
        session = ort.InferenceSession(
            per_token(weights),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=disabled,
        )
        (found,) = session.run(None, {"x": values})
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def per_token(weights: np.ndarray[Any, Any]) -> bytes:
    node = helper.make_node
    constants = {
        "w": weights,
        "w_scale": np.ones(weights.shape[1], np.float32),
        "127": np.float32(127),
        "128": np.uint8(128),
        "axis": np.array([1]),
        "flat": np.array([-1]),
    }
    nodes = [
        node("Abs", ["x"], ["abs"]),
        node("ReduceMax", ["abs", "axis"], ["max"], keepdims=1),
        node("Div", ["max", "127"], ["scale"]),
        node("Reshape", ["scale", "flat"], ["scales"]),
        node("Shape", ["scales"], ["tokens"]),
        node("Expand", ["128", "tokens"], ["zeros"]),
        node("QuantizeLinear", ["x", "scales", "zeros"], ["a"], axis=0),
        node(
            "MatMulIntegerToFloat",
            ["a", "w", "scale", "w_scale", "128"],
            ["y"],
            domain="com.microsoft",
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "per_token",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, weights.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, weights.shape[1]])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return bytes(model.SerializeToString())


def one_node(operator: str) -> bytes:
    inputs = {
        "MatMulInteger": ["a", "w"],
        "MatMulIntegerToFloat": ["a", "w", "a_scale", "w_scale"],
        "DynamicQuantizeMatMul": ["a", "w", "w_scale"],
    }[operator]
    domain = "" if operator == "MatMulInteger" else "com.microsoft"
    a = TensorProto.FLOAT if operator.startswith("Dynamic") else TensorProto.UINT8
    y = TensorProto.INT32 if not domain else TensorProto.FLOAT
    constants = {
        "w": np.full((8, 4), 127, np.int8),
        "w_scale": np.ones(4, np.float32),
        "a_scale": np.ones((), np.float32),
    }
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], domain=domain)],
        "one",
        [helper.make_tensor_value_info("a", a, [None, 8])],
        [helper.make_tensor_value_info("y", y, [None, 4])],
        [numpy_helper.from_array(constants[name], name) for name in inputs[1:]],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return bytes(model.SerializeToString())
