"""Say what the native engine must compute, from the description of the encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leanbert_export.architectures.description import Encoder, Norm

__all__ = ["NoLayoutError", "architecture_of"]

_HEADS = {"first_token": "first_token", "none": "every_token"}


class NoLayoutError(Exception):
    """The native engine does not compute this encoder; the message is a clause that says why."""


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
    if positions is None:
        raise NoLayoutError("there are no learned absolute positions")
    types = embeddings.token_type
    head = encoder.head
    return {
        "hidden_size": encoder.hidden_size,
        "num_attention_heads": first.attention.num_heads,
        "intermediate_size": first.feed_forward.down.weight.shape[0],
        "embedding_size": embeddings.word.shape[1],
        "vocab_size": len(embeddings.word),
        "max_positions": len(positions),
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
    }


def _check(encoder: Encoder) -> None:
    layers, head = encoder.layers, encoder.head
    attentions = [layer.attention for layer in layers]
    forwards = [layer.feed_forward for layer in layers]
    for wrong, reason in (
        (encoder.pre_norm, "its norms come before the matmuls"),
        (encoder.relative is not None, "attention reads relative positions"),
        (any(one.rotary is not None for one in attentions), "its positions are rotary"),
        (any(one.window is not None for one in attentions), "attention has a window"),
        (any(one.multiplier is not None for one in forwards), "its feed-forward network is gated"),
        (encoder.embeddings.projection_first, "its embeddings are projected before their norm"),
        (any(norm.beta is None for norm in _norms(encoder)), "a norm has no bias"),
        (head.pooling == "mean", "the head reads the mean of the tokens"),
        (
            head.pooling == "first_token" and head.norm is not None,
            "the head normalizes the first token",
        ),
    ):
        if wrong:
            raise NoLayoutError(reason)
    _only((one.num_heads for one in attentions), "the layers differ in their heads")
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
