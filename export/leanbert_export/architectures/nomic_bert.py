"""NomicBERT and GTE: rotary positions, gated networks, and norms after the sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.description import (
    Attention,
    Embeddings,
    Encoder,
    FeedForward,
    Head,
    Layer,
    Rotary,
)
from leanbert_export.architectures.heads import (
    first_token_head,
    plain_head,
    tied_decoder,
    word_head,
)
from leanbert_export.architectures.rotary import rotary_of
from leanbert_export.architectures.tensors import Tensors

__all__ = ["describe"]


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """NomicBERT (``nomic_bert``) and GTE (``gte``), under the names of transformers 5."""
    family = str(config["model_type"])
    base = tensors.under("" if task == "feature-extraction" else family)
    own = base.under("embeddings")
    embeddings = Embeddings(
        word=own["word_embeddings.weight"],
        norm=own.norm("LayerNorm", config["layer_norm_eps"]),
        token_type=own.optional("token_type_embeddings.weight"),
    )
    size = int(config["hidden_size"]) // int(config["num_attention_heads"])
    rotary = rotary_of(config["rope_parameters"], int(config.get("head_dim") or size))
    return Encoder(
        family,
        embeddings,
        [
            _layer(config, base.under(f"layers.{i}"), rotary)
            for i in range(int(config["num_hidden_layers"]))
        ],
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _layer(config: Mapping[str, Any], layer: Tensors, rotary: Rotary) -> Layer:
    eps = config["layer_norm_eps"]
    return Layer(
        Attention(
            layer.linear("self_attn.q_proj"),
            layer.linear("self_attn.k_proj"),
            layer.linear("self_attn.v_proj"),
            layer.linear("self_attn.o_proj"),
            int(config["num_attention_heads"]),
            scale=(2 * len(rotary.frequencies)) ** -0.5,
            rotary=rotary,
        ),
        layer.norm("post_attention_layernorm", eps),
        FeedForward(
            layer.linear("mlp.gate_proj"),
            layer.linear("mlp.down_proj"),
            activation(config["hidden_act"]),
            layer.linear("mlp.up_proj"),
        ),
        layer.norm("post_mlp_layernorm", eps),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    family = str(config["model_type"])
    if task == "text-classification":
        return first_token_head(
            tensors.linear(f"{family}.pooler.dense"), "tanh", tensors.linear("classifier")
        )
    if task == "fill-mask":
        eps = config["layer_norm_eps"]
        if family == "gte":
            head = transform = tensors.under("lm_head")
            function = activation("gelu")
        else:
            head = tensors.under("cls.predictions")
            transform = head.under("transform")
            function = activation(config["hidden_act"])
        return word_head(
            transform.linear("dense"),
            function,
            transform.norm("layer_norm", eps),
            tied_decoder(head, "decoder", "bias", embeddings),
        )
    return plain_head(tensors, task)
