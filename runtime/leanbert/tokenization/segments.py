"""Texts to token ids with where each token stands, long texts as windows that overlap.

transformers' meaning of the words: windows have up to ``max_length`` tokens, special tokens
included, and share ``stride`` (``doc_stride``) tokens of text with the one before. Of a pair only
one part is cut; the other stands whole in every window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from leanbert.arguments import check_choice
from leanbert.errors import InputError
from leanbert.tokenization.cutting import refuse_cut, truncation_flag
from leanbert.tokenization.encodings import Encodings, TextInput
from leanbert.tokenization.pieces import Window
from leanbert.tokenization.rows import encode_rows
from leanbert.tokenization.settings import joins_words
from leanbert.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from leanbert.tokenization.elision import Origin

__all__ = ["STRATEGIES", "Segments", "Words", "segment"]

Words: TypeAlias = "list[str]"
"""A text that the caller has split into words."""

STRATEGIES = ("longest_first", "only_first", "only_second")
"""Which part of a pair is cut."""

# Encodings with their windows exist for few texts at once; see leanbert.tokenization.tokenizer.
_CHUNK = 64  # texts
_CHUNK_CHARACTERS = 1 << 16


@dataclass(frozen=True, eq=False, kw_only=True)
class Segments(Encodings):
    """Encodings of windows, which know their texts; a text that fits is one window.

    *Shape:* ``offsets`` ``(tokens, 2)`` int32, the other arrays ``(tokens,)``; the tokens of
    window i are the rows :meth:`place` of i.
    """

    offsets: npt.NDArray[np.int32]
    """First character and the one after the last, in the token's part of the pair, or in its own
    word where the text came as words; ``(0, 0)`` for special tokens."""
    word_ids: npt.NDArray[np.int32]
    """Which word of its part a token belongs to, by the tokenizer's splitting; -1 for none."""
    sequence_ids: npt.NDArray[np.int8]
    """0 for the text, 1 for its pair, -1 for special tokens."""
    special_tokens_mask: npt.NDArray[np.bool_]
    """Whether the tokenizer added the token; false where the text itself says ``[SEP]``."""
    counts: Sequence[int]
    """How many windows each text has, at least 1; they stand one after the other."""


def segment(
    tokenizer: Tokenizer,
    texts: Sequence[TextInput | Words],
    *,
    stride: int | None = None,
    max_length: int | None = None,
    strategy: str = "longest_first",
    truncation: bool | str | None = None,
    is_split_into_words: bool = False,
    in_text_order: bool = False,
    first_index: int = 0,
) -> Segments:
    """Encode texts or pairs, special tokens added, into windows or cut to one.

    Args:
        tokenizer: the bundle's.
        texts: the texts or pairs, or lists of words under ``is_split_into_words``.
        stride: tokens that two windows of a text share; ``None`` cuts the text to its first.
        max_length: longest window, special tokens included; ``None`` and more than the model's
            own limit mean that.
        strategy: one of :data:`STRATEGIES`.
        truncation: without ``stride``, see :meth:`Tokenizer.encode`.
        is_split_into_words: texts are lists of words, and offsets count from a word's start.
        in_text_order: the windows of a text stand in its order even where texts are cut on the
            left; otherwise they begin at the end of the text then, as with transformers.
        first_index: what to call the first text in messages.

    Raises:
        InputError: a text is of another type, or too long under ``truncation=False``; a stride
            or the part that is not cut leaves no room to go on; the tokenizer cannot take words.
    """
    check_choice("strategy", strategy, STRATEGIES)
    if is_split_into_words:
        _check_spaces(tokenizer)
    truncation = truncation_flag(truncation)
    tokenizer.check_pairs(texts, max_length, first_index)
    longest = min(max_length or tokenizer.max_length, tokenizer.max_length)
    encode = _encoder(tokenizer, stride, longest, strategy, is_split_into_words)
    if stride is not None and not is_split_into_words:
        _check_room(tokenizer, texts, stride, max_length, strategy, first_index)
    most = _most_characters(tokenizer, texts, first_index, whole=stride is not None)
    windows: list[Window] = []
    counts: list[int] = []
    cut: list[int] = []
    for first, end in _chunks(texts, most):
        if is_split_into_words:
            _check_words(texts[first:end], first_index + first)
        number = first_index + first
        found = encode_rows(partial(encode, number), texts[first:end], number)
        for i, (own, is_cut) in enumerate(found, number):
            if in_text_order and tokenizer.truncation_side == "left":
                own.reverse()
            cut += [i] * is_cut
            windows += own
            counts.append(len(own))
    if truncation is False:
        refuse_cut(cut, longest)
    return _segments(windows, counts, [] if truncation else cut, longest, tokenizer)


def _encoder(
    tokenizer: Tokenizer, stride: int | None, longest: int, strategy: str, split: bool
) -> Callable[[int, list[Any]], list[Any]]:
    """What turns some texts into the windows of each, with whether it was cut to its first.

    It is told the number of the first text before.
    """
    cutting = tokenizer.cut_to(longest, stride or 0, strategy)
    in_pieces = stride is not None and not split and tokenizer.truncation_side == "right"

    def encode(first: int, part: list[Any]) -> list[Any]:
        if in_pieces and stride is not None and len(part) == 1:
            own = tokenizer.pieces.windows(part[0], strategy == "only_second", longest, stride)
            if own is not None:
                return [(own, False)]
        origins: dict[int, tuple[Origin, Origin]] = {}
        if stride is None and not split:
            _, origins = tokenizer.shortener.shorten(part, longest, strategy, first_index=first)
        if tokenizer.ceiling is not None:
            for i, text in enumerate(part, first):
                tokenizer.ceiling.check_tokenized(text, i)
        rows = cutting.encode_batch(part, is_pretokenized=split)
        return [_windows(row, origins.get(i), stride) for i, row in enumerate(rows)]

    return encode


def _windows(
    row: Any, origins: tuple[Origin, Origin] | None, stride: int | None
) -> tuple[list[Window], bool]:
    """The windows of a text, the first of them alone without a stride, and whether it was cut.

    ``origins`` say where what was encoded stood in the text and in its pair.
    """
    more = row.overflowing
    windows = [Window.of(row)] if stride is None else [Window.of(one) for one in (row, *more)]
    for part, origin in enumerate(origins or ()):
        own = windows[0].sequence_ids == part
        windows[0].offsets[own] = origin.restore(windows[0].offsets[own])
    return windows, bool(more and stride is None)


def _segments(
    windows: Sequence[Window],
    counts: Sequence[int],
    cut: Sequence[int],
    longest: int,
    tokenizer: Tokenizer,
) -> Segments:
    types = _together([window.type_ids for window in windows], np.int32)
    return Segments(
        input_ids=_together([window.ids for window in windows], np.int32),
        token_type_ids=types if tokenizer.has_token_types else np.zeros_like(types),
        lengths=np.array([len(window.ids) for window in windows], dtype=np.int32),
        cut=cut,
        max_length=longest,
        offsets=_together([window.offsets for window in windows], np.int32).reshape(-1, 2),
        word_ids=_together([window.word_ids for window in windows], np.int32),
        sequence_ids=_together([window.sequence_ids for window in windows], np.int8),
        special_tokens_mask=_together([window.special for window in windows], np.bool_),
        counts=counts,
    )


def _together(arrays: Sequence[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)


def _most_characters(
    tokenizer: Tokenizer, texts: Sequence[Any], first_index: int, *, whole: bool
) -> int:
    """Characters of the texts that are tokenized at once; below a ceiling it checks each text.

    Raises:
        InputError: the windows of a text, where all are held (``whole``), do not fit.
    """
    ceiling = tokenizer.ceiling
    if ceiling is None:
        return _CHUNK_CHARACTERS
    if whole:
        for i, text in enumerate(texts, first_index):
            ceiling.check_held(text, i)
    return min(_CHUNK_CHARACTERS, ceiling.characters)


def _chunks(texts: Sequence[Any], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of up to ``_CHUNK`` texts or ``most`` characters, but one text at least."""
    start = characters = 0
    for i, text in enumerate(texts):
        size = len(text) if isinstance(text, str) else _size(text)
        if i > start and (i - start == _CHUNK or characters + size > most):
            yield start, i
            start, characters = i, 0
        characters += size
    if start < len(texts):
        yield start, len(texts)


def _size(text: Any) -> int:
    parts = text if isinstance(text, (tuple, list)) else ()
    return sum(len(part) for part in parts if isinstance(part, str))


def _check_spaces(tokenizer: Tokenizer) -> None:
    if joins_words(tokenizer.backend):
        raise InputError(
            "is_split_into_words: this tokenizer would join the words, as byte-level BPE without "
            "add_prefix_space does; pass whole sentences, or export the checkpoint with "
            '"add_prefix_space": true in its tokenizer_config.json'
        )


def _check_words(texts: Sequence[Any], first_index: int) -> None:
    for i, text in enumerate(texts, first_index):
        if not isinstance(text, list) or not all(isinstance(word, str) for word in text):
            raise InputError(f"text {i}: expected a list of words, got {type(text).__name__}")


def _check_room(
    tokenizer: Tokenizer,
    texts: Sequence[Any],
    stride: int,
    max_length: int | None,
    strategy: str,
    first_index: int,
) -> None:
    """Refuse pairs that the tokenizers library would abort on: it checks no single pair's room."""
    length = min(max_length or tokenizer.max_length, tokenizer.max_length)
    room = length - tokenizer.added_tokens(pair=True)
    keep = 0 if strategy == "only_second" else 1
    pairs = {
        i: (text[keep], text[1 - keep])
        for i, text in enumerate(texts)
        if isinstance(text, tuple) and len(text) == 2 and all(isinstance(t, str) for t in text)
    }
    if pairs and strategy == "longest_first":
        raise InputError(
            f"text {first_index + next(iter(pairs))}: windows of pairs are cut by the strategy "
            "only_first or only_second"
        )
    kept = sorted({whole for whole, _ in pairs.values()})
    tokens = dict(zip(kept, tokenizer.count_tokens(kept), strict=True))
    for i, (whole, other) in pairs.items():
        left = room - tokens[whole]
        if left <= stride and tokenizer.count_tokens([other])[0] > max(left, 0):
            raise InputError(
                f"text {first_index + i}: the part that is not cut has {tokens[whole]} of "
                f"{length} tokens, which leaves no room for windows that overlap by {stride}; "
                "shorten it, or choose a smaller stride"
            )
