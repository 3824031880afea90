"""Absorb the bias of each residual sum into the LayerNorm before it.

``LayerNorm(y + (x @ W + b))`` sums three things, and on a CPU each sum is a pass over every
token. ``y`` comes from a LayerNorm whose own bias can hold ``b``; what else reads ``y`` is a
product, whose bias takes the difference back. Exact in real arithmetic, and one pass less a sum.
In BERT this holds for the sum after the second feed-forward product. For attention's it does not:
the difference would go into the value's bias, which has moved into that very sum's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from leanbert_export.graph.editing import bias_after, constant, initializer, weight_of
from leanbert_export.graph.operators import NORMALIZATION

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Reader:
    """A constant vector that can hold what a reader of ``y`` sees changed."""

    node: ir.Node
    position: int
    weight: npt.NDArray[np.float32] | None
    """Of a product; ``None`` for the residual sum itself."""


def absorb_biases(graph: ir.Graph) -> int:
    """Rewrite the fused graph in place; returns the number of sums that are gone."""
    done = 0
    for node in list(graph):
        bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        if node.op_type != NORMALIZATION or bias is None:
            continue
        readers = _readers(node.outputs[0])
        sums = [reader for reader in readers or () if reader.weight is None]
        if readers is None or len(sums) != 1:
            continue
        moved = _vector(sums[0])
        _add_to(graph, _Reader(node, 2, None), moved)
        for reader in readers:
            if reader.weight is not None:
                _add_to(graph, reader, -(moved @ reader.weight.astype(np.float64)))
        empty = sums[0].node
        product = empty.inputs[1 - sums[0].position]
        if product is None:
            raise AssertionError(empty.name)  # `_reader` looked
        ir.convenience.replace_all_uses_with(empty.outputs[0], product)
        done += 1
    return done


def _vector(reader: _Reader) -> Doubles:
    found = constant(reader.node.inputs[reader.position])
    if found is None:
        raise AssertionError(reader.node.name)  # `_reader` looked
    return found.astype(np.float64)


def _add_to(graph: ir.Graph, reader: _Reader, vector: Doubles) -> None:
    made = _vector(reader) + vector
    # A name of its own: exporters let equal vectors share one initializer.
    name = f"{reader.node.name}/absorbed.{reader.position}"
    graph.initializers.pop(name, None)
    value = initializer(graph, name, made.astype(np.float32))
    reader.node.replace_input_with(reader.position, value)


def _readers(value: ir.Value) -> list[_Reader] | None:
    """Everything that reads ``value``; ``None`` where one of them cannot be corrected."""
    found: list[_Reader] = []
    if value.is_graph_output():
        return None
    for use in value.uses():
        one = _reader(use.node, value)
        if one is None:
            return None
        found.append(one)
    return found


def _reader(node: ir.Node, value: ir.Value) -> _Reader | None:
    weight = weight_of(node)
    if weight is not None and node.inputs[0] is value:
        bias = bias_after(node)
        return _Reader(bias.node, bias.position, weight) if bias is not None else None
    if node.op_type == "Add":
        other = node.inputs[0] if node.inputs[1] is value else node.inputs[1]
        maker = other.producer() if other is not None else None
        if maker is None or maker.op_type != "Add" or len(maker.outputs[0].uses()) != 1:
            return None
        at = [i for i, v in enumerate(maker.inputs) if (c := constant(v)) is not None and c.ndim]
        return _Reader(maker, at[0], None) if len(at) == 1 else None
    return None
