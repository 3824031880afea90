"""Texts to token ids, exactly as transformers' fast tokenizers do it."""

from __future__ import annotations

from leanbert.tokenization.encodings import Encodings, TextInput, text_input
from leanbert.tokenization.segments import Segments, Words, segment
from leanbert.tokenization.tokenizer import Tokenizer

__all__ = ["Encodings", "Segments", "TextInput", "Tokenizer", "Words", "segment", "text_input"]
