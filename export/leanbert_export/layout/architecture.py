"""Say what the native engine must compute, from the description of the encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leanbert_export.architectures.description import Encoder, Norm
from leanbert_export.layout.distances import check_attention, distances_of
from leanbert_export.layout.errors import NoLayoutError

__all__ = ["NoLayoutError", "architecture_of"]

_HEADS = {"first_token": "first_token", "mean": "mean", "none": "every_token"}


def architecture_of(encoder: Encoder) -> dict[str, Any]:
    """The value of ``architecture`` in the manifest's layout.

    Args:
        encoder: the description.

    Raises:
        NoLayoutError: the native engine does not compute an encoder like this one.
    """
    _check(encoder)
    embeddings, first = encoder.embeddings, encoder.layers[0]
    positions = embeddings.position
    types = embeddings.token_type
    head = encoder.head
    return {
        "hidden_size": encoder.hidden_size,
        "num_attention_heads": first.attention.num_heads,
        "intermediate_size": first.feed_forward.down.weight.shape[0],
        "embedding_size": embeddings.word.shape[1],
        "vocab_size": len(embeddings.word),
        "max_positions": encoder.max_tokens if positions is None else len(positions),
        "position_offset": embeddings.position_offset,
        "type_vocab_size": 0 if types is None else len(types),
        "token_type_ids": encoder.reads_types,
        "num_layers": len(encoder.layers),
        "activation": first.feed_forward.activation,
        "layer_norm_eps": _only(
            (norm.eps for norm in _norms(encoder)), "the norms differ in their eps"
        ),
        "head": "none" if head.classifier is None else _HEADS[head.pooling],
        "head_activation": head.activation,
        **({"pre_norm": True} if encoder.pre_norm else {}),
        **({"gated": True} if first.feed_forward.multiplier is not None else {}),
        **distances_of(encoder),
    }


def _check(encoder: Encoder) -> None:
    layers, head = encoder.layers, encoder.head
    forwards = [layer.feed_forward for layer in layers]
    embeddings = encoder.embeddings
    projected_first = embeddings.projection is not None and embeddings.projection_first
    for wrong, reason in (
        (projected_first, "its embeddings are projected before their norm"),
        (
            not encoder.pre_norm and any(layer.attention_norm is None for layer in layers),
            "a residual sum is not normalized",
        ),
        (head.norm is not None and head.dense is None, "the head normalizes what is not dense"),
    ):
        if wrong:
            raise NoLayoutError(reason)
    check_attention(encoder)
    _only((layer.attention.num_heads for layer in layers), "the layers differ in their heads")
    _only((one.multiplier is None for one in forwards), "some layers are gated, others are not")
    _only((one.down.weight.shape for one in forwards), "the layers differ in their sizes")
    _only((one.activation for one in forwards), "the layers differ in their activation")


def _norms(encoder: Encoder) -> list[Norm]:
    found = [encoder.embeddings.norm, encoder.final_norm, encoder.head.norm]
    found += [norm for layer in encoder.layers for norm in (layer.attention_norm, layer.ffn_norm)]
    return [norm for norm in found if norm is not None]


def _only(found: Iterable[Any], reason: str) -> Any:
    different = set(found)
    if len(different) != 1:
        raise NoLayoutError(reason)
    return different.pop()
