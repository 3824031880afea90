"""Rewrite the fused fp32 graph into its final form; every step is exact in real arithmetic.

1. :func:`~leanbert_export.tracing.residuals.absorb_biases`: a residual sum's bias moves into the
   LayerNorm before it.
2. :func:`keep_first_token`: if the head reads only the first token, the last layer computes all
   keys and values, but only one query, and after attention it computes only the first token.
3. :func:`join_projections`: query, key and value become one matmul. Only the bias of the query
   stays. The bias of the key adds the same number to all scores of a row, which softmax ignores.
   The bias of the value passes through attention unchanged, since the weights of attention sum to
   1, and is added to the bias of the next matmul.
4. :func:`open_gemms`: a ``Gemm`` inside the head becomes ``MatMul`` and ``Add``, like every other
   matmul. The last one stays a ``Gemm``, with its weights laid out as those of a ``MatMul``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from leanbert_export.graph.editing import (
    add_node,
    bias_after,
    constant,
    initializer,
    tidy,
    weight_of,
)
from leanbert_export.graph.final import FinalGraph
from leanbert_export.graph.operators import ATTENTION, FINAL_OPSET, NORMALIZATION
from leanbert_export.tracing.matmuls import find_matmuls, is_classifier
from leanbert_export.tracing.residuals import absorb_biases

_POINTWISE = frozenset({"Gelu", "FastGelu", "Relu", "Tanh", "Erf", "Sigmoid"})
_BINARY = frozenset({"Add", "Mul", "Sub", "Div"})


def final_graph(source: Path) -> FinalGraph:
    """The fused fp32 graph ``source`` in its final form, with its matmuls and tables."""
    model = rewrite(source)
    matmuls = [matmul for matmul in find_matmuls(model.graph) if not is_classifier(matmul)]
    return FinalGraph(model, matmuls, [("", node) for node in _tables(model.graph)])


def rewrite(source: Path) -> ir.Model:
    """Load the fused fp32 graph ``source`` and bring it into its final form."""
    model = ir.load(source)
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    graph = model.graph
    absorb_biases(graph)
    keep_first_token(graph)
    join_projections(graph)
    open_gemms(graph)
    model.opset_imports[""] = max(FINAL_OPSET, model.opset_imports[""])
    tidy(model)
    return model


def _tables(graph: ir.Graph) -> Iterator[ir.Node]:
    for node in graph:
        if node.op_type == "Gather" and not node.attributes.get_int("axis"):
            table = constant(node.inputs[0])
            if table is not None and table.ndim == 2 and table.dtype == np.float32:
                yield node


def keep_first_token(graph: ir.Graph) -> None:
    """Let the end of the last layer compute the first token only, if the head reads no other."""
    for node in list(graph):
        if node.op_type != "Gather" or node.attributes.get_int("axis") != 1:
            continue
        index, source = constant(node.inputs[1]), node.inputs[0]
        if source is None or index is None or index.ndim or int(index):
            continue
        attention = _nearest_attention(source)
        if attention is None or source.is_graph_output() or len(source.uses()) != 1:
            continue
        first = _FirstToken(graph, attention).of(source)
        if first is not None:
            node.replace_input_with(0, first)


def _nearest_attention(value: ir.Value) -> ir.Node | None:
    """The last attention before ``value``."""
    node = value.producer()
    while node is not None and node.op_type != ATTENTION:
        made = [v.producer() for v in node.inputs if v is not None and constant(v) is None]
        # In every fused graph so far, the first computed input of a residual sum came from the
        # matmul. If it came from the other side, this would find an earlier attention, and
        # `_FirstToken` would leave the graph as it is.
        node = next((n for n in made if n is not None), None)
    return node


class _FirstToken:
    """Copies the nodes between an attention and the head, for one token per text.

    *Shape* of the copies' outputs: ``(batch, 1, width)``.
    """

    def __init__(self, graph: ir.Graph, attention: ir.Node) -> None:
        self._graph, self._attention = graph, attention
        key = attention.inputs[1]
        projection = key.producer() if key is not None else None
        self._boundary = projection.inputs[0] if projection is not None else None
        self._made: dict[ir.Value, ir.Value | None] = {}

    def of(self, value: ir.Value) -> ir.Value | None:
        """The first token of ``value``; ``None`` if an operator on the way is not known."""
        if value not in self._made:
            self._made[value] = self._rebuild(value)
        return self._made[value]

    def _rebuild(self, value: ir.Value) -> ir.Value | None:
        node = value.producer()
        if value is self._boundary:
            zero = initializer(self._graph, "first_token", np.zeros(1, np.int64))
            return add_node(self._graph, "Gather", [value, zero], axis=1)
        if node is None:
            return None
        if node is self._attention:
            inputs: list[ir.Value | None] = list(node.inputs)
            inputs[0] = self.of(inputs[0]) if inputs[0] is not None else None
            needed = [inputs[0]]
            if len(inputs) > 5 and inputs[5] is not None:  # a bias of the scores, query by query
                zero = initializer(self._graph, "first_token", np.zeros(1, np.int64))
                inputs[5] = add_node(self._graph, "Gather", [inputs[5], zero], axis=2)
        elif node.op_type in _POINTWISE | _BINARY | {NORMALIZATION} or weight_of(node) is not None:
            inputs = [
                v if v is None or constant(v) is not None else self.of(v) for v in node.inputs
            ]
            needed = [v for v, old in zip(inputs, node.inputs, strict=True) if old is not None]
        else:
            return None
        if any(v is None for v in needed):
            return None
        copy = ir.node(
            node.op_type,
            inputs,
            attributes=node.attributes,
            domain=node.domain,
            name=f"{node.name}/first_token",
        )
        self._graph.insert_after(node, copy)
        return copy.outputs[0]


def join_projections(graph: ir.Graph) -> None:
    """Join the matmuls before each attention into one, or two if the query has fewer tokens."""
    for node in list(graph):
        if node.op_type == ATTENTION:
            _join(graph, node)


def _join(graph: ir.Graph, node: ir.Node) -> None:
    parts = [value.producer() if value is not None else None for value in node.inputs[:3]]
    weights = [None if part is None else weight_of(part) for part in parts]
    query, key, value = parts
    if query is None or key is None or value is None or any(w is None for w in weights):
        return
    if key.inputs[0] is not value.inputs[0]:
        return
    bias = constant(node.inputs[3]) if len(node.inputs) > 3 else None
    together = query.inputs[0] is key.inputs[0]
    joined = (query, key, value) if together else (key, value)
    width = [w.shape[1] for w in weights[-len(joined) :] if w is not None]
    if len(set(width)) != 1:
        return
    names = [str(part.inputs[1].name) for part in joined if part.inputs[1] is not None]
    weight = initializer(
        graph,
        "+".join(names),  # so that layers which share their weights share the joined ones too
        lambda: np.concatenate([w for w in weights[-len(joined) :] if w is not None], axis=1),
    )
    matmul = add_node(graph, "MatMul", [key.inputs[0], weight], before=node)
    split = ir.node(
        "Split",
        [matmul],
        attributes={"axis": -1, "num_outputs": len(joined)},
        num_outputs=len(joined),
        name=f"{node.name}/split",
    )
    graph.insert_before(node, split)
    for position, output in zip(range(3 - len(joined), 3), split.outputs, strict=True):
        output.dtype = ir.DataType.FLOAT
        node.replace_input_with(position, output)
    if bias is None:
        return
    third = len(bias) // 3
    _move_value_bias(graph, node, bias[2 * third :])
    first = initializer(graph, f"{node.name}/query_bias", bias[:third])
    node.replace_input_with(0, add_node(graph, "Add", [node.inputs[0], first], before=node))
    node.replace_input_with(3, None)


def _move_value_bias(graph: ir.Graph, node: ir.Node, bias: npt.NDArray[np.float32]) -> None:
    """Add the bias of the values to the output of attention, whose weights sum to 1."""
    out = node.outputs[0]
    wide = initializer(graph, f"{node.name}/value_bias", bias)
    shifted = add_node(graph, "Add", [out, wide], after=node)
    for user, index in list(out.uses()):
        weight = weight_of(user)
        after = bias_after(user) if weight is not None else None
        if weight is None or after is None:
            if user.outputs[0] is not shifted:
                user.replace_input_with(index, shifted)
            continue
        moved = after.vector.astype(np.float64) + bias.astype(np.float64) @ weight
        name = f"{after.node.name}/bias"
        vector = initializer(graph, name, moved.astype(np.float32))
        after.node.replace_input_with(after.position, vector)


def open_gemms(graph: ir.Graph) -> None:
    """Replace each ``Gemm`` but the last classifier by ``MatMul`` and ``Add``."""
    for node in list(graph):
        if node.op_type != "Gemm":
            continue
        weight = constant(node.inputs[1])
        plain = all(node.attributes.get_float(name, 1.0) == 1.0 for name in ("alpha", "beta"))
        if weight is None or not plain or node.attributes.get_int("transA"):
            continue
        matrix = weight.T if node.attributes.get_int("transB") else weight
        name = f"{node.inputs[1].name}/matrix" if node.inputs[1] is not None else str(node.name)
        inputs = [node.inputs[0], initializer(graph, name, np.ascontiguousarray(matrix))]
        if node.outputs[0].is_graph_output():
            node.replace_input_with(1, inputs[1])
            node.attributes["transB"] = ir.AttrInt64("transB", 0)
            continue
        output = add_node(graph, "MatMul", inputs, before=node)
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            output = add_node(graph, "Add", [output, node.inputs[2]], before=node)
        ir.convenience.replace_all_uses_with(node.outputs[0], output)
