"""Words and gaps of thousands of characters, without their middle, where no token depends on it.

WordPiece makes one unknown token of a word that has more than ``max_input_chars_per_word``
characters, whatever they are, and BERT's pre-tokenizer makes nothing of white space. So a word that
stays too long without its middle keeps its token, and only places in the text change.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers

from leanbert.tokenization.locality import SPACE, normalizers_of, splitters_of

__all__ = ["Elision", "Origin"]

# They change a character by what stands beside it only where accents are put on letters, and make
# neither white space nor punctuation of a letter.
_NORMALIZERS = frozenset({"BertNormalizer", "Lowercase", "NFC", "NFD", "StripAccents"})
_SPLITTERS = frozenset({"BertPreTokenizer", "WhitespaceSplit"})
# BERT's normalizer makes a word of each of these.
_CJK = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_EMOJI = "\U0001f300-\U0001faff"


@dataclass(frozen=True)
class Origin:
    """Where the characters of a shortened text stood in the text."""

    start: int = 0
    """Where it began, in the text without the middles of its long words."""
    gaps: tuple[tuple[int, int], ...] = ()
    """Where a middle was left out of that text, and how many characters up to there in all."""

    def after(self, start: int) -> Origin:
        """The same for the rest of the shortened text, from ``start`` on."""
        return replace(self, start=self.start + start)

    def restore(self, offsets: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Places in the text from places in what is left of it, in characters. *Shape:* kept."""
        places: npt.NDArray[np.int32] = offsets + np.int32(self.start)
        if not self.gaps:
            return places
        before, lost = np.array([(0, 0), *self.gaps], dtype=np.int32).T
        places += lost[np.searchsorted(before[1:], places, side="left")]
        return places


class Elision:
    """Leaves out the middles of long words and gaps for one tokenizer.

    Args:
        base: the tokenizer; it is read.
        longest: characters of a word that is left as it is.
    """

    def __init__(self, base: tokenizers.Tokenizer, longest: int) -> None:
        self._base = base
        self._longest = longest
        self._most, self._kept = 0, 0
        added = [token.content for token in base.get_added_tokens_decoder().values()]
        kinds = {str(step.get("type")) for step in normalizers_of(base)}
        splitters = {str(step.get("type")) for step in splitters_of(base)}
        if (
            isinstance(base.model, tokenizers.models.WordPiece)
            and kinds <= _NORMALIZERS
            and splitters
            and splitters <= _SPLITTERS
            # An added token that could stand inside a word would split it.
            and all(re.search(r"[!-/:-@\[-`{-~]", content) for content in added)
            and not any(re.search(SPACE, content) for content in added)
        ):
            self._most = int(base.model.max_input_chars_per_word)
            self._kept = 4 * self._most + max(map(len, added), default=0) + 64
        self.works = 0 < 2 * self._kept < longest
        """Whether the tokenizer is one for which it is proved."""

    def shorten(self, text: str) -> tuple[str, Origin]:
        """The text without the middles of its long words and gaps, and where the rest stood.

        Raises:
            TypeError: the text has lone surrogates.
        """
        if not self.works or not _might_be_long(self._longest).search(text):
            return text, Origin()
        parts: list[str] = []
        gaps: list[tuple[int, int]] = []
        done = lost = 0
        for found in _runs().finditer(text):
            start, end = found.start() + self._kept, found.end() - self._kept
            if end - start < self._longest - 2 * self._kept:
                continue
            if found[0][0].isspace() or self._is_unknown(found[0]):
                parts.append(text[done:start])
                gaps.append((start - lost, lost + end - start))
                done, lost = end, lost + end - start
        return "".join([*parts, text[done:]]), Origin(gaps=tuple(gaps))

    def _is_unknown(self, word: str) -> bool:
        """Whether the word is one unknown token by its beginning alone, and ends with its end."""
        if not self._is_one_word("a".join(["", *sorted(set(word)), ""])):
            return False  # the library splits at one of its characters, which newer Unicode moved
        head, tail = word[: self._kept], word[-self._kept :]
        if sum(map(_is_base, self._normalized(head))) <= self._most + 1:
            return False
        if not any(map(_is_base, self._normalized(tail))):
            return False
        [row] = self._base.encode_batch_fast([head + tail], add_special_tokens=False)
        unknown: Any = json.loads(self._base.model.__getstate__()).get("unk_token")
        return [self._base.id_to_token(i) for i in row.ids] == [unknown]

    def _is_one_word(self, text: str) -> bool:
        splitter = self._base.pre_tokenizer
        return len(splitter.pre_tokenize_str(self._normalized(text))) == 1

    def _normalized(self, text: str) -> str:
        normalizer = self._base.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))


@cache
def _might_be_long(longest: int) -> re.Pattern[str]:
    """What all long runs match, and more; soon made."""
    return re.compile(rf"\S{{{longest + 1}}}|\s{{{longest + 1}}}")


@cache
def _runs() -> re.Pattern[str]:
    """White space, or what stays together in a word."""
    return re.compile(f"{SPACE}+|[{_word_characters()}{_EMOJI}]+")


def _word_characters() -> str:
    """Letters, digits, accents and signs as a pattern's ranges, without what is split off."""
    ranges: list[list[int]] = []
    for number in range(0x10000):
        if not _stays(number):
            continue
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in ranges)


def _stays(number: int) -> bool:
    if number < 128:
        return chr(number).isalnum()
    if any(first <= number <= last for first, last in _CJK):
        return False
    return unicodedata.category(chr(number))[0] in "LMNS"


def _is_base(character: str) -> bool:
    """Whether no normalizer drops a character or joins it with the one before: it is no accent."""
    return unicodedata.category(character)[0] in "LNS"
