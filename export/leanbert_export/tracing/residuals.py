"""Absorb the bias of each residual sum into the LayerNorm before it.

``LayerNorm(y + (x @ W + b))`` adds three terms, and on a CPU each addition reads and writes every
token. ``y`` comes from a LayerNorm whose own bias can hold ``b``. Every other reader of ``y`` is a
matmul, and the bias of that matmul takes the difference back. This is exact in real arithmetic and
saves one addition for each sum.

In BERT it applies to the sum after the second feed-forward matmul. It does not apply to the sum
after attention: there the difference would go into the bias of the values, and that bias has moved
into the same sum already.
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
    """A constant vector by which a reader of ``y`` can take a change of ``y`` back."""

    node: ir.Node
    position: int
    weight: npt.NDArray[np.float32] | None
    """The weights, if the reader is a matmul; ``None`` if it is the residual sum."""


def absorb_biases(graph: ir.Graph) -> int:
    """Absorb biases in the fused graph, in place; returns how many additions were removed."""
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
        matmul = empty.inputs[1 - sums[0].position]
        if matmul is None:
            raise AssertionError(empty.name)  # `_reader` has checked it
        ir.convenience.replace_all_uses_with(empty.outputs[0], matmul)
        done += 1
    return done


def _vector(reader: _Reader) -> Doubles:
    found = constant(reader.node.inputs[reader.position])
    if found is None:
        raise AssertionError(reader.node.name)  # `_reader` has checked it
    return found.astype(np.float64)


def _add_to(graph: ir.Graph, reader: _Reader, vector: Doubles) -> None:
    made = _vector(reader) + vector
    # The name is new, since exporters let equal vectors share one initializer.
    name = f"{reader.node.name}/absorbed.{reader.position}"
    graph.initializers.pop(name, None)
    value = initializer(graph, name, made.astype(np.float32))
    reader.node.replace_input_with(reader.position, value)


def _readers(value: ir.Value) -> list[_Reader] | None:
    """All readers of ``value``; ``None`` if one of them cannot take a change back."""
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
