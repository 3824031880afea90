"""DistilBERT: BERT under other names, without token types and without a pooler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.bert import plain_head, tied_decoder
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

_EPS = 1e-12  # of every norm; the config does not say it


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """DistilBERT."""
    base = tensors.under("" if task == "feature-extraction" else "distilbert")
    own = base.under("embeddings")
    embeddings = Embeddings(
        word=own["word_embeddings.weight"],
        norm=own.norm("LayerNorm", _EPS),
        position=own["position_embeddings.weight"],
    )
    return Encoder(
        "distilbert",
        embeddings,
        [
            _layer(config, base.under(f"transformer.layer.{i}"))
            for i in range(int(config["n_layers"]))
        ],
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _layer(config: Mapping[str, Any], layer: Tensors) -> Layer:
    heads = int(config["n_heads"])
    return Layer(
        Attention(
            layer.linear("attention.q_lin"),
            layer.linear("attention.k_lin"),
            layer.linear("attention.v_lin"),
            layer.linear("attention.out_lin"),
            heads,
            scale=(int(config["dim"]) // heads) ** -0.5,
        ),
        layer.norm("sa_layer_norm", _EPS),
        FeedForward(
            layer.linear("ffn.lin1"), layer.linear("ffn.lin2"), activation(config["activation"])
        ),
        layer.norm("output_layer_norm", _EPS),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        return Head(
            ("logits",),
            "first_token",
            tensors.linear("pre_classifier"),
            "relu",
            classifier=tensors.linear("classifier"),
        )
    if task == "fill-mask":
        decoder, tied = tied_decoder(tensors, "vocab_projector", "", embeddings)
        return Head(
            ("logits",),
            dense=tensors.linear("vocab_transform"),
            activation=activation(config["activation"]),
            norm=tensors.norm("vocab_layer_norm", _EPS),
            classifier=decoder,
            tied=tied,
        )
    return plain_head(tensors, task)
