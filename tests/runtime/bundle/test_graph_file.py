"""The hand-written reading of ONNX files, against the onnx package."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from leanbert.bundle.graph_file import External, parse_graph
from leanbert.bundle.values import WrongValueError
from tests.helpers.tiny_bundles import Tiny, graph


def outside(name: str, location: str, offset: str | None = "64") -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros((3, 200), np.int8), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": "600"}
    for key, value in entries.items():
        if value is not None:
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    return tensor


def model(*tensors: onnx.TensorProto, nodes: list[onnx.NodeProto] | None = None) -> bytes:
    made = helper.make_graph(nodes or [], "g", [], [], list(tensors))
    data: bytes = helper.make_model(made).SerializeToString()
    return data


@pytest.mark.parametrize("task", ["text-classification", "fill-mask", "question-answering"])
def test_the_operators_are_those_that_onnx_counts(task: str) -> None:
    made = graph(Tiny(task=task))
    found = parse_graph(made.SerializeToString())
    assert found.operators == Counter(node.op_type for node in made.graph.node)
    assert found.external == []


def test_weights_in_other_files() -> None:
    found = parse_graph(model(outside("a", "m.data"), outside("b", "x/n", None)))
    assert found.external == [
        External("a", TensorProto.INT8, (3, 200), "m.data", 64, True),
        External("b", TensorProto.INT8, (3, 200), "x/n", 0, True),
    ]


def test_weights_of_constants_and_of_graphs_within_graphs() -> None:
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=outside("c", "c.data"))],
        "inner", [], [], [outside("d", "d.data")],
    )  # fmt: skip
    node = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    found = parse_graph(model(nodes=[node]))
    assert found.operators == {"If": 1}
    assert {(tensor.location, tensor.initializer) for tensor in found.external} == {
        ("c.data", False),
        ("d.data", False),
    }


def test_graphs_in_too_many_levels() -> None:
    inner = helper.make_graph([], "g", [], [], [outside("d", "d.data")])
    for _ in range(9):
        node = helper.make_node("If", ["x"], ["y"], then_branch=inner)
        inner = helper.make_graph([node], "g", [], [])
    with pytest.raises(WrongValueError, match="levels"):
        parse_graph(helper.make_model(inner).SerializeToString())


@pytest.mark.parametrize("offset", ["-1", "x", "", "9" * 30, "1.5"])
def test_offsets_that_are_none(offset: str) -> None:
    with pytest.raises(WrongValueError, match="no offset"):
        parse_graph(model(outside("a", "m.data", offset)))


def test_every_file_that_was_cut_short_is_refused_or_shorter() -> None:
    data = model(outside("a", "m.data"), nodes=[helper.make_node("Add", ["x", "y"], ["z"])])
    whole = parse_graph(data)
    for size in range(len(data)):
        try:
            found = parse_graph(data[:size])
        except WrongValueError:
            continue
        assert found == whole  # what is cut off says nothing of the graph


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 20, b"\x3a\xff\xff\xff\xff\x0f", b"hello", b"\x3f"]
)
def test_what_is_no_model(data: bytes) -> None:
    with pytest.raises(WrongValueError, match=r"no ONNX model|no graph"):
        parse_graph(data)
