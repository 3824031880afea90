"""RoBERTa, XLM-RoBERTa, CamemBERT and Data2Vec's text encoder, which differ in names alone."""

from __future__ import annotations

from collections.abc import Mapping
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

__all__ = ["describe", "roberta_head"]


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """RoBERTa: positions are counted after the padding's id."""
    family = str(config["model_type"])
    prefix = "data2vec_text" if family == "data2vec-text" else "roberta"
    base = tensors.under("" if task == "feature-extraction" else prefix)
    padding = int(config["pad_token_id"])
    embeddings = bert_embeddings(config, base.under("embeddings"), padding)
    return Encoder(
        family,
        embeddings,
        bert_layers(config, base.under("encoder.layer")),
        roberta_head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]) - padding - 1,
    )


def roberta_head(
    config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str
) -> Head:
    """A dense layer in the classifier itself, and ``lm_head``."""
    if task == "text-classification":
        head = tensors.under("classifier")
        return first_token_head(head.linear("dense"), "tanh", head.linear("out_proj"))
    if task == "fill-mask":
        head = tensors.under("lm_head")
        return word_head(
            head.linear("dense"),
            "gelu",
            head.norm("layer_norm", config["layer_norm_eps"]),
            tied_decoder(head, "decoder", "bias", embeddings),
        )
    return plain_head(tensors, task)
