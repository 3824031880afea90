"""Read and edit a graph in the few ways that the steps of the export need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass


def tidy(model: ir.Model) -> None:
    """Remove nodes that nothing reads, and sort the others topologically."""
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
    """The initializer called ``name``; it is made from ``array`` if there is none yet.

    If ``array`` is a function, it is called only when an initializer must be made. An array that
    differs from the initializer of that name becomes another initializer, with a longer name.
    """
    if name in graph.initializers and callable(array):
        return graph.initializers[name]
    made = np.asarray(array() if callable(array) else array, order="C")
    while (there := graph.initializers.get(name)) is not None:
        if there.const_value is not None and np.array_equal(there.const_value.numpy(), made):
            return there
        name += "'"  # two nodes may have the same name, or none
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
    """Add a node with one output to the graph, and return the output.

    Without ``before``, ``after`` or ``first`` the node goes to the end, from where :func:`tidy`
    brings it into order.
    """
    node = ir.node(op_type, inputs, attributes=attributes, domain=domain)
    if before is not None:
        graph.insert_before(before, node)
    elif after is not None:
        graph.insert_after(after, node)
    elif first:
        graph.insert_before(graph[0], node)
    else:
        graph.append(node)
    return node.outputs[0]


def weight_of(node: ir.Node) -> npt.NDArray[np.float32] | None:
    """The constant matrix of a matmul; ``None`` for any other node."""
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
    """The bias that is added to the output of a matmul; ``None`` if nothing else is done to it."""
    users = list(node.outputs[0].uses())
    if len(users) != 1 or users[0].node.op_type != "Add":
        return None
    position = 1 - users[0].idx
    vector = constant(users[0].node.inputs[position])
    if vector is None or vector.ndim != 1:
        return None
    return Bias(users[0].node, vector, position)
