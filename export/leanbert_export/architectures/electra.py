"""ELECTRA: BERT with embeddings of their own width, and heads with GELU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leanbert_export.architectures.bert import bert_embeddings, bert_layers
from leanbert_export.architectures.description import Embeddings, Encoder, Head
from leanbert_export.architectures.heads import (
    first_token_head,
    plain_head,
    tied_decoder,
    word_head,
)
from leanbert_export.architectures.tensors import Tensors

__all__ = ["describe"]


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """ELECTRA, generator or discriminator."""
    base = tensors.under("" if task == "feature-extraction" else "electra")
    embeddings = bert_embeddings(config, base.under("embeddings"))
    if config["embedding_size"] != config["hidden_size"]:
        embeddings = replace(embeddings, projection=base.linear("embeddings_project"))
    return Encoder(
        "electra",
        embeddings,
        bert_layers(config, base.under("encoder.layer")),
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        head = tensors.under("classifier")
        return first_token_head(head.linear("dense"), "gelu", head.linear("out_proj"))
    if task == "fill-mask":
        head = tensors.under("generator_predictions")
        return word_head(
            head.linear("dense"),
            "gelu",
            head.norm("LayerNorm", config["layer_norm_eps"]),
            tied_decoder(tensors, "generator_lm_head", "", embeddings),
        )
    return plain_head(tensors, task)
