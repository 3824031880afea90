"""Where a tokenizer may be given a text in parts, by what it does before its model.

Tokenizers that split a text at white space give the tokens of each word alone, whatever stands
around it. What each step does is read from its JSON; a step that is not known here is not trusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tokenizers

__all__ = [
    "is_gpt2",
    "joinable_places",
    "normalizers_of",
    "safe_places",
    "splitters_of",
    "whole_copy",
]

SPACE = r"[ \t-\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A pattern of one character of Unicode's White_Space."""
_BETWEEN = rf"(?<!{SPACE})(?={SPACE})"  # before the white space that follows a word
# BERT's pre-tokenizer makes a word of each punctuation mark, its normalizer of each CJK character.
_AFTER_MARK = r"(?<=[!-/:-@\[-`{-~])"
_AFTER_CJK = r"(?<=[\u3400-\u4dbf\u4e00-\u9fff])"
# GPT-2's pattern, by which ByteLevel splits, puts letters and digits into words of their own.
_LETTER_DIGIT = r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])"
# A single space between two words: what follows it reads the same at the beginning of a text.
_SINGLE_SPACE = rf"(?<!{SPACE})(?= (?!{SPACE}).)"

_LOCAL_NORMALIZERS = frozenset(
    {"BertNormalizer", "Lowercase", "Nmt", "NFC", "NFD", "NFKC", "NFKD", "Precompiled", "Prepend"}
    | {"Strip", "StripAccents"}
)
SPACE_RUNS = frozenset({" {2,}", r"\s+", r"\s{2,}", " +"})
"""Patterns of a Replace that look at nothing but white space."""
# They do something at the beginning or end of what they are given.
_AT_THE_ENDS = frozenset({"Prepend", "Strip"})


def safe_places(base: tokenizers.Tokenizer) -> str | None:
    """A pattern of the places where the rest of a text may be left out; ``None`` for none.

    Tokens near such a place may change, but none beyond the word next to it.
    """
    normalizers, splitters = normalizers_of(base), splitters_of(base)
    if not all(map(_is_local, normalizers)) or not any(map(_splits_words, splitters)):
        return None
    places = _BETWEEN
    if any(splitter.get("type") == "BertPreTokenizer" for splitter in splitters):
        places += "|" + _AFTER_MARK
        if any(normalizer.get("handle_chinese_chars") for normalizer in normalizers):
            places += "|" + _AFTER_CJK
    if any(is_gpt2(splitter) for splitter in splitters):
        places += "|" + _LETTER_DIGIT
    return places


def joinable_places(base: tokenizers.Tokenizer) -> str | None:
    """A pattern of the places where a text comes apart into parts whose tokens together are its.

    ``None`` where there are none.
    """
    if safe_places(base) is None:
        return None
    added = base.get_added_tokens_decoder().values()
    if any(token.rstrip or re.search(SPACE, token.content) for token in added):
        return None
    ends = any(normalizer.get("type") in _AT_THE_ENDS for normalizer in normalizers_of(base))
    return None if ends else _SINGLE_SPACE


def whole_copy(base: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A copy of the tokenizer that neither cuts nor pads."""
    copy: tokenizers.Tokenizer = type(base).from_str(base.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = base.encode_special_tokens
    return copy


def normalizers_of(base: tokenizers.Tokenizer) -> list[Mapping[str, Any]]:
    """The steps of a tokenizer's normalizer, each as its JSON says it."""
    return _steps(_state(base.normalizer), "normalizers")


def splitters_of(base: tokenizers.Tokenizer) -> list[Mapping[str, Any]]:
    """The steps of a tokenizer's pre-tokenizer, each as its JSON says it."""
    return _steps(_state(base.pre_tokenizer), "pretokenizers")


def is_gpt2(splitter: Mapping[str, Any]) -> bool:
    """Whether a step is byte-level BPE's usual pre-tokenizer."""
    return splitter.get("type") == "ByteLevel" and splitter.get("use_regex") is not False


def _state(part: Any) -> Mapping[str, Any] | None:
    """A step before the model as its JSON says it."""
    if part is None:
        return None
    try:
        state: dict[str, Any] = json.loads(part.__getstate__())
    except Exception:  # noqa: BLE001 - a step that was made in Python
        return {"type": "unknown"}
    return state


def _steps(part: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    if part is None:
        return []
    if part.get("type") == "Sequence":
        return [one for other in part.get(inner, ()) for one in _steps(other, inner)]
    return [part]


def _is_local(normalizer: Mapping[str, Any]) -> bool:
    """Whether it changes no word by what stands beyond the white space around it."""
    if normalizer.get("type") == "Replace":
        pattern = normalizer.get("pattern") or {}
        return pattern.get("Regex") in SPACE_RUNS or not re.search(
            SPACE, pattern.get("String") or " "
        )
    return normalizer.get("type") in _LOCAL_NORMALIZERS


def _splits_words(splitter: Mapping[str, Any]) -> bool:
    """Whether no token reaches over white space behind a word."""
    kind = splitter.get("type")
    if is_gpt2(splitter):
        return True
    if kind == "Metaspace":
        return splitter.get("split") is not False
    return kind in {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
