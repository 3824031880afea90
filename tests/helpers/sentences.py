"""The sentences of a text as texts."""

from __future__ import annotations

from leanbert.tokenization.sentences import sentence_spans


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, without the white space between them."""
    return [text[start:end] for start, end in sentence_spans(text)]
