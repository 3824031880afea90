"""ALBERT: layers that share their weights, and embeddings of their own width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.bert import bert_embeddings, plain_head, tied_decoder
from leanbert_export.architectures.description import (
    Attention,
    Embeddings,
    Encoder,
    FeedForward,
    Head,
    Layer,
)
from leanbert_export.architectures.tensors import Tensors

__all__ = ["describe"]


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """ALBERT; each group of layers is described once and repeated."""
    base = tensors.under("" if task == "feature-extraction" else "albert")
    embeddings = bert_embeddings(config, base.under("embeddings"))
    projection = base.linear("encoder.embedding_hidden_mapping_in")
    groups = int(config["num_hidden_groups"])
    layers = int(config["num_hidden_layers"])
    made = [
        [
            _layer(config, base.under(f"encoder.albert_layer_groups.{i}.albert_layers.{j}"))
            for j in range(int(config["inner_group_num"]))
        ]
        for i in range(groups)
    ]
    return Encoder(
        "albert",
        replace(embeddings, projection=projection),
        [layer for i in range(layers) for layer in made[int(i / (layers / groups))]],
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _layer(config: Mapping[str, Any], layer: Tensors) -> Layer:
    heads, eps = int(config["num_attention_heads"]), config["layer_norm_eps"]
    return Layer(
        Attention(
            layer.linear("attention.query"),
            layer.linear("attention.key"),
            layer.linear("attention.value"),
            layer.linear("attention.dense"),
            heads,
            scale=(int(config["hidden_size"]) // heads) ** -0.5,
        ),
        layer.norm("attention.LayerNorm", eps),
        FeedForward(
            layer.linear("ffn"), layer.linear("ffn_output"), activation(config["hidden_act"])
        ),
        layer.norm("full_layer_layer_norm", eps),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        pooler, last = tensors.linear("albert.pooler"), tensors.linear("classifier")
        return Head(("logits",), "first_token", pooler, "tanh", classifier=last)
    if task == "fill-mask":
        head = tensors.under("predictions")
        decoder, tied = tied_decoder(head, "decoder", "bias", embeddings)
        return Head(
            ("logits",),
            dense=head.linear("dense"),
            activation=activation(config["hidden_act"]),
            norm=head.norm("LayerNorm", config["layer_norm_eps"]),
            classifier=decoder,
            tied=tied,
        )
    return plain_head(tensors, task)
