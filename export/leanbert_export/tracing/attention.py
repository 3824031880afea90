"""Fuse the attentions that the patterns of ONNX Runtime's optimizer miss.

An attention is ``softmax(q @ k.T * scale + mask + bias) @ v``. The optimizer misses ALBERT's first
layer, which does not read a normalization, and MPNet's layers, which add a bias by relative
position. Only the structure is matched here. That the mask hides padding and nothing else is shown
by the comparison with PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from leanbert_export.graph.editing import (
    add_node,
    bias_after,
    constant,
    initializer,
    tidy,
    weight_of,
)
from leanbert_export.graph.operators import ATTENTION, MICROSOFT

# These operators turn the mask of tokens into one of scores. A mask of a window or of a direction
# needs others too.
_PADDING = frozenset(
    {"Where", "Cast", "Sub", "Mul", "Expand", "Unsqueeze", "Identity", "Not", "Equal"}
)


@dataclass(frozen=True)
class _Found:
    """One attention. *Shape* of ``query``, ``key`` and ``value``: ``(batch, length, width)``."""

    query: ir.Value
    key: ir.Value
    value: ir.Value
    bias: ir.Value | None
    scale: float | None
    output: ir.Node


def fuse_attentions(model: ir.Model, num_heads: int) -> int:
    """Replace each attention by one operator, in place; returns how many were replaced."""
    done = 0
    for node in list(model.graph):
        if node.op_type == "Softmax" and (found := _find(node)) is not None:
            _replace(model.graph, found, num_heads)
            done += 1
    if done:
        model.opset_imports[MICROSOFT] = 1
        tidy(model)
    return done


def _find(softmax: ir.Node) -> _Found | None:
    users = [use.node for use in softmax.outputs[0].uses()]
    if len(users) != 1 or users[0].op_type != "MatMul":
        return None
    turned = _only_user(users[0], "Transpose")
    output = _only_user(turned, "Reshape") if turned is not None else None
    core, scale, terms = _terms(softmax.inputs[0])
    if output is None or core is None:
        return None
    parts = [
        _projection(core.inputs[0], [0, 2, 1, 3]),
        _projection(core.inputs[1], [0, 2, 3, 1]),
        _projection(users[0].inputs[1], [0, 2, 1, 3]),
    ]
    query, key, value = parts
    masks = [term for term in terms if _is_padding(term)]
    others = [term for term in terms if term not in masks]
    if query is None or key is None or value is None or len(masks) != 1 or len(others) > 1:
        return None
    if any(_reads_input(term) for term in others):
        return None
    return _Found(query, key, value, others[0] if others else None, scale, output)


def _only_user(node: ir.Node, op_type: str) -> ir.Node | None:
    users = [use.node for use in node.outputs[0].uses()]
    return users[0] if len(users) == 1 and users[0].op_type == op_type else None


def _terms(value: ir.Value | None) -> tuple[ir.Node | None, float | None, list[ir.Value]]:
    """Find the matmul of queries and keys, its scale, and the terms that are added to it."""
    terms: list[ir.Value] = []
    node = value.producer() if value is not None else None
    while node is not None and node.op_type == "Add":
        inner = next((v for v in node.inputs if v is not None and _is_scores(v)), None)
        if inner is None:
            return None, None, []
        terms += [v for v in node.inputs if v is not None and v is not inner]
        node = inner.producer()
    scale: float | None = None
    if node is not None and node.op_type in ("Div", "Mul"):
        by = constant(node.inputs[1])
        if by is None or by.size != 1:
            return None, None, []
        scale = float(1 / by.item() if node.op_type == "Div" else by.item())
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    return (
        (node, scale, terms) if node is not None and node.op_type == "MatMul" else (None, None, [])
    )


def _is_scores(value: ir.Value) -> bool:
    """Whether ``value`` is the matmul of queries and keys, scaled and with terms added or not."""
    node = value.producer()
    if node is None:
        return False
    if node.op_type == "MatMul":
        return weight_of(node) is None
    return node.op_type in ("Add", "Div", "Mul") and any(
        v is not None and constant(v) is None and _is_scores(v) for v in node.inputs
    )


def _projection(value: ir.Value | None, perm: list[int]) -> ir.Value | None:
    """The projection that is cut into heads and transposed by ``perm`` to give ``value``."""
    node = value.producer() if value is not None else None
    if node is not None and node.op_type == "Mul":  # each side, by the root of the scale
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    if node is None or node.op_type != "Transpose":
        return None
    if list(node.attributes.get_ints("perm", [])) != perm:
        return None
    cut = node.inputs[0].producer() if node.inputs[0] is not None else None
    return cut.inputs[0] if cut is not None and cut.op_type == "Reshape" else None


def _is_padding(value: ir.Value) -> bool:
    """Whether ``value`` is computed from ``attention_mask`` as a mask of padding is."""
    if not value.is_graph_input():
        node = value.producer()
        if node is None or node.op_type not in _PADDING:
            return False
        # Expand and Unsqueeze have a shape as their second input, which is not followed.
        through = (
            node.inputs if node.op_type in ("Where", "Sub", "Mul", "Equal") else node.inputs[:1]
        )
        inner = [v for v in through if v is not None and constant(v) is None]
        return bool(inner) and all(_is_padding(v) for v in inner)
    return value.name == "attention_mask"


def _reads_input(value: ir.Value | None, seen: set[int] | None = None) -> bool:
    """Whether ``value`` depends on the content of the graph's inputs, not only on their shapes."""
    seen = set() if seen is None else seen
    if value is None or id(value) in seen:
        return False
    seen.add(id(value))
    if value.is_graph_input():
        return True
    node = value.producer()
    if node is None or node.op_type == "Shape":
        return False
    return any(_reads_input(v, seen) for v in node.inputs)


def _replace(graph: ir.Graph, found: _Found, num_heads: int) -> None:
    parts: list[ir.Value] = [found.query, found.key, found.value]
    biases = []
    for i, value in enumerate(parts):
        add = value.producer()
        source = _without_bias(add)
        if source is None or add is None:
            break
        bias = bias_after(source)
        if bias is None:
            break
        biases.append(bias.vector)
        parts[i] = source.outputs[0]
    packed = None
    if len(biases) == len(parts):
        name = f"{found.output.name}/bias"
        packed = initializer(graph, name, np.concatenate(biases))
    else:
        parts = [found.query, found.key, found.value]
    wide = found.bias
    expanded = wide.producer() if wide is not None else None
    # The fused operator expands a bias over the batch itself.
    if expanded is not None and expanded.op_type == "Expand":
        wide = expanded.inputs[0]
    attributes = {"num_heads": num_heads}
    node = ir.node(
        ATTENTION,
        [*parts, packed, _lengths(graph), wide],
        attributes=attributes if found.scale is None else {**attributes, "scale": found.scale},
        domain=MICROSOFT,
        name=f"{found.output.name}/{ATTENTION}",
    )
    graph.insert_before(found.output, node)
    ir.convenience.replace_all_uses_with(found.output.outputs[0], node.outputs[0])


def _without_bias(add: ir.Node | None) -> ir.Node | None:
    """The matmul behind a sum with a vector."""
    if add is None or add.op_type != "Add":
        return None
    makers = [v.producer() for v in add.inputs if v is not None]
    return next((n for n in makers if n is not None and weight_of(n) is not None), None)


def _lengths(graph: ir.Graph) -> ir.Value:
    """The number of tokens of each text, int32, by which the fused attentions know padding."""
    for node in graph:
        if node.op_type == ATTENTION and len(node.inputs) > 4 and node.inputs[4] is not None:
            return node.inputs[4]
    mask = next(value for value in graph.inputs if value.name == "attention_mask")
    narrow = add_node(graph, "Cast", [mask], first=True, to=ir.DataType.INT32)
    axis = initializer(graph, "tokens_axis", np.array([1], np.int64))
    made = narrow.producer()
    return add_node(graph, "ReduceSum", [narrow, axis], after=made, keepdims=0)
