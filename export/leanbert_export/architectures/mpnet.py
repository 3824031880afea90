"""MPNet: BERT with a bias by relative position, which all layers share, and no token types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from leanbert_export.architectures.bert import bert_embeddings, bert_layers
from leanbert_export.architectures.description import Encoder, RelativeBias
from leanbert_export.architectures.layers import BERT_NAMES
from leanbert_export.architectures.roberta import roberta_head
from leanbert_export.architectures.tensors import Tensors

__all__ = ["describe"]

_PADDING_IDX = 1  # whatever the config says; so are the 32 buckets
_NAMES = replace(
    BERT_NAMES,
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    output="attention.attn.o",
    attention_norm="attention.LayerNorm",
)


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """MPNet."""
    base = tensors.under("" if task == "feature-extraction" else "mpnet")
    embeddings = bert_embeddings(config, base.under("embeddings"), _PADDING_IDX)
    return Encoder(
        "mpnet",
        embeddings,
        bert_layers(config, base.under("encoder.layer"), _NAMES),
        roberta_head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]) - _PADDING_IDX - 1,
        relative=RelativeBias(base["encoder.relative_attention_bias.weight"]),
    )
