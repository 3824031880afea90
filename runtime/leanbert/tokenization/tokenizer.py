"""Texts to token ids, exactly as transformers' fast tokenizers do it, safely from many threads.

Padding and truncation of a ``tokenizers.Tokenizer`` are settings of the shared object; changing
them per call makes threads fail with "Already borrowed" (huggingface/tokenizers#537). So they are
set once when the tokenizer is loaded; another limit gets an own, cached copy. Windows of long
texts, and where each token stands in its text: :mod:`leanbert.tokenization.segments`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from leanbert.bundle import Bundle
from leanbert.bundle.reading import read_file, read_json, status
from leanbert.bundle.tokenizer_file import MOST_TOKENIZER_BYTES, check_tokenizer
from leanbert.cpu import allowed_cores, omp_num_threads
from leanbert.environment import variable
from leanbert.errors import BundleCorruptError, InputError
from leanbert.tokenization.cutting import refuse_cut, truncation_flag
from leanbert.tokenization.encodings import Encodings, TextInput, join
from leanbert.tokenization.failures import failure
from leanbert.tokenization.pieces import Pieces
from leanbert.tokenization.rows import encode_rows
from leanbert.tokenization.settings import configure, has_token_types, read_settings, side_of
from leanbert.tokenization.shortening import Shortener
from leanbert.tokenization.special_tokens import SpecialTokens

if TYPE_CHECKING:
    from leanbert.engines.ceiling import Ceiling

__all__ = ["Tokenizer"]

# A tokenizers.Encoding holds some 100 bytes per token, its text among them, so few exist at once:
# those of 2,048 long texts made most of a process's growth (58 of 174 MiB).
_CHUNK = 64  # texts
_MOST_CHARACTERS = 1 << 17  # of so many texts, as far as they are not cut off before

_COPIES = 4  # tokenizers of another max_length, stride or strategy that are kept


class Tokenizer:
    """A fast tokenizer with its limits fixed.

    Args:
        path: the ``tokenizer.json``.
        max_length: longest input in tokens, special tokens included.
        content: the content of ``path``, where it was read and checked already.
        settings: what the files beside ``path`` say, likewise; see
            :func:`leanbert.tokenization.settings.read_settings`.

    Raises:
        BundleCorruptError: ``path`` is not a tokenizer.
    """

    def __init__(
        self,
        path: Path,
        max_length: int,
        *,
        content: bytes | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if content is None:
            content = read_file(path, MOST_TOKENIZER_BYTES)
            check_tokenizer(content, path)
        try:
            base = tokenizers.Tokenizer.from_buffer(content)
        except BaseException as error:
            reason = failure(error)
            if reason is None:
                raise
            raise BundleCorruptError(
                f"{path}: not a tokenizer ({reason}); export the bundle again"
            ) from error
        if settings is None:
            settings = read_settings(partial(_beside, path))
        configure(base, settings)
        self.padding_side = side_of(settings, "padding_side", base.padding)
        """The side that transformers pads, which for pairs also says what is asked first."""
        self.truncation_side = side_of(settings, "truncation_side", base.truncation)
        """The side of a long text that is cut off."""
        self.has_token_types = has_token_types(settings)
        """Whether a pair's two parts get different token types; otherwise all types are 0."""
        base.no_padding()  # files from sentence-transformers come with fixed padding
        base.enable_truncation(max_length, direction=self.truncation_side)
        self.max_length = max_length
        self.settings = settings
        """What the tokenizer's side files say."""
        self.special_tokens = SpecialTokens(self.settings, base.token_to_id)
        self.shortener = Shortener(base, self.truncation_side)
        """Cuts long texts before they are tokenized."""
        self.pieces = Pieces(base)
        """Finds the windows of long texts."""
        self._base = base
        self._decoder = base.decoder
        self._copies: dict[tuple[int, int, str], tokenizers.Tokenizer] = {}
        self._kept_copies = _COPIES
        self._most_characters = _MOST_CHARACTERS
        self.ceiling: Ceiling | None = None
        """What bounds the texts; see :meth:`keep_below`."""
        self._lock = threading.Lock()

    @classmethod
    def of(cls, bundle: Bundle) -> Tokenizer:
        """The tokenizer of a bundle, with the bundle's limits."""
        return cls(
            bundle.tokenizer_path,
            bundle.max_length,
            content=bundle.tokenizer_json(),
            settings=read_settings(bundle.side_file),
        )

    def start_threads(self) -> None:
        """Start the library's threads now, where ``OMP_NUM_THREADS`` bounds them.

        The library counts affinity and quota by itself, but reads another variable, once a process.
        """
        if omp_num_threads() is not None:
            with variable("RAYON_NUM_THREADS", str(allowed_cores())):
                self._base.encode_batch_fast([""])

    def keep_below(self, ceiling: Ceiling) -> None:
        """From now on keep to the part of a ceiling, and refuse what cannot."""
        self.ceiling = ceiling
        self._kept_copies = 1
        self._most_characters = min(_MOST_CHARACTERS, ceiling.characters)

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The shared tokenizer itself, to be read and never set."""
        return self._base

    def encode(
        self,
        texts: Sequence[TextInput],
        *,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        strategy: str = "longest_first",
        first_index: int = 0,
    ) -> Encodings:
        """Encode texts or pairs, special tokens added; long ones are cut.

        Args:
            texts: the texts or pairs. Lone surrogates, which have no UTF-8, become U+FFFD.
            truncation: ``True`` cuts long texts silently, ``None`` lists them in
                :attr:`Encodings.cut` (see :mod:`leanbert.tokenization.cutting`), ``False`` raises
                instead. transformers' names, ``"longest_first"`` for ``True`` and
                ``"do_not_truncate"`` for ``False``, are understood.
            max_length: cut shorter than the model's own limit, in tokens.
            strategy: which part of a pair is cut: see :meth:`cut_to`.
            first_index: what to call the first text in messages.

        Raises:
            InputError: a text is not a string, or too long under ``truncation=False``, or cannot
                be cut by ``strategy`` to ``max_length``.
        """
        truncation = truncation_flag(truncation)
        longest = self.max_length if max_length is None else min(max_length, self.max_length)
        encode_batch = self.cut_to(max_length, strategy=strategy).encode_batch_fast
        self.check_pairs(texts, max_length, first_index)

        def encode(part: list[Any]) -> list[Any]:
            part, _ = self.shortener.shorten(part, longest, strategy)
            if self.ceiling is not None:
                for i, text in enumerate(part, first_index + start):
                    self.ceiling.check_tokenized(text, i)
            rows: list[Any] = encode_batch(part)
            return rows

        parts: list[Encodings] = []
        start = 0
        for part in self._chunks(texts, longest):
            rows = encode_rows(encode, part, first_index + start)
            cut: list[int] = []
            if truncation is not True:
                cut = [first_index + start + i for i, row in enumerate(rows) if row.overflowing]
            parts.append(Encodings.made_of(rows, self.has_token_types, cut, longest))
            start += len(part)
        found = join(parts)
        if truncation is False:
            refuse_cut(found.cut, longest)
        return found

    def _chunks(self, texts: Sequence[Any], longest: int) -> Iterator[Sequence[Any]]:
        """The texts in lists that are tokenized at once; no list where there are none."""
        if len(texts) <= 1:
            yield texts
            return
        whole = self.shortener.characters(longest)
        first = characters = 0
        for i, text in enumerate(texts):
            size = _size(text, whole)
            if i > first and (i - first == _CHUNK or characters + size > self._most_characters):
                yield texts[first:i]
                first, characters = i, 0
            characters += size
        yield texts[first:]

    def cut_to(
        self, max_length: int | None, stride: int = 0, strategy: str = "longest_first"
    ) -> tokenizers.Tokenizer:
        """The tokenizer that cuts so; never change its settings, other threads use it too.

        Args:
            max_length: longest input in tokens; no longer than the model's own limit.
            stride: tokens that a window of a long text shares with the one before.
            strategy: which part of a pair is cut: ``"longest_first"``, ``"only_first"`` or
                ``"only_second"``.

        Raises:
            InputError: they leave no room for text.
        """
        length = self.max_length if max_length is None else min(max_length, self.max_length)
        key = (length, stride, strategy)
        if key == (self.max_length, 0, "longest_first"):
            return self._base
        special = self.added_tokens(pair=False)
        if length <= special:
            raise InputError(
                f"max_length is {max_length}; {special} special tokens leave no room for text"
            )
        room = length - special
        if not 0 <= stride < room:
            raise InputError(
                f"stride is {stride}; windows of {length} tokens have room for {room} of the text, "
                "so it must be less, and no less than 0"
            )
        with self._lock:
            copy = self._copies.pop(key, None)
            if copy is None:
                copy = tokenizers.Tokenizer.from_str(self._base.to_str())
                copy.encode_special_tokens = self._base.encode_special_tokens
                copy.enable_truncation(
                    length, stride=stride, strategy=strategy, direction=self.truncation_side
                )
            self._copies[key] = copy  # the last used stands last
            while len(self._copies) > self._kept_copies:
                del self._copies[next(iter(self._copies))]
        return copy

    def check_pairs(
        self, texts: Sequence[object], max_length: int | None, first_index: int
    ) -> None:
        """Refuse pairs that have no room beside their special tokens.

        Raises:
            InputError: one of ``texts`` is such a pair.
        """
        if max_length is None:
            return
        special = self.added_tokens(pair=True)
        if max_length > special:
            return
        for i, text in enumerate(texts, first_index):
            if isinstance(text, tuple):
                raise InputError(
                    f"text {i}: max_length is {max_length}; the {special} special tokens of a pair "
                    "leave no room for text"
                )

    def count_tokens(self, texts: Sequence[str], first_index: int = 0) -> list[int]:
        """Tokens of each text alone, special tokens not counted; none above ``max_length``."""
        counts: list[int] = []
        for start in range(0, len(texts), _CHUNK):
            part = texts[start : start + _CHUNK]
            without = partial(self._base.encode_batch_fast, add_special_tokens=False)
            counts += [len(row.ids) for row in encode_rows(without, part, first_index + start)]
        return counts

    def added_tokens(self, *, pair: bool) -> int:
        """How many special tokens are added to a text or a pair."""
        number: int = self._base.num_special_tokens_to_add(is_pair=pair)
        return number

    def id_to_token(self, token_id: int) -> str:
        """The token of an id, as it stands in the vocabulary (``"##ing"``, ``"\u0120and"``)."""
        token: str | None = self._base.id_to_token(token_id)
        return "" if token is None else token

    def token_to_id(self, token: str) -> int | None:
        """The id of a token as it stands in the vocabulary; ``None`` for no token."""
        found: int | None = self._base.token_to_id(token)
        return found

    def tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Tokens put together to text, as transformers' ``convert_tokens_to_string`` does."""
        if self._decoder is None:
            return " ".join(tokens)
        text: str = self._decoder.decode(list(tokens))
        return text

    @property
    def continuing_subword_prefix(self) -> str | None:
        """What marks a piece inside a word (WordPiece's ``"##"``); ``None`` without one."""
        prefix: str | None = getattr(self._base.model, "continuing_subword_prefix", None)
        return prefix or None


def _size(text: object, most: int) -> int:
    """Characters of a text or a pair, of each part ``most`` at most."""
    if isinstance(text, str):
        return min(len(text), most)
    return sum(_size(part, most) for part in text) if isinstance(text, (tuple, list)) else 0


def _beside(path: Path, name: str) -> Mapping[str, Any]:
    """What a JSON file beside the one at ``path`` says; nothing where there is none."""
    other = path.parent / name
    return {} if status(other) is None else read_json(other)
