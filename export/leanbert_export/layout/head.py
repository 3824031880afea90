"""Recognize the head, where the walk begins: from the graph's outputs to the encoder's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from leanbert_export.graph.editing import constant
from leanbert_export.layout.patterns import (
    ACTIVATIONS,
    NoLayoutError,
    Norm,
    activation_of,
    axis_of,
    input_of,
    matmul_of,
    norm_of,
)


@dataclass(frozen=True)
class HeadRoles:
    """The tensors of the head, by role."""

    source: ir.Value
    """The output of the encoder, which the head reads."""
    kind: str = "none"
    """``none``, ``first_token`` or ``every_token``."""
    activation: str = "identity"
    tensors: dict[str, ir.Value] = field(default_factory=dict)
    norm: Norm | None = None

    @property
    def architecture(self) -> dict[str, Any]:
        """What the layout says of the head's kind."""
        return {"head": self.kind, "head_activation": self.activation}


def find_head(outputs: Sequence[ir.Value]) -> HeadRoles:
    """Recognize the head from the graph's outputs.

    A head has a classifier, and before it any of a dense layer, an activation and a normalization.
    A graph whose only output is ``last_hidden_state`` has no head.

    Raises:
        NoLayoutError: the head has another structure.
    """
    names = [value.name for value in outputs]
    if names == ["last_hidden_state"]:
        return HeadRoles(outputs[0])
    value = _logits(outputs)
    classifier = matmul_of(value)
    if classifier is None:
        raise NoLayoutError("the logits are not the output of a matmul")
    tensors = {f"classifier.{part}": tensor for part, tensor in classifier.parts.items()}
    value, activation = classifier.source, "identity"
    norm = norm_of(value)
    if norm is not None and _activated(norm.source):
        tensors |= {f"norm.{part}": tensor for part, tensor in norm.parts.items()}
        value = norm.source
    else:
        norm = None  # it belongs to the encoder's last layer
    node = value.producer()
    if node is not None and _activated(value):
        activation = activation_of(node)
        value, parts = _dense(input_of(node, 0))
        tensors |= parts
    first = _first_token(value)
    if first is None:
        return HeadRoles(value, "every_token", activation, tensors, norm)
    if norm is not None:
        raise NoLayoutError("the head normalizes the first token, which the native engine does not")
    return HeadRoles(first, "first_token", activation, tensors)


def _logits(outputs: Sequence[ir.Value]) -> ir.Value:
    """The output of the one matmul that all outputs of the graph come from."""
    names = [str(value.name) for value in outputs]
    if names == ["logits"]:
        return outputs[0]
    if names == ["start_logits", "end_logits"]:
        return _both_columns(outputs)
    raise NoLayoutError(
        f"the graph's outputs are {', '.join(names)}, which the native engine does not know"
    )


def _dense(value: ir.Value) -> tuple[ir.Value, dict[str, ir.Value]]:
    dense = matmul_of(value)
    if dense is None:
        raise NoLayoutError("the head has a layer that is not dense")
    return dense.source, {f"dense.{part}": found for part, found in dense.parts.items()}


def _activated(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type in ACTIVATIONS


def _first_token(value: ir.Value) -> ir.Value | None:
    """The value whose first token ``value`` is; ``None`` if the head reads every token.

    Raises:
        NoLayoutError: the head reads another token than the first.
    """
    node = value.producer()
    if node is None or node.op_type != "Gather":
        return None
    index = constant(input_of(node, 1))
    if index is None or index.ndim or int(index) or axis_of(node) != 1:
        raise NoLayoutError("the head reads another token than the first")
    return input_of(node, 0)


def _both_columns(outputs: Sequence[ir.Value]) -> ir.Value:
    """The matmul's output, with two columns per token, that starts and ends were split from."""
    parts = []
    for value in outputs:
        node = value.producer()
        while node is not None and node.op_type in ("Identity", "Squeeze"):
            value = input_of(node, 0)
            node = value.producer()
        parts.append(value)
    split = parts[0].producer()
    if split is None or split.op_type != "Split" or list(split.outputs) != parts:
        raise NoLayoutError("start and end logits are not two columns of one matmul")
    return input_of(split, 0)
