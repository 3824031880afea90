"""ELECTRA: BERT with embeddings of their own width, and heads with GELU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leanbert_export.architectures.bert import (
    bert_embeddings,
    bert_layers,
    plain_head,
    tied_decoder,
)
from leanbert_export.architectures.description import Embeddings, Encoder, Head
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
        dense, last = (tensors.linear(f"classifier.{name}") for name in ("dense", "out_proj"))
        return Head(("logits",), "first_token", dense, "gelu", classifier=last)
    if task == "fill-mask":
        head = tensors.under("generator_predictions")
        decoder, tied = tied_decoder(tensors, "generator_lm_head", "", embeddings)
        return Head(
            ("logits",),
            dense=head.linear("dense"),
            activation="gelu",
            norm=head.norm("LayerNorm", config["layer_norm_eps"]),
            classifier=decoder,
            tied=tied,
        )
    return plain_head(tensors, task)
