"""The tokens of a long text, found piece by piece in little memory, and its windows.

The tokenizers library takes some 600 bytes per token of what it is given, and once more for the
windows; the arrays here take 16 and, in the windows, 22.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from leanbert.engines.batch import Ints
from leanbert.tokenization.locality import joinable_places, whole_copy

if TYPE_CHECKING:
    import tokenizers

__all__ = ["Pieces", "Window"]

_PIECE = 1 << 16  # characters


class Window(NamedTuple):
    """One window's tokens. *Shape:* ``offsets`` ``(tokens, 2)``, the others ``(tokens,)``."""

    ids: Ints
    type_ids: Ints
    offsets: Ints
    word_ids: Ints
    sequence_ids: npt.NDArray[np.int8]
    special: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, encoding: Any) -> Window:
        """The arrays of a ``tokenizers.Encoding``, without its text."""
        return cls(
            ids=np.array(encoding.ids, dtype=np.int32),
            type_ids=np.array(encoding.type_ids, dtype=np.int32),
            offsets=np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2),
            word_ids=_or_minus_one(encoding.word_ids, np.int32),
            sequence_ids=_or_minus_one(encoding.sequence_ids, np.int8),
            special=np.array(encoding.special_tokens_mask, dtype=np.bool_),
        )

    def put(self, inside: slice, ids: Ints, offsets: Ints, word_ids: Ints) -> Window:
        """The window with other tokens in the place of those ``inside``."""
        number = len(ids)

        def joined(values: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.concatenate([values[: inside.start], new, values[inside.stop :]])

        def repeated(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return joined(values, np.full(number, values[inside.start], values.dtype))

        return Window(
            ids=joined(self.ids, ids),
            type_ids=repeated(self.type_ids),
            offsets=joined(self.offsets, offsets),
            word_ids=joined(self.word_ids, word_ids),
            sequence_ids=repeated(self.sequence_ids),
            special=repeated(self.special),
        )


class Pieces:
    """Finds the windows of long texts for one tokenizer.

    Args:
        base: the tokenizer; it is read, and copied at the first long text.
    """

    def __init__(self, base: tokenizers.Tokenizer) -> None:
        self._base = base

    @cached_property
    def _places(self) -> re.Pattern[str] | None:
        places = joinable_places(self._base)
        return None if places is None else re.compile(places)

    @cached_property
    def _whole(self) -> tokenizers.Tokenizer:
        return whole_copy(self._base)

    def windows(
        self, text: str | tuple[str, str], cut_second: bool, longest: int, stride: int
    ) -> list[Window] | None:
        """The windows of a text or pair, in the order of the text.

        Args:
            text: strings without lone surrogates.
            cut_second: whether it is the second part of a pair that is cut.
            longest: tokens of a window, special tokens included.
            stride: tokens that two windows share.

        Returns:
            ``None`` where the part is not long, or cannot be read in pieces.

        Raises:
            TypeError: the text has lone surrogates.
        """
        cut = int(cut_second and not isinstance(text, str))
        long = text if isinstance(text, str) else text[cut]
        if len(long) <= _PIECE or self._places is None:
            return None
        first = self._places.search(long, 1)
        if first is None:
            return None
        head = long[: first.start()]
        if isinstance(text, str):
            sample = Window.of(self._whole.encode(head))
        else:
            sample = Window.of(self._whole.encode(*((text[0], head) if cut else (head, text[1]))))
        places = np.flatnonzero((sample.sequence_ids == cut) & ~sample.special)
        if not len(places):
            return None
        inside = slice(int(places[0]), int(places[-1]) + 1)
        room = longest - (len(sample.ids) - len(places))
        if room <= stride:
            return None
        ids, offsets, word_ids = self._tokens(long)
        starts = [0]
        while starts[-1] + room < len(ids):
            starts.append(starts[-1] + room - stride)
        spans = (slice(start, start + room) for start in starts)
        return [sample.put(inside, ids[span], offsets[span], word_ids[span]) for span in spans]

    def _tokens(self, text: str) -> tuple[Ints, Ints, Ints]:
        """Ids, places and words of all tokens of a text, special tokens not added."""
        parts: tuple[list[Ints], list[Ints], list[Ints]] = ([], [], [])
        words = 0
        for start, piece in self._split(text):
            [row] = self._whole.encode_batch([piece], add_special_tokens=False)
            window = Window.of(row)
            parts[0].append(window.ids)
            parts[1].append(window.offsets + np.int32(start))
            parts[2].append(window.word_ids + np.int32(words))
            words += int(window.word_ids.max(initial=-1)) + 1
        ids, offsets, word_ids = (np.concatenate(part) for part in parts)
        return ids, offsets, word_ids

    def _split(self, text: str) -> Iterator[tuple[int, str]]:
        start = 0
        while start < len(text):
            found = self._places.search(text, start + _PIECE) if self._places else None
            end = found.start() if found else len(text)
            yield start, text[start:end]
            start = end


def _or_minus_one(values: list[int | None], dtype: Any) -> npt.NDArray[Any]:
    return np.array([-1 if value is None else value for value in values], dtype=dtype)
