"""ALBERT: layers that share their weights, and embeddings of their own width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.bert import bert_embeddings
from leanbert_export.architectures.description import Embeddings, Encoder, Head
from leanbert_export.architectures.heads import (
    first_token_head,
    plain_head,
    tied_decoder,
    word_head,
)
from leanbert_export.architectures.layers import LayerNames, plain_layer
from leanbert_export.architectures.tensors import Tensors

__all__ = ["describe"]

_NAMES = LayerNames(
    query="attention.query",
    key="attention.key",
    value="attention.value",
    output="attention.dense",
    attention_norm="attention.LayerNorm",
    up="ffn",
    down="ffn_output",
    ffn_norm="full_layer_layer_norm",
)


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """ALBERT; each group of layers is described once and repeated."""
    base = tensors.under("" if task == "feature-extraction" else "albert")
    embeddings = bert_embeddings(config, base.under("embeddings"))
    projection = base.linear("encoder.embedding_hidden_mapping_in")
    groups = int(config["num_hidden_groups"])
    layers = int(config["num_hidden_layers"])
    heads, eps = int(config["num_attention_heads"]), config["layer_norm_eps"]
    function = activation(config["hidden_act"])
    made = [
        [
            plain_layer(group.under(f"albert_layers.{j}"), _NAMES, heads, eps, function)
            for j in range(int(config["inner_group_num"]))
        ]
        for group in (base.under(f"encoder.albert_layer_groups.{i}") for i in range(groups))
    ]
    return Encoder(
        "albert",
        replace(embeddings, projection=projection),
        [layer for i in range(layers) for layer in made[int(i / (layers / groups))]],
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        return first_token_head(
            tensors.linear("albert.pooler"), "tanh", tensors.linear("classifier")
        )
    if task == "fill-mask":
        head = tensors.under("predictions")
        return word_head(
            head.linear("dense"),
            activation(config["hidden_act"]),
            head.norm("LayerNorm", config["layer_norm_eps"]),
            tied_decoder(head, "decoder", "bias", embeddings),
        )
    return plain_head(tensors, task)
