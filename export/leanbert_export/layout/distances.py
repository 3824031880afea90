"""Say how the native engine takes positions into attention: windows, rotary tables, distances."""

from __future__ import annotations

from typing import Any

import numpy as np

from leanbert_export.architectures.description import Attention, Disentangled, Encoder
from leanbert_export.architectures.distances import disentangled_rows, relative_buckets
from leanbert_export.layout.errors import NoLayoutError

__all__ = ["check_attention", "distances_of"]

_TABLES = 2  # of rotary positions, leanbert_native.h


def distances_of(encoder: Encoder) -> dict[str, Any]:
    """The keys of the layout's ``architecture`` that the attention of this encoder needs.

    ``windows`` and ``rotary`` have a number per layer, ``relative_buckets`` has the row of each
    distance (the key's position minus the query's), with that of distance 0 in the middle.

    Args:
        encoder: the description, which :func:`check_attention` let pass.
    """
    attentions = [layer.attention for layer in encoder.layers]
    found: dict[str, Any] = {}
    if any(one.window is not None for one in attentions):
        found["windows"] = [one.window or 0 for one in attentions]
    if encoder.rotaries:
        numbers = {rotary: number for number, rotary in enumerate(encoder.rotaries, 1)}
        found["rotary"] = [0 if one.rotary is None else numbers[one.rotary] for one in attentions]
    if encoder.relative is not None:
        found["relative_buckets"] = _buckets(encoder)
    return found


def check_attention(encoder: Encoder) -> None:
    """Check that the native engine's attention is this encoder's.

    Raises:
        NoLayoutError: it is not.
    """
    attentions = [layer.attention for layer in encoder.layers]
    relative, position = encoder.relative, encoder.embeddings.position
    rotary = encoder.rotaries
    for wrong, reason in (
        (
            position is None and not rotary and relative is None,
            "neither embeddings nor attention know positions",
        ),
        (bool(rotary) and position is not None, "its positions are both learned and rotary"),
        (bool(rotary) and relative is not None, "its positions are both rotary and relative"),
        (len(rotary) > _TABLES, f"its layers have more than {_TABLES} kinds of rotary positions"),
        (any(one.window == 0 for one in attentions), "a token attends to itself alone"),
        (
            relative is not None and any(one.window is not None for one in attentions),
            "attention has both a window and relative positions",
        ),
        (
            isinstance(relative, Disentangled)
            and any(one.position_key is None for one in attentions),
            "queries are not compared with positions",
        ),
    ):
        if wrong:
            raise NoLayoutError(reason)
    for attention in attentions:
        _check_sizes(encoder, attention)


def _check_sizes(encoder: Encoder, attention: Attention) -> None:
    width = encoder.hidden_size // attention.num_heads
    if attention.query.weight.shape != (encoder.hidden_size, encoder.hidden_size):
        raise NoLayoutError("its heads together are not as wide as its layers")
    if attention.rotary is not None and 2 * len(attention.rotary.frequencies) != width:
        raise NoLayoutError("rotary positions turn a part of each head")
    tables = [attention.position_key, attention.position_query]
    terms = 1 + sum(table is not None for table in tables)
    if not np.isclose(attention.scale, (terms * width) ** -0.5, rtol=1e-6):
        raise NoLayoutError("attention has another scale than the root of its heads' width")


def _buckets(encoder: Encoder) -> list[int]:
    relative, most = encoder.relative, encoder.max_tokens
    distances = np.arange(1 - most, most)
    if isinstance(relative, Disentangled):
        rows = disentangled_rows(-distances, relative.span, relative.buckets, relative.max_distance)
    elif relative is not None:
        rows = relative_buckets(distances, relative.buckets, relative.max_distance)
    else:
        raise AssertionError(encoder.family)  # `distances_of` asks where there are some
    found: list[int] = rows.tolist()
    # Beyond the ends of the list the engine goes on with their rows.
    while len(found) > 1 and found[0] == found[1] and found[-1] == found[-2]:
        found = found[1:-1]
    return found
