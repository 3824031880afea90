"""The embeddings at the end of the walk: a sum of looked-up rows, a norm, perhaps a projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from leanbert_export.layout.patterns import (
    Norm,
    NoTableError,
    axis_of,
    input_of,
    norm_of,
    product_of,
    shape_of,
)


def find_embeddings(value: ir.Value, config: Mapping[str, Any]) -> tuple[dict[str, ir.Value], Norm]:
    """The tensors behind the first layer's input ``value`` by role, and their norm.

    Args:
        value: *shape* ``(batch, length, hidden)``.
        config: the model's; it tells tables of positions and of types apart.

    Raises:
        NoTableError: it is made otherwise.
    """
    found: dict[str, ir.Value] = {}
    projection = product_of(value)
    if projection is not None:
        found |= {f"projection.{part}": tensor for part, tensor in projection.parts.items()}
        value = projection.source
    normed = norm_of(value)
    if normed is None:
        raise NoTableError("before the first layer stands no norm of embeddings")
    found |= {f"norm.{part}": tensor for part, tensor in normed.parts.items()}
    for leaf in _leaves(normed.source):
        table, scale, ids = _looked_up(leaf)
        rows = shape_of(table)[0]
        if ids.name == "input_ids":
            kind = "word"
        elif ids.name == "token_type_ids" or rows == config.get("type_vocab_size"):
            kind = "token_type"
        elif rows == config.get("max_position_embeddings"):
            kind = "position"
        else:
            raise NoTableError("an embedding is neither of words, positions nor types")
        if kind in found:
            raise NoTableError(f"there are two embeddings of {kind}")
        found[kind] = table
        if scale is not None:
            found[f"{kind}_scale"] = scale
    if not {"word", "position"} <= set(found) or "token_type_scale" in found:
        raise NoTableError("the embeddings are not words, positions and types")
    return found, normed


def _leaves(value: ir.Value) -> Sequence[ir.Value]:
    node = value.producer()
    if node is None or node.op_type != "Add":
        return [value]
    return [leaf for i in (0, 1) for leaf in _leaves(input_of(node, i))]


def _looked_up(value: ir.Value) -> tuple[ir.Value, ir.Value | None, ir.Value]:
    """The table, its rows' scales and the ids of an embedding."""
    node, scale = value.producer(), None
    if node is not None and node.op_type == "Mul":
        scales, cast = input_of(node, 1).producer(), input_of(node, 0).producer()
        if scales is not None and scales.op_type == "Gather" and cast is not None:
            scale, node = input_of(scales, 0), input_of(cast, 0).producer()
            if node is None or input_of(scales, 1) is not input_of(node, 1):
                raise NoTableError("an embedding is scaled otherwise than by rows")
    looked_up = node is not None and node.op_type == "Gather" and not axis_of(node)
    if node is None or not looked_up or len(shape_of(input_of(node, 0))) != 2:
        raise NoTableError("the embeddings are not a sum of tables")
    return input_of(node, 0), scale, input_of(node, 1)
