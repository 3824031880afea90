"""What a graph computes with, read without its weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from leanbert.bundle import Bundle
from leanbert.bundle.graph_summary import summarize_graph
from leanbert.bundle.values import WrongValueError
from leanbert.engines.saturation import Matmuls, choose_matmuls, int8_matmuls
from tests.helpers.tiny_bundles import Tiny, build


def model_of(*operators: str, weights: type = np.float32, size: int = 30_000) -> onnx.ModelProto:
    nodes = [helper.make_node(name, ["a", "w"], [f"{name}{i}"]) for i, name in enumerate(operators)]
    held = numpy_helper.from_array(np.ones((2, size // 2), weights), "w")
    shape = numpy_helper.from_array(np.array([1, 2], np.int64), "shape")
    value = helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 2])
    return helper.make_model(helper.make_graph(nodes, "g", [value], [], [held, shape]))


def test_the_summary_of_a_graph(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model_of("MatMul", "Add", "MatMul", weights=np.float16), path)
    found = summarize_graph(path)
    assert found.operators == {"MatMul": 2, "Add": 1}
    assert found.weights == {TensorProto.FLOAT16: 30_000, TensorProto.INT64: 2}


def test_the_summary_of_a_bundle_is_onnx_own(tiny_bundle: Path) -> None:
    graph = onnx.load(tiny_bundle / "model.onnx", load_external_data=False).graph
    found = summarize_graph(tiny_bundle / "model.onnx")
    assert found.operators == Counter(node.op_type for node in graph.node)
    sizes: Counter[int] = Counter()
    for tensor in graph.initializer:
        sizes[tensor.data_type] += int(np.prod(tensor.dims, dtype=np.int64))
    assert found.weights == sizes


def test_what_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    whole = model_of("MatMul", size=40).SerializeToString()
    refused = 0
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        try:
            summarize_graph(path)
        except WrongValueError:
            refused += 1
    assert refused > len(whole) - 30  # but for cuts between two fields of the model
    path.write_bytes(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
    with pytest.raises(WrongValueError):
        summarize_graph(path)


@pytest.mark.parametrize(
    ("operators", "weights", "matmuls"),
    [
        (("MatMul", "Add"), np.float32, Matmuls.FP32),
        (("MatMul", "Add"), np.float16, Matmuls.FP16),
        (("MatMulNBits",), np.uint8, Matmuls.BLOCKS),
        (("MatMul", "DynamicQuantizeLinear", "MatMulInteger"), np.int8, None),
        (("DequantizeLinear", "MatMul"), np.int8, None),
    ],
)
def test_how_a_plain_export_computes(
    tmp_path: Path, operators: tuple[str, ...], weights: type, matmuls: Matmuls | None
) -> None:
    folder = build(tmp_path / "plain", Tiny(manifest=False))
    for name in ("model.onnx", "model.onnx.data"):
        (folder / name).unlink(missing_ok=True)
    onnx.save(model_of(*operators, weights=weights), folder / "model.onnx")
    assert choose_matmuls(Bundle.open(folder)) is (matmuls or int8_matmuls())
