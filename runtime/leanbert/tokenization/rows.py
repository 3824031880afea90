"""Give texts to the tokenizers library, and say which text it was where that fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from leanbert.errors import BundleCorruptError, InputError
from leanbert.leaving import hold_if_leaving
from leanbert.tokenization.failures import failure

__all__ = ["encode_rows", "without_surrogates"]

_SURROGATE = "[\ud800-\udfff]"
_UNCUT = "Truncation error: "  # so begins the library's message


def encode_rows(
    encode: Callable[[list[Any]], list[Any]], texts: Sequence[Any], first_index: int
) -> list[Any]:
    """The ``tokenizers.Encoding`` of each text by ``encode``, one of a tokenizer's own methods.

    Raises:
        InputError: a text is not a string, or cannot be cut as ``encode`` is set to cut.
        BundleCorruptError: the tokenizer cannot encode a text at all.
    """
    hold_if_leaving()
    try:
        try:
            return encode(list(texts))
        except TypeError:
            return encode([_readable(text, first_index + i) for i, text in enumerate(texts)])
    except BaseException as error:
        reason = failure(error)
        if reason is None:
            raise
        if reason.startswith(_UNCUT) and len(texts) > 1:  # which one is it?
            return [encode_rows(encode, [text], i)[0] for i, text in enumerate(texts, first_index)]
        if reason.startswith(_UNCUT):
            raise InputError(
                f"text {first_index}: cannot be cut as asked ({reason.removeprefix(_UNCUT)}); pass "
                "truncation=True, which cuts the longer part"
            ) from error
        last = first_index + len(texts) - 1
        which = f"text {first_index}" if len(texts) == 1 else f"texts {first_index} to {last}"
        raise BundleCorruptError(
            f"{which}: the bundle's tokenizer fails ({reason}); export the bundle again"
        ) from error


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which have no UTF-8."""
    return re.sub(_SURROGATE, "\ufffd", text)


def _readable(text: Any, index: int) -> Any:
    """``text`` as the tokenizer can take it; InputError if it is no text at all."""
    if isinstance(text, str):
        return without_surrogates(text)
    if isinstance(text, list) and all(isinstance(word, str) for word in text):
        return [without_surrogates(word) for word in text]
    if isinstance(text, tuple) and len(text) == 2 and all(isinstance(t, str) for t in text):
        return (without_surrogates(text[0]), without_surrogates(text[1]))
    raise InputError(f"text {index}: expected a string, got {type(text).__name__}")
