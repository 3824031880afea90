"""Where the words of a text stand, by rules that need no tokenizer and no dictionary.

A word is what stands between white space, without the punctuation at its ends: in
``(Net sales: -5%, U.S.)`` these are ``Net``, ``sales``, ``-5%`` and ``U.S``. Punctuation that
stands alone between white space, such as ``:-)``, is a word, too. Characters of Chinese and
Japanese, which are written without spaces, are a word each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["word_spans"]

_RUN = re.compile(r"\S+")
_UNSPACED = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_PIECE = re.compile(f"[{_UNSPACED}]|[^{_UNSPACED}]+")
_PUNCTUATION = frozenset({"Ps", "Pe", "Pi", "Pf", "Po"})  # Unicode's categories, without dashes
_KEPT = frozenset("%‰#@&")


def word_spans(text: str) -> list[tuple[int, int]]:
    """The first character of each word, and the one after its last, in the order of the text."""
    return [span for run in _RUN.finditer(text) for span in _words_of(text, *run.span())]


def _words_of(text: str, first: int, after: int) -> Iterator[tuple[int, int]]:
    """The words of what stands between white space."""
    if all(unicodedata.category(character)[0] == "P" for character in text[first:after]):
        yield first, after
        return
    for piece in _PIECE.finditer(text, first, after):
        start, end = piece.span()
        while start < end and _is_punctuation(text[start]):
            start += 1
        while start < end and _is_punctuation(text[end - 1]):
            end -= 1
        if start < end:
            yield start, end


def _is_punctuation(character: str) -> bool:
    return character not in _KEPT and unicodedata.category(character) in _PUNCTUATION
