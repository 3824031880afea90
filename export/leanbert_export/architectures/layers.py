"""The layer that most families share; a family's module names its tensors."""

from __future__ import annotations

from dataclasses import dataclass

from leanbert_export.architectures.description import Activation, Attention, FeedForward, Layer
from leanbert_export.architectures.tensors import Tensors

__all__ = ["BERT_NAMES", "LayerNames", "plain_layer"]


@dataclass(frozen=True)
class LayerNames:
    """What a family calls the tensors of a layer."""

    query: str
    key: str
    value: str
    output: str
    """Of the matmul after attention."""
    attention_norm: str
    up: str
    down: str
    ffn_norm: str


BERT_NAMES = LayerNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    up="intermediate.dense",
    down="output.dense",
    ffn_norm="output.LayerNorm",
)


def plain_layer(
    layer: Tensors, names: LayerNames, num_heads: int, eps: float, activation: Activation
) -> Layer:
    """A layer without positions, windows or gates, with norms after the sums.

    Args:
        layer: the tensors of the layer.
        names: of them.
        num_heads: of the attention.
        eps: of both norms.
        activation: of the feed-forward network.
    """
    query = layer.linear(names.query)
    return Layer(
        Attention(
            query,
            layer.linear(names.key),
            layer.linear(names.value),
            layer.linear(names.output),
            num_heads,
            scale=(query.weight.shape[1] // num_heads) ** -0.5,
        ),
        layer.norm(names.attention_norm, eps),
        FeedForward(layer.linear(names.up), layer.linear(names.down), activation),
        layer.norm(names.ffn_norm, eps),
    )
