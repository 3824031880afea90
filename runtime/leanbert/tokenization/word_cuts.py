"""Where a text may be cut inside a word of thousands of characters: at places that are proved.

Chinese and Thai have no white space, and for byte-level BPE or SentencePiece's Unigram a stretch of
such a text is one word. How its end is read could change its beginning, but at most places it
cannot, and each place is looked at for that:

- **BPE** merges the best pair again and again. What it makes of ``xy`` is what it makes of ``x``
  and then of ``y``, if it leaves ``ab`` alone, where ``a`` is the last token of ``x`` and ``b`` the
  first of ``y``: were a pair merged over the border, the same merges would come in ``ab`` in the
  same order. So a place is good where that holds for each token ``b`` that the text goes on with.
- **Unigram** takes the best path from the left to the right. Every path ends a token at one of the
  next places, as many as the longest token has characters. So a place is good where the best paths
  to all of them end a token.

Where the beginning of a word is left out, its end must not depend on that:
:mod:`leanbert.tokenization.borders`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import accumulate, chain
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers

from leanbert.tokenization.borders import Border, Borders, BpeBorders, UnigramBorders
from leanbert.tokenization.locality import (
    SPACE_RUNS,
    is_gpt2,
    normalizers_of,
    splitters_of,
    whole_copy,
)

__all__ = ["WordCuts"]

# Letters and digits that no normalizer joins with a letter beside it, and that begin and end what
# readers take for a character: Latin, Greek, Cyrillic, Hebrew, Arabic, kana, ideographs, Hangul.
_PLAIN = (
    "0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0391-\u03a1\u03a3-\u03ce\u0400-\u0481"
    "\u048a-\u052f\u05d0-\u05ea\u0620-\u063f\u0641-\u064a\u0e01-\u0e30\u3041-\u3096\u30a1-\u30fa"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
)
_NORMALIZERS = frozenset(
    {"Lowercase", "Nmt", "NFC", "NFD", "NFKC", "NFKD", "Precompiled", "Prepend", "StripAccents"}
)
_IS_PLAIN = re.compile(f"[{_PLAIN}]")
_TRIES = 512  # tokens of a word's beginning, from its end
_MOST_CHARACTERS = 64  # of a token of Unigram, where that many paths are looked at
_NEVER = frozenset(map(chr, (0xC0, 0xC1, *range(0xF5, 0x100))))  # bytes that UTF-8 has not
_FURTHER = 4096  # characters in which a plain stretch is looked for
_PREFIX = 4  # tokens at most of what is put before a text


class WordCuts:
    """Finds places inside long words for one tokenizer.

    Args:
        base: the tokenizer; it is read, and copied at the first long word.
    """

    def __init__(self, base: tokenizers.Tokenizer) -> None:
        self._base = base
        self._added = [token.content for token in base.get_added_tokens_decoder().values()]
        self._normalizes = base.normalizer is not None

    @cached_property
    def _longest(self) -> int:
        """Characters of the longest token of a kind that is known; 0 for other kinds."""
        if not all(map(_keeps_plain, normalizers_of(self._base))):
            return 0
        model, splitters = self._base.model, splitters_of(self._base)
        longest = max(map(len, self._base.get_vocab(with_added_tokens=False)), default=0)
        if isinstance(model, models.BPE):
            known = len(splitters) == 1 and is_gpt2(splitters[0]) and _is_plain(model)
            return longest if known else 0
        if isinstance(model, models.Unigram):
            known = {step.get("type") for step in splitters} <= {"Metaspace", "WhitespaceSplit"}
            known &= longest <= _MOST_CHARACTERS and not _state(model).get("byte_fallback")
            return longest if known else 0
        return 0

    @cached_property
    def _proof(self) -> Callable[[Sequence[str]], Iterator[int]] | None:
        """Finds how many of a word's first tokens are certain; ``None`` for unknown kinds."""
        model, longest = self._base.model, self._longest
        if not longest:
            return None
        of = _merged if isinstance(model, models.BPE) else _on_every_path
        return partial(of, model, longest)

    @cached_property
    def _borders(self) -> Borders | None:
        """Finds ends of tokens whatever stands around them; ``None`` for unknown kinds."""
        model, longest = self._base.model, self._longest
        if not longest:
            return None
        return (BpeBorders if isinstance(model, models.BPE) else UnigramBorders)(model, longest)

    @cached_property
    def _whole(self) -> tokenizers.Tokenizer:
        return whole_copy(self._base)

    @cached_property
    def _in_added(self) -> frozenset[str]:
        """The characters of all added tokens, as they are and normalized."""
        return frozenset("".join([*self._added, *map(self._normalized, self._added)]))

    @cached_property
    def _stretch(self) -> re.Pattern[str] | None:
        """Plain characters around a place over which no added token reaches.

        ``None`` where one could, as it is itself made of plain characters.
        """
        if not all(re.search(f"[^{_PLAIN}]", content) for content in self._added):
            return None
        half = f"[{_PLAIN}]{{{max(map(len, self._added), default=0) + 1}}}"
        return re.compile(f"(?<={half}){half}")

    def _is_apart(self, text: str, place: int) -> bool:
        """Whether neither the normalizer nor an added token reaches over a place."""
        before, after = text[place - 1 : place], text[place : place + 1]
        if self._normalizes and not (_IS_PLAIN.match(before) and _IS_PLAIN.match(after)):
            return False
        for character in (before, after):
            if self._in_added.isdisjoint(character + self._normalized(character)):
                return True
        return self._stretch is not None and self._stretch.match(text, place) is not None

    def _normalized(self, text: str) -> str:
        normalizer = self._base.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    @cached_property
    def _even(self) -> str:
        """A pattern of one character of those that neither a step nor an added token joins.

        Empty where an added token may consist of such characters.
        """
        if self._stretch is None:
            return ""
        if self._normalizes:
            return f"[{_PLAIN}]"
        # Each added token has one of these; and a word of ByteLevel or Metaspace is split at some.
        others = re.sub(f"[{_PLAIN}]", "", "".join(sorted(self._in_added)))
        return rf"[^\s'\u2581{re.escape(others)}]"

    @property
    def _clear(self) -> int:
        """Characters over which no added token and no word such as ``'ll`` reaches."""
        return max(map(len, self._added), default=0) + 4

    @cached_property
    def _stretches(self) -> re.Pattern[str] | None:
        """A stretch of a word in which a border may be looked for, clear to both sides."""
        if self._borders is None or not self._even:
            return None
        clear, size = self._clear, self._borders.stretch
        beside = f"{self._even}{{{clear}}}"
        return re.compile(f"(?<={beside}){self._even}{{{size}}}(?={beside})")

    @cached_property
    def _prefix(self) -> int:
        """Characters that the normalizer puts before all that it is given."""
        return sum(len(step.get("prepend") or "") for step in normalizers_of(self._base))

    def _one_to_one(self, text: str) -> str | None:
        """A stretch normalized; ``None`` where that is not one character for each."""
        found = self._normalized(text)[self._prefix :]
        return found if len(found) == len(text) else None

    @property
    def counts(self) -> bool:
        """Whether tokens between two of :meth:`around`'s borders can be counted."""
        return self._borders is not None and self._borders.counts

    def around(self, text: str, place: int) -> Border | None:
        """A border behind ``place`` that is the end of a token whatever stands around.

        Returns:
            ``None`` where none could be proved nearby.
        """
        if self._borders is None or self._stretches is None:
            return None
        last = min(len(text), place + _FURTHER + self._borders.stretch)
        found = self._stretches.search(text, place, last)
        if found is None:
            return None
        part, splitter = self._one_to_one(found[0]), self._base.pre_tokenizer
        if part is None or (splitter and len(splitter.pre_tokenize_str(part)) != 1):
            return None
        border = self._borders.border(part, len(text))
        if border is None:
            return None
        return Border(found.start(), found.start() + border, found.end())

    def after(self, text: str, size: int) -> tuple[int, int] | None:
        """A place at about ``size`` from the end behind which the last tokens of the text are kept.

        Args:
            text: one that is much longer than ``size``.
            size: characters.

        Returns:
            The place, and how many tokens of what is left may differ at its beginning; ``None``
            where no place could be proved.

        Raises:
            TypeError: the text has lone surrogates.
        """
        if self._borders is None:
            return None
        near = 2 * (self._borders.stretch + self._clear)
        tried = (self.around(text, max(0, len(text) - size - more)) for more in (near, _FURTHER))
        found = next((border for border in tried if border is not None), None)
        if found is None or found.start > len(text) - size:
            return None
        if not self._borders.counts:
            word = re.compile(f"{self._even}*").match(text, found.place)
            part = self._one_to_one(word[0]) if word else None
            ended = word is not None and text[word.end() : word.end() + 1].strip() == ""
            if part is None or not ended or not self._borders.is_certain(part, len(text)):
                return None
        unsure = self._normalized(text[found.start : found.place]).encode()
        return found.start, len(unsure) + _PREFIX

    def before(self, text: str, size: int) -> int | None:
        """A place at about ``size`` whose tokens before it are the first tokens of the text.

        Args:
            text: one that is much longer than ``size``.
            size: characters.

        Returns:
            ``None`` where no place could be proved.

        Raises:
            TypeError: the text has lone surrogates.
        """
        if self._proof is None:
            return None
        nearby = range(size, min(size + _FURTHER, len(text)))
        stop = next((place for place in nearby if self._is_apart(text, place)), None)
        if stop is None:
            return None
        [row] = self._whole.encode_batch([text[:stop]], add_special_tokens=False)
        words, offsets = row.word_ids, row.offsets
        if not words or words[-1] is None:
            return None
        first = words.index(words[-1])
        # Where the word begins is certain, too: what ends the one before it stands in the text.
        for certain in chain(self._proof(row.tokens[first:]), [0] if first else []):
            number = first + certain
            place = offsets[number][0]
            if place == offsets[number - 1][1] and self._is_apart(text, place):
                [part] = self._whole.encode_batch([text[:place]], add_special_tokens=False)
                if part.ids == row.ids[:number]:
                    return int(place)
        return None


def _merged(model: models.BPE, longest: int, tokens: Sequence[str]) -> Iterator[int]:
    """The numbers of a word's first tokens that no merge can change, whatever goes on with it.

    Args:
        model: byte-level BPE.
        longest: characters of its longest token.
        tokens: of the beginning of the word.
    """
    rest = ""
    for number in range(len(tokens) - 1, max(0, len(tokens) - _TRIES), -1):
        rest = tokens[number] + rest
        if len(rest) < longest:
            continue
        last = tokens[number - 1]
        following = (rest[:size] for size in range(1, longest + 1))
        if all(
            _tokens(model, last + token) == [last, token]
            for token in following
            if model.token_to_id(token) is not None and _tokens(model, token) == [token]
        ):
            yield number


def _on_every_path(model: models.Unigram, longest: int, tokens: Sequence[str]) -> Iterator[int]:
    """The numbers of a word's first tokens that are on the best path to each of the last places.

    Args:
        model: without bytes for unknown characters.
        longest: characters of its longest token.
        tokens: of the beginning of the word.
    """
    word = "".join(tokens)
    if _tokens(model, word) != list(tokens):
        return
    ends = list(accumulate(map(len, tokens)))
    common = {end for end in ends if end <= len(word) - longest}
    for size in range(len(word) - longest + 1, len(word)):
        common &= set(accumulate(map(len, _tokens(model, word[:size]))))
    for number in range(len(tokens) - 1, 0, -1):
        if ends[number - 1] in common:
            yield number


def _keeps_plain(normalizer: Mapping[str, Any]) -> bool:
    """Whether a step changes plain characters one by one, if at all."""
    if normalizer.get("type") != "Replace":
        return normalizer.get("type") in _NORMALIZERS
    pattern = normalizer.get("pattern") or {}
    if "String" in pattern:
        return re.fullmatch(r"[!-/:-@\[-`{-~]+", pattern["String"]) is not None
    return pattern.get("Regex") in SPACE_RUNS


def _tokens(model: Any, text: str) -> list[str]:
    return [token.value for token in model.tokenize(text)]


def _is_plain(model: models.BPE) -> bool:
    """Whether the model does nothing but merge bytes, and knows all that texts have."""
    unusual = (
        model.dropout
        or model.continuing_subword_prefix
        or model.end_of_word_suffix
        or getattr(model, "ignore_merges", False)
    )
    alphabet = set(pre_tokenizers.ByteLevel.alphabet()).difference(_NEVER)
    return not unusual and all(model.token_to_id(byte) is not None for byte in alphabet)


def _state(model: models.Unigram) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(model.__getstate__())
    return found
