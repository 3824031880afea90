"""DistilBERT: BERT under other names, without token types and without a pooler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanbert_export.architectures.activations import activation
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

_EPS = 1e-12  # of every norm; the config does not say it
_NAMES = LayerNames(
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    attention_norm="sa_layer_norm",
    up="ffn.lin1",
    down="ffn.lin2",
    ffn_norm="output_layer_norm",
)


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """DistilBERT."""
    base = tensors.under("" if task == "feature-extraction" else "distilbert")
    own = base.under("embeddings")
    embeddings = Embeddings(
        word=own["word_embeddings.weight"],
        norm=own.norm("LayerNorm", _EPS),
        position=own["position_embeddings.weight"],
    )
    heads, function = int(config["n_heads"]), activation(config["activation"])
    return Encoder(
        "distilbert",
        embeddings,
        [
            plain_layer(base.under(f"transformer.layer.{i}"), _NAMES, heads, _EPS, function)
            for i in range(int(config["n_layers"]))
        ],
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        return first_token_head(
            tensors.linear("pre_classifier"), "relu", tensors.linear("classifier")
        )
    if task == "fill-mask":
        return word_head(
            tensors.linear("vocab_transform"),
            activation(config["activation"]),
            tensors.norm("vocab_layer_norm", _EPS),
            tied_decoder(tensors, "vocab_projector", "", embeddings),
        )
    return plain_head(tensors, task)
