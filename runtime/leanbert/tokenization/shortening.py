"""Cut a long text before it is tokenized, where the tokens that are kept stay the same.

The tokenizers library takes some 600 bytes per token of a text, cut off or not: a text of 10 MB
that is cut to 16 tokens would take more than a gigabyte. Tokenizers that split a text at white
space before anything else give the tokens of each word alone. So a beginning (or, where texts are
cut on the left, an ending) of the text is enough that has as many tokens as are kept, and some more
than its outermost word can have. Words that are themselves long:
:mod:`leanbert.tokenization.elision` and :mod:`leanbert.tokenization.word_cuts`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from leanbert.errors import InputError
from leanbert.tokenization.locality import safe_places, whole_copy

if TYPE_CHECKING:
    import tokenizers

    from leanbert.tokenization.borders import Border
    from leanbert.tokenization.elision import Elision, Origin
    from leanbert.tokenization.word_cuts import WordCuts

__all__ = ["Shortener"]

_MARGIN = 32  # tokens beyond those kept: more than what is done to the outermost word can change
_CHARACTERS = 16  # per token that is wanted, in the first attempt
_GROWTH = 4  # of the next attempt
_PIECE = 1 << 16  # characters that are counted at once
_MOST = 1 << 22  # characters that are tokenized at once: up to half a gigabyte


class Shortener:
    """Shortens texts for one tokenizer.

    Args:
        base: the tokenizer; it is read, and copied at the first long text.
        side: the side that is cut off, ``"left"`` or ``"right"``.
        piece: characters that are tokenized at once, and the shortest stretch without a safe place
            that is cut elsewhere.
        most: characters that are tokenized at once where no place is safe.
    """

    def __init__(
        self, base: tokenizers.Tokenizer, side: str, *, piece: int = _PIECE, most: int = _MOST
    ) -> None:
        self._base = base
        self._side = side
        self._piece = piece
        self._most = most
        added = base.get_added_tokens_decoder().values()
        self._margin = _MARGIN + max((len(token.content) for token in added), default=0)

    @cached_property
    def _places(self) -> re.Pattern[str] | None:
        """Where a text may be cut; ``None`` where no place is safe."""
        places = safe_places(self._base)
        return None if places is None else re.compile(places)

    @cached_property
    def _elision(self) -> Elision:
        from leanbert.tokenization.elision import Elision  # late: only long texts need it

        return Elision(self._base, self._piece // 16)

    @cached_property
    def _words(self) -> WordCuts:
        from leanbert.tokenization.word_cuts import WordCuts  # late, likewise

        return WordCuts(self._base)

    @cached_property
    def _counting(self) -> tokenizers.Tokenizer:
        return whole_copy(self._base)

    def characters(self, tokens: int) -> int:
        """Characters of a text that are tokenized at least, where ``tokens`` tokens are kept."""
        return _CHARACTERS * (tokens + self._margin)

    def shorten(
        self,
        texts: list[Any],
        tokens: int,
        strategy: str = "longest_first",
        *,
        first_index: int = 0,
    ) -> tuple[list[Any], dict[int, tuple[Origin, Origin]]]:
        """Texts and pairs of which only ``tokens`` tokens are kept, without what cannot matter.

        What is left of a text has more than ``tokens`` tokens wherever the text has. Tokens at its
        inner end may differ from the text's, but none of those that are kept.

        Args:
            texts: changed in place.
            tokens: special tokens included.
            strategy: which part of a pair is cut; see :meth:`Tokenizer.cut_to`.
            first_index: what to call the first text in messages.

        Returns:
            The same list; and by the number of a text that was shortened where the characters of
            what is left stood, in it and in its pair.

        Raises:
            TypeError: a text has lone surrogates.
            InputError: so much of a text would have to be tokenized at once that it is refused.
        """
        limit = self.characters(tokens)
        origins: dict[int, tuple[Origin, Origin]] = {}
        for i, text in enumerate(texts):
            is_pair = isinstance(text, tuple) and len(text) == 2
            if not (is_pair or isinstance(text, str)):
                continue
            if max(map(len, text)) <= limit if is_pair else len(text) <= limit:
                continue
            try:
                texts[i], origins[i] = self._short(text, limit, tokens, strategy)
            except _TooMuchError as error:
                raise InputError(
                    f"text {first_index + i}: {error} characters without a place at which this "
                    f"tokenizer can be proved to read a text in parts; shorten or split the text "
                    f"(at most {self._most:,} characters are tokenized at once)"
                ) from None
        return texts, origins

    def _short(
        self, text: Any, limit: int, tokens: int, strategy: str
    ) -> tuple[Any, tuple[Origin, Origin]]:
        """A long text or pair without what cannot matter, and where the rest stood."""
        if isinstance(text, str):
            short, origin = self._elision.shorten(text)
            short, start = self._part(short, tokens)
            return self._bounded(short), (origin.after(start), origin)  # there is no second part
        (first, origin), (second, other) = map(self._elision.shorten, text)
        parts = self._pair((first, second), limit, tokens, strategy)
        starts = [start for _, start in parts]
        shorts = tuple(self._bounded(part) for part, _ in parts)
        return shorts, (origin.after(starts[0]), other.after(starts[1]))

    def _bounded(self, part: str) -> str:
        """A text that is to be tokenized at once, if it is not too long for that."""
        if len(part) > self._most:
            raise _TooMuchError(f"{len(part):,}")
        return part

    def _pair(
        self, pair: tuple[str, str], limit: int, tokens: int, strategy: str
    ) -> list[tuple[str, int]]:
        """Both parts of a pair, of which long ones are cut by ``strategy``; where they begin."""
        long = [len(part) > limit for part in pair]
        if strategy == "longest_first":
            return self._longest_first(pair, long, tokens)
        cut = strategy == "only_second"
        parts = [(part, 0) for part in pair]
        if long[cut]:
            parts[cut] = self._part(pair[cut], tokens)
        return parts

    def _longest_first(
        self, pair: tuple[str, str], long: Sequence[bool], tokens: int
    ) -> list[tuple[str, int]]:
        """Both parts of a pair with where they begin; the one that has more tokens keeps more.

        Of two parts that are both cut the one with more tokens may keep one token more than the
        other, so that what is left of the two must compare as they did.
        """
        parts = [
            self._part(text, tokens) if is_long else (text, 0)
            for text, is_long in zip(pair, long, strict=True)
        ]
        counts = [self._count(part) for part, _ in parts]
        if min(counts) <= tokens // 4:  # it stays whole, and the other one is longer
            return parts
        first_is_longer = self._is_longer(pair, long, counts)
        # As long as the other part and some more: the library makes windows of every two overflows.
        if first_is_longer and counts[0] <= counts[1]:
            size = len(parts[1][0]) + self.characters(0)
            parts[0] = self._part(pair[0], counts[1] + 1, size)
        elif not first_is_longer and counts[0] > counts[1]:
            size = len(parts[0][0]) + self.characters(0)
            parts[1] = self._part(pair[1], counts[0], size)
        return parts

    def _is_longer(self, pair: tuple[str, str], long: Sequence[bool], counts: list[int]) -> bool:
        """Whether the first part has more tokens; ``counts`` are those of what is left of both."""
        if not long[1] and counts[0] > counts[1]:  # the whole of it has no fewer
            return True
        if not long[0] and counts[1] >= counts[0]:
            return False
        return self._count(pair[0]) > self._count(pair[1])

    def _part(self, text: str, tokens: int, size: int | None = None) -> tuple[str, int]:
        """The part of a text that decides its outermost tokens, and where it begins.

        ``size`` is how many characters are tried first.
        """
        size = self.characters(tokens) if size is None else size
        while (span := self._span(text, size)) is not None:
            start, end, unsure = span
            part = text[start:end]
            if self._count(part) >= tokens + self._margin + unsure:
                return part, start
            size *= _GROWTH
        return text, 0

    def _count(self, text: str) -> int:
        """Tokens of a whole text, special tokens not counted, found piece by piece."""
        count = start = place = 0
        while place < len(text):
            right = self._next(text, place)
            piece = self._bounded(text[start : right.end])
            if start == place and right.place == right.end:
                [row] = self._counting.encode_batch_fast([piece], add_special_tokens=False)
                count += len(row)
            else:  # the tokens to both sides of a border are certain only beside each other
                [row] = self._counting.encode_batch([piece], add_special_tokens=False)
                inside = range(place - start, right.place - start)
                count += sum(offset in inside for offset, _ in row.offsets)
            start, place, _ = right
        return count

    def _next(self, text: str, place: int) -> Border:
        """Where the next piece of a text ends that is counted."""
        from leanbert.tokenization.borders import Border

        far = place + self._piece
        found = self._places and self._places.search(text, far, far + self._piece)
        if not found and far < len(text) and self._words.counts:
            border = self._words.around(text, far)
            if border is not None:
                return border
        if not found and self._places:
            found = self._places.search(text, far)
        end = found.start() if found else len(text)
        return Border(end, end, end)

    def _span(self, text: str, size: int) -> tuple[int, int, int] | None:
        """A part of ``size`` characters or some more that ends (or begins) at a safe place.

        Returns:
            Where it begins and ends, and how many tokens at its inner end may differ from the
            text's beside those of one word.
        """
        if size >= len(text):
            return None
        if self._side == "right":
            end = self._end(text, size)
            return None if end is None else (0, end, 0)
        return self._start(text, size)

    def _start(self, text: str, size: int) -> tuple[int, int, int] | None:
        """The part from the last safe place on, or from one inside a word if the word is long."""
        end = nearby = len(text) - size
        if self._places is not None:
            nearby = max(0, end - self._piece)
            found = self._last_place(text, nearby, end, size)
            if found is not None:
                return found, len(text), 0
        if nearby == 0 and self._places is not None:
            return None
        inside = self._words.after(text, size)
        if inside is not None:
            return inside[0], len(text), inside[1]
        if self._places is not None:
            found = self._last_place(text, 0, nearby, size)
            if found is not None:
                return found, len(text), 0
        return None

    def _last_place(self, text: str, first: int, end: int, step: int) -> int | None:
        """A safe place between two places, looked for backwards, a stretch at a time."""
        places = self._places
        while places is not None and end > first:
            start = max(first, end - step)
            found = places.search(text, start, end + 1)
            if found is not None and found.start() > 0:
                return found.start()
            end = start
        return None

    def _end(self, text: str, size: int) -> int | None:
        """The next safe place, or one inside a word if the word is long."""
        if self._places is not None:
            found = self._places.search(text, size, size + self._piece)
            if found is not None:
                return found.start()
        if len(text) - size < self._piece:
            return None
        place = self._words.before(text, size)
        if place is None and self._places is not None:
            found = self._places.search(text, size + self._piece - 1)
            place = None if found is None else found.start()
        return place


class _TooMuchError(Exception):
    """So many characters would have to be tokenized at once."""
