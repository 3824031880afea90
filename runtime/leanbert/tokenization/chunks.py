"""Which texts are tokenized at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["CHUNK", "MOST_CHARACTERS", "chunks_of"]

CHUNK = 64
"""Texts that are tokenized at once.

A ``tokenizers.Encoding`` holds some 100 bytes per token, its text among them, so few exist at once:
those of 2,048 long texts made most of a process's growth (58 of 174 MiB).
"""

MOST_CHARACTERS = 1 << 17
"""Of the texts that are tokenized at once, as far as they are not cut off before."""


def chunks_of(
    texts: Sequence[Any], most_characters: int, counted: int | None
) -> Iterator[Sequence[Any]]:
    """The texts in lists that are tokenized at once; one empty list where there are none.

    Args:
        texts: texts, pairs, or what turns out to be neither.
        most_characters: of a list that has more than one text.
        counted: characters of a text that count at most; ``None`` for all.
    """
    if len(texts) <= 1:
        yield texts
        return
    first = characters = 0
    for i, text in enumerate(texts):
        size = _size(text, counted)
        if i > first and (i - first == CHUNK or characters + size > most_characters):
            yield texts[first:i]
            first, characters = i, 0
        characters += size
    yield texts[first:]


def _size(text: object, counted: int | None) -> int:
    """Characters of a text or a pair, of each part ``counted`` at most."""
    if isinstance(text, str):
        return len(text) if counted is None else min(len(text), counted)
    return sum(_size(part, counted) for part in text) if isinstance(text, (tuple, list)) else 0
