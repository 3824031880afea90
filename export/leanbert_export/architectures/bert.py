"""BERT, and its embeddings and layers for the families that keep its names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.description import Embeddings, Encoder, Head, Layer
from leanbert_export.architectures.heads import (
    first_token_head,
    plain_head,
    tied_decoder,
    word_head,
)
from leanbert_export.architectures.layers import BERT_NAMES, LayerNames, plain_layer
from leanbert_export.architectures.tensors import NotDescribedError, Tensors

__all__ = ["bert_embeddings", "bert_layers", "describe"]


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """BERT: the pooler, ``cls.predictions`` and plain classifiers."""
    base = tensors.under("" if task == "feature-extraction" else "bert")
    embeddings = bert_embeddings(config, base.under("embeddings"))
    return Encoder(
        "bert",
        embeddings,
        bert_layers(config, base.under("encoder.layer")),
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        return first_token_head(
            tensors.linear("bert.pooler.dense"), "tanh", tensors.linear("classifier")
        )
    if task == "fill-mask":
        head = tensors.under("cls.predictions")
        return word_head(
            head.linear("transform.dense"),
            activation(config["hidden_act"]),
            head.norm("transform.LayerNorm", config["layer_norm_eps"]),
            tied_decoder(head, "decoder", "bias", embeddings),
        )
    return plain_head(tensors, task)


def bert_embeddings(
    config: Mapping[str, Any], tensors: Tensors, padding_idx: int | None = None
) -> Embeddings:
    """Words, positions and types under BERT's names."""
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise NotDescribedError("its positions are not absolute")
    return Embeddings(
        word=tensors["word_embeddings.weight"],
        norm=tensors.norm("LayerNorm", config["layer_norm_eps"]),
        position=tensors["position_embeddings.weight"],
        padding_idx=padding_idx,
        token_type=tensors.optional("token_type_embeddings.weight"),
    )


def bert_layers(
    config: Mapping[str, Any], tensors: Tensors, names: LayerNames = BERT_NAMES
) -> list[Layer]:
    """The layers of a config with BERT's keys.

    Args:
        config: of the model.
        tensors: those of all layers, each under its number.
        names: of the tensors of a layer.
    """
    heads, eps = int(config["num_attention_heads"]), config["layer_norm_eps"]
    function = activation(config["hidden_act"])
    return [
        plain_layer(tensors.under(str(i)), names, heads, eps, function)
        for i in range(int(config["num_hidden_layers"]))
    ]
