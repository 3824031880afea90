"""MPNet: BERT with a bias by relative position, which all layers share, and no token types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.bert import bert_embeddings
from leanbert_export.architectures.description import (
    Attention,
    Encoder,
    FeedForward,
    Layer,
    RelativeBias,
)
from leanbert_export.architectures.roberta import roberta_head
from leanbert_export.architectures.tensors import Tensors

__all__ = ["describe"]

_PADDING_IDX = 1  # whatever the config says; so are the 32 buckets


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """MPNet."""
    base = tensors.under("" if task == "feature-extraction" else "mpnet")
    embeddings = bert_embeddings(config, base.under("embeddings"), _PADDING_IDX)
    return Encoder(
        "mpnet",
        embeddings,
        [
            _layer(config, base.under(f"encoder.layer.{i}"))
            for i in range(int(config["num_hidden_layers"]))
        ],
        roberta_head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]) - _PADDING_IDX - 1,
        relative=RelativeBias(base["encoder.relative_attention_bias.weight"]),
    )


def _layer(config: Mapping[str, Any], layer: Tensors) -> Layer:
    heads, eps = int(config["num_attention_heads"]), config["layer_norm_eps"]
    own = layer.under("attention.attn")
    return Layer(
        Attention(
            own.linear("q"),
            own.linear("k"),
            own.linear("v"),
            own.linear("o"),
            heads,
            scale=(int(config["hidden_size"]) // heads) ** -0.5,
        ),
        layer.norm("attention.LayerNorm", eps),
        FeedForward(
            layer.linear("intermediate.dense"),
            layer.linear("output.dense"),
            activation(config["hidden_act"]),
        ),
        layer.norm("output.LayerNorm", eps),
    )
