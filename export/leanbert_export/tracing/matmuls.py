"""Find the matmuls of a traced graph, and name them as the model's authors would."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from leanbert_export.graph.editing import bias_after, constant, weight_of
from leanbert_export.graph.final import MOST_LABELS, Matmul
from leanbert_export.graph.operators import ATTENTION, NORMALIZATION

_GELU = frozenset({"Gelu", "FastGelu"})
_ACTIVATIONS = _GELU | {"Relu", "Tanh", "Sigmoid"}
# What the operators inside these read is not among their inputs.
_BRANCHES = frozenset({"If", "Loop", "Scan"})
# PyTorch's exporter writes the number of a layer into the names of its nodes. This number is used
# where the attentions, which are counted otherwise, did not fuse.
_LAYER = re.compile(r"/layers?\.(\d+)/")


def find_matmuls(graph: ir.Graph) -> list[Matmul]:
    """Find all matmuls whose input depends on the tokens, in the graph's order.

    The last classifier is among them if it is a ``MatMul``. A matmul that multiplies a constant
    table alone, as DeBERTa's relative positions need, is the same for every text and is left out.
    """
    found: list[Matmul] = []
    attentions = [node for node in graph if node.op_type == ATTENTION]
    readers = {id(node): i for i, node in enumerate(attentions)}
    seen: dict[str, int] = {}
    reading = _read_tokens(graph)
    layer = -1
    for node in graph:
        weight = weight_of(node)
        source = node.inputs[0] if node.inputs else None
        if weight is None or source is None or source not in reading:
            continue
        bias = bias_after(node)
        numbered = None if attentions else _LAYER.search(str(node.name))
        layer = int(numbered[1]) if numbered else layer
        end = bias.node.outputs[0] if bias else node.outputs[0]
        following = _following(end)
        attention = next((readers[id(n)] for n in following if id(n) in readers), None)
        if attention is not None:
            layer = attention
            kind = {3: "qkv", 2: "key_value"}.get(_parts(node.outputs[0]), "query")
        elif _made_by(source, {ATTENTION}):
            kind = "attention_output"
        elif layer >= 0 and _is_up(end, weight):
            kind = "ffn_up"
        elif layer >= 0 and _made_by(source, _ACTIVATIONS) and weight.shape[0] > weight.shape[1]:
            kind = "ffn_down"
        else:
            kind = "dense"
        last = layer == len(attentions) - 1 if attentions else layer >= 0 and not numbered
        in_head = last and kind == "dense"
        place = "head" if in_head else f"layer.{layer}" if layer >= 0 else "embeddings"
        name = f"{place}.{kind}"
        first = _first_token(source)
        seen[name] = seen.get(name, 0) + 1
        found.append(
            Matmul(
                name=name if seen[name] == 1 else f"{name}.{seen[name]}",
                node=node,
                input=source,
                shape=(weight.shape[0], weight.shape[1]),
                add=bias.node if bias else None,
                after_gelu=_made_by(source, _GELU),
                after_norm=_made_by(source, {NORMALIZATION}),
                first_token=first is not None,
                rank=3 if first is None else 2 + _index_rank(first),
            )
        )
    return found


def _read_tokens(graph: ir.Graph) -> set[ir.Value]:
    """The values that depend on the content of the inputs, not only on their shapes."""
    found = set(graph.inputs)
    for node in graph:
        if node.op_type in _BRANCHES or (
            node.op_type != "Shape" and any(value in found for value in node.inputs)
        ):
            found.update(node.outputs)
    return found


def _following(value: ir.Value, depth: int = 4) -> Iterator[ir.Node]:
    """The nodes that read ``value``, directly or behind a reshape, a split or a bias."""
    for use in value.uses():
        yield use.node
        through = {"Reshape", "Split"} | ({"Add"} if _is_bias(use.node) else set())
        if depth and use.node.op_type in through and use.idx == 0:
            for output in use.node.outputs:
                yield from _following(output, depth - 1)


def _is_bias(node: ir.Node) -> bool:
    return node.op_type == "Add" and any(constant(value) is not None for value in node.inputs)


def _parts(value: ir.Value) -> int:
    return next((len(n.outputs) for n in _following(value) if n.op_type == "Split"), 1)


def _is_up(value: ir.Value, weight: npt.NDArray[np.float32]) -> bool:
    wider = weight.shape[1] > weight.shape[0]
    return wider and any(use.node.op_type in _ACTIVATIONS for use in value.uses())


def _made_by(value: ir.Value | None, operators: set[str] | frozenset[str]) -> bool:
    node = value.producer() if value is not None else None
    while node is not None and node.op_type == "Reshape":
        value = node.inputs[0]
        node = value.producer() if value is not None else None
    return node is not None and node.op_type in operators


def _first_token(value: ir.Value | None) -> ir.Node | None:
    """The nearest node before ``value`` that takes the first token; ``None`` without one."""
    while value is not None and (node := value.producer()) is not None:
        if node.op_type == "Gather":
            return node if node.attributes.get_int("axis", 0) == 1 else None
        value = next((v for v in node.inputs if v is not None and constant(v) is None), None)
    return None


def _index_rank(gather: ir.Node) -> int:
    index = constant(gather.inputs[1])
    return 0 if index is None else index.ndim


def is_classifier(matmul: Matmul) -> bool:
    """Whether the matmul gives the scores of labels, at most 256 of them.

    A matmul that gives scores of a vocabulary's words is no classifier in this sense.
    """
    if matmul.shape[1] > MOST_LABELS:
        return False
    ends = [(matmul.add or matmul.node).outputs[0]]
    for step in ("Split", "Squeeze"):  # how a question's answer gets its start and its end
        users = [use.node for value in ends for use in value.uses()]
        ends += [output for node in users if node.op_type == step for output in node.outputs]
    return any(value.is_graph_output() for value in ends)
