"""A graph that asks for gigabytes is refused by ``leanbert verify``, in bounded memory and time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from leanbert.bundle import Bundle
from leanbert.cli.trial import try_graph
from leanbert.errors import VerificationError
from tests.helpers.command import Command
from tests.helpers.processes import python
from tests.helpers.tiny_bundles import read_content, reseal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bound is Linux's")

GIB = 1 << 30


def hostile(folder: Path, kind: str) -> Path:
    """A bundle whose own logits are what they were, plus a zero that was computed dearly."""
    path = folder / "model.onnx"
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    [last] = [node for node in graph.node if "logits" in node.output]
    last.output[list(last.output).index("logits")] = "honest"
    nodes = []

    def constant(name: str, values: object, dtype: type) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    size = constant("size", [40 * GIB // 4], np.int64)
    if kind == "ConstantOfShape":
        nodes.append(helper.make_node(kind, [size], ["large"]))
    elif kind == "Expand":
        nodes.append(helper.make_node(kind, [constant("one", [0.0], np.float32), size], ["large"]))
    elif kind == "MatMul":  # 54 thousand million sums for each golden text
        nodes.append(
            helper.make_node("Expand", [constant("one", [0.0], np.float32), "sides"], ["e"])
        )
        constant("sides", [3000, 3000], np.int64)
        nodes.append(helper.make_node("MatMul", ["e", "e"], ["large"]))
    else:  # no constant says how large it is
        row, column = (
            helper.make_node("Expand", [constant(f"v{i}", [0.0], np.float32), f"s{i}"], [f"e{i}"])
            for i in range(2)
        )
        constant("s0", [1, 100_000], np.int64)
        constant("s1", [100_000, 1], np.int64)
        nodes += [row, column, helper.make_node("Add", ["e0", "e1"], ["large"])]
    nodes += [
        helper.make_node("ReduceMax", ["large"], ["zero"], keepdims=0),
        helper.make_node("Add", ["honest", "zero"], ["logits"]),
    ]
    graph.node.extend(nodes)
    onnx.save(model, path)
    content = read_content(folder)
    operators = onnx.load(path).graph.node
    for name in content["operators"]:
        content["operators"][name] = sum(node.op_type == name for node in operators)
    reseal(folder, content)
    return folder


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand", "outer Add"])
def test_a_graph_that_asks_for_gigabytes_is_refused(
    command: Command, bundle_copy: Path, kind: str
) -> None:
    folder = hostile(bundle_copy, kind)
    err = command.wrong("verify", folder, code=1)
    assert err.startswith(f"leanbert: {folder}: its graph asks for more than 2,0")
    assert err.endswith(
        " MiB of memory to answer its own golden texts; do not use it, or export the checkpoint "
        "again\n"
    )


def test_the_refusal_takes_little_memory_itself(bundle_copy: Path, tmp_path: Path) -> None:
    script = """
import resource, sys
from leanbert.cli import main
assert main(["verify", sys.argv[1]]) == 1
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""
    done = python(["-c", script, hostile(bundle_copy, "outer Add")], tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2200  # MiB; without a ceiling it would be 40,000


def test_an_honest_graph_is_tried_and_passes(tiny_bundle: Path) -> None:
    assert try_graph(tiny_bundle, Bundle.open(tiny_bundle).size)


def test_a_graph_that_computes_too_long(bundle_copy: Path) -> None:
    folder = hostile(bundle_copy, "MatMul")
    with pytest.raises(VerificationError, match="its graph computes longer than 1 seconds"):
        try_graph(folder, Bundle.open(folder).size, seconds=1)
