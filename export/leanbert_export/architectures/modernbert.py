"""ModernBERT: rotary positions, norms before the matmuls, gated networks, local layers."""

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
    Linear,
    Pooling,
    Rotary,
)
from leanbert_export.architectures.heads import tied_decoder, word_head
from leanbert_export.architectures.rotary import rotary_of
from leanbert_export.architectures.tensors import NotDescribedError, Tensors

__all__ = ["describe"]

_FULL, _LOCAL = "full_attention", "sliding_attention"


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """ModernBERT, of transformers 4 and 5."""
    base = tensors.under("" if task == "feature-extraction" else "model")
    eps = config["norm_eps"]
    embeddings = Embeddings(
        word=base["embeddings.tok_embeddings.weight"], norm=base.norm("embeddings.norm", eps)
    )
    size = int(config["hidden_size"]) // int(config["num_attention_heads"])
    kinds = _kinds(config)
    rotaries = {kind: rotary_of(_parameters(config, kind), size) for kind in sorted(set(kinds))}
    return Encoder(
        "modernbert",
        embeddings,
        [
            _layer(config, base.under(f"layers.{i}"), kind, rotaries[kind])
            for i, kind in enumerate(kinds)
        ],
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
        pre_norm=True,
        final_norm=base.norm("final_norm", eps),
    )


def _kinds(config: Mapping[str, Any]) -> list[str]:
    """Which layers are local."""
    if config.get("layer_types"):
        return [str(kind) for kind in config["layer_types"]]
    every = int(config["global_attn_every_n_layers"])
    return [_LOCAL if i % every else _FULL for i in range(int(config["num_hidden_layers"]))]


def _parameters(config: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    if config.get("rope_parameters"):
        found: Mapping[str, Any] = config["rope_parameters"][kind]
        return found
    theta = config["local_rope_theta"] if kind == _LOCAL else None
    return {"rope_theta": config["global_rope_theta"] if theta is None else theta}


def _halves(both: Linear, width: int) -> tuple[Linear, Linear]:
    """A matmul cut into two, side by side."""
    one, other = (
        Linear(both.weight[:, part], None if both.bias is None else both.bias[part])
        for part in (slice(0, width), slice(width, 2 * width))
    )
    return one, other


def _layer(config: Mapping[str, Any], layer: Tensors, kind: str, rotary: Rotary) -> Layer:
    heads, eps = int(config["num_attention_heads"]), config["norm_eps"]
    joined, width = layer.linear("attn.Wqkv"), int(config["hidden_size"])
    query, key = _halves(joined, width)
    rest = slice(2 * width, None)
    value = Linear(joined.weight[:, rest], None if joined.bias is None else joined.bias[rest])
    up, multiplier = _halves(layer.linear("mlp.Wi"), int(config["intermediate_size"]))
    return Layer(
        Attention(
            query,
            key,
            value,
            layer.linear("attn.Wo"),
            heads,
            scale=(width // heads) ** -0.5,
            window=int(config["local_attention"]) // 2 if kind == _LOCAL else None,
            rotary=rotary,
        ),
        layer.norm("attn_norm", eps) if "attn_norm.weight" in layer else None,
        FeedForward(
            up, layer.linear("mlp.Wo"), activation(config["hidden_activation"]), multiplier
        ),
        layer.norm("mlp_norm", eps),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "feature-extraction":
        return Head(("last_hidden_state",))
    function = activation(config["classifier_activation"])
    dense, norm = tensors.linear("head.dense"), tensors.norm("head.norm", config["norm_eps"])
    if task == "fill-mask":
        return word_head(dense, function, norm, tied_decoder(tensors, "decoder", "", embeddings))
    last = tensors.linear("classifier")
    if task == "token-classification":
        return Head(("logits",), "none", dense, function, norm, last)
    if task == "question-answering":
        return Head(("start_logits", "end_logits"), "none", dense, function, norm, last)
    pooling = config["classifier_pooling"]
    if pooling not in ("cls", "mean"):
        raise NotDescribedError(f"its classifier_pooling is {pooling!r}")
    read: Pooling = "first_token" if pooling == "cls" else "mean"
    return Head(("logits",), read, dense, function, norm, last)
