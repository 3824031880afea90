"""DeBERTa-v2 and -v3: disentangled attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.description import (
    Disentangled,
    Embeddings,
    Encoder,
    Floats,
    Head,
    Layer,
    Linear,
    Norm,
)
from leanbert_export.architectures.heads import (
    first_token_head,
    plain_head,
    tied_decoder,
    word_head,
)
from leanbert_export.architectures.layers import BERT_NAMES, plain_layer
from leanbert_export.architectures.tensors import NotDescribedError, Tensors

__all__ = ["describe"]

_NAMES = replace(
    BERT_NAMES,
    query="attention.self.query_proj",
    key="attention.self.key_proj",
    value="attention.self.value_proj",
)


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """DeBERTa-v2, without the convolution that the largest of them has."""
    if config.get("conv_kernel_size", 0):
        raise NotDescribedError("its first layer has a convolution (conv_kernel_size)")
    base = tensors.under("" if task == "feature-extraction" else "deberta")
    embeddings = _embeddings(config, base.under("embeddings"))
    relative = _relative(config, base.under("encoder"))
    return Encoder(
        "deberta-v2",
        embeddings,
        [
            _layer(config, base.under(f"encoder.layer.{i}"), relative)
            for i in range(int(config["num_hidden_layers"]))
        ],
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
        relative=relative,
    )


def _embeddings(config: Mapping[str, Any], own: Tensors) -> Embeddings:
    return Embeddings(
        word=own["word_embeddings.weight"],
        norm=own.norm("LayerNorm", config["layer_norm_eps"]),
        position=own.optional("position_embeddings.weight"),
        token_type=own.optional("token_type_embeddings.weight"),
        projection=own.linear("embed_proj") if "embed_proj.weight" in own else None,
        projection_first=True,
    )


def _compared(config: Mapping[str, Any]) -> set[str]:
    """Which of ``c2p`` and ``p2c`` the scores have."""
    named = config.get("pos_att_type") or []
    return set(named.split("|") if isinstance(named, str) else named)


def _relative(config: Mapping[str, Any], encoder: Tensors) -> Disentangled | None:
    if not config.get("relative_attention", False):
        return None
    most = int(config.get("max_relative_positions", -1))
    most = int(config["max_position_embeddings"]) if most < 1 else most
    buckets = max(0, int(config.get("position_buckets", -1)))
    table = encoder["rel_embeddings.weight"][: 2 * (buckets or most)]
    if "layer_norm" in str(config.get("norm_rel_ebd", "none")).lower():
        table = _normed(table, encoder.norm("LayerNorm", config["layer_norm_eps"]))
    compared = _compared(config)
    return Disentangled(table, buckets, most, "c2p" in compared, "p2c" in compared)


def _normed(table: Floats, norm: Norm) -> Floats:
    wide = table.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    found = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + norm.eps) * norm.gamma
    beta = np.float32(0) if norm.beta is None else norm.beta
    normed: Floats = (found + beta).astype(np.float32)
    return normed


def _layer(config: Mapping[str, Any], layer: Tensors, relative: Disentangled | None) -> Layer:
    made = plain_layer(
        layer,
        _NAMES,
        int(config["num_attention_heads"]),
        config["layer_norm_eps"],
        activation(config["hidden_act"]),
    )
    attention, own, compared = made.attention, layer.under("attention.self"), _compared(config)
    inputs, width = attention.query.weight.shape
    if width != inputs:
        raise NotDescribedError("its heads together are not as wide as its layers")

    def of_positions(kind: str, shared: Linear, name: str) -> Linear | None:
        if relative is None or kind not in compared:
            return None
        return shared if config.get("share_att_key", False) else own.linear(name)

    terms = 1 + len(compared & {"c2p", "p2c"})
    attention = replace(
        attention,
        scale=(width // attention.num_heads * terms) ** -0.5,
        position_key=of_positions("c2p", attention.key, "pos_key_proj"),
        position_query=of_positions("p2c", attention.query, "pos_query_proj"),
    )
    return replace(made, attention=attention)


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        return first_token_head(
            tensors.linear("pooler.dense"),
            activation(config["pooler_hidden_act"]),
            tensors.linear("classifier"),
        )
    if task == "fill-mask":
        eps, function = config["layer_norm_eps"], activation(config["hidden_act"])
        if config.get("legacy", True):
            head = tensors.under("cls.predictions")
            transform = head.under("transform")
            decoder = tied_decoder(head, "decoder", "bias", embeddings)
        else:
            head = transform = tensors.under("lm_predictions.lm_head")
            decoder = Linear(embeddings.word.T, head["bias"]), True
        dense, norm = transform.linear("dense"), transform.norm("LayerNorm", eps)
        return word_head(dense, function, norm, decoder)
    return plain_head(tensors, task)
