"""Read and edit the graph of a model, in the few ways that the rewriting steps need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass


def tidy(model: ir.Model) -> None:
    """Drop what nothing uses and put the nodes in order."""
    RemoveUnusedNodesPass()(model)
    model.graph.sort()


def constant(value: ir.Value | None) -> npt.NDArray[Any] | None:
    """The array behind an initializer; ``None`` for anything computed."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    return value.const_value.numpy()


def initializer(
    graph: ir.Graph,
    name: str,
    array: npt.NDArray[Any] | Callable[[], npt.NDArray[Any]],
) -> ir.Value:
    """The initializer of that name, made from ``array`` if it is not there yet.

    A function is called only then; an array that differs from what is there gets a name of its own.
    """
    if name in graph.initializers and callable(array):
        return graph.initializers[name]
    made = np.asarray(array() if callable(array) else array, order="C")
    while (there := graph.initializers.get(name)) is not None:
        if there.const_value is not None and np.array_equal(there.const_value.numpy(), made):
            return there
        name += "'"  # another node of the same name, or of none
    tensor = ir.tensor(made, name=name)
    value = ir.Value(
        name=name,
        shape=ir.Shape(made.shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.initializers[name] = value
    return value


def add_node(
    graph: ir.Graph,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    *,
    before: ir.Node | None = None,
    after: ir.Node | None = None,
    first: bool = False,
    domain: str = "",
    **attributes: Any,
) -> ir.Value:
    """Put a node with one output into the graph; without a place, before its first reader."""
    node = ir.node(op_type, inputs, attributes=attributes, domain=domain)
    if before is not None:
        graph.insert_before(before, node)
    elif after is not None:
        graph.insert_after(after, node)
    elif first:
        graph.insert_before(graph[0], node)
    else:
        graph.append(node)  # `tidy` sorts
    return node.outputs[0]


def weight_of(node: ir.Node) -> npt.NDArray[np.float32] | None:
    """The constant matrix of a product; ``None`` for any other node."""
    if node.op_type != "MatMul":
        return None
    weight = constant(node.inputs[1])
    return weight if weight is not None and weight.ndim == 2 else None


@dataclass(frozen=True)
class Bias:
    """A sum with a constant vector."""

    node: ir.Node
    vector: npt.NDArray[np.float32]
    position: int
    """Which of the node's inputs is the vector."""


def bias_after(node: ir.Node) -> Bias | None:
    """The bias that follows a product; ``None`` where there is none of its own."""
    users = list(node.outputs[0].uses())
    if len(users) != 1 or users[0].node.op_type != "Add":
        return None
    position = 1 - users[0].idx
    vector = constant(users[0].node.inputs[position])
    if vector is None or vector.ndim != 1:
        return None
    return Bias(users[0].node, vector, position)
